/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <DriverKit/IOReturn.h>
#include <ambidext/class.h>

#include <inttypes.h>
#include <string.h>

/* Mistakes in files that are only included are told when those are compiled. */
#define complain(model, class, ...)                                                                \
	do {                                                                                       \
		if ((class)->in_main)                                                              \
			diag_add((model)->diags, __VA_ARGS__);                                     \
	} while (0)

struct class *
model_class(const struct model *model, const char *name)
{
	for (size_t i = 0; i < model->n_classes; i++)
		if (model->classes[i]->extends == NULL &&
		    strcmp(model->classes[i]->name, name) == 0)
			return model->classes[i];
	return NULL;
}

struct method *
class_method(const struct class *class, const char *name)
{
	for (; class != NULL; class = class->base) {
		struct method *local = NULL;

		for (size_t i = 0; i < class->n_methods; i++) {
			struct method *m = class->methods[i];

			if (m->root != NULL || m->is_template || strcmp(m->name, name) != 0)
				continue;
			if (method_is_remote(m))
				return m;
			local = m;
		}
		if (local != NULL)
			return local;
	}
	return NULL;
}

/* ---------------------------------------------------------------------------------------------
 * Classes
 */

static void
merge_extension(struct model *model, struct class *extension)
{
	struct class *target = model_class(model, extension->extends);

	if (target == NULL || strcmp(target->text, extension->text) != 0) {
		complain(model, extension, extension->where, IIG_EXTENDS,
			 "EXTENDS(%s): this file does not define class %s before here",
			 extension->extends, extension->extends);
		return;
	}
	for (size_t i = 0; i < extension->n_methods; i++) {
		struct method *m = extension->methods[i];

		m->class = target;
		m->from_extends = true;
		*ARENA_PUSH(model->arena, target->methods, target->n_methods) = m;
	}
}

static void
check_class(struct model *model, struct class *class)
{
	const unsigned misplaced = A_TARGET | A_TYPE | A_QUEUENAME | A_INVOKEREPLY | A_REPLY |
				   A_LOCALHOST | A_PORTMAKESEND | A_PORTCOPYSEND | A_CNAME |
				   A_ASYNC | A_INLINE;

	if ((class->attributes & misplaced) != 0)
		complain(model, class, class->where, IIG_WORD_PLACE,
			 "class %s has a word that belongs on a method or a parameter",
			 class->name);
	if ((class->attributes & A_KERNEL) != 0 && !class->in_framework)
		complain(model, class, class->where, IIG_KERNEL_CLASS,
			 "class %s is KERNEL, but it is a driver's", class->name);
	if (class->base_name == NULL) {
		complain(model, class, class->where, IIG_NOT_OBJECT, "class %s has no base class",
			 class->name);
		return;
	}
	if (class->is_root_base) {
		if (strcmp(class->name, "OSObject") == 0)
			class->derives_object = true;
		else
			complain(model, class, class->where, IIG_NOT_OBJECT,
				 "class %s derives from OSMetaClassBase", class->name);
		return;
	}
	if (class->base == NULL) {
		complain(model, class, class->where, IIG_BASE_UNKNOWN,
			 "class %s derives from %s, which no .iig file declares", class->name,
			 class->base_name);
		return;
	}
	class->derives_object = class->base->derives_object;
	for (const struct class *c = class; c != NULL; c = c->base)
		class->derives_service |= strcmp(c->name, "IOService") == 0;
	if (!class->derives_object)
		complain(model, class, class->where, IIG_NOT_OBJECT,
			 "class %s does not derive from OSObject", class->name);
}

/* Words of a class hold for its methods. */
static void
spread_words(struct class *class)
{
	for (size_t i = 0; i < class->n_methods; i++) {
		struct method *m = class->methods[i];

		if ((class->attributes & A_LOCALONLY) != 0)
			m->attributes |= A_LOCALONLY;
		if ((class->attributes & A_LOCAL) != 0 && (m->attributes & A_KERNEL) == 0)
			m->attributes |= A_LOCAL;
		if ((class->attributes & A_KERNEL) != 0 &&
		    (m->attributes & (A_LOCAL | A_LOCALONLY)) == 0)
			m->attributes |= A_KERNEL;
		/* An override goes where its introducer goes, unless it says otherwise. */
		if (m->root != NULL && (m->attributes & (A_LOCAL | A_KERNEL)) == A_KERNEL &&
		    (m->root->attributes & A_LOCAL) != 0)
			m->attributes = (m->attributes & ~(unsigned)A_KERNEL) | A_LOCAL;
	}
}

/* ---------------------------------------------------------------------------------------------
 * Parameters
 */

static int
find_param(const struct method *m, const char *name, const char *suffix)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < m->n_params; i++) {
		const char *p = m->params[i].name;

		if (strncmp(p, name, length) == 0 && strcmp(p + length, suffix) == 0)
			return (int)i;
	}
	return -1;
}

static void
tie_count(struct model *model, struct method *m, size_t at)
{
	struct param *array = &m->params[at];
	int index = find_param(m, array->name, "Count");
	struct param *count = index >= 0 ? &m->params[index] : NULL;

	switch (array->form) {
	case F_STRING_IN:
		if (count == NULL || count->form != F_VALUE || !count->is_integer)
			return;
		array->form = F_ARRAY_IN;
		break;
	case F_ARRAY_IN:
	case F_OBJECTS_IN:
	case F_ARRAY_OUT:
		break;
	default:
		return;
	}
	if (count == NULL) {
		complain(model, m->class, array->where, IIG_COUNT_MISSING,
			 "array %s of %s::%s has no count; add the parameter uint32_t %s%sCount",
			 array->name, m->class->name, m->name,
			 array->form == F_ARRAY_OUT ? "* " : "", array->name);
		return;
	}
	bool fits =
		array->form == F_ARRAY_OUT ? count->form == F_VALUE_OUT : count->form == F_VALUE;

	if (!fits || !count->is_integer) {
		complain(model, m->class, count->where, IIG_COUNT_TYPE,
			 "%s counts the array %s; declare it uint32_t %s%s", count->name,
			 array->name, array->form == F_ARRAY_OUT ? "* " : "", count->name);
		return;
	}
	if (array->form == F_ARRAY_OUT)
		count->form = F_COUNT_OUT;
	array->partner = index;
	count->partner = (int)at;
}

/* Whether the prototype that TYPE() names is one; its method, or NULL after a complaint. */
static struct method *
find_prototype(struct model *model, struct class *class, struct where where, const char *text)
{
	char name[256];
	size_t length = 0;

	for (const char *c = text; *c != '\0' && length + 1 < sizeof name; c++)
		if (*c != ' ')
			name[length++] = *c;
	name[length] = '\0';
	char *colon = strstr(name, "::");
	const char *method_name = colon != NULL ? colon + 2 : name;
	struct class *owner = class;

	if (colon != NULL) {
		*colon = '\0';
		owner = model_class(model, name);
	}
	if (owner == NULL) {
		complain(model, class, where, IIG_TYPE_CLASS, "TYPE(%s): no class %s is known here",
			 text, name);
		return NULL;
	}
	struct method *prototype = class_method(owner, method_name);

	if (prototype == NULL) {
		complain(model, class, where, IIG_TYPE_METHOD,
			 "TYPE(%s): class %s has no method %s", text, owner->name, method_name);
		return NULL;
	}
	if (!method_is_remote(prototype) || method_target(prototype) == NULL) {
		complain(model, class, where, IIG_TYPE_PROTOTYPE,
			 "TYPE(%s): %s::%s has no TARGET parameter, so no action can carry it",
			 text, owner->name, method_name);
		return NULL;
	}
	return prototype;
}

static void
check_param(struct model *model, struct method *m, struct param *p)
{
	struct class *class = m->class;
	bool is_action = p->form == F_OBJECT_IN && strcmp(p->type, "OSAction") == 0;

	if ((p->attributes & ~(unsigned)(A_TARGET | A_TYPE | A_PORTMAKESEND | A_PORTCOPYSEND)) != 0)
		complain(model, class, p->where, IIG_WORD_PLACE,
			 "parameter %s has a word that belongs on a method or a class", p->name);
	if ((p->attributes & A_TYPE) != 0 && !is_action)
		complain(model, class, p->where, IIG_TYPE_PARAMETER,
			 "TYPE() on parameter %s, which is not an OSAction *", p->name);
	else if (p->type_of != NULL)
		find_prototype(model, class, p->where, p->type_of);
	if ((p->attributes & A_TARGET) != 0 && (!is_action || method_is_local_only(m)))
		complain(model, class, p->where, IIG_TARGET_TYPE,
			 "TARGET on parameter %s, which is not an OSAction * of a remote method",
			 p->name);
	if ((p->attributes & (A_PORTMAKESEND | A_PORTCOPYSEND)) != 0)
		complain(model, class, p->where, IIG_PORT,
			 "parameter %s is a Mach port; there are none here", p->name);
	if (p->is_nested && (method_is_remote(m) || m->is_virtual || class->in_framework) &&
	    (m->attributes & A_INLINE) == 0)
		complain(model, class, p->where, IIG_NESTED_TYPE,
			 "parameter %s of %s::%s has a type that a class declares", p->name,
			 class->name, m->name);
	if (method_is_local_only(m))
		return;
	if (!p->is_named || strcmp(p->name, "self") == 0 || strcmp(p->name, "rpc") == 0 ||
	    strncmp(p->name, "iig_", 4) == 0)
		complain(model, class, p->where, IIG_PARAMETER_NAME,
			 "parameter %s of %s::%s needs another name",
			 p->is_named ? p->name : "without a name", class->name, m->name);
	if (p->form == F_LOCAL)
		complain(model, class, p->where, p->refusal_id,
			 "parameter %s of %s::%s is %s, which cannot cross to another process",
			 p->name, class->name, m->name, p->refusal);
}

static uint64_t
pad(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

static void
add_field(uint64_t *fixed, uint64_t size)
{
	if (size > 0)
		*fixed = (*fixed + size - 1) / size * size + size;
}

static void
check_size(struct model *model, struct method *m)
{
	uint64_t fixed[2] = {0, 0}, spans[2] = {0, 0}, objects[2] = {0, 0};
	static const char *const direction[] = {"request", "reply"};

	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];

		switch (p->form) {
		case F_VALUE:
			add_field(&fixed[0], p->size);
			break;
		case F_VALUE_OUT:
			add_field(&fixed[1], p->size);
			break;
		case F_COUNT_OUT:
			add_field(&fixed[0], p->size);
			add_field(&fixed[1], p->size);
			break;
		case F_STRING_IN:
			add_field(&fixed[0], 4);
			spans[0] += pad(p->bound);
			break;
		case F_ARRAY_IN:
			spans[0] += pad(p->bound * p->size);
			break;
		case F_ARRAY_OUT:
			spans[1] += pad(p->bound * p->size);
			break;
		case F_STRUCT_IN:
			spans[0] += pad(p->size);
			break;
		case F_STRUCT_OUT:
			spans[1] += pad(p->size);
			break;
		case F_OBJECT_IN:
			objects[0] += (p->attributes & A_TARGET) == 0;
			break;
		case F_OBJECTS_IN:
			objects[0] += p->bound;
			break;
		case F_OBJECT_OUT:
			objects[1]++;
			break;
		case F_LOCAL:
			break;
		}
	}
	for (int d = 0; d < 2; d++) {
		uint64_t size = pad(fixed[d]) + spans[d];

		if (size > OS_MESSAGE_MAX_CONTENT)
			complain(model, m->class, m->where, IIG_TOO_LARGE,
				 "the %s of %s::%s can have %" PRIu64 " bytes; a message holds %u",
				 direction[d], m->class->name, m->name, size,
				 OS_MESSAGE_MAX_CONTENT);
		if (objects[d] > OS_MESSAGE_MAX_OBJECTS)
			complain(model, m->class, m->where, IIG_TOO_MANY_OBJECTS,
				 "the %s of %s::%s can have %" PRIu64
				 " objects; a message holds %u",
				 direction[d], m->class->name, m->name, objects[d],
				 OS_MESSAGE_MAX_OBJECTS);
	}
}

/* ---------------------------------------------------------------------------------------------
 * Methods
 */

static uint64_t
hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}

/* The canonical signature spells what crosses, not the names of types, so that it is the same on
 * every clang and stays when a typedef is renamed. */
static void
make_id(struct method *m)
{
	struct buffer text = {0};

	buffer_printf(&text, "%s::%s(", m->class->name, m->name);
	for (size_t i = 0; i < m->n_params; i++) {
		const struct param *p = &m->params[i];
		const char *comma = i > 0 ? "," : "";
		const char *unit = p->wire != NULL ? p->wire : "struct";

		switch (p->form) {
		case F_VALUE:
			buffer_printf(&text, "%s%s", comma, p->is_bool ? "bool" : unit);
			break;
		case F_VALUE_OUT:
			buffer_printf(&text, "%s%s*", comma, p->is_bool ? "bool" : unit);
			break;
		case F_COUNT_OUT:
			buffer_printf(&text, "%s%s#", comma, unit);
			break;
		case F_ARRAY_IN:
		case F_STRING_IN:
			buffer_printf(&text, "%sconst %s/%" PRIu64 "[%" PRIu64 "]", comma,
				      p->form == F_STRING_IN ? "string" : unit, p->size, p->bound);
			break;
		case F_ARRAY_OUT:
			buffer_printf(&text, "%s%s/%" PRIu64 "[%" PRIu64 "]", comma, unit, p->size,
				      p->bound);
			break;
		case F_STRUCT_IN:
			buffer_printf(&text, "%sconst %s/%" PRIu64, comma, unit, p->size);
			break;
		case F_STRUCT_OUT:
			buffer_printf(&text, "%s%s/%" PRIu64, comma, unit, p->size);
			break;
		case F_OBJECT_IN:
			buffer_printf(&text, "%s%s", comma, p->type);
			break;
		case F_OBJECT_OUT:
			buffer_printf(&text, "%s%s*", comma, p->type);
			break;
		case F_OBJECTS_IN:
			buffer_printf(&text, "%s%s[%" PRIu64 "]", comma, p->type, p->bound);
			break;
		case F_LOCAL:
			break;
		}
	}
	buffer_puts(&text, m->is_void ? ")void" : ")status");
	m->id = hash(text.text);
	buffer_fini(&text);
}

static bool
can_be_c(const char *text)
{
	return strpbrk(text, "&^<") == NULL && strstr(text, "::") == NULL;
}

static void
check_local_method(struct model *model, struct method *m)
{
	struct class *class = m->class;

	if ((m->attributes & A_TYPE) != 0)
		complain(model, class, m->where, IIG_TYPE_PLACE,
			 "TYPE() on %s::%s, which is a local method", class->name, m->name);
	if ((m->attributes & A_ASYNC) != 0)
		complain(model, class, m->where, IIG_ASYNC_PLACE,
			 "IIG_ASYNC on %s::%s, which is a local method", class->name, m->name);
	if ((m->attributes & A_QUEUENAME) != 0 && !m->is_virtual)
		complain(model, class, m->where, IIG_QUEUE_PLACE,
			 "QUEUENAME on %s::%s, which is local and not virtual", class->name,
			 m->name);
	if ((m->attributes & (A_REPLY | A_INVOKEREPLY | A_LOCALHOST)) != 0)
		complain(model, class, m->where, IIG_WORD_PLACE,
			 "%s::%s is a local method; REPLY, INVOKEREPLY and LOCALHOST are for "
			 "remote ones",
			 class->name, m->name);
	if ((m->attributes & A_INLINE) != 0) {
		if (m->body == NULL && !m->is_template)
			complain(model, class, m->where, IIG_INLINE_PLACE,
				 "IIG_INLINE on %s::%s, which has no body", class->name, m->name);
		return;
	}
	if (m->is_template) {
		complain(model, class, m->where, IIG_TEMPLATE, "%s::%s is a template", class->name,
			 m->name);
		return;
	}
	if (m->cname != NULL && m->is_virtual)
		complain(model, class, m->where, IIG_CNAME_PLACE,
			 "IIG_CNAME on %s::%s, which is virtual; its C name is %s_%s", class->name,
			 m->name, class->name, m->name);
	if (!class->in_framework)
		return;
	if (m->body != NULL)
		complain(model, class, m->where, IIG_BODY,
			 "%s::%s has a body; mark it IIG_INLINE or implement it in the library",
			 class->name, m->name);
	bool c = can_be_c(m->returns);

	for (size_t i = 0; i < m->n_params; i++)
		c &= can_be_c(m->params[i].text) && m->params[i].is_named;
	if (!c || m->is_variadic)
		complain(model, class, m->where, IIG_C_TYPE,
			 "%s::%s has a parameter or result that C cannot spell (or without a name)",
			 class->name, m->name);
}

static void
check_type_method(struct model *model, struct method *m)
{
	struct class *class = m->class;

	if (m->root != NULL || m->is_static) {
		complain(model, class, m->where, IIG_TYPE_PLACE, "TYPE() on %s::%s, which is %s",
			 class->name, m->name, m->is_static ? "static" : "an override");
		return;
	}
	m->prototype = find_prototype(model, class, m->where, m->type_of);
	if (m->prototype == NULL)
		return;
	const struct method *p = m->prototype;

	if (!m->is_void) {
		complain(model, class, m->where, IIG_TYPE_RETURN,
			 "%s::%s implements a callback and returns %s; return void", class->name,
			 m->name, m->returns);
		return;
	}
	if (p->n_params != m->n_params) {
		complain(model, class, m->where, IIG_TYPE_SIGNATURE,
			 "%s::%s has %zu parameters; %s::%s, which it implements, has %zu",
			 class->name, m->name, m->n_params, p->class->name, p->name, p->n_params);
		return;
	}
	for (size_t i = 0; i < p->n_params; i++)
		if (strcmp(p->params[i].exact, m->params[i].exact) != 0)
			complain(model, class, m->params[i].where, IIG_TYPE_SIGNATURE,
				 "parameter %s of %s::%s is %s; in %s::%s, which it implements, it "
				 "is %s",
				 m->params[i].name, class->name, m->name, m->params[i].exact,
				 p->class->name, p->name, p->params[i].exact);
}

static void
check_remote_method(struct model *model, struct method *m)
{
	struct class *class = m->class;
	int targets = 0;

	if (m->is_template) {
		complain(model, class, m->where, IIG_TEMPLATE, "%s::%s is a template", class->name,
			 m->name);
		return;
	}
	if (m->cname != NULL)
		complain(model, class, m->where, IIG_CNAME_PLACE,
			 "IIG_CNAME on %s::%s, which is a remote method; its C name is %s_%s",
			 class->name, m->name, class->name, m->name);
	if ((m->attributes & A_KERNEL) != 0 && !class->in_framework &&
	    (class->attributes & A_KERNEL) == 0)
		complain(model, class, m->where, IIG_KERNEL_CLASS,
			 "%s::%s is KERNEL, but its class is a driver's", class->name, m->name);
	if (m->is_variadic)
		complain(model, class, m->where, IIG_VARIADIC,
			 "%s::%s takes a variable list of parameters", class->name, m->name);
	if (m->body != NULL)
		complain(model, class, m->where, IIG_BODY,
			 "%s::%s has a body; write it as %s::%s_Impl in your source", class->name,
			 m->name, class->name, m->name);
	if (m->is_const)
		complain(model, class, m->where, IIG_CONST_REMOTE, "%s::%s is remote and const",
			 class->name, m->name);
	if (!m->is_void && strcmp(m->returns_exact, "int") != 0)
		complain(model, class, m->where, IIG_RETURN_TYPE, "%s::%s returns %s", class->name,
			 m->name, m->returns);
	if ((m->attributes & A_ASYNC) != 0 &&
	    (m->is_void || m->is_static || m->root != NULL || m->type_of != NULL))
		complain(model, class, m->where, IIG_ASYNC_PLACE,
			 "IIG_ASYNC on %s::%s, which is void, static, an override or a callback",
			 class->name, m->name);
	if (m->is_static &&
	    ((m->attributes & (A_QUEUENAME | A_REPLY | A_INVOKEREPLY | A_LOCALHOST)) != 0 ||
	     method_target(m) != NULL))
		complain(model, class, m->where, IIG_STATIC_PLACE,
			 "%s::%s is static and runs in its caller's process", class->name, m->name);
	if (m->queue != NULL && (m->queue[0] == '\0' || strlen(m->queue) > 255))
		complain(model, class, m->where, IIG_QUEUE_NAME,
			 "QUEUENAME of %s::%s has no name of 1 to 255 characters", class->name,
			 m->name);
	for (size_t i = 0; i < m->n_params; i++)
		targets += (m->params[i].attributes & A_TARGET) != 0;
	if (targets > 1)
		complain(model, class, m->where, IIG_TARGET_TWICE,
			 "%s::%s has %d TARGET parameters", class->name, m->name, targets);
	if (targets > 0 && !m->is_void && m->type_of == NULL)
		complain(model, class, m->where, IIG_TARGET_RETURN,
			 "%s::%s has a TARGET and returns %s", class->name, m->name, m->returns);
	if (m->type_of != NULL)
		check_type_method(model, m);
	check_size(model, m);
}

/* Names: overloads, hidden methods, C names. */
static void
check_names(struct model *model, struct class *class)
{
	for (size_t i = 0; i < class->n_methods; i++) {
		struct method *m = class->methods[i];
		struct method *inherited = class_method(class->base, m->name);

		if (m->is_template || (m->attributes & A_INLINE) != 0)
			continue;
		if (m->root == NULL && inherited != NULL && method_is_remote(m))
			complain(model, class, m->where, IIG_REDECLARED,
				 "%s::%s hides %s::%s instead of overriding it", class->name,
				 m->name, inherited->class->name, inherited->name);
		for (size_t j = 0; j < i; j++) {
			struct method *o = class->methods[j];

			if (strcmp(o->name, m->name) != 0 || o->is_template ||
			    (o->attributes & A_INLINE) != 0)
				continue;
			if (method_is_remote(m) && method_is_remote(o))
				complain(model, class, m->where, IIG_OVERLOADED,
					 "%s::%s is overloaded", class->name, m->name);
			else if (class->in_framework && m->cname == NULL && o->cname == NULL)
				complain(model, class, m->where, IIG_CNAME_NEEDED,
					 "%s::%s is overloaded; give one of the two a C name with "
					 "IIG_CNAME",
					 class->name, m->name);
		}
	}
}

static void
check_method(struct model *model, struct method *m)
{
	const unsigned misplaced = A_NATIVE | A_EXTENDS | A_SERIALIZABLE | A_CONCRETE | A_TARGET |
				   A_PORTMAKESEND | A_PORTCOPYSEND;
	struct class *class = m->class;

	if ((m->attributes & misplaced) != 0)
		complain(model, class, m->where, IIG_WORD_PLACE,
			 "%s::%s has a word that belongs on a class or a parameter", class->name,
			 m->name);
	if ((m->attributes & (A_CNAME | A_ASYNC | A_INLINE)) != 0 && !class->in_framework)
		complain(model, class, m->where, IIG_HOUSE_WORD,
			 "%s::%s has a house word (IIG_CNAME, IIG_ASYNC, IIG_INLINE), which only "
			 "frameworks use",
			 class->name, m->name);
	for (size_t i = 0; i < m->n_params && method_is_remote(m); i++)
		tie_count(model, m, i);
	for (size_t i = 0; i < m->n_params; i++)
		check_param(model, m, &m->params[i]);
	if (method_is_local_only(m)) {
		check_local_method(model, m);
		return;
	}
	check_remote_method(model, m);
	if (m->root == NULL && !m->is_template)
		make_id(m);
}

static void
check_ids(struct model *model)
{
	for (size_t i = 0; i < model->n_classes; i++)
		for (size_t k = 0; k < model->classes[i]->n_methods; k++) {
			struct method *m = model->classes[i]->methods[k];

			for (size_t j = 0; j <= i && m->id != 0; j++)
				for (size_t l = 0; l < model->classes[j]->n_methods; l++) {
					struct method *o = model->classes[j]->methods[l];

					if (o == m)
						break;
					if (o->id == m->id &&
					    !(j == i && strcmp(o->name, m->name) == 0))
						complain(model, m->class, m->where,
							 IIG_DUPLICATE_ID,
							 "%s::%s and %s::%s have the same id; "
							 "rename one",
							 m->class->name, m->name, o->class->name,
							 o->name);
				}
		}
}

void
check_model(struct model *model)
{
	for (size_t i = 0; i < model->n_classes; i++)
		spread_words(model->classes[i]);
	for (size_t i = 0; i < model->n_classes; i++)
		if (model->classes[i]->extends != NULL)
			merge_extension(model, model->classes[i]);
		else
			check_class(model, model->classes[i]);
	/* Extensions have given their methods away. */
	size_t kept = 0;

	for (size_t i = 0; i < model->n_classes; i++)
		if (model->classes[i]->extends == NULL)
			model->classes[kept++] = model->classes[i];
	model->n_classes = kept;
	for (size_t i = 0; i < model->n_classes; i++)
		for (size_t k = 0; k < model->classes[i]->n_methods; k++)
			check_method(model, model->classes[i]->methods[k]);
	for (size_t i = 0; i < model->n_classes; i++)
		check_names(model, model->classes[i]);
	check_ids(model);
	for (size_t i = 0; i < model->n_pieces; i++)
		if (model->pieces[i].class != NULL && model->pieces[i].class->extends != NULL)
			model->pieces[i].class = NULL;
}
