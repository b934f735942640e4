/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <ctype.h>
#include <string.h>

const char *
front_string(struct front *front, CXString string)
{
	const char *text = clang_getCString(string);
	const char *copy = arena_strdup(front->model->arena, text != NULL ? text : "");

	clang_disposeString(string);
	return copy;
}

const struct source *
front_source(struct front *front, CXSourceLocation location, size_t *ret_offset)
{
	CXFile file;
	unsigned line, column, offset;

	clang_getFileLocation(location, &file, &line, &column, &offset);
	if (file == NULL)
		return NULL;
	*ret_offset = offset;
	if (file != front->last_file) {
		front->last_file = file;
		front->last_source =
			sources_find(&front->sources, front_string(front, clang_getFileName(file)));
	}
	return front->last_source;
}

static struct where
where_of(struct front *front, CXSourceLocation location)
{
	CXFile file;
	unsigned line, column, offset;
	struct where where = {0};

	clang_getFileLocation(location, &file, &line, &column, &offset);
	if (file == NULL)
		return where;
	where.file = front_string(front, clang_getFileName(file));
	where.line = line;
	where.column = column;
	return where;
}

struct where
front_where(struct front *front, CXCursor cursor)
{
	return where_of(front, clang_getCursorLocation(cursor));
}

struct attribute_scan {
	struct front *front;
	unsigned flags;
	void (*take)(void *context, unsigned flag, const char *value);
	void *context;
};

static enum CXChildVisitResult
scan_attribute(CXCursor cursor, CXCursor parent, CXClientData data)
{
	struct attribute_scan *scan = data;
	const char *value;

	(void)parent;
	if (clang_getCursorKind(cursor) != CXCursor_AnnotateAttr)
		return CXChildVisit_Continue;
	unsigned flag = word_of_annotation(
		front_string(scan->front, clang_getCursorSpelling(cursor)), &value);

	scan->flags |= flag;
	if (value != NULL && scan->take != NULL)
		scan->take(scan->context, flag, value);
	return CXChildVisit_Continue;
}

unsigned
front_attributes(struct front *front, CXCursor cursor,
		 void (*take)(void *context, unsigned flag, const char *value), void *context)
{
	struct attribute_scan scan = {front, 0, take, context};

	clang_visitChildren(cursor, scan_attribute, &scan);
	return scan.flags;
}

/* ---------------------------------------------------------------------------------------------
 * Methods
 */

static void
take_method_value(void *context, unsigned flag, const char *value)
{
	struct method *method = context;

	if (flag == A_TYPE)
		method->type_of = value;
	else if (flag == A_QUEUENAME)
		method->queue = value;
	else if (flag == A_CNAME)
		method->cname = value;
}

static enum CXChildVisitResult
scan_override(CXCursor cursor, CXCursor parent, CXClientData data)
{
	bool *found = data;

	(void)parent;
	if (clang_getCursorKind(cursor) != CXCursor_CXXOverrideAttr)
		return CXChildVisit_Continue;
	*found = true;
	return CXChildVisit_Break;
}

static const char *
text_between(struct front *front, CXSourceRange range, size_t *ret_begin, size_t *ret_end)
{
	size_t begin = 0, end = 0;
	const struct source *source = front_source(front, clang_getRangeStart(range), &begin);

	if (source == NULL || front_source(front, clang_getRangeEnd(range), &end) != source ||
	    end < begin)
		return NULL;
	*ret_begin = begin;
	*ret_end = end;
	return source->text;
}

/* What a method returns, as written: the text before its name without the words about the method
 * itself. */
static const char *
returns_text(struct front *front, const char *text, size_t length)
{
	static const char *const drop[] = {"virtual",   "static",   "inline",
					   "constexpr", "explicit", "extern"};
	const char *stripped = text_strip(front->model->arena, text, length, false);
	struct buffer out = {0};

	buffer_puts(&out, "");
	while (*stripped != '\0') {
		size_t word = 0;
		bool dropped = false;

		while (text_is_word(stripped[word]))
			word++;
		for (size_t i = 0; i < sizeof drop / sizeof drop[0]; i++)
			dropped |= word == strlen(drop[i]) && memcmp(stripped, drop[i], word) == 0;
		if (word == 0)
			word = 1;
		if (!dropped &&
		    !(*stripped == ' ' && (out.length == 0 || out.text[out.length - 1] == ' ')))
			buffer_add(&out, stripped, word);
		stripped += word;
	}
	while (out.length > 0 && out.text[out.length - 1] == ' ')
		out.text[--out.length] = '\0';
	const char *copy = arena_strdup(
		front->model->arena, strncmp(out.text, "class ", 6) == 0 ? out.text + 6 : out.text);

	buffer_fini(&out);
	return copy;
}

static bool
same_signature(const struct method *a, const struct method *b)
{
	if (a->n_params != b->n_params || a->is_const != b->is_const)
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (strcmp(a->params[i].exact, b->params[i].exact) != 0)
			return false;
	return true;
}

/* The overridden method's introducer. clang has compared the types. */
static struct method *
find_root(const struct class *class, const struct method *method)
{
	for (const struct class *c = class->base; c != NULL; c = c->base) {
		for (size_t i = 0; i < c->n_methods; i++) {
			struct method *m = c->methods[i];

			if (strcmp(m->name, method->name) == 0 && m->is_virtual &&
			    !m->is_template && same_signature(m, method))
				return m->root != NULL ? m->root : m;
		}
	}
	return NULL;
}

/* Offset of the '{' of a body after a method's parameters, or 0. */
static size_t
find_body(const struct source *source, size_t at)
{
	while (at < source->length && strchr(";={", source->text[at]) == NULL) {
		size_t next = text_skip(source->text, source->length, at);

		if (next == at)
			next = source->text[at] == '(' || source->text[at] == '['
				       ? text_match(source->text, source->length, at)
				       : at + 1;
		at = next;
	}
	return at < source->length && source->text[at] == '{' ? at : 0;
}

static void
add_method(struct front *front, struct class *class, CXCursor cursor, bool is_template)
{
	struct arena *arena = front->model->arena;
	struct method *m = arena_alloc(arena, sizeof *m);
	size_t name_at = 0, begin = 0, end = 0, close;
	const struct source *source =
		front_source(front, clang_getCursorLocation(cursor), &name_at);
	const char *text = text_between(front, clang_getCursorExtent(cursor), &begin, &end);

	if (source == NULL || text == NULL)
		return;
	m->class = class;
	m->name = front_string(front, clang_getCursorSpelling(cursor));
	m->where = front_where(front, cursor);
	m->attributes = front_attributes(front, cursor, take_method_value, m);
	m->is_template = is_template;
	m->is_virtual = clang_CXXMethod_isVirtual(cursor) != 0;
	m->is_static = clang_CXXMethod_isStatic(cursor) != 0;
	m->is_const = clang_CXXMethod_isConst(cursor) != 0;
	m->is_pure = clang_CXXMethod_isPureVirtual(cursor) != 0;
	if (!is_template) {
		CXType type = clang_getCursorType(cursor), result = clang_getResultType(type);

		m->is_variadic = clang_isFunctionTypeVariadic(type) != 0;
		m->is_void = clang_getCanonicalType(result).kind == CXType_Void;
		m->returns_exact =
			front_string(front, clang_getTypeSpelling(clang_getCanonicalType(result)));
	}
	m->returns = returns_text(front, text + begin, name_at - begin);

	size_t open = name_at;

	clang_visitChildren(cursor, scan_override, &m->has_override);
	while (open < source->length && source->text[open] != '(')
		open++;
	/* operator() has a pair of its own. */
	if (strcmp(m->name, "operator()") == 0)
		open = text_match(source->text, source->length, open);
	while (open < source->length && source->text[open] != '(')
		open++;
	if (is_template)
		close = text_match(source->text, source->length, open);
	else
		front_params(front, cursor, source, open, m, &close);

	/* clang skips bodies: they may name what only the header declares, super for one. */
	size_t body = find_body(source, close);

	if (body != 0) {
		end = text_match(text, source->length, body);
		m->body = arena_strndup(arena, text + body, end - body);
	}
	m->raw = text_strip(arena, text + begin, end - begin, true);
	if (m->is_virtual)
		m->root = find_root(class, m);
	*ARENA_PUSH(arena, class->methods, class->n_methods) = m;
}

/* ---------------------------------------------------------------------------------------------
 * Classes
 */

struct class_scan {
	struct front *front;
	struct class *class;
	int n_bases;
};

static void
take_class_value(void *context, unsigned flag, const char *value)
{
	struct class *class = context;

	if (flag == A_EXTENDS)
		class->extends = value;
}

static void
add_extra(struct front *front, struct class *class, CXCursor cursor)
{
	size_t begin, end;
	const char *text = text_between(front, clang_getCursorExtent(cursor), &begin, &end);

	/* A structure that a parameter names first is not declared here. */
	while (text != NULL && text[end] != '\0' && isspace((unsigned char)text[end]))
		end++;
	if (text != NULL && text[end] == ';')
		*ARENA_PUSH(front->model->arena, class->extras, class->n_extras) =
			arena_strndup(front->model->arena, text + begin, end - begin);
}

static enum CXChildVisitResult
scan_member(CXCursor cursor, CXCursor parent, CXClientData data)
{
	struct class_scan *scan = data;
	struct front *front = scan->front;
	struct class *class = scan->class;
	struct diags *diags = front->model->diags;
	const char *name = front_string(front, clang_getCursorSpelling(cursor));

	(void)parent;
	switch (clang_getCursorKind(cursor)) {
	case CXCursor_CXXBaseSpecifier:
		if (scan->n_bases++ == 0)
			class->base_name = front_string(
				front,
				clang_getCursorSpelling(clang_getTypeDeclaration(
					clang_getCanonicalType(clang_getCursorType(cursor)))));
		else if (class->in_main)
			diag_add(diags, front_where(front, cursor), IIG_MULTIPLE_BASES,
				 "class %s has more than one base class", class->name);
		break;
	case CXCursor_CXXMethod:
		if (class->base == NULL && class->base_name != NULL)
			class->base = model_class(front->model, class->base_name);
		add_method(front, class, cursor, false);
		break;
	case CXCursor_FunctionTemplate:
		add_method(front, class, cursor, true);
		break;
	case CXCursor_FieldDecl:
		diag_add(diags, front_where(front, cursor), IIG_DATA_MEMBER,
			 "%s is a data member; put it into struct %s_IVars and reach it as "
			 "ivars->%s",
			 name, class->name, name);
		break;
	case CXCursor_VarDecl: {
		size_t begin, end;
		const char *text = text_between(front, clang_getCursorExtent(cursor), &begin, &end);

		if (text != NULL && memmem(text + begin, end - begin, "constexpr", 9) != NULL)
			add_extra(front, class, cursor);
		else
			diag_add(diags, front_where(front, cursor), IIG_DATA_MEMBER,
				 "%s is a static data member; make it a static variable of your "
				 "source file, "
				 "or constexpr if it is a constant",
				 name);
		break;
	}
	case CXCursor_Constructor:
	case CXCursor_Destructor:
		diag_add(diags, front_where(front, cursor), IIG_CONSTRUCTOR,
			 "class %s declares a constructor or destructor", class->name);
		break;
	case CXCursor_ConversionFunction:
		diag_add(diags, front_where(front, cursor), IIG_CONSTRUCTOR,
			 "class %s declares a conversion; make it a LOCALONLY method with a name",
			 class->name);
		break;
	case CXCursor_StructDecl:
	case CXCursor_UnionDecl:
		if (clang_Cursor_isAnonymousRecordDecl(cursor)) {
			diag_add(diags, front_where(front, cursor), IIG_DATA_MEMBER,
				 "an anonymous structure or union is a data member; put it into "
				 "struct %s_IVars",
				 class->name);
			break;
		}
		add_extra(front, class, cursor);
		break;
	case CXCursor_ClassDecl:
		diag_add(diags, front_where(front, cursor), IIG_NAMESPACE,
			 "class %s is declared in class %s", name, class->name);
		break;
	case CXCursor_EnumDecl:
	case CXCursor_TypedefDecl:
	case CXCursor_TypeAliasDecl:
	case CXCursor_FriendDecl:
	case CXCursor_StaticAssert:
	case CXCursor_UsingDeclaration:
		add_extra(front, class, cursor);
		break;
	default:
		break;
	}
	return CXChildVisit_Continue;
}

static struct class *
add_class(struct front *front, CXCursor cursor, const struct source *source, bool in_main)
{
	struct model *model = front->model;
	struct class *class = arena_alloc(model->arena, sizeof *class);
	struct class_scan scan = {front, class, 0};

	class->name = front_string(front, clang_getCursorSpelling(cursor));
	class->where = front_where(front, cursor);
	class->text = source->path;
	class->in_main = in_main;
	class->in_framework = source->in_framework;
	class->attributes = front_attributes(front, cursor, take_class_value, class);
	/* Known from here on: its own methods name it. */
	*ARENA_PUSH(model->arena, model->classes, model->n_classes) = class;
	clang_visitChildren(cursor, scan_member, &scan);
	if (class->base == NULL && class->base_name != NULL)
		class->base = model_class(model, class->base_name);
	class->is_root_base =
		class->base_name != NULL && strcmp(class->base_name, "OSMetaClassBase") == 0;
	return class;
}

/* ---------------------------------------------------------------------------------------------
 * The file
 */

/* Offset past the ';' that ends a declaration whose extent ends at @p at, or 0. @p only: nothing
 * may be between. */
static size_t
past_semicolon(const struct source *source, size_t at, bool only)
{
	while (at < source->length && source->text[at] != ';') {
		size_t next = text_skip(source->text, source->length, at);

		if (next != at) {
			at = next;
			continue;
		}
		if (only && !isspace((unsigned char)source->text[at]))
			return 0;
		at = strchr("({[", source->text[at]) != NULL
			     ? text_match(source->text, source->length, at)
			     : at + 1;
	}
	return at < source->length ? at + 1 : 0;
}

static struct piece *
add_piece(struct front *front, enum piece_kind kind, size_t begin, size_t end)
{
	struct model *model = front->model;

	if (end == 0 || (model->n_pieces > 0 && begin < model->pieces[model->n_pieces - 1].end))
		return NULL;
	struct piece *piece = ARENA_PUSH(model->arena, model->pieces, model->n_pieces);

	piece->kind = kind;
	piece->begin = begin;
	piece->end = end;
	return piece;
}

static bool
is_known(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void
top_class(struct front *front, CXCursor cursor, const struct source *source, size_t begin,
	  size_t end, bool nested)
{
	struct model *model = front->model;
	bool in_main = source != NULL && source == &front->sources.items[0];
	const char *name = front_string(front, clang_getCursorSpelling(cursor));

	if ((front_attributes(front, cursor, NULL, NULL) & A_SERIALIZABLE) != 0 &&
	    !is_known(model->serializable, model->n_serializable, name))
		*ARENA_PUSH(model->arena, model->serializable, model->n_serializable) = name;
	if (source == NULL)
		return;
	if (!clang_isCursorDefinition(cursor)) {
		size_t stop = in_main ? past_semicolon(source, end, true) : 0;
		struct piece *piece = add_piece(front, PIECE_FORWARD, begin, stop);

		if (piece != NULL)
			piece->name = name;
		return;
	}
	if (nested) {
		if (in_main)
			diag_add(model->diags, front_where(front, cursor), IIG_NAMESPACE,
				 "class %s is not at the top level of the file", name);
		return;
	}
	struct class *class = add_class(front, cursor, source, in_main);

	if (!in_main)
		return;
	struct piece *piece =
		add_piece(front, PIECE_CLASS, begin, past_semicolon(source, end, false));

	if (piece != NULL)
		piece->class = class;
}

struct top_scan {
	struct front *front;
	bool nested;
};

static enum CXChildVisitResult
scan_top(CXCursor cursor, CXCursor parent, CXClientData data)
{
	struct top_scan *scan = data;
	struct front *front = scan->front;
	enum CXCursorKind kind = clang_getCursorKind(cursor);
	CXSourceRange extent = clang_getCursorExtent(cursor);
	size_t begin = 0, end = 0;
	const struct source *source = front_source(front, clang_getRangeStart(extent), &begin);
	bool in_main = source != NULL && source == &front->sources.items[0];

	(void)parent;
	(void)front_source(front, clang_getRangeEnd(extent), &end);
	switch (kind) {
	case CXCursor_ClassDecl:
		top_class(front, cursor, source, begin, end, scan->nested);
		break;
	case CXCursor_ClassTemplate:
		if (in_main)
			diag_add(front->model->diags, front_where(front, cursor), IIG_TEMPLATE,
				 "a class template cannot be an interface; #if !__IIG hides it "
				 "from iig");
		break;
	case CXCursor_Namespace: {
		struct top_scan inner = {front, true};

		if (in_main)
			clang_visitChildren(cursor, scan_top, &inner);
		break;
	}
	case CXCursor_LinkageSpec:
	case CXCursor_UnexposedDecl:
		/* extern "C" { … }: forward declarations of classes are found in it, definitions
		 * too. */
		if (source == NULL || in_main)
			clang_visitChildren(cursor, scan_top, scan);
		break;
	case CXCursor_StructDecl:
	case CXCursor_UnionDecl:
	case CXCursor_EnumDecl:
		if (in_main && !scan->nested && clang_isCursorDefinition(cursor) &&
		    !(kind == CXCursor_EnumDecl && clang_EnumDecl_isScoped(cursor))) {
			const char *name = front_string(front, clang_getCursorSpelling(cursor));
			bool plain = name[0] != '\0';

			for (const char *c = name; *c != '\0'; c++)
				plain &= text_is_word(*c);
			size_t stop = past_semicolon(source, end, false);
			struct piece *piece =
				plain ? add_piece(front, PIECE_TAG, stop, stop) : NULL;

			if (piece != NULL) {
				piece->name = name;
				piece->tag = kind == CXCursor_StructDecl  ? "struct"
					     : kind == CXCursor_UnionDecl ? "union"
									  : "enum";
			}
		}
		break;
	default:
		break;
	}
	return CXChildVisit_Continue;
}

static void
take_inclusion(CXFile file, CXSourceLocation *stack, unsigned depth, CXClientData data)
{
	struct front *front = data;
	struct model *model = front->model;
	const char *path = front_string(front, clang_getFileName(file));

	(void)stack;
	(void)depth;
	if (!is_known(model->inputs, model->n_inputs, path))
		*ARENA_PUSH(model->arena, model->inputs, model->n_inputs) = path;
}

/* clang's errors; its warnings are for whoever compiles the header. */
static void
take_diagnostics(struct front *front, CXTranslationUnit unit)
{
	struct diags *diags = front->model->diags;
	bool missing = false;

	for (int pass = 0; pass < 2 && !(pass == 1 && missing); pass++) {
		for (unsigned i = 0; i < clang_getNumDiagnostics(unit); i++) {
			CXDiagnostic d = clang_getDiagnostic(unit, i);
			const char *text = front_string(front, clang_getDiagnosticSpelling(d));
			struct where where = where_of(front, clang_getDiagnosticLocation(d));
			bool is_include = strstr(text, "file not found") != NULL;

			/* What follows from a missing file is noise: the first pass tells those
			 * alone. */
			if (clang_getDiagnosticSeverity(d) < CXDiagnostic_Error) {
				/* not an error */
			} else if (is_include && pass == 0) {
				missing = true;
				diag_add(diags, where, IIG_INCLUDE,
					 "%s; add -I with the folder that holds it", text);
			} else if (pass == 1 && strstr(text, "'override'") != NULL) {
				diag_add(diags, where, IIG_OVERRIDES_NOTHING,
					 "marked override, but no base class has a virtual method "
					 "of this name "
					 "with these types");
			} else if (pass == 1) {
				diag_add(diags, where, IIG_SYNTAX, "%s", text);
			}
			clang_disposeDiagnostic(d);
		}
	}
}

static CXTranslationUnit
parse(struct front *front, CXIndex index, const struct options *options)
{
	struct arena *arena = front->model->arena;
	struct CXUnsavedFile *files = arena_alloc(arena, front->sources.count * sizeof *files);
	const char **args = NULL;
	size_t n_args = 0;
	static const char *const fixed[] = {"-x",
					    "c++",
					    "-std=gnu++20",
					    "-fblocks",
					    "-D__IIG=1",
					    "-w",
					    "-D__IIG_ATTRIBUTES_DEFINED__=1",
					    "-D_GNU_SOURCE",
					    "-fno-delayed-template-parsing",
					    "-ferror-limit=0"};

	for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
		*ARENA_PUSH(arena, args, n_args) = fixed[i];
	words_define(arena, &args, &n_args);
	for (size_t i = 0; i < options->n_clang_args; i++)
		*ARENA_PUSH(arena, args, n_args) = options->clang_args[i];
	for (size_t i = 0; i < front->sources.count; i++) {
		files[i].Filename = front->sources.items[i].path;
		files[i].Contents = front->sources.items[i].masked;
		files[i].Length = front->sources.items[i].length;
	}
	CXTranslationUnit unit = NULL;

	if (clang_parseTranslationUnit2(
		    index, options->def, args, (int)n_args, files, (unsigned)front->sources.count,
		    CXTranslationUnit_KeepGoing | CXTranslationUnit_SkipFunctionBodies,
		    &unit) != CXError_Success)
		return NULL;
	return unit;
}

void
front_parse(struct model *model, const struct options *options)
{
	struct front front = {.model = model};

	if (!sources_load(model, options, &front.sources))
		return;
	model->text = front.sources.items[0].text;
	model->length = front.sources.items[0].length;
	CXIndex index = clang_createIndex(0, 0);
	CXTranslationUnit unit = parse(&front, index, options);

	if (unit == NULL) {
		diag_add(model->diags, (struct where){0}, IIG_INPUT, "clang cannot parse %s",
			 options->def);
	} else {
		struct top_scan scan = {&front, false};

		take_diagnostics(&front, unit);
		clang_getInclusions(unit, take_inclusion, &front);
		/* After an error of clang's, types are guesses: nothing that rests on them is worth
		 * telling. */
		if (model->diags->count == 0)
			clang_visitChildren(clang_getTranslationUnitCursor(unit), scan_top, &scan);
		clang_disposeTranslationUnit(unit);
	}
	clang_disposeIndex(index);
}
