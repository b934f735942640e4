/* SPDX-License-Identifier: MIT */
#include "channel/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/packet.h"
#include "channel/region.h"
#include "channel/wake.h"
#include "object/classes.h"
#include "object/grant.h"

static void
fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(TAKE_FD(*fd));
}

void
adxi_endpoint_done(struct adxi_endpoint *endpoint)
{
	fd_close(&endpoint->socket);
	fd_close(&endpoint->memory);
	for (unsigned i = 0; i < endpoint->n_receive; i++)
		fd_close(&endpoint->wake_receive[i]);
	for (unsigned i = 0; i < endpoint->n_send; i++)
		fd_close(&endpoint->wake_send[i]);
	endpoint->n_receive = endpoint->n_send = 0;
}

static struct adxi_endpoint
endpoint_take(struct adxi_endpoint *endpoint)
{
	struct adxi_endpoint taken = *endpoint;

	*endpoint = ADXI_ENDPOINT_NONE;
	return taken;
}

static int
endpoint_bells(unsigned n, struct adxi_endpoint *sleeper, struct adxi_endpoint *waker)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		r = wake_create(&sleeper->wake_receive[i], &waker->wake_send[i]);
		if (r == 0)
			sleeper->n_receive = waker->n_send = i + 1;
	}
	return r;
}

/* Everything but the sockets. */
static int
endpoint_pair_memory(const unsigned n_bells[2], struct adxi_endpoint ends[2])
{
	int r;

	for (unsigned i = 0; i < 2; i++) {
		ends[i] = ADXI_ENDPOINT_NONE;
		ends[i].side = i;
	}
	r = region_create(&ends[0].memory);
	if (r < 0)
		return r;
	ends[1].memory = fcntl(ends[0].memory, F_DUPFD_CLOEXEC, 0);
	if (ends[1].memory < 0)
		return -errno;
	r = endpoint_bells(n_bells[0], &ends[0], &ends[1]);
	return r < 0 ? r : endpoint_bells(n_bells[1], &ends[1], &ends[0]);
}

int
adxi_endpoint_pair(const unsigned n_bells[2], struct adxi_endpoint ret_ends[2])
{
	int sockets[2];
	int r = endpoint_pair_memory(n_bells, ret_ends);

	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		r = -errno;
	if (r < 0) {
		adxi_endpoint_done(&ret_ends[0]);
		adxi_endpoint_done(&ret_ends[1]);
		return r;
	}
	ret_ends[0].socket = sockets[0];
	ret_ends[1].socket = sockets[1];
	return 0;
}

int
adxi_endpoint_serve(int socket, struct adxi_endpoint *ret_endpoint)
{
	struct adxi_endpoint ends[2];
	struct wire_welcome welcome = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .side = 1 };
	int fds[3];
	static const unsigned n_bells[2] = { 1, 1 };
	int r = endpoint_pair_memory(n_bells, ends);

	ends[0].socket = socket;
	if (r < 0)
		goto out;
	fds[0] = ends[1].memory;
	fds[1] = ends[1].wake_receive[0];
	fds[2] = ends[1].wake_send[0];
	r = packet_send(socket, &welcome, sizeof(welcome), fds, 3);
	if (r < 0)
		goto out;
	*ret_endpoint = endpoint_take(&ends[0]);
out:
	adxi_endpoint_done(&ends[0]);
	adxi_endpoint_done(&ends[1]);
	return r;
}

void
adxi_endpoint_refuse(int socket)
{
	const struct wire_welcome welcome = { .magic = WIRE_MAGIC, .version = WIRE_VERSION, .side = WIRE_NO_ROOM };

	(void)packet_send(socket, &welcome, sizeof(welcome), NULL, 0);
	(void)close(socket);
}

int
adxi_endpoint_connect(int socket, int timeout_ms, struct adxi_endpoint *ret_endpoint)
{
	struct pollfd pfd = { .fd = socket, .events = POLLIN };
	struct wire_welcome welcome;
	struct adxi_endpoint end = ADXI_ENDPOINT_NONE;
	int fds[3];
	int n_fds = 0;
	int r;

	end.socket = socket;
	do
		r = poll(&pfd, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r <= 0) {
		r = r == 0 ? -ETIMEDOUT : -errno;
		goto out;
	}
	r = packet_receive(socket, &welcome, sizeof(welcome), fds, 3, &n_fds);
	if (r < 0)
		goto out;
	if (n_fds > 0)
		end.memory = fds[0];
	if (n_fds > 1)
		end.wake_receive[end.n_receive++] = fds[1];
	if (n_fds > 2)
		end.wake_send[end.n_send++] = fds[2];
	end.side = 1;
	if (r == sizeof(welcome) && n_fds == 0 && welcome.magic == WIRE_MAGIC && welcome.side == WIRE_NO_ROOM) {
		adxi_tell(ADXI_RULE_QUO001, "the server refuses one more connection of this process or its user");
		r = -EDQUOT;
	} else if (r != sizeof(welcome) || n_fds != 3 || welcome.magic != WIRE_MAGIC || welcome.side != 1) {
		adxi_tell(ADXI_RULE_CHN001, "the server at the other end of the socket sent %d bytes and %d "
			  "descriptors that are not a channel's welcome", r, n_fds);
		r = -EPROTO;
	} else if (welcome.version != WIRE_VERSION) {
		adxi_tell(ADXI_RULE_CHN002, "the server speaks version %u of the channel's format, this process "
			  "version %u", welcome.version, WIRE_VERSION);
		r = -EPROTO;
	} else {
		*ret_endpoint = endpoint_take(&end);
		r = 0;
	}
out:
	adxi_endpoint_done(&end);
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * As an object
 */

struct ADXEndpoint {
	struct OSObject super;
	_Atomic bool present;          /* endpoint has not been taken */
	struct adxi_endpoint endpoint; /* owned while present */
};

extern struct OSMetaClass ADXEndpoint_Class;

/* What travels besides the descriptors: socket, memory, those to sleep on, those to write. */
struct endpoint_grant {
	uint32_t side, n_receive, n_send;
};

static void
endpoint_construct(void *self)
{
	struct ADXEndpoint *object = self;

	object->endpoint = ADXI_ENDPOINT_NONE;
}

static void
endpoint_destruct(void *self)
{
	struct ADXEndpoint *object = self;

	adxi_endpoint_done(&object->endpoint);
}

static int
endpoint_grant(OS_OBJECT *self, struct OSGrant *grant)
{
	struct ADXEndpoint *object = (struct ADXEndpoint *)self;

	if (!atomic_load(&object->present))
		return -EBADF;
	const struct adxi_endpoint *end = &object->endpoint;
	const struct endpoint_grant bytes = { end->side, end->n_receive, end->n_send };

	memcpy(grant->bytes, &bytes, sizeof(bytes));
	grant->n_bytes = sizeof(bytes);
	grant->fds[grant->n_fds++] = end->socket;
	grant->fds[grant->n_fds++] = end->memory;
	for (unsigned i = 0; i < end->n_receive; i++)
		grant->fds[grant->n_fds++] = end->wake_receive[i];
	for (unsigned i = 0; i < end->n_send; i++)
		grant->fds[grant->n_fds++] = end->wake_send[i];
	return 0;
}

static int
endpoint_accept(struct OSGrant *grant, OS_OBJECT **ret)
{
	struct adxi_endpoint end = ADXI_ENDPOINT_NONE;

	struct endpoint_grant bytes;
	int *fd = grant->fds;

	if (grant->n_bytes != sizeof(bytes))
		return -EPROTO;
	memcpy(&bytes, grant->bytes, sizeof(bytes));
	if (bytes.side > 1 || bytes.n_receive < 1 || bytes.n_receive > ADXI_MAX_BELLS || bytes.n_send < 1 ||
	    bytes.n_send > ADXI_MAX_BELLS || grant->n_fds != 2 + bytes.n_receive + bytes.n_send)
		return -EPROTO;
	end.side = bytes.side;
	end.socket = TAKE_FD(fd[0]);
	end.memory = TAKE_FD(fd[1]);
	fd += 2;
	for (; end.n_receive < bytes.n_receive; fd++)
		end.wake_receive[end.n_receive++] = TAKE_FD(*fd);
	for (; end.n_send < bytes.n_send; fd++)
		end.wake_send[end.n_send++] = TAKE_FD(*fd);
	*ret = adxi_endpoint_object(&end);
	return *ret ? 0 : -ENOMEM;
}

static const struct OSClassHooks endpoint_hooks = {
	.grant = endpoint_grant,
	.accept = endpoint_accept,
};

static void *endpoint_ops[sizeof(struct OSObject_Ops) / sizeof(void *)]; /* all inherited */

__attribute__((visibility("default"))) struct OSMetaClass ADXEndpoint_Class = {
	.abi = OS_METACLASS_ABI,
	.flags = OS_CLASS_CAN_REMOTE,
	.name = "ADXEndpoint",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct ADXEndpoint),
	.ops_size = sizeof(endpoint_ops),
	.ops = endpoint_ops,
	.construct = endpoint_construct,
	.destruct = endpoint_destruct,
	.hooks = &endpoint_hooks,
};

__attribute__((constructor)) static void
endpoint_register(void)
{
	OSMetaClassRegister(&ADXEndpoint_Class);
}

OS_OBJECT *
adxi_endpoint_object(struct adxi_endpoint *endpoint)
{
	struct adxi_endpoint end = endpoint_take(endpoint);
	struct ADXEndpoint *object = (struct ADXEndpoint *)OSMetaClassAllocate(&ADXEndpoint_Class);

	if (!object) {
		adxi_endpoint_done(&end);
		return NULL;
	}
	object->super.super.flags |= OS_OBJECT_INITIALISED;
	object->endpoint = end;
	atomic_store(&object->present, true);
	return &object->super.super;
}

int
adxi_endpoint_take(OS_OBJECT *object, struct adxi_endpoint *ret_endpoint)
{
	struct ADXEndpoint *self = (struct ADXEndpoint *)OSMetaClassCast(object, &ADXEndpoint_Class);

	if (!self || self->super.super.remote)
		return -EINVAL;
	if (!atomic_exchange(&self->present, false))
		return -EBADF;
	*ret_endpoint = endpoint_take(&self->endpoint);
	return 0;
}
