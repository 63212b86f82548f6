/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Keys of the ring that have a public half: what they sign and verify, and
 * how they come out of PEM.
 */
#include "unit_key.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static const struct {
    const char *alg, *kind;
    rensei_alg_e is;
    apr_size_t siglen;
    int bits;
} algs[] = {
    {"RS256", "RSA", RENSEI_ALG_RS256, 256, 2048},
    {"PS256", "RSA", RENSEI_ALG_PS256, 256, 2048},
    {"ES256", "P-256", RENSEI_ALG_ES256, 64, 256},
    {"ES384", "P-384", RENSEI_ALG_ES384, 96, 384},
    {"EdDSA", "ED25519", RENSEI_ALG_EDDSA, 64, 256},
};

#define ALGS ((int)(sizeof(algs) / sizeof(algs[0])))

static const char msg[] = "message";
#define MSG msg, sizeof(msg) - 1

static const rensei_ring_key_t *ring_key(EVP_PKEY *key, int is_private,
                                         const char *alg)
{
    return rensei_ring_at(test_ring_of(key, is_private, alg, NULL), 0);
}

static int verify(const rensei_ring_key_t *key, const unsigned char *sig,
                  apr_size_t n)
{
    return rensei_ring_key_verify(key, sig, n, MSG);
}

START_TEST(sign_and_verify)
{
    EVP_PKEY *pkey = test_pkey(algs[_i].kind);
    const rensei_ring_key_t *key = ring_key(pkey, 1, algs[_i].alg);
    const rensei_ring_key_t *public_key = ring_key(pkey, 0, algs[_i].alg);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n = 0;
    rensei_err_t err;

    ck_assert_ok(rensei_ring_key_sign(key, sig, &n, MSG, &err), err);
    ck_assert_uint_eq(n, algs[_i].siglen);
    ck_assert_int_eq(verify(key, sig, n), 1);
    ck_assert_int_eq(verify(public_key, sig, n), 1);
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "messagf", 7), 0);
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "message", 6), 0);
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "", 0), 0);
    /* and what OpenSSL signs */
    n = test_sign(sig, pkey, algs[_i].alg, msg);
    ck_assert_uint_eq(n, algs[_i].siglen);
    ck_assert_int_eq(verify(public_key, sig, n), 1);
    /* another key of the kind */
    ck_assert_int_eq(
        verify(ring_key(test_pkey(algs[_i].kind), 0, algs[_i].alg), sig, n), 0);
}
END_TEST

START_TEST(key_says)
{
    EVP_PKEY *pkey = test_pkey(algs[_i].kind);
    const rensei_ring_key_t *key = ring_key(pkey, 1, algs[_i].alg);
    const rensei_ring_key_t *public_key = ring_key(pkey, 0, algs[_i].alg);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n;
    rensei_alg_e alg;
    rensei_err_t err;

    ck_assert_int_eq(rensei_ring_key_alg(key), algs[_i].is);
    ck_assert_str_eq(rensei_alg_name(algs[_i].is), algs[_i].alg);
    ck_assert_int_eq(rensei_alg_parse(&alg, algs[_i].alg), 1);
    ck_assert_int_eq(alg, algs[_i].is);
    ck_assert_int_eq(rensei_ring_key_bits(key), algs[_i].bits);
    ck_assert_int_eq(rensei_ring_key_signs(key), 1);
    ck_assert_int_eq(rensei_ring_key_signs(public_key), 0);
    ck_assert_err(rensei_ring_key_sign(public_key, sig, &n, MSG, &err), err,
                  RENSEI_E_INTERNAL);
    /* the thumbprint is of what both halves have */
    ck_assert_uint_eq(strlen(rensei_ring_key_kid(key)), 43);
    ck_assert_str_eq(rensei_ring_key_kid(key), rensei_ring_key_kid(public_key));
}
END_TEST

START_TEST(usual_algs)
{
    static const char *const names[] = {"",      "rs256",   "RS512",
                                        "none",  "HS512",   "ES512",
                                        "EDDSA", "ed25519", "Ed448"};
    rensei_alg_e alg;

    for (int i = 0; i < ALGS; i++) {
        if (algs[i].is != RENSEI_ALG_PS256) {
            ck_assert_int_eq(
                rensei_ring_key_alg(ring_key(test_pkey(algs[i].kind), 1, NULL)),
                algs[i].is);
        }
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_int_eq(rensei_alg_parse(&alg, names[i]), 0);
    }
    ck_assert_int_eq(rensei_alg_parse(&alg, "Ed25519"), 1);
    ck_assert_int_eq(alg, RENSEI_ALG_EDDSA);
    ck_assert_str_eq(rensei_alg_name(RENSEI_ALG_COUNT), "unknown");
}
END_TEST

/* A signature has one length. A shorter RSA one is the same number, and makes
 * another token of it; what follows an ECDSA one, nobody reads. */
START_TEST(lengths)
{
    EVP_PKEY *pkey = test_pkey(algs[_i].kind);
    const rensei_ring_key_t *key = ring_key(pkey, 0, algs[_i].alg);
    unsigned char sig[RENSEI_SIG_LEN_MAX + 1] = {0};
    apr_size_t n = test_sign(sig, pkey, algs[_i].alg, msg);

    for (apr_size_t len = 0; len < sizeof(sig); len++) {
        ck_assert_int_eq(verify(key, sig, len), len == n);
    }
    memmove(sig + 1, sig, n);
    sig[0] = 0;
    ck_assert_int_eq(verify(key, sig, n + 1), 0);
    ck_assert_int_eq(verify(key, sig, n), 0);
    ck_assert_int_eq(verify(key, sig + 1, n), 1);
}
END_TEST

/* One RSA signature in 256 begins with a zero byte. Without it, it is the
 * same number, and OpenSSL takes it for PS256. */
START_TEST(rsa_leading_zero)
{
    const rensei_ring_key_t *key = ring_key(test_pkey("RSA"), 1, "PS256");
    unsigned char sig[RENSEI_SIG_LEN_MAX] = {1};
    rensei_err_t err;
    apr_size_t n = 0;

    for (int i = 0; i < 20000 && sig[0] != 0; i++) {
        ck_assert_ok(rensei_ring_key_sign(key, sig, &n, MSG, &err), err);
    }
    ck_assert_int_eq(sig[0], 0);
    ck_assert_int_eq(verify(key, sig, n), 1);
    ck_assert_int_eq(verify(key, sig + 1, n - 1), 0);
}
END_TEST

/* Never -1 either: that is a 503, for which anybody could ask. */
START_TEST(flipped_bits)
{
    EVP_PKEY *pkey = test_pkey(algs[_i].kind);
    const rensei_ring_key_t *key = ring_key(pkey, 0, algs[_i].alg);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n = test_sign(sig, pkey, algs[_i].alg, msg);

    for (apr_size_t at = 0; at < n; at++) {
        sig[at] ^= (unsigned char)(1 << at % 8);
        ck_assert_int_eq(verify(key, sig, n), 0);
        sig[at] ^= (unsigned char)(1 << at % 8);
    }
    ck_assert_int_eq(verify(key, sig, n), 1);
    for (int byte = 0; byte < 256; byte++) {
        memset(sig, byte, n);
        ck_assert_int_eq(verify(key, sig, n), 0);
    }
}
END_TEST

static BIGNUM *order_of(EVP_PKEY *pkey)
{
    BIGNUM *order = NULL;

    ck_assert(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_ORDER, &order));
    return order;
}

/* CVE-2022-21449: 0/0 was a signature of everything. The numbers are from 1
 * to the order less 1. */
START_TEST(ecdsa_range)
{
    EVP_PKEY *pkey = test_pkey(algs[_i].kind);
    const rensei_ring_key_t *key = ring_key(pkey, 0, NULL);
    const apr_size_t half = algs[_i].siglen / 2;
    unsigned char good[RENSEI_SIG_LEN_MAX], sig[RENSEI_SIG_LEN_MAX];
    unsigned char edge[5][48];
    BIGNUM *n = order_of(pkey);

    memset(edge, 0, sizeof(edge));
    edge[1][half - 1] = 1;
    BN_bn2binpad(n, edge[2], (int)half);
    BN_add_word(n, 1);
    BN_bn2binpad(n, edge[3], (int)half);
    memset(edge[4], 0xff, sizeof(edge[4]));
    test_sign(good, pkey, algs[_i].alg, msg);
    for (int r = 0; r < 6; r++) {
        for (int s = 0; s < 6; s++) {
            memcpy(sig, r < 5 ? edge[r] : good, half);
            memcpy(sig + half, s < 5 ? edge[s] : good + half, half);
            ck_assert_int_eq(verify(key, sig, 2 * half), r == 5 && s == 5);
        }
    }
    BN_free(n);
}
END_TEST

/* OpenSSL's own form of an ECDSA signature; some libraries take both, and a
 * token has several spellings. */
START_TEST(ecdsa_der)
{
    EVP_PKEY *pkey = test_pkey("P-256");
    const rensei_ring_key_t *key = ring_key(pkey, 0, NULL);
    unsigned char der[RENSEI_SIG_LEN_MAX];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = sizeof(der);

    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey),
                     1);
    ck_assert_int_eq(
        EVP_DigestSign(ctx, der, &n, (const unsigned char *)msg, 7), 1);
    EVP_MD_CTX_free(ctx);
    for (apr_size_t len = 60; len <= n; len++) {
        ck_assert_int_eq(verify(key, der, len), 0);
    }
}
END_TEST

/* One signature in 128 has a number with a leading zero byte, which DER
 * leaves out and JWS has. */
START_TEST(ecdsa_leading_zero)
{
    const rensei_ring_key_t *key = ring_key(test_pkey("P-256"), 1, NULL);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n;
    rensei_err_t err;
    int seen = 0;

    for (int i = 0; i < 20000 && seen < 3; i++) {
        ck_assert_ok(rensei_ring_key_sign(key, sig, &n, MSG, &err), err);
        ck_assert_uint_eq(n, 64);
        if (sig[0] == 0 || sig[32] == 0) {
            ck_assert_int_eq(verify(key, sig, n), 1);
            seen++;
        }
    }
    ck_assert_int_eq(seen, 3);
}
END_TEST

/* RFC 7518 3.5: the salt is as long as the digest. OpenSSL by itself takes
 * any length when it verifies. */
START_TEST(pss_salt)
{
    EVP_PKEY *pkey = test_pkey("RSA");
    const rensei_ring_key_t *key = ring_key(pkey, 0, "PS256");
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    static const int salts[] = {0, 1, 20, 31, 33, 48, 64, 222};
    apr_size_t n;

    for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
        n = test_sign_pss(sig, pkey, "SHA256", salts[i], msg);
        ck_assert_int_eq(verify(key, sig, n), 0);
    }
    ck_assert_int_eq(
        verify(key, sig, test_sign_pss(sig, pkey, "SHA512", 32, msg)), 0);
    ck_assert_int_eq(
        verify(key, sig, test_sign_pss(sig, pkey, "SHA1", 32, msg)), 0);
    ck_assert_int_eq(
        verify(key, sig, test_sign_pss(sig, pkey, "SHA256", 32, msg)), 1);
}
END_TEST

/* One RSA key can make both kinds of signature; which one counts is the
 * ring's to say (RFC 8725 3.1). */
START_TEST(rsa_padding)
{
    EVP_PKEY *pkey = test_pkey("RSA");
    const rensei_ring_key_t *rs = ring_key(pkey, 1, "RS256");
    const rensei_ring_key_t *ps = ring_key(pkey, 1, "PS256");
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    rensei_err_t err;
    apr_size_t n;

    ck_assert_ok(rensei_ring_key_sign(rs, sig, &n, MSG, &err), err);
    ck_assert_int_eq(verify(ps, sig, n), 0);
    ck_assert_int_eq(verify(rs, sig, n), 1);
    ck_assert_ok(rensei_ring_key_sign(ps, sig, &n, MSG, &err), err);
    ck_assert_int_eq(verify(rs, sig, n), 0);
    ck_assert_int_eq(verify(ps, sig, n), 1);
    n = test_sign(sig, pkey, "RS512", msg);
    ck_assert_int_eq(verify(rs, sig, n), 0);
}
END_TEST

/* RFC 8032 5.1.7: S is below the order L, or S + L is a second signature. */
START_TEST(eddsa_range)
{
    static const unsigned char order[32] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
        0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    EVP_PKEY *pkey = test_pkey("ED25519");
    const rensei_ring_key_t *key = ring_key(pkey, 0, NULL);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n = test_sign(sig, pkey, "EdDSA", msg);
    unsigned carry = 0;

    ck_assert_int_eq(verify(key, sig, n), 1);
    for (int i = 0; i < 32; i++) {
        carry += (unsigned)sig[32 + i] + order[i];
        sig[32 + i] = (unsigned char)carry;
        carry >>= 8;
    }
    ck_assert_int_eq(verify(key, sig, n), 0);
}
END_TEST

static apr_status_t add_pem(rensei_ring_t *ring, const char *pem,
                            rensei_err_t *err)
{
    return rensei_ring_add_pem(ring, pem, strlen(pem), NULL, NULL, err);
}

static const char *bio_text(BIO *bio)
{
    char *bytes;
    long n = BIO_get_mem_data(bio, &bytes);
    const char *text = apr_pstrmemdup(test_pool, bytes, (apr_size_t)n);

    BIO_free(bio);
    return text;
}

static const char *traditional_pem(EVP_PKEY *pkey, const EVP_CIPHER *cipher)
{
    BIO *bio = BIO_new(BIO_s_mem());

    ck_assert(PEM_write_bio_PrivateKey_traditional(
        bio, pkey, cipher, (const unsigned char *)"password", cipher ? 8 : 0,
        NULL, NULL));
    return bio_text(bio);
}

static const char *with_crlf(const char *text)
{
    const char *out = "";
    char *copy = apr_pstrdup(test_pool, text), *last, *line;

    for (line = apr_strtok(copy, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        out = apr_pstrcat(test_pool, out, line, "\r\n", NULL);
    }
    return out;
}

static void ck_pem(const char *pem, int signs, const char *kid)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_ok(add_pem(ring, pem, &err), err);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
    ck_assert_int_eq(rensei_ring_key_signs(rensei_ring_at(ring, 0)), signs);
    if (kid) {
        ck_assert_str_eq(rensei_ring_key_kid(rensei_ring_at(ring, 0)), kid);
    }
}

START_TEST(pem_forms)
{
    /* `openssl ecparam -name prime256v1` */
    static const char ec_parameters[] = "-----BEGIN EC PARAMETERS-----\n"
                                        "BggqhkjOPQMBBw==\n"
                                        "-----END EC PARAMETERS-----\n";
    EVP_PKEY *ec = test_pkey("P-256"), *rsa = test_pkey("RSA");
    const char *kid = rensei_ring_key_kid(ring_key(ec, 1, NULL));
    const char *rsa_kid = rensei_ring_key_kid(ring_key(rsa, 1, NULL));
    const char *pem = test_pem(ec, 1);

    ck_pem(with_crlf(pem), 1, kid);
    ck_pem(apr_pstrcat(test_pool, "Our key:\n\n", pem, "\nand no more\n", NULL),
           1, kid);
    ck_pem(apr_pstrndup(test_pool, pem, strlen(pem) - 1), 1, kid);
    ck_pem(
        apr_pstrcat(test_pool, ec_parameters, traditional_pem(ec, NULL), NULL),
        1, kid);
    ck_pem(traditional_pem(rsa, NULL), 1, rsa_kid);
    ck_pem(test_pem(rsa, 0), 0, rsa_kid);
    ck_pem(test_pem(ec, 0), 0, kid);
}
END_TEST

/* Refused with a sentence that has `part` in it, and nothing of the text. */
static void refuse_as(const char *pem, apr_size_t n, const char *alg,
                      const char *kid, const char *part)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_err(rensei_ring_add_pem(ring, pem, n, alg, kid, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' is not in: %s", part,
                  err.text);
    ck_assert_int_eq(err.text[strlen(err.text) - 1], '.');
    ck_assert_int_eq(rensei_ring_count(ring), 0);
    ck_assert_ptr_null(rensei_ring_signer(ring));
}

static void refuse(const char *pem, const char *part)
{
    refuse_as(pem, strlen(pem), NULL, NULL, part);
}

static const char *encrypted_pem(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char password[] = "password";

    ck_assert(PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_128_cbc(),
                                            password, 8, NULL, NULL));
    return bio_text(bio);
}

/* A server that is asked for a passphrase at its start hangs, or dies. */
START_TEST(pem_encrypted)
{
    EVP_PKEY *ec = test_pkey("P-256");

    refuse(encrypted_pem(ec), "encrypted");
    refuse(traditional_pem(ec, EVP_aes_128_cbc()), "encrypted");
}
END_TEST

/* OpenSSL takes any 32 bytes for a public key of Ed25519. Under the point 1 a
 * signature of zeros would be good for every message. */
START_TEST(pem_ed25519_point)
{
    unsigned char x[32] = {1};
    EVP_PKEY *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof(x));

    refuse(test_pem(pkey, 0), "no point");
    EVP_PKEY_free(pkey);
    x[0] = 2; /* on no curve */
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof(x));
    refuse(test_pem(pkey, 0), "no point");
    EVP_PKEY_free(pkey);
    ck_assert_int_eq(
        rensei_ring_count(test_ring_of(test_pkey("ED25519"), 0, NULL, NULL)),
        1);
}
END_TEST

static const char *certificate(EVP_PKEY *pkey)
{
    BIO *bio = BIO_new(BIO_s_mem());
    X509 *x = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 60);
    X509_set_pubkey(x, pkey);
    ck_assert(X509_sign(x, pkey, EVP_sha256()));
    ck_assert(PEM_write_bio_X509(bio, x));
    X509_free(x);
    return bio_text(bio);
}

START_TEST(pem_not_one_key)
{
    EVP_PKEY *ec = test_pkey("P-256");
    const char *pem = test_pem(ec, 1), *public_pem = test_pem(ec, 0);

    refuse("", "no key in it");
    refuse("a secret of thirty-two bytes, or more", "no key in it");
    refuse("{\"kty\":\"EC\"}", "no key in it");
    refuse(certificate(ec), "something else");
    refuse(apr_pstrcat(test_pool, certificate(ec), pem, NULL),
           "something else");
    refuse(apr_pstrcat(test_pool, pem, certificate(ec), NULL),
           "something else");
    refuse(apr_pstrcat(test_pool, pem, pem, NULL), "more than one");
    refuse(apr_pstrcat(test_pool, pem, public_pem, NULL), "more than one");
    refuse(apr_pstrcat(test_pool, public_pem, pem, NULL), "more than one");
}
END_TEST

/* The DER of a PEM text, changed by the caller and put back into PEM. */
static const char *relabelled(const char *pem, const char *label,
                              const char *append)
{
    BIO *in = BIO_new_mem_buf(pem, -1), *out = BIO_new(BIO_s_mem());
    char *name, *header;
    unsigned char *der, longer[4096];
    long n;

    ck_assert(PEM_read_bio(in, &name, &header, &der, &n));
    memcpy(longer, der, (size_t)n);
    memcpy(longer + n, append, strlen(append));
    ck_assert(PEM_write_bio(out, label ? label : name, "", longer,
                            n + (long)strlen(append)));
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    BIO_free(in);
    return bio_text(out);
}

START_TEST(pem_damaged)
{
    const char *good = test_pem(test_pkey("P-256"), 1);
    const char *public_pem = test_pem(test_pkey("P-256"), 0);
    char *pem = apr_pstrdup(test_pool, good);
    apr_size_t n = strlen(good);

    for (apr_size_t len = 0; len < n - 10; len++) {
        refuse_as(good, len, NULL, NULL, "");
    }
    pem[60] = '!';
    refuse(pem, "damaged");
    pem[60] = good[60] == 'A' ? 'B' : 'A';
    refuse(pem, "");
    refuse(relabelled(good, NULL, "x"), "cannot be read");
    refuse(relabelled(public_pem, NULL, "x"), "cannot be read");
    refuse(relabelled(good, "PUBLIC KEY", ""), "cannot be read");
    refuse(relabelled(public_pem, "PRIVATE KEY", ""), "cannot be read");
    refuse(relabelled(good, NULL, "") + 1, "no key in it");
    refuse_as(apr_psprintf(test_pool, "%*s%s", RENSEI_PEM_LEN_MAX, "", good),
              RENSEI_PEM_LEN_MAX + n, NULL, NULL, "too long");
    ck_pem(relabelled(good, NULL, ""), 1, NULL);
    ck_pem(relabelled(public_pem, NULL, ""), 0, NULL);
}
END_TEST

static void refuse_kind(const char *kind, const char *part)
{
    EVP_PKEY *pkey = test_pkey(kind);

    refuse(test_pem(pkey, 1), part);
    refuse(test_pem(pkey, 0), part);
}

START_TEST(pem_kinds)
{
    static const char *const others[] = {"P-521", "P-224", "secp256k1", "ED448",
                                         "X25519"};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *pss = NULL;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        refuse_kind(others[i], "of a kind that is not used here");
    }
    refuse_kind("RSA-1024", "2048 to 4096 bits");
    refuse_kind("RSA-2047", "2048 to 4096 bits");
    ck_assert_int_eq(EVP_PKEY_keygen_init(ctx), 1);
    ck_assert_int_eq(EVP_PKEY_generate(ctx, &pss), 1);
    refuse(test_pem(pss, 1), "of a kind that is not used here");
    EVP_PKEY_free(pss);
    EVP_PKEY_CTX_free(ctx);
}
END_TEST

START_TEST(pem_rsa_4096)
{
    const rensei_ring_key_t *key = ring_key(test_pkey("RSA-4096"), 1, "RS256");
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    rensei_err_t err;
    apr_size_t n;

    ck_assert_ok(rensei_ring_key_sign(key, sig, &n, MSG, &err), err);
    ck_assert_uint_eq(n, RENSEI_SIG_LEN_MAX);
    ck_assert_int_eq(verify(key, sig, n), 1);
    ck_assert_int_eq(rensei_ring_key_bits(key), RENSEI_RSA_BITS_MAX);
}
END_TEST

/* CVE-2020-0601: a curve that is spelled out is P-256 but for its generator,
 * with which the attacker makes somebody else's public key his own. */
START_TEST(pem_explicit_curve)
{
    EVP_PKEY *pkey = test_pkey("P-256");

    ck_assert(EVP_PKEY_set_utf8_string_param(pkey, OSSL_PKEY_PARAM_EC_ENCODING,
                                             OSSL_PKEY_EC_ENCODING_EXPLICIT));
    refuse(test_pem(pkey, 1), "of a kind that is not used here");
    refuse(test_pem(pkey, 0), "of a kind that is not used here");
}
END_TEST

/* The private number of one key and the public point of another: each token
 * would be refused by who knows the public half, long after the start. */
START_TEST(pem_two_halves)
{
    EVP_PKEY *a = test_pkey("P-256"), *b = test_pkey("P-256");
    unsigned char der[2][512], *at = der[0];
    int n = i2d_PrivateKey(a, &at);
    BIO *out = BIO_new(BIO_s_mem());

    at = der[1];
    ck_assert_int_eq(i2d_PrivateKey(b, &at), n);
    /* SEC 1: the point, of 65 bytes, is at the end */
    memcpy(der[0] + n - 65, der[1] + n - 65, 65);
    ck_assert(PEM_write_bio(out, "EC PRIVATE KEY", "", der[0], n));
    refuse(bio_text(out), "does not work");
}
END_TEST

START_TEST(pem_alg)
{
    static const char *const kinds[] = {"RSA", "P-256", "P-384", "ED25519"};
    static const char *const names[] = {"RS256", "PS256", "ES256", "ES384",
                                        "EdDSA", "HS256", "none",  ""};
    static const char fits[4][8] = {
        {1, 1}, {0, 0, 1}, {0, 0, 0, 1}, {0, 0, 0, 0, 1}};

    for (int k = 0; k < 4; k++) {
        EVP_PKEY *pkey = test_pkey(kinds[k]);
        const char *pem = test_pem(pkey, 1);

        for (int i = 0; i < 8; i++) {
            if (fits[k][i]) {
                ck_assert_str_eq(rensei_alg_name(rensei_ring_key_alg(
                                     ring_key(pkey, 1, names[i]))),
                                 names[i]);
            }
            else {
                refuse_as(pem, strlen(pem), names[i], NULL, "does not fit");
            }
        }
    }
}
END_TEST

START_TEST(pem_kid)
{
    EVP_PKEY *pkey = test_pkey("ED25519");
    const char *pem = test_pem(pkey, 1);

    refuse_as(pem, strlen(pem), NULL, "", "kid");
    refuse_as(pem, strlen(pem), NULL, "a b", "kid");
    refuse_as(pem, strlen(pem), NULL, "k\",\"alg\":\"none", "kid");
    ck_assert_str_eq(rensei_ring_key_kid(rensei_ring_signer(
                         test_ring_of(pkey, 1, NULL, "2026-01:a"))),
                     "2026-01:a");
}
END_TEST

/* The key that signs is the first: where that one cannot, another one that
 * was kept for verifying must not sign in its place. */
START_TEST(signer)
{
    rensei_ring_t *ring = test_ring_of(test_pkey("P-256"), 0, NULL, "public");
    const char *pem = test_pem(test_pkey("P-256"), 1), *token;
    rensei_err_t err;

    ck_assert_ok(add_pem(ring, pem, &err), err);
    ck_assert_int_eq(rensei_ring_count(ring), 2);
    ck_assert_ptr_null(rensei_ring_signer(ring));
    ck_assert_err(rensei_jws_sign(&token, ring, "JWT", "{}", test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ring = test_ring();
    ck_assert_ok(add_pem(ring, pem, &err), err);
    ck_assert_ok(rensei_jws_sign(&token, ring, "JWT", "{}", test_pool, &err),
                 err);
}
END_TEST

START_TEST(twice)
{
    static const char secret[] = "a secret of thirty-two bytes, or more";
    EVP_PKEY *pkey = test_pkey("RSA"), *other = test_pkey("RSA");
    rensei_ring_t *ring = test_ring_of(pkey, 1, "RS256", "k");
    const char *pem = test_pem(pkey, 1), *other_pem = test_pem(other, 1);
    const char *public_pem = test_pem(pkey, 0);
    rensei_err_t err;

#define ADD(text, alg, kid) \
    rensei_ring_add_pem(ring, text, strlen(text), alg, kid, &err)
    ck_assert_ok(ADD(pem, "RS256", "k"), err);
    ck_assert_ok(ADD(public_pem, NULL, "k"), err);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
    ck_assert_int_eq(rensei_ring_key_signs(rensei_ring_at(ring, 0)), 1);
    /* the kid of a key, and something else than that key */
    ck_assert_err(ADD(other_pem, "RS256", "k"), err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(ADD(pem, "PS256", "k"), err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(
        rensei_ring_add_secret(ring, secret, sizeof(secret) - 1, "k", &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
    ck_assert_ok(ADD(pem, "RS256", NULL), err);
    ck_assert_ok(ADD(other_pem, "PS256", "other"), err);
    ck_assert_int_eq(rensei_ring_count(ring), 3);
#undef ADD
}
END_TEST

START_TEST(jwks)
{
    static const char secret[] = "a secret of thirty-two bytes, or more";
    EVP_PKEY *rsa = test_pkey("RSA"), *ed = test_pkey("ED25519");
    rensei_ring_t *ring = test_ring_of(rsa, 1, "PS256", "r"), *back;
    const char *pem = test_pem(ed, 0);
    json_t *set, *keys;
    rensei_err_t err;

    ck_assert_ok(
        rensei_ring_add_secret(ring, secret, sizeof(secret) - 1, "h", &err),
        err);
    ck_assert_ok(add_pem(ring, pem, &err), err);
    set = rensei_json_own(rensei_ring_jwks(ring), test_pool);
    keys = json_object_get(set, "keys");
    ck_assert_uint_eq(json_object_size(set), 1);
    ck_assert_uint_eq(json_array_size(keys), 2);
    /* kty, n, e, kid, alg, use; kty, crv, x, kid, alg, use */
    for (size_t i = 0; i < 2; i++) {
        json_t *jwk = json_array_get(keys, i);
        ck_assert_uint_eq(json_object_size(jwk), 6);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "use")), "sig");
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "alg")),
                         i ? "EdDSA" : "PS256");
        ck_assert_ptr_null(json_object_get(jwk, "d"));
    }
    ck_assert_str_eq(
        json_string_value(json_object_get(json_array_get(keys, 0), "kid")),
        "r");
    /* what we publish, we would take */
    back = test_ring();
    ck_assert_ok(rensei_ring_add_jwks(back, set, &err), err);
    ck_assert(
        json_equal(rensei_json_own(rensei_ring_jwks(back), test_pool), set));
    /* no key at all: an empty set, not none */
    set = rensei_json_own(rensei_ring_jwks(test_ring()), test_pool);
    ck_assert_str_eq(rensei_json_dump(set, test_pool), "{\"keys\":[]}");
}
END_TEST

#define THREADS 4
#define ROUNDS 60

typedef struct worker_t {
    const rensei_ring_t *ring;
    int errors;
} worker_t;

/* All threads sign, verify and write the JWKS with the same keys. */
static void use_key(worker_t *w, const rensei_ring_key_t *key, int round)
{
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    char text[32];
    apr_size_t n,
        len = (apr_size_t)apr_snprintf(text, sizeof(text), "%d", round);
    rensei_err_t err;

    if (rensei_ring_key_sign(key, sig, &n, text, len, &err) != APR_SUCCESS ||
        rensei_ring_key_verify(key, sig, n, text, len) != 1) {
        w->errors++;
    }
    sig[n / 2] ^= 1;
    w->errors += rensei_ring_key_verify(key, sig, n, text, len) != 0;
}

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    worker_t *w = data;

    for (int i = 0; i < ROUNDS; i++) {
        json_t *set = rensei_ring_jwks(w->ring);

        w->errors += json_array_size(json_object_get(set, "keys")) != ALGS;
        json_decref(set);
        for (int k = 0; k < ALGS; k++) {
            use_key(w, rensei_ring_at(w->ring, k), i);
        }
    }
    return NULL;
}

START_TEST(threads)
{
    rensei_ring_t *ring = test_ring();
    worker_t w[THREADS];
    apr_thread_t *thread[THREADS];
    apr_status_t rv;
    rensei_err_t err;

    for (int k = 0; k < ALGS; k++) {
        const char *pem = test_pem(test_pkey(algs[k].kind), 1);

        ck_assert_ok(rensei_ring_add_pem(ring, pem, strlen(pem), algs[k].alg,
                                         NULL, &err),
                     err);
    }
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker_t){ring, 0};
        ck_assert_int_eq(
            apr_thread_create(&thread[i], NULL, work, &w[i], test_pool),
            APR_SUCCESS);
    }
    for (int i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, thread[i]);
        ck_assert_int_eq(w[i].errors, 0);
    }
}
END_TEST

static void add_pem_tests(Suite *s)
{
    TCase *tc = test_tcase(s, "pem");

    tcase_add_test(tc, pem_forms);
    tcase_add_test(tc, pem_encrypted);
    tcase_add_test(tc, pem_ed25519_point);
    tcase_add_test(tc, pem_not_one_key);
    tcase_add_test(tc, pem_damaged);
    tcase_add_test(tc, pem_kinds);
    tcase_add_test(tc, pem_rsa_4096);
    tcase_add_test(tc, pem_explicit_curve);
    tcase_add_test(tc, pem_two_halves);
    tcase_add_test(tc, pem_alg);
    tcase_add_test(tc, pem_kid);
}

Suite *suite_signature(void)
{
    TCase *tc;
    Suite *s = test_suite("signature", &tc);

    tcase_add_loop_test(tc, sign_and_verify, 0, ALGS);
    tcase_add_loop_test(tc, key_says, 0, ALGS);
    tcase_add_test(tc, usual_algs);
    tcase_add_loop_test(tc, lengths, 0, ALGS);
    tcase_add_test(tc, rsa_leading_zero);
    tcase_add_loop_test(tc, flipped_bits, 0, ALGS);
    tcase_add_loop_test(tc, ecdsa_range, 2, 4);
    tcase_add_test(tc, ecdsa_der);
    tcase_add_test(tc, ecdsa_leading_zero);
    tcase_add_test(tc, pss_salt);
    tcase_add_test(tc, rsa_padding);
    tcase_add_test(tc, eddsa_range);
    tcase_add_test(tc, signer);
    tcase_add_test(tc, twice);
    tcase_add_test(tc, jwks);
    tcase_add_test(tc, threads);
    add_pem_tests(s);
    return s;
}
