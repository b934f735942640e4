/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mach/message.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/rules.h"
#include "channel/packet.h"
#include "object/grant.h"
#include "object/serialize.h"

#define VALUE_INLINE 8192u /* bytes of a serialized value that travel in the ring */

/* What comes with one slot. */
struct attachment {
	const char *name;  /* borrowed; name_size bytes of the slot */
	const void *extra; /* extra_size bytes */
	void *owned;       /* what extra points into, or NULL */
};

/* A message before it is in shared memory. */
struct outgoing {
	struct wire_header *header;
	const struct OSSpan *spans;
	uint32_t n_spans;
	unsigned n_objects; /* prepared so far */
	unsigned n_fds;
	unsigned n_owned_fds;
	bool any_grant;
	/* The first n_objects or n_fds of each: not touched otherwise. */
	struct wire_slot slots[OS_MESSAGE_MAX_OBJECTS];
	struct attachment attachments[OS_MESSAGE_MAX_OBJECTS];
	int fds[WIRE_MAX_FDS];       /* borrowed, for this message */
	int owned_fds[OS_MESSAGE_MAX_OBJECTS];
};

struct queued {
	struct adxi_list link; /* in adxi_channel::queue */
	uint32_t size;         /* of bytes */
	unsigned n_fds;
	int *fds;              /* owned, with the descriptors in it; in the same allocation */
	_Alignas(8) uint8_t bytes[];
};

/* ---------------------------------------------------------------------------------------------
 * Objects
 */

static bool
slot_has_right(const struct wire_slot *slot)
{
	return slot->kind == SLOT_PROXY || slot->kind == SLOT_GRANT || slot->kind == SLOT_KNOWN;
}

static void
outgoing_done(struct outgoing *out)
{
	for (unsigned i = 0; i < out->n_objects; i++)
		free(out->attachments[i].owned);
	for (unsigned i = 0; i < out->n_owned_fds; i++)
		(void)close(out->owned_fds[i]);
}

static void
outgoing_undo(struct adxi_channel *ch, struct outgoing *out)
{
	for (unsigned i = 0; i < out->n_objects; i++) {
		if (slot_has_right(&out->slots[i]))
			table_unexport(ch, out->slots[i].ref);
	}
}

static int
attach_name(const char *name, struct wire_slot *slot, struct attachment *attachment)
{
	size_t size = name ? strlen(name) : 0;

	if (size == 0 || size > WIRE_MAX_NAME)
		return -EINVAL;
	attachment->name = name;
	slot->name_size = (uint16_t)size;
	return 0;
}

static int
value_memory(const struct adxi_buf *buf)
{
	adxi_cleanup(adxi_closep) int fd = memfd_create("ambidext-value", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	for (size_t at = 0; at < buf->len;) {
		ssize_t n = pwrite(fd, buf->data + at, buf->len - at, (off_t)at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int
prepare_value(struct outgoing *out, OS_OBJECT *object, struct wire_slot *slot, struct attachment *attachment)
{
	struct adxi_buf buf = { 0 };
	int r = adxi_serialize((const OSObject *)object, &buf);

	if (r < 0) {
		adxi_buf_done(&buf);
		return r == -EINVAL || r == -ELOOP ? -EINVAL : r;
	}
	if (buf.len <= VALUE_INLINE) {
		slot->kind = SLOT_VALUE;
		slot->extra_size = (uint32_t)buf.len;
		attachment->extra = attachment->owned = adxi_buf_take(&buf, NULL);
		return 0;
	}
	r = value_memory(&buf);
	adxi_buf_done(&buf);
	if (r < 0)
		return r;
	slot->kind = SLOT_VALUE_MEMORY;
	slot->n_fds = 1;
	out->owned_fds[out->n_owned_fds++] = r;
	out->fds[out->n_fds++] = r;
	return 0;
}

static int
prepare_grant(struct outgoing *out, OS_OBJECT *object, const struct OSClassHooks *hooks,
	      struct wire_slot *slot, struct attachment *attachment)
{
	struct OSGrant *grant = calloc(1, sizeof(*grant));
	int r;

	if (!grant)
		return -ENOMEM;
	attachment->owned = grant;
	for (unsigned i = 0; i < OS_GRANT_MAX_FDS; i++)
		grant->fds[i] = -1;
	r = hooks->grant(object, grant);
	if (r < 0)
		return r;
	if (grant->n_bytes > OS_GRANT_MAX_BYTES || grant->n_fds > OS_GRANT_MAX_FDS ||
	    out->n_fds + grant->n_fds > WIRE_MAX_FDS)
		return -EMSGSIZE;
	memcpy(&out->fds[out->n_fds], grant->fds, grant->n_fds * sizeof(int));
	out->n_fds += grant->n_fds;
	out->any_grant = true;
	slot->kind = SLOT_GRANT;
	slot->n_fds = (uint8_t)grant->n_fds;
	slot->extra_size = grant->n_bytes;
	attachment->extra = grant->bytes;
	return attach_name(grant->class_name ? grant->class_name : OSMetaClassRemoteName(object->meta), slot,
			   attachment);
}

static int
prepare_native(struct adxi_channel *ch, struct outgoing *out, OS_OBJECT *object, struct wire_slot *slot,
	       struct attachment *attachment)
{
	const struct OSClassHooks *hooks = objects_hooks(object->meta);
	bool granted;
	int r;

	if (hooks && hooks->may_cross && (r = hooks->may_cross(object)) < 0)
		return -EPERM;
	if (!hooks || !hooks->grant) {
		slot->kind = SLOT_PROXY;
		r = attach_name(OSMetaClassRemoteName(object->meta), slot, attachment);
		return r < 0 ? r : table_export(ch, object, &slot->ref, &granted);
	}
	if (!table_is_granted(ch, object)) {
		r = prepare_grant(out, object, hooks, slot, attachment);
		if (r < 0)
			return r;
		return table_export(ch, object, &slot->ref, &granted);
	}
	r = table_export(ch, object, &slot->ref, &granted);
	if (r < 0)
		return r;
	if (!granted) { /* given back since: build it anew */
		table_unexport(ch, slot->ref);
		slot->kind = SLOT_NULL;
		return -EAGAIN;
	}
	slot->kind = SLOT_KNOWN;
	return 0;
}

static int
prepare_object(struct adxi_channel *ch, struct outgoing *out, OS_OBJECT *object, unsigned index)
{
	struct wire_slot *slot = &out->slots[index];
	struct attachment *attachment = &out->attachments[index];
	bool granted;
	int r;

	*slot = (struct wire_slot){ .kind = SLOT_NULL };
	*attachment = (struct attachment){ 0 };
	out->n_objects = index + 1;
	if (!object)
		return 0;
	if (table_is_yours(ch, object, &slot->ref)) {
		slot->kind = SLOT_YOURS;
		return 0;
	}
	if (object->remote) {
		slot->kind = SLOT_PROXY;
		r = attach_name(OSMetaClassRemoteName(object->meta), slot, attachment);
		return r < 0 ? r : table_export(ch, object, &slot->ref, &granted);
	}
	if (objects_by_value(object->meta))
		return prepare_value(out, object, slot, attachment);
	do
		r = prepare_native(ch, out, object, slot, attachment);
	while (r == -EAGAIN);
	return r;
}

static int
outgoing_prepare(struct adxi_channel *ch, struct outgoing *out, OS_OBJECT *const *objects, uint32_t n_objects)
{
	struct wire_header *header = out->header;
	size_t size = sizeof(*header), content = 0;
	uint32_t n_slots = n_objects;

	if (n_objects > OS_MESSAGE_MAX_OBJECTS)
		return -EMSGSIZE;
	while (n_slots > 0 && !objects[n_slots - 1])
		n_slots--;
	for (unsigned i = 0; i < n_slots; i++) {
		int r = prepare_object(ch, out, objects[i], i);

		if (r < 0) {
			/* The right was not taken, or not named. */
			if (r != 0 && slot_has_right(&out->slots[i]))
				out->slots[i].kind = SLOT_NULL;
			if (r == -EINVAL || r == -EPERM || r == -EBADF)
				adxi_tell(ADXI_RULE_CHN005, "object %u of the message to %s, of class %s, cannot go to "
					  "another process", i, ch->name, objects[i]->meta->name);
			return r;
		}
		size += sizeof(struct wire_slot) + wire_pad8(out->slots[i].name_size) +
			wire_pad8(out->slots[i].extra_size);
	}
	for (uint32_t i = 0; i < out->n_spans; i++) {
		if (out->spans[i].size > WIRE_MAX)
			return -EMSGSIZE;
		content += wire_pad8((uint32_t)out->spans[i].size);
	}
	if (size + content > WIRE_MAX)
		return -EMSGSIZE;
	header->size = (uint32_t)(size + content);
	header->content_size = (uint32_t)content;
	header->n_objects = (uint8_t)n_objects;
	if (n_objects > 0) /* a RELEASE says something else there */
		header->how = (uint8_t)(n_objects - n_slots);
	header->n_fds = (uint8_t)out->n_fds;
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Writing
 */

static uint8_t *
put_padded(uint8_t *at, const void *data, size_t size)
{
	const size_t padded = wire_pad8((uint32_t)size);

	if (padded != size)
		memset(at + padded - 8, 0, 8);
	if (size > 0)
		memcpy(at, data, size);
	return at + padded;
}

static void
outgoing_write(const struct outgoing *out, uint8_t *at)
{
	memcpy(at, out->header, sizeof(*out->header));
	at += sizeof(*out->header);
	memcpy(at, out->slots, out->n_objects * sizeof(out->slots[0]));
	at += out->n_objects * sizeof(out->slots[0]);
	for (unsigned i = 0; i < out->n_objects; i++) {
		at = put_padded(at, out->attachments[i].name, out->slots[i].name_size);
		at = put_padded(at, out->attachments[i].extra, out->slots[i].extra_size);
	}
	for (uint32_t i = 0; i < out->n_spans; i++)
		at = put_padded(at, out->spans[i].data, out->spans[i].size);
}

/* Descriptors go first, so that a receiver that sees the message finds them. [tx] */
static int
send_fds(struct adxi_channel *ch, uint32_t *ret_sequence, const int *fds, unsigned n_fds)
{
	struct wire_packet packet = { .sequence = ch->fd_sequence_tx, .n_fds = n_fds };
	int r;

	if (n_fds == 0)
		return 0;
	r = packet_send(ch->socket, &packet, sizeof(packet), fds, n_fds);
	if (r == 0)
		*ret_sequence = ch->fd_sequence_tx++;
	return r;
}

static void
queued_free(struct adxi_channel *ch, struct queued *queued)
{
	adxi_list_remove(&queued->link);
	atomic_fetch_sub(&ch->queued_bytes, queued->size);
	atomic_fetch_sub_explicit(&ch->n_waiting, 1, memory_order_relaxed);
	for (unsigned i = 0; i < queued->n_fds; i++)
		(void)close(queued->fds[i]);
	free(queued);
}

/* [tx] 1: gone, and *wake is set: the peer may have to be woken; 0: no room */
static int
publish_queued(struct adxi_channel *ch, struct queued *queued, bool *wake)
{
	struct wire_header *header = (struct wire_header *)(void *)queued->bytes;
	uint8_t *place;
	int r = ring_reserve(&ch->tx, queued->size, &place);

	if (r == 0)
		r = send_fds(ch, &header->fd_sequence, queued->fds, queued->n_fds);
	if (r == -EPIPE)
		r = -EAGAIN; /* the receiving side will find out, and take what came before */
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	memcpy(place, queued->bytes, queued->size);
	COUNT(ch->sent, 1, memory_order_release);
	ring_publish(&ch->tx);
	*wake = true;
	queued_free(ch, queued);
	return 1;
}

/* [tx] */
static int
flush_locked(struct adxi_channel *ch, bool *wake)
{
	bool asked = false;

	while (!adxi_list_is_empty(&ch->queue)) {
		int r = publish_queued(ch, ADXI_LIST_FIRST(&ch->queue, struct queued, link), wake);

		if (r < 0)
			return r;
		if (r == 1) {
			asked = false;
			continue;
		}
		if (asked)
			return 0;
		ring_wait_room(&ch->tx);
		asked = true; /* room made before the wish was seen is found by one more try */
	}
	return 0;
}

int
send_flush(struct adxi_channel *ch)
{
	size_t before = atomic_load(&ch->queued_bytes);
	bool wake = false;
	int r;

	(void)pthread_mutex_lock(&ch->tx_lock);
	r = flush_locked(ch, &wake);
	(void)pthread_mutex_unlock(&ch->tx_lock);
	if (wake)
		channel_wake_peer(ch);
	if (before > CHANNEL_ROOM && atomic_load(&ch->queued_bytes) <= CHANNEL_ROOM)
		channel_room(ch);
	return r;
}

void
send_discard(struct adxi_channel *ch)
{
	struct queued *queued, *next;

	(void)pthread_mutex_lock(&ch->tx_lock);
	ADXI_LIST_EACH_SAFE(queued, next, &ch->queue, link)
		queued_free(ch, queued);
	(void)pthread_mutex_unlock(&ch->tx_lock);
}

/* [tx] */
static int
enqueue_locked(struct adxi_channel *ch, const struct outgoing *out)
{
	const uint32_t size = out->header->size;
	struct queued *queued;

	if (atomic_load(&ch->queued_bytes) + size > CHANNEL_HARD_QUOTA)
		return -EOVERFLOW;
	queued = malloc(sizeof(*queued) + size + out->n_fds * sizeof(int));
	if (!queued)
		return -ENOMEM;
	queued->size = size;
	queued->fds = (int *)(void *)(queued->bytes + size);
	for (queued->n_fds = 0; queued->n_fds < out->n_fds; queued->n_fds++) {
		int fd = fcntl(out->fds[queued->n_fds], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			int r = -errno;

			for (unsigned i = 0; i < queued->n_fds; i++)
				(void)close(queued->fds[i]);
			free(queued);
			return r;
		}
		queued->fds[queued->n_fds] = fd;
	}
	outgoing_write(out, queued->bytes);
	adxi_list_append(&ch->queue, &queued->link);
	atomic_fetch_add(&ch->queued_bytes, size);
	atomic_fetch_add_explicit(&ch->n_queued, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&ch->n_waiting, 1, memory_order_relaxed);
	return 0;
}

/* [tx] 1: published; 0: in the queue, *wake: some of that was published; -EAGAIN: a one-way message that must wait; -EPROTO, -EOVERFLOW: the channel ends */
static int
send_locked(struct adxi_channel *ch, struct outgoing *out, bool *wake)
{
	uint8_t *place;
	int r;

	if (atomic_load(&ch->state) != CHANNEL_OPEN)
		return -EPIPE;
	if (adxi_list_is_empty(&ch->queue)) {
		r = ring_reserve(&ch->tx, out->header->size, &place);
		if (r == 0)
			r = send_fds(ch, &out->header->fd_sequence, out->fds, out->n_fds);
		if (r == 0) {
			outgoing_write(out, place);
			COUNT(ch->sent, 1, memory_order_release);
			ring_publish(&ch->tx);
			return 1;
		}
		if (r != -EAGAIN && r != -EPIPE)
			return r;
	}
	if (out->header->kind == WIRE_ONEWAY &&
	    atomic_load(&ch->queued_bytes) + out->header->size > CHANNEL_QUOTA)
		return -EAGAIN;
	r = enqueue_locked(ch, out);
	return r < 0 ? r : flush_locked(ch, wake);
}

static int
send_outgoing(struct adxi_channel *ch, struct outgoing *out, enum send_policy policy)
{
	bool wake = false;
	int r;

	for (;;) {
		struct waiter waiter;

		(void)pthread_mutex_lock(&ch->tx_lock);
		r = send_locked(ch, out, &wake);
		(void)pthread_mutex_unlock(&ch->tx_lock);
		if (r == 1 && policy == SEND_QUIET)
			return 1;
		if (r == 1 || wake)
			channel_wake_peer(ch);
		if (r != -EAGAIN)
			break;
		if (policy == SEND_DROP || channel_in_delivery(ch)) {
			atomic_fetch_add_explicit(&ch->dropped, 1, memory_order_relaxed);
			if (!atomic_exchange(&ch->told_drop, true))
				adxi_tell(ADXI_RULE_CHN003, "%s does not take its messages: %u bytes wait for room, and a "
					  "one-way message was dropped", ch->name,
					  (unsigned)atomic_load(&ch->queued_bytes));
			return -ENOBUFS;
		}
		waiter_init(&waiter, true);
		channel_wait(ch, &waiter);
	}
	if (r == -EPROTO) {
		adxi_tell(ADXI_RULE_CHN001, "%s wrote a read position that cannot be into the shared memory",
			  ch->name);
		channel_die(ch, -EPROTO);
		return -EPIPE;
	}
	if (r == -EOVERFLOW) {
		adxi_tell(ADXI_RULE_CHN004, "%s does not take its messages: %u bytes wait for room", ch->name,
			  (unsigned)atomic_load(&ch->queued_bytes));
		channel_die(ch, -ENOBUFS);
		return -EPIPE;
	}
	return r < 0 ? r : 0;
}

int
send_message(struct adxi_channel *ch, struct wire_header *header, const struct OSSpan *spans, uint32_t n_spans,
	     OS_OBJECT *const *objects, uint32_t n_objects, enum send_policy policy)
{
	struct outgoing out;
	int r;

	if (!channel_usable(ch))
		return -ECHILD;
	if (adxi_channel_is_dead(ch))
		return -EPIPE;
	r = adxi_fault(ADXI_FAULT_SEND);
	if (r == -EPIPE)
		(void)shutdown(ch->socket, SHUT_RDWR); /* what is sent now is the last that the peer gets */
	else if (r < 0)
		return r;
	out.header = header;
	out.spans = spans;
	out.n_spans = n_spans;
	out.n_objects = out.n_fds = out.n_owned_fds = 0;
	out.any_grant = false;
	r = outgoing_prepare(ch, &out, objects, n_objects);
	if (r == 0)
		r = send_outgoing(ch, &out, policy);
	if (r < 0)
		outgoing_undo(ch, &out);
	for (unsigned i = 0; r >= 0 && out.any_grant && i < out.n_objects; i++) {
		if (out.slots[i].kind == SLOT_GRANT)
			table_granted(ch, out.slots[i].ref);
	}
	outgoing_done(&out);
	return r;
}

void
send_control(struct adxi_channel *ch, enum wire_kind kind, struct wire_ref ref, uint32_t count, bool wants_freed)
{
	struct wire_header header = {
		.kind = (uint8_t)kind,
		.how = wants_freed ? 1 : 0,
		.target = ref,
		.count = count,
	};

	send_must_arrive(ch, send_message(ch, &header, NULL, 0, NULL, 0, SEND_DROP));
}

void
send_must_arrive(struct adxi_channel *ch, int r)
{
	/* Both sides hear of it as of a peer's end: this one may hold the role or a lock here. */
	if (r < 0 && r != -EPIPE && r != -ECHILD)
		(void)shutdown(ch->socket, SHUT_RDWR);
}

IOReturn
send_status(int error)
{
	switch (error) {
	case 0:
		return kIOReturnSuccess;
	case -EPIPE:
		return MACH_SEND_INVALID_DEST;
	case -EINVAL:
	case -EPERM:
	case -EBADF:
		return kIOReturnBadArgument;
	case -EMSGSIZE:
		return kIOReturnMessageTooLarge;
	case -ENOMEM:
		return kIOReturnNoMemory;
	case -ENOBUFS:
	case -EMFILE:
	case -ENFILE:
	case -ENOSPC:
		return kIOReturnNoResources;
	default:
		return kIOReturnIPCError;
	}
}
