/* SPDX-License-Identifier: MIT */
#ifndef HOSTILE_METHODS_H
#define HOSTILE_METHODS_H

/* What driver and client agree on. The first two are those of examples/01-echo. */
enum {
	kHostileStruct, /* structure in, the same structure out */
	kHostileSum,    /* two scalars in, one out */
	kHostileAct,    /* scalar in: enum hostile_act; may be asynchronous */
	kHostileMethodCount,
};

enum hostile_act {
	HOSTILE_HOLD,         /* keeps the completion for ever */
	HOSTILE_ANSWER_TWICE, /* completes three times, and then answers with an error */
	HOSTILE_STOP,         /* SIGSTOP */
	HOSTILE_ABORT,
	HOSTILE_LOG,          /* floods the log */
	HOSTILE_CPU,          /* two threads that never end */
	HOSTILE_MEMORY,       /* 256 MiB that are touched */
	HOSTILE_FDS,          /* descriptors until there is none */
	HOSTILE_SCRIBBLE,     /* writes into every channel that it has */
	HOSTILE_RESIZE,       /* every shared memory to nothing */
	HOSTILE_STEAL,        /* memory of its client that nobody gave it; an error: it got some */
	HOSTILE_SERVICES,     /* Create() until it is refused */
	HOSTILE_PROPERTIES,   /* properties of 1 MiB until they are refused */
	HOSTILE_CLOSE_FDS,    /* closes every descriptor that it has */
	HOSTILE_JUNK_FDS,     /* junk with descriptors on every socket that it has */
};

#endif
