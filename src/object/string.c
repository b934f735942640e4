/* SPDX-License-Identifier: MIT */
/* class OSString */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/containers.h"

struct OSString_IVars {
	size_t len;
	char text[]; /* len bytes and a NUL */
};

static const OSMetaClassBase *
base_of(const void *object)
{
	return object;
}

/* @p bytes NULL: zeros, for the caller to fill. */
static OSString *
string_new(const char *bytes, size_t len)
{
	OSString *self = (OSString *)OSMetaClassAllocate(&OSString_Class);

	if (!self)
		return NULL;
	(void)OSObject_init((OSObject *)self);
	if (len < SIZE_MAX - sizeof *self->ivars)
		self->ivars = malloc(sizeof *self->ivars + len + 1);
	if (!self->ivars)
		return adxi_release(self);
	self->ivars->len = len;
	if (bytes && len)
		memcpy(self->ivars->text, bytes, len);
	else
		memset(self->ivars->text, 0, len);
	self->ivars->text[len] = '\0';
	return self;
}

void
OSString_free_Impl(OSString *self)
{
	free(self->ivars);
	OSObject_free_Impl((OSObject *)self);
}

OSString *
OSString_withCString(const char *cString)
{
	return cString ? string_new(cString, strlen(cString)) : NULL;
}

OSString *
OSString_withCStringLength(const char *cString, size_t maxLength)
{
	return cString ? string_new(cString, strnlen(cString, maxLength)) : NULL;
}

OSString *
OSString_withCStringNoCopy(const char *cString)
{
	return OSString_withCString(cString);
}

OSString *
OSString_withString(const OSString *aString)
{
	return aString ? string_new(OSString_getCStringNoCopy(aString), OSString_getLength(aString))
		       : NULL;
}

OSString *
adxi_string_bytes(const char *bytes, size_t len)
{
	return len && memchr(bytes, '\0', len) ? NULL : string_new(bytes, len);
}

OSString *
adxi_string_format(const char *fmt, ...)
{
	OSString *self;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return NULL;
	self = string_new(NULL, (size_t)len);
	if (!self)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(self->ivars->text, (size_t)len + 1, fmt, ap); /* length known */
	va_end(ap);
	return self;
}

/* An object from OSTypeAlloc has no text. */
const char *
OSString_getCStringNoCopy(const OSString *self)
{
	return self->ivars ? self->ivars->text : "";
}

size_t
OSString_getLength(const OSString *self)
{
	return self->ivars ? self->ivars->len : 0;
}

bool
OSString_isEqualToString(const OSString *self, const OSString *aString)
{
	size_t len = OSString_getLength(self);

	return aString && len == OSString_getLength(aString) &&
	       !memcmp(OSString_getCStringNoCopy(self), OSString_getCStringNoCopy(aString), len);
}

bool
OSString_isEqualToCString(const OSString *self, const char *cString)
{
	return cString && !strcmp(OSString_getCStringNoCopy(self), cString);
}

bool
OSString_isEqualToData(const OSString *self, const OSData *aDataObject)
{
	const char *text = OSString_getCStringNoCopy(self);
	size_t len = OSString_getLength(self);

	return aDataObject && (OSData_isEqualToBytes(aDataObject, text, len) ||
			       OSData_isEqualToBytes(aDataObject, text, len + 1));
}

bool
OSString_isEqualTo_Impl(const OSString *self, const OSMetaClassBase *anObject)
{
	if (OSMetaClassCast(anObject, &OSString_Class))
		return OSString_isEqualToString(self, (const OSString *)anObject);
	if (OSMetaClassCast(anObject, &OSData_Class))
		return OSString_isEqualToData(self, (const OSData *)anObject);
	return base_of(self) == anObject;
}
