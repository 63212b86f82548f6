/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The checks of a client's fields, each by itself and together.
 */
#include "rensei_client_spec.h"
#include "rensei_field.h"
#include "rensei_ring.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t texts_check(const rensei_client_spec_t *spec, apr_pool_t *p,
                                rensei_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;

    if (spec->set & RENSEI_CLIENT_NAME) {
        rv = rensei_field_needed("name", spec->name, RENSEI_NAME_MAX, p, err);
    }
    if (rv == APR_SUCCESS && spec->set & RENSEI_CLIENT_DESCRIPTION) {
        rv = rensei_field_text("description", spec->description,
                               RENSEI_DESCRIPTION_MAX, 1, p, err);
    }
    if (rv == APR_SUCCESS && spec->set & RENSEI_CLIENT_OWNER) {
        rv =
            rensei_field_text("owner", spec->owner, RENSEI_NAME_MAX, 0, p, err);
    }
    return rv;
}

/* Recursion that ends where too deep begins. */
static int deeper_than(const json_t *value, int max)
{
    const char *name;
    json_t *item;
    size_t i;
    int deep = 0;

    if (!json_is_object(value) && !json_is_array(value)) {
        return 0;
    }
    if (max == 0) {
        return 1;
    }
    json_object_foreach((json_t *)value, name, item)
    {
        deep |= deeper_than(item, max - 1);
    }
    json_array_foreach(value, i, item)
    {
        deep |= deeper_than(item, max - 1);
    }
    return deep;
}

/* Would a gateway read it as part of a token? As a member, because of what it
 * refuses in names at the top alone. */
static int readable(const char *text, apr_pool_t *p)
{
    rensei_json_object_t obj;
    const char *claims = apr_pstrcat(p, "{\"m\":", text, "}", NULL);

    return rensei_json_scan(&obj, claims, strlen(claims)) == APR_SUCCESS;
}

static apr_status_t metadata_check(const rensei_client_spec_t *spec,
                                   apr_pool_t *p, rensei_err_t *err)
{
    const char *text;

    if (!(spec->set & RENSEI_CLIENT_METADATA) || !spec->trusted_metadata) {
        return APR_SUCCESS;
    }
    text = rensei_json_dump(spec->trusted_metadata, p);
    if (!json_is_object(spec->trusted_metadata) || text == NULL ||
        strlen(text) > RENSEI_METADATA_MAX) {
        return rensei_err_field(err, p, "trustedMetadata",
                                "trustedMetadata must be an object of at most "
                                "%d bytes.",
                                RENSEI_METADATA_MAX);
    }
    if (deeper_than(spec->trusted_metadata, RENSEI_METADATA_DEPTH_MAX) ||
        !readable(text, p)) {
        return rensei_err_field(err, p, "trustedMetadata",
                                "trustedMetadata must be nested at most %d "
                                "deep, with at most %d members in an object.",
                                RENSEI_METADATA_DEPTH_MAX,
                                RENSEI_JSON_MEMBERS_MAX);
    }
    return APR_SUCCESS;
}

/* By adding them to a ring that nobody uses: what is stored is what will be
 * taken when an assertion comes. */
static apr_status_t keys_check(const json_t *jwks, apr_pool_t *p,
                               rensei_err_t *err)
{
    rensei_ring_t *ring;
    apr_status_t rv;

    if (rensei_ring_create(&ring, p) != APR_SUCCESS) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "The keys could not be read at the moment.");
    }
    rv = rensei_ring_add_jwks(ring, jwks, err);
    if (rv != APR_SUCCESS && err->code == RENSEI_E_INVALID_REQUEST) {
        rv = rensei_err_field(err, p, "jwks", "jwks: %s", err->text);
    }
    return rv;
}

static apr_status_t jwks_check(const rensei_client_spec_t *spec, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *text;
    size_t n;

    if (!(spec->set & RENSEI_CLIENT_JWKS) || !spec->jwks) {
        return APR_SUCCESS;
    }
    text = rensei_json_dump(spec->jwks, p);
    n = json_array_size(json_object_get(spec->jwks, "keys"));
    if (!text || strlen(text) > RENSEI_JWKS_MAX || n == 0 ||
        n > RENSEI_CLIENT_KEYS_MAX) {
        return rensei_err_field(err, p, "jwks",
                                "jwks must be {\"keys\": [...]} of 1 to %d "
                                "public keys, of at most %d bytes.",
                                RENSEI_CLIENT_KEYS_MAX, RENSEI_JWKS_MAX);
    }
    return keys_check(spec->jwks, p, err);
}

static apr_status_t method_check(const rensei_client_spec_t *spec,
                                 apr_pool_t *p, rensei_err_t *err)
{
    static const char *const choices[] = {RENSEI_AUTH_BASIC, RENSEI_AUTH_POST,
                                          RENSEI_AUTH_JWT, NULL};

    if (!(spec->set & RENSEI_CLIENT_AUTH_METHOD)) {
        return APR_SUCCESS;
    }
    return rensei_field_choice("tokenEndpointAuthMethod", spec->auth_method,
                               choices, p, err);
}

static apr_status_t lifetime_check(const rensei_client_spec_t *spec,
                                   apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t n = spec->token_lifetime;

    if (spec->set & RENSEI_CLIENT_LIFETIME && n != 0 &&
        (n < RENSEI_LIFETIME_MIN || n > RENSEI_LIFETIME_MAX)) {
        return rensei_err_field(err, p, "tokenLifetime",
                                "tokenLifetime must be %d to %d seconds.",
                                RENSEI_LIFETIME_MIN, RENSEI_LIFETIME_MAX);
    }
    return APR_SUCCESS;
}

/* @param after it is to be later than this (epoch ms) */
static apr_status_t end_check(const char *name, apr_int64_t at,
                              apr_int64_t after, apr_pool_t *p,
                              rensei_err_t *err)
{
    if (at == 0) {
        return APR_SUCCESS;
    }
    if (at <= after) {
        return rensei_err_field(err, p, name, "%s must be in the future.",
                                name);
    }
    return rensei_field_time(name, at, p, err);
}

static apr_status_t expiry_check(const rensei_client_spec_t *spec, int creating,
                                 apr_int64_t now, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const apr_int64_t after = creating ? now : APR_INT64_MIN;
    apr_status_t rv = APR_SUCCESS;

    if (spec->set & RENSEI_CLIENT_EXPIRES) {
        rv = end_check("expiresAt", spec->expires_at, after, p, err);
    }
    if (rv == APR_SUCCESS && spec->set & RENSEI_CLIENT_SECRET_EXPIRES) {
        rv = end_check("secretExpiresAt", spec->secret_expires_at, after, p,
                       err);
    }
    return rv;
}

/* What only one of the two, making and changing, takes or needs. */
static apr_status_t purpose_check(const rensei_client_spec_t *spec,
                                  int creating, apr_pool_t *p,
                                  rensei_err_t *err)
{
    if (creating && !(spec->set & RENSEI_CLIENT_NAME)) {
        return rensei_err_field(err, p, "name", "name is required.");
    }
    if (creating && !(spec->set & RENSEI_CLIENT_SCOPES)) {
        return rensei_err_field(err, p, "scopes", "scopes is required.");
    }
    if (creating && spec->set & RENSEI_CLIENT_STATUS) {
        return rensei_err_field(err, p, "status",
                                "status cannot be set at creation.");
    }
    if (!creating && spec->set & RENSEI_CLIENT_WORKSPACE) {
        return rensei_err_field(err, p, "workspaceId",
                                "workspaceId cannot be changed.");
    }
    if (spec->set == 0) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "There is nothing to change.");
    }
    return APR_SUCCESS;
}

static apr_status_t status_check(const rensei_client_spec_t *spec,
                                 apr_pool_t *p, rensei_err_t *err)
{
    static const char *const choices[] = {"active", "inactive", NULL};

    if (!(spec->set & RENSEI_CLIENT_STATUS)) {
        return APR_SUCCESS;
    }
    if (spec->status == NULL) {
        return rensei_err_field(err, p, "status", "status must not be null.");
    }
    return rensei_field_choice("status", spec->status, choices, p, err);
}

apr_status_t rensei_client_spec_check(const rensei_client_spec_t *spec,
                                      int creating, apr_int64_t now,
                                      apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = purpose_check(spec, creating, p, err);

    if (rv == APR_SUCCESS) {
        rv = texts_check(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = metadata_check(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = lifetime_check(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = expiry_check(spec, creating, now, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = status_check(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = method_check(spec, p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = jwks_check(spec, p, err);
    }
    if (rv == APR_SUCCESS && spec->set & RENSEI_CLIENT_AUDIENCES) {
        rv = rensei_audiences_check(&spec->audiences, p, err);
    }
    return rv;
}

int rensei_client_by_key(const char *method)
{
    return method && strcmp(method, RENSEI_AUTH_JWT) == 0;
}

static apr_status_t method_fits(const rensei_client_t *was,
                                const rensei_client_t *now, apr_pool_t *p,
                                rensei_err_t *err)
{
    int by_key = rensei_client_by_key(now->auth_method);

    if (was && rensei_client_by_key(was->auth_method) && !by_key) {
        return rensei_err_field(err, p, "tokenEndpointAuthMethod",
                                "tokenEndpointAuthMethod stays "
                                "private_key_jwt: the client has no secret. "
                                "Create a new client for one that has.");
    }
    if (by_key && !now->jwks) {
        return rensei_err_field(err, p, "jwks",
                                "jwks is required with private_key_jwt.");
    }
    if (!by_key && now->jwks) {
        return rensei_err_field(err, p, "jwks",
                                "jwks is only for clients whose "
                                "tokenEndpointAuthMethod is private_key_jwt.");
    }
    return APR_SUCCESS;
}

/* A time for a secret that there is not would be a promise of nothing. */
static apr_status_t secret_fits(const rensei_client_spec_t *spec,
                                const rensei_client_t *now, apr_pool_t *p,
                                rensei_err_t *err)
{
    if (spec->set & RENSEI_CLIENT_SECRET_EXPIRES && spec->secret_expires_at &&
        rensei_client_by_key(now->auth_method)) {
        return rensei_err_field(err, p, "secretExpiresAt",
                                "secretExpiresAt is only for clients that "
                                "have a secret; a private_key_jwt client has "
                                "none.");
    }
    return APR_SUCCESS;
}

/* Scopes count twice: the rfc9068 profile writes them as a text as well. */
static apr_status_t room_check(const rensei_client_t *c, apr_pool_t *p,
                               rensei_err_t *err)
{
    const char *text =
        c->trusted_metadata ? rensei_json_dump(c->trusted_metadata, p) : NULL;

    if (text && strlen(text) + 2 * strlen(rensei_scopes_text(&c->scopes, p)) +
                        strlen(rensei_scopes_text(&c->audiences, p)) >
                    RENSEI_METADATA_AND_MORE_MAX) {
        return rensei_err_field(err, p, "trustedMetadata",
                                "trustedMetadata, scopes and audiences are "
                                "too large together for a token.");
    }
    return APR_SUCCESS;
}

apr_status_t rensei_client_spec_fits(const rensei_client_spec_t *spec,
                                     const rensei_client_t *was,
                                     const rensei_client_t *now, apr_pool_t *p,
                                     rensei_err_t *err)
{
    const unsigned room =
        RENSEI_CLIENT_METADATA | RENSEI_CLIENT_SCOPES | RENSEI_CLIENT_AUDIENCES;
    apr_status_t rv = method_fits(was, now, p, err);

    if (rv == APR_SUCCESS) {
        rv = secret_fits(spec, now, p, err);
    }
    /* A client of an earlier version can be too large; it can still be
     * renamed. */
    if (rv == APR_SUCCESS && spec->set & room) {
        rv = room_check(now, p, err);
    }
    return rv;
}
