/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Published vectors: what the RFCs print, and C2SP's Wycheproof.
 */
#include "unit_key.h"
#include "rensei_b64.h"

#include <apr_strings.h>

static json_t *parse(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);

    ck_assert_msg(v != NULL, "%s", text);
    return rensei_json_own(v, test_pool);
}

static json_t *vector_file(const char *name)
{
    const char *path = test_vector(name);
    json_error_t error;
    json_t *v;

    if (!path) {
        return NULL;
    }
    v = json_load_file(path, 0, &error);
    ck_assert_msg(v != NULL, "%s: %s", path, error.text);
    return rensei_json_own(v, test_pool);
}

static const char *text_at(const json_t *v, const char *name)
{
    return json_string_value(json_object_get(v, name));
}

/* A key's public half. */
static json_t *public_of(const json_t *jwk)
{
    static const char *const private[] = {"d", "p", "q", "dp", "dq", "qi"};
    json_t *out = rensei_json_own(json_deep_copy(jwk), test_pool);

    for (size_t i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
        json_object_del(out, private[i]);
    }
    return out;
}

static rensei_ring_t *ring_of(const json_t *jwk)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_jwk_any(ring, jwk, &err), err);
    return ring;
}

static apr_status_t verify(rensei_jws_t *jws, const rensei_ring_t *ring,
                           const char *token, rensei_err_t *err)
{
    return rensei_jws_verify(jws, token, strlen(token), ring, test_pool, err);
}

static void ck_taken(const rensei_ring_t *ring, const char *token,
                     const char *payload)
{
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_ok(verify(&jws, ring, token, &err), err);
    ck_assert(rensei_str_eq(jws.payload, rensei_str(payload)));
}

static void ck_refused(const rensei_ring_t *ring, const char *token)
{
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_err(verify(&jws, ring, token, &err), err, RENSEI_E_INVALID_TOKEN);
}

/* The public half takes the token, and the private one makes its signature,
 * byte for byte. */
static void ck_both_ways(const json_t *jwk, const char *token,
                         const char *payload)
{
    const rensei_ring_t *ring = ring_of(jwk);
    apr_size_t n = 0, input = (apr_size_t)(strrchr(token, '.') - token);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    rensei_err_t err;

    ck_taken(ring_of(public_of(jwk)), token, payload);
    ck_assert_ok(rensei_ring_key_sign(rensei_ring_signer(ring), sig, &n, token,
                                      input, &err),
                 err);
    ck_assert_str_eq(test_b64(sig, n), token + input + 1);
}

/* RFC 7515 A.1 to A.3 sign the same. */
#define CLAIMS                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l" \
    "eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
static const char claims[] = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
                             "\"http://example.com/is_root\":true}";

/* RFC 7515 A.1, also RFC 7519 3.1, and RFC 7519 6.1 (unsecured). */
START_TEST(rfc7515_a1)
{
    const json_t *jwk =
        parse("{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-Est"
              "JQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}");
    const char *token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS
                        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    ck_both_ways(jwk, token, claims);
    ck_refused(ring_of(jwk), "eyJhbGciOiJub25lIn0." CLAIMS ".");
}
END_TEST

START_TEST(rfc7515_a2)
{
    const json_t *jwk = parse(
        "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTb"
        "ji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC"
        "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z"
        "5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5"
        "ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk"
        "2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\",\"d\":\"Eq5xpGnNCivDflJsRQBX"
        "Hx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2"
        "NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0Qb"
        "VdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4"
        "ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneuf"
        "uBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ\",\"p\":\"4BzEEOtIpmVd"
        "VEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa"
        "9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgI"
        "PgtldC-KDV5z-y2XDwGUc\",\"q\":\"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmt"
        "H4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmp"
        "e_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc\","
        "\"dp\":\"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLd"
        "hrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_Y"
        "Vr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0\",\"dq\":\"h_96-mK1R_7glhs"
        "um81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3"
        "Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBS"
        "p3nssTdlqvd0tIiTHU\",\"qi\":\"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-Dl"
        "cxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnb"
        "JtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U\"}");

    ck_both_ways(
        jwk,
        "eyJhbGciOiJSUzI1NiJ9." CLAIMS
        ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuH"
        "Im4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiu"
        "B--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN93"
        "83LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9Q"
        "OYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        claims);
}
END_TEST

START_TEST(rfc7515_a3)
{
    const json_t *jwk =
        parse("{\"kty\":\"EC\",\"crv\":\"P-256\","
              "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
              "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
              "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}");
    const char *token = "eyJhbGciOiJFUzI1NiJ9." CLAIMS
                        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDx"
                        "w5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    rensei_err_t err;

    ck_taken(ring_of(public_of(jwk)), token, claims);
    /* no two signatures are alike */
    ck_assert_ok(
        rensei_jws_sign(&token, ring_of(jwk), "JWT", claims, test_pool, &err),
        err);
    ck_taken(ring_of(public_of(jwk)), token, claims);
}
END_TEST

/* RFC 8037 A.4. */
START_TEST(rfc8037_a4)
{
    const json_t *jwk =
        parse("{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
              "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
              "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");

    ck_both_ways(jwk,
                 "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
                 "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylG"
                 "jg5BhVsPt9g7sVvpAr_MuM0KAg",
                 "Example of Ed25519 signing");
}
END_TEST

/* An example of RFC 7520, or NULL. */
static json_t *cookbook(const char *name, const json_t **key,
                        const char **token, const char **payload)
{
    json_t *v = vector_file(name);
    const json_t *input = json_object_get(v, "input");

    if (v) {
        *key = json_object_get(input, "key");
        *payload = text_at(input, "payload");
        *token = text_at(json_object_get(v, "output"), "compact");
    }
    return v;
}

START_TEST(rfc7520_4_1)
{
    const char *token, *payload;
    const json_t *key;

    if (cookbook("cookbook/jws/4_1.rsa_v15_signature.json", &key, &token,
                 &payload)) {
        ck_both_ways(key, token, payload);
    }
}
END_TEST

/* 4.2 is PS384, 4.3 is ES512: algorithms that are none of ours, under keys of
 * which the first could be one. */
START_TEST(rfc7520_4_2_and_3)
{
    const char *token, *payload;
    json_t *key;
    rensei_err_t err;

    if (!cookbook("cookbook/jws/4_2.rsa-pss_signature.json",
                  (const json_t **)&key, &token, &payload)) {
        return;
    }
    ck_refused(ring_of(key), token);
    json_object_set_new(key, "alg", json_string("PS256"));
    ck_refused(ring_of(key), token);
    ck_assert(cookbook("cookbook/jws/4_3.ecdsa_signature.json",
                       (const json_t **)&key, &token, &payload));
    ck_assert_err(rensei_ring_add_jwk_any(test_ring(), key, &err), err,
                  RENSEI_E_INVALID_REQUEST);
}
END_TEST

START_TEST(rfc7520_4_4)
{
    const char *token, *payload;
    const json_t *key;

    if (cookbook("cookbook/jws/4_4.hmac-sha2_integrity_protection.json", &key,
                 &token, &payload)) {
        ck_both_ways(key, token, payload);
    }
}
END_TEST

/* Without its payload, as JSON, with half of its header unsigned, under two
 * signatures of which one is good: a token has one form, the compact one. */
START_TEST(rfc7520_4_5_to_8)
{
    static const char *const names[] = {
        "cookbook/jws/4_5.signature_with_detached_content.json",
        "cookbook/jws/4_6.protecting_specific_header_fields.json",
        "cookbook/jws/4_7.protecting_content_only.json",
        "cookbook/jws/4_8.multiple_signatures.json"};
    const char *token, *payload, *form;
    const json_t *key, *ignored;
    size_t i;
    int refused = 0;

    if (!cookbook("cookbook/jws/4_4.hmac-sha2_integrity_protection.json", &key,
                  &token, &payload)) {
        return;
    }
    for (i = 0; i < 4; i++) {
        json_t *v = cookbook(names[i], &ignored, &token, &payload);
        json_t *value;

        json_object_foreach(json_object_get(v, "output"), form, value)
        {
            char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            ck_refused(ring_of(key),
                       json_is_string(value) ? json_string_value(value) : text);
            free(text);
            refused++;
        }
    }
    ck_assert_int_eq(refused, 8);
    /* the control: the same key and payload in the compact form */
    ck_assert(cookbook("cookbook/jws/4_4.hmac-sha2_integrity_protection.json",
                       &key, &token, &payload));
    ck_taken(ring_of(key), token, payload);
}
END_TEST

/* Where json_web_signature_test.json says one thing and we do another. */
static const struct {
    int id;
    int accepted;
    const char *why;
} exceptions[] = {
    {346, 0, "marked valid: a key of alg PS256, a token of alg PS384"},
    {350, 0, "as 346"},
    {367, 1, "marked invalid, but byte for byte the valid 357"},
    {370, 1, "marked invalid, but byte for byte the valid 357"},
    {372, 0, "marked valid, with a '?' in the header's base64url"},
    {373, 0, "marked valid, with a '?' in the payload's base64url"},
};

/* What became of a file's tests. */
typedef struct tally_t {
    int refused, accepted, excepted, not_ours;
    int foreign_read; /* of those that are not ours: a key was there */
} tally_t;

static int id_of(const json_t *test)
{
    return (int)json_integer_value(json_object_get(test, "tcId"));
}

static int marked_valid(const json_t *test)
{
    return strcmp(text_at(test, "result"), "valid") == 0;
}

static int expected(const json_t *test, tally_t *tally)
{
    for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
        if (exceptions[i].id == id_of(test)) {
            ck_assert_int_ne(exceptions[i].accepted, marked_valid(test));
            tally->excepted++;
            return exceptions[i].accepted;
        }
    }
    return marked_valid(test);
}

static const char *token_of(const json_t *test)
{
    const json_t *jws = json_object_get(test, "jws");

    return json_is_string(jws) ? json_string_value(jws)
                               : rensei_json_dump(jws, test_pool);
}

/* @param ring NULL: the key itself was refused */
static void run(const json_t *test, const rensei_ring_t *ring, int accepted,
                tally_t *tally)
{
    const char *token = token_of(test);
    rensei_err_t err = {RENSEI_E_NONE, NULL, NULL, NULL};
    rensei_jws_t jws;
    int taken = ring && verify(&jws, ring, token, &err) == APR_SUCCESS;

    ck_assert_msg(taken == accepted, "test %d (%s): %s", id_of(test),
                  text_at(test, "comment"),
                  taken ? "accepted" : (err.text ? err.text : "no key"));
    /* bad, not unavailable */
    ck_assert(taken || !ring || err.code == RENSEI_E_INVALID_TOKEN);
    tally->accepted += taken;
    tally->refused += !taken;
}

/* A set of secrets is what only a test takes; every other one goes the way
 * that a client's set goes. */
static rensei_ring_t *ring_of_set(const json_t *keys)
{
    rensei_ring_t *ring = test_ring();
    const json_t *jwk;
    rensei_err_t err;
    int secrets = 0;
    size_t i;

    json_array_foreach(keys, i, jwk)
    {
        secrets += strcmp(text_at(jwk, "kty"), "oct") == 0;
    }
    json_array_foreach(keys, i, jwk)
    {
        apr_status_t rv = secrets == (int)json_array_size(keys)
                              ? rensei_ring_add_jwk_any(ring, jwk, &err)
                              : rensei_ring_add_jwk(ring, jwk, &err);
        if (rv != APR_SUCCESS) {
            return NULL;
        }
    }
    return ring;
}

static const json_t *public_or_private(const json_t *group)
{
    const json_t *keys = json_object_get(group, "public");

    return keys ? keys : json_object_get(group, "private");
}

static int is_ours(const char *alg)
{
    rensei_alg_e unused;

    return !alg || rensei_alg_parse(&unused, alg);
}

static const rensei_ring_t *ring_of_key(const json_t *key)
{
    return ring_of_set(rensei_json_own(json_pack("[O]", key), test_pool));
}

/* Signed by RS256, which an RSA key is for that does not say. */
#define ALG_RS256 332

/* A key that does not say what it is for is one of ours, where there is one of
 * its type; the token still is of another algorithm. */
static void foreign_group(const json_t *tests, const json_t *key,
                          tally_t *tally)
{
    json_t *silent = rensei_json_own(json_deep_copy(key), test_pool);
    const rensei_ring_t *ring;
    const json_t *test;
    tally_t refused = {0, 0, 0, 0, 0};
    size_t i;

    ck_assert_ptr_null(ring_of_key(key));
    json_object_del(silent, "alg");
    ring = ring_of_key(silent);
    json_array_foreach(tests, i, test)
    {
        run(test, ring, id_of(test) == ALG_RS256, &refused);
        tally->not_ours++;
        tally->foreign_read += ring != NULL;
    }
}

static void signature_group(const json_t *group, tally_t *tally)
{
    const json_t *key = public_or_private(group), *test;
    const json_t *tests = json_object_get(group, "tests");
    const rensei_ring_t *ring;
    size_t i;

    if (!is_ours(text_at(key, "alg"))) {
        foreign_group(tests, key, tally);
        return;
    }
    ring = ring_of_key(key);
    json_array_foreach(tests, i, test)
    {
        run(test, ring, expected(test, tally), tally);
    }
}

/* All of it that is of our algorithms; the others are RS384, RS512, PS384,
 * PS512 and ES512 (written ES521). */
START_TEST(wycheproof_signatures)
{
    json_t *v = vector_file("wycheproof/json_web_signature_test.json");
    const json_t *group;
    tally_t tally = {0, 0, 0, 0, 0};
    size_t i;

    if (!v) {
        return;
    }
    json_array_foreach(json_object_get(v, "testGroups"), i, group)
    {
        signature_group(group, &tally);
    }
    ck_assert_int_eq(tally.refused + tally.accepted + tally.not_ours, 401);
    ck_assert_int_eq(tally.not_ours, 35);
    ck_assert_int_eq(tally.foreign_read, 33); /* without P-521 */
    ck_assert_int_eq(tally.refused, 340);
    ck_assert_int_eq(tally.accepted, 26);
    ck_assert_int_eq(tally.excepted, 6);
}
END_TEST

/* Here the keys are what is tested, without exception; of an algorithm that
 * is not ours no key is good. */
static void key_group(const json_t *group, tally_t *tally)
{
    const json_t *keys = json_object_get(public_or_private(group), "keys");
    const rensei_ring_t *ring = ring_of_set(keys);
    const json_t *test;
    size_t i;

    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        int ours = is_ours(text_at(json_array_get(keys, 0), "alg"));

        if (!ours && marked_valid(test)) {
            ck_assert_ptr_null(ring);
            tally->not_ours++;
        }
        else {
            run(test, ring, marked_valid(test), tally);
        }
    }
}

START_TEST(wycheproof_keys)
{
    json_t *v = vector_file("wycheproof/json_web_key_test.json");
    const json_t *group;
    tally_t tally = {0, 0, 0, 0, 0};
    size_t i;

    if (!v) {
        return;
    }
    json_array_foreach(json_object_get(v, "testGroups"), i, group)
    {
        key_group(group, &tally);
    }
    ck_assert_int_eq(tally.refused + tally.accepted + tally.not_ours, 26);
    ck_assert_int_eq(tally.not_ours, 2);
    ck_assert_int_eq(tally.refused, 21);
    ck_assert_int_eq(tally.accepted, 3);
}
END_TEST

Suite *suite_vectors(void)
{
    TCase *tc;
    Suite *s = test_suite("vectors", &tc);

    tcase_add_test(tc, rfc7515_a1);
    tcase_add_test(tc, rfc7515_a2);
    tcase_add_test(tc, rfc7515_a3);
    tcase_add_test(tc, rfc8037_a4);
    tcase_add_test(tc, rfc7520_4_1);
    tcase_add_test(tc, rfc7520_4_2_and_3);
    tcase_add_test(tc, rfc7520_4_4);
    tcase_add_test(tc, rfc7520_4_5_to_8);
    tcase_add_test(tc, wycheproof_signatures);
    tcase_add_test(tc, wycheproof_keys);
    return s;
}
