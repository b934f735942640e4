/* SPDX-License-Identifier: MIT */
#include "diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool
same_file(const struct where *a, const struct where *b)
{
	if (a->file == NULL || b->file == NULL)
		return a->file == b->file;
	return strcmp(a->file, b->file) == 0;
}

void
diag_add(struct diags *diags, struct where where, int number, const char *format, ...)
{
	struct diag *diag = ARENA_PUSH(diags->arena, diags->items, diags->count);
	char text[1024];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	diag->where = where;
	diag->number = number;
	diag->text = arena_strdup(diags->arena, text);
	diag->order = diag->rank = diags->count;
	for (size_t i = 0; i + 1 < diags->count; i++)
		if (same_file(&diags->items[i].where, &where)) {
			diag->rank = diags->items[i].rank;
			break;
		}
}

static int
compare(const void *a, const void *b)
{
	const struct diag *x = a, *y = b;

	/* Files keep the order in which they were met: the first error is the cause more often than
	 * not. */
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->where.line != y->where.line)
		return x->where.line < y->where.line ? -1 : 1;
	if (x->where.column != y->where.column)
		return x->where.column < y->where.column ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static bool
same(const struct diag *a, const struct diag *b)
{
	return a->number == b->number && a->where.line == b->where.line &&
	       a->where.column == b->where.column && strcmp(a->text, b->text) == 0;
}

/* What to do, for errors whose sentence is not clang's or the system's. */
static const char *
diag_fix(int number)
{
#define IIG_ERROR(n, name, wanted, fix) {n, fix},
	static const struct {
		int number;
		const char *fix;
	} fixes[] = {
#include "errors.def"
	};
#undef IIG_ERROR
	for (size_t i = 0; number > IIG_INCLUDE && i < sizeof fixes / sizeof fixes[0]; i++)
		if (fixes[i].number == number)
			return fixes[i].fix;
	return NULL;
}

void
diag_print(struct diags *diags, FILE *stream)
{
	if (diags->count == 0)
		return;
	qsort(diags->items, diags->count, sizeof *diags->items, compare);
	for (size_t i = 0; i < diags->count; i++) {
		const struct diag *d = &diags->items[i];

		if (i > 0 && same(d, d - 1))
			continue;
		if (d->where.file != NULL)
			fprintf(stream, "%s:%u:%u: error[IIG%03d]: %s\n", d->where.file,
				d->where.line, d->where.column, d->number, d->text);
		else
			fprintf(stream, "iig: error[IIG%03d]: %s\n", d->number, d->text);
		const char *fix = diag_fix(d->number);

		if (fix != NULL && d->where.file != NULL)
			fprintf(stream, "%s:%u:%u: note: %s\n", d->where.file, d->where.line,
				d->where.column, fix);
	}
}
