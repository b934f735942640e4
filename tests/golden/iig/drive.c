/* SPDX-License-Identifier: MIT */
/* The driver of good/Drive.iig in C. */
#include "Drive.h"
#include "drive.h"

#include <stdlib.h>
#include <string.h>

struct Engine_IVars {
	uint32_t hooks;
};

struct drive_seen drive_seen;
static uint32_t count;

void
drive_saw(char what)
{
	size_t length = strlen(drive_seen.trace);

	if (length + 1 < sizeof drive_seen.trace)
		drive_seen.trace[length] = what;
}

bool
Engine_init_Impl(Engine *self)
{
	if (!Engine_init_super(self))
		return false;
	self->ivars = calloc(1, sizeof *self->ivars);
	drive_saw('E');
	count++;
	return self->ivars != NULL;
}

void
Engine_free_Impl(Engine *self)
{
	drive_saw('f');
	free(self->ivars);
	count--;
	Engine_free_super(self);
}

kern_return_t
IMPL(Engine, Speed)
{
	drive_saw('e');
	*speed = 10 * factor + Engine_Hook(self, 1);
	return kIOReturnSuccess;
}

kern_return_t
Engine_Trace_Impl(Engine *self, DriveTrace *trace)
{
	trace->count = self->ivars->hooks;
	trace->calls[5] = 5;
	return kIOReturnSuccess;
}

void
Engine_Note_Impl(Engine *self, uint32_t what)
{
	drive_seen.note = what;
}

uint32_t
Engine_Hook_Impl(Engine *self, uint32_t value)
{
	drive_saw('h');
	self->ivars->hooks++;
	return value;
}

kern_return_t
Engine_Count_Impl(uint32_t *ret_count)
{
	*ret_count = count;
	return kIOReturnSuccess;
}

void
Engine_Finished_Impl(Engine *self, OSAction *action, IOReturn status, const uint32_t data[4],
		     uint32_t dataCount, OSObject *object)
{
	drive_seen.status = status;
	drive_seen.data_sum = 0;
	for (uint32_t i = 0; i < dataCount; i++)
		drive_seen.data_sum += data[i];
	drive_seen.target = OSDynamicCast(OSAction_Engine_Finished, action) != NULL ? self : NULL;
	drive_seen.object = object;
}

bool
Turbo_init_Impl(Turbo *self)
{
	if (!Turbo_init_super(self))
		return false;
	drive_saw('T');
	return self->ivars == NULL && self->super.ivars != NULL;
}

kern_return_t
Turbo_Speed_Impl(Turbo *self, uint32_t factor, uint32_t *speed)
{
	kern_return_t ret = Turbo_Speed_super(self, factor, speed);

	drive_saw('t');
	*speed += 1000;
	return ret;
}

uint32_t
Turbo_Hook_Impl(Turbo *self, uint32_t value)
{
	drive_saw('H');
	return Turbo_Hook_super(self, value) + 100;
}

void *
drive_create_action(void *engine)
{
	OSAction *action = NULL;

	return Engine_CreateActionFinished(engine, 0, &action) == kIOReturnSuccess ? action : NULL;
}

int
drive_language(void *turbo)
{
	return Turbo_Hook(turbo, 1) == 101 && Engine_Hook(turbo, 1) == 101 ? 0 : __LINE__;
}
