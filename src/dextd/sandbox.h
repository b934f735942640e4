/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_SANDBOX_H
#define DEXTD_SANDBOX_H

/**
 * @file dextd/sandbox.h
 * @brief What a hosted process may do: planned before it is made, entered by it, watched
 * afterwards.
 *
 *   sandbox_new -- sandbox_spawn --> child: sandbox_enter, execve --> sandbox_checked_in
 *                                                 `--> denied calls arrive in dextd's loop
 *
 * The layers do not depend on each other: each is tried, and which are active and why others are
 * not is known, said and listed. docs/decisions/0008 has the reasons.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "dextd/value.h"

struct realm;
struct server;
struct sandbox;
struct sandbox_policy;

enum sandbox_mode {
	SANDBOX_AUTO,    /* as many layers as there are */
	SANDBOX_REQUIRE, /* all of them, or the process is not run */
	SANDBOX_OFF,
};

enum sandbox_layer {
	SANDBOX_PRIVILEGES, /* no_new_privs, and no capability */
	SANDBOX_UID,        /* a user of its own, where dextd is root */
	SANDBOX_USER,       /* namespaces */
	SANDBOX_MOUNT,      /* with a root of its own */
	SANDBOX_PID,
	SANDBOX_IPC,
	SANDBOX_NET,
	SANDBOX_UTS,
	SANDBOX_LANDLOCK,
	SANDBOX_SECCOMP,
	SANDBOX_LIMITS,
	SANDBOX_CGROUP,
	SANDBOX_LAYER_COUNT,
};

/** "auto", "require", "off". -EINVAL. */
int sandbox_mode_parse(const char *text, enum sandbox_mode *ret_mode);
const char *sandbox_mode_name(enum sandbox_mode mode);

/** Plan for @p server's process; also with SANDBOX_OFF. -ENOMEM. */
int sandbox_new(struct server *server, struct sandbox **ret_sandbox);
struct sandbox *sandbox_free(struct sandbox *sandbox);

/** Make the process. @p child runs in it, and calls sandbox_enter() and execve(). A child of ours
 * in any case. -errno. */
int sandbox_spawn(struct sandbox *sandbox, void (*child)(void *context), void *context,
		  pid_t *ret_pid);
/** In the child: only what is async-signal-safe. Returns if the process is to go on. */
void sandbox_enter(struct sandbox *sandbox);

/** The process runs: say which layers it has, if that was not said of one like it. */
void sandbox_checked_in(struct sandbox *sandbox);
/** It has ended: what else was made for it goes, and is reaped later. @p status: of waitpid(). */
void sandbox_ended(struct sandbox *sandbox, int status);
/** Whether its end was the sandbox's refusal (told). */
bool sandbox_refused(const struct sandbox *sandbox);
/** {mode, profile, active: [...], missing: [{layer, why}], granted: [...], uid, denied}. +1, NULL:
 * no memory. */
OSDictionary *sandbox_dict(const struct sandbox *sandbox);
/** Whether a variable of dextd's environment is for no process with a sandbox. */
bool sandbox_hides_variable(const struct sandbox *sandbox, const char *variable);

/** What is left of processes that have ended, and what was said. For realm_free(). */
void sandbox_forget_all(struct realm *realm);

#endif /* DEXTD_SANDBOX_H */
