/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * What anybody may know: GET /.well-known/jwks.json (RFC 7517) and
 * /.well-known/oauth-authorization-server (RFC 8414). Unlike all else they may
 * be kept by caches, for as long as a new key may take to be known.
 */
#include "rensei_http_body.h"
#include "rensei_http_reply.h"
#include "rensei_http_url.h"
#include "rensei_json.h"
#include "token_call.h"
#include "token_conf.h"
#include "token_routes.h"
#include "token_url.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <openssl/evp.h>

#define KEPT "public, max-age=300"
#define TAG_BYTES 16

/* Strong: the same tag, the same bytes. NULL when OpenSSL fails. */
static const char *tag_of(const char *text, apr_pool_t *p)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    char *tag = apr_palloc(p, 2 * TAG_BYTES + 3);
    char *to = tag;
    int i;

    if (!EVP_Digest(text, strlen(text), md, NULL, EVP_sha256(), NULL)) {
        return NULL;
    }
    *to++ = '"';
    for (i = 0; i < TAG_BYTES; i++, to += 2) {
        apr_snprintf(to, 3, "%02x", md[i]);
    }
    *to++ = '"';
    *to = '\0';
    return tag;
}

/* Drops the reference to body. */
static int reply_kept(request_rec *r, const char *type, json_t *body)
{
    const char *text = rensei_json_dump(body, r->pool);
    const char *tag = text ? tag_of(text, r->pool) : NULL;
    int status;

    json_decref(body);
    if (!tag) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->headers_out, "Cache-Control", KEPT);
    apr_table_setn(r->headers_out, "ETag", tag);
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    status = ap_meets_conditions(r);
    if (status != OK) {
        return status;
    }
    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

static int refuse(request_rec *r, rensei_code_e code, const char *text)
{
    rensei_err_t err = {0};

    rensei_err_set(&err, code, text);
    return rensei_http_reply_error(r, &err);
}

int token_jwks_get(request_rec *r, const rensei_route_match_t *m)
{
    const rensei_policy_t *policy = token_policy(r->server);
    json_t *keys;

    rensei_http_body_discard(r);
    if (!policy || !policy->ring) {
        return refuse(r, RENSEI_E_UNAVAILABLE,
                      "The keys are not available at the moment.");
    }
    keys = rensei_ring_jwks(policy->ring);
    return keys ? reply_kept(r, "application/jwk-set+json", keys)
                : HTTP_INTERNAL_SERVER_ERROR;
}

/* ---- metadata ---- */

/* One array of algorithms for each endpoint that takes assertions. */
static json_t *algorithms(void)
{
    json_t *out = json_array();
    int alg;

    for (alg = 0; alg < RENSEI_ALG_COUNT; alg++) {
        if (alg != RENSEI_ALG_HS256) {
            json_array_append_new(out, json_string(rensei_alg_name(alg)));
        }
    }
    return out;
}

/* What is said of an endpoint: its URL, and how callers authenticate. */
static void endpoint_add(json_t *out, const char *name, const char *url,
                         int bearer, apr_pool_t *p)
{
    json_t *methods = json_pack("[s, s, s]", RENSEI_AUTH_BASIC,
                                RENSEI_AUTH_POST, RENSEI_AUTH_JWT);

    if (bearer) {
        json_array_append_new(methods, json_string("Bearer"));
    }
    json_object_set_new(out, apr_pstrcat(p, name, "_endpoint", NULL),
                        json_string(url));
    json_object_set_new(
        out, apr_pstrcat(p, name, "_endpoint_auth_methods_supported", NULL),
        methods);
    json_object_set_new(
        out,
        apr_pstrcat(p, name, "_endpoint_auth_signing_alg_values_supported",
                    NULL),
        algorithms());
}

static int has_public_key(const rensei_policy_t *policy)
{
    int i;

    for (i = 0; policy->ring && i < rensei_ring_count(policy->ring); i++) {
        const rensei_ring_key_t *key = rensei_ring_at(policy->ring, i);

        if (rensei_ring_key_alg(key) != RENSEI_ALG_HS256) {
            return 1;
        }
    }
    return 0;
}

static json_t *scopes_of(const rensei_scopes_t *set)
{
    json_t *out = json_array();
    int i;

    for (i = 0; i < set->count; i++) {
        json_array_append_new(out,
                              json_stringn(set->scope[i].p, set->scope[i].n));
    }
    return out;
}

/* `Bearer` is a method for introspection alone: of the others' methods there
 * is a registry, and it is not in there (RFC 8414 2). */
static json_t *metadata(request_rec *r, const rensei_policy_t *policy)
{
    const char *authorization = token_conf(r->server)->authorization_url;
    const char *base = rensei_http_base_url(r, policy->base_url);
    apr_pool_t *p = r->pool;
    json_t *out = json_object();

    json_object_set_new(out, "issuer", json_string(base));
    if (authorization) {
        json_object_set_new(out, "authorization_endpoint",
                            json_string(authorization));
    }
    endpoint_add(out, "token", apr_pstrcat(p, base, TOKEN_PATH, NULL), 0, p);
    endpoint_add(out, "introspection",
                 apr_pstrcat(p, base, TOKEN_INTROSPECT_PATH, NULL), 1, p);
    endpoint_add(out, "revocation",
                 apr_pstrcat(p, base, TOKEN_REVOKE_PATH, NULL), 0, p);
    if (has_public_key(policy)) {
        json_object_set_new(
            out, "jwks_uri",
            json_string(apr_pstrcat(p, base, TOKEN_JWKS_PATH, NULL)));
    }
    json_object_set_new(out, "grant_types_supported",
                        json_pack("[s]", "client_credentials"));
    json_object_set_new(out, "response_types_supported", json_array());
    json_object_set_new(out, "scopes_supported",
                        scopes_of(&policy->vocab->m2m));
    return out;
}

/* What comes behind the host; "" for nothing. */
static const char *path_of(const char *url)
{
    const char *path = url ? strchr(strstr(url, "://") + 3, '/') : NULL;

    return path ? path : "";
}

/* Of an issuer with a path, it stands behind the well-known one (RFC 8414 3);
 * the bare one is answered as well, for whoever passes requests on to us
 * without that path. */
int token_metadata_get(request_rec *r, const rensei_route_match_t *m)
{
    const rensei_policy_t *policy = token_policy(r->server);
    const char *rest = r->uri + strlen(TOKEN_METADATA_PATH);

    rensei_http_body_discard(r);
    if (!policy) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (*rest && strcmp(rest, path_of(policy->base_url)) != 0) {
        return refuse(r, RENSEI_E_NOT_FOUND, "There is nothing at this path.");
    }
    return reply_kept(r, "application/json", metadata(r, policy));
}
