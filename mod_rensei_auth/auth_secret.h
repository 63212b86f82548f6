/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Where secrets come from: env:NAME, file:PATH, exec:COMMAND, never a
 * literal. What was read is kept in the process's own pool, over restarts: a
 * variable is taken out of the environment once it has been read, and a file
 * that has become unreadable must not end a running server.
 */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include "rensei_ring.h"

#include <apr_tables.h>
#include <httpd.h>

/** A secret, or a key as PEM, and where it comes from. */
typedef struct auth_source_t {
    const char *text; /* env:…, file:… or exec:… */
    int pem;
    const char *alg, *kid; /* of a PEM key; NULL: by the key itself */
} auth_source_t;

/** Is it the text of a source? */
int auth_source_valid(const char *text);

/** Reads all sources (auth_source_t) anew. @return NULL, or a sentence on what
 * is wrong and what to write instead. One that was read before and now fails,
 * or is no key any more, keeps its value, and is logged. */
const char *auth_secret_load(const apr_array_header_t *sources, server_rec *s,
                             apr_pool_t *ptemp);

/** A ring of what was read: the first signs. NULL where that one was not. */
const rensei_ring_t *auth_secret_ring(const apr_array_header_t *sources,
                                      server_rec *s, apr_pool_t *p);

/** Has each source been read? */
int auth_secret_known(const apr_array_header_t *sources, server_rec *s);

#endif
