/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_sql.h"

#include <string.h>

/* One text for SQLite and PostgreSQL. Arguments are bound as text, so:
 * - a column compares with a bare %s (the column's type decides on both), an
 *   expression or a row of values needs a CAST;
 * - PostgreSQL has to infer each argument's type, and what is only tested for
 *   NULL has none: CAST(%s AS TEXT) IS NULL;
 * - scopes are looked for with REPLACE: LIKE ignores case on SQLite, and
 *   takes `_` and `%` of the value for patterns;
 * - a UNIQUE violation cannot be told from other errors, so ON CONFLICT DO
 *   NOTHING, and the count of changed rows says what happened.
 */

#define OPT(cond) "AND (CAST(%s AS TEXT) IS NULL OR " cond ") "

/* For a page: the rows from `before` down to `floor`. */
#define BEFORE(t) \
    "AND (" t "created_at, " t "id) < (CAST(%s AS BIGINT), CAST(%s AS TEXT)) "
#define DOWN_TO(t)                                                       \
    "AND (" t "created_at, " t "id) >= (CAST(%s AS BIGINT), CAST(%s AS " \
    "TEXT)) "
#define NEWEST(t) "ORDER BY " t "created_at DESC, " t "id DESC "
#define LIMITED "LIMIT CAST(%s AS BIGINT)"

/* Each list has an index for it; the argument of NO_KEY is NULL, so that all
 * variants take the same arguments. */
#define NO_KEY "AND CAST(%s AS TEXT) IS NULL "
#define FLOOR(table, key)                                                    \
    "SELECT created_at, id FROM " table " WHERE org_id = %s " key BEFORE("") \
        NEWEST("") "LIMIT 1 OFFSET CAST(%s AS BIGINT)"

#define HAS_SCOPE(t)                                               \
    "REPLACE(' ' || " t "scopes || ' ', CAST(%s AS TEXT), '') <> " \
    "' ' || " t "scopes || ' '"

#define CLIENT_COLS                                                    \
    "c.id, c.org_id, c.workspace_id, c.name, c.description, c.owner, " \
    "c.scopes, c.trusted_metadata, c.status, c.token_lifetime, "       \
    "c.secret_last4, c.created_at, c.updated_at, c.created_by, "       \
    "c.expires_at, c.revoked_at, c.last_used_at, c.revoke_reason, "    \
    "c.auth_method, c.jwks, c.audiences, c.next_secret_last4, "        \
    "c.secret_expires_at, c.tokens_after, o.status "
#define CLIENT_FROM \
    "FROM rensei_clients c JOIN rensei_orgs o ON o.id = c.org_id "
#define CLIENT_STATUS                                                       \
    "CASE WHEN c.revoked_at IS NOT NULL THEN 'revoked' "                    \
    "WHEN c.expires_at <= CAST(%s AS BIGINT) THEN 'expired' ELSE c.status " \
    "END = %s"
#define CLIENT_LIST(key)                                                      \
    "SELECT " CLIENT_COLS CLIENT_FROM "WHERE c.org_id = %s " key BEFORE("c.") \
        DOWN_TO("c.") OPT("c.owner = %s") OPT(HAS_SCOPE("c."))                \
            OPT(CLIENT_STATUS) NEWEST("c.") LIMITED

#define KEY_COLS                                                           \
    "k.id, k.org_id, k.workspace_id, k.name, k.type, k.owner, k.user_id, " \
    "k.scopes, k.prefix, k.created_at, k.created_by, k.expires_at, "       \
    "k.revoked_at, k.last_used_at, k.revoke_reason, k.max_uses, o.status "
#define KEY_FROM "FROM rensei_keys k JOIN rensei_orgs o ON o.id = k.org_id "
#define KEY_STATUS                                                          \
    "CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' "                    \
    "WHEN k.expires_at <= CAST(%s AS BIGINT) THEN 'expired' ELSE 'active' " \
    "END = %s"
#define KEY_LIST(key)                                                   \
    "SELECT " KEY_COLS KEY_FROM "WHERE k.org_id = %s " key BEFORE("k.") \
        DOWN_TO("k.") OPT("k.owner = %s") OPT("k.type = %s")            \
            OPT(HAS_SCOPE("k.")) OPT(KEY_STATUS) NEWEST("k.") LIMITED

#define ORG_COLS "SELECT id, name, status, created_at FROM rensei_orgs "
#define WORKSPACE_COLS \
    "SELECT id, org_id, name, created_at FROM rensei_workspaces "

/* Some of the rows that have expired: each statement that adds one takes away
 * a few, so that none has to take away many. */
#define FORGET(table, key, cols)                                          \
    "DELETE FROM " table " WHERE " key " IN (SELECT " cols " FROM " table \
    " WHERE expires_at < %s ORDER BY expires_at LIMIT 20)"

/* The workspace, if one is given, is the organisation's own. */
#define OWN_WORKSPACE                                                    \
    "FROM rensei_orgs o WHERE o.id = %s " OPT(                           \
        "EXISTS (SELECT 1 FROM rensei_workspaces w WHERE w.id = %s AND " \
        "w.org_id = o.id)")

static const char *const text[RENSEI_SQL_COUNT] = {
    [RENSEI_SQL_ORG_INSERT] =
        "INSERT INTO rensei_orgs (id, name, status, created_at, updated_at) "
        "VALUES (%s, %s, 'active', %s, %s) ON CONFLICT (name) DO NOTHING",
    [RENSEI_SQL_ORG_BY_ID] = ORG_COLS "WHERE id = %s",
    [RENSEI_SQL_ORG_BY_NAME] = ORG_COLS "WHERE name = %s",
    [RENSEI_SQL_ORG_LIST] = ORG_COLS "WHERE name > %s ORDER BY name " LIMITED,
    [RENSEI_SQL_ORG_STATUS] =
        "UPDATE rensei_orgs SET status = %s, updated_at = %s "
        "WHERE id = %s AND status <> %s",

    [RENSEI_SQL_WORKSPACE_INSERT] =
        "INSERT INTO rensei_workspaces (id, org_id, name, created_at) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT (org_id, name) DO NOTHING",
    [RENSEI_SQL_WORKSPACE_BY_ID] =
        WORKSPACE_COLS "WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_WORKSPACE_BY_NAME] =
        WORKSPACE_COLS "WHERE org_id = %s AND name = %s",
    [RENSEI_SQL_WORKSPACE_LIST] =
        WORKSPACE_COLS "WHERE org_id = %s AND name > %s ORDER BY name " LIMITED,

    [RENSEI_SQL_CLIENT_INSERT] =
        "INSERT INTO rensei_clients (id, org_id, workspace_id, name, "
        "description, owner, scopes, trusted_metadata, status, "
        "token_lifetime, secret_digest, secret_last4, created_at, "
        "updated_at, created_by, expires_at, auth_method, jwks, audiences, "
        "secret_expires_at) "
        "SELECT CAST(%s AS TEXT), o.id, CAST(%s AS TEXT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), CAST(%s AS TEXT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), 'active', CAST(%s AS BIGINT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), CAST(%s AS BIGINT), CAST(%s AS BIGINT), "
        "CAST(%s AS TEXT), CAST(%s AS BIGINT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), CAST(%s AS TEXT), CAST(%s AS BIGINT) " OWN_WORKSPACE,
    [RENSEI_SQL_CLIENT_GET] =
        "SELECT " CLIENT_COLS CLIENT_FROM "WHERE c.org_id = %s AND c.id = %s",
    [RENSEI_SQL_CLIENT_FIND] =
        "SELECT " CLIENT_COLS CLIENT_FROM "WHERE c.id = %s",
    [RENSEI_SQL_CLIENT_DIGEST] =
        "SELECT " CLIENT_COLS
        ", c.secret_digest, c.next_secret_digest " CLIENT_FROM
        "WHERE c.id = %s",
    /* Locks the row on PostgreSQL, as SELECT FOR UPDATE would, which SQLite
     * does not know. */
    [RENSEI_SQL_CLIENT_LOCK] = "UPDATE rensei_clients SET id = id "
                               "WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_CLIENT_UPDATE] =
        "UPDATE rensei_clients SET name = %s, description = %s, owner = %s, "
        "scopes = %s, trusted_metadata = %s, status = %s, "
        "token_lifetime = %s, expires_at = %s, auth_method = %s, jwks = %s, "
        "audiences = %s, secret_expires_at = %s, updated_at = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_REVOKE] =
        "UPDATE rensei_clients SET revoked_at = %s, revoke_reason = %s, "
        "updated_at = %s WHERE org_id = %s AND id = %s "
        "AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_USED] =
        "UPDATE rensei_clients SET last_used_at = CASE "
        "WHEN last_used_at > CAST(%s AS BIGINT) THEN last_used_at "
        "ELSE CAST(%s AS BIGINT) END "
        "WHERE id = %s AND revoked_at IS NULL AND status = 'active'",
    [RENSEI_SQL_CLIENT_ROTATE] =
        "UPDATE rensei_clients SET next_secret_digest = %s, "
        "next_secret_last4 = %s, secret_expires_at = %s, updated_at = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_SUCCEED] =
        "UPDATE rensei_clients SET secret_digest = next_secret_digest, "
        "secret_last4 = next_secret_last4, next_secret_digest = NULL, "
        "next_secret_last4 = NULL, secret_expires_at = NULL, updated_at = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL "
        "AND next_secret_digest IS NOT NULL",
    [RENSEI_SQL_CLIENT_DISARM] =
        "UPDATE rensei_clients SET secret_digest = '', secret_last4 = '', "
        "next_secret_digest = NULL, next_secret_last4 = NULL, "
        "secret_expires_at = NULL WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_CLIENT_CUT_OFF] =
        "UPDATE rensei_clients SET tokens_after = %s, updated_at = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_LIST] = CLIENT_LIST(NO_KEY),
    [RENSEI_SQL_CLIENT_LIST_NAME] = CLIENT_LIST("AND c.name = %s "),
    [RENSEI_SQL_CLIENT_LIST_OWNER] = CLIENT_LIST("AND c.owner = %s "),
    [RENSEI_SQL_CLIENT_FLOOR] = FLOOR("rensei_clients", NO_KEY),
    [RENSEI_SQL_CLIENT_FLOOR_NAME] = FLOOR("rensei_clients", "AND name = %s "),
    [RENSEI_SQL_CLIENT_FLOOR_OWNER] =
        FLOOR("rensei_clients", "AND owner = %s "),

    [RENSEI_SQL_REVOKED_INSERT] =
        "INSERT INTO rensei_revoked_tokens (jti, org_id, client_id, "
        "expires_at, revoked_at) VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (client_id, jti) DO NOTHING",
    [RENSEI_SQL_REVOKED_FIND] = "SELECT jti FROM rensei_revoked_tokens "
                                "WHERE client_id = %s AND jti = %s",
    [RENSEI_SQL_REVOKED_OF] =
        "SELECT jti FROM rensei_revoked_tokens WHERE client_id = %s "
        "AND expires_at > %s ORDER BY expires_at DESC " LIMITED,
    [RENSEI_SQL_REVOKED_FORGET] =
        FORGET("rensei_revoked_tokens", "(client_id, jti)", "client_id, jti"),

    [RENSEI_SQL_ASSERTION_INSERT] =
        "INSERT INTO rensei_assertions (digest, expires_at) VALUES (%s, %s) "
        "ON CONFLICT (digest) DO NOTHING",
    [RENSEI_SQL_ASSERTION_FORGET] =
        FORGET("rensei_assertions", "digest", "digest"),

    [RENSEI_SQL_KEY_INSERT] =
        "INSERT INTO rensei_keys (id, org_id, workspace_id, name, type, "
        "owner, user_id, scopes, digest, prefix, created_at, created_by, "
        "expires_at, max_uses, uses) "
        "SELECT CAST(%s AS TEXT), o.id, CAST(%s AS TEXT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), CAST(%s AS TEXT), CAST(%s AS TEXT), "
        "CAST(%s AS TEXT), CAST(%s AS TEXT), CAST(%s AS TEXT), "
        "CAST(%s AS BIGINT), CAST(%s AS TEXT), CAST(%s AS BIGINT), "
        "CAST(%s AS BIGINT), 0 " OWN_WORKSPACE,
    [RENSEI_SQL_KEY_GET] =
        "SELECT " KEY_COLS KEY_FROM "WHERE k.org_id = %s AND k.id = %s",
    [RENSEI_SQL_KEY_FIND] = "SELECT " KEY_COLS KEY_FROM "WHERE k.digest = %s",
    [RENSEI_SQL_KEY_REVOKE] =
        "UPDATE rensei_keys SET revoked_at = %s, revoke_reason = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_KEY_USED] =
        "UPDATE rensei_keys SET last_used_at = %s WHERE id = %s "
        "AND (last_used_at IS NULL OR last_used_at < %s)",
    [RENSEI_SQL_KEY_LIST] = KEY_LIST(NO_KEY),
    [RENSEI_SQL_KEY_LIST_NAME] = KEY_LIST("AND k.name = %s "),
    [RENSEI_SQL_KEY_LIST_OWNER] = KEY_LIST("AND k.owner = %s "),
    [RENSEI_SQL_KEY_FLOOR] = FLOOR("rensei_keys", NO_KEY),
    [RENSEI_SQL_KEY_FLOOR_NAME] = FLOOR("rensei_keys", "AND name = %s "),
    [RENSEI_SQL_KEY_FLOOR_OWNER] = FLOOR("rensei_keys", "AND owner = %s "),

    [RENSEI_SQL_WORKER_FIND] =
        "SELECT w.id, w.org_id, w.workspace_id, w.key_id, w.revoked_at, "
        "k.revoked_at, k.expires_at, o.status FROM rensei_workers w "
        "JOIN rensei_keys k ON k.id = w.key_id "
        "JOIN rensei_orgs o ON o.id = w.org_id WHERE w.id = %s",

    /* The row stays locked until COMMIT: so numbers have no gaps, and are
     * seen in order. */
    [RENSEI_SQL_AUDIT_NEXT] =
        "INSERT INTO rensei_audit_heads (org_id, seq) VALUES (%s, 1) "
        "ON CONFLICT (org_id) DO UPDATE SET "
        "seq = rensei_audit_heads.seq + 1 RETURNING seq",
    [RENSEI_SQL_AUDIT_INSERT] =
        "INSERT INTO rensei_audit (org_id, seq, id, event, at, actor, "
        "actor_type, target, ip, request_id, details) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
    [RENSEI_SQL_AUDIT_HEAD] =
        "SELECT seq FROM rensei_audit_heads WHERE org_id = %s",
    /* With `+ 0` a column takes no index: or PostgreSQL looks for MIN(seq)
     * along the numbers, past all that is older, and for a page along the
     * times, to sort all of them. */
    [RENSEI_SQL_AUDIT_RANGE] =
        "SELECT MIN(seq + 0), MAX(seq + 0) FROM rensei_audit "
        "WHERE org_id = %s AND at >= %s AND at < %s",
    [RENSEI_SQL_AUDIT_LIST] =
        "SELECT id, event, at, org_id, actor, actor_type, ip, request_id, "
        "target, details, seq FROM rensei_audit "
        "WHERE org_id = %s AND seq < %s AND seq >= %s "
        "AND at + 0 >= CAST(%s AS BIGINT) AND at + 0 < CAST(%s AS BIGINT) " OPT(
            "event = %s") OPT("actor = %s")
            OPT("target = %s") "ORDER BY seq DESC " LIMITED,

    [RENSEI_SQL_SEQUENCE_NEXT] =
        "UPDATE rensei_sequence SET value = value + 1 WHERE id = 1 "
        "RETURNING value",
    [RENSEI_SQL_SEQUENCE_GET] =
        "SELECT value FROM rensei_sequence WHERE id = 1",
    [RENSEI_SQL_CHANGE_INSERT] =
        "INSERT INTO rensei_changes (seq, subject, at) VALUES (%s, %s, %s)",
    [RENSEI_SQL_CHANGE_LIST] =
        "SELECT seq, subject FROM rensei_changes WHERE seq > %s "
        "ORDER BY seq " LIMITED,
};

#define NAME(name) "rensei:" #name,
static const char *const name_of[RENSEI_SQL_COUNT] = {RENSEI_SQL_LIST(NAME)};
#undef NAME

const char *rensei_sql_text(rensei_sql_e stmt)
{
    return text[stmt];
}

const char *rensei_sql_name(rensei_sql_e stmt)
{
    return name_of[stmt];
}

int rensei_sql_args(rensei_sql_e stmt)
{
    int n = 0;
    const char *s;

    for (s = strstr(text[stmt], "%s"); s; s = strstr(s + 2, "%s")) {
        n++;
    }
    return n;
}
