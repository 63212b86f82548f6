/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_alloc.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#define PLACES_MAX 20000 /* more than anything here takes */
/* So many are tried one by one; beyond, where OpenSSL reads a key in thousands
 * of steps, ever fewer. */
#define PLACES_EACH 300

static int fail_at;  /* counts down to the allocation that fails; 0: none */
static int and_rest; /* each after that fails, too */
static int failures;
static long held; /* what jansson has and did not give back */

static int fails(void)
{
    if (fail_at == 0) {
        return 0;
    }
    if (fail_at > 1) {
        fail_at--;
        return 0;
    }
    failures++;
    fail_at = and_rest ? 1 : 0;
    return 1;
}

static void *json_take(size_t n)
{
    void *mem = fails() ? NULL : malloc(n);

    held += mem != NULL;
    return mem;
}

static void json_give(void *mem)
{
    held -= mem != NULL;
    free(mem);
}

static void *openssl_take(size_t n, const char *file, int line)
{
    return n == 0 || fails() ? NULL : malloc(n);
}

static void *openssl_more(void *mem, size_t n, const char *file, int line)
{
    if (n == 0) {
        free(mem);
        return NULL;
    }
    return fails() ? NULL : realloc(mem, n);
}

static void openssl_give(void *mem, const char *file, int line)
{
    free(mem);
}

void test_alloc_install(void)
{
    json_set_alloc_funcs(json_take, json_give);
    if (!CRYPTO_set_mem_functions(openssl_take, openssl_more, openssl_give)) {
        fputs("OpenSSL has taken memory before it could be counted\n", stderr);
        abort();
    }
}

void test_alloc_enough(void)
{
    fail_at = 0;
}

/* @return whether an allocation was refused */
static int attempt(test_alloc_fn *fn, int n, int rest, int refused)
{
    const long before = held;
    apr_pool_t *p = NULL;
    rensei_err_t err = {0};
    apr_status_t rv;

    ck_assert_int_eq(apr_pool_create(&p, test_pool), APR_SUCCESS);
    failures = 0;
    and_rest = rest;
    fail_at = n;
    rv = fn(p, &err);
    fail_at = 0;
    ck_assert_msg(!refused || rv != APR_SUCCESS, "accepted, at %d", n);
    ck_assert_msg(refused || failures > 0 || rv == APR_SUCCESS,
                  "fails with all the memory that there is: %s",
                  err.text ? err.text : "no text");
    ck_assert_msg(rv == APR_SUCCESS ||
                      (err.code != RENSEI_E_NONE && err.text && *err.text),
                  "no error said, at %d", n);
    apr_pool_destroy(p);
    ERR_clear_error();
    ck_assert_msg(held == before, "%ld not given back, at %d", held - before,
                  n);
    return failures > 0;
}

static void starve(test_alloc_fn *fn, int refused)
{
    int rest, n;

    /* the first use of a thing makes what all later uses share */
    attempt(fn, 0, 0, refused);
    attempt(fn, 0, 0, refused);
    for (rest = 0; rest < 2; rest++) {
        for (n = 1; attempt(fn, n, rest, refused);
             n += n < PLACES_EACH ? 1 : n / 40) {
            ck_assert_int_lt(n, PLACES_MAX);
        }
        ck_assert_int_gt(n, 1);
    }
}

void test_alloc_starve(test_alloc_fn *fn)
{
    starve(fn, 0);
}

void test_alloc_starve_refused(test_alloc_fn *fn)
{
    starve(fn, 1);
}
