/* SPDX-License-Identifier: MIT */
/* The policy file. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dextd/plistfile.h"
#include "dextd/policy.h"

static const char *const keys[] = { "Access", "Sandbox" };
#define N_KEYS (sizeof keys / sizeof *keys)

static bool
is_unknown(void *context, const char *key, const OSObject *value)
{
	const char **unknown = context;
	size_t i;

	for (i = 0; i < N_KEYS; i++)
		if (!strcmp(key, keys[i]))
			return false;
	*unknown = key;
	return true;
}

int
policy_read(const char *path, OSDictionary **ret_policy, char *ret_why, size_t why_size)
{
	value_auto OSDictionary *policy = NULL;
	const char *unknown = NULL;
	struct stat status;
	int r;

	if (stat(path, &status) < 0) {
		r = -errno;
		(void)snprintf(ret_why, why_size, "cannot be read: %s", strerror(errno));
		return r;
	}
	if ((status.st_uid != 0 && status.st_uid != geteuid()) ||
	    status.st_mode & (S_IWGRP | S_IWOTH)) {
		(void)snprintf(ret_why, why_size,
			       "belongs to user %u with mode %03o; who else may write it could let "
			       "anybody in, so it has to be root's or user %u's, and nobody else's "
			       "to write",
			       (unsigned)status.st_uid, status.st_mode & 0777u,
			       (unsigned)geteuid());
		return -EPERM;
	}
	r = plistfile_read(path, &policy, ret_why, why_size);
	if (r < 0)
		return r;
	if (value_each(policy, is_unknown, &unknown)) {
		(void)snprintf(ret_why, why_size, "has the key '%s', which is not known", unknown);
		return -EINVAL;
	}
	*ret_policy = TAKE(policy);
	return 0;
}
