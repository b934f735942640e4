/* SPDX-License-Identifier: MIT */
/* Info.plist as Xcode's build leaves it: variables replaced, the usual keys present. */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <plist/plist.h>

#include "dext/dext.h"

#define MAX_PLIST (4u << 20)
#define MAX_DEPTH 64u

struct expansion {
	const struct plist_variables *variables;
	const char *file;
	int n_problems;
};

int
plist_variables_set(struct plist_variables *variables, const char *name, const char *value)
{
	for (size_t i = 0; i < variables->n; i++) {
		if (strcmp(variables->each[i].name, name) == 0) {
			char *copy = strdup(value);
			if (!copy)
				return -1;
			free(variables->each[i].value);
			variables->each[i].value = copy;
			return 0;
		}
	}
	struct plist_variable *bigger = realloc(variables->each, (variables->n + 1) * sizeof *bigger);
	if (!bigger)
		return -1;
	variables->each = bigger;
	struct plist_variable *added = &bigger[variables->n];
	added->name = strdup(name);
	added->value = strdup(value);
	if (!added->name || !added->value) {
		free(added->name);
		free(added->value);
		return -1;
	}
	variables->n++;
	return 0;
}

void
plist_variables_done(struct plist_variables *variables)
{
	for (size_t i = 0; i < variables->n; i++) {
		free(variables->each[i].name);
		free(variables->each[i].value);
	}
	free(variables->each);
	*variables = (struct plist_variables){ 0 };
}

static const char *
value_of(const struct plist_variables *variables, const char *name, size_t length)
{
	for (size_t i = 0; i < variables->n; i++)
		if (strlen(variables->each[i].name) == length && memcmp(variables->each[i].name, name, length) == 0)
			return variables->each[i].value;
	return NULL;
}

/* Xcode's modifiers that make identifiers: which character may stay. */
static bool
may_stay(const char *modifier, size_t length, unsigned char c)
{
	if (length == strlen("rfc1034identifier") && memcmp(modifier, "rfc1034identifier", length) == 0)
		return isalnum(c) || c == '-' || c == '.';
	return isalnum(c) || c == '_';
}

static void
problem(struct expansion *expansion, const char *where, const char *what, const char *name, int length)
{
	fprintf(stderr, "%s: %s: %s '%.*s'\n", expansion->file, where, what, length, name);
	expansion->n_problems++;
}

/* @p text with its variables replaced, or NULL: nothing to replace. */
static char *
expand_text(struct expansion *expansion, const char *where, const char *text)
{
	char *result = NULL;
	size_t size = 0;
	FILE *out;

	if (!strstr(text, "$(") && !strstr(text, "${"))
		return NULL;
	out = open_memstream(&result, &size);
	if (!out)
		return NULL;
	for (const char *at = text; *at;) {
		if (at[0] != '$' || (at[1] != '(' && at[1] != '{')) {
			fputc(*at++, out);
			continue;
		}
		const char *name = at + 2, *end = strchr(name, at[1] == '(' ? ')' : '}');
		if (!end) {
			problem(expansion, where, "a variable is not closed:", at, (int)strlen(at));
			fputs(at, out);
			break;
		}
		const char *modifier = memchr(name, ':', (size_t)(end - name));
		const char *name_end = modifier ? modifier : end;
		const char *value = value_of(expansion->variables, name, (size_t)(name_end - name));
		if (!value)
			problem(expansion, where, "unknown variable (give it with --define NAME=VALUE):", name, (int)(name_end - name));
		for (const char *c = value ? value : ""; *c; c++) {
			bool plain = !modifier || may_stay(modifier + 1, (size_t)(end - modifier - 1), (unsigned char)*c);
			fputc(plain ? *c : modifier[1] == 'r' ? '-' : '_', out);
		}
		at = end + 1;
	}
	(void)fclose(out);
	return result;
}

static void expand_node(struct expansion *expansion, const char *where, plist_t node, unsigned depth);

static void
expand_dict(struct expansion *expansion, plist_t dict, unsigned depth)
{
	plist_dict_iter iterator = NULL;
	char *key = NULL;
	plist_t item;
	/* Keys change the dictionary, so they are gathered first. */
	char **old_keys = calloc(plist_dict_get_size(dict) + 1, sizeof *old_keys);
	size_t n = 0;

	plist_dict_new_iter(dict, &iterator);
	while (old_keys && iterator) {
		plist_dict_next_item(dict, iterator, &key, &item);
		if (!key)
			break;
		expand_node(expansion, key, item, depth + 1);
		if (strstr(key, "$(") || strstr(key, "${"))
			old_keys[n++] = key;
		else
			free(key);
		key = NULL;
	}
	free(iterator);
	for (size_t i = 0; i < n; i++) {
		char *new_key = expand_text(expansion, old_keys[i], old_keys[i]);
		if (new_key) {
			plist_dict_set_item(dict, new_key, plist_copy(plist_dict_get_item(dict, old_keys[i])));
			plist_dict_remove_item(dict, old_keys[i]);
		}
		free(new_key);
		free(old_keys[i]);
	}
	free(old_keys);
}

static void
expand_node(struct expansion *expansion, const char *where, plist_t node, unsigned depth)
{
	if (depth > MAX_DEPTH) {
		problem(expansion, where, "too deep at", where, (int)strlen(where));
		return;
	}
	switch (plist_get_node_type(node)) {
	case PLIST_DICT:
		expand_dict(expansion, node, depth);
		break;
	case PLIST_ARRAY:
		for (uint32_t i = 0; i < plist_array_get_size(node); i++)
			expand_node(expansion, where, plist_array_get_item(node, i), depth + 1);
		break;
	case PLIST_STRING: {
		char *text = NULL;
		plist_get_string_val(node, &text);
		char *expanded = text ? expand_text(expansion, where, text) : NULL;
		if (expanded)
			plist_set_string_val(node, expanded);
		free(expanded);
		free(text);
		break;
	}
	default:
		break;
	}
}

/* What Xcode writes into a driver's Info.plist when the source has it not. */
static void
add_missing(plist_t dict, const struct plist_variables *variables)
{
	static const struct { const char *key, *variable, *text; } usual[] = {
		{ "CFBundleExecutable", "EXECUTABLE_NAME", NULL },
		{ "CFBundleIdentifier", "PRODUCT_BUNDLE_IDENTIFIER", NULL },
		{ "CFBundleName", "PRODUCT_NAME", NULL },
		{ "CFBundlePackageType", NULL, "DEXT" },
		{ "CFBundleShortVersionString", "MARKETING_VERSION", NULL },
		{ "CFBundleVersion", "CURRENT_PROJECT_VERSION", NULL },
		{ "CFBundleInfoDictionaryVersion", NULL, "6.0" },
	};

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		if (plist_dict_get_item(dict, usual[i].key))
			continue;
		const char *value = usual[i].variable
			? value_of(variables, usual[i].variable, strlen(usual[i].variable)) : usual[i].text;
		if (value)
			plist_dict_set_item(dict, usual[i].key, plist_new_string(value));
	}
}

static char *
read_whole(const char *path, uint32_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *text = file ? malloc(MAX_PLIST) : NULL;
	size_t n = text ? fread(text, 1, MAX_PLIST, file) : 0;

	if (file)
		(void)fclose(file);
	if (n == 0 || n == MAX_PLIST) {
		free(text);
		return NULL;
	}
	*ret_size = (uint32_t)n;
	return text;
}

int
plist_expand(const char *from, const char *to, const struct plist_variables *variables, char **ret_executable)
{
	struct expansion expansion = { .variables = variables, .file = from };
	uint32_t size = 0;
	char *text = read_whole(from, &size), *xml = NULL, *executable = NULL;
	plist_t root = NULL;

	if (!text) {
		fprintf(stderr, "%s: cannot be read, is empty, or is larger than %u bytes\n", from, MAX_PLIST);
		return 1;
	}
	plist_from_memory(text, size, &root);
	free(text);
	if (!root || plist_get_node_type(root) != PLIST_DICT) {
		fprintf(stderr, "%s: is not a property list with a dictionary on top\n", from);
		plist_free(root);
		return 1;
	}
	expand_node(&expansion, "Info.plist", root, 0);
	add_missing(root, variables);
	plist_t name = plist_dict_get_item(root, "CFBundleExecutable");
	if (name && plist_get_node_type(name) == PLIST_STRING)
		plist_get_string_val(name, &executable);
	if (!executable || !*executable || strchr(executable, '/')) {
		fprintf(stderr, "%s: CFBundleExecutable is not a file name\n", from);
		expansion.n_problems++;
	}
	plist_to_xml(root, &xml, &size);
	FILE *out = expansion.n_problems == 0 ? fopen(to, "we") : NULL;
	if (expansion.n_problems == 0 &&
	    (!xml || !out || fwrite(xml, 1, size, out) != size || fflush(out) != 0)) {
		fprintf(stderr, "%s: cannot be written\n", to);
		expansion.n_problems++;
	}
	if (out)
		(void)fclose(out);
	plist_to_xml_free(xml);
	plist_free(root);
	if (expansion.n_problems == 0)
		*ret_executable = executable;
	else
		free(executable);
	return expansion.n_problems;
}
