/* SPDX-License-Identifier: MIT */
#include "front.h"

#include <string.h>

const char *
front_type_text(struct front *front, CXType type)
{
	const char *text = front_string(front, clang_getTypeSpelling(type));

	if (strncmp(text, "const ", 6) == 0)
		text += 6;
	if (strncmp(text, "class ", 6) == 0)
		text += 6;
	return text;
}

static void
refuse(struct param *param, int number, const char *what)
{
	param->form = F_LOCAL;
	param->refusal_id = number;
	param->refusal = what;
}

struct field_scan {
	bool pointer;
};

static bool type_has_pointer(CXType type);

static enum CXVisitorResult
scan_field(CXCursor field, CXClientData data)
{
	struct field_scan *scan = data;

	scan->pointer = type_has_pointer(clang_getCursorType(field));
	return scan->pointer ? CXVisit_Break : CXVisit_Continue;
}

static bool
type_has_pointer(CXType type)
{
	CXType c = clang_getCanonicalType(type);
	struct field_scan scan = {false};

	switch (c.kind) {
	case CXType_Pointer:
	case CXType_BlockPointer:
	case CXType_LValueReference:
	case CXType_RValueReference:
	case CXType_MemberPointer:
		return true;
	case CXType_ConstantArray:
		return type_has_pointer(clang_getArrayElementType(c));
	case CXType_Record:
		clang_Type_visitFields(c, scan_field, &scan);
		return scan.pointer;
	default:
		return false;
	}
}

static const char *
integer_wire(CXType canonical)
{
	bool is_signed;

	switch (canonical.kind) {
	case CXType_UChar:
	case CXType_UShort:
	case CXType_UInt:
	case CXType_ULong:
	case CXType_ULongLong:
	case CXType_Char_U:
	case CXType_Char16:
	case CXType_Char32:
		is_signed = false;
		break;
	default:
		is_signed = true;
		break;
	}
	switch (clang_Type_getSizeOf(canonical)) {
	case 1:
		return is_signed ? "int8_t" : "uint8_t";
	case 2:
		return is_signed ? "int16_t" : "uint16_t";
	case 4:
		return is_signed ? "int32_t" : "uint32_t";
	default:
		return is_signed ? "int64_t" : "uint64_t";
	}
}

static bool
is_char(CXType canonical)
{
	return canonical.kind == CXType_Char_S || canonical.kind == CXType_Char_U;
}

/* Fill in type, wire and size when @p type is a scalar that can cross. */
static bool
take_scalar(struct front *front, struct param *param, CXType type)
{
	CXType c = clang_getCanonicalType(type);

	switch (c.kind) {
	case CXType_Bool:
		param->is_bool = true;
		param->wire = "uint8_t";
		break;
	case CXType_Enum:
		param->wire = integer_wire(clang_getCanonicalType(
			clang_getEnumDeclIntegerType(clang_getTypeDeclaration(c))));
		break;
	case CXType_Float:
		param->wire = "float";
		break;
	case CXType_Double:
		param->wire = "double";
		break;
	case CXType_Char_S:
	case CXType_Char_U:
	case CXType_SChar:
	case CXType_UChar:
	case CXType_WChar:
	case CXType_Char16:
	case CXType_Char32:
	case CXType_Short:
	case CXType_UShort:
	case CXType_Int:
	case CXType_UInt:
	case CXType_Long:
	case CXType_ULong:
	case CXType_LongLong:
	case CXType_ULongLong:
		param->wire = integer_wire(c);
		param->is_integer = true;
		break;
	default:
		return false;
	}
	param->type = front_type_text(front, type);
	param->size = (uint64_t)clang_Type_getSizeOf(c);
	return true;
}

/* The same for a structure. False: refused, or not a structure. */
static bool
take_struct(struct front *front, struct param *param, CXType type)
{
	CXType c = clang_getCanonicalType(type);

	if (c.kind != CXType_Record)
		return false;
	param->type = front_type_text(front, type);
	long long size = clang_Type_getSizeOf(c), align = clang_Type_getAlignOf(c);

	if (size < 0) {
		refuse(param, IIG_INCOMPLETE, "a structure that is not defined here");
		return false;
	}
	if (!clang_isPODType(c)) {
		refuse(param, IIG_NOT_TRIVIAL, "a structure that cannot be copied byte by byte");
		return false;
	}
	if (type_has_pointer(c)) {
		refuse(param, IIG_STRUCT_POINTER, "a structure that holds pointers");
		return false;
	}
	if (align > 8) {
		refuse(param, IIG_ALIGNMENT,
		       "a structure that needs an alignment of more than 8 bytes");
		return false;
	}
	param->size = (uint64_t)size;
	return true;
}

static enum CXChildVisitResult
find_base(CXCursor cursor, CXCursor parent, CXClientData data)
{
	CXCursor *base = data;

	if (clang_getCursorKind(cursor) != CXCursor_CXXBaseSpecifier)
		return CXChildVisit_Continue;
	*base = clang_getCursorDefinition(cursor);
	return CXChildVisit_Break;
}

/* Whether a defined class derives from OSObject. The model does not tell: a class that stands further down in the
 * same translation unit is not in it yet. */
static bool
derives_from_object(struct front *front, CXCursor definition)
{
	while (!clang_Cursor_isNull(definition) && !clang_isInvalid(clang_getCursorKind(definition))) {
		CXCursor base = clang_getNullCursor();

		if (strcmp(front_string(front, clang_getCursorSpelling(definition)), "OSObject") == 0)
			return true;
		clang_visitChildren(definition, find_base, &base);
		definition = base;
	}
	return false;
}

/* Pointee of an object parameter: its class's name, or NULL. */
static const char *
object_class(struct front *front, CXType pointee, bool *ret_plain)
{
	CXType c = clang_getCanonicalType(pointee);

	*ret_plain = false;
	if (c.kind != CXType_Record)
		return NULL;
	CXCursor record = clang_getTypeDeclaration(c);

	if (clang_getCursorKind(record) != CXCursor_ClassDecl)
		return NULL;
	const char *name = front_string(front, clang_getCursorSpelling(record));
	const struct class *class = model_class(front->model, name);

	CXCursor definition = clang_getCursorDefinition(record);
	if (class == NULL && !clang_Cursor_isNull(definition) && !derives_from_object(front, definition))
		*ret_plain = true; /* a class of C++, or the root */
	return name;
}

static void
classify_pointer(struct front *front, struct param *param, CXType type)
{
	CXType pointee = clang_getPointeeType(clang_getCanonicalType(type));
	CXType c = clang_getCanonicalType(pointee);
	/* The pointee as written, so that its typedef name is kept when the pointer itself is not
	 * one. */
	CXType written = type.kind == CXType_Pointer ? clang_getPointeeType(type) : pointee;
	bool is_const = clang_isConstQualifiedType(c) != 0, plain;
	const char *class = object_class(front, c, &plain);

	if (class != NULL) {
		param->type = class;
		if (plain)
			refuse(param, IIG_NOT_AN_OBJECT,
			       "a pointer to a class that does not derive from OSObject");
		else
			param->form = F_OBJECT_IN;
		return;
	}
	switch (c.kind) {
	case CXType_Void:
		refuse(param, IIG_POINTER, "a pointer to memory of unknown size");
		return;
	case CXType_FunctionProto:
	case CXType_FunctionNoProto:
		refuse(param, IIG_POINTER, "a pointer to a function");
		return;
	case CXType_Pointer:
	case CXType_BlockPointer:
		class = object_class(front, clang_getPointeeType(c), &plain);
		if (class == NULL) {
			refuse(param, IIG_POINTER_DEPTH, "a pointer to a pointer");
		} else if (plain) {
			refuse(param, IIG_NOT_AN_OBJECT,
			       "a pointer to a class that does not derive from OSObject");
		} else if (is_const) {
			refuse(param, IIG_VALUE_OUT_CONST, "an output that is const");
		} else {
			param->type = class;
			param->form = F_OBJECT_OUT;
		}
		return;
	case CXType_ConstantArray:
	case CXType_IncompleteArray:
		refuse(param, IIG_POINTER_DEPTH, "a pointer to an array");
		return;
	default:
		break;
	}
	if (is_char(c)) {
		refuse(param, IIG_CHAR_POINTER, "a string without a bound");
		return;
	}
	if (take_scalar(front, param, written)) {
		/* A const scalar behind a pointer crosses as a structure does. */
		param->form = is_const ? F_STRUCT_IN : F_VALUE_OUT;
		return;
	}
	if (c.kind == CXType_Record) {
		if (take_struct(front, param, written))
			param->form = is_const ? F_STRUCT_IN : F_STRUCT_OUT;
		return;
	}
	refuse(param, IIG_SCALAR, "of a type that has no place in a message");
}

static void
classify_array(struct front *front, struct param *param, CXType type)
{
	CXType canonical = clang_getCanonicalType(type);
	CXType element =
		clang_getArrayElementType(type.kind == CXType_ConstantArray ? type : canonical);
	CXType c = clang_getCanonicalType(clang_getArrayElementType(canonical));
	/* const of a typedef that names an array stands on the array. */
	bool is_const = clang_isConstQualifiedType(c) != 0 ||
			clang_isConstQualifiedType(type) != 0 ||
			clang_isConstQualifiedType(canonical) != 0;
	bool plain;
	long long bound = clang_getArraySize(canonical);

	if (bound <= 0) {
		refuse(param, IIG_UNBOUNDED, "an array without elements");
		return;
	}
	param->bound = (uint64_t)bound;
	if (c.kind == CXType_Pointer) {
		const char *class = object_class(front, clang_getPointeeType(c), &plain);

		if (class == NULL) {
			refuse(param, IIG_POINTER_DEPTH, "an array of pointers");
		} else if (plain) {
			refuse(param, IIG_NOT_AN_OBJECT,
			       "an array of pointers to a class that does not derive from "
			       "OSObject");
		} else if (!is_const) {
			refuse(param, IIG_POINTER_DEPTH, "an array of objects that is not const");
		} else {
			param->type = class;
			param->form = F_OBJECTS_IN;
		}
		return;
	}
	if (c.kind == CXType_ConstantArray) {
		refuse(param, IIG_POINTER_DEPTH, "an array of arrays");
		return;
	}
	if (take_scalar(front, param, element)) {
		param->is_integer = false;
		if (is_char(c) && is_const)
			param->form = F_STRING_IN; /* unless check.c finds its count */
		else
			param->form = is_const ? F_ARRAY_IN : F_ARRAY_OUT;
	} else if (take_struct(front, param, element)) {
		param->form = is_const ? F_ARRAY_IN : F_ARRAY_OUT;
	} else if (param->refusal == NULL) {
		refuse(param, IIG_SCALAR, "an array of a type that has no place in a message");
	}
}

/* Whether the type, or what it points to, is declared in a class. */
static bool
is_nested(CXType type)
{
	for (int depth = 0; depth < 4; depth++) {
		CXCursor declaration = clang_getTypeDeclaration(type);

		if (!clang_Cursor_isNull(declaration) &&
		    clang_getCursorKind(declaration) != CXCursor_NoDeclFound) {
			enum CXCursorKind kind =
				clang_getCursorKind(clang_getCursorSemanticParent(declaration));

			return kind == CXCursor_ClassDecl || kind == CXCursor_StructDecl;
		}
		if (type.kind == CXType_Pointer)
			type = clang_getPointeeType(type);
		else if (type.kind == CXType_ConstantArray)
			type = clang_getArrayElementType(type);
		else
			return false;
	}
	return false;
}

static void
classify(struct front *front, struct param *param, CXType type)
{
	CXType c = clang_getCanonicalType(type);

	param->form = F_LOCAL;
	param->partner = -1;
	param->is_nested = is_nested(type);
	switch (c.kind) {
	case CXType_Pointer:
		classify_pointer(front, param, type);
		break;
	case CXType_ConstantArray:
		classify_array(front, param, type);
		break;
	case CXType_IncompleteArray:
	case CXType_VariableArray:
		refuse(param, IIG_UNBOUNDED, "an array without a bound");
		break;
	case CXType_LValueReference:
	case CXType_RValueReference:
		refuse(param, IIG_REFERENCE, "a reference");
		break;
	case CXType_BlockPointer:
		refuse(param, IIG_BLOCK, "a block");
		break;
	case CXType_Record:
		refuse(param, IIG_BY_VALUE, "a structure or class by value");
		break;
	default:
		if (take_scalar(front, param, type))
			param->form = F_VALUE;
		else
			refuse(param, IIG_SCALAR, "of a type that has no place in a message");
		break;
	}
}

/* ---------------------------------------------------------------------------------------------
 * The list's text
 */

/* End of the parameter that begins at @p at: a comma or the list's end at depth 0. */
static size_t
param_end(const char *text, size_t end, size_t at)
{
	int angle = 0;

	while (at < end) {
		size_t next = text_skip(text, end, at);

		if (next != at) {
			at = next;
			continue;
		}
		switch (text[at]) {
		case '(':
		case '[':
		case '{':
			at = text_match(text, end, at);
			continue;
		case '<':
			angle++;
			break;
		case '>':
			if (angle > 0 && text[at - 1] != '-')
				angle--;
			break;
		case ',':
			if (angle == 0)
				return at;
			break;
		default:
			break;
		}
		at++;
	}
	return end;
}

/* Length of @p full without its default argument. */
static size_t
without_default(const char *full)
{
	size_t length = strlen(full);

	for (size_t at = 0; at < length;) {
		if (full[at] == '(' || full[at] == '[' || full[at] == '{') {
			at = text_match(full, length, at);
			continue;
		}
		if (full[at] == '=') {
			while (at > 0 && full[at - 1] == ' ')
				at--;
			return at;
		}
		at++;
	}
	return length;
}

static const char *
drop_class_key(struct front *front, const char *text)
{
	const char *at = strstr(text, "class ");

	if (at == NULL || (at > text && text_is_word(at[-1])))
		return text;
	return arena_printf(front->model->arena, "%.*s%s", (int)(at - text), text, at + 6);
}

static void
take_value(void *context, unsigned flag, const char *value)
{
	struct param *param = context;

	if (flag == A_TYPE)
		param->type_of = value;
}

static void
param_text(struct front *front, struct param *param, const char *written, size_t length,
	   CXType type)
{
	struct arena *arena = front->model->arena;
	const char *full;

	if (written != NULL)
		full = drop_class_key(front, text_strip(arena, written, length, false));
	else
		full = arena_printf(arena, "%s %s",
				    front_string(front, clang_getTypeSpelling(type)),
				    param->is_named ? param->name : "");
	size_t plain = without_default(full);

	param->text = arena_strndup(arena, full, plain);
	if (!param->is_named && strpbrk(param->text, "[(") == NULL) {
		/* The name is made up: it goes to the end of a plain type. */
		size_t stop = strlen(param->text);
		const char *gap = stop > 0 && param->text[stop - 1] == '*' ? "" : " ";

		full = arena_printf(arena, "%s%s%s%s", param->text, gap, param->name, full + plain);
		param->text = arena_printf(arena, "%s%s%s", param->text, gap, param->name);
		param->is_named = true;
	}
	param->full = full;
}

void
front_params(struct front *front, CXCursor cursor, const struct source *source, size_t open,
	     struct method *method, size_t *ret_close)
{
	struct arena *arena = front->model->arena;
	int n = clang_Cursor_getNumArguments(cursor);
	size_t close = text_match(source->text, source->length, open), end = close - 1,
	       at = open + 1, found = 0;

	*ret_close = close;
	for (size_t i = at; i < end; found++)
		i = param_end(source->text, end, i) + 1;
	bool by_text = n >= 0 && found == (size_t)n;

	for (int i = 0; i < n; i++) {
		CXCursor argument = clang_Cursor_getArgument(cursor, (unsigned)i);
		CXType type = clang_getCursorType(argument);
		struct param *param = ARENA_PUSH(arena, method->params, method->n_params);
		size_t stop = by_text ? param_end(source->text, end, at) : 0;

		param->where = front_where(front, argument);
		param->name = front_string(front, clang_getCursorSpelling(argument));
		param->is_named = param->name[0] != '\0';
		if (!param->is_named)
			param->name = arena_printf(arena, "arg%d", i);
		param->attributes = front_attributes(front, argument, take_value, param);
		param->exact =
			front_string(front, clang_getTypeSpelling(clang_getCanonicalType(type)));
		param_text(front, param, by_text ? source->text + at : NULL, stop - at, type);
		classify(front, param, type);
		at = stop + 1;
	}
}
