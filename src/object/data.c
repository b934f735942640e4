/* SPDX-License-Identifier: MIT */
/* class OSData */

#include <stdlib.h>
#include <string.h>

#include "object/containers.h"

struct OSData_IVars {
	uint8_t *bytes; /* owned */
	size_t len;
	size_t capacity;
};

static OSData *
data_new(size_t capacity)
{
	OSData *self = (OSData *)OSMetaClassAllocate(&OSData_Class);

	if (!self)
		return NULL;
	(void)OSObject_init((OSObject *)self);
	self->ivars = calloc(1, sizeof *self->ivars);
	if (!self->ivars)
		return adxi_release(self);
	if (capacity) {
		self->ivars->bytes = malloc(capacity);
		if (!self->ivars->bytes)
			return adxi_release(self);
		self->ivars->capacity = capacity;
	}
	return self;
}

void
OSData_free_Impl(OSData *self)
{
	if (self->ivars)
		free(self->ivars->bytes);
	free(self->ivars);
	OSObject_free_Impl((OSObject *)self);
}

OSData *
OSData_withCapacity(uint32_t capacity)
{
	return data_new(capacity);
}

OSData *
OSData_withBytes(const void *bytes, size_t numBytes)
{
	OSData *self = data_new(numBytes);

	if (self && numBytes && !OSData_appendBytes(self, bytes, numBytes))
		return adxi_release(self);
	return self;
}

OSData *
OSData_withBytesNoCopy(void *bytes, size_t numBytes)
{
	return OSData_withBytes(bytes, numBytes);
}

OSData *
OSData_withData(const OSData *data)
{
	return data ? OSData_withBytes(OSData_getBytesNoCopy(data), OSData_getLength(data)) : NULL;
}

OSData *
OSData_withDataRange(const OSData *data, size_t start, size_t numBytes)
{
	const void *bytes;

	if (!data)
		return NULL;
	if (!numBytes && start <= OSData_getLength(data))
		return data_new(0);
	bytes = OSData_getBytesNoCopyRange(data, start, numBytes);
	return bytes ? OSData_withBytes(bytes, numBytes) : NULL;
}

static bool
data_reserve(struct OSData_IVars *iv, size_t capacity)
{
	size_t larger;
	uint8_t *bytes;

	if (capacity <= iv->capacity)
		return true;
	larger = iv->capacity < SIZE_MAX / 4 ? iv->capacity * 2 : capacity;
	if (larger < capacity)
		larger = capacity;
	bytes = realloc(iv->bytes, larger);
	if (!bytes)
		return false;
	iv->bytes = bytes;
	iv->capacity = larger;
	return true;
}

bool
OSData_appendBytes(OSData *self, const void *bytes, size_t numBytes)
{
	struct OSData_IVars *iv = self->ivars;
	const uint8_t *from = bytes;
	size_t inside;
	bool own;

	if (!numBytes)
		return true;
	if (!iv || numBytes > SIZE_MAX - iv->len)
		return false;
	/* Its own bytes may be appended: they move when it grows. */
	own = from && iv->bytes && from >= iv->bytes && from < iv->bytes + iv->capacity;
	inside = own ? (size_t)(from - iv->bytes) : 0;
	if (!data_reserve(iv, iv->len + numBytes))
		return false;
	if (own)
		from = iv->bytes + inside;
	if (from)
		memmove(iv->bytes + iv->len, from, numBytes);
	else
		memset(iv->bytes + iv->len, 0, numBytes);
	iv->len += numBytes;
	return true;
}

bool
OSData_appendData(OSData *self, const OSData *data)
{
	return data &&
	       OSData_appendBytes(self, OSData_getBytesNoCopy(data), OSData_getLength(data));
}

bool
adxi_data_set_length(OSData *data, size_t len)
{
	struct OSData_IVars *iv = data->ivars;

	if (len > iv->len)
		return OSData_appendBytes(data, NULL, len - iv->len);
	iv->len = len;
	return true;
}

void *
adxi_data_bytes(OSData *data)
{
	return data->ivars ? data->ivars->bytes : NULL;
}

const void *
OSData_getBytesNoCopy(const OSData *self)
{
	return OSData_getLength(self) ? self->ivars->bytes : NULL;
}

const void *
OSData_getBytesNoCopyRange(const OSData *self, size_t start, size_t numBytes)
{
	size_t len = OSData_getLength(self);

	if (!len || start >= len || numBytes > len - start)
		return NULL;
	return self->ivars->bytes + start;
}

/* A driver's NULL (T4, T5) is found by the fault that it makes; UndefinedBehaviorSanitizer would be in front of that. */
__attribute__((no_sanitize("null"))) size_t
OSData_getLength(const OSData *self)
{
	return self->ivars ? self->ivars->len : 0;
}

size_t
OSData_getCapacity(const OSData *self)
{
	return self->ivars ? self->ivars->capacity : 0;
}

bool
OSData_isEqualToBytes(const OSData *self, const void *bytes, size_t numBytes)
{
	return OSData_getLength(self) == numBytes &&
	       (!numBytes || (bytes && !memcmp(self->ivars->bytes, bytes, numBytes)));
}

bool
OSData_isEqualToData(const OSData *self, const OSData *data)
{
	return data &&
	       OSData_isEqualToBytes(self, OSData_getBytesNoCopy(data), OSData_getLength(data));
}

bool
OSData_isEqualToString(const OSData *self, const OSString *obj)
{
	return obj && OSString_isEqualToData(obj, self);
}

bool
OSData_isEqualTo_Impl(const OSData *self, const OSMetaClassBase *anObject)
{
	if (OSMetaClassCast(anObject, &OSData_Class))
		return OSData_isEqualToData(self, (const OSData *)anObject);
	return OSMetaClassCast(anObject, &OSString_Class) &&
	       OSData_isEqualToString(self, (const OSString *)anObject);
}
