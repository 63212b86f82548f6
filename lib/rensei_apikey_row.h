/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A key as a row of the store, for the files of the keys' rules.
 */
#ifndef RENSEI_APIKEY_ROW_H
#define RENSEI_APIKEY_ROW_H

#include "rensei_apikey.h"

/** Reads row i of a statement with the columns of a key.
 * @param now epoch ms, which makes the status */
apr_status_t rensei_apikey_row(rensei_apikey_t *out, const rensei_rows_t *rows,
                               int i, apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err);

/** Was the key found by the token before its present one? Of
 * RENSEI_SQL_KEY_FIND. */
int rensei_apikey_row_previous(const rensei_rows_t *rows, int i);

#endif
