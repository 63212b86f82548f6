/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * A JWK Set of a client. What is taken has no private part, and the set that
 * the ring shows makes the same ring.
 */
#include "fuzz.h"

#include <string.h>

static void check_key(const rensei_ring_key_t *key)
{
    FUZZ_HOLDS(!rensei_ring_key_signs(key));
    FUZZ_HOLDS(rensei_ring_key_alg(key) != RENSEI_ALG_HS256);
    FUZZ_HOLDS(strlen(rensei_ring_key_kid(key)) > 0);
}

static void check_again(const rensei_ring_t *ring, apr_pool_t *p)
{
    json_t *shown = rensei_json_own(rensei_ring_jwks(ring), p);
    rensei_ring_t *again = NULL;
    rensei_err_t err = {0};

    FUZZ_HOLDS(shown != NULL);
    FUZZ_HOLDS(rensei_ring_create(&again, p) == APR_SUCCESS);
    FUZZ_HOLDS(rensei_ring_add_jwks(again, shown, &err) == APR_SUCCESS);
    FUZZ_HOLDS(json_equal(shown, rensei_json_own(rensei_ring_jwks(again), p)));
}

void fuzz_jwks(const char *text, apr_size_t n, apr_pool_t *p)
{
    json_t *set = NULL;
    rensei_ring_t *ring = NULL;
    rensei_err_t err = {0};
    int i;

    if (rensei_json_load(&set, text, n, p, &err) != APR_SUCCESS) {
        return;
    }
    FUZZ_HOLDS(rensei_ring_create(&ring, p) == APR_SUCCESS);
    if (rensei_ring_add_jwks(ring, set, &err) != APR_SUCCESS) {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_REQUEST && err.text);
        return;
    }
    FUZZ_HOLDS(rensei_ring_count(ring) >= 1 &&
               rensei_ring_count(ring) <= RENSEI_JWKS_KEYS_MAX);
    for (i = 0; i < rensei_ring_count(ring); i++) {
        check_key(rensei_ring_at(ring, i));
    }
    check_again(ring, p);
}
