/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * JWS in compact form (RFC 7515): the lower half of rensei_jwt.h.
 */
#include "rensei_jwt.h"
#include "rensei_b64.h"

#include <apr_cstr.h>

typedef struct parts_t {
    rensei_str_t header, payload, sig; /* base64url, as they stand */
    rensei_str_t input;                /* what the signature is of */
} parts_t;

/* What a `typ` makes of a JWS. */
typedef struct type_t {
    const char *name;
    rensei_typ_e typ;
} type_t;

static const type_t token_types[] = {{"JWT", RENSEI_TYP_M2M},
                                     {RENSEI_TYP_RUNTIME, RENSEI_TYP_WORKER},
                                     {RENSEI_TYP_ACCESS, RENSEI_TYP_M2M},
                                     {NULL, RENSEI_TYP_M2M}};

static const type_t assertion_types[] = {
    {"JWT", RENSEI_TYP_M2M},
    {"client-authentication+jwt", RENSEI_TYP_M2M},
    {NULL, RENSEI_TYP_M2M}};

typedef struct header_t {
    rensei_str_t alg;
    rensei_str_t kid; /* p = NULL when absent: an empty one is no key's */
    rensei_typ_e typ;
    const type_t *types; /* the ones that are accepted */
} header_t;

static apr_status_t refused(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

static apr_status_t malformed(rensei_err_t *err)
{
    return refused(err, "The token is not a well-formed signed JWT.");
}

/* A third dot ends up in sig, where base64url refuses it. */
static int split(parts_t *out, const char *token, apr_size_t n)
{
    const char *end = token + n;
    const char *dot = memchr(token, '.', n);
    const char *dot2 =
        dot ? memchr(dot + 1, '.', (apr_size_t)(end - dot - 1)) : NULL;

    if (!dot2) {
        return 0;
    }
    out->header = (rensei_str_t){token, (apr_size_t)(dot - token)};
    out->payload = (rensei_str_t){dot + 1, (apr_size_t)(dot2 - dot - 1)};
    out->sig = (rensei_str_t){dot2 + 1, (apr_size_t)(end - dot2 - 1)};
    out->input = (rensei_str_t){token, (apr_size_t)(dot2 - token)};
    return 1;
}

/* Is the header, byte for byte, what one of our keys writes? Then there is
 * nothing in it to read. */
static const rensei_ring_key_t *header_known(rensei_typ_e *typ,
                                             const rensei_ring_t *ring,
                                             rensei_str_t header)
{
    const rensei_ring_key_t *key = rensei_ring_find_header(ring, header, typ);

    if (key && *typ == RENSEI_TYP_AT) {
        *typ = RENSEI_TYP_M2M;
    }
    return key;
}

/* Scanned text has no NUL, so apr_cstr_casecmpn stops at nothing earlier. */
static int equal_nocase(rensei_str_t a, rensei_str_t b)
{
    return a.n == b.n && apr_cstr_casecmpn(a.p, b.p, a.n) == 0;
}

/* RFC 7515 4.1.9: a media type, in which "application/" may be left out. */
static int typ_read(header_t *out, rensei_str_t typ)
{
    const rensei_str_t prefix = RENSEI_STR("application/");
    const type_t *type;

    if (typ.n > prefix.n &&
        equal_nocase((rensei_str_t){typ.p, prefix.n}, prefix)) {
        typ.p += prefix.n;
        typ.n -= prefix.n;
    }
    for (type = out->types; type->name; type++) {
        if (equal_nocase(typ, rensei_str(type->name))) {
            out->typ = type->typ;
            return 1;
        }
    }
    return 0;
}

/* Members that would change what the token means, or bring a key of their
 * own. No extension is understood here, so any `crit` is one too many
 * (RFC 7515 4.1.11). */
static int header_forbidden(rensei_str_t name)
{
    static const char *const names[] = {"crit", "b64", "jwk", "jku",      "x5u",
                                        "x5c",  "x5t", "zip", "x5t#S256", NULL};
    int i;

    for (i = 0; names[i]; i++) {
        if (rensei_str_eq(name, rensei_str(names[i]))) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t header_member(header_t *out, const rensei_json_member_t *m,
                                  apr_pool_t *p, rensei_err_t *err)
{
    int is_alg = rensei_str_eq(m->name, RENSEI_STR("alg"));
    int is_kid = rensei_str_eq(m->name, RENSEI_STR("kid"));
    int is_typ = rensei_str_eq(m->name, RENSEI_STR("typ"));
    rensei_str_t value;

    if (header_forbidden(m->name)) {
        return refused(err, "The token's header has a member that is not "
                            "accepted here.");
    }
    if (!is_alg && !is_kid && !is_typ) {
        return APR_SUCCESS;
    }
    if (m->type != RENSEI_JSON_STRING) {
        return malformed(err);
    }
    value = rensei_json_unescape(m, p);
    if (is_alg) {
        out->alg = value;
    }
    else if (is_kid) {
        out->kid = value;
    }
    else if (!typ_read(out, value)) {
        return refused(err, "The token is of a type that is not accepted "
                            "here.");
    }
    return APR_SUCCESS;
}

static apr_status_t header_read(header_t *out, rensei_str_t text, apr_pool_t *p,
                                rensei_err_t *err)
{
    unsigned char *json = apr_palloc(p, text.n * 3 / 4 + 1);
    rensei_json_object_t obj;
    apr_size_t n;
    int i;

    if (rensei_b64url_decode(json, &n, text.p, text.n) != APR_SUCCESS ||
        rensei_json_scan(&obj, (const char *)json, n) != APR_SUCCESS) {
        return malformed(err);
    }
    for (i = 0; i < obj.count; i++) {
        apr_status_t rv = header_member(out, &obj.member[i], p, err);

        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    return APR_SUCCESS;
}

/* RFC 8725 3.1: the key has one algorithm and the token says exactly that
 * one, or it is not looked at further. */
static int alg_fits(const rensei_ring_key_t *key, rensei_str_t alg)
{
    return rensei_alg_is(rensei_ring_key_alg(key), alg);
}

/* As rensei_ring_key_verify, with the keys that the header leaves open. */
static int verify_any(const rensei_ring_key_t **out, const header_t *h,
                      const rensei_ring_t *ring, const unsigned char *sig,
                      apr_size_t siglen, rensei_str_t input)
{
    int i, failed = 0;

    for (i = 0; i < rensei_ring_count(ring); i++) {
        const rensei_ring_key_t *key = rensei_ring_at(ring, i);
        int good =
            alg_fits(key, h->alg)
                ? rensei_ring_key_verify(key, sig, siglen, input.p, input.n)
                : 0;

        if (good == 1) {
            *out = key;
            return 1;
        }
        failed |= good < 0;
    }
    return failed ? -1 : 0;
}

/* The key that the header names, in *key; NULL where any may be it. */
static apr_status_t key_choose(const rensei_ring_key_t **key, const header_t *h,
                               const rensei_ring_t *ring, rensei_err_t *err)
{
    int i, fits = 0;

    *key = NULL;
    if (h->kid.p) {
        *key = rensei_ring_find(ring, h->kid);
        if (!*key) {
            return refused(err, "The token is signed with a key that is not "
                                "known here.");
        }
        fits = alg_fits(*key, h->alg);
    }
    for (i = 0; !*key && i < rensei_ring_count(ring); i++) {
        fits |= alg_fits(rensei_ring_at(ring, i), h->alg);
    }
    if (!fits) {
        return refused(err, "The token's algorithm is not accepted here.");
    }
    return APR_SUCCESS;
}

static apr_status_t signature_check(rensei_jws_t *out, const header_t *h,
                                    const parts_t *parts,
                                    const rensei_ring_t *ring,
                                    rensei_err_t *err)
{
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    apr_size_t siglen;
    int good;

    if (parts->sig.n > RENSEI_B64URL_LEN(sizeof(sig)) ||
        rensei_b64url_decode(sig, &siglen, parts->sig.p, parts->sig.n) !=
            APR_SUCCESS) {
        return malformed(err);
    }
    good = out->key ? rensei_ring_key_verify(out->key, sig, siglen,
                                             parts->input.p, parts->input.n)
                    : verify_any(&out->key, h, ring, sig, siglen, parts->input);
    if (good < 0) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "Tokens cannot be checked at the moment.");
    }
    if (!good) {
        return refused(err, "The token's signature does not hold.");
    }
    return APR_SUCCESS;
}

static apr_status_t payload_decode(rensei_jws_t *out, rensei_str_t text,
                                   apr_pool_t *p, rensei_err_t *err)
{
    char *bytes = apr_palloc(p, text.n * 3 / 4 + 1);

    if (rensei_b64url_decode(bytes, &out->payload.n, text.p, text.n) !=
        APR_SUCCESS) {
        return malformed(err);
    }
    out->payload.p = bytes;
    return APR_SUCCESS;
}

static apr_status_t verify_parts(rensei_jws_t *jws, const parts_t *parts,
                                 const type_t *types, const rensei_ring_t *ring,
                                 apr_pool_t *p, rensei_err_t *err)
{
    header_t h = {{NULL, 0}, {NULL, 0}, RENSEI_TYP_M2M, types};
    apr_status_t rv;

    /* the headers of ours are of tokens, every type of them */
    jws->key = types == token_types
                   ? header_known(&jws->typ, ring, parts->header)
                   : NULL;
    if (!jws->key) {
        if ((rv = header_read(&h, parts->header, p, err)) != APR_SUCCESS ||
            (rv = key_choose(&jws->key, &h, ring, err)) != APR_SUCCESS) {
            return rv;
        }
        jws->typ = h.typ;
    }
    if ((rv = signature_check(jws, &h, parts, ring, err)) != APR_SUCCESS) {
        return rv;
    }
    return payload_decode(jws, parts->payload, p, err);
}

static apr_status_t verify(rensei_jws_t *out, const char *token, apr_size_t n,
                           const type_t *types, const rensei_ring_t *ring,
                           apr_pool_t *p, rensei_err_t *err)
{
    rensei_jws_t jws;
    parts_t parts;
    apr_status_t rv;

    if (!ring || rensei_ring_count(ring) == 0) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no key to check tokens with.");
    }
    if (n > RENSEI_TOKEN_LEN_MAX) {
        return refused(err, "The token is too long.");
    }
    if (!split(&parts, token, n)) {
        return malformed(err);
    }
    rv = verify_parts(&jws, &parts, types, ring, p, err);
    if (rv == APR_SUCCESS) {
        *out = jws;
    }
    return rv;
}

apr_status_t rensei_jws_verify(rensei_jws_t *out, const char *token,
                               apr_size_t n, const rensei_ring_t *ring,
                               apr_pool_t *p, rensei_err_t *err)
{
    return verify(out, token, n, token_types, ring, p, err);
}

apr_status_t rensei_jws_verify_assertion(rensei_jws_t *out, const char *token,
                                         apr_size_t n,
                                         const rensei_ring_t *ring,
                                         apr_pool_t *p, rensei_err_t *err)
{
    return verify(out, token, n, assertion_types, ring, p, err);
}

/* Which header of the key it is: letter by letter, it is written here. */
static int typ_known(rensei_typ_e *out, const char *typ)
{
    static const char *const names[RENSEI_TYP_COUNT] = {
        [RENSEI_TYP_M2M] = "JWT",
        [RENSEI_TYP_WORKER] = RENSEI_TYP_RUNTIME,
        [RENSEI_TYP_AT] = RENSEI_TYP_ACCESS};
    int i;

    for (i = 0; i < RENSEI_TYP_COUNT; i++) {
        if (strcmp(names[i], typ) == 0) {
            *out = i;
            return 1;
        }
    }
    return 0;
}

apr_status_t rensei_jws_sign(const char **out, const rensei_ring_t *ring,
                             const char *typ, const char *payload,
                             apr_pool_t *p, rensei_err_t *err)
{
    const rensei_ring_key_t *key = ring ? rensei_ring_signer(ring) : NULL;
    apr_size_t n = strlen(payload), input, siglen;
    unsigned char sig[RENSEI_SIG_LEN_MAX];
    rensei_str_t header;
    rensei_typ_e which;
    apr_status_t rv;
    char *token;

    if (!key) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no key to sign tokens with.");
    }
    if (!typ_known(&which, typ)) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "There are no tokens of that type.");
    }
    header = rensei_ring_key_header(key, which);
    token = apr_palloc(p, header.n + RENSEI_B64URL_LEN(n) +
                              RENSEI_B64URL_LEN(sizeof(sig)) + 3);
    memcpy(token, header.p, header.n);
    token[header.n] = '.';
    input = header.n + 1;
    input += rensei_b64url_encode(token + input, payload, n);
    rv = rensei_ring_key_sign(key, sig, &siglen, token, input, err);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    token[input] = '.';
    n = input + 1 + rensei_b64url_encode(token + input + 1, sig, siglen);
    if (n > RENSEI_TOKEN_LEN_MAX) {
        return rensei_err_set(err, RENSEI_E_INTERNAL,
                              "The token would be too long: it has too many "
                              "scopes, or too large claims.");
    }
    *out = token;
    return APR_SUCCESS;
}
