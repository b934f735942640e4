/* SPDX-License-Identifier: MIT */
/* escapes-client on|off HOME BUNDLE OTHER-BUNDLE: has a driver try everything that a sandbox is there against, in this realm.
 *
 * on: each attempt is denied, the log says why, and the world outside is as it was. off: without a sandbox each succeeds that this
 * user may do at all, so that the attempts are known to be real. Prints a line for each, and the counts. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <IOKit/IOKitLib.h>
#include <ambidext/realm.h>

#include "world.h"

#define PROMISED 60u

static struct world world;
static uint64_t secret = 0x5eC4e7; /* the victim has it at the same address */

static void __attribute__((noreturn))
failed(const char *what)
{
	printf("FAILED: %s: %s %s\n", what, strerror(errno), adx_last_explanation());
	exit(1);
}

static int
must(int result, const char *what)
{
	if (result < 0)
		failed(what);
	return result;
}

/* ---- the world ---- */

static void
listen_on(int family, const void *address, socklen_t size)
{
	int fd = must(socket(family, (family == AF_UNIX ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0), "socket");

	must(bind(fd, address, size), "bind");
	must(listen(fd, 8), "listen");
	if (family == AF_INET) {
		struct sockaddr_in bound;
		socklen_t bound_size = sizeof bound;

		must(getsockname(fd, (struct sockaddr *)&bound, &bound_size), "getsockname");
		world.port = ntohs(bound.sin_port);
	}
}

static void
make_sockets(void)
{
	struct sockaddr_in internet = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un path = { .sun_family = AF_UNIX }, abstract = { .sun_family = AF_UNIX };

	(void)snprintf(world.socket, sizeof world.socket, "%.90s/socket", world.home);
	(void)snprintf(world.abstract, sizeof world.abstract, "escapes-%d", (int)getpid());
	(void)snprintf(path.sun_path, sizeof path.sun_path, "%s", world.socket);
	memcpy(abstract.sun_path + 1, world.abstract, strlen(world.abstract));
	listen_on(AF_INET, &internet, sizeof internet);
	listen_on(AF_UNIX, &path, sizeof path);
	listen_on(AF_UNIX, &abstract,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(world.abstract)));
}

static void
make_objects(void)
{
	(void)snprintf(world.shm, sizeof world.shm, "/escapes-%d", (int)getpid());
	int fd = must(shm_open(world.shm, O_RDWR | O_CREAT, 0666), "shm_open");

	must(ftruncate(fd, 4096), "ftruncate");
	(void)close(fd);
	world.queue = must(msgget(IPC_PRIVATE, 0666), "msgget");
	world.semaphores = must(semget(IPC_PRIVATE, 1, 0666), "semget");
	world.segment = must(shmget(IPC_PRIVATE, 4096, 0666), "shmget");
}

static void
remove_objects(void)
{
	(void)shm_unlink(world.shm);
	(void)unlink(world.socket);
	(void)msgctl(world.queue, IPC_RMID, NULL);
	(void)semctl(world.semaphores, 0, IPC_RMID);
	(void)shmctl(world.segment, IPC_RMID, NULL);
}

static void
make_victim(void)
{
	world.victim = must(fork(), "fork");
	if (world.victim == 0) {
		for (;;)
			(void)pause();
	}
	world.victim_address = (uint64_t)(uintptr_t)&secret;
}

static void
make_file(const char *name, const char *text)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", world.home, name);
	FILE *file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		failed(path);
}

static int
process_of(const char *name)
{
	CFArrayRef servers = NULL;
	int64_t pid = 0;

	if (adx_copy_servers(&servers) != kIOReturnSuccess)
		failed("adx_copy_servers");
	for (CFIndex i = 0; i < CFArrayGetCount(servers); i++) {
		CFDictionaryRef server = CFArrayGetValueAtIndex(servers, i);
		CFStringRef text = CFDictionaryGetValue(server, CFSTR("name"));
		CFNumberRef number = CFDictionaryGetValue(server, CFSTR("pid"));

		if (text && number && strstr(CFStringGetCStringPtr(text, kCFStringEncodingUTF8), name))
			(void)CFNumberGetValue(number, kCFNumberSInt64Type, &pid);
	}
	CFRelease(servers);
	return (int)pid;
}

static int
process_of_dextd(void)
{
	char path[512], text[32] = "";

	(void)snprintf(path, sizeof path, "%s/dextd.pid", world.realm);
	FILE *file = fopen(path, "re");
	if (!file || !fgets(text, sizeof text, file))
		failed(path);
	(void)fclose(file);
	return atoi(text);
}

/* ---- the log ---- */

static uint64_t log_from;

/* The first line since the last look that tells of a rule of the sandbox; "" if none does. */
static void
next_reason(char *reason, size_t size)
{
	CFArrayRef lines = NULL;

	reason[0] = '\0';
	if (adx_copy_log(log_from, NULL, &lines, &log_from) != kIOReturnSuccess)
		return;
	for (CFIndex i = 0; i < CFArrayGetCount(lines) && !reason[0]; i++) {
		CFDictionaryRef line = CFArrayGetValueAtIndex(lines, i);
		CFStringRef rule = CFDictionaryGetValue(line, CFSTR("rule")), text = CFDictionaryGetValue(line, CFSTR("text"));
		char id[32] = "";

		if (rule && text && CFStringGetCString(rule, id, sizeof id, kCFStringEncodingUTF8) && strncmp(id, "SBX", 3) == 0 &&
		    !CFStringGetCString(text, reason, (CFIndex)size, kCFStringEncodingUTF8))
			reason[0] = '\0';
	}
	CFRelease(lines);
}

/* ---- attempts ---- */

static struct {
	unsigned attempts, denied, told, succeeded, absent, wrong;
} n;

static void
judge(const struct escape_row *row, int result, const char *reason, bool sandboxed)
{
	bool absent = result == ESCAPE_ABSENT, root = geteuid() == 0, ok;
	char end[512];

	(void)snprintf(end, sizeof end, "%.*s", (int)strcspn(reason, ";"), reason);
	n.attempts++;
	if (sandboxed) {
		/* What is not there cannot be had either; the sandbox says so before the kernel does. */
		ok = result != 0 && (!(row->flags & ESCAPE_TOLD) || strncmp(reason + 1, row->rule, strlen(row->rule)) == 0);
		n.denied += result != 0;
		n.told += reason[0] != '\0';
	} else {
		bool wanted = !(row->flags & ESCAPE_ALWAYS) && (root || !(row->flags & ESCAPE_ROOT));

		absent = absent || result == ENOENT || result == ENXIO;
		ok = wanted ? result == 0 || absent : !(row->flags & ESCAPE_ALWAYS) || result != 0;
		n.succeeded += result == 0;
		n.absent += result != 0 && absent && wanted;
		n.denied += result != 0 && !(absent && wanted);
	}
	n.wrong += !ok;
	printf("%s %-8s %-30s %s%s\n", ok ? "ok  " : "FAIL", result == 0 ? "done" : absent && !sandboxed ? "absent" : "denied",
	       row->name, result == 0 || absent ? row->what : strerrorname_np(result) ? strerrorname_np(result) : "?",
	       result == 0 ? "" : reason[0] ? "" : " (by the kernel)");
	if (result != 0 && reason[0])
		printf("              %s\n", end);
}

static void
attempt_all(io_connect_t connection, bool sandboxed)
{
	uint64_t count = 0, result;
	uint32_t one = 1;
	char reason[2048];

	if (IOConnectCallScalarMethod(connection, ESCAPE_COUNT, NULL, 0, &count, &one) != kIOReturnSuccess)
		failed("ESCAPE_COUNT");
	next_reason(reason, sizeof reason);
	for (uint64_t i = 0; i < count; i++) {
		struct escape_row row = { 0 };
		size_t size = sizeof row;
		kern_return_t ret = IOConnectCallStructMethod(connection, (uint32_t)(ESCAPE_NAME + i), NULL, 0, &row, &size);

		one = 1;
		if (ret == kIOReturnSuccess)
			ret = IOConnectCallMethod(connection, (uint32_t)i, NULL, 0, &world, sizeof world, &result, &one, NULL, NULL);
		if (ret != kIOReturnSuccess)
			failed(row.name[0] ? row.name : "an attempt");
		next_reason(reason, sizeof reason);
		judge(&row, (int)result, reason, sandboxed);
	}
}

static void
expect(bool holds, const char *what)
{
	printf("%s outside: %s\n", holds ? "ok  " : "FAIL", what);
	n.wrong += !holds;
}

static bool
exists(const char *folder, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

/* What the attempts would have left behind. */
static void
look_outside(bool sandboxed, const int before[4])
{
	const int after[4] = { process_of_dextd(), process_of("usbhost"), process_of("org.example.Echo"),
			       process_of("org.example.Escape") };
	bool dead = waitpid(world.victim, NULL, WNOHANG) == world.victim;

	expect(memcmp(before, after, sizeof after) == 0, "dextd, usbhost and both drivers are the same processes");
	expect(dead != sandboxed, sandboxed ? "the victim lives" : "the victim was killed");
	expect(exists(world.home, "planted") != sandboxed, sandboxed ? "no file was made" : "a file was made");
	expect(exists(world.bundle, "planted") != sandboxed, sandboxed ? "the bundle is as it was" : "the bundle has a file more");
	expect(exists(world.home, ".ssh/known_hosts") == sandboxed, sandboxed ? "no file is gone" : "a file is gone");
	if (!dead) {
		(void)kill(world.victim, SIGKILL);
		(void)waitpid(world.victim, NULL, 0);
	}
}

int
main(int argc, char **argv)
{
	bool sandboxed;
	io_connect_t connection;

	if (argc != 5) {
		fprintf(stderr, "usage: escapes-client on|off HOME BUNDLE OTHER-BUNDLE\n");
		return 2;
	}
	sandboxed = strcmp(argv[1], "on") == 0;
	(void)snprintf(world.home, sizeof world.home, "%s", argv[2]);
	(void)snprintf(world.bundle, sizeof world.bundle, "%s", argv[3]);
	(void)snprintf(world.other_bundle, sizeof world.other_bundle, "%s", argv[4]);
	(void)snprintf(world.realm, sizeof world.realm, "%s", getenv("AMBIDEXT_REALM") ? getenv("AMBIDEXT_REALM") : "");
	make_victim();
	make_sockets();
	make_objects();
	make_file(".ssh/id_rsa", "a key\n");
	make_file(".ssh/known_hosts", "a host\n");
	world.dextd = process_of_dextd();
	world.usbhost = process_of("usbhost");
	world.other = process_of("org.example.Echo");
	const int before[4] = { world.dextd, world.usbhost, world.other, process_of("org.example.Escape") };
	if (!world.usbhost || !world.other || !before[3])
		failed("the realm has not its three processes");

	io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Escape"));
	if (!service || IOServiceOpen(service, mach_task_self(), 0, &connection) != kIOReturnSuccess)
		failed("Escape cannot be opened");
	attempt_all(connection, sandboxed);
	look_outside(sandboxed, before);
	(void)IOServiceClose(connection);
	remove_objects();
	if (sandboxed)
		printf("escapes: %u of %u denied, %u explained in the log, as %s\n", n.denied, n.attempts, n.told,
		       geteuid() == 0 ? "root" : "a user");
	else
		printf("escapes: without a sandbox %u of %u succeed, %u denied, %u absent here, as %s\n", n.succeeded, n.attempts, n.denied,
		       n.absent, geteuid() == 0 ? "root" : "a user");
	return n.wrong > 0 || n.attempts < PROMISED;
}
