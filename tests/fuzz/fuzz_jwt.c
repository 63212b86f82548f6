/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * A token as it comes, against published keys. No input but one that was
 * signed by them verifies, and what does verify is written in one way only.
 */
#include "fuzz.h"
#include "rensei_b64.h"

#include <string.h>

/* RFC 7515 A.3 and A.2 */
#define ES256                                                \
    "{\"kty\":\"EC\",\"crv\":\"P-256\","                     \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RS256                                                               \
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTb"  \
    "ji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC" \
    "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z" \
    "5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5" \
    "ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk" \
    "2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}"

static rensei_ring_t *ring;

static int verifies(rensei_jws_t *out, const char *token, apr_size_t n,
                    apr_pool_t *p)
{
    rensei_err_t err = {0};
    int good = rensei_jws_verify(out, token, n, ring, p, &err) == APR_SUCCESS;

    FUZZ_HOLDS(good || (err.code == RENSEI_E_INVALID_TOKEN && err.text));
    return good;
}

/* One character more, or another one, is another token. */
static void check_altered(const char *token, apr_size_t n, apr_pool_t *p)
{
    char *other = apr_palloc(p, n + 1);
    rensei_jws_t jws;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        memcpy(other, token, n);
        other[i] = other[i] == 'A' ? 'B' : 'A';
        FUZZ_HOLDS(!verifies(&jws, other, n, p));
    }
    memcpy(other, token, n);
    other[n] = '=';
    FUZZ_HOLDS(!verifies(&jws, other, n + 1, p));
    FUZZ_HOLDS(!verifies(&jws, token, n - 1, p));
}

/* The payload is what is between the dots, and has no other spelling. */
static void check_payload(const char *token, apr_size_t n,
                          const rensei_jws_t *jws, apr_pool_t *p)
{
    const char *dot = memchr(token, '.', n);
    char *text = apr_palloc(p, RENSEI_B64URL_LEN(jws->payload.n) + 1);
    apr_size_t len = rensei_b64url_encode(text, jws->payload.p, jws->payload.n);

    FUZZ_HOLDS(dot && (apr_size_t)(token + n - dot) > len + 1);
    FUZZ_HOLDS(memcmp(dot + 1, text, len) == 0 && dot[1 + len] == '.');
}

void fuzz_jwt(const char *text, apr_size_t n, apr_pool_t *p)
{
    rensei_err_t err = {0};
    rensei_jws_t jws;

    if (!ring) {
        ring = fuzz_ring("{\"keys\":[" FUZZ_HS256 "," FUZZ_ED25519_PUBLIC
                         "," ES256 "," RS256 "]}");
    }
    if (verifies(&jws, text, n, p)) {
        FUZZ_HOLDS(jws.key != NULL);
        check_payload(text, n, &jws, p);
        check_altered(text, n, p);
    }
    rensei_jws_verify_assertion(&jws, text, n, ring, p, &err);
}
