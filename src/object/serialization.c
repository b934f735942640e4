/* SPDX-License-Identifier: MIT */
/* class OSSerialization */

#include <stdlib.h>

#include "base/block.h"
#include "object/containers.h"
#include "object/serialize.h"

struct OSSerialization_IVars {
	const void *bytes; /* own.data, or lent by whom free_buffer tells */
	size_t len;
	struct adxi_buf own;
	OSSerializationFreeBufferFunction free_buffer; /* NULL: ours */
	void *context;                                 /* borrowed, or the block below */
	void *block;                                   /* owned copy */
};

static OSSerialization *
serialization_new(void)
{
	OSSerialization *self = (OSSerialization *)OSMetaClassAllocate(&OSSerialization_Class);

	if (!self)
		return NULL;
	(void)OSObject_init((OSObject *)self);
	self->ivars = calloc(1, sizeof *self->ivars);
	return self->ivars ? self : adxi_release(self);
}

OSSerialization *
OSSerialization_createFromObject(OSObjectPtr obj)
{
	OSSerialization *self;

	if (!obj)
		return NULL;
	self = serialization_new();
	if (!self)
		return NULL;
	if (adxi_serialize(obj, &self->ivars->own) < 0)
		return adxi_release(self);
	self->ivars->bytes = self->ivars->own.data;
	self->ivars->len = self->ivars->own.len;
	return self;
}

OSSerialization *
OSSerialization_createFromBytes_f(const void *buffer, size_t length, void *context,
				  OSSerializationFreeBufferFunction handler)
{
	OSSerialization *self;

	if (!buffer || !handler)
		return NULL;
	self = serialization_new();
	if (!self)
		return NULL;
	self->ivars->bytes = buffer;
	self->ivars->len = length;
	self->ivars->free_buffer = handler;
	self->ivars->context = context;
	return self;
}

static void
free_by_block(void *context, const void *buffer, size_t length)
{
	void (*invoke)(void *, const void *, size_t);

	invoke = (void (*)(void *, const void *, size_t))adxi_block_invoke(context);
	invoke(context, buffer, length);
}

OSSerialization *
OSSerialization_createFromBytes(const void *buffer, size_t length,
				OSSerializationFreeBufferHandler handler)
{
	OSSerialization *self;
	void *block;

	block = adxi_block_copy((const void *)handler);
	if (!block)
		return NULL;
	self = OSSerialization_createFromBytes_f(buffer, length, block, free_by_block);
	if (!self) {
		adxi_block_release(block);
		return NULL;
	}
	self->ivars->block = block;
	return self;
}

void
OSSerialization_freeBuffer(const void *buffer, size_t length)
{
	free((void *)(uintptr_t)buffer); /* IOMalloc is malloc */
}

void
OSSerialization_free_Impl(OSSerialization *self)
{
	struct OSSerialization_IVars *iv = self->ivars;

	if (iv) {
		if (iv->free_buffer)
			iv->free_buffer(iv->context, iv->bytes, iv->len);
		adxi_block_release(iv->block);
		adxi_buf_done(&iv->own);
		free(iv);
	}
	OSObject_free_Impl((OSObject *)self);
}

const void *
OSSerialization_finalizeBuffer(OSSerialization *self, size_t *length)
{
	if (length)
		*length = self->ivars ? self->ivars->len : 0;
	return self->ivars ? self->ivars->bytes : NULL;
}

OSObject *
OSSerialization_copyObject(OSSerialization *self)
{
	OSObject *object = NULL;

	if (!self->ivars || adxi_deserialize(self->ivars->bytes, self->ivars->len, &object) < 0)
		return NULL;
	return object;
}
