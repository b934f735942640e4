/* SPDX-License-Identifier: MIT */
/* clang-format off */
/* faults SPEC CMD...: runs CMD, and all that it starts, with injected faults. SPEC is words and commas:
 *   seed=N          of the schedule
 *   ROLE.KIND=1/N   one arrival in N at each site fails; ROLE: client dextd usbhost dext;
 *                   KIND: alloc fd message delay transfer crash
 *   once=N          each site of a ROLE.KIND with a rate fails at its first arrival and never again, N of them at most
 *   paused          nothing fails until CMD says so
 *   list=FILE       every site that was reached: role, kind, name, arrivals, faults
 * The last line says what was done, and how many of the sites that were reached have failed. Exit status of CMD. */
/* clang-format on */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared.h"

static const char *const roles[ROLES] = { "client", "dextd", "usbhost", "dext" };
static const char *const kinds[FAULT_KINDS] = { "alloc", "fd",       "message",
						"delay", "transfer", "crash" };

static int
find(const char *const *names, unsigned n, const char *text, size_t size)
{
	for (unsigned i = 0; i < n; i++)
		if (strlen(names[i]) == size && strncmp(names[i], text, size) == 0)
			return (int)i;
	return -1;
}

static bool
parse_word(struct fault_shared *shared, const char *word, const char **ret_list)
{
	const char *dot = strchr(word, '.'), *rate = strstr(word, "=1/");
	int role, kind;

	if (strncmp(word, "seed=", 5) == 0) {
		shared->seed = strtoull(word + 5, NULL, 0);
	} else if (strncmp(word, "once=", 5) == 0) {
		shared->once = 1;
		shared->armed = (uint32_t)strtoul(word + 5, NULL, 0);
	} else if (strcmp(word, "paused") == 0) {
		shared->enabled = 0;
	} else if (strncmp(word, "list=", 5) == 0) {
		*ret_list = word + 5;
	} else {
		if (!dot || !rate || dot > rate)
			return false;
		role = find(roles, ROLES, word, (size_t)(dot - word));
		kind = find(kinds, FAULT_KINDS, dot + 1, (size_t)(rate - dot - 1));
		if (role < 0 || kind < 0 || atoi(rate + 3) <= 0)
			return false;
		shared->one_in[role][kind] = (uint32_t)atoi(rate + 3);
	}
	return true;
}

static struct fault_shared *
share(void)
{
	struct fault_shared *shared;
	int fd = memfd_create("faults", 0);

	if (fd < 0 || ftruncate(fd, sizeof *shared) < 0 || dup2(fd, FAULTS_FD) < 0)
		return NULL;
	(void)close(fd);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, FAULTS_FD, 0);
	if (shared == MAP_FAILED)
		return NULL;
	shared->enabled = 1;
	shared->magic = FAULTS_MAGIC;
	return shared;
}

static int
run(char **command)
{
	char number[16];
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(number, sizeof number, "%d", FAULTS_FD);
		(void)setenv(FAULTS_VARIABLE, number, 1);
		(void)setenv("LD_PRELOAD", FAULTS_LIBRARY, 1);
		(void)execvp(command[0], command);
		fprintf(stderr, "faults: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return 127;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
list_sites(const struct fault_shared *shared, const char *path)
{
	FILE *file = fopen(path, "ae");

	for (unsigned i = 0; file && i < FAULTS_SITES; i++) {
		const struct fault_site *site = &shared->sites[i];

		if (site->named)
			fprintf(file, "%s %s %s %" PRIu64 " %" PRIu64 "\n",
				roles[site->role % ROLES], kinds[site->kind % FAULT_KINDS],
				site->name, site->reached, site->failed);
	}
	if (file)
		(void)fclose(file);
}

static void
report(const struct fault_shared *shared)
{
	unsigned sites = 0, failed = 0;

	for (unsigned i = 0; i < FAULTS_SITES; i++) {
		sites += shared->sites[i].named != 0;
		failed += shared->sites[i].failed > 0;
	}
	fprintf(stderr, "faults: seed %" PRIu64 "; %u sites reached, %u of them failed",
		shared->seed, sites, failed);
	for (unsigned role = 0; role < ROLES; role++)
		for (unsigned kind = 0; kind < FAULT_KINDS; kind++)
			if (shared->planned[role][kind])
				fprintf(stderr, "; %s %s planned %" PRIu64 " activated %" PRIu64,
					roles[role], kinds[kind], shared->planned[role][kind],
					shared->activated[role][kind]);
	fprintf(stderr, "\n");
}

int
main(int argc, char **argv)
{
	struct fault_shared *shared = share();
	const char *list = NULL;
	int status;

	if (!shared) {
		fprintf(stderr, "faults: no memory to share: %s\n", strerror(errno));
		return 2;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: faults SPEC CMD...\n");
		return 2;
	}
	for (char *word = strtok(argv[1], ","); word; word = strtok(NULL, ",")) {
		if (!parse_word(shared, word, &list)) {
			fprintf(stderr, "faults: '%s' is not understood\n", word);
			return 2;
		}
	}
	status = run(argv + 2);
	if (list)
		list_sites(shared, list);
	report(shared);
	return status;
}
