/* SPDX-License-Identifier: MIT */
#ifndef TRAP_CALLS_METHODS_H
#define TRAP_CALLS_METHODS_H

/* Selectors. Each plants the mistake that its comment names; those without a number are of use to the others. */
enum {
	kCallsKeep,          /* asynchronous, output: keeps the completion */
	kCallsComplete,      /* scalar n: completes what is kept with n words */
	kCallsDrop,          /* T12: lets go of what is kept */
	kCallsContinue,      /* lets a method that waits go on */
	kCallsLaterOutput,   /* T1: output that shall be filled later */
	kCallsNoOutput,      /* T2: success without an output */
	kCallsWideOutput,    /* T3, T6: 32 bytes more than asked for, inline */
	kCallsReadInput,     /* T4, T5: reads structureInput without a look */
	kCallsRefuseInput,   /* T4: refuses what is not in structureInput */
	kCallsShortOutput,   /* T7: writes 10 bytes of a shared output; scalar out: their number */
	kCallsForgottenField,/* T8: a row that leaves checkCompletionExists out */
	kCallsStrict,        /* T9: 1 scalar and 8 bytes in, 1 scalar and 8 bytes out, no completion */
	kCallsNotRetained,   /* T11: stores the completion without retaining it */
	kCallsKeepAndFail,   /* T13: keeps the completion and returns an error */
	kCallsCompleteAndFail, /* T13: completes at once and returns an error */
	kCallsCompleteNow,   /* scalar n: completes within the call, with n words */
	kCallsCompleteAndWait, /* T18: completes, then returns only after kCallsContinue */
	kCallsFailWithOutput,/* T22: sets outputs and fails */
	kCallsWait,          /* T23: returns after kCallsContinue */
	kCallsOverlap,       /* T24: out: how often two calls were inside at once */
	kCallsNoRow,         /* T21: passes no dispatch entry */
	kCallsCount,         /* and T21: beyond it the table is read without a look */
};

enum {
	kCallsFailure = (int)0xe00002c0, /* kIOReturnNoDevice: what failing selectors return */
};

#endif
