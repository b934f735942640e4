/* SPDX-License-Identifier: MIT */
/* hostile-usbhost FIELD: becomes usbhost with scribble.c inside. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	static char program[] = HOSTILE_USBHOST;
	char *arguments[] = { program, NULL };

	if (argc != 2)
		return 2;
	(void)setenv("LD_PRELOAD", HOSTILE_SCRIBBLE, 1);
	(void)setenv("HOSTILE_FIELD", argv[1], 1);
	(void)execv(arguments[0], arguments);
	perror(arguments[0]);
	return 127;
}
