/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * JSON Web Keys from outside: a client's, which its administrator pasted from
 * somewhere. What is not exactly a public key for signatures is refused.
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

static json_t *copy(const json_t *jwk)
{
    return rensei_json_own(json_deep_copy(jwk), test_pool);
}

/* The JWK with a member of it replaced (value: JSON text) or removed. */
static json_t *with(const json_t *jwk, const char *name, const char *value)
{
    json_t *out = copy(jwk);

    json_object_del(out, name);
    if (value) {
        json_t *v = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        ck_assert_msg(v != NULL, "%s", value);
        json_object_set_new(out, name, v);
    }
    return out;
}

/* The same with that many bytes as its value. */
static json_t *with_bytes(const json_t *jwk, const char *name,
                          const void *bytes, apr_size_t n)
{
    return with(jwk, name,
                apr_psprintf(test_pool, "\"%s\"", test_b64(bytes, n)));
}

static const rensei_ring_key_t *taken(const json_t *jwk)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_jwk(ring, jwk, &err), err);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
    return rensei_ring_at(ring, 0);
}

static void refuse(const json_t *jwk, const char *part)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_err(rensei_ring_add_jwk(ring, jwk, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_msg(strstr(err.text, part) != NULL, "'%s' is not in: %s", part,
                  err.text);
    ck_assert_int_eq(err.text[strlen(err.text) - 1], '.');
    ck_assert_int_eq(rensei_ring_count(ring), 0);
}

static const char *thumbprint(const char *jwk)
{
    return rensei_ring_key_kid(taken(parse(jwk)));
}

#define RFC7638_N                                                    \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT"  \
    "86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2" \
    "W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY3" \
    "68QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08" \
    "qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0" \
    "Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define ED_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

/* RFC 7638 3.1, RFC 8037 A.3. */
START_TEST(thumbprints)
{
    ck_assert_str_eq(thumbprint("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N
                                "\",\"e\":\"AQAB\",\"alg\":\"RS256\"}"),
                     "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    /* of the key alone: no other member counts, nor their order */
    ck_assert_str_eq(thumbprint("{\"alg\":\"PS256\",\"use\":\"sig\",\"x\":1,"
                                "\"e\":\"AQAB\",\"n\":\"" RFC7638_N
                                "\",\"kty\":\"RSA\"}"),
                     "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    ck_assert_str_eq(
        thumbprint("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}"),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
END_TEST

static json_t *rsa_jwk(void)
{
    return parse("{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\"}");
}

static json_t *ed_jwk(void)
{
    return parse("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\"}");
}

/* The key of RFC 7515 A.3. */
static json_t *ec_jwk(void)
{
    return parse("{\"kty\":\"EC\",\"crv\":\"P-256\","
                 "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                 "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
}

/* A key goes in and comes out the same, and with what it means said. */
START_TEST(there_and_back)
{
    static const char *const kinds[] = {"RSA", "P-256", "P-384", "ED25519"};

    for (int i = 0; i < 4; i++) {
        EVP_PKEY *pkey = test_pkey(kinds[i]);
        json_t *jwk = test_jwk(pkey);
        unsigned char sig[RENSEI_SIG_LEN_MAX];
        const rensei_ring_key_t *key = taken(jwk);
        const char *alg = json_string_value(json_object_get(jwk, "alg"));
        apr_size_t n = test_sign(sig, pkey, alg, "message");

        ck_assert_str_eq(rensei_alg_name(rensei_ring_key_alg(key)), alg);
        ck_assert_str_eq(rensei_ring_key_kid(key), "k");
        ck_assert_int_eq(rensei_ring_key_signs(key), 0);
        ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "message", 7), 1);
        ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "messagf", 7), 0);
    }
}
END_TEST

/* Whoever can read a client's JWKS could be the client. */
START_TEST(private_parts)
{
    static const char *const names[] = {"d",  "p",  "q",   "dp",
                                        "dq", "qi", "oth", "k"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        refuse(with(rsa_jwk(), names[i], "\"AQ\""), "private");
        refuse(with(ec_jwk(), names[i], "null"), "private");
        refuse(with(ed_jwk(), names[i], "[]"), "private");
    }
    refuse(parse("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":"
                 "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}"),
           "private");
    refuse(parse("{\"kty\":\"oct\",\"alg\":\"HS256\"}"), "kty");
}
END_TEST

START_TEST(kty_and_crv)
{
    refuse(parse("[]"), "kty");
    refuse(json_null(), "kty");
    refuse(parse("{}"), "kty");
    refuse(with(rsa_jwk(), "kty", "\"rsa\""), "kty");
    refuse(with(rsa_jwk(), "kty", "1"), "kty");
    refuse(with(rsa_jwk(), "kty", "\"EC\""), "kty");
    refuse(with(ec_jwk(), "kty", "\"OKP\""), "kty");
    refuse(with(ec_jwk(), "crv", NULL), "crv");
    refuse(with(ec_jwk(), "crv", "\"P-521\""), "crv");
    refuse(with(ec_jwk(), "crv", "\"p-256\""), "crv");
    refuse(with(ec_jwk(), "crv", "\"prime256v1\""), "crv");
    refuse(with(ec_jwk(), "crv", "\"secp256k1\""), "crv");
    refuse(with(ec_jwk(), "crv", "256"), "crv");
    refuse(with(ec_jwk(), "crv", "\"Ed25519\""), "crv");
    refuse(with(ed_jwk(), "crv", "\"P-256\""), "crv");
    refuse(with(ed_jwk(), "crv", "\"X25519\""), "crv");
    refuse(with(ed_jwk(), "crv", "\"Ed448\""), "crv");
    /* the coordinates of one curve under the name of another */
    refuse(with(ec_jwk(), "crv", "\"P-384\""), "numbers");
}
END_TEST

/* RFC 8725 3.1: the key has one algorithm, which is of its kind. */
START_TEST(algs)
{
    static const char *const names[] = {"RS256", "PS256", "ES256", "ES384",
                                        "EdDSA", "HS256", "RS512", "none",
                                        "",      "rs256", "ES521"};
    const json_t *jwk[3] = {rsa_jwk(), ec_jwk(), ed_jwk()};
    static const char fits[3][11] = {{1, 1}, {0, 0, 1}, {0, 0, 0, 0, 1}};

    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 11; i++) {
            json_t *said = with(jwk[k], "alg",
                                apr_psprintf(test_pool, "\"%s\"", names[i]));
            if (fits[k][i]) {
                ck_assert_str_eq(
                    rensei_alg_name(rensei_ring_key_alg(taken(said))),
                    names[i]);
            }
            else {
                refuse(said, "algorithm");
            }
        }
        refuse(with(jwk[k], "alg", "null"), "alg");
        refuse(with(jwk[k], "alg", "[\"RS256\"]"), "alg");
    }
    ck_assert_int_eq(rensei_ring_key_alg(taken(jwk[0])), RENSEI_ALG_RS256);
}
END_TEST

/* A key for encryption is one that whoever decrypts with it may have lent to
 * an oracle. */
START_TEST(usage)
{
    static const char *const bad_ops[] = {
        "[]",
        "[\"sign\"]",
        "[\"encrypt\"]",
        "[\"verify\",\"encrypt\"]",
        "[\"verify\",\"verify\"]",
        "[\"sign, verify\"]",
        "[\"verify\",1]",
        "[null]",
        "\"verify\"",
        "null",
        "{\"verify\":true}",
    };

    refuse(with(ec_jwk(), "use", "\"enc\""), "use");
    refuse(with(ec_jwk(), "use", "\"SIG\""), "use");
    refuse(with(ec_jwk(), "use", "\"\""), "use");
    refuse(with(ec_jwk(), "use", "null"), "use");
    refuse(with(ec_jwk(), "use", "[\"sig\"]"), "use");
    for (size_t i = 0; i < sizeof(bad_ops) / sizeof(bad_ops[0]); i++) {
        refuse(with(ec_jwk(), "key_ops", bad_ops[i]), "key_ops");
        refuse(with(with(ec_jwk(), "use", "\"sig\""), "key_ops", bad_ops[i]),
               "key_ops");
    }
    refuse(with(with(ec_jwk(), "use", "\"enc\""), "key_ops", "[\"verify\"]"),
           "use");
    taken(with(ec_jwk(), "use", "\"sig\""));
    taken(with(ec_jwk(), "key_ops", "[\"verify\"]"));
    taken(with(ec_jwk(), "key_ops", "[\"sign\",\"verify\"]"));
    taken(with(ec_jwk(), "x5t", "\"not looked at\""));
}
END_TEST

START_TEST(kids)
{
    char *longest = apr_psprintf(test_pool, "\"%0256d\"", 7);

    refuse(with(ec_jwk(), "kid", "\"\""), "kid");
    refuse(with(ec_jwk(), "kid", "1"), "kid");
    refuse(with(ec_jwk(), "kid", "null"), "kid");
    refuse(with(ec_jwk(), "kid", "\"a\\u0000b\""), "kid");
    refuse(with(ec_jwk(), "kid", apr_psprintf(test_pool, "\"%0257d\"", 7)),
           "kid");
    ck_assert_uint_eq(
        strlen(rensei_ring_key_kid(taken(with(ec_jwk(), "kid", longest)))),
        256);
    ck_assert_str_eq(
        rensei_ring_key_kid(
            taken(with(ec_jwk(), "kid", "\"bilbo@hobbiton.example/\\u00e9\""))),
        "bilbo@hobbiton.example/\xc3\xa9");
}
END_TEST

/* A kid that is more than a kid where it is put into JSON as it stands. */
START_TEST(kid_quoted)
{
    EVP_PKEY *pkey = test_pkey("P-256");
    json_t *jwk = with(test_jwk(pkey), "kid", "\"k\\\",\\\"alg\\\":\\\"none\"");
    rensei_ring_t *ring = test_ring();
    rensei_str_t h;
    rensei_err_t err;
    char text[256] = "";
    apr_size_t n;

    ck_assert_ok(rensei_ring_add_jwk(ring, jwk, &err), err);
    h = rensei_ring_key_header(rensei_ring_at(ring, 0), RENSEI_TYP_M2M);
    ck_assert_int_eq(rensei_b64url_decode(text, &n, h.p, h.n), APR_SUCCESS);
    ck_assert_str_eq(text, "{\"alg\":\"ES256\",\"kid\":\"k\\\",\\\"alg\\\":"
                           "\\\"none\",\"typ\":\"JWT\"}");
}
END_TEST

/* One key has one text (RFC 7515 2), or two of them pass for two keys. */
START_TEST(base64url)
{
    static const char *const names[] = {"n", "e", "x", "y"};

    for (int i = 0; i < 4; i++) {
        json_t *jwk = i < 2 ? rsa_jwk() : ec_jwk();
        const char *good = json_string_value(json_object_get(jwk, names[i]));
        const char *const bad[] = {
            "\"\"",
            "null",
            "65537",
            "[1]",
            apr_psprintf(test_pool, "\"%s=\"", good),
            apr_psprintf(test_pool, "\" %s\"", good),
            apr_psprintf(test_pool, "\"%s\\n\"", good),
            apr_psprintf(test_pool, "\"%.*s+\"", (int)strlen(good) - 1, good),
            apr_psprintf(test_pool, "\"%s\\u0000\"", good),
            apr_psprintf(test_pool, "\"AA%s\"", good),
        };

        refuse(with(jwk, names[i], NULL), "numbers");
        refuse(with(jwk, names[i], apr_psprintf(test_pool, "\"%sA\"", good)),
               "");
        for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
            refuse(with(jwk, names[i], bad[b]), "numbers");
        }
    }
    refuse(
        with(ec_jwk(), "y", "\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\""),
        "numbers"); /* bits that nobody reads */
}
END_TEST

START_TEST(rsa_numbers)
{
    unsigned char n[1100];
    apr_size_t len;
    const char *text = json_string_value(json_object_get(rsa_jwk(), "n"));

    ck_assert_int_eq(rensei_b64url_decode(n + 1, &len, text, strlen(text)),
                     APR_SUCCESS);
    ck_assert_uint_eq(len, 256);
    n[0] = 0; /* RFC 7518 6.3.1.1: no leading zero */
    refuse(with_bytes(rsa_jwk(), "n", n, 257), "numbers");
    refuse(with_bytes(rsa_jwk(), "n", n + 1, 255), "bits");
    refuse(with(rsa_jwk(), "e", "\"AAEAAQ\""), "numbers");
    refuse(with(rsa_jwk(), "e", "\"AA\""), "numbers");  /* 0 */
    refuse(with(rsa_jwk(), "e", "\"AQ\""), "exponent"); /* 1: no secret */
    refuse(with(rsa_jwk(), "e", "\"Ag\""), "exponent"); /* 2 */
    refuse(with(rsa_jwk(), "e", "\"AQAA\""), "exponent");
    refuse(with(rsa_jwk(), "e", "\"AQAAAAAAAAAB\""), "exponent"); /* 65 bits */
    refuse(with_bytes(rsa_jwk(), "e", n + 1, 256), "exponent");
    taken(with(rsa_jwk(), "e", "\"Aw\""));          /* 3 */
    taken(with(rsa_jwk(), "e", "\"gAAAAAAAAAE\"")); /* 64 bits */
    n[256] &= 0xfe;
    refuse(with_bytes(rsa_jwk(), "n", n + 1, 256), "odd");
    n[256] |= 1;
    n[1] &= 0x7f;
    refuse(with_bytes(rsa_jwk(), "n", n + 1, 256), "bits"); /* 2047 */
    memset(n, 0xff, sizeof(n));
    taken(with_bytes(rsa_jwk(), "n", n, 512));
    n[0] = 1;
    refuse(with_bytes(rsa_jwk(), "n", n, 513), "bits"); /* 4097 */
    refuse(with_bytes(rsa_jwk(), "n", n, 1024), "bits");
    refuse(with_bytes(rsa_jwk(), "n", n, 1100), "numbers");
}
END_TEST

static int is_prime(BN_ULONG p)
{
    BN_ULONG d;

    for (d = 3; d * d <= p; d += 2) {
        if (p % d == 0) {
            return 0;
        }
    }
    return 1;
}

/* CVE-2017-15361: primes of a known form, as a chip made them, whose product
 * is a power of 65537 modulo each small prime. Such a modulus is made here:
 * 65537^12345 modulo the product of those, and multiples of that product. */
START_TEST(rsa_roca)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *m = BN_new(), *n = BN_new(), *k = BN_new(), *power = BN_new();
    unsigned char bytes[256];

    ck_assert(BN_one(m) && BN_set_word(n, 65537) && BN_set_word(power, 12345));
    for (BN_ULONG p = 3; p <= 167; p += 2) {
        ck_assert(!is_prime(p) || BN_mul_word(m, p));
    }
    ck_assert(BN_mod_exp(n, n, power, m, ctx));
    /* of 2048 bits, and odd */
    ck_assert(BN_set_bit(k, 2047) && BN_div(k, NULL, k, m, ctx) &&
              BN_add_word(k, 1) && BN_mul(k, k, m, ctx) && BN_add(n, n, k));
    ck_assert(BN_is_odd(n) || BN_add(n, n, m));
    BN_bn2binpad(n, bytes, sizeof(bytes));
    refuse(with_bytes(rsa_jwk(), "n", bytes, sizeof(bytes)), "CVE-2017-15361");
    /* its neighbour is no such power */
    BN_add_word(n, 2);
    BN_bn2binpad(n, bytes, sizeof(bytes));
    taken(with_bytes(rsa_jwk(), "n", bytes, sizeof(bytes)));
    BN_free(m);
    BN_free(n);
    BN_free(k);
    BN_free(power);
    BN_CTX_free(ctx);
}
END_TEST

/* An invalid point leads to a group whose secrets are found; one of a wrong
 * length can be read in two ways. */
START_TEST(ec_points)
{
    static const char *const curves[] = {"P-256", "P-384"};

    for (int i = 0; i < 2; i++) {
        json_t *jwk = test_jwk(test_pkey(curves[i]));
        const char *text = json_string_value(json_object_get(jwk, "y"));
        unsigned char bytes[49] = {0};
        apr_size_t n;

        taken(jwk);
        ck_assert_int_eq(
            rensei_b64url_decode(bytes + 1, &n, text, strlen(text)),
            APR_SUCCESS);
        refuse(with_bytes(jwk, "y", bytes, n + 1), "numbers");
        refuse(with_bytes(jwk, "y", bytes + 1, n - 1), "numbers");
        refuse(with_bytes(jwk, "y", bytes + 2, n - 1), "numbers");
        bytes[n] ^= 1;
        refuse(with_bytes(jwk, "y", bytes + 1, n), "no point");
        memset(bytes, 0, sizeof(bytes));
        refuse(with_bytes(jwk, "y", bytes, n), "no point");
        refuse(with_bytes(with_bytes(jwk, "x", bytes, n), "y", bytes, n),
               "no point");
        memset(bytes, 0xff, sizeof(bytes));
        refuse(with_bytes(jwk, "y", bytes, n), "no point");
    }
}
END_TEST

/* A coordinate that ends in a zero byte, without it: put into a buffer of
 * zeros it is the right one. */
START_TEST(ec_short_coordinates)
{
    static const char *const names[] = {"x", "y"};
    unsigned char bytes[33] = {[31] = 1};
    apr_size_t n = 0;

    for (int i = 0; i < 2; i++) {
        json_t *jwk = NULL;

        bytes[31] = 1;
        for (int tries = 0; tries < 20000 && bytes[31] != 0; tries++) {
            const char *text;

            jwk = test_jwk(test_pkey("P-256"));
            text = json_string_value(json_object_get(jwk, names[i]));
            ck_assert_int_eq(
                rensei_b64url_decode(bytes, &n, text, strlen(text)),
                APR_SUCCESS);
        }
        ck_assert_int_eq(bytes[31], 0);
        taken(jwk);
        refuse(with_bytes(jwk, names[i], bytes, 31), "numbers");
    }
}
END_TEST

static json_t *ed_with(const unsigned char x[32])
{
    return with_bytes(ed_jwk(), "x", x, 32);
}

START_TEST(ed25519_points)
{
    unsigned char x[32] = {0};
    int good = 0;

    /* half of all numbers are a point's */
    for (int i = 0; i < 64; i++) {
        rensei_ring_t *ring = test_ring();
        rensei_err_t err;

        x[0] = (unsigned char)(2 + i);
        good += rensei_ring_add_jwk(ring, ed_with(x), &err) == APR_SUCCESS;
    }
    ck_assert_int_gt(good, 16);
    ck_assert_int_lt(good, 48);
    /* and every key is one */
    for (int i = 0; i < 200; i++) {
        size_t n = sizeof(x);

        ck_assert(EVP_PKEY_get_raw_public_key(test_pkey("ED25519"), x, &n));
        taken(ed_with(x));
    }
    refuse(with_bytes(ed_jwk(), "x", x, 31), "numbers");
    refuse(with_bytes(ed_jwk(), "x", "0123456789abcdef0123456789abcdef0", 33),
           "numbers");
}
END_TEST

/* The points of small order, under which OpenSSL takes one signature for
 * good whatever the message; and numbers beyond the field. */
START_TEST(ed25519_small_order)
{
    static const unsigned char eight[2][32] = {
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
         0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
         0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
         0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
         0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}};
    unsigned char x[32];

    for (int sign = 0; sign < 2; sign++) {
        for (int i = 0; i < 2; i++) {
            memcpy(x, eight[i], 32);
            x[31] |= (unsigned char)(sign << 7);
            refuse(ed_with(x), "no point");
        }
        memset(x, 0, 32); /* 0: order 4 */
        x[31] = (unsigned char)(sign << 7);
        refuse(ed_with(x), "no point");
        x[0] = 1; /* 1: order 1 */
        refuse(ed_with(x), "no point");
        memset(x, 0xff, 32);
        x[31] = (unsigned char)(0x7f | sign << 7);
        for (int low = 0xec; low <= 0xff; low++) { /* -1: order 2; p and on */
            x[0] = (unsigned char)low;
            refuse(ed_with(x), "no point");
        }
    }
}
END_TEST

static json_t *set_of(json_t *a, json_t *b)
{
    return rensei_json_own(json_pack("{s:[O, O*]}", "keys", a, b), test_pool);
}

static void refuse_set(const json_t *set, const char *part)
{
    rensei_err_t err;

    ck_assert_err(rensei_ring_add_jwks(test_ring(), set, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_msg(strstr(err.text, part) != NULL, "%s", err.text);
}

static json_t *many_keys(int count)
{
    json_t *keys = json_array();

    for (int i = 0; i < count; i++) {
        json_array_append(
            keys, with(ed_jwk(), "kid", apr_psprintf(test_pool, "\"k%d\"", i)));
    }
    return rensei_json_own(json_pack("{s:o}", "keys", keys), test_pool);
}

START_TEST(sets)
{
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    refuse_set(NULL, "JWK Set");
    refuse_set(parse("{}"), "JWK Set");
    refuse_set(parse("[]"), "JWK Set");
    refuse_set(ec_jwk(), "JWK Set");
    refuse_set(parse("{\"keys\":[]}"), "JWK Set");
    refuse_set(parse("{\"keys\":{\"kty\":\"EC\"}}"), "JWK Set");
    refuse_set(parse("{\"keys\":[1]}"), "kty");
    refuse_set(many_keys(RENSEI_JWKS_KEYS_MAX + 1), "JWK Set");
    ck_assert_ok(
        rensei_ring_add_jwks(ring, many_keys(RENSEI_JWKS_KEYS_MAX), &err), err);
    ck_assert_int_eq(rensei_ring_count(ring), RENSEI_JWKS_KEYS_MAX);
    /* one that is not taken is not passed over */
    refuse_set(set_of(ec_jwk(), with(ed_jwk(), "d", "\"AA\"")), "private");
    refuse_set(set_of(ec_jwk(), with(ed_jwk(), "use", "\"enc\"")), "use");
    /* which of two keys of one kid verifies would be the order's to say */
    refuse_set(
        set_of(with(ec_jwk(), "kid", "\"k\""), with(ed_jwk(), "kid", "\"k\"")),
        "same kid");
    ring = test_ring();
    ck_assert_ok(rensei_ring_add_jwks(ring, set_of(ec_jwk(), ec_jwk()), &err),
                 err);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
}
END_TEST

/* For vectors alone: what a client's set must not have. */
START_TEST(any)
{
    json_t *secret = parse("{\"kty\":\"oct\",\"k\":"
                           "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T\"}");
    json_t *d =
        with(ec_jwk(), "d", "\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"");
    rensei_ring_t *ring = test_ring();
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_jwk_any(ring, d, &err), err);
    ck_assert_ok(rensei_ring_add_jwk_any(ring, secret, &err), err);
    ck_assert_int_eq(rensei_ring_count(ring), 2);
    ck_assert_int_eq(rensei_ring_key_signs(rensei_ring_at(ring, 0)), 1);
    ck_assert_int_eq(rensei_ring_key_alg(rensei_ring_at(ring, 1)),
                     RENSEI_ALG_HS256);
    ring = test_ring();
    /* the private number of another point */
    ck_assert_err(
        rensei_ring_add_jwk_any(
            ring,
            with(d, "d", "\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LM\""),
            &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_ring_add_jwk_any(
                      ring,
                      with(ed_jwk(), "d",
                           "\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""),
                      &err),
                  err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(
        rensei_ring_add_jwk_any(ring, with(secret, "alg", "\"A256GCM\""), &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(
        rensei_ring_add_jwk_any(ring, with(secret, "k", "\"AAECAwQ\""), &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(rensei_ring_count(ring), 0);
}
END_TEST

Suite *suite_jwk(void)
{
    TCase *tc;
    Suite *s = test_suite("jwk", &tc);

    tcase_add_test(tc, thumbprints);
    tcase_add_test(tc, there_and_back);
    tcase_add_test(tc, private_parts);
    tcase_add_test(tc, kty_and_crv);
    tcase_add_test(tc, algs);
    tcase_add_test(tc, usage);
    tcase_add_test(tc, kids);
    tcase_add_test(tc, kid_quoted);
    tcase_add_test(tc, base64url);
    tcase_add_test(tc, rsa_numbers);
    tcase_add_test(tc, rsa_roca);
    tcase_add_test(tc, ec_points);
    tcase_add_test(tc, ec_short_coordinates);
    tcase_add_test(tc, ed25519_points);
    tcase_add_test(tc, ed25519_small_order);
    tcase_add_test(tc, sets);
    tcase_add_test(tc, any);
    return s;
}
