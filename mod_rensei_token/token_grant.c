/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * POST /api/oauth/token (RFC 6749 4.4, RFC 8707).
 */
#include "rensei_http_reply.h"
#include "rensei_json_write.h"
#include "token_call.h"
#include "token_conf.h"
#include "token_routes.h"

/* `audience` is what others call a resource indicator. */
static const rensei_param_t special[] = {
    {"resource", RENSEI_PARAM_MANY},
    {"audience", RENSEI_PARAM_MANY},
    {NULL},
};

/* The grant type is looked at first, so that a client of another flow, which
 * has no secret to send, learns what is wrong. */
static apr_status_t grant_type_check(token_call_t *call)
{
    const char *type = token_call_param(call, "grant_type");

    if (!type || !*type) {
        return rensei_err_field(&call->err, call->r->pool, "grant_type",
                                "grant_type is missing.");
    }
    if (strcmp(type, "client_credentials") != 0) {
        return rensei_err_set(&call->err, RENSEI_E_UNSUPPORTED_GRANT,
                              "The grant type must be client_credentials.");
    }
    return APR_SUCCESS;
}

static const char **texts_copy(const char **to, const json_t *array)
{
    size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        *to++ = json_string_value(json_array_get(array, i));
    }
    return to;
}

/* @return NULL where none is asked for */
static const char *const *resources_of(const token_call_t *call)
{
    const json_t *resource = json_object_get(call->params, "resource");
    const json_t *audience = json_object_get(call->params, "audience");
    size_t n = json_array_size(resource) + json_array_size(audience);
    const char **out;

    if (n == 0) {
        return NULL;
    }
    out = apr_pcalloc(call->r->pool, (n + 1) * sizeof(*out));
    texts_copy(texts_copy(out, resource), audience);
    return out;
}

/* Who leads the group takes a connection: if each that waits kept one, there
 * could be none left. */
static apr_status_t record(void *baton, rensei_issuance_t *made,
                           rensei_err_t *err)
{
    token_call_t *call = baton;
    request_rec *r = call->r;
    apr_status_t rv;

    token_call_let_go(call);
    rv = token_group_record(token_conf(r->server)->group, made, r, err);
    if (rv == APR_SUCCESS && made->stale) {
        /* It changed elsewhere, and we were not told yet. */
        token_changed(made->client);
    }
    return rv;
}

static apr_status_t grant(rensei_issuance_t *out, token_call_t *call)
{
    rensei_token_request_t req = token_call_request(call);
    apr_status_t rv = token_call_open(call);

    req.grant_type = token_call_param(call, "grant_type");
    req.scope = token_call_param(call, "scope");
    req.resources = resources_of(call);
    return rv == APR_SUCCESS
               ? rensei_grant_token(out, call->store, &call->issuer, &req,
                                    &call->actor, record, call, call->r->pool,
                                    &call->err)
               : rv;
}

static int reply(request_rec *r, const rensei_token_t *token)
{
    rensei_json_text_t w;

    rensei_json_begin(&w, r->pool);
    rensei_json_put_text(&w, "access_token", token->access_token);
    rensei_json_put_text(&w, "token_type", "Bearer");
    rensei_json_put_int(&w, "expires_in", token->expires_in);
    rensei_json_put_text(&w, "scope", token->scope);
    return rensei_http_reply_text(r, HTTP_OK, rensei_json_finish(&w));
}

int token_post(request_rec *r, const rensei_route_match_t *m)
{
    token_call_t call = {0};
    rensei_issuance_t issuance = {.stale = 1};
    apr_status_t rv = token_call_start(&call, r, special);

    if (rv == APR_SUCCESS) {
        rv = grant_type_check(&call);
    }
    if (rv == APR_SUCCESS) {
        rv = token_call_client(&call, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = grant(&issuance, &call);
    }
    token_call_close(&call);
    token_expires(r, issuance.token.credential_expires_at);
    if (rv != APR_SUCCESS) {
        return token_call_refuse(&call);
    }
    token_used(r, issuance.client);
    return reply(r, &issuance.token);
}
