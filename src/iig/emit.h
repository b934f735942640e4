/* SPDX-License-Identifier: MIT */
#ifndef IIG_EMIT_H
#define IIG_EMIT_H

/** @file emit.h
 *  @brief What the emitters share: parts of declarations, and the order of their output. */

#include "model.h"

#ifndef IIG_VERSION
#define IIG_VERSION "0"
#endif

/* How arrays among the parameters are declared. Functions that are called take pointers: gcc takes
 * the bound of an array for what the caller must have, and a short string for a mistake. */
enum params {
	PARAMS_WRITTEN,
	PARAMS_POINTERS,
	PARAMS_DEFAULTS, /* pointers, and C++'s default arguments */
};

/** `int32_t a, IOService * b` or nothing; @p comma: begin with a comma when there is any. */
void emit_params(struct buffer *out, const struct method *m, bool comma, enum params how);
void emit_param(struct buffer *out, const struct param *p, enum params how);
/** `a, b` */
void emit_args(struct buffer *out, const struct method *m, bool comma);
/** Out parameters as plain values: `, uint32_t index, const T *values`. */
void emit_out_params(struct buffer *out, const struct method *m);
/** `R Class_name(Class *self, …)`, @p name without the class's prefix. */
void emit_c_function(struct buffer *out, const struct class *self, const struct method *m,
		     const char *prefix, const char *suffix);
/** C name of a local method. */
const char *emit_local_name(const struct method *m, struct buffer *scratch);
/** How a NULL slot of a pure local virtual answers: an expression, or NULL for void. */
const char *emit_pure_answer(const struct method *m, struct buffer *scratch);

bool class_is_kernel_method(const struct method *m); /* its impl is in the host alone */
bool method_is_local_virtual(const struct method *m);
bool method_has_impl(const struct method *m); /* somebody writes X_m_Impl */
/** Introducing class's method. */
const struct method *method_root(const struct method *m);
/** Override of @p root that @p class itself declares, or NULL. */
const struct method *class_override(const struct class *class, const struct method *root);

/** The main file's classes in order: the next one from *at on, NULL at the end. */
static inline const struct class *
next_main(const struct model *model, size_t *at)
{
	while (*at < model->n_classes) {
		const struct class *class = model->classes[(*at)++];

		if (class->in_main)
			return class;
	}
	return NULL;
}

void emit_cpp_class(struct buffer *out, const struct class *class);
/** Everything of one introduced remote method: structs, stub, Invoke, and IIG_ASYNC's. */
void emit_stub(struct buffer *out, const struct method *m);

#endif
