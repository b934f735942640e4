/* SPDX-License-Identifier: MIT */
#ifndef RACES_SEAM_H
#define RACES_SEAM_H

/**
 * @file races/seam.h
 * @brief What stands behind the functions that race.c puts in the place of pthread's, for the whole
 * process.
 */

#include <pthread.h>

/* Libraries' calls come here too. */
#define SEAM __attribute__((visibility("default")))

struct seam_real {
	int (*mutex_lock)(pthread_mutex_t *mutex);
	int (*mutex_trylock)(pthread_mutex_t *mutex);
	int (*mutex_timedlock)(pthread_mutex_t *mutex, const struct timespec *until);
	int (*mutex_unlock)(pthread_mutex_t *mutex);
	int (*cond_wait)(pthread_cond_t *cond, pthread_mutex_t *mutex);
	int (*cond_timedwait)(pthread_cond_t *cond, pthread_mutex_t *mutex,
			      const struct timespec *until);
	int (*cond_signal)(pthread_cond_t *cond);
	int (*cond_broadcast)(pthread_cond_t *cond);
	int (*create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
		      void *context);
	int (*detach)(pthread_t thread);
	int (*once)(pthread_once_t *once, void (*run)(void));
};

/** A sanitizer's functions where it has them, or else the C library's. Good from the first call of
 * any of them on. */
extern const struct seam_real seam_real;

#endif /* RACES_SEAM_H */
