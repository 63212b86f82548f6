/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * One call of the admin API: who calls, on which organisation, over which
 * store. A function of the table of routes starts one, reads the request,
 * opens the store, and ends with an answer; the store is given back before
 * anything is written to the client.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include "rensei_apikey.h"
#include "rensei_client.h"
#include "rensei_grantor.h"
#include "rensei_http_body.h"
#include "rensei_http_reply.h"
#include "rensei_http_route.h"
#include "rensei_http_store.h"
#include "rensei_principal.h"

typedef struct admin_call_t {
    request_rec *r;
    apr_pool_t *p;
    const rensei_vocab_t *vocab;
    const char *org; /* the caller's, and so the one it works in */
    rensei_actor_t actor;
    rensei_grantor_t grantor;
    rensei_http_store_t *handle;
    rensei_store_t *store; /* NULL before admin_open */
    json_t *query, *body;  /* the request's pool's */
    int http_status;       /* of a body that could not be read, or 0 */
    rensei_err_t err;
} admin_call_t;

/** Starts a call: the caller must be an org key with org:read to read,
 * org:write to write.
 * @return err FORBIDDEN, INSUFFICIENT_SCOPE; admin_fail answers it */
apr_status_t admin_start(admin_call_t *c, request_rec *r);

/** As admin_start, for clients alone, which M2M tokens may administer where
 * RenseiAdminTokens is On. Neither org:read nor org:write is in their
 * vocabulary: what they need is for the location's Require to say. */
apr_status_t admin_start_clients(admin_call_t *c, request_rec *r);

/** As admin_start, for paths that name an organisation. Another one than the
 * caller's is not found, whether it exists or not. */
apr_status_t admin_start_org(admin_call_t *c, request_rec *r, const char *org);

/** Reads c->body, a JSON object; no query parameter belongs there. */
apr_status_t admin_body(admin_call_t *c);

/** As admin_body, where a body may be left out: c->body then has no members.
 * @param known the members that it may have, NULL-terminated */
apr_status_t admin_body_opt(admin_call_t *c, const char *const *known);

/** Reads c->query, with no parameters but the known ones (NULL-terminated),
 * and drops a body. */
apr_status_t admin_query(admin_call_t *c, const char *const *known);

/** Opens the store: when all is read and checked that can be without it. */
apr_status_t admin_open(admin_call_t *c);

/** May the caller get hold of a credential of a client's? A secret gives all
 * that the client has, so handing one out, or letting in a key of the caller's
 * choice, is giving those scopes away: nobody gives what he does not hold.
 * @param scopes what the client will have; NULL: what it has
 * @return err NOT_FOUND, FORBIDDEN */
apr_status_t admin_client_giveable(admin_call_t *c, const char *id,
                                   const rensei_scopes_t *scopes);

/** May the caller end a client, or a key? One that is bound to a workspace has
 * to do with that workspace's alone. The rules in lib/ that take a grantor ask
 * this themselves.
 * @return err NOT_FOUND, FORBIDDEN */
apr_status_t admin_client_reached(admin_call_t *c, const char *id);
apr_status_t admin_key_reached(admin_call_t *c, const char *id);

/** May the caller change a client? As admin_client_reached; and no client
 * changes itself: it could put off its own end. */
apr_status_t admin_client_changeable(admin_call_t *c, const char *id);

/** Is id from the path fit to be looked for at all? What is not in the
 * alphabet of ids would reach the driver, and PostgreSQL fails on bad UTF-8.
 * @return err NOT_FOUND */
apr_status_t admin_id(admin_call_t *c, const char *id);

/** A parameter of c->query, or NULL. */
const char *admin_param(const admin_call_t *c, const char *name);

/** The parameter `limit`, 1 to RENSEI_PAGE_MAX; 0 when it is not given. */
apr_status_t admin_limit(admin_call_t *c, int *limit);

/** Says that the object changed, once the change is committed, or when it is
 * not known whether it is (rv says how the change ended). */
void admin_changed(const admin_call_t *c, apr_status_t rv, const char *id);

/** Ends the call with an answer; takes over body. */
int admin_reply(admin_call_t *c, int status, json_t *body);

/** Ends the call with 201 and where the new object is. */
int admin_created(admin_call_t *c, const char *location, json_t *body);

/** Ends the call with `{"<name>":[...],"nextCursor"}`; takes over items. */
int admin_page(admin_call_t *c, const char *name, json_t *items,
               const char *next_cursor);

/** Ends the call with c->err. */
int admin_fail(admin_call_t *c);

/** Says on each answer of the legacy endpoint that it ends: before anything
 * can refuse the request, when it is known who calls, and when something else
 * than the handler refused it. Nothing for any other request. */
int admin_legacy_access(request_rec *r);
void admin_legacy_headers(request_rec *r);
void admin_legacy_error(request_rec *r);

rensei_route_fn admin_client_create, admin_client_list, admin_client_get,
    admin_client_patch, admin_client_delete, admin_client_delete_query;
rensei_route_fn admin_rotate_start, admin_rotate_complete, admin_rotate_cancel,
    admin_tokens_revoke;
rensei_route_fn admin_key_create, admin_key_create_legacy, admin_key_list,
    admin_key_get, admin_key_delete, admin_key_patch, admin_key_rotate;
rensei_route_fn admin_worker_list, admin_worker_get, admin_worker_delete;
rensei_route_fn admin_audit_list;
rensei_route_fn admin_credential_list;

#endif
