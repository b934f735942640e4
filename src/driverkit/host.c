/* SPDX-License-Identifier: MIT */
/* class ADXHost: dextd's commands. Each is answered when it is done; none blocks the Control queue:
 * what runs a driver's code, or asks another process, is a job of its own. */

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <Ambidext/ADXDoor.h>
#include <Ambidext/ADXHost.h>
#include <DriverKit/IOUserClient.h>
#include <DriverKit/OSArray.h>
#include <DriverKit/OSDictionary.h>

#include "base/cleanup.h"
#include "base/ledger.h"
#include "base/logline.h"
#include "base/rules.h"
#include "channel/channel.h"
#include "driverkit/action.h"
#include "driverkit/dispatch_queue.h"
#include "driverkit/host.h"
#include "driverkit/job.h"
#include "driverkit/process.h"
#include "driverkit/runtime.h"
#include "driverkit/service.h"
#include "driverkit/underway.h"
#include "driverkit/user_client.h"
#include "driverkit/workers.h"

#define LOG_TOPIC "driverkit.host"
#include "base/log.h"

#define EXIT_GRACE_S       5u
#define CONNECT_TIMEOUT_MS 10000

static const struct adxi_host_ops *ops; /* borrowed; NULL: none */
static void *ops_userdata;
static struct adxi_channel *dextd; /* owned reference, for the life of the process */
static OSDictionary *realm;        /* owned reference */
static int exit_status;            /* atomic */

/* ---------------------------------------------------------------------------------------------
 * Start
 */

struct start_job {
	struct adxi_job job;
	uint64_t entry_id, provider_id, peer_id;
	char user_class[sizeof(ADXClassName)];
	struct OSReply *reply; /* owned */
};

/* The provider as this process sees it, +1: its own object, a proxy from its host's door, or a
 * stand-in for one that nobody hosts. */
static kern_return_t
copy_provider(uint64_t provider_id, uint64_t peer_id, IOService **ret_provider)
{
	const struct adxi_service_identity identity = { .entry_id = provider_id };
	struct adxi_channel *channel;
	kern_return_t ret;
	ADXDoor *door;

	*ret_provider = adxi_process_find(provider_id);
	if (*ret_provider)
		return kIOReturnSuccess;
	if (!peer_id)
		return adxi_service_new(&IOService_Class, &identity, ret_provider);
	channel = adxi_peer_channel(peer_id);
	if (!channel)
		return kIOReturnOffline;
	door = (ADXDoor *)adxi_channel_copy_door(channel, &ADXDoor_Class);
	ret = door ? ADXDoor_CopyService(door, provider_id, ret_provider) : kIOReturnNoMemory;
	if (ret == kIOReturnSuccess && *ret_provider)
		adxi_service_set_entry_id(*ret_provider, provider_id);
	else if (ret == kIOReturnSuccess)
		ret = kIOReturnOffline;
	OSRelease((OS_OBJECT *)door);
	adxi_channel_unref(channel);
	return ret;
}

static kern_return_t
start_service(const struct start_job *start, const struct OSMetaClass *meta, IOService *provider)
{
	struct adxi_service_identity identity = { .entry_id = start->entry_id,
						  .provider = provider };
	IOService *service = NULL;
	kern_return_t ret = adxi_service_new(meta, &identity, &service);

	if (ret != kIOReturnSuccess)
		return ret;
	if (adxi_process_add(start->entry_id, service) < 0)
		ret = kIOReturnNoMemory;
	if (ret == kIOReturnSuccess) {
		adxi_service_set_state(service, SERVICE_STARTING);
		ret = IOService_Start(service, provider);
		adxi_service_set_state(service,
				       ret == kIOReturnSuccess ? SERVICE_STARTED : SERVICE_STOPPED);
		if (ret != kIOReturnSuccess)
			OSRelease((OS_OBJECT *)adxi_process_take(start->entry_id));
	}
	if (ret != kIOReturnSuccess)
		adxi_service_release_provider(service);
	OSRelease((OS_OBJECT *)service);
	return ret;
}

static void
start_job_run(struct adxi_job *job)
{
	struct start_job *start = adxi_container_of(job, struct start_job, job);
	const struct OSMetaClass *meta = OSMetaClassWithName(start->user_class);
	kern_return_t ret = kIOReturnUnsupportedMode;
	IOService *provider = NULL;
	OSArray *classes = NULL;

	if (!meta || !OSMetaClassIsKindOf(meta, &IOService_Class))
		adxi_tell(ADXI_RULE_DRV001, "IOUserClass %s is %s", start->user_class,
			  meta ? "no IOService" : "no class of this binary");
	else
		ret = copy_provider(start->provider_id, start->peer_id, &provider);
	if (ret == kIOReturnSuccess)
		ret = start_service(start, meta, provider);
	if (ret == kIOReturnSuccess)
		classes = adxi_class_names(meta);
	ADXHost_StartService_Reply(start->reply, ret, classes);
	OSRelease((OS_OBJECT *)classes);
	OSRelease((OS_OBJECT *)provider);
	free(start);
}

kern_return_t
ADXHost_StartService_Impl(ADXHost *self, uint64_t entryID, const ADXClassName userClass,
			  OSDictionary *properties, uint64_t providerID, OSDictionary *provider,
			  uint64_t peerID, ADXEndpoint *endpoint, OSArray **classes)
{
	struct start_job *start;
	char name[32];

	if (endpoint) {
		(void)snprintf(name, sizeof(name), "process %llu", (unsigned long long)peerID);
		int r = adxi_peer_add(peerID, (OS_OBJECT *)endpoint, name);
		if (r < 0)
			return r == -ENOMEM ? kIOReturnNoMemory : kIOReturnIPCError;
	}
	start = calloc(1, sizeof(*start));
	if (!start)
		return kIOReturnNoMemory;
	start->job.run = start_job_run;
	start->entry_id = entryID;
	start->provider_id = providerID;
	start->peer_id = peerID;
	strncpy(start->user_class, userClass, sizeof(start->user_class) - 1);
	start->reply = OSReplyDefer();
	adxi_job_push(&start->job);
	return kIOReturnSuccess;
}

/* ---------------------------------------------------------------------------------------------
 * Stop and release
 */

struct stop_job {
	struct adxi_job job;
	IOService *service;  /* owned reference */
	IOService *provider; /* owned reference; NULL: none */
};

static void
say_stopped(uint64_t entry_id)
{
	ADXServer *server = adxi_process_server();

	if (server)
		(void)ADXServer_Stopped(server, entry_id); /* dextd gone: this process ends, too */
}

static void
stop_job_run(struct adxi_job *job)
{
	struct stop_job *stop = adxi_container_of(job, struct stop_job, job);
	IOService *service = stop->service;
	kern_return_t ret = IOService_Stop(service, stop->provider);

	/* An error means: there is nothing to wait for. */
	if (ret != kIOReturnSuccess && adxi_service_state(service) != SERVICE_STOPPED) {
		log_debug("Stop of 0x%llx answered 0x%08x",
			  (unsigned long long)adxi_service_entry_id(service), (unsigned)ret);
		adxi_service_set_state(service, SERVICE_STOPPED);
		say_stopped(adxi_service_entry_id(service));
	}
	OSRelease((OS_OBJECT *)stop->provider);
	OSRelease((OS_OBJECT *)service);
	free(stop);
}

void
ADXHost_StopService_Impl(ADXHost *self, uint64_t entryID, bool providerAlive)
{
	IOService *service = adxi_process_find(entryID);
	struct stop_job *stop = NULL;

	if (service && adxi_service_state(service) == SERVICE_STARTED)
		stop = calloc(1, sizeof(*stop));
	if (!stop) { /* never started, or gone */
		if (service)
			adxi_service_set_state(service, SERVICE_STOPPED);
		say_stopped(entryID);
		OSRelease((OS_OBJECT *)service);
		return;
	}
	adxi_service_set_state(service, SERVICE_STOPPING);
	stop->job.run = stop_job_run;
	stop->service = service;
	stop->provider = IOService_GetProvider(service);
	OSRetain((OS_OBJECT *)stop->provider);
	adxi_job_push(&stop->job);
}

void
ADXHost_ReleaseService_Impl(ADXHost *self, uint64_t entryID)
{
	IOService *service = adxi_process_take(entryID);

	if (!service)
		return;
	adxi_service_set_state(service, SERVICE_STOPPED);
	adxi_peers_revoke(entryID, service);
	adxi_service_release_provider(service);
	if (OSGetRetainCount((OS_OBJECT *)service) > 1)
		(void)adxi_actions_report((OSObject *)service);
	if (ops && ops->released)
		ops->released(ops_userdata, service);
	OSRelease((OS_OBJECT *)service);
}

/* On the Control queue, which no driver's method blocks. */
kern_return_t
ADXHost_Ping_Impl(ADXHost *self, uint64_t *stuckMs, OSString **what)
{
	char text[1024];

	*stuckMs = adxi_underway_stuck(text, sizeof(text));
	*what = OSString_withCString(text);
	return *what ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* ---------------------------------------------------------------------------------------------
 * User clients
 */

struct client_job {
	struct adxi_job job;
	uint64_t entry_id;
	uint32_t type;
	OSDictionary *entitlements; /* owned reference */
	struct OSReply *reply;      /* owned */
};

/* Start what NewUserClient returned. *ret_id: its entry, also when Start failed. */
static kern_return_t
start_client(IOUserClient *client, IOService *provider, OSDictionary *entitlements,
	     uint64_t *ret_id)
{
	IOService *service = (IOService *)client;
	kern_return_t ret;

	if (!OSMetaClassIsKindOf(((OS_OBJECT *)client)->meta, &IOUserClient_Class) ||
	    !(((OS_OBJECT *)client)->flags & OS_OBJECT_HOSTED)) {
		adxi_tell(ADXI_RULE_T27,
			  "NewUserClient of a %s returned a %s that Create() did not make",
			  ((OS_OBJECT *)provider)->meta->name, ((OS_OBJECT *)client)->meta->name);
		return kIOReturnUnsupported;
	}
	*ret_id = adxi_service_entry_id(service);
	adxi_user_client_set_entitlements(client, entitlements);
	adxi_service_set_state(service, SERVICE_STARTING);
	ret = IOService_Start(service, provider);
	adxi_service_set_state(service,
			       ret == kIOReturnSuccess ? SERVICE_STARTED : SERVICE_STOPPED);
	return ret;
}

static void
client_job_run(struct adxi_job *job)
{
	struct client_job *new = adxi_container_of(job, struct client_job, job);
	IOService *service = adxi_process_find(new->entry_id);
	kern_return_t ret = kIOReturnOffline;
	struct adxi_created *created = adxi_created();
	IOUserClient *client = NULL;
	uint64_t client_id = 0;

	*created = (struct adxi_created){ 0 };
	if (service)
		ret = adxi_service_state(service) == SERVICE_STARTED
			      ? IOService_NewUserClient(service, new->type, &client)
			      : kIOReturnNotReady;
	log_debug("NewUserClient(%u) of 0x%llx: 0x%08x, %s", new->type,
		  (unsigned long long)new->entry_id, (unsigned)ret,
		  client ? ((OS_OBJECT *)client)->meta->name : "no client");
	/* The stub's check of classes refused what was made; macOS has a code of its own for it. */
	if (ret == kIOReturnBadArgument && created->entry_id && !created->is_client) {
		created->is_client = true;
		ret = kIOReturnUnsupported;
	}
	if (ret == kIOReturnSuccess && client)
		ret = start_client(client, service, new->entitlements, &client_id);
	/* What Create() made and nobody got would stay in the registry for ever. */
	if (ret != kIOReturnSuccess && created->is_client && adxi_process_server())
		(void)ADXServer_Terminate(adxi_process_server(), created->entry_id, 0);
	ADXHost_NewUserClient_Reply(new->reply, ret, ret == kIOReturnSuccess ? client_id : 0);
	OSRelease((OS_OBJECT *)client);
	OSRelease((OS_OBJECT *)service);
	OSRelease((OS_OBJECT *)new->entitlements);
	free(new);
}

kern_return_t
ADXHost_NewUserClient_Impl(ADXHost *self, uint64_t entryID, uint32_t type,
			   OSDictionary *entitlements, uint64_t *clientID)
{
	struct client_job *new = calloc(1, sizeof(*new));

	if (!new)
		return kIOReturnNoMemory;
	new->job.run = client_job_run;
	new->entry_id = entryID;
	new->type = type;
	new->entitlements = entitlements;
	OSRetain((OS_OBJECT *)entitlements);
	new->reply = OSReplyDefer();
	adxi_job_push(&new->job);
	return kIOReturnSuccess;
}

kern_return_t
ADXHost_Introduce_Impl(ADXHost *self, uint64_t peerID, ADXEndpoint *endpoint, uint64_t entryID,
		       OSDictionary *info)
{
	IOService *service = adxi_process_find(entryID);
	struct adxi_channel *channel = NULL;
	char name[32];
	int r = service ? 0 : -ENOENT;

	if (r == 0 && endpoint) {
		(void)snprintf(name, sizeof(name), "peer %llu", (unsigned long long)peerID);
		r = adxi_peer_add(peerID, (OS_OBJECT *)endpoint, name);
	}
	if (r == 0)
		r = adxi_peer_grant(peerID, entryID);
	if (r == 0 && OSMetaClassIsKindOf(((OS_OBJECT *)service)->meta, &IOUserClient_Class) &&
	    (channel = adxi_peer_channel(peerID)))
		adxi_user_client_connect((IOUserClient *)service, channel, info);
	adxi_channel_unref(channel);
	OSRelease((OS_OBJECT *)service);
	return r == 0 ? kIOReturnSuccess : r == -ENOENT ? kIOReturnOffline : kIOReturnIPCError;
}

/* ---------------------------------------------------------------------------------------------
 * Properties, devices
 */

struct ask_job {
	struct adxi_job job;
	uint64_t entry_id;
	OSObject *argument;    /* owned reference: properties, or what */
	struct OSReply *reply; /* owned */
};

static struct ask_job *
ask_new(void (*run)(struct adxi_job *), uint64_t entry_id, OSObject *argument)
{
	struct ask_job *ask = calloc(1, sizeof(*ask));

	if (!ask)
		return NULL;
	ask->job.run = run;
	ask->entry_id = entry_id;
	ask->argument = argument;
	OSRetain((OS_OBJECT *)argument);
	ask->reply = OSReplyDefer();
	adxi_job_push(&ask->job);
	return ask;
}

static void
ask_free(struct ask_job *ask)
{
	OSRelease((OS_OBJECT *)ask->argument);
	free(ask);
}

static void
properties_run(struct adxi_job *job)
{
	struct ask_job *ask = adxi_container_of(job, struct ask_job, job);
	IOService *service = adxi_process_find(ask->entry_id);
	kern_return_t ret = kIOReturnOffline;

	if (service) {
		*adxi_by_application() = true;
		ret = IOService_SetProperties(service, (OSDictionary *)ask->argument);
		*adxi_by_application() = false;
	}
	ADXHost_SetProperties_Reply(ask->reply, ret);
	OSRelease((OS_OBJECT *)service);
	ask_free(ask);
}

kern_return_t
ADXHost_SetProperties_Impl(ADXHost *self, uint64_t entryID, OSDictionary *properties)
{
	return ask_new(properties_run, entryID, (OSObject *)properties) ? kIOReturnSuccess
									: kIOReturnNoMemory;
}

static pthread_mutex_t devices_lock =
	PTHREAD_MUTEX_INITIALIZER; /* attach and detach, one at a time */

/* A host's sentence as an object, +1. text: malloc'd, taken, or NULL. */
static OSString *
problem_string(int error, char *text)
{
	OSString *string = NULL;

	if (error < 0)
		string = OSString_withCString(text ? text : strerror(-error));
	free(text);
	return string;
}

static void
attach_run(struct adxi_job *job)
{
	struct ask_job *ask = adxi_container_of(job, struct ask_job, job);
	uint64_t entry_id = 0;
	char *text = NULL;

	pthread_mutex_lock(&devices_lock);
	int r = ops->attach(ops_userdata, OSString_getCStringNoCopy((OSString *)ask->argument),
			    &entry_id, &text);
	pthread_mutex_unlock(&devices_lock);
	OSString *problem = problem_string(r, text);
	ADXHost_AttachDevice_Reply(ask->reply, kIOReturnSuccess, r < 0 ? 0 : entry_id, problem);
	OSRelease((OS_OBJECT *)problem);
	ask_free(ask);
}

static void
detach_run(struct adxi_job *job)
{
	struct ask_job *ask = adxi_container_of(job, struct ask_job, job);
	char *text = NULL;

	pthread_mutex_lock(&devices_lock);
	int r = ops->detach(ops_userdata, OSString_getCStringNoCopy((OSString *)ask->argument),
			    &text);
	pthread_mutex_unlock(&devices_lock);
	OSString *problem = problem_string(r, text);
	ADXHost_DetachDevice_Reply(ask->reply, kIOReturnSuccess, problem);
	OSRelease((OS_OBJECT *)problem);
	ask_free(ask);
}

kern_return_t
ADXHost_AttachDevice_Impl(ADXHost *self, OSString *what, uint64_t *entryID, OSString **problem)
{
	if (!what || OSString_getLength(what) == 0)
		return kIOReturnBadArgument;
	if (!ops || !ops->attach)
		return kIOReturnUnsupported;
	return ask_new(attach_run, 0, (OSObject *)what) ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
ADXHost_DetachDevice_Impl(ADXHost *self, OSString *what, OSString **problem)
{
	if (!what || OSString_getLength(what) == 0)
		return kIOReturnBadArgument;
	if (!ops || !ops->detach)
		return kIOReturnUnsupported;
	return ask_new(detach_run, 0, (OSObject *)what) ? kIOReturnSuccess : kIOReturnNoMemory;
}

/* ---------------------------------------------------------------------------------------------
 * The process
 */

static void
quit(int status)
{
	__atomic_store_n(&exit_status, status, __ATOMIC_RELEASE);
	if (ops && ops->ending)
		ops->ending(ops_userdata);
	adxi_workers_quit();
}

void
ADXHost_Exit_Impl(ADXHost *self, int32_t status)
{
	quit(status);
}

static void
dextd_gone(struct adxi_channel *channel, void *userdata, int reason)
{
	log_debug("dextd is gone");
	quit(0);
}

static const struct adxi_channel_ops dextd_ops = { .closed = dextd_gone };

static void
tell_peer_gone(struct adxi_channel *channel)
{
	if (ops && ops->peer_closed)
		ops->peer_closed(ops_userdata, channel);
}

struct check_in {
	const char *token;
	int r;
};

static void
check_in(void *context)
{
	struct check_in *call = context;
	ADXRegistry *registry = (ADXRegistry *)adxi_channel_copy_door(dextd, &ADXRegistry_Class);
	ADXHost *host = (ADXHost *)OSMetaClassAllocate(&ADXHost_Class);
	ADXServer *server = NULL;
	kern_return_t ret = kIOReturnNoMemory;

	if (registry && host && OSObject_init((OSObject *)host)) {
		adxi_process_set_dextd(registry, NULL);
		ret = ADXRegistry_CheckIn(registry, call->token, host, &server, &realm);
	}
	if (ret == kIOReturnSuccess)
		adxi_process_set_dextd(registry, server);
	OSRelease((OS_OBJECT *)server);
	OSRelease((OS_OBJECT *)host); /* dextd's right holds it */
	OSRelease((OS_OBJECT *)registry);
	call->r = ret == kIOReturnSuccess ? 0 : ret == kIOReturnBadArgument ? -EPERM : -EIO;
}

static int
connect_dextd(int socket, const char *token)
{
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	struct check_in call = { .token = token };
	int r = adxi_endpoint_connect(socket, CONNECT_TIMEOUT_MS, &endpoint);

	if (r == 0)
		r = adxi_channel_open(&endpoint, "dextd", &dextd_ops, NULL, &dextd);
	if (r == 0)
		r = adxi_workers_start();
	if (r == 0)
		r = adxi_workers_add_channel(dextd);
	/* On the Control queue: dextd's commands may come before its answer, and need what is in
	 * it. */
	if (r == 0)
		r = adxi_queue_sync(adxi_queue_control(), check_in, &call);
	return r < 0 ? r : call.r;
}

static char log_line[ADXI_LOGLINE_MAX]; /* stderr's */

/* One write a line, in the form that dextd takes apart. */
static void
tell_dextd(void *context, const char *rule_id, const char *line)
{
	(void)fprintf(stderr, ADXI_LOGLINE_FORMAT, rule_id, line);
}

int
adxi_host_start(const struct adxi_host_ops *new_ops, void *userdata)
{
	const char *fd = getenv("AMBIDEXT_SOCKET_FD"), *token = getenv("AMBIDEXT_TOKEN");
	char *end = NULL;
	long socket = fd ? strtol(fd, &end, 10) : -1;

	if (dextd)
		return -EALREADY;
	if (!fd || !token || *end || end == fd || socket < 0 || socket > INT_MAX) {
		(void)fprintf(stderr,
			      "%s is started by dextd: load a driver's bundle with `dext load`, or "
			      "try it with `dext "
			      "realm run`\n",
			      program_invocation_short_name);
		return -EINVAL;
	}
	ops = new_ops;
	ops_userdata = userdata;
	adxi_peers_on_gone(tell_peer_gone);
	/* A buffer of its own: stdio would allocate one, perhaps in the handler of a fault in malloc. */
	(void)setvbuf(stderr, log_line, _IOLBF, sizeof(log_line));
	adxi_tell_set_sink(tell_dextd, NULL);
	adxi_fault_install();
	int r = connect_dextd((int)socket, token);
	if (r < 0)
		(void)fprintf(stderr, "%s: dextd does not take this process: %s\n",
			      program_invocation_short_name,
			      r == -EPERM ? "it does not know its token" : strerror(-r));
	return r;
}

int
adxi_host_run(void)
{
	adxi_workers_join();
	/* What a driver does in this moment, its last free() perhaps, is done to its end; one that
	 * hangs ends the process. */
	(void)alarm(EXIT_GRACE_S);
	adxi_workers_stop();
	if (!ops) /* a driver's: hosts end with what they hold */
		adxi_peers_report();
	return __atomic_load_n(&exit_status, __ATOMIC_ACQUIRE);
}

extern void __lsan_do_leak_check(void) __attribute__((weak));

void
adxi_host_exit(int status)
{
	(void)fflush(NULL);
	adxi_ledger_end();
	if (__lsan_do_leak_check)
		__lsan_do_leak_check();
	_exit(status);
}

struct adxi_channel *
adxi_host_caller(void)
{
	return adxi_runtime_caller();
}

/* ---------------------------------------------------------------------------------------------
 * Nubs
 */

/* The object is an entry now, and hosted. */
static kern_return_t
host_nub(IOService *nub, uint64_t entry_id)
{
	adxi_service_set_entry_id(nub, entry_id);
	__atomic_or_fetch(&((OS_OBJECT *)nub)->flags, OS_OBJECT_HOSTED, __ATOMIC_RELAXED);
	adxi_service_set_state(nub, SERVICE_STARTING);
	adxi_service_set_state(nub, SERVICE_STARTED);
	if (adxi_process_add(entry_id, nub) == 0)
		return kIOReturnSuccess;
	(void)ADXServer_Terminate(adxi_process_server(), entry_id, 0);
	return kIOReturnNoMemory;
}

IOReturn
adxi_host_publish(IOService *nub, IOService *provider, const char *name, const char *location,
		  OSDictionary *properties, uint64_t *ret_entry)
{
	ADXServer *server = adxi_process_server();
	const struct OSMetaClass *meta = ((OS_OBJECT *)nub)->meta;
	OSString *name_string = OSString_withCString(name ? name : meta->name);
	OSString *location_string = location ? OSString_withCString(location) : NULL;
	OSArray *classes = adxi_class_names(meta);
	uint64_t entry_id = 0;
	IOReturn ret = server ? kIOReturnSuccess : kIOReturnOffline;

	if (!name_string || !classes || (location && !location_string))
		ret = kIOReturnNoMemory;
	if (ret == kIOReturnSuccess)
		ret = ADXServer_Publish(server, provider ? adxi_service_entry_id(provider) : 0,
					classes, NULL, name_string, location_string, properties,
					&entry_id);
	if (ret == kIOReturnSuccess)
		ret = host_nub(nub, entry_id);
	if (ret == kIOReturnSuccess && ret_entry)
		*ret_entry = entry_id;
	OSRelease((OS_OBJECT *)classes);
	OSRelease((OS_OBJECT *)name_string);
	OSRelease((OS_OBJECT *)location_string);
	return ret;
}

IOReturn
adxi_host_set_properties(IOService *nub, OSDictionary *properties)
{
	ADXServer *server = adxi_process_server();

	return server ? ADXServer_SetProperties(server, adxi_service_entry_id(nub), properties)
		      : kIOReturnOffline;
}

IOReturn
adxi_host_terminate(IOService *nub)
{
	return IOService_Terminate(nub, 0);
}
