/* SPDX-License-Identifier: MIT */
#ifndef CHECK_H
#define CHECK_H

#include <os/log.h>

/* Both values as numbers, and where; a failed check does not end the run. */
struct Checks {
	unsigned done, failed;

	void
	equal(uint64_t got, uint64_t wanted, const char *what, int line)
	{
		done++;
		if (got == wanted)
			return;
		failed++;
		os_log(OS_LOG_DEFAULT, "usb-methods: line %d: %s is %#llx, not %#llx", line, what,
		       (unsigned long long)got, (unsigned long long)wanted);
	}

	void
	report(const char *name)
	{
		os_log(OS_LOG_DEFAULT, "usb-methods: %s: %u checks, %u failed: %s", name, done, failed,
		       failed ? "FAIL" : "PASS");
	}
};

#define EQUAL(checks, expression, wanted) \
	(checks).equal((uint32_t)(expression), (uint32_t)(wanted), #expression, __LINE__)
#define TRUE(checks, expression) (checks).equal((expression) ? 1 : 0, 1, #expression, __LINE__)

#endif
