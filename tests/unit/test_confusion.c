/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Key confusion: tokens whose signature is good, by a key that is known, but
 * not as the ring says that this key is used (RFC 8725 2.1, 3.1). In each
 * test the attack is refused, and what it is made of is good where it
 * belongs.
 */
#include "unit_key.h"
#include "rensei_b64.h"

#include <apr_strings.h>
#include <openssl/x509.h>

#define PAYLOAD "{\"x\":1}"

static apr_status_t verify(const rensei_ring_t *ring, const char *token,
                           rensei_jws_t *jws, rensei_err_t *err)
{
    return rensei_jws_verify(jws, token, strlen(token), ring, test_pool, err);
}

static const char *refuse(const rensei_ring_t *ring, const char *token)
{
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_err(verify(ring, token, &jws, &err), err, RENSEI_E_INVALID_TOKEN);
    return err.text;
}

static const rensei_ring_key_t *take(const rensei_ring_t *ring,
                                     const char *token)
{
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_ok(verify(ring, token, &jws, &err), err);
    ck_assert(rensei_str_eq(jws.payload, RENSEI_STR(PAYLOAD)));
    return jws.key;
}

static const char *header(const char *alg, const char *kid)
{
    return kid ? apr_psprintf(test_pool,
                              "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
                              alg, kid)
               : apr_psprintf(test_pool, "{\"alg\":\"%s\",\"typ\":\"JWT\"}",
                              alg);
}

static const char *token(EVP_PKEY *key, const char *alg, const char *says,
                         const char *kid)
{
    return test_token(key, alg, header(says, kid), PAYLOAD);
}

static void refuse_hs256(const rensei_ring_t *ring, const void *secret,
                         apr_size_t n)
{
    static const char *const algs[] = {"HS256", "RS256", "ES256", "EdDSA"};

    for (int i = 0; i < 4; i++) {
        refuse(ring, test_hs256(secret, n, header(algs[i], "k"), PAYLOAD));
        refuse(ring, test_hs256(secret, n, header(algs[i], NULL), PAYLOAD));
    }
}

/* CVE-2015-9235: the public key is known to everybody. A verifier that lets
 * the token say HS256 takes its text for a secret. */
START_TEST(public_key_as_secret)
{
    static const char *const kinds[] = {"RSA", "P-256", "P-384", "ED25519"};

    for (int i = 0; i < 4; i++) {
        EVP_PKEY *key = test_pkey(kinds[i]);
        rensei_ring_t *ring = test_ring_of(key, 0, NULL, "k");
        const char *pem = test_pem(key, 0);
        const char *jwk = rensei_json_dump(test_jwk(key), test_pool);
        unsigned char *der = NULL;
        int n = i2d_PUBKEY(key, &der);
        const char *alg =
            rensei_alg_name(rensei_ring_key_alg(rensei_ring_at(ring, 0)));

        refuse_hs256(ring, pem, strlen(pem));
        refuse_hs256(ring, pem, strlen(pem) - 1);
        refuse_hs256(ring, der, (apr_size_t)n);
        refuse_hs256(ring, jwk, strlen(jwk));
        refuse_hs256(ring, "k", 1);
        refuse_hs256(ring, "", 0);
        OPENSSL_free(der);
        take(ring, token(key, alg, alg, "k"));
        take(ring, token(key, alg, alg, NULL));
    }
}
END_TEST

/* Both paddings work with one RSA key; a fault of the one must not count for
 * tokens of the other. */
START_TEST(rsa_padding)
{
    EVP_PKEY *key = test_pkey("RSA");
    rensei_ring_t *rs = test_ring_of(key, 0, "RS256", "k");
    rensei_ring_t *ps = test_ring_of(key, 0, "PS256", "k");

    for (int i = 0; i < 2; i++) {
        const char *kid = i ? "k" : NULL;

        refuse(ps, token(key, "RS256", "RS256", kid));
        refuse(ps, token(key, "RS256", "PS256", kid));
        refuse(rs, token(key, "PS256", "PS256", kid));
        refuse(rs, token(key, "PS256", "RS256", kid));
        refuse(rs, token(key, "RS512", "RS512", kid));
        refuse(rs, token(key, "RS384", "RS256", kid));
        refuse(ps, token(key, "RS256", "none", kid));
        take(rs, token(key, "RS256", "RS256", kid));
        take(ps, token(key, "PS256", "PS256", kid));
    }
}
END_TEST

/* ES256 names a curve and a hash. P-384 with SHA-256 is no algorithm, nor is
 * P-256 with SHA-384. */
START_TEST(wrong_curve)
{
    EVP_PKEY *p256 = test_pkey("P-256"), *p384 = test_pkey("P-384");
    EVP_PKEY *p521 = test_pkey("P-521"), *k1 = test_pkey("secp256k1");
    rensei_ring_t *r256 = test_ring_of(p256, 0, NULL, "k");
    rensei_ring_t *r384 = test_ring_of(p384, 0, NULL, "k");

    for (int i = 0; i < 2; i++) {
        const char *kid = i ? "k" : NULL;

        refuse(r384, token(p384, "ES256", "ES256", kid));
        refuse(r384, token(p384, "ES256", "ES384", kid));
        refuse(r384, token(p256, "ES256", "ES256", kid));
        refuse(r384, token(p256, "ES256", "ES384", kid));
        refuse(r256, token(p256, "ES384", "ES384", kid));
        refuse(r256, token(p256, "ES384", "ES256", kid));
        refuse(r256, token(p384, "ES384", "ES256", kid));
        refuse(r256, token(p521, "ES512", "ES256", kid));
        refuse(r256, token(k1, "ES256", "ES256", kid));
        refuse(r256, token(k1, "ES256", "ES256K", kid));
        take(r256, token(p256, "ES256", "ES256", kid));
        take(r384, token(p384, "ES384", "ES384", kid));
    }
}
END_TEST

/* Every key of the ring, and every header that says another algorithm. */
START_TEST(alg_of_another)
{
    static const char *const kinds[] = {"RSA", "P-256", "P-384", "ED25519"};
    static const char *const algs[] = {"RS256", "ES256", "ES384", "EdDSA"};
    static const char *const others[] = {
        "none",  "None",  "NONE",  "",      "HS256", "RS256", "PS256",
        "ES256", "ES384", "EdDSA", "RS512", "ES512", "HS512", "ES256K"};
    rensei_ring_t *ring = test_ring();
    EVP_PKEY *key[4];
    rensei_err_t err;

    for (int k = 0; k < 4; k++) {
        const char *pem = test_pem(key[k] = test_pkey(kinds[k]), 0);
        ck_assert_ok(
            rensei_ring_add_pem(ring, pem, strlen(pem), NULL, algs[k], &err),
            err);
    }
    for (int k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
            for (int kid = 0; kid < 5; kid++) {
                const char *text = token(key[k], algs[k], others[i],
                                         kid < 4 ? algs[kid] : NULL);
                if (strcmp(others[i], algs[k]) == 0 && (kid == k || kid == 4)) {
                    ck_assert_ptr_eq(take(ring, text), rensei_ring_at(ring, k));
                }
                else {
                    refuse(ring, text);
                }
            }
        }
    }
}
END_TEST

/* RFC 9864 2.2: `Ed25519` is `EdDSA` with that curve, and newer clients write
 * it. Two names, and still one algorithm. */
START_TEST(ed25519_by_name)
{
    EVP_PKEY *key = test_pkey("ED25519"), *ec = test_pkey("P-256");
    rensei_ring_t *ring = test_ring_of(key, 0, NULL, "k");
    rensei_ring_t *other = test_ring_of(ec, 0, NULL, "k");
    json_t *jwk = test_jwk(key);
    rensei_err_t err;

    take(ring, token(key, "EdDSA", "Ed25519", "k"));
    take(ring, token(key, "EdDSA", "Ed25519", NULL));
    refuse(ring, token(key, "EdDSA", "ed25519", "k"));
    refuse(ring, token(key, "EdDSA", "Ed448", "k"));
    refuse(ring, token(key, "EdDSA", "ES256", "k"));
    refuse(other, token(ec, "ES256", "Ed25519", "k"));
    refuse(other, token(key, "EdDSA", "Ed25519", "k"));
    json_object_set_new(jwk, "alg", json_string("Ed25519"));
    ring = test_ring();
    ck_assert_ok(rensei_ring_add_jwk(ring, jwk, &err), err);
    take(ring, token(key, "EdDSA", "EdDSA", "k"));
    take(ring, token(key, "EdDSA", "Ed25519", "k"));
}
END_TEST

/* One ring with a secret and a public key: RenseiSecret beside
 * RenseiSigningKey, in a rotation. */
START_TEST(secret_beside_key)
{
    static const char secret[] = "a secret of thirty-two bytes, or more";
    const apr_size_t n = sizeof(secret) - 1;
    EVP_PKEY *key = test_pkey("P-256");
    rensei_ring_t *ring = test_ring_of(key, 1, NULL, "ec");
    const char *pem = test_pem(key, 0);
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_secret(ring, secret, n, "hs", &err), err);
    /* the secret under the key's name, the public key as a secret, ... */
    refuse(ring, test_hs256(secret, n, header("HS256", "ec"), PAYLOAD));
    refuse(ring, test_hs256(secret, n, header("ES256", "ec"), PAYLOAD));
    refuse(ring, test_hs256(secret, n, header("ES256", "hs"), PAYLOAD));
    refuse(ring, test_hs256(pem, strlen(pem), header("HS256", "hs"), PAYLOAD));
    refuse(ring, test_hs256(pem, strlen(pem), header("HS256", "ec"), PAYLOAD));
    refuse(ring, test_hs256(pem, strlen(pem), header("HS256", NULL), PAYLOAD));
    refuse(ring, token(key, "ES256", "ES256", "hs"));
    refuse(ring, token(key, "ES256", "HS256", "hs"));
    refuse(ring, token(key, "ES256", "HS256", NULL));
    /* ... and each in its place */
    take(ring, test_hs256(secret, n, header("HS256", "hs"), PAYLOAD));
    take(ring, test_hs256(secret, n, header("HS256", NULL), PAYLOAD));
    take(ring, token(key, "ES256", "ES256", "ec"));
    take(ring, token(key, "ES256", "ES256", NULL));
}
END_TEST

/* The header that the ring itself writes is recognised by its bytes, and
 * then not read: with the signature of another key, or none, it is nothing. */
START_TEST(known_header)
{
    EVP_PKEY *a = test_pkey("P-256"), *b = test_pkey("P-256");
    rensei_ring_t *ring = test_ring_of(a, 1, NULL, "a");
    const char *pem = test_pem(b, 1), *input, *made;
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_pem(ring, pem, strlen(pem), NULL, "b", &err),
                 err);
    ck_assert_ok(rensei_jws_sign(&made, ring, "JWT", PAYLOAD, test_pool, &err),
                 err);
    input = test_input(header("ES256", "a"), PAYLOAD);
    ck_assert_int_eq(strncmp(made, input, strlen(input)), 0);
    take(ring, made);
    refuse(ring, apr_pstrcat(test_pool, input, ".", NULL));
    refuse(ring, token(b, "ES256", "ES256", "a"));
    refuse(ring, token(a, "ES256", "ES256", "b"));
    ck_assert_str_eq(
        rensei_ring_key_kid(take(ring, token(b, "ES256", "ES256", "b"))), "b");
}
END_TEST

/* CVE-2018-0114: a key that comes with the token is the sender's own. */
START_TEST(embedded_key)
{
    EVP_PKEY *key = test_pkey("P-256"), *own = test_pkey("P-256");
    rensei_ring_t *ring = test_ring_of(key, 0, NULL, "k");
    const char *jwk = rensei_json_dump(test_jwk(own), test_pool);

    refuse(ring, test_token(own, "ES256",
                            apr_psprintf(test_pool,
                                         "{\"alg\":\"ES256\",\"jwk\":%s}", jwk),
                            PAYLOAD));
    refuse(ring, test_token(own, "ES256",
                            apr_psprintf(test_pool,
                                         "{\"alg\":\"ES256\",\"kid\":%s}", jwk),
                            PAYLOAD));
    refuse(ring, token(own, "ES256", "ES256", "k"));
    refuse(ring, token(own, "ES256", "ES256", NULL));
    take(ring, token(key, "ES256", "ES256", NULL));
}
END_TEST

/* The sentence is the same for a wrong key and a bad signature. */
START_TEST(one_sentence)
{
    EVP_PKEY *key = test_pkey("P-256");
    rensei_ring_t *ring = test_ring_of(key, 0, NULL, "k");
    const char *bad = test_token(key, "ES256", header("ES256", "k"), "{}");
    const char *good = token(key, "ES256", "ES256", "k");
    const char *other =
        refuse(ring, token(test_pkey("P-256"), "ES256", "ES256", "k"));

    /* the signature of another payload */
    bad = apr_pstrcat(test_pool, test_input(header("ES256", "k"), PAYLOAD),
                      strrchr(bad, '.'), NULL);
    ck_assert_str_eq(refuse(ring, bad), other);
    ck_assert_str_eq(refuse(ring, apr_pstrcat(test_pool, good, "AAAA", NULL)),
                     other);
    take(ring, good);
}
END_TEST

Suite *suite_confusion(void)
{
    TCase *tc;
    Suite *s = test_suite("confusion", &tc);

    tcase_add_test(tc, public_key_as_secret);
    tcase_add_test(tc, rsa_padding);
    tcase_add_test(tc, wrong_curve);
    tcase_add_test(tc, alg_of_another);
    tcase_add_test(tc, ed25519_by_name);
    tcase_add_test(tc, secret_beside_key);
    tcase_add_test(tc, known_header);
    tcase_add_test(tc, embedded_key);
    tcase_add_test(tc, one_sentence);
    return s;
}
