/* SPDX-License-Identifier: MIT */
/* Lines in order of arrival, numbered; the oldest make room. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/logline.h"
#include "dextd/log.h"
#include "object/containers.h"

struct log_line {
	struct adxi_list link; /* in journal->lines, oldest first */
	uint64_t sequence;
	uint64_t time_ns;
	size_t size;
	int pid;
	const char *server; /* these three in text's allocation */
	const char *rule;
	const char *text;
};

struct journal {
	struct adxi_list lines;
	size_t n_lines, n_bytes;
	size_t max_lines, max_bytes;
	uint64_t sequence; /* of the last line */
	journal_tee_fn *tee;
	void *tee_userdata; /* borrowed */
};

int
journal_new(size_t max_lines, size_t max_bytes, struct journal **ret_journal)
{
	struct journal *journal = calloc(1, sizeof *journal);

	if (!journal)
		return -ENOMEM;
	adxi_list_init(&journal->lines);
	journal->max_lines = max_lines;
	journal->max_bytes = max_bytes;
	*ret_journal = journal;
	return 0;
}

static void
drop_first(struct journal *journal)
{
	struct log_line *line = ADXI_LIST_FIRST(&journal->lines, struct log_line, link);

	adxi_list_remove(&line->link);
	journal->n_lines--;
	journal->n_bytes -= line->size;
	free(line);
}

struct journal *
journal_free(struct journal *journal)
{
	if (!journal)
		return NULL;
	while (!adxi_list_is_empty(&journal->lines))
		drop_first(journal);
	free(journal);
	return NULL;
}

void
journal_set_tee(struct journal *journal, journal_tee_fn *tee, void *userdata)
{
	journal->tee = tee;
	journal->tee_userdata = userdata;
}

static char *
put(char *to, const char *text, size_t len)
{
	adxi_text_harmless(to, text, len, "\t", ' ');
	return to + len + 1;
}

void
journal_add(struct journal *journal, int pid, const char *server, const char *rule,
	    const char *text)
{
	size_t n_server, n_rule, n_text;
	struct log_line *line;
	char *to;

	server = server ? server : "";
	rule = rule ? rule : "";
	n_server = strnlen(server, 255);
	n_rule = strnlen(rule, ADXI_LOGLINE_RULE_MAX);
	n_text = strnlen(text, ADXI_LOGLINE_MAX);
	journal->sequence++;
	line = malloc(sizeof *line + n_server + n_rule + n_text + 3);
	if (!line)
		return;
	to = (char *)(line + 1);
	line->server = to;
	to = put(to, server, n_server);
	line->rule = to;
	to = put(to, rule, n_rule);
	line->text = to;
	put(to, text, n_text);
	line->size = n_server + n_rule + n_text + 3;
	line->sequence = journal->sequence;
	line->time_ns = adxi_wall_ns();
	line->pid = pid;
	adxi_list_append(&journal->lines, &line->link);
	journal->n_lines++;
	journal->n_bytes += line->size;
	if (journal->tee)
		journal->tee(journal->tee_userdata, pid, line->server, line->rule, line->text);
	while (journal->n_lines > journal->max_lines || journal->n_bytes > journal->max_bytes)
		drop_first(journal);
}

void
journal_add_line(struct journal *journal, int pid, const char *server, const char *line)
{
	char rule[ADXI_LOGLINE_RULE_MAX + 1];
	const char *text = adxi_logline_parse(line, rule);

	journal_add(journal, pid, server, rule, text);
}

static OSDictionary *
line_dict(const struct log_line *line)
{
	OSDictionary *dict = value_dict_new();

	if (value_set_u64(dict, "sequence", line->sequence) &&
	    value_set_u64(dict, "time", line->time_ns) &&
	    value_set_u64(dict, "pid", (uint64_t)line->pid) &&
	    value_set_cstr(dict, "server", line->server) &&
	    value_set_cstr(dict, "rule", line->rule) && value_set_cstr(dict, "text", line->text))
		return dict;
	return value_unref(dict);
}

OSArray *
journal_copy(const struct journal *journal, uint64_t after, const char *filter, uint32_t max_lines,
	     uint64_t *ret_next)
{
	OSArray *array = value_array_new();
	const struct log_line *line;
	uint64_t next = journal->sequence;

	if (!array)
		return NULL;
	ADXI_LIST_EACH(line, &journal->lines, link) {
		if (line->sequence <= after || (filter && strcmp(filter, line->server)))
			continue;
		if (value_count(array) == max_lines) {
			next = line->sequence - 1;
			break;
		}
		if (!value_append_new(array, line_dict(line)))
			return value_unref(array);
	}
	*ret_next = next;
	return array;
}

void
journal_last(const struct journal *journal, int pid, unsigned max, line_fn *fn, void *userdata)
{
	const struct log_line *line;
	unsigned n = 0;

	ADXI_LIST_EACH(line, &journal->lines, link)
		n += line->pid == pid;
	ADXI_LIST_EACH(line, &journal->lines, link)
		if (line->pid == pid && n-- <= max)
			fn(userdata, line->text);
}

static void
cut(struct line_cutter *cutter, line_fn *fn, void *userdata)
{
	if (cutter->len && cutter->data[cutter->len - 1] == '\r')
		cutter->len--;
	cutter->data[cutter->len] = '\0';
	if (cutter->len)
		fn(userdata, cutter->data);
	cutter->len = 0;
}

void
line_cutter_feed(struct line_cutter *cutter, const char *data, size_t len, line_fn *fn,
		 void *userdata)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (data[i] == '\n') {
			cut(cutter, fn, userdata);
			continue;
		}
		if (cutter->len == sizeof cutter->data - 1)
			cut(cutter, fn, userdata);
		/* A NUL would hide the rest of the line. */
		cutter->data[cutter->len++] = data[i] ? data[i] : ' ';
	}
	if (len == 0)
		cut(cutter, fn, userdata);
}
