/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_SERVICE_INTERNAL_H
#define DEXTD_SERVICE_INTERNAL_H

/** @file dextd/service_internal.h
 *  @brief What service.c and terminate.c share. */

#include "dextd/realm.h"

#define LOG_TOPIC "dextd.service"
#include "base/log.h"

void service_move(struct service *service, enum service_state next);
/** Never started: out of registry and process, its provider is told. */
void service_start_failed(struct service *service);

/* ---- terminate.c ---- */

/** Take the next step of a termination if nothing holds it up. */
void service_advance(struct service *service);
/** Start failed while the termination waited for it. */
void service_gate_failed(struct service *service);
/** Last act: detach, ReleaseService, give up the realm's reference. State becomes GONE. */
void service_remove(struct service *service);

#endif /* DEXTD_SERVICE_INTERNAL_H */
