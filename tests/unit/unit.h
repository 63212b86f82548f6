/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What every unit test has at hand: a pool of its own, a clock that stands
 * until it is moved, randomness that repeats, and the published vectors.
 */
#ifndef UNIT_H
#define UNIT_H

#include "rensei_err.h"
#include "rensei_sys.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE(name) Suite *suite_##name(void);
#include "suites.def"
#undef SUITE

/** 2026-01-31T12:00:00Z, the time at which each test starts. */
#define TEST_NOW_S APR_INT64_C(1769860800)

extern apr_pool_t *test_pool;        /* of the test that runs */
extern const rensei_sys_t *test_sys; /* the clock and generator below */
extern apr_time_t test_now;          /* microseconds; set it to move time */
extern int test_random_broken;       /* 1: there is no randomness */

/** Adds a test case in which the above are fresh for each test. */
TCase *test_tcase(Suite *s, const char *name);

/** A suite of one such case: the usual one. */
Suite *test_suite(const char *name, TCase **tc);

/** The path of a published vector file ("wycheproof/x.json"), in the test's
 * pool. NULL where there is none: that is said on stderr, so that a run
 * without them cannot pass for a run with them. */
const char *test_vector(const char *name);

/** Asserts that a call gives an error, and that this is its code. `err` is
 * the rensei_err_t which the call fills. */
#define ck_assert_err(call, err, want)                                         \
    do {                                                                       \
        memset(&(err), 0, sizeof(err));                                        \
        ck_assert_msg((call) != APR_SUCCESS, "%s succeeded", #call);           \
        ck_assert_msg((err).code == (want), "%s: code %s, not %s (%s)", #call, \
                      rensei_code_name((err).code), rensei_code_name(want),    \
                      (err).text ? (err).text : "no text");                    \
        ck_assert_msg((err).text && (err).text[0], "%s: no text", #call);      \
    } while (0)

/** Asserts that a call succeeds, telling its error otherwise. */
#define ck_assert_ok(call, err)                                        \
    do {                                                               \
        memset(&(err), 0, sizeof(err));                                \
        ck_assert_msg((call) == APR_SUCCESS, "%s: %s: %s (%s)", #call, \
                      rensei_code_name((err).code),                    \
                      (err).text ? (err).text : "no text",             \
                      (err).cause ? (err).cause : "no cause");         \
    } while (0)

#endif
