/* SPDX-License-Identifier: MIT */
#include "emit.h"

#include <inttypes.h>
#include <string.h>

static void
put_string(struct buffer *out, const char *text)
{
	buffer_puts(out, "\"");
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			buffer_printf(out, "\\%c", c);
		else if (c < 0x20)
			buffer_printf(out, "\\u%04x", c);
		else
			buffer_add(out, text, 1);
	}
	buffer_puts(out, "\"");
}

static void
put_member(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, ", \"%s\": ", name);
	put_string(out, text);
}

static void
put_words(struct buffer *out, unsigned attributes)
{
	static const struct {
		const char *name;
		unsigned flag;
	} words[] = {
#define WORD(spelling, flag, argument, house) {spelling, flag},
#include "words.def"
#undef WORD
	};
	bool any = false;

	buffer_puts(out, ", \"attributes\": [");
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if ((attributes & words[i].flag) != 0) {
			buffer_printf(out, "%s\"%s\"", any ? ", " : "", words[i].name);
			any = true;
		}
	buffer_puts(out, "]");
}

static void
put_param(struct buffer *out, const struct method *m, const struct param *p)
{
	static const char *const forms[] = {
		[F_LOCAL] = "local",           [F_VALUE] = "value",
		[F_VALUE_OUT] = "value-out",   [F_COUNT_OUT] = "count-out",
		[F_ARRAY_IN] = "array-in",     [F_ARRAY_OUT] = "array-out",
		[F_STRING_IN] = "string-in",   [F_STRUCT_IN] = "struct-in",
		[F_STRUCT_OUT] = "struct-out", [F_OBJECT_IN] = "object-in",
		[F_OBJECT_OUT] = "object-out", [F_OBJECTS_IN] = "objects-in",
	};

	buffer_puts(out, "{\"name\": ");
	put_string(out, p->name);
	put_member(out, "declaration", p->text);
	put_member(out, "form", forms[p->form]);
	if (p->type != NULL)
		put_member(out, "type", p->type);
	if (p->bound > 0)
		buffer_printf(out, ", \"bound\": %" PRIu64, p->bound);
	if (p->partner >= 0)
		put_member(out, p->bound > 0 ? "count" : "counts", m->params[p->partner].name);
	if (p->type_of != NULL)
		put_member(out, "callback", p->type_of);
	put_words(out, p->attributes);
	buffer_puts(out, "}");
}

static void
put_method(struct buffer *out, const struct method *m)
{
	buffer_puts(out, "\n      {\"name\": ");
	put_string(out, m->name);
	put_member(out, "returns", m->returns);
	put_member(out, "kind",
		   method_is_local_only(m) ? "local"
		   : m->is_static          ? "static"
		   : m->type_of != NULL    ? "callback"
					   : "remote");
	if (m->id != 0)
		buffer_printf(out, ", \"id\": \"0x%016" PRIx64 "\"", m->id);
	if (m->root != NULL)
		put_member(out, "overrides", m->root->class->name);
	if (m->prototype != NULL) {
		buffer_puts(out, ", \"implements\": ");
		buffer_printf(out, "\"%s::%s\"", m->prototype->class->name, m->prototype->name);
	}
	if (m->queue != NULL)
		put_member(out, "queue", m->queue);
	if (m->cname != NULL)
		put_member(out, "cname", m->cname);
	if (m->is_virtual)
		buffer_puts(out, ", \"virtual\": true");
	if (m->is_pure)
		buffer_puts(out, ", \"pure\": true");
	put_words(out, m->attributes);
	buffer_printf(out, ", \"line\": %u, \"parameters\": [", m->where.line);
	for (size_t i = 0; i < m->n_params; i++) {
		if (i > 0)
			buffer_puts(out, ", ");
		put_param(out, m, &m->params[i]);
	}
	buffer_puts(out, "]}");
}

void
emit_json(const struct model *model, struct buffer *out)
{
	bool any = false;
	size_t at = 0;

	buffer_puts(out, "{\"file\": ");
	put_string(out, text_basename(model->def));
	if (model->framework != NULL)
		put_member(out, "framework", model->framework);
	buffer_puts(out, ",\n  \"classes\": [");
	for (const struct class *class; (class = next_main(model, &at)) != NULL;) {
		buffer_puts(out, any ? ",\n    {\"name\": " : "\n    {\"name\": ");
		any = true;
		put_string(out, class->name);
		put_member(out, "base", class->base_name);
		put_words(out, class->attributes);
		buffer_printf(out, ", \"line\": %u, \"methods\": [", class->where.line);
		for (size_t i = 0; i < class->n_methods; i++) {
			if (i > 0)
				buffer_puts(out, ",");
			put_method(out, class->methods[i]);
		}
		buffer_puts(out, "]}");
	}
	buffer_puts(out, "]\n}\n");
}
