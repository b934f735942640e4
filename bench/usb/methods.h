/* SPDX-License-Identifier: MIT */
/* What the driver and the subject say to each other. */
#ifndef BENCH_USB_METHODS_H
#define BENCH_USB_METHODS_H

enum {
	kBenchNull,   /* nothing: a call to compare with */
	kBenchSetup,  /* in: depth, bytes, alternate setting of the source. out: process id */
	kBenchRun,    /* in: nanoseconds, or 0 and a number of transfers. Returns at once. */
	kBenchResult, /* out: transfers that ended in time, nanoseconds, whether it is over, failures, bytes */
	kBenchMethodCount,
};

#define kBenchMaxDepth 256u
#define kBenchMaxBytes (16u << 20)

#endif
