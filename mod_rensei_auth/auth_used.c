/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_used.h"
#include "rensei_apikey.h"
#include "rensei_client.h"
#include "rensei_http_log.h"
#include "rensei_tally.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <http_log.h>
#include <stdlib.h>
#include <string.h>

APLOG_USE_MODULE(rensei_auth);

#define PLACES 16384
/* Rows of one transaction: an administrator who changes a key waits for it. */
#define BATCH 256

/* The whole of IPv4 in IPv6 begins with this (RFC 4291 2.5.5.2). */
static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static rensei_tally_t *tally;

void auth_used_child_init(apr_pool_t *p, server_rec *main_server)
{
    rensei_err_t err = {0};

    if (rensei_tally_create(&tally, PLACES, p, &err) != APR_SUCCESS) {
        tally = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, main_server,
                     RSLOG(0060) "this process does not note the use of "
                                 "credentials: %s",
                     err.text);
    }
}

static void address_of(unsigned char *out, const apr_sockaddr_t *from)
{
    memset(out, 0, RENSEI_TALLY_ADDRESS);
    if (from && from->family == APR_INET) {
        memcpy(out, mapped, sizeof(mapped));
        memcpy(out + sizeof(mapped), &from->sa.sin.sin_addr, 4);
    }
    else if (from && from->family == APR_INET6) {
        memcpy(out, &from->sa.sin6.sin6_addr, RENSEI_TALLY_ADDRESS);
    }
}

void auth_used_note(int store, const char *id, apr_size_t n, apr_int64_t at,
                    const apr_sockaddr_t *from)
{
    unsigned char address[RENSEI_TALLY_ADDRESS];

    if (store >= 0 && tally) {
        address_of(address, from);
        rensei_tally_add(tally, store, id, n, at, address);
    }
}

int auth_used_waiting(int store)
{
    return tally && rensei_tally_waiting(tally, store);
}

int auth_used_crowded(void)
{
    return tally && rensei_tally_crowded(tally);
}

/* ---- writing ---- */

static const char *address_text(const unsigned char *address, apr_pool_t *p)
{
    static const unsigned char none[RENSEI_TALLY_ADDRESS];
    char text[INET6_ADDRSTRLEN];
    int v4 = memcmp(address, mapped, sizeof(mapped)) == 0;

    if (memcmp(address, none, sizeof(none)) == 0 ||
        !inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address + 12 : address, text,
                   sizeof(text))) {
        return NULL;
    }
    return apr_pstrdup(p, text);
}

static apr_status_t write_one(const rensei_tally_entry_t *e, rensei_store_t *st,
                              apr_pool_t *p, rensei_err_t *err)
{
    rensei_usage_t usage = {
        .at = e->at, .ip = address_text(e->address, p), .count = e->count};

    return e->id[0] == 'k' ? rensei_apikey_used(st, e->id, &usage, p, err)
                           : rensei_client_used(st, e->id, &usage, p, err);
}

/* All children lock their rows in the same order, so that none waits for one
 * which waits for it. */
static int by_id(const void *a, const void *b)
{
    return strcmp(((const rensei_tally_entry_t *)a)->id,
                  ((const rensei_tally_entry_t *)b)->id);
}

static apr_status_t write_batch(rensei_tally_entry_t *e, int n,
                                rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(st, p, err);
    int i;

    if (rv != APR_SUCCESS) {
        return rv;
    }
    qsort(e, (size_t)n, sizeof(*e), by_id);
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        rv = write_one(&e[i], st, p, err);
    }
    return rensei_store_end(st, rv, p, err);
}

void auth_used_flush(int store, rensei_store_t *st, apr_pool_t *pool)
{
    rensei_tally_entry_t *e = apr_palloc(pool, BATCH * sizeof(*e));
    rensei_err_t err = {0};
    apr_status_t rv = APR_SUCCESS;
    apr_size_t from = 0;
    apr_pool_t *p;
    int n;

    apr_pool_create(&p, pool);
    while (rv == APR_SUCCESS &&
           (n = rensei_tally_take(e, BATCH, &from, tally, store)) > 0) {
        rv = write_batch(e, n, st, p, &err);
        while (rv != APR_SUCCESS && n > 0) {
            rensei_tally_return(tally, store, &e[--n]);
        }
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
}
