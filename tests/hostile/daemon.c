/* SPDX-License-Identifier: MIT */
/* hostile-dextd CASE [--spawn] COMMAND…: a false dextd for COMMAND, which is a client (it finds the socket through $AMBIDEXT_REALM), or
 * with --spawn a process that dextd launches. The victim may fail in any way but one: it must end by itself, and not of a signal.
 * Prints its exit status; exit status 0: it ended so. `hostile-dextd --list` prints the cases. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>

#include "base/clock.h"
#include "channel/packet.h"
#include "raw.h"

static int
memory(size_t size, int seals)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, (off_t)size) < 0 || (seals && fcntl(fd, F_ADD_SEALS, seals) < 0)))
		return -1;
	return fd;
}

/* ---- bad welcomes ---- */

static void
welcome(int socket, uint64_t magic, uint32_t version, uint32_t side, const int *fds, unsigned n_fds)
{
	const struct wire_welcome bytes = { .magic = magic, .version = version, .side = side };

	(void)packet_send(socket, &bytes, sizeof bytes, fds, n_fds);
}

static void
bad_fds(int socket, int fd)
{
	const int fds[3] = { fd, fd, fd };

	welcome(socket, WIRE_MAGIC, WIRE_VERSION, 1, fds, 3);
	(void)close(fd);
}

static void
closes(int socket)
{
}

static void
junk(int socket)
{
	char bytes[4096];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)random_word();
	(void)send(socket, bytes, sizeof bytes, MSG_NOSIGNAL);
}

static void
no_fds(int socket)
{
	welcome(socket, WIRE_MAGIC, WIRE_VERSION, 1, NULL, 0);
}

static void
wrong_magic(int socket)
{
	welcome(socket, 1, WIRE_VERSION, 1, NULL, 0);
}

static void
wrong_version(int socket)
{
	int fd = memory(WIRE_REGION_SIZE, 0), fds[3] = { fd, fd, fd };

	welcome(socket, WIRE_MAGIC, 99, 1, fds, 3);
}

static void
wrong_side(int socket)
{
	welcome(socket, WIRE_MAGIC, WIRE_VERSION, 0, NULL, 0);
}

static void
device_fds(int socket)
{
	bad_fds(socket, open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static void
unsealed(int socket)
{
	bad_fds(socket, memory(WIRE_REGION_SIZE, 0));
}

static void
small_memory(int socket)
{
	bad_fds(socket, memory(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

static void
read_only_memory(int socket)
{
	bad_fds(socket, memory(WIRE_REGION_SIZE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
}

static void
many_fds(int socket)
{
	int fds[100];

	for (unsigned i = 0; i < 100; i++)
		fds[i] = socket;
	welcome(socket, WIRE_MAGIC, WIRE_VERSION, 1, fds, 100);
}

/* ---- bad answers: the channel is a true one ---- */

struct answer {
	struct wire_header header;
	uint8_t body[WIRE_MAX - sizeof(struct wire_header)];
};

static void (*answer_badly)(struct raw *raw, const struct wire_header *request);

static void
serve(int socket)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct wire_header request;
	uint64_t until = adxi_deadline_ns(3 * ADXI_NS_PER_S);
	struct raw raw;

	if (adxi_endpoint_serve(dup(socket), &endpoint) < 0 || raw_open(&raw, &endpoint) < 0)
		return;
	while (adxi_now_ns() < until && raw_take(&raw, &request, NULL, 1000) >= 0 && !raw_is_evicted(&raw, 0))
		if (request.kind == WIRE_REQUEST)
			answer_badly(&raw, &request);
	raw_close(&raw);
}

static void
put(struct raw *raw, struct answer *answer, uint32_t content)
{
	answer->header.size = 64 + content;
	(void)raw_put(raw, &answer->header, answer->body, content);
}

static void
with_nothing(struct raw *raw, const struct wire_header *request)
{
	struct answer answer = { .header = { .kind = WIRE_REPLY, .transaction = request->transaction } };

	put(raw, &answer, 0);
}

static void
with_garbage(struct raw *raw, const struct wire_header *request)
{
	struct answer answer = { .header = { .kind = WIRE_REPLY, .transaction = request->transaction, .content_size = 512 } };

	for (unsigned i = 0; i < 512; i++)
		answer.body[i] = (uint8_t)random_word();
	put(raw, &answer, 512);
}

static void
twice(struct raw *raw, const struct wire_header *request)
{
	with_nothing(raw, request);
	with_nothing(raw, request);
}

static void
huge(struct raw *raw, const struct wire_header *request)
{
	static struct answer answer;

	answer.header = (struct wire_header){ .kind = WIRE_REPLY, .transaction = request->transaction, .content_size = 30000 };
	memset(answer.body, 0xff, 30000);
	put(raw, &answer, 30000);
}

static void
with_object(struct raw *raw, const struct wire_header *request, const char *name, unsigned kind)
{
	struct answer answer = { .header = { .kind = WIRE_REPLY, .transaction = request->transaction, .n_objects = 1 } };
	struct wire_slot slot = { .kind = (uint8_t)kind, .name_size = (uint16_t)strlen(name), .ref = { 1 + random_below(100), 0 } };

	memcpy(answer.body, &slot, sizeof slot);
	memcpy(answer.body + sizeof slot, name, strlen(name));
	put(raw, &answer, (uint32_t)sizeof slot + wire_pad8((uint32_t)strlen(name)));
}

static void
other_class(struct raw *raw, const struct wire_header *request)
{
	with_object(raw, request, "IOUserClient", SLOT_PROXY);
}

static void
fake_grant(struct raw *raw, const struct wire_header *request)
{
	with_object(raw, request, "ADXEndpoint", SLOT_GRANT);
}

static void
never_given(struct raw *raw, const struct wire_header *request)
{
	struct answer answer = { .header = { .kind = WIRE_REPLY, .transaction = request->transaction, .n_objects = 1 } };
	struct wire_slot slot = { .kind = SLOT_YOURS, .ref = { 50, 0 } };

	memcpy(answer.body, &slot, sizeof slot);
	put(raw, &answer, sizeof slot);
}

/* An array without end: many times more than fits, in memory of its own that is not what it says. */
static void
endless(struct raw *raw, const struct wire_header *request)
{
	struct answer answer = { .header = { .kind = WIRE_REPLY, .transaction = request->transaction, .n_objects = 1, .n_fds = 1 } };
	struct wire_slot slot = { .kind = SLOT_VALUE_MEMORY, .n_fds = 1 };
	int fd = memory(4u << 20, 0);
	static uint8_t bytes[4u << 20];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i % 7 + 5);
	if (pwrite(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return;
	answer.header.fd_sequence = raw->fd_sequence;
	if (raw_send_fds(raw, &fd, 1) == 0) {
		memcpy(answer.body, &slot, sizeof slot);
		put(raw, &answer, sizeof slot);
	}
	(void)close(fd);
}

static void
words(struct raw *raw, const struct wire_header *request)
{
	for (unsigned i = 0; i < 300; i++)
		((volatile uint32_t *)raw->region)[16 + random_below(160)] = (uint32_t)random_word();
	raw_ring_bell(raw);
}

/* Commands that only a dextd gives, to whoever it is. */
static void
commands(struct raw *raw, const struct wire_header *request)
{
	static const uint64_t methods[] = { ADXHost_StartService_ID, ADXHost_StopService_ID,  ADXHost_ReleaseService_ID, ADXHost_NewUserClient_ID,
					    ADXHost_Introduce_ID,    ADXHost_SetProperties_ID, ADXHost_AttachDevice_ID,   ADXHost_DetachDevice_ID };

	for (unsigned i = 0; i < 16; i++) {
		struct answer command = { .header = { .kind = WIRE_REQUEST, .method = methods[i % 8], .transaction = i,
						      .content_size = 8 * random_below(40), .target = { random_below(3), 0 } } };

		for (unsigned at = 0; at < command.header.content_size; at++)
			command.body[at] = (uint8_t)random_word();
		put(raw, &command, command.header.content_size);
	}
	with_nothing(raw, request);
}

static const struct {
	const char *name;
	void (*connection)(int socket);
	void (*answer)(struct raw *raw, const struct wire_header *request);
} cases[] = {
	{ "closes", closes, NULL },
	{ "junk", junk, NULL },
	{ "no-descriptors", no_fds, NULL },
	{ "wrong-magic", wrong_magic, NULL },
	{ "wrong-version", wrong_version, NULL },
	{ "wrong-side", wrong_side, NULL },
	{ "devices-as-memory", device_fds, NULL },
	{ "unsealed-memory", unsealed, NULL },
	{ "small-memory", small_memory, NULL },
	{ "read-only-memory", read_only_memory, NULL },
	{ "many-descriptors", many_fds, NULL },
	{ "answers-nothing", serve, with_nothing },
	{ "answers-garbage", serve, with_garbage },
	{ "answers-twice", serve, twice },
	{ "answers-huge", serve, huge },
	{ "answers-other-class", serve, other_class },
	{ "answers-fake-grant", serve, fake_grant },
	{ "answers-never-given", serve, never_given },
	{ "answers-endless", serve, endless },
	{ "writes-words", serve, words },
	{ "gives-commands", serve, commands },
};
#define N_CASES (sizeof cases / sizeof cases[0])

static int
listen_at(const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", dir);
	return bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0 ? fd : -1;
}

static pid_t
spawn(char **argv, int socket)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (socket >= 0) {
		(void)dup2(socket, 3); /* without CLOEXEC */
		(void)setenv("AMBIDEXT_SOCKET_FD", "3", 1);
		(void)setenv("AMBIDEXT_TOKEN", "00112233445566778899aabbccddeeff", 1);
		(void)setenv("AMBIDEXT_SERVER_NAME", "org.example.victim", 1);
	}
	(void)execvp(argv[0], argv);
	_exit(127);
}

/* Serve until the victim ends; it has a time. */
static int
play(size_t which, pid_t victim, int listener, int socket)
{
	const uint64_t until = adxi_deadline_ns(20 * ADXI_NS_PER_S);
	int status;

	answer_badly = cases[which].answer;
	if (socket >= 0) {
		cases[which].connection(socket);
		(void)close(socket);
	}
	while (waitpid(victim, &status, WNOHANG) == 0) {
		struct pollfd fd = { .fd = listener, .events = POLLIN };

		if (adxi_now_ns() > until) {
			(void)kill(victim, SIGKILL);
			(void)waitpid(victim, &status, 0);
			printf("%s: the victim does not end\n", cases[which].name);
			return 1;
		}
		if (listener < 0 || poll(&fd, 1, 20) <= 0) {
			if (listener < 0)
				(void)poll(NULL, 0, 5);
			continue;
		}
		int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		cases[which].connection(accepted);
		(void)close(accepted);
	}
	printf("%s: status %#x\n", cases[which].name, (unsigned)status);
	return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

int
main(int argc, char **argv)
{
	const bool spawned = argc > 3 && !strcmp(argv[2], "--spawn");
	char dir[] = "/tmp/hostile-dextd-XXXXXX", path[64];
	int sockets[2] = { -1, -1 }, listener = -1, failed = 2;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < N_CASES; i++) {
		if (argc > 1 && !strcmp(argv[1], "--list"))
			printf("%s\n", cases[i].name);
		if (argc < 3 || strcmp(argv[1], cases[i].name) != 0 || !mkdtemp(dir))
			continue;
		(void)setenv("AMBIDEXT_REALM", dir, 1);
		if (spawned && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
			return 2;
		if (!spawned)
			listener = listen_at(dir);
		pid_t victim = spawn(argv + 2 + spawned, sockets[1]);
		(void)close(sockets[1]);
		failed = play(i, victim, listener, sockets[0]);
		(void)snprintf(path, sizeof path, "%s/dextd.sock", dir);
		(void)unlink(path);
		(void)rmdir(dir);
	}
	return argc > 1 && !strcmp(argv[1], "--list") ? 0 : failed;
}
