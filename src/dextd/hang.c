/* SPDX-License-Identifier: MIT */
/* Hosted processes that do not go on. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Ambidext/ADXHost.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/rules.h"
#include "dextd/realm.h"

#define LOG_TOPIC "dextd.hang"
#include "base/log.h"

#define ANSWER_NS                                                                                  \
	(ADXI_NS_PER_S /                                                                           \
	 2) /* a Ping is answered within this, or within the limit if that is less */

static const unsigned hang_moves[HANG_STATE_COUNT] = {
	[HANG_QUIET] = 1u << HANG_ASKED,
	[HANG_ASKED] = 1u << HANG_QUIET | 1u << HANG_HUNG,
	[HANG_HUNG] = 1u << HANG_QUIET,
};

static void
hang_move(struct server *server, enum hang_state next)
{
	adxi_assert(hang_moves[server->hang.state] & 1u << next);
	server->hang.state = next;
	server->hang.last = false;
	server->hang.timer = adxi_source_remove(server->hang.timer);
}

static void
arm(struct server *server, uint64_t delay_ns, adxi_timer_fn *fn)
{
	server->hang.timer = adxi_source_remove(server->hang.timer);
	(void)adxi_loop_add_timer(server->realm->loop, adxi_deadline_ns(delay_ns), fn, server,
				  &server->hang.timer);
}

static void ask(struct server *server);
static void limit_passed(struct adxi_source *source, void *userdata);

static void
kill_hung(struct server *server)
{
	adxi_tell(ADXI_RULE_SUP004, "process %d of %s has hung for %llu ms: %s", (int)server->pid,
		  server->name, (adxi_now_ns() - server->hang.noticed_ns) / ADXI_NS_PER_MS,
		  server->hang.what);
	server_kill(server, ENDING_HUNG);
	server_gone(server);
}

static void
hung(struct server *server, enum adxi_rule rule)
{
	uint64_t kill_ns = server->realm->config.hang_kill_ns;

	hang_move(server, HANG_HUNG);
	server->hang.noticed_ns = adxi_now_ns();
	adxi_tell(rule, "process %d of %s: %s", (int)server->pid, server->name, server->hang.what);
	if (kill_ns)
		arm(server, kill_ns, limit_passed);
}

static void
goes_on(struct server *server)
{
	if (server->hang.state == HANG_HUNG)
		realm_log(server->realm, server, "process %d goes on after %llu ms",
			  (int)server->pid,
			  (adxi_now_ns() - server->hang.noticed_ns) / ADXI_NS_PER_MS);
	hang_move(server, HANG_QUIET);
}

static void
does_not_answer(struct adxi_source *source, void *userdata)
{
	struct server *server = userdata;
	char state = process_state(server->pid);

	server->hang.timer = adxi_source_remove(server->hang.timer);
	if (server->hang.state == HANG_HUNG) { /* asked a last time */
		kill_hung(server);
		return;
	}
	(void)snprintf(server->hang.what, sizeof server->hang.what, "it does not answer%s",
		       state == 'T'   ? ", as it is stopped (SIGSTOP)"
		       : state == 't' ? ", as a debugger has stopped it"
		       : state == 'D' ? ", as the kernel keeps it in a system call"
				      : "");
	hung(server, ADXI_RULE_SUP002);
}

/* Hung for the second limit: if it still is, it is killed, but not under a debugger's hands. */
static void
limit_passed(struct adxi_source *source, void *userdata)
{
	struct server *server = userdata;
	pid_t tracer = process_tracer(server->pid);

	if (tracer) {
		realm_log(server->realm, server,
			  "process %d hangs, and is not killed as process %d debugs it",
			  (int)server->pid, (int)tracer);
		arm(server, server->realm->config.hang_kill_ns, limit_passed);
	} else if (server->hang.asking) {
		kill_hung(server);
	} else {
		server->hang.last = true;
		ask(server);
	}
}

static void
answered(void *context, IOReturn status, uint64_t stuck_ms, OSString *what)
{
	struct server *server = context;
	struct hang *hang = &server->hang;
	uint64_t stuck_ns = stuck_ms * ADXI_NS_PER_MS;

	hang->asking = false;
	if (status == kIOReturnSuccess && server->state == SERVER_RUNNING) {
		if (stuck_ms > UINT64_MAX / ADXI_NS_PER_MS)
			stuck_ns = UINT64_MAX;
		/* The caller has waited for the whole limit; the watch may have begun somewhat
		 * later. */
		if (stuck_ns < server->realm->config.hang_ns / 2 ||
		    (hang->last && stuck_ns < adxi_now_ns() - hang->noticed_ns)) {
			goes_on(server);
		} else if (hang->state == HANG_ASKED) {
			(void)snprintf(hang->what, sizeof hang->what,
				       "%s has not moved for %llu ms",
				       value_cstr(what) ? value_cstr(what) : "something",
				       (unsigned long long)stuck_ms);
			hung(server, ADXI_RULE_SUP001);
		} else if (hang->last) {
			kill_hung(server);
		}
	}
	server_unref(server);
}

static void
ask(struct server *server)
{
	struct ADXHost *host = server_host(server);
	uint64_t limit_ns = server->realm->config.hang_ns;

	if (!host)
		return;
	server->hang.asking = true;
	if (ADXHost_Ping_Async(host, answered, server_ref(server)) != kIOReturnSuccess) {
		server->hang.asking = false;
		server_unref(server);
		return;
	}
	if (server->hang.state == HANG_QUIET)
		hang_move(server, HANG_ASKED);
	arm(server, limit_ns < ANSWER_NS ? limit_ns : ANSWER_NS, does_not_answer);
}

void
hang_check(struct server *server)
{
	if (server->state == SERVER_RUNNING && server->hang.state == HANG_QUIET &&
	    !server->hang.asking && server->realm->config.hang_ns)
		ask(server);
}

/* ---------------------------------------------------------------------------------------------
 * What dextd waits for
 */

static bool
is_awaited(const struct server *server)
{
	const struct service *service;

	ADXI_LIST_EACH(service, &server->services, server_link)
		if (service->start_pending || service->n_openings > 0)
			return true;
	return false;
}

/* Twice within the limit: the process counts from the first time that it is asked. */
static void
still_expects(struct adxi_source *source, void *userdata)
{
	struct server *server = userdata;

	server->hang.expects = adxi_source_remove(server->hang.expects);
	if (!is_awaited(server))
		return;
	hang_check(server);
	hang_expect(server);
}

void
hang_expect(struct server *server)
{
	if (!server->hang.expects && server->state == SERVER_RUNNING &&
	    server->realm->config.hang_ns)
		(void)adxi_loop_add_timer(server->realm->loop,
					  adxi_deadline_ns(server->realm->config.hang_ns / 2),
					  still_expects, server, &server->hang.expects);
}

void
hang_end(struct server *server)
{
	server->hang.timer = adxi_source_remove(server->hang.timer);
	server->hang.expects = adxi_source_remove(server->hang.expects);
}
