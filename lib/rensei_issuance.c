/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_issuance.h"

#include <apr_hash.h>
#include <string.h>

#define AT_ONCE 16 /* ids that CLIENT_FIT takes */

/* The versions of those clients that may have tokens, by id. */
static apr_status_t fit_ask(apr_hash_t *fit, rensei_store_t *st,
                            const char *const *ids, apr_pool_t *p,
                            rensei_err_t *err)
{
    rensei_rows_t rows;
    int i;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_CLIENT_FIT, ids, p, err);

    for (i = 0; rv == APR_SUCCESS && i < rows.count; i++) {
        apr_int64_t *version = apr_palloc(p, sizeof(*version));

        *version = rensei_rows_int(&rows, i, 1);
        apr_hash_set(fit, rensei_rows_text(&rows, i, 0), APR_HASH_KEY_STRING,
                     version);
    }
    return rv;
}

/* A client that was known by memory is as it was if nothing at all has changed
 * in the store since then, which is the rule; so no more is asked for any
 * number of them. */
static apr_status_t recent_find(int *recent, rensei_store_t *st,
                                rensei_issuance_t *const *list, int count,
                                apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t newest;
    apr_status_t rv = rensei_store_sequence(&newest, st, p, err);
    int i;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        recent[i] = list[i]->recalled && list[i]->as_of == newest;
    }
    return rv;
}

/* Of the others, asks so many at a time, each client once. */
static apr_status_t fit_find(apr_hash_t *fit, rensei_store_t *st,
                             rensei_issuance_t *const *list, const int *recent,
                             int count, apr_pool_t *p, rensei_err_t *err)
{
    const char *ids[AT_ONCE] = {NULL};
    apr_hash_t *asked = apr_hash_make(p);
    apr_status_t rv = APR_SUCCESS;
    int i, n = 0;

    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        const char *id = list[i]->client;

        if (!recent[i] && !apr_hash_get(asked, id, APR_HASH_KEY_STRING)) {
            apr_hash_set(asked, id, APR_HASH_KEY_STRING, id);
            ids[n++] = id;
        }
        if (n == AT_ONCE || (n > 0 && i == count - 1)) {
            rv = fit_ask(fit, st, ids, p, err);
            memset(ids, 0, sizeof(ids));
            n = 0;
        }
    }
    return rv;
}

static int fits(const rensei_issuance_t *one, apr_hash_t *fit)
{
    const apr_int64_t *version =
        apr_hash_get(fit, one->client, APR_HASH_KEY_STRING);

    return version && *version == one->client_version;
}

static apr_status_t stale_find(int *stale, rensei_store_t *st,
                               rensei_issuance_t *const *list, int count,
                               apr_pool_t *p, rensei_err_t *err)
{
    apr_hash_t *fit = apr_hash_make(p);
    int *recent = apr_pcalloc(p, sizeof(*recent) * (apr_size_t)count);
    apr_status_t rv = recent_find(recent, st, list, count, p, err);
    int i;

    *stale = 0;
    if (rv == APR_SUCCESS) {
        rv = fit_find(fit, st, list, recent, count, p, err);
    }
    for (i = 0; rv == APR_SUCCESS && i < count; i++) {
        list[i]->stale = !recent[i] && !fits(list[i], fit);
        *stale += list[i]->stale;
    }
    return rv;
}

static apr_status_t events_append(rensei_store_t *st,
                                  rensei_issuance_t *const *list, int count,
                                  apr_pool_t *p, rensei_err_t *err)
{
    rensei_audit_entry_t *entry = apr_pcalloc(p, sizeof(*entry) * count);
    int i;

    for (i = 0; i < count; i++) {
        entry[i].event = "m2m.token_issued";
        entry[i].org = list[i]->org;
        entry[i].actor = &list[i]->actor;
        entry[i].target = list[i]->client;
        entry[i].details_text = list[i]->details;
    }
    return rensei_audit_append_all(st, entry, count, p, err);
}

/* Moves those that are stale to the end. @return how many are not */
static int stale_last(rensei_issuance_t **list, int count)
{
    int i, good = 0;

    for (i = 0; i < count; i++) {
        if (!list[i]->stale) {
            rensei_issuance_t *one = list[i];

            list[i] = list[good];
            list[good++] = one;
        }
    }
    return good;
}

/* Whether the clients are as they were is asked when the events are there:
 * they lock the organisations' trails, and whoever changes a client writes to
 * its trail in the same transaction. So either that was committed, and is
 * seen here, or it comes after the token. */
static apr_status_t attempt(int *stale, rensei_store_t *st,
                            rensei_issuance_t *const *list, int count,
                            apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = events_append(st, list, count, p, err);

    return rv == APR_SUCCESS ? stale_find(stale, st, list, count, p, err) : rv;
}

apr_status_t rensei_issuance_record(rensei_store_t *st,
                                    rensei_issuance_t **list, int count,
                                    apr_pool_t *p, rensei_err_t *err)
{
    int stale = 0;
    apr_status_t rv = attempt(&stale, st, list, count, p, err);

    /* Rare, and the others must not wait for another transaction's end. */
    while (rv == APR_SUCCESS && stale > 0) {
        rensei_store_rollback(st);
        rv = rensei_store_begin(st, p, err);
        count = stale_last(list, count);
        stale = 0;
        if (rv == APR_SUCCESS && count > 0) {
            rv = attempt(&stale, st, list, count, p, err);
        }
    }
    return rv;
}
