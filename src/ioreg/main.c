/* SPDX-License-Identifier: MIT */
/* ioreg: options. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ioreg/ioreg.h"

static void
usage(FILE *to)
{
	fputs("usage: ioreg [-bilrStx] [-c CLASS] [-n NAME] [-k KEY] [-p PLANE] [-d DEPTH] [-w "
	      "WIDTH] [--json]\n"
	      "Show the I/O Registry of the realm in $AMBIDEXT_REALM as a tree.\n"
	      "\n"
	      "  -l         properties of all entries\n"
	      "  -c CLASS   properties of entries of that class (or IOUserClass)\n"
	      "  -n NAME    properties of entries of that name\n"
	      "  -k KEY     properties of entries that have that property\n"
	      "  -r         begin with the entries that -c, -n or -k select, not with the root\n"
	      "  -t         with -r: show the way from the root\n"
	      "  -p PLANE   plane (IOService)\n"
	      "  -d DEPTH   this many levels\n"
	      "  -i         inheritance of each class\n"
	      "  -S         children by name, not in order of arrival\n"
	      "  -x         numbers in hexadecimal\n"
	      "  -b         names in bold\n"
	      "  -w WIDTH   cut lines there; 0: never; default: the terminal's width, if it is "
	      "one\n"
	      "  --json     the same as JSON\n"
	      "  --help, --version\n",
	      to);
}

static int
parse_number(const char *option, const char *text, size_t *ret_number)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 0);
	if (errno || *end || end == text || number > 1000000) {
		fprintf(stderr, "ioreg: %s '%s': a number up to 1000000 is wanted\n", option, text);
		return -EINVAL;
	}
	*ret_number = number;
	return 0;
}

static size_t
terminal_width(void)
{
	struct winsize size;

	return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col
										     : 0;
}

static bool
is_plane(const char *name)
{
	static const char *const planes[] = { "IOService",    "IOUSB",   "IOPower",
					      "IODeviceTree", "IOAudio", "IOFireWire" };
	size_t i;

	for (i = 0; i < sizeof planes / sizeof planes[0]; i++)
		if (!strcmp(planes[i], name))
			return true;
	return false;
}

int
main(int argc, char **argv)
{
	enum { JSON = 256, HELP, VERSION };
	static const struct option longs[] = {
		{ "json", no_argument, NULL, JSON },
		{ "help", no_argument, NULL, HELP },
		{ "version", no_argument, NULL, VERSION },
		{ NULL, 0, NULL, 0 },
	};
	struct ioreg_options options = { .plane = "IOService", .width = terminal_width() };
	size_t depth = 0;
	int c;

	while ((c = getopt_long(argc, argv, "abc:d:fhik:ln:p:rStw:x", longs, NULL)) != -1) {
		switch (c) {
		case 'b':
			options.bold = true;
			break;
		case 'c':
			options.class_name = optarg;
			break;
		case 'd':
			if (parse_number("-d", optarg, &depth) < 0)
				return 2;
			options.depth = (unsigned)depth;
			break;
		case 'f':
			break; /* macOS formats some properties with it; nothing here has such a
				  form */
		case 'i':
			options.inheritance = true;
			break;
		case 'k':
			options.key = optarg;
			break;
		case 'l':
			options.all_properties = true;
			break;
		case 'n':
			options.name = optarg;
			break;
		case 'p':
			options.plane = optarg;
			break;
		case 'r':
			options.roots = true;
			break;
		case 'S':
			options.sort = true;
			break;
		case 't':
			options.to_root = true;
			break;
		case 'w':
			if (parse_number("-w", optarg, &options.width) < 0)
				return 2;
			break;
		case 'x':
			options.hex = true;
			break;
		case 'a':
			fprintf(stderr, "ioreg: -a (a property list) is not supported; --json says "
					"the same\n");
			return 2;
		case JSON:
			options.json = true;
			break;
		case 'h':
		case HELP:
			usage(stdout);
			return 0;
		case VERSION:
			puts("ioreg " AMBIDEXT_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ioreg: argument '%s': ioreg takes options only (ioreg --help)\n",
			argv[optind]);
		return 2;
	}
	if (options.roots && !options.class_name && !options.name && !options.key) {
		fprintf(stderr,
			"ioreg: -r begins with what -c, -n or -k select; none of them is given\n");
		return 2;
	}
	if (!is_plane(options.plane)) {
		fprintf(stderr,
			"ioreg: there is no plane '%s'; the planes are IOService, IOUSB, IOPower, "
			"IODeviceTree, IOAudio and IOFireWire\n",
			options.plane);
		return 2;
	}
	return options.json ? ioreg_show_json(&options) : ioreg_show(&options);
}
