/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * RSA, ECDSA and EdDSA keys of the ring.
 *
 * A key has a context that is ready to verify, and one that is ready to sign.
 * They are copied for each message, never used themselves, so that threads
 * share a key; EVP_DigestVerifyInit on each would look up key, algorithm and
 * digest by name again, under locks of the whole process.
 */
#include "rensei_ring_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

static int evp_sign(const rensei_ring_key_t *key, unsigned char *sig,
                    apr_size_t *siglen, const void *msg, apr_size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good;

    *siglen = RENSEI_SIG_LEN_MAX;
    good = ctx && EVP_MD_CTX_copy_ex(ctx, key->signer) &&
           EVP_DigestSign(ctx, sig, siglen, msg, n) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

/* OpenSSL says of some bad signatures that they are errors, so once it was
 * given one whose length is right, everything but 1 means bad: else a token
 * from outside could bring about a 503. */
static int evp_check(const rensei_ring_key_t *key, const unsigned char *sig,
                     apr_size_t siglen, const void *msg, apr_size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int good = -1;

    if (ctx && EVP_MD_CTX_copy_ex(ctx, key->checker)) {
        good = EVP_DigestVerify(ctx, sig, siglen, msg, n) == 1;
    }
    if (good != 1) {
        ERR_clear_error();
    }
    EVP_MD_CTX_free(ctx);
    return good;
}

/* RSA and EdDSA: the signature as OpenSSL has it. A shorter one would be
 * taken for one with leading zeros (RFC 8017 8.2.2, step 1). */
static int evp_verify(const rensei_ring_key_t *key, const unsigned char *sig,
                      apr_size_t siglen, const void *msg, apr_size_t n)
{
    return siglen == key->siglen ? evp_check(key, sig, siglen, msg, n) : 0;
}

/* RFC 7518 3.4: both numbers in full length, one after the other, where
 * OpenSSL has them in DER. */
static int ecdsa_sign(const rensei_ring_key_t *key, unsigned char *sig,
                      apr_size_t *siglen, const void *msg, apr_size_t n)
{
    unsigned char der[RENSEI_SIG_LEN_MAX];
    const unsigned char *at = der;
    const int half = (int)(key->siglen / 2);
    apr_size_t len;
    ECDSA_SIG *rs;
    int good;

    /* out of memory, OpenSSL says that it signed -1 bytes */
    if (!evp_sign(key, der, &len, msg, n) || len > sizeof(der)) {
        return 0;
    }
    rs = d2i_ECDSA_SIG(NULL, &at, (long)len);
    good = rs && BN_bn2binpad(ECDSA_SIG_get0_r(rs), sig, half) == half &&
           BN_bn2binpad(ECDSA_SIG_get0_s(rs), sig + half, half) == half;
    ECDSA_SIG_free(rs);
    *siglen = key->siglen;
    return good;
}

/* A number from 1 to the order less 1; CVE-2022-21449 was zeros. */
static int in_range(const BIGNUM *number, const BIGNUM *order)
{
    return !BN_is_zero(number) && BN_cmp(number, order) < 0;
}

/* @return the length of the DER; 0: not in range; -1: OpenSSL failed */
static int ecdsa_der(unsigned char **der, const rensei_ring_key_t *key,
                     const unsigned char *sig)
{
    const int half = (int)(key->siglen / 2);
    ECDSA_SIG *rs = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, half, NULL);
    BIGNUM *s = BN_bin2bn(sig + half, half, NULL);
    int len = -1;

    if (!rs || !r || !s || !ECDSA_SIG_set0(rs, r, s)) {
        BN_free(r);
        BN_free(s);
    }
    else if (!in_range(r, key->order) || !in_range(s, key->order)) {
        len = 0;
    }
    else {
        len = i2d_ECDSA_SIG(rs, der);
    }
    ECDSA_SIG_free(rs);
    return len;
}

static int ecdsa_verify(const rensei_ring_key_t *key, const unsigned char *sig,
                        apr_size_t siglen, const void *msg, apr_size_t n)
{
    unsigned char *der = NULL;
    int good = 0;

    if (siglen == key->siglen && (good = ecdsa_der(&der, key, sig)) > 0) {
        good = evp_check(key, der, (apr_size_t)good, msg, n);
    }
    OPENSSL_free(der);
    return good;
}

static int evp_same(const rensei_ring_key_t *a, const rensei_ring_key_t *b)
{
    return EVP_PKEY_eq(a->pkey, b->pkey) == 1;
}

static void evp_drop(rensei_ring_key_t *key)
{
    EVP_MD_CTX_free(key->signer);
    EVP_MD_CTX_free(key->checker);
    EVP_PKEY_free(key->pkey);
    BN_free(key->order);
    json_decref(key->jwk);
}

static const rensei_ring_family_t plain = {evp_sign, evp_verify, evp_same, NULL,
                                           evp_drop};
static const rensei_ring_family_t ecdsa = {ecdsa_sign, ecdsa_verify, evp_same,
                                           NULL, evp_drop};

/* RFC 5480 2.1.1 has curves by name. One that is spelled out can be the
 * attacker's own, with a public key of somebody else on it (CVE-2020-0601). */
static int named_group(const EVP_PKEY *pkey, const char *group)
{
    char name[64];
    int spelled = 0;

    EVP_PKEY_get_int_param(
        pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &spelled);
    return !spelled &&
           EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL) &&
           strcmp(name, group) == 0;
}

static int alg_fits(const EVP_PKEY *pkey, const rensei_alg_row_t *row)
{
    return row->type && EVP_PKEY_is_a(pkey, row->type) &&
           (!row->group || named_group(pkey, row->group));
}

/* The first that fits is the usual one: RS256 is before PS256. */
static int alg_usual(rensei_alg_e *out, const EVP_PKEY *pkey)
{
    int i;

    for (i = 0; i < RENSEI_ALG_COUNT; i++) {
        if (alg_fits(pkey, rensei_alg_row(i))) {
            *out = i;
            return 1;
        }
    }
    return 0;
}

static apr_status_t alg_choose(rensei_alg_e *out, const EVP_PKEY *pkey,
                               const char *name, rensei_err_t *err)
{
    if (!alg_usual(out, pkey)) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The key is of a kind that is not used here: it "
                              "must be RSA, or on the curve P-256, P-384 or "
                              "Ed25519.");
    }
    if (name && (!rensei_alg_parse(out, name) ||
                 !alg_fits(pkey, rensei_alg_row(*out)))) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The algorithm does not fit the key: RS256 and "
                              "PS256 are for RSA keys, ES256 is for P-256, "
                              "ES384 for P-384, EdDSA for Ed25519.");
    }
    return APR_SUCCESS;
}

/* Infineon's chips made RSA primes of the form k * M + 65537^a mod M, where M
 * is the product of the small primes, and factors can be found from the public
 * key (ROCA, CVE-2017-15361). Then the modulus is a power of 65537 modulo each
 * of the small primes, as one in 2^27 others is. */
static int has_roca(const BIGNUM *n)
{
    static const unsigned char primes[] = {
        3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
        47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
        107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
    apr_size_t i;

    for (i = 0; i < sizeof(primes); i++) {
        const BN_ULONG p = primes[i], rest = BN_mod_word(n, p);
        BN_ULONG power = 1;

        do {
            power = power * 65537 % p;
        } while (power != rest && power != 1);
        if (power != rest) {
            return 0;
        }
    }
    return 1;
}

/* The lower bound of e is RFC 8017 3.1's; the upper one is what OpenSSL takes
 * of large keys: an e as long as n makes verifying as dear as signing. */
static const char *rsa_fault(const BIGNUM *n, const BIGNUM *e)
{
    const int bits = BN_num_bits(n);

    if (bits < RENSEI_RSA_BITS_MIN || bits > RENSEI_RSA_BITS_MAX) {
        return "An RSA key has 2048 to 4096 bits.";
    }
    if (!BN_is_odd(n) || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64) {
        return "The RSA key is not well made: its modulus and its exponent "
               "are odd, and the exponent is from 3 to 64 bits long.";
    }
    if (has_roca(n)) {
        return "The RSA key was made by a device with a known fault, and can "
               "be broken (CVE-2017-15361).";
    }
    return NULL;
}

static apr_status_t rsa_check(const EVP_PKEY *pkey, rensei_err_t *err)
{
    BIGNUM *n = NULL, *e = NULL;
    const char *fault;

    if (!EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) ||
        !EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e)) {
        BN_free(n);
        return rensei_ring_openssl_failed(err);
    }
    fault = rsa_fault(n, e);
    BN_free(n);
    BN_free(e);
    return fault ? rensei_err_set(err, RENSEI_E_INVALID_REQUEST, fault)
                 : APR_SUCCESS;
}

static apr_status_t okp_check(const EVP_PKEY *pkey, rensei_err_t *err)
{
    unsigned char x[32];
    size_t n = sizeof(x);

    if (EVP_PKEY_get_raw_public_key(pkey, x, &n) != 1) {
        return rensei_ring_openssl_failed(err);
    }
    return rensei_ed25519_point(x)
               ? APR_SUCCESS
               : rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                                "The Ed25519 key is no point of its curve, or "
                                "one under which a signature can be good for "
                                "any message.");
}

static apr_status_t numbers_check(const EVP_PKEY *pkey, const char *kty,
                                  rensei_err_t *err)
{
    if (strcmp(kty, "RSA") == 0) {
        return rsa_check(pkey, err);
    }
    return strcmp(kty, "OKP") == 0 ? okp_check(pkey, err) : APR_SUCCESS;
}

static EVP_MD_CTX *ready(EVP_PKEY *pkey, const rensei_alg_row_t *row,
                         int (*init)(EVP_MD_CTX *, EVP_PKEY_CTX **,
                                     const char *, OSSL_LIB_CTX *, const char *,
                                     EVP_PKEY *, const OSSL_PARAM[]))
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *of_key;

    if (!ctx || init(ctx, &of_key, row->md, NULL, NULL, pkey, NULL) != 1 ||
        /* RFC 7518 3.5: the salt is as long as the digest, when verifying
         * too; MGF1 takes the same digest by itself */
        (row->pss &&
         (EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) != 1 ||
          EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) !=
              1))) {
        EVP_MD_CTX_free(ctx);
        return NULL;
    }
    /* it is a copy that makes the signature: OpenSSL need not make another */
    EVP_MD_CTX_set_flags(ctx, EVP_MD_CTX_FLAG_FINALISE);
    return ctx;
}

/* Tells of the two halves of a private key that are not of one key, while
 * somebody still looks, rather than in each token. */
static int signs_what_it_verifies(const rensei_ring_key_t *key)
{
    static const char msg[] = "rensei";
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n;

    return key->family->sign(key, sig, &n, msg, sizeof(msg)) &&
           key->family->verify(key, sig, n, msg, sizeof(msg)) == 1;
}

static int parts_set(rensei_ring_key_t *key, const rensei_alg_row_t *row,
                     int is_private)
{
    key->family = row->group ? &ecdsa : &plain;
    key->bits = EVP_PKEY_get_bits(key->pkey);
    key->siglen =
        row->group ? row->size * 2 : (apr_size_t)EVP_PKEY_get_size(key->pkey);
    key->jwk = rensei_jwk_of(key->pkey, row);
    key->checker = ready(key->pkey, row, EVP_DigestVerifyInit_ex);
    if (is_private) {
        key->signer = ready(key->pkey, row, EVP_DigestSignInit_ex);
    }
    if (row->group) {
        EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_EC_ORDER, &key->order);
    }
    return key->jwk && key->checker && (!is_private || key->signer) &&
           (!row->group || key->order);
}

apr_status_t rensei_ring_evp_set(rensei_ring_key_t *key, EVP_PKEY *pkey,
                                 const char *alg, int is_private,
                                 rensei_err_t *err)
{
    const rensei_alg_row_t *row;
    apr_status_t rv;

    key->family = &plain;
    key->pkey = pkey;
    if ((rv = alg_choose(&key->alg, pkey, alg, err)) != APR_SUCCESS) {
        return rv;
    }
    row = rensei_alg_row(key->alg);
    if ((rv = numbers_check(pkey, row->kty, err)) != APR_SUCCESS) {
        return rv;
    }
    if (!parts_set(key, row, is_private)) {
        return rensei_ring_openssl_failed(err);
    }
    if (is_private && !signs_what_it_verifies(key)) {
        ERR_clear_error();
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The private key does not work: what it signs, "
                              "its own public half does not verify.");
    }
    return APR_SUCCESS;
}
