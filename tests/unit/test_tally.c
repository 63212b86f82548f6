/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_tally.h"

#include <apr_strings.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define HERE ((const unsigned char *)"abcdefghijklmnop")
#define THERE ((const unsigned char *)"ponmlkjihgfedcba")

static rensei_err_t err;
static rensei_tally_t *tally;

static void begin(apr_size_t places)
{
    ck_assert_ok(rensei_tally_create(&tally, places, test_pool, &err), err);
}

static const char *id_of(int i)
{
    return apr_psprintf(test_pool, "key_01ARZ3NDEKTSV4RRFFQ6%06d", i);
}

static int add(int group, const char *id, apr_int64_t at,
               const unsigned char *from)
{
    return rensei_tally_add(tally, group, id, strlen(id), at, from);
}

/* All entries of a group. */
static int take(rensei_tally_entry_t *out, int max, int group)
{
    apr_size_t from = 0;
    int n = 0, got;

    while ((got = rensei_tally_take(out + n, max - n, &from, tally, group)) >
           0) {
        n += got;
    }
    return n;
}

START_TEST(sizes)
{
    ck_assert_err(rensei_tally_create(&tally, 0, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_tally_create(&tally, 32, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_tally_create(&tally, 100, test_pool, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    begin(64);
}
END_TEST

START_TEST(counts_and_keeps_the_latest)
{
    rensei_tally_entry_t e[8];
    const char *id = id_of(1);

    begin(64);
    ck_assert(!rensei_tally_waiting(tally, 0));
    ck_assert_int_eq(take(e, 8, 0), 0);
    ck_assert(add(0, id, 10, HERE));
    ck_assert(add(0, id, 30, THERE));
    ck_assert(add(0, id, 20, HERE));
    ck_assert(rensei_tally_waiting(tally, 0));
    ck_assert_int_eq(take(e, 8, 0), 1);
    ck_assert_str_eq(e[0].id, id);
    ck_assert_int_eq(e[0].count, 3);
    ck_assert_int_eq(e[0].at, 30);
    ck_assert_int_eq(memcmp(e[0].address, THERE, RENSEI_TALLY_ADDRESS), 0);
    ck_assert(!rensei_tally_waiting(tally, 0));
    ck_assert_int_eq(take(e, 8, 0), 0);

    ck_assert(add(0, id, 40, HERE));
    ck_assert_int_eq(take(e, 8, 0), 1);
    ck_assert_int_eq(e[0].count, 1);
    ck_assert_int_eq(e[0].at, 40);
}
END_TEST

/* Virtual hosts with different stores count in the same process. */
START_TEST(groups_are_apart)
{
    rensei_tally_entry_t e[8];
    const char *id = id_of(1);

    begin(64);
    ck_assert(add(0, id, 10, HERE));
    ck_assert(add(3, id, 20, HERE));
    ck_assert(add(3, id, 21, HERE));
    ck_assert(!rensei_tally_waiting(tally, 1));
    ck_assert_int_eq(take(e, 8, 1), 0);
    ck_assert_int_eq(take(e, 8, 3), 1);
    ck_assert_int_eq(e[0].count, 2);
    ck_assert_str_eq(e[0].id, id);
    ck_assert_int_eq(take(e, 8, 0), 1);
    ck_assert_int_eq(e[0].count, 1);
}
END_TEST

START_TEST(ids_of_any_length_but_no_longer)
{
    const char *longest = "m2m_0123456789abcdef0123456789abcdef01";
    rensei_tally_entry_t e[8];

    begin(64);
    ck_assert_int_eq(strlen(longest), RENSEI_TALLY_ID_MAX);
    ck_assert(add(RENSEI_TALLY_GROUP_MAX, longest, 1, HERE));
    ck_assert_int_eq(take(e, 8, RENSEI_TALLY_GROUP_MAX), 1);
    ck_assert_str_eq(e[0].id, longest);
    ck_assert(!add(0, apr_pstrcat(test_pool, longest, "2", NULL), 1, HERE));
    ck_assert(!add(-1, longest, 1, HERE));
    ck_assert(!add(RENSEI_TALLY_GROUP_MAX + 1, longest, 1, HERE));
}
END_TEST

START_TEST(taken_in_portions)
{
    rensei_tally_entry_t e[10];
    apr_size_t from = 0;
    int i, n, total = 0;

    begin(64);
    for (i = 0; i < 25; i++) {
        ck_assert(add(0, id_of(i), 1, HERE));
    }
    while ((n = rensei_tally_take(e, 10, &from, tally, 0)) > 0) {
        ck_assert_int_le(n, 10);
        total += n;
    }
    ck_assert_int_eq(total, 25);
}
END_TEST

START_TEST(returned)
{
    rensei_tally_entry_t e[8];

    begin(64);
    ck_assert(add(0, id_of(1), 10, HERE));
    ck_assert(add(0, id_of(1), 11, HERE));
    ck_assert_int_eq(take(e, 8, 0), 1);
    ck_assert(add(0, id_of(1), 50, THERE));
    rensei_tally_return(tally, 0, &e[0]);
    ck_assert(rensei_tally_waiting(tally, 0));
    ck_assert_int_eq(take(e, 8, 0), 1);
    ck_assert_int_eq(e[0].count, 3);
    ck_assert_int_eq(e[0].at, 50);
    ck_assert_int_eq(memcmp(e[0].address, THERE, RENSEI_TALLY_ADDRESS), 0);
}
END_TEST

/* Bounded: what does not fit is lost, and said so; and when the places have
 * been taken, they are free for others. */
START_TEST(crowded)
{
    rensei_tally_entry_t e[64];
    int i, added = 0, round;

    begin(64);
    for (i = 0; i < 32; i++) {
        ck_assert(add(0, id_of(i), 1, HERE));
    }
    ck_assert(!rensei_tally_crowded(tally));
    for (; i < 1000; i++) {
        added += add(0, id_of(i), 1, HERE);
    }
    ck_assert(rensei_tally_crowded(tally));
    ck_assert_int_eq(added, 32);
    ck_assert_int_eq(take(e, 64, 0), 64);
    ck_assert(!rensei_tally_crowded(tally));
    for (round = 0; round < 100; round++) {
        for (i = 0; i < 40; i++) {
            ck_assert(add(0, id_of(2000 + round * 40 + i), 1, HERE));
        }
        ck_assert_int_eq(take(e, 64, 0), 40);
    }
}
END_TEST

/* A place that nobody used for a round is given to another id. */
START_TEST(idle_places_are_free_again)
{
    rensei_tally_entry_t e[64];
    int i, round;

    begin(64);
    for (round = 0; round < 100; round++) {
        for (i = 0; i < 10; i++) {
            ck_assert(add(0, id_of(round * 10 + i), 1, HERE));
        }
        ck_assert_int_eq(take(e, 64, 0), 10);
        ck_assert(!rensei_tally_crowded(tally));
    }
}
END_TEST

/* What a child counted is there when it has gone. */
START_TEST(shared_with_children)
{
    rensei_tally_entry_t e[8];
    int status = 1;
    pid_t child;

    begin(4096);
    ck_assert(add(0, id_of(1), 10, HERE));
    child = fork();
    if (child == 0) {
        add(0, id_of(2), 20, THERE);
        _exit(!add(0, id_of(1), 30, THERE));
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(take(e, 8, 0), 2);
    ck_assert_int_eq(e[0].count + e[1].count, 3);
    ck_assert_int_eq(e[0].at + e[1].at, 50);
}
END_TEST

#define THREADS 4
#define EACH 100000
#define IDS 200

typedef struct adder_t {
    pthread_t thread;
    int which, ids;
    apr_int64_t added[IDS]; /* and not lost */
} adder_t;

static const char *ids[IDS];
static int adding;

/* Address and time belong together: one that is torn shows. */
static void *adder_run(void *data)
{
    adder_t *a = data;
    int i;

    for (i = 0; i < EACH; i++) {
        apr_int64_t at = (apr_int64_t)i * THREADS + a->which + 1;
        apr_int64_t address[2] = {at, at};
        int id = (i + a->which) % a->ids;

        a->added[id] += rensei_tally_add(tally, 0, ids[id], 30, at,
                                         (const unsigned char *)address);
    }
    __atomic_fetch_sub(&adding, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void take_all(apr_int64_t *taken)
{
    rensei_tally_entry_t e[IDS];
    apr_int64_t address[2];
    int i, n = take(e, IDS, 0);

    for (i = 0; i < n; i++) {
        memcpy(address, e[i].address, sizeof(address));
        ck_assert_int_eq(address[0], address[1]);
        ck_assert_int_eq(address[0], e[i].at);
        taken[strtol(e[i].id + 24, NULL, 10)] += e[i].count;
    }
}

/* Somebody who takes at the same time, and gives back what he took. */
static void *returner_run(void *data)
{
    rensei_tally_entry_t e[IDS];
    apr_size_t from;
    int n;

    while (__atomic_load_n(&adding, __ATOMIC_SEQ_CST) > 0) {
        from = 0;
        n = rensei_tally_take(e, IDS, &from, tally, 0);
        while (n > 0) {
            rensei_tally_return(tally, 0, &e[--n]);
        }
    }
    return NULL;
}

/* Takers who never rest, while places change hands all the time: each use
 * counts once, and for its own id. */
static void threads_run(int n, int returners)
{
    adder_t *a = apr_pcalloc(test_pool, THREADS * sizeof(*a));
    apr_int64_t taken[IDS] = {0}, total = 0;
    pthread_t returner;
    int i, t;

    begin(64);
    for (i = 0; i < n; i++) {
        ids[i] = id_of(i);
    }
    adding = THREADS;
    for (t = 0; t < THREADS; t++) {
        a[t].which = t;
        a[t].ids = n;
        pthread_create(&a[t].thread, NULL, adder_run, &a[t]);
    }
    if (returners) {
        pthread_create(&returner, NULL, returner_run, NULL);
    }
    while (__atomic_load_n(&adding, __ATOMIC_SEQ_CST) > 0) {
        take_all(taken);
    }
    if (returners) {
        pthread_join(returner, NULL);
    }
    for (t = 0; t < THREADS; t++) {
        pthread_join(a[t].thread, NULL);
    }
    take_all(taken);
    for (i = 0; i < n; i++) {
        apr_int64_t added = 0;
        for (t = 0; t < THREADS; t++) {
            added += a[t].added[i];
        }
        ck_assert_int_eq(taken[i], added);
        total += added;
    }
    ck_assert_int_gt(total, EACH / 2);
}

START_TEST(threads_that_share_an_id)
{
    threads_run(1, 0);
}
END_TEST

START_TEST(threads_that_fight_for_places)
{
    threads_run(IDS, 0);
}
END_TEST

/* Of one id, so that there is always a place to give it back to. */
START_TEST(two_that_take)
{
    threads_run(1, 1);
}
END_TEST

Suite *suite_tally(void)
{
    TCase *tc;
    Suite *s = test_suite("tally", &tc);

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, sizes);
    tcase_add_test(tc, counts_and_keeps_the_latest);
    tcase_add_test(tc, groups_are_apart);
    tcase_add_test(tc, ids_of_any_length_but_no_longer);
    tcase_add_test(tc, taken_in_portions);
    tcase_add_test(tc, returned);
    tcase_add_test(tc, crowded);
    tcase_add_test(tc, idle_places_are_free_again);
    tcase_add_test(tc, shared_with_children);
    tcase_add_test(tc, threads_that_share_an_id);
    tcase_add_test(tc, threads_that_fight_for_places);
    tcase_add_test(tc, two_that_take);
    return s;
}
