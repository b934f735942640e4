/* SPDX-License-Identifier: MIT */
#ifndef IIG_MODEL_H
#define IIG_MODEL_H

/**
 * @file model.h
 * @brief What one .iig says: built by front.c, completed and judged by check.c, read by the
 * emitters. Every pointer is borrowed from the run's arena.
 */

#include "diag.h"
#include "text.h"

/* Attribute words; words.def gives their spelling. */
enum {
	A_KERNEL = 1u << 0,
	A_NATIVE = 1u << 1,
	A_LOCAL = 1u << 2,
	A_LOCALONLY = 1u << 3,
	A_REMOTE = 1u << 4,
	A_LOCALHOST = 1u << 5,
	A_INVOKEREPLY = 1u << 6,
	A_REPLY = 1u << 7,
	A_TARGET = 1u << 8,
	A_TYPE = 1u << 9,
	A_QUEUENAME = 1u << 10,
	A_EXTENDS = 1u << 11,
	A_SERIALIZABLE = 1u << 12,
	A_CONCRETE = 1u << 13,
	A_PORTMAKESEND = 1u << 14,
	A_PORTCOPYSEND = 1u << 15,
	A_CNAME = 1u << 16,
	A_ASYNC = 1u << 17,
	A_INLINE = 1u << 18,
};

/* How a parameter of a remote method crosses. */
enum form {
	F_LOCAL,      /* cannot cross: LOCALONLY methods only */
	F_VALUE,      /* scalar in */
	F_VALUE_OUT,  /* T * */
	F_COUNT_OUT,  /* T *: capacity in, count out */
	F_ARRAY_IN,   /* const T a[N] with aCount */
	F_ARRAY_OUT,  /* T a[N] with *aCount */
	F_STRING_IN,  /* const char n[N] */
	F_STRUCT_IN,  /* const S * */
	F_STRUCT_OUT, /* S * */
	F_OBJECT_IN,  /* C * */
	F_OBJECT_OUT, /* C ** */
	F_OBJECTS_IN, /* C * const a[N] with aCount */
};

struct class;
struct method;

struct param {
	const char *name; /* as declared, or made up */
	const char *text; /* the declarator as written, without attributes and default */
	const char *full; /* the same with its default: what C++ declares */
	const char
		*type; /* scalar, struct or element type without const; objects: the class's name */
	const char *wire;    /* type of its field in the fixed part of a message */
	const char *canon;   /* its part in the canonical signature */
	const char *exact;   /* canonical C++ type, for comparing signatures */
	const char *type_of; /* TYPE() on the parameter, or NULL */
	const char *refusal; /* F_LOCAL: what it is, for the sentence */
	const char *fix;     /* F_LOCAL: what to write instead */
	int refusal_id;
	enum form form;
	unsigned attributes;
	uint64_t size;  /* of type, in bytes */
	uint64_t bound; /* N of arrays and strings */
	int partner;    /* array: index of its count; count: of its array; else -1 */
	bool is_bool;
	bool is_integer; /* could be a count */
	bool is_named;
	bool is_nested; /* its type is declared in a class */
	struct where where;
};

struct method {
	struct class *class; /* that it is emitted for (EXTENDS: the extended one) */
	const char *name;
	const char *returns; /* as written */
	const char *returns_exact;
	const char *body;         /* inline body with its braces, or NULL */
	const char *raw;          /* whole declaration without attributes: IIG_INLINE, templates */
	const char *cname;        /* IIG_CNAME or NULL */
	const char *queue;        /* QUEUENAME or NULL */
	const char *type_of;      /* TYPE() as written, or NULL */
	struct method *prototype; /* that TYPE() names */
	struct method *root;      /* the method that introduced what this overrides, or NULL */
	struct param *params;
	size_t n_params;
	unsigned attributes;
	uint64_t id; /* of its own signature */
	bool is_virtual, is_static, is_const, is_pure, is_template, is_variadic, is_void,
		has_override;
	bool from_extends;
	struct where where;
};

struct class
{
	const char *name;
	const char *base_name;   /* NULL: no base */
	struct class *base;      /* NULL: OSMetaClassBase, or unknown */
	const char *extends;     /* EXTENDS() or NULL */
	struct method **methods; /* in declared order */
	size_t n_methods;
	const char **extras; /* nested types and constants, C++ text */
	size_t n_extras;
	const char *text; /* path of its file */
	unsigned attributes;
	size_t begin, end; /* bytes of the main file that its definition covers */
	bool in_main;
	bool in_framework;   /* ours (C functions for local methods), not a driver's */
	bool derives_object; /* OSObject is at the end of its chain */
	bool derives_service;
	bool is_root_base; /* base is OSMetaClassBase */
	struct where where;
};

/* A piece of the main file that the header does not take over as it stands. */
enum piece_kind { PIECE_CLASS, PIECE_FORWARD, PIECE_TAG };
struct piece {
	enum piece_kind kind;
	size_t begin, end;
	struct class *class; /* PIECE_CLASS; NULL: EXTENDS, nothing is emitted */
	const char *name;    /* forward class, or tag */
	const char *tag;     /* PIECE_TAG: struct, union, enum: end is where its typedef goes */
};

struct model {
	struct arena *arena;   /* borrowed */
	struct diags *diags;   /* borrowed */
	const char *def;       /* --def */
	const char *framework; /* --framework-name or NULL */
	const char *text;      /* main file */
	size_t length;
	struct class **classes; /* all that were seen, bases before derived */
	size_t n_classes;
	struct piece *pieces; /* ascending, not overlapping */
	size_t n_pieces;
	const char **serializable; /* classes that cross by value */
	size_t n_serializable;
	const char **inputs; /* every file that was read */
	size_t n_inputs;
};

struct options {
	const char *def, *header, *impl, *framework, *json, *depfile, *fuzzer;
	const char **clang_args; /* -I, -D, … in order */
	size_t n_clang_args;
	const char **include_dirs;
	size_t n_include_dirs;
};

/** Parse options->def into @p model. Mistakes go to model->diags. */
void front_parse(struct model *model, const struct options *options);
/** All rules; completes counts, roots, prototypes and ids. */
void check_model(struct model *model);

void emit_header(const struct model *model, struct buffer *out);
void emit_impl(const struct model *model, const char *header, struct buffer *out);
void emit_fuzz(const struct model *model, struct buffer *out);
void emit_json(const struct model *model, struct buffer *out);

struct class *model_class(const struct model *model, const char *name);
/** The method of the nearest class from @p class up that has that name (not overrides), or NULL. */
struct method *class_method(const struct class *class, const char *name);

/* Questions that check and emitters share. */
static inline bool
method_is_local_only(const struct method *m)
{
	const struct method *root = m->root != NULL ? m->root : m;

	return (root->attributes & (A_LOCALONLY | A_INLINE)) != 0;
}

static inline bool
method_is_remote(const struct method *m)
{
	return !method_is_local_only(m);
}

/* Introduces an id, a stub and an Invoke. TYPE() methods have an id alone. */
static inline bool
method_is_introduced(const struct method *m)
{
	return method_is_remote(m) && m->root == NULL && m->type_of == NULL;
}

static inline const struct param *
method_target(const struct method *m)
{
	for (size_t i = 0; i < m->n_params; i++)
		if ((m->params[i].attributes & A_TARGET) != 0)
			return &m->params[i];
	return NULL;
}

static inline bool
form_is_out(enum form form)
{
	return form == F_VALUE_OUT || form == F_COUNT_OUT || form == F_ARRAY_OUT ||
	       form == F_STRUCT_OUT || form == F_OBJECT_OUT;
}

static inline bool
method_takes_rpc(const struct method *m)
{
	return (m->attributes & (A_REPLY | A_INVOKEREPLY)) != 0;
}

#endif
