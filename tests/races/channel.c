/* SPDX-License-Identifier: MIT */
/* Both ends of a channel: calls each way and back inside each other, posts, answers that are held,
 * objects that are kept and let go, while one end closes. Whoever sleeps for ever though something
 * is there makes the schedule a deadlock. */

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "channel/peer_test.h"

enum {
	CALLED,
	CALLED_BACK,
	DIED,
	REFUSED,
	POSTED,
	ARRIVED,
	HELD,
	ANSWERED,
	HELD_DIED,
	HELD_REFUSED,
	KEPT,
	LET_GO,
	REVOKED,
	CLOSED,
};
enum { CALLS = 4, POSTS = 12, HOLDS = 3 };

struct held {
	_Atomic unsigned n_done;
	bool accepted;
	IOReturn status;
};

static struct {
	struct end ends[2];
	struct echo *kept; /* owned: given to the other end to keep */
	struct held held[HOLDS];
	_Atomic bool closed;
	unsigned n_posted;
} now;

/* ---------------------------------------------------------------------------------------------
 * What the channel sleeps in
 */

int __real_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms);
bool __real_wake_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
bool __wrap_wake_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void __real_wake_write(int fd);
void __wrap_wake_write(int fd);
void __real_wake_word(_Atomic uint32_t *word);
void __wrap_wake_word(_Atomic uint32_t *word);
int __real_close(int fd);
int __wrap_close(int fd);

static bool
is_stepped(void)
{
	return race_is_inside() && !race_is_free();
}

int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	int r;

	if (!is_stepped())
		return __real_poll(fds, n, timeout_ms);
	while ((r = __real_poll(fds, n, 0)) == 0 && timeout_ms != 0)
		if (!race_wait(timeout_ms > 0))
			return 0;
	return r;
}

bool
__wrap_wake_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	if (!is_stepped())
		return __real_wake_wait(word, value, timeout_ns);
	while (atomic_load(word) == value)
		if (!race_wait(true))
			return false;
	return true;
}

void
__wrap_wake_write(int fd)
{
	__real_wake_write(fd);
	race_wake();
}

void
__wrap_wake_word(_Atomic uint32_t *word)
{
	__real_wake_word(word);
	race_wake();
}

int
__wrap_close(int fd)
{
	int r = __real_close(fd);

	race_wake();
	return r;
}

/* ---------------------------------------------------------------------------------------------
 * The race
 */

static bool
work(void)
{
	int n = 0;

	for (unsigned i = 0; i < 2; i++) {
		int r = adxi_channel_dispatch(now.ends[i].channel, 4);

		n += r > 0 ? r : 0;
	}
	return n > 0;
}

static bool
no_time(void)
{
	return false;
}

static void
note(IOReturn status, unsigned counter)
{
	if (status == kIOReturnSuccess) {
		race_count(counter);
		return;
	}
	race_check(now.closed, "a call was answered %#x, and nobody closed", (unsigned)status);
	race_check(status == MIG_SERVER_DIED || status == MACH_SEND_INVALID_DEST,
		   "a call was answered %#x", (unsigned)status);
	race_count(status == MIG_SERVER_DIED ? DIED : REFUSED);
}

static void
call(struct end *end)
{
	for (unsigned i = 0; i < CALLS; i++) {
		uint64_t word = race_random(1000), answer = word;
		IOReturn status;

		if (race_random(3) == 0) {
			answer = 1 + race_random(3);
			word = answer;
			status = echo_call(end->peer, ECHO_CALL_BACK, &answer, 1,
					   echo_object(end->door), NULL);
			note(status, CALLED_BACK);
			/* The other one's call may have died inside, and this one says so. */
			race_check(status != kIOReturnSuccess || answer == word, "depth %u of %u",
				   (unsigned)answer, (unsigned)word);
		} else {
			status = echo_call(end->peer, ECHO_ECHO, &answer, 1, NULL, NULL);
			note(status, CALLED);
			race_check(status != kIOReturnSuccess || answer == word,
				   "the answer is another one's");
		}
	}
}

static void
held_done(void *context, IOReturn status, const struct OSMessage *reply __attribute__((unused)))
{
	struct held *held = context;

	race_check(held->n_done == 0, "an answer came twice");
	held->status = status;
	held->n_done++;
	race_check(status == kIOReturnSuccess || now.closed, "a held call was answered %#x",
		   (unsigned)status);
	race_count(status == kIOReturnSuccess ? ANSWERED : HELD_DIED);
}

static void
hold(void)
{
	for (unsigned i = 0; i < HOLDS; i++) {
		struct OSCall call = { .target = now.ends[0].peer,
				       .method = ECHO_HOLD,
				       .name = "hold" };

		now.held[i].accepted =
			OSInvokeAsync(&call, held_done, &now.held[i]) == kIOReturnSuccess;
		race_check(now.held[i].accepted || now.closed,
			   "a call was refused, and nobody closed");
		race_count(now.held[i].accepted ? HELD : HELD_REFUSED);
		if (race_random(2))
			echo_unhold(now.ends[1].door);
	}
}

static void
post_all(void)
{
	for (unsigned i = 0; i < POSTS; i++) {
		(void)echo_post(now.ends[0].peer, i + 1);
		race_count(POSTED);
		now.n_posted++;
	}
}

static void
keep(void)
{
	IOReturn status =
		echo_call(now.ends[0].peer, ECHO_KEEP, NULL, 0, echo_object(now.kept), NULL);

	note(status, KEPT);
	if (race_random(3) == 0) {
		adxi_channel_revoke(now.ends[0].channel, echo_object(now.kept));
		race_count(REVOKED);
	}
	if (race_random(2))
		note(echo_call(now.ends[0].peer, ECHO_KEEP, NULL, 0, NULL, NULL), LET_GO);
}

static void
close_one(void)
{
	if (race_random(2) == 0)
		return;
	now.closed = true;
	adxi_channel_close(now.ends[race_random(2)].channel);
	race_count(CLOSED);
}

static void
begin(void)
{
	struct adxi_endpoint endpoints[2];

	memset(&now, 0, sizeof now);
	race_check(adxi_endpoint_pair(BELLS, endpoints) == 0, "no channel");
	end_open(&now.ends[0], &endpoints[0], "one", false);
	end_open(&now.ends[1], &endpoints[1], "other", false);
	now.kept = echo_new();
}

static void
actor(unsigned index)
{
	switch (index) {
	case 0:
		call(&now.ends[0]);
		break;
	case 1:
		call(&now.ends[1]);
		break;
	case 2:
		post_all();
		break;
	case 3:
		if (race_random(2))
			hold();
		else
			keep();
		break;
	default:
		close_one();
		break;
	}
}

static void
end(void)
{
	struct adxi_channel_stats stats;
	struct echo *other = now.ends[1].door;

	while (work())
		;
	echo_unhold(other);
	while (work())
		;
	race_check(other->posts_in_order == other->n_posts, "%u posts came, %u in order",
		   (unsigned)other->n_posts, (unsigned)other->posts_in_order);
	race_check(other->n_posts == now.n_posted || now.closed, "%u posts came of %u",
		   (unsigned)other->n_posts, now.n_posted);
	for (unsigned i = 0; i < other->n_posts; i++)
		race_count(ARRIVED);
	for (unsigned i = 0; i < 2; i++)
		adxi_channel_close(now.ends[i].channel);
	for (unsigned i = 0; i < HOLDS; i++)
		race_check(now.held[i].n_done == now.held[i].accepted, "a held call ended %u times",
			   now.held[i].n_done);
	for (unsigned i = 0; i < 2; i++) {
		adxi_channel_get_stats(now.ends[i].channel, &stats);
		race_check(stats.calls_pending == 0, "%u calls are pending",
			   (unsigned)stats.calls_pending);
		race_check(stats.exported == 0, "%u objects are still granted",
			   (unsigned)stats.exported);
		race_check(now.ends[i].closed <= 1, "closed() was told %u times",
			   (unsigned)now.ends[i].closed);
		end_close(&now.ends[i]);
	}
	race_check(OSGetRetainCount(echo_object(now.kept)) == 1, "what was kept has %u references",
		   (unsigned)OSGetRetainCount(echo_object(now.kept)));
	OSRelease(echo_object(now.kept));
	race_check(echo_count == 0, "%d objects are left", echo_count);
}

static const struct race_case race_channel = {
	.name = "channel",
	.n_actors = 5,
	.n_workers = 2,
	.begin = begin,
	.actor = actor,
	.work = work,
	.time = no_time,
	.end = end,
	.counters = { [CALLED] = "calls",
		      [CALLED_BACK] = "calls with calls inside",
		      [DIED] = "died",
		      [REFUSED] = "refused",
		      [POSTED] = "posted",
		      [ARRIVED] = "arrived",
		      [HELD] = "held",
		      [ANSWERED] = "answered late",
		      [HELD_DIED] = "died while held",
		      [HELD_REFUSED] = "hold refused",
		      [KEPT] = "objects kept",
		      [LET_GO] = "objects let go",
		      [REVOKED] = "revoked",
		      [CLOSED] = "closed" },
};

const struct race_case *const race_cases[] = { &race_channel, NULL };
