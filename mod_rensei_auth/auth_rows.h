/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Rows of clients, as the store has them, remembered for the token endpoint:
 * a client that asks for tokens again and again is looked up once. They hold
 * by the same generations as all that is cached.
 */
#ifndef AUTH_ROWS_H
#define AUTH_ROWS_H

#include "rensei_store.h"

#include <httpd.h>

/** Before a child serves. */
void auth_rows_child_init(apr_pool_t *p, server_rec *main_server);

/** What rensei_auth_memory gives. */
const rensei_memory_t *auth_rows_memory(request_rec *r);

#endif
