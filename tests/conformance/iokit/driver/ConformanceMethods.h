/* SPDX-License-Identifier: MIT */
#ifndef CONFORMANCE_METHODS_H
#define CONFORMANCE_METHODS_H

/** @file ConformanceMethods.h
 *  @brief What the driver does for each selector, client type and memory type. */

#define CONFORMANCE_FAILURE 0xe0004321                        /* the driver's own code */
#define CONFORMANCE_WORD(i) (0x1000000000000000u + 17u * (i)) /* word i of a completion */
#define CONFORMANCE_BYTE(i)                                                                        \
	((unsigned char)(3u + 7u * (i))) /* byte i of what the driver writes                       \
					  */
#define CONFORMANCE_MEMORY 12288         /* bytes of types 0 and 1 */

enum {
	kTypeNormal,     /* a user client */
	kTypeRefused,    /* CONFORMANCE_FAILURE */
	kTypeNone,       /* success, and no user client */
	kTypePlain,      /* success, with a service that is no user client */
	kTypeStartFails, /* a user client whose Start fails */
	kTypeOwnQueue,   /* a user client with a queue for ExternalMethod */
	kTypeDies,       /* the process ends in NewUserClient */
};

enum {
	kMemoryWritable,
	kMemoryReadOnly,
	kMemoryRefused, /* CONFORMANCE_FAILURE */
	kMemoryNone,    /* success, and no memory */
	kMemoryOnce,    /* refused from the second time on, so on unmap */
};

/* How the driver saw a call: kSeen's output scalars. */
enum {
	kSeenSelector,
	kSeenVersion,
	kSeenCompletion,
	kSeenScalarInputs,
	kSeenStructInput,
	kSeenInputDescriptor,
	kSeenScalarOutputs,
	kSeenOutputMaximum,
	kSeenOutputDescriptor,
	kSeenFirstByte,
	kSeenSum,
	kSeenCount,
};

enum {
	/* everything is allowed */
	kSeen,        /* scalars: how it was called */
	kEcho,        /* scalars and inline structure back */
	kFill,        /* in 0: bytes of structureOutput, -1: none */
	kFewer,       /* in 0: what it sets scalarOutputCount to */
	kFail,        /* sets all outputs and returns in 0 */
	kWriteOutput, /* in 0: bytes that it writes to the output descriptor before it returns */
	kKeepOutput,  /* maps the output descriptor and keeps it */
	kWriteKept,   /* in 0: bytes that it writes to what was kept */
	/* one check each; the others are "any" */
	kCheckCompletion,
	kCheckNoCompletion,
	kCheckAnyCompletion,
	kCheckScalarIn,  /* 2 */
	kCheckStructIn,  /* 8 */
	kCheckBigIn,     /* 8192 */
	kCheckScalarOut, /* 2 */
	kCheckStructOut, /* 16 */
	kCheckBigOut,    /* 8192 */
	kCheckNothing,   /* row of zeros but its function */
	kNoFunction,
	kNoRow,
	/* asynchronous */
	kKeep,        /* keeps the completion */
	kComplete,    /* in 0: status, 1: words, 2: how often; the kept one */
	kCompleteNow, /* in 0: status, 1: words; before it returns */
	kDrop,
	/* the client's memory: in 0: address, 1: length, 2: options, 3: 0: out 0 is its sum, 1:
	   writes to it, 2: keeps it */
	kClientMemory,
	kClientSegments, /* in 0: address, 1: length, 2: segments of that length each, 3: n of
			    segments */
	/* others */
	kWriteMemory, /* in 0: bytes that it writes to the memory of types 0 and 1 */
	kSumMemory,   /* out 0: sum of that memory */
	kBlock,       /* until kUnblock on another connection */
	kIsBlocked,   /* out 0: how many are in kBlock */
	kUnblock,
	kCounts,    /* out 0: user clients started, 1: stopped, 2: freed, 3: there are */
	kAbort,     /* the process ends in the call */
	kTerminate, /* the user client terminates itself */
	kPublish,   /* a ConformanceNub, for which there is a driver whose Start takes half a second */
	kMethodCount,
};

#endif /* CONFORMANCE_METHODS_H */
