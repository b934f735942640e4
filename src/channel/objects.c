/* SPDX-License-Identifier: MIT */
#include "channel/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mach/message.h>

#include "base/cleanup.h"
#include "base/rules.h"
#include "object/grant.h"
#include "object/serialize.h"

const struct OSClassHooks *
objects_hooks(const struct OSMetaClass *meta)
{
	while (meta && !meta->hooks)
		meta = meta->super;
	return meta ? meta->hooks : NULL;
}

bool
objects_by_value(const struct OSMetaClass *meta)
{
	while (meta && !(meta->flags & OS_CLASS_SERIALIZABLE))
		meta = meta->super;
	return meta != NULL;
}

/* One slot while it is decoded. */
struct decoding {
	struct adxi_channel *channel;
	struct wire_slot slot;
	char name[WIRE_MAX_NAME + 1];
	const uint8_t *extra; /* private copy, extra_size bytes */
	int *fds;             /* slot.n_fds of them; claimed ones become -1 */
};

/* A right that arrived and cannot be used goes back. */
static void
give_back(struct decoding *at, bool wants_freed)
{
	send_control(at->channel, WIRE_RELEASE, at->slot.ref, 1, wants_freed);
}

static int
decode_yours(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	int r = table_resolve(at->channel, at->slot.ref, ret);

	if (r == -ESTALE)
		*reterr_status = MACH_SEND_INVALID_RIGHT;
	return r == -ESTALE ? -EBADMSG : r;
}

static int
decode_proxy(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	const struct OSMetaClass *meta;
	int r = table_known(at->channel, at->slot.ref, false, ret);

	if (r == 0)
		return 0;
	/* The peer's word selects among classes that any peer may know objects by; else only references work. */
	meta = OSMetaClassWithName(at->name);
	if (!meta || !(meta->flags & OS_CLASS_CAN_REMOTE))
		meta = OSMetaClassWithName("OSObject");
	r = meta ? table_import(at->channel, at->slot.ref, meta, true, ret) : -ENOMEM;
	if (r < 0) {
		give_back(at, false);
		*reterr_status = r == -ENOMEM ? kIOReturnNoMemory : kIOReturnNoResources;
		return -EBADMSG;
	}
	return 0;
}

static int
decode_known(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	int r = table_known(at->channel, at->slot.ref, true, ret);

	if (r == -EBADMSG) {
		give_back(at, true);
		*reterr_status = kIOReturnNoResources;
	}
	return r == -ENOENT ? -EPROTO : r;
}

static int
grant_accept(struct decoding *at, OS_OBJECT **ret, unsigned *ret_n_fds, uint64_t *ret_shared)
{
	const struct OSMetaClass *meta = OSMetaClassWithName(at->name);
	const struct OSClassHooks *hooks = meta ? objects_hooks(meta) : NULL;
	struct OSGrant grant = { .class_name = at->name };
	int r;

	if (!hooks || !hooks->accept || !(meta->flags & OS_CLASS_CAN_REMOTE)) {
		adxi_tell(ADXI_RULE_CHN006, "%s passed an object of class %s, which this process cannot build",
			  at->channel->name, at->name);
		return -ENOENT;
	}
	if (!table_has_room(at->channel, at->slot.n_fds, 0))
		return -EDQUOT;
	grant.n_bytes = at->slot.extra_size;
	grant.n_fds = at->slot.n_fds;
	memcpy(grant.bytes, at->extra, at->slot.extra_size);
	for (unsigned i = 0; i < OS_GRANT_MAX_FDS; i++)
		grant.fds[i] = i < at->slot.n_fds ? at->fds[i] : -1;
	r = hooks->accept(&grant, ret);
	for (unsigned i = 0; i < at->slot.n_fds; i++)
		at->fds[i] = grant.fds[i];
	if (r < 0)
		adxi_tell(ADXI_RULE_CHN006, "%s passed an object of class %s that cannot be built from what came "
			  "with it (%s)", at->channel->name, at->name, strerror(-r));
	if (r == 0 && !table_has_room(at->channel, 0, grant.shared_bytes)) {
		OSRelease(*ret);
		return -EDQUOT;
	}
	*ret_n_fds = at->slot.n_fds;
	*ret_shared = grant.shared_bytes;
	return r;
}

static int
decode_grant(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	OS_OBJECT *object = NULL;
	uint64_t shared = 0;
	unsigned n_fds = 0;
	int r;

	if (at->slot.extra_size > OS_GRANT_MAX_BYTES || at->slot.n_fds > OS_GRANT_MAX_FDS)
		return -EPROTO;
	/* Sent twice when two threads send it for the first time. */
	r = table_known(at->channel, at->slot.ref, true, ret);
	if (r == -ENOENT) {
		if (grant_accept(at, &object, &n_fds, &shared) < 0) {
			object = NULL;
			n_fds = 0;
			shared = 0;
		}
		r = table_import_accepted(at->channel, at->slot.ref, object, n_fds, shared);
		if (r < 0)
			OSRelease(object);
		else if (!object)
			r = -EBADMSG;
		else
			*ret = object;
	}
	if (r < 0) {
		give_back(at, true);
		*reterr_status = kIOReturnNoResources;
		return -EBADMSG;
	}
	return 0;
}

static int
value_decode(const void *bytes, size_t size, OS_OBJECT **ret, IOReturn *reterr_status)
{
	OSObject *object = NULL;
	int r = adxi_deserialize(bytes, size, &object);

	if (r == -ENOMEM) {
		*reterr_status = kIOReturnNoMemory;
		return -EBADMSG;
	}
	*ret = (OS_OBJECT *)object;
	return r < 0 ? -EPROTO : 0;
}

static int
decode_value(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	return value_decode(at->extra, at->slot.extra_size, ret, reterr_status);
}

static int
decode_value_memory(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	adxi_cleanup(adxi_freep) uint8_t *bytes = NULL;
	struct stat st;
	ssize_t n;
	int seals;

	if (at->slot.n_fds != 1)
		return -EPROTO;
	seals = fcntl(at->fds[0], F_GET_SEALS); /* also tells that reading it cannot block */
	if (seals < 0 || (seals & wanted) != wanted || fstat(at->fds[0], &st) < 0 ||
	    st.st_size <= 0 || st.st_size > (off_t)ADXI_SERIALIZE_MAX_BYTES)
		return -EPROTO;
	bytes = malloc((size_t)st.st_size);
	if (!bytes) {
		*reterr_status = kIOReturnNoMemory;
		return -EBADMSG;
	}
	n = pread(at->fds[0], bytes, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return -EPROTO;
	return value_decode(bytes, (size_t)n, ret, reterr_status);
}

static int
decode_null(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status)
{
	*ret = NULL;
	return 0;
}

static const struct {
	int (*decode)(struct decoding *at, OS_OBJECT **ret, IOReturn *reterr_status);
	bool name, extra, fds; /* what may come with it */
} slot_kinds[SLOT_KIND_END] = {
	[SLOT_NULL] = { decode_null, false, false, false },
	[SLOT_YOURS] = { decode_yours, false, false, false },
	[SLOT_PROXY] = { decode_proxy, true, false, false },
	[SLOT_GRANT] = { decode_grant, true, true, true },
	[SLOT_KNOWN] = { decode_known, false, false, false },
	[SLOT_VALUE] = { decode_value, false, true, false },
	[SLOT_VALUE_MEMORY] = { decode_value_memory, false, false, true },
};

static bool
name_is_good(const char *name, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	}
	return size > 0;
}

/* Take the slot's attachments from *cursor on, all below @p end. */
static int
decoding_attach(struct decoding *at, struct incoming_fds *fds, const uint8_t **cursor, const uint8_t *end)
{
	const struct wire_slot *slot = &at->slot;
	const size_t left = (size_t)(end - *cursor);

	if (slot->kind >= SLOT_KIND_END || slot->name_size > WIRE_MAX_NAME ||
	    slot->extra_size > WIRE_MAX ||
	    wire_pad8(slot->name_size) + wire_pad8(slot->extra_size) > left ||
	    slot->n_fds > fds->n_fds - fds->next)
		return -EPROTO;
	if ((slot->name_size > 0) != slot_kinds[slot->kind].name ||
	    (slot->extra_size > 0 && !slot_kinds[slot->kind].extra) ||
	    (slot->n_fds > 0 && !slot_kinds[slot->kind].fds))
		return -EPROTO;
	memcpy(at->name, *cursor, slot->name_size);
	at->name[slot->name_size] = '\0';
	if (slot_kinds[slot->kind].name && !name_is_good(at->name, slot->name_size))
		return -EPROTO;
	*cursor += wire_pad8(slot->name_size);
	at->extra = *cursor;
	*cursor += wire_pad8(slot->extra_size);
	at->fds = &fds->fds[fds->next];
	fds->next += slot->n_fds;
	return 0;
}

int
objects_decode(struct adxi_channel *ch, const struct wire_header *header, const uint8_t *payload,
	       struct incoming_fds *fds, OS_OBJECT **ret_objects, IOReturn *reterr_status)
{
	const uint8_t *slots = payload;
	const unsigned n_slots = header->n_objects - header->how;
	const uint8_t *cursor = payload + n_slots * sizeof(struct wire_slot);
	const uint8_t *end = payload + (header->size - sizeof(*header)) - header->content_size;
	struct decoding at;
	unsigned done = 0;
	bool undeliverable = false;
	int r = 0;

	for (unsigned i = n_slots; i < header->n_objects; i++)
		ret_objects[i] = NULL;
	at.channel = ch;
	/* A message that cannot be delivered is decoded to its end: rights came with all of it. */
	for (; done < n_slots && r == 0; done++) {
		ret_objects[done] = NULL;
		memcpy(&at.slot, slots + done * sizeof(at.slot), sizeof(at.slot));
		if (at.slot.kind == SLOT_NULL && at.slot.name_size + at.slot.extra_size + at.slot.n_fds == 0)
			continue;
		r = decoding_attach(&at, fds, &cursor, end);
		if (r == 0)
			r = slot_kinds[at.slot.kind].decode(&at, &ret_objects[done], reterr_status);
		if (r == -EBADMSG) {
			undeliverable = true;
			r = 0;
		}
	}
	if (r == 0 && (cursor != end || fds->next != fds->n_fds))
		r = -EPROTO;
	if (r == 0 && undeliverable)
		r = -EBADMSG;
	if (r == 0)
		return 0;
	while (done > 0) {
		done--;
		OSRelease(ret_objects[done]);
		ret_objects[done] = NULL;
	}
	return r;
}
