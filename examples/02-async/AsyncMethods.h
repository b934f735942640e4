/* SPDX-License-Identifier: MIT */
#ifndef ASYNC_METHODS_H
#define ASYNC_METHODS_H

#include <stdint.h>

/* What driver and client agree on. */
enum {
	kAsyncRegister, /* asynchronous; struct ReadDataStruct out at once, callbacks later */
	kAsyncRequest,  /* scalars: number of callbacks, words in each; they come from a timer */
	kAsyncShare,    /* asynchronous; more than 4096 bytes out, written when the timer fires, then one callback */
	kAsyncMethodCount,
};

struct ReadDataStruct {
	uint64_t version;
	uint64_t callbacks_sent;
};

/* The n-th callback's words are n, n + 1, n + 2 ... */
enum {
	kAsyncMaxWords = 16,
	kAsyncShareSize = 4097,
	kAsyncShareByte = 0xA5,
};

#endif
