/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What is different with mpm_prefork, which takes it that a child has one
 * thread. With mod_watchdog, which follows the store, it has two.
 */
#ifndef AUTH_PREFORK_H
#define AUTH_PREFORK_H

#include <httpd.h>

/** In the child_init hook, before a second thread is started: gives the
 * child's pools the lock that their allocator lacks. */
void auth_prefork_child_init(apr_pool_t *p, server_rec *main_server);

/** While the child's pool is cleaned up: mpm_prefork does that in the handler
 * of a signal, wherever its thread was just then. Was that within a request?
 * Then it may hold any lock, of malloc or the store, and never give it back.
 * @return 0 with the other MPMs, whose threads have ended by then */
int auth_prefork_interrupted(void);

#endif
