/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

/**
 * @file base/logline.h
 * @brief Form of a line on a hosted process's standard error, which dextd collects.
 *
 * A plain line is text. A line that a rule told begins with RS, the rule's id, US:
 *
 *     \x1e T27 \x1f <line as adxi_tell() made it> \n
 *
 * A process writes each line with one write() of at most ADXI_LOGLINE_MAX bytes, so that lines of several threads do
 * not mix. dextd cuts longer lines.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ADXI_LOGLINE_RULE '\x1e'
#define ADXI_LOGLINE_TEXT '\x1f'
#define ADXI_LOGLINE_MAX 4096u
#define ADXI_LOGLINE_RULE_MAX 15u

/** "\x1e%s\x1f%s\n" for printf: rule id, line. */
#define ADXI_LOGLINE_FORMAT "\x1e%s\x1f%s\n"

/**
 * Take @p line (NUL-terminated, without its newline) apart.
 *
 * @param ret_rule  [out] ADXI_LOGLINE_RULE_MAX + 1 bytes; "" for a plain line
 * @return the text, in @p line
 */
static inline const char *
adxi_logline_parse(const char *line, char ret_rule[ADXI_LOGLINE_RULE_MAX + 1])
{
	const char *end;

	ret_rule[0] = '\0';
	if (line[0] != ADXI_LOGLINE_RULE)
		return line;
	end = strchr(line, ADXI_LOGLINE_TEXT);
	if (!end || (size_t)(end - line - 1) > ADXI_LOGLINE_RULE_MAX)
		return line + 1;
	memcpy(ret_rule, line + 1, (size_t)(end - line - 1));
	ret_rule[end - line - 1] = '\0';
	return end + 1;
}

#endif /* BASE_LOGLINE_H */
