/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * M2M clients: what exchanges an id and a secret for access tokens. Each
 * function takes the organisation it works in, and the statement itself is
 * bound to it: another organisation's client is not found, as an absent one.
 */
#ifndef RENSEI_CLIENT_H
#define RENSEI_CLIENT_H

#include "rensei_audit.h"
#include "rensei_scope.h"

#define RENSEI_LIFETIME_MIN 60 /* seconds, of a client's tokens */
#define RENSEI_LIFETIME_MAX 86400
#define RENSEI_NAME_MAX 100 /* bytes */
#define RENSEI_DESCRIPTION_MAX 1000
#define RENSEI_METADATA_MAX 8192 /* bytes of trustedMetadata as JSON */

typedef struct rensei_client_t {
    const char *id;
    const char *org;
    const char *workspace; /* or NULL */
    const char *name;
    const char *description; /* or NULL */
    const char *owner;       /* or NULL */
    rensei_scopes_t scopes;
    json_t *trusted_metadata;   /* an object or NULL; the pool's */
    const char *status;         /* "active" "inactive" "expired" "revoked" */
    apr_int64_t token_lifetime; /* seconds, 0: the virtual host's */
    const char *secret_last4;
    apr_int64_t created_at, updated_at; /* epoch ms */
    const char *created_by;
    apr_int64_t expires_at, revoked_at, last_used_at; /* epoch ms, 0: none */
    const char *revoke_reason;                        /* or NULL */
    int org_active; /* its organisation is not suspended */
} rensei_client_t;

/** Which members a rensei_client_spec_t sets. */
#define RENSEI_CLIENT_NAME 0x001
#define RENSEI_CLIENT_DESCRIPTION 0x002
#define RENSEI_CLIENT_OWNER 0x004
#define RENSEI_CLIENT_SCOPES 0x008
#define RENSEI_CLIENT_METADATA 0x010
#define RENSEI_CLIENT_LIFETIME 0x020
#define RENSEI_CLIENT_EXPIRES 0x040
#define RENSEI_CLIENT_WORKSPACE 0x080
#define RENSEI_CLIENT_STATUS 0x100

/** What a caller asks for, when he creates (status not allowed) or changes
 * (workspace not allowed). */
typedef struct rensei_client_spec_t {
    unsigned set; /* of RENSEI_CLIENT_…; a set member of NULL or 0 clears */
    const char *name, *description, *owner, *workspace, *status;
    rensei_scopes_t scopes;
    json_t *trusted_metadata;
    apr_int64_t token_lifetime, expires_at;
} rensei_client_spec_t;

/** Reads a JSON body. Unknown members, wrong types, bad values are refused,
 * naming the field. expiresAt: epoch ms or an ISO 8601 string.
 * @param creating whether name and scopes are required */
apr_status_t rensei_client_spec_read(rensei_client_spec_t *out,
                                     const json_t *body, int creating,
                                     apr_pool_t *p, rensei_err_t *err);

/** Creates a client, with event m2m.client_created.
 * @param secret its secret in the clear, once, in p
 * @param by whose scopes bound those given (NULL: an operator)
 * @return err INVALID_REQUEST naming the field, FORBIDDEN for a scope that
 *   the creator lacks, NOT_FOUND for a workspace of another organisation */
apr_status_t rensei_client_create(rensei_client_t *out, const char **secret,
                                  rensei_store_t *st, const char *org,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

apr_status_t rensei_client_get(rensei_client_t *out, rensei_store_t *st,
                               const char *org, const char *id, apr_pool_t *p,
                               rensei_err_t *err);

typedef struct rensei_client_filter_t {
    const char *name, *scope, *status, *owner; /* exact; NULL for any */
    int limit;
    const char *cursor;
} rensei_client_filter_t;

typedef struct rensei_client_page_t {
    int count;
    rensei_client_t *client;
    const char *next_cursor;
} rensei_client_page_t;

/** A page, newest first; stable while clients are added or removed. */
apr_status_t rensei_client_list(rensei_client_page_t *out, rensei_store_t *st,
                                const char *org,
                                const rensei_client_filter_t *filter,
                                apr_pool_t *p, rensei_err_t *err);

/** Changes what spec sets, with event m2m.client_updated naming the fields
 * and a change of the client's id. A revoked client is not changed
 * (CONFLICT). Scopes it did not have must be the grantor's to give. */
apr_status_t rensei_client_update(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const rensei_client_spec_t *spec,
                                  const rensei_vocab_t *vocab,
                                  const rensei_grantor_t *by,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** Revokes for good, with event m2m.client_revoked and a change of the
 * client's id. Of a client revoked before, the first time and reason stand,
 * and nothing is written. */
apr_status_t rensei_client_revoke(rensei_client_t *out, rensei_store_t *st,
                                  const char *org, const char *id,
                                  const char *reason,
                                  const rensei_actor_t *actor, apr_pool_t *p,
                                  rensei_err_t *err);

/** What the gateway needs to know of a token's client, of any organisation.
 * @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_client_find(rensei_client_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err);

/** Checks an id and a secret. Unknown, wrong, revoked, suspended and expired
 * cost the same and give the same err INVALID_CLIENT, each with an event
 * m2m.auth_failed (in the client's organisation, or the system's). */
apr_status_t rensei_client_authenticate(rensei_client_t *out,
                                        rensei_store_t *st, const char *id,
                                        const char *secret,
                                        const rensei_actor_t *actor,
                                        apr_pool_t *p, rensei_err_t *err);

/** Is the client, and its organisation, fit to be used now (ms)? */
int rensei_client_usable(const rensei_client_t *c, apr_int64_t now_ms);

/** As wire.md shows it (camelCase, epoch ms), never a digest; a new
 * reference. secret: NULL, or the one to show once. */
json_t *rensei_client_json(const rensei_client_t *c, const char *secret,
                           apr_pool_t *p);

#endif
