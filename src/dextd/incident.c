/* SPDX-License-Identifier: MIT */
/* What went wrong with hosted processes. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_record.h"
#include "base/rules.h"
#include "dextd/incident.h"
#include "dextd/launch.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.incident"
#include "base/log.h"

#define LISTED_MAX 256u
#define LOG_LINES  200u
#define PAGE       4096u

static const char *const folder_files[] = { "info", "log", "record" };

struct incident {
	struct adxi_list link; /* in incidents->list, oldest first */
	uint64_t id;
	uint64_t wall_ns, noticed_ns, ran_ns;
	int pid, signal, status;
	enum ending_kind how;
	bool folder; /* there is one */
	char *server, *bundle, *version,
		*executable; /* owned; the last three NULL: a family host */
	char *text;          /* owned: a sentence */
};

struct incidents {
	char dir[PATH_MAX]; /* .../crashes */
	unsigned keep;
	uint64_t last_id;
	struct adxi_list list;
	unsigned n_listed;
};

/* ---------------------------------------------------------------------------------------------
 * The list
 */

static void
incident_free(struct incident *incident)
{
	adxi_list_remove(&incident->link);
	free(incident->server);
	free(incident->bundle);
	free(incident->version);
	free(incident->executable);
	free(incident->text);
	free(incident);
}

struct incidents *
incidents_free(struct incidents *incidents)
{
	struct incident *incident, *next;

	if (!incidents)
		return NULL;
	ADXI_LIST_EACH_SAFE(incident, next, &incidents->list, link)
		incident_free(incident);
	free(incidents);
	return NULL;
}

/* Number of a folder, 0: it is none of ours. */
static uint64_t
folder_number(const char *name)
{
	char *end;
	uint64_t number = strtoull(name, &end, 10);

	return *end || *name < '1' || *name > '9' ? 0 : number;
}

int
incidents_new(const char *dir, unsigned keep, struct incidents **ret_incidents)
{
	struct incidents *incidents = calloc(1, sizeof *incidents);
	const struct dirent *item;
	DIR *folder;
	int len;

	if (!incidents)
		return -ENOMEM;
	incidents->keep = keep;
	adxi_list_init(&incidents->list);
	len = snprintf(incidents->dir, sizeof incidents->dir, "%s/crashes", dir);
	if (len < 0 || (size_t)len >= sizeof incidents->dir - 40)
		incidents->keep = 0;
	folder = opendir(incidents->dir);
	while (folder && (item = readdir(folder)))
		if (folder_number(item->d_name) > incidents->last_id)
			incidents->last_id = folder_number(item->d_name);
	if (folder)
		(void)closedir(folder);
	*ret_incidents = incidents;
	return 0;
}

static struct incident *
find(struct incidents *incidents, uint64_t id)
{
	struct incident *incident;

	ADXI_LIST_EACH(incident, &incidents->list, link)
		if (incident->id == id)
			return incident;
	return NULL;
}

static char *
copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct incident *
open_incident(struct server *server, enum ending_kind how, const char *text)
{
	struct incidents *incidents = server->realm->incidents;
	struct incident *incident = calloc(1, sizeof *incident);

	if (!incident)
		return NULL;
	incident->id = server->incident_id = ++incidents->last_id;
	incident->wall_ns = adxi_wall_ns();
	incident->noticed_ns = adxi_now_ns();
	incident->ran_ns = incident->noticed_ns - server->launched_ns;
	incident->pid = (int)server->pid;
	incident->how = how;
	incident->server = copy_text(server->name);
	incident->executable = copy_text(server->argv[0]);
	if (server->bundle) {
		incident->bundle = copy_text(server->bundle->id);
		incident->version = copy_text(server->bundle->version);
	}
	incident->text = copy_text(text);
	adxi_list_append(&incidents->list, &incident->link);
	if (++incidents->n_listed > LISTED_MAX) {
		incident_free(ADXI_LIST_FIRST(&incidents->list, struct incident, link));
		incidents->n_listed--;
	}
	return incident;
}

static OSDictionary *
incident_dict(const struct incidents *incidents, const struct incident *incident)
{
	OSDictionary *dict = value_dict_new();
	char path[PATH_MAX + 32];

	value_set_u64(dict, "id", incident->id);
	value_set_u64(dict, "time", incident->wall_ns);
	value_set_u64(dict, "noticed", incident->noticed_ns);
	value_set_u64(dict, "ran", incident->ran_ns);
	value_set_u64(dict, "pid", (uint64_t)incident->pid);
	value_set_cstr(dict, "server", incident->server);
	value_set_cstr(dict, "bundle", incident->bundle);
	value_set_cstr(dict, "how", ending_word(incident->how));
	value_set_bool(dict, "fault", ending_is_fault(incident->how));
	value_set_u64(dict, "signal", (uint64_t)incident->signal);
	value_set_u64(dict, "status", (uint64_t)incident->status);
	value_set_cstr(dict, "text", incident->text);
	if (incident->folder) {
		(void)snprintf(path, sizeof path, "%s/%" PRIu64, incidents->dir, incident->id);
		value_set_cstr(dict, "folder", path);
	}
	return dict;
}

OSArray *
incidents_copy(const struct incidents *incidents, uint64_t after)
{
	const struct incident *incident;
	OSArray *array = value_array_new();

	ADXI_LIST_EACH(incident, &incidents->list, link)
		if (incident->id > after)
			value_append_new(array, incident_dict(incidents, incident));
	return array;
}

/* ---------------------------------------------------------------------------------------------
 * The record
 */

void
incident_prepare(struct server *server)
{
	int fd = memfd_create("ambidext-crash", MFD_CLOEXEC | MFD_ALLOW_SEALING), theirs;

	if (fd < 0)
		return;
	/* Its size stays, so that reading it never fails half-way. */
	if (ftruncate(fd, CRASH_RECORD_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    (theirs = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		(void)close(fd);
		return;
	}
	if (launch_pass(server, "AMBIDEXT_CRASH_FD", theirs) < 0)
		(void)close(theirs);
	server->record_fd = fd;
}

static uint32_t
record_word(const struct server *server, off_t offset)
{
	uint32_t word = 0;

	if (server->record_fd < 0 ||
	    pread(server->record_fd, &word, sizeof word, offset) != sizeof word)
		return 0;
	return word;
}

int
incident_signal(const struct server *server, bool *ret_no_memory)
{
	uint32_t signal = record_word(server, offsetof(struct crash_record, signal));

	*ret_no_memory = false;
	if (record_word(server, offsetof(struct crash_record, state)) == CRASH_NOTHING ||
	    signal == 0 || signal >= NSIG)
		return 0;
	*ret_no_memory = record_word(server, offsetof(struct crash_record, no_memory)) == 1;
	return (int)signal;
}

/* ---------------------------------------------------------------------------------------------
 * The folder
 */

static void
remove_folder(const struct incidents *incidents, uint64_t id)
{
	char path[PATH_MAX + 64];
	size_t i;

	for (i = 0; i < sizeof folder_files / sizeof *folder_files; i++) {
		(void)snprintf(path, sizeof path, "%s/%" PRIu64 "/%s", incidents->dir, id,
			       folder_files[i]);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof path, "%s/%" PRIu64, incidents->dir, id);
	(void)rmdir(path);
}

/* The oldest go. Also those of a dextd before this one. */
static void
prune(struct incidents *incidents)
{
	const struct dirent *item;
	uint64_t oldest, number;
	struct incident *incident;
	unsigned n;
	DIR *folder;

	do {
		folder = opendir(incidents->dir);
		n = 0;
		oldest = UINT64_MAX;
		while (folder && (item = readdir(folder))) {
			number = folder_number(item->d_name);
			n += number != 0;
			if (number && number < oldest)
				oldest = number;
		}
		if (folder)
			(void)closedir(folder);
		if (n <= incidents->keep)
			return;
		remove_folder(incidents, oldest);
		incident = find(incidents, oldest);
		if (incident)
			incident->folder = false;
	} while (n > incidents->keep + 1);
}

static int
open_file(int folder, const char *name)
{
	return openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Pages of zeros become a hole. */
static void
write_record(int folder, int record)
{
	static const char zeros[PAGE];
	char page[PAGE];
	off_t at;
	int fd;

	if (record < 0)
		return;
	fd = open_file(folder, "record");
	if (fd < 0)
		return;
	for (at = 0; at < CRASH_RECORD_SIZE; at += PAGE)
		if (pread(record, page, PAGE, at) == PAGE && memcmp(page, zeros, PAGE) &&
		    pwrite(fd, page, PAGE, at) != PAGE)
			break;
	(void)ftruncate(fd, CRASH_RECORD_SIZE);
	(void)close(fd);
}

static void
put_line(void *userdata, const char *text)
{
	fprintf(userdata, "%s\n", text);
}

static FILE *
open_text(int folder, const char *name)
{
	int fd = open_file(folder, name);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!file && fd >= 0)
		(void)close(fd);
	return file;
}

static void
put(FILE *file, const char *key, const char *value)
{
	const unsigned char *at;

	if (!value)
		return;
	fprintf(file, "%s: ", key);
	for (at = (const unsigned char *)value; *at; at++)
		fputc(*at < ' ' ? ' ' : *at, file);
	fputc('\n', file);
}

static void
write_info(int folder, const struct incident *incident)
{
	FILE *file = open_text(folder, "info");

	if (!file)
		return;
	fprintf(file, "id: %" PRIu64 "\n", incident->id);
	put(file, "how", ending_word(incident->how));
	put(file, "text", incident->text);
	fprintf(file, "signal: %d\nstatus: %d\npid: %d\n", incident->signal, incident->status,
		incident->pid);
	put(file, "server", incident->server);
	put(file, "bundle", incident->bundle);
	put(file, "bundle-version", incident->version);
	put(file, "executable", incident->executable);
	fprintf(file, "time-ns: %" PRIu64 "\nran-ns: %" PRIu64 "\n", incident->wall_ns,
		incident->ran_ns);
	put(file, "ambidext-version", AMBIDEXT_VERSION);
	(void)fclose(file);
}

static void
write_folder(struct server *server, struct incident *incident)
{
	struct incidents *incidents = server->realm->incidents;
	char path[PATH_MAX + 32];
	FILE *log;
	int folder;

	if (incidents->keep == 0)
		return;
	if (mkdir(incidents->dir, 0700) < 0 && errno != EEXIST)
		return;
	(void)snprintf(path, sizeof path, "%s/%" PRIu64, incidents->dir, incident->id);
	if (mkdir(path, 0700) < 0)
		return;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return;
	write_info(folder, incident);
	log = open_text(folder, "log");
	if (log) {
		journal_last(server->realm->journal, incident->pid, LOG_LINES, put_line, log);
		(void)fclose(log);
	}
	write_record(folder, server->record_fd);
	(void)close(folder);
	incident->folder = true;
	prune(incidents);
}

/* ---------------------------------------------------------------------------------------------
 * What happens to a process
 */

void
incident_line(struct server *server, const char *line)
{
	static const char *const marks[] = { "ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
					     "WARNING: ThreadSanitizer", "WARNING: MemorySanitizer",
					     ": runtime error: " };
	size_t i;

	if (server->incident_id)
		return;
	for (i = 0; i < sizeof marks / sizeof *marks; i++) {
		if (!strstr(line, marks[i]))
			continue;
		adxi_tell(ADXI_RULE_SUP006, "process %d of %s: %s", (int)server->pid, server->name,
			  line);
		(void)open_incident(server, ENDING_REPORT, line);
		return;
	}
}

void
incident_ended(struct server *server, int status)
{
	struct incidents *incidents = server->realm->incidents;
	struct incident *incident =
		server->incident_id ? find(incidents, server->incident_id) : NULL;
	bool no_memory;

	if (!incident && !server->incident_id &&
	    (ending_is_fault(server->ending) || server->ending == ENDING_KILLED))
		incident = open_incident(server, server->ending, server->last_words);
	if (incident) {
		if (ending_is_fault(server->ending)) /* also after a report, whose text stays */
			incident->how = server->ending;
		incident->signal = WIFSIGNALED(status) ? WTERMSIG(status)
						       : incident_signal(server, &no_memory);
		incident->status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		incident->noticed_ns = server->noticed_ns;
		incident->ran_ns = server->noticed_ns - server->launched_ns;
	}
	if (incident && ending_is_fault(incident->how)) {
		write_folder(server, incident);
		realm_log(server->realm, server,
			  "incident %" PRIu64 " (%s): dext crash show %" PRIu64, incident->id,
			  ending_word(incident->how), incident->id);
	}
	if (server->record_fd >= 0)
		(void)close(server->record_fd);
	server->record_fd = -1;
}
