/* SPDX-License-Identifier: MIT */
#ifndef GADGET_METHODS_H
#define GADGET_METHODS_H

/* What driver and client agree on. PIPE is kPipeIn or kPipeOut. */
enum {
	kGadgetRun,       /* asynchronous; PIPE, transfers (0: endless), bytes of each, fill; completes with the words below */
	kGadgetIO,        /* PIPE, bytes, timeout in ms -> bytes moved; its status is the transfer's */
	kGadgetEcho,      /* a structure goes out, and what comes in is the answer */
	kGadgetClear,     /* PIPE: ClearStall with a request to the device */
	kGadgetSelect,    /* alternate setting */
	kGadgetProgress,  /* -> the words below, of the job that runs or ran last */
	kGadgetMethodCount,
};

enum { kPipeIn, kPipeOut, kPipeCount };

enum { kFillPattern, kFillWrong };

enum {
	kWordSubmitted,
	kWordCompleted,
	kWordBytes,
	kWordDamaged,   /* bytes that were not the pattern's */
	kWordFailed,    /* transfers that ended with another status than success */
	kWordStatus,    /* the first such status */
	kWordInFlight,  /* the most that were in flight at once */
	kGadgetWordCount,
};

enum {
	kGadgetInFlight = 8,
	kGadgetMaxSize = 256 * 1024,
	kGadgetEchoSize = 4096,
};

#endif
