/* SPDX-License-Identifier: MIT */
/* The connection to the realm's dextd, and receiving on every channel of the process. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <Ambidext/ADXObserver.h>

#include "base/check.h"
#include "base/rules.h"
#include "iokit/iokit.h"

#define SYSTEM_REALM       "/run/ambidext"
#define CONNECT_TIMEOUT_MS 5000
#define MAX_CHANNELS       4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct adxi_channel *channel;  /* owned reference: to dextd */
static ADXRegistry *registry;         /* owned reference: proxy of its door */
static ADXObserver *observer;         /* owned reference: ours, kept over reconnects */
static struct adxi_channel **watched; /* owned references */
#define RECEIVE_BUDGET 64u /* messages of a channel, then callbacks run */

static unsigned n_watched, watched_capacity;
static int receive_fd = -1;           /* owned: epoll over all channels */
static pid_t owner;                   /* the process that connected; a fork starts anew */

static int
receive_fd_locked(void)
{
	if (receive_fd < 0)
		receive_fd = epoll_create1(EPOLL_CLOEXEC);
	return receive_fd;
}

static int
watch_locked(struct adxi_channel *added)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = added };

	if (n_watched == watched_capacity) {
		unsigned n = watched_capacity ? watched_capacity * 2 : 16;
		struct adxi_channel **bigger =
			n > MAX_CHANNELS ? NULL : realloc(watched, n * sizeof(struct adxi_channel *));
		if (!bigger)
			return -ENOMEM;
		watched = bigger;
		watched_capacity = n;
	}
	if (receive_fd_locked() < 0 ||
	    epoll_ctl(receive_fd, EPOLL_CTL_ADD, adxi_channel_fd(added), &event) < 0)
		return -errno;
	watched[n_watched++] = adxi_channel_ref(added);
	return 0;
}

static void
unwatch_locked(struct adxi_channel *removed)
{
	for (unsigned i = 0; i < n_watched; i++) {
		if (watched[i] == removed) {
			(void)epoll_ctl(receive_fd, EPOLL_CTL_DEL, adxi_channel_fd(removed), NULL);
			watched[i] = watched[--n_watched];
			adxi_channel_unref(removed);
			return;
		}
	}
}

int
iokit_watch_channel(struct adxi_channel *added)
{
	pthread_mutex_lock(&lock);
	int r = watch_locked(added);
	pthread_mutex_unlock(&lock);
	return r;
}

void
iokit_unwatch_channel(struct adxi_channel *removed)
{
	pthread_mutex_lock(&lock);
	unwatch_locked(removed);
	pthread_mutex_unlock(&lock);
}

int
iokit_receive_fd(void)
{
	pthread_mutex_lock(&lock);
	int fd = receive_fd_locked();
	pthread_mutex_unlock(&lock);
	return fd;
}

void
iokit_receive(void)
{
	struct adxi_channel *ready[64];
	struct epoll_event events[64];
	unsigned n_ready = 0;
	int n, fd = iokit_receive_fd();

	if (fd < 0)
		return;
	n = epoll_wait(fd, events, 64, 0);
	/* An event may name a channel that another thread has just unwatched: only what is still listed is used. */
	pthread_mutex_lock(&lock);
	for (int i = 0; i < n; i++)
		for (unsigned j = 0; j < n_watched; j++)
			if (watched[j] == events[i].data.ptr) {
				ready[n_ready++] = adxi_channel_ref(watched[j]);
				break;
			}
	pthread_mutex_unlock(&lock);
	/* What is left, of these and of others, keeps the descriptor readable: callbacks run first, while what they need is in the
	 * processor's cache, and channels that are never empty do not keep them from running. */
	for (unsigned i = 0; i < n_ready; i++) {
		if (adxi_channel_dispatch(ready[i], RECEIVE_BUDGET) == -EPIPE)
			iokit_unwatch_channel(ready[i]);
		adxi_channel_unref(ready[i]);
	}
}

/* A child of fork() shares the parent's descriptors and rings: it may use neither. */
static void
forget_parent_locked(void)
{
	if (owner == 0 || owner == getpid())
		return;
	channel = NULL;
	registry = NULL;
	observer = NULL;
	watched = NULL;
	n_watched = watched_capacity = 0;
	receive_fd = -1;
}

static int
connect_socket(const char *realm)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/dextd.sock", realm);

	if (n < 0 || (size_t)n >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/* Our explanations go to the realm's log as well; never from inside a call that already holds the session. */
static void
tell_dextd(void *context, const char *rule_id, const char *line)
{
	static _Thread_local bool telling;
	ADXRegistry *to = NULL;

	if (telling || pthread_mutex_trylock(&lock) != 0)
		return;
	if (registry && owner == getpid()) {
		to = registry;
		OSRetain((OSMetaClassBase *)to);
	}
	pthread_mutex_unlock(&lock);
	if (!to)
		return;
	telling = true;
	CFStringRef rule = CFStringCreateWithCString(NULL, rule_id ? rule_id : "", kCFStringEncodingUTF8);
	CFStringRef text = CFStringCreateWithCString(NULL, line, kCFStringEncodingUTF8);
	if (rule && text)
		ADXRegistry_Log(to, (OSString *)rule, (OSString *)text);
	if (rule)
		CFRelease(rule);
	if (text)
		CFRelease(text);
	OSRelease((OSMetaClassBase *)to);
	telling = false;
}

static int
connect_locked(void)
{
	const char *realm = getenv("AMBIDEXT_REALM");
	struct adxi_endpoint endpoint = ADXI_ENDPOINT_NONE;
	int r;

	if (!realm || !*realm)
		realm = SYSTEM_REALM;
	r = connect_socket(realm);
	if (r >= 0)
		r = adxi_endpoint_connect(r, CONNECT_TIMEOUT_MS, &endpoint);
	if (r >= 0)
		r = adxi_channel_open(&endpoint, "dextd", NULL, NULL, &channel);
	if (r < 0) {
		(void)adxi_tell(ADXI_RULE_CLI001, "no dextd answers at %s/dextd.sock: %s", realm, strerror(-r));
		return r;
	}
	registry = (ADXRegistry *)adxi_channel_copy_door(channel, gADXRegistryMetaClass);
	if (!observer)
		observer = (ADXObserver *)OSMetaClassAllocate(gADXObserverMetaClass);
	r = registry && observer ? watch_locked(channel) : -ENOMEM;
	if (r < 0) {
		OSRelease((OSMetaClassBase *)registry);
		registry = NULL;
		channel = adxi_channel_unref(channel);
		return r;
	}
	owner = getpid();
	return 0;
}

ADXRegistry *
iokit_registry(void)
{
	static bool sink_set;

	pthread_mutex_lock(&lock);
	forget_parent_locked();
	if (channel && adxi_channel_is_dead(channel)) {
		unwatch_locked(channel);
		channel = adxi_channel_unref(channel);
		/* The old proxy is kept: another thread may be in a call on it. It answers MACH_SEND_INVALID_DEST. */
		registry = NULL;
	}
	if (!channel)
		(void)connect_locked();
	ADXRegistry *ret = registry;
	bool set = ret && !sink_set;
	if (set)
		sink_set = true;
	pthread_mutex_unlock(&lock);
	if (set)
		adxi_tell_set_sink(tell_dextd, NULL);
	return ret;
}

ADXObserver *
iokit_observer(void)
{
	pthread_mutex_lock(&lock);
	ADXObserver *ret = observer;
	pthread_mutex_unlock(&lock);
	return ret;
}

void
ADXObserver_Matched_Impl(ADXObserver *self, uint64_t token, OSArray *entryIDs)
{
	if (entryIDs)
		iokit_notify_matched(token, (CFArrayRef)entryIDs);
}

void
ADXObserver_Message_Impl(ADXObserver *self, uint64_t token, uint64_t entryID, uint32_t messageType,
			 uint64_t argument, const uint8_t data[64], uint32_t dataCount)
{
	iokit_notify_message(token, entryID, messageType, argument, data, dataCount);
}

/* ---- main port ---- */

const mach_port_t kIOMainPortDefault = MACH_PORT_NULL;
const mach_port_t kIOMasterPortDefault = MACH_PORT_NULL;

static void
main_port_destroy(struct iokit_object *object)
{
	free(object);
}

kern_return_t
IOMainPort(mach_port_t bootstrapPort, mach_port_t *mainPort)
{
	struct iokit_object *object;

	if (!mainPort)
		return kIOReturnBadArgument;
	object = calloc(1, sizeof *object);
	if (!object)
		return kIOReturnNoMemory;
	iokit_object_init(object, IOKIT_MAIN_PORT, main_port_destroy);
	*mainPort = iokit_name(object);
	return *mainPort ? kIOReturnSuccess : kIOReturnNoMemory;
}

kern_return_t
IOMasterPort(mach_port_t bootstrapPort, mach_port_t *mainPort)
{
	return IOMainPort(bootstrapPort, mainPort);
}

kern_return_t
iokit_check_main_port(mach_port_t port)
{
	if (port == MACH_PORT_NULL)
		return kIOReturnSuccess;
	iokit_auto struct iokit_object *object = iokit_get(port, IOKIT_MAIN_PORT);
	return object ? kIOReturnSuccess : kIOReturnNotPrivileged;
}
