/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_worker.h"
#include "rensei_id.h"

#include <string.h>

static apr_status_t no_worker(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_NOT_FOUND, "There is no such worker.");
}

static void worker_read(rensei_worker_t *out, const rensei_rows_t *rows,
                        apr_int64_t now)
{
    apr_int64_t key_revoked = rensei_rows_int(rows, 0, 5);
    apr_int64_t key_expires = rensei_rows_int(rows, 0, 6);

    out->id = rensei_rows_text(rows, 0, 0);
    out->org = rensei_rows_text(rows, 0, 1);
    out->workspace = rensei_rows_text(rows, 0, 2);
    out->key = rensei_rows_text(rows, 0, 3);
    out->revoked_at = rensei_rows_int(rows, 0, 4);
    out->key_live = key_revoked == 0 && (key_expires == 0 || key_expires > now);
    out->key_revoked = key_revoked != 0;
    out->key_expires_at = key_expires;
    out->org_active = strcmp(rensei_rows_text(rows, 0, 7), "active") == 0;
}

apr_status_t rensei_worker_find(rensei_worker_t *out, rensei_store_t *st,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv;

    if (!rensei_id_valid(RENSEI_ID_WORKER, id, strlen(id))) {
        return no_worker(err);
    }
    rv = rensei_store_select(&rows, st, RENSEI_SQL_WORKER_FIND, &id, p, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (rows.count == 0) {
        return no_worker(err);
    }
    worker_read(out, &rows, rensei_store_now_ms(st));
    return APR_SUCCESS;
}
