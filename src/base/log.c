/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOG_TOPICS_MAX = 32, LOG_TOPIC_LEN = 32, LOG_LINE_LEN = 2048 };

static const char *const level_names[] = {
	[ADXI_LOG_NONE] = "none", [ADXI_LOG_ERROR] = "error", [ADXI_LOG_WARNING] = "warning",
	[ADXI_LOG_INFO] = "info", [ADXI_LOG_DEBUG] = "debug", [ADXI_LOG_TRACE] = "trace",
};

struct topic {
	char name[LOG_TOPIC_LEN]; /* without the ".*" */
	size_t len;
	bool prefix;
	enum adxi_log_level level;
};

int adxi_log_highest = -1;

/* Guards everything below; a leaf lock. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static bool log_parsed;
static struct topic log_topics[LOG_TOPICS_MAX];
static unsigned log_n_topics;
static enum adxi_log_level log_default = ADXI_LOG_NONE;
static bool log_default_from_user;
static char log_program[32] = "ambidext";
static int log_fd = STDERR_FILENO;

static int
level_from_name(const char *name, size_t len)
{
	int i;

	if (len == 1 && name[0] >= '0' && name[0] <= '5')
		return name[0] - '0';
	for (i = ADXI_LOG_NONE; i <= ADXI_LOG_TRACE; i++)
		if (strlen(level_names[i]) == len && !strncmp(level_names[i], name, len))
			return i;
	return -1;
}

static void
parse_pair(const char *pair, size_t len)
{
	const char *colon = memchr(pair, ':', len);
	struct topic *topic;
	size_t name_len;
	int level;

	if (!colon) {
		level = level_from_name(pair, len);
		if (level >= 0) {
			log_default = (enum adxi_log_level)level;
			log_default_from_user = true;
		}
		return;
	}
	name_len = (size_t)(colon - pair);
	level = level_from_name(colon + 1, len - name_len - 1);
	if (level < 0 || log_n_topics == LOG_TOPICS_MAX || name_len >= LOG_TOPIC_LEN)
		return;
	topic = &log_topics[log_n_topics++];
	if (name_len >= 2 && !strncmp(pair + name_len - 2, ".*", 2)) {
		topic->prefix = true;
		name_len -= 2;
	} else if (name_len && pair[name_len - 1] == '*') {
		topic->prefix = true;
		name_len -= 1;
	}
	memcpy(topic->name, pair, name_len);
	topic->len = name_len;
	topic->level = (enum adxi_log_level)level;
}

static void
publish_highest(void)
{
	int highest = log_default;
	unsigned i;

	for (i = 0; i < log_n_topics; i++)
		if ((int)log_topics[i].level > highest)
			highest = log_topics[i].level;
	__atomic_store_n(&adxi_log_highest, highest, __ATOMIC_RELAXED);
}

static void
parse_locked(void)
{
	const char *text = getenv("AMBIDEXT_LOG");

	if (log_parsed)
		return;
	log_parsed = true;
	while (text && *text) {
		size_t len = strcspn(text, ",");

		if (len)
			parse_pair(text, len);
		text += len;
		text += *text == ',';
	}
	publish_highest();
}

int
adxi_log_start(void)
{
	int highest;

	(void)pthread_mutex_lock(&log_lock);
	parse_locked();
	highest = adxi_log_highest;
	(void)pthread_mutex_unlock(&log_lock);
	return highest;
}

void
adxi_log_setup(const char *program, enum adxi_log_level level)
{
	(void)pthread_mutex_lock(&log_lock);
	parse_locked();
	(void)snprintf(log_program, sizeof log_program, "%s", program);
	if (!log_default_from_user)
		log_default = level;
	publish_highest();
	(void)pthread_mutex_unlock(&log_lock);
}

void
adxi_log_set_fd(int fd)
{
	(void)pthread_mutex_lock(&log_lock);
	log_fd = fd;
	(void)pthread_mutex_unlock(&log_lock);
}

static enum adxi_log_level
threshold_locked(const char *topic)
{
	const struct topic *best = NULL;
	unsigned i;

	for (i = 0; i < log_n_topics; i++) {
		const struct topic *t = &log_topics[i];

		if (strncmp(topic, t->name, t->len))
			continue;
		if (topic[t->len] != '\0' && !(t->prefix && (!t->len || topic[t->len] == '.')))
			continue;
		if (!best || t->len > best->len || (t->len == best->len && !t->prefix))
			best = t;
	}
	return best ? best->level : log_default;
}

enum adxi_log_level
adxi_log_threshold(const char *topic)
{
	enum adxi_log_level level;

	(void)pthread_mutex_lock(&log_lock);
	parse_locked();
	level = threshold_locked(topic);
	(void)pthread_mutex_unlock(&log_lock);
	return level;
}

void
adxi_vlog(enum adxi_log_level level, const char *topic, const char *fmt, va_list ap)
{
	char line[LOG_LINE_LEN], program[sizeof log_program];
	bool wanted;
	struct timespec ts;
	struct tm tm;
	uint64_t now;
	int head, len, fd;
	ssize_t r;
	char *p;

	(void)pthread_mutex_lock(&log_lock);
	parse_locked();
	wanted = level != ADXI_LOG_NONE && level <= threshold_locked(topic);
	fd = log_fd;
	memcpy(program, log_program, sizeof program);
	(void)pthread_mutex_unlock(&log_lock);
	if (!wanted)
		return;

	now = adxi_wall_ns();
	ts.tv_sec = (time_t)(now / ADXI_NS_PER_S);
	if (!localtime_r(&ts.tv_sec, &tm))
		memset(&tm, 0, sizeof tm);
	head = snprintf(line, sizeof line, "%02d:%02d:%02d.%06u %s[%d] %s %s: ", tm.tm_hour,
			tm.tm_min, tm.tm_sec, (unsigned)(now % ADXI_NS_PER_S / 1000), program,
			(int)getpid(), level_names[level], topic);
	len = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
	if (len < 0)
		len = 0;
	len += head;
	if (len > LOG_LINE_LEN - 2)
		len = LOG_LINE_LEN - 2;
	for (p = line + head; p < line + len; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	line[len++] = '\n';
	r = write(fd, line, (size_t)len);
	(void)r; /* a log that cannot be written has nowhere to say so */
}

void
adxi_log(enum adxi_log_level level, const char *topic, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	adxi_vlog(level, topic, fmt, ap);
	va_end(ap);
}
