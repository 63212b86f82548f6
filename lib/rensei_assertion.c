/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_assertion.h"

#include <apr_strings.h>

#define SECONDS_MAX (APR_INT64_C(1) << 53) /* as of our tokens' times */

typedef struct reading_t {
    const char *client_id;
    const char *const *audiences;
    apr_int64_t now, skew;
    apr_pool_t *p;
    rensei_json_object_t claims;
    rensei_assertion_t found;
} reading_t;

/* Who is told which check failed can try one after the other. */
static apr_status_t refused(rensei_err_t *err, const char *cause)
{
    rensei_err_set(err, RENSEI_E_INVALID_CLIENT,
                   "The client assertion is not valid.");
    err->cause = cause;
    return APR_EGENERAL;
}

static int text_is(const reading_t *r, const rensei_json_member_t *m,
                   const char *wanted)
{
    return m && m->type == RENSEI_JSON_STRING &&
           rensei_str_eq(rensei_json_unescape(m, r->p), rensei_str(wanted));
}

static int claim_is(const reading_t *r, const char *name, const char *wanted)
{
    return text_is(r, rensei_json_find(&r->claims, name), wanted);
}

static int audience_is(const reading_t *r, const rensei_json_member_t *m)
{
    int i;

    for (i = 0; r->audiences[i]; i++) {
        if (text_is(r, m, r->audiences[i])) {
            return 1;
        }
    }
    return 0;
}

static int audience_holds(const reading_t *r)
{
    const rensei_json_member_t *aud = rensei_json_find(&r->claims, "aud");
    rensei_json_member_t element;
    apr_size_t at = 0;
    int count = 0;

    if (!aud || aud->type != RENSEI_JSON_ARRAY) {
        return audience_is(r, aud);
    }
    while (rensei_json_next(&element, aud->value, &at)) {
        if (!audience_is(r, &element)) {
            return 0;
        }
        count++;
    }
    return count > 0;
}

/* A time that need not be there. @return 0 for one that is no time */
static int time_read(apr_int64_t *out, const reading_t *r, const char *name)
{
    const rensei_json_member_t *m = rensei_json_find(&r->claims, name);

    return !m || rensei_json_int(m, out, 0, SECONDS_MAX);
}

static const char *times_fault(reading_t *r)
{
    apr_int64_t exp = -1, nbf = 0, iat = 0;

    if (!time_read(&exp, r, "exp") || exp < 0) {
        return "Its exp is missing, or is not a whole number of seconds.";
    }
    if (r->now >= exp + r->skew) {
        return "It has expired.";
    }
    if (exp > r->now + RENSEI_ASSERTION_LIFETIME_MAX + r->skew) {
        return "Its exp is more than 3600 seconds ahead.";
    }
    if (!time_read(&nbf, r, "nbf") || nbf > r->now + r->skew) {
        return "Its nbf is in the future, or is no time.";
    }
    if (!time_read(&iat, r, "iat") || iat > r->now + r->skew) {
        return "Its iat is in the future, or is no time.";
    }
    r->found.exp = exp + r->skew;
    return NULL;
}

static int jti_read(reading_t *r)
{
    const rensei_json_member_t *m = rensei_json_find(&r->claims, "jti");
    rensei_str_t jti;

    if (!m || m->type != RENSEI_JSON_STRING) {
        return 0;
    }
    jti = rensei_json_unescape(m, r->p);
    r->found.jti = apr_pstrmemdup(r->p, jti.p, jti.n);
    return jti.n > 0 && jti.n <= RENSEI_ASSERTION_JTI_MAX;
}

static const char *claims_fault(reading_t *r, rensei_str_t payload)
{
    const char *fault;

    if (rensei_json_scan(&r->claims, payload.p, payload.n) != APR_SUCCESS) {
        return "Its claims are not a JSON object.";
    }
    if (!claim_is(r, "iss", r->client_id)) {
        return "Its iss is not the client's id.";
    }
    if (!claim_is(r, "sub", r->client_id)) {
        return "Its sub is not the client's id.";
    }
    if (!audience_holds(r)) {
        return "Its aud is not this server, or not this server alone.";
    }
    if ((fault = times_fault(r)) != NULL) {
        return fault;
    }
    return jti_read(r) ? NULL
                       : "Its jti is missing, or is not a text of 1 to 256 "
                         "bytes.";
}

static apr_status_t ring_make(rensei_ring_t **out, const json_t *jwks,
                              apr_pool_t *p, rensei_err_t *err)
{
    if (rensei_ring_create(out, p) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "Client assertions cannot be checked at the "
                              "moment.");
    }
    return rensei_ring_add_jwks(*out, jwks, err);
}

static apr_status_t signature_check(rensei_str_t *payload,
                                    const char *assertion, const json_t *jwks,
                                    apr_pool_t *p, rensei_err_t *err)
{
    rensei_ring_t *ring;
    rensei_jws_t jws = {{NULL, 0}, RENSEI_TYP_M2M, NULL};
    apr_pool_t *sub;
    apr_status_t rv = apr_pool_create(&sub, p);

    if (rv != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_INTERNAL, "Out of memory.");
    }
    if ((rv = ring_make(&ring, jwks, sub, err)) == APR_SUCCESS) {
        rv = rensei_jws_verify_assertion(&jws, assertion, strlen(assertion),
                                         ring, p, err);
    }
    apr_pool_destroy(sub); /* the keys */
    if (rv == APR_SUCCESS) {
        *payload = jws.payload;
        return APR_SUCCESS;
    }
    return err->code == RENSEI_E_UNAVAILABLE ? rv : refused(err, err->text);
}

apr_status_t rensei_assertion_verify(
    rensei_assertion_t *out, const char *assertion, const json_t *client_jwks,
    const char *client_id, const char *const *audiences, apr_int64_t now,
    apr_int64_t skew, apr_pool_t *p, rensei_err_t *err)
{
    reading_t r = {client_id, audiences, now, skew, p, {.count = 0}, {NULL, 0}};
    rensei_str_t payload = {NULL, 0};
    const char *fault;
    apr_status_t rv = signature_check(&payload, assertion, client_jwks, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    if ((fault = claims_fault(&r, payload)) != NULL) {
        return refused(err, fault);
    }
    *out = r.found;
    return APR_SUCCESS;
}
