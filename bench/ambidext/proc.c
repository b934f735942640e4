/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proc.h"

/* Sum of the numbers that follow the names in a file of lines "Name: NUMBER". */
static uint64_t
sum_of(const char *path, const char *const *names)
{
	char line[256];
	uint64_t sum = 0, value;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	while (fgets(line, sizeof line, file)) {
		for (const char *const *name = names; *name; name++) {
			size_t len = strlen(*name);
			if (strncmp(line, *name, len) == 0 && line[len] == ':' &&
			    sscanf(line + len + 1, "%" SCNu64, &value) == 1)
				sum += value;
		}
	}
	(void)fclose(file);
	return sum;
}

int
proc_switches(pid_t pid, struct proc_switches *ret_switches)
{
	static const char *const voluntary[] = { "voluntary_ctxt_switches", NULL };
	static const char *const involuntary[] = { "nonvoluntary_ctxt_switches", NULL };
	struct proc_switches switches = { 0 };
	char path[320];
	struct dirent *entry;
	DIR *tasks;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while ((entry = readdir(tasks))) {
		if (*entry->d_name == '.')
			continue;
		(void)snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid,
			       entry->d_name);
		switches.voluntary += sum_of(path, voluntary);
		switches.involuntary += sum_of(path, involuntary);
		switches.threads++;
	}
	closedir(tasks);
	*ret_switches = switches;
	return 0;
}

uint64_t
proc_faults(pid_t pid)
{
	char path[64], text[1024], *rest;
	uint64_t faults = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	/* After the name, which may have anything in it: state, 6 numbers, minor faults. */
	if (fgets(text, sizeof text, file) && (rest = strrchr(text, ')')) &&
	    sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %" SCNu64, &faults) != 1)
		faults = 0;
	(void)fclose(file);
	return faults;
}

uint64_t
proc_memory(pid_t pid)
{
	static const char *const names[] = { "Pss", NULL };
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	return sum_of(path, names) * 1024;
}

uint64_t
proc_kernel_memory(void)
{
	static const char *const names[] = { "Slab", "PageTables", "KernelStack", NULL };

	return sum_of("/proc/meminfo", names) * 1024;
}

unsigned
proc_descriptors(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	struct dirent *entry;
	DIR *fds;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds)))
		n += *entry->d_name != '.';
	if (fds)
		closedir(fds);
	return n;
}
