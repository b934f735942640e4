/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_LANDLOCK_H
#define DEXTD_LANDLOCK_H

/**
 * @file dextd/landlock.h
 * @brief The kernel's Landlock, up to ABI 7: the headers of Debian 12 end with ABI 2.
 */

#include <stdint.h>
#include <sys/syscall.h>

#define LL_CREATE_RULESET_VERSION 1u
#define LL_RULE_PATH_BENEATH      1

#define LL_FS_EXECUTE    (UINT64_C(1) << 0)
#define LL_FS_WRITE_FILE (UINT64_C(1) << 1)
#define LL_FS_READ_FILE  (UINT64_C(1) << 2)
#define LL_FS_READ_DIR   (UINT64_C(1) << 3)
#define LL_FS_MAKE       (UINT64_C(0x1ff) << 4) /* remove and make, each kind */
#define LL_FS_REFER      (UINT64_C(1) << 13)    /* ABI 2 */
#define LL_FS_TRUNCATE   (UINT64_C(1) << 14)    /* ABI 3 */
#define LL_FS_IOCTL_DEV  (UINT64_C(1) << 15)    /* ABI 5 */
#define LL_FS_OF_FILES                                                                             \
	(LL_FS_EXECUTE | LL_FS_WRITE_FILE | LL_FS_READ_FILE | LL_FS_TRUNCATE | LL_FS_IOCTL_DEV)
#define LL_NET_TCP        UINT64_C(3) /* bind and connect; ABI 4 */
#define LL_SCOPE_ABSTRACT UINT64_C(1) /* ABI 6 */
#define LL_SCOPE_SIGNAL   UINT64_C(2) /* ABI 6 */

#define LL_ABI_WANTED 6

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct ll_path_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#endif /* DEXTD_LANDLOCK_H */
