/* SPDX-License-Identifier: MIT */
#include "emit.h"
#include "emit_message.h"

#include <inttypes.h>
#include <string.h>

/* Names in generated code begin with iig_, which no parameter may. FOO stands for Class_method. */

/* Leave the stub with a status: a void method has nobody to tell. */
static const char *
leave(const struct method *m, const char *status, struct buffer *scratch)
{
	scratch->length = 0;
	if (m->is_void)
		buffer_puts(scratch, "return;");
	else
		buffer_printf(scratch, "return %s;", status);
	return scratch->text;
}

static void
check_array(struct buffer *out, const struct method *m, const struct param *p, bool async,
	    struct buffer *scratch)
{
	const struct param *count = &m->params[p->partner];
	const char *star = p->form == F_ARRAY_OUT ? "*" : "";

	if (p->form == F_ARRAY_OUT) {
		if (async)
			return;
		buffer_printf(out, "\tif (%s == NULL)\n\t\t%s\n", count->name,
			      leave(m, "kIOReturnBadArgument", scratch));
	}
	buffer_printf(out, "\tif ((uint64_t)%s%s > %" PRIu64 "u) {\n", star, count->name, p->bound);
	buffer_printf(out, "\t\tOSToldOverrun(\"%s::%s\", \"%s\", (uint64_t)%s%s, %" PRIu64 "u);\n",
		      m->class->name, m->name, p->name, star, count->name, p->bound);
	buffer_printf(out, "\t\t%s\n\t}\n", leave(m, "kIOReturnOverrun", scratch));
	buffer_printf(out, "\tif (%s == NULL && %s%s != 0)\n\t\t%s\n", p->name, star, count->name,
		      leave(m, "kIOReturnBadArgument", scratch));
}

static void
emit_checks(struct buffer *out, const struct method *m, bool async)
{
	struct buffer scratch = {0};
	const struct param *target = method_target(m);

	buffer_printf(out, "\tif (%s == NULL)\n\t\t%s\n", target != NULL ? target->name : "self",
		      leave(m, "kIOReturnBadArgument", &scratch));
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_ARRAY_IN:
		case F_OBJECTS_IN:
		case F_ARRAY_OUT:
			check_array(out, m, p, async, &scratch);
			break;
		case F_STRUCT_IN:
			buffer_printf(out, "\tif (%s == NULL)\n\t\t%s\n", p->name,
				      leave(m, "kIOReturnBadArgument", &scratch));
			break;
		case F_OBJECT_OUT:
			if (!async)
				buffer_printf(out, "\tif (%s == NULL)\n\t\t%s\n", p->name,
					      leave(m, "kIOReturnBadArgument", &scratch));
			break;
		case F_STRING_IN:
			buffer_printf(out, "\tif (%s == NULL)\n\t\t%s\n", p->name,
				      leave(m, "kIOReturnBadArgument", &scratch));
			buffer_printf(
				out,
				"\tchar iig_cut_%s[%" PRIu64 "];\n"
				"\tuint32_t iig_length_%s = (uint32_t)strnlen(%s, %" PRIu64 ");\n"
				"\tif (iig_length_%s == %" PRIu64 "u) {\n"
				"\t\tOSToldTruncated(\"%s::%s\", \"%s\", strlen(%s), %" PRIu64
				");\n"
				"\t\tiig_length_%s--;\n"
				"\t\tmemcpy(iig_cut_%s, %s, iig_length_%s);\n"
				"\t\tiig_cut_%s[iig_length_%s] = 0;\n"
				"\t\t%s = iig_cut_%s;\n"
				"\t}\n",
				p->name, p->bound, p->name, p->name, p->bound, p->name, p->bound,
				m->class->name, m->name, p->name, p->name, p->bound, p->name,
				p->name, p->name, p->name, p->name, p->name, p->name, p->name);
			break;
		default:
			break;
		}
	}
	buffer_fini(&scratch);
}

/* ---------------------------------------------------------------------------------------------
 * A native target: the arguments in a frame, outputs in it too
 */

static void
emit_frame(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name;

	buffer_printf(out,
		      "struct %s_%s_Frame {\n\tOS_OBJECT *iig_self;\n\tvoid "
		      "(*iig_impl)(void);\n\tIOReturn iig_ret;\n",
		      c, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE:
		case F_VALUE_OUT:
		case F_COUNT_OUT:
		case F_STRUCT_OUT:
			buffer_printf(out, "\t%s %s;\n", p->type, p->name);
			break;
		case F_ARRAY_IN:
		case F_STRUCT_IN:
		case F_STRING_IN:
			buffer_printf(out, "\tconst %s *%s;\n", p->type, p->name);
			break;
		case F_ARRAY_OUT:
			buffer_printf(out, "\t%s %s[%" PRIu64 "];\n", p->type, p->name, p->bound);
			break;
		case F_OBJECT_IN:
		case F_OBJECT_OUT:
			buffer_printf(out, "\t%s *%s;\n", p->type, p->name);
			break;
		case F_OBJECTS_IN:
			buffer_printf(out, "\t%s *const *%s;\n", p->type, p->name);
			break;
		case F_LOCAL:
			break;
		}
	}
	buffer_printf(out,
		      "};\n\nstatic void\n%s_%s_run(void *iig_context)\n{\n"
		      "\tstruct %s_%s_Frame *iig_frame = (struct %s_%s_Frame *)iig_context;\n",
		      c, m->name, c, m->name, c, m->name);
	if (method_takes_rpc(m))
		buffer_puts(out, "\tIORPC iig_rpc;\n\n\tmemset(&iig_rpc, 0, sizeof iig_rpc);\n");
	buffer_printf(out,
		      "\n\tiig_frame->iig_ret = ((%s_%s_Function "
		      "*)iig_frame->iig_impl)(iig_frame->iig_self",
		      c, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];
		bool address = form_is_out(p->form) && p->form != F_ARRAY_OUT;

		buffer_printf(out, ", %siig_frame->%s", address ? "&" : "", p->name);
	}
	buffer_printf(out, "%s);\n}\n\n", method_takes_rpc(m) ? ", iig_rpc" : "");
}

static void
emit_local_outputs(struct buffer *out, const struct method *m)
{
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form != F_OBJECT_OUT)
			continue;
		buffer_printf(
			out,
			"\t\tif (iig_frame.%s != NULL &&\n"
			"\t\t    OSMetaClassCast((OS_OBJECT *)iig_frame.%s, &%s_Class) == NULL) {\n"
			"\t\t\tOSToldWrongClass(\"%s::%s\", \"%s\", (OS_OBJECT *)iig_frame.%s, "
			"&%s_Class);\n",
			p->name, p->name, p->type, m->class->name, m->name, p->name, p->name,
			p->type);
		for (size_t k = 0; k < m->n_params; k++)
			if (m->params[k].form == F_OBJECT_OUT)
				buffer_printf(out, "\t\t\tOSRelease((OS_OBJECT *)iig_frame.%s);\n",
					      m->params[k].name);
		buffer_puts(out, "\t\t\treturn kIOReturnBadArgument;\n\t\t}\n");
	}
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE_OUT:
		case F_STRUCT_OUT:
			buffer_printf(out, "\t\tif (%s != NULL)\n\t\t\t*%s = iig_frame.%s;\n",
				      p->name, p->name, p->name);
			break;
		case F_ARRAY_OUT: {
			const char *count = m->params[p->partner].name;

			buffer_printf(out,
				      "\t\tif ((uint64_t)iig_frame.%s > (uint64_t)*%s)\n"
				      "\t\t\tiig_frame.%s = *%s;\n"
				      "\t\tif (iig_frame.%s != 0)\n"
				      "\t\t\tmemcpy(%s, iig_frame.%s, (size_t)iig_frame.%s * "
				      "sizeof(%s));\n"
				      "\t\t*%s = iig_frame.%s;\n",
				      count, count, count, count, count, p->name, p->name, count,
				      p->type, count, count);
			break;
		}
		case F_OBJECT_OUT:
			buffer_printf(out, "\t\t*%s = iig_frame.%s;\n", p->name, p->name);
			break;
		default:
			break;
		}
	}
}

static void
emit_local_call(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name;

	buffer_printf(out,
		      "\tif (((OS_OBJECT *)self)->remote == NULL) {\n"
		      "\t\tconst struct OSMethod *iig_method =\n"
		      "\t\t\tOSMetaClassFindMethod(((OS_OBJECT *)self)->meta, %s_%s_ID);\n"
		      "\t\tstruct %s_%s_Frame iig_frame;\n\n"
		      "\t\tif (iig_method == NULL || iig_method->impl == NULL)\n"
		      "\t\t\treturn kIOReturnUnsupported;\n"
		      "\t\tmemset(&iig_frame, 0, sizeof iig_frame);\n"
		      "\t\tiig_frame.iig_self = (OS_OBJECT *)self;\n"
		      "\t\tiig_frame.iig_impl = iig_method->impl;\n",
		      c, m->name, c, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE:
		case F_ARRAY_IN:
		case F_STRUCT_IN:
		case F_STRING_IN:
		case F_OBJECTS_IN:
			buffer_printf(out, "\t\tiig_frame.%s = %s;\n", p->name, p->name);
			break;
		case F_OBJECT_IN:
			buffer_printf(out, "\t\tiig_frame.%s = (%s *)%s;\n", p->name, p->type,
				      p->name);
			break;
		case F_COUNT_OUT:
			buffer_printf(out, "\t\tiig_frame.%s = *%s;\n", p->name, p->name);
			break;
		default:
			break;
		}
	}
	buffer_printf(out,
		      "\t\tIOReturn iig_ret = OSRunLocal((OS_OBJECT *)self, iig_method, %s_%s_run, "
		      "&iig_frame);\n\n"
		      "\t\tif (iig_ret == kIOReturnSuccess)\n"
		      "\t\t\tiig_ret = iig_frame.iig_ret;\n"
		      "\t\tif (iig_ret != kIOReturnSuccess)\n"
		      "\t\t\treturn iig_ret;\n",
		      c, m->name);
	emit_local_outputs(out, m);
	buffer_puts(out, "\t\treturn kIOReturnSuccess;\n\t}\n");
}

/* ---------------------------------------------------------------------------------------------
 * The stub
 */

static void
emit_remote_outputs(struct buffer *out, const struct method *m)
{
	unsigned object = 0;

	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE_OUT:
			buffer_printf(out, "\t\tif (%s != NULL)\n\t\t\t*%s = ", p->name, p->name);
			emit_wire_value(out, p, "iig_out.iig_fixed.");
			buffer_puts(out, ";\n");
			break;
		case F_STRUCT_OUT:
			buffer_printf(out, "\t\tif (%s != NULL)\n\t\t\t*%s = *iig_out.%s;\n",
				      p->name, p->name, p->name);
			break;
		case F_ARRAY_OUT: {
			const struct param *count = &m->params[p->partner];

			buffer_printf(out,
				      "\t\tif (iig_out.%s != NULL)\n"
				      "\t\t\tmemcpy(%s, iig_out.%s, (size_t)iig_out.iig_fixed.%s * "
				      "sizeof(%s));\n"
				      "\t\t*%s = (%s)iig_out.iig_fixed.%s;\n",
				      p->name, p->name, p->name, count->name, p->type, count->name,
				      count->type, count->name);
			break;
		}
		case F_OBJECT_OUT:
			buffer_printf(out,
				      "\t\t*%s = iig_out.%s;\n\t\tiig_reply_objects[%u] = NULL;\n",
				      p->name, p->name, object++);
			break;
		default:
			break;
		}
	}
}

static void
emit_sync_call(struct buffer *out, const struct method *m)
{
	struct shape shape = method_shape(m);
	const char *c = m->class->name;

	if (m->is_void) {
		buffer_puts(out, "\t(void)OSInvoke(&iig_call, NULL);\n}\n\n");
		return;
	}
	if (shape.reply_size > 0)
		buffer_printf(out, "\tuint64_t iig_content[%" PRIu64 "];\n", shape.reply_size / 8);
	if (shape.reply_objects > 0)
		buffer_printf(out, "\tOS_OBJECT *iig_reply_objects[%u];\n", shape.reply_objects);
	buffer_printf(out,
		      "\tstruct OSMessage iig_reply;\n\tstruct %s_%s_Out iig_out;\n\tIOReturn "
		      "iig_ret;\n\n",
		      c, m->name);
	if (shape.reply_objects > 0)
		buffer_puts(out, "\tmemset(iig_reply_objects, 0, sizeof iig_reply_objects);\n");
	buffer_puts(out, "\tmemset(&iig_out, 0, sizeof iig_out);\n");
	for (size_t i = 0; i < m->n_params; i++)
		if (m->params[i].form == F_ARRAY_OUT)
			buffer_printf(out, "\tiig_out.iig_capacity_%s = (uint64_t)*%s;\n",
				      m->params[i].name, m->params[m->params[i].partner].name);
	buffer_printf(out, "\tOSMessageInit(&iig_reply, %s, %s, %s, %u);\n",
		      shape.reply_size > 0 ? "iig_content" : "NULL",
		      shape.reply_size > 0 ? "sizeof iig_content" : "0",
		      shape.reply_objects > 0 ? "iig_reply_objects" : "NULL", shape.reply_objects);
	buffer_printf(out,
		      "\tiig_ret = OSInvoke(&iig_call, &iig_reply);\n"
		      "\tif (iig_ret == kIOReturnSuccess)\n"
		      "\t\tiig_ret = %s_%s_scatter(&iig_reply, &iig_out);\n",
		      c, m->name);
	if (shape.has_outputs) {
		buffer_puts(out, "\tif (iig_ret == kIOReturnSuccess) {\n");
		emit_remote_outputs(out, m);
		buffer_puts(out, "\t}\n");
	}
	buffer_puts(out, "\tOSMessageDone(&iig_reply);\n\treturn iig_ret;\n}\n\n");
}

static void
emit_call(struct buffer *out, const struct method *m)
{
	emit_declaration(out, m, "");
	buffer_puts(out, "\n{\n");
	emit_checks(out, m, false);
	if (!m->is_void)
		emit_local_call(out, m);
	if (method_target(m) != NULL)
		buffer_puts(out, "\t(void)self;\n");
	emit_gather(out, m, false);
	emit_sync_call(out, m);
}

static void
emit_from(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name;

	if (method_target(m) != NULL)
		return;
	buffer_printf(out, "%s\n%s_%s_From(const struct OSMetaClass *iig_from, %s *self",
		      m->returns, c, m->name, c);
	emit_params(out, m, true, PARAMS_POINTERS);
	buffer_printf(
		out,
		")\n{\n\tvoid (*iig_impl)(void) = OSMetaClassImplementation(iig_from, %s_%s_ID);\n",
		c, m->name);
	if (method_takes_rpc(m))
		buffer_puts(out, "\tIORPC iig_rpc;\n\n\tmemset(&iig_rpc, 0, sizeof iig_rpc);\n");
	buffer_printf(out,
		      "\n\tif (iig_impl == NULL)\n\t\treturn%s;\n\t%s((%s_%s_Function "
		      "*)iig_impl)((OS_OBJECT *)self",
		      m->is_void ? "" : " kIOReturnUnsupported", m->is_void ? "" : "return ", c,
		      m->name);
	emit_args(out, m, true);
	buffer_printf(out, "%s);\n}\n\n", method_takes_rpc(m) ? ", iig_rpc" : "");
}

/* ---------------------------------------------------------------------------------------------
 * IIG_ASYNC
 */

static void
emit_done_args(struct buffer *out, const struct method *m)
{
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (!form_is_out(p->form))
			continue;
		buffer_puts(out, ", ");
		if (p->form == F_VALUE_OUT || p->form == F_COUNT_OUT)
			emit_wire_value(out, p, "iig_out.iig_fixed.");
		else
			buffer_printf(out, "iig_out.%s", p->name);
	}
}

static void
emit_async(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name, *n = m->name;

	buffer_printf(out,
		      "struct %s_%s_Pending {\n\t%s_%s_Done *done;\n\tvoid *context;\n};\n\n"
		      "static void\n%s_%s_done(void *iig_context, IOReturn iig_status, const "
		      "struct OSMessage *iig_reply)\n{\n"
		      "\tstruct %s_%s_Pending iig_pending = *(struct %s_%s_Pending *)iig_context;\n"
		      "\tstruct %s_%s_Out iig_out;\n\n"
		      "\tfree(iig_context);\n"
		      "\tmemset(&iig_out, 0, sizeof iig_out);\n",
		      c, n, c, n, c, n, c, n, c, n, c, n);
	for (size_t i = 0; i < m->n_params; i++)
		if (m->params[i].form == F_ARRAY_OUT)
			buffer_printf(out, "\tiig_out.iig_capacity_%s = %" PRIu64 ";\n",
				      m->params[i].name, m->params[i].bound);
	buffer_printf(out,
		      "\tif (iig_status == kIOReturnSuccess)\n"
		      "\t\tiig_status = %s_%s_scatter(iig_reply, &iig_out);\n"
		      "\tif (iig_status != kIOReturnSuccess)\n"
		      "\t\tmemset(&iig_out, 0, sizeof iig_out);\n"
		      "\tiig_pending.done(iig_pending.context, iig_status",
		      c, n);
	emit_done_args(out, m);
	buffer_printf(out, ");\n}\n\nIOReturn\n%s_%s_Async(%s *self", c, n, c);
	for (size_t k = 0; k < m->n_params; k++)
		if (!form_is_out(m->params[k].form)) {
			buffer_puts(out, ", ");
			emit_param(out, &m->params[k], PARAMS_POINTERS);
		}
	buffer_printf(out, ", %s_%s_Done *iig_done, void *iig_context)\n{\n", c, n);
	emit_checks(out, m, true);
	buffer_puts(
		out,
		"\tif (((OS_OBJECT *)self)->remote == NULL)\n\t\treturn kIOReturnUnsupported;\n");
	emit_gather(out, m, true);
	buffer_printf(out,
		      "\tstruct %s_%s_Pending *iig_pending = (struct %s_%s_Pending *)malloc(sizeof "
		      "*iig_pending);\n"
		      "\tIOReturn iig_ret;\n\n"
		      "\tif (iig_pending == NULL)\n"
		      "\t\treturn kIOReturnNoMemory;\n"
		      "\tiig_pending->done = iig_done;\n"
		      "\tiig_pending->context = iig_context;\n"
		      "\tiig_ret = OSInvokeAsync(&iig_call, %s_%s_done, iig_pending);\n"
		      "\tif (iig_ret != kIOReturnSuccess)\n"
		      "\t\tfree(iig_pending);\n"
		      "\treturn iig_ret;\n}\n\n",
		      c, n, c, n, c, n);
	buffer_printf(out, "void\n%s_%s_Reply(struct OSReply *iig_reply, IOReturn iig_status", c,
		      n);
	emit_out_params(out, m);
	buffer_puts(
		out,
		")\n{\n\tif (iig_status != kIOReturnSuccess) {\n"
		"\t\tOSReplySend(iig_reply, iig_status, NULL, 0, NULL, 0);\n\t\treturn;\n\t}\n");
	emit_respond(out, m, true);
	buffer_puts(out, "}\n\n");
}

void
emit_stub(struct buffer *out, const struct method *m)
{
	const char *c = m->class->name;

	buffer_printf(out, "/* %s::%s */\n", c, m->name);
	if (m->is_static) {
		buffer_puts(out, "#if !IIG_PROXY\n");
		emit_declaration(out, m, "");
		buffer_printf(out, "\n{\n");
		const char *give = m->is_void ? "" : "return ";

		if (!m->class->in_framework) {
			buffer_printf(out, "#ifdef __cplusplus\n\t%s%s::%s_Impl(", give, c,
				      m->name);
			emit_args(out, m, false);
			buffer_puts(out, ");\n#else\n");
		}
		buffer_printf(out, "\t%s%s_%s_Impl(", give, c, m->name);
		emit_args(out, m, false);
		buffer_printf(out, ");\n%s}\n#endif\n\n", m->class->in_framework ? "" : "#endif\n");
		return;
	}
	buffer_printf(out, "typedef %s %s_%s_Function(OS_OBJECT *iig_self", m->returns, c, m->name);
	emit_params(out, m, true, PARAMS_POINTERS);
	buffer_printf(out, "%s);\n\n", method_takes_rpc(m) ? ", const IORPC rpc" : "");
	emit_message_structs(out, m);
	if (!m->is_void) {
		emit_frame(out, m);
		emit_scatter(out, m);
	}
	emit_call(out, m);
	emit_from(out, m);
	emit_invoke(out, m);
	if ((m->attributes & A_ASYNC) != 0)
		emit_async(out, m);
}
