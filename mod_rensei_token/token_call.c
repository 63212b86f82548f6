/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "token_call.h"
#include "rensei_http_reply.h"
#include "rensei_http_store.h"
#include "token_conf.h"
#include "token_url.h"

#include <apr_strings.h>
#include <http_core.h>

static APR_OPTIONAL_FN_TYPE(rensei_auth_policy) * auth_policy;
static APR_OPTIONAL_FN_TYPE(rensei_auth_changed) * auth_changed;
static APR_OPTIONAL_FN_TYPE(rensei_auth_wait) * auth_wait;
static APR_OPTIONAL_FN_TYPE(rensei_auth_failed) * auth_failed;

void token_call_retrieve(void)
{
    auth_policy = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_policy);
    auth_changed = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_changed);
    auth_wait = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_wait);
    auth_failed = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_failed);
    rensei_http_store_retrieve();
}

const rensei_policy_t *token_policy(server_rec *s)
{
    return auth_policy ? auth_policy(s) : NULL;
}

void token_changed(const char *client)
{
    auth_changed(client);
}

apr_status_t token_call_start(token_call_t *call, request_rec *r,
                              const rensei_param_t *special)
{
    call->r = r;
    call->actor = rensei_http_actor(r, NULL);
    /* RFC 6749 5.1 wants it beside Cache-Control, which each answer has. */
    apr_table_setn(r->headers_out, "Pragma", "no-cache");
    return rensei_http_body_params(&call->params, special, &call->http_status,
                                   r, &call->err);
}

const char *token_call_param(const token_call_t *call, const char *name)
{
    return json_string_value(json_object_get(call->params, name));
}

/* Whoever guesses waits; so does the client itself, if it comes from the same
 * address. A client that is not named is refused further on. */
static apr_status_t throttle_check(token_call_t *call)
{
    request_rec *r = call->r;
    const char *id = call->client.id;
    int seconds =
        auth_wait && id ? auth_wait(r->server, id, r->useragent_ip) : 0;

    call->actor.muted =
        auth_wait && auth_wait(r->server, "", r->useragent_ip) > 0;
    if (seconds == 0) {
        return APR_SUCCESS;
    }
    apr_table_setn(r->headers_out, "Retry-After",
                   apr_psprintf(r->pool, "%d", seconds));
    return rensei_err_set(&call->err, RENSEI_E_SLOW_DOWN,
                          "Too many attempts failed; wait.");
}

apr_status_t token_call_client(token_call_t *call, int takes_key)
{
    apr_status_t rv = token_client_read(&call->client, call->r, call->params,
                                        takes_key, &call->err);

    return rv == APR_SUCCESS ? throttle_check(call) : rv;
}

static apr_status_t issuer_set(token_call_t *call)
{
    const token_conf_t *conf = token_conf(call->r->server);
    rensei_issuer_t *out = &call->issuer;

    call->policy = token_policy(call->r->server);
    if (!call->policy || !call->policy->ring) {
        rensei_err_set(&call->err, RENSEI_E_UNAVAILABLE,
                       "Tokens cannot be signed or checked at the moment.");
        call->err.cause = "no key to sign with could be read at start";
        return APR_EGENERAL;
    }
    out->ring = call->policy->ring;
    out->issuer = call->policy->expect.issuer;
    out->audience = call->policy->expect.audience;
    out->vocab = call->policy->vocab;
    out->lifetime = conf->lifetime;
    out->template = conf->claims;
    out->rfc9068 = conf->rfc9068;
    out->assertion_audiences = token_url_audiences(call->r, call->policy);
    return APR_SUCCESS;
}

apr_status_t token_call_open(token_call_t *call)
{
    apr_status_t rv = issuer_set(call);

    if (rv == APR_SUCCESS) {
        rv = rensei_http_store_open(&call->handle, &call->store,
                                    call->r->server, call->r->pool, &call->err);
    }
    return rv;
}

rensei_token_request_t token_call_request(const token_call_t *call)
{
    rensei_token_request_t req = {0};

    req.client_id = call->client.id;
    req.client_secret = call->client.secret;
    req.client_assertion = call->client.assertion;
    req.auth_method = call->client.method;
    return req;
}

void token_call_close(token_call_t *call)
{
    request_rec *r = call->r;

    /* Not where the method alone was wrong: nothing was tried then. Who names
     * no client at all counts as one, or could fill the audit trail. */
    if (call->store &&
        (call->err.code == RENSEI_E_INVALID_CLIENT ||
         call->err.code == RENSEI_E_SLOW_DOWN) &&
        auth_failed) {
        auth_failed(r->server, call->client.id ? call->client.id : "?",
                    r->useragent_ip);
    }
    if (call->store) {
        rensei_http_store_close(call->handle);
        call->store = NULL;
    }
    token_client_wipe(&call->client);
    rensei_http_body_wipe(json_object_get(call->params, "client_secret"));
    rensei_http_body_wipe(json_object_get(call->params, "token"));
}

/* Which faults have a challenge: of a client, where it used the header (RFC
 * 6749 5.2); of a key, always (RFC 6750 3). */
static const char *challenge_of(const token_call_t *call, const char *realm)
{
    const rensei_err_t *err = &call->err;
    apr_pool_t *p = call->r->pool;

    if (!call->client.scheme) {
        return NULL;
    }
    if (err->code == RENSEI_E_INVALID_CLIENT) {
        return apr_pstrcat(p, "Basic realm=\"", realm, "\"", NULL);
    }
    if (err->code == RENSEI_E_INVALID_TOKEN) {
        return apr_pstrcat(p, "Bearer realm=\"", realm, "\", error=\"",
                           rensei_code_name(err->code),
                           "\", error_description=\"", err->text, "\"", NULL);
    }
    return NULL;
}

int token_call_refuse(token_call_t *call)
{
    request_rec *r = call->r;
    const char *name = ap_auth_name(r);
    const char *challenge;

    if (call->http_status) {
        return call->http_status;
    }
    challenge =
        challenge_of(call, name ? ap_escape_quotes(r->pool, name) : "rensei");
    if (challenge) {
        apr_table_setn(r->headers_out, "WWW-Authenticate", challenge);
    }
    return rensei_http_reply_error(r, &call->err);
}
