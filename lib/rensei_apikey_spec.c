/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_apikey_spec.h"
#include "rensei_client.h"
#include "rensei_field.h"
#include "rensei_id.h"

#include <string.h>

#define MAX_USES APR_INT64_C(1000000000)

static const char *const types[] = {"user", "worker_registration", "org", NULL};

int rensei_apikey_class(rensei_class_e *out, const char *type)
{
    static const rensei_class_e classes[] = {
        RENSEI_CLASS_USER, RENSEI_CLASS_REGISTRATION, RENSEI_CLASS_ORG};
    int i;

    for (i = 0; types[i]; i++) {
        if (strcmp(types[i], type) == 0) {
            *out = classes[i];
            return 1;
        }
    }
    return 0;
}

apr_status_t rensei_apikey_type_check(const char *field, const char *type,
                                      apr_pool_t *p, rensei_err_t *err)
{
    return rensei_field_choice(field, type, types, p, err);
}

static apr_status_t members_read(rensei_apikey_spec_t *out, const json_t *body,
                                 int *has_scopes, apr_pool_t *p,
                                 rensei_err_t *err)
{
    *has_scopes = rensei_body_scopes(&out->scopes, body, "scopes", p, err);
    if (*has_scopes < 0 ||
        rensei_body_text(&out->name, body, "name", p, err) < 0 ||
        rensei_body_text(&out->type, body, "keyType", p, err) < 0 ||
        rensei_body_text(&out->owner, body, "owner", p, err) < 0 ||
        rensei_body_text(&out->user_id, body, "userId", p, err) < 0 ||
        rensei_body_text(&out->workspace, body, "workspaceId", p, err) < 0 ||
        rensei_body_time(&out->expires_at, body, "expiresAt", p, err) < 0 ||
        rensei_body_int(&out->max_uses, body, "maxUses", 1, MAX_USES, p, err) <
            0) {
        return APR_EGENERAL;
    }
    return APR_SUCCESS;
}

apr_status_t rensei_apikey_spec_read(rensei_apikey_spec_t *out,
                                     const json_t *body, apr_pool_t *p,
                                     rensei_err_t *err)
{
    static const char *const names[] = {"name",      "keyType", "scopes",
                                        "owner",     "userId",  "workspaceId",
                                        "expiresAt", "maxUses", NULL};
    int has_scopes = 0;
    apr_status_t rv = rensei_body_known(body, names, p, err);

    memset(out, 0, sizeof(*out));
    if (rv == APR_SUCCESS) {
        rv = members_read(out, body, &has_scopes, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_apikey_spec_check(out, 0, p, err);
    }
    if (rv == APR_SUCCESS && !has_scopes) {
        rv = rensei_err_field(err, p, "scopes", "scopes is required.");
    }
    return rv;
}

static apr_status_t type_needs(const rensei_apikey_spec_t *spec, apr_pool_t *p,
                               rensei_err_t *err)
{
    rensei_class_e cls;

    if (spec->type == NULL) {
        return rensei_err_field(err, p, "keyType", "keyType is required.");
    }
    if (!rensei_apikey_class(&cls, spec->type)) {
        return rensei_apikey_type_check("keyType", spec->type, p, err);
    }
    if (cls == RENSEI_CLASS_ORG && spec->owner == NULL) {
        return rensei_err_field(err, p, "owner",
                                "owner is required for a key of type org.");
    }
    if (cls == RENSEI_CLASS_USER && spec->user_id == NULL) {
        return rensei_err_field(err, p, "userId",
                                "userId is required for a key of type user.");
    }
    if (cls != RENSEI_CLASS_REGISTRATION && spec->max_uses != 0) {
        return rensei_err_field(err, p, "maxUses",
                                "maxUses is only for keys of type "
                                "worker_registration.");
    }
    return APR_SUCCESS;
}

static apr_status_t texts_check(const rensei_apikey_spec_t *spec, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv =
        rensei_field_needed("name", spec->name, RENSEI_NAME_MAX, p, err);

    if (rv == APR_SUCCESS) {
        rv =
            rensei_field_text("owner", spec->owner, RENSEI_NAME_MAX, 0, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_text("userId", spec->user_id, RENSEI_NAME_MAX, 0, p,
                               err);
    }
    if (rv == APR_SUCCESS && spec->workspace &&
        !rensei_id_valid(RENSEI_ID_WORKSPACE, spec->workspace,
                         strlen(spec->workspace))) {
        rv = rensei_err_field(err, p, "workspaceId",
                              "workspaceId is not the id of a workspace.");
    }
    return rv;
}

static apr_status_t numbers_check(const rensei_apikey_spec_t *spec,
                                  apr_int64_t now, apr_pool_t *p,
                                  rensei_err_t *err)
{
    if (spec->max_uses < 0 || spec->max_uses > MAX_USES) {
        return rensei_err_field(err, p, "maxUses",
                                "maxUses must be 1 to %" APR_INT64_T_FMT ".",
                                MAX_USES);
    }
    if (spec->expires_at != 0 && spec->expires_at <= now) {
        return rensei_err_field(err, p, "expiresAt",
                                "expiresAt must be in the future.");
    }
    return rensei_field_time("expiresAt", spec->expires_at, p, err);
}

apr_status_t rensei_apikey_spec_check(const rensei_apikey_spec_t *spec,
                                      apr_int64_t now, apr_pool_t *p,
                                      rensei_err_t *err)
{
    apr_status_t rv = texts_check(spec, p, err);

    if (rv == APR_SUCCESS) {
        rv = type_needs(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = numbers_check(spec, now, p, err);
    }
    return rv;
}

/* ---- patches ---- */

static const struct patch_field_t {
    const char *name;
    unsigned bit;
} patch_fields[] = {{"name", RENSEI_APIKEY_NAME},
                    {"owner", RENSEI_APIKEY_OWNER},
                    {"scopes", RENSEI_APIKEY_SCOPES},
                    {NULL, 0}};

json_t *rensei_apikey_patch_fields(const rensei_apikey_patch_t *patch)
{
    json_t *out = json_array();
    int i;

    for (i = 0; patch_fields[i].name; i++) {
        if (patch->set & patch_fields[i].bit) {
            rensei_json_append(&out, json_string(patch_fields[i].name));
        }
    }
    return out;
}

/* Notes that a member was read; passes on whether reading failed. */
static int noted(rensei_apikey_patch_t *out, unsigned bit, int got)
{
    if (got > 0) {
        out->set |= bit;
    }
    return got >= 0;
}

apr_status_t rensei_apikey_patch_read(rensei_apikey_patch_t *out,
                                      const json_t *body, apr_pool_t *p,
                                      rensei_err_t *err)
{
    static const char *const names[] = {"name", "owner", "scopes", NULL};
    apr_status_t rv = rensei_body_known(body, names, p, err);

    memset(out, 0, sizeof(*out));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!noted(out, RENSEI_APIKEY_NAME,
               rensei_body_text(&out->name, body, "name", p, err)) ||
        !noted(out, RENSEI_APIKEY_OWNER,
               rensei_body_text(&out->owner, body, "owner", p, err)) ||
        !noted(out, RENSEI_APIKEY_SCOPES,
               rensei_body_scopes(&out->scopes, body, "scopes", p, err))) {
        return APR_EGENERAL;
    }
    return rensei_apikey_patch_check(out, p, err);
}

apr_status_t rensei_apikey_patch_check(const rensei_apikey_patch_t *patch,
                                       apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;

    if (patch->set == 0) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "There is nothing to change: name, owner or "
                              "scopes is needed.");
    }
    if (patch->set & RENSEI_APIKEY_NAME) {
        rv = rensei_field_needed("name", patch->name, RENSEI_NAME_MAX, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = rensei_field_text("owner", patch->owner, RENSEI_NAME_MAX, 0, p,
                               err);
    }
    return rv;
}
