/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_limits.h"

#include <apr_strings.h>
#include <pthread.h>

#define DAY (APR_INT64_C(86400) * 1000)

static rensei_err_t err;
static rensei_client_t got;

static rensei_grantor_t held_to(const rensei_limits_t *l)
{
    rensei_grantor_t by = test_grantor(RENSEI_CLASS_ORG, "*");

    by.limits = l;
    return by;
}

static apr_status_t key(const rensei_limits_t *l, unsigned what,
                        const char *owner, apr_int64_t expires_at)
{
    rensei_grantor_t by = held_to(l);

    return rensei_limits_key(&by, what, owner, expires_at, test_now_ms(),
                             test_pool, &err);
}

static apr_status_t client(const rensei_limits_t *l, unsigned what,
                           const char *owner, apr_int64_t expires_at,
                           apr_int64_t lifetime)
{
    rensei_grantor_t by = held_to(l);

    return rensei_limits_client(&by, what, owner, expires_at, lifetime,
                                test_pool, &err);
}

static apr_status_t rotate(const rensei_limits_t *l, apr_int64_t expires_at)
{
    rensei_grantor_t by = held_to(l);

    return rensei_limits_rotate(&by, expires_at, test_now_ms(), test_pool,
                                &err);
}

START_TEST(nobody_and_nothing_bind)
{
    rensei_limits_t none = {0};
    rensei_org_t org = test_org("Acme");

    ck_assert_ok(rensei_limits_key(NULL, RENSEI_LIMIT_ALL, NULL, 0,
                                   test_now_ms(), test_pool, &err),
                 err);
    ck_assert_ok(rensei_limits_client(NULL, RENSEI_LIMIT_ALL, NULL, 0, 86400,
                                      test_pool, &err),
                 err);
    ck_assert_ok(rensei_limits_rotate(NULL, 0, 0, test_pool, &err), err);
    ck_assert_ok(
        rensei_limits_count(NULL, test_store(), org.id, test_pool, &err), err);
    ck_assert_ok(key(&none, RENSEI_LIMIT_ALL, NULL, 0), err);
    ck_assert_ok(key(NULL, RENSEI_LIMIT_ALL, NULL, 0), err);
    ck_assert_ok(client(&none, RENSEI_LIMIT_ALL, NULL, 0, 86400), err);
    ck_assert_ok(rotate(&none, 0), err);
}
END_TEST

START_TEST(an_owner)
{
    rensei_limits_t l = {.owner = 1};

    ck_assert_field(key(&l, RENSEI_LIMIT_ALL, NULL, 0), err, "owner");
    ck_assert_ptr_nonnull(strstr(err.text, "RenseiRequireOwner is On"));
    ck_assert_ok(key(&l, RENSEI_LIMIT_ALL, "ops", 0), err);
    ck_assert_field(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 0), err, "owner");
    ck_assert_ok(client(&l, RENSEI_LIMIT_ALL, "ops", 0, 0), err);
    /* A change that says nothing of it. */
    ck_assert_ok(key(&l, RENSEI_LIMIT_EXPIRY, NULL, 0), err);
    ck_assert_ok(client(&l, 0, NULL, 0, 0), err);
}
END_TEST

START_TEST(an_expiry)
{
    rensei_limits_t l = {.expiry = 1};

    ck_assert_field(key(&l, RENSEI_LIMIT_ALL, NULL, 0), err, "expiresAt");
    ck_assert_ptr_nonnull(strstr(err.text, "RenseiRequireExpiry is On"));
    ck_assert_ok(key(&l, RENSEI_LIMIT_ALL, NULL, test_now_ms() + 1), err);
    ck_assert_field(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 0), err, "expiresAt");
    ck_assert_ok(client(&l, RENSEI_LIMIT_ALL, NULL, test_now_ms() + 1, 0), err);
    ck_assert_ok(key(&l, RENSEI_LIMIT_OWNER, NULL, 0), err);
    ck_assert_ok(client(&l, RENSEI_LIMIT_OWNER, NULL, 0, 0), err);
    ck_assert_err(rotate(&l, 0), err, RENSEI_E_FORBIDDEN);
    ck_assert_ok(rotate(&l, test_now_ms() + 1), err);
}
END_TEST

START_TEST(an_age)
{
    rensei_limits_t l = {.key_age = 90 * DAY};

    ck_assert_ok(key(&l, RENSEI_LIMIT_ALL, NULL, test_now_ms() + 90 * DAY),
                 err);
    ck_assert_field(
        key(&l, RENSEI_LIMIT_ALL, NULL, test_now_ms() + 90 * DAY + 1), err,
        "expiresAt");
    ck_assert_ptr_nonnull(strstr(err.text, "RenseiMaxKeyAge is 90d"));
    ck_assert_ptr_nonnull(
        strstr(err.text, rensei_time_iso(test_now_ms() + 90 * DAY, test_pool)));
    ck_assert_field(key(&l, RENSEI_LIMIT_ALL, NULL, 0), err, "expiresAt");
    ck_assert_ok(key(&l, RENSEI_LIMIT_OWNER, NULL, 0), err);
    /* A client is no key. */
    ck_assert_ok(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 0), err);
}
END_TEST

/* It keeps its end, so no field of the request could be another. */
START_TEST(an_age_and_a_rotation)
{
    rensei_limits_t l = {.key_age = 12 * 3600 * 1000};

    ck_assert_ok(rotate(&l, test_now_ms() + DAY / 2), err);
    ck_assert_err(rotate(&l, test_now_ms() + DAY / 2 + 1), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(err.text, "RenseiMaxKeyAge is 12h"));
    ck_assert_ptr_null(err.field);
    ck_assert_err(rotate(&l, 0), err, RENSEI_E_FORBIDDEN);
}
END_TEST

START_TEST(a_token_lifetime)
{
    rensei_limits_t l = {.token_lifetime = 900};

    ck_assert_ok(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 900), err);
    ck_assert_ok(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 0), err);
    ck_assert_field(client(&l, RENSEI_LIMIT_ALL, NULL, 0, 901), err,
                    "tokenLifetime");
    ck_assert_str_eq(err.text,
                     "RenseiMaxTokenLifetime is 15m: tokenLifetime must be at "
                     "most 900.");
    ck_assert_ok(client(&l, RENSEI_LIMIT_OWNER, NULL, 0, 901), err);

    ck_assert_int_eq(rensei_limits_lifetime(&l, 901), 900);
    ck_assert_int_eq(rensei_limits_lifetime(&l, 60), 60);
    ck_assert_int_eq(rensei_limits_lifetime(NULL, 86400), 86400);
    l.token_lifetime = 0;
    ck_assert_int_eq(rensei_limits_lifetime(&l, 86400), 86400);
}
END_TEST

/* ---- as the rules of clients and keys use them ---- */

static apr_status_t client_create(const rensei_limits_t *l, rensei_store_t *st,
                                  const char *org, const char *json,
                                  apr_pool_t *p, rensei_err_t *e)
{
    rensei_grantor_t by = held_to(l);
    rensei_client_spec_t spec;
    rensei_client_t c;
    const char *secret;
    apr_status_t rv = rensei_client_spec_read(
        &spec, rensei_json_own(json_loads(json, 0, NULL), p), 1, p, e);

    if (rv == APR_SUCCESS) {
        rv = rensei_client_create(&c, &secret, st, org, &spec,
                                  rensei_vocab_default(), &by, &test_actor, p,
                                  e);
    }
    if (rv == APR_SUCCESS && e == &err) {
        got = c;
    }
    return rv;
}

static apr_status_t make(const rensei_limits_t *l, const rensei_org_t *org,
                         const char *json)
{
    return client_create(l, test_store(), org->id, json, test_pool, &err);
}

static apr_status_t update(const rensei_limits_t *l, const rensei_org_t *org,
                           const char *id, const char *json)
{
    rensei_grantor_t by = held_to(l);
    rensei_client_spec_t spec;
    apr_status_t rv =
        rensei_client_spec_read(&spec, test_json(json), 0, test_pool, &err);

    return rv == APR_SUCCESS
               ? rensei_client_update(&got, test_store(), org->id, id, &spec,
                                      rensei_vocab_default(), &by, &test_actor,
                                      test_pool, &err)
               : rv;
}

static apr_status_t key_make(const rensei_limits_t *l, const rensei_org_t *org)
{
    rensei_grantor_t by = held_to(l);
    rensei_apikey_spec_t spec = {.name = "k",
                                 .type = "org",
                                 .owner = "ops",
                                 .scopes = test_scopes("org:read")};
    rensei_apikey_t k;
    const char *token;

    return rensei_apikey_create(&k, &token, test_store(), org->id, &spec,
                                rensei_vocab_default(), &by, &test_actor,
                                test_pool, &err);
}

#define PLAIN "{\"name\":\"c\",\"scopes\":[\"agents:read\"]}"
#define WITH(more) "{\"name\":\"c\",\"scopes\":[\"agents:read\"]," more "}"

/* Attack: what may not be created is created as it should be, and changed. */
START_TEST(a_change_does_not_get_around)
{
    rensei_limits_t l = {.owner = 1, .expiry = 1, .token_lifetime = 900};
    rensei_org_t org = test_org("Acme");
    const char *id;

    ck_assert_field(make(&l, &org, PLAIN), err, "owner");
    ck_assert_field(make(&l, &org, WITH("\"owner\":\"ops\"")), err,
                    "expiresAt");
    ck_assert_int_eq(test_sql_count("rensei_clients"), 0);
    ck_assert_ok(make(&l, &org,
                      WITH("\"owner\":\"ops\",\"expiresAt\":"
                           "\"2099-01-01T00:00:00Z\",\"tokenLifetime\":900")),
                 err);
    id = got.id;
    ck_assert_field(update(&l, &org, id, "{\"owner\":null}"), err, "owner");
    ck_assert_field(update(&l, &org, id, "{\"expiresAt\":null}"), err,
                    "expiresAt");
    ck_assert_field(update(&l, &org, id, "{\"tokenLifetime\":901}"), err,
                    "tokenLifetime");
    ck_assert_ok(
        rensei_client_get(&got, test_store(), org.id, id, test_pool, &err),
        err);
    ck_assert_str_eq(got.owner, "ops");
    ck_assert_int_ne(got.expires_at, 0);
    ck_assert_int_eq(got.token_lifetime, 900);

    ck_assert_ok(update(&l, &org, id, "{\"owner\":\"sec\"}"), err);
    ck_assert_ok(update(&l, &org, id, "{\"tokenLifetime\":null}"), err);
    ck_assert_ok(update(&l, &org, id, "{\"name\":\"d\"}"), err);
}
END_TEST

/* One from before the policies. */
START_TEST(an_old_client_can_be_renamed)
{
    rensei_limits_t l = {.owner = 1, .expiry = 1, .token_lifetime = 60};
    rensei_org_t org = test_org("Acme");

    ck_assert_ok(make(NULL, &org, WITH("\"tokenLifetime\":3600")), err);
    ck_assert_ok(update(&l, &org, got.id, "{\"name\":\"d\"}"), err);
    ck_assert_ok(update(&l, &org, got.id, "{\"owner\":\"ops\"}"), err);
    ck_assert_str_eq(got.owner, "ops");
}
END_TEST

/* Clients and keys count together, each organisation's its own. */
START_TEST(so_many_and_no_more)
{
    rensei_limits_t l = {.credentials = 3};
    rensei_org_t acme = test_org("Acme"), bolt = test_org("Bolt");
    rensei_client_t first;
    int events;

    ck_assert_ok(make(&l, &acme, PLAIN), err);
    first = got;
    ck_assert_ok(key_make(&l, &acme), err);
    ck_assert_ok(make(&l, &acme, PLAIN), err);
    events = test_sql_count("rensei_audit");
    ck_assert_err(make(&l, &acme, PLAIN), err, RENSEI_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(err.text, "RenseiMaxCredentials is 3"));
    ck_assert_err(key_make(&l, &acme), err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(test_sql_count("rensei_clients"), 2);
    ck_assert_int_eq(test_sql_count("rensei_keys"), 1);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);

    ck_assert_ok(make(&l, &bolt, PLAIN), err);
    ck_assert_ok(make(NULL, &acme, PLAIN), err);
    ck_assert_ok(rensei_client_revoke(&got, test_store(), acme.id, got.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_err(make(&l, &acme, PLAIN), err, RENSEI_E_FORBIDDEN);
    ck_assert_ok(rensei_client_revoke(&got, test_store(), acme.id, first.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(make(&l, &acme, PLAIN), err);
}
END_TEST

/* Attack: clients that have expired count no more, and are then, all of them,
 * given another end. */
START_TEST(the_expired_do_not_rise)
{
    rensei_limits_t l = {.credentials = 1};
    rensei_org_t org = test_org("Acme");
    const char *id;

    ck_assert_ok(make(&l, &org, WITH("\"expiresAt\":\"2026-01-31T12:00:10Z\"")),
                 err);
    id = got.id;
    ck_assert_err(make(&l, &org, PLAIN), err, RENSEI_E_FORBIDDEN);
    test_later(10);
    ck_assert_ok(make(&l, &org, PLAIN), err);
    ck_assert_err(update(&l, &org, id, "{\"expiresAt\":null}"), err,
                  RENSEI_E_FORBIDDEN);
    ck_assert_err(
        update(&l, &org, id, "{\"expiresAt\":\"2099-01-01T00:00:00Z\"}"), err,
        RENSEI_E_FORBIDDEN);
    ck_assert_ok(update(&l, &org, id, "{\"name\":\"d\"}"), err);
    /* The one that lives may have another end. */
    l.credentials = 2;
    ck_assert_ok(update(&l, &org, id, "{\"expiresAt\":null}"), err);
    ck_assert_ok(
        update(&l, &org, id, "{\"expiresAt\":\"2099-01-01T00:00:00Z\"}"), err);
}
END_TEST

START_TEST(of_no_organisation)
{
    rensei_limits_t l = {.credentials = 3};
    rensei_grantor_t by = held_to(&l);

    ck_assert_err(rensei_limits_count(&by, test_store(),
                                      "org_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                                      test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
}
END_TEST

enum { THREADS = 8, TRIES = 5, LIMIT = 13 };

typedef struct tries_t {
    const char *org;
    int made, refused;
} tries_t;

static void *make_many(void *data)
{
    static const rensei_limits_t l = {.credentials = LIMIT};
    tries_t *t = data;
    apr_pool_t *p;
    rensei_store_t *st;
    rensei_err_t e = {0};
    int i;

    apr_pool_create(&p, NULL);
    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          test_sys, p, &e) == APR_SUCCESS) {
        for (i = 0; i < TRIES; i++) {
            memset(&e, 0, sizeof(e));
            if (client_create(&l, st, t->org, PLAIN, p, &e) == APR_SUCCESS) {
                t->made++;
            }
            else if (e.code == RENSEI_E_FORBIDDEN) {
                t->refused++;
            }
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

/* Attack: many at once, each of which finds room for one more. */
START_TEST(so_many_also_at_the_same_time)
{
    rensei_org_t org = test_org("Acme");
    pthread_t thread[THREADS];
    tries_t tries[THREADS] = {{0}};
    int i, made = 0, refused = 0;

    for (i = 0; i < THREADS; i++) {
        tries[i].org = org.id;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, make_many, &tries[i]),
                         0);
    }
    for (i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        made += tries[i].made;
        refused += tries[i].refused;
    }
    ck_assert_int_eq(made, LIMIT);
    ck_assert_int_eq(refused, THREADS * TRIES - LIMIT);
    ck_assert_int_eq(test_sql_count("rensei_clients"), LIMIT);
}
END_TEST

Suite *suite_limits(void)
{
    TCase *tc;
    Suite *s = test_suite("limits", &tc);

    tcase_add_test(tc, nobody_and_nothing_bind);
    tcase_add_test(tc, an_owner);
    tcase_add_test(tc, an_expiry);
    tcase_add_test(tc, an_age);
    tcase_add_test(tc, an_age_and_a_rotation);
    tcase_add_test(tc, a_token_lifetime);
    tcase_add_test(tc, a_change_does_not_get_around);
    tcase_add_test(tc, an_old_client_can_be_renamed);
    tcase_add_test(tc, so_many_and_no_more);
    tcase_add_test(tc, the_expired_do_not_rise);
    tcase_add_test(tc, of_no_organisation);
    tcase_add_test(tc, so_many_also_at_the_same_time);
    return s;
}
