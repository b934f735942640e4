/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PEERS_SDBUS_ECHO_H
#define BENCH_PEERS_SDBUS_ECHO_H

/**
 * @file bench/peers/sdbus_echo.h
 * @brief A D-Bus object with one method, and its call: what the peers sdbus and dbus share.
 */

#include <systemd/sd-bus.h>

#include "peer.h"

/** Answer calls on a started bus until it ends. @return 0 or -errno */
int sdbus_echo_serve(sd_bus *bus, size_t n_bytes);

/**
 * One call.
 *
 * @param destination  who has the object; NULL: the other end, of a bus without a daemon
 * @return 0 or -errno
 */
int sdbus_echo_call(sd_bus *bus, const char *destination, const void *request, void *answer,
		    size_t n_bytes);

#endif /* BENCH_PEERS_SDBUS_ECHO_H */
