/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_client.h"
#include "rensei_field.h"

static void whole_set(json_t **out, const rensei_client_t *c)
{
    rensei_json_merge(
        out, json_pack("{s:s?, s:s?, s:O?, s:o, s:o, s:s, s:s?, s:s?}",
                       "description", c->description, "owner", c->owner,
                       "trustedMetadata", c->trusted_metadata, "tokenLifetime",
                       rensei_answer_ms(c->token_lifetime), "updatedAt",
                       rensei_answer_ms(c->updated_at), "createdBy",
                       c->created_by, "revokeReason", c->revoke_reason,
                       "lastUsedIp", c->last_used_ip));
}

static void credentials_set(json_t **out, const rensei_client_t *c)
{
    rensei_json_merge(out, json_pack("{s:s?, s:O?, s:o, s:s?, s:s?, s:o}",
                                     "tokenEndpointAuthMethod", c->auth_method,
                                     "jwks", c->jwks, "audiences",
                                     rensei_answer_scopes(&c->audiences),
                                     "secretLast4", c->secret_last4,
                                     "nextSecretLast4", c->next_secret_last4,
                                     "secretExpiresAt",
                                     rensei_answer_ms(c->secret_expires_at)));
}

json_t *rensei_client_json(const rensei_client_t *c, const char *secret,
                           apr_pool_t *p)
{
    json_t *out = json_pack(
        "{s:s, s:s, s:s, s:s?, s:o, s:s, s:o, s:o, s:o, s:o}", "clientId",
        c->id, "name", c->name, "orgId", c->org, "workspaceId", c->workspace,
        "scopes", rensei_answer_scopes(&c->scopes), "status", c->status,
        "createdAt", rensei_answer_ms(c->created_at), "expiresAt",
        rensei_answer_ms(c->expires_at), "revokedAt",
        rensei_answer_ms(c->revoked_at), "lastUsedAt",
        rensei_answer_ms(c->last_used_at));

    whole_set(&out, c);
    credentials_set(&out, c);
    if (secret) {
        rensei_json_set(&out, "clientSecret", json_string(secret));
    }
    return out;
}
