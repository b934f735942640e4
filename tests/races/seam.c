/* SPDX-License-Identifier: MIT */
/* Behind the seams; and atomic accesses as seams, where ThreadSanitizer makes functions of them. */

#include "seam.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "race.h"

static void *
find(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (!function) {
		fprintf(stderr, "no %s\n", name);
		abort();
	}
	return function;
}

/* A sanitizer's function is called by its own name; the weak one is not there without it. */
#define BEHIND(name, parameters, arguments)                                                        \
	extern int __interceptor_pthread_##name parameters __attribute__((weak));                  \
	static int real_##name parameters                                                          \
	{                                                                                          \
		static int(*function) parameters;                                                  \
                                                                                                   \
		if (__interceptor_pthread_##name)                                                  \
			return __interceptor_pthread_##name arguments;                             \
		if (!__atomic_load_n(&function, __ATOMIC_RELAXED))                                 \
			__atomic_store_n(&function, (int(*) parameters)find("pthread_" #name),     \
					 __ATOMIC_RELAXED);                                        \
		return __atomic_load_n(&function, __ATOMIC_RELAXED) arguments;                     \
	}

BEHIND(mutex_lock, (pthread_mutex_t * mutex), (mutex))
BEHIND(mutex_trylock, (pthread_mutex_t * mutex), (mutex))
BEHIND(mutex_timedlock, (pthread_mutex_t * mutex, const struct timespec *until), (mutex, until))
BEHIND(mutex_unlock, (pthread_mutex_t * mutex), (mutex))
BEHIND(cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
BEHIND(cond_timedwait,
       (pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *until),
       (cond, mutex, until))
BEHIND(cond_signal, (pthread_cond_t * cond), (cond))
BEHIND(cond_broadcast, (pthread_cond_t * cond), (cond))
BEHIND(create,
       (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *context),
       (thread, attr, start, context))
BEHIND(detach, (pthread_t thread), (thread))
BEHIND(once, (pthread_once_t * once, void (*run)(void)), (once, run))

const struct seam_real seam_real = {
	.mutex_lock = real_mutex_lock,
	.mutex_trylock = real_mutex_trylock,
	.mutex_timedlock = real_mutex_timedlock,
	.mutex_unlock = real_mutex_unlock,
	.cond_wait = real_cond_wait,
	.cond_timedwait = real_cond_timedwait,
	.cond_signal = real_cond_signal,
	.cond_broadcast = real_cond_broadcast,
	.create = real_create,
	.detach = real_detach,
	.once = real_once,
};

#ifdef RACE_ATOMICS
/* The linker puts these in the place of __tsan_atomic…: a point before each access. The runtime's
 * orders are its own numbers. */
#define ATOMIC_OF(bits)                                                                            \
	uint##bits##_t __real___tsan_atomic##bits##_load(const volatile void *at, int order);      \
	uint##bits##_t __wrap___tsan_atomic##bits##_load(const volatile void *at, int order);      \
	uint##bits##_t __wrap___tsan_atomic##bits##_load(const volatile void *at, int order)       \
	{                                                                                          \
		race_point();                                                                      \
		return __real___tsan_atomic##bits##_load(at, order);                               \
	}                                                                                          \
	void __real___tsan_atomic##bits##_store(volatile void *at, uint##bits##_t value,           \
						int order);                                        \
	void __wrap___tsan_atomic##bits##_store(volatile void *at, uint##bits##_t value,           \
						int order);                                        \
	void __wrap___tsan_atomic##bits##_store(volatile void *at, uint##bits##_t value,           \
						int order)                                         \
	{                                                                                          \
		race_point();                                                                      \
		__real___tsan_atomic##bits##_store(at, value, order);                              \
	}
#define CHANGE_OF(bits, name)                                                                      \
	uint##bits##_t __real___tsan_atomic##bits##_##name(volatile void *at,                      \
							   uint##bits##_t value, int order);       \
	uint##bits##_t __wrap___tsan_atomic##bits##_##name(volatile void *at,                      \
							   uint##bits##_t value, int order);       \
	uint##bits##_t __wrap___tsan_atomic##bits##_##name(volatile void *at,                      \
							   uint##bits##_t value, int order)        \
	{                                                                                          \
		race_point();                                                                      \
		return __real___tsan_atomic##bits##_##name(at, value, order);                      \
	}
ATOMIC_OF(8)
ATOMIC_OF(32)
ATOMIC_OF(64)
CHANGE_OF(8, exchange)
CHANGE_OF(32, exchange)
CHANGE_OF(64, exchange)
CHANGE_OF(32, fetch_add)
CHANGE_OF(32, fetch_sub)
CHANGE_OF(32, fetch_or)
CHANGE_OF(32, fetch_and)
CHANGE_OF(64, fetch_add)
CHANGE_OF(64, fetch_sub)
#endif
