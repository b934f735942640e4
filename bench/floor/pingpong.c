/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pingpong.h"

static void
pass(struct pingpong *link, unsigned direction, uint32_t value)
{
	atomic_store_explicit(&link->shared->turn[direction].value, value, memory_order_release);
	link->ops->tell(link, direction, value);
}

static void
serve(void *context)
{
	struct pingpong *link = context;
	size_t bytes = link->options.bytes;
	uint8_t *slots = link->shared->slots;
	uint32_t n = 0;

	for (;;) {
		link->ops->await(link, 0, ++n);
		if (bytes > 0) {
			memcpy(link->request, slots, bytes);
			memcpy(slots + bytes, link->request, bytes);
		}
		pass(link, 1, n);
	}
}

static int
call(void *context)
{
	struct pingpong *link = context;
	size_t bytes = link->options.bytes;
	uint8_t *slots = link->shared->slots;
	uint32_t n = ++link->calls;

	if (bytes > 0) {
		if (bytes >= sizeof n)
			memcpy(link->request, &n, sizeof n);
		memcpy(slots, link->request, bytes);
	}
	pass(link, 0, n);
	link->ops->await(link, 1, n);
	if (bytes == 0)
		return 0;
	memcpy(link->reply, slots + bytes, bytes);
	if (n % BENCH_CHECK_EVERY == 0) {
		link->checked++;
		if (memcmp(link->reply, link->request, bytes) != 0)
			return -EBADMSG;
	}
	return 0;
}

static void
counters(void *context, struct bench_counters *counters)
{
	struct pingpong *link = context;

	bench_count(counters, "calls", link->calls);
	bench_count(counters, "checked", link->checked);
}

int
pingpong_main(int argc, char **argv, const struct pingpong_ops *ops)
{
	struct pingpong link = { .ops = ops };
	struct bench_subject subject = { .operation = call,
					 .resume = ops->resume,
					 .pause = ops->pause,
					 .counters = counters,
					 .context = &link };
	int r;

	bench_options(&argc, argv, &link.options);
	bench_no_more_options(argc, argv);
	link.shared = bench_shared(sizeof *link.shared + 2 * link.options.bytes);
	link.request = malloc(link.options.bytes + 1);
	link.reply = malloc(link.options.bytes + 1);
	if (!link.request || !link.reply)
		bench_fail("no memory");
	bench_fill(link.request, link.options.bytes, 1);
	r = ops->open ? ops->open(&link) : 0;
	if (r < 0)
		bench_fail("%s", strerror(-r));
	bench_add_server(&subject, bench_fork(BENCH_SERVER, &link.options, serve, &link));
	bench_pin(BENCH_CLIENT, &link.options);
	return bench_main(&subject);
}
