/* SPDX-License-Identifier: MIT */
/* The last words of a driver that crashes. */

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/rules.h"
#include "driverkit/flight.h"
#include "driverkit/underway.h"

#define LAST_WORDS_S 5u    /* to say them; the record is written before */
#define NULL_PAGE    4096u /* what is read through a NULL pointer lies here */

static const struct {
	int number;
	const char *name;
} signals[] = { { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" },   { SIGFPE, "SIGFPE" },
		{ SIGILL, "SIGILL" },   { SIGTRAP, "SIGTRAP" }, { SIGABRT, "SIGABRT" } };
#define N_SIGNALS (sizeof(signals) / sizeof(*signals))

static struct sigaction before[N_SIGNALS];

static const char *
name_of(int number)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		if (signals[i].number == number)
			return signals[i].name;
	return "a signal";
}

static void
tell_fault(int number, uintptr_t address)
{
	const struct adxi_underway now = adxi_underway_now();
	const unsigned long long at = address, selector = now.selector, size = now.input_size;
	const bool null = (number == SIGSEGV || number == SIGBUS) && address < NULL_PAGE;

	if (now.client && null && now.input == ADXI_INPUT_DESCRIPTOR)
		adxi_tell(ADXI_RULE_T4,
			  "%s at address %#llx in %s selector %llu: the input is %llu bytes, so "
			  "that it is in "
			  "structureInputDescriptor and structureInput is NULL",
			  name_of(number), at, now.client, selector, size);
	else if (now.client && null && now.input == ADXI_INPUT_NONE)
		adxi_tell(ADXI_RULE_T5,
			  "%s at address %#llx in %s selector %llu: structureInput is NULL, as the "
			  "client sent no input bytes",
			  name_of(number), at, now.client, selector);
	else if (number == SIGABRT)
		adxi_tell(ADXI_RULE_DRV002, "it aborted%s%s%s%s", now.method ? " in " : "",
			  now.method ? now.method : "", now.method ? " of a " : "",
			  now.method ? now.class_name : "");
	else if (now.client)
		adxi_tell(ADXI_RULE_DRV002,
			  "%s at address %#llx in %s selector %llu (in %s of a %s)",
			  name_of(number), at, now.client, selector, now.method, now.class_name);
	else if (now.method)
		adxi_tell(ADXI_RULE_DRV002, "%s at address %#llx in %s of a %s", name_of(number),
			  at, now.method, now.class_name);
	else
		adxi_tell(ADXI_RULE_DRV002, "%s at address %#llx outside of any method",
			  name_of(number), at);
}

/* Not all that is called here may be called in a handler, but the thread ends here in any case.
 * Returning runs the faulting instruction again, under the action that was there before: a
 * debugger, a sanitizer or the kernel has the true place. */
static void
on_fault(int number, siginfo_t *info, void *context)
{
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(signals[i].number, &before[i], NULL);
	adxi_flight_crashed(number, info, context, adxi_underway_now().method,
			    adxi_underway_flight());
	/* What tells may need a lock that this thread holds. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(LAST_WORDS_S);
	tell_fault(number, (uintptr_t)info->si_addr);
	(void)alarm(0);
	if (info->si_code <= 0) /* somebody sent it: no instruction will */
		(void)raise(number);
}

void
adxi_fault_install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	adxi_flight_open();
	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < N_SIGNALS; i++)
		(void)sigaction(signals[i].number, &action, &before[i]);
}
