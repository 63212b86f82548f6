/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * One request to an endpoint of the token service that takes credentials: what
 * the endpoints have in common, from the body to the answer.
 */
#ifndef TOKEN_CALL_H
#define TOKEN_CALL_H

#include "mod_rensei_auth.h"
#include "rensei_grant.h"
#include "rensei_http_body.h"
#include "rensei_http_route.h"
#include "token_client.h"

typedef struct rensei_http_store_t rensei_http_store_t;

typedef struct token_call_t {
    request_rec *r;
    json_t *params;
    token_client_t client; /* who says that he calls */
    rensei_actor_t actor;  /* anonymous, until he has proved it */
    const rensei_policy_t *policy;
    rensei_issuer_t issuer;
    rensei_http_store_t *handle;
    rensei_store_t *store; /* from token_call_open on */
    int tried;             /* the store was asked about the caller */
    int http_status;       /* httpd's own, not 0: the body was not to be had */
    rensei_err_t err;
} token_call_t;

/** Begins: reads the parameters. @param special as rensei_http_body_params */
apr_status_t token_call_start(token_call_t *call, request_rec *r,
                              const rensei_param_t *special);

/** The parameter, or NULL. */
const char *token_call_param(const token_call_t *call, const char *name);

/** Reads who calls, and makes him wait who failed too often.
 * @param takes_key as token_client_read */
apr_status_t token_call_client(token_call_t *call, int takes_key);

/** Sets what is issued and believed here, and opens the store. Late: it is
 * held from the first look at the caller to the last change. */
apr_status_t token_call_open(token_call_t *call);

/** Gives the connection back before the call is over; the store's next
 * statement takes one again. */
void token_call_let_go(token_call_t *call);

/** What the caller's authentication is made of, for rensei_grant. */
rensei_token_request_t token_call_request(const token_call_t *call);

/** Closes the store and wipes the secrets, whatever became of the call; counts
 * the failure of a client that did not authenticate. */
void token_call_close(token_call_t *call);

/** Answers call->err (or what httpd had to say of the body); for a handler to
 * return. */
int token_call_refuse(token_call_t *call);

/** Which organisation calls, and as what. */
typedef struct token_caller_t {
    const char *org;
    const char *client;    /* the client's id, or NULL: an org key */
    const char *workspace; /* that the key is bound to, or NULL */
} token_caller_t;

/** Begins a call about the token in the parameters: token_call_start, and
 * token_call_client, which here may be a key.
 * @return err also INVALID_CLIENT where nobody says who he is */
apr_status_t token_caller_start(const char **token, token_call_t *call,
                                request_rec *r, const rensei_param_t *special);

/** Authenticates a client, or an org key that has the scope; the store is
 * open. call->actor is the caller from then on.
 * @return err INVALID_CLIENT; INVALID_TOKEN for a key that will not do (RFC
 *   7662 2.3: 401, also for one without the scope) */
apr_status_t token_caller_authenticate(token_caller_t *out, token_call_t *call,
                                       rensei_str_t scope);

/* How the endpoints reach mod_rensei_auth. */
void token_call_retrieve(void);
const rensei_policy_t *token_policy(server_rec *s); /* or NULL */
void token_changed(const char *client);
/** r's caller authenticated by what ends then (epoch ms, 0: never). */
void token_expires(request_rec *r, apr_int64_t at);

/** Whom AuthType Bearer authenticated, or NULL. */
const rensei_principal_t *token_principal(request_rec *r);

/** Makes who failed too often wait.
 * @param subject whose failures from this address count
 * @return err SLOW_DOWN, with Retry-After set */
apr_status_t token_wait(request_rec *r, const char *subject, rensei_err_t *err);
void token_failed(request_rec *r, const char *subject);

/** Counts a use of a key, or of a client's secret. */
void token_used(request_rec *r, const char *id);

/** The challenge that goes with an error about a bearer credential (RFC 6750
 * 3). */
const char *token_challenge(request_rec *r, const rensei_err_t *err);

#endif
