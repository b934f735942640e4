/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mach/message.h>
#include <mach/mig_errors.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "channel/packet.h"

/* A request from its arrival until OSMessageFree() and its reply. One allocation. */
struct incoming {
	struct OSMessage message; /* first: what everybody else sees */
	struct item item;
	struct adxi_channel *channel; /* owned reference */
	struct call_reply reply;      /* of a request; may outlive the message */
	_Atomic unsigned n_parts;     /* message and reply, while they live */
	uint64_t transaction;
	bool one_way;
	size_t size;              /* counted in incoming_bytes */
	OS_OBJECT **objects;      /* in the same allocation, and the payload after them */
};

static int
broken(struct adxi_channel *ch, const char *what)
{
	adxi_tell(ADXI_RULE_CHN001, "%s sent %s", ch->name, what);
	return -EPROTO;
}

/* The message at the head was copied. [role] */
static void
consume(struct adxi_channel *ch)
{
	if (ring_consume(&ch->rx))
		channel_wake_peer(ch);
}

static void
fds_close(struct incoming_fds *fds)
{
	for (unsigned i = 0; i < fds->n_fds; i++) {
		if (fds->fds[i] >= 0)
			(void)close(fds->fds[i]);
	}
	fds->n_fds = fds->next = 0;
}

/* The descriptors of a message. They were sent before it, so they are there. [role] */
static int
fds_receive(struct adxi_channel *ch, const struct wire_header *header, struct incoming_fds *fds)
{
	struct wire_packet packet;
	int n_fds;
	int n;

	fds->n_fds = fds->next = 0;
	if (header->n_fds == 0)
		return 0;
	n = packet_receive(ch->socket, &packet, sizeof(packet), fds->fds, WIRE_MAX_FDS, &n_fds);
	fds->n_fds = (unsigned)n_fds;
	if (n == -EMFILE || n == -ENFILE || n == -ENOMEM || n == -ENOBUFS) {
		ch->fd_sequence_rx++;
		return -EMFILE;
	}
	if (n != sizeof(packet) || packet.sequence != ch->fd_sequence_rx || packet.n_fds != fds->n_fds ||
	    fds->n_fds != header->n_fds || header->fd_sequence != packet.sequence) {
		fds_close(fds);
		return broken(ch, "a message without the descriptors that it promises");
	}
	ch->fd_sequence_rx++;
	return 0;
}

/* ---------------------------------------------------------------------------------------------
 * Requests
 */

static void
incoming_part_done(struct incoming *in)
{
	struct adxi_channel *ch = in->channel;

	/* Nobody else comes back to the last part. */
	if (atomic_load_explicit(&in->n_parts, memory_order_acquire) > 1 && atomic_fetch_sub(&in->n_parts, 1) > 1)
		return;
	atomic_fetch_sub(&ch->incoming_bytes, in->size);
	free(in);
	(void)adxi_channel_unref(ch);
}

static void
incoming_dispose(struct OSMessage *message)
{
	incoming_part_done(adxi_container_of(message, struct incoming, message));
}

static void
incoming_replied(struct call_reply *reply)
{
	incoming_part_done(adxi_container_of(reply, struct incoming, reply));
}

static struct incoming *
incoming_new(struct adxi_channel *ch, const struct wire_header *header)
{
	const size_t payload = header->size - sizeof(*header);
	const size_t objects = header->n_objects * sizeof(OS_OBJECT *);
	const size_t size = sizeof(struct incoming) + objects + payload;
	struct incoming *in = malloc(size);

	if (!in)
		return NULL;
	memset(in, 0, sizeof(*in) + objects);
	in->channel = adxi_channel_ref(ch);
	atomic_init(&in->n_parts, 1);
	in->transaction = header->transaction;
	in->one_way = header->kind == WIRE_ONEWAY;
	in->size = size;
	in->objects = (OS_OBJECT **)(void *)(in + 1);
	in->message = (struct OSMessage){
		.method = header->method,
		.flags = in->one_way ? OS_MESSAGE_ONEWAY : 0,
		.content_size = header->content_size,
		.n_objects = header->n_objects,
		.content = (uint8_t *)(in->objects + header->n_objects) + payload - header->content_size,
		.objects = in->objects,
		.dispose = incoming_dispose,
	};
	atomic_fetch_add(&ch->incoming_bytes, size);
	return in;
}

static uint8_t *
incoming_payload(struct incoming *in)
{
	return (uint8_t *)(in->objects + in->message.n_objects);
}

static void
incoming_refuse(struct incoming *in, IOReturn status)
{
	if (!in->one_way && !in->message.reply)
		call_answer(in->channel, in->transaction, status);
	else if (in->message.reply)
		OSMessageReply(&in->message, status, NULL, 0, NULL, 0);
	OSMessageFree(&in->message);
}

static void
incoming_run(struct adxi_channel *ch, struct item *item)
{
	struct incoming *in = adxi_container_of(item, struct incoming, item);
	struct OSMessage *message = &in->message;

	if (atomic_load(&ch->closed)) {
		OSMessageFree(message);
		return;
	}
	if (channel_depth() > CHANNEL_DEPTH) {
		if (!atomic_exchange(&ch->told_refused, true))
			adxi_tell(ADXI_RULE_CHN007, "a request of %s came inside %u calls that wait for each other",
				  ch->name, CHANNEL_DEPTH);
		incoming_refuse(in, kIOReturnNoResources);
	} else if (message->target->remote) {
		call_forward(message);
	} else if (ch->ops && ch->ops->request) {
		ch->ops->request(ch, ch->userdata, message);
	} else {
		OSDeliver(message);
	}
}

/* ---- one-way messages that run at once ---- */

#define AT_ONCE_MAX 512u /* bytes of content; more goes the common way */

static void
not_owned(struct OSMessage *message)
{
}

static bool
is_immediate(const OS_OBJECT *object)
{
	const struct OSClassHooks *hooks = object->remote ? NULL : objects_hooks(object->meta);

	return hooks && hooks->immediate;
}

/* A message that cannot keep its receiver: no memory of its own, no list, no lock of the channel's. False: it is as it was.
 * Nothing that came before may be left to run, here or on another thread. [role] */
static bool
receive_at_once(struct adxi_channel *ch, const struct wire_header *header, const uint8_t *body)
{
	_Alignas(8) uint8_t content[AT_ONCE_MAX];
	struct OSMessage message = {
		.method = header->method,
		.flags = OS_MESSAGE_ONEWAY,
		.content_size = header->content_size,
		.content = content,
		.dispose = not_owned,
	};

	if (header->kind != WIRE_ONEWAY || header->n_objects > 0 || header->n_fds > 0 ||
	    header->content_size != header->size - sizeof(*header) || header->content_size > AT_ONCE_MAX ||
	    !channel_is_delivered(ch) || atomic_load(&ch->closed))
		return false;
	if (table_resolve(ch, header->target, &message.target) < 0)
		return false;
	ch->immediate = is_immediate(message.target);
	if (!ch->immediate) {
		OSRelease(message.target);
		return false;
	}
	ring_copy(content, body, header->content_size);
	consume(ch);
	OSDeliverAtOnce(&message);
	return true;
}

/* Everything of it that is in shared memory was copied. 0, -EPROTO. [role] */
static int
incoming_finish(struct adxi_channel *ch, struct incoming *in, const struct wire_header *header,
		struct incoming_fds *fds)
{
	IOReturn status = kIOReturnNoResources;
	int r = objects_decode(ch, header, incoming_payload(in), fds, in->objects, &status);

	if (r == -EPROTO) {
		in->message.n_objects = 0;
		OSMessageFree(&in->message);
		return broken(ch, "objects that do not fit the format");
	}
	if (r < 0) {
		in->message.n_objects = 0;
		incoming_refuse(in, status);
		return 0;
	}
	r = table_resolve(ch, header->target, &in->message.target);
	if (r == -EPROTO) {
		OSMessageFree(&in->message);
		return broken(ch, "a message to an object that it was never given");
	}
	if (r < 0) {
		incoming_refuse(in, MACH_SEND_INVALID_DEST);
		return 0;
	}
	if (!in->one_way) {
		call_reply_init(&in->reply, ch, in->transaction, incoming_replied);
		atomic_store_explicit(&in->n_parts, 2, memory_order_relaxed);
		in->message.reply = &in->reply.reply;
	}
	if (in->one_way)
		ch->immediate = is_immediate(in->message.target);
	in->item.run = incoming_run;
	ch->arrived = &in->item;
	return 0;
}

/* No memory or too many unfinished: the objects still have to be taken, for their rights. [role] */
static int
receive_refused(struct adxi_channel *ch, const struct wire_header *header, const uint8_t *payload,
		struct incoming_fds *fds)
{
	OS_OBJECT *objects[OS_MESSAGE_MAX_OBJECTS];
	IOReturn status;
	int r = objects_decode(ch, header, payload, fds, objects, &status);

	if (r == -EPROTO)
		return broken(ch, "objects that do not fit the format");
	for (unsigned i = 0; r == 0 && i < header->n_objects; i++)
		OSRelease(objects[i]);
	atomic_fetch_add_explicit(&ch->dropped, 1, memory_order_relaxed);
	if (!atomic_exchange(&ch->told_refused, true))
		adxi_tell(ADXI_RULE_CHN007, "%s sends more than this process finishes: %zu bytes of its requests are "
			  "unfinished", ch->name, (size_t)atomic_load(&ch->incoming_bytes));
	if (header->kind == WIRE_REQUEST)
		call_answer(ch, header->transaction, kIOReturnNoResources);
	return 0;
}

/* [role] */
static int
receive_request(struct adxi_channel *ch, const struct wire_header *header, const uint8_t *body)
{
	if (ch->immediate && receive_at_once(ch, header, body))
		return 0;

	struct incoming_fds fds;
	struct incoming *in = NULL;
	_Alignas(8) uint8_t refused[WIRE_MAX];
	const size_t payload = header->size - sizeof(*header);
	int r = fds_receive(ch, header, &fds);
	const bool lost_fds = r == -EMFILE;

	if (r == -EPROTO)
		return r;
	if (!lost_fds && atomic_load(&ch->incoming_bytes) < CHANNEL_INCOMING)
		in = incoming_new(ch, header);
	ring_copy(in ? incoming_payload(in) : refused, body, payload);
	consume(ch);
	if (lost_fds) {
		/* Which slots they were for cannot be told any more, and so not which rights came. */
		adxi_tell(ADXI_RULE_CHN008, "descriptors of a message from %s did not fit into this process", ch->name);
		r = -EMFILE;
	} else if (in) {
		r = incoming_finish(ch, in, header, &fds);
	} else {
		r = receive_refused(ch, header, refused, &fds);
	}
	fds_close(&fds);
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * Replies
 */

/* Where the reply of a call that does not wait goes. */
static struct OSMessage *
received_new(const struct wire_header *header)
{
	const size_t objects = header->n_objects * sizeof(OS_OBJECT *);
	struct OSMessage *message = calloc(1, sizeof(*message) + objects + header->content_size);

	if (message) {
		OS_OBJECT **slots = (OS_OBJECT **)(void *)(message + 1);

		OSMessageInit(message, slots + header->n_objects, header->content_size, slots,
			      header->n_objects);
	}
	return message;
}

/* [role] */
static int
receive_reply(struct adxi_channel *ch, const struct wire_header *header, const uint8_t *body)
{
	const size_t payload = header->size - sizeof(*header);
	const size_t front = payload - header->content_size;
	_Alignas(8) uint8_t slots[WIRE_MAX];
	OS_OBJECT *objects[OS_MESSAGE_MAX_OBJECTS];
	struct incoming_fds fds;
	struct OSMessage *reply;
	struct call *call;
	IOReturn status = header->status;
	int r = fds_receive(ch, header, &fds);

	if (r == -EPROTO)
		return r;
	if (r == -EMFILE) {
		consume(ch);
		adxi_tell(ADXI_RULE_CHN008, "descriptors of a reply of %s did not fit into this process", ch->name);
		return r;
	}
	/* The caller has read its arguments, which may lie where the reply goes: the peer answered what it published. Said in
	 * this process too, for ThreadSanitizer. */
	(void)atomic_load_explicit(&ch->sent, memory_order_acquire);
	call = call_detach(ch, header->transaction);
	if (!call) {
		fds_close(&fds);
		return broken(ch, "a reply that no call waits for");
	}
	if (call->done)
		call->received = received_new(header);
	reply = call->done ? call->received : call->reply;
	if (call->done && !reply)
		status = kIOReturnNoMemory; /* its function would take it for an answer otherwise */
	ring_copy(slots, body, front);
	if (reply && header->content_size <= reply->content_capacity) {
		ring_copy((void *)(uintptr_t)reply->content, body + front, header->content_size);
		reply->content_size = header->content_size;
	} else if (header->content_size > 0) {
		status = kIOReturnIPCError;
	}
	consume(ch);

	/* Only the front is private; the decoder never looks at the content. */
	r = header->n_objects == 0 && front == 0 ? 0 : objects_decode(ch, header, slots, &fds, objects, &status);
	fds_close(&fds);
	if (r == 0 && reply && header->n_objects <= reply->objects_capacity) {
		if (header->n_objects > 0)
			memcpy(reply->objects, objects, header->n_objects * sizeof(OS_OBJECT *));
		reply->n_objects = header->n_objects;
	} else if (r == 0 && header->n_objects > 0) {
		for (unsigned i = 0; i < header->n_objects; i++)
			OSRelease(objects[i]);
		status = kIOReturnIPCError;
	} else if (r == -EPROTO) {
		status = MIG_SERVER_DIED;
	}
	if (reply)
		reply->status = status;
	call_received(ch, call, header->transaction, status);
	return r == -EPROTO ? broken(ch, "objects that do not fit the format") : 0;
}

/* ---------------------------------------------------------------------------------------------
 * All
 */

/* [role] */
static int
receive_control(struct adxi_channel *ch, const struct wire_header *header)
{
	int r;

	consume(ch);
	if (header->size != sizeof(*header) || header->n_objects || header->n_fds || header->content_size)
		return broken(ch, "a release that is more than one");
	if (header->kind == WIRE_RELEASE)
		r = table_released(ch, header->target, header->count, header->how & 1);
	else
		r = table_freed(ch, header->target);
	return r == -EPROTO ? broken(ch, "the release of a right that it does not have") : r;
}

int
receive_one(struct adxi_channel *ch)
{
	struct wire_header header;
	const uint8_t *body;
	uint32_t payload;
	int r = ring_peek(&ch->rx, &header, &body);

	if (r == 0)
		return RECEIVED_NONE;
	if (r < 0)
		return broken(ch, "a message whose size or place in the ring cannot be");
	COUNT(ch->received, 1, memory_order_relaxed);
	payload = header.size - (uint32_t)sizeof(header);
	if (header.n_objects > OS_MESSAGE_MAX_OBJECTS || header.n_fds > WIRE_MAX_FDS || header.content_size % 8 != 0)
		return broken(ch, "a message whose counts exceed its size");
	if (header.kind <= WIRE_ONEWAY && (header.how > header.n_objects ||
	    (header.n_objects - header.how) * sizeof(struct wire_slot) > payload ||
	    header.content_size > payload - (header.n_objects - header.how) * sizeof(struct wire_slot)))
		return broken(ch, "a message whose counts exceed its size");
	switch (header.kind) {
	case WIRE_REQUEST:
		COUNT(ch->requests, 1, memory_order_relaxed);
		/* fall through */
	case WIRE_ONEWAY:
		r = receive_request(ch, &header, body);
		break;
	case WIRE_REPLY:
		r = receive_reply(ch, &header, body);
		break;
	default:
		r = receive_control(ch, &header);
		break;
	}
	return r < 0 ? r : RECEIVED_SOME;
}
