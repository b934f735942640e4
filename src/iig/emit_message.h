/* SPDX-License-Identifier: MIT */
#ifndef IIG_EMIT_MESSAGE_H
#define IIG_EMIT_MESSAGE_H

/** @file emit_message.h
 *  @brief Marshalling of one method: what emit_stub.c puts together. */

#include "emit.h"

struct shape {
	bool has_request; /* a fixed part */
	bool has_response;
	bool has_outputs;
	unsigned spans; /* of the request, fixed part included */
	unsigned reply_spans;
	unsigned objects; /* most that a request can have */
	unsigned reply_objects;
	uint64_t reply_size; /* most bytes of a reply, padded */
};

struct shape method_shape(const struct method *m);

/** Return type on its own line, then the C function's head. */
void emit_declaration(struct buffer *out, const struct method *m, const char *suffix);
/** A field of a fixed part as a value of the parameter's type. */
void emit_wire_value(struct buffer *out, const struct param *p, const char *prefix);
void emit_message_structs(struct buffer *out, const struct method *m);
/** Fills iig_call from the stub's parameters. */
void emit_gather(struct buffer *out, const struct method *m, bool async);
/** static IOReturn FOO_scatter(reply, out) */
void emit_scatter(struct buffer *out, const struct method *m);
/** Answer from parameters (@p deferred: FOO_Reply) or from Invoke's locals. */
void emit_respond(struct buffer *out, const struct method *m, bool deferred);
void emit_invoke(struct buffer *out, const struct method *m);

#endif
