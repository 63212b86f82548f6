/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Identifiers, secrets, and the digests under which secrets are stored: what
 * each looks like, how one is made, how one is told from another.
 */
#ifndef RENSEI_ID_H
#define RENSEI_ID_H

#include "rensei_err.h"
#include "rensei_sys.h"

typedef enum {
    RENSEI_ID_CLIENT,    /* m2m_ + 32 hex */
    RENSEI_ID_KEY,       /* key_ + ULID */
    RENSEI_ID_WORKER,    /* wkr_ + ULID */
    RENSEI_ID_ORG,       /* org_ + ULID */
    RENSEI_ID_WORKSPACE, /* ws_ + ULID */
    RENSEI_ID_EVENT,     /* evt_ + ULID */
    RENSEI_ID_TOKEN      /* tok_ + ULID: the jti of a token of ours */
} rensei_id_e;

typedef enum {
    RENSEI_SECRET_CLIENT, /* m2ms_ + 64 hex */
    RENSEI_SECRET_KEY     /* rsk_live_ + 64 hex */
} rensei_secret_e;

#define RENSEI_API_KEY_MARK "rsk_"
#define RENSEI_API_KEY_LEN 73    /* rsk_live_ + 64 */
#define RENSEI_KEY_PREFIX_LEN 13 /* what of a key is stored in the clear */
#define RENSEI_ID_LEN_MAX 64

/** A new identifier in p. Fails only when there is no randomness (err
 * UNAVAILABLE). ULIDs of one process sort by the millisecond they were made.
 */
apr_status_t rensei_id_new(const char **out, rensei_id_e type,
                           const rensei_sys_t *sys, apr_pool_t *p,
                           rensei_err_t *err);

/** As rensei_id_new, of a time given (epoch ms) for those that have one. */
apr_status_t rensei_id_new_at(const char **out, rensei_id_e type,
                              apr_int64_t ms, const rensei_sys_t *sys,
                              apr_pool_t *p, rensei_err_t *err);

/** The time (epoch ms) that is in an identifier of that type.
 * @return 1, or 0 where s[0..n) is none, or its type has none */
int rensei_id_time(apr_int64_t *ms, rensei_id_e type, const char *s,
                   apr_size_t n);

/** Is s[0..n) an identifier of that type, letter by letter (hex in lower
 * case, Crockford base 32 in upper case)? */
int rensei_id_valid(rensei_id_e type, const char *s, apr_size_t n);

/** Is s[0..n) fit to be an identifier from outside at all: 1 to
 * RENSEI_ID_LEN_MAX of A-Z a-z 0-9 _ - . : ? Such a value can go into a
 * header, a log or an environment as it is. */
int rensei_id_safe(const char *s, apr_size_t n);

/** A new secret in p: 32 random bytes behind its mark. The pool clears it
 * (OPENSSL_cleanse) when it goes. */
apr_status_t rensei_secret_new(const char **out, rensei_secret_e type,
                               const rensei_sys_t *sys, apr_pool_t *p,
                               rensei_err_t *err);

/** Does s[0..n) have the form of that secret? */
int rensei_secret_valid(rensei_secret_e type, const char *s, apr_size_t n);

#define RENSEI_DIGEST_LEN 71 /* "sha256$" + 64 hex */

/** The digest under which a secret is stored, "sha256$" and 64 hex digits,
 * with a NUL. Secrets of ours are 256 random bits, so a fast hash is the
 * right one: there is nothing to guess. Should OpenSSL fail, out is empty,
 * which no secret ever matches. */
void rensei_digest(char out[RENSEI_DIGEST_LEN + 1], const char *secret,
                   apr_size_t n);

/** Compares a stored digest with that of a presented secret (rensei_digest) in
 * constant time. Pass stored = NULL for an owner who does not exist: it then
 * costs the same and is false. */
int rensei_digest_same(const char *stored,
                       const char digest[RENSEI_DIGEST_LEN + 1]);

#endif
