/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_worker_row.h"
#include "rensei_org.h"

#include <string.h>

/* In the order of WORKER_COLS in rensei_sql.c. */
enum {
    COL_ID,
    COL_ORG,
    COL_WORKSPACE,
    COL_KEY,
    COL_REVOKED_AT,
    COL_KEY_REVOKED_AT,
    COL_KEY_EXPIRES_AT,
    COL_STANDING,
    COL_HOSTNAME,
    COL_MAX_AGENTS,
    COL_VERSION,
    COL_MACHINE_ID,
    COL_REGION,
    COL_CAPABILITIES,
    COL_ACTIVE_AGENTS,
    COL_REPORTED_STATUS,
    COL_CREATED_AT,
    COL_LAST_SEEN_AT,
    COL_REVOKE_REASON
};

/* What the worker may do hangs on this. */
static void standing_read(rensei_worker_t *out, const rensei_rows_t *rows,
                          int i, apr_int64_t now)
{
    apr_int64_t key_revoked = rensei_rows_int(rows, i, COL_KEY_REVOKED_AT);
    apr_int64_t key_expires = rensei_rows_int(rows, i, COL_KEY_EXPIRES_AT);

    out->revoked_at = rensei_rows_int(rows, i, COL_REVOKED_AT);
    out->status = out->revoked_at ? "revoked" : "active";
    out->key_revoked = key_revoked != 0;
    out->key_expires_at = key_expires;
    out->key_live = key_revoked == 0 && (key_expires == 0 || key_expires > now);
    out->suspended = rensei_org_standing(rows, i, COL_STANDING);
    out->org_active = out->suspended == NULL;
}

static void report_read(rensei_worker_t *out, const rensei_rows_t *rows, int i)
{
    int said = rensei_rows_text(rows, i, COL_ACTIVE_AGENTS) != NULL;

    out->hostname = rensei_rows_text(rows, i, COL_HOSTNAME);
    out->max_agents = rensei_rows_int(rows, i, COL_MAX_AGENTS);
    out->version = rensei_rows_text(rows, i, COL_VERSION);
    out->machine_id = rensei_rows_text(rows, i, COL_MACHINE_ID);
    out->region = rensei_rows_text(rows, i, COL_REGION);
    out->capabilities = rensei_rows_text(rows, i, COL_CAPABILITIES);
    out->active_agents = said ? rensei_rows_int(rows, i, COL_ACTIVE_AGENTS)
                              : RENSEI_WORKER_UNSAID;
    out->reported_status = rensei_rows_text(rows, i, COL_REPORTED_STATUS);
}

void rensei_worker_row(rensei_worker_t *out, const rensei_rows_t *rows, int i,
                       apr_int64_t now)
{
    memset(out, 0, sizeof(*out));
    out->id = rensei_rows_text(rows, i, COL_ID);
    out->org = rensei_rows_text(rows, i, COL_ORG);
    out->workspace = rensei_rows_text(rows, i, COL_WORKSPACE);
    out->key = rensei_rows_text(rows, i, COL_KEY);
    out->created_at = rensei_rows_int(rows, i, COL_CREATED_AT);
    out->last_seen_at = rensei_rows_int(rows, i, COL_LAST_SEEN_AT);
    out->revoke_reason = rensei_rows_text(rows, i, COL_REVOKE_REASON);
    standing_read(out, rows, i, now);
    report_read(out, rows, i);
}

apr_status_t rensei_worker_select(rensei_worker_t *out, rensei_store_t *st,
                                  rensei_sql_e stmt, const char *const *args,
                                  apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_select(&rows, st, stmt, args, p, err);

    if (rv == APR_SUCCESS && rows.count == 0) {
        rv =
            rensei_err_set(err, RENSEI_E_NOT_FOUND, "There is no such worker.");
    }
    if (rv == APR_SUCCESS) {
        rensei_worker_row(out, &rows, 0, rensei_store_now_ms(st));
    }
    return rv;
}
