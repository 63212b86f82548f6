/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_introspect.h"
#include "rensei_revocation.h"

#include <apr_strings.h>

static const char *const ring_secret = "0123456789abcdef0123456789abcdef";
static const rensei_expect_t expect = {"rensei-platform", "rensei-api", 10};

static rensei_err_t err;
static rensei_org_t org, other;
static rensei_client_t client;
static const char *secret;
static rensei_issuer_t issuer;
static json_t *answer;

static void begin(void)
{
    rensei_ring_t *ring;

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_secret(ring, ring_secret, strlen(ring_secret),
                                        NULL, &err),
                 err);
    issuer = (rensei_issuer_t){.ring = ring,
                               .issuer = "rensei-platform",
                               .audience = "rensei-api",
                               .lifetime = 3600,
                               .vocab = rensei_vocab_default()};
    org = test_org("Acme");
    other = test_org("Bolt");
    client = test_client(&org, "CI", "sessions:read sessions:write", &secret);
}

static const char *issued(void)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret = secret};
    rensei_token_t token;

    ck_assert_ok(test_grant_token(&token, test_store(), &issuer, &req,
                                  &test_actor, test_pool, &err),
                 err);
    return token.access_token;
}

/* A token with these claims, signed by the ring. */
static const char *made(const char *typ, const char *claims)
{
    const char *token;

    ck_assert_ok(
        rensei_jws_sign(&token, issuer.ring, typ, claims, test_pool, &err),
        err);
    return token;
}

static const char *claims_of(const char *sub, const char *more)
{
    return apr_psprintf(test_pool,
                        "{\"iss\":\"rensei-platform\",\"aud\":\"urn:other\","
                        "\"sub\":\"%s\",\"org_id\":\"%s\",\"scopes\":"
                        "[\"sessions:read\"],\"exp\":%" APR_INT64_T_FMT "%s}",
                        sub, org.id, TEST_NOW_S + 60, more);
}

static int ask_as(const rensei_question_t *q)
{
    ck_assert_ok(rensei_introspect(&answer, test_store(), &issuer, &expect, q,
                                   test_pool, &err),
                 err);
    rensei_json_own(answer, test_pool);
    if (json_is_true(json_object_get(answer, "active"))) {
        return 1;
    }
    ck_assert_str_eq(rensei_json_dump(answer, test_pool), "{\"active\":false}");
    return 0;
}

static int active(const char *token)
{
    rensei_question_t q = {.token = token, .org = org.id, .max_age = -1};

    return ask_as(&q);
}

static const char *said(const char *name)
{
    const json_t *value = json_object_get(answer, name);

    return value ? rensei_json_dump(value, test_pool) : NULL;
}

START_TEST(a_token)
{
    begin();
    ck_assert(active(issued()));
    ck_assert_str_eq(said("token_use"), "\"m2m\"");
    ck_assert_str_eq(said("token_type"), "\"Bearer\"");
    ck_assert_str_eq(said("scope"), "\"sessions:read sessions:write\"");
    ck_assert_str_eq(said("scopes"), "[\"sessions:read\",\"sessions:write\"]");
    ck_assert_str_eq(said("iss"), "\"rensei-platform\"");
    ck_assert_str_eq(said("aud"), "\"rensei-api\"");
    ck_assert_str_eq(said("custom_claims"), "{}");
    ck_assert_str_eq(said("client_id"), said("sub"));
    ck_assert_str_eq(said("iat"),
                     apr_psprintf(test_pool, "%" APR_INT64_T_FMT, TEST_NOW_S));
    ck_assert_ptr_nonnull(said("jti"));
    ck_assert_ptr_null(said("workspace_id"));
}
END_TEST

START_TEST(claims_of_others_go_together)
{
    begin();
    ck_assert(active(made("JWT", claims_of(client.id, ",\"team\":{\"a\":[1]},"
                                                      "\"token_use\":\"x\","
                                                      "\"nbf\":5"))));
    ck_assert_str_eq(said("custom_claims"), "{\"team\":{\"a\":[1]}}");
    ck_assert_str_eq(said("token_use"), "\"m2m\"");
    ck_assert_str_eq(said("aud"), "\"urn:other\"");
    ck_assert_str_eq(said("nbf"), "5");
    ck_assert_ptr_null(said("iat"));
    ck_assert_ptr_null(said("team"));
}
END_TEST

/* The gateway allows for clocks that differ; who issued the token need not. */
START_TEST(expiry_is_to_the_second)
{
    const char *token;

    begin();
    token = made("JWT", claims_of(client.id, ""));
    test_later(59);
    ck_assert(active(token));
    test_later(1);
    ck_assert(!active(token));
}
END_TEST

START_TEST(of_another_organisation)
{
    rensei_question_t q = {.org = other.id, .max_age = -1};
    const char *key;

    begin();
    q.org = other.id;
    q.token = issued();
    ck_assert(!ask_as(&q));
    ck_assert(active(q.token));
    test_key(&org, "k", "org", "*", &key);
    q.token = key;
    ck_assert(!ask_as(&q));
    ck_assert(active(key));
}
END_TEST

START_TEST(state_is_the_stores)
{
    rensei_client_spec_t spec = {.set = RENSEI_CLIENT_STATUS,
                                 .status = "inactive"};
    const char *token;
    rensei_org_t o;

    begin();
    token = issued();
    ck_assert_ok(rensei_client_update(&client, test_store(), org.id, client.id,
                                      &spec, issuer.vocab, NULL, &test_actor,
                                      test_pool, &err),
                 err);
    ck_assert(!active(token));
    spec.status = "active";
    ck_assert_ok(rensei_client_update(&client, test_store(), org.id, client.id,
                                      &spec, issuer.vocab, NULL, &test_actor,
                                      test_pool, &err),
                 err);
    ck_assert(active(token));
    ck_assert_ok(rensei_org_set_status(&o, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert(!active(token));
    ck_assert_ok(rensei_org_set_status(&o, test_store(), org.id, "active",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert(active(token));
    ck_assert_ok(rensei_client_revoke(&client, test_store(), org.id, client.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    ck_assert(!active(token));
}
END_TEST

START_TEST(all_tokens_up_to_a_time)
{
    const char *before, *after;

    begin();
    before = issued();
    test_later(1);
    ck_assert_ok(rensei_client_revoke_tokens(&client, test_store(), org.id,
                                             client.id, &test_actor, test_pool,
                                             &err),
                 err);
    test_later(1);
    after = issued();
    ck_assert(!active(before));
    ck_assert(active(after));
    /* of an unknown age, it may be older */
    ck_assert(!active(made("JWT", claims_of(client.id, ""))));
}
END_TEST

START_TEST(an_api_key)
{
    const char *token;
    rensei_apikey_t key;
    rensei_apikey_t gone;

    begin();
    key = test_key(&org, "k", "org", "org:read sessions:read", &token);
    ck_assert(active(token));
    ck_assert_str_eq(said("token_use"), "\"api_key\"");
    ck_assert_str_eq(said("sub"),
                     apr_pstrcat(test_pool, "\"", key.id, "\"", NULL));
    ck_assert_str_eq(said("scope"), "\"org:read sessions:read\"");
    ck_assert_ptr_null(said("client_id"));
    ck_assert_ptr_null(said("exp"));
    ck_assert_ptr_null(said("jti"));
    ck_assert_ok(rensei_apikey_revoke(&gone, test_store(), org.id, key.id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert(!active(token));
}
END_TEST

START_TEST(conditions)
{
    rensei_question_t q = {.max_age = -1};

    begin();
    q.org = org.id;
    q.token = issued();
    q.required = test_scopes("sessions:write sessions:read");
    ck_assert(ask_as(&q));
    q.required = test_scopes("sessions:read agents:read");
    ck_assert(!ask_as(&q));
    q.required = test_scopes("*");
    ck_assert(!ask_as(&q));
    q.required = test_scopes("");
    q.max_age = 10;
    test_later(10);
    ck_assert(ask_as(&q));
    test_later(1);
    ck_assert(!ask_as(&q));
    q.token = made("JWT", claims_of(client.id, ""));
    ck_assert(!ask_as(&q));
    q.max_age = -1;
    ck_assert(ask_as(&q));
}
END_TEST

START_TEST(what_is_none)
{
    static const char *const none[] = {
        "", ".", "..", "x", "a.b.c", "rsk_", "\xff.", "rsk_live_00", NULL};
    int i;

    begin();
    for (i = 0; none[i]; i++) {
        ck_assert_msg(!active(none[i]), "%s", none[i]);
    }
    ck_assert(!active(made("JWT", claims_of("m2m_0", ""))));
    ck_assert(!active(made("rensei-runtime+jwt",
                           claims_of("wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV", ""))));
}
END_TEST

/* ---- revocation ---- */

static const char *ended;

static apr_status_t revoke_as(const char *of, const char *by, const char *token)
{
    rensei_revoker_t who = {of, by, test_actor, NULL};

    ended = "unset";
    return rensei_introspect_revoke(&ended, test_store(), issuer.ring, &expect,
                                    &who, token, test_pool, &err);
}

static int events(void)
{
    return test_sql_count("rensei_audit WHERE event = 'm2m.token_revoked'");
}

START_TEST(revoked_by_its_client)
{
    const char *token, *kept;

    begin();
    token = issued();
    kept = issued();
    ck_assert_ok(revoke_as(org.id, client.id, token), err);
    ck_assert_str_eq(ended, client.id);
    ck_assert(!active(token));
    ck_assert(active(kept));
    ck_assert_int_eq(events(), 1);
    ck_assert_ok(revoke_as(org.id, client.id, token), err);
    ck_assert_ptr_null(ended);
    ck_assert_int_eq(events(), 1);
}
END_TEST

START_TEST(revoked_by_the_organisation)
{
    const char *token;

    begin();
    token = issued();
    ck_assert_ok(revoke_as(other.id, NULL, token), err);
    ck_assert_ptr_null(ended);
    ck_assert(active(token));
    ck_assert_ok(revoke_as(org.id, NULL, token), err);
    ck_assert_str_eq(ended, client.id);
    ck_assert(!active(token));
}
END_TEST

START_TEST(more_than_a_client_tells)
{
    const char *token[RENSEI_REVOKED_KNOWN_MAX + 3];
    int n = RENSEI_REVOKED_KNOWN_MAX + 3, i;

    begin();
    for (i = 0; i < n; i++) {
        token[i] = issued();
    }
    for (i = 0; i < n; i++) {
        ck_assert(active(token[i]));
        ck_assert_ok(revoke_as(org.id, NULL, token[i]), err);
    }
    for (i = 0; i < n; i++) {
        ck_assert(!active(token[i]));
    }
    ck_assert(active(issued()));
}
END_TEST

/* Between exp and what a gateway allows for clocks, it still opens doors. */
START_TEST(revoked_while_a_gateway_takes_it)
{
    const char *token;

    begin();
    token = made("JWT", claims_of(client.id, ",\"jti\":\"one\""));
    test_later(65);
    ck_assert_ok(revoke_as(org.id, NULL, token), err);
    ck_assert_str_eq(ended, client.id);
    test_later(10);
    ck_assert_ok(revoke_as(org.id, NULL, token), err);
    ck_assert_ptr_null(ended);
}
END_TEST

START_TEST(refused_revocations)
{
    rensei_client_t second;
    const char *token, *key;

    begin();
    second = test_client(&org, "B", "sessions:read", NULL);
    token = issued();
    ck_assert_err(revoke_as(org.id, second.id, token), err,
                  RENSEI_E_INVALID_GRANT);
    ck_assert_ptr_null(ended);
    ck_assert(active(token));
    test_key(&org, "k", "org", "*", &key);
    ck_assert_err(revoke_as(org.id, NULL, key), err,
                  RENSEI_E_UNSUPPORTED_TOKEN);
    ck_assert(active(key));
    ck_assert_err(
        revoke_as(org.id, NULL, made("JWT", claims_of(client.id, ""))), err,
        RENSEI_E_UNSUPPORTED_TOKEN);
    ck_assert_err(
        revoke_as(
            org.id, NULL,
            made("rensei-runtime+jwt",
                 claims_of("wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV",
                           ",\"reg\":\"key_01ARZ3NDEKTSV4RRFFQ69G5FAV\""))),
        err, RENSEI_E_UNSUPPORTED_TOKEN);
    ck_assert_int_eq(events(), 0);
}
END_TEST

START_TEST(nothing_to_revoke)
{
    static const char *const none[] = {"", "x", "a.b.c", NULL};
    int i;

    begin();
    for (i = 0; none[i]; i++) {
        ck_assert_ok(revoke_as(org.id, NULL, none[i]), err);
        ck_assert_ptr_null(ended);
    }
    ck_assert_ok(revoke_as(org.id, NULL,
                           made("JWT", claims_of("m2m_0", ",\"jti\":\"x\""))),
                 err);
    ck_assert_ptr_null(ended);
    ck_assert_int_eq(events(), 0);
}
END_TEST

Suite *suite_introspect(void)
{
    TCase *tc;
    Suite *s = test_suite("introspect", &tc);

    tcase_add_test(tc, a_token);
    tcase_add_test(tc, claims_of_others_go_together);
    tcase_add_test(tc, expiry_is_to_the_second);
    tcase_add_test(tc, of_another_organisation);
    tcase_add_test(tc, state_is_the_stores);
    tcase_add_test(tc, all_tokens_up_to_a_time);
    tcase_add_test(tc, an_api_key);
    tcase_add_test(tc, conditions);
    tcase_add_test(tc, what_is_none);
    tcase_add_test(tc, revoked_by_its_client);
    tcase_add_test(tc, revoked_by_the_organisation);
    tcase_add_test(tc, more_than_a_client_tells);
    tcase_add_test(tc, revoked_while_a_gateway_takes_it);
    tcase_add_test(tc, refused_revocations);
    tcase_add_test(tc, nothing_to_revoke);
    return s;
}
