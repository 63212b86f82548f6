/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * No memory, at each place where some is taken. What must not come of it: a
 * credential accepted, a parameter or a claim lost, an answer or an event told
 * in part.
 */
#include "unit_alloc.h"
#include "unit_key.h"
#include "unit_store.h"
#include "rensei_assertion.h"
#include "rensei_enroll.h"
#include "rensei_form.h"
#include "rensei_grant.h"
#include "rensei_introspect.h"

#include <apr_strings.h>

static rensei_ring_t *ring;
static const char *token;  /* good */
static const char *forged; /* signed by somebody else */
static const char *pem;
static json_t *jwk;
static EVP_PKEY *pkey;
static json_t *body;

#define CLAIMS                                                           \
    "{\"sub\":\"m2m_0\",\"org_id\":\"org_0\",\"iss\":\"i\","             \
    "\"aud\":[\"a\",\"\\u0062\"],\"scopes\":[\"workers:read\"],\"exp\":" \
    "4000000000}"

static void begin(const char *kind)
{
    rensei_err_t err;

    pkey = test_pkey(kind);
    pem = test_pem(pkey, 1);
    jwk = test_jwk(pkey);
    ring = test_ring_of(pkey, 1, NULL, "k");
    ck_assert_ok(rensei_jws_sign(&token, ring, "JWT", CLAIMS, test_pool, &err),
                 err);
    ck_assert_ok(rensei_jws_sign(&forged,
                                 test_ring_of(test_pkey(kind), 1, NULL, "k"),
                                 "JWT", CLAIMS, test_pool, &err),
                 err);
}

static apr_status_t verify(const char *text, apr_pool_t *p, rensei_err_t *err)
{
    static const rensei_expect_t want = {"i", "b", 0};
    rensei_jws_t jws;
    rensei_claims_t claims;
    apr_status_t rv = rensei_jws_verify(&jws, text, strlen(text), ring, p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_claims_read(&claims, &jws, &want, TEST_NOW_S, p, err);
    }
    if (rv == APR_SUCCESS) {
        ck_assert_int_eq(claims.scopes.count, 1);
        ck_assert(rensei_str_eq(claims.sub, RENSEI_STR("m2m_0")));
    }
    return rv;
}

static apr_status_t verify_good(apr_pool_t *p, rensei_err_t *err)
{
    return verify(token, p, err);
}

static apr_status_t verify_forged(apr_pool_t *p, rensei_err_t *err)
{
    return verify(forged, p, err);
}

static apr_status_t sign(apr_pool_t *p, rensei_err_t *err)
{
    const char *made;
    apr_status_t rv = rensei_jws_sign(&made, ring, "JWT", CLAIMS, p, err);

    return rv == APR_SUCCESS ? verify(made, p, err) : rv;
}

static const char *const kinds[] = {"P-256", "ED25519"};

START_TEST(tokens)
{
    begin(kinds[_i]);
    test_alloc_starve(verify_good);
    test_alloc_starve_refused(verify_forged);
    test_alloc_starve(sign);
}
END_TEST

/* A ring that a key was not added to is as before. */
static apr_status_t check_ring(const rensei_ring_t *made, apr_status_t rv)
{
    ck_assert_int_eq(rensei_ring_count(made), rv == APR_SUCCESS ? 1 : 0);
    ck_assert((rensei_ring_find(made, RENSEI_STR("k")) != NULL) ==
              (rv == APR_SUCCESS));
    return rv;
}

static apr_status_t no_ring(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_UNAVAILABLE, "no ring");
}

static apr_status_t add_pem(apr_pool_t *p, rensei_err_t *err)
{
    rensei_ring_t *made = NULL;

    if (rensei_ring_create(&made, p) != APR_SUCCESS) {
        return no_ring(err);
    }
    return check_ring(
        made, rensei_ring_add_pem(made, pem, strlen(pem), NULL, "k", err));
}

static apr_status_t add_jwk(apr_pool_t *p, rensei_err_t *err)
{
    rensei_ring_t *made = NULL;

    if (rensei_ring_create(&made, p) != APR_SUCCESS) {
        return no_ring(err);
    }
    return check_ring(made, rensei_ring_add_jwk(made, jwk, err));
}

static apr_status_t add_secret(apr_pool_t *p, rensei_err_t *err)
{
    rensei_ring_t *made = NULL;

    if (rensei_ring_create(&made, p) != APR_SUCCESS) {
        return no_ring(err);
    }
    return check_ring(
        made, rensei_ring_add_secret(made, "0123456789abcdef0123456789abcdef",
                                     32, "k", err));
}

/* The set that others verify with: whole, or none. */
static apr_status_t show(apr_pool_t *p, rensei_err_t *err)
{
    json_t *set = rensei_ring_jwks(ring);
    const json_t *key = json_array_get(json_object_get(set, "keys"), 0);

    if (!set) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE, "no set");
    }
    ck_assert_int_eq(json_object_size(key), json_object_size(jwk));
    json_decref(set);
    return APR_SUCCESS;
}

START_TEST(keys)
{
    begin(kinds[_i]);
    test_alloc_starve(add_pem);
    test_alloc_starve(add_jwk);
    test_alloc_starve(add_secret);
    test_alloc_starve(show);
}
END_TEST

static apr_status_t assertion(apr_pool_t *p, rensei_err_t *err)
{
    static const char *const audiences[] = {"https://auth.example", NULL};
    rensei_assertion_t found = {NULL, 0};
    apr_status_t rv = rensei_assertion_verify(&found, token, body, "m2m_0",
                                              audiences, TEST_NOW_S, 0, p, err);

    ck_assert(rv != APR_SUCCESS || strcmp(found.jti, "j") == 0);
    return rv;
}

START_TEST(assertions)
{
    begin("P-256");
    body = rensei_json_own(json_pack("{s:[O]}", "keys", jwk), test_pool);
    token = test_token(pkey, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k\"}",
                       "{\"iss\":\"m2m_0\",\"sub\":\"m2m_0\",\"jti\":\"j\","
                       "\"aud\":\"https://auth.example\","
                       "\"exp\":1769860860}");
    test_alloc_starve(assertion);
}
END_TEST

/* Omitted, a scope means all of them: it must not get lost. */
static apr_status_t form(apr_pool_t *p, rensei_err_t *err)
{
    static const rensei_param_t special[] = {{"resource", RENSEI_PARAM_MANY},
                                             {NULL, RENSEI_PARAM_ONE}};
    static const char text[] = "grant_type=c&scope=a&resource=x&resource=y&z=";
    json_t *params = NULL;
    apr_status_t rv =
        rensei_form_read(&params, special, text, strlen(text), p, err);

    test_alloc_enough();
    if (rv == APR_SUCCESS) {
        ck_assert_str_eq(rensei_json_canonical(params, p),
                         "{\"grant_type\":\"c\",\"resource\":[\"x\",\"y\"],"
                         "\"scope\":\"a\"}");
    }
    return rv;
}

START_TEST(parameters)
{
    test_alloc_starve(form);
}
END_TEST

static rensei_template_t *template;
static rensei_client_t somebody;

#define TEMPLATE                                                     \
    "{\"o\":{\"n\":{{client.owner}},\"x\":{{client.workspace_id}}}," \
    "\"l\":[1,{{client.trusted_metadata.a}}],\"s\":\"t\"}"

static apr_status_t fill(apr_pool_t *p, rensei_err_t *err)
{
    json_t *claims = rensei_template_claims(template, &somebody, p);
    const char *text = claims ? rensei_json_canonical(claims, p) : NULL;

    if (!text) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE, "no claims");
    }
    ck_assert_str_eq(text, "{\"l\":[1,{\"b\":2}],\"o\":{\"n\":\"me\"},"
                           "\"s\":\"t\"}");
    return APR_SUCCESS;
}

START_TEST(custom_claims)
{
    rensei_err_t err;

    somebody.owner = "me";
    somebody.trusted_metadata = test_json("{\"a\":{\"b\":2}}");
    ck_assert_ok(rensei_template_parse(&template, TEMPLATE, test_pool, &err),
                 err);
    test_alloc_starve(fill);
}
END_TEST

static apr_status_t client_spec(apr_pool_t *p, rensei_err_t *err)
{
    rensei_client_spec_t spec;
    apr_status_t rv = rensei_client_spec_read(&spec, body, 1, p, err);

    if (rv == APR_SUCCESS) {
        ck_assert_int_eq(json_array_size(json_object_get(spec.jwks, "keys")),
                         1);
        ck_assert_int_eq(spec.scopes.count, 1);
    }
    return rv;
}

static apr_status_t worker_spec(apr_pool_t *p, rensei_err_t *err)
{
    rensei_enroll_spec_t spec;
    apr_status_t rv = rensei_enroll_spec_read(&spec, body, 0, p, err);

    if (rv == APR_SUCCESS) {
        ck_assert_str_eq(spec.capabilities, "[\"a\",\"b\"]");
    }
    return rv;
}

START_TEST(bodies)
{
    begin("P-256");
    body = rensei_json_own(
        json_pack("{s:s, s:[s], s:s, s:{s:[O]}, s:{s:s}, s:[s]}", "name", "n",
                  "scopes", "workers:read", "tokenEndpointAuthMethod",
                  RENSEI_AUTH_JWT, "jwks", "keys", jwk, "trustedMetadata", "a",
                  "b", "audiences", "https://a.example"),
        test_pool);
    test_alloc_starve(client_spec);
    body = test_json("{\"hostname\":\"h\",\"maxAgents\":1,\"capabilities\":"
                     "[\"a\",\"b\"]}");
    test_alloc_starve(worker_spec);
}
END_TEST

static rensei_org_t org;
static rensei_client_t client;
static const char *secret;
static rensei_issuer_t issuer;
static const char *live; /* a key */

static void begin_store(void)
{
    begin("P-256");
    org = test_org("Acme");
    client = test_client(&org, "CI", "workers:read", &secret);
    issuer = (rensei_issuer_t){.ring = ring,
                               .issuer = "rensei-platform",
                               .audience = "rensei-api",
                               .lifetime = 3600,
                               .vocab = rensei_vocab_default()};
}

static int events(const char *name)
{
    return test_sql_count(
        apr_psprintf(test_pool, "rensei_audit WHERE event = '%s'", name));
}

static apr_status_t grant(apr_pool_t *p, rensei_err_t *err)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret = secret};
    rensei_token_t made = {0};
    int before = events("m2m.token_issued");
    apr_status_t rv = test_grant_token(&made, test_store(), &issuer, &req,
                                       &test_actor, p, err);

    test_alloc_enough();
    ck_assert_int_eq(events("m2m.token_issued"), before + (rv == APR_SUCCESS));
    ck_assert((made.access_token != NULL) == (rv == APR_SUCCESS));
    return rv;
}

static apr_status_t grant_wrong(apr_pool_t *p, rensei_err_t *err)
{
    rensei_token_request_t req = {.grant_type = "client_credentials",
                                  .client_id = client.id,
                                  .client_secret =
                                      "m2ms_0000000000000000000000000000000000"
                                      "000000000000000000000000000000"};
    rensei_token_t made = {0};

    return test_grant_token(&made, test_store(), &issuer, &req, &test_actor, p,
                            err);
}

/* The answer says all of it, or that the key is not active: its digest could
 * not be made. */
static apr_status_t introspect(apr_pool_t *p, rensei_err_t *err)
{
    static const rensei_expect_t want = {"rensei-platform", "rensei-api", 0};
    rensei_question_t q = {.token = live, .org = org.id, .max_age = -1};
    json_t *answer = NULL;
    apr_status_t rv =
        rensei_introspect(&answer, test_store(), &issuer, &want, &q, p, err);

    test_alloc_enough();
    if (rv == APR_SUCCESS && json_object_size(answer) > 1) {
        ck_assert(json_is_true(json_object_get(answer, "active")));
        ck_assert_str_eq(json_string_value(json_object_get(answer, "scope")),
                         "org:read");
        ck_assert_int_gt(json_integer_value(json_object_get(answer, "iat")), 0);
        ck_assert(json_is_object(json_object_get(answer, "custom_claims")));
    }
    else if (rv == APR_SUCCESS) {
        ck_assert(json_is_false(json_object_get(answer, "active")));
    }
    json_decref(answer);
    return rv;
}

START_TEST(issuance)
{
    begin_store();
    test_alloc_starve(grant);
    test_alloc_starve_refused(grant_wrong);
    test_key(&org, "k", "org", "org:read", &live);
    test_alloc_starve(introspect);
}
END_TEST

/* One more event of that name, with those words in its details, if it was
 * done; else none. */
static apr_status_t told(const char *name, int before, const char *words,
                         apr_status_t rv)
{
    int done = rv == APR_SUCCESS;

    ck_assert_int_eq(events(name), before + done);
    if (done) {
        ck_assert_ptr_nonnull(strstr(test_last_event(org.id).details, words));
    }
    return rv;
}

/* A change and its event: both, or neither, and the event has its details. */
static apr_status_t create(apr_pool_t *p, rensei_err_t *err)
{
    rensei_client_spec_t spec = {.set =
                                     RENSEI_CLIENT_NAME | RENSEI_CLIENT_SCOPES,
                                 .name = "n",
                                 .scopes = test_scopes("workers:read")};
    int clients = test_sql_count("rensei_clients"),
        before = events("m2m.client_created");
    rensei_client_t made;
    const char *new_secret = NULL;
    apr_status_t rv =
        rensei_client_create(&made, &new_secret, test_store(), org.id, &spec,
                             rensei_vocab_default(), NULL, &test_actor, p, err);

    test_alloc_enough();
    ck_assert_int_eq(test_sql_count("rensei_clients"),
                     clients + (rv == APR_SUCCESS));
    return told("m2m.client_created", before, "\"scopes\":[\"workers", rv);
}

static rensei_apikey_t key;
static rensei_apikey_spec_t key_spec;

static apr_status_t create_key(apr_pool_t *p, rensei_err_t *err)
{
    int there = test_sql_count("rensei_keys"),
        before = events("api_key.created");
    rensei_apikey_t made;
    const char *text = NULL;
    apr_status_t rv =
        rensei_apikey_create(&made, &text, test_store(), org.id, &key_spec,
                             rensei_vocab_default(), NULL, &test_actor, p, err);

    test_alloc_enough();
    ck_assert_int_eq(test_sql_count("rensei_keys"),
                     there + (rv == APR_SUCCESS));
    return told("api_key.created", before, "\"scopes\":[\"org:read\"]", rv);
}

static apr_status_t rotate_key(apr_pool_t *p, rensei_err_t *err)
{
    const char *digest = test_sql_value(apr_psprintf(
        test_pool, "SELECT digest FROM rensei_keys WHERE id = '%s'", key.id));
    int before = events("api_key.rotated"), same;
    rensei_apikey_t made;
    const char *text = NULL;
    apr_status_t rv =
        rensei_apikey_rotate(&made, &text, test_store(), org.id, key.id, 60,
                             rensei_vocab_default(), NULL, &test_actor, p, err);

    test_alloc_enough();
    same = test_sql_count(
        apr_psprintf(test_pool, "rensei_keys WHERE digest = '%s'", digest));
    ck_assert_int_eq(same, rv != APR_SUCCESS);
    test_sql("UPDATE rensei_keys SET previous_digest = NULL, "
             "previous_expires_at = NULL");
    return told("api_key.rotated", before, "\"previousEndsAt\":\"20", rv);
}

/* Alive again, for the next time. */
static apr_status_t revoked(const char *table, apr_status_t rv)
{
    const char *dead = apr_psprintf(
        test_pool, "rensei_%s WHERE revoked_at IS NOT NULL", table);

    ck_assert_int_eq(test_sql_count(dead), rv == APR_SUCCESS);
    test_sql(apr_psprintf(test_pool, "UPDATE rensei_%s SET revoked_at = NULL",
                          table));
    return rv;
}

static apr_status_t revoke_key(apr_pool_t *p, rensei_err_t *err)
{
    int before = events("api_key.revoked");
    rensei_apikey_t got;
    apr_status_t rv = rensei_apikey_revoke(&got, test_store(), org.id, key.id,
                                           "lost", &test_actor, p, err);

    test_alloc_enough();
    told("api_key.revoked", before, "\"reason\":\"lost\"", rv);
    return revoked("keys", rv);
}

static apr_status_t revoke_client(apr_pool_t *p, rensei_err_t *err)
{
    int before = events("m2m.client_revoked");
    rensei_client_t got;
    apr_status_t rv = rensei_client_revoke(
        &got, test_store(), org.id, client.id, "lost", &test_actor, p, err);

    test_alloc_enough();
    told("m2m.client_revoked", before, "\"reason\":\"lost\"", rv);
    return revoked("clients", rv);
}

START_TEST(changes_of_keys)
{
    rensei_err_t err;

    begin_store();
    key = test_key(&org, "k", "org", "org:read", &live);
    ck_assert_ok(rensei_apikey_spec_read(
                     &key_spec,
                     test_json("{\"name\":\"k\",\"keyType\":\"org\","
                               "\"owner\":\"o\",\"scopes\":[\"org:read\"]}"),
                     test_pool, &err),
                 err);
    test_alloc_starve(create_key);
    test_alloc_starve(rotate_key);
    test_alloc_starve(revoke_key);
    test_alloc_starve(revoke_client);
}
END_TEST

static apr_status_t shown(json_t *answer, size_t members, rensei_err_t *err)
{
    if (!answer) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE, "no answer");
    }
    ck_assert_uint_eq(json_object_size(answer), members);
    json_decref(answer);
    return APR_SUCCESS;
}

static size_t client_members, event_members;

static apr_status_t show_client(apr_pool_t *p, rensei_err_t *err)
{
    return shown(rensei_client_json(&client, secret, p), client_members, err);
}

static rensei_event_t event;

static apr_status_t show_event(apr_pool_t *p, rensei_err_t *err)
{
    return shown(rensei_event_json(&event, p), event_members, err);
}

static size_t members_of(json_t *answer)
{
    size_t n = json_object_size(answer);

    json_decref(answer);
    return n;
}

START_TEST(changes)
{
    begin_store();
    test_alloc_starve(create);
    client_members = members_of(rensei_client_json(&client, secret, test_pool));
    test_alloc_starve(show_client);
    event = test_last_event(org.id);
    event_members = members_of(rensei_event_json(&event, test_pool));
    test_alloc_starve(show_event);
}
END_TEST

Suite *suite_starved(void)
{
    TCase *tc;
    Suite *s = test_suite("starved", &tc);

    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, tokens, 0, 2);
    tcase_add_loop_test(tc, keys, 0, 2);
    tcase_add_test(tc, assertions);
    tcase_add_test(tc, parameters);
    tcase_add_test(tc, custom_claims);
    tcase_add_test(tc, bodies);
    tcase_add_test(tc, issuance);
    tcase_add_test(tc, changes);
    tcase_add_test(tc, changes_of_keys);
    return s;
}
