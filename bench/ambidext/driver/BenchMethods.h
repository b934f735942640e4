/* SPDX-License-Identifier: MIT */
#ifndef BENCH_METHODS_H
#define BENCH_METHODS_H

/* What the driver and its clients agree on. */
enum {
	kBenchNull, /* nothing in, nothing out */
	kBenchNext, /* a scalar in, the next number out */
	kBenchEcho, /* structure in, the same structure out; beyond 4096 bytes through the client's
		       memory */
	kBenchStream, /* asynchronous. Scalar: how many completions, as fast as they go: number, 0
		       */
	kBenchPace,   /* asynchronous. Scalars: how many, nanoseconds apart: number, CLOCK_MONOTONIC
			 at sending */
	kBenchPublish, /* scalar in: how many services to publish; out: how many there are */
	kBenchAttach,  /* publish a BenchDevice; BenchLaunched is launched for it */
	kBenchDetach,  /* terminate it */
	kBenchMethodCount,
};

#endif
