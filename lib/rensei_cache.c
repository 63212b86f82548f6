/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_cache.h"
#include "rensei_siphash.h"

#include <apr_thread_mutex.h>
#include <string.h>

#define WAYS 8         /* slots of a set */
#define LOCKS 64       /* more than there are cores to contend for them */
#define LOCK_BYTES 192 /* a mutex, and what APR keeps with it */

/* What a look-up reads, apart from the values: a miss, and the search for the
 * one unused longest, touch three cache lines. */
typedef struct set_t {
    rensei_cache_name_t name[WAYS];
    apr_uint32_t used[WAYS]; /* the set's tick at the last use */
    apr_uint16_t len[WAYS];  /* 0: the slot is empty */
    apr_uint32_t tick;
} set_t;

struct rensei_cache_t {
    apr_uint64_t key[2];
    apr_uint32_t sets;
    apr_uint32_t locks;
    set_t *set;
    char *value;           /* WAYS of each set, in order */
    apr_size_t value_size; /* of one */
    apr_thread_mutex_t *lock[LOCKS];
};

static apr_status_t locks_create(rensei_cache_t *c, apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;
    apr_uint32_t i;

    for (i = 0; i < c->locks && rv == APR_SUCCESS; i++) {
        rv = apr_thread_mutex_create(&c->lock[i], APR_THREAD_MUTEX_DEFAULT, p);
    }
    return rv;
}

/* A lock serves at least four sets, and a cache of one set has one lock. */
static void dimension(rensei_cache_t *c, apr_size_t bytes)
{
    apr_size_t set_bytes = sizeof(set_t) + WAYS * c->value_size;
    apr_size_t locks = bytes / (4 * set_bytes);
    apr_size_t fixed, sets;

    c->locks = (apr_uint32_t)(locks < 1 ? 1 : locks > LOCKS ? LOCKS : locks);
    fixed = sizeof(*c) + c->locks * LOCK_BYTES;
    sets = bytes > fixed ? (bytes - fixed) / set_bytes : 0;
    c->sets = (apr_uint32_t)(sets > APR_INT32_MAX ? APR_INT32_MAX : sets);
}

apr_status_t rensei_cache_create(rensei_cache_t **out, apr_size_t bytes,
                                 apr_size_t value_max, const rensei_sys_t *sys,
                                 apr_pool_t *p, rensei_err_t *err)
{
    rensei_cache_t *c = apr_pcalloc(p, sizeof(*c));

    c->value_size = APR_ALIGN_DEFAULT(value_max);
    dimension(c, bytes);
    if (c->sets == 0) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The cache is too small: 8192 bytes at least.");
    }
    if (sys->random(sys->baton, (unsigned char *)c->key, sizeof(c->key)) !=
        APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no randomness to be had at the "
                              "moment.");
    }
    if (locks_create(c, p) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "The cache's locks cannot be made.");
    }
    c->set = apr_pcalloc(p, c->sets * sizeof(set_t));
    /* not cleared: a page that no value was put on takes no memory */
    c->value = apr_palloc(p, (apr_size_t)c->sets * WAYS * c->value_size);
    *out = c;
    return APR_SUCCESS;
}

rensei_cache_name_t rensei_cache_name(const rensei_cache_t *c,
                                      apr_uint64_t space, const void *data,
                                      apr_size_t n)
{
    rensei_cache_name_t name = {{0, 0}};

    rensei_siphash(name.w, c->key, space, data, n);
    return name;
}

/* The high bits choose: as good as any of a keyed hash, and no division. */
static apr_uint32_t set_of(const rensei_cache_t *c, rensei_cache_name_t name)
{
    return (apr_uint32_t)(((name.w[0] >> 32) * c->sets) >> 32);
}

static apr_thread_mutex_t *lock_of(const rensei_cache_t *c, apr_uint32_t set)
{
    return c->lock[set % c->locks];
}

static void *value_of(const rensei_cache_t *c, apr_uint32_t set, int way)
{
    return c->value +
           ((apr_size_t)set * WAYS + (apr_size_t)way) * c->value_size;
}

/* The slot of that name, or -1. */
static int way_find(const set_t *set, rensei_cache_name_t name)
{
    int i;

    for (i = 0; i < WAYS; i++) {
        if (set->name[i].w[0] == name.w[0] && set->name[i].w[1] == name.w[1] &&
            set->len[i] > 0) {
            return i;
        }
    }
    return -1;
}

/* An empty slot, or the one unused longest. Ages are differences, so that a
 * tick which has wrapped around does no harm. */
static int way_victim(const set_t *set)
{
    int i, oldest = 0;

    for (i = 0; i < WAYS; i++) {
        if (set->len[i] == 0) {
            return i;
        }
        if (set->tick - set->used[i] > set->tick - set->used[oldest]) {
            oldest = i;
        }
    }
    return oldest;
}

apr_size_t rensei_cache_get(rensei_cache_t *c, rensei_cache_name_t name,
                            void *out)
{
    apr_uint32_t n = set_of(c, name);
    set_t *set = &c->set[n];
    apr_size_t len = 0;
    int way;

    apr_thread_mutex_lock(lock_of(c, n));
    way = way_find(set, name);
    if (way >= 0) {
        set->used[way] = ++set->tick;
        len = set->len[way];
        memcpy(out, value_of(c, n, way), len);
    }
    apr_thread_mutex_unlock(lock_of(c, n));
    return len;
}

int rensei_cache_put(rensei_cache_t *c, rensei_cache_name_t name,
                     const void *value, apr_size_t len)
{
    apr_uint32_t n = set_of(c, name);
    set_t *set = &c->set[n];
    int way;

    if (len == 0 || len > c->value_size) {
        /* whatever was kept is not what the caller now says */
        rensei_cache_remove(c, name);
        return 0;
    }
    apr_thread_mutex_lock(lock_of(c, n));
    way = way_find(set, name);
    if (way < 0) {
        way = way_victim(set);
    }
    set->name[way] = name;
    set->len[way] = (apr_uint16_t)len;
    set->used[way] = ++set->tick;
    memcpy(value_of(c, n, way), value, len);
    apr_thread_mutex_unlock(lock_of(c, n));
    return 1;
}

void rensei_cache_remove(rensei_cache_t *c, rensei_cache_name_t name)
{
    apr_uint32_t n = set_of(c, name);
    set_t *set = &c->set[n];
    int way;

    apr_thread_mutex_lock(lock_of(c, n));
    way = way_find(set, name);
    if (way >= 0) {
        set->len[way] = 0;
    }
    apr_thread_mutex_unlock(lock_of(c, n));
}
