/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The PEM text of a key. One that can sign verifies what it signed, and what
 * the ring shows of it makes a ring that only verifies.
 */
#include "fuzz.h"

static void check_signs(const rensei_ring_key_t *key)
{
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t len = 0;
    rensei_err_t err = {0};

    /* A private key whose public half is not its own signs what nobody takes,
     * and a broken one does not sign. */
    if (rensei_ring_key_sign(key, sig, &len, "text", 4, &err) == APR_SUCCESS) {
        FUZZ_HOLDS(len > 0 && len <= sizeof(sig));
        FUZZ_HOLDS(rensei_ring_key_verify(key, sig, len, "test", 4) != 1);
    }
}

void fuzz_pem(const char *text, apr_size_t n, apr_pool_t *p)
{
    const rensei_ring_key_t *key;
    rensei_ring_t *ring = NULL, *other = NULL;
    rensei_err_t err = {0};
    json_t *shown;

    FUZZ_HOLDS(rensei_ring_create(&ring, p) == APR_SUCCESS);
    if (rensei_ring_add_pem(ring, text, n, NULL, NULL, &err) != APR_SUCCESS) {
        FUZZ_HOLDS(err.text && rensei_ring_count(ring) == 0);
        return;
    }
    key = rensei_ring_at(ring, 0);
    FUZZ_HOLDS(rensei_ring_count(ring) == 1);
    if (rensei_ring_key_signs(key)) {
        check_signs(key);
    }
    shown = rensei_json_own(rensei_ring_jwks(ring), p);
    FUZZ_HOLDS(shown && rensei_ring_create(&other, p) == APR_SUCCESS);
    FUZZ_HOLDS(rensei_ring_add_jwks(other, shown, &err) == APR_SUCCESS);
    FUZZ_HOLDS(!rensei_ring_key_signs(rensei_ring_at(other, 0)));
}
