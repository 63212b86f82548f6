/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_cache.h"
#include "rensei_jwt.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <unistd.h>

#define VALUE_MAX 464 /* bytes */

static rensei_cache_t *new_cache(apr_size_t bytes)
{
    rensei_cache_t *c = NULL;
    rensei_err_t err;

    ck_assert_ok(
        rensei_cache_create(&c, bytes, VALUE_MAX, 1, test_sys, test_pool, &err),
        err);
    return c;
}

static rensei_cache_name_t name_of(const rensei_cache_t *c, unsigned n)
{
    return rensei_cache_name(c, 1, &n, sizeof(n));
}

static int put_text(rensei_cache_t *c, unsigned n, const char *text)
{
    return rensei_cache_put(c, name_of(c, n), text, strlen(text));
}

static const char *get_text(rensei_cache_t *c, unsigned n)
{
    char out[VALUE_MAX];
    apr_size_t len = rensei_cache_get(c, name_of(c, n), out);

    return len ? apr_pstrmemdup(test_pool, out, len) : NULL;
}

START_TEST(put_get_remove)
{
    rensei_cache_t *c = new_cache(65536);

    ck_assert_ptr_null(get_text(c, 1));
    ck_assert(put_text(c, 1, "one"));
    ck_assert(put_text(c, 2, "two"));
    ck_assert_str_eq(get_text(c, 1), "one");
    ck_assert(put_text(c, 1, "uno, due"));
    ck_assert_str_eq(get_text(c, 1), "uno, due");
    ck_assert_str_eq(get_text(c, 2), "two");
    rensei_cache_remove(c, name_of(c, 1));
    rensei_cache_remove(c, name_of(c, 3));
    ck_assert_ptr_null(get_text(c, 1));
    ck_assert_str_eq(get_text(c, 2), "two");
}
END_TEST

START_TEST(value_sizes)
{
    rensei_cache_t *c = new_cache(65536);
    char value[VALUE_MAX + 1], out[VALUE_MAX];
    rensei_cache_name_t name = name_of(c, 1);

    memset(value, 'v', sizeof(value));
    for (apr_size_t n = 1; n <= VALUE_MAX; n++) {
        ck_assert(rensei_cache_put(c, name, value, n));
        memset(out, 0, sizeof(out));
        ck_assert_uint_eq(rensei_cache_get(c, name, out), n);
        ck_assert_mem_eq(out, value, n);
        ck_assert(n == sizeof(out) || out[n] == 0);
    }
    /* too large to keep: what was there of that name is out of date */
    ck_assert(!rensei_cache_put(c, name, value, VALUE_MAX + 1));
    ck_assert_uint_eq(rensei_cache_get(c, name, out), 0);
    ck_assert(!rensei_cache_put(c, name, value, 0));
}
END_TEST

START_TEST(create_refused)
{
    rensei_cache_t *c = NULL;
    rensei_err_t err;

    ck_assert_err(
        rensei_cache_create(&c, 0, VALUE_MAX, 1, test_sys, test_pool, &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(
        rensei_cache_create(&c, 1000, VALUE_MAX, 1, test_sys, test_pool, &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_ok(
        rensei_cache_create(&c, 8192, VALUE_MAX, 1, test_sys, test_pool, &err),
        err);
    test_random_broken = 1;
    ck_assert_err(
        rensei_cache_create(&c, 8192, VALUE_MAX, 1, test_sys, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
}
END_TEST

/* A cache of one set: the ninth name takes the place of the one that was
 * unused longest, not of the one put first. */
START_TEST(oldest_goes)
{
    rensei_cache_t *c = new_cache(8192);

    for (unsigned i = 0; i < 8; i++) {
        ck_assert(put_text(c, i, "v"));
    }
    ck_assert_ptr_nonnull(get_text(c, 0));
    ck_assert(put_text(c, 1, "again"));
    ck_assert(put_text(c, 8, "v"));
    ck_assert_ptr_null(get_text(c, 2));
    for (unsigned i = 0; i <= 8; i++) {
        ck_assert_msg((get_text(c, i) != NULL) == (i != 2), "%u", i);
    }
    /* a slot that was freed is taken before any other goes */
    rensei_cache_remove(c, name_of(c, 5));
    ck_assert(put_text(c, 9, "v"));
    for (unsigned i = 0; i <= 9; i++) {
        ck_assert_msg((get_text(c, i) != NULL) == (i != 2 && i != 5), "%u", i);
    }
}
END_TEST

static unsigned count_kept(rensei_cache_t *c, unsigned names)
{
    char out[VALUE_MAX];
    unsigned kept = 0;

    for (unsigned i = 0; i < names; i++) {
        kept += rensei_cache_get(c, name_of(c, i), out) > 0;
    }
    return kept;
}

static long resident_pages(void)
{
    char line[128] = "";
    char *second;
    FILE *f = fopen("/proc/self/statm", "r");

    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
    fclose(f);
    second = strchr(line, ' ');
    ck_assert_ptr_nonnull(second);
    return strtol(second, NULL, 10);
}

/* What is in use lies together: 2,000 values of some 500 bytes take one
 * megabyte, wherever in 32 their sets are, not a page each. */
START_TEST(few_values_take_few_pages)
{
    rensei_cache_t *c = new_cache(32 << 20);
    char value[VALUE_MAX] = "v";
    long before = resident_pages();

    for (unsigned n = 0; n < 2000; n++) {
        ck_assert(rensei_cache_put(c, name_of(c, n), value, sizeof(value)));
    }
    ck_assert_uint_eq(count_kept(c, 2000), 2000);
    ck_assert_int_lt((resident_pages() - before) * sysconf(_SC_PAGESIZE),
                     3 << 20);
}
END_TEST

/* The bytes given are a bound, and are used: a cache that picks sets badly
 * keeps a fraction of what it has room for. */
START_TEST(memory)
{
    const apr_size_t sizes[] = {8192, 65536, 1048576, 8388608};

    for (int i = 0; i < 4; i++) {
        rensei_cache_t *c = new_cache(sizes[i]);
        apr_size_t room = sizes[i] / VALUE_MAX;
        unsigned names = (unsigned)room * 8, kept;
        char value[VALUE_MAX] = "v";

        for (unsigned n = 0; n < names; n++) {
            rensei_cache_put(c, name_of(c, n), value, sizeof(value));
        }
        kept = count_kept(c, names);
        ck_assert_uint_lt(kept, room);
        ck_assert_uint_ge(kept, sizes[i] < 65536 ? 8 : room * 85 / 100);
    }
}
END_TEST

/* Half full, few names find their set full: the names spread evenly. */
START_TEST(spread)
{
    rensei_cache_t *c = new_cache(1048576);
    unsigned half = 1048576 / 488 / 2;

    for (unsigned i = 0; i < half; i++) {
        put_text(c, i, "v");
    }
    ck_assert_uint_gt(count_kept(c, half), half * 95 / 100);
}
END_TEST

/* Who knows the hash can choose names that push out all others. */
START_TEST(keyed_names)
{
    rensei_cache_t *c = new_cache(8192), *d = new_cache(8192);
    rensei_cache_name_t a = name_of(c, 1), b = name_of(c, 2), e = name_of(d, 1);

    ck_assert(a.w[0] != e.w[0] && a.w[1] != e.w[1]);
    ck_assert(a.w[0] != b.w[0] && a.w[1] != b.w[1]);
    ck_assert(a.w[0] != a.w[1]);
    e = name_of(c, 1);
    ck_assert(a.w[0] == e.w[0] && a.w[1] == e.w[1]);
    b = rensei_cache_name(c, 1, "", 0);
    ck_assert(b.w[0] != a.w[0]);
    /* one credential, two virtual hosts */
    a = rensei_cache_name(c, 1, "token", 5);
    b = rensei_cache_name(c, 2, "token", 5);
    ck_assert(a.w[0] != b.w[0] && a.w[1] != b.w[1]);
}
END_TEST

#define THREADS 4
#define ROUNDS 4000
#define NAMES 96

typedef struct shared_t {
    rensei_cache_t *cache;
    const rensei_ring_t *ring;
    const char *token[2];
} shared_t;

typedef struct worker_t {
    const shared_t *shared;
    unsigned seed;
    unsigned hits, errors;
} worker_t;

/* A value tells its name and is the same byte throughout: half of one and
 * half of another shows. */
static void use_cache(worker_t *w, unsigned n)
{
    rensei_cache_t *c = w->shared->cache;
    unsigned char value[VALUE_MAX], out[VALUE_MAX];
    apr_size_t len = rensei_cache_get(c, name_of(c, n), out);

    if (len > 0) {
        memset(value, (int)n, len);
        w->hits++;
        w->errors += memcmp(out, value, len) != 0;
    }
    len = 1 + (w->seed >> 8) % VALUE_MAX;
    memset(value, (int)n, len);
    w->errors += !rensei_cache_put(c, name_of(c, n), value, len);
    if (n % 16 == 0) {
        rensei_cache_remove(c, name_of(c, n));
    }
}

static void use_ring(worker_t *w, unsigned n, apr_pool_t *p)
{
    const char *token = w->shared->token[n % 2];
    char *bad = apr_pstrdup(p, token);
    apr_size_t len = strlen(token);
    rensei_jws_t jws;
    rensei_err_t err;

    if (rensei_jws_verify(&jws, token, len, w->shared->ring, p, &err) !=
            APR_SUCCESS ||
        jws.payload.n != 7 || jws.payload.p[5] != (n % 2 ? '1' : '0')) {
        w->errors++;
    }
    bad[len - 20] = bad[len - 20] == 'A' ? 'B' : 'A';
    if (rensei_jws_verify(&jws, bad, len, w->shared->ring, p, &err) ==
            APR_SUCCESS ||
        err.code != RENSEI_E_INVALID_TOKEN) {
        w->errors++;
    }
}

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    worker_t *w = data;
    apr_pool_t *p;

    if (apr_pool_create(&p, NULL) != APR_SUCCESS) {
        w->errors++;
        return NULL;
    }
    for (int i = 0; i < ROUNDS; i++) {
        w->seed = w->seed * 1103515245u + 12345u;
        use_cache(w, (w->seed >> 16) % NAMES);
        use_ring(w, w->seed >> 16, p);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static const rensei_ring_t *two_key_ring(const char *token[2])
{
    static const char *const secret[2] = {"a first secret of thirty-two bytes",
                                          "and a second that is as long as it"};
    rensei_ring_t *both;
    rensei_err_t err;

    ck_assert_int_eq(rensei_ring_create(&both, test_pool), APR_SUCCESS);
    for (int i = 0; i < 2; i++) {
        rensei_ring_t *one;

        ck_assert_int_eq(rensei_ring_create(&one, test_pool), APR_SUCCESS);
        ck_assert_ok(rensei_ring_add_secret(one, secret[i], 34, NULL, &err),
                     err);
        ck_assert_ok(rensei_ring_add_secret(both, secret[i], 34, NULL, &err),
                     err);
        ck_assert_ok(rensei_jws_sign(&token[i], one, "JWT",
                                     i ? "{\"n\":1}" : "{\"n\":0}", test_pool,
                                     &err),
                     err);
    }
    return both;
}

/* All threads of a child share one cache and one ring. */
START_TEST(threads)
{
    shared_t shared = {.cache = new_cache(32768)};
    worker_t w[THREADS];
    apr_thread_t *thread[THREADS];
    apr_status_t rv;

    shared.ring = two_key_ring(shared.token);
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (worker_t){&shared, i + 1, 0, 0};
        ck_assert_int_eq(
            apr_thread_create(&thread[i], NULL, work, &w[i], test_pool),
            APR_SUCCESS);
    }
    for (int i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, thread[i]);
        ck_assert_uint_eq(w[i].errors, 0);
        ck_assert_uint_gt(w[i].hits, ROUNDS / 10);
    }
}
END_TEST

Suite *suite_cache(void)
{
    TCase *tc;
    Suite *s = test_suite("cache", &tc);

    tcase_add_test(tc, put_get_remove);
    tcase_add_test(tc, value_sizes);
    tcase_add_test(tc, create_refused);
    tcase_add_test(tc, oldest_goes);
    tcase_add_test(tc, memory);
    tcase_add_test(tc, few_values_take_few_pages);
    tcase_add_test(tc, spread);
    tcase_add_test(tc, keyed_names);
    tcase_add_test(tc, threads);
    return s;
}
