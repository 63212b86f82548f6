/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_field.h"
#include "rensei_revocation.h"

#include <string.h>

apr_status_t admin_client_giveable(admin_call_t *c, const char *id,
                                   const rensei_scopes_t *scopes)
{
    rensei_client_t client;
    apr_status_t rv =
        rensei_client_get(&client, c->store, c->org, id, c->p, &c->err);

    return rv == APR_SUCCESS
               ? rensei_grantor_holds(&c->grantor, c->vocab, RENSEI_CLASS_M2M,
                                      scopes ? scopes : &client.scopes, c->p,
                                      &c->err)
               : rv;
}

apr_status_t admin_client_reached(admin_call_t *c, const char *id)
{
    rensei_client_t client;
    apr_status_t rv;

    if (!c->grantor.workspace) {
        return APR_SUCCESS;
    }
    rv = rensei_client_get(&client, c->store, c->org, id, c->p, &c->err);
    return rv == APR_SUCCESS ? rensei_grantor_reaches(
                                   &c->grantor, client.workspace, c->p, &c->err)
                             : rv;
}

apr_status_t admin_client_changeable(admin_call_t *c, const char *id)
{
    if (c->grantor.cls == RENSEI_CLASS_M2M && strcmp(c->actor.id, id) == 0) {
        return rensei_err_set(&c->err, RENSEI_E_FORBIDDEN,
                              "A client cannot change itself.");
    }
    return admin_client_reached(c, id);
}

static apr_status_t rotate_start(admin_call_t *c, rensei_client_t *client,
                                 const char **secret, const char *id)
{
    static const char *const known[] = {"expiresAt", NULL};
    apr_int64_t expires = 0; /* when the old secret does */
    apr_status_t rv = admin_body_opt(c, known);

    if (rv == APR_SUCCESS &&
        rensei_body_time(&expires, c->body, "expiresAt", c->p, &c->err) < 0) {
        rv = APR_EGENERAL;
    }
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_client_changeable(c, id);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_client_giveable(c, id, NULL);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_client_rotate_start(client, secret, c->store, c->org, id,
                                    expires, &c->actor, c->p, &c->err);
    admin_changed(c, rv, id);
    if (rv != APR_SUCCESS && c->err.field) {
        /* It has one field, which has another name in the client. */
        rensei_err_field(&c->err, c->p, "expiresAt",
                         "expiresAt must be in the future.");
    }
    return rv;
}

/* POST /api/admin/m2m-clients/{id}/secrets/rotate/start */
int admin_rotate_start(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_client_t client;
    const char *secret;
    json_t *body;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_id(&c, m->param[0]) != APR_SUCCESS ||
        rotate_start(&c, &client, &secret, m->param[0]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    body = json_pack("{s:s, s:s, s:s, s:s, s:o}", "clientId", client.id,
                     "nextClientSecret", secret, "nextSecretLast4",
                     client.next_secret_last4, "secretLast4",
                     client.secret_last4, "secretExpiresAt",
                     rensei_answer_ms(client.secret_expires_at));
    return admin_reply(&c, HTTP_OK, body);
}

/* A rule that changes a client and needs to be told nothing but which. */
typedef apr_status_t change_fn(rensei_client_t *out, rensei_store_t *st,
                               const char *org, const char *id,
                               const rensei_actor_t *actor, apr_pool_t *p,
                               rensei_err_t *err);

static apr_status_t change(admin_call_t *c, rensei_client_t *client,
                           const char *id, change_fn *fn)
{
    static const char *const known[] = {NULL};
    apr_status_t rv = admin_body_opt(c, known);

    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_client_changeable(c, id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = fn(client, c->store, c->org, id, &c->actor, c->p, &c->err);
    admin_changed(c, rv, id);
    return rv;
}

static int change_reply(request_rec *r, const char *id, change_fn *fn)
{
    admin_call_t c;
    rensei_client_t client;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_id(&c, id) != APR_SUCCESS ||
        change(&c, &client, id, fn) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(
        &c, HTTP_OK,
        json_pack("{s:o}", "client", rensei_client_json(&client, NULL, c.p)));
}

/* POST /api/admin/m2m-clients/{id}/secrets/rotate */
int admin_rotate_complete(request_rec *r, const rensei_route_match_t *m)
{
    return change_reply(r, m->param[0], rensei_client_rotate_complete);
}

/* POST /api/admin/m2m-clients/{id}/secrets/rotate/cancel */
int admin_rotate_cancel(request_rec *r, const rensei_route_match_t *m)
{
    return change_reply(r, m->param[0], rensei_client_rotate_cancel);
}

/* POST /api/admin/m2m-clients/{id}/tokens/revoke */
int admin_tokens_revoke(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_client_t client;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_id(&c, m->param[0]) != APR_SUCCESS ||
        change(&c, &client, m->param[0], rensei_client_revoke_tokens) !=
            APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK,
                       json_pack("{s:s, s:I}", "clientId", client.id,
                                 "tokensRevokedAt",
                                 (json_int_t)client.tokens_after));
}
