/* SPDX-License-Identifier: MIT */
/* What subjects need besides the loops: options, processors, clocks, contents. */

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "subject.h"

#define MAX_BYTES (16u << 20)

/* ---- options ---- */

__attribute__((noreturn, format(printf, 1, 2))) static void
wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static void
take_out(int *argc, char **argv, int index, int n)
{
	memmove(&argv[index], &argv[index + n], (size_t)(*argc - index - n + 1) * sizeof *argv);
	*argc -= n;
}

const char *
bench_option(int *argc, char **argv, const char *name)
{
	size_t len = strlen(name);

	for (int i = 1; i < *argc; i++) {
		const char *value = argv[i];
		if (strcmp(value, name) == 0) {
			if (i + 1 == *argc)
				wrong("%s wants a value", name);
			value = argv[i + 1];
			take_out(argc, argv, i, 2);
			return value;
		}
		if (strncmp(value, name, len) == 0 && value[len] == '=') {
			take_out(argc, argv, i, 1);
			return value + len + 1;
		}
	}
	return NULL;
}

uint64_t
bench_option_number(int *argc, char **argv, const char *name, uint64_t otherwise)
{
	const char *text = bench_option(argc, argv, name);
	unsigned long long value;
	char *end;

	if (!text)
		return otherwise;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-')
		wrong("%s wants a number, not '%s'", name, text);
	return value;
}

int
bench_option_flag(int *argc, char **argv, const char *name)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], name) == 0) {
			take_out(argc, argv, i, 1);
			return 1;
		}
	}
	return 0;
}

void
bench_no_more_options(int argc, char **argv)
{
	if (argc > 1)
		wrong("unknown option '%s'", argv[1]);
}

void
bench_options(int *argc, char **argv, struct bench_options *ret_options)
{
	struct bench_options options = { 0 };
	const char *pin = bench_option(argc, argv, "--pin");

	options.bytes = bench_option_number(argc, argv, "--bytes", 0);
	if (options.bytes > MAX_BYTES)
		wrong("--bytes: at most %u", MAX_BYTES);
	if (pin && strcmp(pin, "one") == 0)
		options.pin = BENCH_PIN_ONE;
	else if (pin && strcmp(pin, "two") == 0)
		options.pin = BENCH_PIN_TWO;
	else if (pin && strcmp(pin, "free") != 0)
		wrong("--pin knows one, two and free, not '%s'", pin);
	if (options.pin == BENCH_PIN_TWO && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		bench_skip("there is only one processor");
	*ret_options = options;
}

void
bench_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("skip ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
	(void)fflush(stdout);
	_exit(BENCH_SKIPPED);
}

void
bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	/* Not exit(): this may be a forked server, and what the client has buffered is not its to
	 * write. */
	_exit(1);
}

/* ---- processors ---- */

static int
processor_of(enum bench_side side, const struct bench_options *options)
{
	if (options->pin == BENCH_PIN_FREE)
		return -1;
	return options->pin == BENCH_PIN_TWO && side == BENCH_SERVER ? 1 : 0;
}

static int
pin_task(pid_t task, int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)processor, &set);
	return sched_setaffinity(task, sizeof set, &set) < 0 ? -errno : 0;
}

void
bench_pin(enum bench_side side, const struct bench_options *options)
{
	int processor = processor_of(side, options);
	int r = processor < 0 ? 0 : pin_task(0, processor);

	if (r < 0)
		bench_skip("cannot be pinned to processor %d: %s", processor, strerror(-r));
}

int
bench_pin_process(enum bench_side side, const struct bench_options *options, pid_t pid)
{
	int processor = processor_of(side, options), r = 0;
	char path[64];
	struct dirent *entry;
	DIR *tasks;

	if (processor < 0)
		return 0;
	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while (r == 0 && (entry = readdir(tasks)))
		if (*entry->d_name != '.')
			r = pin_task((pid_t)atoi(entry->d_name), processor);
	closedir(tasks);
	return r;
}

pid_t
bench_fork(enum bench_side side, const struct bench_options *options, void (*run)(void *context),
	   void *context)
{
	pid_t parent = getpid(), pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid < 0)
		bench_fail("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	bench_pin(side, options);
	run(context);
	_exit(0);
}

/* ---- memory and contents ---- */

void *
bench_shared(size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		bench_fail("mmap of %zu bytes: %s", len, strerror(errno));
	return memory;
}

static uint8_t
byte_at(size_t index, uint64_t seed)
{
	return (uint8_t)((index * 31u + seed) ^ (index >> 8));
}

void
bench_fill(void *data, size_t len, uint64_t seed)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		bytes[i] = byte_at(i, seed);
}

int
bench_holds(const void *data, size_t len, uint64_t seed)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		if (bytes[i] != byte_at(i, seed))
			return 0;
	return 1;
}

/* ---- clocks ---- */

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time) < 0)
		return 0;
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t
bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
bench_cpu_self_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
bench_cpu_of_ns(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) == 0 ? clock_ns(clock) : 0;
}

void
bench_sleep_ns(uint64_t ns)
{
	struct timespec time = { .tv_sec = (time_t)(ns / 1000000000u),
				 .tv_nsec = (long)(ns % 1000000000u) };

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}
