/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Who asks about tokens, or ends them: a client, or an organisation by one of
 * its org keys. The endpoints stand outside of any AuthType, since the one
 * shows its credentials otherwise than the other.
 */
#include "rensei_apikey.h"
#include "rensei_client_auth.h"
#include "rensei_id.h"
#include "token_call.h"

/* A caller comes often. That its key is in use at all is known at once, what
 * comes after that within the minute is counted with all other uses. */
#define USED_EVERY_MS 60000

/* Who shows no credential at all is told to (RFC 7662 2.1, RFC 7009 2.1). */
static apr_status_t caller_named(token_call_t *call)
{
    if (!token_client_none(call->r, call->params)) {
        return APR_SUCCESS;
    }
    call->client.scheme = "Basic";
    return rensei_err_set(&call->err, RENSEI_E_INVALID_CLIENT,
                          "The caller must authenticate: as a client, or with "
                          "an organisation's API key.");
}

static apr_status_t token_param(const char **out, token_call_t *call)
{
    *out = token_call_param(call, "token");
    if (!*out || !**out) {
        return rensei_err_field(&call->err, call->r->pool, "token",
                                "token is missing.");
    }
    return APR_SUCCESS;
}

apr_status_t token_caller_start(const char **token, token_call_t *call,
                                request_rec *r, const rensei_param_t *special)
{
    apr_status_t rv = token_call_start(call, r, special);

    if (rv == APR_SUCCESS) {
        rv = caller_named(call);
    }
    if (rv == APR_SUCCESS) {
        rv = token_param(token, call);
    }
    if (rv == APR_SUCCESS) {
        rv = token_call_client(call, 1);
    }
    return rv;
}

static apr_status_t refuse(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_TOKEN, text);
}

static apr_status_t key_find(rensei_apikey_t *key, token_call_t *call)
{
    const char *token = call->client.key;
    apr_size_t n = strlen(token);
    apr_status_t rv;

    if (!rensei_secret_valid(RENSEI_SECRET_KEY, token, n)) {
        return refuse(&call->err, "Only a client or an organisation's API key "
                                  "may ask this.");
    }
    rv = rensei_apikey_find(key, call->store, token, n, call->r->pool,
                            &call->err);
    if (rv != APR_SUCCESS && call->err.code == RENSEI_E_NOT_FOUND) {
        return refuse(&call->err, "The API key is not known.");
    }
    return rv;
}

static apr_status_t key_check(const rensei_apikey_t *key, token_call_t *call,
                              rensei_str_t scope, apr_int64_t now)
{
    rensei_err_t *err = &call->err;

    if (key->revoked_at != 0) {
        return refuse(err, "The API key has been revoked.");
    }
    if (key->suspended) {
        return rensei_err_setf(err, call->r->pool, RENSEI_E_INVALID_TOKEN,
                               "The %s is suspended.", key->suspended);
    }
    if (key->expires_at != 0 && key->expires_at <= now) {
        return refuse(err, "The API key has expired.");
    }
    if (key->cls != RENSEI_CLASS_ORG) {
        return refuse(err, "Only an organisation's own API key may ask this.");
    }
    if (!rensei_scope_granted(call->policy->vocab, key->cls, &key->scopes,
                              scope)) {
        return rensei_err_setf(err, call->r->pool, RENSEI_E_INVALID_TOKEN,
                               "The API key lacks the scope %.*s.",
                               (int)scope.n, scope.p);
    }
    return APR_SUCCESS;
}

/* Its failure is no reason to refuse. */
static void key_used(const rensei_apikey_t *key, token_call_t *call,
                     apr_int64_t now)
{
    const rensei_usage_t usage = {
        .at = now, .ip = call->r->useragent_ip, .count = 1};
    rensei_err_t unused = {0};

    if (now - key->last_used_at < USED_EVERY_MS ||
        rensei_apikey_used(call->store, key->id, &usage, call->r->pool,
                           &unused) != APR_SUCCESS) {
        token_used(call->r, key->id);
    }
}

static apr_status_t by_key(token_caller_t *out, token_call_t *call,
                           rensei_str_t scope)
{
    apr_int64_t now = rensei_store_now_ms(call->store);
    rensei_apikey_t key = {0};
    apr_status_t rv = key_find(&key, call);

    if (rv == APR_SUCCESS) {
        rv = key_check(&key, call, scope, now);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    key_used(&key, call, now);
    token_expires(call->r, key.expires_at);
    out->org = key.org;
    out->client = NULL;
    out->workspace = key.workspace;
    call->actor.id = key.id;
    call->actor.type = "api_key";
    return APR_SUCCESS;
}

static apr_status_t by_client(token_caller_t *out, token_call_t *call)
{
    rensei_token_request_t req = token_call_request(call);
    rensei_client_t client = {0};
    apr_status_t rv;

    /* Memory follows what others change a moment later. A token is recorded
     * only if the store agrees, but here nothing asks it again. */
    rensei_store_memory(call->store, NULL);
    rv = rensei_grant_authenticate(&client, call->store, &call->issuer, &req,
                                   &call->actor, call->r->pool, &call->err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    token_used(call->r, client.id);
    token_expires(call->r, rensei_client_auth_end(&client));
    out->org = client.org;
    out->client = client.id;
    out->workspace = NULL; /* it ends its own tokens, wherever it belongs */
    call->actor.id = client.id;
    call->actor.type = "m2m_client";
    return APR_SUCCESS;
}

apr_status_t token_caller_authenticate(token_caller_t *out, token_call_t *call,
                                       rensei_str_t scope)
{
    return call->client.key ? by_key(out, call, scope) : by_client(out, call);
}
