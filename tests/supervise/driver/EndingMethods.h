/* SPDX-License-Identifier: MIT */
#ifndef ENDING_METHODS_H
#define ENDING_METHODS_H

/* Selectors. */
enum {
	kEndingPing, /* -> version of the driver, sum of input and 1 */
	kEndingNow,  /* how, argument */
	kEndingMethodCount,
};

enum ending_way {
	kWayNull,     /* writes through NULL */
	kWayAbort,    /* assert() */
	kWayExit,     /* _exit(argument) */
	kWayMemory,   /* allocates until there is none */
	kWayHang,     /* does not return */
	kWayStop,     /* SIGSTOP */
	kWayOverflow, /* recursion without end */
	kWayHeap,     /* frees a block twice */
	kWayWild,     /* a fault with a stack pointer that points nowhere */
	kWayKill,     /* SIGKILL to itself */
	kWayReport,   /* a sanitizer's line, and on it goes */
	kWaySlow,     /* returns after argument milliseconds */
	kWayJump,     /* calls an address where there is no code */
};

#endif
