/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * A client's assertion: HEADER LF PAYLOAD, signed here with the client's key;
 * or whatever else there is, as it is.
 */
#include "fuzz.h"
#include "rensei_assertion.h"

#include <apr_strings.h>
#include <string.h>

#define SKEW 30

static const char *const audiences[] = {
    "https://auth.example", "https://auth.example/api/oauth/token", NULL};

void fuzz_assertion(const char *text, apr_size_t n, apr_pool_t *p)
{
    static rensei_ring_t *ring;
    json_t *jwks = fuzz_value("{\"keys\":[" FUZZ_ED25519_PUBLIC "]}", p);
    const char *token;
    rensei_assertion_t found = {NULL, 0};
    rensei_err_t err = {0};

    if (!ring) {
        ring = fuzz_ring("{\"keys\":[" FUZZ_ED25519 "]}");
    }
    token = fuzz_signed(ring, text, n, p);
    if (rensei_assertion_verify(&found, token ? token : fuzz_string(text, n, p),
                                jwks, "m2m_0123456789abcdef0123456789abcdef",
                                audiences, FUZZ_NOW_S, SKEW, p,
                                &err) != APR_SUCCESS) {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_CLIENT && err.text);
        return;
    }
    FUZZ_HOLDS(token != NULL);
    FUZZ_HOLDS(found.jti && *found.jti &&
               strlen(found.jti) <= RENSEI_ASSERTION_JTI_MAX);
    FUZZ_HOLDS(found.exp > FUZZ_NOW_S &&
               found.exp <=
                   FUZZ_NOW_S + RENSEI_ASSERTION_LIFETIME_MAX + 2 * SKEW);
}
