/* SPDX-License-Identifier: MIT */
/* What the driver and the subject say to each other. */
#ifndef BENCH_USB_METHODS_H
#define BENCH_USB_METHODS_H

enum {
	kBenchUSBNull,   /* nothing: a call to compare with */
	kBenchUSBSetup,  /* in: depth, bytes, alternate setting of the source. out: process id */
	kBenchUSBRun,    /* in: nanoseconds, or 0 and a number of transfers. Returns at once. */
	kBenchUSBResult, /* out: transfers that ended in time, nanoseconds, whether it is over, failures, bytes */
	kBenchUSBMethodCount,
};

#define kBenchUSBMaxDepth 256u
#define kBenchUSBMaxBytes (16u << 20)

#endif
