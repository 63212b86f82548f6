/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Introspection and revocation of what a caller presents: what a token or an
 * API key is worth at this moment (RFC 7662), and the end of a token before
 * its time (RFC 7009). The store is asked each time: nothing here is cached,
 * and what was revoked a moment ago is not active.
 *
 * A caller sees his own organisation's credentials. Another's are to him as
 * what never was one: not active, and nothing to revoke.
 */
#ifndef RENSEI_INTROSPECT_H
#define RENSEI_INTROSPECT_H

#include "rensei_grant.h"
#include "rensei_principal.h"

/** What a credential turned out to be. */
typedef struct rensei_inspected_t {
    int active;         /* 0: the rest says nothing */
    rensei_kind_e kind; /* M2M, KEY, WORKER */
    rensei_class_e cls;
    const char *sub;        /* m2m_… key_… wkr_… */
    const char *workspace;  /* or NULL */
    const char *jti;        /* or NULL */
    rensei_scopes_t scopes; /* what it has now */
    apr_int64_t iat, exp;   /* seconds; 0: not said, never */
    rensei_str_t payload;   /* a token's claims; n = 0 for a key */
} rensei_inspected_t;

/** Looks at a token or an API key. A token is active when its signature and
 * claims hold, for whatever audience it is; when it has not expired, to the
 * second (a difference between clocks is allowed for `nbf` and `iat` alone:
 * `exp` is by the clock of whom it came from); and when neither it nor its
 * client (or worker and registration key) nor the organisation is revoked,
 * suspended or expired.
 * @param expect its audience does not count
 * @param org the caller's: of any other, nothing is active
 * @return err UNAVAILABLE; APR_SUCCESS whatever the credential is */
apr_status_t rensei_inspect(rensei_inspected_t *out, rensei_store_t *st,
                            const rensei_ring_t *ring,
                            const rensei_expect_t *expect, const char *org,
                            rensei_str_t credential, apr_pool_t *p,
                            rensei_err_t *err);

/** What a caller asks. */
typedef struct rensei_question_t {
    const char *token;
    const char *org;          /* the caller's organisation */
    rensei_scopes_t required; /* scopes that it must have to be active */
    apr_int64_t max_age;      /* seconds since it was issued; -1: any */
} rensei_question_t;

/** Answers an introspection request (RFC 7662 2.2, docs/directives.md).
 * @param out `{"active":false}`, or all of it; a new reference
 * @return err UNAVAILABLE, INTERNAL */
apr_status_t rensei_introspect(json_t **out, rensei_store_t *st,
                               const rensei_issuer_t *iss,
                               const rensei_expect_t *expect,
                               const rensei_question_t *q, apr_pool_t *p,
                               rensei_err_t *err);

/** Who revokes: a client, its own tokens; an organisation (client NULL), all
 * of its clients' tokens, or those of a workspace's clients. */
typedef struct rensei_revoker_t {
    const char *org, *client;
    rensei_actor_t actor;
    const char *workspace; /* that an organisation's key is bound to, or NULL */
} rensei_revoker_t;

/** Revokes a token that the caller presents (RFC 7009 2), with event
 * m2m.token_revoked. What is not a live token of the caller's organisation
 * is passed over in silence (2.2).
 * @param client the client whose token was revoked, NULL where nothing was
 * @return err INVALID_GRANT for a token of another client (2.1), or of one
 *   outside of the workspace; UNSUPPORTED_TOKEN for an API key, a worker's
 *   token, a token without a jti (2.2.1); UNAVAILABLE */
apr_status_t rensei_introspect_revoke(const char **client, rensei_store_t *st,
                                      const rensei_ring_t *ring,
                                      const rensei_expect_t *expect,
                                      const rensei_revoker_t *by,
                                      const char *token, apr_pool_t *p,
                                      rensei_err_t *err);

#endif
