/* SPDX-License-Identifier: MIT */
#ifndef AMBIDEXT_IOKIT_IOTYPES_H
#define AMBIDEXT_IOKIT_IOTYPES_H

/** @file IOKit/IOTypes.h
 *  @brief Handles and fixed-size names of the client API. A handle is a name in this process's own table. */

#include <stdbool.h>
#include <DriverKit/IOTypes.h>
#include <mach/mach.h>

typedef mach_port_t io_object_t;
typedef io_object_t io_connect_t;
typedef io_object_t io_enumerator_t;
typedef io_object_t io_ident_t;
typedef io_object_t io_iterator_t;
typedef io_object_t io_registry_entry_t;
typedef io_object_t io_service_t;
typedef io_object_t uext_object_t;

#define IO_OBJECT_NULL ((io_object_t)0)

typedef char io_name_t[128];
typedef char io_string_t[512];
typedef char io_string_inband_t[4096];
typedef char io_struct_inband_t[4096];
typedef uint64_t io_user_scalar_t;
typedef uint64_t io_user_reference_t;
typedef uint64_t io_scalar_inband64_t[16];
typedef uint64_t io_async_ref64_t[8];

enum { kIODefaultMemoryType = 0 };

enum {
	kIODefaultCache = 0,
	kIOInhibitCache = 1,
	kIOWriteThruCache = 2,
	kIOCopybackCache = 3,
	kIOWriteCombineCache = 4,
};

enum {
	kIOMapAnywhere = 0x00000001,
	kIOMapCacheMask = 0x00000f00,
	kIOMapDefaultCache = 0x00000000,
	kIOMapInhibitCache = 0x00000100,
	kIOMapWriteThruCache = 0x00000200,
	kIOMapCopybackCache = 0x00000300,
	kIOMapWriteCombineCache = 0x00000400,
	kIOMapUserOptionsMask = 0x00000fff,
	kIOMapReadOnly = 0x00001000,
	kIOMapStatic = 0x01000000,
	kIOMapReference = 0x02000000,
	kIOMapUnique = 0x04000000,
};

#endif /* AMBIDEXT_IOKIT_IOTYPES_H */
