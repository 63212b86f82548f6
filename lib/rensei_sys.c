/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_sys.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SMALL 16 /* bytes: an id's */

static apr_time_t machine_now(void *baton)
{
    return apr_time_now();
}

static apr_status_t draw(unsigned char *buf, apr_size_t n)
{
    if (n > INT_MAX || RAND_priv_bytes(buf, (int)n) != 1) {
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

/* OpenSSL's generator takes about as long for 16 bytes as for 500, so that
 * what is asked for in small (ids, not secrets) is drawn ahead, for each
 * thread by itself. A process that was forked has its parent's bytes, which
 * are not for it. */
static __thread struct {
    unsigned char byte[512];
    apr_size_t left; /* at the start of byte */
    pid_t pid;
} ahead;

static apr_status_t machine_random(void *baton, unsigned char *buf,
                                   apr_size_t n)
{
    if (n > SMALL) {
        return draw(buf, n);
    }
    if (ahead.left < n || ahead.pid != getpid()) {
        ahead.left = 0;
        if (draw(ahead.byte, sizeof(ahead.byte)) != APR_SUCCESS) {
            return APR_EGENERAL;
        }
        ahead.left = sizeof(ahead.byte);
        ahead.pid = getpid();
    }
    ahead.left -= n;
    memcpy(buf, ahead.byte + ahead.left, n);
    OPENSSL_cleanse(ahead.byte + ahead.left, n);
    return APR_SUCCESS;
}

const rensei_sys_t *rensei_sys_default(void)
{
    static const rensei_sys_t machine = {machine_now, machine_random, NULL};

    return &machine;
}

apr_time_t rensei_sys_elapsed(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return apr_time_from_sec(t.tv_sec) + t.tv_nsec / 1000;
}

int rensei_sys_wait(sem_t *sem, apr_time_t end)
{
    struct timespec until = {apr_time_sec(end), apr_time_usec(end) * 1000};
    int rc;

    do {
        rc = sem_clockwait(sem, CLOCK_MONOTONIC, &until);
    } while (rc != 0 && errno == EINTR);
    return rc == 0;
}

apr_int64_t rensei_sys_now_ms(const rensei_sys_t *sys)
{
    return sys->now(sys->baton) / 1000;
}
