/* SPDX-License-Identifier: MIT */
/* What hosted processes write to their log: cut into lines, kept within the journal's limits, handed out again. */
#include "fuzz.h"

#include "base/logline.h"
#include "dextd/log.h"

#define LINES_MAX 20u
#define BYTES_MAX 20000u

static struct journal *journal; /* owned by the target */
static uint64_t n_lines;
static size_t n_told;

static void
line(void *userdata, const char *text)
{
	FUZZ_CHECK(text[0] && !strchr(text, '\n') && strlen(text) <= 4096);
	n_lines++;
	journal_add_line(journal, 1, userdata, text);
}

static void
tee(void *userdata, int pid, const char *server, const char *rule, const char *text)
{
	FUZZ_CHECK(userdata == &n_told && pid == 1);
	FUZZ_CHECK(strlen(rule) <= ADXI_LOGLINE_RULE_MAX);
	for (const char *at = text; *at; at++)
		FUZZ_CHECK((unsigned char)*at >= ' ' || *at == '\t');
	FUZZ_CHECK(server[0]);
	n_told++;
}

/* Byte 0 of each piece says how long it is: a read of a pipe gives what is there. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct line_cutter cutter;
	static char server[] = "com.example.driver";
	struct fuzz in = { bytes, size };
	value_auto OSArray *copied = NULL;
	uint64_t next = 0;

	memset(&cutter, 0, sizeof(cutter));
	n_lines = 0;
	n_told = 0;
	FUZZ_CHECK(journal_new(LINES_MAX, BYTES_MAX, &journal) == 0);
	journal_set_tee(journal, tee, &n_told);
	while (in.left > 0) {
		size_t n;
		const uint8_t how = fuzz_uint8(&in);
		const uint8_t *piece = fuzz_bytes(&in, how < 200 ? how : how * 32u, &n);
		char *copy = fuzz_exact(piece, n);

		if (n > 0)
			line_cutter_feed(&cutter, copy, n, line, server);
		FUZZ_CHECK(cutter.len < sizeof(cutter.data));
		free(copy);
	}
	line_cutter_feed(&cutter, NULL, 0, line, server);
	FUZZ_CHECK(cutter.len == 0 && n_told == n_lines);
	copied = journal_copy(journal, 0, NULL, 1000, &next);
	FUZZ_CHECK(copied && value_count(copied) <= LINES_MAX && value_count(copied) <= n_lines);
	FUZZ_CHECK(next == n_lines);
	journal = journal_free(journal);
	return 0;
}
