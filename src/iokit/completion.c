/* SPDX-License-Identifier: MIT */
/* The client's end of an asynchronous call: what a driver holds as its completion, and the callback's form. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/ledger.h"
#include "base/rules.h"
#include "iokit/connection.h"

#define MAX_ARGS 16u

struct completion_event;

struct ADXCompletion {
	OSObject super;
	struct iokit_connection *connection; /* owned reference */
	struct IONotificationPort *port;     /* owned reference */
	uint64_t reference[8];
	uint32_t selector;
	_Atomic uint32_t n_completions;
	_Atomic kern_return_t call_result;
	_Atomic adxi_ticket ticket;          /* until the client has heard of it */
	struct completion_event *_Atomic first; /* owned: of the first completion, which no lack of memory may lose */
};

struct completion_event {
	struct iokit_event event;
	uint64_t reference[8];
	uint32_t selector;
	IOReturn result;
	adxi_ticket ticket;
	uint32_t n_args;
	void *args[]; /* n_args */
};

static pthread_once_t forms_once = PTHREAD_ONCE_INIT;
static bool forms_are_told;

static void
forms_read(void)
{
	const char *text = getenv("AMBIDEXT_TELL_CALLBACKS");

	forms_are_told = text && *text;
}

/* The type of the function is not known here, so this is told for every callback, and only when asked for. */
static void
tell_form(const struct completion_event *completion)
{
	static const char *const forms[] = { "IOAsyncCallback0", "IOAsyncCallback1", "IOAsyncCallback2", "IOAsyncCallback" };

	(void)pthread_once(&forms_once, forms_read);
	if (forms_are_told)
		(void)adxi_tell(ADXI_RULE_T15, "selector %u: the driver sent %u words, so the callback is called as %s",
				completion->selector, completion->n_args, forms[completion->n_args < 3 ? completion->n_args : 3]);
}

static void
run(struct iokit_event *event)
{
	struct completion_event *completion = (struct completion_event *)event;
	struct iokit_connection *connection = (struct iokit_connection *)event->source;
	void *refcon = (void *)(uintptr_t)completion->reference[kIOAsyncCalloutRefconIndex];
	uintptr_t function = (uintptr_t)completion->reference[kIOAsyncCalloutFuncIndex];

	if (atomic_load(&connection->closed)) {
		(void)adxi_tell(ADXI_RULE_T19, "a completion for user client %#llx came after IOServiceClose: its callback is not run",
				(unsigned long long)connection->client_id);
		return;
	}
	if (!function) {
		(void)adxi_tell(ADXI_RULE_T16, "a completion for user client %#llx has no callback: reference[%d] is NULL",
				(unsigned long long)connection->client_id, kIOAsyncCalloutFuncIndex);
		return;
	}
	iokit_memory_sync(connection);
	tell_form(completion);
	adxi_ledger_close(ADXI_LEDGER_CALLBACK, completion->ticket, (uintptr_t)event, ADXI_LEDGER_DONE);
	completion->ticket = 0;
	switch (completion->n_args) {
	case 0:
		((IOAsyncCallback0)function)(refcon, completion->result);
		break;
	case 1:
		((IOAsyncCallback1)function)(refcon, completion->result, completion->args[0]);
		break;
	case 2:
		((IOAsyncCallback2)function)(refcon, completion->result, completion->args[0], completion->args[1]);
		break;
	default:
		((IOAsyncCallback)function)(refcon, completion->result, completion->args, completion->n_args);
		break;
	}
}

/* Run or not, it is over. */
static void
done(struct iokit_event *event)
{
	struct completion_event *completion = (struct completion_event *)event;

	if (completion->ticket)
		adxi_ledger_close(ADXI_LEDGER_CALLBACK, completion->ticket, (uintptr_t)event, ADXI_LEDGER_DROPPED);
}

/* The client has heard of it, or does not want to any more. Whoever says so first. */
static void
settle(struct ADXCompletion *self, enum adxi_ledger_how how)
{
	adxi_ticket ticket = atomic_exchange(&self->ticket, 0);

	if (ticket)
		adxi_ledger_close(ADXI_LEDGER_COMPLETION, ticket, (uintptr_t)self, how);
}

struct posting {
	struct ADXCompletion *self;
	IOReturn status;
	const uint64_t *data;
	uint32_t n_args;
};

static void
fill(struct iokit_event *to, void *context)
{
	struct completion_event *event = (struct completion_event *)to;
	const struct posting *posting = context;
	struct ADXCompletion *self = posting->self;

	event->event.run = run;
	event->event.done = done;
	event->event.source = iokit_ref(&self->connection->object);
	event->ticket = adxi_ledger_open(ADXI_LEDGER_CALLBACK, (uintptr_t)to);
	event->selector = self->selector;
	memcpy(event->reference, self->reference, sizeof event->reference);
	event->result = posting->status;
	event->n_args = posting->n_args;
	for (uint32_t i = 0; i < event->n_args; i++)
		event->args[i] = (void *)(uintptr_t)posting->data[i];
}

static void
post(struct ADXCompletion *self, IOReturn status, const uint64_t *data, uint32_t count)
{
	struct posting posting = { .self = self, .status = status, .data = data, .n_args = count < MAX_ARGS ? count : MAX_ARGS };
	struct completion_event *event;

	if (iokit_port_post_small(self->port, sizeof(struct completion_event) + posting.n_args * sizeof(void *), fill, &posting))
		return;
	event = atomic_exchange(&self->first, NULL);
	if (!event)
		return;
	memset(&event->event, 0, sizeof event->event);
	fill(&event->event, &posting);
	iokit_port_post(self->port, &event->event);
}

/* IOUserClient::AsyncCompletion as it arrives here, by its generated unmarshaller. */
static void
complete(struct ADXCompletion *self, OSAction *action, IOReturn status, const uint64_t *data, uint32_t count)
{
	kern_return_t result = atomic_load(&self->call_result);

	atomic_fetch_add(&self->n_completions, 1);
	if (result != kIOReturnSuccess)
		(void)adxi_tell(ADXI_RULE_T13, "selector %u completed asynchronously after its call had returned %#x", self->selector,
				(unsigned)result);
	post(self, status, data, count);
	settle(self, ADXI_LEDGER_DONE);
}

/* The driver let go of its last reference, or died. macOS says nothing then; here the client is told that it is over. */
static void
no_senders(OSMetaClassBase *object)
{
	struct ADXCompletion *self = (struct ADXCompletion *)object;

	if (atomic_load(&self->n_completions) > 0 || atomic_load(&self->call_result) != kIOReturnSuccess ||
	    atomic_load(&self->connection->closed))
		return;
	if (!adxi_tell(ADXI_RULE_T12, "the completion of selector %u on user client %#llx was released without AsyncCompletion, or its driver "
		       "ended", self->selector, (unsigned long long)self->connection->client_id))
		post(self, kIOReturnAborted, NULL, 0);
	settle(self, ADXI_LEDGER_FAILED);
}

static void
completion_free(OSObject *object)
{
	struct ADXCompletion *self = (struct ADXCompletion *)object;

	settle(self, ADXI_LEDGER_DROPPED);
	free(atomic_load(&self->first));
	if (self->connection)
		iokit_put(&self->connection->object);
	if (self->port)
		iokit_put(iokit_port_object(self->port));
	((const struct OSObject_Ops *)OSObject_Class.ops)->free(object);
}

static struct OSObject_Ops completion_ops = { .free = completion_free };
static const struct OSClassHooks completion_hooks = { .no_senders = no_senders, .immediate = true };
static const struct OSMethod completion_methods[] = {
	{ .id = IOUserClient_AsyncCompletion_ID, .name = "IOUserClient::AsyncCompletion", .impl = (void (*)(void))complete,
	  .invoke = IOUserClient_AsyncCompletion_Invoke, .flags = OS_METHOD_ONEWAY | OS_METHOD_TARGET },
};
static struct OSMetaClass ADXCompletion_Class = {
	.abi = OS_METACLASS_ABI,
	.name = "ADXCompletion",
	.super = &OSObject_Class,
	.instance_size = sizeof(struct ADXCompletion),
	.ops_size = sizeof completion_ops,
	.ops = (void **)&completion_ops,
	.methods = completion_methods,
	.n_methods = 1,
	.hooks = &completion_hooks,
	.remote_name = "OSAction",
};

OS_OBJECT *
iokit_completion_new(struct iokit_connection *connection, struct IONotificationPort *port, const uint64_t reference[8],
		     uint32_t selector)
{
	OSMetaClassRegister(&ADXCompletion_Class);
	struct ADXCompletion *self = (struct ADXCompletion *)OSMetaClassAllocate(&ADXCompletion_Class);
	struct completion_event *first = self ? malloc(sizeof *first + MAX_ARGS * sizeof first->args[0]) : NULL;
	if (!first) {
		OSRelease((OS_OBJECT *)self);
		return NULL;
	}
	atomic_init(&self->first, first);
	iokit_ref(&connection->object);
	iokit_ref(iokit_port_object(port));
	self->connection = connection;
	self->port = port;
	self->selector = selector;
	memcpy(self->reference, reference, sizeof self->reference);
	self->reference[kIOAsyncReservedIndex] = 0;
	atomic_init(&self->ticket, adxi_ledger_open(ADXI_LEDGER_COMPLETION, (uintptr_t)self));
	return (OSMetaClassBase *)self;
}

void
iokit_completion_called(OS_OBJECT *completion, kern_return_t result)
{
	struct ADXCompletion *self = (struct ADXCompletion *)completion;

	if (!self)
		return;
	atomic_store(&self->call_result, result);
	if (result != kIOReturnSuccess && atomic_load(&self->n_completions) > 0)
		(void)adxi_tell(ADXI_RULE_T13, "selector %u completed asynchronously and then its call returned %#x", self->selector,
				(unsigned)result);
}
