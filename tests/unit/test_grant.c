/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_grant.h"
#include "rensei_id.h"

#include <apr_strings.h>

#define ABSENT "m2m_0123456789abcdef0123456789abcdef"

static rensei_err_t err;
static rensei_org_t org;
static rensei_client_t client;
static const char *secret;
static rensei_token_t token;
static rensei_issuer_t issuer;
static rensei_claims_t claims;

static void begin_as(const char *scopes)
{
    rensei_ring_t *ring;
    const char *key = "0123456789abcdef0123456789abcdef";

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_secret(ring, key, strlen(key), NULL, &err),
                 err);
    issuer = (rensei_issuer_t){.ring = ring,
                               .issuer = "rensei-platform",
                               .audience = "rensei-api",
                               .lifetime = 3600,
                               .vocab = rensei_vocab_default()};
    org = test_org("Acme");
    client = test_client(&org, "CI", scopes, &secret);
}

static apr_status_t ask(const rensei_token_request_t *req)
{
    memset(&token, 0, sizeof(token));
    return test_grant_token(&token, test_store(), &issuer, req, &test_actor,
                            test_pool, &err);
}

static apr_status_t grant(const char *scope)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret = secret,
                                  .scope = scope};

    return ask(&req);
}

/* The claims of the token just issued, as the gateway reads them. */
static const rensei_claims_t *issued(void)
{
    rensei_expect_t want = {"rensei-platform", "rensei-api", 10};
    rensei_jws_t jws;

    ck_assert_ok(rensei_jws_verify(&jws, token.access_token,
                                   strlen(token.access_token), issuer.ring,
                                   test_pool, &err),
                 err);
    ck_assert_ok(rensei_claims_read(&claims, &jws, &want,
                                    apr_time_sec(test_now), test_pool, &err),
                 err);
    return &claims;
}

static const char *text(rensei_str_t s)
{
    return apr_pstrmemdup(test_pool, s.p, s.n);
}

static int tokens_issued(void)
{
    return test_sql_count("rensei_audit WHERE event = 'm2m.token_issued'");
}

START_TEST(token_has_its_claims)
{
    const rensei_claims_t *c;
    json_t *all;

    begin_as("workers:read sessions:read");
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(token.expires_in, 3600);
    ck_assert_str_eq(token.scope, "workers:read sessions:read");
    c = issued();
    ck_assert_int_eq(c->typ, RENSEI_TYP_M2M);
    ck_assert_str_eq(text(c->sub), client.id);
    ck_assert_str_eq(text(c->org), org.id);
    ck_assert_int_eq(c->workspace.n, 0);
    ck_assert(rensei_id_valid(RENSEI_ID_TOKEN, c->jti.p, c->jti.n));
    ck_assert_int_eq(c->iat, TEST_NOW_S);
    ck_assert_int_eq(c->exp, TEST_NOW_S + 3600);
    ck_assert_str_eq(rensei_scopes_text(&c->scopes, test_pool),
                     "workers:read sessions:read");
    all = test_json(text(c->payload));
    ck_assert_int_eq(json_object_size(all), 8);
    ck_assert(json_is_array(json_object_get(all, "scopes")));
    ck_assert_str_eq(json_string_value(json_object_get(all, "iss")),
                     "rensei-platform");
    ck_assert_str_eq(json_string_value(json_object_get(all, "aud")),
                     "rensei-api");
}
END_TEST

START_TEST(one_event_each)
{
    rensei_event_t ev;
    const rensei_claims_t *c;

    begin_as("workers:read");
    ck_assert_ok(grant(NULL), err);
    c = issued();
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "m2m.token_issued");
    ck_assert_str_eq(ev.target, client.id);
    ck_assert_str_eq(ev.actor.id, client.id);
    ck_assert_str_eq(ev.actor.type, "m2m_client");
    ck_assert_str_eq(ev.actor.ip, "192.0.2.1");
    ck_assert_str_eq(ev.details,
                     apr_psprintf(test_pool,
                                  "{\"expiresAt\":1769864400000,\"jti\":\"%s\","
                                  "\"scopes\":[\"workers:read\"]}",
                                  text(c->jti)));
    ck_assert_int_eq(test_sql_count(apr_psprintf(
                         test_pool, "rensei_audit WHERE details LIKE '%%%s%%'",
                         strrchr(token.access_token, '.'))),
                     0);
    /* The use is the caller's to note, with others, later. */
    ck_assert_ok(rensei_client_get(&client, test_store(), org.id, client.id,
                                   test_pool, &err),
                 err);
    ck_assert_int_eq(client.last_used_at, 0);
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(tokens_issued(), 2);
}
END_TEST

/* Between its authentication and the record the client was changed, and
 * another revoked: nothing of the two is recorded, all of the third. */
START_TEST(what_is_stale_is_not_recorded)
{
    rensei_issuance_t made[3] = {{.stale = 0}};
    rensei_issuance_t *list[3];
    rensei_client_t clients[3];
    int i;

    begin_as("");
    for (i = 0; i < 3; i++) {
        clients[i] = test_client(&org, "c", "sessions:read", &secret);
        made[i].client = clients[i].id;
        made[i].org = org.id;
        made[i].client_version = clients[i].updated_at;
        made[i].actor = test_actor;
        made[i].details = "{}";
        list[i] = &made[i];
    }
    made[0].client_version--;
    ck_assert_ok(rensei_client_revoke(&clients[1], test_store(), org.id,
                                      clients[1].id, NULL, &test_actor,
                                      test_pool, &err),
                 err);
    made[1].client_version = clients[1].updated_at;
    ck_assert_ok(rensei_store_begin(test_store(), test_pool, &err), err);
    ck_assert_ok(rensei_issuance_record(test_store(), list, 3, test_pool, &err),
                 err);
    ck_assert_ok(rensei_store_commit(test_store(), test_pool, &err), err);
    ck_assert_int_eq(made[0].stale, 1);
    ck_assert_int_eq(made[1].stale, 1);
    ck_assert_int_eq(made[2].stale, 0);
    ck_assert_int_eq(tokens_issued(), 1);
    ck_assert_str_eq(test_last_event(org.id).target, clients[2].id);
}
END_TEST

/* More clients than one statement asks about, some of them twice. */
START_TEST(many_are_recorded_together)
{
    rensei_issuance_t made[40] = {{.stale = 0}};
    rensei_issuance_t *list[40];
    rensei_client_t clients[37];
    int i;

    begin_as("");
    for (i = 0; i < 37; i++) {
        clients[i] = test_client(&org, "c", "sessions:read", &secret);
    }
    for (i = 0; i < 40; i++) {
        made[i].client = clients[i % 37].id;
        made[i].org = org.id;
        made[i].client_version = clients[i % 37].updated_at;
        made[i].actor = test_actor;
        made[i].details = "{}";
        made[i].stale = 1;
        list[i] = &made[i];
    }
    ck_assert_ok(rensei_store_begin(test_store(), test_pool, &err), err);
    ck_assert_ok(
        rensei_issuance_record(test_store(), list, 40, test_pool, &err), err);
    ck_assert_ok(rensei_store_commit(test_store(), test_pool, &err), err);
    for (i = 0; i < 40; i++) {
        ck_assert_int_eq(made[i].stale, 0);
    }
    ck_assert_int_eq(tokens_issued(), 40);
}
END_TEST

/* What is known of a client by memory counts while nothing has changed in the
 * store since then, whatever it is that has changed. */
START_TEST(what_is_remembered_counts_until_something_changes)
{
    rensei_issuance_t made = {.recalled = 1};
    rensei_issuance_t *list[] = {&made};
    rensei_client_t other;
    int i;

    begin_as("");
    other = test_client(&org, "c", "sessions:read", &secret);
    made.client = client.id;
    made.org = org.id;
    made.client_version = client.updated_at - 1;
    made.actor = test_actor;
    made.details = "{}";
    ck_assert_ok(
        rensei_store_sequence(&made.as_of, test_store(), test_pool, &err), err);
    for (i = 0; i < 2; i++) {
        ck_assert_ok(rensei_store_begin(test_store(), test_pool, &err), err);
        ck_assert_ok(
            rensei_issuance_record(test_store(), list, 1, test_pool, &err),
            err);
        ck_assert_ok(rensei_store_commit(test_store(), test_pool, &err), err);
        ck_assert_int_eq(made.stale, i);
        ck_assert_int_eq(tokens_issued(), 1);
        ck_assert_ok(rensei_client_revoke(&other, test_store(), org.id,
                                          other.id, NULL, &test_actor,
                                          test_pool, &err),
                     err);
    }
}
END_TEST

static apr_status_t never_recorded(void *baton, rensei_issuance_t *made,
                                   rensei_err_t *e)
{
    int *calls = baton;

    (*calls)++;
    made->stale = 1;
    return APR_SUCCESS;
}

START_TEST(a_client_that_is_changed_again_and_again)
{
    rensei_token_request_t req = {.grant_type = "client_credentials"};
    rensei_issuance_t made = {.stale = 0};
    int calls = 0;

    begin_as("");
    req.client_id = client.id;
    req.client_secret = secret;
    ck_assert_err(rensei_grant_token(&made, test_store(), &issuer, &req,
                                     &test_actor, never_recorded, &calls,
                                     test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(calls, 3);
    ck_assert_int_eq(tokens_issued(), 0);
}
END_TEST

START_TEST(each_token_is_another)
{
    const char *first;

    begin_as("");
    ck_assert_ok(grant(NULL), err);
    first = token.access_token;
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_ne(first, token.access_token);
}
END_TEST

START_TEST(scopes_narrow)
{
    begin_as("workers:read workers:write sessions:read");
    ck_assert_ok(grant("sessions:read workers:read"), err);
    ck_assert_str_eq(token.scope, "sessions:read workers:read");
    ck_assert_str_eq(rensei_scopes_text(&issued()->scopes, test_pool),
                     "sessions:read workers:read");
    ck_assert_ok(grant("sessions:read sessions:read"), err);
    ck_assert_str_eq(token.scope, "sessions:read");
}
END_TEST

START_TEST(scopes_never_widen)
{
    static const char *const bad[] = {"agents:read",
                                      "workers:read agents:read",
                                      "*",
                                      "org:read",
                                      "workers",
                                      "WORKERS:READ",
                                      "a\"b",
                                      "\xc3\xa9",
                                      "",
                                      "  ",
                                      "a\\b",
                                      "workers:read\n",
                                      NULL};
    int i;

    begin_as("workers:read");
    for (i = 0; bad[i]; i++) {
        ck_assert_err(grant(bad[i]), err, RENSEI_E_INVALID_SCOPE);
        ck_assert_ptr_null(token.access_token);
    }
    ck_assert_int_eq(tokens_issued(), 0);
    ck_assert_ok(grant("workers:read"), err);
}
END_TEST

START_TEST(star_gives_its_vocabulary)
{
    begin_as("*");
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(token.scope, "*");
    ck_assert_ok(grant("*"), err);
    ck_assert_str_eq(token.scope, "*");
    ck_assert_ok(grant("agents:write workers:read"), err);
    ck_assert_str_eq(token.scope, "agents:write workers:read");
    /* ... and no other's. */
    ck_assert_err(grant("org:read"), err, RENSEI_E_INVALID_SCOPE);
    ck_assert_err(grant("workers:register"), err, RENSEI_E_INVALID_SCOPE);
    ck_assert_err(grant("workflows:read"), err, RENSEI_E_INVALID_SCOPE);
}
END_TEST

START_TEST(no_scopes_is_a_token_without)
{
    begin_as("");
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(token.scope, "");
    ck_assert_int_eq(issued()->scopes.count, 0);
    ck_assert_err(grant("workers:read"), err, RENSEI_E_INVALID_SCOPE);
}
END_TEST

static void client_set(const char *json)
{
    rensei_client_spec_t spec;

    ck_assert_ok(
        rensei_client_spec_read(&spec, test_json(json), 0, test_pool, &err),
        err);
    ck_assert_ok(rensei_client_update(&client, test_store(), org.id, client.id,
                                      &spec, rensei_vocab_default(), NULL,
                                      &test_actor, test_pool, &err),
                 err);
}

START_TEST(lifetimes)
{
    begin_as("");
    client_set("{\"tokenLifetime\":600}");
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(token.expires_in, 600);
    ck_assert_int_eq(issued()->exp, TEST_NOW_S + 600);
    /* Never beyond the client's own end, not even by a part of a second. */
    client_set("{\"expiresAt\":\"2026-01-31T12:05:00.900Z\"}");
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(token.expires_in, 300);
    ck_assert_int_eq(issued()->exp, TEST_NOW_S + 300);
    client_set("{\"tokenLifetime\":null}");
    issuer.lifetime = 120;
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(token.expires_in, 120);
}
END_TEST

/* expires_in 0: a token that is over when it comes. */
START_TEST(the_last_second)
{
    begin_as("");
    client_set("{\"expiresAt\":\"2026-01-31T12:00:00.900Z\"}");
    ck_assert_err(grant(NULL), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client id or secret is not valid.");
    client_set("{\"expiresAt\":\"2026-01-31T12:00:01.100Z\"}");
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(token.expires_in, 1);
}
END_TEST

START_TEST(workspace_claim)
{
    rensei_client_spec_t spec = {0};
    rensei_workspace_t ws;

    begin_as("");
    ws = test_workspace(&org, "w");
    spec.set =
        RENSEI_CLIENT_NAME | RENSEI_CLIENT_SCOPES | RENSEI_CLIENT_WORKSPACE;
    spec.name = "in a workspace";
    spec.workspace = ws.id;
    ck_assert_ok(rensei_client_create(&client, &secret, test_store(), org.id,
                                      &spec, rensei_vocab_default(), NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_ok(grant(NULL), err);
    ck_assert_str_eq(text(issued()->workspace), ws.id);
}
END_TEST

START_TEST(requests_that_lack_something)
{
    rensei_token_request_t req = {0};

    begin_as("");
    ck_assert_field(ask(&req), err, "grant_type");
    req.grant_type = "password";
    ck_assert_err(ask(&req), err, RENSEI_E_UNSUPPORTED_GRANT);
    req.grant_type = "";
    ck_assert_err(ask(&req), err, RENSEI_E_UNSUPPORTED_GRANT);
    req.grant_type = "client_credentials";
    ck_assert_field(ask(&req), err, "client_id");
    req.client_id = client.id;
    ck_assert_field(ask(&req), err, "client_secret");
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'm2m.auth_failed'"), 0);
}
END_TEST

/* The scope is looked at after the secret: nobody learns a client's scopes
 * without being the client. */
START_TEST(bad_credentials)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .scope = "agents:read"};

    begin_as("workers:read");
    req.client_id = client.id;
    req.client_secret = "wrong";
    ck_assert_err(ask(&req), err, RENSEI_E_INVALID_CLIENT);
    req.client_id = ABSENT;
    req.client_secret = secret;
    ck_assert_err(ask(&req), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'm2m.auth_failed'"), 2);
    ck_assert_ok(rensei_client_revoke(&client, test_store(), org.id, client.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    ck_assert_err(grant(NULL), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_ptr_null(token.access_token);
    ck_assert_int_eq(tokens_issued(), 0);
}
END_TEST

/* Randomness that revokes the client when it is asked for: between the
 * authentication and the issue, where the token's id is made. */
static apr_status_t revoking_random(void *baton, unsigned char *buf,
                                    apr_size_t n)
{
    int *calls = baton;

    if ((*calls)++ == 0) {
        test_sql("UPDATE rensei_clients SET revoked_at = 1");
    }
    return test_sys->random(NULL, buf, n);
}

START_TEST(revoked_in_between)
{
    int calls = 0;
    rensei_sys_t sys = {test_sys->now, revoking_random, &calls};
    rensei_token_request_t req = {.grant_type = "client_credentials"};
    rensei_store_t *st;

    begin_as("workers:read");
    req.client_id = client.id;
    req.client_secret = secret;
    ck_assert_ok(rensei_store_open(&st, test_store_driver(),
                                   test_store_params(), &sys, test_pool, &err),
                 err);
    ck_assert_err(test_grant_token(&token, st, &issuer, &req, &test_actor,
                                   test_pool, &err),
                  err, RENSEI_E_INVALID_CLIENT);
    ck_assert_int_gt(calls, 0);
    ck_assert_ptr_null(token.access_token);
    ck_assert_int_eq(tokens_issued(), 0);
}
END_TEST

START_TEST(nothing_to_sign_with)
{
    rensei_ring_t *empty;

    begin_as("");
    ck_assert_int_eq(rensei_ring_create(&empty, test_pool), APR_SUCCESS);
    issuer.ring = empty;
    ck_assert_err(grant(NULL), err, RENSEI_E_UNAVAILABLE);
    issuer.ring = NULL;
    ck_assert_err(grant(NULL), err, RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(tokens_issued(), 0);
    ck_assert_ptr_null(token.access_token);
}
END_TEST

START_TEST(no_event_no_token)
{
    begin_as("");
    test_sql("ALTER TABLE rensei_audit RENAME TO gone");
    ck_assert_err(grant(NULL), err, RENSEI_E_UNAVAILABLE);
    ck_assert_ptr_null(token.access_token);
    test_sql("ALTER TABLE gone RENAME TO rensei_audit");
    ck_assert_str_eq(test_sql_value("SELECT last_used_at FROM rensei_clients"),
                     "");
    ck_assert_ok(grant(NULL), err);
    ck_assert_int_eq(tokens_issued(), 1);
}
END_TEST

Suite *suite_grant(void)
{
    TCase *tc;
    Suite *s = test_suite("grant", &tc);

    tcase_add_test(tc, token_has_its_claims);
    tcase_add_test(tc, one_event_each);
    tcase_add_test(tc, what_is_stale_is_not_recorded);
    tcase_add_test(tc, many_are_recorded_together);
    tcase_add_test(tc, what_is_remembered_counts_until_something_changes);
    tcase_add_test(tc, a_client_that_is_changed_again_and_again);
    tcase_add_test(tc, each_token_is_another);
    tcase_add_test(tc, scopes_narrow);
    tcase_add_test(tc, scopes_never_widen);
    tcase_add_test(tc, star_gives_its_vocabulary);
    tcase_add_test(tc, no_scopes_is_a_token_without);
    tcase_add_test(tc, lifetimes);
    tcase_add_test(tc, the_last_second);
    tcase_add_test(tc, workspace_claim);
    tcase_add_test(tc, requests_that_lack_something);
    tcase_add_test(tc, bad_credentials);
    tcase_add_test(tc, revoked_in_between);
    tcase_add_test(tc, nothing_to_sign_with);
    tcase_add_test(tc, no_event_no_token);
    return s;
}
