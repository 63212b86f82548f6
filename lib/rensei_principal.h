/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The principal: who a verified credential speaks for, and what it may do.
 * Whatever kind it came from, authorization compares this and nothing else.
 */
#ifndef RENSEI_PRINCIPAL_H
#define RENSEI_PRINCIPAL_H

#include "rensei_scope.h"

#include <jansson.h>

typedef enum {
    RENSEI_KIND_M2M = 1,   /* an M2M client's access token */
    RENSEI_KIND_KEY = 2,   /* an API key */
    RENSEI_KIND_WORKER = 4 /* a worker's runtime token */
} rensei_kind_e;           /* bits, so that a set of kinds is their sum */

typedef struct rensei_principal_t {
    rensei_kind_e kind;
    rensei_class_e cls;       /* whose vocabulary its scopes are from */
    const char *sub;          /* m2m_… key_… wkr_… */
    const char *org;          /* org_… */
    const char *workspace;    /* ws_… or NULL */
    const char *credential;   /* the key's id, the token's jti, or sub */
    rensei_scopes_t scopes;   /* what it has now */
    rensei_str_t scopes_text; /* the same, terminated; n = 0 where none wrote
                                 it down */
    apr_int64_t expires_at;   /* epoch ms, 0: never */
    /* The end of the key, or of the client or registration key behind the
     * token: epoch ms, 0: never, or not known */
    apr_int64_t owner_expires_at;
    rensei_str_t claims; /* a token's payload; n = 0 for a key, and where it
                            was not decoded */
} rensei_principal_t;

/** "m2m" "key" "worker" */
const char *rensei_kind_name(rensei_kind_e kind);

/** The reverse. @return 1, or 0 for no kind's name */
int rensei_kind_parse(rensei_kind_e *out, const char *name);

/** As GET /api/whoami shows it: kind, sub, orgId, workspaceId, scopes,
 * keyType (keys only), credential, expiresAt (ISO 8601 or null); a new
 * reference. */
json_t *rensei_principal_json(const rensei_principal_t *pr, apr_pool_t *p);

#endif
