/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The JWS layer: what is signed, and by what key. Tokens are made here with
 * OpenSSL's HMAC and not with the code under test, so that whatever an
 * attacker can write can be written.
 */
#include "unit.h"
#include "rensei_b64.h"
#include "rensei_jwt.h"

#include <apr_strings.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char secret_a[] = "the secret that signs, of 32 bytes";
static const char secret_b[] = "an older one that still verifies..";
static const char secret_x[] = "one which this ring does not know!";

static rensei_ring_t *ring; /* of a (kid "ka") and b (kid "kb") */

static void add(rensei_ring_t *to, const char *secret, const char *kid)
{
    rensei_err_t err;

    ck_assert_ok(rensei_ring_add_secret(to, secret, strlen(secret), kid, &err),
                 err);
}

static void ring_setup(void)
{
    ck_assert_int_eq(rensei_ring_create(&ring, test_pool), APR_SUCCESS);
    add(ring, secret_a, "ka");
    add(ring, secret_b, "kb");
}

static const char *b64(const void *bytes, apr_size_t n)
{
    char *out = apr_palloc(test_pool, RENSEI_B64URL_LEN(n) + 1);

    rensei_b64url_encode(out, bytes, n);
    return out;
}

/* A token of that header, with an HMAC over it under that secret. */
static const char *forge(const char *header, const char *payload,
                         const char *secret, const EVP_MD *md)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const char *input = apr_pstrcat(test_pool, b64(header, strlen(header)), ".",
                                    b64(payload, strlen(payload)), NULL);

    HMAC(md, secret, (int)strlen(secret), (const unsigned char *)input,
         strlen(input), mac, &n);
    return apr_pstrcat(test_pool, input, ".", b64(mac, n), NULL);
}

static const char *token_of(const char *header, const char *secret)
{
    return forge(header, "{\"x\":1}", secret, EVP_sha256());
}

static rensei_jws_t taken_by(const rensei_ring_t *r, const char *token)
{
    rensei_jws_t jws;
    rensei_err_t err;

    memset(&jws, 0, sizeof(jws));
    ck_assert_ok(
        rensei_jws_verify(&jws, token, strlen(token), r, test_pool, &err), err);
    return jws;
}

static rensei_jws_t taken(const char *token)
{
    return taken_by(ring, token);
}

static const char *refuse_by(const rensei_ring_t *r, const char *token,
                             apr_size_t n)
{
    rensei_jws_t jws = {{"untouched", 9}, RENSEI_TYP_M2M, NULL};
    rensei_err_t err = {RENSEI_E_NONE, NULL, NULL, NULL};
    apr_status_t rv = rensei_jws_verify(&jws, token, n, r, test_pool, &err);

    ck_assert_msg(rv != APR_SUCCESS, "accepted: %s", token);
    ck_assert_msg(err.code == RENSEI_E_INVALID_TOKEN, "%s: %s", token,
                  rensei_code_name(err.code));
    ck_assert_msg(err.text[strlen(err.text) - 1] == '.', "%s", err.text);
    ck_assert_str_eq(jws.payload.p, "untouched");
    ck_assert_ptr_null(jws.key);
    return err.text;
}

static const char *refuse(const char *token)
{
    return refuse_by(ring, token, strlen(token));
}

/* Signed by key a, so that the header alone is at fault. */
static const char *refuse_header(const char *header)
{
    return refuse(token_of(header, secret_a));
}

static rensei_jws_t taken_header(const char *header)
{
    return taken(token_of(header, secret_a));
}

#define ck_payload(jws, lit)                                     \
    ck_assert_msg(rensei_str_eq((jws).payload, RENSEI_STR(lit)), \
                  "payload '%.*s'", (int)(jws).payload.n, (jws).payload.p)

START_TEST(sign_and_verify)
{
    const char *token = NULL;
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_ok(
        rensei_jws_sign(&token, ring, "JWT", "{\"a\":1}", test_pool, &err),
        err);
    ck_assert_str_eq(token,
                     forge("{\"alg\":\"HS256\",\"kid\":\"ka\",\"typ\":\"JWT\"}",
                           "{\"a\":1}", secret_a, EVP_sha256()));
    jws = taken(token);
    ck_payload(jws, "{\"a\":1}");
    ck_assert_int_eq(jws.typ, RENSEI_TYP_M2M);
    ck_assert_str_eq(rensei_ring_key_kid(jws.key), "ka");
    ck_assert_ok(rensei_jws_sign(&token, ring, RENSEI_TYP_RUNTIME, "{}",
                                 test_pool, &err),
                 err);
    ck_assert_int_eq(taken(token).typ, RENSEI_TYP_WORKER);
    /* RFC 9068 2.1: another name, and the same rights */
    ck_assert_ok(
        rensei_jws_sign(&token, ring, RENSEI_TYP_ACCESS, "{}", test_pool, &err),
        err);
    ck_assert_str_eq(
        token, forge("{\"alg\":\"HS256\",\"kid\":\"ka\",\"typ\":\"at+jwt\"}",
                     "{}", secret_a, EVP_sha256()));
    ck_assert_int_eq(taken(token).typ, RENSEI_TYP_M2M);
}
END_TEST

START_TEST(sign_refused)
{
    char *large = apr_palloc(test_pool, RENSEI_TOKEN_LEN_MAX);
    const char *token = NULL;
    rensei_ring_t *empty;
    rensei_err_t err;

    ck_assert_int_eq(rensei_ring_create(&empty, test_pool), APR_SUCCESS);
    ck_assert_err(rensei_jws_sign(&token, empty, "JWT", "{}", test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(rensei_jws_sign(&token, NULL, "JWT", "{}", test_pool, &err),
                  err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(rensei_jws_sign(&token, ring, "jwt", "{}", test_pool, &err),
                  err, RENSEI_E_INTERNAL);
    ck_assert_err(rensei_jws_sign(&token, ring, "client-authentication+jwt",
                                  "{}", test_pool, &err),
                  err, RENSEI_E_INTERNAL);
    /* what is signed must be short enough to be taken back */
    memset(large, ' ', RENSEI_TOKEN_LEN_MAX);
    large[RENSEI_TOKEN_LEN_MAX - 1] = '\0';
    ck_assert_err(rensei_jws_sign(&token, ring, "JWT", large, test_pool, &err),
                  err, RENSEI_E_INTERNAL);
    ck_assert_ptr_null(token);
    large[6000] = '\0';
    ck_assert_ok(rensei_jws_sign(&token, ring, "JWT", large, test_pool, &err),
                 err);
    taken(token);
}
END_TEST

START_TEST(no_key)
{
    const char *token = token_of("{\"alg\":\"HS256\"}", secret_a);
    rensei_ring_t *empty;
    rensei_jws_t jws;
    rensei_err_t err;

    ck_assert_int_eq(rensei_ring_create(&empty, test_pool), APR_SUCCESS);
    ck_assert_err(
        rensei_jws_verify(&jws, token, strlen(token), empty, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
    ck_assert_err(
        rensei_jws_verify(&jws, token, strlen(token), NULL, test_pool, &err),
        err, RENSEI_E_UNAVAILABLE);
}
END_TEST

/* CVE-2015-9235: a verifier that asks the token which algorithm to use is
 * told "none", and has nothing left to check. */
START_TEST(alg_none)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", ""};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *header =
            apr_pstrcat(test_pool, "{\"alg\":\"", names[i], "\"}", NULL);
        const char *unsigned_token =
            apr_pstrcat(test_pool, b64(header, strlen(header)), ".",
                        b64("{\"x\":1}", 7), ".", NULL);

        refuse(unsigned_token);
        refuse_header(header);
        header = apr_pstrcat(test_pool, "{\"alg\":\"", names[i],
                             "\",\"kid\":\"ka\"}", NULL);
        refuse_header(header);
    }
    refuse_header("{\"typ\":\"JWT\"}"); /* no alg at all */
    refuse_header("{}");
    taken_header("{\"alg\":\"HS256\"}");
}
END_TEST

/* RFC 8725 3.1. One secret under several algorithms lets the weakest of them
 * decide; a family ("HS…") is several. */
START_TEST(alg_other)
{
    static const char *const names[] = {"HS384", "HS512",  "hs256", "HS256 ",
                                        "RS256", "ES256",  "PS256", "EdDSA",
                                        "HS25",  "HS2560", "Hs256"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        refuse_header(
            apr_pstrcat(test_pool, "{\"alg\":\"", names[i], "\"}", NULL));
        refuse_header(apr_pstrcat(test_pool, "{\"kid\":\"ka\",\"alg\":\"",
                                  names[i], "\"}", NULL));
    }
    refuse_header("{\"alg\":null}");
    refuse_header("{\"alg\":[\"HS256\"]}");
    refuse_header("{\"alg\":256}");
    /* really signed with the hash it says, by the right secret */
    refuse(forge("{\"alg\":\"HS512\"}", "{}", secret_a, EVP_sha512()));
    refuse(forge("{\"alg\":\"HS384\"}", "{}", secret_a, EVP_sha384()));
    /* and with another one than it says */
    refuse(forge("{\"alg\":\"HS256\"}", "{}", secret_a, EVP_sha512()));
    taken(forge("{\"alg\":\"HS256\"}", "{}", secret_a, EVP_sha256()));
    taken_header("{\"alg\":\"HS\\u0032\\u00356\"}");
}
END_TEST

/* A key that is asked for by name is the only one that is tried. */
START_TEST(kid_named)
{
    ck_assert_str_eq(
        rensei_ring_key_kid(
            taken(token_of("{\"alg\":\"HS256\",\"kid\":\"kb\"}", secret_b))
                .key),
        "kb");
    refuse(token_of("{\"alg\":\"HS256\",\"kid\":\"kb\"}", secret_a));
    refuse(token_of("{\"alg\":\"HS256\",\"kid\":\"ka\"}", secret_b));
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"kc\"}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"\"}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"KA\"}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"ka \"}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":null}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":1}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":[\"ka\"]}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}");
    taken_header("{\"alg\":\"HS256\",\"kid\":\"ka\"}");
}
END_TEST

/* A number is not the string of its digits. */
START_TEST(kid_number)
{
    add(ring, secret_x, "1");
    refuse(token_of("{\"alg\":\"HS256\",\"kid\":1}", secret_x));
    taken(token_of("{\"alg\":\"HS256\",\"kid\":\"1\"}", secret_x));
}
END_TEST

START_TEST(kid_absent)
{
    const char *header = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

    ck_assert_str_eq(rensei_ring_key_kid(taken(token_of(header, secret_a)).key),
                     "ka");
    ck_assert_str_eq(rensei_ring_key_kid(taken(token_of(header, secret_b)).key),
                     "kb");
    refuse(token_of(header, secret_x));
}
END_TEST

/* The header that our signer writes is recognised by its bytes; that must
 * not lead around the signature, nor from one key to the other. */
START_TEST(known_header)
{
    const char *as_a = "{\"alg\":\"HS256\",\"kid\":\"ka\",\"typ\":\"JWT\"}";
    const char *as_b = "{\"alg\":\"HS256\",\"kid\":\"kb\",\"typ\":\"JWT\"}";
    const char *worker =
        "{\"alg\":\"HS256\",\"kid\":\"kb\",\"typ\":\"" RENSEI_TYP_RUNTIME "\"}";

    refuse(token_of(as_a, secret_b));
    refuse(token_of(as_a, secret_x));
    refuse(token_of(as_b, secret_a));
    refuse(token_of(worker, secret_a));
    taken(token_of(as_a, secret_a));
    ck_assert_str_eq(rensei_ring_key_kid(taken(token_of(as_b, secret_b)).key),
                     "kb");
    ck_assert_int_eq(taken(token_of(worker, secret_b)).typ, RENSEI_TYP_WORKER);
}
END_TEST

/* A key, or the address of one, that comes with the token is the sender's:
 * it verifies whatever he signed (CVE-2018-0114). An unknown `crit` says that
 * who does not know it must not go on (RFC 7515 4.1.11). */
START_TEST(header_members)
{
    static const char *const members[] = {
        "\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "\"jku\":\"https://attacker.example/keys\"",
        "\"x5u\":\"https://attacker.example/cert\"",
        "\"x5c\":[\"MIIB\"]",
        "\"x5t\":\"AAAA\"",
        "\"x5t#S256\":\"AAAA\"",
        "\"crit\":[\"exp\"],\"exp\":1",
        "\"crit\":[]",
        "\"b64\":false",
        "\"b64\":true",
        "\"zip\":\"DEF\"",
        "\"jwk\":null",
    };

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        refuse_header(apr_pstrcat(test_pool, "{\"alg\":\"HS256\",", members[i],
                                  "}", NULL));
        refuse_header(apr_pstrcat(test_pool, "{", members[i],
                                  ",\"kid\":\"ka\",\"alg\":\"HS256\"}", NULL));
    }
    taken_header("{\"alg\":\"HS256\",\"cty\":\"text\",\"x\":{\"jwk\":1}}");
}
END_TEST

/* Two readers of one header: a gateway that takes the first `alg` and a
 * library that takes the last. */
START_TEST(header_json)
{
    refuse_header("{\"alg\":\"HS256\",\"alg\":\"HS256\"}");
    refuse_header("{\"alg\":\"none\",\"alg\":\"HS256\"}");
    refuse_header("{\"alg\":\"HS256\",\"kid\":\"ka\",\"kid\":\"kb\"}");
    refuse_header("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}");
    refuse_header("[\"HS256\"]");
    refuse_header("\"HS256\"");
    refuse_header("{\"alg\":\"HS256\"");
    refuse_header("{\"alg\":\"HS256\"}x");
    refuse_header("{\"alg\":\"HS256\",\"x\":\"\xff\"}");
    refuse_header("");
    taken_header(" {\r\n \"alg\" : \"HS256\"\t} ");
}
END_TEST

/* RFC 8725 3.11: a token of one kind presented as another. A runtime token is
 * never an M2M token, and an ID token or a SET is neither. */
START_TEST(typ)
{
    static const struct {
        const char *typ;
        int is; /* rensei_typ_e, or -1 for refused */
    } rows[] = {
        {"JWT", RENSEI_TYP_M2M},
        {"jwt", RENSEI_TYP_M2M},
        {"application/jwt", RENSEI_TYP_M2M},
        {"Application/JWT", RENSEI_TYP_M2M},
        {"at+jwt", RENSEI_TYP_M2M},
        {"application/at+jwt", RENSEI_TYP_M2M},
        {"AT+JWT", RENSEI_TYP_M2M},
        {RENSEI_TYP_RUNTIME, RENSEI_TYP_WORKER},
        {"Rensei-Runtime+JWT", RENSEI_TYP_WORKER},
        {"application/" RENSEI_TYP_RUNTIME, RENSEI_TYP_WORKER},
        {"", -1},
        {"JOSE", -1},
        {"JWS", -1},
        {"id+jwt", -1},
        {"secevent+jwt", -1},
        {"dpop+jwt", -1},
        {"logout+jwt", -1},
        {"client-authentication+jwt", -1},
        {"application/", -1},
        {"application/application/jwt", -1},
        {"text/jwt", -1},
        {"JWT ", -1},
        {"rensei-runtime", -1},
        {"rensei-runtime+jwtx", -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *header =
            apr_pstrcat(test_pool, "{\"alg\":\"HS256\",\"typ\":\"", rows[i].typ,
                        "\"}", NULL);

        if (rows[i].is < 0) {
            refuse_header(header);
        }
        else {
            ck_assert_int_eq(taken_header(header).typ, rows[i].is);
        }
    }
    refuse_header("{\"alg\":\"HS256\",\"typ\":null}");
    refuse_header("{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}");
    ck_assert_int_eq(taken_header("{\"alg\":\"HS256\"}").typ, RENSEI_TYP_M2M);
    ck_assert_int_eq(
        taken_header("{\"alg\":\"HS256\",\"typ\":\"\\u004aWT\"}").typ,
        RENSEI_TYP_M2M);
}
END_TEST

/* The payload of a good token, with the signature of another one. */
START_TEST(signature)
{
    const char *good = token_of("{\"alg\":\"HS256\"}", secret_a);
    const char *sig = strrchr(good, '.') + 1;
    char *token = apr_pstrdup(test_pool, good);
    char *at = token + (sig - good);

    taken(token);
    for (int i = 0; at[i]; i++) {
        char was = at[i];

        at[i] = was == 'A' ? 'B' : 'A';
        refuse(token);
        at[i] = was;
    }
    taken(token);
    for (apr_size_t n = 0; n < 43; n++) {
        refuse_by(ring, token, (apr_size_t)(sig - good) + n);
    }
    refuse(apr_pstrcat(test_pool, token, "A", NULL));
    refuse(apr_pstrcat(test_pool, token, "AAAA", NULL));
    refuse(apr_pstrcat(test_pool, token, sig, NULL));
    /* longer than any signature: it must not be decoded into the room of one */
    while (strlen(token) < 6000) {
        token = apr_pstrcat(test_pool, token, "AAAA", NULL);
    }
    refuse(token);
}
END_TEST

/* Bits that nobody reads make 4 spellings of a MAC, and one signed token 4
 * tokens. */
START_TEST(signature_spelling)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
                                 "pqrstuvwxyz0123456789-_";
    char *token =
        apr_pstrdup(test_pool, token_of("{\"alg\":\"HS256\"}", secret_a));
    char *last = token + strlen(token) - 1;
    int value = (int)(strchr(digits, *last) - digits);

    ck_assert_int_eq(value % 4, 0);
    taken(token);
    for (int i = 1; i < 4; i++) {
        *last = digits[value + i];
        refuse(token);
    }
}
END_TEST

START_TEST(payload_altered)
{
    const char *header = "{\"alg\":\"HS256\"}";
    char *token = apr_pstrdup(
        test_pool, forge(header, "{\"a\":\"b\"}", secret_a, EVP_sha256()));

    for (char *at = token; *at; at++) {
        char was = *at;

        *at = was == 'A' ? 'B' : 'A';
        refuse(token);
        *at = was;
    }
    taken(token);
    /* the JWS layer signs bytes, whatever they are */
    ck_payload(taken(forge(header, "no JSON \xff", secret_a, EVP_sha256())),
               "no JSON \xff");
    ck_payload(taken(forge(header, "", secret_a, EVP_sha256())), "");
}
END_TEST

/* A MAC over the text of a payload says nothing of what a lenient decoder
 * makes of that text. */
static const char *signed_text(const char *payload)
{
    unsigned char mac[32];
    unsigned n;
    const char *input = apr_pstrcat(test_pool, b64("{\"alg\":\"HS256\"}", 15),
                                    ".", payload, NULL);

    HMAC(EVP_sha256(), secret_a, (int)strlen(secret_a),
         (const unsigned char *)input, strlen(input), mac, &n);
    return apr_pstrcat(test_pool, input, ".", b64(mac, n), NULL);
}

START_TEST(payload_spelling)
{
    refuse(signed_text("e30="));
    refuse(signed_text("e31"));
    refuse(signed_text("e 30"));
    refuse(signed_text("e30\n"));
    refuse(signed_text("e30+"));
    refuse(signed_text("e"));
    ck_payload(taken(signed_text("e30")), "{}");
}
END_TEST

START_TEST(segments)
{
    const char *good = token_of("{\"alg\":\"HS256\"}", secret_a);
    const char *dot = strchr(good, '.'), *dot2 = strrchr(good, '.');
    const char *header = apr_pstrndup(test_pool, good, dot - good);
    const char *body = apr_pstrndup(test_pool, dot + 1, dot2 - dot - 1);

    refuse("");
    refuse(".");
    refuse("..");
    refuse("...");
    refuse(header);
    refuse(apr_pstrcat(test_pool, header, ".", body, NULL));
    refuse(apr_pstrcat(test_pool, header, ".", body, ".", NULL));
    refuse(apr_pstrcat(test_pool, ".", body, dot2, NULL));
    refuse(apr_pstrcat(test_pool, header, ".", dot2, NULL));
    refuse(apr_pstrcat(test_pool, good, ".", NULL));
    refuse(apr_pstrcat(test_pool, good, dot2, NULL));
    refuse(apr_pstrcat(test_pool, good, ".AA.AA", NULL));
    refuse(apr_pstrcat(test_pool, ".", good, NULL));
    refuse(apr_pstrcat(test_pool, " ", good, NULL));
    refuse(apr_pstrcat(test_pool, good, " ", NULL));
    refuse(apr_pstrcat(test_pool, good, "\n", NULL));
    refuse(apr_pstrcat(test_pool, good, "=", NULL));
    refuse(apr_pstrcat(test_pool, header, "=", dot, NULL));
    refuse(apr_pstrcat(test_pool, "{\"protected\":\"", header,
                       "\",\"payload\":\"", body, "\",\"signature\":\"",
                       dot2 + 1, "\"}", NULL));
    refuse_by(ring, apr_pstrcat(test_pool, good, "X", NULL), strlen(good) + 1);
    refuse_by(ring, good, strlen(good) - 1);
    taken(good);
}
END_TEST

/* Work that anybody can ask for ends where tokens of ours end. */
START_TEST(too_long)
{
    char *body = apr_palloc(test_pool, 6200);
    const char *token;
    apr_size_t left;

    memset(body, ' ', 6200);
    body[6040] = '\0';
    token = forge("{\"alg\":\"HS256\"}", body, secret_a, EVP_sha256());
    left = RENSEI_TOKEN_LEN_MAX - strlen(token);
    ck_assert_uint_lt(left, 100);
    taken(token);
    body[6040] = ' ';
    body[6120] = '\0';
    token = forge("{\"alg\":\"HS256\"}", body, secret_a, EVP_sha256());
    ck_assert_uint_gt(strlen(token), RENSEI_TOKEN_LEN_MAX);
    ck_assert_str_eq(refuse(token), "The token is too long.");
}
END_TEST

Suite *suite_jwt(void)
{
    TCase *tc;
    Suite *s = test_suite("jwt", &tc);

    tcase_add_checked_fixture(tc, ring_setup, NULL);
    tcase_add_test(tc, sign_and_verify);
    tcase_add_test(tc, sign_refused);
    tcase_add_test(tc, no_key);
    tcase_add_test(tc, alg_none);
    tcase_add_test(tc, alg_other);
    tcase_add_test(tc, kid_named);
    tcase_add_test(tc, kid_number);
    tcase_add_test(tc, kid_absent);
    tcase_add_test(tc, known_header);
    tcase_add_test(tc, header_members);
    tcase_add_test(tc, header_json);
    tcase_add_test(tc, typ);
    tcase_add_test(tc, signature);
    tcase_add_test(tc, signature_spelling);
    tcase_add_test(tc, payload_altered);
    tcase_add_test(tc, payload_spelling);
    tcase_add_test(tc, segments);
    tcase_add_test(tc, too_long);
    return s;
}
