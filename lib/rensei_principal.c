/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_principal.h"
#include "rensei_json.h"

typedef struct kind_t {
    rensei_kind_e kind;
    const char *name;
} kind_t;

static const kind_t kinds[] = {
    {RENSEI_KIND_M2M, "m2m"},
    {RENSEI_KIND_KEY, "key"},
    {RENSEI_KIND_WORKER, "worker"},
};

#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

const char *rensei_kind_name(rensei_kind_e kind)
{
    int i;

    for (i = 0; i < KINDS; i++) {
        if (kinds[i].kind == kind) {
            return kinds[i].name;
        }
    }
    return "unknown";
}

int rensei_kind_parse(rensei_kind_e *out, const char *name)
{
    int i;

    for (i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *out = kinds[i].kind;
            return 1;
        }
    }
    return 0;
}

static const char *key_type(rensei_class_e cls)
{
    switch (cls) {
    case RENSEI_CLASS_USER:
        return "user";
    case RENSEI_CLASS_REGISTRATION:
        return "worker_registration";
    case RENSEI_CLASS_ORG:
        return "org";
    default:
        return NULL;
    }
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *scopes_json(const rensei_scopes_t *scopes)
{
    json_t *array = json_array();
    int i;

    for (i = 0; i < scopes->count; i++) {
        rensei_json_append(
            &array, json_stringn(scopes->scope[i].p, scopes->scope[i].n));
    }
    return array;
}

json_t *rensei_principal_json(const rensei_principal_t *pr, apr_pool_t *p)
{
    json_t *out = json_object();

    rensei_json_set(&out, "kind", json_string(rensei_kind_name(pr->kind)));
    rensei_json_set(&out, "sub", json_string(pr->sub));
    rensei_json_set(&out, "orgId", text_or_null(pr->org));
    rensei_json_set(&out, "workspaceId", text_or_null(pr->workspace));
    rensei_json_set(&out, "scopes", scopes_json(&pr->scopes));
    if (pr->kind == RENSEI_KIND_KEY) {
        rensei_json_set(&out, "keyType", text_or_null(key_type(pr->cls)));
    }
    rensei_json_set(&out, "credential", text_or_null(pr->credential));
    rensei_json_set(&out, "expiresAt",
                    pr->expires_at
                        ? json_string(rensei_time_iso(pr->expires_at, p))
                        : json_null());
    return out;
}
