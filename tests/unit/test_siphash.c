/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "unit.h"
#include "rensei_siphash.h"

#include <openssl/evp.h>
#include <openssl/params.h>

static apr_uint64_t little(const unsigned char *p)
{
    apr_uint64_t out = 0;

    for (int i = 7; i >= 0; i--) {
        out = out << 8 | p[i];
    }
    return out;
}

/* As OpenSSL has it. @return 0 where it has none */
static int reference(unsigned char out[16], const unsigned char key[16],
                     const unsigned char *data, apr_size_t n)
{
    size_t size = 16, len = 0;
    unsigned c = 1, d = 3;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t("size", &size),
                           OSSL_PARAM_construct_uint("c-rounds", &c),
                           OSSL_PARAM_construct_uint("d-rounds", &d),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    int good = ctx && EVP_MAC_init(ctx, key, 16, params) &&
               EVP_MAC_update(ctx, data, n) &&
               EVP_MAC_final(ctx, out, &len, 16) && len == 16;

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return good;
}

static void fill(unsigned char *to, apr_size_t n)
{
    for (apr_size_t i = 0; i < n; i++) {
        to[i] = (unsigned char)i;
    }
}

static void check(const unsigned char want[16], const unsigned char *text,
                  apr_size_t n)
{
    unsigned char key[16];
    apr_uint64_t out[2], words[2];

    fill(key, sizeof(key));
    words[0] = little(key);
    words[1] = little(key + 8);
    rensei_siphash(out, words, little(text), text + 8, n - 8);
    ck_assert_msg(out[0] == little(want) && out[1] == little(want + 8),
                  "of %d bytes", (int)n);
}

/* Every length of the last block, more than 255 bytes, whatever alignment. */
START_TEST(as_openssl)
{
    unsigned char buf[1024], key[16], want[16];

    fill(buf, sizeof(buf));
    fill(key, sizeof(key));
    for (apr_size_t n = 8; n < 600; n++) {
        const unsigned char *text = buf + n % 9;

        ck_assert_msg(reference(want, key, text, n), "OpenSSL has no SipHash");
        check(want, text, n);
    }
}
END_TEST

START_TEST(all_counts)
{
    const apr_uint64_t key[2] = {1, 2}, other[2] = {1, 3};
    apr_uint64_t a[2], b[2];

    rensei_siphash(a, key, 7, "text", 4);
    rensei_siphash(b, key, 8, "text", 4);
    ck_assert(a[0] != b[0] && a[1] != b[1]);
    rensei_siphash(b, other, 7, "text", 4);
    ck_assert(a[0] != b[0] && a[1] != b[1]);
    rensei_siphash(b, key, 7, "tex", 3);
    ck_assert(a[0] != b[0] && a[1] != b[1]);
    /* a NUL at the end is not the padding */
    rensei_siphash(b, key, 7, "text\0", 5);
    ck_assert(a[0] != b[0] && a[1] != b[1]);
    rensei_siphash(b, key, 7, "text", 4);
    ck_assert(a[0] == b[0] && a[1] == b[1]);
}
END_TEST

Suite *suite_siphash(void)
{
    TCase *tc;
    Suite *s = test_suite("siphash", &tc);

    tcase_add_test(tc, as_openssl);
    tcase_add_test(tc, all_counts);
    return s;
}
