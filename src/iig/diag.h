/* SPDX-License-Identifier: MIT */
#ifndef IIG_DIAG_H
#define IIG_DIAG_H

/** @file diag.h
 *  @brief The errors of a run: collected, sorted by place, told together. errors.def lists the
 * rules. */

#include "text.h"

#include <stdio.h>

struct where {
	const char *file; /* borrowed; NULL: no place */
	unsigned line, column;
};

#define IIG_ERROR(number, name, wanted, fix) IIG_##name = number,
enum iig_error {
#include "errors.def"
};
#undef IIG_ERROR

struct diag {
	struct where where;
	int number;
	const char *text;
	size_t order; /* of arrival */
	size_t rank;  /* order of the first one in its file */
};

struct diags {
	struct arena *arena; /* borrowed */
	struct diag *items;
	size_t count;
};

void diag_add(struct diags *diags, struct where where, int number, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/** Sort by place and print all, without repeats. */
void diag_print(struct diags *diags, FILE *stream);

#endif
