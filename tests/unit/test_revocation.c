/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_forget.h"
#include "rensei_grant.h"
#include "rensei_id.h"
#include "rensei_revocation.h"

#include <apr_strings.h>

#define JTI "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static rensei_err_t err;
static rensei_org_t org;
static rensei_client_t client;
static const char *secret;
static rensei_ring_t *ring;

static void begin(void)
{
    const char *key = "0123456789abcdef0123456789abcdef";

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_secret(ring, key, strlen(key), NULL, &err),
                 err);
    org = test_org("Acme");
    client = test_client(&org, "CI", "", &secret);
}

static apr_status_t end_one(const char *jti, apr_int64_t exp_s)
{
    return rensei_token_revoke(test_store(), org.id, client.id, jti, exp_s,
                               &test_actor, test_pool, &err);
}

static void cut_off(void)
{
    ck_assert_ok(rensei_client_revoke_tokens(&client, test_store(), org.id,
                                             client.id, &test_actor, test_pool,
                                             &err),
                 err);
}

static void find(void)
{
    ck_assert_ok(
        rensei_client_find(&client, test_store(), client.id, test_pool, &err),
        err);
}

static int revoked(const char *jti)
{
    int yes;

    ck_assert_ok(rensei_token_revoked(&yes, test_store(), client.id, jti,
                                      test_pool, &err),
                 err);
    return yes;
}

/* The jti of a token issued now, and its iat. */
static const char *issue(apr_int64_t *iat)
{
    rensei_issuer_t iss = {.ring = ring,
                           .issuer = "i",
                           .audience = "a",
                           .lifetime = 3600,
                           .vocab = rensei_vocab_default()};
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret = secret};
    rensei_token_t token;
    rensei_jws_t jws;
    json_t *claims;

    ck_assert_ok(test_grant_token(&token, test_store(), &iss, &req, &test_actor,
                                  test_pool, &err),
                 err);
    ck_assert_ok(rensei_jws_verify(&jws, token.access_token,
                                   strlen(token.access_token), ring, test_pool,
                                   &err),
                 err);
    claims = test_json(apr_pstrmemdup(test_pool, jws.payload.p, jws.payload.n));
    *iat = json_integer_value(json_object_get(claims, "iat"));
    return json_string_value(json_object_get(claims, "jti"));
}

/* A token, as the gateway knows it when it comes. */
typedef struct issued_t {
    const char *jti;
    apr_int64_t iat;
} issued_t;

static issued_t issued(void)
{
    issued_t out;

    out.jti = issue(&out.iat);
    return out;
}

static int dead(issued_t t)
{
    find();
    return rensei_token_dead(&client, rensei_str(t.jti), t.iat);
}

/* --- one token --- */

START_TEST(one_token_ends)
{
    issued_t a, b;
    rensei_event_t ev;

    begin();
    a = issued();
    b = issued();
    ck_assert_int_eq(dead(a), 0);
    ck_assert_ok(end_one(a.jti, a.iat + 3600), err);
    ck_assert_int_eq(dead(a), 1);
    ck_assert_int_eq(dead(b), 0);
    ck_assert_int_eq(revoked(a.jti), 1);
    ck_assert_int_eq(revoked(b.jti), 0);
    ck_assert_str_eq(client.revoked_jti[0], a.jti);
    ck_assert_ptr_null(client.revoked_jti[1]);
    ck_assert_int_eq(client.revoked_more, 0);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.token_revoked");
    ck_assert_str_eq(ev.target, client.id);
    ck_assert_str_eq(ev.details,
                     apr_psprintf(test_pool, "{\"jti\":\"%s\"}", a.jti));
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     client.id);
}
END_TEST

START_TEST(ended_once)
{
    rensei_event_t ev;

    begin();
    ck_assert_ok(end_one(JTI, TEST_NOW_S + 60), err);
    ev = test_last_event(org.id);
    test_later(10);
    ck_assert_ok(end_one(JTI, TEST_NOW_S + 60), err);
    ck_assert_int_eq(test_last_event(org.id).seq, ev.seq);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
    ck_assert_int_eq(test_sql_count("rensei_revoked_tokens"), 1);
    ck_assert_int_eq(revoked(JTI), 1);
}
END_TEST

START_TEST(only_a_clients_own)
{
    rensei_org_t other;

    begin();
    other = test_org("Other");
    ck_assert_err(rensei_token_revoke(test_store(), other.id, client.id, JTI,
                                      TEST_NOW_S + 60, &test_actor, test_pool,
                                      &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_err(rensei_token_revoke(
                      test_store(), org.id, "wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                      JTI, TEST_NOW_S + 60, &test_actor, test_pool, &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(revoked(JTI), 0);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    ck_assert_ok(end_one(JTI, TEST_NOW_S + 60), err);
}
END_TEST

START_TEST(hostile_jti)
{
    int i;

    begin();
    for (i = 0; test_sql_attacks[i]; i++) {
        if (rensei_id_safe(test_sql_attacks[i], strlen(test_sql_attacks[i]))) {
            continue; /* "_" does no harm here */
        }
        ck_assert_field(end_one(test_sql_attacks[i], TEST_NOW_S + 60), err,
                        "jti");
        ck_assert_int_eq(revoked(test_sql_attacks[i]), 0);
    }
    ck_assert_field(end_one("", TEST_NOW_S + 60), err, "jti");
    ck_assert_int_eq(test_sql_count("rensei_revoked_tokens"), 0);
    ck_assert_ok(end_one("made-by.another:one_1", TEST_NOW_S + 60), err);
    ck_assert_int_eq(revoked("made-by.another:one_1"), 1);
}
END_TEST

static const char *jti_of(int i)
{
    return apr_psprintf(test_pool, "tok_%026d", i);
}

/* So many fit into a gateway's cache; of one that is not among them the
 * store is asked, so that the ninth is no more alive than the first. */
START_TEST(more_than_are_known)
{
    int i, known = 0;

    begin();
    for (i = 0; i < RENSEI_REVOKED_KNOWN_MAX; i++) {
        ck_assert_ok(end_one(jti_of(i), TEST_NOW_S + 60), err);
    }
    find();
    ck_assert_int_eq(client.revoked_more, 0);
    for (i = 0; i < RENSEI_REVOKED_KNOWN_MAX; i++) {
        ck_assert_int_eq(
            rensei_token_dead(&client, rensei_str(jti_of(i)), TEST_NOW_S), 1);
    }
    ck_assert_ok(end_one(jti_of(i), TEST_NOW_S + 60), err);
    find();
    ck_assert_int_eq(client.revoked_more, 1);
    for (i = 0; i <= RENSEI_REVOKED_KNOWN_MAX; i++) {
        known += rensei_token_dead(&client, rensei_str(jti_of(i)), TEST_NOW_S);
        ck_assert_int_eq(revoked(jti_of(i)), 1);
    }
    ck_assert_int_eq(known, RENSEI_REVOKED_KNOWN_MAX);
}
END_TEST

/* Another function's client has no list; it must not look like an empty one. */
START_TEST(a_client_that_was_only_read)
{
    begin();
    ck_assert_ok(end_one(JTI, TEST_NOW_S + 60), err);
    ck_assert_ok(rensei_client_get(&client, test_store(), org.id, client.id,
                                   test_pool, &err),
                 err);
    ck_assert_ptr_null(client.revoked_jti[0]);
    ck_assert_int_eq(client.revoked_more, 1);
}
END_TEST

/* A gateway lets a token live for RenseiClockSkew (at most 300 s) after its
 * exp: were it forgotten at exp, it would come back to life until then. */
START_TEST(remembered_beyond_its_expiry)
{
    begin();
    ck_assert_ok(end_one(JTI, TEST_NOW_S + 60), err);
    test_later(60 + 300);
    find();
    ck_assert_int_eq(rensei_token_dead(&client, RENSEI_STR(JTI), TEST_NOW_S),
                     1);
    ck_assert_ok(end_one(jti_of(1), TEST_NOW_S + 9000), err);
    ck_assert_int_eq(revoked(JTI), 1);
    test_later(RENSEI_REMEMBER_AFTER);
    find();
    ck_assert_ptr_null(client.revoked_jti[1]);
    ck_assert_ok(end_one(jti_of(2), TEST_NOW_S + 9000), err);
    ck_assert_int_eq(revoked(JTI), 0);
    ck_assert_int_eq(revoked(jti_of(1)), 1);
    ck_assert_int_eq(test_sql_count("rensei_revoked_tokens"), 2);
}
END_TEST

START_TEST(expired_long_ago_or_never)
{
    int events;

    begin();
    events = test_sql_count("rensei_audit");
    ck_assert_ok(end_one(JTI, TEST_NOW_S - RENSEI_REMEMBER_AFTER), err);
    ck_assert_ok(end_one(JTI, 0), err);
    ck_assert_int_eq(test_sql_count("rensei_revoked_tokens"), 0);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
    ck_assert_ok(end_one(JTI, APR_INT64_C(1) << 53), err);
    find();
    ck_assert_str_eq(client.revoked_jti[0], JTI);
}
END_TEST

/* --- all tokens --- */

START_TEST(all_tokens_end)
{
    issued_t a, b;
    rensei_event_t ev;

    begin();
    a = issued();
    ck_assert_int_eq(client.tokens_after, 0);
    test_later(10);
    b = issued();
    cut_off();
    ck_assert_int_eq(client.tokens_after, test_now_ms());
    ck_assert_int_eq(client.updated_at, test_now_ms());
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.token_revoked");
    ck_assert_str_eq(ev.target, client.id);
    ck_assert_str_eq(ev.details, "{\"all\":true}");
    ck_assert_str_eq(test_sql_value("SELECT subject FROM rensei_changes"),
                     client.id);
    ck_assert_int_eq(dead(a), 1);
    ck_assert_int_eq(dead(b), 1);
    ck_assert_int_eq(client.revoked_more, 0);
    test_later(1);
    ck_assert_int_eq(dead(issued()), 0);
}
END_TEST

/* The hole: with `iat` in seconds, either a token of the same second as the
 * cut-off that was issued before it lives on, or one issued after it is dead.
 * The time in the jti tells them apart, to the order of one millisecond. */
START_TEST(to_the_millisecond)
{
    issued_t before, after;

    begin();
    test_now += 500000;
    before = issued();
    test_now += 1000;
    cut_off();
    test_now += 1000;
    after = issued();
    ck_assert_int_eq(before.iat, after.iat);
    ck_assert_int_eq(dead(before), 1);
    ck_assert_int_eq(dead(after), 0);
}
END_TEST

START_TEST(in_the_very_millisecond)
{
    issued_t before, between, after;

    begin();
    before = issued();
    cut_off();
    between = issued();
    ck_assert_int_eq(dead(before), 1);
    ck_assert_int_eq(dead(between), 0);
    cut_off();
    after = issued();
    ck_assert_int_eq(dead(before), 1);
    ck_assert_int_eq(dead(between), 1);
    ck_assert_int_eq(dead(after), 0);
    ck_assert_int_eq(after.iat, TEST_NOW_S);
}
END_TEST

START_TEST(never_moves_back)
{
    apr_int64_t first;
    issued_t t;

    begin();
    cut_off();
    first = client.tokens_after;
    test_later(-60); /* another gateway's clock */
    t = issued();
    ck_assert_int_eq(dead(t), 0);
    cut_off();
    ck_assert_int_gt(client.tokens_after, first);
    ck_assert_int_eq(dead(t), 1);
    test_later(120);
    cut_off();
    ck_assert_int_eq(client.tokens_after, test_now_ms());
}
END_TEST

/* A token of a gateway whose clock is ahead says that it was issued later
 * than the cut-off which came after it. */
START_TEST(a_gateway_that_is_ahead)
{
    issued_t before, after;

    begin();
    test_later(5);
    before = issued();
    test_later(-5);
    cut_off();
    ck_assert_int_eq(dead(before), 1);
    after = issued();
    ck_assert_int_eq(dead(after), 0);
    ck_assert_int_eq(after.iat, TEST_NOW_S); /* not in the future */
}
END_TEST

/* Tokens of other services under the same key have no time in their jti. */
START_TEST(by_the_second_where_there_is_no_other_way)
{
    begin();
    test_now += 500000;
    cut_off();
    find();
    ck_assert_int_eq(rensei_token_dead(&client, RENSEI_STR("x"), TEST_NOW_S),
                     1);
    ck_assert_int_eq(
        rensei_token_dead(&client, RENSEI_STR("x"), TEST_NOW_S + 1), 0);
    ck_assert_int_eq(rensei_token_dead(&client, RENSEI_STR(""), TEST_NOW_S), 1);
    ck_assert_int_eq(rensei_token_dead(&client, RENSEI_STR("x"), 0), 1);
    ck_assert_int_eq(
        rensei_token_dead(&client, RENSEI_STR("x"), APR_INT64_C(1) << 53), 0);
    /* One that looks like ours, but for a letter, is not read as ours. */
    ck_assert_int_eq(
        rensei_token_dead(&client, RENSEI_STR("tok_7ZZZZZZZZZZZZZZZZZZZZZZZZU"),
                          TEST_NOW_S),
        1);
    ck_assert_int_eq(
        rensei_token_dead(&client, RENSEI_STR("evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"),
                          TEST_NOW_S),
        1);
}
END_TEST

START_TEST(only_live_clients_of_ones_own)
{
    rensei_org_t other;

    begin();
    other = test_org("Other");
    ck_assert_err(rensei_client_revoke_tokens(&client, test_store(), other.id,
                                              client.id, &test_actor, test_pool,
                                              &err),
                  err, RENSEI_E_NOT_FOUND);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 0);
    client = test_client(&org, "b", "", NULL);
    ck_assert_ok(rensei_client_revoke(&client, test_store(), org.id, client.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    ck_assert_err(rensei_client_revoke_tokens(&client, test_store(), org.id,
                                              client.id, &test_actor, test_pool,
                                              &err),
                  err, RENSEI_E_CONFLICT);
    ck_assert_int_eq(test_sql_count("rensei_changes"), 1);
    ck_assert_int_eq(
        test_sql_count("rensei_clients WHERE tokens_after IS NOT NULL"), 0);
}
END_TEST

/* --- the time in an identifier --- */

START_TEST(time_of_an_identifier)
{
    apr_int64_t ms = 0;
    const char *id;

    ck_assert_ok(rensei_id_new(&id, RENSEI_ID_TOKEN, test_sys, test_pool, &err),
                 err);
    ck_assert(rensei_id_time(&ms, RENSEI_ID_TOKEN, id, strlen(id)));
    ck_assert_int_eq(ms, test_now_ms());
    ck_assert_ok(rensei_id_new_at(&id, RENSEI_ID_TOKEN,
                                  (APR_INT64_C(1) << 48) - 1, test_sys,
                                  test_pool, &err),
                 err);
    ck_assert(rensei_id_time(&ms, RENSEI_ID_TOKEN, id, strlen(id)));
    ck_assert_int_eq(ms, (APR_INT64_C(1) << 48) - 1);
    /* ulid.spec's own example */
    ck_assert(rensei_id_time(&ms, RENSEI_ID_TOKEN,
                             "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV", 30));
    ck_assert_int_eq(ms, APR_INT64_C(1469922850259));
    ms = -1;
    ck_assert(!rensei_id_time(&ms, RENSEI_ID_KEY, id, strlen(id)));
    ck_assert(!rensei_id_time(&ms, RENSEI_ID_TOKEN, id, strlen(id) - 1));
    ck_assert(!rensei_id_time(&ms, RENSEI_ID_TOKEN, "", 0));
    ck_assert(!rensei_id_time(&ms, RENSEI_ID_CLIENT,
                              "m2m_0123456789abcdef0123456789abcdef", 36));
    ck_assert_int_eq(ms, -1);
}
END_TEST

Suite *suite_revocation(void)
{
    TCase *tc;
    Suite *s = test_suite("revocation", &tc);

    tcase_add_test(tc, one_token_ends);
    tcase_add_test(tc, ended_once);
    tcase_add_test(tc, only_a_clients_own);
    tcase_add_test(tc, hostile_jti);
    tcase_add_test(tc, more_than_are_known);
    tcase_add_test(tc, a_client_that_was_only_read);
    tcase_add_test(tc, remembered_beyond_its_expiry);
    tcase_add_test(tc, expired_long_ago_or_never);
    tcase_add_test(tc, all_tokens_end);
    tcase_add_test(tc, to_the_millisecond);
    tcase_add_test(tc, in_the_very_millisecond);
    tcase_add_test(tc, never_moves_back);
    tcase_add_test(tc, a_gateway_that_is_ahead);
    tcase_add_test(tc, by_the_second_where_there_is_no_other_way);
    tcase_add_test(tc, only_live_clients_of_ones_own);
    tcase_add_test(tc, time_of_an_identifier);
    return s;
}
