/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client_change.h"
#include "rensei_id.h"

#include <string.h>

apr_status_t rensei_client_none(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_NOT_FOUND, "There is no such client.");
}

apr_status_t rensei_client_begin(rensei_store_t *st, const char *id,
                                 apr_pool_t *p, rensei_err_t *err)
{
    if (!rensei_id_valid(RENSEI_ID_CLIENT, id, strlen(id))) {
        return rensei_client_none(err);
    }
    return rensei_store_begin(st, p, err);
}

apr_status_t rensei_client_hold(rensei_client_t *out, const char **status,
                                rensei_store_t *st, const char *org,
                                const char *id, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *args[] = {org, id};
    rensei_rows_t rows = {0};
    apr_status_t rv =
        rensei_store_exec(NULL, st, RENSEI_SQL_CLIENT_LOCK, args, p, err);

    if (rv == APR_SUCCESS) {
        rv =
            rensei_store_select(&rows, st, RENSEI_SQL_CLIENT_GET, args, p, err);
    }
    if (rv == APR_SUCCESS && rows.count == 0) {
        rv = rensei_client_none(err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_row(out, &rows, 0, rensei_store_now_ms(st), p, err);
    }
    if (rv == APR_SUCCESS && out->revoked_at) {
        rv = rensei_err_set(err, RENSEI_E_CONFLICT,
                            "A revoked client cannot be changed.");
    }
    if (rv == APR_SUCCESS && status) {
        *status = rensei_client_row_status(&rows, 0);
    }
    return rv;
}

apr_status_t rensei_client_tell(rensei_client_t *out, rensei_store_t *st,
                                const char *event, const char *org,
                                const char *id, json_t *details,
                                const rensei_actor_t *actor, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv =
        rensei_audit_change(st, event, org, actor, id, details, p, err);

    return rv == APR_SUCCESS ? rensei_client_get(out, st, org, id, p, err) : rv;
}

int rensei_client_secret_ended(const rensei_client_t *c, apr_int64_t now_ms)
{
    return c->secret_expires_at && c->secret_expires_at <= now_ms;
}
