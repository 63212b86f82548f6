/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON Web Keys (RFC 7517, RFC 7518 6, RFC 8037 2), and their thumbprints
 * (RFC 7638).
 */
#include "rensei_b64.h"
#include "rensei_ring_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>

#define KID_MAX 256
#define NUMBER_MAX 1024 /* bytes: more than any that is taken, to tell why */
#define COORDINATE_MAX 48
#define POINT_MAX (1 + 2 * COORDINATE_MAX)

static apr_status_t refused(rensei_err_t *err, const char *text)
{
    ERR_clear_error();
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST, text);
}

/* ---- writing ---- */

static int bytes_put(json_t *jwk, const char *name, const unsigned char *bytes,
                     apr_size_t n)
{
    char text[RENSEI_B64URL_LEN(NUMBER_MAX) + 1];

    rensei_b64url_encode(text, bytes, n);
    return json_object_set_new(jwk, name, json_string(text)) == 0;
}

/* @param size how many bytes; 0: as many as it takes (RFC 7518 2) */
static int number_put(json_t *jwk, const char *name, const EVP_PKEY *pkey,
                      const char *param, apr_size_t size)
{
    unsigned char bytes[NUMBER_MAX];
    BIGNUM *number = NULL;
    int good, n = (int)size;

    if (!EVP_PKEY_get_bn_param(pkey, param, &number)) {
        return 0;
    }
    if (n == 0) {
        n = BN_num_bytes(number);
    }
    good = n <= NUMBER_MAX && BN_bn2binpad(number, bytes, n) == n &&
           bytes_put(jwk, name, bytes, (apr_size_t)n);
    BN_free(number);
    return good;
}

static int point_put(json_t *jwk, const EVP_PKEY *pkey, apr_size_t size)
{
    unsigned char bytes[COORDINATE_MAX];
    size_t n = sizeof(bytes);

    return EVP_PKEY_get_raw_public_key(pkey, bytes, &n) == 1 && n == size &&
           bytes_put(jwk, "x", bytes, n);
}

static int members_put(json_t *jwk, const EVP_PKEY *pkey,
                       const rensei_alg_row_t *row)
{
    if (!row->crv) {
        return number_put(jwk, "n", pkey, OSSL_PKEY_PARAM_RSA_N, 0) &&
               number_put(jwk, "e", pkey, OSSL_PKEY_PARAM_RSA_E, 0);
    }
    if (json_object_set_new(jwk, "crv", json_string(row->crv)) != 0) {
        return 0;
    }
    return row->group ? number_put(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X,
                                   row->size) &&
                            number_put(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y,
                                       row->size)
                      : point_put(jwk, pkey, row->size);
}

json_t *rensei_jwk_of(const EVP_PKEY *pkey, const rensei_alg_row_t *row)
{
    json_t *jwk = json_pack("{s:s}", "kty", row->kty);

    if (jwk && !members_put(jwk, pkey, row)) {
        json_decref(jwk);
        return NULL;
    }
    return jwk;
}

/* RFC 7638 3.2: exactly the required members, sorted, without white space. */
int rensei_jwk_thumbprint(char out[RENSEI_THUMBPRINT_LEN + 1],
                          const json_t *jwk)
{
    unsigned char md[SHA256_DIGEST_LENGTH];
    char text[RENSEI_RSA_BITS_MAX / 8 * 4];
    size_t n =
        json_dumpb(jwk, text, sizeof(text), JSON_COMPACT | JSON_SORT_KEYS);
    int good = n > 0 && n <= sizeof(text) &&
               SHA256((const unsigned char *)text, n, md);

    if (good) {
        rensei_b64url_encode(out, md, sizeof(md));
    }
    return good;
}

/* ---- reading ---- */

/* Members of a private key, or of a secret. */
static const char *const secrets[] = {"d",  "p",  "q",   "dp",
                                      "dq", "qi", "oth", "k"};

static int has_secret(const json_t *jwk)
{
    apr_size_t i;

    for (i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (json_object_get(jwk, secrets[i])) {
            return 1;
        }
    }
    return 0;
}

static int bytes_get(unsigned char *out, apr_size_t *n, apr_size_t max,
                     const json_t *jwk, const char *name)
{
    const json_t *value = json_object_get(jwk, name);
    apr_size_t len = json_string_length(value);

    return json_is_string(value) && len <= RENSEI_B64URL_LEN(max) &&
           rensei_b64url_decode(out, n, json_string_value(value), len) ==
               APR_SUCCESS;
}

/* RFC 7518 2, Base64urlUInt: a leading zero would make two texts of a key.
 * @return NULL for what is no such number */
static BIGNUM *number_get(const json_t *jwk, const char *name)
{
    unsigned char bytes[NUMBER_MAX];
    BIGNUM *number = NULL;
    apr_size_t n = 0;

    if (bytes_get(bytes, &n, sizeof(bytes), jwk, name) && n > 0 &&
        bytes[0] != 0) {
        number = BN_bin2bn(bytes, (int)n, NULL);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return number;
}

/* What EVP_PKEY_fromdata makes a key of. The builder only points to what it
 * is given, until it is done. */
typedef struct making_t {
    OSSL_PARAM_BLD *bld;
    BIGNUM *number[8];
    int count;
    unsigned char point[POINT_MAX];
} making_t;

static int number_add(making_t *m, const char *param, BIGNUM *number)
{
    if (!number) {
        return 0;
    }
    m->number[m->count++] = number;
    return OSSL_PARAM_BLD_push_BN(m->bld, param, number);
}

static int rsa_add(making_t *m, const json_t *jwk, int is_private)
{
    static const struct {
        const char *name, *param;
    } rows[] = {
        {"n", OSSL_PKEY_PARAM_RSA_N},
        {"e", OSSL_PKEY_PARAM_RSA_E},
        /* private */
        {"d", OSSL_PKEY_PARAM_RSA_D},
        {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
        {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };
    int i, count = is_private ? 8 : 2;

    for (i = 0; i < count; i++) {
        if (!number_add(m, rows[i].param, number_get(jwk, rows[i].name))) {
            return 0;
        }
    }
    return 1;
}

static int ec_private_add(making_t *m, const json_t *jwk, apr_size_t size)
{
    unsigned char d[COORDINATE_MAX];
    apr_size_t n;
    int good =
        bytes_get(d, &n, size, jwk, "d") && n == size &&
        number_add(m, OSSL_PKEY_PARAM_PRIV_KEY, BN_bin2bn(d, (int)n, NULL));

    OPENSSL_cleanse(d, sizeof(d));
    return good;
}

/* RFC 7518 6.2.1.2: coordinates in full length. */
static int ec_add(making_t *m, const json_t *jwk, const rensei_alg_row_t *row,
                  int is_private)
{
    const apr_size_t size = row->size;
    apr_size_t x, y;

    m->point[0] = POINT_CONVERSION_UNCOMPRESSED;
    return bytes_get(m->point + 1, &x, size, jwk, "x") && x == size &&
           bytes_get(m->point + 1 + size, &y, size, jwk, "y") && y == size &&
           OSSL_PARAM_BLD_push_utf8_string(m->bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           row->group, 0) &&
           OSSL_PARAM_BLD_push_octet_string(m->bld, OSSL_PKEY_PARAM_PUB_KEY,
                                            m->point, 1 + 2 * size) &&
           (!is_private || ec_private_add(m, jwk, size));
}

static EVP_PKEY *fromdata(const char *type, OSSL_PARAM_BLD *bld, int is_private)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY *pkey = NULL;

    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1) {
        EVP_PKEY_fromdata(ctx, &pkey,
                          is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                          params);
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* RSA and EC; OpenSSL makes no key of a point that is not on the curve. */
static EVP_PKEY *made(const json_t *jwk, const rensei_alg_row_t *row,
                      int is_private)
{
    making_t m = {.bld = OSSL_PARAM_BLD_new()};
    EVP_PKEY *pkey = NULL;
    int i;

    if (m.bld && (row->group ? ec_add(&m, jwk, row, is_private)
                             : rsa_add(&m, jwk, is_private))) {
        pkey = fromdata(row->type, m.bld, is_private);
    }
    for (i = 0; i < m.count; i++) {
        BN_clear_free(m.number[i]);
    }
    OSSL_PARAM_BLD_free(m.bld);
    return pkey;
}

/* Is y (Y) the coordinate of a point of Ed25519 that has the group's order?
 * With d = -121665/121666, the curve's x^2 = (y^2 - 1) / (d y^2 + 1) has a
 * solution where (y^2 - 1) (121666 - 121665 y^2) 121666 is a square; x is 0
 * for the orders 1 and 2, y is 0 for 4, and 121665 y^4 - 2 * 121666 y^2 +
 * 121666 is 0 for 8. Under a key of such an order one signature can be good
 * for any message. */
static int ed25519_good(const BIGNUM *y, const BIGNUM *p, BN_CTX *ctx)
{
    BIGNUM *y2 = BN_CTX_get(ctx), *u = BN_CTX_get(ctx), *v = BN_CTX_get(ctx);
    BIGNUM *eight = BN_CTX_get(ctx);

    return eight && BN_mod_sqr(y2, y, p, ctx) && BN_copy(u, y2) &&
           BN_sub_word(u, 1) && BN_copy(v, y2) && BN_mul_word(v, 121665) &&
           BN_sub_word(v, 121666) && /* the negative of what is said above */
           BN_mod_mul(eight, v, y2, p, ctx) && BN_mul_word(y2, 121666) &&
           BN_sub(eight, eight, y2) && BN_add_word(eight, 121666) &&
           BN_nnmod(eight, eight, p, ctx) && BN_mod_mul(u, u, v, p, ctx) &&
           BN_mul_word(u, 121666) && !BN_is_zero(y) && !BN_is_zero(eight) &&
           /* -1 is a square modulo p, so the sign does not count */
           BN_kronecker(u, p, ctx) == 1;
}

int rensei_ed25519_point(const unsigned char x[32])
{
    unsigned char bytes[32];
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *y, *p = BN_new();
    int good;

    memcpy(bytes, x, sizeof(bytes));
    bytes[31] &= 0x7f; /* the sign of the other coordinate */
    y = BN_lebin2bn(bytes, sizeof(bytes), NULL);
    good = ctx && y && p && BN_set_bit(p, 255) && BN_sub_word(p, 19) &&
           BN_cmp(y, p) < 0;
    if (good) {
        BN_CTX_start(ctx);
        good = ed25519_good(y, p, ctx);
        BN_CTX_end(ctx);
    }
    BN_free(y);
    BN_free(p);
    BN_CTX_free(ctx);
    return good;
}

static EVP_PKEY *okp_private(const json_t *jwk, const unsigned char x[32])
{
    unsigned char bytes[32];
    size_t n = sizeof(bytes);
    EVP_PKEY *pkey = NULL;

    if (bytes_get(bytes, &n, sizeof(bytes), jwk, "d") && n == sizeof(bytes)) {
        pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, n);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (pkey && (EVP_PKEY_get_raw_public_key(pkey, bytes, &n) != 1 ||
                 memcmp(bytes, x, sizeof(bytes)) != 0)) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static EVP_PKEY *okp(const json_t *jwk, int is_private)
{
    unsigned char x[32];
    apr_size_t n;

    if (!bytes_get(x, &n, sizeof(x), jwk, "x") || n != sizeof(x) ||
        !rensei_ed25519_point(x)) {
        return NULL;
    }
    return is_private
               ? okp_private(jwk, x)
               : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, n);
}

/* A member that may be left out, but then not be anything else than text. */
static int text_get(const char **out, const json_t *jwk, const char *name)
{
    const json_t *value = json_object_get(jwk, name);

    *out = json_string_value(value);
    return !value || (*out && json_string_length(value) == strlen(*out));
}

/* RFC 7517 4.3. What is not of signatures says that the key is for something
 * else, too. */
static int key_ops_allow(const json_t *jwk)
{
    const json_t *ops = json_object_get(jwk, "key_ops"), *op;
    int seen[2] = {0, 0};
    size_t i;

    json_array_foreach(ops, i, op)
    {
        const char *name = json_is_string(op) ? json_string_value(op) : "";
        int verify = strcmp(name, "verify") == 0;

        if ((!verify && strcmp(name, "sign") != 0) || seen[verify]++) {
            return 0;
        }
    }
    return !ops || seen[1];
}

static const char *usage_fault(rensei_jwk_t *out, const json_t *jwk)
{
    const char *use;

    if (!text_get(&out->kid, jwk, "kid") ||
        (out->kid && (!*out->kid || strlen(out->kid) > KID_MAX))) {
        return "The JSON Web Key's kid must be a text of 1 to 256 bytes.";
    }
    if (!text_get(&out->alg, jwk, "alg")) {
        return "The JSON Web Key's alg must be a text.";
    }
    if (!text_get(&use, jwk, "use") || (use && strcmp(use, "sig") != 0)) {
        return "The JSON Web Key's use must be sig.";
    }
    if (!key_ops_allow(jwk)) {
        return "The JSON Web Key's key_ops must have verify in it, and "
               "nothing that is not of signatures.";
    }
    return NULL;
}

/* Which kind of key: the first algorithm of that kty and crv. */
static const rensei_alg_row_t *kind_of(const json_t *jwk)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *crv = json_string_value(json_object_get(jwk, "crv"));
    int i;

    for (i = 0; kty && i < RENSEI_ALG_COUNT; i++) {
        const rensei_alg_row_t *row = rensei_alg_row(i);

        if (strcmp(row->kty, kty) == 0 &&
            (!row->crv || (crv && strcmp(row->crv, crv) == 0))) {
            return row;
        }
    }
    return NULL;
}

static apr_status_t secret_read(rensei_jwk_t *out, const json_t *jwk,
                                const rensei_alg_row_t *row, rensei_err_t *err)
{
    if (out->alg && strcmp(out->alg, row->name) != 0) {
        return refused(err, "The JSON Web Key's alg must be HS256.");
    }
    return bytes_get(out->secret, &out->secret_len, sizeof(out->secret), jwk,
                     "k")
               ? APR_SUCCESS
               : refused(err, "The JSON Web Key's k must be base64url.");
}

apr_status_t rensei_jwk_read(rensei_jwk_t *out, const json_t *jwk, int any,
                             rensei_err_t *err)
{
    const rensei_alg_row_t *row = kind_of(jwk);
    const char *fault;

    memset(out, 0, sizeof(*out));
    if (has_secret(jwk) && !any) {
        return refused(err, "The JSON Web Key has a private or secret part in "
                            "it. Only public keys belong here: make a new "
                            "pair, and keep its private part where it is.");
    }
    if (!row || (!row->type && !any)) {
        return refused(err, "The JSON Web Key must be one of the kty RSA, of "
                            "EC with the crv P-256 or P-384, or of OKP with "
                            "the crv Ed25519.");
    }
    if ((fault = usage_fault(out, jwk)) != NULL) {
        return refused(err, fault);
    }
    if (!row->type) {
        return secret_read(out, jwk, row, err);
    }
    out->is_private = json_object_get(jwk, "d") != NULL;
    out->pkey = row->group || !row->crv ? made(jwk, row, out->is_private)
                                        : okp(jwk, out->is_private);
    return out->pkey
               ? APR_SUCCESS
               : refused(err, "The JSON Web Key's numbers (n and e; x and y) "
                              "are missing, are not base64url of their exact "
                              "length, or are no point of its curve.");
}
