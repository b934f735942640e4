/* SPDX-License-Identifier: MIT */
/* A driver that can be told to misbehave. Built by dext build, as drivers are; what it does, it does with libc. */

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <os/log.h>

#include <DriverKit/DriverKit.h>

#include "HostileDriver.h"
#include "HostileMethods.h"

kern_return_t
HostileDriver_Start_Impl(HostileDriver *self, IOService *provider)
{
	kern_return_t ret = HostileDriver_Start_super(self, provider);

	if (ret != kIOReturnSuccess)
		return ret;
	return HostileDriver_RegisterService(self);
}

kern_return_t
HostileDriver_NewUserClient_Impl(HostileDriver *self, uint32_t type, IOUserClient **userClient)
{
	IOService *client = NULL;
	kern_return_t ret = HostileDriver_Create(self, (IOService *)self, "UserClientProperties", &client);

	if (ret != kIOReturnSuccess)
		return ret;
	*userClient = OSDynamicCast(IOUserClient, client);
	return *userClient ? kIOReturnSuccess : kIOReturnError;
}

static void *
spin(void *unused)
{
	for (volatile unsigned long n = 0;; n++)
		;
	return unused;
}

static void
eat_processor(void)
{
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, spin, NULL) == 0)
			(void)pthread_detach(thread);
}

static kern_return_t
eat_memory(void)
{
	for (int i = 0; i < 256; i++) {
		char *block = malloc(1 << 20);

		if (!block)
			return kIOReturnNoMemory;
		memset(block, 1, 1 << 20);
	}
	return kIOReturnSuccess;
}

/* Each descriptor that this process may have. */
static void
each_fd(void (*each)(int fd))
{
	for (int fd = 3; fd < 256; fd++)
		each(fd);
}

static void
shrink(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	(void)!ftruncate(fd, 0);
	(void)!ftruncate(fd, 1 << 30);
}

static void
close_one(int fd)
{
	(void)close(fd);
}

static void
send_junk(int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)] = { 0 };
	struct iovec iov = { control, 8 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * 8);
	for (int i = 0; i < 8; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof fd, &fd, sizeof fd);
	for (int i = 0; i < 16; i++)
		(void)sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Into every channel: words and rings. */
static void
scribble(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned state = 12345;

	while (maps && fgets(line, sizeof line, maps)) {
		unsigned long from, to;

		if (!strstr(line, "memfd:ambidext-channel") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		for (int i = 0; i < 20000; i++) {
			state = state * 1664525u + 1013904223u;
			unsigned long at = i % 2 ? from + 64 + (state >> 8) % 640 : from + 4096 + (state >> 8) % (to - from - 4096);
			*(volatile unsigned char *)at = (unsigned char)state;
		}
	}
	if (maps)
		(void)fclose(maps);
}

static kern_return_t
steal(IOUserClient *client)
{
	static const IOAddressSegment wanted[] = {
		{ 0, 4096 }, { 0x1000, 1ull << 46 }, { ~0ull - 4095, 8192 }, { 0xffffffff81000000ull, 4096 }, { 0x400000, ~0ull },
	};
	IOMemoryDescriptor *memory = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		if (IOUserClient_CreateMemoryDescriptorFromClient(client, kIOMemoryDirectionInOut | kIOMemoryDisableCopyOnWrite, 1,
								  &wanted[i], &memory) == kIOReturnSuccess)
			n++;
		OSSafeReleaseNULL(memory);
	}
	return n == 0 ? kIOReturnSuccess : kIOReturnError;
}

static kern_return_t
services(HostileUserClient *self)
{
	IOService *provider = IOService_GetProvider((IOService *)self), *made = NULL;
	kern_return_t ret = kIOReturnSuccess;
	unsigned n = 0;

	while (n < 6000 && ret == kIOReturnSuccess) {
		ret = IOService_Create(provider, provider, "UserClientProperties", &made);
		OSSafeReleaseNULL(made);
		n++;
	}
	os_log(OS_LOG_DEFAULT, "%u services, then %#x", n, (unsigned)ret);
	return ret;
}

static kern_return_t
properties(HostileUserClient *self)
{
	kern_return_t ret = kIOReturnSuccess;
	static char bytes[1 << 20];

	for (unsigned i = 0; i < 64 && ret == kIOReturnSuccess; i++) {
		OSDictionary *dict = OSDictionary_withCapacity(1);
		OSData *data = OSData_withBytes(bytes, sizeof bytes);
		char key[16];

		(void)snprintf(key, sizeof key, "Key%u", i);
		(void)OSDictionary_setObjectForCString(dict, key, (OSMetaClassBase *)data);
		ret = IOService_SetProperties((IOService *)self, dict);
		OSSafeReleaseNULL(data);
		OSSafeReleaseNULL(dict);
	}
	return ret;
}

static void
complete(HostileUserClient *self, OSAction *action)
{
	static const uint64_t words[16] = { 1, 2, 3 };

	IOUserClient_AsyncCompletion((IOUserClient *)self, action, kIOReturnSuccess, words, 3);
}

/* selector kHostileAct */
static kern_return_t
act(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	HostileUserClient *self = (HostileUserClient *)target;

	switch (arguments->scalarInput[0]) {
	case HOSTILE_HOLD:
		if (arguments->completion)
			OSRetain((OSMetaClassBase *)arguments->completion);
		return kIOReturnSuccess;
	case HOSTILE_ANSWER_TWICE:
		for (int i = 0; i < 3 && arguments->completion; i++)
			complete(self, arguments->completion);
		return kIOReturnError;
	case HOSTILE_STOP:
		(void)raise(SIGSTOP);
		return kIOReturnSuccess;
	case HOSTILE_ABORT:
		abort();
	case HOSTILE_LOG:
		for (int i = 0; i < 50000; i++)
			os_log(OS_LOG_DEFAULT, "line %d of a driver that writes without end", i);
		return kIOReturnSuccess;
	case HOSTILE_CPU:
		eat_processor();
		return kIOReturnSuccess;
	case HOSTILE_MEMORY:
		return eat_memory();
	case HOSTILE_FDS:
		while (dup(2) >= 0)
			;
		return kIOReturnSuccess;
	case HOSTILE_SCRIBBLE:
		scribble();
		return kIOReturnSuccess;
	case HOSTILE_RESIZE:
		each_fd(shrink);
		return kIOReturnSuccess;
	case HOSTILE_STEAL:
		return steal((IOUserClient *)self);
	case HOSTILE_SERVICES:
		return services(self);
	case HOSTILE_PROPERTIES:
		return properties(self);
	case HOSTILE_CLOSE_FDS:
		each_fd(close_one);
		return kIOReturnSuccess;
	case HOSTILE_JUNK_FDS:
		each_fd(send_junk);
		return kIOReturnSuccess;
	default:
		return kIOReturnBadArgument;
	}
}

static kern_return_t
echo_struct(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	OSData *input = arguments->structureInput;

	if (input)
		arguments->structureOutput = OSData_withBytes(OSData_getBytesNoCopy(input), OSData_getLength(input));
	else
		arguments->structureOutput = OSData_withCapacity(0);
	return arguments->structureOutput ? kIOReturnSuccess : kIOReturnNoMemory;
}

static kern_return_t
echo_sum(OSObject *target, void *reference, IOUserClientMethodArguments *arguments)
{
	arguments->scalarOutput[0] = arguments->scalarInput[0] + arguments->scalarInput[1];
	return kIOReturnSuccess;
}

static const IOUserClientMethodDispatch methods[kHostileMethodCount] = {
	[kHostileStruct] = { .function = echo_struct, .checkStructureInputSize = kIOUserClientVariableStructureSize,
			     .checkStructureOutputSize = kIOUserClientVariableStructureSize },
	[kHostileSum] = { .function = echo_sum, .checkScalarInputCount = 2, .checkScalarOutputCount = 1 },
	[kHostileAct] = { .function = act, .checkCompletionExists = -1U, .checkScalarInputCount = 1 },
};

kern_return_t
HostileUserClient_ExternalMethod_Impl(HostileUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
				      const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
	if (selector >= kHostileMethodCount)
		return kIOReturnUnsupported;
	return HostileUserClient_ExternalMethod_super(self, selector, arguments, &methods[selector], (OSObject *)self, NULL);
}
