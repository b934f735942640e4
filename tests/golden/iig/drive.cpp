// SPDX-License-Identifier: MIT
// The driver of good/Drive.iig in C++, as a driver's author writes it.
#include "Drive.h"
#include "drive.h"

#include <string.h>

struct Engine_IVars {
	uint32_t hooks;
	OSObject *kept;
};

struct Turbo_IVars {
	uint32_t unused;
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

bool Engine::init()
{
	if (!super::init())
		return false;
	ivars = new Engine_IVars{};
	drive_saw('E');
	count++;
	return true;
}

void Engine::free()
{
	drive_saw('f');
	delete ivars;
	count--;
	super::free();
}

kern_return_t IMPL(Engine, Speed)
{
	drive_saw('e');
	*speed = 10 * factor + Hook(1);
	return kIOReturnSuccess;
}

kern_return_t Engine::Trace_Impl(DriveTrace * trace)
{
	trace->count = ivars->hooks;
	trace->calls[kGears] = 5;
	return kIOReturnSuccess;
}

void IMPL(Engine, Note)
{
	drive_seen.note = what;
}

uint32_t Engine::Local(uint32_t value)
{
	return value + 1;
}

uint32_t Engine::Hook(uint32_t value)
{
	drive_saw('h');
	ivars->hooks++;
	return value;
}

kern_return_t Engine::Count_Impl(uint32_t * result)
{
	*result = ::count;
	return kIOReturnSuccess;
}

void IMPL(Engine, Finished)
{
	drive_seen.status = status;
	drive_seen.data_sum = 0;
	for (uint32_t i = 0; i < dataCount; i++)
		drive_seen.data_sum += data[i];
	drive_seen.target = this;
	drive_seen.object = object;
	if (OSDynamicCast(OSAction_Engine_Finished, action) == nullptr)
		drive_seen.target = nullptr;
}

bool Turbo::init()
{
	if (!super::init())
		return false;
	drive_saw('T');
	return ivars == nullptr && super::ivars != nullptr;
}

kern_return_t Turbo::Speed_Impl(uint32_t factor, uint32_t * speed)
{
	kern_return_t ret = Speed(factor, speed, SUPERDISPATCH);

	drive_saw('t');
	*speed += 1000;
	return ret;
}

uint32_t Turbo::Hook(uint32_t value)
{
	drive_saw('H');
	return super::Hook(value) + 100;
}

void *
drive_create_action(void *engine)
{
	OSAction *action = nullptr;

	return static_cast<Engine *>(engine)->CreateActionFinished(0, &action) == kIOReturnSuccess ? action : nullptr;
}

#define EXPECT(condition)                \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

int
drive_language(void *self)
{
	Turbo *turbo = static_cast<Turbo *>(self);
	Engine *engine = turbo;
	OSObject *object = engine;
	uint32_t value = 0;

	memset(drive_seen.trace, 0, sizeof drive_seen.trace);
	EXPECT(engine->Hook(7) == 107); /* the override, through a pointer to the base */
	EXPECT(turbo->Hook(8) == 108);
	EXPECT(strcmp(drive_seen.trace, "HhHh") == 0);
	EXPECT(engine->Speed(2, &value) == kIOReturnSuccess && value == 1000 + 20 + 101);
	EXPECT(engine->Local() == 4 && engine->Local(5) == 6);
	EXPECT(Engine::Count(&value) == kIOReturnSuccess && value == 1);
	EXPECT(object->isEqualTo(turbo));
	EXPECT(object->getMetaClass() == Turbo::sGetMetaClass());
	EXPECT(OSDynamicCast(Engine, object) == engine && OSDynamicCast(OSAction, object) == nullptr);
	EXPECT(turbo->SetDispatchQueue("Default", nullptr) == kIOReturnSuccess);
	DriveTrace trace;
	EXPECT(turbo->Trace(&trace) == kIOReturnSuccess && trace.count == 3 && trace.calls[5] == 5);

	/* OSTypeAlloc and release as drivers write them. */
	Engine *fresh = OSTypeAlloc(Engine);
	EXPECT(fresh != nullptr && fresh->init());
	EXPECT(fresh->Hook(1) == 1);
	EXPECT(fresh->Speed(1, &value) == kIOReturnSuccess && value == 11);
	OSSafeReleaseNULL(fresh);
	EXPECT(Engine::Count(&value) == kIOReturnSuccess && value == 1);
	return 0;
}
