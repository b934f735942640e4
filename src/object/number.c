/* SPDX-License-Identifier: MIT */
/* classes OSNumber and OSBoolean. Neither needs storage of its own: the value is in the place of
 * the ivars pointer, a number's kind in the place of its super class's. */

#include <stdlib.h>
#include <string.h>

#include "object/containers.h"

_Static_assert(sizeof(void *) == 8, "a number's value has the place of a pointer");

/* kind = bits, and this when the value is the bits of a double. */
#define KIND_REAL 0x100u

static uint64_t
value_of(const OSNumber *number)
{
	return (uint64_t)(uintptr_t)number->ivars;
}

static unsigned
kind_of(const OSNumber *number)
{
	return (unsigned)(uintptr_t)((const OSContainer *)number)->ivars;
}

static OSNumber *
number_new(uint64_t value, unsigned kind)
{
	OSNumber *self = (OSNumber *)OSMetaClassAllocate(&OSNumber_Class);

	if (!self)
		return NULL;
	(void)OSObject_init((OSObject *)self);
	self->ivars = (void *)(uintptr_t)value;
	((OSContainer *)self)->ivars = (void *)(uintptr_t)kind;
	return self;
}

OSNumber *
OSNumber_withNumber(uint64_t value, size_t numberOfBits)
{
	switch (numberOfBits) {
	case 8:
	case 16:
	case 32:
		value &= (UINT64_C(1) << numberOfBits) - 1;
		return number_new(value, (unsigned)numberOfBits);
	case 64:
		return number_new(value, 64);
	default:
		return NULL;
	}
}

OSNumber *
OSNumber_withNumberString(const char *valueString, size_t numberOfBits)
{
	if (!valueString)
		return NULL;
	return OSNumber_withNumber((uint64_t)strtoll(valueString, NULL, 0), numberOfBits);
}

OSNumber *
adxi_number_real(double value, unsigned bits)
{
	uint64_t image;

	memcpy(&image, &value, sizeof image);
	return bits == 32 || bits == 64 ? number_new(image, bits | KIND_REAL) : NULL;
}

bool
adxi_number_is_real(const OSNumber *number)
{
	return kind_of(number) & KIND_REAL;
}

int64_t
adxi_number_signed(const OSNumber *number)
{
	uint64_t value = OSNumber_unsigned64BitValue(number);

	if (adxi_number_is_real(number))
		return (int64_t)value;
	return kind_of(number) == 64 ? (int64_t)value : (int32_t)value;
}

double
adxi_number_double(const OSNumber *number)
{
	uint64_t image = value_of(number);
	double value;

	if (!adxi_number_is_real(number))
		return (double)adxi_number_signed(number);
	memcpy(&value, &image, sizeof value);
	return value;
}

size_t
OSNumber_numberOfBits(const OSNumber *self)
{
	return kind_of(self) & ~KIND_REAL;
}

uint64_t
OSNumber_unsigned64BitValue(const OSNumber *self)
{
	double real;

	if (!adxi_number_is_real(self))
		return value_of(self);
	real = adxi_number_double(self);
	/* Conversion of what does not fit is undefined in C. */
	if (!(real > -9.2e18 && real < 9.2e18))
		return 0;
	return (uint64_t)(int64_t)real;
}

uint8_t
OSNumber_unsigned8BitValue(const OSNumber *self)
{
	return (uint8_t)OSNumber_unsigned64BitValue(self);
}

uint16_t
OSNumber_unsigned16BitValue(const OSNumber *self)
{
	return (uint16_t)OSNumber_unsigned64BitValue(self);
}

uint32_t
OSNumber_unsigned32BitValue(const OSNumber *self)
{
	return (uint32_t)OSNumber_unsigned64BitValue(self);
}

bool
OSNumber_isEqualToNumber(const OSNumber *self, const OSNumber *aNumber)
{
	if (!aNumber)
		return false;
	if (adxi_number_is_real(self) || adxi_number_is_real(aNumber))
		return adxi_number_double(self) == adxi_number_double(aNumber);
	return value_of(self) == value_of(aNumber);
}

bool
OSNumber_isEqualTo_Impl(const OSNumber *self, const OSMetaClassBase *anObject)
{
	return OSMetaClassCast(anObject, &OSNumber_Class) &&
	       OSNumber_isEqualToNumber(self, (const OSNumber *)anObject);
}

/* ---------------------------------------------------------------------------------------------
 * class OSBoolean
 */

static char true_mark;

#define BOOLEAN_BASE                                                                               \
	{                                                                                          \
		.meta = &OSBoolean_Class, .refcount = 1,                                           \
		.flags = OS_OBJECT_IMMORTAL | OS_OBJECT_INITIALISED,                               \
	}
static struct OSBoolean boolean_true = {
	.super.super.super = BOOLEAN_BASE,
	.ivars = (void *)&true_mark,
};
static struct OSBoolean boolean_false = {
	.super.super.super = BOOLEAN_BASE,
	.ivars = NULL,
};

const OSBooleanPtr kOSBooleanTrue = &boolean_true;
const OSBooleanPtr kOSBooleanFalse = &boolean_false;

OSBoolean *
OSBoolean_withBoolean(bool value)
{
	return value ? kOSBooleanTrue : kOSBooleanFalse;
}

bool
OSBoolean_getValue(const OSBoolean *self)
{
	return self->ivars != NULL;
}

bool
OSBoolean_isTrue(const OSBoolean *self)
{
	return OSBoolean_getValue(self);
}

bool
OSBoolean_isFalse(const OSBoolean *self)
{
	return !OSBoolean_getValue(self);
}

bool
OSBoolean_isEqualToBoolean(const OSBoolean *self, const OSBoolean *aBoolean)
{
	return aBoolean && OSBoolean_getValue(self) == OSBoolean_getValue(aBoolean);
}

bool
OSBoolean_isEqualTo_Impl(const OSBoolean *self, const OSMetaClassBase *anObject)
{
	return OSMetaClassCast(anObject, &OSBoolean_Class) &&
	       OSBoolean_isEqualToBoolean(self, (const OSBoolean *)anObject);
}
