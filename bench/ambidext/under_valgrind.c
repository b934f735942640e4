/* SPDX-License-Identifier: MIT */
/* Stands in a bundle in place of its program, and runs that, which is beside it as NAME.real, under
 * valgrind. dextd launches no scripts. What is counted goes to driver.out beside the bundle. */

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	char self[PATH_MAX - 64], real[PATH_MAX], bundle[PATH_MAX - 64], output[PATH_MAX];
	const char *arguments[64] = { "valgrind", "-q", "--tool=callgrind", output, real };
	ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
	size_t n = 5;
	char *end;

	if (len < 0)
		return 127;
	self[len] = '\0';
	strcpy(bundle, self);
	for (unsigned i = 0; i < 2; i++) {
		end = strrchr(bundle, '/');
		if (!end)
			return 127;
		*end = '\0';
	}
	(void)snprintf(real, sizeof real, "%s.real", self);
	(void)snprintf(output, sizeof output, "--callgrind-out-file=%s/driver.out", bundle);
	for (int i = 1; i < argc && n < sizeof arguments / sizeof arguments[0] - 1; i++)
		arguments[n++] = argv[i];
	arguments[n] = NULL;
	execvp(arguments[0], (char *const *)arguments);
	perror("valgrind");
	return 127;
}
