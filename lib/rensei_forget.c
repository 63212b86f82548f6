/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_forget.h"

#define EXPIRY_MAX APR_INT64_C(253402300799) /* the end of 9999, in seconds */

apr_int64_t rensei_forget_at(apr_int64_t exp_s)
{
    return ((exp_s < EXPIRY_MAX ? exp_s : EXPIRY_MAX) + RENSEI_REMEMBER_AFTER) *
           1000;
}

void rensei_forget_some(rensei_store_t *st, rensei_sql_e stmt, apr_pool_t *p)
{
    const char *now = rensei_store_num(rensei_store_now_ms(st), p);
    rensei_err_t unused;

    rensei_store_exec(NULL, st, stmt, &now, p, &unused);
}
