/* SPDX-License-Identifier: MIT */
#ifndef TRANSFER_METHODS_H
#define TRANSFER_METHODS_H

/* What driver and client agree on. */
enum {
	kTransferCounters, /* kTransferCounterCount scalars out */
	kTransferMethodCount,
};

enum {
	kCounterSubmitted,  /* reads that AsyncIO accepted */
	kCounterCompleted,  /* callbacks */
	kCounterBytes,
	kCounterSamples,    /* { number, check } records that were right */
	kCounterLost,       /* numbers that were skipped */
	kCounterDuplicated, /* numbers that came twice, or out of order */
	kCounterDamaged,    /* records whose check was wrong */
	kCounterFailed,     /* callbacks with another status than success */
	kTransferCounterCount,
};

enum {
	kTransferInFlight = 8,
	kTransferSize = 64 * 1024,
	kTransferEndpoint = 0x81,
};

#endif
