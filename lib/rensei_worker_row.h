/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A worker as a row of the store, for the files of the workers' rules.
 */
#ifndef RENSEI_WORKER_ROW_H
#define RENSEI_WORKER_ROW_H

#include "rensei_worker.h"

/** Reads row i of a statement with the columns of a worker.
 * @param now epoch ms: is its key expired by then? */
void rensei_worker_row(rensei_worker_t *out, const rensei_rows_t *rows, int i,
                       apr_int64_t now);

/** Runs a statement that gives one worker, or none.
 * @return err NOT_FOUND, UNAVAILABLE */
apr_status_t rensei_worker_select(rensei_worker_t *out, rensei_store_t *st,
                                  rensei_sql_e stmt, const char *const *args,
                                  apr_pool_t *p, rensei_err_t *err);

#endif
