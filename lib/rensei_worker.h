/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Workers: daemons that registered with a registration key and hold runtime
 * tokens. Here is what the gateway needs to know of one.
 */
#ifndef RENSEI_WORKER_H
#define RENSEI_WORKER_H

#include "rensei_store.h"

typedef struct rensei_worker_t {
    const char *id;
    const char *org;
    const char *workspace;      /* or NULL */
    const char *key;            /* the registration key's id */
    apr_int64_t revoked_at;     /* of the worker; epoch ms, 0: live */
    int key_live;               /* its registration key counts now */
    int key_revoked;            /* it is revoked */
    apr_int64_t key_expires_at; /* of that; epoch ms, 0: never */
    int org_active;
} rensei_worker_t;

/** @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_worker_find(rensei_worker_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err);

#endif
