/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_apikey_row.h"

#include <string.h>

/* In the order of KEY_COLS in rensei_sql.c. */
enum {
    COL_ID,
    COL_ORG,
    COL_WORKSPACE,
    COL_NAME,
    COL_TYPE,
    COL_OWNER,
    COL_USER_ID,
    COL_SCOPES,
    COL_PREFIX,
    COL_CREATED_AT,
    COL_CREATED_BY,
    COL_EXPIRES_AT,
    COL_REVOKED_AT,
    COL_LAST_USED_AT,
    COL_REVOKE_REASON,
    COL_MAX_USES,
    COL_ORG_STATUS
};

static const char *status_of(const rensei_apikey_t *k, apr_int64_t now)
{
    if (k->revoked_at) {
        return "revoked";
    }
    return k->expires_at && k->expires_at <= now ? "expired" : "active";
}

static void numbers_read(rensei_apikey_t *out, const rensei_rows_t *rows, int i)
{
    out->created_at = rensei_rows_int(rows, i, COL_CREATED_AT);
    out->expires_at = rensei_rows_int(rows, i, COL_EXPIRES_AT);
    out->revoked_at = rensei_rows_int(rows, i, COL_REVOKED_AT);
    out->last_used_at = rensei_rows_int(rows, i, COL_LAST_USED_AT);
    out->max_uses = rensei_rows_int(rows, i, COL_MAX_USES);
}

apr_status_t rensei_apikey_row(rensei_apikey_t *out, const rensei_rows_t *rows,
                               int i, apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *scopes = rensei_rows_text(rows, i, COL_SCOPES);

    memset(out, 0, sizeof(*out));
    out->id = rensei_rows_text(rows, i, COL_ID);
    out->org = rensei_rows_text(rows, i, COL_ORG);
    out->workspace = rensei_rows_text(rows, i, COL_WORKSPACE);
    out->name = rensei_rows_text(rows, i, COL_NAME);
    out->type = rensei_rows_text(rows, i, COL_TYPE);
    out->owner = rensei_rows_text(rows, i, COL_OWNER);
    out->user_id = rensei_rows_text(rows, i, COL_USER_ID);
    out->prefix = rensei_rows_text(rows, i, COL_PREFIX);
    out->created_by = rensei_rows_text(rows, i, COL_CREATED_BY);
    out->revoke_reason = rensei_rows_text(rows, i, COL_REVOKE_REASON);
    out->org_active =
        strcmp(rensei_rows_text(rows, i, COL_ORG_STATUS), "active") == 0;
    numbers_read(out, rows, i);
    out->status = status_of(out, now);
    if (!rensei_apikey_class(&out->cls, out->type)) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The store has a key of an unknown type.");
    }
    return rensei_scopes_parse(&out->scopes, scopes, strlen(scopes), p, err);
}
