/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Client assertions. Whoever gets one past this is that client.
 */
#include "unit_key.h"
#include "rensei_assertion.h"

#include <apr_strings.h>

#define CLIENT "m2m_0123456789abcdef0123456789abcdef"
#define TOKEN_URL "https://gw.example/api/oauth/token"
#define ISSUER_URL "https://gw.example"
#define SKEW 10

static const char *const ours[] = {ISSUER_URL, TOKEN_URL, NULL};

static EVP_PKEY *key;
static json_t *jwks;

static void setup_key(void)
{
    key = test_pkey("P-256");
    jwks =
        rensei_json_own(json_pack("{s:[O]}", "keys", test_jwk(key)), test_pool);
}

/* Good claims, with one of them replaced (value: JSON text) or removed. */
static const char *claims_with(const char *name, const char *value)
{
    json_t *v = rensei_json_own(
        json_pack("{ss ss ss ss sI sI}", "iss", CLIENT, "sub", CLIENT, "aud",
                  TOKEN_URL, "jti", "assertion 1", "iat",
                  (json_int_t)TEST_NOW_S, "exp", (json_int_t)(TEST_NOW_S + 60)),
        test_pool);
    const char *text;

    json_object_del(v, name);
    text = rensei_json_dump(v, test_pool);
    return value
               ? apr_psprintf(test_pool, "{\"%s\":%s,%s", name, value, text + 1)
               : text;
}

static const char *const usual_header =
    "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"JWT\"}";

static const char *signed_claims(const char *claims)
{
    return test_token(key, "ES256", usual_header, claims);
}

static apr_status_t verify(rensei_assertion_t *out, const char *assertion,
                           rensei_err_t *err)
{
    return rensei_assertion_verify(out, assertion, jwks, CLIENT, ours,
                                   TEST_NOW_S, SKEW, test_pool, err);
}

static rensei_assertion_t taken(const char *assertion)
{
    rensei_assertion_t a;
    rensei_err_t err;

    ck_assert_ok(verify(&a, assertion, &err), err);
    return a;
}

static rensei_assertion_t taken_with(const char *name, const char *value)
{
    return taken(signed_claims(claims_with(name, value)));
}

/* One text for all; the cause, which is for the log, has `part` in it. */
static void refuse(const char *assertion, const char *part)
{
    rensei_assertion_t a = {"untouched", 7};
    rensei_err_t err;

    ck_assert_err(verify(&a, assertion, &err), err, RENSEI_E_INVALID_CLIENT);
    ck_assert_str_eq(err.text, "The client assertion is not valid.");
    ck_assert_msg(err.cause && strstr(err.cause, part), "%s: %s", part,
                  err.cause ? err.cause : "no cause");
    ck_assert_str_eq(a.jti, "untouched");
    ck_assert_int_eq(a.exp, 7);
}

static void refuse_with(const char *name, const char *value, const char *part)
{
    refuse(signed_claims(claims_with(name, value)), part);
}

static const char *number(apr_int64_t n)
{
    return apr_psprintf(test_pool, "%" APR_INT64_T_FMT, n);
}

START_TEST(good)
{
    rensei_assertion_t a = taken(signed_claims(claims_with("none", NULL)));

    ck_assert_str_eq(a.jti, "assertion 1");
    /* for as long as it would be taken again */
    ck_assert_int_eq(a.exp, TEST_NOW_S + 60 + SKEW);
    taken_with("iat", NULL);
    taken_with("more", "{\"scope\":[1]}");
}
END_TEST

/* An assertion of one client, or of nobody, for another. */
START_TEST(client)
{
    static const char *const bad[] = {
        "null",
        "1",
        "\"\"",
        "[\"" CLIENT "\"]",
        "\"" CLIENT " \"",
        "\"m2m_0123456789abcdef0123456789abcdeg\"",
        "\"M2M_0123456789abcdef0123456789abcdef\"",
        "\"m2m_0123456789abcdef0123456789abcde\"",
        "\"*\"",
        NULL};

    refuse_with("iss", NULL, "iss");
    refuse_with("sub", NULL, "sub");
    for (int i = 0; bad[i]; i++) {
        refuse_with("iss", bad[i], "iss");
        refuse_with("sub", bad[i], "sub");
    }
    taken_with("sub", "\"m2m\\u005f0123456789abcdef0123456789abcdef\"");
}
END_TEST

/* An assertion that the client made for another server, which sends it here.
 * One that is for both is in the other's hands all the same. */
START_TEST(audience)
{
    static const char *const bad[] = {
        "null",
        "1",
        "\"\"",
        "[]",
        "{}",
        "\"https://other.example/token\"",
        "\"" TOKEN_URL "/\"",
        "\"" TOKEN_URL "?x\"",
        "\"HTTPS://gw.example\"",
        "\"https://gw.exampl\"",
        "\"https://gw.example https://gw.example\"",
        "[[\"" TOKEN_URL "\"]]",
        "[1]",
        "[\"" TOKEN_URL "\",null]",
        "[\"" TOKEN_URL "\",\"https://other.example\"]",
        "[\"https://other.example\",\"" TOKEN_URL "\"]",
        "{\"" TOKEN_URL "\":1}",
        NULL};
    static const char *const nobody[] = {NULL};
    const char *text = signed_claims(claims_with("aud", "\"\""));
    rensei_assertion_t a;
    rensei_err_t err;

    refuse_with("aud", NULL, "aud");
    for (int i = 0; bad[i]; i++) {
        refuse_with("aud", bad[i], "aud");
    }
    taken_with("aud", "\"" ISSUER_URL "\"");
    taken_with("aud", "[\"" TOKEN_URL "\"]");
    taken_with("aud", "[\"" ISSUER_URL "\",\"" TOKEN_URL "\"]");
    ck_assert_err(rensei_assertion_verify(&a, text, jwks, CLIENT, nobody,
                                          TEST_NOW_S, SKEW, test_pool, &err),
                  err, RENSEI_E_INVALID_CLIENT);
}
END_TEST

/* RFC 7523 3, 4: it is short-lived, or it is a password. */
START_TEST(expiry)
{
    static const char *const bad[] = {
        "null", "\"1769860860\"", "1769860860.0", "1e10",
        "true", "[1769860860]",   "-1",           "9007199254740993",
        NULL};

    refuse_with("exp", NULL, "exp");
    for (int i = 0; bad[i]; i++) {
        refuse_with("exp", bad[i], "exp");
    }
    refuse_with("exp", "0", "expired");
    refuse_with("exp", number(TEST_NOW_S - SKEW), "expired");
    taken_with("exp", number(TEST_NOW_S - SKEW + 1));
    taken_with("exp", number(TEST_NOW_S + 3600));
    taken_with("exp", number(TEST_NOW_S + 3600 + SKEW));
    refuse_with("exp", number(TEST_NOW_S + 3600 + SKEW + 1), "3600 seconds");
    refuse_with("exp", number(TEST_NOW_S + 7200), "3600 seconds");
    refuse_with("exp", "9007199254740992", "3600 seconds");
}
END_TEST

START_TEST(other_times)
{
    static const char *const names[] = {"nbf", "iat"};

    for (int i = 0; i < 2; i++) {
        refuse_with(names[i], "null", names[i]);
        refuse_with(names[i], "\"0\"", names[i]);
        refuse_with(names[i], "1769860800.5", names[i]);
        refuse_with(names[i], number(TEST_NOW_S + SKEW + 1), names[i]);
        taken_with(names[i], number(TEST_NOW_S + SKEW));
        taken_with(names[i], "0");
    }
}
END_TEST

/* Without one it could be played again. */
START_TEST(jti)
{
    const char *longest = apr_psprintf(test_pool, "\"%0256d\"", 7);

    refuse_with("jti", NULL, "jti");
    refuse_with("jti", "null", "jti");
    refuse_with("jti", "1", "jti");
    refuse_with("jti", "\"\"", "jti");
    refuse_with("jti", "[\"a\"]", "jti");
    refuse_with("jti", apr_psprintf(test_pool, "\"%0257d\"", 7), "jti");
    ck_assert_uint_eq(strlen(taken_with("jti", longest).jti), 256);
    ck_assert_str_eq(taken_with("jti", "\"a\\u0062/\\u00e9\"").jti,
                     "ab/\xc3\xa9");
}
END_TEST

START_TEST(claims_json)
{
    refuse(signed_claims(""), "claims");
    refuse(signed_claims("[]"), "claims");
    refuse(signed_claims("{\"iss\":\"a\",\"iss\":\"b\"}"), "claims");
    refuse(signed_claims(
               apr_pstrcat(test_pool, claims_with("x", NULL), "x", NULL)),
           "claims");
}
END_TEST

START_TEST(signature)
{
    const char *claims = claims_with("x", NULL);
    const char *other =
        test_token(test_pkey("P-256"), "ES256", usual_header, claims);
    const char *pem = test_pem(key, 0);

    refuse(other, "signature");
    refuse("", "");
    refuse("a.b.c", "");
    refuse(test_hs256(pem, strlen(pem), "{\"alg\":\"HS256\"}", claims),
           "algorithm");
    refuse(apr_pstrcat(test_pool, test_input("{\"alg\":\"none\"}", claims), ".",
                       NULL),
           "algorithm");
    refuse(test_token(key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"other\"}",
                      claims),
           "key");
    refuse(test_token(key, "ES256", "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}",
                      claims),
           "header");
    taken(test_token(key, "ES256", "{\"alg\":\"ES256\"}", claims));
}
END_TEST

/* RFC 8725 3.11: an access token, which also has iss, sub, aud and exp, is no
 * assertion, and an assertion is no access token. */
START_TEST(typ)
{
    static const struct {
        const char *typ;
        int taken;
    } rows[] = {
        {"JWT", 1},
        {"jwt", 1},
        {"client-authentication+jwt", 1},
        {"application/client-authentication+jwt", 1},
        {RENSEI_TYP_RUNTIME, 0},
        {RENSEI_TYP_ACCESS, 0},
        {"client-authentication", 0},
        {"dpop+jwt", 0},
        {"", 0},
    };
    const char *claims = claims_with("x", NULL);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *header = apr_psprintf(
            test_pool, "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"%s\"}",
            rows[i].typ);
        const char *text = test_token(key, "ES256", header, claims);

        if (rows[i].taken) {
            taken(text);
        }
        else {
            refuse(text, "type");
        }
    }
}
END_TEST

/* Every algorithm, and only the one that the key is for. */
START_TEST(algs)
{
    static const char *const rows[][2] = {{"RSA", "RS256"},
                                          {"RSA", "PS256"},
                                          {"P-384", "ES384"},
                                          {"ED25519", "EdDSA"}};
    const char *claims = claims_with("x", NULL);

    for (int i = 0; i < 4; i++) {
        json_t *jwk;

        key = test_pkey(rows[i][0]);
        jwk = test_jwk(key);
        json_object_set_new(jwk, "alg", json_string(rows[i][1]));
        jwks = rensei_json_own(json_pack("{s:[O]}", "keys", jwk), test_pool);
        taken(test_token(
            key, rows[i][1],
            apr_psprintf(test_pool, "{\"alg\":\"%s\"}", rows[i][1]), claims));
        if (i < 2) {
            refuse(test_token(
                       key, rows[!i][1],
                       apr_psprintf(test_pool, "{\"alg\":\"%s\"}", rows[!i][1]),
                       claims),
                   "algorithm");
        }
    }
}
END_TEST

/* A client that has two keys, in a rotation, or a set that is none. */
START_TEST(sets)
{
    const char *text = signed_claims(claims_with("x", NULL));
    json_t *own = test_jwk(key), *second = test_jwk(test_pkey("P-256"));

    json_object_set_new(second, "kid", json_string("other"));
    jwks = rensei_json_own(json_pack("{s:[O, O]}", "keys", second, own),
                           test_pool);
    taken(text);
    taken(test_token(key, "ES256", "{\"alg\":\"ES256\"}",
                     claims_with("x", NULL)));
    jwks = rensei_json_own(json_pack("{s:[O]}", "keys", second), test_pool);
    refuse(text, "key");
    jwks = rensei_json_own(json_pack("{s:[]}", "keys"), test_pool);
    refuse(text, "JWK Set");
    jwks = rensei_json_own(json_object(), test_pool);
    refuse(text, "JWK Set");
    jwks = NULL;
    refuse(text, "JWK Set");
    json_object_set_new(own, "d", json_string("AA"));
    jwks = rensei_json_own(json_pack("{s:[O]}", "keys", own), test_pool);
    refuse(text, "private");
}
END_TEST

Suite *suite_assertion(void)
{
    TCase *tc;
    Suite *s = test_suite("assertion", &tc);

    tcase_add_checked_fixture(tc, setup_key, NULL);
    tcase_add_test(tc, good);
    tcase_add_test(tc, client);
    tcase_add_test(tc, audience);
    tcase_add_test(tc, expiry);
    tcase_add_test(tc, other_times);
    tcase_add_test(tc, jti);
    tcase_add_test(tc, claims_json);
    tcase_add_test(tc, signature);
    tcase_add_test(tc, typ);
    tcase_add_test(tc, algs);
    tcase_add_test(tc, sets);
    return s;
}
