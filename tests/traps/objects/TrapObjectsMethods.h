/* SPDX-License-Identifier: MIT */
#ifndef TRAP_OBJECTS_METHODS_H
#define TRAP_OBJECTS_METHODS_H

/* Selectors of TrapObjects' user client. Each plants the mistake of its trap. */
enum {
	kObjectsTypeAllocTarget, /* T27: an action whose target OSTypeAlloc made */
	kObjectsNoInit,          /* T28: the same, before init() */
	kObjectsKeepAction,      /* T29: an action in ivars that Stop leaves there */
	kObjectsNoReference,     /* T31: GetReference with referenceSize 0 */
	kObjectsCancelLate,      /* T32: Cancel when the target's queue is gone */
	kObjectsOtherAction,     /* T33: a timer's handler of another type */
	kObjectsOtherType,       /* T33: an action of the right prototype, made for another class's method */
	kObjectsNoMethod,        /* T33: an action for a method that the class has not */
	kObjectsQueueName,       /* T34: SetDispatchQueue with a name that no method uses */
	kObjectsTwoQueues,       /* T35: scalar out: whether driver and user client share a queue */
	kObjectsSyncOnItself,    /* T36: DispatchSync from the queue itself */
	kObjectsWaitOnItself,    /* T36: Wait for a callback that needs this queue */
	kObjectsSleepElsewhere,  /* T37: Sleep on a queue from outside */
	kObjectsWakeElsewhere,   /* T37: Wakeup from outside */
	kObjectsLateTimer,       /* T41: Stop leaves a timer armed */
	kObjectsLongName,        /* T42: SetName with 140 characters */
	kObjectsLongLabel,       /* T42: a string above the .iig's bound */
	kObjectsManyNumbers,     /* T42: an array above the .iig's bound */
	kObjectsRequiredCast,    /* T44: OSRequiredCast of a proxy to another class */
	kObjectsDynamicCast,     /* T44: scalar out: whether OSDynamicCast said NULL */
	kObjectsCount,
};

/* Connection types: 0 is as it should be. */
enum {
	kObjectsTypeAllocClient = 27, /* T27: NewUserClient returns what OSTypeAlloc made */
};

/* Memory types of TrapObjects' user client. */
enum {
	kObjectsMemoryOfSuper,   /* T38: calls super:: where SUPERDISPATCH is meant */
	kObjectsMemoryOfOtherClass, /* T43: returns an OSData */
};

/* Selectors of TrapPipe's user client. */
enum {
	kPipeTwice, /* T30: one action for two reads at once; T45: the pipe is never released */
	kPipeCount,
};

#endif
