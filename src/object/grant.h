/* SPDX-License-Identifier: MIT */
#ifndef OBJECT_GRANT_H
#define OBJECT_GRANT_H

/**
 * @file object/grant.h
 * @brief What a peer gets to build its own native object: a class, a few bytes, descriptors.
 *
 * Sending side (hooks->grant): zeroed with fds -1; the hook fills it; descriptors are borrowed from the object.
 * Receiving side (hooks->accept): nothing in it is trusted; a descriptor that is taken is set to -1, the caller
 * closes the others. class_name named the class whose hook runs.
 */

#include <ambidext/class.h>

#define OS_GRANT_MAX_BYTES 1024u
#define OS_GRANT_MAX_FDS 32u

struct OSGrant {
	const char *class_name;              /* sender: NULL means the object's remote name */
	uint32_t n_bytes;
	uint32_t n_fds;
	_Alignas(8) uint8_t bytes[OS_GRANT_MAX_BYTES];
	int fds[OS_GRANT_MAX_FDS];
	uint64_t shared_bytes;               /* receiver: of the sender's memory that the object may map */
};

#endif /* OBJECT_GRANT_H */
