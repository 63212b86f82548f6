/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"

#include <apr_strings.h>

#define PATH "/api/admin/m2m-clients/"

static json_t *client_body(admin_call_t *c, const rensei_client_t *client,
                           const char *secret)
{
    return json_pack("{s:o}", "client",
                     rensei_client_json(client, secret, c->p));
}

static apr_status_t client_create(admin_call_t *c, rensei_client_t *client,
                                  const char **secret)
{
    rensei_client_spec_t spec;
    apr_status_t rv = admin_body(c);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_client_spec_read(&spec, c->body, 1, c->p, &c->err);
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_client_create(client, secret, c->store, c->org, &spec,
                                c->vocab, &c->grantor, &c->actor, c->p,
                                &c->err);
}

/* POST /api/admin/m2m-clients */
int admin_client_create(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_client_t client;
    const char *secret;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        client_create(&c, &client, &secret) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    admin_changed(&c, APR_SUCCESS, client.id);
    return admin_created(&c, apr_pstrcat(c.p, PATH, client.id, NULL),
                         client_body(&c, &client, secret));
}

static apr_status_t client_list(admin_call_t *c, rensei_client_page_t *page)
{
    static const char *const known[] = {"limit",  "cursor", "name", "scope",
                                        "status", "owner",  NULL};
    rensei_client_filter_t filter = {0};
    apr_status_t rv = admin_query(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    filter.name = admin_param(c, "name");
    filter.scope = admin_param(c, "scope");
    filter.status = admin_param(c, "status");
    filter.owner = admin_param(c, "owner");
    filter.cursor = admin_param(c, "cursor");
    rv = admin_limit(c, &filter.limit);
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_client_list(page, c->store, c->org, &filter, c->p, &c->err);
}

/* GET /api/admin/m2m-clients */
int admin_client_list(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_client_page_t page;
    json_t *items;
    int i;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        client_list(&c, &page) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    items = json_array();
    for (i = 0; i < page.count; i++) {
        json_array_append_new(items,
                              rensei_client_json(&page.client[i], NULL, c.p));
    }
    return admin_page(&c, "clients", items, page.next_cursor);
}

/* GET /api/admin/m2m-clients/{id} */
int admin_client_get(request_rec *r, const rensei_route_match_t *m)
{
    static const char *const known[] = {NULL};
    admin_call_t c;
    rensei_client_t client;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_id(&c, m->param[0]) != APR_SUCCESS ||
        admin_query(&c, known) != APR_SUCCESS ||
        admin_open(&c) != APR_SUCCESS ||
        rensei_client_get(&client, c.store, c.org, m->param[0], c.p, &c.err) !=
            APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, client_body(&c, &client, NULL));
}

/* With a key of his own in the client's place the caller could sign for all
 * that the client may do. */
static apr_status_t patch_check(admin_call_t *c, const char *id,
                                const rensei_client_spec_t *spec)
{
    if (!(spec->set & (RENSEI_CLIENT_JWKS | RENSEI_CLIENT_AUTH_METHOD))) {
        return APR_SUCCESS;
    }
    return admin_client_giveable(
        c, id, spec->set & RENSEI_CLIENT_SCOPES ? &spec->scopes : NULL);
}

static apr_status_t client_patch(admin_call_t *c, rensei_client_t *client,
                                 const char *id)
{
    rensei_client_spec_t spec;
    apr_status_t rv = admin_body(c);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_client_spec_read(&spec, c->body, 0, c->p, &c->err);
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = admin_client_changeable(c, id);
    if (rv == APR_SUCCESS) {
        rv = patch_check(c, id, &spec);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_client_update(client, c->store, c->org, id, &spec, c->vocab,
                              &c->grantor, &c->actor, c->p, &c->err);
    admin_changed(c, rv, id);
    return rv;
}

/* PATCH /api/admin/m2m-clients/{id} */
int admin_client_patch(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_client_t client;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_id(&c, m->param[0]) != APR_SUCCESS ||
        client_patch(&c, &client, m->param[0]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, client_body(&c, &client, NULL));
}

static int client_revoke(admin_call_t *c, const char *id)
{
    rensei_client_t client;
    apr_status_t rv = admin_id(c, id);

    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_client_reached(c, id);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_client_revoke(&client, c->store, c->org, id,
                                  admin_param(c, "reason"), &c->actor, c->p,
                                  &c->err);
        admin_changed(c, rv, id);
    }
    if (rv != APR_SUCCESS) {
        return admin_fail(c);
    }
    return admin_reply(c, HTTP_OK,
                       json_pack("{s:s, s:I}", "clientId", client.id,
                                 "revokedAt", (json_int_t)client.revoked_at));
}

/* DELETE /api/admin/m2m-clients/{id} */
int admin_client_delete(request_rec *r, const rensei_route_match_t *m)
{
    static const char *const known[] = {"reason", NULL};
    admin_call_t c;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_query(&c, known) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return client_revoke(&c, m->param[0]);
}

/* DELETE /api/admin/m2m-clients?client_id= */
int admin_client_delete_query(request_rec *r, const rensei_route_match_t *m)
{
    static const char *const known[] = {"client_id", "reason", NULL};
    admin_call_t c;
    const char *id;

    if (admin_start_clients(&c, r) != APR_SUCCESS ||
        admin_query(&c, known) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    id = admin_param(&c, "client_id");
    if (!id) {
        rensei_err_field(&c.err, c.p, "client_id", "client_id is missing.");
        return admin_fail(&c);
    }
    return client_revoke(&c, id);
}
