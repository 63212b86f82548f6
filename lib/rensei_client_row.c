/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client_row.h"
#include "rensei_org.h"

#include <string.h>

/* In the order of CLIENT_COLS in rensei_sql.c. */
enum {
    COL_ID,
    COL_ORG,
    COL_WORKSPACE,
    COL_NAME,
    COL_DESCRIPTION,
    COL_OWNER,
    COL_SCOPES,
    COL_METADATA,
    COL_STATUS,
    COL_LIFETIME,
    COL_LAST4,
    COL_CREATED_AT,
    COL_UPDATED_AT,
    COL_CREATED_BY,
    COL_EXPIRES_AT,
    COL_REVOKED_AT,
    COL_LAST_USED_AT,
    COL_REVOKE_REASON,
    COL_AUTH_METHOD,
    COL_JWKS,
    COL_AUDIENCES,
    COL_NEXT_LAST4,
    COL_SECRET_EXPIRES_AT,
    COL_TOKENS_AFTER,
    COL_LAST_USED_IP,
    COL_STANDING,
    COL_DIGEST,
    COL_NEXT_DIGEST
};

static const char *status_of(const rensei_client_t *c, const char *stored,
                             apr_int64_t now)
{
    if (c->revoked_at) {
        return "revoked";
    }
    return c->expires_at && c->expires_at <= now ? "expired" : stored;
}

static void times_read(rensei_client_t *out, const rensei_rows_t *rows, int i)
{
    out->created_at = rensei_rows_int(rows, i, COL_CREATED_AT);
    out->updated_at = rensei_rows_int(rows, i, COL_UPDATED_AT);
    out->expires_at = rensei_rows_int(rows, i, COL_EXPIRES_AT);
    out->revoked_at = rensei_rows_int(rows, i, COL_REVOKED_AT);
    out->last_used_at = rensei_rows_int(rows, i, COL_LAST_USED_AT);
    out->secret_expires_at = rensei_rows_int(rows, i, COL_SECRET_EXPIRES_AT);
    out->tokens_after = rensei_rows_int(rows, i, COL_TOKENS_AFTER);
}

/* A client without a secret has an empty one in the store. */
static const char *text_or_none(const rensei_rows_t *rows, int i, int col)
{
    const char *value = rensei_rows_text(rows, i, col);

    return value && *value ? value : NULL;
}

static json_t *object_read(const rensei_rows_t *rows, int i, int col,
                           apr_pool_t *p)
{
    const char *value = rensei_rows_text(rows, i, col);

    return value ? rensei_json_own(json_loads(value, 0, NULL), p) : NULL;
}

static void credentials_read(rensei_client_t *out, const rensei_rows_t *rows,
                             int i, apr_pool_t *p)
{
    out->auth_method = rensei_rows_text(rows, i, COL_AUTH_METHOD);
    out->jwks = object_read(rows, i, COL_JWKS, p);
    out->secret_last4 = text_or_none(rows, i, COL_LAST4);
    out->next_secret_last4 = rensei_rows_text(rows, i, COL_NEXT_LAST4);
}

static apr_status_t lists_read(rensei_client_t *out, const rensei_rows_t *rows,
                               int i, apr_pool_t *p, rensei_err_t *err)
{
    const char *scopes = rensei_rows_text(rows, i, COL_SCOPES);
    const char *audiences = rensei_rows_text(rows, i, COL_AUDIENCES);
    apr_status_t rv =
        rensei_scopes_parse(&out->scopes, scopes, strlen(scopes), p, err);

    if (rv == APR_SUCCESS && audiences) {
        rv = rensei_audiences_parse(&out->audiences, audiences, p, err);
    }
    return rv;
}

apr_status_t rensei_client_row(rensei_client_t *out, const rensei_rows_t *rows,
                               int i, apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err)
{
    static const char *none[] = {NULL};

    memset(out, 0, sizeof(*out));
    out->id = rensei_rows_text(rows, i, COL_ID);
    out->org = rensei_rows_text(rows, i, COL_ORG);
    out->workspace = rensei_rows_text(rows, i, COL_WORKSPACE);
    out->name = rensei_rows_text(rows, i, COL_NAME);
    out->description = rensei_rows_text(rows, i, COL_DESCRIPTION);
    out->owner = rensei_rows_text(rows, i, COL_OWNER);
    out->token_lifetime = rensei_rows_int(rows, i, COL_LIFETIME);
    out->created_by = rensei_rows_text(rows, i, COL_CREATED_BY);
    out->revoke_reason = rensei_rows_text(rows, i, COL_REVOKE_REASON);
    out->last_used_ip = rensei_rows_text(rows, i, COL_LAST_USED_IP);
    out->suspended = rensei_org_standing(rows, i, COL_STANDING);
    out->org_active = out->suspended == NULL;
    times_read(out, rows, i);
    out->status = status_of(out, rensei_rows_text(rows, i, COL_STATUS), now);
    out->trusted_metadata = object_read(rows, i, COL_METADATA, p);
    credentials_read(out, rows, i, p);
    out->revoked_jti = none;
    out->revoked_more = 1;
    return lists_read(out, rows, i, p, err);
}

const char *rensei_client_row_status(const rensei_rows_t *rows, int i)
{
    return rensei_rows_text(rows, i, COL_STATUS);
}

const char *rensei_client_row_digest(const rensei_rows_t *rows, int i)
{
    return rensei_rows_text(rows, i, COL_DIGEST);
}

const char *rensei_client_row_next_digest(const rensei_rows_t *rows, int i)
{
    return rensei_rows_text(rows, i, COL_NEXT_DIGEST);
}
