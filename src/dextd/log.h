/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_LOG_H
#define DEXTD_LOG_H

/**
 * @file dextd/log.h
 * @brief The realm's log: a bounded ring of lines, from hosted processes, from clients and from
 * dextd itself.
 */

#include <stddef.h>
#include <stdint.h>

#include "dextd/value.h"

struct journal;

/** @p max_lines, @p max_bytes of text: the oldest lines go. 0, -ENOMEM. */
int journal_new(size_t max_lines, size_t max_bytes, struct journal **ret_journal);
struct journal *journal_free(struct journal *journal);
/** Control characters, and what is no UTF-8, become spaces. @p rule, @p server: may be "" or NULL. A line that finds no
 * memory is counted only. */
void journal_add(struct journal *journal, int pid, const char *server, const char *rule,
		 const char *text);
/** The same for what may begin with a rule (base/logline.h). */
void journal_add_line(struct journal *journal, int pid, const char *server, const char *line);
/** Lines after @p after, at most @p max_lines: dictionaries {sequence, time, pid, server, rule,
 * text}. +1, NULL: no memory.
 *  @param filter    server's name, or NULL
 *  @param ret_next  [out] pass as @p after to go on */
OSArray *journal_copy(const struct journal *journal, uint64_t after, const char *filter,
		      uint32_t max_lines, uint64_t *ret_next);

typedef void line_fn(void *userdata, const char *line);
/** The last lines of a process, at most @p max, oldest first. */
void journal_last(const struct journal *journal, int pid, unsigned max, line_fn *fn,
		  void *userdata);

/** Every line also goes there (dextd's --foreground). */
typedef void journal_tee_fn(void *userdata, int pid, const char *server, const char *rule,
			    const char *text);
void journal_set_tee(struct journal *journal, journal_tee_fn *tee, void *userdata);

/* Bytes of a pipe, cut into lines. Zeroed storage is empty. */
struct line_cutter {
	size_t len;
	char data[4097];
};
/** Feed what was read; each complete line (or as much as fits) goes to @p fn. @p len 0: the end,
 * flush. */
void line_cutter_feed(struct line_cutter *cutter, const char *data, size_t len, line_fn *fn,
		      void *userdata);

#endif /* DEXTD_LOG_H */
