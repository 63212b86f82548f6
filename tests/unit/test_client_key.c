/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/* Clients that authenticate with a key of their own (private_key_jwt), and
 * which method a client may use at all. */
#include "unit_store.h"
#include "rensei_assertion.h"
#include "rensei_forget.h"
#include "rensei_grant.h"

#include <apr_strings.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/wait.h>
#include <unistd.h>

#define ABSENT "m2m_0123456789abcdef0123456789abcdef"
#define ENDPOINT "https://auth.example.com/api/oauth/token"

static const char *const audiences[] = {ENDPOINT, "https://auth.example.com",
                                        NULL};

static rensei_err_t err;
static rensei_org_t org;
static rensei_client_t client, got;
static const char *secret;
static rensei_ring_t *ring; /* the client's private key */
static rensei_issuer_t issuer;

/* A fresh P-256 key, which signs. */
static rensei_ring_t *key_make(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    rensei_ring_t *out;
    char *pem;
    long n;

    ck_assert_int_eq(
        PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    n = BIO_get_mem_data(bio, &pem);
    ck_assert_int_eq(rensei_ring_create(&out, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_pem(out, pem, (apr_size_t)n, NULL, NULL, &err),
                 err);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return out;
}

static const char *jwks_of(const rensei_ring_t *of)
{
    return rensei_json_dump(rensei_json_own(rensei_ring_jwks(of), test_pool),
                            test_pool);
}

static apr_status_t create(const char *body)
{
    rensei_client_spec_t spec;

    memset(&err, 0, sizeof(err));
    secret = "none was made";
    if (rensei_client_spec_read(&spec, test_json(body), 1, test_pool, &err) !=
        APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return rensei_client_create(&client, &secret, test_store(), org.id, &spec,
                                rensei_vocab_default(), NULL, &test_actor,
                                test_pool, &err);
}

static apr_status_t update(const char *body)
{
    rensei_client_spec_t spec;

    memset(&err, 0, sizeof(err));
    if (rensei_client_spec_read(&spec, test_json(body), 0, test_pool, &err) !=
        APR_SUCCESS) {
        return APR_EGENERAL;
    }
    return rensei_client_update(&client, test_store(), org.id, client.id, &spec,
                                rensei_vocab_default(), NULL, &test_actor,
                                test_pool, &err);
}

static const char *body_of(const char *method, const char *jwks)
{
    return apr_psprintf(test_pool,
                        "{\"name\":\"c\",\"scopes\":[\"workers:read\"],"
                        "\"tokenEndpointAuthMethod\":%s,\"jwks\":%s}",
                        method, jwks);
}

#define JWT "\"private_key_jwt\""

static void begin(void)
{
    rensei_ring_t *signer;
    const char *key = "0123456789abcdef0123456789abcdef";

    ck_assert_int_eq(rensei_ring_create(&signer, test_pool), APR_SUCCESS);
    ck_assert_ok(rensei_ring_add_secret(signer, key, strlen(key), NULL, &err),
                 err);
    issuer = (rensei_issuer_t){.ring = signer,
                               .issuer = "rensei-platform",
                               .audience = "rensei-api",
                               .lifetime = 3600,
                               .vocab = rensei_vocab_default(),
                               .assertion_audiences = audiences};
    org = test_org("Acme");
    ring = key_make();
}

/* A client with that key. */
static void begin_keyed(void)
{
    begin();
    ck_assert_ok(create(body_of(JWT, jwks_of(ring))), err);
}

static const char *assertion_of(const rensei_ring_t *by, const char *id,
                                const char *aud, const char *jti)
{
    const char *out;
    const char *claims = apr_psprintf(
        test_pool,
        "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"jti\":\"%s\","
        "\"exp\":%" APR_INT64_T_FMT "}",
        id, id, aud, jti, apr_time_sec(test_now) + 60);

    ck_assert_ok(rensei_jws_sign(&out, by, "JWT", claims, test_pool, &err),
                 err);
    return out;
}

static apr_status_t present(const char *id, const char *assertion)
{
    rensei_token_request_t req = {.client_id = id,
                                  .client_assertion = assertion,
                                  .auth_method = RENSEI_AUTH_JWT};

    return rensei_grant_authenticate(&got, test_store(), &issuer, &req,
                                     &test_actor, test_pool, &err);
}

static apr_status_t show(const char *method, const char *shown)
{
    rensei_token_request_t req = {
        .client_id = client.id, .client_secret = shown, .auth_method = method};

    return rensei_grant_authenticate(&got, test_store(), &issuer, &req,
                                     &test_actor, test_pool, &err);
}

static void refused_event(const char *in_org, const char *reason)
{
    rensei_event_t ev = test_last_event(in_org);

    ck_assert_str_eq(ev.event, "m2m.auth_failed");
    ck_assert_str_eq(ev.details, apr_pstrcat(test_pool, "{\"reason\":\"",
                                             reason, "\"}", NULL));
}

/* Asserts a failure in the words of all failures. */
static void refused(const char *id, const char *assertion, const char *in_org,
                    const char *reason)
{
    ck_assert_err(present(id, assertion), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client assertion is not valid.");
    ck_assert_ptr_null(err.field);
    refused_event(in_org, reason);
}

/* --- the client --- */

START_TEST(a_client_with_a_key_has_no_secret)
{
    json_t *json;

    begin_keyed();
    ck_assert_ptr_null(secret);
    ck_assert_ptr_null(client.secret_last4);
    ck_assert_str_eq(client.auth_method, "private_key_jwt");
    json = rensei_json_own(rensei_client_json(&client, NULL, test_pool),
                           test_pool);
    ck_assert_str_eq(rensei_json_dump(json_object_get(json, "jwks"), test_pool),
                     jwks_of(ring));
    ck_assert_str_eq(
        json_string_value(json_object_get(json, "tokenEndpointAuthMethod")),
        "private_key_jwt");
    ck_assert(json_is_null(json_object_get(json, "secretLast4")));
    ck_assert_ptr_null(json_object_get(json, "clientSecret"));
    ck_assert_ptr_nonnull(
        strstr(test_last_event(org.id).details,
               "\"tokenEndpointAuthMethod\":\"private_key_jwt\""));
    /* Not even an empty one. */
    ck_assert_err(show(NULL, ""), err, RENSEI_E_INVALID_CLIENT);
    refused_event(org.id, "wrong_secret");
    ck_assert_err(show(RENSEI_AUTH_BASIC, "sha256$"), err,
                  RENSEI_E_INVALID_CLIENT);
    ck_assert_err(rensei_client_rotate_start(&got, &secret, test_store(),
                                             org.id, client.id, 0, &test_actor,
                                             test_pool, &err),
                  err, RENSEI_E_CONFLICT);
    ck_assert_err(rensei_client_rotate_complete(&got, test_store(), org.id,
                                                client.id, &test_actor,
                                                test_pool, &err),
                  err, RENSEI_E_CONFLICT);
}
END_TEST

START_TEST(methods_and_keys_go_together)
{
    const char *jwks;

    begin();
    jwks = jwks_of(ring);
    ck_assert_field(create(body_of(JWT, "null")), err, "jwks");
    ck_assert_field(create("{\"name\":\"c\",\"scopes\":[],"
                           "\"tokenEndpointAuthMethod\":" JWT "}"),
                    err, "jwks");
    ck_assert_field(create(body_of("null", jwks)), err, "jwks");
    ck_assert_field(create(body_of("\"client_secret_post\"", jwks)), err,
                    "jwks");
    ck_assert_field(create(body_of("\"none\"", "null")), err,
                    "tokenEndpointAuthMethod");
    ck_assert_field(create(body_of("\"client_secret_json\"", "null")), err,
                    "tokenEndpointAuthMethod");
    ck_assert_field(create(body_of("7", "null")), err,
                    "tokenEndpointAuthMethod");
    ck_assert_int_eq(test_sql_count("rensei_clients"), 0);
    ck_assert_ok(create(body_of("\"client_secret_basic\"", "null")), err);
    ck_assert_ptr_nonnull(secret);
}
END_TEST

/* A private key that a client sends by mistake must not be in the store. */
START_TEST(keys_that_are_not_taken)
{
    static const char *const bad[] = {
        "{}", "[]", "\"x\"", "{\"keys\":[]}", "{\"keys\":{}}", "{\"keys\":[7]}",
        "{\"keys\":[{}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3O"
        "DlhYmNkZWY\"}]}",
        /* RFC 7517 A.2, with its private part */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11"
        "ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":"
        "\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmW"
        "Wlbbt4nILk\",\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}]}",
        NULL};
    const char *many = "", *one;
    int i;

    begin();
    for (i = 0; bad[i]; i++) {
        ck_assert_field(create(body_of(JWT, bad[i])), err, "jwks");
    }
    ck_assert_int_eq(test_sql_count("rensei_clients"), 0);
    for (i = 0; i < RENSEI_CLIENT_KEYS_MAX; i++) {
        one = jwks_of(key_make()) + strlen("{\"keys\":[");
        many =
            apr_pstrcat(test_pool, many, i ? "," : "",
                        apr_pstrmemdup(test_pool, one, strlen(one) - 2), NULL);
    }
    ck_assert_ok(
        create(body_of(JWT, apr_psprintf(test_pool, "{\"keys\":[%s]}", many))),
        err);
    ck_assert_field(
        create(body_of(JWT, apr_psprintf(test_pool, "{\"keys\":[%s,%s]}", many,
                                         apr_pstrmemdup(test_pool, one,
                                                        strlen(one) - 2)))),
        err, "jwks");
}
END_TEST

START_TEST(a_jwks_has_a_size)
{
    char *blank = apr_palloc(test_pool, RENSEI_JWKS_MAX + 1);
    json_t *jwks;

    begin();
    memset(blank, 'x', RENSEI_JWKS_MAX);
    blank[RENSEI_JWKS_MAX] = '\0';
    jwks = test_json(jwks_of(ring));
    json_object_set_new(jwks, "comment", json_string(blank));
    ck_assert_field(create(body_of(JWT, rensei_json_dump(jwks, test_pool))),
                    err, "jwks");
}
END_TEST

START_TEST(from_a_secret_to_a_key_and_not_back)
{
    rensei_ring_t *other;
    const char *first, *second;

    begin();
    ck_assert_ok(create(body_of("null", "null")), err);
    first = secret;
    ck_assert_ok(rensei_client_rotate_start(&client, &second, test_store(),
                                            org.id, client.id, 0, &test_actor,
                                            test_pool, &err),
                 err);
    ck_assert_ok(
        update(apr_psprintf(test_pool,
                            "{\"tokenEndpointAuthMethod\":" JWT ",\"jwks\":%s}",
                            jwks_of(ring))),
        err);
    ck_assert_ptr_null(client.secret_last4);
    ck_assert_ptr_null(client.next_secret_last4);
    ck_assert_err(show(NULL, first), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_err(show(NULL, second), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_int_eq(
        test_sql_count("rensei_clients WHERE next_secret_digest IS NOT NULL "
                       "OR secret_digest <> ''"),
        0);
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "1")), err);

    ck_assert_field(update("{\"tokenEndpointAuthMethod\":null,\"jwks\":null}"),
                    err, "tokenEndpointAuthMethod");
    ck_assert_field(update("{\"tokenEndpointAuthMethod\":"
                           "\"client_secret_post\",\"jwks\":null}"),
                    err, "tokenEndpointAuthMethod");
    ck_assert_field(update("{\"jwks\":null}"), err, "jwks");
    ck_assert_ok(update("{\"name\":\"d\"}"), err);
    ck_assert_str_eq(client.auth_method, RENSEI_AUTH_JWT);

    other = key_make();
    ck_assert_ok(
        update(apr_psprintf(test_pool, "{\"jwks\":%s}", jwks_of(other))), err);
    ck_assert_ok(
        present(client.id, assertion_of(other, client.id, ENDPOINT, "2")), err);
    refused(client.id, assertion_of(ring, client.id, ENDPOINT, "3"), org.id,
            "wrong_assertion");
}
END_TEST

START_TEST(a_client_with_a_secret_takes_no_keys)
{
    begin();
    ck_assert_ok(create(body_of("null", "null")), err);
    ck_assert_field(
        update(apr_psprintf(test_pool, "{\"jwks\":%s}", jwks_of(ring))), err,
        "jwks");
    ck_assert_field(update("{\"tokenEndpointAuthMethod\":" JWT "}"), err,
                    "jwks");
    ck_assert_ok(show(NULL, secret), err);
    ck_assert_ok(update("{\"jwks\":null}"), err);
}
END_TEST

/* --- which method --- */

START_TEST(a_client_may_be_held_to_one_method)
{
    static const struct {
        const char *own, *used;
        int good;
    } table[] = {
        {"null", NULL, 1},
        {"null", "client_secret_basic", 1},
        {"null", "client_secret_post", 1},
        {"null", "client_secret_json", 1},
        {"\"client_secret_basic\"", "client_secret_basic", 1},
        {"\"client_secret_basic\"", "client_secret_post", 0},
        {"\"client_secret_basic\"", "client_secret_json", 0},
        {"\"client_secret_basic\"", NULL, 0},
        {"\"client_secret_post\"", "client_secret_basic", 0},
        {"\"client_secret_post\"", "client_secret_post", 1},
        {"\"client_secret_post\"", "client_secret_json", 1},
        {"\"client_secret_post\"", NULL, 1},
    };
    size_t i;

    begin();
    ck_assert_ok(create(body_of("null", "null")), err);
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        ck_assert_ok(
            update(apr_psprintf(test_pool, "{\"tokenEndpointAuthMethod\":%s}",
                                table[i].own)),
            err);
        if (table[i].good) {
            ck_assert_ok(show(table[i].used, secret), err);
            ck_assert_str_eq(got.id, client.id);
            continue;
        }
        /* As a wrong secret, to the letter: the right one is no help. */
        ck_assert_err(show(table[i].used, secret), err,
                      RENSEI_E_INVALID_CLIENT);
        ck_assert_str_eq(err.text, "The client id or secret is not valid.");
        refused_event(org.id, "wrong_method");
        ck_assert_err(show(table[i].used, "x"), err, RENSEI_E_INVALID_CLIENT);
        ck_assert_str_eq(err.text, "The client id or secret is not valid.");
        refused_event(org.id, "wrong_secret");
    }
}
END_TEST

START_TEST(requests_that_lack_something)
{
    rensei_token_request_t req = {.auth_method = RENSEI_AUTH_JWT};

    begin_keyed();
#define ASK                                                                   \
    rensei_grant_authenticate(&got, test_store(), &issuer, &req, &test_actor, \
                              test_pool, &err)
    ck_assert_field(ASK, err, "client_assertion");
    req.auth_method = NULL;
    ck_assert_field(ASK, err, "client_id");
    req.client_id = client.id;
    ck_assert_field(ASK, err, "client_secret");
    req.client_secret = "x";
    req.client_assertion = "y";
    ck_assert_err(ASK, err, RENSEI_E_INVALID_REQUEST);
    req.client_secret = NULL;
    ck_assert_err(ASK, err, RENSEI_E_INVALID_CLIENT);
    refused_event(org.id, "wrong_assertion");
#undef ASK
}
END_TEST

/* Who has guessed too often waits, and fills no trail meanwhile; the right
 * secret opens all the same. */
START_TEST(a_caller_who_failed_too_often)
{
    rensei_actor_t muted = test_actor;
    rensei_token_request_t req = {.client_secret = "x"};
    int events;

    begin();
    muted.muted = 1;
    ck_assert_ok(create(body_of("null", "null")), err);
    events = test_sql_count("rensei_audit");
    req.client_id = client.id;
    ck_assert_err(rensei_grant_authenticate(&got, test_store(), &issuer, &req,
                                            &muted, test_pool, &err),
                  err, RENSEI_E_SLOW_DOWN);
    req.client_secret = secret;
    ck_assert_ok(rensei_grant_authenticate(&got, test_store(), &issuer, &req,
                                           &muted, test_pool, &err),
                 err);
    ck_assert_int_eq(test_sql_count("rensei_audit"), events);
}
END_TEST

/* --- assertions --- */

START_TEST(an_assertion_is_good)
{
    begin_keyed();
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "1")), err);
    ck_assert_str_eq(got.id, client.id);
    ck_assert_str_eq(got.org, org.id);
    ck_assert_ok(
        present(client.id,
                assertion_of(ring, client.id, "https://auth.example.com", "2")),
        err);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'm2m.auth_failed'"), 0);
}
END_TEST

START_TEST(an_assertion_gets_a_token)
{
    rensei_token_request_t req = {.grant_type = "client_credentials"};
    rensei_token_t token;

    begin_keyed();
    req.client_id = client.id;
    req.client_assertion = assertion_of(ring, client.id, ENDPOINT, "1");
    ck_assert_ok(test_grant_token(&token, test_store(), &issuer, &req,
                                  &test_actor, test_pool, &err),
                 err);
    ck_assert_str_eq(token.scope, "workers:read");
    ck_assert_err(test_grant_token(&token, test_store(), &issuer, &req,
                                   &test_actor, test_pool, &err),
                  err, RENSEI_E_INVALID_CLIENT);
    ck_assert_int_eq(
        test_sql_count("rensei_audit WHERE event = 'm2m.token_issued'"), 1);
}
END_TEST

START_TEST(all_failures_look_alike)
{
    rensei_client_t first, with_secret;
    const char *assertion;

    begin_keyed();
    first = client;
    refused(client.id, assertion_of(key_make(), client.id, ENDPOINT, "1"),
            org.id, "wrong_assertion");
    refused(client.id, assertion_of(ring, client.id, "https://evil/", "1"),
            org.id, "wrong_assertion");
    refused(client.id, assertion_of(ring, ABSENT, ENDPOINT, "1"), org.id,
            "wrong_assertion");
    refused(client.id, "", org.id, "wrong_assertion");
    refused(client.id, "a.b.c", org.id, "wrong_assertion");
    refused(ABSENT, assertion_of(ring, ABSENT, ENDPOINT, "1"), "",
            "unknown_client");
    refused("nobody", assertion_of(ring, "nobody", ENDPOINT, "1"), "",
            "unknown_client");
    refused(NULL, "a.b.c", "", "unknown_client");
    ck_assert_str_eq(test_last_event("").target, "malformed");

    /* Another client's key is no key of this one. */
    ck_assert_ok(create(body_of(JWT, jwks_of(key_make()))), err);
    refused(client.id, assertion_of(ring, client.id, ENDPOINT, "1"), org.id,
            "wrong_assertion");
    with_secret = test_client(&org, "s", "", NULL);
    refused(with_secret.id, assertion_of(ring, with_secret.id, ENDPOINT, "1"),
            org.id, "wrong_method");

    client = first;
    assertion = assertion_of(ring, client.id, ENDPOINT, "1");
    ck_assert_ok(update("{\"status\":\"inactive\"}"), err);
    refused(client.id, assertion, org.id, "inactive");
    ck_assert_ok(update("{\"status\":\"active\"}"), err);
    /* It has not been used up by that. */
    ck_assert_ok(present(client.id, assertion), err);
    ck_assert_ok(rensei_client_revoke(&client, test_store(), org.id, client.id,
                                      NULL, &test_actor, test_pool, &err),
                 err);
    refused(client.id, assertion_of(ring, client.id, ENDPOINT, "2"), org.id,
            "revoked");
}
END_TEST

START_TEST(where_none_is_accepted)
{
    begin_keyed();
    issuer.assertion_audiences = NULL;
    refused(client.id, assertion_of(ring, client.id, ENDPOINT, "1"), org.id,
            "wrong_assertion");
    refused(client.id, assertion_of(ring, client.id, "", "1"), org.id,
            "wrong_assertion");
}
END_TEST

/* The hole: who sees an assertion, in a log or at a proxy, sends it again. */
START_TEST(a_replay)
{
    const char *assertion;

    begin_keyed();
    assertion = assertion_of(ring, client.id, ENDPOINT, "once");
    ck_assert_ok(present(client.id, assertion), err);
    refused(client.id, assertion, org.id, "assertion_replayed");
    /* Nor another one of the same jti, whatever else it says. */
    test_later(30);
    refused(client.id, assertion_of(ring, client.id, ENDPOINT, "once"), org.id,
            "assertion_replayed");
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "twice")),
        err);
}
END_TEST

/* A jti is the client's choice: one client cannot use up another's. */
START_TEST(a_jti_is_the_clients_own)
{
    const char *theirs;

    begin_keyed();
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "1")), err);
    theirs = client.id;
    ck_assert_ok(create(body_of(JWT, jwks_of(ring))), err);
    ck_assert_str_ne(client.id, theirs);
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "1")), err);
    ck_assert_int_eq(test_sql_count("rensei_assertions"), 2);
    /* The store knows the digest of a jti, which may tell something. */
    ck_assert_int_eq(
        test_sql_count("rensei_assertions WHERE digest LIKE 'sha256$%'"), 2);
}
END_TEST

START_TEST(remembered_until_it_has_expired)
{
    char jti[12];
    int i;

    begin_keyed();
    ck_assert_ok(
        present(client.id, assertion_of(ring, client.id, ENDPOINT, "old")),
        err);
    ck_assert_str_eq(
        test_sql_value("SELECT expires_at FROM rensei_assertions"),
        apr_psprintf(test_pool, "%" APR_INT64_T_FMT,
                     (TEST_NOW_S + 60 + 10 + RENSEI_REMEMBER_AFTER) * 1000));
    test_later(2 * RENSEI_REMEMBER_AFTER);
    for (i = 0; i < 200 && test_sql_count("rensei_assertions") > i; i++) {
        apr_snprintf(jti, sizeof(jti), "%d", i);
        ck_assert_ok(
            present(client.id, assertion_of(ring, client.id, ENDPOINT, jti)),
            err);
    }
    ck_assert_int_lt(i, 200);
    ck_assert_int_eq(test_sql_count("rensei_assertions"), i);
}
END_TEST

START_TEST(a_store_that_cannot_remember)
{
    const char *assertion;

    begin_keyed();
    assertion = assertion_of(ring, client.id, ENDPOINT, "1");
    test_sql("ALTER TABLE rensei_assertions RENAME TO gone");
    ck_assert_err(present(client.id, assertion), err, RENSEI_E_UNAVAILABLE);
    test_sql("ALTER TABLE gone RENAME TO rensei_assertions");
    ck_assert_ok(present(client.id, assertion), err);
}
END_TEST

/* What a process of its own makes of an assertion, when the others start:
 * 0 it is good, 1 it is not, 2 neither can be said. */
static int attempt(const char *assertion, int go)
{
    rensei_token_request_t req = {.client_id = client.id,
                                  .client_assertion = assertion};
    rensei_store_t *st;
    char c;

    if (rensei_store_open(&st, test_store_driver(), test_store_params(),
                          test_sys, test_pool, &err) != APR_SUCCESS ||
        read(go, &c, 1) != 0) {
        return 3;
    }
    if (rensei_grant_authenticate(&got, st, &issuer, &req, &test_actor,
                                  test_pool, &err) == APR_SUCCESS) {
        return 0;
    }
    return err.code == RENSEI_E_INVALID_CLIENT ? 1 : 2;
}

/* The hole: a look whether it was used, and then a note that it is, lets two
 * through that look at the same time. */
START_TEST(replays_at_the_same_time)
{
    enum { PROCESSES = 6, ROUNDS = 5 };
    const char *assertion;
    int round, i, status, go[2], results[4];
    pid_t pid;

    begin_keyed();
    for (round = 0; round < ROUNDS; round++) {
        assertion =
            assertion_of(ring, client.id, ENDPOINT, apr_itoa(test_pool, round));
        memset(results, 0, sizeof(results));
        ck_assert_int_eq(pipe(go), 0);
        for (i = 0; i < PROCESSES; i++) {
            pid = fork();
            ck_assert_int_ge(pid, 0);
            if (pid == 0) {
                close(go[1]);
                _exit(attempt(assertion, go[0]));
            }
        }
        close(go[0]);
        close(go[1]);
        for (i = 0; i < PROCESSES; i++) {
            ck_assert_int_gt(wait(&status), 0);
            ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 4);
            results[WEXITSTATUS(status)]++;
        }
        ck_assert_int_eq(results[0], 1);
        ck_assert_int_eq(results[1], PROCESSES - 1);
    }
    ck_assert_int_eq(test_sql_count("rensei_assertions"), ROUNDS);
    ck_assert_int_eq(test_sql_count("rensei_audit WHERE details LIKE "
                                    "'%assertion_replayed%'"),
                     ROUNDS * (PROCESSES - 1));
}
END_TEST

Suite *suite_client_key(void)
{
    TCase *tc;
    Suite *s = test_suite("client_key", &tc);

    tcase_add_test(tc, a_client_with_a_key_has_no_secret);
    tcase_add_test(tc, methods_and_keys_go_together);
    tcase_add_test(tc, keys_that_are_not_taken);
    tcase_add_test(tc, a_jwks_has_a_size);
    tcase_add_test(tc, from_a_secret_to_a_key_and_not_back);
    tcase_add_test(tc, a_client_with_a_secret_takes_no_keys);
    tcase_add_test(tc, a_client_may_be_held_to_one_method);
    tcase_add_test(tc, requests_that_lack_something);
    tcase_add_test(tc, a_caller_who_failed_too_often);
    tcase_add_test(tc, an_assertion_is_good);
    tcase_add_test(tc, an_assertion_gets_a_token);
    tcase_add_test(tc, all_failures_look_alike);
    tcase_add_test(tc, where_none_is_accepted);
    tcase_add_test(tc, a_replay);
    tcase_add_test(tc, a_jti_is_the_clients_own);
    tcase_add_test(tc, remembered_until_it_has_expired);
    tcase_add_test(tc, a_store_that_cannot_remember);
    tcase_add_test(tc, replays_at_the_same_time);
    return s;
}
