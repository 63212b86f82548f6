/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The store as a module sees it: a connection of mod_dbd's pool, made ready
 * (settings, migrations) the first time that one of our modules gets it, so
 * that a database which other modules use through mod_dbd is left alone.
 *
 * Open late, close early, never hold one while waiting for a client, and
 * never open a second one meanwhile: the pool waits without limit. How many
 * do so at one time is bounded (rensei_http_gate.h), and for how long one may
 * keep a connection (rensei_http_watch.h).
 */
#ifndef RENSEI_HTTP_STORE_H
#define RENSEI_HTTP_STORE_H

#include "rensei_store.h"

#include <httpd.h>

typedef struct rensei_http_store_t rensei_http_store_t;

/** In the optional_fn_retrieve hook: finds mod_dbd's functions, and who is
 * told of audit events. */
void rensei_http_store_retrieve(void);

/** In the child_init hook: the modules and processes of a server write to
 * SQLite in turn. */
void rensei_http_store_child_init(apr_pool_t *p, server_rec *s);

/** Is mod_dbd loaded? */
int rensei_http_store_available(void);

/** A store that takes a connection of the virtual host's pool when its first
 * statement is run: what turns out not to need one does not wait for one. Only
 * in a child.
 * @param store what the rules of lib/ take
 * @return err UNAVAILABLE */
apr_status_t rensei_http_store_open(rensei_http_store_t **out,
                                    rensei_store_t **store, server_rec *s,
                                    apr_pool_t *p, rensei_err_t *err);

/** The same for what the process does by itself: it needs no place among the
 * requests. */
apr_status_t rensei_http_store_open_own(rensei_http_store_t **out,
                                        rensei_store_t **store, server_rec *s,
                                        apr_pool_t *p, rensei_err_t *err);

/** Takes the place among those who may wait for the store that the first
 * statement would take: for who waits for somebody else's statement.
 * @return err UNAVAILABLE: there are too many */
apr_status_t rensei_http_store_enter(rensei_http_store_t *h, rensei_err_t *err);

/** Which file a statement that was run was answered from: a number that is
 * another one when the file was replaced. 0 for PostgreSQL. */
apr_uint64_t rensei_http_store_file(const rensei_http_store_t *h);

/** Gives the connection back; a transaction still open is rolled back. Also
 * done by p's cleanup, if it was not called. The store's
 * next statement takes one anew. */
void rensei_http_store_close(rensei_http_store_t *h);

#endif
