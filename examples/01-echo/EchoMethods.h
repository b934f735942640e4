/* SPDX-License-Identifier: MIT */
#ifndef ECHO_METHODS_H
#define ECHO_METHODS_H

/* What driver and client agree on. */
enum {
	kEchoStruct, /* structure in, the same structure out */
	kEchoSum,    /* two scalars in, one out */
	kEchoMethodCount,
};

#endif
