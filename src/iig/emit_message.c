/* SPDX-License-Identifier: MIT */
#include "emit_message.h"

#include <inttypes.h>
#include <string.h>

static uint64_t
pad(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

struct shape
method_shape(const struct method *m)
{
	struct shape s = {0};
	uint64_t fixed = 0;

	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		s.has_outputs |= form_is_out(p->form);
		switch (p->form) {
		case F_COUNT_OUT:
			s.has_request = true;
			/* fall through */
		case F_VALUE_OUT:
			s.has_response = true;
			fixed = (fixed + p->size - 1) / p->size * p->size + p->size;
			break;
		case F_STRING_IN:
			s.spans++;
			/* fall through */
		case F_VALUE:
			s.has_request = true;
			break;
		case F_ARRAY_IN:
		case F_STRUCT_IN:
			s.spans++;
			break;
		case F_ARRAY_OUT:
		case F_STRUCT_OUT:
			s.reply_spans++;
			s.reply_size += pad(p->form == F_ARRAY_OUT ? p->bound * p->size : p->size);
			break;
		case F_OBJECT_IN:
			s.objects += (p->attributes & A_TARGET) == 0;
			break;
		case F_OBJECTS_IN:
			s.objects += (unsigned)p->bound;
			break;
		case F_OBJECT_OUT:
			s.reply_objects++;
			break;
		case F_LOCAL:
			break;
		}
	}
	s.spans += s.has_request;
	s.reply_spans += s.has_response;
	s.reply_size += pad(fixed);
	return s;
}

void
emit_declaration(struct buffer *out, const struct method *m, const char *suffix)
{
	buffer_printf(out, "%s\n%s_%s%s(", m->returns, m->class->name, m->name, suffix);
	if (m->is_static)
		buffer_puts(out, m->n_params == 0 ? "void" : "");
	else
		buffer_printf(out, "%s *self", m->class->name);
	emit_params(out, m, !m->is_static, PARAMS_POINTERS);
	buffer_puts(out, ")");
}

void
emit_wire_value(struct buffer *out, const struct param *p, const char *prefix)
{
	if (p->is_bool)
		buffer_printf(out, "%s%s != 0", prefix, p->name);
	else
		buffer_printf(out, "(%s)%s%s", p->type, prefix, p->name);
}

void
emit_message_structs(struct buffer *out, const struct method *m)
{
	struct shape s = method_shape(m);
	const char *c = m->class->name;

	if (s.has_request) {
		buffer_printf(out, "struct %s_%s_Request {\n", c, m->name);
		for (size_t i = 0; i < m->n_params; i++) {
			const struct param *p = &m->params[i];

			if (p->form == F_VALUE || p->form == F_COUNT_OUT)
				buffer_printf(out, "\t%s %s;\n", p->wire, p->name);
			else if (p->form == F_STRING_IN)
				buffer_printf(out, "\tuint32_t iig_size_%s;\n", p->name);
		}
		buffer_puts(out, "};\n\n");
	}
	if (m->is_void)
		return;
	if (s.has_response) {
		buffer_printf(out, "struct %s_%s_Response {\n", c, m->name);
		for (size_t i = 0; i < m->n_params; i++) {
			const struct param *p = &m->params[i];

			if (p->form == F_VALUE_OUT || p->form == F_COUNT_OUT)
				buffer_printf(out, "\t%s %s;\n", p->wire, p->name);
		}
		buffer_puts(out, "};\n\n");
	}
	buffer_printf(out, "struct %s_%s_Out {\n", c, m->name);
	if (s.has_response)
		buffer_printf(out, "\tstruct %s_%s_Response iig_fixed;\n", c, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form == F_ARRAY_OUT)
			buffer_printf(out, "\tuint64_t iig_capacity_%s;\n", p->name);
		if (p->form == F_ARRAY_OUT || p->form == F_STRUCT_OUT)
			buffer_printf(out, "\tconst %s *%s;\n", p->type, p->name);
		else if (p->form == F_OBJECT_OUT)
			buffer_printf(out, "\t%s *%s;\n", p->type, p->name);
	}
	if (!s.has_outputs)
		buffer_puts(out, "\tuint32_t iig_none;\n");
	buffer_puts(out, "};\n\n");
}

/* ---------------------------------------------------------------------------------------------
 * The caller's side
 */

static const char *
method_flags(const struct method *m)
{
	if (method_target(m) != NULL)
		return m->is_void ? "OS_METHOD_ONEWAY | OS_METHOD_TARGET" : "OS_METHOD_TARGET";
	return m->is_void ? "OS_METHOD_ONEWAY" : "0";
}

void
emit_gather(struct buffer *out, const struct method *m, bool async)
{
	struct shape s = method_shape(m);
	const char *c = m->class->name;
	const struct param *target = method_target(m);
	unsigned span = 0;

	if (s.has_request)
		buffer_printf(out, "\tstruct %s_%s_Request iig_request;\n", c, m->name);
	if (s.spans > 0)
		buffer_printf(out, "\tstruct OSSpan iig_spans[%u];\n", s.spans);
	if (s.objects > 0)
		buffer_printf(out, "\tOS_OBJECT *iig_objects[%u];\n", s.objects);
	buffer_puts(out, "\tuint32_t iig_n_objects = 0;\n\tstruct OSCall iig_call;\n\n");
	if (s.has_request) {
		buffer_puts(out, "\tmemset(&iig_request, 0, sizeof iig_request);\n");
		for (size_t i = 0; i < m->n_params; i++) {
			const struct param *p = &m->params[i];

			if (p->form == F_VALUE)
				buffer_printf(out, "\tiig_request.%s = (%s)%s;\n", p->name, p->wire,
					      p->name);
			else if (p->form == F_STRING_IN)
				buffer_printf(out,
					      "\tiig_request.iig_size_%s = iig_length_%s + 1;\n",
					      p->name, p->name);
			else if (p->form == F_COUNT_OUT && async)
				buffer_printf(out, "\tiig_request.%s = %" PRIu64 ";\n", p->name,
					      m->params[p->partner].bound);
			else if (p->form == F_COUNT_OUT)
				buffer_printf(out, "\tiig_request.%s = (%s)*%s;\n", p->name,
					      p->wire, p->name);
		}
		buffer_printf(out,
			      "\tiig_spans[%u].data = &iig_request;\n\tiig_spans[%u].size = sizeof "
			      "iig_request;\n",
			      span, span);
		span++;
	}
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_ARRAY_IN:
			buffer_printf(out,
				      "\tiig_spans[%u].data = %s;\n\tiig_spans[%u].size = "
				      "(size_t)%s * sizeof(%s);\n",
				      span, p->name, span, m->params[p->partner].name, p->type);
			span++;
			break;
		case F_STRING_IN:
			buffer_printf(out,
				      "\tiig_spans[%u].data = %s;\n\tiig_spans[%u].size = "
				      "(size_t)iig_length_%s + 1;\n",
				      span, p->name, span, p->name);
			span++;
			break;
		case F_STRUCT_IN:
			buffer_printf(
				out,
				"\tiig_spans[%u].data = %s;\n\tiig_spans[%u].size = sizeof(%s);\n",
				span, p->name, span, p->type);
			span++;
			break;
		case F_OBJECT_IN:
			if (p != target)
				buffer_printf(out,
					      "\tiig_objects[iig_n_objects++] = (OS_OBJECT *)%s;\n",
					      p->name);
			break;
		case F_OBJECTS_IN:
			buffer_printf(
				out,
				"\tfor (uint32_t iig_i = 0; iig_i < (uint32_t)%s; iig_i++)\n"
				"\t\tiig_objects[iig_n_objects++] = (OS_OBJECT *)%s[iig_i];\n",
				m->params[p->partner].name, p->name);
			break;
		default:
			break;
		}
	}
	buffer_printf(out,
		      "\tmemset(&iig_call, 0, sizeof iig_call);\n"
		      "\tiig_call.target = (OS_OBJECT *)%s;\n"
		      "\tiig_call.method = %s_%s_ID;\n"
		      "\tiig_call.flags = %s;\n"
		      "\tiig_call.n_objects = iig_n_objects;\n"
		      "\tiig_call.name = \"%s::%s\";\n",
		      target != NULL ? target->name : "self", c, m->name, method_flags(m), c,
		      m->name);
	if (s.spans > 0)
		buffer_printf(out, "\tiig_call.spans = iig_spans;\n\tiig_call.n_spans = %u;\n",
			      s.spans);
	if (s.objects > 0)
		buffer_puts(out, "\tiig_call.objects = iig_objects;\n");
}

/* Bytes of a bool array can only be 0 or 1: any other value is undefined to read. */
static void
emit_bool_check(struct buffer *out, const struct param *p, const char *count, const char *refuse)
{
	if (!p->is_bool)
		return;
	buffer_printf(out,
		      "\t\tfor (uint32_t iig_i = 0; iig_i < (uint32_t)%s; iig_i++)\n"
		      "\t\t\tif (((const uint8_t *)iig_data)[iig_i] > 1)\n"
		      "\t\t\t\t%s\n",
		      count, refuse);
}

void
emit_scatter(struct buffer *out, const struct method *m)
{
	struct shape s = method_shape(m);
	const char *c = m->class->name;
	unsigned object = 0;
	struct buffer count = {0};

	buffer_printf(out,
		      "static IOReturn\n%s_%s_scatter(const struct OSMessage *iig_reply, struct "
		      "%s_%s_Out *iig_out)\n{\n",
		      c, m->name, c, m->name);
	buffer_puts(out, "\tuint32_t iig_cursor = 0;\n");
	if (s.reply_spans > 0)
		buffer_puts(out, "\tconst void *iig_data;\n");
	if (s.reply_objects > 0)
		buffer_puts(out, "\tOS_OBJECT *iig_object;\n");
	buffer_puts(out, "\n");
	if (!s.has_outputs)
		buffer_puts(out, "\t(void)iig_out;\n");
	if (s.has_response)
		buffer_puts(
			out,
			"\tiig_data = OSMessageRead(iig_reply, &iig_cursor, sizeof "
			"iig_out->iig_fixed);\n"
			"\tif (iig_data == NULL)\n\t\treturn kIOReturnIPCError;\n"
			"\tmemcpy(&iig_out->iig_fixed, iig_data, sizeof iig_out->iig_fixed);\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form == F_VALUE_OUT && p->is_bool)
			buffer_printf(
				out,
				"\tif (iig_out->iig_fixed.%s > 1)\n\t\treturn kIOReturnIPCError;\n",
				p->name);
		if (p->form == F_STRUCT_OUT)
			buffer_printf(
				out,
				"\tiig_data = OSMessageRead(iig_reply, &iig_cursor, sizeof(%s));\n"
				"\tif (iig_data == NULL)\n\t\treturn kIOReturnIPCError;\n"
				"\tiig_out->%s = (const %s *)iig_data;\n",
				p->type, p->name, p->type);
		if (p->form != F_ARRAY_OUT)
			continue;
		count.length = 0;
		buffer_printf(&count, "iig_out->iig_fixed.%s", m->params[p->partner].name);
		buffer_printf(out,
			      "\tif ((uint64_t)%s > iig_out->iig_capacity_%s)\n\t\treturn "
			      "kIOReturnIPCError;\n"
			      "\tif (%s != 0) {\n"
			      "\t\tiig_data = OSMessageRead(iig_reply, &iig_cursor, (size_t)%s * "
			      "sizeof(%s));\n"
			      "\t\tif (iig_data == NULL)\n\t\t\treturn kIOReturnIPCError;\n",
			      count.text, p->name, count.text, count.text, p->type);
		emit_bool_check(out, p, count.text, "return kIOReturnIPCError;");
		buffer_printf(out, "\t\tiig_out->%s = (const %s *)iig_data;\n\t}\n", p->name,
			      p->type);
	}
	buffer_printf(out,
		      "\tif (iig_cursor != iig_reply->content_size || iig_reply->n_objects != %u)\n"
		      "\t\treturn kIOReturnIPCError;\n",
		      s.reply_objects);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form != F_OBJECT_OUT)
			continue;
		buffer_printf(out,
			      "\tif (!OSMessageObject(iig_reply, %u, &%s_Class, &iig_object)) {\n"
			      "\t\tOSToldWrongClass(\"%s::%s\", \"%s\", iig_reply->objects[%u], "
			      "&%s_Class);\n"
			      "\t\treturn kIOReturnBadArgument;\n\t}\n"
			      "\tiig_out->%s = (%s *)iig_object;\n",
			      object, p->type, c, m->name, p->name, object, p->type, p->name,
			      p->type);
		object++;
	}
	buffer_puts(out, "\treturn kIOReturnSuccess;\n}\n\n");
	buffer_fini(&count);
}

/* ---------------------------------------------------------------------------------------------
 * The implementation's side
 */

void
emit_respond(struct buffer *out, const struct method *m, bool deferred)
{
	struct shape s = method_shape(m);
	const char *tabs = "\t";
	unsigned span = 0, object = 0;

	if (s.has_response)
		buffer_printf(out, "%sstruct %s_%s_Response iig_response;\n", tabs, m->class->name,
			      m->name);
	if (s.reply_spans > 0)
		buffer_printf(out, "%sstruct OSSpan iig_spans[%u];\n", tabs, s.reply_spans);
	if (s.reply_objects > 0)
		buffer_printf(out, "%sOS_OBJECT *iig_objects[%u];\n", tabs, s.reply_objects);
	if (s.has_outputs)
		buffer_puts(out, "\n");
	for (size_t i = 0; i < m->n_params && deferred; i++) {
		const struct param *p = &m->params[i];

		if (p->form != F_ARRAY_OUT)
			continue;
		buffer_printf(out,
			      "%sif ((uint64_t)%s > %" PRIu64 "u) {\n"
			      "%s\tOSToldOverrun(\"%s::%s\", \"%s\", (uint64_t)%s, %" PRIu64 "u);\n"
			      "%s\tOSReplySend(iig_reply, kIOReturnOverrun, NULL, 0, NULL, "
			      "0);\n%s\treturn;\n%s}\n",
			      tabs, m->params[p->partner].name, p->bound, tabs, m->class->name,
			      m->name, p->name, m->params[p->partner].name, p->bound, tabs, tabs,
			      tabs);
	}
	if (s.has_response) {
		buffer_printf(out, "%smemset(&iig_response, 0, sizeof iig_response);\n", tabs);
		for (size_t i = 0; i < m->n_params; i++) {
			const struct param *p = &m->params[i];

			if (p->form == F_VALUE_OUT || p->form == F_COUNT_OUT)
				buffer_printf(out, "%siig_response.%s = (%s)%s;\n", tabs, p->name,
					      p->wire, p->name);
		}
		buffer_printf(out,
			      "%siig_spans[%u].data = &iig_response;\n%siig_spans[%u].size = "
			      "sizeof iig_response;\n",
			      tabs, span, tabs, span);
		span++;
	}
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_ARRAY_OUT:
			buffer_printf(out,
				      "%siig_spans[%u].data = %s;\n%siig_spans[%u].size = "
				      "(size_t)%s * sizeof(%s);\n",
				      tabs, span, p->name, tabs, span, m->params[p->partner].name,
				      p->type);
			span++;
			break;
		case F_STRUCT_OUT:
			buffer_printf(out,
				      "%siig_spans[%u].data = %s%s;\n%siig_spans[%u].size = "
				      "sizeof(%s);\n",
				      tabs, span, deferred ? "" : "&", p->name, tabs, span,
				      p->type);
			span++;
			break;
		case F_OBJECT_OUT:
			buffer_printf(out, "%siig_objects[%u] = (OS_OBJECT *)%s;\n", tabs, object++,
				      p->name);
			break;
		default:
			break;
		}
	}
	buffer_printf(out, "%s%s, kIOReturnSuccess, %s, %u, %s, %u);\n", tabs,
		      deferred ? "OSReplySend(iig_reply" : "OSMessageReply(iig_message",
		      s.reply_spans > 0 ? "iig_spans" : "NULL", s.reply_spans,
		      s.reply_objects > 0 ? "iig_objects" : "NULL", s.reply_objects);
	for (size_t i = 0; i < m->n_params && !deferred; i++)
		if (m->params[i].form == F_OBJECT_OUT)
			buffer_printf(out, "%sOSRelease((OS_OBJECT *)%s);\n", tabs,
				      m->params[i].name);
}

static void
emit_invoke_locals(struct buffer *out, const struct method *m, const struct shape *s)
{
	if (s->has_request)
		buffer_printf(out, "\tstruct %s_%s_Request iig_request;\n", m->class->name,
			      m->name);
	if (s->spans > 0)
		buffer_puts(out, "\tconst void *iig_data;\n");
	if (s->objects > 0)
		buffer_puts(out, "\tOS_OBJECT *iig_object;\n");
	buffer_puts(out, "\tuint32_t iig_cursor = 0, iig_n_objects = 0;\n");
	if (method_takes_rpc(m))
		buffer_puts(out, "\tIORPC iig_rpc;\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE_OUT:
		case F_COUNT_OUT:
		case F_STRUCT_OUT:
			buffer_printf(out, "\t%s %s;\n", p->type, p->name);
			break;
		case F_ARRAY_IN:
		case F_ARRAY_OUT:
		case F_STRING_IN:
			buffer_printf(out, "\t%s %s[%" PRIu64 "];\n", p->type, p->name, p->bound);
			break;
		case F_STRUCT_IN:
			buffer_printf(out, "\tconst %s *%s;\n", p->type, p->name);
			break;
		case F_OBJECT_IN:
		case F_OBJECT_OUT:
			buffer_printf(out, "\t%s *%s;\n", p->type, p->name);
			break;
		case F_OBJECTS_IN:
			buffer_printf(out, "\t%s *%s[%" PRIu64 "];\n", p->type, p->name, p->bound);
			break;
		default:
			break;
		}
	}
}

/* One refusal: a sentence for the log, a status for the caller. */
static void
emit_refusal(struct buffer *out, const char *tabs, const char *condition, const char *status,
	     const char *name, const char *what)
{
	buffer_printf(out,
		      "%sif (%s) {\n%s\tiig_refuse(iig_method, iig_message, %s, "
		      "\"%s%s\");\n%s\treturn;\n%s}\n",
		      tabs, condition, tabs, status, name, what, tabs, tabs);
}

static void
emit_read_fixed(struct buffer *out, const struct method *m)
{
	struct buffer text = {0};

	buffer_puts(out,
		    "\tiig_data = OSMessageRead(iig_message, &iig_cursor, sizeof iig_request);\n");
	emit_refusal(out, "\t", "iig_data == NULL", "kIOReturnIPCError", "",
		     "the fixed part is cut off");
	buffer_puts(out, "\tmemcpy(&iig_request, iig_data, sizeof iig_request);\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		text.length = 0;
		if (p->form == F_VALUE && p->is_bool) {
			buffer_printf(&text, "iig_request.%s > 1", p->name);
			emit_refusal(out, "\t", text.text, "kIOReturnIPCError", p->name,
				     " is not a bool");
		} else if (p->form == F_COUNT_OUT || (p->form == F_VALUE && p->partner >= 0)) {
			buffer_printf(&text, "(uint64_t)iig_request.%s > %" PRIu64 "u", p->name,
				      m->params[p->partner].bound);
			emit_refusal(out, "\t", text.text, "kIOReturnIPCError", p->name,
				     " is over its bound");
		} else if (p->form == F_STRING_IN) {
			buffer_printf(
				&text,
				"iig_request.iig_size_%s < 1 || iig_request.iig_size_%s > %" PRIu64
				"u",
				p->name, p->name, p->bound);
			emit_refusal(out, "\t", text.text, "kIOReturnBadArgument", p->name,
				     " is over its bound");
		}
	}
	buffer_fini(&text);
}

static void
emit_read_spans(struct buffer *out, const struct method *m)
{
	struct buffer text = {0};

	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		text.length = 0;
		if (p->form == F_STRUCT_IN) {
			buffer_printf(out,
				      "\tiig_data = OSMessageRead(iig_message, &iig_cursor, "
				      "sizeof(%s));\n",
				      p->type);
			emit_refusal(out, "\t", "iig_data == NULL", "kIOReturnIPCError", p->name,
				     " is cut off");
			if (p->is_bool)
				emit_refusal(out, "\t", "*(const uint8_t *)iig_data > 1",
					     "kIOReturnIPCError", p->name, " is not a bool");
			buffer_printf(out, "\t%s = (const %s *)iig_data;\n", p->name, p->type);
		} else if (p->form == F_STRING_IN) {
			buffer_printf(out,
				      "\tiig_data = OSMessageRead(iig_message, &iig_cursor, "
				      "iig_request.iig_size_%s);\n",
				      p->name);
			emit_refusal(out, "\t", "iig_data == NULL", "kIOReturnIPCError", p->name,
				     " is cut off");
			buffer_printf(&text,
				      "strnlen((const char *)iig_data, iig_request.iig_size_%s) != "
				      "iig_request.iig_size_%s - 1",
				      p->name, p->name);
			emit_refusal(out, "\t", text.text, "kIOReturnBadArgument", p->name,
				     " is not a string");
			buffer_printf(out,
				      "\tmemset(%s, 0, sizeof %s);\n\tmemcpy(%s, iig_data, "
				      "iig_request.iig_size_%s);\n",
				      p->name, p->name, p->name, p->name);
		} else if (p->form == F_ARRAY_IN) {
			const char *count = m->params[p->partner].name;

			/* Elements beyond the count are nobody's: clearing a page a call would cost
			 * more than the call. The first one, so that it is not "uninitialized". */
			buffer_printf(out,
				      "\tmemset(&%s[0], 0, sizeof %s[0]);\n\tif (iig_request.%s != 0) {\n"
				      "\t\tiig_data = OSMessageRead(iig_message, &iig_cursor, "
				      "(size_t)iig_request.%s * sizeof(%s));\n",
				      p->name, p->name, count, count, p->type);
			emit_refusal(out, "\t\t", "iig_data == NULL", "kIOReturnIPCError", p->name,
				     " is cut off");
			if (p->is_bool) {
				buffer_printf(out,
					      "\t\tfor (uint32_t iig_i = 0; iig_i < "
					      "(uint32_t)iig_request.%s; iig_i++)\n",
					      count);
				buffer_printf(
					out,
					"\t\t\tif (((const uint8_t *)iig_data)[iig_i] > 1) {\n"
					"\t\t\t\tiig_refuse(iig_method, iig_message, "
					"kIOReturnIPCError, "
					"\"%s has an element that is not a bool\");\n"
					"\t\t\t\treturn;\n\t\t\t}\n",
					p->name);
			}
			buffer_printf(out,
				      "\t\tmemcpy(%s, iig_data, (size_t)iig_request.%s * "
				      "sizeof(%s));\n\t}\n",
				      p->name, count, p->type);
		}
	}
	buffer_fini(&text);
}

static void
emit_read_objects(struct buffer *out, const struct method *m)
{
	const struct param *target = method_target(m);
	struct buffer text = {0};
	unsigned fixed = 0;

	for (size_t i = 0; i < m->n_params; i++)
		fixed += m->params[i].form == F_OBJECT_IN && &m->params[i] != target;
	buffer_printf(&text, "iig_cursor != iig_message->content_size");
	emit_refusal(out, "\t", text.text, "kIOReturnIPCError", "", "there are bytes left over");
	text.length = 0;
	buffer_printf(&text, "iig_message->n_objects != %u", fixed);
	for (size_t i = 0; i < m->n_params; i++)
		if (m->params[i].form == F_OBJECTS_IN)
			buffer_printf(&text, " + (uint32_t)iig_request.%s",
				      m->params[m->params[i].partner].name);
	emit_refusal(out, "\t", text.text, "kIOReturnIPCError", "",
		     "the number of objects is wrong");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		text.length = 0;
		if (p == target) {
			buffer_printf(out,
				      "\tif (iig_method->action_type != NULL && "
				      "iig_message->action != NULL &&\n"
				      "\t    OSMetaClassCast((OS_OBJECT *)iig_message->action, "
				      "*iig_method->action_type) == NULL) {\n"
				      "\t\tOSToldWrongAction(iig_method, (OS_OBJECT "
				      "*)iig_message->action);\n"
				      "\t\tOSMessageReply(iig_message, kIOReturnBadArgument, NULL, "
				      "0, NULL, 0);\n"
				      "\t\treturn;\n\t}\n"
				      "\t%s = iig_message->action;\n",
				      p->name);
		} else if (p->form == F_OBJECT_IN) {
			buffer_printf(&text,
				      "!OSMessageObject(iig_message, iig_n_objects++, &%s_Class, "
				      "&iig_object)",
				      p->type);
			emit_refusal(out, "\t", text.text, "kIOReturnBadArgument", p->name,
				     " is of another class");
			buffer_printf(out, "\t%s = (%s *)iig_object;\n", p->name, p->type);
		} else if (p->form == F_OBJECTS_IN) {
			buffer_printf(out,
				      "\tmemset(%s, 0, sizeof %s);\n"
				      "\tfor (uint32_t iig_i = 0; iig_i < "
				      "(uint32_t)iig_request.%s; iig_i++) {\n",
				      p->name, p->name, m->params[p->partner].name);
			buffer_printf(&text,
				      "!OSMessageObject(iig_message, iig_n_objects++, &%s_Class, "
				      "&iig_object)",
				      p->type);
			emit_refusal(out, "\t\t", text.text, "kIOReturnBadArgument", p->name,
				     " has an object of another class");
			buffer_printf(out, "\t\t%s[iig_i] = (%s *)iig_object;\n\t}\n", p->name,
				      p->type);
		}
	}
	buffer_fini(&text);
}

static void
emit_run_impl(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name;
	bool async = (m->attributes & A_ASYNC) != 0;

	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form == F_VALUE_OUT || p->form == F_STRUCT_OUT)
			buffer_printf(out, "\tmemset(&%s, 0, sizeof %s);\n", p->name, p->name);
		else if (p->form == F_ARRAY_OUT)
			buffer_printf(out, "\tmemset(%s, 0, (size_t)iig_request.%s * sizeof %s[0]);\n",
				      p->name, m->params[p->partner].name, p->name);
		else if (p->form == F_COUNT_OUT)
			buffer_printf(out, "\t%s = (%s)iig_request.%s;\n", p->name, p->type,
				      p->name);
		else if (p->form == F_OBJECT_OUT)
			buffer_printf(out, "\t%s = NULL;\n", p->name);
	}
	if (method_takes_rpc(m))
		buffer_puts(out, "\tmemset(&iig_rpc, 0, sizeof iig_rpc);\n");
	buffer_puts(out, "\t(void)iig_n_objects;\n");
	if (async)
		buffer_puts(out, "\tOSReplyCurrent(iig_message);\n");
	buffer_printf(out, "\t%s((%s_%s_Function *)iig_method->impl)(iig_self",
		      m->is_void ? "" : "IOReturn iig_ret = ", c, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		buffer_puts(out, ", ");
		if (p->form == F_VALUE)
			emit_wire_value(out, p, "iig_request.");
		else
			buffer_printf(out, "%s%s",
				      form_is_out(p->form) && p->form != F_ARRAY_OUT ? "&" : "",
				      p->name);
	}
	buffer_printf(out, "%s);\n", method_takes_rpc(m) ? ", iig_rpc" : "");
	if (async)
		buffer_puts(out, "\tOSReplyCurrent(NULL);\n\tif (iig_message->reply == "
				 "NULL)\n\t\treturn;\n");
}

void
emit_invoke(struct buffer *out, const struct method *m)
{
	struct shape s = method_shape(m);

	buffer_printf(out,
		      "void\n%s_%s_Invoke(OS_OBJECT *iig_self, const struct OSMethod *iig_method, "
		      "struct OSMessage *iig_message)\n{\n",
		      m->class->name, m->name);
	emit_invoke_locals(out, m, &s);
	buffer_puts(out,
		    "\n\tif (iig_method->impl == NULL) {\n"
		    "\t\tOSMessageReply(iig_message, kIOReturnUnsupported, NULL, 0, NULL, 0);\n"
		    "\t\treturn;\n\t}\n");
	if (s.has_request)
		emit_read_fixed(out, m);
	emit_read_spans(out, m);
	emit_read_objects(out, m);
	emit_run_impl(out, m);
	if (m->is_void) {
		buffer_puts(out, "\tOSMessageReply(iig_message, kIOReturnSuccess, NULL, 0, NULL, "
				 "0);\n}\n\n");
		return;
	}
	buffer_puts(
		out,
		"\tif (iig_ret != kIOReturnSuccess) {\n"
		"\t\tOSMessageReply(iig_message, iig_ret, NULL, 0, NULL, 0);\n\t\treturn;\n\t}\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form == F_COUNT_OUT)
			buffer_printf(out,
				      "\tif ((uint64_t)%s > (uint64_t)iig_request.%s)\n\t\t%s = "
				      "(%s)iig_request.%s;\n",
				      p->name, p->name, p->name, p->type, p->name);
	}
	emit_respond(out, m, false);
	buffer_puts(out, "}\n\n");
}
