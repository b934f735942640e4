/* SPDX-License-Identifier: MIT */
/* Which users may open which services. */

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/rules.h"
#include "dextd/access.h"
#include "dextd/realm.h"

enum whom { EVERYONE, USER, GROUP };

struct who {
	enum whom whom;
	unsigned id; /* not of EVERYONE */
};

#define WHO_MAX 64u

struct rule {
	struct adxi_list link;   /* in access->rules */
	char *bundle;            /* owned; NULL: any */
	char *class_name;        /* owned; NULL: any */
	struct who who[WHO_MAX]; /* none: nobody but owner and root */
	size_t n_who;
};

struct access {
	struct adxi_list rules; /* of the policy, in its order */
	struct rule otherwise;  /* not in the list */
};

/* ---------------------------------------------------------------------------------------------
 * Rules
 */

static int
parse_id(const char *text, unsigned *ret_id)
{
	unsigned long id;
	char *end;

	errno = 0;
	id = strtoul(text, &end, 10);
	/* The last number means "no change" to the kernel. */
	if (errno || *end || end == text || *text == '-' || id >= (unsigned)-1)
		return -EINVAL;
	*ret_id = (unsigned)id;
	return 0;
}

static int
parse_who(const char *text, struct who *ret_who, char *ret_why, size_t why_size)
{
	const struct passwd *user;
	const struct group *group;
	struct who who = { EVERYONE, 0 };

	if (!strcmp(text, "everyone")) {
		*ret_who = who;
		return 0;
	}
	if (!strncmp(text, "user:", 5)) {
		who.whom = USER;
		if (parse_id(text + 5, &who.id) < 0) {
			user = getpwnam(text + 5);
			if (!user) {
				(void)snprintf(ret_why, why_size, "there is no user '%s'",
					       text + 5);
				return -EINVAL;
			}
			who.id = user->pw_uid;
		}
	} else if (!strncmp(text, "group:", 6)) {
		who.whom = GROUP;
		if (parse_id(text + 6, &who.id) < 0) {
			group = getgrnam(text + 6);
			if (!group) {
				(void)snprintf(ret_why, why_size, "there is no group '%s'",
					       text + 6);
				return -EINVAL;
			}
			who.id = group->gr_gid;
		}
	} else {
		(void)snprintf(ret_why, why_size,
			       "'everyone', 'user:NAME' or 'group:NAME' is wanted, not '%s'", text);
		return -EINVAL;
	}
	*ret_who = who;
	return 0;
}

static int
rule_add_who(struct rule *rule, const char *text, char *ret_why, size_t why_size)
{
	if (rule->n_who == WHO_MAX) {
		(void)snprintf(ret_why, why_size, "at most %u users and groups may be named",
			       WHO_MAX);
		return -EINVAL;
	}
	if (parse_who(text, &rule->who[rule->n_who], ret_why, why_size) < 0)
		return -EINVAL;
	rule->n_who++;
	return 0;
}

static void
rule_free(struct rule *rule)
{
	adxi_list_remove(&rule->link);
	free(rule->bundle);
	free(rule->class_name);
	free(rule);
}

int
access_new(struct access **ret_access)
{
	struct access *access = calloc(1, sizeof *access);

	if (!access)
		return -ENOMEM;
	adxi_list_init(&access->rules);
	adxi_list_init(&access->otherwise.link);
	*ret_access = access;
	return 0;
}

struct access *
access_free(struct access *access)
{
	struct rule *rule, *next;

	if (!access)
		return NULL;
	ADXI_LIST_EACH_SAFE(rule, next, &access->rules, link)
		rule_free(rule);
	free(access);
	return NULL;
}

int
access_open_to(struct access *access, const char *who, char *ret_why, size_t why_size)
{
	return rule_add_who(&access->otherwise, who, ret_why, why_size);
}

/* ---------------------------------------------------------------------------------------------
 * Policy
 */

struct reading {
	struct rule *rule;
	char *why; /* borrowed */
	size_t why_size;
	bool failed;
};

static bool
read_who(void *context, const OSObject *value)
{
	struct reading *reading = context;
	const char *text = value_cstr(value);

	if (!text)
		(void)snprintf(reading->why, reading->why_size,
			       "OpenTo holds a %s, strings are wanted", value_type(value));
	reading->failed =
		!text || rule_add_who(reading->rule, text, reading->why, reading->why_size) < 0;
	return reading->failed;
}

static bool
read_name(struct reading *reading, const char *key, const OSObject *value, char **ret_name)
{
	const char *text = value_cstr(value);

	if (!text) {
		(void)snprintf(reading->why, reading->why_size, "%s is a %s, a string is wanted",
			       key, value_type(value));
		return false;
	}
	*ret_name = strdup(text);
	return *ret_name != NULL;
}

static bool
read_key(void *context, const char *key, const OSObject *value)
{
	struct reading *reading = context;

	if (!strcmp(key, "Bundle")) {
		reading->failed = !read_name(reading, key, value, &reading->rule->bundle);
	} else if (!strcmp(key, "Class")) {
		reading->failed = !read_name(reading, key, value, &reading->rule->class_name);
	} else if (!strcmp(key, "OpenTo")) {
		if (value_as(OSArray, value))
			(void)value_each_member(value, read_who, reading);
		else
			(void)read_who(reading, value);
	} else {
		(void)snprintf(reading->why, reading->why_size,
			       "'%s' is not known; Bundle, Class and OpenTo are", key);
		reading->failed = true;
	}
	return reading->failed;
}

static int
read_rule(const OSObject *value, struct rule **ret_rule, char *ret_why, size_t why_size)
{
	const OSDictionary *dict = value_as(OSDictionary, value);
	struct reading reading = { .why = ret_why, .why_size = why_size };

	if (!dict || !value_get(dict, "OpenTo")) {
		(void)snprintf(ret_why, why_size, "a dictionary with OpenTo is wanted");
		return -EINVAL;
	}
	reading.rule = calloc(1, sizeof *reading.rule);
	if (!reading.rule)
		return -ENOMEM;
	adxi_list_init(&reading.rule->link);
	(void)value_each(dict, read_key, &reading);
	if (reading.failed) {
		rule_free(reading.rule);
		return -EINVAL;
	}
	*ret_rule = reading.rule;
	return 0;
}

int
access_read_policy(struct access *access, const OSObject *rules, char *ret_why, size_t why_size)
{
	struct adxi_list read;
	struct rule *rule, *next;
	char why[160] = "no memory";
	uint32_t i;
	int r = 0;

	adxi_list_init(&read);
	if (!value_as(OSArray, rules)) {
		(void)snprintf(ret_why, why_size, "Access is a %s, an array is wanted",
			       value_type(rules));
		return -EINVAL;
	}
	for (i = 0; r == 0 && i < value_count(rules); i++) {
		r = read_rule(value_at(rules, i), &rule, why, sizeof why);
		if (r == 0)
			adxi_list_append(&read, &rule->link);
		else
			(void)snprintf(ret_why, why_size, "rule %u of Access: %s", i + 1, why);
	}
	ADXI_LIST_EACH_SAFE(rule, next, &read, link) {
		if (r < 0) {
			rule_free(rule);
		} else {
			adxi_list_remove(&rule->link);
			adxi_list_append(&access->rules, &rule->link);
		}
	}
	return r;
}

bool
access_is_for_others(const struct access *access)
{
	const struct rule *rule;

	ADXI_LIST_EACH(rule, &access->rules, link)
		if (rule->n_who)
			return true;
	return access->otherwise.n_who > 0;
}

/* ---------------------------------------------------------------------------------------------
 * Checks
 */

static bool
is_who(const struct who *who, const struct connection *connection)
{
	size_t i;

	switch (who->whom) {
	case EVERYONE:
		return true;
	case USER:
		return who->id == connection->uid;
	case GROUP:
		break;
	}
	for (i = 0; i < connection->n_groups; i++)
		if (who->id == connection->groups[i])
			return true;
	return false;
}

static bool
names(const struct rule *rule, const struct entry *entry)
{
	const char *id;

	if (rule->bundle) {
		id = entry_property_cstr(entry, "CFBundleIdentifier");
		if (!id || strcmp(id, rule->bundle))
			return false;
	}
	return !rule->class_name || entry_conforms(entry, rule->class_name);
}

/* "everyone", "user 7, group 8" */
static void
describe(const struct rule *rule, char *buf, size_t size)
{
	char one[32];
	size_t i;

	(void)snprintf(buf, size, "%s", rule->n_who ? "" : "nobody");
	for (i = 0; i < rule->n_who; i++) {
		if (rule->who[i].whom == EVERYONE)
			(void)snprintf(one, sizeof one, "everyone");
		else
			(void)snprintf(one, sizeof one, "%s %u",
				       rule->who[i].whom == USER ? "user" : "group",
				       rule->who[i].id);
		if (strlen(buf) + strlen(one) + 3 > size)
			return;
		if (i)
			strcat(buf, ", ");
		strcat(buf, one);
	}
}

IOReturn
access_check(const struct connection *connection, const struct entry *entry)
{
	static const struct rule nobody;
	const struct access *access = connection->realm->config.access;
	const struct rule *rule = access ? &access->otherwise : &nobody, *candidate;
	char allowed[256];
	size_t i;

	if (connection_is_owner(connection))
		return kIOReturnSuccess;
	if (access) {
		ADXI_LIST_EACH(candidate, &access->rules, link) {
			if (names(candidate, entry)) {
				rule = candidate;
				break;
			}
		}
	}
	for (i = 0; i < rule->n_who; i++)
		if (is_who(&rule->who[i], connection))
			return kIOReturnSuccess;
	describe(rule, allowed, sizeof allowed);
	adxi_tell(ADXI_RULE_ACC001,
		  "pid %d of user %u may not open %s; besides user %u and root, %s may, as %s says",
		  connection->pid, connection->uid, entry_text(entry), (unsigned)geteuid(), allowed,
		  !access || rule == &access->otherwise ? "--open-to" : "the policy");
	return kIOReturnNotPermitted;
}
