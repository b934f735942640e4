/* SPDX-License-Identifier: MIT */
#include "emit.h"
#include "source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------
 * Thunks: a record's impl takes the root class as self, whatever class it is for
 */

static const struct method *
wire_method(const struct method *m)
{
	return m->prototype != NULL ? m->prototype : method_root(m);
}

static void
emit_guard(struct buffer *out, const struct method *m)
{
	buffer_puts(out, class_is_kernel_method(m) ? "#if IIG_HOST && !IIG_PROXY\n"
						   : "#if !IIG_PROXY\n");
}

static void
emit_thunk(struct buffer *out, const struct class *class, const struct method *m)
{
	const char *c = class->name, *give = m->is_void ? "" : "return ";
	bool wire_rpc = method_takes_rpc(wire_method(m)), own_rpc = method_takes_rpc(m);

	emit_guard(out, m);
	buffer_printf(out, "static %s\n%s_%s_thunk(OS_OBJECT *self", m->returns, c, m->name);
	emit_params(out, m, true, PARAMS_POINTERS);
	buffer_printf(out, "%s)\n{\n", wire_rpc ? ", const IORPC rpc" : "");
	if (wire_rpc && !own_rpc)
		buffer_puts(out, "\t(void)rpc;\n");
	if (own_rpc && !wire_rpc)
		buffer_puts(out, "\tIORPC rpc;\n\n\tmemset(&rpc, 0, sizeof rpc);\n");
	if (!class->in_framework) {
		buffer_printf(out, "#ifdef __cplusplus\n\t%sstatic_cast<%s *>(self)->%s_Impl(",
			      give, c, m->name);
		emit_args(out, m, false);
		buffer_printf(out, "%s);\n#else\n",
			      !own_rpc          ? ""
			      : m->n_params > 0 ? ", rpc"
						: "rpc");
	}
	buffer_printf(out, "\t%s%s_%s_Impl((%s *)self", give, c, m->name, c);
	emit_args(out, m, true);
	buffer_printf(out, "%s);\n%s}\n#endif\n\n", own_rpc ? ", rpc" : "",
		      class->in_framework ? "" : "#endif\n");
}

static void
emit_slot(struct buffer *out, const struct class *class, const struct method *m)
{
	const struct method *root = method_root(m);
	const char *c = class->name, *give = m->is_void ? "" : "return ",
		   *is_const = m->is_const ? "const " : "";

	buffer_printf(out, "#if !IIG_PROXY\nstatic %s\n%s_%s_slot(%s%s *self", m->returns, c,
		      m->name, is_const, root->class->name);
	emit_params(out, m, true, PARAMS_POINTERS);
	buffer_puts(out, ")\n{\n");
	if (!class->in_framework) {
		buffer_printf(out, "#ifdef __cplusplus\n\t%sstatic_cast<%s%s *>(self)->%s::%s(",
			      give, is_const, c, c, m->name);
		emit_args(out, m, false);
		buffer_puts(out, ");\n#else\n");
	}
	buffer_printf(out, "\t%s%s_%s_Impl((%s%s *)self", give, c, m->name, is_const, c);
	emit_args(out, m, true);
	buffer_printf(out, ");\n%s}\n#endif\n\n", class->in_framework ? "" : "#endif\n");
}

/* X_m(): dispatch of a local virtual that X introduces. */
static void
emit_dispatch(struct buffer *out, const struct class *class, const struct method *m)
{
	struct buffer scratch = {0};

	buffer_printf(out, "#if !IIG_PROXY\n%s\n%s_%s(%s%s *self", m->returns, class->name, m->name,
		      m->is_const ? "const " : "", class->name);
	emit_params(out, m, true, PARAMS_POINTERS);
	buffer_printf(out,
		      ")\n{\n\tconst struct %s_Ops *iig_ops =\n"
		      "\t\t(const struct %s_Ops *)(const void *)((const OS_OBJECT "
		      "*)self)->meta->ops;\n\n",
		      class->name, class->name);
	if (m->is_pure) {
		const char *answer = emit_pure_answer(m, &scratch);

		buffer_printf(out, "\tif (iig_ops->%s == NULL)\n\t\treturn%s%s;\n", m->name,
			      answer != NULL ? " " : "", answer != NULL ? answer : "");
	}
	buffer_printf(out, "\t%siig_ops->%s(self", m->is_void ? "" : "return ", m->name);
	emit_args(out, m, true);
	buffer_puts(out, ");\n}\n#endif\n\n");
	buffer_fini(&scratch);
}

/* ---------------------------------------------------------------------------------------------
 * Tables
 */

/* Initializer of the part of @p class's table that @p part introduced, bases first. */
static void
emit_slots(struct buffer *out, const struct class *class, const struct class *part)
{
	buffer_puts(out, "{");
	if (part->base != NULL)
		emit_slots(out, class, part->base);
	else
		buffer_puts(out, "{NULL}");
	for (size_t i = 0; i < part->n_methods; i++) {
		const struct method *m = part->methods[i];

		if (!method_is_local_virtual(m) || m->root != NULL)
			continue;
		const struct method *own = part == class ? m : class_override(class, m);

		if (own != NULL && !own->is_pure)
			buffer_printf(out, ", %s_%s_slot", class->name, own->name);
		else
			buffer_puts(out, ", NULL");
	}
	buffer_puts(out, "}");
}

static bool
has_record(const struct method *m)
{
	return method_is_remote(m) && !m->is_static && !m->is_template;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct method *const *x = a, *const *y = b;
	uint64_t p = method_root(*x)->id, q = method_root(*y)->id;

	return p < q ? -1 : p > q;
}

static void
emit_flags(struct buffer *out, const struct method *m)
{
	const struct method *wire = wire_method(m);
	unsigned attributes = m->attributes | (m->root != NULL ? m->root->attributes : 0);
	const struct {
		bool set;
		const char *name;
	} flags[] = {
		{wire->is_void, "OS_METHOD_ONEWAY"},
		{class_is_kernel_method(m), "OS_METHOD_KERNEL"},
		{(attributes & A_LOCAL) != 0, "OS_METHOD_LOCAL"},
		{(attributes & A_LOCALHOST) != 0, "OS_METHOD_LOCALHOST"},
		{method_target(wire) != NULL, "OS_METHOD_TARGET"},
		{m->prototype != NULL, "OS_METHOD_CALLBACK"},
	};
	bool any = false;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (flags[i].set) {
			buffer_printf(out, "%s%s", any ? " | " : "", flags[i].name);
			any = true;
		}
	if (!any)
		buffer_puts(out, "0");
}

static size_t
emit_methods(struct buffer *out, const struct class *class)
{
	const struct method **list = calloc(class->n_methods + 1, sizeof *list);
	const char *c = class->name;
	size_t count = 0;

	if (list == NULL)
		abort();
	for (size_t i = 0; i < class->n_methods; i++)
		if (has_record(class->methods[i]))
			list[count++] = class->methods[i];
	qsort(list, count, sizeof *list, compare_ids);
	for (size_t i = 0; i < count; i++)
		if (list[i]->prototype != NULL)
			buffer_printf(out,
				      "static const struct OSMetaClass *const %s_%s_action = "
				      "&OSAction_%s_%s_Class;\n",
				      c, list[i]->name, c, list[i]->name);
	if (count > 0)
		buffer_printf(out, "static const struct OSMethod %s_methods[] = {\n", c);
	for (size_t i = 0; i < count; i++) {
		const struct method *m = list[i], *root = method_root(m), *wire = wire_method(m);
		const char *queue = m->queue != NULL ? m->queue : root->queue;

		buffer_printf(out, "\t{0x%016" PRIx64 "ULL, \"%s::%s\", ", root->id, c, m->name);
		buffer_printf(out, queue != NULL ? "\"%s\",\n" : "NULL,\n", queue);
		if (method_has_impl(m)) {
			emit_guard(out, m);
			buffer_printf(out,
				      "\t (void (*)(void))%s_%s_thunk,\n#else\n\t NULL,\n#endif\n",
				      c, m->name);
		} else {
			buffer_puts(out, "\t NULL,\n");
		}
		buffer_printf(out, "\t %s_%s_Invoke, ", wire->class->name, wire->name);
		if (m->prototype != NULL)
			buffer_printf(out, "&%s_%s_action, ", c, m->name);
		else
			buffer_puts(out, "NULL, ");
		emit_flags(out, m);
		buffer_puts(out, ", 0},\n");
	}
	if (count > 0)
		buffer_puts(out, "};\n\n");
	free(list);
	return count;
}

static size_t
emit_queues(struct buffer *out, const struct class *class)
{
	size_t count = 0;

	for (size_t i = 0; i < class->n_methods; i++) {
		const char *queue = class->methods[i]->queue;
		bool known = false;

		for (size_t k = 0; k < i && queue != NULL && !known; k++)
			known = class->methods[k]->queue != NULL &&
				strcmp(class->methods[k]->queue, queue) == 0;
		if (queue == NULL || known)
			continue;
		if (count++ == 0)
			buffer_printf(out, "static const char *const %s_queues[] = {", class->name);
		buffer_printf(out, "%s\"%s\"", count > 1 ? ", " : "", queue);
	}
	if (count > 0)
		buffer_puts(out, "};\n\n");
	return count;
}

static void
emit_record(struct buffer *out, const char *name, const char *super, const char *flags,
	    const char *sized, const char *ops, size_t n_methods, size_t n_queues, bool construct)
{
	char methods[300] = "NULL", queues[300] = "NULL";

	if (n_methods > 0)
		snprintf(methods, sizeof methods, "%s_methods", name);
	if (n_queues > 0)
		snprintf(queues, sizeof queues, "%s_queues", name);
	buffer_printf(
		out,
		"struct OSMetaClass %s_Class = {\n"
		"\tOS_METACLASS_ABI, %s, \"%s\", %s%s%s, (uint32_t)sizeof(%s),\n"
		"\t(uint32_t)sizeof(struct %s_Ops), (void **)(void *)&%s_ops, %s, %zu, %zu, %s,\n",
		name, flags, name, super != NULL ? "&" : "", super != NULL ? super : "NULL",
		super != NULL ? "_Class" : "", sized, ops, name, methods, n_methods, n_queues,
		queues);
	if (construct)
		buffer_printf(out,
			      "#ifdef __cplusplus\n\t%s_construct, %s_destruct,\n#else\n\tNULL, "
			      "NULL,\n#endif\n",
			      name, name);
	else
		buffer_puts(out, "\tNULL, NULL,\n");
	buffer_puts(out, "\tNULL, NULL, {NULL, NULL, NULL, NULL}\n};\n\n");
	buffer_printf(out,
		      "static void __attribute__((constructor))\n%s_register(void)\n{\n"
		      "\tOSMetaClassRegister(&%s_Class);\n}\n\n",
		      name, name);
}

static bool
is_serializable(const struct model *model, const struct class *class)
{
	if ((class->attributes & A_SERIALIZABLE) != 0)
		return true;
	for (size_t i = 0; i < model->n_serializable; i++)
		if (strcmp(model->serializable[i], class->name) == 0)
			return true;
	return false;
}

static const char *
class_flags(const struct model *model, const struct class *class, struct buffer *text)
{
	text->length = 0;
	if (!class->in_framework)
		buffer_puts(text, "OS_CLASS_USER");
	if ((class->attributes & A_REMOTE) != 0 ||
	    (class->in_framework &&
	     ((class->attributes & (A_KERNEL | A_NATIVE)) != 0 || class->derives_service)))
		buffer_printf(text, "%sOS_CLASS_CAN_REMOTE", text->length > 0 ? " | " : "");
	if (is_serializable(model, class))
		buffer_printf(text, "%sOS_CLASS_SERIALIZABLE", text->length > 0 ? " | " : "");
	if ((class->attributes & A_KERNEL) != 0)
		buffer_printf(text, "%sOS_CLASS_KERNEL", text->length > 0 ? " | " : "");
	return text->length > 0 ? text->text : "0";
}

/* The action class of a TYPE() method, and what makes its objects. */
static void
emit_callback(struct buffer *out, const struct class *class, const struct method *m)
{
	struct buffer name = {0};
	const char *c = class->name;

	buffer_printf(&name, "OSAction_%s_%s", c, m->name);
	buffer_printf(out, "static struct OSAction_Ops %s_ops;\n", name.text);
	emit_record(out, name.text, "OSAction", class->in_framework ? "0" : "OS_CLASS_USER",
		    "OSAction", "OSAction", 0, 0, false);
	buffer_printf(out,
		      "#if !IIG_PROXY\nkern_return_t\n%s_CreateAction%s(%s *self, size_t "
		      "referenceSize, OSAction **action)\n{\n"
		      "\treturn OSAction_CreateOfClass(&%s_Class, (OSObject *)self, %s_%s_ID,\n"
		      "\t\t\t\t       %s_%s_ID, referenceSize, action);\n}\n#endif\n\n",
		      c, m->name, c, name.text, c, m->name, m->prototype->class->name,
		      m->prototype->name);
	buffer_fini(&name);
}

static void
emit_class(struct buffer *out, const struct model *model, const struct class *class)
{
	struct buffer flags = {0};
	const char *c = class->name;
	bool construct = !class->in_framework;

	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (method_is_introduced(m))
			emit_stub(out, m);
		if (method_is_local_virtual(m) && m->root == NULL)
			emit_dispatch(out, class, m);
		if (method_is_local_virtual(m) && !m->is_pure)
			emit_slot(out, class, m);
		if (has_record(m) && method_has_impl(m))
			emit_thunk(out, class, m);
		if (m->type_of != NULL && method_is_remote(m))
			emit_callback(out, class, m);
	}
	size_t n_methods = emit_methods(out, class);
	size_t n_queues = emit_queues(out, class);

	buffer_printf(out,
		      "#if IIG_PROXY\nstatic struct %s_Ops %s_ops;\n#else\nstatic struct %s_Ops "
		      "%s_ops = ",
		      c, c, c, c);
	emit_slots(out, class, class);
	buffer_puts(out, ";\n#endif\n\n");
	if (construct)
		buffer_printf(
			out,
			"#ifdef __cplusplus\n"
			"static void\n%s_construct(void *iig_self)\n{\n\tnew (iig_self) %s;\n}\n\n"
			"static void\n%s_destruct(void *iig_self)\n{\n\tstatic_cast<%s "
			"*>(iig_self)->~%s();\n}\n"
			"#endif\n\n",
			c, c, c, c, c);
	emit_record(out, c, class->base != NULL ? class->base->name : NULL,
		    class_flags(model, class, &flags), c, c, n_methods, n_queues, construct);
	buffer_fini(&flags);
}

/* Records that are compared with, of classes whose header need not be included. */
static void
emit_externs(struct buffer *out, const struct model *model)
{
	const char **names = NULL;
	struct arena arena = {0};
	size_t count = 0, at = 0;

	for (const struct class *class; (class = next_main(model, &at)) != NULL;) {
		for (size_t i = 0; i < class->n_methods; i++) {
			const struct method *m = class->methods[i];

			for (size_t k = 0;
			     k < m->n_params && method_is_introduced(m) && !m->is_static; k++) {
				const struct param *p = &m->params[k];
				bool known = p->form != F_OBJECT_IN && p->form != F_OBJECT_OUT &&
					     p->form != F_OBJECTS_IN;

				for (size_t n = 0; n < count && !known; n++)
					known = strcmp(names[n], p->type) == 0;
				if (!known)
					*ARENA_PUSH(&arena, names, count) = p->type;
			}
		}
	}
	for (size_t n = 0; n < count; n++)
		buffer_printf(out, "extern struct OSMetaClass %s_Class;\n", names[n]);
	arena_fini(&arena);
}

static bool
needs_refuse(const struct model *model)
{
	size_t at = 0;

	for (const struct class *class; (class = next_main(model, &at)) != NULL;)
		for (size_t i = 0; i < class->n_methods; i++)
			if (method_is_introduced(class->methods[i]) &&
			    !class->methods[i]->is_static)
				return true;
	return false;
}

void
emit_impl(const struct model *model, const char *header, struct buffer *out)
{
	size_t at = 0;

	buffer_printf(
		out,
		"/* Generated by iig %s from %s. Do not edit. C and C++. */\n#define IIG_GLUE 1\n",
		IIG_VERSION, text_basename(model->def));
	text_implementation(out, model->text, model->length);
	if (model->framework != NULL)
		buffer_printf(out, "#include <%s/%s>\n", model->framework, text_basename(header));
	else
		buffer_printf(out, "#include \"%s\"\n", text_basename(header));
	buffer_puts(out, "#include <ambidext/runtime.h>\n"
			 "#include <stdlib.h>\n"
			 "#include <string.h>\n\n"
			 "#ifndef IIG_PROXY\n#define IIG_PROXY 0\n#endif\n"
			 "#if defined(KERNEL) && KERNEL\n#define IIG_HOST 1\n#else\n#define "
			 "IIG_HOST 0\n#endif\n\n"
			 "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	emit_externs(out, model);
	if (needs_refuse(model))
		buffer_puts(out, "\nstatic void\niig_refuse(const struct OSMethod *method, struct "
				 "OSMessage *message, "
				 "IOReturn status, const char *what)\n{\n"
				 "\tOSToldMalformed(method, what);\n"
				 "\tOSMessageReply(message, status, NULL, 0, NULL, 0);\n}\n\n");
	for (const struct class *class; (class = next_main(model, &at)) != NULL;)
		emit_class(out, model, class);
	buffer_puts(out, "#ifdef __cplusplus\n} /* extern \"C\" */\n#endif\n");
}
