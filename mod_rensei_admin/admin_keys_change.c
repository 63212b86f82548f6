/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "admin.h"
#include "rensei_field.h"

#include <apr_strings.h>

apr_status_t admin_key_reached(admin_call_t *c, const char *id)
{
    rensei_apikey_t key;
    apr_status_t rv;

    if (!c->grantor.workspace) {
        return APR_SUCCESS;
    }
    rv = rensei_apikey_get(&key, c->store, c->org, id, c->p, &c->err);
    return rv == APR_SUCCESS ? rensei_grantor_reaches(
                                   &c->grantor, key.workspace, c->p, &c->err)
                             : rv;
}

static apr_status_t key_patch(admin_call_t *c, rensei_apikey_t *key,
                              const char *id)
{
    rensei_apikey_patch_t patch;
    apr_status_t rv = admin_body(c);

    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_patch_read(&patch, c->body, c->p, &c->err);
    }
    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_apikey_update(key, c->store, c->org, id, &patch, c->vocab,
                              &c->grantor, &c->actor, c->p, &c->err);
    admin_changed(c, rv, id);
    return rv;
}

/* PATCH /api/org/{orgId}/keys/{keyId} */
int admin_key_patch(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_apikey_t key;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        key_patch(&c, &key, m->param[1]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, rensei_apikey_json(&key, NULL, c.p));
}

/* There is no default: one would end tokens that somebody meant to keep, or
 * keep one that somebody meant to end. */
static apr_status_t grace_read(admin_call_t *c, apr_int64_t *grace_s)
{
    static const char *const known[] = {"graceSeconds", NULL};
    const json_t *given;
    apr_status_t rv = admin_body_opt(c, known);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    given = json_object_get(c->body, "graceSeconds");
    if (!given || json_is_null(given)) {
        return rensei_err_field(
            &c->err, c->p, "graceSeconds",
            "graceSeconds is required: for how many seconds the present token "
            "goes on, up to %d. Send graceSeconds 0 to end it at once.",
            RENSEI_APIKEY_GRACE_MAX);
    }
    return rensei_body_int(grace_s, c->body, "graceSeconds", 0,
                           RENSEI_APIKEY_GRACE_MAX, c->p, &c->err) < 0
               ? APR_EGENERAL
               : APR_SUCCESS;
}

static apr_status_t key_rotate(admin_call_t *c, rensei_apikey_t *key,
                               const char **token, const char *id)
{
    apr_int64_t grace_s = 0;
    apr_status_t rv = grace_read(c, &grace_s);

    if (rv == APR_SUCCESS) {
        rv = admin_open(c);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_apikey_rotate(key, token, c->store, c->org, id, grace_s,
                              c->vocab, &c->grantor, &c->actor, c->p, &c->err);
    admin_changed(c, rv, id);
    return rv;
}

/* POST /api/org/{orgId}/keys/{keyId}/rotate */
int admin_key_rotate(request_rec *r, const rensei_route_match_t *m)
{
    admin_call_t c;
    rensei_apikey_t key;
    const char *token;

    if (admin_start_org(&c, r, m->param[0]) != APR_SUCCESS ||
        admin_id(&c, m->param[1]) != APR_SUCCESS ||
        key_rotate(&c, &key, &token, m->param[1]) != APR_SUCCESS) {
        return admin_fail(&c);
    }
    return admin_reply(&c, HTTP_OK, rensei_apikey_json(&key, token, c.p));
}
