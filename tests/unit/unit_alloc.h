/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Memory that runs out: what jansson and OpenSSL take can be made to fail, at
 * any place. (A pool that gets none ends the process, as httpd has it; there
 * is nothing to test in that.)
 */
#ifndef UNIT_ALLOC_H
#define UNIT_ALLOC_H

#include "unit.h"

/** In main, before anybody has taken any. */
void test_alloc_install(void);

/** Something to try. It asserts that what it made is whole and right, if it
 * says that it succeeded. */
typedef apr_status_t test_alloc_fn(apr_pool_t *p, rensei_err_t *err);

/** For fn, before it looks at what it made: nothing fails any more. */
void test_alloc_enough(void);

/** Runs fn with enough memory; and then again and again, the first time so
 * that the first allocation fails, then the second, and so on (of the first
 * 300 each, then some), until it takes no more; and all that with every later
 * one failing as well. Asserts that fn succeeds with enough, that it says what
 * is wrong without, and that it gives everything back each time.
 *
 * fn should parse no JSON: jansson 2.14's parser itself uses what it did not
 * get (which ends the process, and so lets nobody in). */
void test_alloc_starve(test_alloc_fn *fn);

/** As test_alloc_starve, of what must never succeed: it is to assert that. */
void test_alloc_starve_refused(test_alloc_fn *fn);

#endif
