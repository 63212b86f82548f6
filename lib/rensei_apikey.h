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
    const char *status; /* "active" "expired" "revoked" */
    apr_int64_t created_at;
    const char *created_by;
    apr_int64_t expires_at, revoked_at, last_used_at; /* epoch ms, 0: none */
    const char *revoke_reason;                        /* or NULL */
    apr_int64_t max_uses; /* 0: no limit; registration keys */
    int org_active;
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
 * gateway asks. @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_apikey_find(rensei_apikey_t *out, rensei_store_t *st,
                                const char *token, apr_size_t n, apr_pool_t *p,
                                rensei_err_t *err);

/** Notes that a key was used last at that time (ms); never moves back. No
 * event. */
apr_status_t rensei_apikey_used(rensei_store_t *st, const char *id,
                                apr_int64_t at, apr_pool_t *p,
                                rensei_err_t *err);

/** "user" to RENSEI_CLASS_USER and so on. @return 1, or 0 for no key type */
int rensei_apikey_class(rensei_class_e *out, const char *type);

/** As wire.md shows it (camelCase, ISO 8601); a new reference. token: NULL,
 * or the one to show once. */
json_t *rensei_apikey_json(const rensei_apikey_t *k, const char *token,
                           apr_pool_t *p);

#endif
