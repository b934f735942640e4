/* SPDX-License-Identifier: MIT */
/* A driver that ends as it is told to. VERSION, START and STOP are set by the test that builds it. */

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <DriverKit/DriverKit.h>

#include "EndingDriver.h"
#include "EndingMethods.h"

#ifndef VERSION
#define VERSION 1
#endif
#ifndef START
#define START (-1)
#endif
#ifndef STOP
#define STOP (-1)
#endif

static volatile int sink;
static char *volatile kept; /* so that the compiler keeps what allocates it */

__attribute__((noinline)) static int
overflow(int depth)
{
	volatile char room[4096];

	room[0] = (char)depth;
	return depth < 1 << 30 ? overflow(depth + 1) + room[0] : 0;
}

__attribute__((noinline)) static void
write_through(int *pointer)
{
	*(volatile int *)pointer = 1;
}

__attribute__((noinline)) static void
eat_memory(void)
{
	const struct rlimit limit = { 512u << 20, 512u << 20 };
	size_t n, size;

	(void)setrlimit(RLIMIT_AS, &limit);
	for (size = 1u << 24; size >= 64; size /= 2)
		for (n = 0; n < 1u << 20; n++) {
			char *block = malloc(size);

			if (!block)
				break;
			block[0] = 1;
			kept = block;
		}
	write_through(NULL); /* as who does not look at what malloc() returns */
}

__attribute__((noinline)) static void
end(uint64_t way, uint64_t argument)
{
	switch (way) {
	case kWayNull:
		write_through(NULL);
		break;
	case kWayAbort:
		assert(argument == 77 && "the driver's invariant");
		break;
	case kWayExit:
		_exit((int)argument);
	case kWayMemory:
		eat_memory();
		break;
	case kWayHang:
		for (;;)
			(void)pause();
	case kWayStop:
		(void)raise(SIGSTOP);
		break;
	case kWayOverflow:
		sink = overflow(0);
		break;
	case kWayHeap:
		kept = malloc(64);
		free(kept);
		free(kept);
		break;
	case kWayWild:
#ifdef __x86_64__
		__asm__ volatile("mov $0x10, %%rsp; mov (%%rsp), %%rax" ::: "memory");
#endif
		break;
	case kWayKill:
		(void)kill(getpid(), SIGKILL);
		break;
	case kWayReport:
		(void)fputs("driver.c:1:2: runtime error: planted\n", stderr);
		break;
	case kWaySlow:
		(void)usleep((useconds_t)argument * 1000);
		break;
	case kWayJump:
		((void (*)(void))(uintptr_t)0xdead000)();
		break;
	default:
		break;
	}
}

kern_return_t
EndingDriver_Start_Impl(EndingDriver *self, IOService *provider)
{
	kern_return_t ret = EndingDriver_Start_super(self, provider);

	end((uint64_t)START, 0);
	return ret == kIOReturnSuccess ? EndingDriver_RegisterService(self) : ret;
}

kern_return_t
EndingDriver_Stop_Impl(EndingDriver *self, IOService *provider)
{
	end((uint64_t)STOP, 0);
	return EndingDriver_Stop_super(self, provider);
}

kern_return_t
EndingDriver_NewUserClient_Impl(EndingDriver *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = EndingDriver_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

static kern_return_t
ping(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	arguments->scalarOutput[0] = VERSION;
	arguments->scalarOutput[1] = arguments->scalarInput[0] + 1;
	return kIOReturnSuccess;
}

static kern_return_t
end_now(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	end(arguments->scalarInput[0], arguments->scalarInput[1]);
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kEndingMethodCount] = {
	[kEndingPing] = { .function = ping, .checkScalarInputCount = 1, .checkScalarOutputCount = 2 },
	[kEndingNow] = { .function = end_now, .checkScalarInputCount = 2 },
};

kern_return_t
EndingUserClient_ExternalMethod_Impl(EndingUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				     const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kEndingMethodCount)
		return kIOReturnUnsupported;
	return EndingUserClient_ExternalMethod_super(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}
