/* SPDX-License-Identifier: MIT */
#ifndef FAULTS_RIG_H
#define FAULTS_RIG_H

/**
 * @file faults/rig.h
 * @brief What tests that hurt a realm do to it, and what they count before and after. Runs inside
 * the realm.
 */

#include <stdint.h>
#include <sys/types.h>

#include <ambidext/realm.h>

#define BACK_WITHIN_SECONDS 30.0

extern uint64_t rig_seed;
/** What rig_plug() plugs in; set before the first use. */
extern const char *rig_device_name;
CFStringRef rig_device(void);

double rig_now(void);
uint64_t rig_random_below(uint64_t bound);
/** Says FAILED and why, and ends the test. */
void __attribute__((noreturn, format(printf, 1, 2))) rig_failed(const char *fmt, ...);
/** Process of a driver, by its bundle's name, or of usbhost; 0: none now. */
pid_t rig_pid_of(const char *name);
pid_t rig_dextd_pid(void);
unsigned rig_count_fds(pid_t pid);
unsigned rig_count_memfds(pid_t pid);
/** Children of dextd that are still there: drivers and hosts. */
unsigned rig_count_children(pid_t parent);
unsigned rig_count_services(const char *class_name);
unsigned rig_count_user_clients(pid_t unused);
/** A new connection to a service, as soon as it is there; 0 when the time is over. */
io_connect_t rig_connect_within(const char *name, double seconds);
void rig_must_come_back(const char *name, const char *after);
void rig_load_bundle(const char *path);
void rig_unload_bundle(const char *id);
/** Until a device can be attached: a host that was killed is being started again. */
void rig_plug(void);
void rig_unplug(void);
/** Every device there is; returns how many those were. */
unsigned rig_detach_all(void);
/** Wait until @p count gives no more than @p wanted. */
void rig_settles(const char *what, unsigned (*count)(pid_t), pid_t pid, unsigned wanted);

#endif /* FAULTS_RIG_H */
