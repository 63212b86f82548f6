/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_b64.h"
#include "rensei_ring.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char secret_a[] = "a secret of thirty-two bytes, or more";
static const char secret_b[] = "another one, which signed before that";

static rensei_ring_t *new_ring(void)
{
    rensei_ring_t *ring;

    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    return ring;
}

static const rensei_ring_key_t *add(rensei_ring_t *ring, const void *secret,
                                    apr_size_t n, const char *kid)
{
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_secret(ring, secret, n, kid, &err), err);
    return rensei_ring_at(ring, rensei_ring_count(ring) - 1);
}

static void ck_mac(const rensei_ring_key_t *key, const void *msg, apr_size_t n,
                   const unsigned char *want)
{
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t len = 0;
    rensei_err_t err;

    ck_assert_ok(rensei_ring_key_sign(key, sig, &len, msg, n, &err), err);
    ck_assert_uint_eq(len, 32);
    ck_assert_mem_eq(sig, want, 32);
    ck_assert_int_eq(rensei_ring_key_verify(key, want, 32, msg, n), 1);
}

/* RFC 4231 4.7 and 4.8: the cases whose key is long enough to be one here,
 * and longer than a block. */
START_TEST(hmac_published)
{
    static const char first[] =
        "Test Using Larger Than Block-Size Key - Hash Key First";
    static const char second[] =
        "This is a test using a larger than block-size key and a larger than "
        "block-size data. The key needs to be hashed before being used by the "
        "HMAC algorithm.";
    static const unsigned char mac_first[] = {
        0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26,
        0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28,
        0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54};
    static const unsigned char mac_second[] = {
        0x9b, 0x09, 0xff, 0xa7, 0x1b, 0x94, 0x2f, 0xcb, 0x27, 0x63, 0x5f,
        0xbc, 0xd5, 0xb0, 0xe9, 0x44, 0xbf, 0xdc, 0x63, 0x64, 0x4f, 0x07,
        0x13, 0x93, 0x8a, 0x7f, 0x51, 0x53, 0x5c, 0x3a, 0x35, 0xe2};
    unsigned char secret[131];
    const rensei_ring_key_t *key;

    memset(secret, 0xaa, sizeof(secret));
    key = add(new_ring(), secret, sizeof(secret), NULL);
    ck_mac(key, first, sizeof(first) - 1, mac_first);
    ck_mac(key, second, sizeof(second) - 1, mac_second);
    ck_mac(key, first, sizeof(first) - 1, mac_first);
}
END_TEST

/* Around each block's end, key and message, against OpenSSL's own HMAC. */
START_TEST(hmac_lengths)
{
    unsigned char secret[140], msg[200], want[32];
    unsigned n;

    test_sys->random(test_sys->baton, secret, sizeof(secret));
    test_sys->random(test_sys->baton, msg, sizeof(msg));
    for (int k = RENSEI_SECRET_LEN_MIN; k <= 140; k++) {
        const rensei_ring_key_t *key =
            add(new_ring(), secret, (apr_size_t)k, NULL);

        for (apr_size_t m = 0; m <= sizeof(msg); m += 9) {
            ck_assert_ptr_nonnull(
                HMAC(EVP_sha256(), secret, k, msg, m, want, &n));
            ck_mac(key, msg, m, want);
        }
    }
}
END_TEST

static void ck_as_openssl(const rensei_ring_key_t *key, const void *msg,
                          apr_size_t n)
{
    unsigned char want[32];
    unsigned len;

    HMAC(EVP_sha256(), secret_a, 32, msg, n, want, &len);
    ck_mac(key, msg, n, want);
}

/* What begins with a header of the key, as its tokens do: headers from less
 * than a block to more than two, the whole of each, a part, more than that;
 * and what differs from it in one character. */
START_TEST(hmac_of_headers)
{
    char kid[65], msg[400];

    for (int len = 1; len <= 64; len += 3) {
        const rensei_ring_key_t *key;

        memset(kid, 'k', (apr_size_t)len);
        kid[len] = '\0';
        key = add(new_ring(), secret_a, 32, kid);
        for (int t = 0; t < RENSEI_TYP_COUNT; t++) {
            rensei_str_t h = rensei_ring_key_header(key, t);

            memset(msg, '.', sizeof(msg));
            memcpy(msg, h.p, h.n);
            for (apr_size_t n = 0; n <= h.n + 70; n++) {
                ck_as_openssl(key, msg, n);
            }
            for (apr_size_t i = 0; i <= h.n; i++) {
                msg[i] ^= 1;
                ck_as_openssl(key, msg, h.n + 70);
                msg[i] ^= 1;
            }
        }
    }
}
END_TEST

START_TEST(verify_bad)
{
    const rensei_ring_key_t *key =
        add(new_ring(), secret_a, sizeof(secret_a) - 1, NULL);
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t n;
    rensei_err_t err;

    ck_assert_ok(rensei_ring_key_sign(key, sig, &n, "message", 7, &err), err);
    for (int bit = 0; bit < 256; bit++) {
        sig[bit / 8] ^= (unsigned char)(1 << bit % 8);
        ck_assert_int_eq(rensei_ring_key_verify(key, sig, n, "message", 7), 0);
        sig[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    /* a truncated MAC is forged by guessing what is left of it */
    for (apr_size_t len = 0; len <= 64; len++) {
        ck_assert_int_eq(rensei_ring_key_verify(key, sig, len, "message", 7),
                         len == 32);
    }
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, 32, "messagf", 7), 0);
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, 32, "message", 6), 0);
    ck_assert_int_eq(rensei_ring_key_verify(key, sig, 32, "message", 7), 1);
}
END_TEST

START_TEST(kids)
{
    rensei_ring_t *ring = new_ring();
    const rensei_ring_key_t *a =
        add(ring, secret_a, sizeof(secret_a) - 1, NULL);
    const rensei_ring_key_t *b =
        add(ring, secret_b, sizeof(secret_b) - 1, "k-2");
    const char *kid = rensei_ring_key_kid(a);
    unsigned char mac[32];
    unsigned n;
    char first[3];

    ck_assert_uint_eq(strlen(kid), 16);
    ck_assert_uint_eq(strspn(kid, "0123456789abcdef"), 16);
    HMAC(EVP_sha256(), secret_a, sizeof(secret_a) - 1,
         (const unsigned char *)"rensei kid", 10, mac, &n);
    snprintf(first, sizeof(first), "%02x", mac[0]);
    ck_assert(strncmp(kid, first, 2) == 0);
    ck_assert_ptr_eq(rensei_ring_find(ring, rensei_str(kid)), a);
    ck_assert_ptr_eq(rensei_ring_find(ring, RENSEI_STR("k-2")), b);
    ck_assert_ptr_null(rensei_ring_find(ring, RENSEI_STR("k-")));
    ck_assert_ptr_null(rensei_ring_find(ring, RENSEI_STR("K-2")));
    ck_assert_ptr_null(rensei_ring_find(ring, RENSEI_STR("")));
    /* the same secret has the same kid, after a restart and elsewhere */
    ck_assert_str_eq(kid, rensei_ring_key_kid(add(new_ring(), secret_a,
                                                  sizeof(secret_a) - 1, NULL)));
}
END_TEST

START_TEST(order)
{
    rensei_ring_t *ring = new_ring();
    const rensei_ring_key_t *a, *b;

    ck_assert_ptr_null(rensei_ring_signer(ring));
    ck_assert_int_eq(rensei_ring_count(ring), 0);
    a = add(ring, secret_a, sizeof(secret_a) - 1, NULL);
    b = add(ring, secret_b, sizeof(secret_b) - 1, NULL);
    ck_assert_ptr_eq(rensei_ring_signer(ring), a);
    ck_assert_ptr_ne(a, b);
    ck_assert_int_eq(rensei_ring_count(ring), 2);
    ck_assert_ptr_eq(rensei_ring_at(ring, 0), a);
    ck_assert_ptr_null(rensei_ring_at(ring, 2));
    ck_assert_ptr_null(rensei_ring_at(ring, -1));
    ck_assert_int_eq(rensei_ring_key_alg(b), RENSEI_ALG_HS256);
    ck_assert_str_eq(rensei_alg_name(RENSEI_ALG_HS256), "HS256");
}
END_TEST

START_TEST(refused)
{
    rensei_ring_t *ring = new_ring();
    rensei_err_t err;

    /* RFC 7518 3.2: a shorter key is found by trying */
    ck_assert_err(rensei_ring_add_secret(ring, secret_a, 31, NULL, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_ring_add_secret(ring, secret_a, 0, NULL, &err), err,
                  RENSEI_E_INVALID_REQUEST);
    /* a kid is written into JSON as it stands */
    ck_assert_err(
        rensei_ring_add_secret(ring, secret_a, 32, "k\",\"alg\":\"none", &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_err(rensei_ring_add_secret(ring, secret_a, 32, "", &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(rensei_ring_count(ring), 0);

    add(ring, secret_a, 32, "k");
    ck_assert_err(rensei_ring_add_secret(ring, secret_b, 32, "k", &err), err,
                  RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
}
END_TEST

/* Configured twice, or under a name and without one: nothing is wrong. */
START_TEST(twice)
{
    rensei_ring_t *ring = new_ring();
    rensei_err_t err;

    add(ring, secret_a, sizeof(secret_a) - 1, NULL);
    add(ring, secret_a, sizeof(secret_a) - 1, NULL);
    ck_assert_int_eq(rensei_ring_count(ring), 1);
    add(ring, secret_a, sizeof(secret_a) - 1, "k");
    add(ring, secret_a, sizeof(secret_a) - 1, "k");
    ck_assert_int_eq(rensei_ring_count(ring), 2);
    ck_assert_err(
        rensei_ring_add_secret(ring, secret_a, sizeof(secret_a) - 2, "k", &err),
        err, RENSEI_E_INVALID_REQUEST);
    ck_assert_int_eq(rensei_ring_count(ring), 2);
}
END_TEST

START_TEST(headers)
{
    const rensei_ring_key_t *key = add(new_ring(), secret_a, 32, "k1");
    rensei_str_t h = rensei_ring_key_header(key, RENSEI_TYP_M2M);
    char json[128] = "";
    apr_size_t n;

    ck_assert_int_eq(rensei_b64url_decode(json, &n, h.p, h.n), APR_SUCCESS);
    ck_assert_str_eq(json,
                     "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}");
    h = rensei_ring_key_header(key, RENSEI_TYP_WORKER);
    memset(json, 0, sizeof(json));
    ck_assert_int_eq(rensei_b64url_decode(json, &n, h.p, h.n), APR_SUCCESS);
    ck_assert_str_eq(json, "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":"
                           "\"rensei-runtime+jwt\"}");
    h = rensei_ring_key_header(key, RENSEI_TYP_AT);
    memset(json, 0, sizeof(json));
    ck_assert_int_eq(rensei_b64url_decode(json, &n, h.p, h.n), APR_SUCCESS);
    ck_assert_str_eq(json,
                     "{\"alg\":\"HS256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}");
}
END_TEST

START_TEST(find_header)
{
    rensei_ring_t *ring = new_ring();
    const rensei_ring_key_t *key[2] = {add(ring, secret_a, 32, "a"),
                                       add(ring, secret_b, 32, "b")};
    rensei_typ_e typ;
    rensei_str_t h;

    for (int k = 0; k < 2; k++) {
        for (int t = 0; t < RENSEI_TYP_COUNT; t++) {
            h = rensei_ring_key_header(key[k], t);
            ck_assert_ptr_eq(rensei_ring_find_header(ring, h, &typ), key[k]);
            ck_assert_int_eq(typ, t);
            h.n--;
            ck_assert_ptr_null(rensei_ring_find_header(ring, h, &typ));
        }
    }
    ck_assert_ptr_null(rensei_ring_find_header(ring, RENSEI_STR(""), &typ));
}
END_TEST

Suite *suite_ring(void)
{
    TCase *tc;
    Suite *s = test_suite("ring", &tc);

    tcase_add_test(tc, hmac_published);
    tcase_add_test(tc, hmac_lengths);
    tcase_add_test(tc, hmac_of_headers);
    tcase_add_test(tc, verify_bad);
    tcase_add_test(tc, kids);
    tcase_add_test(tc, order);
    tcase_add_test(tc, refused);
    tcase_add_test(tc, twice);
    tcase_add_test(tc, headers);
    tcase_add_test(tc, find_header);
    return s;
}
