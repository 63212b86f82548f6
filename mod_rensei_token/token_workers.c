/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * Workers: POST /v1/daemon/register, with the registration key in the body;
 * POST /api/workers/register, with it as Bearer; and POST
 * /api/workers/{id}/refresh-token, with the worker's own runtime token.
 */
#include "rensei_enroll.h"
#include "rensei_field.h"
#include "rensei_http_body.h"
#include "rensei_http_log.h"
#include "rensei_http_reply.h"
#include "rensei_http_store.h"
#include "token_call.h"
#include "token_conf.h"
#include "token_routes.h"
#include "token_worker_conf.h"

#include <http_core.h>

APLOG_USE_MODULE(rensei_token);

/* Under which name failures of an address are counted: a key that is none
 * has no name of its own. */
#define THROTTLED "registration"

typedef struct worker_call_t {
    request_rec *r;
    const rensei_principal_t *principal; /* NULL where the key is in the body */
    json_t *body;
    rensei_enroll_spec_t spec;
    rensei_actor_t actor;
    rensei_enroller_t by;
    rensei_enrolled_t done;
    rensei_http_store_t *handle;
    rensei_store_t *store;
    int http_status; /* httpd's own, not 0: the body was not to be had */
    rensei_err_t err;
} worker_call_t;

/* ---- what the calls have in common ---- */

static void call_start(worker_call_t *call, request_rec *r)
{
    call->r = r;
    call->actor = rensei_http_actor(r, NULL);
}

/* Who calls, where his location asks for a credential of that kind. */
static apr_status_t principal_find(worker_call_t *call, rensei_class_e cls)
{
    request_rec *r = call->r;

    call->principal = token_principal(r);
    if (!call->principal) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      RSLOG(0071) "%s is served by rensei-token, but nothing "
                                  "authenticated the caller: its location "
                                  "needs \"AuthType Bearer\" and a \"Require\" "
                                  "line",
                      r->uri);
    }
    if (!call->principal || call->principal->cls != cls) {
        return rensei_err_set(&call->err, RENSEI_E_FORBIDDEN,
                              cls == RENSEI_CLASS_REGISTRATION
                                  ? "This needs a registration key."
                                  : "This needs a worker's runtime token.");
    }
    call->actor = rensei_http_actor(r, call->principal);
    return APR_SUCCESS;
}

/* A registration key in the query would be in everybody's log. */
static apr_status_t query_none(worker_call_t *call)
{
    static const char *const none[] = {NULL};
    json_t *query;

    return rensei_http_query(&query, call->r, none, &call->err);
}

static apr_status_t spec_read(worker_call_t *call, int takes_token)
{
    apr_status_t rv = query_none(call);

    if (rv == APR_SUCCESS) {
        rv = rensei_http_body_json(&call->body, &call->http_status, call->r,
                                   &call->err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_enroll_spec_read(&call->spec, call->body, takes_token,
                                     call->r->pool, &call->err);
    }
    return rv;
}

static apr_status_t call_open(worker_call_t *call)
{
    server_rec *s = call->r->server;
    const rensei_policy_t *policy = token_policy(s);
    const token_conf_t *conf = token_conf(s);
    rensei_enroller_t *by = &call->by;

    if (!policy || !policy->ring) {
        rensei_err_set(&call->err, RENSEI_E_UNAVAILABLE,
                       "Tokens cannot be signed at the moment.");
        call->err.cause = "no key to sign with could be read at start";
        return APR_EGENERAL;
    }
    by->ring = policy->ring;
    by->issuer = policy->expect.issuer;
    by->audience = policy->expect.audience;
    by->vocab = policy->vocab;
    by->lifetime =
        rensei_limits_lifetime(&policy->limits, conf->worker_lifetime);
    by->scopes = token_worker_scopes(conf, policy->vocab, call->r->pool);
    return rensei_http_store_open(&call->handle, &call->store, s, call->r->pool,
                                  &call->err);
}

static void call_close(worker_call_t *call)
{
    if (call->store) {
        rensei_http_store_close(call->handle);
        call->store = NULL;
    }
    rensei_http_body_wipe(json_object_get(call->body, "registrationToken"));
}

static int call_refuse(worker_call_t *call)
{
    request_rec *r = call->r;

    if (call->http_status) {
        return call->http_status;
    }
    if (call->err.code == RENSEI_E_INVALID_TOKEN) {
        apr_table_setn(r->headers_out, "WWW-Authenticate",
                       token_challenge(r, &call->err));
    }
    rensei_http_body_discard(r);
    return rensei_http_reply_error(r, &call->err);
}

static const char *expires_at(const worker_call_t *call)
{
    return rensei_time_iso(call->done.expires_at, call->r->pool);
}

/* ---- POST /v1/daemon/register ---- */

static apr_status_t daemon_register(worker_call_t *call)
{
    request_rec *r = call->r;
    apr_status_t rv = spec_read(call, 1);

    if (rv == APR_SUCCESS) {
        rv = token_wait(r, THROTTLED, &call->err);
    }
    if (rv == APR_SUCCESS) {
        rv = call_open(call);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_enroll_by_token(&call->done, call->store, &call->by,
                                &call->spec, &call->actor, r->pool, &call->err);
    if (rv != APR_SUCCESS && call->err.code == RENSEI_E_INVALID_TOKEN) {
        token_failed(r, THROTTLED);
    }
    return rv;
}

int token_daemon_register(request_rec *r, const rensei_route_match_t *m)
{
    worker_call_t call = {0};
    const token_conf_t *conf = token_conf(r->server);
    apr_status_t rv;

    call_start(&call, r);
    rv = daemon_register(&call);
    call_close(&call);
    if (rv != APR_SUCCESS) {
        return call_refuse(&call);
    }
    return rensei_http_reply(
        r, HTTP_CREATED,
        json_pack("{s:s, s:s, s:s, s:I, s:I}", "workerId", call.done.worker.id,
                  "runtimeJwt", call.done.token, "expiresAt", expires_at(&call),
                  "heartbeatIntervalSeconds",
                  (json_int_t)conf->worker_heartbeat, "pollIntervalSeconds",
                  (json_int_t)conf->worker_poll));
}

/* ---- POST /api/workers/register ---- */

static apr_status_t worker_register(worker_call_t *call)
{
    apr_status_t rv = principal_find(call, RENSEI_CLASS_REGISTRATION);

    if (rv == APR_SUCCESS) {
        rv = spec_read(call, 0);
    }
    if (rv == APR_SUCCESS) {
        rv = call_open(call);
    }
    return rv == APR_SUCCESS
               ? rensei_enroll_by_key(&call->done, call->store, &call->by,
                                      call->principal->org,
                                      call->principal->sub, &call->spec,
                                      &call->actor, call->r->pool, &call->err)
               : rv;
}

int token_worker_register(request_rec *r, const rensei_route_match_t *m)
{
    worker_call_t call = {0};
    const token_conf_t *conf = token_conf(r->server);
    apr_status_t rv;

    call_start(&call, r);
    rv = worker_register(&call);
    call_close(&call);
    if (rv != APR_SUCCESS) {
        return call_refuse(&call);
    }
    /* Here the intervals are in milliseconds. */
    return rensei_http_reply(
        r, HTTP_CREATED,
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "workerId",
                  call.done.worker.id, "runtimeJwt", call.done.token,
                  "runtimeToken", call.done.token, "runtimeTokenExpiresAt",
                  expires_at(&call), "heartbeatInterval",
                  (json_int_t)conf->worker_heartbeat * 1000, "pollInterval",
                  (json_int_t)conf->worker_poll * 1000));
}

/* ---- POST /api/workers/{id}/refresh-token ---- */

/* No field of a body means anything here. */
static apr_status_t body_none(worker_call_t *call)
{
    static const char *const none[] = {NULL};
    apr_status_t rv = query_none(call);

    if (rv == APR_SUCCESS) {
        rv = rensei_http_body_json_opt(&call->body, &call->http_status, call->r,
                                       &call->err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_body_known(call->body, none, call->r->pool, &call->err);
    }
    return rv;
}

static apr_status_t worker_refresh(worker_call_t *call, const char *id)
{
    apr_status_t rv = principal_find(call, RENSEI_CLASS_WORKER);

    if (rv == APR_SUCCESS && strcmp(id, call->principal->sub) != 0) {
        rv = rensei_err_set(&call->err, RENSEI_E_NOT_FOUND,
                            "There is no such worker.");
    }
    if (rv == APR_SUCCESS) {
        rv = body_none(call);
    }
    if (rv == APR_SUCCESS) {
        rv = call_open(call);
    }
    return rv == APR_SUCCESS
               ? rensei_enroll_refresh(&call->done, call->store, &call->by,
                                       call->principal->org, id, &call->actor,
                                       call->r->pool, &call->err)
               : rv;
}

int token_worker_refresh(request_rec *r, const rensei_route_match_t *m)
{
    worker_call_t call = {0};
    apr_status_t rv;

    call_start(&call, r);
    rv = worker_refresh(&call, m->param[0]);
    call_close(&call);
    if (rv != APR_SUCCESS) {
        return call_refuse(&call);
    }
    return rensei_http_reply(r, HTTP_OK,
                             json_pack("{s:s, s:s, s:s}", "runtimeJwt",
                                       call.done.token, "runtimeToken",
                                       call.done.token, "expiresAt",
                                       expires_at(&call)));
}
