/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_store.h"
#include "rensei_enroll.h"
#include "rensei_id.h"

#include <apr_strings.h>

#define BODY "{\"hostname\":\"h1\",\"maxAgents\":4}"
#define MACHINE "{\"hostname\":\"h1\",\"maxAgents\":4,\"machineId\":\"m-1\"}"

static rensei_err_t err;
static rensei_org_t org;
static rensei_apikey_t key;
static const char *key_token;
static rensei_enroll_spec_t spec;
static rensei_enrolled_t done;
static rensei_enroller_t by;
static rensei_scopes_t scopes;
static rensei_claims_t claims;

static void begin(void)
{
    rensei_ring_t *ring;
    const char *secret = "0123456789abcdef0123456789abcdef";

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    ck_assert_ok(
        rensei_ring_add_secret(ring, secret, strlen(secret), NULL, &err), err);
    scopes = test_scopes("workers:read sessions:write");
    by = (rensei_enroller_t){.ring = ring,
                             .issuer = "rensei-platform",
                             .audience = "rensei-api",
                             .lifetime = 900,
                             .scopes = &scopes,
                             .vocab = rensei_vocab_default()};
    org = test_org("Acme");
    key = test_key(&org, "runners", "worker_registration",
                   RENSEI_SCOPE_REGISTER, &key_token);
}

static apr_status_t spec_read(const char *json)
{
    return rensei_enroll_spec_read(&spec, test_json(json), 0, test_pool, &err);
}

static apr_status_t enroll_in(const rensei_org_t *o, const char *json)
{
    ck_assert_ok(spec_read(json), err);
    return rensei_enroll_by_key(&done, test_store(), &by, o->id, key.id, &spec,
                                &test_actor, test_pool, &err);
}

static apr_status_t enroll(const char *json)
{
    return enroll_in(&org, json);
}

static apr_status_t enroll_by(const char *token)
{
    ck_assert_ok(spec_read(BODY), err);
    spec.token = token;
    return rensei_enroll_by_token(&done, test_store(), &by, &spec, &test_actor,
                                  test_pool, &err);
}

static apr_status_t refresh_in(const rensei_org_t *o, const char *id)
{
    rensei_actor_t actor = {id, "worker", "192.0.2.7", "r", 0};

    return rensei_enroll_refresh(&done, test_store(), &by, o->id, id, &actor,
                                 test_pool, &err);
}

static apr_status_t refresh(const char *id)
{
    return refresh_in(&org, id);
}

static void set(const char *assignment)
{
    test_sql(apr_pstrcat(test_pool, "UPDATE rensei_keys SET ", assignment,
                         " WHERE id = '", key.id, "'", NULL));
}

static const char *uses(void)
{
    return test_sql_value(apr_pstrcat(test_pool,
                                      "SELECT uses FROM rensei_keys WHERE "
                                      "id = '",
                                      key.id, "'", NULL));
}

static const rensei_claims_t *issued(void)
{
    rensei_expect_t want = {"rensei-platform", "rensei-api", 10};
    rensei_jws_t jws;

    ck_assert_ok(rensei_jws_verify(&jws, done.token, strlen(done.token),
                                   by.ring, test_pool, &err),
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

/* ---- the body ---- */

START_TEST(body_read)
{
    ck_assert_ok(
        spec_read("{\"hostname\":\"h\",\"maxAgents\":2,\"version\":\"1.2\","
                  "\"machineId\":\"m\",\"region\":\"eu\",\"capabilities\":"
                  "[\"gpu\",\"arm\"],\"activeAgentCount\":0,"
                  "\"status\":\"idle\"}"),
        err);
    ck_assert_ptr_null(spec.token);
    ck_assert_str_eq(spec.hostname, "h");
    ck_assert_int_eq(spec.max_agents, 2);
    ck_assert_str_eq(spec.version, "1.2");
    ck_assert_str_eq(spec.machine_id, "m");
    ck_assert_str_eq(spec.region, "eu");
    ck_assert_str_eq(spec.capabilities, "[\"gpu\",\"arm\"]");
    ck_assert_int_eq(spec.active_agents, 0);
    ck_assert_str_eq(spec.status, "idle");

    ck_assert_ok(spec_read(BODY), err);
    ck_assert_ptr_null(spec.machine_id);
    ck_assert_ptr_null(spec.capabilities);
    ck_assert_int_eq(spec.active_agents, RENSEI_WORKER_UNSAID);
    ck_assert_ok(spec_read("{\"hostname\":\"h\",\"maxAgents\":2,\"version\":"
                           "null,\"capabilities\":null,"
                           "\"activeAgentCount\":null}"),
                 err);
    ck_assert_int_eq(spec.active_agents, RENSEI_WORKER_UNSAID);
}
END_TEST

#define WITH(rest) "{\"hostname\":\"h\",\"maxAgents\":1," rest "}"

START_TEST(body_errors_name_the_field)
{
    static const struct {
        const char *json, *field;
    } bad[] = {
        {"{\"maxAgents\":1}", "hostname"},
        {"{\"hostname\":null,\"maxAgents\":1}", "hostname"},
        {"{\"hostname\":\"\",\"maxAgents\":1}", "hostname"},
        {"{\"hostname\":\"a\\nb\",\"maxAgents\":1}", "hostname"},
        {"{\"hostname\":1,\"maxAgents\":1}", "hostname"},
        {"{\"hostname\":\"h\"}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":null}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":0}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":-1}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":1.5}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":\"1\"}", "maxAgents"},
        {"{\"hostname\":\"h\",\"maxAgents\":100001}", "maxAgents"},
        {WITH("\"version\":1"), "version"},
        {WITH("\"version\":\"\""), "version"},
        {WITH("\"machineId\":\"\""), "machineId"},
        {WITH("\"region\":[]"), "region"},
        {WITH("\"status\":\" idle\""), "status"},
        {WITH("\"activeAgentCount\":-1"), "activeAgentCount"},
        {WITH("\"activeAgentCount\":true"), "activeAgentCount"},
        {WITH("\"capabilities\":\"gpu\""), "capabilities"},
        {WITH("\"capabilities\":[1]"), "capabilities"},
        {WITH("\"capabilities\":[\"\"]"), "capabilities"},
        {WITH("\"capabilities\":{}"), "capabilities"},
        {WITH("\"scopes\":[\"*\"]"), "scopes"},
        {WITH("\"orgId\":\"o\""), "orgId"},
        {WITH("\"registrationToken\":\"t\""), "registrationToken"},
    };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_field(spec_read(bad[i].json), err, bad[i].field);
    }
}
END_TEST

START_TEST(too_many_capabilities)
{
    const char *list = "\"c\"";
    int i;

    for (i = 1; i < RENSEI_WORKER_CAPABILITIES_MAX; i++) {
        list = apr_pstrcat(test_pool, list, ",\"c\"", NULL);
    }
    ck_assert_ok(
        spec_read(apr_psprintf(test_pool, WITH("\"capabilities\":[%s]"), list)),
        err);
    ck_assert_field(spec_read(apr_psprintf(
                        test_pool, WITH("\"capabilities\":[%s,\"c\"]"), list)),
                    err, "capabilities");
}
END_TEST

START_TEST(body_with_token)
{
    json_t *body = test_json("{\"registrationToken\":\"t\",\"hostname\":\"h\","
                             "\"maxAgents\":1}");

    ck_assert_ok(rensei_enroll_spec_read(&spec, body, 1, test_pool, &err), err);
    ck_assert_str_eq(spec.token, "t");
    ck_assert_field(
        rensei_enroll_spec_read(&spec, test_json(BODY), 1, test_pool, &err),
        err, "registrationToken");
    ck_assert_field(rensei_enroll_spec_read(
                        &spec,
                        test_json("{\"registrationToken\":5,\"hostname\":\"h\","
                                  "\"maxAgents\":1}"),
                        1, test_pool, &err),
                    err, "registrationToken");
}
END_TEST

/* ---- registration ---- */

START_TEST(registered)
{
    const rensei_claims_t *c;
    json_t *all;

    begin();
    ck_assert_ok(enroll(MACHINE), err);
    ck_assert(rensei_id_valid(RENSEI_ID_WORKER, done.worker.id,
                              strlen(done.worker.id)));
    ck_assert_str_eq(done.worker.key, key.id);
    ck_assert_str_eq(done.worker.machine_id, "m-1");
    ck_assert_int_eq(done.worker.last_seen_at, test_now_ms());
    ck_assert_int_eq(done.again, 0);
    ck_assert_int_eq(done.expires_at, test_now_ms() + 900000);
    ck_assert_str_eq(uses(), "1");

    c = issued();
    ck_assert_int_eq(c->typ, RENSEI_TYP_WORKER);
    ck_assert_str_eq(text(c->sub), done.worker.id);
    ck_assert_str_eq(text(c->org), org.id);
    ck_assert_str_eq(text(c->reg), key.id);
    ck_assert_int_eq(c->workspace.n, 0);
    ck_assert(rensei_id_valid(RENSEI_ID_TOKEN, c->jti.p, c->jti.n));
    ck_assert_int_eq(c->iat, TEST_NOW_S);
    ck_assert_int_eq(c->exp, TEST_NOW_S + 900);
    ck_assert_str_eq(rensei_scopes_text(&c->scopes, test_pool),
                     "workers:read sessions:write");
    all = test_json(text(c->payload));
    ck_assert_int_eq(json_object_size(all), 9);
    ck_assert_str_eq(json_string_value(json_object_get(all, "iss")),
                     "rensei-platform");
    ck_assert_str_eq(json_string_value(json_object_get(all, "aud")),
                     "rensei-api");
}
END_TEST

START_TEST(event_names_the_key)
{
    rensei_event_t ev;

    begin();
    ck_assert_ok(enroll(MACHINE), err);
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "worker.registered");
    ck_assert_str_eq(ev.target, done.worker.id);
    ck_assert_str_eq(ev.actor.id, key.id);
    ck_assert_str_eq(ev.actor.type, "api_key");
    ck_assert_str_eq(ev.actor.ip, "192.0.2.1");
    ck_assert_ptr_nonnull(strstr(ev.details, "\"hostname\":\"h1\""));
    ck_assert_ptr_nonnull(strstr(ev.details, text(issued()->jti)));
    ck_assert_ptr_null(strstr(ev.details, "again"));
    ck_assert_ptr_null(strstr(ev.details, strrchr(done.token, '.')));
    ck_assert_ptr_null(strstr(ev.details, key_token + 20));
}
END_TEST

START_TEST(the_keys_workspace)
{
    rensei_workspace_t ws;

    begin();
    ws = test_workspace(&org, "w");
    set(apr_psprintf(test_pool, "workspace_id = '%s'", ws.id));
    ck_assert_ok(enroll(BODY), err);
    ck_assert_str_eq(done.worker.workspace, ws.id);
    ck_assert_str_eq(text(issued()->workspace), ws.id);
}
END_TEST

START_TEST(without_a_machine_each_is_another)
{
    const char *first;

    begin();
    ck_assert_ok(enroll(BODY), err);
    first = done.worker.id;
    ck_assert_ok(enroll(BODY), err);
    ck_assert_str_ne(done.worker.id, first);
    ck_assert_int_eq(test_sql_count("rensei_workers"), 2);
}
END_TEST

START_TEST(the_same_machine_is_the_same_worker)
{
    const char *first;
    rensei_event_t ev;

    begin();
    ck_assert_ok(enroll(MACHINE), err);
    first = done.worker.id;
    test_later(5);
    ck_assert_ok(enroll("{\"hostname\":\"h2\",\"maxAgents\":9,\"machineId\":"
                        "\"m-1\",\"region\":\"eu\"}"),
                 err);
    ck_assert_str_eq(done.worker.id, first);
    ck_assert_int_eq(done.again, 1);
    ck_assert_str_eq(done.worker.hostname, "h2");
    ck_assert_int_eq(done.worker.max_agents, 9);
    ck_assert_str_eq(done.worker.region, "eu");
    ck_assert_int_eq(done.worker.created_at, test_now_ms() - 5000);
    ck_assert_int_eq(done.worker.last_seen_at, test_now_ms());
    ck_assert_str_eq(uses(), "2");
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "worker.registered");
    ck_assert_ptr_nonnull(strstr(ev.details, "\"again\":true"));
}
END_TEST

/* Else who holds one key would take over the workers of another. */
START_TEST(another_key_another_worker)
{
    const char *first;

    begin();
    ck_assert_ok(enroll(MACHINE), err);
    first = done.worker.id;
    key = test_key(&org, "others", "worker_registration", RENSEI_SCOPE_REGISTER,
                   &key_token);
    ck_assert_ok(enroll(MACHINE), err);
    ck_assert_str_ne(done.worker.id, first);
    ck_assert_int_eq(done.again, 0);
}
END_TEST

START_TEST(max_uses)
{
    begin();
    set("max_uses = 2");
    ck_assert_ok(enroll(MACHINE), err);
    ck_assert_ok(enroll(MACHINE), err); /* each registration counts */
    ck_assert_err(enroll(BODY), err, RENSEI_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(err.text, "maxUses is 2"));
    ck_assert_str_eq(uses(), "2");
    ck_assert_int_eq(test_sql_count("rensei_workers"), 1);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'worker.registered'"), 2);
}
END_TEST

/* Without this revoking a worker would last until its daemon's next attempt,
 * which comes by itself, seconds later. */
START_TEST(a_revoked_workers_machine)
{
    rensei_worker_t w;
    const char *first;

    begin();
    ck_assert_ok(enroll(MACHINE), err);
    first = done.worker.id;
    ck_assert_ok(rensei_worker_revoke(&w, test_store(), org.id, first, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_err(enroll(MACHINE), err, RENSEI_E_FORBIDDEN);
    ck_assert_ptr_nonnull(strstr(err.text, first));
    ck_assert_str_eq(uses(), "1");
    ck_assert_ok(enroll("{\"hostname\":\"h1\",\"maxAgents\":4,"
                        "\"machineId\":\"m-2\"}"),
                 err);
}
END_TEST

START_TEST(keys_that_register_nothing)
{
    rensei_apikey_t registration;

    begin();
    registration = key;
    set("revoked_at = 5");
    ck_assert_err(enroll(BODY), err, RENSEI_E_INVALID_TOKEN);
    set("revoked_at = NULL");
    set(apr_psprintf(test_pool, "expires_at = %" APR_INT64_T_FMT,
                     test_now_ms()));
    ck_assert_err(enroll(BODY), err, RENSEI_E_INVALID_TOKEN);
    set("expires_at = NULL");
    set("scopes = ''");
    ck_assert_err(enroll(BODY), err, RENSEI_E_FORBIDDEN);
    set("scopes = 'workers:register'");
    key = test_key(&org, "admin", "org", "*", &key_token);
    ck_assert_err(enroll(BODY), err, RENSEI_E_FORBIDDEN);
    key = test_key(&org, "user", "user", "sessions:read", &key_token);
    ck_assert_err(enroll(BODY), err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(test_sql_count("rensei_workers"), 0);
    ck_assert_int_eq(test_sql_count("rensei_audit WHERE event LIKE 'worker.%'"),
                     0);
    key = registration;
    ck_assert_str_eq(uses(), "0");
    ck_assert_ok(enroll(BODY), err); /* control: the same, live */
}
END_TEST

START_TEST(suspended_organisation_or_workspace)
{
    rensei_workspace_t ws;

    begin();
    ws = test_workspace(&org, "w");
    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "suspended",
                                       &test_actor, test_pool, &err),
                 err);
    ck_assert_err(enroll(BODY), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_ptr_nonnull(strstr(err.text, "organisation"));
    ck_assert_ok(rensei_org_set_status(&org, test_store(), org.id, "active",
                                       &test_actor, test_pool, &err),
                 err);
    set(apr_psprintf(test_pool, "workspace_id = '%s'", ws.id));
    ck_assert_ok(enroll(BODY), err);
    test_sql("UPDATE rensei_workspaces SET status = 'suspended'");
    ck_assert_err(enroll(BODY), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_ptr_nonnull(strstr(err.text, "workspace"));
    ck_assert_str_eq(uses(), "1");
}
END_TEST

START_TEST(another_organisations_key)
{
    rensei_org_t other;

    begin();
    other = test_org("Bolt");
    ck_assert_err(enroll_in(&other, BODY), err, RENSEI_E_NOT_FOUND);
    ck_assert_str_eq(uses(), "0");
    ck_assert_ok(enroll(BODY), err);
}
END_TEST

START_TEST(by_token)
{
    const char *near;
    char *wrong;

    begin();
    ck_assert_ok(enroll_by(key_token), err);
    ck_assert_str_eq(done.worker.key, key.id);
    ck_assert_ok(
        rensei_apikey_get(&key, test_store(), org.id, key.id, test_pool, &err),
        err);
    ck_assert_int_eq(key.uses, 1);
    ck_assert_int_eq(key.usage_count, 1);
    ck_assert_int_eq(key.last_used_at, test_now_ms());
    ck_assert_str_eq(key.last_used_ip, "192.0.2.1");
    wrong = apr_pstrdup(test_pool, key_token);
    wrong[strlen(wrong) - 1] ^= 1;
    near = apr_pstrndup(test_pool, key_token, strlen(key_token) - 1);
    ck_assert_err(enroll_by(wrong), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_err(enroll_by(near), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_err(enroll_by(""), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_err(enroll_by("rsk_live_"), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_err(enroll_by(key.id), err, RENSEI_E_INVALID_TOKEN);
    test_key(&org, "admin", "org", "*", &key_token);
    ck_assert_err(enroll_by(key_token), err, RENSEI_E_FORBIDDEN);
    ck_assert_int_eq(test_sql_count("rensei_workers"), 1);
}
END_TEST

START_TEST(no_token_outlives_its_key)
{
    const char *id;

    begin();
    set(apr_psprintf(test_pool, "expires_at = %" APR_INT64_T_FMT,
                     test_now_ms() + 60500));
    ck_assert_ok(enroll(BODY), err);
    ck_assert_int_eq(done.expires_at, test_now_ms() + 60000);
    ck_assert_int_eq(issued()->exp, TEST_NOW_S + 60);
    id = done.worker.id;

    /* Less than a second: a token that is dead when it comes is none. */
    test_later(60);
    ck_assert_err(enroll(BODY), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_err(refresh(id), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_str_eq(uses(), "1");
}
END_TEST

START_TEST(nothing_happens_without_a_token)
{
    begin();
    by.ring = NULL;
    ck_assert_err(enroll(BODY), err, RENSEI_E_UNAVAILABLE);
    ck_assert_int_eq(test_sql_count("rensei_workers"), 0);
    ck_assert_str_eq(uses(), "0");
    ck_assert_int_eq(test_sql_count("rensei_audit WHERE event LIKE 'worker.%'"),
                     0);
}
END_TEST

START_TEST(what_it_says_is_only_text)
{
    int i;

    begin();
    for (i = 0; test_sql_attacks[i]; i++) {
        json_t *body = rensei_json_own(
            json_pack("{s:s, s:i, s:s, s:s, s:[s]}", "hostname",
                      test_sql_attacks[i], "maxAgents", 1, "machineId",
                      test_sql_attacks[i], "region", test_sql_attacks[i],
                      "capabilities", test_sql_attacks[i]),
            test_pool);

        if (!body || rensei_enroll_spec_read(&spec, body, 0, test_pool, &err)) {
            continue; /* refused as it stands */
        }
        ck_assert_ok(rensei_enroll_by_key(&done, test_store(), &by, org.id,
                                          key.id, &spec, &test_actor, test_pool,
                                          &err),
                     err);
        ck_assert_str_eq(done.worker.hostname, test_sql_attacks[i]);
        ck_assert_str_eq(done.worker.machine_id, test_sql_attacks[i]);
    }
    ck_assert_int_gt(test_sql_count("rensei_workers"), 0);
}
END_TEST

/* ---- refresh ---- */

START_TEST(refreshed)
{
    const char *id, *first;
    rensei_event_t ev;

    begin();
    set("max_uses = 1");
    ck_assert_ok(enroll(BODY), err);
    id = done.worker.id;
    first = done.token;
    test_later(600);
    ck_assert_ok(refresh(id), err); /* the key is used up: no matter */
    ck_assert_str_ne(done.token, first);
    ck_assert_str_eq(text(issued()->sub), id);
    ck_assert_str_eq(text(issued()->reg), key.id);
    ck_assert_int_eq(issued()->exp, TEST_NOW_S + 1500);
    ck_assert_int_eq(done.worker.last_seen_at, test_now_ms());
    ck_assert_str_eq(uses(), "1");
    ev = test_last_event(org.id);
    ck_assert_str_eq(ev.event, "worker.refreshed");
    ck_assert_str_eq(ev.target, id);
    ck_assert_str_eq(ev.actor.id, id);
    ck_assert_str_eq(ev.actor.type, "worker");
    ck_assert_ptr_nonnull(strstr(ev.details, text(issued()->jti)));
}
END_TEST

START_TEST(no_refresh_for_what_does_not_count)
{
    rensei_worker_t w;
    rensei_org_t other;
    const char *id;

    begin();
    other = test_org("Bolt");
    ck_assert_ok(enroll(BODY), err);
    id = done.worker.id;
    ck_assert_err(refresh_in(&other, id), err, RENSEI_E_NOT_FOUND);
    ck_assert_err(refresh("wkr_01ARZ3NDEKTSV4RRFFQ69G5FAV"), err,
                  RENSEI_E_NOT_FOUND);
    set("revoked_at = 5");
    ck_assert_err(refresh(id), err, RENSEI_E_INVALID_TOKEN);
    set("revoked_at = NULL, expires_at = 5");
    ck_assert_err(refresh(id), err, RENSEI_E_INVALID_TOKEN);
    set("expires_at = NULL");
    test_sql("UPDATE rensei_orgs SET status = 'suspended'");
    ck_assert_err(refresh(id), err, RENSEI_E_INVALID_TOKEN);
    test_sql("UPDATE rensei_orgs SET status = 'active'");
    ck_assert_ok(refresh(id), err); /* control */
    ck_assert_ok(rensei_worker_revoke(&w, test_store(), org.id, id, NULL,
                                      &test_actor, test_pool, &err),
                 err);
    ck_assert_err(refresh(id), err, RENSEI_E_INVALID_TOKEN);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'worker.refreshed'"), 1);
}
END_TEST

Suite *suite_enroll(void)
{
    TCase *tc;
    Suite *s = test_suite("enroll", &tc);

    tcase_add_test(tc, body_read);
    tcase_add_test(tc, body_errors_name_the_field);
    tcase_add_test(tc, too_many_capabilities);
    tcase_add_test(tc, body_with_token);
    tcase_add_test(tc, registered);
    tcase_add_test(tc, event_names_the_key);
    tcase_add_test(tc, the_keys_workspace);
    tcase_add_test(tc, without_a_machine_each_is_another);
    tcase_add_test(tc, the_same_machine_is_the_same_worker);
    tcase_add_test(tc, another_key_another_worker);
    tcase_add_test(tc, max_uses);
    tcase_add_test(tc, a_revoked_workers_machine);
    tcase_add_test(tc, keys_that_register_nothing);
    tcase_add_test(tc, suspended_organisation_or_workspace);
    tcase_add_test(tc, another_organisations_key);
    tcase_add_test(tc, by_token);
    tcase_add_test(tc, no_token_outlives_its_key);
    tcase_add_test(tc, nothing_happens_without_a_token);
    tcase_add_test(tc, what_it_says_is_only_text);
    tcase_add_test(tc, refreshed);
    tcase_add_test(tc, no_refresh_for_what_does_not_count);
    return s;
}
