/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_used.h"
#include "rensei_http_log.h"
#include "rensei_tally.h"
#include "rensei_usage.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <http_log.h>
#include <stdlib.h>
#include <string.h>

APLOG_USE_MODULE(rensei_auth);

/* Half of them are used before it counts as crowded. */
#define PLACES 65536
/* Entries that are sorted together, so that neighbours in the file of the
 * database are written together. */
#define PORTION 16384
/* Rows of one transaction: an administrator who changes a key waits for it. */
#define BATCH 512

/* Its layout is part of the key: a build with another one starts afresh. */
#define USED_KEY "rensei_auth:used:1"

/* The whole of IPv4 in IPv6 begins with this (RFC 4291 2.5.5.2). */
static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static rensei_tally_t *tally;

/* In the process's pool, so that the children of before and after a graceful
 * restart share it. */
void auth_used_post_config(server_rec *main_server)
{
    apr_pool_t *pool = main_server->process->pool;
    rensei_err_t err = {0};
    void *data = NULL;

    apr_pool_userdata_get(&data, USED_KEY, pool);
    tally = data;
    if (tally) {
        return;
    }
    if (rensei_tally_create(&tally, PLACES, pool, &err) != APR_SUCCESS) {
        tally = NULL;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, main_server,
                     RSLOG(0060) "the use of credentials is not noted: %s",
                     err.text);
        return;
    }
    apr_pool_userdata_set(tally, USED_KEY, apr_pool_cleanup_null, pool);
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

static int by_id(const void *a, const void *b)
{
    return strcmp(((const rensei_tally_entry_t *)a)->id,
                  ((const rensei_tally_entry_t *)b)->id);
}

/* An id that comes twice becomes one. @return how many are left */
static int merge(rensei_tally_entry_t *e, int n)
{
    int i, last = 0;

    for (i = 1; i < n; i++) {
        if (strcmp(e[i].id, e[last].id) != 0) {
            e[++last] = e[i];
            continue;
        }
        e[i].count += e[last].count;
        if (e[i].at < e[last].at) {
            e[i].at = e[last].at;
            memcpy(e[i].address, e[last].address, sizeof(e[i].address));
        }
        e[last] = e[i];
    }
    return n > 0 ? last + 1 : 0;
}

static apr_status_t write_batch(const rensei_tally_entry_t *e, int n,
                                rensei_store_t *st, apr_pool_t *p,
                                rensei_err_t *err)
{
    rensei_used_t *used = apr_palloc(p, (apr_size_t)n * sizeof(*used));
    apr_status_t rv;
    int i;

    for (i = 0; i < n; i++) {
        used[i].id = e[i].id;
        used[i].usage.at = e[i].at;
        used[i].usage.ip = address_text(e[i].address, p);
        used[i].usage.count = e[i].count;
    }
    rv = rensei_store_begin(st, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_usage_write(st, used, n, p, err);
        rv = rensei_store_end(st, rv, p, err);
    }
    return rv;
}

/* @return how many were written */
static int write_all(const rensei_tally_entry_t *e, int n, rensei_store_t *st,
                     apr_pool_t *pool)
{
    rensei_err_t err = {0};
    int done = 0, some;
    apr_pool_t *p;

    apr_pool_create(&p, pool);
    for (; done < n; done += some) {
        some = n - done < BATCH ? n - done : BATCH;
        if (write_batch(e + done, some, st, p, &err) != APR_SUCCESS) {
            break;
        }
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return done;
}

void auth_used_flush(int store, rensei_store_t *st, apr_pool_t *pool)
{
    rensei_tally_entry_t *e = malloc(PORTION * sizeof(*e));
    apr_size_t from = 0;
    int n, done;

    if (e == NULL) {
        return; /* it stays in the tally, for the next time */
    }
    do {
        n = rensei_tally_take(e, PORTION, &from, tally, store);
        qsort(e, (size_t)n, sizeof(*e), by_id);
        n = merge(e, n);
        done = write_all(e, n, st, pool);
        while (n > done) {
            rensei_tally_return(tally, store, &e[--n]);
            from = 0;
        }
    } while (n > 0 && from > 0);
    free(e);
}
