/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_REMOTE_H
#define OBJECT_REMOTE_H

/**
 * @file object/remote.h
 * @brief What makes an object a proxy: the way to the process that has it. Implemented by src/channel.
 */

#include <ambidext/class.h>

struct OSRemote;

struct OSRemoteOps {
	/* OSInvoke() on a proxy. Blocks until the reply unless the method is one-way. [any] */
	IOReturn (*invoke)(struct OSRemote *remote, const struct OSCall *call, struct OSMessage *ret_reply);
	/* OSInvokeAsync() on a proxy. @p done runs once if 0 is returned. [any] */
	IOReturn (*invoke_async)(struct OSRemote *remote, const struct OSCall *call, OSInvokeDone *done,
				 void *context);
	/* The proxy's last reference is gone: give its right back and free @p remote. Called from OSObject's
	 * free, before the storage goes; no reference can be taken from then on. Does not block. [any] */
	void (*release)(struct OSRemote *remote, OS_OBJECT *proxy);
};

/* First member of the channel's own struct. Owned by its proxy. */
struct OSRemote {
	const struct OSRemoteOps *ops;
};

/** New proxy of class @p meta: one reference, OS_OBJECT_INITIALISED, init() not run. @p remote is taken
 *  on success. NULL: no memory. */
OS_OBJECT *OSRemoteCreateProxy(const struct OSMetaClass *meta, struct OSRemote *remote);

/** Take a reference unless the last one is gone already: for tables that hold weak pointers under a lock
 *  that ops->release takes too. */
bool OSTryRetain(OS_OBJECT *object);

/**
 * Watch an object that somebody caches with a single reference: @p last runs after each OSRelease() that leaves
 * an object flagged OS_OBJECT_WATCHED with one reference. No lock is held. One watcher a process (src/channel).
 */
void OSSetWatcher(void (*last)(OS_OBJECT *object));

#endif /* OBJECT_REMOTE_H */
