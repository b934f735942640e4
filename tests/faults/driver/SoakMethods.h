/* SPDX-License-Identifier: MIT */
#ifndef SOAK_METHODS_H
#define SOAK_METHODS_H

#include <stdint.h>

/* What driver and client agree on. Each answer says which question it is of. */
enum {
	kSoakEcho,       /* four scalars in; four out: each ^ kSoakKey */
	kSoakEchoStruct, /* any bytes in; as many out, each ^ 0xA5 */
	kSoakAsync,      /* asynchronous, one scalar (a cookie) in: one callback with { cookie ^ kSoakKey, cookie } */
	kSoakAsyncHold,  /* asynchronous: its completion is held, and no callback comes while the driver lives */
	kSoakHold,       /* does not return while the driver lives */
	kSoakCounters,   /* four scalars out: reads submitted, completed, damaged samples, samples */
	kSoakMethodCount,
};

#define kSoakKey 0x9E3779B97F4A7C15ull

enum {
	kSoakInFlight = 8,
	kSoakTransferSize = 4096,
	kSoakEndpoint = 0x81,
	kSoakHeld = 64,
};

#endif
