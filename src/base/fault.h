/* SPDX-License-Identifier: MIT */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

/**
 * @file base/fault.h
 * @brief Places where a test makes something fail that no library call stands for (decision 0010).
 *
 * Allocations, descriptors and sockets fail from outside: tests/faults/inject stands in front of
 * libc. Only what happens in memory needs a place here. Without that library in the process each is
 * one branch.
 */

#include <errno.h>

enum adxi_fault_seam {
	ADXI_FAULT_SEND, /* a message over a channel: -Exxx refused; -EPIPE: the socket ends at this
			    point */
	ADXI_FAULT_SUBMIT,   /* a back end is given a transfer: -Exxx */
	ADXI_FAULT_TRANSFER, /* a transfer ends: a number above 0, which says how */
	ADXI_FAULT_SEAMS
};

typedef int adxi_fault_fn(enum adxi_fault_seam seam, const char *site);

/** NULL: nothing fails. Set before the process has a second thread. */
extern adxi_fault_fn *adxi_fault_hook;

#define ADXI_FAULT_TEXT(line)  ADXI_FAULT_TEXT_(line)
#define ADXI_FAULT_TEXT_(line) #line
/** 0: go on. */
#define adxi_fault(seam)                                                                           \
	(__builtin_expect(adxi_fault_hook != NULL, 0)                                              \
		 ? adxi_fault_hook(seam, __FILE__ ":" ADXI_FAULT_TEXT(__LINE__))                   \
		 : 0)

#endif /* BASE_FAULT_H */
