/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * RenseiAuditLog: a copy of each audit event, as a line of JSON, in a file or
 * to a program, as CustomLog takes one. It is written after the event was
 * committed: the store is what counts, and a log that cannot be written fails
 * no request. What it adds is a place out of reach of who can write the
 * store: the hashes in it prove that the chain there is still the same.
 */
#ifndef AUTH_AUDIT_LOG_H
#define AUTH_AUDIT_LOG_H

#include "rensei_store.h"

#include <httpd.h>
#include <http_config.h>

#define DIR_AUDIT_LOG "RenseiAuditLog"

const char *auth_audit_log_directive(cmd_parms *cmd, void *dir,
                                     const char *arg);

/** Can the logs of all virtual hosts be there? Says what is wrong. */
int auth_audit_log_check(server_rec *main_server, apr_pool_t *ptemp);

/** The open_logs hook: opens each once, whichever virtual hosts share it. */
int auth_audit_log_open(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                        server_rec *main_server);

/** Who writes down the events of a virtual host, for rensei_store_witness;
 * NULL where there is no RenseiAuditLog. */
rensei_witness_fn *auth_audit_log_witness(server_rec *s, void **baton);

#endif
