/* SPDX-License-Identifier: MIT */
#ifndef FAULTS_SCHEDULE_H
#define FAULTS_SCHEDULE_H

/**
 * @file faults/inject/schedule.h
 * @brief Whether what a library is about to do fails: by the shared schedule, if this process was
 * started under one.
 */

#include "shared.h"

/** This process's role, or -1: under no schedule. */
int schedule_role(void);
struct fault_shared *schedule_shared(void);
/** Whether a fault of @p kind happens at @p caller, a return address. 0: no, or the address is not
 * in one of our modules. Else a number that says which of several faults it is. */
uint32_t schedule_at(enum fault_kind kind, const void *caller);
/** The same at a seam of our own. */
uint32_t schedule_at_seam(enum fault_kind kind, const char *site);
/** The fault was done. */
void schedule_count(enum fault_kind kind);

#endif /* FAULTS_SCHEDULE_H */
