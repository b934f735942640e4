/* SPDX-License-Identifier: MIT */
#include "base/rules.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { TELL_LINE_LEN = 1536, TELL_REPEATS_SHOWN = 10, TELL_SEEN = 512 };

static const struct adxi_rule_info rule_table[ADXI_RULE_COUNT] = {
#define RULE(id_, title_, wanted_, fix_, verdict_, strict_)                                        \
	[ADXI_RULE_##id_] = {#id_, title_, wanted_, fix_, verdict_, strict_},
#include "base/rules.def"
#undef RULE
};

/* Guards the sink and the counts; no sink is called with it held. */
static pthread_mutex_t tell_lock = PTHREAD_MUTEX_INITIALIZER;
static adxi_tell_sink *tell_sink;
static void *tell_context;
static bool tell_started;

/* How often a text was told. Two texts that fall on one place push each other out: then a repeat
 * too many is shown, never one too few. */
static struct tell_seen {
	uint64_t hash;
	uint64_t count;
} tell_seen[TELL_SEEN];

static _Thread_local char tell_last[TELL_LINE_LEN];

const struct adxi_rule_info *
adxi_rule_info(enum adxi_rule rule)
{
	static const struct adxi_rule_info unknown = {"T0", "", "", "", NULL, false};

	return (unsigned)rule < ADXI_RULE_COUNT ? &rule_table[rule] : &unknown;
}

const struct adxi_rule_info *
adxi_rule_find(const char *id)
{
	unsigned i;

	for (i = 0; id && i < ADXI_RULE_COUNT; i++)
		if (!strcasecmp(rule_table[i].id, id))
			return &rule_table[i];
	return NULL;
}

static pthread_once_t strict_once = PTHREAD_ONCE_INIT;
static bool strict_on;

static void
strict_read(void)
{
	const char *text = getenv("AMBIDEXT_STRICT");

	strict_on = text && !strcmp(text, "macos");
}

bool
adxi_strict(void)
{
	(void)pthread_once(&strict_once, strict_read);
	return strict_on;
}

static pthread_once_t patience_once = PTHREAD_ONCE_INIT;
static uint64_t patience_ns;

static void
patience_read(void)
{
	const char *text = getenv("AMBIDEXT_PATIENCE_MS");
	unsigned long ms = text ? strtoul(text, NULL, 10) : 0;

	patience_ns = (ms ? ms : 5000u) * 1000000ull;
}

uint64_t
adxi_patience_ns(void)
{
	(void)pthread_once(&patience_once, patience_read);
	return patience_ns;
}

static void
tell_stderr(void *context, const char *rule_id, const char *line)
{
	char text[TELL_LINE_LEN + 1];
	int len;
	ssize_t r;

	len = snprintf(text, sizeof text, "%s\n", line);
	r = write(STDERR_FILENO, text, len < (int)sizeof text ? (size_t)len : sizeof text - 1);
	(void)r; /* nowhere else to say it */
}

void
adxi_tell_set_sink(adxi_tell_sink *sink, void *context)
{
	(void)pthread_mutex_lock(&tell_lock);
	tell_started = true;
	tell_sink = sink;
	tell_context = context;
	(void)pthread_mutex_unlock(&tell_lock);
}

static uint64_t
tell_count_locked(enum adxi_rule rule, const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)rule;
	struct tell_seen *seen;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	seen = &tell_seen[hash % TELL_SEEN];
	if (seen->hash != hash)
		*seen = (struct tell_seen){.hash = hash};
	return ++seen->count;
}

/* The first ten, then each power of ten. */
static bool
tell_is_shown(uint64_t count)
{
	if (count <= TELL_REPEATS_SHOWN)
		return true;
	while (count % 10 == 0)
		count /= 10;
	return count == 1;
}

bool
adxi_tell(enum adxi_rule rule, const char *fmt, ...)
{
	const struct adxi_rule_info *info = adxi_rule_info(rule);
	char found[TELL_LINE_LEN / 2], repeats[48] = "";
	adxi_tell_sink *sink;
	uint64_t count;
	void *context;
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vsnprintf(found, sizeof found, fmt, ap) < 0)
		found[0] = '\0';
	va_end(ap);
	for (p = found; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';

	(void)pthread_mutex_lock(&tell_lock);
	if (!tell_started) {
		const char *text = getenv("AMBIDEXT_EXPLAIN");

		tell_started = true;
		if (text && !strcmp(text, "stderr"))
			tell_sink = tell_stderr;
	}
	count = tell_count_locked(rule, found);
	sink = tell_sink;
	context = tell_context;
	(void)pthread_mutex_unlock(&tell_lock);

	if (count >= TELL_REPEATS_SHOWN)
		(void)snprintf(repeats, sizeof repeats, " (told %llu times)",
			       (unsigned long long)count);
	/* Cut when longer: what was found comes first. */
	if (snprintf(tell_last, sizeof tell_last, "[%s] %s%s; %s%s%s%s", info->id, found, repeats,
		     info->fix, info->verdict ? " [macOS: " : "",
		     info->verdict ? info->verdict : "", info->verdict ? "]" : "") < 0)
		tell_last[0] = '\0';
	if (sink && tell_is_shown(count))
		sink(context, info->id, tell_last);
	return info->strict && adxi_strict();
}

const char *
adxi_told_last(void)
{
	return tell_last;
}
