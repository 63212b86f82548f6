/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The tables, as numbered migrations: step n brings a store from version
 * n - 1 to n. A step that has been released is never edited; what it lacks
 * is a new step.
 */
#ifndef RENSEI_SCHEMA_H
#define RENSEI_SCHEMA_H

#include "rensei_conn.h"

#define RENSEI_SCHEMA_VERSION 3

/** The statements of step `version` (1 to RENSEI_SCHEMA_VERSION), up to a
 * NULL. */
const char *const *rensei_schema_step(int version);

/** What rensei_store_version and rensei_store_migrate do, on a connection.
 * @param now_ms what is noted as the time of a step (epoch ms) */
apr_status_t rensei_schema_version(int *version, rensei_conn_t *c,
                                   apr_pool_t *p, rensei_err_t *err);
apr_status_t rensei_schema_migrate(rensei_conn_t *c, apr_int64_t now_ms,
                                   apr_pool_t *p, rensei_err_t *err);

#endif
