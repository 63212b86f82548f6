/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The claims of our tokens: the upper half of rensei_jwt.h.
 */
#include "rensei_jwt.h"
#include "rensei_id.h"

#include <apr_strings.h>

/* RFC 7519 2, NumericDate; beyond 2^53 parsers that read doubles differ. */
#define SECONDS_MAX (APR_INT64_C(1) << 53)

enum {
    ISS,
    AUD,
    SUB,
    ORG,
    WORKSPACE,
    JTI,
    REG,
    SCOPES,
    SCOPE,
    EXP,
    NBF,
    IAT,
    CLAIMS
};

/* What is read of one token. */
typedef struct reading_t {
    /* NULL where absent; the last place takes the claims that are not ours */
    const rensei_json_member_t *claim[CLAIMS + 1];
    const rensei_expect_t *want;
    apr_int64_t now;
    rensei_claims_t *out;
    apr_pool_t *p;
    rensei_err_t *err;
} reading_t;

static int refused(reading_t *r, const char *text)
{
    rensei_err_set(r->err, RENSEI_E_INVALID_TOKEN, text);
    return 0;
}

/* char is signed, and what is beyond ASCII negative: not to be shifted. */
#define BYTE(c) ((unsigned char)(c))
#define THREE(a, b, c) (BYTE(a) << 16 | BYTE(b) << 8 | BYTE(c))

/* Which claim has this name; CLAIMS for one that is not ours. Names are
 * compared whole: `a` is not `aud`. */
static int claim_three(const char *name)
{
    switch (THREE(name[0], name[1], name[2])) {
    case THREE('i', 's', 's'):
        return ISS;
    case THREE('a', 'u', 'd'):
        return AUD;
    case THREE('s', 'u', 'b'):
        return SUB;
    case THREE('j', 't', 'i'):
        return JTI;
    case THREE('r', 'e', 'g'):
        return REG;
    case THREE('e', 'x', 'p'):
        return EXP;
    case THREE('n', 'b', 'f'):
        return NBF;
    case THREE('i', 'a', 't'):
        return IAT;
    default:
        return CLAIMS;
    }
}

static inline int claim_of(rensei_str_t name)
{
    switch (name.n) {
    case 3:
        return claim_three(name.p);
    case 5:
        return memcmp(name.p, "scope", 5) == 0 ? SCOPE : CLAIMS;
    case 6:
        if (memcmp(name.p, "org_id", 6) == 0) {
            return ORG;
        }
        return memcmp(name.p, "scopes", 6) == 0 ? SCOPES : CLAIMS;
    case 12:
        return memcmp(name.p, "workspace_id", 12) == 0 ? WORKSPACE : CLAIMS;
    default:
        return CLAIMS;
    }
}

int rensei_claim_registered(rensei_str_t name)
{
    return claim_of(name) != CLAIMS ||
           rensei_str_eq(name, RENSEI_STR("client_id")) ||
           rensei_str_eq(name, RENSEI_STR("token_use"));
}

/* A string that is not empty. */
static int text_read(rensei_str_t *out, const rensei_json_member_t *m,
                     apr_pool_t *p)
{
    if (!m || m->type != RENSEI_JSON_STRING) {
        return 0;
    }
    *out = m->escaped ? rensei_json_unescape(m, p) : m->value;
    return out->n > 0;
}

static int text_is(const rensei_json_member_t *m, const char *wanted,
                   apr_pool_t *p)
{
    rensei_str_t text;

    return text_read(&text, m, p) && rensei_str_eq(text, rensei_str(wanted));
}

static int issuer_check(reading_t *r)
{
    if (!text_is(r->claim[ISS], r->want->issuer, r->p)) {
        return refused(r, "The token's issuer (iss) is not the one expected "
                          "here.");
    }
    return 1;
}

/* RFC 7519 4.1.3: one string, or an array of them. */
static int audience_holds(const reading_t *r)
{
    const rensei_json_member_t *aud = r->claim[AUD];
    rensei_json_member_t element;
    apr_size_t at = 0;
    int found = 0;

    if (!aud || aud->type != RENSEI_JSON_ARRAY) {
        return text_is(aud, r->want->audience, r->p);
    }
    while (rensei_json_next(&element, aud->value, &at)) {
        if (element.type != RENSEI_JSON_STRING) {
            return 0;
        }
        found |= text_is(&element, r->want->audience, r->p);
    }
    return found;
}

static int audience_check(reading_t *r)
{
    if (r->want->audience && !audience_holds(r)) {
        return refused(r, "The token's audience (aud) is not the one expected "
                          "here.");
    }
    if (r->want->audience) {
        r->out->aud = *r->claim[AUD];
    }
    return 1;
}

static int seconds_read(apr_int64_t *out, const rensei_json_member_t *m)
{
    return m && rensei_json_int(m, out, 0, SECONDS_MAX);
}

static int expiry_check(reading_t *r)
{
    if (!seconds_read(&r->out->exp, r->claim[EXP])) {
        return refused(r, "The token's expiry (exp) is missing, or is not a "
                          "whole number of seconds.");
    }
    if (r->now >= r->out->exp + r->want->skew) {
        return refused(r, "The token has expired.");
    }
    return 1;
}

static int start_check(reading_t *r)
{
    apr_int64_t nbf;

    if (!r->claim[NBF]) {
        return 1;
    }
    if (!seconds_read(&nbf, r->claim[NBF])) {
        return refused(r, "The token's start (nbf) is not a whole number of "
                          "seconds.");
    }
    if (nbf > r->now + r->want->skew) {
        return refused(r, "The token is not valid yet.");
    }
    return 1;
}

static int issued_check(reading_t *r)
{
    if (!r->claim[IAT]) {
        return 1;
    }
    if (!seconds_read(&r->out->iat, r->claim[IAT])) {
        return refused(r, "The token's time of issue (iat) is not a whole "
                          "number of seconds.");
    }
    if (r->out->iat > r->now + r->want->skew) {
        return refused(r, "The token's time of issue (iat) is in the future.");
    }
    return 1;
}

static int id_read(const reading_t *r, rensei_str_t *out, int claim)
{
    return text_read(out, r->claim[claim], r->p) &&
           rensei_id_safe(out->p, out->n);
}

static int id_is(rensei_id_e type, rensei_str_t id)
{
    return rensei_id_valid(type, id.p, id.n);
}

static int subject_fits(rensei_typ_e typ, rensei_str_t sub)
{
    if (typ == RENSEI_TYP_WORKER) {
        return id_is(RENSEI_ID_WORKER, sub);
    }
    return !id_is(RENSEI_ID_WORKER, sub) && !id_is(RENSEI_ID_KEY, sub);
}

static int subject_check(reading_t *r)
{
    if (!id_read(r, &r->out->sub, SUB)) {
        return refused(r, "The token's subject (sub) is missing, or is not an "
                          "identifier.");
    }
    if (!subject_fits(r->out->typ, r->out->sub)) {
        return refused(r, "The token's subject (sub) is not of the token's "
                          "type.");
    }
    return 1;
}

static int org_check(reading_t *r)
{
    if (!id_read(r, &r->out->org, ORG)) {
        return refused(r, "The token's organisation (org_id) is missing, or "
                          "is not an identifier.");
    }
    return 1;
}

static int workspace_check(reading_t *r)
{
    const rensei_json_member_t *m = r->claim[WORKSPACE];

    if (m && m->type != RENSEI_JSON_NULL &&
        !id_read(r, &r->out->workspace, WORKSPACE)) {
        return refused(r, "The token's workspace (workspace_id) is not an "
                          "identifier.");
    }
    return 1;
}

static int jti_check(reading_t *r)
{
    if (r->claim[JTI] && !id_read(r, &r->out->jti, JTI)) {
        return refused(r, "The token's own identifier (jti) is not an "
                          "identifier.");
    }
    return 1;
}

static int registration_check(reading_t *r)
{
    if (r->out->typ == RENSEI_TYP_WORKER &&
        (!id_read(r, &r->out->reg, REG) ||
         !id_is(RENSEI_ID_KEY, r->out->reg))) {
        return refused(r, "The token's registration key (reg) is missing, or "
                          "is not the identifier of a key.");
    }
    return 1;
}

/* An element that is a scope as it stands, without space around it: as
 * rensei_json_next, but the text of the array was checked before, and such an
 * element need not be once more. */
static int plain_scope(rensei_str_t *out, rensei_str_t array, apr_size_t *at)
{
    const char *from = array.p + *at + 1, *end = array.p + array.n, *to;

    if (*at >= array.n || from == end || *from != '"') {
        return 0;
    }
    from++;
    to = from + rensei_scope_span(from, (apr_size_t)(end - from));
    if (end - to < 2 || *to != '"' || (to[1] != ',' && to[1] != ']')) {
        return 0;
    }
    *out = (rensei_str_t){from, (apr_size_t)(to - from)};
    *at = (apr_size_t)(to + 1 - array.p);
    return 1;
}

/* @return 1, 0 at the end, -1 for an element that is no scope */
static int next_scope(rensei_str_t *out, rensei_str_t array, apr_size_t *at,
                      apr_pool_t *p)
{
    rensei_json_member_t element;

    if (plain_scope(out, array, at)) {
        return out->n > 0 && out->n <= RENSEI_SCOPE_LEN_MAX ? 1 : -1;
    }
    if (!rensei_json_next(&element, array, at)) {
        return 0;
    }
    return text_read(out, &element, p) && rensei_scope_valid(out->p, out->n)
               ? 1
               : -1;
}

static int scopes_array_read(reading_t *r, rensei_str_t array)
{
    rensei_str_t found[RENSEI_SCOPES_MAX], scope;
    rensei_scopes_t set = {0, found};
    apr_size_t at = 0;
    int more;

    while ((more = next_scope(&scope, array, &at, r->p)) > 0) {
        if (rensei_scopes_has(&set, scope)) {
            continue;
        }
        if (set.count == RENSEI_SCOPES_MAX) {
            return 0;
        }
        found[set.count++] = scope;
    }
    if (more < 0) {
        return 0;
    }
    r->out->scopes.count = set.count;
    r->out->scopes.scope =
        apr_pmemdup(r->p, found, (apr_size_t)set.count * sizeof(*found));
    return 1;
}

static int scopes_check(reading_t *r)
{
    const rensei_json_member_t *scopes = r->claim[SCOPES];
    const rensei_json_member_t *scope = r->claim[SCOPE];
    rensei_err_t unused;
    rensei_str_t text;
    int good = 0;

    if (scopes) {
        good = scopes->type == RENSEI_JSON_ARRAY &&
               scopes_array_read(r, scopes->value);
    }
    else if (scope && scope->type == RENSEI_JSON_STRING) {
        text = rensei_json_unescape(scope, r->p);
        good = rensei_scopes_parse(&r->out->scopes, text.p, text.n, r->p,
                                   &unused) == APR_SUCCESS;
    }
    return good ? 1
                : refused(r, "The token's scopes (scopes) are missing, or are "
                             "not an array of scopes.");
}

static int claims_check(reading_t *r)
{
    return issuer_check(r) && audience_check(r) && expiry_check(r) &&
           start_check(r) && issued_check(r) && subject_check(r) &&
           org_check(r) && workspace_check(r) && jti_check(r) &&
           registration_check(r) && scopes_check(r);
}

apr_status_t rensei_claims_read(rensei_claims_t *out, const rensei_jws_t *jws,
                                const rensei_expect_t *want, apr_int64_t now,
                                apr_pool_t *p, rensei_err_t *err)
{
    rensei_claims_t found = {.typ = jws->typ, .payload = jws->payload};
    reading_t r = {{NULL}, want, now, &found, p, err};
    rensei_json_object_t obj;
    int i;

    if (rensei_json_scan(&obj, jws->payload.p, jws->payload.n) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_INVALID_TOKEN,
                              "The token's claims are not a JSON object.");
    }
    for (i = 0; i < obj.count; i++) {
        r.claim[claim_of(obj.member[i].name)] = &obj.member[i];
    }
    if (!claims_check(&r)) {
        return APR_EGENERAL;
    }
    *out = found;
    return APR_SUCCESS;
}
