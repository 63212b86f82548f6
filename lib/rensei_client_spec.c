/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client_spec.h"
#include "rensei_field.h"

#include <string.h>

typedef struct field_t {
    const char *name;
    unsigned bit;
} field_t;

static const field_t fields[] = {
    {"name", RENSEI_CLIENT_NAME},
    {"description", RENSEI_CLIENT_DESCRIPTION},
    {"owner", RENSEI_CLIENT_OWNER},
    {"scopes", RENSEI_CLIENT_SCOPES},
    {"trustedMetadata", RENSEI_CLIENT_METADATA},
    {"tokenLifetime", RENSEI_CLIENT_LIFETIME},
    {"expiresAt", RENSEI_CLIENT_EXPIRES},
    {"workspaceId", RENSEI_CLIENT_WORKSPACE},
    {"status", RENSEI_CLIENT_STATUS},
    {"tokenEndpointAuthMethod", RENSEI_CLIENT_AUTH_METHOD},
    {"jwks", RENSEI_CLIENT_JWKS},
    {"audiences", RENSEI_CLIENT_AUDIENCES},
    {"secretExpiresAt", RENSEI_CLIENT_SECRET_EXPIRES},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

json_t *rensei_client_spec_fields(const rensei_client_spec_t *spec)
{
    json_t *out = json_array();
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        if (spec->set & fields[i].bit) {
            rensei_json_append(&out, json_string(fields[i].name));
        }
    }
    return out;
}

static apr_status_t known_check(const json_t *body, apr_pool_t *p,
                                rensei_err_t *err)
{
    const char *names[FIELD_COUNT + 1] = {NULL};
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        names[i] = fields[i].name;
    }
    return rensei_body_known(body, names, p, err);
}

/* Notes that a field was read; passes on whether reading failed. */
static int noted(rensei_client_spec_t *out, unsigned bit, int got)
{
    if (got > 0) {
        out->set |= bit;
    }
    return got >= 0;
}

static int read_texts(rensei_client_spec_t *out, const json_t *body,
                      apr_pool_t *p, rensei_err_t *err)
{
    return noted(out, RENSEI_CLIENT_NAME,
                 rensei_body_text(&out->name, body, "name", p, err)) &&
           noted(out, RENSEI_CLIENT_DESCRIPTION,
                 rensei_body_text(&out->description, body, "description", p,
                                  err)) &&
           noted(out, RENSEI_CLIENT_OWNER,
                 rensei_body_text(&out->owner, body, "owner", p, err)) &&
           noted(out, RENSEI_CLIENT_WORKSPACE,
                 rensei_body_text(&out->workspace, body, "workspaceId", p,
                                  err)) &&
           noted(out, RENSEI_CLIENT_STATUS,
                 rensei_body_text(&out->status, body, "status", p, err)) &&
           noted(out, RENSEI_CLIENT_AUTH_METHOD,
                 rensei_body_text(&out->auth_method, body,
                                  "tokenEndpointAuthMethod", p, err));
}

static int read_numbers(rensei_client_spec_t *out, const json_t *body,
                        apr_pool_t *p, rensei_err_t *err)
{
    return noted(out, RENSEI_CLIENT_LIFETIME,
                 rensei_body_int(&out->token_lifetime, body, "tokenLifetime",
                                 RENSEI_LIFETIME_MIN, RENSEI_LIFETIME_MAX, p,
                                 err)) &&
           noted(
               out, RENSEI_CLIENT_EXPIRES,
               rensei_body_time(&out->expires_at, body, "expiresAt", p, err)) &&
           noted(out, RENSEI_CLIENT_SECRET_EXPIRES,
                 rensei_body_time(&out->secret_expires_at, body,
                                  "secretExpiresAt", p, err));
}

/* An object, with a reference of its own: the body may go before it. */
static int read_object(json_t **out, const json_t *body, const char *name,
                       apr_pool_t *p, rensei_err_t *err)
{
    json_t *value = json_object_get(body, name);

    if (value == NULL) {
        return 0;
    }
    if (!json_is_object(value) && !json_is_null(value)) {
        rensei_err_field(err, p, name, "%s must be an object.", name);
        return -1;
    }
    *out = json_is_null(value) ? NULL : rensei_json_own(json_incref(value), p);
    return 1;
}

static int read_objects(rensei_client_spec_t *out, const json_t *body,
                        apr_pool_t *p, rensei_err_t *err)
{
    return noted(out, RENSEI_CLIENT_METADATA,
                 read_object(&out->trusted_metadata, body, "trustedMetadata", p,
                             err)) &&
           noted(out, RENSEI_CLIENT_JWKS,
                 read_object(&out->jwks, body, "jwks", p, err));
}

static int read_audiences(rensei_client_spec_t *out, const json_t *body,
                          apr_pool_t *p, rensei_err_t *err)
{
    const json_t *list = json_object_get(body, "audiences");

    if (list == NULL) {
        return 0;
    }
    return rensei_audiences_read(&out->audiences, list, p, err) == APR_SUCCESS
               ? 1
               : -1;
}

apr_status_t rensei_client_spec_read(rensei_client_spec_t *out,
                                     const json_t *body, int creating,
                                     apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = known_check(body, p, err);

    memset(out, 0, sizeof(*out));
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (!read_texts(out, body, p, err) || !read_numbers(out, body, p, err) ||
        !noted(out, RENSEI_CLIENT_SCOPES,
               rensei_body_scopes(&out->scopes, body, "scopes", p, err)) ||
        !noted(out, RENSEI_CLIENT_AUDIENCES,
               read_audiences(out, body, p, err)) ||
        !read_objects(out, body, p, err)) {
        return APR_EGENERAL;
    }
    return rensei_client_spec_check(out, creating, 0, p, err);
}
