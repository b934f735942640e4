/* SPDX-License-Identifier: MIT */
/* The commands that ask dextd: load, unload, list, attach, detach, log, explain. */

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dext/dext.h"

static CFStringRef
string_of(const char *text)
{
	return CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8);
}

static const char *
text_of(CFTypeRef string)
{
	const char *text = string && CFGetTypeID(string) == CFStringGetTypeID()
				   ? CFStringGetCStringPtr(string, kCFStringEncodingUTF8) : NULL;
	return text ? text : "";
}

static CFTypeRef
value_of(CFTypeRef dictionary, const char *key)
{
	CFStringRef name = string_of(key);
	CFTypeRef value = name && CFGetTypeID(dictionary) == CFDictionaryGetTypeID() ? CFDictionaryGetValue(dictionary, name) : NULL;

	if (name)
		CFRelease(name);
	return value;
}

static const char *
text_at(CFTypeRef dictionary, const char *key)
{
	return text_of(value_of(dictionary, key));
}

static int64_t
number_at(CFTypeRef dictionary, const char *key)
{
	CFTypeRef number = value_of(dictionary, key);
	int64_t value = 0;

	if (number && CFGetTypeID(number) == CFNumberGetTypeID())
		(void)CFNumberGetValue(number, kCFNumberSInt64Type, &value);
	return value;
}

static void
release(CFTypeRef object)
{
	if (object)
		CFRelease(object);
}

static void
print_json(CFTypeRef object)
{
	char *text = adx_json(object);

	if (text)
		puts(text);
	free(text);
}

/* ---- load, unload ---- */

static int
load(const char *command, const char *path, kern_return_t (*send)(CFStringRef, CFStringRef *, CFArrayRef *))
{
	CFStringRef string, bundle_id = NULL;
	CFArrayRef problems = NULL;
	char whole[PATH_MAX];
	int status = EXIT_OK;

	/* dextd has another working directory. */
	string = string_of(realpath(path, whole) ? whole : path);
	if (!string)
		return fail(command, "no memory");
	kern_return_t ret = send(string, &bundle_id, &problems);
	for (CFIndex i = 0; problems && i < CFArrayGetCount(problems); i++)
		fprintf(stderr, "%s: %s\n", path, text_of(CFArrayGetValueAtIndex(problems, i)));
	if (ret == kIOReturnSuccess)
		printf("%s\n", text_of(bundle_id));
	else if (problems && CFArrayGetCount(problems) > 0)
		status = fail(command, "%s was not loaded: %ld problems", path, (long)CFArrayGetCount(problems));
	else
		status = fail(command, "%s: %s", path, answer_text(ret));
	release(bundle_id);
	release(problems);
	release(string);
	return status;
}

int
command_load(int argc, char **argv)
{
	int status = EXIT_OK;

	if (argc < 2)
		return usage_of("load", "name a bundle");
	for (int i = 1; i < argc; i++)
		if (load("load", argv[i], adx_bundle_load) != EXIT_OK)
			status = EXIT_FAILED;
	return status;
}

int
command_upgrade(int argc, char **argv)
{
	int status = EXIT_OK;

	if (argc < 2)
		return usage_of("upgrade", "name a bundle");
	for (int i = 1; i < argc; i++)
		if (load("upgrade", argv[i], adx_bundle_upgrade) != EXIT_OK)
			status = EXIT_FAILED;
	return status;
}

int
command_unload(int argc, char **argv)
{
	int status = EXIT_OK;

	if (argc < 2)
		return usage_of("unload", "name a bundle id (dext list shows them)");
	for (int i = 1; i < argc; i++) {
		CFStringRef id = string_of(argv[i]);
		kern_return_t ret = id ? adx_bundle_unload(id) : kIOReturnNoMemory;
		if (ret != kIOReturnSuccess)
			status = fail("unload", "%s: %s", argv[i], ret == kIOReturnNotFound ? "no such bundle is loaded" : answer_text(ret));
		release(id);
	}
	return status;
}

/* ---- quarantine ---- */

int
command_unquarantine(int argc, char **argv)
{
	CFStringRef name = argc > 1 ? string_of(argv[1]) : NULL;
	uint32_t count = 0;

	if (argc > 2)
		return usage_of("unquarantine", "name one bundle or personality, or none for all");
	kern_return_t ret = adx_unquarantine(name, &count);
	release(name);
	if (ret != kIOReturnSuccess)
		return fail("unquarantine", "%s", answer_text(ret));
	if (count == 0 && argc > 1)
		return fail("unquarantine", "nothing of '%s' is in quarantine (dext list bundles shows what is)", argv[1]);
	printf("%u\n", (unsigned)count);
	return EXIT_OK;
}

/* ---- list ---- */

static CFIndex
count_of(CFTypeRef array)
{
	return array && CFGetTypeID(array) == CFArrayGetTypeID() ? CFArrayGetCount(array) : 0;
}

static void
print_restart(CFTypeRef item)
{
	const char *state = text_at(item, "state");

	printf("         personality '%s' on %s: crashed %lld times, ended %lld times; ", text_at(item, "personality"),
	       text_at(item, "provider"), (long long)number_at(item, "crashes"), (long long)number_at(item, "ends"));
	if (strcmp(state, "quarantined") == 0)
		printf("in quarantine (dext unquarantine, or load it again)\n");
	else if (strcmp(state, "waiting") == 0)
		printf("next start in %lld ms\n", (long long)number_at(item, "nextMs"));
	else
		printf("started again\n");
}

static void
print_bundles(CFArrayRef bundles)
{
	for (CFIndex i = 0; i < CFArrayGetCount(bundles); i++) {
		CFTypeRef bundle = CFArrayGetValueAtIndex(bundles, i);
		CFTypeRef restarts = value_of(bundle, "restarts");
		printf("%-40s %-10s %s\n", text_at(bundle, "id"), text_at(bundle, "version"), text_at(bundle, "path"));
		for (CFIndex j = 0; j < count_of(restarts); j++)
			print_restart(CFArrayGetValueAtIndex(restarts, j));
	}
}

static void
print_sandbox(CFTypeRef sandbox)
{
	CFTypeRef active = value_of(sandbox, "active"), missing = value_of(sandbox, "missing"), granted = value_of(sandbox, "granted");

	if (strcmp(text_at(sandbox, "mode"), "off") == 0) {
		printf("         sandbox: OFF\n");
		return;
	}
	printf("         sandbox: %s:", text_at(sandbox, "profile"));
	for (CFIndex i = 0; i < count_of(active); i++)
		printf(" %s", text_of(CFArrayGetValueAtIndex(active, i)));
	for (CFIndex i = 0; i < count_of(missing); i++)
		printf("%s %s (%s)", i == 0 ? "; without" : ",", text_at(CFArrayGetValueAtIndex(missing, i), "layer"),
		       text_at(CFArrayGetValueAtIndex(missing, i), "why"));
	for (CFIndex i = 0; i < count_of(granted); i++)
		printf("%s %s", i == 0 ? "; granted" : ",", text_of(CFArrayGetValueAtIndex(granted, i)));
	if (number_at(sandbox, "denied") > 0)
		printf("; %lld calls denied", (long long)number_at(sandbox, "denied"));
	printf("\n");
}

static void
print_servers(CFArrayRef servers)
{
	for (CFIndex i = 0; i < CFArrayGetCount(servers); i++) {
		CFTypeRef server = CFArrayGetValueAtIndex(servers, i);
		CFTypeRef services = value_of(server, "services");
		printf("%7lld  %-12s %s\n", (long long)number_at(server, "pid"), text_at(server, "state"), text_at(server, "name"));
		if (*text_at(server, "hangs"))
			printf("         hangs: %s\n", text_at(server, "hangs"));
		if (value_of(server, "sandbox"))
			print_sandbox(value_of(server, "sandbox"));
		for (CFIndex j = 0; services && CFGetTypeID(services) == CFArrayGetTypeID() && j < CFArrayGetCount(services); j++) {
			CFTypeRef service = CFArrayGetValueAtIndex(services, j);
			printf("         %#llx %s (%s)\n", (unsigned long long)number_at(service, "id"), text_at(service, "name"),
			       text_at(service, "state"));
		}
	}
}

int
command_list(int argc, char **argv)
{
	bool json = false, bundles = true, servers = true;
	CFArrayRef list = NULL;
	kern_return_t ret = kIOReturnSuccess;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "bundles") == 0)
			servers = false;
		else if (strcmp(argv[i], "servers") == 0)
			bundles = false;
		else
			return usage_of("list", "lists 'bundles' or 'servers', or both");
	}
	CFMutableDictionaryRef all = CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks,
							       &kCFTypeDictionaryValueCallBacks);
	if (!all)
		return fail("list", "no memory");
	for (int i = 0; i < 2 && ret == kIOReturnSuccess; i++) {
		if (!(i == 0 ? bundles : servers))
			continue;
		ret = i == 0 ? adx_copy_bundles(&list) : adx_copy_servers(&list);
		if (ret != kIOReturnSuccess)
			break;
		if (json)
			CFDictionarySetValue(all, i == 0 ? CFSTR("bundles") : CFSTR("servers"), list);
		else if (i == 0)
			print_bundles(list);
		else
			print_servers(list);
		release(list);
	}
	if (json && ret == kIOReturnSuccess)
		print_json(all);
	release(all);
	return ret == kIOReturnSuccess ? EXIT_OK : fail("list", "%s", answer_text(ret));
}

/* ---- attach, detach ---- */

static int
device(const char *command, int argc, char **argv, bool attach)
{
	CFStringRef what, problem = NULL;
	uint64_t entry_id = 0;
	int status = EXIT_OK;

	if (argc != 2)
		return usage_of(command, "name one device, e.g. model:sensor");
	what = string_of(argv[1]);
	if (!what)
		return fail(command, "no memory");
	kern_return_t ret = attach ? adx_device_attach(what, &entry_id, &problem) : adx_device_detach(what, &problem);
	if (ret != kIOReturnSuccess)
		status = fail(command, "%s: %s", argv[1], problem ? text_of(problem) : answer_text(ret));
	else if (attach)
		printf("%#llx\n", (unsigned long long)entry_id);
	release(problem);
	release(what);
	return status;
}

int
command_attach(int argc, char **argv)
{
	return device("attach", argc, argv, true);
}

int
command_detach(int argc, char **argv)
{
	return device("detach", argc, argv, false);
}

/* ---- log ---- */

static void
print_line(CFTypeRef line)
{
	time_t seconds = (time_t)(number_at(line, "time") / 1000000000);
	struct tm tm;
	char when[32];

	(void)localtime_r(&seconds, &tm);
	(void)strftime(when, sizeof when, "%H:%M:%S", &tm);
	/* A line that tells of a rule begins with its id. */
	printf("%s.%03lld %s[%lld] %s\n", when, (long long)(number_at(line, "time") / 1000000 % 1000), text_at(line, "server"),
	       (long long)number_at(line, "pid"), text_at(line, "text"));
}

static long long
wall_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

int
command_log(int argc, char **argv)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' }, { "json", no_argument, NULL, 'j' },
		{ "rules", no_argument, NULL, 'r' },  { "audit", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	const long long asked_at = wall_ns();
	bool follow = false, json = false, rules = false, audit = false, more = true;
	uint64_t after = 0, next = 0;
	CFStringRef server = NULL;
	kern_return_t ret;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "f", options, NULL)) != -1) {
		if (option == 'f')
			follow = true;
		else if (option == 'j')
			json = true;
		else if (option == 'r')
			rules = true;
		else if (option == 'a')
			audit = true;
		else
			return usage_of("log", "wrong option");
	}
	if (audit && (rules || optind < argc))
		return usage_of("log", "--audit goes with neither --rules nor SERVER");
	if (optind < argc)
		server = string_of(argv[optind]);
	do {
		CFArrayRef lines = NULL;
		more = true;
		ret = audit ? adx_copy_audit(after, &lines, &next) : adx_copy_log(after, server, &lines, &next);
		for (CFIndex i = 0; ret == kIOReturnSuccess && i < CFArrayGetCount(lines); i++) {
			CFTypeRef line = CFArrayGetValueAtIndex(lines, i);
			/* Who is written to all the time has no last line: what is newer than the question is not asked for. */
			more = more && (follow || number_at(line, "time") <= asked_at);
			if (!more || (rules && !*text_at(line, "rule")))
				continue;
			if (json)
				print_json(line);
			else
				print_line(line);
		}
		more = more && ret == kIOReturnSuccess && next != after;
		release(lines);
		after = next;
		if (follow && !more) {
			(void)fflush(stdout);
			(void)usleep(100000);
		}
	} while (ret == kIOReturnSuccess && (follow || more));
	release(server);
	return ret == kIOReturnSuccess ? EXIT_OK : fail("log", "%s", answer_text(ret));
}

/* ---- explain ---- */

static void
print_json_text(const char *key, const char *text, bool last)
{
	CFStringRef string = text ? string_of(text) : NULL;
	char *json = string ? adx_json(string) : NULL;

	printf("\"%s\": %s%s", key, json ? json : "null", last ? "" : ", ");
	free(json);
	release(string);
}

static void
print_rule(const struct adx_rule *rule, bool json)
{
	if (json) {
		printf("{");
		print_json_text("id", rule->id, false);
		print_json_text("title", rule->title, false);
		print_json_text("wanted", rule->wanted, false);
		print_json_text("fix", rule->fix, false);
		print_json_text("macos", rule->verdict, false);
		printf("\"strict\": %s}\n", rule->strict ? "true" : "false");
		return;
	}
	printf("%s: %s\n  wanted: %s\n  fix:    %s\n  macOS:  %s\n", rule->id, rule->title, rule->wanted, rule->fix,
	       rule->verdict ? rule->verdict : "the same, or it has no such rule");
	if (rule->strict)
		printf("  With AMBIDEXT_STRICT=macos this fails here too.\n");
}

/* iig's mistakes: the table that the compiler itself tells them by. The row at @p i, or false. */
static bool
iig_rule_at(size_t i, struct adx_rule *ret_rule)
{
#define IIG_ERROR(number, name, wanted, fix) { number, #name, wanted, fix },
	static const struct {
		int number;
		const char *title, *wanted, *fix;
	} rows[] = {
#include "iig/errors.def"
	};
#undef IIG_ERROR
	static char id[16];

	if (i >= sizeof rows / sizeof rows[0])
		return false;
	snprintf(id, sizeof id, "IIG%03d", rows[i].number);
	*ret_rule = (struct adx_rule){ .id = id, .title = rows[i].title, .wanted = rows[i].wanted, .fix = rows[i].fix };
	return true;
}

static bool
iig_rule_find(const char *id, struct adx_rule *ret_rule)
{
	for (size_t i = 0; iig_rule_at(i, ret_rule); i++)
		if (strcasecmp(ret_rule->id, id) == 0)
			return true;
	return false;
}

int
command_explain(int argc, char **argv)
{
	struct adx_rule rule;
	bool json = false;
	int status = EXIT_OK, n = 0;

	for (int i = 1; i < argc; i++)
		json = json || strcmp(argv[i], "--json") == 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			continue;
		n++;
		if (adx_rule_find(argv[i], &rule) < 0 && !iig_rule_find(argv[i], &rule))
			status = fail("explain", "there is no rule '%s'; `dext explain` lists them all", argv[i]);
		else
			print_rule(&rule, json);
	}
	for (unsigned i = 0; n == 0 && adx_rule_at(i, &rule) == 0; i++) {
		if (json)
			print_rule(&rule, true);
		else
			printf("%-8s %s\n", rule.id, rule.title);
	}
	for (size_t i = 0; n == 0 && iig_rule_at(i, &rule); i++) {
		if (json)
			print_rule(&rule, true);
		else
			printf("%-8s %s\n", rule.id, rule.wanted);
	}
	return status;
}
