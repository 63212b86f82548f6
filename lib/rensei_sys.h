/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The two things that a rule takes from the machine: the time and
 * randomness. They are an argument, so that a test needs no sleep and can
 * repeat itself.
 */
#ifndef RENSEI_SYS_H
#define RENSEI_SYS_H

#include <apr_errno.h>
#include <apr_time.h>
#include <semaphore.h>

typedef struct rensei_sys_t {
    /** Microseconds since the epoch. */
    apr_time_t (*now)(void *baton);
    /** Fills buf with n bytes fit for keys, or fails. */
    apr_status_t (*random)(void *baton, unsigned char *buf, apr_size_t n);
    void *baton;
} rensei_sys_t;

/** The machine's clock and OpenSSL's private generator. */
const rensei_sys_t *rensei_sys_default(void);

/** Microseconds by a clock that nobody sets, the same in all processes: for how
 * long something may take. Of no use as a time of day. */
apr_time_t rensei_sys_elapsed(void);

/** Waits for a semaphore until that moment of rensei_sys_elapsed, so that
 * nobody waits an hour because somebody put the other clock back.
 * @return 1: it is taken; 0: not in time */
int rensei_sys_wait(sem_t *sem, apr_time_t end);

/** Milliseconds since the epoch, as the store keeps times. */
apr_int64_t rensei_sys_now_ms(const rensei_sys_t *sys);

#endif
