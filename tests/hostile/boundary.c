/* SPDX-License-Identifier: MIT */
/* A client that ends, or stops, after each step of its life. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

static void
ignore(void *context, IOReturn status)
{
}

static void
ignore_open(void *context, IOReturn status, uint64_t client_id, ADXEndpoint *endpoint)
{
}

#define STEPS 16

/* One life of a client, which ends with @p sig after step @p last. */
static void __attribute__((noreturn))
live_until(unsigned last, int sig)
{
	char publish[128] = "IOServicePublish", general[128] = "IOGeneralInterest";
	OSDictionary *matching = dictionary("IOProviderClass", "IOService");
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct user_client user = { .end = ADXI_ENDPOINT_NONE };
	struct client client = { 0 };
	OSArray *ids = NULL;
	uint64_t sum, id = 0;
	int fd = -1;

	for (unsigned step = 0; step < STEPS; step++) {
		switch (step) {
		case 0:
			fd = raw_socket();
			break;
		case 1:
			if (adxi_endpoint_connect(fd, 10000, &endpoint) < 0)
				_exit(1);
			break;
		case 2:
			(void)adxi_channel_open(&endpoint, "dextd", NULL, NULL, &client.channel);
			client.registry = (ADXRegistry *)adxi_channel_copy_door(client.channel, &ADXRegistry_Class);
			client.observer = (ADXObserver *)OSMetaClassAllocate(&ADXObserver_Class);
			(void)OSObject_init((OSObject *)client.observer);
			break;
		case 3:
			id = client_find(&client, "HostileDriver");
			break;
		case 4:
			(void)ADXRegistry_AddNotification(client.registry, publish, matching, client.observer, 1, &ids);
			break;
		case 5:
			(void)ADXRegistry_AddInterest(client.registry, id, general, client.observer, 2);
			break;
		case 6:
			(void)ADXRegistry_WaitQuiet_Async(client.registry, 0, 0, ignore, NULL);
			break;
		case 7: /* asked, and not waited for */
			(void)ADXRegistry_Open_Async(client.registry, id, 0, matching, ignore_open, NULL);
			break;
		case 8:
			if (client_open(&client, "HostileDriver", &user) != kIOReturnSuccess)
				_exit(1);
			break;
		case 9:
			if (user_client_connect(&user) != kIOReturnSuccess)
				_exit(1);
			break;
		case 10:
			(void)user_client_sum(&user, 1, 2, &sum);
			break;
		case 11:
			(void)ADXRegistry_RemoveNotification(client.registry, 1);
			break;
		case 12:
			(void)ADXRegistry_SetProperties(client.registry, id, matching);
			break;
		case 13:
			(void)ADXRegistry_Close(client.registry, user.id);
			break;
		case 14:
			user_client_close(&user);
			break;
		default:
			client_close(&client);
			break;
		}
		if (step == last)
			(void)raise(sig);
	}
	_exit(3);
}

static const char *
boundaries(int sig)
{
	for (unsigned step = 0; step < STEPS; step++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			live_until(step, sig);
		(void)waitpid(child, &status, WUNTRACED);
		if (sig == SIGKILL ? !WIFSIGNALED(status) : !WIFSTOPPED(status))
			return wrong("step %u was not reached: %#x", step, status);
		if (sig == SIGSTOP) {
			struct user_client user;
			struct client other;
			uint64_t sum = 0;

			if (!client_connect(&other) || client_open(&other, "HostileDriver", &user) != kIOReturnSuccess ||
			    user_client_connect(&user) != kIOReturnSuccess || user_client_sum(&user, 40, 2, &sum) != kIOReturnSuccess || sum != 42)
				return wrong("others wait for one that is stopped after step %u", step);
			user_client_close(&user);
			client_close(&other);
			(void)kill(child, SIGKILL);
			(void)waitpid(child, &status, 0);
		}
	}
	return NULL;
}

static const char *
killed_everywhere(void)
{
	return boundaries(SIGKILL);
}

static const char *
stopped_everywhere(void)
{
	return boundaries(SIGSTOP);
}

const struct attack boundary_attacks[] = {
	{ "client-killed", "SIGKILL after each of 16 steps of a client's life", "nothing is left behind", NULL, killed_everywhere },
	{ "client-stopped", "SIGSTOP after each of 16 steps of a client's life", "others go on", NULL, stopped_everywhere },
	{ 0 },
};
