/* SPDX-License-Identifier: MIT */
/* replay PATH…: runs the target once on each file, and on each file of each directory: regression tests without libFuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned n_inputs;

static void
fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void
run_file(const char *path, size_t size)
{
	uint8_t *bytes = malloc(size ? size : 1);
	FILE *file = fopen(path, "rbe");

	if (!bytes || !file || fread(bytes, 1, size, file) != size)
		fail(path);
	(void)fclose(file);
	/* The last line of a log that ends here names the input. */
	if (getenv("FUZZ_VERBOSE"))
		fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	n_inputs++;
}

static int
visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
run_path(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n;

	if (stat(path, &st) < 0)
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		run_file(path, (size_t)st.st_size);
		return;
	}
	n = scandir(path, &entries, visible, alphasort);
	if (n < 0)
		fail(path);
	for (int i = 0; i < n; i++) {
		char child[PATH_MAX];

		if (snprintf(child, sizeof child, "%s/%s", path, entries[i]->d_name) >= (int)sizeof child) {
			errno = ENAMETOOLONG;
			fail(path);
		}
		run_path(child);
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		(void)LLVMFuzzerInitialize(&argc, &argv);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%u inputs\n", n_inputs);
	if (n_inputs == 0) {
		fprintf(stderr, "there is no input in what was named\n");
		return 1;
	}
	return 0;
}
