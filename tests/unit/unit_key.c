/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit_key.h"
#include "rensei_b64.h"

#include <apr_strings.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static apr_status_t key_free(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static EVP_PKEY *generate(const char *kind)
{
    if (strncmp(kind, "RSA", 3) == 0) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
                                 (size_t)(kind[3] ? atoi(kind + 4) : 2048));
    }
    if (strchr(kind, '-') || strncmp(kind, "sec", 3) == 0) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    }
    return EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

/* An RSA key takes half a second to find, and a forked test would look for
 * its own. */
static struct {
    const char *kind;
    EVP_PKEY *key;
    apr_pool_t *taken_by;
} ahead[] = {
    {"RSA", NULL, NULL}, {"RSA", NULL, NULL}, {"RSA-4096", NULL, NULL}};

#define AHEAD (sizeof(ahead) / sizeof(ahead[0]))

void test_keys_prepare(void)
{
    for (size_t i = 0; i < AHEAD; i++) {
        ahead[i].key = generate(ahead[i].kind);
    }
}

void test_keys_end(void)
{
    for (size_t i = 0; i < AHEAD; i++) {
        EVP_PKEY_free(ahead[i].key);
    }
}

/* One that this test does not have yet; NULL where there is none left. */
static EVP_PKEY *prepared(const char *kind)
{
    for (size_t i = 0; i < AHEAD; i++) {
        if (ahead[i].key && ahead[i].taken_by != test_pool &&
            strcmp(kind, ahead[i].kind) == 0 && EVP_PKEY_up_ref(ahead[i].key)) {
            ahead[i].taken_by = test_pool;
            return ahead[i].key;
        }
    }
    return NULL;
}

EVP_PKEY *test_pkey(const char *kind)
{
    EVP_PKEY *key = prepared(kind);

    key = key ? key : generate(kind);
    ck_assert_msg(key != NULL, "no key of kind %s", kind);
    apr_pool_cleanup_register(test_pool, key, key_free, apr_pool_cleanup_null);
    return key;
}

const char *test_pem(EVP_PKEY *key, int is_private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text;
    char *bytes;
    long n;

    if (is_private) {
        ck_assert(
            PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    }
    else {
        ck_assert(PEM_write_bio_PUBKEY(bio, key));
    }
    n = BIO_get_mem_data(bio, &bytes);
    text = apr_pstrmemdup(test_pool, bytes, (apr_size_t)n);
    BIO_free(bio);
    return text;
}

rensei_ring_t *test_ring(void)
{
    rensei_ring_t *ring;

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    return ring;
}

rensei_ring_t *test_ring_of(EVP_PKEY *key, int is_private, const char *alg,
                            const char *kid)
{
    rensei_ring_t *ring = test_ring();
    const char *pem = test_pem(key, is_private);
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_pem(ring, pem, strlen(pem), alg, kid, &err),
                 err);
    return ring;
}

json_t *test_jwk(EVP_PKEY *key)
{
    json_t *set = rensei_ring_jwks(test_ring_of(key, 0, NULL, "k"));
    json_t *jwk = json_array_get(json_object_get(set, "keys"), 0);

    ck_assert_ptr_nonnull(jwk);
    json_incref(jwk);
    json_decref(set);
    return rensei_json_own(jwk, test_pool);
}

const char *test_b64(const void *bytes, apr_size_t n)
{
    char *out = apr_palloc(test_pool, RENSEI_B64URL_LEN(n) + 1);

    rensei_b64url_encode(out, bytes, n);
    return out;
}

const char *test_input(const char *header, const char *payload)
{
    return apr_pstrcat(test_pool, test_b64(header, strlen(header)), ".",
                       test_b64(payload, strlen(payload)), NULL);
}

static apr_size_t digest_sign(unsigned char sig[RENSEI_SIG_LEN_MAX],
                              EVP_PKEY *key, const char *md, int salt,
                              const char *input)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = RENSEI_SIG_LEN_MAX;
    EVP_PKEY_CTX *of_key;

    ck_assert_int_eq(
        EVP_DigestSignInit_ex(ctx, &of_key, md, NULL, NULL, key, NULL), 1);
    if (salt >= 0) {
        ck_assert_int_eq(
            EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING), 1);
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, salt), 1);
    }
    ck_assert_int_eq(EVP_DigestSign(ctx, sig, &n, (const unsigned char *)input,
                                    strlen(input)),
                     1);
    EVP_MD_CTX_free(ctx);
    return n;
}

apr_size_t test_sign_pss(unsigned char sig[RENSEI_SIG_LEN_MAX], EVP_PKEY *key,
                         const char *md, int salt, const char *input)
{
    return digest_sign(sig, key, md, salt, input);
}

/* RFC 7518 3.4, out of OpenSSL's DER. */
static apr_size_t plain_ecdsa(unsigned char *sig, apr_size_t n, EVP_PKEY *key)
{
    const int half = (EVP_PKEY_get_bits(key) + 7) / 8;
    const unsigned char *at = sig;
    ECDSA_SIG *rs = d2i_ECDSA_SIG(NULL, &at, (long)n);

    ck_assert_ptr_nonnull(rs);
    BN_bn2binpad(ECDSA_SIG_get0_r(rs), sig, half);
    BN_bn2binpad(ECDSA_SIG_get0_s(rs), sig + half, half);
    ECDSA_SIG_free(rs);
    return (apr_size_t)half * 2;
}

apr_size_t test_sign(unsigned char sig[RENSEI_SIG_LEN_MAX], EVP_PKEY *key,
                     const char *alg, const char *input)
{
    const char *md = apr_pstrcat(test_pool, "SHA", alg + 2, NULL);
    apr_size_t n;

    if (strcmp(alg, "EdDSA") == 0) {
        return digest_sign(sig, key, NULL, -1, input);
    }
    n = digest_sign(sig, key, md, *alg == 'P' ? 32 : -1, input);
    return *alg == 'E' ? plain_ecdsa(sig, n, key) : n;
}

const char *test_token(EVP_PKEY *key, const char *alg, const char *header,
                       const char *payload)
{
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    const char *input = test_input(header, payload);
    apr_size_t n = test_sign(sig, key, alg, input);

    return apr_pstrcat(test_pool, input, ".", test_b64(sig, n), NULL);
}

const char *test_hs256(const void *secret, apr_size_t n, const char *header,
                       const char *payload)
{
    const char *input = test_input(header, payload);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), secret, (int)n,
                               (const unsigned char *)input, strlen(input), mac,
                               &len));
    return apr_pstrcat(test_pool, input, ".", test_b64(mac, len), NULL);
}
