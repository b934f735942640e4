/* SPDX-License-Identifier: MIT */
#ifndef IIG_EMIT_H
#define IIG_EMIT_H

/** @file emit.h
 *  @brief What the emitters share: parts of declarations, and the order of their output. */

#include "model.h"

#ifndef IIG_VERSION
#define IIG_VERSION "0"
#endif

/** `int32_t a, IOService * b` or nothing; @p comma: begin with a comma when there is any. */
void emit_params(struct buffer *out, const struct method *m, bool comma, bool defaults);
/** `a, b` */
void emit_args(struct buffer *out, const struct method *m, bool comma);
/** Out parameters as plain values: `, uint32_t index, const T *values`. */
void emit_out_params(struct buffer *out, const struct method *m);
/** `R Class_name(Class *self, …)`, @p name without the class's prefix. */
void emit_c_function(struct buffer *out, const struct class *self, const struct method *m, const char *prefix,
		     const char *suffix);
/** C name of a local method. */
const char *emit_local_name(const struct method *m, struct buffer *scratch);
/** How a NULL slot of a pure local virtual answers: an expression, or NULL for void. */
const char *emit_pure_answer(const struct method *m, struct buffer *scratch);

bool class_is_kernel_method(const struct method *m); /* its impl is in the host alone */
bool method_is_local_virtual(const struct method *m);
bool method_has_impl(const struct method *m);  /* somebody writes X_m_Impl */
/** Introducing class's method. */
const struct method *method_root(const struct method *m);
/** Override of @p root that @p class itself declares, or NULL. */
const struct method *class_override(const struct class *class, const struct method *root);

/* The classes that --framework-name or a driver's own file defines, in order. */
#define FOR_MAIN_CLASSES(model, class)                                           \
	for (size_t iig_i = 0; iig_i < (model)->n_classes; iig_i++)              \
		for (const struct class *class = (model)->classes[iig_i];        \
		     class != NULL && class->in_main; class = NULL)

void emit_cpp_class(struct buffer *out, const struct class *class);
/** Everything of one introduced remote method: structs, stub, Invoke, and IIG_ASYNC's. */
void emit_stub(struct buffer *out, const struct method *m);

#endif
