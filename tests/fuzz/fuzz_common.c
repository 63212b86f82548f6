/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "fuzz.h"
#include "rensei_b64.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

static apr_status_t string_free(void *s)
{
    free(s);
    return APR_SUCCESS;
}

const char *fuzz_string(const char *text, apr_size_t n, apr_pool_t *p)
{
    char *s = malloc(n + 1);

    FUZZ_HOLDS(s != NULL);
    memcpy(s, text, n);
    s[n] = '\0';
    apr_pool_cleanup_register(p, s, string_free, apr_pool_cleanup_null);
    return s;
}

json_t *fuzz_value(const char *text, apr_pool_t *p)
{
    rensei_err_t err = {0};
    json_t *out = NULL;

    FUZZ_HOLDS(rensei_json_load(&out, text, strlen(text), p, &err) ==
               APR_SUCCESS);
    return out;
}

/* A ring lives as long as the process, in memory that the leak checker does
 * not search. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static rensei_ring_t *ring_make(const char *jwks)
{
    rensei_err_t err = {0};
    rensei_ring_t *ring = NULL;
    apr_pool_t *p = NULL;
    json_t *key;
    size_t i;

    apr_pool_create(&p, NULL);
    FUZZ_HOLDS(rensei_ring_create(&ring, p) == APR_SUCCESS);
    json_array_foreach(json_object_get(fuzz_value(jwks, p), "keys"), i, key)
    {
        FUZZ_HOLDS(rensei_ring_add_jwk_any(ring, key, &err) == APR_SUCCESS);
    }
    return ring;
}

rensei_ring_t *fuzz_ring(const char *jwks)
{
    rensei_ring_t *ring;

    if (__lsan_disable) {
        __lsan_disable();
    }
    ring = ring_make(jwks);
    if (__lsan_enable) {
        __lsan_enable();
    }
    return ring;
}

static char *encode(char *to, const void *bytes, apr_size_t n)
{
    return to + rensei_b64url_encode(to, bytes, n);
}

const char *fuzz_signed(const rensei_ring_t *ring, const char *text,
                        apr_size_t n, apr_pool_t *p)
{
    const char *end = memchr(text, '\n', n);
    apr_size_t header = end ? (apr_size_t)(end - text) : 0, siglen = 0;
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    rensei_err_t err = {0};
    char *out, *to;

    if (!end) {
        return NULL;
    }
    out = apr_palloc(p, n * 2 + RENSEI_SIG_LEN_MAX * 2 + 8);
    to = encode(out, text, header);
    *to++ = '.';
    to = encode(to, end + 1, n - header - 1);
    FUZZ_HOLDS(rensei_ring_key_sign(rensei_ring_signer(ring), sig, &siglen, out,
                                    (apr_size_t)(to - out),
                                    &err) == APR_SUCCESS);
    *to++ = '.';
    encode(to, sig, siglen);
    return fuzz_string(out, strlen(out), p);
}
