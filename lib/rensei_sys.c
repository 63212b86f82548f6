/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_sys.h"

#include <limits.h>
#include <openssl/rand.h>
#include <time.h>

static apr_time_t machine_now(void *baton)
{
    return apr_time_now();
}

static apr_status_t machine_random(void *baton, unsigned char *buf,
                                   apr_size_t n)
{
    if (n > INT_MAX || RAND_priv_bytes(buf, (int)n) != 1) {
        return APR_EGENERAL;
    }
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

apr_int64_t rensei_sys_now_ms(const rensei_sys_t *sys)
{
    return sys->now(sys->baton) / 1000;
}
