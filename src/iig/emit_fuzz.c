/* SPDX-License-Identifier: MIT */
/* A fuzz target of a file's methods: for each one an implementation that reads everything that it is given, a call with
 * arguments from the input, and a record. <ambidext/fuzz.h> has the rest. */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

/* The method whose messages and function type @p m has. */
static const struct method *
wire_method(const struct method *m)
{
	return m->prototype != NULL ? m->prototype : m;
}

static bool
is_fuzzed(const struct method *m)
{
	if (m->is_static || m->is_template || !method_is_remote(m))
		return false;
	return m->prototype != NULL || method_is_introduced(m);
}

static bool
is_object(const struct param *p)
{
	return p->form == F_OBJECT_IN || p->form == F_OBJECT_OUT || p->form == F_OBJECTS_IN;
}

/* ---------------------------------------------------------------------------------------------
 * The implementation
 */

static void
serve_param(struct buffer *out, const struct method *m, const struct param *p)
{
	const char *n = p->name;
	const struct param *partner = p->partner >= 0 ? &m->params[p->partner] : NULL;

	switch (p->form) {
	case F_VALUE:
		if (p->is_bool)
			buffer_printf(out, "\tIIG_FUZZ_CHECK(*(const uint8_t *)(const void *)&%s <= 1);\n", n);
		else
			buffer_printf(out, "\tiig_fuzz_touch(&%s, sizeof %s);\n", n, n);
		break;
	case F_VALUE_OUT:
		if (p->is_bool)
			buffer_printf(out, "\t*%s = iig_fuzz_below(2) != 0;\n", n);
		else
			buffer_printf(out, "\tiig_fuzz_fill(%s, sizeof *%s);\n", n, n);
		break;
	case F_COUNT_OUT: /* one more than there is room for, too */
		buffer_printf(out,
			      "\tIIG_FUZZ_CHECK((uint64_t)*%s <= %" PRIu64 "u);\n"
			      "\tiig_fuzz_fill(%s, (size_t)*%s * sizeof %s[0]);\n"
			      "\t*%s = (%s)iig_fuzz_below((unsigned)*%s + 2);\n",
			      n, partner->bound, partner->name, n, partner->name, n, p->type, n);
		break;
	case F_ARRAY_IN:
		buffer_printf(out,
			      "\tIIG_FUZZ_CHECK((uint64_t)%s <= %" PRIu64 "u);\n"
			      "\tiig_fuzz_touch(%s, (size_t)%s * sizeof %s[0]);\n",
			      partner->name, p->bound, n, partner->name, n);
		break;
	case F_ARRAY_OUT: /* with its count */
		break;
	case F_STRING_IN:
		buffer_printf(out, "\tIIG_FUZZ_CHECK(memchr(%s, 0, %" PRIu64 "u) != NULL);\n", n, p->bound);
		break;
	case F_STRUCT_IN:
		buffer_printf(out, "\tiig_fuzz_touch(%s, sizeof *%s);\n", n, n);
		break;
	case F_STRUCT_OUT:
		buffer_printf(out, "\tiig_fuzz_fill(%s, sizeof *%s);\n", n, n);
		break;
	case F_OBJECT_IN:
		buffer_printf(out, "\tiig_fuzz_is((OS_OBJECT *)%s, &%s_Class);\n", n, p->type);
		break;
	case F_OBJECT_OUT:
		buffer_printf(out,
			      "\t*%s = (%s *)iig_fuzz_object(&%s_Class);\n"
			      "\tOSRetain((OS_OBJECT *)*%s);\n",
			      n, p->type, p->type, n);
		break;
	case F_OBJECTS_IN:
		buffer_printf(out,
			      "\tIIG_FUZZ_CHECK((uint64_t)%s <= %" PRIu64 "u);\n"
			      "\tfor (uint32_t iig_i = 0; iig_i < (uint32_t)%s; iig_i++)\n"
			      "\t\tiig_fuzz_is((OS_OBJECT *)%s[iig_i], &%s_Class);\n",
			      partner->name, p->bound, partner->name, n, p->type);
		break;
	case F_LOCAL:
		break;
	}
}

/* An answer later: FOO_Reply() with arguments of its own. */
static void
serve_later(struct buffer *out, const struct method *m)
{
	buffer_puts(out, "\tif (iig_fuzz_below(4) == 0) {\n"
			 "\t\tstruct OSReply *iig_reply = OSReplyDefer();\n\n"
			 "\t\tIIG_FUZZ_CHECK(iig_reply != NULL);\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];
		const char *n = p->name;

		if (p->form == F_VALUE_OUT && p->is_bool)
			buffer_printf(out, "\t\tbool iig_%s = iig_fuzz_below(2) != 0;\n", n);
		else if (p->form == F_VALUE_OUT || p->form == F_STRUCT_OUT)
			buffer_printf(out, "\t\t%s iig_%s;\n\t\tiig_fuzz_fill(&iig_%s, sizeof iig_%s);\n", p->type, n,
				      n, n);
		else if (p->form == F_COUNT_OUT)
			buffer_printf(out, "\t\t%s iig_%s = (%s)iig_fuzz_below(%" PRIu64 "u + 1);\n", p->type, n, p->type,
				      m->params[p->partner].bound);
		else if (p->form == F_ARRAY_OUT)
			buffer_printf(out,
				      "\t\tstatic %s iig_%s[%" PRIu64 "];\n\t\tiig_fuzz_fill(iig_%s, sizeof iig_%s);\n",
				      p->type, n, p->bound, n, n);
		else if (p->form == F_OBJECT_OUT)
			buffer_printf(out, "\t\t%s *iig_%s = (%s *)iig_fuzz_object(&%s_Class);\n", p->type, n, p->type,
				      p->type);
	}
	buffer_printf(out, "\t\t%s_%s_Reply(iig_reply, iig_fuzz_status()", m->class->name, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (form_is_out(p->form))
			buffer_printf(out, ", %siig_%s", p->form == F_STRUCT_OUT ? "&" : "", p->name);
	}
	buffer_puts(out, ");\n\t\treturn kIOReturnSuccess;\n\t}\n");
}

static void
emit_serve(struct buffer *out, const struct class *class, const struct method *m)
{
	const struct method *wire = wire_method(m);

	buffer_printf(out, "static %s\n%s_%s_serve(OS_OBJECT *iig_self", wire->returns, class->name, m->name);
	emit_params(out, wire, true, PARAMS_POINTERS);
	buffer_printf(out, "%s)\n{\n\tiig_fuzz_is(iig_self, &%s_Class);\n", method_takes_rpc(wire) ? ", const IORPC rpc" : "",
		      class->name);
	for (size_t i = 0; i < wire->n_params; i++)
		if (!form_is_out(wire->params[i].form))
			serve_param(out, wire, &wire->params[i]);
	if ((wire->attributes & A_ASYNC) != 0)
		serve_later(out, wire);
	for (size_t i = 0; i < wire->n_params; i++)
		if (form_is_out(wire->params[i].form))
			serve_param(out, wire, &wire->params[i]);
	/* What a method that fails made is still its own. */
	if (!wire->is_void) {
		buffer_puts(out, "\n\tIOReturn iig_status = iig_fuzz_status();\n");
		for (size_t i = 0; i < wire->n_params; i++)
			if (wire->params[i].form == F_OBJECT_OUT)
				buffer_printf(out,
					      "\tif (iig_status != kIOReturnSuccess) {\n"
					      "\t\tOSRelease((OS_OBJECT *)*%s);\n\t\t*%s = NULL;\n\t}\n",
					      wire->params[i].name, wire->params[i].name);
		buffer_puts(out, "\treturn iig_status;\n");
	}
	buffer_puts(out, "}\n\n");
}

/* ---------------------------------------------------------------------------------------------
 * The call
 */

/* Arrays have two elements more than their bound: counts of them are tried. */
static void
call_local(struct buffer *out, const struct method *m, const struct param *p)
{
	const char *n = p->name, *t = p->type;

	switch (p->form) {
	case F_VALUE:
		if (p->partner >= 0)
			buffer_printf(out, "\t%s %s = (%s)iig_fuzz_below(%" PRIu64 "u + 2);\n", t, n, t,
				      m->params[p->partner].bound);
		else if (p->is_bool)
			buffer_printf(out, "\tbool %s = iig_fuzz_below(2) != 0;\n", n);
		else
			buffer_printf(out, "\t%s %s;\n\tiig_fuzz_fill(&%s, sizeof %s);\n", t, n, n, n);
		break;
	case F_COUNT_OUT:
		buffer_printf(out, "\t%s %s = (%s)iig_fuzz_below(%" PRIu64 "u + 2), iig_room_%s = %s;\n", t, n, t,
			      m->params[p->partner].bound, n, n);
		break;
	case F_VALUE_OUT:
	case F_STRUCT_OUT:
		buffer_printf(out, "\t%s %s;\n\tmemset(&%s, IIG_FUZZ_MARK, sizeof %s);\n", t, n, n, n);
		break;
	case F_ARRAY_IN:
		buffer_printf(out, "\tstatic %s %s[%" PRIu64 "];\n\tiig_fuzz_fill(%s, sizeof %s);\n", t, n, p->bound + 2, n, n);
		if (p->is_bool)
			buffer_printf(out, "\tfor (size_t iig_i = 0; iig_i < sizeof %s; iig_i++)\n"
				      "\t\t*((uint8_t *)(void *)%s + iig_i) &= 1;\n", n, n);
		break;
	case F_ARRAY_OUT:
		buffer_printf(out, "\tstatic %s %s[%" PRIu64 "];\n\tmemset(%s, IIG_FUZZ_MARK, sizeof %s);\n", t, n,
			      p->bound + 2, n, n);
		break;
	case F_STRING_IN:
		buffer_printf(out, "\tstatic char %s[%" PRIu64 "];\n\tiig_fuzz_string(%s, sizeof %s);\n", n, p->bound + 8, n, n);
		break;
	case F_STRUCT_IN:
		buffer_printf(out, "\t%s iig_%s, *%s = &iig_%s;\n\tiig_fuzz_fill(%s, sizeof *%s);\n", t, n, n, n, n, n);
		if (p->is_bool)
			buffer_printf(out, "\t*(uint8_t *)(void *)%s &= 1;\n", n);
		break;
	case F_OBJECT_IN:
		if ((p->attributes & A_TARGET) != 0)
			buffer_printf(out, "\t%s *%s = (%s *)iig_target;\n", t, n, t);
		else
			buffer_printf(out, "\t%s *%s = (%s *)iig_fuzz_object(&%s_Class);\n", t, n, t, t);
		break;
	case F_OBJECT_OUT:
		buffer_printf(out, "\t%s *%s;\n\tmemset(&%s, IIG_FUZZ_MARK, sizeof %s);\n", t, n, n, n);
		break;
	case F_OBJECTS_IN:
		buffer_printf(out,
			      "\t%s *%s[%" PRIu64 "];\n\tfor (size_t iig_i = 0; iig_i < %" PRIu64 "u; iig_i++)\n"
			      "\t\t%s[iig_i] = iig_i < 6 ? (%s *)iig_fuzz_object(&%s_Class) : NULL;\n",
			      t, n, p->bound + 2, p->bound + 2, n, t, t);
		break;
	case F_LOCAL:
		break;
	}
}

static void
call_check(struct buffer *out, const struct method *m, size_t i)
{
	const struct param *p = &m->params[i];
	const char *n = p->name;

	switch (p->form) {
	case F_VALUE_OUT:
	case F_STRUCT_OUT:
		buffer_printf(out, "\tIIG_FUZZ_CHECK(iig_ret == kIOReturnSuccess || iig_fuzz_is_marked(&%s, sizeof %s));\n", n, n);
		if (p->is_bool)
			buffer_printf(out,
				      "\tIIG_FUZZ_CHECK(iig_ret != kIOReturnSuccess || iig_skip & %uu ||\n"
				      "\t\t       *(const uint8_t *)(const void *)&%s <= 1);\n",
				      1u << (i % 8), n);
		break;
	case F_COUNT_OUT:
		buffer_printf(out, "\tIIG_FUZZ_CHECK(%s <= iig_room_%s);\n", n, n);
		break;
	case F_ARRAY_OUT: {
		const char *count = m->params[p->partner].name;

		buffer_printf(out,
			      "\tIIG_FUZZ_CHECK(iig_ret == kIOReturnSuccess || iig_fuzz_is_marked(%s, sizeof %s));\n"
			      "\tIIG_FUZZ_CHECK(iig_fuzz_is_marked(%s + iig_room_%s, sizeof %s - (size_t)iig_room_%s * sizeof "
			      "%s[0]));\n",
			      n, n, n, count, n, count, n);
		break;
	}
	case F_OBJECT_OUT:
		buffer_printf(out,
			      "\tIIG_FUZZ_CHECK(iig_ret == kIOReturnSuccess || iig_fuzz_is_marked(&%s, sizeof %s));\n"
			      "\tif (iig_ret == kIOReturnSuccess) {\n"
			      "\t\tiig_fuzz_is((OS_OBJECT *)%s, &%s_Class);\n"
			      "\t\tOSRelease((OS_OBJECT *)%s);\n\t}\n",
			      n, n, n, p->type, n);
		break;
	default:
		break;
	}
}

/* Of IIG_ASYNC: what FOO_Done gets. */
static void
emit_done(struct buffer *out, const struct class *class, const struct method *m)
{
	buffer_printf(out, "static void\n%s_%s_end(void *iig_context, IOReturn iig_status", class->name, m->name);
	emit_out_params(out, m);
	buffer_puts(out, ")\n{\n\t++*(unsigned *)iig_context;\n\tif (iig_status != kIOReturnSuccess)\n\t\treturn;\n");
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		if (p->form == F_ARRAY_OUT)
			buffer_printf(out,
				      "\tIIG_FUZZ_CHECK((uint64_t)%s <= %" PRIu64 "u);\n"
				      "\tiig_fuzz_touch(%s, (size_t)%s * sizeof %s[0]);\n",
				      m->params[p->partner].name, p->bound, p->name, m->params[p->partner].name, p->name);
		else if (p->form == F_STRUCT_OUT)
			buffer_printf(out, "\tiig_fuzz_touch(%s, sizeof *%s);\n", p->name, p->name);
		else if (p->form == F_OBJECT_OUT)
			buffer_printf(out, "\tiig_fuzz_is((OS_OBJECT *)%s, &%s_Class);\n", p->name, p->type);
	}
	buffer_puts(out, "}\n\n");
}

static void
call_arguments(struct buffer *out, const struct method *wire, bool async)
{
	for (size_t i = 0; i < wire->n_params; i++) {
		const struct param *p = &wire->params[i];

		if (async && form_is_out(p->form))
			continue;
		if (p->form == F_VALUE_OUT || p->form == F_STRUCT_OUT)
			buffer_printf(out, ", iig_skip & %uu ? NULL : &%s", 1u << (i % 8), p->name);
		else
			buffer_printf(out, ", %s%s",
				      p->form == F_COUNT_OUT || p->form == F_OBJECT_OUT ? "&" : "", p->name);
	}
}

static void
emit_call(struct buffer *out, const struct class *class, const struct method *m)
{
	const struct method *wire = wire_method(m);
	const bool async = (wire->attributes & A_ASYNC) != 0;
	bool skips = false;

	for (size_t i = 0; i < wire->n_params; i++)
		skips |= wire->params[i].form == F_VALUE_OUT || wire->params[i].form == F_STRUCT_OUT;
	if (async)
		emit_done(out, class, m);
	buffer_printf(out, "static void\n%s_%s_call(OS_OBJECT *iig_target)\n{\n", class->name, m->name);
	for (size_t i = 0; i < wire->n_params; i++)
		call_local(out, wire, &wire->params[i]);
	if (skips)
		buffer_puts(out, "\tconst unsigned iig_skip = iig_fuzz_below(4) ? 0 : iig_fuzz_byte();\n");
	if (async) {
		buffer_printf(out,
			      "\tif (iig_fuzz_below(2)) {\n\t\tunsigned iig_ends = 0;\n"
			      "\t\tIOReturn iig_begun = %s_%s_Async((%s *)iig_target",
			      wire->class->name, wire->name, wire->class->name);
		call_arguments(out, wire, true);
		buffer_printf(out,
			      ", %s_%s_end, &iig_ends);\n\n"
			      "\t\tIIG_FUZZ_CHECK(iig_ends == (iig_begun == kIOReturnSuccess));\n\t\treturn;\n\t}\n",
			      class->name, m->name);
	}
	/* A TARGET method is called on its action; the object may be NULL. */
	buffer_printf(out, "\n\t%s%s_%s(%s%s%s", wire->is_void ? "" : "IOReturn iig_ret = ", wire->class->name, wire->name,
		      method_target(wire) != NULL ? "NULL" : "(",
		      method_target(wire) != NULL ? "" : wire->class->name,
		      method_target(wire) != NULL ? "" : " *)iig_target");
	call_arguments(out, wire, false);
	buffer_puts(out, ");\n");
	if (!wire->is_void) {
		buffer_puts(out, "\n\t(void)iig_ret;\n");
		for (size_t i = 0; i < wire->n_params; i++)
			call_check(out, wire, i);
	}
	buffer_puts(out, "}\n\n");
}

/* ---------------------------------------------------------------------------------------------
 * Tables
 */

static void
emit_record(struct buffer *out, const struct class *class, const struct method *m)
{
	const struct method *wire = wire_method(m);

	if (m->prototype != NULL)
		buffer_printf(out, "static const struct OSMetaClass *const %s_%s_type = &OSAction_%s_%s_Class;\n", class->name,
			      m->name, class->name, m->name);
	buffer_printf(out,
		      "static const struct OSMethod %s_%s_record = {\n"
		      "\t0x%016" PRIx64 "ULL, \"%s::%s\", NULL, (void (*)(void))%s_%s_serve, %s_%s_Invoke, ",
		      class->name, m->name, m->id, class->name, m->name, class->name, m->name, wire->class->name, wire->name);
	if (m->prototype != NULL)
		buffer_printf(out, "&%s_%s_type, ", class->name, m->name);
	else
		buffer_puts(out, "NULL, ");
	buffer_printf(out, "%s%s%s, 0};\n\n", wire->is_void ? "OS_METHOD_ONEWAY" : "0",
		      method_target(wire) != NULL ? " | OS_METHOD_TARGET" : "",
		      m->prototype != NULL ? " | OS_METHOD_CALLBACK" : "");
}

static void
add_class(struct arena *arena, const char ***names, size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp((*names)[i], name) == 0)
			return;
	*ARENA_PUSH(arena, *names, *count) = name;
}

void
emit_fuzz(const struct model *model, struct buffer *out)
{
	const char **names = NULL;
	struct arena arena = {0};
	size_t count = 0, at = 0, n_methods = 0;

	buffer_printf(out,
		      "/* Generated by iig %s from %s. Do not edit. A fuzz target for libFuzzer, in C; its glue needs -DIIG_PROXY=1. */\n",
		      IIG_VERSION, text_basename(model->def));
	/* X.iig's header is X.h. */
	const char *name = text_basename(model->def);
	const int length = (int)strcspn(name, ".");

	if (model->framework != NULL)
		buffer_printf(out, "#include <%s/%.*s.h>\n", model->framework, length, name);
	else
		buffer_printf(out, "#include \"%.*s.h\"\n", length, name);
	buffer_puts(out, "#include <ambidext/fuzz.h>\n\n");
	add_class(&arena, &names, &count, "OSObject");
	add_class(&arena, &names, &count, "OSAction");
	add_class(&arena, &names, &count, "OSString");
	add_class(&arena, &names, &count, "OSDictionary");
	for (const struct class *class; (class = next_main(model, &at)) != NULL;) {
		add_class(&arena, &names, &count, class->name);
		for (size_t i = 0; i < class->n_methods; i++) {
			const struct method *m = class->methods[i];

			if (!is_fuzzed(m))
				continue;
			n_methods++;
			for (size_t k = 0; k < wire_method(m)->n_params; k++)
				if (is_object(&wire_method(m)->params[k]))
					add_class(&arena, &names, &count, wire_method(m)->params[k].type);
		}
	}
	for (size_t i = 0; i < count; i++)
		buffer_printf(out, "extern struct OSMetaClass %s_Class;\n", names[i]);
	buffer_puts(out, "\nint LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);\n\n");
	at = 0;
	for (const struct class *class; (class = next_main(model, &at)) != NULL;)
		for (size_t i = 0; i < class->n_methods; i++)
			if (is_fuzzed(class->methods[i])) {
				buffer_printf(out, "/* %s::%s */\n", class->name, class->methods[i]->name);
				emit_serve(out, class, class->methods[i]);
				emit_call(out, class, class->methods[i]);
				emit_record(out, class, class->methods[i]);
			}
	if (n_methods > 0) {
		buffer_puts(out, "static const struct iig_fuzz_method iig_methods[] = {\n");
		at = 0;
		for (const struct class *class; (class = next_main(model, &at)) != NULL;)
			for (size_t i = 0; i < class->n_methods; i++) {
				const struct method *m = class->methods[i];

				if (is_fuzzed(m))
					buffer_printf(out, "\t{&%s_%s_record, &%s_Class, &%s_Class, %s_%s_call},\n",
						      class->name, m->name, class->name,
						      method_target(wire_method(m)) != NULL ? "OSAction" : class->name,
						      class->name, m->name);
			}
		buffer_puts(out, "};\n\nstatic const struct OSMetaClass *const iig_classes[] = {");
		for (size_t i = 0; i < count; i++)
			buffer_printf(out, "%s&%s_Class", i > 0 ? ", " : "", names[i]);
		buffer_puts(out, "};\n\n");
	}
	buffer_printf(out, "int\nLLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)\n{\n%s\treturn 0;\n}\n",
		      n_methods > 0 ? "\tiig_fuzz_run(iig_methods, sizeof iig_methods / sizeof iig_methods[0], iig_classes,\n"
				      "\t\t     sizeof iig_classes / sizeof iig_classes[0], bytes, size);\n"
				    : "\t(void)bytes; /* no method of it crosses a process */\n\t(void)size;\n");
	arena_fini(&arena);
}
