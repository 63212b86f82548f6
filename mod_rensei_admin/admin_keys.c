/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_json.h"

#include <apr_strings.h>

static const char *keys_path(admin_call_t *c)
{
    return apr_pstrcat(c->p, "/api/org/", c->org, "/keys", NULL);
}

static apr_status_t key_create(admin_call_t *c, rensei_apikey_t *key,
                               const char **token)
{
    rensei_apikey_spec_t spec;
    apr_status_t rv = admin_body(c);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_apikey_spec_read(&spec, c->body, c->p, &c->err);
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_apikey_create(key, token, c->store, c->org, &spec, c->vocab,
                                &c->grantor, &c->actor, c->p, &c->err);
}

static int key_create_reply(admin_call_t *c)
{
    rensei_apikey_t key;
    const char *token;

    if (key_create(c, &key, &token) != APR_SUCCESS) {
        return admin_fail(c);
    }
    admin_changed(c, APR_SUCCESS, key.id);
    return admin_created(c, apr_pstrcat(c->p, keys_path(c), "/", key.id, NULL),
                         rensei_apikey_json(&key, token, c->p));
}

/* POST /api/org/{orgId}/keys */
int admin_key_create(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return key_create_reply(&c);
}

/* POST /api/org/api-keys: see admin_legacy.c. */
int admin_key_create_legacy(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;

    if (admin_start(&c, r) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return key_create_reply(&c);
}

/* lib/ checks it as well, but does not know what the parameter is called. */
static apr_status_t type_check(admin_call_t *c, const char *type)
{
    rensei_class_e cls;

    if (type && !rensei_apikey_class(&cls, type)) {
        return rensei_err_field(&c->err, c->p, "keyType",
                                "keyType must be user, worker_registration "
                                "or org.");
    }
    return APR_SUCCESS;
}

static apr_status_t key_list(admin_call_t *c, rensei_apikey_page_t *page)
{
    static const char *const known[] = {"limit", "cursor", "name",  "keyType",
                                        "scope", "status", "owner", NULL};
    rensei_apikey_filter_t filter = {0};
    apr_status_t rv = admin_query(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    filter.name = admin_param(c, "name");
    filter.type = admin_param(c, "keyType");
    filter.scope = admin_param(c, "scope");
    filter.status = admin_param(c, "status");
    filter.owner = admin_param(c, "owner");
    filter.cursor = admin_param(c, "cursor");
    rv = type_check(c, filter.type);
    if (rv == APR_SUCCESS) {
        rv = admin_limit(c, &filter.limit);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_apikey_list(page, c->store, c->org, &filter, c->p, &c->err);
}

/* GET /api/org/{orgId}/keys */
int admin_key_list(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_apikey_page_t page;
    json_t *items;
    int i;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        key_list(&c, &page) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    items = json_array();
    for (i = 0; i < page.count; i++) {
        json_array_append_new(items,
                              rensei_apikey_json(&page.key[i], NULL, c.p));
    }
    return admin_page(&c, "keys", items, page.next_cursor);
}

/* GET /api/org/{orgId}/keys/{keyId} */
int admin_key_get(request_rec *r, const rensei_route_match_t *m)
{
    static const char *const known[] = {NULL};
    admin_call_t c;
    rensei_apikey_t key;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        admin_query(&c, known) != APR_SUCCESS ||
        admin_open(&c) != APR_SUCCESS ||
        rensei_apikey_get(&key, c.store, c.org, m->param[1], c.p, &c.err) !=
            APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, rensei_apikey_json(&key, NULL, c.p));
}

static apr_status_t key_revoke(admin_call_t *c, rensei_apikey_t *key,
                               const char *id)
{
    static const char *const known[] = {"reason", NULL};
    apr_status_t rv = admin_query(c, known);

    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_key_reached(c, id);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_apikey_revoke(key, c->store, c->org, id,
                              admin_param(c, "reason"), &c->actor, c->p,
                              &c->err);
    admin_changed(c, rv, id);
    return rv;
}

/* DELETE /api/org/{orgId}/keys/{keyId} */
int admin_key_delete(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_apikey_t key;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        key_revoke(&c, &key, m->param[1]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK,
                       json_pack("{s:s, s:s}", "keyId", key.id, "revokedAt",
                                 rensei_time_iso(key.revoked_at, c.p)));
}
