/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_used.h"
#include "rensei_apikey.h"

#include <pthread.h>
#include <string.h>

#define PLACES 4096
#define GUARDS 64
#define ID_LEN 30 /* key_ and a ULID */

typedef struct used_t {
    char key[ID_LEN + 2];
    int store;
    apr_int64_t at; /* 0: free */
} used_t;

static used_t place[PLACES];
static pthread_mutex_t guard[GUARDS] = {[0 ... GUARDS - 1] =
                                            PTHREAD_MUTEX_INITIALIZER};
static int waiting; /* bits: the numbers of the stores */

/* The last characters of a ULID are the random ones. */
static unsigned place_of(const char *key, apr_size_t n)
{
    unsigned h = 0;
    apr_size_t i;
    for (i = n - 8; i < n; i++) {
        h = h * 31 + (unsigned char)key[i];
    }
    return h % PLACES;
}

static void note(int store, const char *key, apr_int64_t at)
{
    unsigned i = place_of(key, ID_LEN);
    used_t *u = &place[i];

    pthread_mutex_lock(&guard[i % GUARDS]);
    if (u->at == 0) {
        memcpy(u->key, key, ID_LEN);
        u->store = store;
        u->at = at;
    }
    else if (u->at < at && memcmp(u->key, key, ID_LEN) == 0) {
        u->at = at;
    }
    pthread_mutex_unlock(&guard[i % GUARDS]);
}

void auth_used_note(int store, const char *key, apr_int64_t at)
{
    if (store >= 0 && strlen(key) == ID_LEN) {
        note(store, key, at);
        __atomic_fetch_or(&waiting, 1 << store, __ATOMIC_RELAXED);
    }
}

int auth_used_waiting(int store)
{
    return __atomic_load_n(&waiting, __ATOMIC_RELAXED) & (1 << store);
}

static int take(used_t *out, unsigned i, int store)
{
    int mine;

    pthread_mutex_lock(&guard[i % GUARDS]);
    *out = place[i];
    mine = out->at != 0 && out->store == store;
    if (mine) {
        place[i].at = 0;
    }
    pthread_mutex_unlock(&guard[i % GUARDS]);
    return mine;
}

void auth_used_flush(int store, rensei_store_t *st, apr_pool_t *p)
{
    used_t *todo = apr_palloc(p, sizeof(place));
    rensei_err_t err = {0};
    apr_status_t rv;
    unsigned i, n = 0;

    __atomic_fetch_and(&waiting, ~(1 << store), __ATOMIC_RELAXED);
    for (i = 0; i < PLACES; i++) {
        if (take(&todo[n], i, store)) {
            todo[n].key[ID_LEN] = '\0';
            n++;
        }
    }
    if (n == 0) {
        return;
    }
    rv = rensei_store_begin(st, p, &err);
    for (i = 0; i < n && rv == APR_SUCCESS; i++) {
        rv = rensei_apikey_used(st, todo[i].key, todo[i].at, p, &err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_store_commit(st, p, &err);
    }
    if (rv != APR_SUCCESS) {
        rensei_store_rollback(st);
        for (i = 0; i < n; i++) {
            auth_used_note(store, todo[i].key, todo[i].at);
        }
    }
}
