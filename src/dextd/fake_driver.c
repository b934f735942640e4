/* SPDX-License-Identifier: MIT */
/* For tests of the whole daemon: a hosted process that speaks the protocol and misbehaves as its
 * properties say.
 *
 *   FakeStart  "fail", "crash", "hang", "publish" (a nub in Start, then failure)
 *   FakeRegister  true: RegisterService in Start
 *   FakeStop   "never": Stop is not answered
 *
 * NewUserClient types: 0 a client, 1 refused, 2 success without one, 3 crash, 4 an id that is none,
 * 5 never answers. SetProperties: {crash}, {terminate}, {foreign: id}, {message: n}, {exit: n},
 * {owner}. As a host: AttachDevice("fake:name"). */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>
#include <Ambidext/ADXServer.h>

#include "channel/channel.h"
#include "channel/loop.h"
#include "dextd/value.h"

static ADXServer *server;
static ADXRegistry *registry;
static struct adxi_loop *loop;
static uint64_t silent[16]; /* entries whose Stop is not answered */
static unsigned n_silent;

static uint64_t
publish(uint64_t provider, const char *class_name, const char *user_class, const char *name)
{
	value_auto OSArray *classes = value_array_new();
	value_auto OSDictionary *properties = value_dict_new();
	value_auto OSString *user = value_string_new(user_class), *text = value_string_new(name);
	uint64_t id = 0;

	value_append_cstr(classes, class_name);
	value_append_cstr(classes, "IOService");
	value_set_cstr(properties, "FakeName", name);
	if (user_class)
		value_set_cstr(properties, "IOClass", class_name);
	if (ADXServer_Publish(server, provider, classes, user, text, NULL, properties, &id) !=
	    kIOReturnSuccess)
		return 0;
	return id;
}

kern_return_t
ADXHost_StartService_Impl(ADXHost *self, uint64_t entryID, const ADXClassName userClass,
			  OSDictionary *properties, uint64_t providerID, OSDictionary *provider,
			  uint64_t peerID, ADXEndpoint *endpoint, OSArray **classes)
{
	const char *how = value_get_cstr(properties, "FakeStart");

	printf("Start %s on %s peer %s\n", userClass, value_get_cstr(provider, "name"),
	       peerID ? "other" : "none");
	fflush(stdout);
	if (how && !strcmp(how, "fail"))
		return kIOReturnDeviceError;
	if (how && !strcmp(how, "crash"))
		raise(SIGKILL);
	if (how && !strcmp(how, "hang")) {
		(void)OSReplyDefer();
		return kIOReturnSuccess;
	}
	if (how && !strcmp(how, "publish")) {
		ADXServer_Register(server, publish(entryID, "FakeChild", NULL, "child"));
		return kIOReturnDeviceError;
	}
	if (value_get_cstr(properties, "FakeStop"))
		silent[n_silent++ % 16] = entryID;
	if (value_is_true(value_get(properties, "FakeRegister")))
		ADXServer_Register(server, entryID);
	*classes = value_array_new();
	value_append_cstr(*classes, userClass);
	value_append_cstr(*classes, "IOService");
	return kIOReturnSuccess;
}

void
ADXHost_StopService_Impl(ADXHost *self, uint64_t entryID, bool providerAlive)
{
	unsigned i;

	printf("Stop 0x%llx %s\n", (unsigned long long)entryID, providerAlive ? "alive" : "gone");
	fflush(stdout);
	for (i = 0; i < n_silent; i++)
		if (silent[i] == entryID)
			return;
	ADXServer_Stopped(server, entryID);
}

void
ADXHost_ReleaseService_Impl(ADXHost *self, uint64_t entryID)
{
	printf("Release 0x%llx\n", (unsigned long long)entryID);
	fflush(stdout);
}

kern_return_t
ADXHost_NewUserClient_Impl(ADXHost *self, uint64_t entryID, uint32_t type,
			   OSDictionary *entitlements, uint64_t *clientID)
{
	switch (type) {
	case 0:
		*clientID = publish(entryID, "IOUserUserClient", "FakeClient", "FakeClient");
		return *clientID ? kIOReturnSuccess : kIOReturnNoMemory;
	case 1:
		return kIOReturnExclusiveAccess;
	case 2:
		return kIOReturnSuccess;
	case 3:
		raise(SIGSEGV);
		return kIOReturnError;
	case 4:
		*clientID = entryID;
		return kIOReturnSuccess;
	default:
		(void)OSReplyDefer();
		return kIOReturnSuccess;
	}
}

kern_return_t
ADXHost_Introduce_Impl(ADXHost *self, uint64_t peerID, ADXEndpoint *object, uint64_t entryID,
		       OSDictionary *info)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct adxi_channel *channel;

	if (!object)
		return kIOReturnSuccess;
	/* Kept open until the process ends, as a real host does until its peer goes. */
	if (adxi_endpoint_take((OSMetaClassBase *)object, &endpoint) < 0 ||
	    adxi_channel_open(&endpoint, "peer", NULL, NULL, &channel) < 0)
		return kIOReturnIPCError;
	adxi_loop_add_channel(loop, channel, NULL);
	return kIOReturnSuccess;
}

kern_return_t
ADXHost_Ping_Impl(ADXHost *self, uint64_t *stuckMs, OSString **what)
{
	*stuckMs = 0;
	*what = value_string_new("");
	return kIOReturnSuccess;
}

/* What only the realm's owner may do, over the connection that dextd made for this process. How
 * much of it was let through. */
static unsigned
act_as_owner(void)
{
	value_auto OSString *text = value_string_new("com.acme.Drv"), *id = NULL, *problem = NULL;
	value_auto OSArray *lines = NULL, *problems = NULL;
	uint64_t number = 0;

	return (ADXRegistry_LoadBundle(registry, text, &id, &problems) != kIOReturnNotPrivileged) +
	       (ADXRegistry_UnloadBundle(registry, text) != kIOReturnNotPrivileged) +
	       (ADXRegistry_AttachDevice(registry, text, &number, &problem) !=
		kIOReturnNotPrivileged) +
	       (ADXRegistry_DetachDevice(registry, text, &problem) != kIOReturnNotPrivileged) +
	       (ADXRegistry_CopyLog(registry, 0, NULL, &lines, &number) != kIOReturnNotPrivileged) +
	       (ADXRegistry_CopyAudit(registry, 0, &lines, &number) != kIOReturnNotPrivileged) +
	       (ADXRegistry_Shutdown(registry) != kIOReturnNotPrivileged);
}

kern_return_t
ADXHost_SetProperties_Impl(ADXHost *self, uint64_t entryID, OSDictionary *properties)
{
	uint64_t number = 0;

	if (value_get(properties, "crash"))
		raise(SIGABRT);
	if (value_u64(value_get(properties, "exit"), &number))
		_exit((int)number);
	if (value_get(properties, "owner"))
		return act_as_owner() ? kIOReturnError : kIOReturnSuccess;
	if (value_get(properties, "terminate"))
		return ADXServer_Terminate(server, entryID, 0);
	if (value_u64(value_get(properties, "foreign"), &number))
		return ADXServer_SetProperties(server, number, properties);
	if (value_u64(value_get(properties, "message"), &number))
		ADXServer_MessageClients(server, entryID, (uint32_t)number, 77);
	return ADXServer_SetProperties(server, entryID, properties);
}

static uint64_t attached;

kern_return_t
ADXHost_AttachDevice_Impl(ADXHost *self, OSString *what, uint64_t *entryID, OSString **problem)
{
	const char *text = value_cstr(what);

	if (strncmp(text, "fake:", 5))
		return kIOReturnUnsupported;
	if (!strcmp(text, "fake:broken")) {
		*problem = value_string_new("it is broken");
		return kIOReturnSuccess;
	}
	attached = *entryID = publish(0, "FakeNub", NULL, text + 5);
	if (!*entryID)
		return kIOReturnError;
	return ADXServer_Register(server, *entryID);
}

kern_return_t
ADXHost_DetachDevice_Impl(ADXHost *self, OSString *what, OSString **problem)
{
	return ADXServer_Terminate(server, attached, 0);
}

void
ADXHost_Exit_Impl(ADXHost *self, int32_t status)
{
	if (!strcmp(getenv("AMBIDEXT_SERVER_NAME"), "com.acme.immortal"))
		return;
	_exit(status);
}

static void
closed(struct adxi_channel *channel, void *userdata, int reason)
{
	_exit(3);
}

int
main(void)
{
	static const struct adxi_channel_ops ops = { .closed = closed };
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	const char *name = getenv("AMBIDEXT_SERVER_NAME"), *token = getenv("AMBIDEXT_TOKEN");
	struct adxi_channel *channel;
	OSDictionary *realm = NULL;
	ADXHost *host;

	if (!name || !token || getenv("FAKE_SECRET"))
		return 4;
	if (!strcmp(name, "com.acme.mute"))
		return 5;
	if (!strcmp(name, "com.acme.sleeper"))
		pause();
	if (adxi_endpoint_connect(atoi(getenv("AMBIDEXT_SOCKET_FD")), 5000, &endpoint) < 0 ||
	    adxi_channel_open(&endpoint, "dextd", &ops, NULL, &channel) < 0 ||
	    adxi_loop_new(&loop) < 0)
		return 6;
	registry = (ADXRegistry *)adxi_channel_copy_door(channel, &ADXRegistry_Class);
	host = (ADXHost *)OSMetaClassAllocate(&ADXHost_Class);
	if (!registry || !host || !OSObject_init((OSObject *)host) ||
	    ADXRegistry_CheckIn(registry, !strcmp(name, "com.acme.forger") ? "0123" : token, host,
				&server, &realm) != kIOReturnSuccess)
		return 7;
	fprintf(stderr, "\x1eT27\x1f[T27] a rule was told by %s\n", name);
	adxi_loop_add_channel(loop, channel, NULL);
	return adxi_loop_run(loop) < 0 ? 8 : 0;
}
