/* SPDX-License-Identifier: MIT */
/* What hostile clients share: an honest beginning. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Ambidext/ADXObserver.h>
#include <DriverKit/OSNumber.h>

uint64_t n_heard;

/* Static linking: this process offers observers. */
void
ADXObserver_Matched_Impl(ADXObserver *self, uint64_t token, OSArray *entryIDs)
{
	n_heard++;
}

void
ADXObserver_Message_Impl(ADXObserver *self, uint64_t token, uint64_t entryID, uint32_t messageType, uint64_t argument,
			 const uint8_t data[64], uint32_t dataCount)
{
	n_heard++;
}

bool
client_connect(struct client *client)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	int fd = raw_socket();

	*client = (struct client){ 0 };
	if (fd < 0 || adxi_endpoint_connect(fd, 10000, &endpoint) < 0 ||
	    adxi_channel_open(&endpoint, "dextd", NULL, NULL, &client->channel) < 0)
		return false;
	client->registry = (ADXRegistry *)adxi_channel_copy_door(client->channel, &ADXRegistry_Class);
	client->observer = (ADXObserver *)OSMetaClassAllocate(&ADXObserver_Class);
	return client->registry && client->observer && OSObject_init((OSObject *)client->observer);
}

void
client_close(struct client *client)
{
	OSRelease((OS_OBJECT *)client->registry);
	OSRelease((OS_OBJECT *)client->observer);
	if (client->channel)
		adxi_channel_close(client->channel);
	(void)adxi_channel_unref(client->channel);
	*client = (struct client){ 0 };
}

OSDictionary *
dictionary(const char *key, const char *value)
{
	OSDictionary *dict = OSDictionary_withCapacity(2);
	OSString *text = OSString_withCString(value);

	(void)OSDictionary_setObjectForCString(dict, key, (OSMetaClassBase *)text);
	OSRelease((OS_OBJECT *)text);
	return dict;
}

uint64_t
client_find(struct client *client, const char *name)
{
	OSDictionary *matching = dictionary("IONameMatch", name);
	OSArray *ids = NULL;
	uint64_t id = 0;

	if (ADXRegistry_CopyMatching(client->registry, matching, &ids) == kIOReturnSuccess &&
	    OSCollection_getCount((OSCollection *)ids) > 0)
		id = OSNumber_unsigned64BitValue((OSNumber *)OSArray_getObject(ids, 0));
	OSRelease((OS_OBJECT *)ids);
	OSRelease((OS_OBJECT *)matching);
	return id;
}

IOReturn
client_open(struct client *client, const char *name, struct user_client *ret)
{
	OSDictionary *info = dictionary("procname", "hostile");
	ADXEndpoint *endpoint = NULL;
	IOReturn status;

	*ret = (struct user_client){ .end = ADXI_ENDPOINT_NONE };
	status = ADXRegistry_Open(client->registry, client_find(client, name), 0, info, &ret->id, &endpoint);
	if (status == kIOReturnSuccess && adxi_endpoint_take((OS_OBJECT *)endpoint, &ret->end) < 0)
		status = kIOReturnIPCError;
	OSRelease((OS_OBJECT *)endpoint);
	OSRelease((OS_OBJECT *)info);
	return status;
}

IOReturn
user_client_connect(struct user_client *user)
{
	IOService *service = NULL;
	ADXDoor *door;
	IOReturn status;

	if (adxi_channel_open(&user->end, "driver", NULL, NULL, &user->channel) < 0)
		return kIOReturnIPCError;
	door = (ADXDoor *)adxi_channel_copy_door(user->channel, &ADXDoor_Class);
	status = ADXDoor_CopyService(door, user->id, &service);
	user->client = (IOUserClient *)service;
	user->door = door;
	return status;
}

void
user_client_close(struct user_client *user)
{
	OSRelease((OS_OBJECT *)user->client);
	OSRelease((OS_OBJECT *)user->door);
	if (user->channel)
		adxi_channel_close(user->channel);
	(void)adxi_channel_unref(user->channel);
	adxi_endpoint_done(&user->end);
	*user = (struct user_client){ .end = ADXI_ENDPOINT_NONE };
}

IOReturn
user_client_sum(struct user_client *user, uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	uint64_t input[16] = { a, b }, output[16] = { 0 };
	uint8_t in[4096] = { 0 }, out[4096];
	uint32_t n_output = 1, n_out = 0;
	OSData *variable = NULL;
	IOReturn status = IOUserClient__ExternalMethod(user->client, 1, input, 2, in, 0, NULL, 0, NULL, output, &n_output, out, &n_out, 0,
						       NULL, &variable);

	OSRelease((OS_OBJECT *)variable);
	*ret_sum = output[0];
	return status;
}

pid_t
dextd_pid(void)
{
	char path[4096], text[32] = "";
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/dextd.pid", getenv("AMBIDEXT_REALM"));
	file = fopen(path, "re");
	if (file && !fgets(text, sizeof text, file))
		text[0] = '\0';
	if (file)
		(void)fclose(file);
	return (pid_t)atoi(text);
}
