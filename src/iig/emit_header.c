/* SPDX-License-Identifier: MIT */
#include "emit.h"
#include "source.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static void
emit_macros(struct buffer *out, const struct class *class)
{
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (!method_is_remote(m))
			continue;
		if (m->root == NULL)
			buffer_printf(out, "#define %s_%s_ID 0x%016" PRIx64 "ULL\n", class->name,
				      m->name, m->id);
		buffer_printf(out, "#define %s_%s_Args", class->name, m->name);
		if (m->n_params > 0)
			buffer_puts(out, " ");
		emit_params(out, m, false, PARAMS_WRITTEN);
		if (method_takes_rpc(m))
			buffer_printf(out, "%sconst IORPC rpc", m->n_params > 0 ? ", " : " ");
		buffer_puts(out, "\n");
	}
}

static void
emit_ops(struct buffer *out, const struct class *class)
{
	buffer_printf(out, "struct %s_Ops {\n\tstruct %s_Ops super;\n", class->name,
		      class->base_name);
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (!method_is_local_virtual(m) || m->root != NULL)
			continue;
		const char *space = m->returns[strlen(m->returns) - 1] == '*' ? "" : " ";

		buffer_printf(out, "\t%s%s(*%s)(%s%s *self", m->returns, space, m->name,
			      m->is_const ? "const " : "", class->name);
		emit_params(out, m, true, PARAMS_POINTERS);
		buffer_puts(out, ");\n");
	}
	buffer_puts(out, "};\n");
}

static void
emit_calls(struct buffer *out, const struct class *class)
{
	struct buffer scratch = {0};

	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (m->is_template || (m->attributes & A_INLINE) != 0)
			continue;
		if (method_is_introduced(m)) {
			emit_c_function(out, class, m, "", "");
			buffer_puts(out, ";\n");
			if (m->is_static)
				continue;
			if (method_target(m) == NULL) {
				buffer_printf(out,
					      "%s %s_%s_From(const struct OSMetaClass *iig_from, "
					      "%s *self",
					      m->returns, class->name, m->name, class->name);
				emit_params(out, m, true, PARAMS_POINTERS);
				buffer_puts(out, ");\n");
			}
			buffer_printf(out, "OSMethodInvoke %s_%s_Invoke;\n", class->name, m->name);
			if ((m->attributes & A_ASYNC) != 0) {
				buffer_printf(out,
					      "typedef void %s_%s_Done(void *context, IOReturn "
					      "iig_status",
					      class->name, m->name);
				emit_out_params(out, m);
				buffer_printf(out, ");\nIOReturn %s_%s_Async(%s *self", class->name,
					      m->name, class->name);
				for (size_t k = 0; k < m->n_params; k++)
					if (!form_is_out(m->params[k].form)) {
						buffer_puts(out, ", ");
						emit_param(out, &m->params[k], PARAMS_POINTERS);
					}
				buffer_printf(out, ", %s_%s_Done *iig_done, void *iig_context);\n",
					      class->name, m->name);
				buffer_printf(out,
					      "void %s_%s_Reply(struct OSReply *iig_reply, "
					      "IOReturn iig_status",
					      class->name, m->name);
				emit_out_params(out, m);
				buffer_puts(out, ");\n");
			}
		} else if (method_is_local_virtual(m) && m->root == NULL) {
			emit_c_function(out, class, m, "", "");
			buffer_puts(out, ";\n");
		} else if (method_is_local_only(m) && !m->is_virtual && class->in_framework) {
			const char *space = m->returns[strlen(m->returns) - 1] == '*' ? "" : " ";

			buffer_printf(out, "%s%s%s(", m->returns, space,
				      emit_local_name(m, &scratch));
			if (m->is_static)
				buffer_puts(out, m->n_params == 0 ? "void" : "");
			else
				buffer_printf(out, "%s%s *self", m->is_const ? "const " : "",
					      class->name);
			emit_params(out, m, !m->is_static, PARAMS_POINTERS);
			buffer_puts(out, ");\n");
		}
	}
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (m->type_of != NULL && method_is_remote(m))
			buffer_printf(
				out,
				"extern struct OSMetaClass OSAction_%s_%s_Class;\n"
				"#define gOSAction_%s_%sMetaClass (&OSAction_%s_%s_Class)\n"
				"kern_return_t %s_CreateAction%s(%s *self, size_t referenceSize, "
				"OSAction **action);\n",
				class->name, m->name, class->name, m->name, class->name, m->name,
				class->name, m->name, class->name);
	}
	buffer_fini(&scratch);
}

static void
emit_impls(struct buffer *out, const struct class *class)
{
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i];

		if (!method_has_impl(m))
			continue;
		emit_c_function(out, class, m, "", "_Impl");
		buffer_puts(out, ";\n");
	}
}

/* ---------------------------------------------------------------------------------------------
 * C's inline functions: inherited methods under this class's name, and what `super` is in C++
 */

static void
emit_forward(struct buffer *out, const struct class *class, const struct method *m,
	     const char *target, const char *suffix)
{
	emit_c_function(out, class, m, "static inline ", suffix);
	buffer_printf(out, "\n{\n\t%s%s((%s%s *)self", m->is_void ? "" : "return ", target,
		      m->is_const ? "const " : "", m->class->name);
	emit_args(out, m, true);
	buffer_puts(out, ");\n}\n");
}

static bool
has_c_name(const struct class *class, const char *name)
{
	struct buffer scratch = {0};
	bool found = false;

	for (size_t i = 0; i < class->n_methods && !found; i++) {
		const struct method *m = class->methods[i];

		if (m->root == NULL && !m->is_template && (m->attributes & A_INLINE) == 0 &&
		    !(method_is_local_only(m) && !m->is_virtual && !class->in_framework))
			found = strcmp(emit_local_name(m, &scratch) + strlen(class->name) + 1,
				       name) == 0;
	}
	buffer_fini(&scratch);
	return found;
}

/* Whether a class between @p class and @p m's own gives that C name to something else. */
static bool
is_shadowed(const struct class *class, const struct method *m)
{
	for (const struct class *c = class; c != NULL && c != m->class; c = c->base)
		if (has_c_name(c, m->name))
			return true;
	return false;
}

static void
emit_inherited(struct buffer *out, const struct class *class)
{
	struct buffer target = {0};

	for (const struct class *c = class->base; c != NULL; c = c->base) {
		for (size_t i = 0; i < c->n_methods; i++) {
			const struct method *m = c->methods[i];

			if (m->root != NULL || m->is_static || m->is_template ||
			    m->type_of != NULL || m->cname != NULL ||
			    (m->attributes & A_INLINE) != 0 || is_shadowed(class, m))
				continue;
			if (method_is_local_only(m) && !m->is_virtual && !c->in_framework)
				continue;
			target.length = 0;
			buffer_printf(&target, "%s_%s", c->name, m->name);
			emit_forward(out, class, m, target.text, "");
		}
	}
	buffer_fini(&target);
}

static void
emit_super(struct buffer *out, const struct class *class)
{
	for (size_t i = 0; i < class->n_methods; i++) {
		const struct method *m = class->methods[i], *root = m->root;

		if (root == NULL)
			continue;
		const char *base = class->base->name, *give = m->is_void ? "" : "return ";

		emit_c_function(out, class, m, "static inline ", "_super");
		if (method_is_remote(m))
			buffer_printf(out, "\n{\n\t%s%s_%s_From(&%s_Class, (%s *)self", give,
				      root->class->name, root->name, base, root->class->name);
		else
			buffer_printf(out,
				      "\n{\n\t%s((const struct %s_Ops *)(const void "
				      "*)%s_Class.ops)->%s((%s%s *)self",
				      give, root->class->name, base, root->name,
				      m->is_const ? "const " : "", root->class->name);
		emit_args(out, m, true);
		buffer_puts(out, ");\n}\n");
	}
}

/* ---------------------------------------------------------------------------------------------
 * A class
 */

static void
emit_class(struct buffer *out, const struct class *class)
{
	const char *n = class->name;

	emit_macros(out, class);
	buffer_printf(out,
		      "#ifdef __cplusplus\n"
		      "class %s;\n"
		      "extern \"C\" {\n"
		      "#else\n"
		      "typedef struct %s %s;\n"
		      "typedef struct %s_IVars %s_IVars;\n"
		      "typedef struct %s_LocalIVars %s_LocalIVars;\n"
		      "#endif\n"
		      "struct %s_IVars;\n"
		      "struct %s_LocalIVars;\n"
		      "#pragma GCC visibility push(%s)\n"
		      "extern struct OSMetaClass %s_Class;\n"
		      "#define g%sMetaClass (&%s_Class)\n\n",
		      n, n, n, n, n, n, n, n, n, class->in_framework ? "default" : "hidden", n, n,
		      n);
	buffer_printf(out,
		      "#ifndef __cplusplus\n"
		      "struct %s {\n"
		      "\tstruct %s super;\n"
		      "#ifdef %s_DECLARE_IVARS\n"
		      "\t%s_DECLARE_IVARS\n"
		      "#else\n"
		      "\tunion {\n"
		      "\t\tstruct %s_IVars *ivars;\n"
		      "\t\tstruct %s_LocalIVars *lvars;\n"
		      "\t};\n"
		      "#endif\n"
		      "};\n"
		      "#endif\n",
		      n, class->base_name, n, n, n, n);
	emit_ops(out, class);
	buffer_puts(out, "\n");
	emit_calls(out, class);
	buffer_puts(out, "#pragma GCC visibility pop\n");
	buffer_puts(out, class->in_framework ? "" : "#ifndef __cplusplus\n");
	buffer_puts(out, "#pragma GCC visibility push(hidden)\n");
	emit_impls(out, class);
	buffer_puts(out, "#pragma GCC visibility pop\n");
	buffer_puts(out, class->in_framework ? "#ifndef __cplusplus\n" : "");
	for (size_t i = 0; i < class->n_methods; i++)
		if (class->methods[i]->type_of != NULL && method_is_remote(class->methods[i]))
			buffer_printf(out, "typedef OSAction OSAction_%s_%s;\n", n,
				      class->methods[i]->name);
	if (class->base != NULL) {
		emit_inherited(out, class);
		emit_super(out, class);
	}
	buffer_puts(out, "#endif\n\n#ifdef __cplusplus\n} /* extern \"C\" */\n\n");
	emit_cpp_class(out, class);
	buffer_puts(out, "#endif /* __cplusplus */");
}

static bool
has_callbacks(const struct model *model)
{
	size_t at = 0;

	for (const struct class *class; (class = next_main(model, &at)) != NULL;)
		for (size_t i = 0; i < class->n_methods; i++)
			if (class->methods[i]->type_of != NULL)
				return true;
	return false;
}

void
emit_header(const struct model *model, struct buffer *out)
{
	const char *name = text_basename(model->def);
	struct buffer guard = {0};
	size_t at = 0;

	buffer_printf(&guard, "IIG_%s%s%s_H", model->framework != NULL ? model->framework : "",
		      model->framework != NULL ? "_" : "", name);
	for (char *c = guard.text; *c != '\0'; c++)
		*c = text_is_word(*c) ? (char)toupper((unsigned char)*c) : '_';
	buffer_printf(out,
		      "/* Generated by iig %s from %s. Do not edit. */\n"
		      "#ifndef %s\n#define %s\n\n#include <ambidext/class.h>\n",
		      IIG_VERSION, name, guard.text, guard.text);
	if (model->length >= 3 && memcmp(model->text, "\xef\xbb\xbf", 3) == 0)
		at = 3; /* a mark of byte order is none in the middle of a file */
	if (has_callbacks(model))
		buffer_puts(out, "#include <DriverKit/OSAction.h>\n");
	for (size_t i = 0; i < model->n_pieces; i++) {
		const struct piece *piece = &model->pieces[i];

		text_pass(out, model->text + at, piece->begin - at);
		switch (piece->kind) {
		case PIECE_CLASS:
			if (piece->class != NULL)
				emit_class(out, piece->class);
			break;
		case PIECE_FORWARD:
			buffer_printf(out,
				      "\n#ifdef __cplusplus\nclass %s;\n#else\ntypedef struct %s "
				      "%s;\n#endif\n",
				      piece->name, piece->name, piece->name);
			break;
		case PIECE_TAG:
			buffer_printf(out, "\n#ifndef __cplusplus\ntypedef %s %s %s;\n#endif\n",
				      piece->tag, piece->name, piece->name);
			break;
		}
		at = piece->end;
	}
	text_pass(out, model->text + at, model->length - at);
	if (out->text[out->length - 1] != '\n')
		buffer_puts(out, "\n");
	buffer_printf(out, "\n#endif /* %s */\n", guard.text);
	buffer_fini(&guard);
}
