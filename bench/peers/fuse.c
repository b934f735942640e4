/* SPDX-License-Identifier: MIT */
/* FUSE by libfuse's low-level interface: an ioctl on a file of a file system in a process. The
 * kernel carries a call to a user-space server and back, which is what a driver in a process needs
 * of it. */

#define FUSE_USE_VERSION 35

#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse_client.h"

static size_t n_bytes;

static void
fill(fuse_ino_t ino, struct stat *ret_stat)
{
	memset(ret_stat, 0, sizeof(*ret_stat));
	ret_stat->st_ino = ino;
	ret_stat->st_mode = ino == FUSE_CLIENT_INO ? S_IFREG | 0600 : S_IFDIR | 0700;
	ret_stat->st_nlink = 1;
}

static void
do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .ino = FUSE_CLIENT_INO,
					  .attr_timeout = 3600,
					  .entry_timeout = 3600 };

	if (parent != FUSE_ROOT_ID || strcmp(name, FUSE_CLIENT_FILE) != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill(FUSE_CLIENT_INO, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void
do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct stat stat;

	fill(ino, &stat);
	fuse_reply_attr(req, &stat, 3600);
}

static void
do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	fuse_reply_open(req, info);
}

static void
do_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *info,
	 unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	static char buf[FUSE_CLIENT_MAX_BYTES];

	if (cmd != fuse_client_number() || in_size != n_bytes || out_size != n_bytes) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	memcpy(buf, in, in_size);
	buf[0] ^= FUSE_CLIENT_MARK;
	fuse_reply_ioctl(req, 0, buf, out_size);
}

static const struct fuse_lowlevel_ops file_system = {
	.lookup = do_lookup,
	.getattr = do_getattr,
	.open = do_open,
	.ioctl = do_ioctl,
};

/* One thread: libfuse's multi-threaded loop is for many clients, and costs one client more. */
static int
serve(void *session)
{
	return fuse_session_loop(session);
}

static struct fuse_session *
mount_session(void)
{
	char name[] = "fuse", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *session =
		fuse_session_new(&args, &file_system, sizeof(file_system), NULL);
	const char *where = fuse_client_mount_point();

	fuse_opt_free_args(&args);
	if (!session)
		return NULL;
	if (where && fuse_session_mount(session, where) == 0)
		return session;
	fuse_session_destroy(session);
	return NULL;
}

static int
start(const struct peer_options *options)
{
	struct fuse_session *session;

	n_bytes = options->bytes;
	fuse_client_begin(options);
	session = mount_session();
	if (!session)
		return -EIO;
	peer_fork(serve, session);
	/* The connection is the server's alone: it ends with it, and no request of ours is left
	 * waiting. This closes our descriptor of it and unmounts nothing. */
	fuse_session_destroy(session);
	return fuse_client_open();
}

int
main(int argc, char **argv)
{
	static const struct peer_ops ops = {
		.name = "fuse",
		.max_bytes = FUSE_CLIENT_MAX_BYTES,
		.max_why = FUSE_CLIENT_MAX_WHY,
		.start = start,
		.call = fuse_client_call,
		.stop = fuse_client_stop,
	};

	return peer_main(argc, argv, &ops);
}
