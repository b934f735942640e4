/* SPDX-License-Identifier: MIT */
/* os_log, for drivers and applications: one write a line. */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <os/log.h>

#include "base/buf.h"
#include "base/logline.h"
#include "object/format.h"
#include "object/oslog.h"

struct os_log_s {
	struct os_log_s *next; /* in logs */
	char *prefix;          /* owned: "subsystem:category " */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list */
static struct os_log_s *logs;
static struct os_log_s nameless = { .prefix = (char *)"" };

os_log_t
os_log_create(const char *subsystem, const char *category)
{
	struct os_log_s *log = calloc(1, sizeof(*log));

	if (!log || asprintf(&log->prefix, "[%s:%s] ", subsystem ? subsystem : "",
			     category ? category : "") < 0) {
		free(log);
		return &nameless; /* a log without its name is better than none */
	}
	pthread_mutex_lock(&lock);
	log->next = logs; /* kept for the life of the process */
	logs = log;
	pthread_mutex_unlock(&lock);
	return log;
}

bool
os_log_type_enabled(os_log_t log, os_log_type_t type)
{
	static int debug = -1; /* atomic */

	if (log == OS_LOG_DISABLED)
		return false;
	if (type != OS_LOG_TYPE_DEBUG)
		return true;
	if (__atomic_load_n(&debug, __ATOMIC_RELAXED) < 0)
		__atomic_store_n(&debug, getenv("AMBIDEXT_OS_LOG_DEBUG") != NULL, __ATOMIC_RELAXED);
	return __atomic_load_n(&debug, __ATOMIC_RELAXED);
}

int
adxi_oslog_write(const char *prefix, const char *format, va_list ap)
{
	struct adxi_buf line = { 0 };
	int error = errno;
	size_t length;

	adxi_buf_append_string(&line, prefix);
	errno = error;
	(void)adxi_format(&line, format, ap);
	length = line.len;
	while (length > 0 && line.data[length - 1] == '\n')
		length--;
	if (length > ADXI_LOGLINE_MAX - 1)
		length = ADXI_LOGLINE_MAX - 1;
	for (size_t i = 0; i < length; i++)
		if (line.data[i] == '\n' || line.data[i] == '\r' ||
		    line.data[i] == ADXI_LOGLINE_RULE)
			line.data[i] = ' ';
	line.len = length;
	adxi_buf_append_byte(&line, '\n');
	if (!adxi_buf_error(&line))
		(void)!write(STDERR_FILENO, line.data,
			     line.len); /* nobody to tell when the log is gone */
	adxi_buf_done(&line);
	errno = error;
	return (int)length;
}

void
adx_os_log(os_log_t log, os_log_type_t type, const char *file, int line, const char *format, ...)
{
	static const struct {
		os_log_type_t type;
		const char *word;
	} words[] = { { OS_LOG_TYPE_ERROR, "error: " },
		      { OS_LOG_TYPE_FAULT, "fault: " },
		      { OS_LOG_TYPE_DEBUG, "debug: " } };
	struct adxi_buf prefix = { 0 };
	va_list ap;

	if (!os_log_type_enabled(log, type))
		return;
	int error = errno;
	if (log)
		adxi_buf_append_string(&prefix, log->prefix);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].type == type)
			adxi_buf_append_string(&prefix, words[i].word);
	errno = error;
	va_start(ap, format);
	(void)adxi_oslog_write(adxi_buf_text(&prefix), format, ap);
	va_end(ap);
	adxi_buf_done(&prefix);
	errno = error;
}
