/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What an organisation's administrators are held to when they make or change
 * a credential: the policies of the virtual host that they call. Each refusal
 * names the policy by its directive, and its value, so that the caller knows
 * what to ask for.
 *
 * A check takes the grantor, whose limits bind; NULL, and a grantor without
 * limits, are bound by none. A change is checked by what it sets alone: a
 * credential from before a policy can still be renamed, or given an owner.
 */
#ifndef RENSEI_LIMITS_H
#define RENSEI_LIMITS_H

#include "rensei_scope.h"
#include "rensei_store.h"

/* The directives, as refusals and configtest call them. */
#define RENSEI_LIMITS_KEY_AGE "RenseiMaxKeyAge"
#define RENSEI_LIMITS_TOKEN_LIFETIME "RenseiMaxTokenLifetime"
#define RENSEI_LIMITS_CREDENTIALS "RenseiMaxCredentials"
#define RENSEI_LIMITS_REQUIRE_OWNER "RenseiRequireOwner"
#define RENSEI_LIMITS_REQUIRE_EXPIRY "RenseiRequireExpiry"

typedef struct rensei_limits_t {
    apr_int64_t key_age;        /* RenseiMaxKeyAge, ms; 0: any */
    apr_int64_t token_lifetime; /* RenseiMaxTokenLifetime, s; 0: any */
    apr_int64_t credentials;    /* RenseiMaxCredentials of an organisation */
    int owner;                  /* RenseiRequireOwner */
    int expiry;                 /* RenseiRequireExpiry */
} rensei_limits_t;

/** Which of a credential's members are new: all, of a new one; of an old one
 * those that a change sets. */
#define RENSEI_LIMIT_OWNER 1
#define RENSEI_LIMIT_EXPIRY 2
#define RENSEI_LIMIT_LIFETIME 4
#define RENSEI_LIMIT_ALL 7

/** A key that is made or changed. Owner, expiry, and its age: a key without
 * an end would grow older than any.
 * @param what of RENSEI_LIMIT_…
 * @param expires_at epoch ms, 0: never
 * @param now epoch ms
 * @return err INVALID_REQUEST naming owner or expiresAt */
apr_status_t rensei_limits_key(const rensei_grantor_t *by, unsigned what,
                               const char *owner, apr_int64_t expires_at,
                               apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err);

/** A key that gets a new secret, and keeps its end: one that may not be made
 * like this any more may not be prolonged either.
 * @return err FORBIDDEN, as no field of the request would satisfy it */
apr_status_t rensei_limits_rotate(const rensei_grantor_t *by,
                                  apr_int64_t expires_at, apr_int64_t now,
                                  apr_pool_t *p, rensei_err_t *err);

/** A client that is made or changed: owner, expiry, the lifetime of its
 * tokens.
 * @param token_lifetime seconds, 0: the virtual host's
 * @return err INVALID_REQUEST naming owner, expiresAt or tokenLifetime */
apr_status_t rensei_limits_client(const rensei_grantor_t *by, unsigned what,
                                  const char *owner, apr_int64_t expires_at,
                                  apr_int64_t token_lifetime, apr_pool_t *p,
                                  rensei_err_t *err);

/** Has the organisation room for one credential more? Counts its clients and
 * keys that are not revoked, nor expired. To be called in the transaction that
 * adds the one (or makes an expired one live again), before it does: the
 * organisation's row stays locked until the end of it, so that of several at
 * the same time none counts too few.
 * @return err FORBIDDEN; NOT_FOUND: no such organisation */
apr_status_t rensei_limits_count(const rensei_grantor_t *by, rensei_store_t *st,
                                 const char *org, apr_pool_t *p,
                                 rensei_err_t *err);

/** Seconds that a token may live which would live so long.
 * @param l NULL: no limit */
apr_int64_t rensei_limits_lifetime(const rensei_limits_t *l,
                                   apr_int64_t seconds);

#endif
