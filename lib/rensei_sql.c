/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_sql.h"

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

/* What is suspended of what a credential belongs to, or 'active'. */
#define STANDING                                          \
    "CASE WHEN o.status <> 'active' THEN 'organisation' " \
    "WHEN ws.status <> 'active' THEN 'workspace' ELSE 'active' END "
#define ORG_AND_WORKSPACE(t)                    \
    "JOIN rensei_orgs o ON o.id = " t "org_id " \
    "LEFT JOIN rensei_workspaces ws ON ws.id = " t "workspace_id "

#define CLIENT_COLS                                                    \
    "c.id, c.org_id, c.workspace_id, c.name, c.description, c.owner, " \
    "c.scopes, c.trusted_metadata, c.status, c.token_lifetime, "       \
    "c.secret_last4, c.created_at, c.updated_at, c.created_by, "       \
    "c.expires_at, c.revoked_at, c.last_used_at, c.revoke_reason, "    \
    "c.auth_method, c.jwks, c.audiences, c.next_secret_last4, "        \
    "c.secret_expires_at, c.tokens_after, c.last_used_ip, " STANDING
#define CLIENT_FROM "FROM rensei_clients c " ORG_AND_WORKSPACE("c.")
#define CLIENT_STATUS                                                       \
    "CASE WHEN c.revoked_at IS NOT NULL THEN 'revoked' "                    \
    "WHEN c.expires_at <= CAST(%s AS BIGINT) THEN 'expired' ELSE c.status " \
    "END = %s"
/* A token is recorded only if its client is what it was when it was read, and
 * this tells: so it never stands still, nor goes back, however quick two
 * changes are, and whatever clocks they were made by. */
#define NEXT_VERSION                                          \
    "updated_at = CASE WHEN updated_at < CAST(%s AS BIGINT) " \
    "THEN CAST(%s AS BIGINT) ELSE updated_at + 1 END "
#define CLIENT_LIST(key)                                                      \
    "SELECT " CLIENT_COLS CLIENT_FROM "WHERE c.org_id = %s " key BEFORE("c.") \
        DOWN_TO("c.") OPT("c.owner = %s") OPT(HAS_SCOPE("c."))                \
            OPT(CLIENT_STATUS) NEWEST("c.") LIMITED

#define KEY_COLS                                                           \
    "k.id, k.org_id, k.workspace_id, k.name, k.type, k.owner, k.user_id, " \
    "k.scopes, k.prefix, k.created_at, k.created_by, k.expires_at, "       \
    "k.revoked_at, k.last_used_at, k.revoke_reason, k.max_uses, k.uses, "  \
    "k.updated_at, k.rotated_at, k.previous_expires_at, k.last_used_ip, "  \
    "k.usage_count, " STANDING
#define KEY_FROM "FROM rensei_keys k " ORG_AND_WORKSPACE("k.")
#define KEY_STATUS                                            \
    "CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' "      \
    "WHEN k.expires_at <= CAST(%s AS BIGINT) THEN 'expired' " \
    "WHEN k.uses >= k.max_uses THEN 'exhausted' ELSE 'active' END = %s"
#define KEY_LIST(key)                                                   \
    "SELECT " KEY_COLS KEY_FROM "WHERE k.org_id = %s " key BEFORE("k.") \
        DOWN_TO("k.") OPT("k.owner = %s") OPT("k.type = %s")            \
            OPT(HAS_SCOPE("k.")) OPT(KEY_STATUS) NEWEST("k.") LIMITED

#define WORKER_COLS                                                     \
    "w.id, w.org_id, w.workspace_id, w.key_id, w.revoked_at, "          \
    "k.revoked_at, k.expires_at, " STANDING ", w.hostname, "            \
    "w.max_agents, w.version, w.machine_id, w.region, w.capabilities, " \
    "w.active_agents, w.status, w.created_at, w.last_seen_at, "         \
    "w.revoke_reason "
#define WORKER_FROM          \
    "FROM rensei_workers w " \
    "JOIN rensei_keys k ON k.id = w.key_id " ORG_AND_WORKSPACE("w.")
#define WORKER_STATUS \
    "CASE WHEN w.revoked_at IS NULL THEN 'active' ELSE 'revoked' END = %s"
#define WORKER_LIST(key)                                                      \
    "SELECT " WORKER_COLS WORKER_FROM "WHERE w.org_id = %s " key BEFORE("w.") \
        DOWN_TO("w.") OPT("w.key_id = %s") OPT("w.region = %s")               \
            OPT(WORKER_STATUS) NEWEST("w.") LIMITED

#define ORG_COLS "SELECT id, name, status, created_at FROM rensei_orgs "
#define WORKSPACE_COLS \
    "SELECT id, org_id, name, status, created_at FROM rensei_workspaces "

/* What counts for RenseiMaxCredentials. */
#define LIVE_OF_ORG                                 \
    "WHERE org_id = %s AND revoked_at IS NULL AND " \
    "(expires_at IS NULL OR expires_at > %s)"

#define OF_ORG "WHERE org_id = %s " OPT("workspace_id = %s")

#define AUDIT_COLS                                                       \
    "id, event, at, org_id, actor, actor_type, ip, request_id, target, " \
    "details, seq, hash "

/* A use, in the order (its time, address, its time twice): the latest counts,
 * in whatever order they come in. Both see the row as it was. */
#define LATEST                                                    \
    "last_used_ip = CASE WHEN last_used_at > CAST(%s AS BIGINT) " \
    "THEN last_used_ip ELSE CAST(%s AS TEXT) END, "               \
    "last_used_at = CASE WHEN last_used_at > CAST(%s AS BIGINT) " \
    "THEN last_used_at ELSE CAST(%s AS BIGINT) END "

/* The same of RENSEI_SQL_USES rows: id, count, time, address; where there are
 * fewer, the rest are NULL. Both databases call the columns so. */
#define USE                                              \
    "(CAST(%s AS TEXT), CAST(%s AS BIGINT), CAST(%s AS " \
    "BIGINT), CAST(%s AS TEXT))"
#define USES_4 USE ", " USE ", " USE ", " USE
#define USES_32                                                        \
    USES_4 ", " USES_4 ", " USES_4 ", " USES_4 ", " USES_4 ", " USES_4 \
           ", " USES_4 ", " USES_4
#define LATEST_OF_MANY                                   \
    "last_used_ip = CASE WHEN last_used_at > u.column3 " \
    "THEN last_used_ip ELSE u.column4 END, "             \
    "last_used_at = CASE WHEN last_used_at > u.column3 " \
    "THEN last_used_at ELSE u.column3 END "              \
    "FROM (VALUES " USES_32 ") AS u WHERE id = u.column1"

/* For SQLite most of what a row costs is to start its statement. */
#define EVENT_COLS                                                 \
    "(org_id, seq, id, event, at, actor, actor_type, target, ip, " \
    "request_id, details, hash) "
#define EVENT "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
#define EVENTS_2 EVENT ", " EVENT
#define EVENTS_3 EVENTS_2 ", " EVENT
#define EVENTS_4 EVENTS_2 ", " EVENTS_2
#define EVENTS_6 EVENTS_4 ", " EVENTS_2
#define EVENTS_8 EVENTS_4 ", " EVENTS_4
#define EVENTS_12 EVENTS_8 ", " EVENTS_4
#define EVENTS_16 EVENTS_8 ", " EVENTS_8
#define EVENTS_INSERT(otherwise, events) \
    "INSERT " otherwise "INTO rensei_audit " EVENT_COLS "VALUES " events

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

/* Clients and keys in the same form, for one list; `ends` is named in a query
 * inside, so that it can be compared. */
#define INVENTORY_COLS                                         \
    "SELECT t.id, t.workspace_id, t.name, t.owner, t.scopes, " \
    "t.created_at, t.last_used_at, t.ends, t.key_type, t.status FROM "
#define INVENTORY(of, ends_type_status)                                        \
    INVENTORY_COLS                                                             \
    "(SELECT c.*, " ends_type_status " FROM " of " c WHERE c.org_id = %s "     \
    "AND c.revoked_at IS NULL " BEFORE("c.") DOWN_TO(                          \
        "c.") ") t "                                                           \
              "WHERE (t.ends IS NULL OR t.ends > CAST(%s AS BIGINT)) " OPT(    \
                  "COALESCE(t.last_used_at, t.created_at) < CAST(%s AS "       \
                  "BIGINT)")                                                   \
                  OPT("t.ends <= CAST(%s AS BIGINT)") "AND (CAST(%s AS TEXT) " \
                                                      "IS NULL OR t.owner IS " \
                                                      "NULL) " OPT(            \
                                                          "CAST(%s AS TEXT) "  \
                                                          "= CASE WHEN "       \
                                                          "t.key_type IN "     \
                                                          "('org', 'user') "   \
                                                          "THEN 'standing' "   \
                                                          "ELSE 'minting' "    \
                                                          "END") NEWEST("t.")  \
                                                          LIMITED

/* A secret that has ended ends nothing more where a rotation has brought the
 * next one. */
#define SECRET_IS_OVER(c, now)                                                \
    "(" c "next_secret_digest IS NOT NULL AND " c "secret_expires_at <= " now \
    ") "

/* What ends soon, and was not noticed with this end. Only the column that has
 * an index decides which rows are read. */
#define EXPIRING(of, ends, unless)                                     \
    "SELECT id, org_id, name, owner, " ends " FROM " of                \
    " WHERE revoked_at IS NULL " unless "AND " ends " > %s AND " ends  \
    " <= %s AND (expiry_notice IS NULL OR expiry_notice <> " ends ") " \
    "ORDER BY " ends " " LIMITED
#define NOTICED(of, ends)                                 \
    "UPDATE " of " SET expiry_notice = %s WHERE id = %s " \
    "AND revoked_at IS NULL AND " ends " = %s "           \
    "AND (expiry_notice IS NULL OR expiry_notice <> %s)"

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
    /* As CLIENT_LOCK. */
    [RENSEI_SQL_ORG_LOCK] = "UPDATE rensei_orgs SET id = id WHERE id = %s",
    [RENSEI_SQL_ORG_LIVE] =
        "SELECT COUNT(*) + (SELECT COUNT(*) FROM rensei_keys " LIVE_OF_ORG
        ") FROM rensei_clients " LIVE_OF_ORG,
    [RENSEI_SQL_ORG_DELETE] = "DELETE FROM rensei_orgs WHERE id = %s",

    [RENSEI_SQL_WORKSPACE_INSERT] =
        "INSERT INTO rensei_workspaces (id, org_id, name, created_at) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT (org_id, name) DO NOTHING",
    [RENSEI_SQL_WORKSPACE_BY_ID] =
        WORKSPACE_COLS "WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_WORKSPACE_BY_NAME] =
        WORKSPACE_COLS "WHERE org_id = %s AND name = %s",
    [RENSEI_SQL_WORKSPACE_LIST] =
        WORKSPACE_COLS "WHERE org_id = %s AND name > %s ORDER BY name " LIMITED,
    [RENSEI_SQL_WORKSPACE_STATUS] =
        "UPDATE rensei_workspaces SET status = %s "
        "WHERE org_id = %s AND id = %s AND status <> %s",
    [RENSEI_SQL_WORKSPACE_LOCK] = "UPDATE rensei_workspaces SET id = id "
                                  "WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_WORKSPACE_DELETE] =
        "DELETE FROM rensei_workspaces WHERE org_id = %s AND id = %s",

    /* What an organisation has, or one of its workspaces. A worker goes with
     * its registration key. */
    [RENSEI_SQL_DELETE_REVOKED] =
        "DELETE FROM rensei_revoked_tokens WHERE client_id IN "
        "(SELECT id FROM rensei_clients " OF_ORG ")",
    [RENSEI_SQL_DELETE_WORKERS] =
        "DELETE FROM rensei_workers " OF_ORG " OR key_id IN "
        "(SELECT id FROM rensei_keys " OF_ORG ")",
    [RENSEI_SQL_DELETE_KEYS] = "DELETE FROM rensei_keys " OF_ORG,
    [RENSEI_SQL_DELETE_CLIENTS] = "DELETE FROM rensei_clients " OF_ORG,
    [RENSEI_SQL_DELETE_WORKSPACES] =
        "DELETE FROM rensei_workspaces WHERE org_id = %s",

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
        "audiences = %s, secret_expires_at = %s, " NEXT_VERSION
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_REVOKE] =
        "UPDATE rensei_clients SET revoked_at = %s, revoke_reason = "
        "%s, " NEXT_VERSION "WHERE org_id = %s AND id = %s "
        "AND revoked_at IS NULL",
    /* Of sixteen ids, or fewer and NULL: those that may have tokens. */
    [RENSEI_SQL_CLIENT_FIT] =
        "SELECT c.id, c.updated_at " CLIENT_FROM
        "WHERE c.id IN (%s, %s, %s, %s, %s, %s, %s, %s, "
        "%s, %s, %s, %s, %s, %s, %s, %s) AND c.revoked_at IS NULL "
        "AND c.status = 'active' AND " STANDING "= 'active'",
    [RENSEI_SQL_CLIENTS_USED] = "UPDATE rensei_clients SET " LATEST_OF_MANY,
    [RENSEI_SQL_CLIENT_ROTATE] =
        "UPDATE rensei_clients SET next_secret_digest = %s, "
        "next_secret_last4 = %s, secret_expires_at = %s, " NEXT_VERSION
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_CLIENT_SUCCEED] =
        "UPDATE rensei_clients SET secret_digest = next_secret_digest, "
        "secret_last4 = next_secret_last4, next_secret_digest = NULL, "
        "next_secret_last4 = NULL, secret_expires_at = NULL, " NEXT_VERSION
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL "
        "AND next_secret_digest IS NOT NULL",
    [RENSEI_SQL_CLIENT_DISARM] =
        "UPDATE rensei_clients SET secret_digest = '', secret_last4 = '', "
        "next_secret_digest = NULL, next_secret_last4 = NULL, "
        "secret_expires_at = NULL WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_CLIENT_CUT_OFF] =
        "UPDATE rensei_clients SET tokens_after = %s, " NEXT_VERSION
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
    /* The last column: is it the token before the present one? */
    [RENSEI_SQL_KEY_FIND] =
        "SELECT " KEY_COLS
        ", CASE WHEN k.digest = %s THEN 0 ELSE 1 END " KEY_FROM
        "WHERE k.digest = %s "
        "OR (k.previous_digest = %s AND k.previous_expires_at > %s)",
    /* As CLIENT_LOCK. */
    [RENSEI_SQL_KEY_LOCK] =
        "UPDATE rensei_keys SET id = id WHERE org_id = %s AND id = %s",
    [RENSEI_SQL_KEY_UPDATE] =
        "UPDATE rensei_keys SET name = %s, owner = %s, scopes = %s, "
        "updated_at = %s WHERE org_id = %s AND id = %s "
        "AND revoked_at IS NULL",
    /* The first argument is NULL where the old token ends at once. */
    [RENSEI_SQL_KEY_ROTATE] =
        "UPDATE rensei_keys SET previous_digest = "
        "CASE WHEN CAST(%s AS TEXT) IS NULL THEN NULL ELSE digest END, "
        "previous_expires_at = %s, digest = %s, prefix = %s, "
        "rotated_at = %s, updated_at = %s WHERE org_id = %s AND id = %s "
        "AND revoked_at IS NULL",
    [RENSEI_SQL_KEY_REVOKE] =
        "UPDATE rensei_keys SET revoked_at = %s, revoke_reason = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_KEY_USED] =
        "UPDATE rensei_keys SET usage_count = usage_count + CAST(%s AS "
        "BIGINT), " LATEST "WHERE id = %s",
    [RENSEI_SQL_KEYS_USED] =
        "UPDATE rensei_keys SET usage_count = usage_count + "
        "u.column2, " LATEST_OF_MANY,
    [RENSEI_SQL_KEY_LIST] = KEY_LIST(NO_KEY),
    [RENSEI_SQL_KEY_LIST_NAME] = KEY_LIST("AND k.name = %s "),
    [RENSEI_SQL_KEY_LIST_OWNER] = KEY_LIST("AND k.owner = %s "),
    [RENSEI_SQL_KEY_FLOOR] = FLOOR("rensei_keys", NO_KEY),
    [RENSEI_SQL_KEY_FLOOR_NAME] = FLOOR("rensei_keys", "AND name = %s "),
    [RENSEI_SQL_KEY_FLOOR_OWNER] = FLOOR("rensei_keys", "AND owner = %s "),

    /* Locks the key's row until COMMIT: of those who come with one key at the
     * same time, each sees what the ones before him did. */
    [RENSEI_SQL_KEY_ENROLL] =
        "UPDATE rensei_keys SET uses = uses + 1, "
        "usage_count = usage_count + CAST(%s AS BIGINT), "
        "last_used_at = CASE WHEN last_used_at > CAST(%s AS BIGINT) "
        "THEN last_used_at ELSE CAST(%s AS BIGINT) END, "
        "last_used_ip = %s WHERE org_id = %s AND id = %s "
        "AND type = 'worker_registration' AND revoked_at IS NULL "
        "AND (expires_at IS NULL OR expires_at > %s) "
        "AND (max_uses IS NULL OR uses < max_uses) AND EXISTS "
        "(SELECT 1 FROM rensei_orgs o LEFT JOIN rensei_workspaces ws "
        "ON ws.id = rensei_keys.workspace_id "
        "WHERE o.id = rensei_keys.org_id AND " STANDING "= 'active')",

    [RENSEI_SQL_WORKER_FIND] =
        "SELECT " WORKER_COLS WORKER_FROM "WHERE w.id = %s",
    [RENSEI_SQL_WORKER_GET] =
        "SELECT " WORKER_COLS WORKER_FROM "WHERE w.org_id = %s AND w.id = %s",
    [RENSEI_SQL_WORKER_MACHINE] = "SELECT " WORKER_COLS WORKER_FROM
                                  "WHERE w.key_id = %s AND w.machine_id = %s",
    [RENSEI_SQL_WORKER_INSERT] =
        "INSERT INTO rensei_workers (id, org_id, workspace_id, key_id, "
        "machine_id, created_at, hostname, max_agents, version, region, "
        "capabilities, active_agents, status, last_seen_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
    [RENSEI_SQL_WORKER_AGAIN] =
        "UPDATE rensei_workers SET hostname = %s, max_agents = %s, "
        "version = %s, region = %s, capabilities = %s, active_agents = %s, "
        "status = %s, last_seen_at = %s WHERE org_id = %s AND id = %s "
        "AND revoked_at IS NULL",
    [RENSEI_SQL_WORKER_SEEN] =
        "UPDATE rensei_workers SET last_seen_at = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_WORKER_REVOKE] =
        "UPDATE rensei_workers SET revoked_at = %s, revoke_reason = %s "
        "WHERE org_id = %s AND id = %s AND revoked_at IS NULL",
    [RENSEI_SQL_WORKER_LIST] = WORKER_LIST(NO_KEY),
    [RENSEI_SQL_WORKER_LIST_HOST] = WORKER_LIST("AND w.hostname = %s "),
    [RENSEI_SQL_WORKER_LIST_KEY] = WORKER_LIST("AND w.key_id = %s "),
    [RENSEI_SQL_WORKER_FLOOR] = FLOOR("rensei_workers", NO_KEY),
    [RENSEI_SQL_WORKER_FLOOR_HOST] =
        FLOOR("rensei_workers", "AND hostname = %s "),
    [RENSEI_SQL_WORKER_FLOOR_KEY] = FLOOR("rensei_workers", "AND key_id = %s "),

    /* The row stays locked until COMMIT: so numbers have no gaps, and are
     * seen in order. */
    [RENSEI_SQL_AUDIT_NEXT] =
        "INSERT INTO rensei_audit_heads (org_id, seq) "
        "VALUES (%s, CAST(%s AS BIGINT)) "
        "ON CONFLICT (org_id) DO UPDATE SET "
        "seq = rensei_audit_heads.seq + CAST(%s AS BIGINT) "
        "RETURNING seq, hash",
    [RENSEI_SQL_AUDIT_INSERT] = EVENTS_INSERT("", EVENT),
    [RENSEI_SQL_AUDIT_INSERT_2] = EVENTS_INSERT("", EVENTS_2),
    [RENSEI_SQL_AUDIT_INSERT_3] = EVENTS_INSERT("", EVENTS_3),
    [RENSEI_SQL_AUDIT_INSERT_4] = EVENTS_INSERT("", EVENTS_4),
    [RENSEI_SQL_AUDIT_INSERT_6] = EVENTS_INSERT("", EVENTS_6),
    [RENSEI_SQL_AUDIT_INSERT_8] = EVENTS_INSERT("", EVENTS_8),
    [RENSEI_SQL_AUDIT_INSERT_12] = EVENTS_INSERT("", EVENTS_12),
    [RENSEI_SQL_AUDIT_INSERT_16] = EVENTS_INSERT("", EVENTS_16),
    [RENSEI_SQL_AUDIT_HASH] =
        "UPDATE rensei_audit_heads SET hash = %s WHERE org_id = %s",
    [RENSEI_SQL_AUDIT_HEAD] = "SELECT seq, hash, anchor_seq, anchor_hash "
                              "FROM rensei_audit_heads WHERE org_id = %s",
    [RENSEI_SQL_AUDIT_LAST] =
        "SELECT MAX(seq) FROM rensei_audit WHERE org_id = %s",
    /* The next organisation that has, or ought to have, a trail; each part
     * goes along an index. */
    [RENSEI_SQL_AUDIT_CHAINS] =
        "SELECT MIN(id) FROM ("
        "SELECT MIN(org_id) AS id FROM rensei_audit_heads WHERE org_id > %s "
        "UNION ALL SELECT MIN(org_id) FROM rensei_audit WHERE org_id > %s "
        "UNION ALL SELECT MIN(id) FROM rensei_orgs WHERE id > %s) AS t",
    [RENSEI_SQL_AUDIT_RUN] =
        "SELECT " AUDIT_COLS
        "FROM rensei_audit WHERE org_id = %s AND seq > %s AND seq <= %s "
        "ORDER BY seq " LIMITED,
    [RENSEI_SQL_AUDIT_OLDEST] =
        "SELECT seq, at, hash FROM rensei_audit WHERE org_id = %s "
        "AND seq > %s ORDER BY seq " LIMITED,
    [RENSEI_SQL_AUDIT_LOCK] =
        "UPDATE rensei_audit_heads SET org_id = org_id WHERE org_id = %s",
    [RENSEI_SQL_AUDIT_DELETE] =
        "DELETE FROM rensei_audit WHERE org_id = %s AND seq <= %s",
    /* Never back: events of before schema 3 are older than the anchor. */
    [RENSEI_SQL_AUDIT_ANCHOR] =
        "UPDATE rensei_audit_heads SET anchor_seq = %s, anchor_hash = %s "
        "WHERE org_id = %s AND anchor_seq < %s",
    /* With `+ 0` a column takes no index: or PostgreSQL looks for MIN(seq)
     * along the numbers, past all that is older, and for a page along the
     * times, to sort all of them. */
    [RENSEI_SQL_AUDIT_LATEST] =
        "SELECT MAX(at) FROM rensei_audit WHERE org_id = %s",
    [RENSEI_SQL_AUDIT_RANGE] =
        "SELECT MIN(seq + 0), MAX(seq + 0) FROM rensei_audit "
        "WHERE org_id = %s AND at >= %s AND at < %s",
    [RENSEI_SQL_AUDIT_LIST] =
        "SELECT " AUDIT_COLS
        "FROM rensei_audit WHERE org_id = %s AND seq < %s AND seq >= %s "
        "AND at + 0 >= CAST(%s AS BIGINT) AND at + 0 < CAST(%s AS BIGINT) " OPT(
            "event = %s") OPT("actor = %s")
            OPT("target = %s") "ORDER BY seq DESC " LIMITED,

    [RENSEI_SQL_INVENTORY_CLIENTS] = INVENTORY(
        "rensei_clients",
        "CASE WHEN c.secret_expires_at IS NULL "
        "OR c.secret_expires_at >= c.expires_at "
        "OR " SECRET_IS_OVER(
            "c.", "CAST(%s AS BIGINT)") "THEN c.expires_at ELSE "
                                        "c.secret_expires_at END AS ends, "
                                        "CAST(NULL AS TEXT) AS key_type"),
    [RENSEI_SQL_INVENTORY_KEYS] = INVENTORY(
        "rensei_keys",
        "c.expires_at AS ends, c.type AS key_type, CASE WHEN c.uses >= "
        "c.max_uses THEN 'exhausted' ELSE 'active' END AS status"),

    [RENSEI_SQL_EXPIRING_CLIENTS] =
        EXPIRING("rensei_clients", "expires_at",
                 "AND (secret_expires_at IS NULL "
                 "OR secret_expires_at >= expires_at "
                 "OR " SECRET_IS_OVER("", "%s") ") "),
    [RENSEI_SQL_EXPIRING_SECRETS] =
        EXPIRING("rensei_clients", "secret_expires_at",
                 "AND (expires_at IS NULL OR expires_at > secret_expires_at) "),
    [RENSEI_SQL_EXPIRING_KEYS] = EXPIRING("rensei_keys", "expires_at", ""),
    [RENSEI_SQL_CLIENT_NOTICED] = NOTICED("rensei_clients", "expires_at"),
    [RENSEI_SQL_SECRET_NOTICED] =
        NOTICED("rensei_clients", "secret_expires_at"),
    [RENSEI_SQL_KEY_NOTICED] = NOTICED("rensei_keys", "expires_at"),

    [RENSEI_SQL_SEQUENCE_NEXT] =
        "UPDATE rensei_sequence SET value = value + 1 WHERE id = 1 "
        "RETURNING value",
    [RENSEI_SQL_SEQUENCE_GET] =
        "SELECT value FROM rensei_sequence WHERE id = 1",
    [RENSEI_SQL_SEQUENCE_SINCE] =
        "SELECT s.value, c.subject, c.at FROM rensei_sequence s "
        "LEFT JOIN rensei_changes c ON c.seq = %s WHERE s.id = 1",
    [RENSEI_SQL_CHANGE_INSERT] =
        "INSERT INTO rensei_changes (seq, subject, at) VALUES (%s, %s, %s)",
    [RENSEI_SQL_CHANGE_FORGET] =
        "DELETE FROM rensei_changes WHERE seq IN (SELECT seq "
        "FROM rensei_changes WHERE at < %s ORDER BY at LIMIT 20)",
    [RENSEI_SQL_CHANGE_LIST] =
        "SELECT seq, subject, at FROM rensei_changes WHERE seq > %s "
        "ORDER BY seq " LIMITED,
    [RENSEI_SQL_SEQUENCE_LEAP] = "UPDATE rensei_sequence "
                                 "SET value = value + 1000000000 WHERE id = 1",

    /* of any version of the schema */
    [RENSEI_SQL_HOLDS] = "SELECT (SELECT COUNT(*) FROM rensei_orgs), "
                         "(SELECT COUNT(*) FROM rensei_workspaces), "
                         "(SELECT COUNT(*) FROM rensei_clients), "
                         "(SELECT COUNT(*) FROM rensei_keys), "
                         "(SELECT COUNT(*) FROM rensei_workers), "
                         "(SELECT COUNT(*) FROM rensei_audit), "
                         "(SELECT value FROM rensei_sequence WHERE id = 1)",
};

/* SQLite keeps a copy of each page that an INSERT of several rows changes, to
 * take back the first rows if a later one fails. Here what fails ends the
 * transaction, so that there is nothing to keep. */
#define OR_FAIL "OR FAIL "
static const char *const text_of_sqlite[RENSEI_SQL_COUNT] = {
    [RENSEI_SQL_AUDIT_INSERT_2] = EVENTS_INSERT(OR_FAIL, EVENTS_2),
    [RENSEI_SQL_AUDIT_INSERT_3] = EVENTS_INSERT(OR_FAIL, EVENTS_3),
    [RENSEI_SQL_AUDIT_INSERT_4] = EVENTS_INSERT(OR_FAIL, EVENTS_4),
    [RENSEI_SQL_AUDIT_INSERT_6] = EVENTS_INSERT(OR_FAIL, EVENTS_6),
    [RENSEI_SQL_AUDIT_INSERT_8] = EVENTS_INSERT(OR_FAIL, EVENTS_8),
    [RENSEI_SQL_AUDIT_INSERT_12] = EVENTS_INSERT(OR_FAIL, EVENTS_12),
    [RENSEI_SQL_AUDIT_INSERT_16] = EVENTS_INSERT(OR_FAIL, EVENTS_16),
};

#define NAME(name) "rensei:" #name,
static const char *const name_of[RENSEI_SQL_COUNT] = {RENSEI_SQL_LIST(NAME)};
#undef NAME

const char *rensei_sql_text(rensei_sql_e stmt, int sqlite)
{
    return sqlite && text_of_sqlite[stmt] ? text_of_sqlite[stmt] : text[stmt];
}

const char *rensei_sql_name(rensei_sql_e stmt)
{
    return name_of[stmt];
}
