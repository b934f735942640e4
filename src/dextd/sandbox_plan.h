/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_SANDBOX_PLAN_H
#define DEXTD_SANDBOX_PLAN_H

/**
 * @file dextd/sandbox_plan.h
 * @brief One process's sandbox, as its parts see it. dextd fills it in; the child only reads it,
 * and writes the report, which both share.
 */

#include <linux/filter.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/list.h"
#include "channel/loop.h"
#include "dextd/sandbox.h"

/* ---- places ---- */

#define PLACE_READ    1u
#define PLACE_WRITE   2u
#define PLACE_EXECUTE 4u
#define PLACE_DEVICE  8u  /* device nodes work */
#define PLACE_PROC    16u /* a fresh one, of its own processes */

struct place {
	char *path;   /* owned, absolute: as it is named */
	char *source; /* owned, absolute, no link in it */
	unsigned rights;
	bool is_dir;
	bool granted; /* by the policy */
};

struct places {
	struct place *list; /* owned array, parents first */
	size_t n, room;
};

/** A path that is not there is left out. @retval -ENOENT it is not there. -ENOMEM. */
int places_add(struct places *places, const char *path, unsigned rights);
/** Each of a list with colons. */
int places_add_list(struct places *places, const char *list, unsigned rights);
/** Parents first, what is inside another with the same rights left out. */
void places_order(struct places *places);
/** Rights of the nearest place that holds @p path (absolute, taken literally), or 0. */
unsigned places_rights(const struct places *places, const char *path);
void places_done(struct places *places);

/* ---- calls ---- */

/* What a filter is made for. */
#define CALLS_NOTIFY       1u   /* denied calls go to dextd; otherwise EPERM */
#define CALLS_OWN_PID      2u   /* its pid is SANDBOX_OWN_PID, and nothing else may be signalled */
#define CALLS_PROCESSES    4u   /* fork and exec */
#define CALLS_NETWORK      8u   /* internet sockets */
#define CALLS_WRITE        16u  /* changes of files */
#define CALLS_DEVICES      32u  /* ioctl of granted devices */
#define CALLS_USB          64u  /* usbfs and its announcements */
#define CALLS_DEBUG        128u /* what sanitizers and debuggers need */
#define CALLS_COMBINATIONS 256u

/** The filter for these flags: made once, owned by this module. -ENOSYS: libseccomp cannot. */
int calls_filter(unsigned flags, const struct sock_fprog **ret_filter);
/** Name of a system call, or NULL. malloc'd. */
char *calls_name(int number);

/* ---- limits ---- */

struct limit {
	int resource;
	rlim_t value; /* soft and hard, or what is there if that is less */
};
#define LIMITS_MAX 12u

/* ---- what is granted beyond the profile ---- */

struct sandbox_grant {
	bool network;
	bool debug;
	uint64_t memory;    /* bytes; 0: the profile's */
	uint32_t processes; /* threads and processes together; 0: the profile's, and no fork */
	uint32_t files;     /* open descriptors; 0: the profile's */
};

/* ---- the report ---- */

#define LAYER_ACTIVE     0    /* otherwise an errno, or one of these */
#define LAYER_UNTRIED    (-1) /* the child did not come so far */
#define LAYER_NOT_WANTED (-2) /* granted, or nothing for this process */
#define LAYER_UNREADABLE (-3) /* uid: its files are not for all users */
#define LAYER_NO_CGROUP  (-4) /* none is delegated */
#define LAYER_OLD        (-5) /* the kernel's Landlock is too old for a part of it */
#define LAYER_KEPT_UID   (-6) /* uid: the devices are this user's */
#define LAYER_NOT_ROOT   (-7) /* uid: dextd is no root */

struct sandbox_report {
	pid_t helper, init, pid; /* as dextd sees them; init 0: none */
	int state[SANDBOX_LAYER_COUNT];
	bool refused;  /* SANDBOX_REQUIRE, and something is missing */
	bool notifies; /* the filter has a listener */
};

#define SANDBOX_OWN_PID 2 /* in its namespace: 1 is the init */

struct denials;
struct sandbox_guard;

struct sandbox {
	struct realm *realm;   /* borrowed */
	struct server *server; /* borrowed */
	enum sandbox_mode mode;
	const char *profile; /* static */
	struct sandbox_grant grant;
	OSArray *granted; /* owned: sentences, for lists */
	struct places places;
	struct limit limits[LIMITS_MAX];
	unsigned n_limits;
	bool own_net;
	bool same_users; /* no namespace of users, and so none at all where dextd is not root */
	bool own_uid;
	uid_t uid;         /* with own_uid */
	int uid_state;     /* of the layer, when own_uid is false */
	const char *stage; /* borrowed: a directory that the new root is put on */
	/* Without and with a pid namespace of its own; then those without a listener. */
	const struct sock_fprog *filters[4];
	struct sandbox_report *report; /* owned, shared with the child */
	char *cgroup;                  /* owned: its directory, or NULL */
	int cgroup_state;
	int control[2];              /* owned; the child's end is closed once it is made */
	struct denials *denials;     /* owned: who listens */
	struct sandbox_guard *guard; /* borrowed: its init, until one of them ends */
};

/* ---- sandbox_namespaces.c, sandbox_root.c, sandbox_child.c: in the child ---- */

/** In a process between dextd and the hosted one: makes both it and its init. Never returns. */
void child_helper(struct sandbox *sandbox, void (*child)(void *), void *context)
	__attribute__((noreturn));
/** Namespaces but user's and pid's. */
void child_unshare(struct sandbox *sandbox);
/** A namespace of the caller's user, with only that user in it. 0, errno. */
int child_user_namespace(void);
/** 0, errno. */
int child_new_root(struct sandbox *sandbox);
/** 0, errno, LAYER_OLD. */
int child_landlock(const struct sandbox *sandbox, bool new_root);

/* ---- sandbox_denied.c ---- */

int denials_new(struct sandbox *sandbox, struct denials **ret_denials);
struct denials *denials_free(struct denials *denials);
uint64_t denials_count(const struct denials *denials);

/* ---- sandbox_policy.c ---- */

/** What the bundle asks for against what the realm's owner grants: places and grant are filled in,
 * what is refused is told. */
int policy_apply(struct sandbox *sandbox, const char *bundle_id, const OSDictionary *info);

/* ---- sandbox_cgroup.c ---- */

/** A group below the one that was delegated to dextd, with the limits. 0, LAYER_NO_CGROUP, errno.
 */
int cgroup_make(const char *name, uint64_t memory, uint32_t processes, char **ret_dir);
/** In the child. 0, errno. */
int cgroup_enter(const char *dir);
void cgroup_remove(const char *dir);

#endif /* DEXTD_SANDBOX_PLAN_H */
