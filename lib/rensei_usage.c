/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_usage.h"

#include <string.h>

#define COLS 4

/* @param used up to RENSEI_SQL_USES of keys, or of clients */
static apr_status_t write_some(rensei_store_t *st, rensei_sql_e stmt,
                               const rensei_used_t *used, int n, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *args[RENSEI_SQL_USES * COLS] = {NULL}; /* no row has id NULL */
    int i;

    for (i = 0; i < n; i++) {
        const char **row = args + (apr_size_t)i * COLS;

        row[0] = used[i].id;
        row[1] = rensei_store_num(used[i].usage.count, p);
        row[2] = rensei_store_num(used[i].usage.at, p);
        row[3] = used[i].usage.ip;
    }
    return rensei_store_exec(NULL, st, stmt, args, p, err);
}

apr_status_t rensei_usage_write(rensei_store_t *st, const rensei_used_t *used,
                                int n, apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    int i, many;

    for (i = 0; i < n && rv == APR_SUCCESS; i += many) {
        char kind = used[i].id[0];

        for (many = 1; many < RENSEI_SQL_USES && i + many < n &&
                       used[i + many].id[0] == kind;
             many++) {
        }
        rv = write_some(
            st, kind == 'k' ? RENSEI_SQL_KEYS_USED : RENSEI_SQL_CLIENTS_USED,
            used + i, many, p, err);
    }
    return rv;
}
