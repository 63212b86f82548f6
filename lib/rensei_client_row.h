/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A client as a row of the store, for the files of the clients' rules.
 */
#ifndef RENSEI_CLIENT_ROW_H
#define RENSEI_CLIENT_ROW_H

#include "rensei_client.h"

/** Reads row i of a statement with the columns of a client.
 * @param now epoch ms, which makes the status */
apr_status_t rensei_client_row(rensei_client_t *out, const rensei_rows_t *rows,
                               int i, apr_int64_t now, apr_pool_t *p,
                               rensei_err_t *err);

/** The status as it is stored: "active" or "inactive", when the client's own
 * may be "expired". */
const char *rensei_client_row_status(const rensei_rows_t *rows, int i);

/** The digests of the secret ("" for none) and of the next one (NULL for
 * none), of RENSEI_SQL_CLIENT_DIGEST. */
const char *rensei_client_row_digest(const rensei_rows_t *rows, int i);
const char *rensei_client_row_next_digest(const rensei_rows_t *rows, int i);

#endif
