/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * RenseiStoreWaiters and RenseiStoreTimeout: a store that is slow or hangs
 * takes neither all threads of a process, nor one of them for ever.
 */
#ifndef AUTH_GATE_H
#define AUTH_GATE_H

#include "auth_conf.h"

#define DIR_WAITERS "RenseiStoreWaiters"
#define DIR_TIMEOUT "RenseiStoreTimeout"

/** Functions of the table of directives. */
const char *auth_gate_waiters(cmd_parms *cmd, void *dir, const char *arg);
const char *auth_gate_timeout(cmd_parms *cmd, void *dir, const char *arg);

/** In post_config. */
void auth_gate_post_config(server_rec *main_server);

/** In the child_init hook. */
void auth_gate_child_init(apr_pool_t *p, server_rec *main_server);

/** As rensei_auth_gate and rensei_auth_watcher say. */
rensei_http_gate_t *auth_gate_of(const server_rec *s);
rensei_http_watcher_t *auth_gate_watcher(void);

/** Is a request of this process with some store? */
int auth_gate_busy(void);

#endif
