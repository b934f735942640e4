/* SPDX-License-Identifier: MIT */
/* dext crash: what drivers left behind when they ended badly. Reads the realm's folder; needs no dextd. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/crash_record.h"
#include "dext/backtrace.h"
#include "dext/dext.h"

#define INFO_MAX 24u
#define LOG_MAX  (1u << 20)

struct pair {
	char key[32], value[512];
};

struct crash {
	unsigned long long id;
	struct pair info[INFO_MAX];
	unsigned n_info;
	char *log;                   /* owned; NULL: none */
	struct crash_record *record; /* owned; NULL: none, or not one */
	struct backtrace_frame frames[BACKTRACE_FRAMES];
	unsigned n_frames;
};

/* ---- reading ---- */

/* What a driver wrote: cut at the field's end, and nothing in it moves a terminal's cursor. */
static const char *
clean(char *to, size_t size, const char *field, size_t field_size)
{
	size_t n = strnlen(field, field_size);

	if (n >= size)
		n = size - 1;
	for (size_t i = 0; i < n; i++)
		to[i] = field[i] >= ' ' && field[i] < 127 ? field[i] : '?';
	to[n] = '\0';
	return to;
}

/* A file of the folder, with a NUL behind it. Owned; NULL: not there, or larger. */
static char *
read_file(int folder, const char *name, size_t max, size_t *ret_size)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *data = fd >= 0 ? malloc(max + 1) : NULL;
	size_t size = 0;
	ssize_t r = 1;

	while (data && r > 0 && size < max) {
		r = read(fd, data + size, max - size);
		size += r > 0 ? (size_t)r : 0;
	}
	if (fd >= 0)
		close(fd);
	if (data)
		data[size] = '\0';
	*ret_size = size;
	return data;
}

static const char *
info_of(const struct crash *crash, const char *key)
{
	for (unsigned i = 0; i < crash->n_info; i++)
		if (strcmp(crash->info[i].key, key) == 0)
			return crash->info[i].value;
	return "";
}

static void
parse_info(struct crash *crash, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line && crash->n_info < INFO_MAX; line = strtok_r(NULL, "\n", &save)) {
		struct pair *pair = &crash->info[crash->n_info];
		char *colon = strstr(line, ": ");
		if (!colon || (size_t)(colon - line) >= sizeof pair->key)
			continue;
		*colon = '\0';
		(void)snprintf(pair->key, sizeof pair->key, "%s", line);
		(void)snprintf(pair->value, sizeof pair->value, "%s", colon + 2);
		crash->n_info++;
	}
}

static void
crash_done(struct crash *crash)
{
	free(crash->log);
	free(crash->record);
	*crash = (struct crash){ 0 };
}

/* @p whole: with log, record and backtrace. */
static bool
read_crash(int crashes, unsigned long long id, bool whole, struct crash *crash)
{
	char name[24], *info;
	size_t size;
	int folder;

	*crash = (struct crash){ .id = id };
	(void)snprintf(name, sizeof name, "%llu", id);
	folder = openat(crashes, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return false;
	info = read_file(folder, "info", 16384, &size);
	if (info)
		parse_info(crash, info);
	free(info);
	if (whole) {
		crash->log = read_file(folder, "log", LOG_MAX, &size);
		crash->record = (struct crash_record *)(void *)read_file(folder, "record", CRASH_RECORD_SIZE, &size);
		if (crash->record && (size != CRASH_RECORD_SIZE || crash->record->magic != CRASH_RECORD_MAGIC ||
				      crash->record->size != sizeof *crash->record)) {
			free(crash->record);
			crash->record = NULL;
		}
		if (crash->record && crash->record->state != CRASH_NOTHING)
			crash->n_frames = backtrace_of(crash->record, crash->frames);
	}
	close(folder);
	return crash->n_info > 0;
}

static int
compare(const void *a, const void *b)
{
	const unsigned long long *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Numbers that are there, oldest first. */
static unsigned
list_ids(const char *path, unsigned long long *ids, unsigned max)
{
	DIR *folder = opendir(path);
	const struct dirent *item;
	unsigned n = 0;

	while (folder && n < max && (item = readdir(folder))) {
		char *end;
		unsigned long long id = strtoull(item->d_name, &end, 10);
		if (id && !*end)
			ids[n++] = id;
	}
	if (folder)
		closedir(folder);
	qsort(ids, n, sizeof *ids, compare);
	return n;
}

/* ---- as text ---- */

static const char *
time_text(const struct crash *crash, char *text, size_t size)
{
	time_t seconds = (time_t)(strtoull(info_of(crash, "time-ns"), NULL, 10) / 1000000000);
	struct tm tm;

	(void)localtime_r(&seconds, &tm);
	(void)strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm);
	return text;
}

static void
print_frames(const struct crash *crash)
{
	bool other = false;

	for (unsigned i = 0; i < crash->n_frames; i++) {
		const struct backtrace_frame *frame = &crash->frames[i];
		char module[200];
		const char *slash = strrchr(clean(module, sizeof module, frame->module, sizeof frame->module), '/');
		printf("  #%-2u %#018llx %s%s%s%s (%s+%#llx)\n", i, (unsigned long long)frame->address,
		       *frame->function ? frame->function : "?", *frame->source ? " at " : "", frame->source,
		       frame->other_build ? " !" : "", slash ? slash + 1 : module, (unsigned long long)frame->offset);
		other = other || frame->other_build;
	}
	if (other)
		printf("  !: the file is not the one that crashed; the name may be wrong\n");
}

static void
print_registers(const struct crash_record *record)
{
	static const char *const names[] = { "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
					     "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip", "flags" };

	for (uint32_t i = 0; i < record->n_registers && i < sizeof names / sizeof *names; i++)
		printf("  %-5s %#018llx%s", names[i], (unsigned long long)record->registers[i], i % 3 == 2 ? "\n" : "");
}

static void
print_messages(const struct crash_record *record)
{
	const struct crash_place *place;
	char method[CRASH_NAME], client[CRASH_NAME];
	uint32_t n, mine = record->crashed_place - 1;

	if (mine < CRASH_PLACES) {
		place = &record->places[mine];
		n = place->n_entered < CRASH_RING ? place->n_entered : CRASH_RING;
		printf("last methods of this thread (%u in all), newest first:\n", place->n_entered);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t at = (place->n_entered - 1 - i) % CRASH_RING;
			printf("  %s", clean(method, sizeof method, record->methods[at], CRASH_NAME));
			if (place->ring[at].client)
				printf(", selector %llu of a %s", (unsigned long long)place->ring[at].selector,
				       clean(client, sizeof client, record->clients[at], CRASH_NAME));
			printf("\n");
		}
	}
	for (uint32_t i = 0; i < CRASH_PLACES; i++)
		if (i != mine && record->places[i].tid && record->places[i].n_entered)
			printf("thread %d: last %s\n", (int)record->places[i].tid, clean(method, sizeof method, record->last[i], CRASH_NAME));
}

static void
print_record(const struct crash_record *record)
{
	char text[1100];

	printf("signal %d, code %d", record->signal, record->code);
	if (record->code > 0) /* else somebody sent it */
		printf(", address 0x%llx", (unsigned long long)record->address);
	printf(", thread %d '%s'\n", record->tid, clean(text, sizeof text, record->thread_name, sizeof record->thread_name));
	if (record->where[0])
		printf("in %s\n", clean(text, sizeof text, record->where, sizeof record->where));
	if (record->abort_message[0])
		printf("aborted with: %s\n", clean(text, sizeof text, record->abort_message, sizeof record->abort_message));
	if (record->no_memory)
		printf("no memory could be mapped any more\n");
}

/* Bytes of the map, to standard output; what is no text becomes '?'. */
static void
print_maps(const struct crash_record *record)
{
	uint32_t size = record->maps_size < CRASH_MAPS ? record->maps_size : CRASH_MAPS;

	if (size == 0)
		return;
	printf("memory map:\n  ");
	for (uint32_t i = 0; i < size; i++) {
		char c = record->maps[i];
		if (c == '\n' && i + 1 < size)
			printf("\n  ");
		else if (c != '\n')
			putchar(c >= ' ' && c < 127 ? c : '?');
	}
	printf("\n");
}

static void
print_log(const char *log)
{
	const char *end;

	printf("last lines:\n");
	for (; log && *log; log = end + 1) {
		end = strchrnul(log, '\n');
		printf("  %.*s\n", (int)(end - log), log);
		if (!*end)
			break;
	}
}

static void
print_build_id(const struct crash_record *record)
{
	const struct crash_module *module = &record->modules[0];

	if (record->n_modules == 0 || module->build_id_size == 0 || module->build_id_size > sizeof module->build_id)
		return;
	printf(", build-id ");
	for (uint32_t i = 0; i < module->build_id_size; i++)
		printf("%02x", module->build_id[i]);
}

static void
print_crash(const struct crash *crash, bool maps)
{
	char text[64];

	printf("incident %llu: %s, %s\n%s\n", crash->id, info_of(crash, "how"), time_text(crash, text, sizeof text),
	       info_of(crash, "text"));
	printf("%s, version %s, %s", *info_of(crash, "bundle") ? info_of(crash, "bundle") : info_of(crash, "server"),
	       *info_of(crash, "bundle-version") ? info_of(crash, "bundle-version") : "?", info_of(crash, "executable"));
	if (crash->record)
		print_build_id(crash->record);
	printf("\n");
	if (crash->record && crash->record->state != CRASH_NOTHING) {
		print_record(crash->record);
		printf("backtrace:\n");
		print_frames(crash);
		printf("registers:\n");
		print_registers(crash->record);
		print_messages(crash->record);
	}
	print_log(crash->log);
	if (maps && crash->record)
		print_maps(crash->record);
}

/* ---- as JSON ---- */

static void
set_text(CFMutableDictionaryRef dict, const char *key, const char *text)
{
	CFStringRef name = CFStringCreateWithCString(NULL, key, kCFStringEncodingUTF8);
	CFStringRef value = CFStringCreateWithCString(NULL, text, kCFStringEncodingUTF8);

	if (name && value)
		CFDictionarySetValue(dict, name, value);
	if (name)
		CFRelease(name);
	if (value)
		CFRelease(value);
}

static void
set_hex(CFMutableDictionaryRef dict, const char *key, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof text, "%#llx", (unsigned long long)number);
	set_text(dict, key, text);
}

static CFMutableDictionaryRef
dict_new(void)
{
	return CFDictionaryCreateMutable(NULL, 0, &kCFTypeDictionaryKeyCallBacks, &kCFTypeDictionaryValueCallBacks);
}

static void
add_new(CFMutableArrayRef array, CFMutableDictionaryRef dict)
{
	CFArrayAppendValue(array, dict);
	CFRelease(dict);
}

static void
set_new(CFMutableDictionaryRef dict, CFStringRef key, CFTypeRef value)
{
	CFDictionarySetValue(dict, key, value);
	CFRelease(value);
}

static CFMutableArrayRef
json_frames(const struct crash *crash)
{
	CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);

	for (unsigned i = 0; array && i < crash->n_frames; i++) {
		const struct backtrace_frame *frame = &crash->frames[i];
		CFMutableDictionaryRef dict = dict_new();
		char module[200];
		set_hex(dict, "address", frame->address);
		set_hex(dict, "offset", frame->offset);
		set_text(dict, "function", frame->function);
		set_text(dict, "source", frame->source);
		set_text(dict, "module", clean(module, sizeof module, frame->module, sizeof frame->module));
		add_new(array, dict);
	}
	return array;
}

static CFMutableArrayRef
json_methods(const struct crash_record *record)
{
	CFMutableArrayRef array = CFArrayCreateMutable(NULL, 0, &kCFTypeArrayCallBacks);
	uint32_t mine = record->crashed_place - 1;

	for (uint32_t i = 0; array && mine < CRASH_PLACES && i < CRASH_RING && i < record->places[mine].n_entered; i++) {
		const struct crash_place *place = &record->places[mine];
		uint32_t at = (place->n_entered - 1 - i) % CRASH_RING;
		CFMutableDictionaryRef dict = dict_new();
		char text[CRASH_NAME];
		set_text(dict, "method", clean(text, sizeof text, record->methods[at], CRASH_NAME));
		if (place->ring[at].client) {
			set_text(dict, "client", clean(text, sizeof text, record->clients[at], CRASH_NAME));
			set_hex(dict, "selector", place->ring[at].selector);
		}
		add_new(array, dict);
	}
	return array;
}

static void
print_json(const struct crash *crash)
{
	CFMutableDictionaryRef dict = dict_new();
	char text[1100], *json;

	if (!dict)
		return;
	for (unsigned i = 0; i < crash->n_info; i++)
		set_text(dict, crash->info[i].key, crash->info[i].value);
	if (crash->log)
		set_text(dict, "log", crash->log);
	if (crash->record && crash->record->state != CRASH_NOTHING) {
		const struct crash_record *record = crash->record;
		set_hex(dict, "address", record->address);
		set_text(dict, "where", clean(text, sizeof text, record->where, sizeof record->where));
		set_text(dict, "thread", clean(text, sizeof text, record->thread_name, sizeof record->thread_name));
		set_text(dict, "abort-message", clean(text, sizeof text, record->abort_message, sizeof record->abort_message));
		set_text(dict, "no-memory", record->no_memory ? "yes" : "no");
		set_new(dict, CFSTR("backtrace"), json_frames(crash));
		set_new(dict, CFSTR("methods"), json_methods(record));
	}
	json = adx_json(dict);
	if (json)
		puts(json);
	free(json);
	CFRelease(dict);
}

/* ---- for dext realm run ---- */

static unsigned long long all_ids[4096];

static unsigned
open_crashes(const char *realm, int *ret_folder)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/crashes", realm);
	*ret_folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_folder < 0 ? 0 : list_ids(path, all_ids, sizeof all_ids / sizeof *all_ids);
}

uint64_t
crash_newest(const char *realm)
{
	int folder;
	unsigned n = open_crashes(realm, &folder);

	if (folder >= 0)
		close(folder);
	return n ? all_ids[n - 1] : 0;
}

unsigned
crash_count(const char *realm, uint64_t after)
{
	int folder;
	unsigned n = open_crashes(realm, &folder), newer = 0;

	for (unsigned i = 0; i < n; i++)
		newer += all_ids[i] > after;
	if (folder >= 0)
		close(folder);
	return newer;
}

void
crash_show_all(const char *realm, uint64_t after, unsigned max)
{
	static struct crash crash;
	int folder;
	unsigned n = open_crashes(realm, &folder);

	for (unsigned i = 0; i < n && max > 0; i++) {
		if (all_ids[i] <= after || !read_crash(folder, all_ids[i], true, &crash))
			continue;
		print_crash(&crash, false);
		crash_done(&crash);
		max--;
	}
	if (folder >= 0)
		close(folder);
}

void
crash_remove_all(const char *realm)
{
	static const char *const files[] = { "info", "log", "record" };
	int folder;
	unsigned n = open_crashes(realm, &folder);
	char path[PATH_MAX];

	if (folder < 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < sizeof files / sizeof *files; j++) {
			(void)snprintf(path, sizeof path, "%llu/%s", all_ids[i], files[j]);
			(void)unlinkat(folder, path, 0);
		}
		(void)snprintf(path, sizeof path, "%llu", all_ids[i]);
		(void)unlinkat(folder, path, AT_REMOVEDIR);
	}
	close(folder);
	(void)snprintf(path, sizeof path, "%s/crashes", realm);
	(void)rmdir(path);
}

/* ---- the command ---- */

int
command_crash(int argc, char **argv)
{
	static struct crash crash;
	const char *realm = getenv("AMBIDEXT_REALM"), *wanted = NULL, *what = argc > 1 ? argv[1] : "";
	bool json = false, maps = false;
	int crashes, status = EXIT_OK;
	char path[PATH_MAX], when[64];

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--maps") == 0)
			maps = true;
		else if (*argv[i] == '-' || wanted)
			return usage_of("crash", "wrong option, or more than one number");
		else
			wanted = argv[i];
	}
	if ((strcmp(what, "list") != 0 && strcmp(what, "show") != 0) || (wanted && *what == 'l'))
		return usage_of("crash", "say 'list', or 'show' and perhaps a number of the list");
	(void)snprintf(path, sizeof path, "%s/crashes", realm && *realm ? realm : "/run/ambidext");
	crashes = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (crashes < 0 && errno != ENOENT)
		return fail("crash", "%s: %s", path, strerror(errno));
	unsigned n = crashes < 0 ? 0 : list_ids(path, all_ids, sizeof all_ids / sizeof *all_ids);
	if (*what == 'l') {
		for (unsigned i = 0; i < n; i++) {
			if (read_crash(crashes, all_ids[i], false, &crash) && json)
				print_json(&crash);
			else if (crash.n_info)
				printf("%6llu  %s  %-7s %s\n", all_ids[i], time_text(&crash, when, sizeof when), info_of(&crash, "how"),
				       info_of(&crash, "text"));
			crash_done(&crash);
		}
	} else {
		unsigned long long id = wanted ? strtoull(wanted, NULL, 10) : n ? all_ids[n - 1] : 0;
		if (id == 0 || !read_crash(crashes, id, true, &crash))
			status = fail("crash", "%s: no such incident (dext crash list)", wanted ? wanted : "none has happened");
		else if (json)
			print_json(&crash);
		else
			print_crash(&crash, maps);
		if (id)
			crash_done(&crash);
	}
	if (crashes >= 0)
		close(crashes);
	return status;
}
