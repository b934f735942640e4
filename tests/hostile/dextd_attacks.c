/* SPDX-License-Identifier: MIT */
/* Attacks of a client on dextd, and on what belongs to others. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"

#define NOBODY 65534

/* Until @p done, at most 20 s. */
static bool
within(bool (*done)(void *context), void *context)
{
	const uint64_t until = adxi_deadline_ns(20 * ADXI_NS_PER_S);

	while (!done(context)) {
		if (adxi_now_ns() > until)
			return false;
		(void)poll(NULL, 0, 5);
	}
	return true;
}

static unsigned
count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *folder;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	while (folder && readdir(folder))
		n++;
	if (folder)
		(void)closedir(folder);
	return n;
}

static int
sealed_memory(size_t size, int seals)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, (off_t)size) < 0 || (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/* ---- counts, sizes ---- */

static const char *
wrong_counts(void)
{
	static const uint64_t methods[] = { ADXRegistry_CopyEntry_ID, ADXRegistry_CopyRelatives_ID, ADXRegistry_AddNotification_ID,
					    ADXRegistry_Open_ID,      ADXRegistry_CheckIn_ID,       ADXRegistry_CopyLog_ID,
					    0,                        ~0ull };
	uint8_t body[4096] = { 0 };
	unsigned n_refused = 0;
	struct raw raw;

	if (raw_connect(&raw) < 0)
		return "no connection";
	for (unsigned i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		for (uint32_t size = 0; size <= 4096; size = size ? size * 2 : 8) {
			struct wire_header request = { .size = 64 + size, .kind = WIRE_REQUEST, .method = methods[i], .content_size = size,
						       .transaction = i };
			struct wire_header reply;

			memset(body, 0xff, size);
			if (!raw_put(&raw, &request, body, size) || raw_take(&raw, &reply, NULL, 10000) != 1)
				return wrong("no answer to method %u with %u bytes", i, size);
			if (reply.kind != WIRE_REPLY || reply.status == 0)
				return wrong("method %u took %u bytes of 0xff", i, size);
			n_refused++;
		}
	}
	raw_close(&raw);
	return n_refused == 8 * 11 ? NULL : wrong("%u refusals", n_refused);
}

static const char *
huge_sizes(void)
{
	static const struct wire_header lies[] = {
		{ .size = 0x80000000u, .kind = WIRE_REQUEST },
		{ .size = 0xfffffff8u, .kind = WIRE_REQUEST },
		{ .size = 64, .kind = WIRE_REQUEST, .content_size = 0xfffffff8u },
		{ .size = 64, .kind = WIRE_REQUEST, .n_objects = 255 },
		{ .size = 64, .kind = WIRE_REQUEST, .n_fds = 255 },
		{ .size = 64, .kind = WIRE_RELEASE, .count = 0xffffffffu },
		{ .size = 0, .kind = WIRE_REQUEST },
		{ .size = 63, .kind = WIRE_REQUEST },
	};

	for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct raw raw;

		if (raw_connect(&raw) < 0 || !raw_put(&raw, &lies[i], NULL, 0))
			return "no connection";
		if (!raw_is_evicted(&raw, 10000))
			return wrong("lie %u was believed", i);
		raw_close(&raw);
	}
	return NULL;
}

/* ---- descriptors ---- */

struct grant_message {
	struct wire_header header;
	struct wire_slot slot;
	char name[24];
	struct {
		uint32_t magic, flags;
		uint64_t length;
		uint32_t n_segments, n_fds;
		struct {
			uint32_t fd_index, reserved;
			uint64_t offset, length;
		} segments[32];
	} memory;
};

/* A memory descriptor as an argument; the message itself is refused, the object stays until its giver says that it may go. */
static struct grant_message
grant(uint32_t index, uint64_t length, uint32_t n_segments)
{
	const uint32_t extra = offsetof(struct grant_message, memory.segments[n_segments]) - offsetof(struct grant_message, memory);
	struct grant_message message = {
		.header = { .size = 64 + 16 + 24 + extra, .kind = WIRE_ONEWAY, .method = ADXRegistry_Log_ID, .n_objects = 1, .n_fds = 1 },
		.slot = { .kind = SLOT_GRANT, .n_fds = 1, .name_size = 18, .extra_size = extra, .ref = { index, 0 } },
		.name = "IOMemoryDescriptor",
		.memory = { .magic = 0x4d444158u, .flags = 3, .length = length, .n_segments = n_segments, .n_fds = 1,
			    .segments = { { .length = length } } },
	};

	return message;
}

static bool
put_grant(struct raw *raw, struct grant_message *message, int fd)
{
	struct wire_header reply;
	int r;

	message->header.fd_sequence = raw->fd_sequence;
	while ((r = raw_send_fds(raw, &fd, 1)) == -EAGAIN && !raw_is_evicted(raw, 1))
		; /* the socket is full as well */
	if (r < 0)
		return false;
	while (!raw_put(raw, &message->header, (uint8_t *)message + sizeof message->header, message->header.size - 64)) {
		if (raw_is_evicted(raw, 1))
			return false;
		(void)raw_take(raw, &reply, NULL, 0); /* full: it has to read, and to write */
	}
	return true;
}

static const char *
fd_bomb(void)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const pid_t dextd = dextd_pid();
	const unsigned before = count_fds(dextd);
	struct wire_header reply;
	unsigned after;
	struct raw raw;

	if (raw_connect(&raw) < 0)
		return "no connection";
	for (uint32_t i = 1; i <= 2000; i++) {
		struct grant_message message = grant(i, 4096, 1);
		int fd = sealed_memory(4096, seals);

		if (!put_grant(&raw, &message, fd))
			return wrong("no room, or evicted, after %u: hung up %d, errno %d", i, raw_is_evicted(&raw, 0), errno);
		(void)close(fd);
		while (raw_take(&raw, &reply, NULL, 0) == 1)
			; /* its releases, which are never confirmed */
	}
	if (!raw_answers(&raw, ADXRegistry_GetRoot_ID))
		return "no answer any more";
	after = count_fds(dextd);
	raw_close(&raw);
	return after <= before + 64 + 16 ? NULL : wrong("dextd has %u descriptors more", after - before);
}

static const char *
scm_junk(void)
{
	const pid_t dextd = dextd_pid();
	const unsigned before = count_fds(dextd);
	int pair[2], fds[64];
	struct raw raw;

	if (raw_connect(&raw) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return "no connection";
	for (unsigned i = 0; i < 64; i++)
		fds[i] = i % 3 == 0 ? pair[0] : i % 3 == 1 ? raw.end.socket : raw.end.memory;
	/* Packets that no message claims, the socket in itself, empty and odd ones; then a message. */
	for (unsigned i = 0; i < 40; i++) {
		struct wire_packet packet = { .sequence = i % 4, .n_fds = i };
		struct iovec iov = { &packet, i % 20 };
		char control[CMSG_SPACE(sizeof fds)] = { 0 };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(4 * (i + 1)) };
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(4 * (i + 1));
		memcpy(CMSG_DATA(cmsg), fds, 4 * (i + 1));
		(void)sendmsg(raw.end.socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (!raw_answers(&raw, ADXRegistry_GetRoot_ID))
		return "junk on the socket kept it from answering";
	struct grant_message message = grant(1, 4096, 1);
	(void)raw_put(&raw, &message.header, (uint8_t *)&message + 64, message.header.size - 64);
	if (!raw_is_evicted(&raw, 10000))
		return "another packet's descriptors were taken for a message's";
	raw_close(&raw);
	(void)close(pair[0]);
	(void)close(pair[1]);
	for (unsigned i = 0; count_fds(dextd) > before && i < 1000; i++)
		(void)poll(NULL, 0, 5);
	return count_fds(dextd) <= before ? NULL : wrong("dextd keeps %u descriptors", count_fds(dextd) - before);
}

/* Overlapping, wrapping and missing segments, memory that is not sealed or none: each is refused. */
static const char *
memory_lies(void)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	unsigned n = 0;
	struct raw raw;

	if (raw_connect(&raw) < 0)
		return "no connection";
	for (unsigned i = 0; i < 10; i++) {
		struct grant_message message = grant(i + 1, 8192, i == 9 ? 32 : 1);
		int fd = sealed_memory(8192, i == 0 ? 0 : seals);

		switch (i) {
		case 1:
			message.memory.segments[0].offset = ~0ull - 4095;
			break;
		case 2:
			message.memory.segments[0].length = 1ull << 50;
			break;
		case 3:
			message.memory.segments[0].fd_index = 7;
			break;
		case 4:
			message.memory.n_segments = 33;
			break;
		case 5:
			message.memory.n_segments = 0;
			break;
		case 6:
			message.memory.length = 1ull << 60;
			break;
		case 7:
			(void)close(fd);
			fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
			break;
		case 8:
			(void)close(fd);
			fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
			break;
		case 9: /* 32 segments of one page, over each other */
			for (unsigned s = 0; s < 32; s++)
				message.memory.segments[s].length = 8192;
			message.memory.length = 32 * 8192;
			break;
		default:
			break;
		}
		if (!put_grant(&raw, &message, fd) || !raw_answers(&raw, ADXRegistry_GetRoot_ID))
			return wrong("no answer after lie %u", i);
		/* Sealed memory cannot shrink under who maps it. */
		if (i > 0 && i < 7 && ftruncate(fd, 0) == 0)
			return "sealed memory was resized";
		(void)close(fd);
		n++;
	}
	raw_close(&raw);
	return n == 10 ? NULL : "not all were told";
}

/* ---- reading ---- */

static const char *
slow_reader(void)
{
	struct wire_header request = { .size = 72, .kind = WIRE_REQUEST, .method = ADXRegistry_CopyEntry_ID, .content_size = 8 };
	struct client client;
	struct raw raw;
	uint64_t root;

	if (!client_connect(&client) || ADXRegistry_GetRoot(client.registry, &root) != kIOReturnSuccess || raw_connect(&raw) < 0)
		return "no connection";
	client_close(&client);
	for (request.transaction = 0; request.transaction < 500000; request.transaction++) {
		while (!raw_put(&raw, &request, &root, 8))
			if (raw_is_evicted(&raw, 1))
				break;
		if (request.transaction % 64 == 0 && raw_is_evicted(&raw, 0))
			break;
	}
	if (!raw_is_evicted(&raw, 5000))
		return wrong("%llu answers were kept", (unsigned long long)request.transaction);
	raw_close(&raw);
	return request.transaction > 1000 ? NULL : "given up too soon";
}

static const char *
never_ack(void)
{
	char type[128] = "IOServiceTerminate";
	OSDictionary *matching = dictionary("IOProviderClass", "IOUserUserClient");
	struct client deaf, other;
	bool cut_off = false;

	if (!client_connect(&deaf) || !client_connect(&other))
		return "no connection";
	for (uint64_t token = 1; token <= 900; token++) {
		OSArray *ids = NULL;

		if (ADXRegistry_AddNotification(deaf.registry, type, matching, deaf.observer, token, &ids) != kIOReturnSuccess)
			return "no notification";
		OSRelease((OS_OBJECT *)ids);
	}
	/* Each user client that ends is 900 messages that nobody takes. */
	for (unsigned i = 0; i < 50 && !cut_off; i++) {
		struct pollfd fd;
		struct user_client user;

		if (client_open(&other, "HostileDriver", &user) != kIOReturnSuccess)
			return "the other connection suffers";
		(void)ADXRegistry_Close(other.registry, user.id);
		user_client_close(&user);
		fd = (struct pollfd){ .fd = adxi_channel_fd(deaf.channel), .events = POLLIN };
		(void)poll(&fd, 1, 0);
		cut_off = adxi_channel_is_dead(deaf.channel) || ADXRegistry_GetBusyState(other.registry, 0, &(uint32_t){ 0 }) == 0;
	}
	/* It finds its messages, and then the end. */
	for (unsigned i = 0; i < 10000 && !adxi_channel_is_dead(deaf.channel); i++)
		if (adxi_channel_dispatch(deaf.channel, 64) == 0)
			(void)poll(NULL, 0, 1);
	cut_off = adxi_channel_is_dead(deaf.channel);
	OSRelease((OS_OBJECT *)matching);
	client_close(&deaf);
	client_close(&other);
	return cut_off ? NULL : "it was not cut off";
}

/* ---- many ---- */

static const char *
connection_flood(void)
{
	struct raw raws[80];
	unsigned n = 0;
	int r = 0;

	while (n < 80 && (r = raw_connect(&raws[n])) == 0)
		n++;
	for (unsigned i = 0; i < n; i++)
		raw_close(&raws[i]);
	return n == 64 && r == -EDQUOT ? NULL : wrong("%u connections, then %s", n, strerror(-r));
}

static const char *
open_flood(void)
{
	struct client client;
	unsigned n = 0;
	IOReturn status = kIOReturnSuccess;

	if (!client_connect(&client))
		return "no connection";
	for (; n < 1100 && status == kIOReturnSuccess; n++) {
		struct user_client user;

		status = client_open(&client, "HostileDriver", &user);
		adxi_endpoint_done(&user.end);
	}
	client_close(&client);
	/* The driver's own limit of descriptors may be met first: its refusal is one as well. */
	return status != kIOReturnSuccess && n > 60 ? NULL : wrong("%u opened, then %#x", n, (unsigned)status);
}

static void
never_mind(void *context, IOReturn status)
{
}

static const char *
wait_flood(void)
{
	struct client client;
	char type[128] = "IOServicePublish";
	OSDictionary *matching = dictionary("IOProviderClass", "x");
	IOReturn status = kIOReturnSuccess;
	unsigned n;

	if (!client_connect(&client))
		return "no connection";
	for (n = 0; n < 2000 && status == kIOReturnSuccess; n++) {
		OSArray *ids = NULL;

		status = ADXRegistry_AddNotification(client.registry, type, matching, client.observer, n, &ids);
		OSRelease((OS_OBJECT *)ids);
		(void)ADXRegistry_WaitQuiet_Async(client.registry, 0, 1, never_mind, NULL);
	}
	OSRelease((OS_OBJECT *)matching);
	client_close(&client);
	return n == 1025 && status == kIOReturnNoResources ? NULL : wrong("%u, then %#x", n, (unsigned)status);
}

static const char *
log_flood(void)
{
	OSString *rule = OSString_withCString("T1"), *text = OSString_withCString("a line of a hostile client");
	struct client client;

	if (!client_connect(&client))
		return "no connection";
	for (unsigned i = 0; i < 20000; i++)
		ADXRegistry_Log(client.registry, rule, text);
	if (ADXRegistry_GetBusyState(client.registry, 0, &(uint32_t){ 0 }) == MIG_SERVER_DIED)
		return "evicted";
	OSRelease((OS_OBJECT *)rule);
	OSRelease((OS_OBJECT *)text);
	client_close(&client);
	return NULL;
}

/* ---- others' things ---- */

static const char *
double_close(void)
{
	struct user_client user;
	struct client client;
	uint64_t sum = 0;
	IOReturn status;

	if (!client_connect(&client) || client_open(&client, "HostileDriver", &user) != kIOReturnSuccess ||
	    user_client_connect(&user) != kIOReturnSuccess || user_client_sum(&user, 1, 2, &sum) != kIOReturnSuccess || sum != 3)
		return "no user client";
	if (ADXRegistry_Close(client.registry, user.id) != kIOReturnSuccess || ADXRegistry_Close(client.registry, user.id) != kIOReturnSuccess)
		return "a second close is no error";
	/* Use after close: its Stop may be on its way; then every call is refused. */
	for (unsigned i = 0; i < 2000 && (status = user_client_sum(&user, 1, 2, &sum)) == kIOReturnSuccess; i++)
		(void)poll(NULL, 0, 1);
	user_client_close(&user);
	client_close(&client);
	return status != kIOReturnSuccess ? NULL : "a closed user client went on";
}

static const char *
other_handle(void)
{
	struct client mine, theirs;
	struct user_client user, victim;
	IOService *stolen = NULL;
	IOReturn status;
	uint64_t sum = 0;

	if (!client_connect(&mine) || !client_connect(&theirs) || client_open(&theirs, "HostileDriver", &victim) != kIOReturnSuccess ||
	    user_client_connect(&victim) != kIOReturnSuccess || client_open(&mine, "HostileDriver", &user) != kIOReturnSuccess ||
	    user_client_connect(&user) != kIOReturnSuccess)
		return "no user clients";
	if (ADXRegistry_Close(mine.registry, victim.id) != kIOReturnNotPermitted)
		return "another connection's user client was closed";
	status = ADXDoor_CopyService(user.door, victim.id, &stolen);
	if (status != kIOReturnNotPermitted)
		return wrong("the door gave another one's user client: %#x", (unsigned)status);
	if (user_client_sum(&victim, 20, 22, &sum) != kIOReturnSuccess || sum != 42)
		return "the other one suffers";
	user_client_close(&user);
	user_client_close(&victim);
	client_close(&mine);
	client_close(&theirs);
	return NULL;
}

static const char *
id_guessing(void)
{
	struct user_client user;
	struct client client;
	unsigned n_got = 0;

	if (!client_connect(&client) || client_open(&client, "HostileDriver", &user) != kIOReturnSuccess ||
	    user_client_connect(&user) != kIOReturnSuccess)
		return "no user client";
	for (uint64_t id = user.id - 300; id < user.id + 100; id++) {
		IOService *service = NULL;

		if (id != user.id && ADXDoor_CopyService(user.door, id, &service) == kIOReturnSuccess)
			n_got++;
		(void)ADXRegistry_Close(client.registry, id == user.id ? 0 : id);
	}
	user_client_close(&user);
	client_close(&client);
	/* Indices of objects that were never passed: each attempt costs the connection. */
	for (uint32_t index = 1; index < 20; index++) {
		struct wire_header request = { .size = 64, .kind = WIRE_REQUEST, .method = ADXRegistry_GetRoot_ID, .target = { index, 0 } };
		struct raw raw;

		if (raw_connect(&raw) < 0 || !raw_put(&raw, &request, NULL, 0))
			return "no connection";
		if (!raw_is_evicted(&raw, 10000))
			return wrong("index %u was believed", index);
		raw_close(&raw);
	}
	return n_got == 0 ? NULL : wrong("%u services by guessing", n_got);
}

/* Checking in as a driver: the token is 128 bits, and belongs to a connection. */
static const char *
forged_check_in(void)
{
	char token[128] = "00112233445566778899aabbccddeeff";
	struct client client;
	ADXServer *server = NULL;
	OSDictionary *realm = NULL;
	IOReturn status;

	if (!client_connect(&client))
		return "no connection";
	status = ADXRegistry_CheckIn(client.registry, token, (ADXHost *)client.observer, &server, &realm);
	if (status == kIOReturnSuccess || server)
		return "it was taken for a driver";
	status = ADXRegistry_CheckIn(client.registry, token, NULL, &server, &realm);
	client_close(&client);
	return status != kIOReturnSuccess ? NULL : "it was taken for a driver";
}

/* ---- from outside of the protocol ---- */

/* As nobody: signals, /proc, the socket. Returns the number of things that worked, as its exit status. */
static int
outsider(pid_t dextd)
{
	static const char *const files[] = { "mem", "environ", "fd", "maps", "root" };
	char path[64], byte;
	struct iovec local = { &byte, 1 }, remote = { (void *)0x400000, 1 };
	int n = 0, fd;

	(void)setsid(); /* SIGCONT may go to whoever is in the same session */
	if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		return 99;
	for (int sig = 1; sig < 32; sig++)
		n += kill(dextd, sig) == 0;
	if (n)
		return 50 + n;
	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
		(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)dextd, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* An empty maps or environ is no secret. */
		if (fd >= 0 && read(fd, &byte, 1) == 1)
			return 40 + (int)i;
	}
	n += ptrace(PTRACE_ATTACH, dextd, NULL, NULL) == 0;
	n += process_vm_readv(dextd, &local, 1, &remote, 1, 0) > 0;
	n += raw_socket() >= 0;
	return n;
}

static const char *
outside(void)
{
	pid_t dextd = dextd_pid(), child;
	int status = 0;

	if (geteuid() != 0)
		return "skip: only root can become somebody else";
	child = fork();
	if (child == 0)
		_exit(outsider(dextd));
	(void)waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? NULL : wrong("%d of an outsider's means worked", WEXITSTATUS(status));
}

/* A process with the number of one that is gone: what was the dead one's is not its own. */
static int
successor(uint64_t victim_id)
{
	struct client client;

	if (!client_connect(&client))
		return 2;
	return ADXRegistry_Close(client.registry, victim_id) == kIOReturnNotPermitted ? 0 : 3;
}

static bool
pid_is_free(void *pid)
{
	return kill(*(pid_t *)pid, 0) < 0;
}

static const char *
pid_reuse(void)
{
	int ready[2], hold[2], status = 0;
	uint64_t id = 0;
	pid_t first, second;

	if (pipe(ready) < 0 || pipe(hold) < 0)
		return "no pipe";
	first = fork();
	if (first == 0) {
		struct client client;
		struct user_client user;

		if (!client_connect(&client) || client_open(&client, "HostileDriver", &user) != kIOReturnSuccess)
			_exit(1);
		/* Its child keeps the connection; this process ends, and its number is free. */
		if (fork() == 0) {
			char byte;

			(void)close(hold[1]);
			(void)!read(hold[0], &byte, 1);
			_exit(0);
		}
		_exit(write(ready[1], &user.id, 8) == 8 ? 0 : 1);
	}
	(void)waitpid(first, &status, 0);
	if (status != 0 || read(ready[0], &id, 8) != 8)
		return "no user client";
	if (!within(pid_is_free, &first))
		return "the number is still taken";
	{
		struct clone_args args = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&first, .set_tid_size = 1 };

		second = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	}
	if (second == 0)
		_exit(successor(id));
	if (second < 0)
		return wrong("skip: a number cannot be chosen here (%s)", strerror(errno));
	(void)waitpid(second, &status, 0);
	(void)close(hold[1]);
	return second == first && status == 0 ? NULL : wrong("the successor ended with %#x", (unsigned)status);
}

/* Stopped with everything open, and killed in the end. */
static const char *
stopped(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		OSDictionary *matching = dictionary("IOProviderClass", "IOUserUserClient");
		char type[128] = "IOServiceTerminate";
		struct user_client user;
		struct client client;
		OSArray *ids = NULL;

		if (!client_connect(&client) || client_open(&client, "HostileDriver", &user) != kIOReturnSuccess ||
		    user_client_connect(&user) != kIOReturnSuccess ||
		    ADXRegistry_AddNotification(client.registry, type, matching, client.observer, 1, &ids) != kIOReturnSuccess)
			_exit(1);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	(void)waitpid(child, &status, WUNTRACED);
	if (!WIFSTOPPED(status))
		return "it did not get so far";
	for (unsigned i = 0; i < 50; i++) {
		struct client other;
		struct user_client user;

		if (!client_connect(&other) || client_open(&other, "HostileDriver", &user) != kIOReturnSuccess)
			return "others wait for one that is stopped";
		user_client_close(&user);
		client_close(&other);
	}
	(void)kill(child, SIGKILL);
	(void)waitpid(child, &status, 0);
	return NULL;
}

const struct attack dextd_attacks[] = {
	{ "dextd-wrong-counts", "requests whose content does not fit their method", "an error each", "MSG001", wrong_counts },
	{ "dextd-huge-sizes", "sizes and counts of gigabytes, and of nothing", "eviction", "CHN001", huge_sizes },
	{ "dextd-fd-bomb", "2000 memory descriptors that are never taken back", "64 are kept, the others refused", "QUO009", fd_bomb },
	{ "dextd-scm-junk", "packets of descriptors that no message claims, sockets inside themselves", "eviction; all are closed", "CHN001",
	  scm_junk },
	{ "dextd-memory-lies", "memory that overlaps, wraps, is not sealed, or none", "an error each", "CHN006", memory_lies },
	{ "dextd-slow-reader", "asks and takes no answer", "eviction when 16 MiB wait", "CHN004", slow_reader },
	{ "dextd-never-ack", "900 notifications of which none is taken", "eviction when 512 wait", "SRV006", never_ack },
	{ "dextd-connection-flood", "80 connections of one process", "the 65th is refused in words", "QUO001", connection_flood },
	{ "dextd-open-flood", "user clients without end", "an error when there are too many", NULL, open_flood },
	{ "dextd-notification-flood", "2000 notifications and waits", "the 1025th is refused", "QUO002", wait_flood },
	{ "dextd-log-flood", "20000 lines at once", "2000 are kept, the others counted", "QUO007", log_flood },
	{ "dextd-double-close", "closes twice, and uses what is closed", "success, then errors", NULL, double_close },
	{ "dextd-other-handle", "another connection's user client", "kIOReturnNotPermitted", NULL, other_handle },
	{ "dextd-id-guessing", "ids and indices that it was never given", "kIOReturnNotPermitted; eviction", "CHN001", id_guessing },
	{ "dextd-forged-check-in", "checks in as a driver", "kIOReturnBadArgument", "SRV004", forged_check_in },
	{ "dextd-outsider", "signals, /proc, ptrace and the socket, as another user", "nothing works", NULL, outside },
	{ "dextd-pid-reuse", "a process with the number of one that is dead", "kIOReturnNotPermitted", NULL, pid_reuse },
	{ "dextd-stopped", "SIGSTOP with everything open", "others go on", NULL, stopped },
	{ 0 },
};
