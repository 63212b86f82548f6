/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Scopes (RFC 6749 3.3) and the vocabularies they come from. A set is short,
 * a handful of tokens, so it is an array that is searched.
 *
 * `*` means every scope of the vocabulary of the credential that holds it,
 * and nothing else: a client's `*` does not reach `org:read`. So whether a
 * scope is granted depends on three things: what is held, by which class of
 * credential, and the vocabularies. rensei_scope_granted is the one place
 * that says so.
 */
#ifndef RENSEI_SCOPE_H
#define RENSEI_SCOPE_H

#include "rensei_err.h"
#include "rensei_str.h"

#define RENSEI_SCOPES_MAX 64    /* in one set */
#define RENSEI_SCOPE_LEN_MAX 64 /* bytes of one scope */

#define RENSEI_SCOPES_M2M_DEFAULT                              \
    "workers:read workers:write sessions:read sessions:write " \
    "agents:read agents:write"
#define RENSEI_SCOPES_KEY_DEFAULT                                  \
    "sessions:read sessions:write workflows:read workflows:write " \
    "workers:register org:read org:write"
#define RENSEI_SCOPE_REGISTER "workers:register"

typedef struct rensei_scopes_t {
    int count;
    const rensei_str_t *scope;
} rensei_scopes_t;

/** Which vocabulary a credential draws from. */
typedef enum {
    RENSEI_CLASS_M2M = 0,      /* an M2M client and its tokens */
    RENSEI_CLASS_USER,         /* key of type `user` */
    RENSEI_CLASS_REGISTRATION, /* key of type `worker_registration` */
    RENSEI_CLASS_ORG,          /* key of type `org`: both lists together */
    RENSEI_CLASS_WORKER        /* a worker's runtime token: as M2M */
} rensei_class_e;

typedef struct rensei_vocab_t {
    rensei_scopes_t m2m; /* without `*` */
    rensei_scopes_t key; /* without `*` */
} rensei_vocab_t;

/** The vocabularies where RenseiScopes says nothing. */
const rensei_vocab_t *rensei_vocab_default(void);

/** Is s[0..n) a scope-token (RFC 6749 3.3: %x21 / %x23-5B / %x5D-7E), not
 * longer than RENSEI_SCOPE_LEN_MAX? `*` alone is one. */
int rensei_scope_valid(const char *s, apr_size_t n);

/** How many characters s[0..n) begins with that a scope may have. */
apr_size_t rensei_scope_span(const char *s, apr_size_t n);

/** Splits at single or several spaces; a scope given twice counts once.
 * @param out the set points into text, which must live as long as it
 * @return APR_SUCCESS (an empty text is an empty set); err with
 *   INVALID_SCOPE for a bad token or more than RENSEI_SCOPES_MAX. */
apr_status_t rensei_scopes_parse(rensei_scopes_t *out, const char *text,
                                 apr_size_t n, apr_pool_t *p,
                                 rensei_err_t *err);

/** As rensei_scopes_parse, of what rensei_scopes_text wrote: not looked at
 * once more. */
void rensei_scopes_split(rensei_scopes_t *out, const char *text, apr_size_t n,
                         apr_pool_t *p);

/** The set as text, separated by a space. */
const char *rensei_scopes_text(const rensei_scopes_t *set, apr_pool_t *p);

/** Does the set name this scope, literally? */
int rensei_scopes_has(const rensei_scopes_t *set, rensei_str_t scope);

/** Is the scope in the vocabulary of that class? `*` is in none. */
int rensei_vocab_has(const rensei_vocab_t *v, rensei_class_e cls,
                     rensei_str_t scope);

/** Is the scope in any vocabulary? What configtest asks. */
int rensei_vocab_knows(const rensei_vocab_t *v, rensei_str_t scope);

/** Does a credential of that class, holding that set, have this scope?
 * Never true of `*` itself, nor of a scope outside the class's vocabulary. */
int rensei_scope_granted(const rensei_vocab_t *v, rensei_class_e cls,
                         const rensei_scopes_t *held, rensei_str_t scope);

/** As rensei_scope_granted, of a set as rensei_scopes_text writes it. */
int rensei_scope_granted_text(const rensei_vocab_t *v, rensei_class_e cls,
                              rensei_str_t held, rensei_str_t scope);

/** What is left of `held` when its owner now has only `limit`: the scopes of
 * the one that the other also gives; `*` in both stays `*`, `*` in one gives
 * the other. Used when a client was narrowed after a token was issued. */
apr_status_t rensei_scopes_narrow(rensei_scopes_t *out,
                                  const rensei_scopes_t *held,
                                  const rensei_scopes_t *limit, apr_pool_t *p);

/** Who gives a scope away: what he holds, and as which class. An operator at
 * the machine (renseictl) is NULL where a grantor is taken, and may give
 * anything of the vocabulary, within no limits. */
typedef struct rensei_grantor_t {
    rensei_class_e cls;
    rensei_scopes_t held;
    const struct rensei_limits_t *limits; /* rensei_limits.h; NULL: none */
    const char *workspace; /* all that he gives is bound to it; NULL: to none */
} rensei_grantor_t;

/** May `by` give `want` to a credential of class `cls`? Each scope must be in
 * that class's vocabulary and granted to the giver; `*` can be given only by
 * one who holds `*`. A registration key takes `workers:register` and nothing
 * else, not even `*`; no other class takes `workers:register`; a giver with
 * `*` of class ORG may give `workers:register`.
 * @return APR_SUCCESS; err INVALID_REQUEST with field `scopes` for a scope
 *   outside the vocabulary, FORBIDDEN for one the giver lacks. */
apr_status_t rensei_scopes_assignable(const rensei_vocab_t *v,
                                      rensei_class_e cls,
                                      const rensei_scopes_t *want,
                                      const rensei_grantor_t *by, apr_pool_t *p,
                                      rensei_err_t *err);

#endif
