/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_cache.h"
#include "rensei_siphash.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define WAYS 8  /* values of a set */
#define LINE 64 /* bytes of memory that a core reads at once */
#define HUGE_PAGE ((apr_size_t)2 << 20)
#define EMPTY 0

/* A value, which tells its name. */
typedef struct value_t {
    rensei_cache_name_t name;
    apr_uint32_t len;
    char bytes[];
} value_t;

/* What is read before it: one line, its lock included. */
typedef struct set_t {
    apr_uint32_t place[WAYS]; /* of the value, from 1; 0: it never had any */
    apr_uint16_t used[WAYS];  /* the set's tick at the last use */
    unsigned char mark[WAYS]; /* of the name; or EMPTY */
    apr_uint16_t tick;
    unsigned char locked;
    char unused[LINE - 59];
} set_t;

_Static_assert(sizeof(set_t) == LINE, "a set is one line");

/* The values lie one behind the other as they came, whatever sets they are of:
 * few take few pages, and what is in use is found together. */
struct rensei_cache_t {
    apr_uint64_t key[2];
    apr_uint32_t sets;
    apr_uint32_t places; /* given away: WAYS for each set at the most */
    set_t *set;
    char *value;
    apr_size_t value_max;
    apr_size_t value_size; /* with its head */
};

static apr_size_t lines(apr_size_t bytes)
{
    return APR_ALIGN(bytes, LINE);
}

/* A set, with all of its values. */
static apr_size_t set_size(const rensei_cache_t *c)
{
    return sizeof(set_t) + WAYS * c->value_size;
}

static void dimension(rensei_cache_t *c, apr_size_t bytes)
{
    apr_size_t fixed = sizeof(*c);
    apr_size_t sets = bytes > fixed ? (bytes - fixed) / set_size(c) : 0;

    c->sets = (apr_uint32_t)(sets > APR_INT32_MAX / WAYS ? APR_INT32_MAX / WAYS
                                                         : sets);
}

/* What mmap gave, to be given back. */
typedef struct pages_t {
    void *memory;
    apr_size_t bytes;
} pages_t;

static apr_status_t pages_free(void *data)
{
    pages_t *pages = data;

    munmap(pages->memory, pages->bytes);
    return APR_SUCCESS;
}

/* Zeros, which take memory where they are written. With large pages, where the
 * system has them: whoever looks into thousands of values in turn would
 * otherwise have the processor look up where the page is for each of them,
 * which takes longer than to read it. @return NULL where there is no memory */
static void *pages_get(apr_size_t bytes, int large, apr_pool_t *p)
{
    apr_size_t all = bytes + HUGE_PAGE;
    pages_t *pages = apr_palloc(p, sizeof(*pages));
    char *memory = mmap(NULL, all, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return NULL;
    }
    pages->memory = memory;
    pages->bytes = all;
    apr_pool_cleanup_register(p, pages, pages_free, apr_pool_cleanup_null);
    memory = (char *)APR_ALIGN((apr_uintptr_t)memory, HUGE_PAGE);
#ifdef MADV_HUGEPAGE
    madvise(memory, bytes, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    return memory;
}

apr_status_t rensei_cache_create(rensei_cache_t **out, apr_size_t bytes,
                                 apr_size_t value_max, int large,
                                 const rensei_sys_t *sys, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_cache_t *c = apr_pcalloc(p, sizeof(*c));

    c->value_max = value_max;
    c->value_size = lines(sizeof(value_t) + value_max);
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
    c->set = pages_get(c->sets * set_size(c), large, p);
    if (c->set == NULL) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no memory for a cache.");
    }
    c->value = (char *)(c->set + c->sets);
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
static set_t *set_of(const rensei_cache_t *c, rensei_cache_name_t name)
{
    return &c->set[((name.w[0] >> 32) * c->sets) >> 32];
}

/* Other bits than those that choose the set. */
static unsigned char mark_of(rensei_cache_name_t name)
{
    return (unsigned char)(name.w[1] | 1);
}

/* Held for the copy of a value: who finds it held waits for about as long, or
 * for a thread that lost its core just then. */
static void lock(set_t *set)
{
    while (__atomic_test_and_set(&set->locked, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

static void unlock(set_t *set)
{
    __atomic_clear(&set->locked, __ATOMIC_RELEASE);
}

static value_t *value_of(const rensei_cache_t *c, const set_t *set, int way)
{
    return (value_t *)(c->value + (set->place[way] - 1) * c->value_size);
}

/* The way of that name, or -1. */
static int way_find(const rensei_cache_t *c, const set_t *set,
                    rensei_cache_name_t name)
{
    unsigned char mark = mark_of(name);
    int i;

    for (i = 0; i < WAYS; i++) {
        if (set->mark[i] == mark) {
            const value_t *v = value_of(c, set, i);
            if (v->name.w[0] == name.w[0] && v->name.w[1] == name.w[1]) {
                return i;
            }
        }
    }
    return -1;
}

/* How many uses of the set ago; a tick that has wrapped around does no harm. */
static apr_uint16_t age(const set_t *set, int way)
{
    return (apr_uint16_t)(set->tick - set->used[way]);
}

/* An empty way, or the one unused longest. */
static int way_victim(const set_t *set)
{
    int i, oldest = 0;

    for (i = 0; i < WAYS; i++) {
        if (set->mark[i] == EMPTY) {
            return i;
        }
        if (age(set, i) > age(set, oldest)) {
            oldest = i;
        }
    }
    return oldest;
}

/* For a name that the set does not have yet. A way keeps the place that its
 * first value got. */
static int way_take(rensei_cache_t *c, set_t *set, rensei_cache_name_t name)
{
    int way = way_victim(set);

    if (set->place[way] == 0) {
        set->place[way] = __atomic_add_fetch(&c->places, 1, __ATOMIC_RELAXED);
    }
    set->mark[way] = mark_of(name);
    value_of(c, set, way)->name = name;
    return way;
}

apr_size_t rensei_cache_get(rensei_cache_t *c, rensei_cache_name_t name,
                            void *out)
{
    set_t *set = set_of(c, name);
    apr_size_t len = 0;
    int way;

    lock(set);
    way = way_find(c, set, name);
    if (way >= 0) {
        const value_t *v = value_of(c, set, way);

        set->used[way] = ++set->tick;
        len = v->len;
        memcpy(out, v->bytes, len);
    }
    unlock(set);
    return len;
}

int rensei_cache_put(rensei_cache_t *c, rensei_cache_name_t name,
                     const void *value, apr_size_t len)
{
    set_t *set = set_of(c, name);
    value_t *v;
    int way;

    if (len == 0 || len > c->value_max) {
        /* whatever was kept is not what the caller now says */
        rensei_cache_remove(c, name);
        return 0;
    }
    lock(set);
    way = way_find(c, set, name);
    if (way < 0) {
        way = way_take(c, set, name);
    }
    set->used[way] = ++set->tick;
    v = value_of(c, set, way);
    v->len = (apr_uint32_t)len;
    memcpy(v->bytes, value, len);
    unlock(set);
    return 1;
}

void rensei_cache_remove(rensei_cache_t *c, rensei_cache_name_t name)
{
    set_t *set = set_of(c, name);
    int way;

    lock(set);
    way = way_find(c, set, name);
    if (way >= 0) {
        set->mark[way] = EMPTY;
    }
    unlock(set);
}
