/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_INCIDENT_H
#define DEXTD_INCIDENT_H

/**
 * @file dextd/incident.h
 * @brief What went wrong with hosted processes: a list for tools, and a folder for each in the
 * realm's `crashes`.
 *
 *   crashes/7/info     lines "key: value"
 *   crashes/7/log      the process' last lines
 *   crashes/7/record   its crash record (base/crash_record.h), as it left it
 *
 * A process has one incident: a sanitizer's report opens it, its end closes it. One that was asked to
 * end has none; one that somebody killed is in the list, and has no folder.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dextd/ending.h"
#include "dextd/value.h"

struct incidents;
struct realm;
struct server;

/** @p dir: the realm's, borrowed. @p keep: folders; 0: none are made. */
int incidents_new(const char *dir, unsigned keep, struct incidents **ret_incidents);
struct incidents *incidents_free(struct incidents *incidents);

/** Give a server that is about to be launched its crash record. A process without one is no
 * failure. */
void incident_prepare(struct server *server);
/** What its handler wrote: the signal, and whether memory was short. 0: nothing. */
int incident_signal(const struct server *server, bool *ret_no_memory);
/** A line that it wrote: the first of a sanitizer's report opens the incident. */
void incident_line(struct server *server, const char *line);
/** It was reaped; server->ending is known. */
void incident_ended(struct server *server, int status);

/** Incidents after number @p after: dictionaries {id, time, noticed, pid, server, bundle, how,
 * fault, signal, status, ran, text, folder}. +1, NULL: no memory. */
OSArray *incidents_copy(const struct incidents *incidents, uint64_t after);

#endif /* DEXTD_INCIDENT_H */
