/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_tally.h"

#include <apr_shm.h>
#include <string.h>

#define PROBES 32
#define WORDS 5
#define PATIENCE 1000
#define PAGE_PLACES 32 /* of a page of memory */

/* A place is governed by one word: who wants to change anything swaps it for
 * another, and has failed if it is not any more what it was. Its version moves
 * when a place is given to another id, so nobody counts for an id that he read
 * there before. */
#define COUNT_MASK APR_UINT64_C(0xffffffff)
#define PINNED (APR_UINT64_C(1) << 32) /* somebody sets time and address */
#define STATE (APR_UINT64_C(3) << 33)
#define FREE (APR_UINT64_C(0) << 33)
#define CLAIMED (APR_UINT64_C(1) << 33) /* its id is being written */
#define USED (APR_UINT64_C(2) << 33)
#define VERSION_ONE (APR_UINT64_C(1) << 35)
#define SAME_LIFE (~(COUNT_MASK | PINNED)) /* version and state */

typedef struct place_t {
    apr_uint64_t head;
    apr_uint64_t id[WORDS]; /* padded with 0; the last byte is the group */
    apr_int64_t at;
    apr_uint64_t address[2];
    char unused[128 - 9 * 8]; /* neighbours share no cache line */
} place_t;

_Static_assert(sizeof(place_t) == 128, "a place is two cache lines");
_Static_assert(RENSEI_TALLY_ID_MAX < WORDS * 8 - 1, "an id fits its words");

/* All of it is in the memory that processes share. */
struct rensei_tally_t {
    place_t *place;
    unsigned char *touched; /* of PAGE_PLACES each: some place was in use. To
                               look at the others would take memory for them */
    apr_size_t mask;
    apr_size_t taken;     /* places that are not free */
    apr_uint32_t waiting; /* bits: groups */
};

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define SWAP(x, was, is)                                                \
    __atomic_compare_exchange_n(&(x), (was), (is), 0, __ATOMIC_SEQ_CST, \
                                __ATOMIC_ACQUIRE)

apr_status_t rensei_tally_create(rensei_tally_t **out, apr_size_t places,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_size_t head = APR_ALIGN(sizeof(rensei_tally_t), sizeof(place_t));
    apr_size_t bytes = places * sizeof(place_t);
    rensei_tally_t *t;
    apr_shm_t *shm;
    char *base;

    if (places < 64 || (places & (places - 1)) != 0) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "A tally has a power of two of places.");
    }
    if (apr_shm_create(&shm, sizeof(place_t) + head + bytes + places, NULL,
                       p) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no memory for a tally.");
    }
    base = (char *)APR_ALIGN((apr_uintptr_t)apr_shm_baseaddr_get(shm),
                             sizeof(place_t));
    t = (rensei_tally_t *)base; /* new memory is zero */
    t->place = (place_t *)(base + head);
    t->touched = (unsigned char *)base + head + bytes;
    t->mask = places - 1;
    *out = t;
    return APR_SUCCESS;
}

/* An id as words, and with its group. */
static void words_of(apr_uint64_t *w, int group, const char *id, apr_size_t n)
{
    char bytes[WORDS * 8] = {0};

    memcpy(bytes, id, n);
    bytes[sizeof(bytes) - 1] = (char)(group + 1);
    memcpy(w, bytes, sizeof(bytes));
}

/* The random characters of an id are its last; each of them moves it. */
static apr_size_t place_of(const apr_uint64_t *w)
{
    apr_uint64_t h = (w[2] ^ w[4]) + w[3] * APR_UINT64_C(0x9e3779b97f4a7c15);

    h = (h ^ (h >> 32)) * APR_UINT64_C(0xbf58476d1ce4e5b9);
    return (apr_size_t)(h >> 40);
}

/* Without a branch for each word: all of them agree, as good as always. */
static int is_of(const place_t *s, const apr_uint64_t *w)
{
    return ((LOAD(s->id[0]) ^ w[0]) | (LOAD(s->id[1]) ^ w[1]) |
            (LOAD(s->id[2]) ^ w[2]) | (LOAD(s->id[3]) ^ w[3]) |
            (LOAD(s->id[4]) ^ w[4])) == 0;
}

static void latest_set(place_t *s, apr_int64_t at, const apr_uint64_t *address)
{
    if (at > LOAD(s->at)) {
        STORE(s->at, at);
        STORE(s->address[0], address[0]);
        STORE(s->address[1], address[1]);
    }
}

static void unpin(place_t *s)
{
    __atomic_fetch_and(&s->head, ~PINNED, __ATOMIC_RELEASE);
}

/* Counts at a place that is the id's; whoever finds it pinned leaves time and
 * address to him who is there, as it is the same moment.
 * @return 0 where the place is not the id's any more */
static int count_at(place_t *s, apr_uint64_t head, apr_int64_t n,
                    apr_int64_t at, const apr_uint64_t *address)
{
    apr_uint64_t life = head & SAME_LIFE;

    for (;;) {
        int pins = !(head & PINNED) && at > LOAD(s->at);
        apr_uint64_t next = (head + (apr_uint64_t)n) | (pins ? PINNED : 0);

        if (SWAP(s->head, &head, next)) {
            if (pins) {
                latest_set(s, at, address);
                unpin(s);
            }
            return 1;
        }
        if ((head & SAME_LIFE) != life) {
            return 0;
        }
    }
}

/* @return 0 where somebody else was first */
static int claim(rensei_tally_t *t, place_t *s, apr_uint64_t head,
                 const apr_uint64_t *w, apr_int64_t n, apr_int64_t at,
                 const apr_uint64_t *address)
{
    apr_uint64_t mine = (head & ~STATE) | CLAIMED;
    int i;

    if (!SWAP(s->head, &head, mine)) {
        return 0;
    }
    for (i = 0; i < WORDS; i++) {
        STORE(s->id[i], w[i]);
    }
    STORE(s->at, 0);
    latest_set(s, at, address);
    STORE(t->touched[(s - t->place) / PAGE_PLACES], 1);
    __atomic_fetch_add(&t->taken, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&s->head, ((mine & ~STATE) | USED) + (apr_uint64_t)n,
                     __ATOMIC_SEQ_CST);
    return 1;
}

/* Two that come at the same time can get a place each: an id counts as the sum
 * of its places. */
static int add(rensei_tally_t *t, const apr_uint64_t *w, apr_int64_t n,
               apr_int64_t at, const apr_uint64_t *address)
{
    apr_size_t first = place_of(w), i;

    for (i = 0; i < PROBES; i++) {
        place_t *s = &t->place[(first + i) & t->mask];
        apr_uint64_t head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);

        if ((head & STATE) == USED
                ? is_of(s, w) && count_at(s, head, n, at, address)
                : (head & STATE) == FREE &&
                      claim(t, s, head, w, n, at, address)) {
            return 1;
        }
    }
    return 0;
}

/* After the count: whoever takes looks the other way round, so that one of the
 * two sees what the other did. */
static void wait_for(rensei_tally_t *t, int group)
{
    apr_uint32_t bit = (apr_uint32_t)1 << group;

    if (!(__atomic_load_n(&t->waiting, __ATOMIC_SEQ_CST) & bit)) {
        __atomic_fetch_or(&t->waiting, bit, __ATOMIC_SEQ_CST);
    }
}

int rensei_tally_add(rensei_tally_t *t, int group, const char *id, apr_size_t n,
                     apr_int64_t at, const unsigned char *address)
{
    apr_uint64_t w[WORDS], from[2];

    if (n > RENSEI_TALLY_ID_MAX || group < 0 ||
        group > RENSEI_TALLY_GROUP_MAX) {
        return 0;
    }
    words_of(w, group, id, n);
    memcpy(from, address, sizeof(from));
    if (!add(t, w, 1, at, from)) {
        return 0;
    }
    wait_for(t, group);
    return 1;
}

int rensei_tally_waiting(const rensei_tally_t *t, int group)
{
    return (LOAD(t->waiting) >> group) & 1;
}

int rensei_tally_crowded(const rensei_tally_t *t)
{
    return LOAD(t->taken) > (t->mask + 1) / 2;
}

/* ---- taking ---- */

static void set_free(rensei_tally_t *t, place_t *s, apr_uint64_t head)
{
    apr_uint64_t next = ((head & ~(STATE | COUNT_MASK)) + VERSION_ONE) | FREE;

    if (SWAP(s->head, &head, next)) {
        __atomic_fetch_sub(&t->taken, 1, __ATOMIC_RELAXED);
    }
}

/* Who has it pinned is between two instructions of his. */
static apr_uint64_t unpinned(place_t *s)
{
    apr_uint64_t head;
    int i;

    for (i = 0; i < PATIENCE; i++) {
        head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);
        if (!(head & PINNED)) {
            break;
        }
    }
    return head;
}

/* The group, of the last of an id's words. */
static int group_of(apr_uint64_t last)
{
    char bytes[sizeof(last)];

    memcpy(bytes, &last, sizeof(last));
    return bytes[sizeof(last) - 1] - 1;
}

/* @return 1 and what was counted; 0 for nothing, or not now, or where the
 * place has been given to another group meanwhile */
static int drain(rensei_tally_entry_t *out, rensei_tally_t *t, place_t *s,
                 int group)
{
    apr_uint64_t head = unpinned(s);
    apr_uint64_t words[WORDS], address[2];
    int i;

    do {
        if ((head & STATE) != USED || (head & PINNED) ||
            (head & COUNT_MASK) == 0) {
            return 0;
        }
    } while (!SWAP(s->head, &head, (head & ~COUNT_MASK) | PINNED));
    for (i = 0; i < WORDS; i++) {
        words[i] = LOAD(s->id[i]);
    }
    if (group_of(words[WORDS - 1]) != group) {
        __atomic_fetch_add(&s->head, head & COUNT_MASK, __ATOMIC_SEQ_CST);
        unpin(s);
        wait_for(t, group_of(words[WORDS - 1]));
        return 0;
    }
    address[0] = LOAD(s->address[0]);
    address[1] = LOAD(s->address[1]);
    out->at = LOAD(s->at);
    unpin(s);
    memcpy(out->id, words, sizeof(out->id));
    out->id[sizeof(out->id) - 1] = '\0'; /* the group */
    memcpy(out->address, address, sizeof(out->address));
    out->count = (apr_int64_t)(head & COUNT_MASK);
    return 1;
}

/* A place that has not been used since the last time is free for another id;
 * so is every one where they are scarce. */
static int take_one(rensei_tally_entry_t *out, rensei_tally_t *t, place_t *s,
                    int group, int scarce)
{
    apr_uint64_t head = __atomic_load_n(&s->head, __ATOMIC_SEQ_CST);
    int got;

    if ((head & STATE) != USED || group_of(LOAD(s->id[WORDS - 1])) != group) {
        return 0;
    }
    got = drain(out, t, s, group);
    if (!got || scarce) {
        head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);
        if ((head & STATE) == USED && !(head & PINNED) &&
            (head & COUNT_MASK) == 0) {
            set_free(t, s, head);
        }
    }
    return got;
}

int rensei_tally_take(rensei_tally_entry_t *out, int max, apr_size_t *from,
                      rensei_tally_t *t, int group)
{
    int scarce = rensei_tally_crowded(t), n = 0;

    if (*from == 0) { /* before the first look: what comes later says so */
        __atomic_fetch_and(&t->waiting, ~((apr_uint32_t)1 << group),
                           __ATOMIC_SEQ_CST);
    }
    while (*from <= t->mask && n < max) {
        if (!LOAD(t->touched[*from / PAGE_PLACES])) {
            *from += PAGE_PLACES;
            continue;
        }
        n += take_one(&out[n], t, &t->place[(*from)++], group, scarce);
    }
    return n;
}

void rensei_tally_return(rensei_tally_t *t, int group,
                         const rensei_tally_entry_t *entry)
{
    apr_uint64_t w[WORDS], address[2];

    words_of(w, group, entry->id, strlen(entry->id));
    memcpy(address, entry->address, sizeof(address));
    if (add(t, w, entry->count, entry->at, address)) {
        wait_for(t, group);
    }
}
