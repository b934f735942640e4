/* SPDX-License-Identifier: MIT */
/* hostile-dext: the program of bundles org.example.raw.ACT. It checks in as a driver does, and then does ACT, without the
 * driver's runtime: to dextd (acts without a prefix), to its client (client-...), to the host of its provider (host-...).
 * What dextd answers is written to standard output, where the runner reads it in the realm's log. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Ambidext/ADXHost.h>
#include <Ambidext/ADXRegistry.h>
#include <Ambidext/ADXServer.h>

#include "channel/internal.h"
#include "channel/loop.h"
#include "dextd/value.h"
#include "raw.h"

static ADXServer *server;
static ADXRegistry *registry;
static struct adxi_channel *channel;
static struct adxi_loop *loop;
static const char *act;

static bool
is_act(const char *name)
{
	return !strcmp(act, name);
}

static IOReturn
publish(uint64_t provider, const char *class_name, const char *user_class, const char *name, OSDictionary *properties, uint64_t *ret_id)
{
	value_auto OSArray *classes = value_array_new();
	value_auto OSString *user = value_string_new(user_class), *text = value_string_new(name);

	value_append_cstr(classes, class_name);
	value_append_cstr(classes, "IOService");
	return ADXServer_Publish(server, provider, classes, user, text, NULL, properties, ret_id);
}

/* A header past the channel's own bookkeeping. */
static void
put_raw(struct adxi_channel *to, struct wire_header header)
{
	uint8_t *place;

	header.size = sizeof header;
	if (ring_reserve(&to->tx, sizeof header, &place) < 0)
		return;
	memcpy(place, &header, sizeof header);
	ring_publish(&to->tx);
	channel_wake_peer(to);
}

/* ---- acts towards dextd, inside Start ---- */

static void
replies(uint64_t entry)
{
	put_raw(channel, (struct wire_header){ .kind = WIRE_REPLY, .transaction = 0x123456789 });
}

/* To everything that dextd has asked so far, once more. */
static void
replies_twice(uint64_t entry)
{
	const uint8_t *ring = (const uint8_t *)channel->region + WIRE_RING_OFFSET(!channel->side);

	for (unsigned at = 0; at + 64 <= WIRE_RING_SIZE; at += WIRE_GRAIN) {
		struct wire_header header;

		memcpy(&header, ring + at, sizeof header);
		if (header.kind != WIRE_REQUEST || header.size < 64 || header.size > WIRE_MAX)
			continue;
		put_raw(channel, (struct wire_header){ .kind = WIRE_REPLY, .transaction = header.transaction, .status = -1 });
		put_raw(channel, (struct wire_header){ .kind = WIRE_REPLY, .transaction = header.transaction, .status = 0 });
	}
}

static void
generation(uint64_t entry)
{
	put_raw(channel, (struct wire_header){ .kind = WIRE_REQUEST, .method = ADXRegistry_GetRoot_ID, .target = { 1, 77 } });
}

static void
other_port(uint64_t entry)
{
	put_raw(channel, (struct wire_header){ .kind = WIRE_ONEWAY, .method = ADXHost_Exit_ID, .target = { 40, 0 } });
}

static void
fake_ids(uint64_t entry)
{
	value_auto OSDictionary *dict = value_dict_new();
	unsigned n = 0, n_refused = 0;
	uint64_t id;

	for (id = entry - 8; id < entry + 8; id++) {
		uint64_t made = 0;

		if (id == entry)
			continue;
		n += 7;
		n_refused += ADXServer_Register(server, id) != 0;
		n_refused += ADXServer_SetProperties(server, id, dict) != 0;
		n_refused += ADXServer_AdjustBusy(server, id, 1) != 0;
		n_refused += ADXServer_Terminate(server, id, 0) != 0;
		n_refused += ADXServer_Stopped(server, id) != 0;
		n_refused += ADXServer_SetOpen(server, id, entry, true) != 0;
		n_refused += publish(id, "FakeChild", NULL, "child", NULL, &made) != 0;
		ADXServer_MessageClients(server, id, 0xe0000130u, 0);
	}
	printf("refused %u of %u\n", n_refused, n);
}

static void
forged_classes(uint64_t entry)
{
	static const char *const names[] = { "IOUSBHostDevice", "IOUSBHostInterface", "IOResources", "IOUserResources" };
	value_auto OSDictionary *forged = value_dict_new();
	unsigned n_refused = 0;
	uint64_t id = 0;

	for (unsigned i = 0; i < 4; i++)
		n_refused += publish(entry, names[i], NULL, "forged", NULL, &id) != kIOReturnSuccess;
	/* As what Create() makes, too. */
	value_set_cstr(forged, "IOClass", "IOUSBHostInterface");
	n_refused += publish(entry, "IOUSBHostInterface", "Forged", "forged", forged, &id) != kIOReturnSuccess;
	printf("refused %u of 5\n", n_refused);
}

static void
names(uint64_t entry)
{
	static const char *const odd[] = { "a/b", "..", "@", "%2F", ("a\x01" "b\n"), "\xff\xfe\xc0", "\xed\xa0\x80", "\"quoted\"\\", " ", "-rf" };
	char longest[200];
	uint64_t id = 0;
	unsigned n = 0;

	memset(longest, 'x', sizeof longest);
	longest[199] = '\0';
	for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		value_auto OSDictionary *dict = value_dict_new();

		value_set_cstr(dict, odd[i], odd[i]);
		if (publish(entry, "FakeChild", NULL, odd[i], dict, &id) == kIOReturnSuccess && ADXServer_Register(server, id) == 0)
			n++;
	}
	printf("published %u; a name of 199 bytes %s\n", n, publish(entry, "FakeChild", NULL, longest, NULL, &id) ? "refused" : "taken");
}

/* 10^6 services, of which 4096 are taken. */
static void
services(uint64_t entry)
{
	unsigned n = 0, n_refused = 0;
	uint64_t id = 0;

	for (unsigned i = 0; i < 20000; i++) {
		if (publish(entry, "FakeChild", NULL, "child", NULL, &id) == kIOReturnSuccess)
			n++;
		else
			n_refused++;
	}
	printf("services %u refused %u\n", n, n_refused);
}

static void
deep(uint64_t entry)
{
	unsigned n = 0;

	for (uint64_t at = entry; n < 3000; n++) {
		uint64_t id = 0;

		if (publish(at, "FakeChild", NULL, "deep", NULL, &id) != kIOReturnSuccess)
			break;
		at = id;
	}
	printf("depth %u\n", n);
}

static void
properties(uint64_t entry)
{
	unsigned n_bytes = 0, n_values = 0, n_nested = 0;
	static char text[1 << 20];
	IOReturn status = 0;

	memset(text, 'p', sizeof text - 1);
	for (unsigned i = 0; i < 40 && status == 0; i++, n_bytes++) {
		value_auto OSDictionary *dict = value_dict_new();
		char key[16];

		(void)snprintf(key, sizeof key, "Key%u", i);
		value_set_cstr(dict, key, text);
		status = ADXServer_SetProperties(server, entry, dict);
	}
	status = 0;
	for (unsigned i = 0; i < 1000000 / 256 && status == 0; i++, n_values++) {
		value_auto OSDictionary *dict = value_dict_new();
		char key[16];

		for (unsigned j = 0; j < 256; j++) {
			(void)snprintf(key, sizeof key, "%u", i * 256 + j);
			value_set_bool(dict, key, true);
		}
		status = ADXServer_SetProperties(server, entry, dict);
	}
	{
		OSArray *outer = value_array_new();

		for (unsigned i = 0; i < 60; i++) {
			OSArray *next = value_array_new();

			value_append_new(next, outer);
			outer = next;
		}
		value_auto OSDictionary *dict = value_dict_new();
		value_set_new(dict, "nested", outer);
		n_nested = ADXServer_SetProperties(server, entry, dict) != 0;
	}
	printf("after %u times 1 MiB refused; after %u times 256 values refused; 60 deep %s\n", n_bytes, n_values, n_nested ? "refused" : "taken");
}

static void
messages(uint64_t entry)
{
	for (unsigned i = 0; i < 30000; i++)
		ADXServer_MessageClients(server, entry, 0xe0000130u, i);
	printf("sent 30000\n");
}

static void
churn(uint64_t entry)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2000; i++) {
		uint64_t id = 0;

		if (publish(entry, "FakeChild", NULL, "churn", NULL, &id) == 0 && ADXServer_Register(server, id) == 0 &&
		    ADXServer_Terminate(server, id, 0) == 0)
			n++;
	}
	printf("churned %u\n", n);
}

static void
log_junk(uint64_t entry)
{
	static char junk[65536];

	for (unsigned i = 0; i < sizeof junk; i++)
		junk[i] = (char)random_word();
	for (unsigned i = 0; i < 200; i++)
		(void)!write(1, junk, sizeof junk);
	(void)!write(1, "\n", 1);
	for (unsigned i = 0; i < 20000; i++)
		(void)!write(1, "\x1eT27\x1f[T27] forged\n", 18);
	(void)!write(1, "\nflooded\n", 9);
}

/* Asks without end, and reads nothing. */
static void
never_reads(uint64_t entry)
{
	for (unsigned i = 0; i < 2000000 && !adxi_channel_is_dead(channel); i++) {
		uint8_t *place;
		struct wire_header header = { .size = 64, .kind = WIRE_REQUEST, .method = ADXRegistry_GetRoot_ID, .transaction = i };

		while (ring_reserve(&channel->tx, 64, &place) < 0) {
			struct pollfd fd = { .fd = channel->socket };

			if (poll(&fd, 1, 1) > 0)
				_exit(0); /* evicted */
			wake_write(channel->peer_bells[0]);
		}
		memcpy(place, &header, sizeof header);
		ring_publish(&channel->tx);
		if (i % 256 == 0)
			wake_write(channel->peer_bells[0]);
	}
}

static void
stops_itself(uint64_t entry)
{
	(void)raise(SIGSTOP);
}

static void
closes_all(uint64_t entry)
{
	for (int fd = 3; fd < 64; fd++)
		(void)close(fd);
}

static const struct {
	const char *name;
	void (*run)(uint64_t entry);
} acts[] = {
	{ "replies", replies },
	{ "replies-twice", replies_twice },
	{ "generation", generation },
	{ "other-port", other_port },
	{ "fake-ids", fake_ids },
	{ "forged-classes", forged_classes },
	{ "names", names },
	{ "services", services },
	{ "deep", deep },
	{ "properties", properties },
	{ "messages", messages },
	{ "churn", churn },
	{ "log-junk", log_junk },
	{ "never-reads", never_reads },
	{ "stops-itself", stops_itself },
	{ "closes-all", closes_all },
};

static uint64_t acting_for;

static void
act_later(void *context)
{
	for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
		if (is_act(acts[i].name))
			acts[i].run(acting_for);
	(void)fflush(stdout);
}

/* ---- acts towards a client, and towards the host of the provider: whoever has the other end ---- */

static struct raw victim;

static void
lie_to(struct raw *raw)
{
	static const struct wire_header lies[] = {
		{ .size = 0x80000000u, .kind = WIRE_REQUEST },
		{ .size = 64, .kind = WIRE_REPLY, .transaction = 3 },
		{ .size = 64, .kind = WIRE_REQUEST, .content_size = 0xfffffff8u },
		{ .size = 64, .kind = WIRE_REPLY, .n_fds = 9 },
		{ .size = 64, .kind = 99 },
	};
	static unsigned turn;

	(void)raw_put(raw, &lies[turn++ % 5], NULL, 0);
}

static void
misbehave(struct raw *raw)
{
	struct wire_header request, reply = { .size = 64, .kind = WIRE_REPLY };
	static uint8_t body[WIRE_MAX];
	int r;

	if (strstr(act, "lies")) {
		lie_to(raw);
		return;
	}
	if (strstr(act, "words")) {
		for (unsigned i = 0; i < 1000; i++)
			((volatile uint32_t *)raw->region)[16 + random_below(160)] = (uint32_t)random_word();
		raw_ring_bell(raw);
		return;
	}
	if (strstr(act, "silent"))
		return;
	/* Answers everything, in odd ways. */
	while ((r = raw_take(raw, &request, body, 2000)) == 1) {
		reply.transaction = request.transaction;
		if (request.kind != WIRE_REQUEST)
			continue;
		if (strstr(act, "huge")) {
			reply.size = 64 + 16384;
			reply.content_size = 16384;
			memset(body, 0xff, 16384);
			(void)raw_put(raw, &reply, body, 16384);
		} else if (strstr(act, "garbage")) {
			reply.size = 64 + 256;
			reply.content_size = 256;
			for (unsigned i = 0; i < 256; i++)
				body[i] = (uint8_t)random_word();
			(void)raw_put(raw, &reply, body, 256);
		} else if (strstr(act, "twice")) {
			reply.status = kIOReturnBusy;
			(void)raw_put(raw, &reply, NULL, 0);
			(void)raw_put(raw, &reply, NULL, 0);
		} else { /* asks its client for things that were never offered */
			struct wire_header ask = { .size = 64, .kind = WIRE_REQUEST, .method = random_word() };

			(void)raw_put(raw, &ask, NULL, 0);
			reply.status = kIOReturnBusy;
			(void)raw_put(raw, &reply, NULL, 0);
		}
	}
}

static void
misbehave_later(void *context)
{
	misbehave(&victim);
}

static void
take_victim(ADXEndpoint *object)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;

	if (object && adxi_endpoint_take((OS_OBJECT *)object, &endpoint) == 0 && raw_open(&victim, &endpoint) == 0)
		(void)adxi_loop_post(loop, misbehave_later, NULL);
}

/* ---- the host ---- */

kern_return_t
ADXHost_StartService_Impl(ADXHost *self, uint64_t entryID, const ADXClassName userClass, OSDictionary *properties, uint64_t providerID,
			  OSDictionary *provider, uint64_t peerID, ADXEndpoint *endpoint, OSArray **classes)
{
	acting_for = entryID;
	if (!strncmp(act, "host-", 5))
		take_victim(endpoint);
	else
		(void)adxi_loop_post(loop, act_later, NULL);
	(void)ADXServer_Register(server, entryID);
	*classes = value_array_new();
	value_append_cstr(*classes, userClass);
	value_append_cstr(*classes, "IOService");
	return kIOReturnSuccess;
}

void
ADXHost_StopService_Impl(ADXHost *self, uint64_t entryID, bool providerAlive)
{
	(void)ADXServer_Stopped(server, entryID);
}

void
ADXHost_ReleaseService_Impl(ADXHost *self, uint64_t entryID)
{
}

kern_return_t
ADXHost_NewUserClient_Impl(ADXHost *self, uint64_t entryID, uint32_t type, OSDictionary *entitlements, uint64_t *clientID)
{
	value_auto OSDictionary *properties = value_dict_new();

	if (is_act("client-forged-id")) {
		*clientID = entryID;
		return kIOReturnSuccess;
	}
	value_set_cstr(properties, "IOClass", "IOUserUserClient");
	return publish(entryID, "IOUserUserClient", "RawUserClient", "RawUserClient", properties, clientID);
}

kern_return_t
ADXHost_Introduce_Impl(ADXHost *self, uint64_t peerID, ADXEndpoint *endpoint, uint64_t entryID, OSDictionary *info)
{
	take_victim(endpoint);
	return kIOReturnSuccess;
}

kern_return_t
ADXHost_Ping_Impl(ADXHost *self, uint64_t *stuckMs, OSString **what)
{
	*stuckMs = 0;
	*what = value_string_new("");
	return kIOReturnSuccess;
}

kern_return_t
ADXHost_SetProperties_Impl(ADXHost *self, uint64_t entryID, OSDictionary *properties)
{
	return kIOReturnUnsupported;
}

kern_return_t
ADXHost_AttachDevice_Impl(ADXHost *self, OSString *what, uint64_t *entryID, OSString **problem)
{
	return kIOReturnUnsupported;
}

kern_return_t
ADXHost_DetachDevice_Impl(ADXHost *self, OSString *what, OSString **problem)
{
	return kIOReturnUnsupported;
}

void
ADXHost_Exit_Impl(ADXHost *self, int32_t status)
{
	_exit(status);
}

static void
closed(struct adxi_channel *gone, void *userdata, int reason)
{
	_exit(0);
}

int
main(void)
{
	static const struct adxi_channel_ops ops = { .closed = closed };
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	const char *name = getenv("AMBIDEXT_SERVER_NAME"), *token = getenv("AMBIDEXT_TOKEN"), *fd = getenv("AMBIDEXT_SOCKET_FD");
	OSDictionary *realm = NULL;
	ADXHost *host;

	if (!name || !token || !fd || strncmp(name, "org.example.raw.", 16) != 0)
		return 4;
	act = name + 16;
	if (adxi_endpoint_connect(atoi(fd), 5000, &endpoint) < 0 || adxi_channel_open(&endpoint, "dextd", &ops, NULL, &channel) < 0 ||
	    adxi_loop_new(&loop) < 0)
		return 6;
	registry = (ADXRegistry *)adxi_channel_copy_door(channel, &ADXRegistry_Class);
	host = (ADXHost *)OSMetaClassAllocate(&ADXHost_Class);
	if (!registry || !host || !OSObject_init((OSObject *)host) ||
	    ADXRegistry_CheckIn(registry, token, host, &server, &realm) != kIOReturnSuccess)
		return 7;
	(void)adxi_loop_add_channel(loop, channel, NULL);
	return adxi_loop_run(loop) < 0 ? 8 : 0;
}
