/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RUNNER_ROWS_H
#define BENCH_RUNNER_ROWS_H

/**
 * @file bench/runner/rows.h
 * @brief What is measured: rows.c has the one table.
 */

#include <stdint.h>

enum bench_kind {
	BENCH_TIME,     /* time an operation, in slices that take turns */
	BENCH_CPU,      /* processor time of both sides an operation, likewise */
	BENCH_IDLE_P50, /* one operation after a gap: `idle` */
	BENCH_IDLE_P99,
	BENCH_FIGURE, /* a number that the candidate counts itself: `counters`; no reference */
	BENCH_SOAK,   /* calls whose reply did not come, of many under foreign load; no reference */
};

enum bench_wanted {
	BENCH_AT_MOST,  /* candidate / reference, at most this */
	BENCH_AT_LEAST, /* reference / candidate: so many times faster, at least */
	BENCH_SHOWN,    /* candidate / reference; no bar */
};

enum bench_row_flags {
	BENCH_LOADED = 1,   /* while both processors are kept busy by loops of the same priority */
	BENCH_OPTIONAL = 2, /* the candidate may be missing: it needs what not every machine has */
};

struct bench_row {
	const char *bar;   /* of the issue: "B1"; "": none */
	const char *group; /* what ./run bench GROUP runs; those that only `plot` needs: payload,
			      depth */
	const char *name;  /* unique */
	const char *what;  /* for people */
	/* "[NAME=VALUE …] PROGRAM [OPTION …]", PROGRAM under bench/ of the build tree, divided at
	 * blanks. NULL: BENCH_FIGURE. */
	const char *reference, *candidate;
	enum bench_kind kind;
	enum bench_wanted direction;
	double wanted;
	unsigned flags;
	uint64_t gap_ns;    /* BENCH_IDLE_…: between operations */
	const char *figure; /* BENCH_FIGURE: key of the counters */
	const char *unit;   /* BENCH_FIGURE, BENCH_SOAK: of what is shown */
};

extern const struct bench_row bench_rows[];
extern const unsigned bench_n_rows;

#endif /* BENCH_RUNNER_ROWS_H */
