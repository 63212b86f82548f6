/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_ring.h"
#include "rensei_b64.h"
#include "rensei_id.h"
#include "rensei_json.h"
#include "rensei_ring_key.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

struct rensei_ring_t {
    apr_pool_t *pool;
    EVP_MD *sha256;
    apr_array_header_t *keys; /* of rensei_ring_key_t * */
};

static const rensei_alg_row_t algs[RENSEI_ALG_COUNT] = {
    [RENSEI_ALG_HS256] = {.name = "HS256", .kty = "oct", .size = 32},
    [RENSEI_ALG_RS256] = {.name = "RS256",
                          .kty = "RSA",
                          .type = "RSA",
                          .md = "SHA256"},
    [RENSEI_ALG_PS256] = {.name = "PS256",
                          .kty = "RSA",
                          .type = "RSA",
                          .md = "SHA256",
                          .pss = 1},
    [RENSEI_ALG_ES256] = {.name = "ES256",
                          .kty = "EC",
                          .crv = "P-256",
                          .type = "EC",
                          .group = "prime256v1",
                          .md = "SHA256",
                          .size = 32},
    [RENSEI_ALG_ES384] = {.name = "ES384",
                          .kty = "EC",
                          .crv = "P-384",
                          .type = "EC",
                          .group = "secp384r1",
                          .md = "SHA384",
                          .size = 48},
    [RENSEI_ALG_EDDSA] = {.name = "EdDSA",
                          .alias = "Ed25519",
                          .kty = "OKP",
                          .crv = "Ed25519",
                          .type = "ED25519",
                          .size = 32},
};

const rensei_alg_row_t *rensei_alg_row(rensei_alg_e alg)
{
    return &algs[alg];
}

const char *rensei_alg_name(rensei_alg_e alg)
{
    unsigned i = (unsigned)alg;

    return i < RENSEI_ALG_COUNT ? algs[i].name : "unknown";
}

int rensei_alg_is(rensei_alg_e alg, rensei_str_t name)
{
    const rensei_alg_row_t *row = &algs[alg];

    return rensei_str_eq(name, rensei_str(row->name)) ||
           (row->alias && rensei_str_eq(name, rensei_str(row->alias)));
}

int rensei_alg_parse(rensei_alg_e *out, const char *name)
{
    int i;

    for (i = 0; i < RENSEI_ALG_COUNT; i++) {
        if (rensei_alg_is(i, rensei_str(name))) {
            *out = i;
            return 1;
        }
    }
    return 0;
}

apr_status_t rensei_ring_openssl_failed(rensei_err_t *err)
{
    rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                   "Tokens cannot be signed or checked at the moment.");
    err->cause = ERR_reason_error_string(ERR_peek_last_error());
    /* what stays in the thread's queue would be reported as a TLS error */
    ERR_clear_error();
    return APR_EGENERAL;
}

static rensei_ring_key_t *key_at(const rensei_ring_t *ring, int i)
{
    return APR_ARRAY_IDX(ring->keys, i, rensei_ring_key_t *);
}

static apr_status_t ring_free(void *data)
{
    rensei_ring_t *ring = data;

    for (int i = 0; i < ring->keys->nelts; i++) {
        rensei_ring_key_t *key = key_at(ring, i);

        key->family->drop(key);
    }
    EVP_MD_free(ring->sha256);
    return APR_SUCCESS;
}

apr_status_t rensei_ring_create(rensei_ring_t **out, apr_pool_t *p)
{
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    rensei_ring_t *ring;

    if (!sha256) {
        ERR_clear_error();
        return APR_EGENERAL;
    }
    ring = apr_pcalloc(p, sizeof(*ring));
    ring->pool = p;
    ring->sha256 = sha256;
    ring->keys = apr_array_make(p, 2, sizeof(rensei_ring_key_t *));
    apr_pool_cleanup_register(p, ring, ring_free, apr_pool_cleanup_null);
    *out = ring;
    return APR_SUCCESS;
}

/* A kid of a JWK is any text, so it is JSON's to quote it. */
static int header_make(rensei_str_t *out, const rensei_ring_key_t *key,
                       const char *typ, apr_pool_t *p)
{
    json_t *header =
        json_pack("{s:s, s:s, s:s}", "alg", rensei_alg_name(key->alg), "kid",
                  key->kid, "typ", typ);
    const char *json = header ? rensei_json_dump(header, p) : NULL;
    char *text;

    json_decref(header);
    if (!json) {
        return 0;
    }
    text = apr_palloc(p, RENSEI_B64URL_LEN(strlen(json)) + 1);
    out->p = text;
    out->n = rensei_b64url_encode(text, json, strlen(json));
    return 1;
}

static int headers_make(rensei_ring_key_t *key, apr_pool_t *p)
{
    return header_make(&key->header[RENSEI_TYP_M2M], key, "JWT", p) &&
           header_make(&key->header[RENSEI_TYP_WORKER], key, RENSEI_TYP_RUNTIME,
                       p) &&
           header_make(&key->header[RENSEI_TYP_AT], key, RENSEI_TYP_ACCESS, p);
}

static int kid_derive(char out[RENSEI_THUMBPRINT_LEN + 1],
                      const rensei_ring_key_t *key)
{
    if (key->jwk) {
        return rensei_jwk_thumbprint(out, key->jwk);
    }
    rensei_ring_hmac_kid(out, key);
    return 1;
}

static int same(const rensei_ring_key_t *a, const rensei_ring_key_t *b)
{
    return a->alg == b->alg && a->family->same(a, b);
}

/* Puts a key that is made into the ring.
 * @param taken whether the ring has it now: one that it had already is not */
static apr_status_t key_place(rensei_ring_t *ring, rensei_ring_key_t *key,
                              const char *kid, int *taken, rensei_err_t *err)
{
    char derived[RENSEI_THUMBPRINT_LEN + 1];
    const rensei_ring_key_t *other;

    if (!kid) {
        if (!kid_derive(derived, key)) {
            return rensei_ring_openssl_failed(err);
        }
        kid = derived;
    }
    other = rensei_ring_find(ring, rensei_str(kid));
    if (other) {
        return same(other, key)
                   ? APR_SUCCESS
                   : rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                                    "The key ring has another key of the same "
                                    "kid already.");
    }
    key->kid = apr_pstrdup(ring->pool, kid);
    if (!headers_make(key, ring->pool)) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The kid is not UTF-8.");
    }
    if (key->family->headed) {
        key->family->headed(key);
    }
    APR_ARRAY_PUSH(ring->keys, rensei_ring_key_t *) = key;
    *taken = 1;
    return APR_SUCCESS;
}

/* The end of each way to add a key: what the ring does not take is freed. */
static apr_status_t key_add(rensei_ring_t *ring, rensei_ring_key_t *key,
                            apr_status_t rv, const char *kid, rensei_err_t *err)
{
    int taken = 0;

    if (rv == APR_SUCCESS) {
        rv = key_place(ring, key, kid, &taken, err);
    }
    if (!taken && key->family) {
        key->family->drop(key);
    }
    return rv;
}

static rensei_ring_key_t *key_new(rensei_ring_t *ring)
{
    return apr_pcalloc(ring->pool, sizeof(rensei_ring_key_t));
}

static apr_status_t kid_check(const char *kid, rensei_err_t *err)
{
    if (kid && !rensei_id_safe(kid, strlen(kid))) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "A kid is 1 to 64 letters, digits, or any of the "
                              "characters '_', '-', ':' and '.'.");
    }
    return APR_SUCCESS;
}

static apr_status_t secret_set(rensei_ring_key_t *key,
                               const rensei_ring_t *ring, const void *secret,
                               apr_size_t n, rensei_err_t *err)
{
    if (n < RENSEI_SECRET_LEN_MIN) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "An HS256 secret has at least 32 bytes.");
    }
    return rensei_ring_hmac_set(key, ring->sha256, secret, n)
               ? APR_SUCCESS
               : rensei_ring_openssl_failed(err);
}

apr_status_t rensei_ring_add_secret(rensei_ring_t *ring, const void *secret,
                                    apr_size_t n, const char *kid,
                                    rensei_err_t *err)
{
    rensei_ring_key_t *key = key_new(ring);
    apr_status_t rv = kid_check(kid, err);

    if (rv == APR_SUCCESS) {
        rv = secret_set(key, ring, secret, n, err);
    }
    return key_add(ring, key, rv, kid, err);
}

apr_status_t rensei_ring_add_pem(rensei_ring_t *ring, const void *pem,
                                 apr_size_t n, const char *alg, const char *kid,
                                 rensei_err_t *err)
{
    rensei_ring_key_t *key = key_new(ring);
    EVP_PKEY *pkey;
    int is_private = 0;
    apr_status_t rv = kid_check(kid, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_ring_pem_read(&pkey, &is_private, pem, n, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_ring_evp_set(key, pkey, alg, is_private, err);
    }
    return key_add(ring, key, rv, kid, err);
}

static apr_status_t jwk_add(rensei_ring_t *ring, const json_t *jwk, int any,
                            rensei_err_t *err)
{
    rensei_ring_key_t *key = key_new(ring);
    rensei_jwk_t read;
    apr_status_t rv = rensei_jwk_read(&read, jwk, any, err);

    if (rv == APR_SUCCESS) {
        rv = read.pkey
                 ? rensei_ring_evp_set(key, read.pkey, read.alg,
                                       read.is_private, err)
                 : secret_set(key, ring, read.secret, read.secret_len, err);
    }
    OPENSSL_cleanse(read.secret, sizeof(read.secret));
    return key_add(ring, key, rv, read.kid, err);
}

apr_status_t rensei_ring_add_jwk(rensei_ring_t *ring, const json_t *jwk,
                                 rensei_err_t *err)
{
    return jwk_add(ring, jwk, 0, err);
}

apr_status_t rensei_ring_add_jwk_any(rensei_ring_t *ring, const json_t *jwk,
                                     rensei_err_t *err)
{
    return jwk_add(ring, jwk, 1, err);
}

apr_status_t rensei_ring_add_jwks(rensei_ring_t *ring, const json_t *jwks,
                                  rensei_err_t *err)
{
    const json_t *keys = json_object_get(jwks, "keys"), *jwk;
    apr_status_t rv = APR_SUCCESS;
    size_t i;

    if (json_array_size(keys) < 1 ||
        json_array_size(keys) > RENSEI_JWKS_KEYS_MAX) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "A JWK Set is an object whose member keys is an "
                              "array of 1 to 16 keys.");
    }
    json_array_foreach(keys, i, jwk)
    {
        if ((rv = jwk_add(ring, jwk, 0, err)) != APR_SUCCESS) {
            break;
        }
    }
    return rv;
}

/* A copy: threads do not share what jansson counts references of. */
static json_t *key_jwk(const rensei_ring_key_t *key)
{
    json_t *jwk = json_deep_copy(key->jwk);

    if (jwk && (json_object_set_new(jwk, "kid", json_string(key->kid)) ||
                json_object_set_new(jwk, "alg",
                                    json_string(rensei_alg_name(key->alg))) ||
                json_object_set_new(jwk, "use", json_string("sig")))) {
        json_decref(jwk);
        return NULL;
    }
    return jwk;
}

json_t *rensei_ring_jwks(const rensei_ring_t *ring)
{
    json_t *keys = json_array();
    int i, failed = !keys;

    for (i = 0; !failed && i < ring->keys->nelts; i++) {
        const rensei_ring_key_t *key = key_at(ring, i);

        failed = key->jwk && json_array_append_new(keys, key_jwk(key)) != 0;
    }
    if (failed) {
        json_decref(keys);
        return NULL;
    }
    return json_pack("{s:o}", "keys", keys);
}

const rensei_ring_key_t *rensei_ring_signer(const rensei_ring_t *ring)
{
    const rensei_ring_key_t *first = rensei_ring_at(ring, 0);

    return first && rensei_ring_key_signs(first) ? first : NULL;
}

int rensei_ring_count(const rensei_ring_t *ring)
{
    return ring->keys->nelts;
}

const rensei_ring_key_t *rensei_ring_at(const rensei_ring_t *ring, int i)
{
    if (i < 0 || i >= ring->keys->nelts) {
        return NULL;
    }
    return key_at(ring, i);
}

const rensei_ring_key_t *rensei_ring_find(const rensei_ring_t *ring,
                                          rensei_str_t kid)
{
    int i;

    for (i = 0; i < ring->keys->nelts; i++) {
        const rensei_ring_key_t *key = key_at(ring, i);

        if (rensei_str_eq(kid, rensei_str(key->kid))) {
            return key;
        }
    }
    return NULL;
}

const rensei_ring_key_t *rensei_ring_find_header(const rensei_ring_t *ring,
                                                 rensei_str_t header,
                                                 rensei_typ_e *typ)
{
    int i, t;

    for (i = 0; i < ring->keys->nelts; i++) {
        const rensei_ring_key_t *key = key_at(ring, i);

        for (t = 0; t < RENSEI_TYP_COUNT; t++) {
            if (rensei_str_eq(header, key->header[t])) {
                *typ = t;
                return key;
            }
        }
    }
    return NULL;
}

const char *rensei_ring_key_kid(const rensei_ring_key_t *key)
{
    return key->kid;
}

rensei_alg_e rensei_ring_key_alg(const rensei_ring_key_t *key)
{
    return key->alg;
}

rensei_str_t rensei_ring_key_header(const rensei_ring_key_t *key,
                                    rensei_typ_e typ)
{
    return key->header[typ];
}

int rensei_ring_key_signs(const rensei_ring_key_t *key)
{
    return !key->pkey || key->signer;
}

int rensei_ring_key_bits(const rensei_ring_key_t *key)
{
    return key->bits;
}

apr_status_t rensei_ring_key_sign(const rensei_ring_key_t *key,
                                  unsigned char *sig, apr_size_t *siglen,
                                  const void *msg, apr_size_t n,
                                  rensei_err_t *err)
{
    if (!rensei_ring_key_signs(key)) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "A public key cannot sign.");
    }
    return key->family->sign(key, sig, siglen, msg, n)
               ? APR_SUCCESS
               : rensei_ring_openssl_failed(err);
}

int rensei_ring_key_verify(const rensei_ring_key_t *key,
                           const unsigned char *sig, apr_size_t siglen,
                           const void *msg, apr_size_t n)
{
    return key->family->verify(key, sig, siglen, msg, n);
}
