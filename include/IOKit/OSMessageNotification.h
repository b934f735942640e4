/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_IOKIT_OSMESSAGENOTIFICATION_H
#define AMBIDEXT_IOKIT_OSMESSAGENOTIFICATION_H

/** @file IOKit/OSMessageNotification.h
 *  @brief Indices and limits of asynchronous references. */

#include <stdint.h>

#include <mach/port.h>

enum {
	kFirstIOKitNotificationType = 100,
	kIOServicePublishNotificationType = 100,
	kIOServiceMatchedNotificationType = 101,
	kIOServiceTerminatedNotificationType = 102,
	kIOAsyncCompletionNotificationType = 150,
	kIOServiceMessageNotificationType = 160,
	kLastIOKitNotificationType = 199,
};

enum {
	kOSNotificationMessageID = 53,
	kOSAsyncCompleteMessageID = 57,
	kMaxAsyncArgs = 16,
};

enum {
	kIOAsyncReservedIndex = 0,
	kIOAsyncReservedCount,

	kIOAsyncCalloutFuncIndex = kIOAsyncReservedCount,
	kIOAsyncCalloutRefconIndex,
	kIOAsyncCalloutCount,

	kIOMatchingCalloutFuncIndex = kIOAsyncReservedCount,
	kIOMatchingCalloutRefconIndex,
	kIOMatchingCalloutCount,

	kIOInterestCalloutFuncIndex = kIOAsyncReservedCount,
	kIOInterestCalloutRefconIndex,
	kIOInterestCalloutServiceIndex,
	kIOInterestCalloutCount,
};

enum { kOSAsyncRef64Count = 8, kOSAsyncRef64Size = 8 * kOSAsyncRef64Count };
typedef uint64_t OSAsyncReference64[kOSAsyncRef64Count];
enum { kOSAsyncRefCount = 8, kOSAsyncRefSize = 32 };
typedef natural_t OSAsyncReference[kOSAsyncRefCount];

#endif /* AMBIDEXT_IOKIT_OSMESSAGENOTIFICATION_H */
