/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include <string.h>

/* A local virtual of the chain is listed once, at its introducer. */
static bool
is_root_virtual(const struct method *m)
{
	return m->root == NULL && method_is_local_virtual(m);
}

static void
emit_signature(struct buffer *out, const struct method *m, const char *suffix, bool defaults)
{
	const char *space = m->returns[strlen(m->returns) - 1] == '*' ? "" : " ";

	buffer_printf(out, "%s%s%s%s%s(", m->is_static ? "static " : "", m->returns, space, m->name,
		      suffix);
	emit_params(out, m, false, defaults ? PARAMS_DEFAULTS : PARAMS_POINTERS);
	buffer_printf(out, ")%s", m->is_const ? " const" : "");
}

/* ---------------------------------------------------------------------------------------------
 * super
 */

/* Statically dispatched twin of a local virtual: through the base's record, whoever self is. */
static void
emit_super_member(struct buffer *out, const struct class *base, const struct method *m)
{
	struct buffer scratch = {0};

	buffer_puts(out, "\t");
	emit_signature(out, m, "", true);
	buffer_printf(out,
		      "\n\t{\n\t\tauto iig_slot = ((const struct %s_Ops *)(const void "
		      "*)%s_Class.ops)->%s;\n",
		      m->class->name, base->name, m->name);
	if (m->is_pure) {
		const char *answer = emit_pure_answer(m, &scratch);

		buffer_printf(out, "\t\tif (iig_slot == nullptr)\n\t\t\treturn%s%s;\n",
			      answer != NULL ? " " : "", answer != NULL ? answer : "");
	}
	buffer_printf(out, "\t\t%siig_slot((%s%s *)this", m->is_void ? "" : "return ",
		      m->is_const ? "const " : "", m->class->name);
	emit_args(out, m, true);
	buffer_puts(out, ");\n\t}\n");
	buffer_fini(&scratch);
}

static bool
name_is_before(const struct class *class, const struct class *from, size_t index, const char *name)
{
	for (const struct class *c = from; c != NULL; c = c->base) {
		for (size_t i = 0; i < (c == class ? index : c->n_methods); i++)
			if (is_root_virtual(c->methods[i]) &&
			    strcmp(c->methods[i]->name, name) == 0)
				return true;
		if (c == class)
			break;
	}
	return false;
}

static void
emit_super_class(struct buffer *out, const struct class *class)
{
	const struct class *base = class->base;

	buffer_printf(out, "class %s_super : public %s {\npublic:\n", class->name, base->name);
	for (const struct class *c = base; c != NULL; c = c->base) {
		for (size_t i = 0; i < c->n_methods; i++) {
			const struct method *m = c->methods[i];

			if (!is_root_virtual(m))
				continue;
			/* Overloads of a framework stay in sight. A driver's own dispatcher must
			 * not. */
			const struct class *from = base;

			while (!from->in_framework)
				from = from->base;
			if (c->in_framework && !name_is_before(c, base, i, m->name))
				buffer_printf(out, "\tusing %s::%s;\n", from->name, m->name);
			emit_super_member(out, base, m);
		}
	}
	buffer_puts(out, "};\n\n");
}

/* Inherited local virtuals that the class does not declare itself: a call on it dispatches. */
static void
emit_using(struct buffer *out, const struct class *class)
{
	for (const struct class *c = class->base; c != NULL; c = c->base) {
		for (size_t i = 0; i < c->n_methods; i++) {
			const struct method *m = c->methods[i];
			const struct class *from = class->base;

			if (!is_root_virtual(m) || class_override(class, m) != NULL ||
			    name_is_before(c, class->base, i, m->name))
				continue;
			while (from != c && !from->in_framework)
				from = from->base;
			buffer_printf(out, "\tusing %s::%s;\n", from->name, m->name);
		}
	}
}

/* ---------------------------------------------------------------------------------------------
 * Members
 */

static void
emit_remote_member(struct buffer *out, const struct method *m)
{
	const struct method *root = method_root(m);
	const char *give = m->is_void ? "" : "return ", *c = root->class->name;

	if (m->type_of != NULL)
		return;
	buffer_printf(out, "\t%s%s %s(", m->is_static ? "static " : "", m->returns, m->name);
	emit_params(out, m, false, PARAMS_DEFAULTS);
	if (m->is_static) {
		buffer_printf(out, ")\n\t{\n\t\t%s::%s_%s(", give, c, m->name);
		emit_args(out, m, false);
		buffer_puts(out, ");\n\t}\n");
		return;
	}
	buffer_printf(out, "%sOSDispatchMethod iig_super = nullptr)\n\t{\n",
		      m->n_params > 0 ? ", " : "");
	if (method_target(root) == NULL) {
		buffer_printf(out,
			      "\t\tif (iig_super != nullptr)\n"
			      "\t\t\treturn ::%s_%s_From(OSDispatchClass(this, iig_super), this",
			      c, m->name);
		emit_args(out, m, true);
		buffer_puts(out, ");\n");
	} else {
		buffer_puts(out, "\t\t(void)iig_super;\n");
	}
	buffer_printf(out, "\t\t%s::%s_%s(this", give, c, m->name);
	emit_args(out, m, true);
	buffer_puts(out, ");\n\t}\n");
}

static void
emit_user_impl(struct buffer *out, const struct method *m)
{
	if (m->is_pure)
		return;
	buffer_printf(out, "\t%s%s %s_Impl(", m->is_static ? "static " : "", m->returns, m->name);
	emit_params(out, m, false, PARAMS_WRITTEN);
	buffer_printf(out, "%s);\n",
		      !method_takes_rpc(m) ? ""
		      : m->n_params > 0    ? ", const IORPC rpc"
					   : "const IORPC rpc");
}

/* A call of the C function @p name on this. */
static void
emit_c_call(struct buffer *out, const struct method *m, const char *name, const char *self)
{
	buffer_printf(out, "\t{\n\t\t%s::%s(", m->is_void ? "" : "return ", name);
	if (!m->is_static)
		buffer_printf(out, "(%s%s *)this", m->is_const ? "const " : "", self);
	emit_args(out, m, !m->is_static);
	buffer_puts(out, ");\n\t}\n");
}

static void
emit_local_member(struct buffer *out, const struct class *class, const struct method *m)
{
	const struct method *root = method_root(m);
	struct buffer scratch = {0};

	if (m->is_template || (m->attributes & A_INLINE) != 0) {
		buffer_printf(out, "\t%s\n", m->raw);
		return;
	}
	if (class->in_framework || (m->is_pure && m->is_virtual)) {
		buffer_puts(out, "\t");
		emit_signature(out, m, "", true);
		buffer_puts(out, "\n");
		emit_c_call(out, m, emit_local_name(root, &scratch), root->class->name);
	} else {
		/* A driver's own virtual: what is called is the dispatcher, which clang prefers;
		 * what the driver defines is the plain one. The glue must see the plain one alone.
		 */
		if (m->is_virtual && !root->class->in_framework) {
			buffer_printf(out, "#if defined(__clang__) && !defined(IIG_GLUE)\n\t");
			emit_signature(out, m, "", true);
			buffer_puts(out, " __attribute__((enable_if(1, \"\")))\n");
			emit_c_call(out, m, emit_local_name(root, &scratch), root->class->name);
			buffer_puts(out, "#endif\n");
		}
		buffer_puts(out, "\t");
		emit_signature(out, m, "", true);
		if (m->body != NULL)
			buffer_printf(out, "\n\t%s\n", m->body);
		else
			buffer_puts(out, ";\n");
	}
	buffer_fini(&scratch);
}

static void
emit_action(struct buffer *out, const struct class *class, const struct method *m)
{
	buffer_printf(out,
		      "\tkern_return_t CreateAction%s(size_t referenceSize, OSAction **action)\n"
		      "\t{\n\t\treturn ::%s_CreateAction%s(this, referenceSize, action);\n\t}\n",
		      m->name, class->name, m->name);
}

void
emit_cpp_class(struct buffer *out, const struct class *class)
{
	const char *n = class->name;
	bool user = !class->in_framework;

	if (user)
		emit_super_class(out, class);
	if (user)
		buffer_printf(out,
			      "class %s : public %s_super {\npublic:\n\tusing super = %s_super;\n",
			      n, n, n);
	else
		buffer_printf(out, "class %s : public %s {\npublic:\n\tusing super = %s;\n", n,
			      class->base_name, class->base_name);
	for (size_t i = 0; i < class->n_extras; i++)
		buffer_printf(out, "\t%s;\n", class->extras[i]);
	buffer_printf(out,
		      "#ifdef %s_DECLARE_IVARS\n"
		      "\t%s_DECLARE_IVARS\n"
		      "#else\n"
		      "\tunion {\n"
		      "\t\t%s_IVars *ivars = nullptr;\n"
		      "\t\t%s_LocalIVars *lvars;\n"
		      "\t};\n"
		      "#endif\n",
		      n, n, n, n);
	buffer_printf(
		out,
		"\tstatic const OSMetaClass *sGetMetaClass() { return &%s_Class; }\n"
		"\tstatic kern_return_t _Dispatch(OSMetaClassBase *iig_self, const IORPC rpc)\n"
		"\t{\n"
		"\t\t(void)iig_self;\n"
		"\t\t*rpc.ret_class = &%s_Class;\n"
		"\t\treturn 0;\n"
		"\t}\n",
		n, n);
	if (user)
		emit_using(out, class);
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (method_is_local_only(m)) {
			emit_local_member(out, class, m);
			continue;
		}
		emit_remote_member(out, m);
		if (user)
			emit_user_impl(out, m);
		if (m->type_of != NULL)
			emit_action(out, class, m);
	}
	buffer_puts(out, "};\n");
	buffer_printf(out,
		      "#ifndef %s_DECLARE_IVARS\n"
		      "static_assert(sizeof(%s) == sizeof(%s) + sizeof(void *), \"%s differs "
		      "between C and C++\");\n"
		      "#endif\n",
		      n, n, class->base_name, n);
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (m->type_of != NULL && method_is_remote(m))
			buffer_printf(out, "class OSAction_%s_%s : public OSAction {};\n", n,
				      m->name);
	}
}
