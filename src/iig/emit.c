/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include <string.h>

void
emit_param(struct buffer *out, const struct param *p, enum params how)
{
	const char *rest = how == PARAMS_DEFAULTS ? p->full + strlen(p->text) : "";

	if (how == PARAMS_WRITTEN || p->bound == 0) {
		buffer_printf(out, "%s%s", p->text, rest);
		return;
	}
	switch (p->form) {
	case F_ARRAY_IN:
	case F_STRING_IN:
		buffer_printf(out, "const %s *%s%s", p->type, p->name, rest);
		break;
	case F_ARRAY_OUT:
		buffer_printf(out, "%s *%s%s", p->type, p->name, rest);
		break;
	case F_OBJECTS_IN:
		buffer_printf(out, "%s *const *%s%s", p->type, p->name, rest);
		break;
	default:
		buffer_printf(out, "%s%s", p->text, rest);
		break;
	}
}

void
emit_params(struct buffer *out, const struct method *m, bool comma, enum params how)
{
	for (size_t i = 0; i < m->n_params; i++) {
		buffer_puts(out, comma || i > 0 ? ", " : "");
		emit_param(out, &m->params[i], how);
	}
}

void
emit_args(struct buffer *out, const struct method *m, bool comma)
{
	for (size_t i = 0; i < m->n_params; i++)
		buffer_printf(out, "%s%s", comma || i > 0 ? ", " : "", m->params[i].name);
}

void
emit_out_params(struct buffer *out, const struct method *m)
{
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE_OUT:
		case F_COUNT_OUT:
			buffer_printf(out, ", %s %s", p->type, p->name);
			break;
		case F_ARRAY_OUT:
		case F_STRUCT_OUT:
			buffer_printf(out, ", const %s *%s", p->type, p->name);
			break;
		case F_OBJECT_OUT:
			buffer_printf(out, ", %s *%s", p->type, p->name);
			break;
		default:
			break;
		}
	}
}

void
emit_c_function(struct buffer *out, const struct class *self, const struct method *m,
		const char *prefix, const char *suffix)
{
	const char *space = m->returns[strlen(m->returns) - 1] == '*' ? "" : " ";
	bool impl = strcmp(suffix, "_Impl") == 0, rpc = impl && method_takes_rpc(m);
	enum params how = impl ? PARAMS_WRITTEN : PARAMS_POINTERS;

	buffer_printf(out, "%s%s%s%s_%s%s(", prefix, m->returns, space, self->name, m->name,
		      suffix);
	if (m->is_static) {
		if (m->n_params == 0)
			buffer_puts(out, "void");
		emit_params(out, m, false, how);
	} else {
		buffer_printf(out, "%s%s *self", m->is_const ? "const " : "", self->name);
		emit_params(out, m, true, how);
	}
	buffer_printf(out, "%s)", rpc ? ", const IORPC rpc" : "");
}

const char *
emit_local_name(const struct method *m, struct buffer *scratch)
{
	if (m->cname != NULL)
		return m->cname;
	scratch->length = 0;
	buffer_printf(scratch, "%s_%s", m->class->name, m->name);
	return scratch->text;
}

const char *
emit_pure_answer(const struct method *m, struct buffer *scratch)
{
	if (m->is_void)
		return NULL;
	scratch->length = 0;
	if (strcmp(m->returns, "kern_return_t") == 0 || strcmp(m->returns, "IOReturn") == 0)
		buffer_puts(scratch, "kIOReturnUnsupported");
	else
		buffer_printf(scratch, "(%s)0", m->returns);
	return scratch->text;
}

bool
class_is_kernel_method(const struct method *m)
{
	return (m->attributes & A_KERNEL) != 0;
}

bool
method_is_local_virtual(const struct method *m)
{
	return method_is_local_only(m) && m->is_virtual && !m->is_template &&
	       (m->attributes & A_INLINE) == 0;
}

bool
method_has_impl(const struct method *m)
{
	if (m->is_template || (m->attributes & A_INLINE) != 0)
		return false;
	return !m->is_pure && (method_is_remote(m) || method_is_local_virtual(m));
}

const struct method *
method_root(const struct method *m)
{
	return m->root != NULL ? m->root : m;
}

const struct method *
class_override(const struct class *class, const struct method *root)
{
	for (size_t i = 0; i < class->n_methods; i++)
		if (class->methods[i]->root == root)
			return class->methods[i];
	return NULL;
}
