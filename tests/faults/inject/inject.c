/* SPDX-License-Identifier: MIT */
/* Stands in front of libc (LD_PRELOAD) and lets what our libraries ask of it fail. One function of
 * libc each, with what it says when it fails for want of something. dextd passes neither
 * environment nor descriptors on, so its exec is helped on. */

/* mmap() and mmap64() are two symbols here. */
#undef _FILE_OFFSET_BITS

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "schedule.h"

#define EXPORT   __attribute__((visibility("default")))
#define CALLER   __builtin_return_address(0)
#define DELAY_NS 2000000

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

/* The real one of a function that this file stands in front of. */
#define REAL(name)                                                                                 \
	static __typeof__(name) *real;                                                             \
	if (!real)                                                                                 \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

static bool
fails(enum fault_kind kind, const void *caller, int error)
{
	if (!schedule_at(kind, caller))
		return false;
	schedule_count(kind);
	errno = error;
	return true;
}

/* ---------------------------------------------------------------------------------------------
 * Memory
 */

static void *
counted(void *block)
{
	struct fault_shared *shared = schedule_shared();

	if (block && shared && schedule_role() != ROLE_DEXT)
		atomic_fetch_add_explicit(&shared->blocks[schedule_role()], 1,
					  memory_order_relaxed);
	return block;
}

EXPORT void *
malloc(size_t size)
{
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : counted(__libc_malloc(size));
}

EXPORT void *
calloc(size_t n, size_t size)
{
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : counted(__libc_calloc(n, size));
}

static void *
resize(void *block, size_t size)
{
	void *resized = __libc_realloc(block, size);

	return block ? resized : counted(resized);
}

EXPORT void *
realloc(void *block, size_t size)
{
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : resize(block, size);
}

EXPORT void *
reallocarray(void *block, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : resize(block, bytes);
}

EXPORT void
free(void *block)
{
	struct fault_shared *shared = schedule_shared();

	if (block && shared && schedule_role() != ROLE_DEXT)
		atomic_fetch_sub_explicit(&shared->blocks[schedule_role()], 1,
					  memory_order_relaxed);
	__libc_free(block);
}

EXPORT char *
strdup(const char *text)
{
	REAL(strdup);
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : real(text);
}

EXPORT char *
strndup(const char *text, size_t size)
{
	REAL(strndup);
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? NULL : real(text, size);
}

EXPORT int
vasprintf(char **ret_text, const char *format, va_list arguments)
{
	REAL(vasprintf);
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? -1 : real(ret_text, format, arguments);
}

EXPORT int
asprintf(char **ret_text, const char *format, ...)
{
	__typeof__(vasprintf) *real;
	va_list arguments;
	int n;

	if (fails(FAULT_ALLOC, CALLER, ENOMEM))
		return -1;
	*(void **)&real = dlsym(RTLD_NEXT, "vasprintf");
	va_start(arguments, format);
	n = real(ret_text, format, arguments);
	va_end(arguments);
	return n;
}

EXPORT void *
mmap(void *at, size_t size, int access, int how, int fd, off_t offset)
{
	REAL(mmap);
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? MAP_FAILED
						  : real(at, size, access, how, fd, offset);
}

EXPORT void *
mmap64(void *at, size_t size, int access, int how, int fd, off64_t offset)
{
	REAL(mmap);
	return fails(FAULT_ALLOC, CALLER, ENOMEM) ? MAP_FAILED
						  : real(at, size, access, how, fd, offset);
}

/* ---------------------------------------------------------------------------------------------
 * Descriptors, threads, processes
 */

EXPORT int
memfd_create(const char *name, unsigned flags)
{
	REAL(memfd_create);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(name, flags);
}

EXPORT int
socketpair(int domain, int type, int protocol, int ret_fds[2])
{
	REAL(socketpair);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(domain, type, protocol, ret_fds);
}

EXPORT int
eventfd(unsigned count, int flags)
{
	REAL(eventfd);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(count, flags);
}

EXPORT int
epoll_create1(int flags)
{
	REAL(epoll_create1);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(flags);
}

EXPORT int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	return what == EPOLL_CTL_ADD && fails(FAULT_FD, CALLER, ENOSPC)
		       ? -1
		       : real(epoll, what, fd, event);
}

EXPORT int
timerfd_create(clockid_t clock, int flags)
{
	REAL(timerfd_create);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(clock, flags);
}

EXPORT int
signalfd(int fd, const sigset_t *mask, int flags)
{
	REAL(signalfd);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(fd, mask, flags);
}

EXPORT int
pidfd_open(pid_t pid, unsigned flags)
{
	REAL(pidfd_open);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(pid, flags);
}

EXPORT int
pipe2(int ret_fds[2], int flags)
{
	REAL(pipe2);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(ret_fds, flags);
}

EXPORT int
dup(int fd)
{
	REAL(dup);
	return fails(FAULT_FD, CALLER, EMFILE) ? -1 : real(fd);
}

static int
control(const void *caller, int fd, int command, void *argument)
{
	static int (*real)(int, int, ...);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fcntl64");
	if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && fails(FAULT_FD, caller, EMFILE))
		return -1;
	return real(fd, command, argument);
}

EXPORT int
fcntl(int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	return control(CALLER, fd, command, argument);
}

EXPORT int
fcntl64(int fd, int command, ...)
{
	va_list arguments;

	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	return control(CALLER, fd, command, argument);
}

static int
open_any(const void *caller, const char *path, int flags, mode_t mode)
{
	static int (*real)(const char *, int, ...);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open64");
	return fails(FAULT_FD, caller, EMFILE) ? -1 : real(path, flags, mode);
}

EXPORT int
open(const char *path, int flags, ...)
{
	va_list arguments;

	va_start(arguments, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return open_any(CALLER, path, flags, mode);
}

EXPORT int
open64(const char *path, int flags, ...)
{
	va_list arguments;

	va_start(arguments, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return open_any(CALLER, path, flags, mode);
}

EXPORT FILE *
fopen64(const char *path, const char *mode)
{
	REAL(fopen64);
	return fails(FAULT_FD, CALLER, EMFILE) ? NULL : real(path, mode);
}

EXPORT DIR *
opendir(const char *path)
{
	REAL(opendir);
	return fails(FAULT_FD, CALLER, EMFILE) ? NULL : real(path);
}

EXPORT int
pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*main)(void *),
	       void *context)
{
	REAL(pthread_create);
	return fails(FAULT_FD, CALLER, EAGAIN) ? EAGAIN
					       : real(ret_thread, attributes, main, context);
}

EXPORT pid_t
fork(void)
{
	REAL(fork);
	return fails(FAULT_FD, CALLER, EAGAIN) ? -1 : real();
}

/* ---------------------------------------------------------------------------------------------
 * Messages
 */

static void
delay(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = DELAY_NS }, NULL);
}

EXPORT ssize_t
sendmsg(int socket, const struct msghdr *message, int flags)
{
	const void *caller = CALLER;
	uint32_t fault = schedule_at(FAULT_MESSAGE, caller);
	REAL(sendmsg);

	if (!fault) {
		if (schedule_at(FAULT_DELAY, caller)) {
			delay();
			schedule_count(FAULT_DELAY);
		}
		return real(socket, message, flags);
	}
	schedule_count(FAULT_MESSAGE);
	if (fault & 2)
		(void)shutdown(socket, SHUT_RDWR); /* its receiver has ended */
	errno = fault & 2 ? EPIPE : ENOMEM;
	return -1;
}

EXPORT ssize_t
recvmsg(int socket, struct msghdr *message, int flags)
{
	uint32_t fault = schedule_at(FAULT_MESSAGE, CALLER);
	REAL(recvmsg);
	ssize_t n = real(socket, message, flags);
	struct cmsghdr *header = n > 0 && fault ? CMSG_FIRSTHDR(message) : NULL;

	if (!header || header->cmsg_type != SCM_RIGHTS)
		return n; /* nothing to cut short */
	schedule_count(FAULT_MESSAGE);
	for (size_t at = CMSG_LEN(0); at < header->cmsg_len; at += sizeof(int)) {
		int fd;

		memcpy(&fd, (const char *)header + at, sizeof fd);
		(void)close(fd);
	}
	message->msg_controllen = 0;
	message->msg_flags |= MSG_CTRUNC;
	return n;
}

/* ---------------------------------------------------------------------------------------------
 * Our own seams
 */

static int
at_send(const char *site)
{
	uint32_t fault = schedule_at_seam(FAULT_MESSAGE, site);

	if (fault) {
		schedule_count(FAULT_MESSAGE);
		return fault & 2 ? -EPIPE : -ENOMEM;
	}
	if (schedule_at_seam(FAULT_DELAY, site)) {
		delay();
		schedule_count(FAULT_DELAY);
	}
	return 0;
}

static int
at_seam(enum adxi_fault_seam seam, const char *site)
{
	static const int errors[] = { -EIO, -ENOMEM, -ENODEV, -EBUSY };
	uint32_t fault;

	if (seam == ADXI_FAULT_SEND)
		return at_send(site);
	fault = schedule_at_seam(FAULT_TRANSFER, site);
	if (!fault)
		return 0;
	schedule_count(FAULT_TRANSFER);
	return seam == ADXI_FAULT_SUBMIT ? errors[(fault >> 1) % 4] : (int)(fault >> 1) + 1;
}

/* For whoever has to find out: module+offset of each frame. */
static void
say_where(int number)
{
	void *frames[48];
	int n = backtrace(frames, 48);

	backtrace_symbols_fd(frames, n, STDERR_FILENO);
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

__attribute__((constructor)) static void
seams_start(void)
{
	adxi_fault_fn **hook = dlsym(RTLD_DEFAULT, "adxi_fault_hook");

	if (hook && schedule_role() >= 0)
		*hook = at_seam;
	/* Drivers say themselves where they crashed. */
	if (schedule_role() >= 0 && schedule_role() != ROLE_DEXT) {
		(void)backtrace((void *[1]){ NULL }, 1); /* it loads a library the first time */
		(void)signal(SIGSEGV, say_where);
		(void)signal(SIGABRT, say_where);
	}
}

/* ---------------------------------------------------------------------------------------------
 * From dextd to the processes that it makes
 */

EXPORT int
close_range(unsigned first, unsigned last, int flags)
{
	REAL(close_range);
	if (schedule_role() < 0 || first > FAULTS_FD || last < FAULTS_FD)
		return real(first, last, flags);
	if (first < FAULTS_FD && real(first, FAULTS_FD - 1, flags) < 0)
		return -1;
	return real(FAULTS_FD + 1, last, flags);
}

/* After fork(): no allocation. */
EXPORT int
execve(const char *path, char *const *arguments, char *const *environment)
{
	static char variable[sizeof FAULTS_VARIABLE + 8], preload[4096];
	static char *with_ours[512];
	const char *library = getenv("LD_PRELOAD");
	size_t n = 0;
	REAL(execve);

	if (schedule_role() != ROLE_DEXTD || !library)
		return real(path, arguments, environment);
	while (environment[n] && n < 509) {
		with_ours[n] = environment[n];
		n++;
	}
	(void)snprintf(variable, sizeof variable, "%s=%d", FAULTS_VARIABLE, FAULTS_FD);
	(void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
	with_ours[n++] = variable;
	with_ours[n++] = preload;
	with_ours[n] = NULL;
	return real(path, arguments, with_ours);
}
