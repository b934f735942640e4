/* SPDX-License-Identifier: MIT */
/* dext: build, load and watch drivers. */

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mach/mach.h>

#include "dext/dext.h"

#define VERSION "0.1.0"

const struct command commands[] = {
	{ "build", "DIR | FILE... [-o Foo.dext]", "make a bundle from .iig, .c and .cpp files and an Info.plist", command_build,
	  "  -o, --output PATH       the bundle (default: the folder's name with .dext)\n"
	  "      --plist FILE        Info.plist (default: Info.plist in the folder)\n"
	  "  -D, --define NAME=VALUE Xcode variable for the Info.plist, e.g. PRODUCT_BUNDLE_IDENTIFIER=org.acme.driver\n"
	  "  -I DIR                  folder with headers\n"
	  "      --cflag FLAG        passed to the compiler; may be given several times\n"
	  "      --keep DIR          leave generated sources and objects there\n"
	  "  -j N                    compilers at once (default: one a processor)\n"
	  "  -v, --verbose           show every command\n" },
	{ "load", "PATH...", "take bundles into the realm; their drivers start when a device matches", command_load,
	  "  Every problem of a bundle is printed at once.\n" },
	{ "upgrade", "PATH...", "replace loaded bundles by other versions, which have to start, or the old ones come back", command_upgrade,
	  "  The old version's drivers are stopped, then the new one's started.\n" },
	{ "unload", "BUNDLE-ID...", "end a bundle's drivers and forget it", command_unload, "" },
	{ "unquarantine", "[BUNDLE-ID|PERSONALITY]", "give drivers that crashed too often another chance; without a name: all", command_unquarantine, "" },
	{ "list", "[bundles|servers]", "bundles, and the driver processes with their services", command_list,
	  "      --json              for programs\n" },
	{ "attach", "DEVICE", "bring a device: model:NAME[,OPTION=VALUE...]", command_attach,
	  "  Prints the registry entry id of the new device.\n" },
	{ "detach", "DEVICE", "take a device away, as if it were unplugged", command_detach,
	  "  DEVICE is as in attach, or the locationID that ioreg shows.\n" },
	{ "log", "[SERVER]", "lines that drivers and dextd wrote, with the rules they met", command_log,
	  "  -f, --follow            go on until interrupted\n"
	  "      --json              one object a line\n"
	  "      --rules             only lines that tell of a rule\n"
	  "      --audit             who opened, loaded or attached what, or was refused, in its place\n" },
	{ "crash", "list|show [NUMBER]", "what went wrong with drivers' processes, with the place in the source", command_crash,
	  "  The newest is shown when no NUMBER is given.\n"
	  "      --json              for programs\n"
	  "      --maps              with the process' memory map\n" },
	{ "explain", "[ID]", "what a rule wants, how to mend it, and what macOS does; without ID: all rules", command_explain,
	  "      --json              for programs\n" },
	{ "realm", "run [OPTION...] [-- CMD...]", "start a private dextd, run a command in it (default: a shell), end it", command_realm,
	  "      --dir DIR           realm directory (default: a new one, removed at the end)\n"
	  "      --load BUNDLE       load a bundle first; may be given several times\n"
	  "      --attach DEVICE     attach a device after that; may be given several times\n"
	  "      --dextd OPTION      an option for dextd, as --restart=apple; may be given several times\n"
	  "      --allow-crashes     do not fail when a driver crashed, or a sanitizer reported something\n"
	  "      --strict macos      make portability verdicts fail as macOS would\n"
	  "      --log FILE          write the realm's log there at the end (- is standard error)\n"
	  "  -v, --verbose           write the realm's log to standard error as it comes; without this and --log\n"
	  "                          it is shown at the end when the command failed\n" },
};
const size_t n_commands = sizeof commands / sizeof *commands;

static bool
colour(void)
{
	return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

int
fail(const char *command, const char *fmt, ...)
{
	va_list arguments;

	fprintf(stderr, "%sdext %s:%s ", colour() ? "\033[31m" : "", command, colour() ? "\033[0m" : "");
	va_start(arguments, fmt);
	vfprintf(stderr, fmt, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

void
progress(const char *fmt, ...)
{
	va_list arguments;

	va_start(arguments, fmt);
	vfprintf(stderr, fmt, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

const char *
installed_path(const char *from_self, char path[static PATH_MAX])
{
	char self[PATH_MAX], joined[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (length <= 0)
		return NULL;
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	(void)snprintf(joined, sizeof joined, "%s/%s", *from_self == '/' ? "" : self, from_self);
	return realpath(joined, path);
}

const char *
own_program(const char *variable, const char *from_self, char path[static PATH_MAX])
{
	const char *named = getenv(variable), *slash = strrchr(from_self, '/');

	if (named && *named)
		return named;
	if (installed_path(from_self, path) && access(path, X_OK) == 0)
		return path;
	return slash ? slash + 1 : from_self;
}

static const struct command *
find(const char *name)
{
	for (size_t i = 0; i < n_commands; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void
print_command(FILE *to, const struct command *command)
{
	fprintf(to, "usage: dext %s %s\n\n%s\n\n%s", command->name, command->arguments, command->summary, command->help);
}

int
usage_of(const char *name, const char *problem)
{
	const struct command *command = find(name);

	(void)fail(name, "%s", problem);
	fprintf(stderr, "usage: dext %s %s\n", command->name, command->arguments);
	return EXIT_USAGE;
}

static void
print_usage(FILE *to)
{
	fprintf(to, "usage: dext COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < n_commands; i++)
		fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\n`dext COMMAND --help` tells more. The realm is $AMBIDEXT_REALM, or /run/ambidext.\n");
}

const char *
answer_text(kern_return_t answer)
{
	static char text[256];

	if (answer == kIOReturnNoDevice && *adx_last_explanation())
		return adx_last_explanation();
	(void)snprintf(text, sizeof text, "%s (%#x)", mach_error_string(answer), (unsigned)answer);
	return text;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		const struct command *command = argc > 2 ? find(argv[2]) : NULL;
		if (command)
			print_command(stdout, command);
		else
			print_usage(stdout);
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("dext " VERSION);
		return EXIT_OK;
	}
	const struct command *command = find(argv[1]);
	if (!command) {
		fprintf(stderr, "dext: there is no command '%s'\n", argv[1]);
		print_usage(stderr);
		return EXIT_USAGE;
	}
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_command(stdout, command);
			return EXIT_OK;
		}
	}
	return command->run(argc - 1, argv + 1);
}
