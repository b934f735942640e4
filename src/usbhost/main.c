/* SPDX-License-Identifier: MIT */
/* usbhost: the process that has the USB devices. Started by dextd, which it serves as a family host. */

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rules.h"
#include "channel/channel.h"
#include "driverkit/host.h"
#include "object/containers.h"
#include "usbhost/nub.h"

#define LOG_TOPIC "usb"
#include "base/log.h"

#define USBFS "/dev/bus/usb"

static struct usbhost host;

/* Until the back ends are open, what dextd asks for waits. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool ready;
} start = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static void
wait_ready(void)
{
	(void)pthread_mutex_lock(&start.lock);
	while (!start.ready)
		(void)pthread_cond_wait(&start.cond, &start.lock);
	(void)pthread_mutex_unlock(&start.lock);
}

static void
set_ready(void)
{
	(void)pthread_mutex_lock(&start.lock);
	start.ready = true;
	(void)pthread_cond_broadcast(&start.cond);
	(void)pthread_mutex_unlock(&start.lock);
}

static int
attach(void *userdata, const char *what, uint64_t *ret_entry, char **ret_problem)
{
	struct host_device *device;
	IOUSBHostDevice *nub;
	int r;

	wait_ready();
	r = usbhost_attach(&host, what, &device, ret_problem);
	if (r < 0)
		return r;
	nub = nub_copy_device(device);
	*ret_entry = 0;
	if (nub)
		(void)IOService_GetRegistryEntryID((IOService *)nub, ret_entry); /* 0: it is going already */
	adxi_release(nub);
	(void)host_unref(device);
	return 0;
}

static int
detach(void *userdata, const char *what, char **ret_problem)
{
	wait_ready();
	return usbhost_detach(&host, what, ret_problem);
}

static bool
is_of(void *client, void *context)
{
	return adxi_channel_of(client) == context;
}

static void
peer_closed(void *userdata, struct adxi_channel *channel)
{
	usbhost_clients_gone(&host, is_of, channel);
}

static const struct adxi_host_ops host_ops = {
	.attach = attach,
	.detach = detach,
	.peer_closed = peer_closed,
};

static void
print_line(void *context, const char *rule_id, const char *line)
{
	(void)fprintf(stderr, "%s\n", line); /* dextd collects it; nobody else could be told */
}

static void
usage(FILE *to)
{
	(void)fprintf(to,
		      "usbhost [OPTION]...\n"
		      "The process that has the USB devices of a realm. dextd starts it (dextd --host usbhost).\n"
		      "\n"
		      "  --backend NAME[:OPTIONS]  where devices come from: model or libusb; may be repeated\n"
		      "                            default: model, and libusb where " USBFS " exists\n"
		      "  --help, --version\n"
		      "\n"
		      "model:clock=virtual         simulated devices whose time stands still (for tests)\n"
		      "model:models=DIR:DIR        where NAME.so is looked for\n");
}

/* Simulated devices that were installed with this program. */
static void
find_models(void)
{
	char self[PATH_MAX], path[2 * PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (length <= 0)
		return;
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	(void)snprintf(path, sizeof path, "%s/%s", *MODELS_FROM_USBHOST == '/' ? "" : self, MODELS_FROM_USBHOST);
	if (access(path, R_OK | X_OK) == 0)
		(void)setenv("AMBIDEXT_MODELS", path, 0);
}

/* One that does not start is told; the others go on. */
static unsigned
open_backends(char *const *specs, unsigned n)
{
	unsigned i, opened = 0;

	for (i = 0; i < n; i++) {
		char *text;
		int r = usbhost_add_backend(&host, specs[i], &text);

		if (text)
			adxi_log(r < 0 ? ADXI_LOG_ERROR : ADXI_LOG_WARNING, LOG_TOPIC, "%s", text);
		free(text);
		if (r == 0)
			opened++;
	}
	return opened;
}

static int
serve(char *const *specs, unsigned n)
{
	int r;

	if (!getenv("AMBIDEXT_TOKEN")) {
		(void)fprintf(stderr, "usbhost: this program is started by dextd, which tells it where to check in; "
				      "run dextd --host %s, or dext realm run\n", program_invocation_name);
		return 2;
	}
	find_models();
	nub_setup();
	usbhost_init(&host, &nub_publisher, NULL);
	r = adxi_host_start(&host_ops, NULL);
	if (r < 0)
		return 1; /* it has told why */
	if (open_backends(specs, n) == 0) {
		(void)fprintf(stderr, "usbhost: no back end could be opened, so there would never be a device\n");
		return 1;
	}
	set_ready();
	r = adxi_host_run();
	/* The kernel binds no driver of its own to what a process leaves behind by ending. */
	usbhost_give_back(&host);
	return r;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	static char model[] = "model", libusb[] = "libusb";
	char *specs[HOST_MAX_BACKENDS];
	unsigned n = 0;
	int option;

	/* Threads come and go with devices; with an arena each, what they leave free in it is kept for ever. */
	(void)mallopt(M_ARENA_MAX, 2);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			if (n == HOST_MAX_BACKENDS) {
				(void)fprintf(stderr, "usbhost: no more than %u --backend\n", HOST_MAX_BACKENDS);
				return 2;
			}
			specs[n++] = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'v':
			(void)puts("usbhost " AMBIDEXT_VERSION);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (n == 0) {
		specs[n++] = model;
		if (USBHOST_HAS_LIBUSB && access(USBFS, F_OK) == 0)
			specs[n++] = libusb;
	}
	adxi_log_setup("usbhost", ADXI_LOG_INFO);
	adxi_tell_set_sink(print_line, NULL);
	adxi_host_exit(serve(specs, n));
}
