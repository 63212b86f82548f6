/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_client.h"
#include "rensei_assertion.h"
#include "rensei_authorization.h"
#include "rensei_b64.h"
#include "rensei_client.h"

#include <apr_strings.h>
#include <openssl/crypto.h>

#include <strings.h>

/* What the body says of the caller; NULL where it says nothing. */
typedef struct body_t {
    const char *id, *secret, *assertion, *assertion_type;
} body_t;

static const char *param(const json_t *params, const char *name)
{
    const char *text = json_string_value(json_object_get(params, name));

    return text && *text ? text : NULL;
}

static body_t body_of(const json_t *params)
{
    body_t b = {param(params, "client_id"), param(params, "client_secret"),
                param(params, "client_assertion"),
                param(params, "client_assertion_type")};

    return b;
}

static apr_status_t two_ways(rensei_err_t *err)
{
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                          "The client authenticates in two ways.");
}

/* Is the header of that scheme? *rest is then what follows it. */
static int scheme_is(const char *header, const char *scheme, const char **rest)
{
    apr_size_t n = strcspn(header, " ");

    *rest = header + n + strspn(header + n, " ");
    return n == strlen(scheme) && strncasecmp(header, scheme, n) == 0;
}

/* httpd joins repeated headers with a comma, which no base64 has: two of them
 * are malformed without a check of their own. Libraries repeat the client_id
 * in the body beside the header: that says nothing twice that could differ; a
 * secret, or another id, would. */
static apr_status_t basic_read(token_client_t *out, const char *text,
                               const body_t *body, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv =
        rensei_authorization_basic(&out->id, &out->secret, text, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    out->method = RENSEI_AUTH_BASIC;
    if (body->secret || body->assertion ||
        (body->id && strcmp(body->id, out->id) != 0)) {
        return two_ways(err);
    }
    return APR_SUCCESS;
}

static apr_status_t header_read(token_client_t *out, const char *header,
                                const body_t *body, int takes_key,
                                apr_pool_t *p, rensei_err_t *err)
{
    const char *rest;

    out->scheme = "Basic";
    if (scheme_is(header, "Basic", &rest)) {
        return basic_read(out, rest, body, p, err);
    }
    if (!takes_key || !scheme_is(header, "Bearer", &rest)) {
        return rensei_err_set(err, RENSEI_E_INVALID_CLIENT,
                              "Clients authenticate here by Basic, or in the "
                              "body.");
    }
    out->scheme = "Bearer";
    out->key = rest;
    return body->secret || body->assertion ? two_ways(err) : APR_SUCCESS;
}

/* The client that an assertion names, unchecked: whose failures are counted,
 * should it turn out to be none. @return NULL where it cannot be read */
static const char *assertion_subject(const char *assertion, apr_pool_t *p)
{
    const char *dot = strchr(assertion, '.');
    apr_size_t n = dot ? strcspn(dot + 1, ".") : 0;
    char *payload = apr_palloc(p, n + 1);
    const rensei_json_member_t *sub;
    rensei_json_object_t obj;
    apr_size_t len = 0;
    rensei_str_t text;

    if (n == 0 || strlen(assertion) > RENSEI_TOKEN_LEN_MAX ||
        rensei_b64url_decode(payload, &len, dot + 1, n) != APR_SUCCESS ||
        rensei_json_scan(&obj, payload, len) != APR_SUCCESS) {
        return NULL;
    }
    sub = rensei_json_find(&obj, "sub");
    if (!sub || sub->type != RENSEI_JSON_STRING) {
        return NULL;
    }
    text = rensei_json_unescape(sub, p);
    return text.n > 0 ? apr_pstrmemdup(p, text.p, text.n) : NULL;
}

/* RFC 7521 4.2; client_id is optional beside it. */
static apr_status_t assertion_read(token_client_t *out, const body_t *body,
                                   apr_pool_t *p, rensei_err_t *err)
{
    if (body->secret) {
        return two_ways(err);
    }
    if (!body->assertion) {
        return rensei_err_field(err, p, "client_assertion",
                                "client_assertion is missing.");
    }
    if (!body->assertion_type) {
        return rensei_err_field(err, p, "client_assertion_type",
                                "client_assertion_type is missing.");
    }
    if (strcmp(body->assertion_type, RENSEI_ASSERTION_TYPE) != 0) {
        return rensei_err_set(
            err, RENSEI_E_INVALID_CLIENT,
            "A client assertion must be of the type " RENSEI_ASSERTION_TYPE
            ".");
    }
    out->method = RENSEI_AUTH_JWT;
    out->assertion = body->assertion;
    out->id = body->id ? body->id : assertion_subject(body->assertion, p);
    return APR_SUCCESS;
}

static apr_status_t secret_read(token_client_t *out, const body_t *body,
                                apr_pool_t *p, rensei_err_t *err)
{
    if (!body->id) {
        return rensei_err_field(err, p, "client_id", "client_id is missing.");
    }
    if (!body->secret) {
        return rensei_err_field(err, p, "client_secret",
                                "client_secret is missing.");
    }
    out->method = RENSEI_AUTH_POST;
    out->id = body->id;
    out->secret = body->secret;
    return APR_SUCCESS;
}

apr_status_t token_client_read(token_client_t *out, request_rec *r,
                               const json_t *params, int takes_key,
                               rensei_err_t *err)
{
    const char *header = apr_table_get(r->headers_in, "Authorization");
    body_t body = body_of(params);

    if (header) {
        return header_read(out, header, &body, takes_key, r->pool, err);
    }
    if (body.assertion || body.assertion_type) {
        return assertion_read(out, &body, r->pool, err);
    }
    return secret_read(out, &body, r->pool, err);
}

int token_client_none(request_rec *r, const json_t *params)
{
    body_t body = body_of(params);

    return !apr_table_get(r->headers_in, "Authorization") && !body.secret &&
           !body.assertion;
}

void token_client_wipe(token_client_t *client)
{
    if (client->secret) {
        OPENSSL_cleanse((void *)client->secret, strlen(client->secret));
        client->secret = NULL;
    }
}
