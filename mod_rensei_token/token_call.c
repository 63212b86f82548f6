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
static APR_OPTIONAL_FN_TYPE(rensei_auth_principal) * auth_principal;
static APR_OPTIONAL_FN_TYPE(rensei_auth_wait) * auth_wait;
static APR_OPTIONAL_FN_TYPE(rensei_auth_failed) * auth_failed;
static APR_OPTIONAL_FN_TYPE(rensei_auth_expires) * auth_expires;
static APR_OPTIONAL_FN_TYPE(rensei_auth_used) * auth_used;
static APR_OPTIONAL_FN_TYPE(rensei_auth_memory) * auth_memory;

void token_call_retrieve(void)
{
    auth_policy = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_policy);
    auth_changed = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_changed);
    auth_principal = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_principal);
    auth_wait = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_wait);
    auth_failed = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_failed);
    auth_expires = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_expires);
    auth_used = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_used);
    auth_memory = APR_RETRIEVE_OPTIONAL_FN(rensei_auth_memory);
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

const rensei_principal_t *token_principal(request_rec *r)
{
    return auth_principal ? auth_principal(r) : NULL;
}

apr_status_t token_wait(request_rec *r, const char *subject, rensei_err_t *err)
{
    int seconds =
        auth_wait ? auth_wait(r->server, subject, r->useragent_ip) : 0;

    if (seconds == 0) {
        return APR_SUCCESS;
    }
    apr_table_setn(r->headers_out, "Retry-After",
                   apr_psprintf(r->pool, "%d", seconds));
    return rensei_err_set(err, RENSEI_E_SLOW_DOWN,
                          "Too many attempts failed; wait.");
}

void token_failed(request_rec *r, const char *subject)
{
    if (auth_failed) {
        auth_failed(r->server, subject, r->useragent_ip);
    }
}

void token_used(request_rec *r, const char *id)
{
    if (auth_used) {
        auth_used(r, id);
    }
}

void token_expires(request_rec *r, apr_int64_t at)
{
    if (auth_expires) {
        auth_expires(r, at);
    }
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

    call->actor.muted =
        auth_wait && auth_wait(r->server, "", r->useragent_ip) > 0;
    return id ? token_wait(r, id, &call->err) : APR_SUCCESS;
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
    out->limits = &call->policy->limits;
    out->template = conf->claims;
    out->rfc9068 = conf->rfc9068;
    if (call->client.assertion) {
        out->assertion_audiences = token_url_audiences(call->r, call->policy);
    }
    return APR_SUCCESS;
}

apr_status_t token_call_open(token_call_t *call)
{
    apr_status_t rv = issuer_set(call);

    if (rv == APR_SUCCESS) {
        rv = rensei_http_store_open(&call->handle, &call->store,
                                    call->r->server, call->r->pool, &call->err);
        call->tried |= rv == APR_SUCCESS;
    }
    if (rv == APR_SUCCESS && auth_memory) {
        rensei_store_memory(call->store, auth_memory(call->r));
    }
    return rv;
}

void token_call_let_go(token_call_t *call)
{
    if (call->store) {
        rensei_http_store_close(call->handle);
    }
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
    if (call->tried && (call->err.code == RENSEI_E_INVALID_CLIENT ||
                        call->err.code == RENSEI_E_SLOW_DOWN)) {
        token_failed(r, call->client.id ? call->client.id : "?");
    }
    token_call_let_go(call);
    token_client_wipe(&call->client);
    rensei_http_body_wipe(json_object_get(call->params, "client_secret"));
    rensei_http_body_wipe(json_object_get(call->params, "token"));
}

static const char *realm_of(request_rec *r)
{
    const char *name = ap_auth_name(r);

    return name ? ap_escape_quotes(r->pool, name) : "rensei";
}

const char *token_challenge(request_rec *r, const rensei_err_t *err)
{
    return apr_pstrcat(r->pool, "Bearer realm=\"", realm_of(r), "\", error=\"",
                       rensei_code_name(err->code), "\", error_description=\"",
                       err->text, "\"", NULL);
}

/* Which faults have a challenge: of a client, where it used the header (RFC
 * 6749 5.2); of a key, always (RFC 6750 3). */
static const char *challenge_of(const token_call_t *call)
{
    const rensei_err_t *err = &call->err;
    request_rec *r = call->r;

    if (!call->client.scheme) {
        return NULL;
    }
    if (err->code == RENSEI_E_INVALID_CLIENT) {
        return apr_pstrcat(r->pool, "Basic realm=\"", realm_of(r), "\"", NULL);
    }
    return err->code == RENSEI_E_INVALID_TOKEN ? token_challenge(r, err) : NULL;
}

int token_call_refuse(token_call_t *call)
{
    request_rec *r = call->r;
    const char *challenge;

    if (call->http_status) {
        return call->http_status;
    }
    challenge = challenge_of(call);
    if (challenge) {
        apr_table_setn(r->headers_out, "WWW-Authenticate", challenge);
    }
    return rensei_http_reply_error(r, &call->err);
}
