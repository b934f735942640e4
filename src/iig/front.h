/* SPDX-License-Identifier: MIT */
#ifndef IIG_FRONT_H
#define IIG_FRONT_H

/** @file front.h
 *  @brief What the two halves of the front share: front.c walks declarations, front_types.c
 * parameters. */

#include "source.h"

#include <clang-c/Index.h>

struct front {
	struct model *model;
	struct sources sources;
	CXFile last_file;
	const struct source *last_source;
};

/** clang's string in the arena; disposes of it. */
const char *front_string(struct front *front, CXString string);
struct where front_where(struct front *front, CXCursor cursor);
/** Source of a cursor and its offset there; NULL: not in an .iig. */
const struct source *front_source(struct front *front, CXSourceLocation location,
				  size_t *ret_offset);
/** Annotation attributes among the children of @p cursor. @p take is called for those with a value.
 */
unsigned front_attributes(struct front *front, CXCursor cursor,
			  void (*take)(void *context, unsigned flag, const char *value),
			  void *context);

/** Parameters of @p cursor; the list's text begins at @p open in @p source. Sets *ret_close past
 * its ')'. */
void front_params(struct front *front, CXCursor cursor, const struct source *source, size_t open,
		  struct method *method, size_t *ret_close);
/** Type's spelling as glue and headers use it: no `class`, no leading const. */
const char *front_type_text(struct front *front, CXType type);

#endif
