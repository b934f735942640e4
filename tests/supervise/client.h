/* SPDX-License-Identifier: MIT */
#ifndef SUPERVISE_CLIENT_H
#define SUPERVISE_CLIENT_H

/* What the tests of supervision ask of a realm. Every failure ends the program with a sentence. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <IOKit/IOKitLib.h>
#include <ambidext/realm.h>

#include "driver/EndingMethods.h"

void failed(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);

/* A dictionary's members. */
const char *text_at(CFDictionaryRef dict, const char *key, char *to, size_t size);
int64_t number_at(CFDictionaryRef dict, const char *key);

/* The driver's service that is not @p not_id, waited for. Caller releases; *ret_id: its entry. */
io_service_t wait_service(uint64_t not_id, uint64_t *ret_id);
io_connect_t open_service(io_service_t service);
/* Version of the driver, or 0 with *ret_status. */
uint64_t ping(io_connect_t connection, kern_return_t *ret_status);
kern_return_t end_now(io_connect_t connection, enum ending_way way, uint64_t argument);
/* Process of the driver; 0: none. */
pid_t driver_pid(void);
/* The incident after number @p after, waited for. Caller releases. */
CFDictionaryRef wait_incident(uint64_t after);
uint64_t last_incident(void);
bool log_contains(const char *text);

#endif
