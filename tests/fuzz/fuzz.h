/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What reads bytes from outside, given any bytes at all. A target is one
 * function; what must hold of every input is asserted in it, so that it finds
 * more than crashes. fuzz_engine.c hands it to libFuzzer, fuzz_replay.c gives
 * it the inputs that were kept.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "rensei_jwt.h"

#define TARGET(name) \
    void fuzz_##name(const char *text, apr_size_t n, apr_pool_t *p);
#include "targets.def"
#undef TARGET

/** The time at which tokens are looked at: 2026-01-31T12:00:00Z. */
#define FUZZ_NOW_S APR_INT64_C(1769860800)

/** Ends the process, saying which, when it does not hold. */
#define FUZZ_HOLDS(condition)                            \
    do {                                                 \
        if (!(condition)) {                              \
            fuzz_broken(__FILE__, __LINE__, #condition); \
        }                                                \
    } while (0)

void fuzz_broken(const char *file, int line, const char *what)
    __attribute__((noreturn));

/** text[0..n) as a string that ends where its memory does, so that reading
 * on is found out; in p. */
const char *fuzz_string(const char *text, apr_size_t n, apr_pool_t *p);

/** A JSON value of text that is known to be good. */
json_t *fuzz_value(const char *text, apr_pool_t *p);

/** A ring of the keys of a JWK Set. Those of the targets are published, in
 * RFC 7515 and 8037: whatever they sign opens nothing. */
rensei_ring_t *fuzz_ring(const char *jwks);

#define FUZZ_HS256                                                      \
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQ" \
    "Lr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}"
#define FUZZ_ED25519_PUBLIC                 \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define FUZZ_ED25519                                         \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\","                  \
    "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"," \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

/** Signs "HEADER LF PAYLOAD" with the ring's key, whatever they are, so that
 * what is behind the signature is reached. NULL where there is no line feed.
 */
const char *fuzz_signed(const rensei_ring_t *ring, const char *text,
                        apr_size_t n, apr_pool_t *p);

#endif
