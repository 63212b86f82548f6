/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * API keys: bearer secrets of a user, of a worker registration, or of the
 * whole organisation. As with clients, each statement is bound to the
 * caller's organisation.
 */
#ifndef RENSEI_APIKEY_H
#define RENSEI_APIKEY_H

#include "rensei_audit.h"
#include "rensei_scope.h"
#include "rensei_usage.h"

typedef struct rensei_apikey_t {
    const char *id;
    const char *org;
    const char *workspace; /* or NULL */
    const char *name;
    const char *type; /* "user" "worker_registration" "org" */
    rensei_class_e cls;
    const char *owner;   /* or NULL */
    const char *user_id; /* or NULL */
    rensei_scopes_t scopes;
    const char *prefix; /* the first RENSEI_KEY_PREFIX_LEN characters */
    const char *status; /* "active" "exhausted" "expired" "revoked" */
    apr_int64_t created_at;
    const char *created_by;
    apr_int64_t expires_at, revoked_at, last_used_at; /* epoch ms, 0: none */
    const char *revoke_reason;                        /* or NULL */
    apr_int64_t max_uses;               /* 0: no limit; registration keys */
    apr_int64_t uses;                   /* workers registered with it */
    apr_int64_t updated_at, rotated_at; /* epoch ms, 0: never */
    apr_int64_t previous_ends_at; /* when the token before this one ends, or
                                     ended; epoch ms, 0: there was none */
    const char *last_used_ip;     /* or NULL */
    apr_int64_t usage_count;
    int org_active; /* its organisation, and its workspace, are not suspended */
    const char *suspended; /* "organisation" "workspace", or NULL */
} rensei_apikey_t;

typedef struct rensei_apikey_spec_t {
    const char *name, *type, *owner, *user_id, *workspace;
    rensei_scopes_t scopes;
    apr_int64_t expires_at, max_uses; /* 0: none */
} rensei_apikey_spec_t;

/** Reads a JSON body, as rensei_client_spec_read does. An org key needs an
 * owner; a user key a userId; maxUses belongs to registration keys. */
apr_status_t rensei_apikey_spec_read(rensei_apikey_spec_t *out,
                                     const json_t *body, apr_pool_t *p,
                                     rensei_err_t *err);

/** Creates a key, with event api_key.created. @param token the key itself,
 * once, in p */
apr_status_t rensei_apikey_create(rensei_apikey_t *out, const char **token,
                                  rensei_store_t *st, const char *org,
                                  const rensei_apikey_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** Which members a rensei_apikey_patch_t sets. */
#define RENSEI_APIKEY_NAME 1
#define RENSEI_APIKEY_OWNER 2
#define RENSEI_APIKEY_SCOPES 4

/** What can be changed of a key; its type, user, workspace and expiry cannot.
 */
typedef struct rensei_apikey_patch_t {
    unsigned set; /* of RENSEI_APIKEY_…; a set owner of NULL is taken away */
    const char *name, *owner;
    rensei_scopes_t scopes;
} rensei_apikey_patch_t;

/** Reads a JSON body of one member at least: name, owner, scopes. */
apr_status_t rensei_apikey_patch_read(rensei_apikey_patch_t *out,
                                      const json_t *body, apr_pool_t *p,
                                      rensei_err_t *err);

/** Changes what patch sets, with event api_key.updated naming the fields, and
 * a change of the key's id. Scopes that it did not have must be the grantor's
 * to give; a registration key keeps workers:register alone, an org key an
 * owner.
 * @return err CONFLICT for a revoked or expired key, INVALID_REQUEST naming
 *   the field, FORBIDDEN, NOT_FOUND */
apr_status_t rensei_apikey_update(rensei_apikey_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_apikey_patch_t *patch,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

#define RENSEI_APIKEY_GRACE_MAX (30 * 86400) /* seconds */

/** Gives a key a new token, with event api_key.rotated and a change of the
 * key's id. Id, scopes and expiry stay. The token it had goes on for a grace,
 * but not past the key's own expiry.
 * Whoever gets the token has all that the key gives, so he must hold it.
 * @param token the new one, once, in p
 * @param grace_s 0 to RENSEI_APIKEY_GRACE_MAX seconds; 0: all tokens before
 *   the new one end at once
 * @return err CONFLICT for a revoked or expired key, and while an earlier
 *   grace runs unless grace_s is 0; INVALID_REQUEST naming graceSeconds,
 *   FORBIDDEN, NOT_FOUND */
apr_status_t rensei_apikey_rotate(rensei_apikey_t *out, const char **token,
                                  rensei_store_t *st, const char *org,
                                  const char *id, apr_int64_t grace_s,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

apr_status_t rensei_apikey_get(rensei_apikey_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err);

typedef struct rensei_apikey_filter_t {
    const char *name, *type, *scope, *status, *owner; /* NULL for any */
    int limit;
    const char *cursor;
} rensei_apikey_filter_t;

typedef struct rensei_apikey_page_t {
    int count;
    rensei_apikey_t *key;
    const char *next_cursor;
} rensei_apikey_page_t;

/** As rensei_client_list; a filter by type is as one by scope. */
apr_status_t rensei_apikey_list(rensei_apikey_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_apikey_filter_t *filter,
                                apr_pool_t *p, rensei_err_t *err);

/** As rensei_client_revoke; event api_key.revoked, change of the key's id. */
apr_status_t rensei_apikey_revoke(rensei_apikey_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** The key of that token, in whatever state, of any organisation: what the
 * gateway asks. Of the token before the present one, while its grace runs,
 * with the end of that as expires_at. @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_apikey_find(rensei_apikey_t *out, rensei_store_t *st,
                                const char *token, apr_size_t n, apr_pool_t *p,
                                rensei_err_t *err);

/** Adds to what is known of a key's use: count, and time and address of the
 * latest, which never move back. No event. */
apr_status_t rensei_apikey_used(rensei_store_t *st, const char *id,
                                const rensei_usage_t *usage, apr_pool_t *p,
                                rensei_err_t *err);

/** "user" to RENSEI_CLASS_USER and so on. @return 1, or 0 for no key type */
int rensei_apikey_class(rensei_class_e *out, const char *type);

/** As docs/api.md shows it (camelCase, ISO 8601); a new reference. token: NULL,
 * or the one to show once. */
json_t *rensei_apikey_json(const rensei_apikey_t *k, const char *token,
                           apr_pool_t *p);

#endif
