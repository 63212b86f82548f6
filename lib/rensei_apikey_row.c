/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_apikey_row.h"
#include "rensei_org.h"

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
    COL_USES,
    COL_UPDATED_AT,
    COL_ROTATED_AT,
    COL_PREVIOUS_ENDS_AT,
    COL_LAST_USED_IP,
    COL_USAGE_COUNT,
    COL_STANDING,
    COL_PREVIOUS
};

static const char *status_of(const rensei_apikey_t *k, apr_int64_t now)
{
    if (k->revoked_at) {
        return "revoked";
    }
    if (k->expires_at && k->expires_at <= now) {
        return "expired";
    }
    return k->max_uses && k->uses >= k->max_uses ? "exhausted" : "active";
}

static void numbers_read(rensei_apikey_t *out, const rensei_rows_t *rows, int i)
{
    out->created_at = rensei_rows_int(rows, i, COL_CREATED_AT);
    out->expires_at = rensei_rows_int(rows, i, COL_EXPIRES_AT);
    out->revoked_at = rensei_rows_int(rows, i, COL_REVOKED_AT);
    out->last_used_at = rensei_rows_int(rows, i, COL_LAST_USED_AT);
    out->max_uses = rensei_rows_int(rows, i, COL_MAX_USES);
    out->uses = rensei_rows_int(rows, i, COL_USES);
    out->updated_at = rensei_rows_int(rows, i, COL_UPDATED_AT);
    out->rotated_at = rensei_rows_int(rows, i, COL_ROTATED_AT);
    out->previous_ends_at = rensei_rows_int(rows, i, COL_PREVIOUS_ENDS_AT);
    out->usage_count = rensei_rows_int(rows, i, COL_USAGE_COUNT);
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
    out->last_used_ip = rensei_rows_text(rows, i, COL_LAST_USED_IP);
    out->suspended = rensei_org_standing(rows, i, COL_STANDING);
    out->org_active = out->suspended == NULL;
    numbers_read(out, rows, i);
    out->status = status_of(out, now);
    if (!rensei_apikey_class(&out->cls, out->type)) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The store has a key of an unknown type.");
    }
    return rensei_scopes_parse(&out->scopes, scopes, strlen(scopes), p, err);
}

int rensei_apikey_row_previous(const rensei_rows_t *rows, int i)
{
    return rensei_rows_int(rows, i, COL_PREVIOUS) != 0;
}
