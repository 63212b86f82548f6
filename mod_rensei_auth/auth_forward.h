/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The identity that the application behind httpd sees: RENSEI_* in the
 * environment, X-Rensei-* headers to a backend, and no copy of either that a
 * client made up.
 */
#ifndef AUTH_FORWARD_H
#define AUTH_FORWARD_H

#include <httpd.h>

/** Hook post_read_request: drops forged X-Rensei-* headers. */
int auth_forward_drop_forged(request_rec *r);

/** Hook child_init: is there a mod_cache, whom the environment has to tell? */
void auth_forward_child_init(apr_pool_t *p, server_rec *s);

/** Hook fixups: the environment. */
int auth_forward_environment(request_rec *r);

/** Optional hook of mod_proxy, on the copy of the headers that goes to an
 * HTTP backend. */
int auth_forward_proxy(request_rec *r);

/** Hook handler, before mod_proxy's, for its other protocols, which have no
 * such copy. */
int auth_forward_handler(request_rec *r);

#endif
