/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_id.h"

#include <apr_strings.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    rensei_id_e type;
    const char *mark;
    size_t len;
} ids[] = {
    {RENSEI_ID_CLIENT, "m2m_", 36},   {RENSEI_ID_KEY, "key_", 30},
    {RENSEI_ID_WORKER, "wkr_", 30},   {RENSEI_ID_ORG, "org_", 30},
    {RENSEI_ID_WORKSPACE, "ws_", 29}, {RENSEI_ID_EVENT, "evt_", 30},
    {RENSEI_ID_TOKEN, "tok_", 30},
};

#define IDS (sizeof(ids) / sizeof(ids[0]))

static const char *new_id(rensei_id_e type)
{
    const char *id = NULL;
    rensei_err_t err;

    ck_assert_ok(rensei_id_new(&id, type, test_sys, test_pool, &err), err);
    return id;
}

static const char *new_secret(rensei_secret_e type, apr_pool_t *p)
{
    const char *secret = NULL;
    rensei_err_t err;

    ck_assert_ok(rensei_secret_new(&secret, type, test_sys, p, &err), err);
    return secret;
}

START_TEST(id_form)
{
    for (size_t i = 0; i < IDS; i++) {
        const char *id = new_id(ids[i].type), *other = new_id(ids[i].type);

        ck_assert_uint_eq(strlen(id), ids[i].len);
        ck_assert(strncmp(id, ids[i].mark, strlen(ids[i].mark)) == 0);
        ck_assert_str_ne(id, other);
        ck_assert(rensei_id_safe(id, strlen(id)));
        for (size_t j = 0; j < IDS; j++) {
            ck_assert_int_eq(rensei_id_valid(ids[j].type, id, strlen(id)),
                             i == j);
        }
    }
}
END_TEST

/* 2026-01-31T12:00:00Z is 0x019C13EC9E00 ms, in base 32 01KG9YS7G0. */
START_TEST(id_time)
{
    const char *first = new_id(RENSEI_ID_EVENT), *later;

    ck_assert_msg(strncmp(first, "evt_01KG9YS7G0", 14) == 0, "%s", first);
    for (int i = 0; i < 50; i++) {
        test_now += 1000;
        later = new_id(RENSEI_ID_EVENT);
        ck_assert_int_lt(strcmp(first, later), 0);
        first = later;
    }
}
END_TEST

START_TEST(id_bad)
{
    static const char *const rows[] = {
        "",
        "wkr_",
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FA",   /* one short */
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAVX", /* one long */
        "wkr_01arz3ndektsv4rrffq69g5fav",  /* lower case */
        "wkr_81ARZ3NDEKTSV4RRFFQ69G5FAV",  /* over 128 bits */
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAI",  /* I, L, O, U are not in it */
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAL",
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAO",
        "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "WKR_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "key_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "wkr-01ARZ3NDEKTSV4RRFFQ69G5FAV",
    };

    ck_assert(rensei_id_valid(RENSEI_ID_WORKER,
                              "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV", 30));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(
            !rensei_id_valid(RENSEI_ID_WORKER, rows[i], strlen(rows[i])), "%s",
            rows[i]);
    }
    ck_assert(rensei_id_valid(RENSEI_ID_CLIENT,
                              "m2m_0123456789abcdef0123456789abcdef", 36));
    ck_assert(!rensei_id_valid(RENSEI_ID_CLIENT,
                               "m2m_0123456789ABCDEF0123456789abcdef", 36));
    ck_assert(!rensei_id_valid(RENSEI_ID_CLIENT,
                               "m2m_0123456789abcdef0123456789abcde\0", 36));
}
END_TEST

/* An identifier ends up in headers, log lines and the environment: a line
 * break or a quote in it writes more there than itself. */
START_TEST(id_safe)
{
    char longest[RENSEI_ID_LEN_MAX + 1];
    int taken = 0;

    memset(longest, 'x', sizeof(longest));
    ck_assert(rensei_id_safe(longest, RENSEI_ID_LEN_MAX));
    ck_assert(!rensei_id_safe(longest, RENSEI_ID_LEN_MAX + 1));
    ck_assert(!rensei_id_safe("", 0));
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        int safe = c != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
                                    "pqrstuvwxyz0123456789_-.:",
                                    c) != NULL;

        ck_assert_int_eq(rensei_id_safe(text, 3), safe);
        taken += safe;
    }
    ck_assert_int_eq(taken, 66);
}
END_TEST

START_TEST(no_randomness)
{
    const char *out = NULL;
    rensei_err_t err;

    test_random_broken = 1;
    ck_assert_err(
        rensei_id_new(&out, RENSEI_ID_CLIENT, test_sys, test_pool, &err), err,
        RENSEI_E_UNAVAILABLE);
    ck_assert_err(
        rensei_secret_new(&out, RENSEI_SECRET_KEY, test_sys, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
    ck_assert_ptr_null(out);
}
END_TEST

START_TEST(secret_form)
{
    const char *client = new_secret(RENSEI_SECRET_CLIENT, test_pool);
    const char *key = new_secret(RENSEI_SECRET_KEY, test_pool);
    size_t n = strlen(key);

    ck_assert_uint_eq(strlen(client), 69);
    ck_assert(strncmp(client, "m2ms_", 5) == 0);
    ck_assert_uint_eq(n, RENSEI_API_KEY_LEN);
    ck_assert(strncmp(key, "rsk_live_", 9) == 0);
    ck_assert(rensei_secret_valid(RENSEI_SECRET_CLIENT, client, 69));
    ck_assert(rensei_secret_valid(RENSEI_SECRET_KEY, key, n));
    ck_assert(!rensei_secret_valid(RENSEI_SECRET_CLIENT, key, n));
    ck_assert(!rensei_secret_valid(RENSEI_SECRET_KEY, key, n - 1));
    ck_assert(!rensei_secret_valid(
        RENSEI_SECRET_KEY, apr_pstrcat(test_pool, key, "0", NULL), n + 1));
    ck_assert_str_ne(key, new_secret(RENSEI_SECRET_KEY, test_pool));
}
END_TEST

static const char *watched;
static int watched_zeros;

static apr_status_t watch(void *unused)
{
    for (int i = 0; i < 69; i++) {
        watched_zeros += watched[i] == '\0';
    }
    return APR_SUCCESS;
}

/* What is freed is handed out again, to whoever asks next. Cleanups run last
 * in, first out: `watch` looks after the secret's own, while the bytes are
 * still the pool's. */
START_TEST(secret_wiped)
{
    apr_pool_t *p;

    ck_assert_int_eq(apr_pool_create(&p, test_pool), APR_SUCCESS);
    apr_pool_cleanup_register(p, NULL, watch, apr_pool_cleanup_null);
    watched = new_secret(RENSEI_SECRET_CLIENT, p);
    ck_assert_uint_eq(strlen(watched), 69);
    watched_zeros = 0;
    apr_pool_destroy(p);
    ck_assert_int_eq(watched_zeros, 69);
}
END_TEST

/* SHA-256 of "abc", FIPS 180-4. */
START_TEST(digest)
{
    char out[RENSEI_DIGEST_LEN + 1];

    rensei_digest(out, "abc", 3);
    ck_assert_str_eq(out, "sha256$ba7816bf8f01cfea414140de5dae2223b00361a39617"
                          "7a9cb410ff61f20015ad");
    ck_assert_uint_eq(strlen(out), RENSEI_DIGEST_LEN);
}
END_TEST

static int matches(const char *stored, const char *secret, apr_size_t n)
{
    char shown[RENSEI_DIGEST_LEN + 1];

    rensei_digest(shown, secret, n);
    return rensei_digest_same(stored, shown);
}

START_TEST(digest_same)
{
    char stored[RENSEI_DIGEST_LEN + 1];
    const char *secret = new_secret(RENSEI_SECRET_CLIENT, test_pool);

    rensei_digest(stored, secret, 69);
    ck_assert(matches(stored, secret, 69));
    ck_assert(!matches(stored, secret, 68));
    ck_assert(!matches(stored, "", 0));
    ck_assert(!matches(NULL, secret, 69));
    /* a row that was cut short, emptied, or is of another scheme */
    ck_assert(!matches("", secret, 69));
    ck_assert(!matches("sha256$", secret, 69));
    ck_assert(!matches(stored + 7, secret, 69));
    ck_assert(!matches(apr_pstrcat(test_pool, stored, "0", NULL), secret, 69));
    for (int i = 0; i < RENSEI_DIGEST_LEN; i++) {
        stored[i] ^= 1;
        ck_assert(!matches(stored, secret, 69));
        stored[i] ^= 1;
    }
    ck_assert(matches(stored, secret, 69));
}
END_TEST

#define DRAWS 100

/* 16 bytes of the machine's randomness, many times over; as text. */
static void draw(char out[DRAWS][2 * 16 + 1])
{
    const rensei_sys_t *sys = rensei_sys_default();
    unsigned char raw[16];
    int i, k;

    for (i = 0; i < DRAWS; i++) {
        ck_assert_int_eq(sys->random(sys->baton, raw, sizeof(raw)),
                         APR_SUCCESS);
        for (k = 0; k < 16; k++) {
            apr_snprintf(out[i] + 2 * k, 3, "%02x", raw[k]);
        }
    }
}

/* Bytes are drawn ahead. None may come twice: not in this process, nor in one
 * that was forked from it while it had some left. */
START_TEST(random_bytes_come_once)
{
    static char seen[2 * DRAWS][2 * 16 + 1];
    char before[DRAWS][2 * 16 + 1];
    int pipes[2], i, k;
    size_t n;
    FILE *from;
    pid_t child;

    draw(before);
    ck_assert_int_eq(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        draw(seen);
        n = (size_t)write(pipes[1], seen, sizeof(before));
        _exit(n == sizeof(before) ? 0 : 1);
    }
    ck_assert_int_gt(child, 0);
    close(pipes[1]);
    draw(seen);
    from = fdopen(pipes[0], "r");
    ck_assert_int_eq(fread(seen + DRAWS, sizeof(before), 1, from), 1);
    fclose(from);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    for (i = 0; i < 2 * DRAWS; i++) {
        for (k = 0; k < i; k++) {
            ck_assert_str_ne(seen[i], seen[k]);
        }
        for (k = 0; k < DRAWS; k++) {
            ck_assert_str_ne(seen[i], before[k]);
        }
    }
}
END_TEST

Suite *suite_id(void)
{
    TCase *tc;
    Suite *s = test_suite("id", &tc);

    tcase_add_test(tc, id_form);
    tcase_add_test(tc, id_time);
    tcase_add_test(tc, id_bad);
    tcase_add_test(tc, id_safe);
    tcase_add_test(tc, no_randomness);
    tcase_add_test(tc, random_bytes_come_once);
    tcase_add_test(tc, secret_form);
    tcase_add_test(tc, secret_wiped);
    tcase_add_test(tc, digest);
    tcase_add_test(tc, digest_same);
    return s;
}
