/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Runs the unit tests. Each test is a process of its own, so one that crashes
 * does not hide the rest. Check's own switches apply: CK_FORK=no for gdb and
 * the sanitizers, CK_RUN_SUITE=jwt for one suite, CK_VERBOSITY=verbose.
 * "unit 1/2" runs the first of each two suites, so that two of them take half
 * the time.
 */
#include "unit.h"
#include "unit_alloc.h"
#include "unit_key.h"

#include <apr_file_info.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <string.h>

apr_pool_t *test_pool;
apr_time_t test_now;
int test_random_broken;

static apr_uint64_t random_state;

static apr_time_t clock_read(void *baton)
{
    return test_now;
}

/* splitmix64: every test draws the same bytes, and no draw repeats another, of
 * whatever thread. */
static apr_uint64_t random_next(void)
{
    apr_uint64_t z = __atomic_add_fetch(
        &random_state, APR_UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);

    z = (z ^ (z >> 30)) * APR_UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * APR_UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static apr_status_t random_read(void *baton, unsigned char *buf, apr_size_t n)
{
    apr_size_t i;

    if (test_random_broken) {
        return APR_EGENERAL;
    }
    for (i = 0; i < n; i++) {
        buf[i] = (unsigned char)random_next();
    }
    return APR_SUCCESS;
}

static const rensei_sys_t sys_of_tests = {clock_read, random_read, NULL};
const rensei_sys_t *test_sys = &sys_of_tests;

static void setup(void)
{
    test_now = TEST_NOW_S * APR_USEC_PER_SEC;
    test_random_broken = 0;
    random_state = 1;
    ck_assert_int_eq(apr_pool_create(&test_pool, NULL), APR_SUCCESS);
}

static void teardown(void)
{
    apr_pool_destroy(test_pool);
    test_pool = NULL;
}

TCase *test_tcase(Suite *s, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    suite_add_tcase(s, tc);
    return tc;
}

Suite *test_suite(const char *name, TCase **tc)
{
    Suite *s = suite_create(name);

    *tc = test_tcase(s, name);
    return s;
}

const char *test_vector(const char *name)
{
    const char *dir = getenv("RENSEI_VECTORS");
    const char *path;
    apr_finfo_t fi;

    path = apr_pstrcat(test_pool, dir ? dir : "../shared/vectors", "/", name,
                       NULL);
    if (apr_stat(&fi, path, APR_FINFO_TYPE, test_pool) == APR_SUCCESS) {
        return path;
    }
    fprintf(stderr,
            "NOT TESTED: the published vectors %s are absent "
            "(set RENSEI_VECTORS to their folder)\n",
            path);
    return NULL;
}

/* @param part "1/2": of each two suites the first; NULL: all of them */
static SRunner *runner_create(const char *part)
{
    SRunner *sr = srunner_create(NULL);
    int at = 0, first = part ? part[0] - '1' : 0,
        step = part ? part[2] - '0' : 1;

#define SUITE(name)                            \
    if (at++ % step == first) {                \
        srunner_add_suite(sr, suite_##name()); \
    }
#include "suites.def"
#undef SUITE
    return sr;
}

static int part_valid(const char *part)
{
    return strlen(part) == 3 && part[1] == '/' && part[0] >= '1' &&
           part[0] <= part[2] && part[2] <= '9';
}

int main(int argc, const char *const *argv)
{
    SRunner *sr;
    int failed;

    if (argc > 1 && !part_valid(argv[1])) {
        fputs("usage: unit [1/2]\n", stderr);
        return EXIT_FAILURE;
    }
    test_alloc_install();
    apr_app_initialize(&argc, &argv, NULL);
    test_keys_prepare();
    sr = runner_create(argc > 1 ? argv[1] : NULL);
    srunner_run_all(sr, CK_ENV);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    test_keys_end();
    apr_terminate();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
