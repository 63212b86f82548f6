/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_schema.h"
#include "rensei_sys.h"

#include <apr_strings.h>
#include <stdlib.h>

/* How long to go on while another process holds the lock. */
#define PATIENCE apr_time_from_sec(5)
#define PAUSE apr_time_from_msec(50)

/* "rensei" in hex; any number will do that nobody else locks. */
#define PGSQL_LOCK "SELECT pg_advisory_xact_lock(125779970319721)"

/* A foreign key over both columns: a workspace of another organisation is
 * refused by the database itself. */
#define OWN_WORKSPACE                     \
    "FOREIGN KEY (org_id, workspace_id) " \
    "REFERENCES rensei_workspaces (org_id, id)"

static const char *const step_1[] = {
    "CREATE TABLE rensei_schema ("
    "version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)",

    "CREATE TABLE rensei_orgs ("
    "id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
    "status TEXT NOT NULL CHECK (status IN ('active', 'suspended')), "
    "created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",

    "CREATE TABLE rensei_workspaces ("
    "id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES rensei_orgs (id), "
    "name TEXT NOT NULL, created_at BIGINT NOT NULL, "
    "UNIQUE (org_id, name), UNIQUE (org_id, id))",

    "CREATE TABLE rensei_clients ("
    "id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES rensei_orgs (id), "
    "workspace_id TEXT, name TEXT NOT NULL, description TEXT, owner TEXT, "
    "scopes TEXT NOT NULL, trusted_metadata TEXT, "
    "status TEXT NOT NULL CHECK (status IN ('active', 'inactive')), "
    "token_lifetime BIGINT, secret_digest TEXT NOT NULL, "
    "secret_last4 TEXT NOT NULL, created_at BIGINT NOT NULL, "
    "updated_at BIGINT NOT NULL, created_by TEXT NOT NULL, "
    "expires_at BIGINT, revoked_at BIGINT, revoke_reason TEXT, "
    "last_used_at BIGINT, " OWN_WORKSPACE ")",
    "CREATE INDEX rensei_clients_newest "
    "ON rensei_clients (org_id, created_at, id)",
    "CREATE INDEX rensei_clients_name "
    "ON rensei_clients (org_id, name, created_at, id)",
    "CREATE INDEX rensei_clients_owner "
    "ON rensei_clients (org_id, owner, created_at, id)",

    "CREATE TABLE rensei_keys ("
    "id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES rensei_orgs (id), "
    "workspace_id TEXT, name TEXT NOT NULL, type TEXT NOT NULL "
    "CHECK (type IN ('user', 'worker_registration', 'org')), "
    "owner TEXT, user_id TEXT, scopes TEXT NOT NULL, "
    "digest TEXT NOT NULL UNIQUE, prefix TEXT NOT NULL, "
    "created_at BIGINT NOT NULL, created_by TEXT NOT NULL, "
    "expires_at BIGINT, revoked_at BIGINT, revoke_reason TEXT, "
    "last_used_at BIGINT, max_uses BIGINT, uses BIGINT NOT NULL, " OWN_WORKSPACE
    ")",
    "CREATE INDEX rensei_keys_newest "
    "ON rensei_keys (org_id, created_at, id)",
    "CREATE INDEX rensei_keys_name "
    "ON rensei_keys (org_id, name, created_at, id)",
    "CREATE INDEX rensei_keys_owner "
    "ON rensei_keys (org_id, owner, created_at, id)",

    "CREATE TABLE rensei_workers ("
    "id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES rensei_orgs (id), "
    "workspace_id TEXT, key_id TEXT NOT NULL REFERENCES rensei_keys (id), "
    "hostname TEXT NOT NULL, max_agents BIGINT NOT NULL, version TEXT, "
    "machine_id TEXT, region TEXT, capabilities TEXT, active_agents BIGINT, "
    "status TEXT, created_at BIGINT NOT NULL, last_seen_at BIGINT, "
    "revoked_at BIGINT, " OWN_WORKSPACE ")",
    "CREATE INDEX rensei_workers_newest "
    "ON rensei_workers (org_id, created_at, id)",
    "CREATE INDEX rensei_workers_key ON rensei_workers (key_id)",

    "CREATE TABLE rensei_audit_heads ("
    "org_id TEXT PRIMARY KEY, seq BIGINT NOT NULL)",
    "CREATE TABLE rensei_audit ("
    "org_id TEXT NOT NULL, seq BIGINT NOT NULL, id TEXT NOT NULL, "
    "event TEXT NOT NULL, at BIGINT NOT NULL, actor TEXT NOT NULL, "
    "actor_type TEXT NOT NULL, target TEXT, ip TEXT, request_id TEXT, "
    "details TEXT NOT NULL, PRIMARY KEY (org_id, seq))",
    "CREATE INDEX rensei_audit_at ON rensei_audit (org_id, at, seq)",

    "CREATE TABLE rensei_sequence ("
    "id SMALLINT PRIMARY KEY CHECK (id = 1), value BIGINT NOT NULL)",
    "INSERT INTO rensei_sequence (id, value) VALUES (1, 0)",
    "CREATE TABLE rensei_changes ("
    "seq BIGINT PRIMARY KEY, subject TEXT NOT NULL, at BIGINT NOT NULL)",
    NULL,
};

/* secret_digest and secret_last4 stay NOT NULL, which SQLite cannot take back:
 * they are empty for a client that has no secret, and no secret ever has an
 * empty digest. */
static const char *const step_2[] = {
    "ALTER TABLE rensei_clients ADD COLUMN auth_method TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN jwks TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN audiences TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN next_secret_digest TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN next_secret_last4 TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN secret_expires_at BIGINT",
    "ALTER TABLE rensei_clients ADD COLUMN tokens_after BIGINT",

    "CREATE TABLE rensei_revoked_tokens ("
    "jti TEXT NOT NULL, "
    "org_id TEXT NOT NULL REFERENCES rensei_orgs (id), "
    "client_id TEXT NOT NULL REFERENCES rensei_clients (id), "
    "expires_at BIGINT NOT NULL, revoked_at BIGINT NOT NULL, "
    "PRIMARY KEY (client_id, jti))",
    "CREATE INDEX rensei_revoked_tokens_client "
    "ON rensei_revoked_tokens (client_id, expires_at)",
    "CREATE INDEX rensei_revoked_tokens_expiry "
    "ON rensei_revoked_tokens (expires_at)",

    "CREATE TABLE rensei_assertions ("
    "digest TEXT PRIMARY KEY, expires_at BIGINT NOT NULL)",
    "CREATE INDEX rensei_assertions_expiry ON rensei_assertions (expires_at)",
    NULL,
};

/* Events of before have no hash: their organisation's chain begins at its
 * anchor, the last of them. */
static const char *const step_3[] = {
    "ALTER TABLE rensei_audit ADD COLUMN hash TEXT",
    "ALTER TABLE rensei_audit_heads "
    "ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE rensei_audit_heads "
    "ADD COLUMN anchor_seq BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE rensei_audit_heads "
    "ADD COLUMN anchor_hash TEXT NOT NULL DEFAULT ''",
    "UPDATE rensei_audit_heads SET anchor_seq = seq",

    "ALTER TABLE rensei_workspaces ADD COLUMN status TEXT NOT NULL "
    "DEFAULT 'active' CHECK (status IN ('active', 'suspended'))",

    "ALTER TABLE rensei_clients ADD COLUMN last_used_ip TEXT",
    "ALTER TABLE rensei_clients ADD COLUMN expiry_notice BIGINT",
    "CREATE INDEX rensei_clients_expiry ON rensei_clients (expires_at) "
    "WHERE expires_at IS NOT NULL AND revoked_at IS NULL",
    "CREATE INDEX rensei_clients_secret_expiry "
    "ON rensei_clients (secret_expires_at) "
    "WHERE secret_expires_at IS NOT NULL AND revoked_at IS NULL",
    "CREATE INDEX rensei_clients_live ON rensei_clients (org_id) "
    "WHERE revoked_at IS NULL",

    "ALTER TABLE rensei_keys ADD COLUMN previous_digest TEXT",
    "ALTER TABLE rensei_keys ADD COLUMN previous_expires_at BIGINT",
    "ALTER TABLE rensei_keys ADD COLUMN rotated_at BIGINT",
    "ALTER TABLE rensei_keys ADD COLUMN updated_at BIGINT",
    "ALTER TABLE rensei_keys ADD COLUMN last_used_ip TEXT",
    "ALTER TABLE rensei_keys "
    "ADD COLUMN usage_count BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE rensei_keys ADD COLUMN expiry_notice BIGINT",
    "CREATE UNIQUE INDEX rensei_keys_previous "
    "ON rensei_keys (previous_digest) WHERE previous_digest IS NOT NULL",
    "CREATE INDEX rensei_keys_expiry ON rensei_keys (expires_at) "
    "WHERE expires_at IS NOT NULL AND revoked_at IS NULL",
    "CREATE INDEX rensei_keys_live ON rensei_keys (org_id) "
    "WHERE revoked_at IS NULL",

    "ALTER TABLE rensei_workers ADD COLUMN revoke_reason TEXT",
    "CREATE UNIQUE INDEX rensei_workers_machine "
    "ON rensei_workers (key_id, machine_id) WHERE machine_id IS NOT NULL",
    "CREATE INDEX rensei_workers_hostname "
    "ON rensei_workers (org_id, hostname, created_at, id)",
    "CREATE INDEX rensei_workers_registered "
    "ON rensei_workers (org_id, key_id, created_at, id)",
    "CREATE INDEX rensei_changes_at ON rensei_changes (at)",
    NULL,
};

static const char *const *const steps[RENSEI_SCHEMA_VERSION] = {step_1, step_2,
                                                                step_3};

const char *const *rensei_schema_step(int version)
{
    return steps[version - 1];
}

/* Asks the catalogue first: a failed SELECT could be anything, and would
 * stand in PostgreSQL's log at each start. */
static const char *exists_query(const rensei_conn_t *c)
{
    return c->sqlite ? "SELECT COUNT(*) FROM sqlite_master "
                       "WHERE type = 'table' AND name = 'rensei_schema'"
                     : "SELECT COUNT(*) FROM pg_class "
                       "WHERE oid = to_regclass('rensei_schema')";
}

apr_status_t rensei_schema_version(int *version, rensei_conn_t *c,
                                   apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv;

    *version = 0;
    rv = rensei_conn_text(&rows, c, exists_query(c), p, err);
    if (rv != APR_SUCCESS || rensei_rows_int(&rows, 0, 0) == 0) {
        return rv;
    }
    rv = rensei_conn_text(&rows, c, "SELECT MAX(version) FROM rensei_schema", p,
                          err);
    if (rv == APR_SUCCESS) {
        *version = (int)rensei_rows_int(&rows, 0, 0);
    }
    return rv;
}

static apr_status_t too_new(int version, apr_pool_t *p, rensei_err_t *err)
{
    return rensei_err_setf(err, p, RENSEI_E_INTERNAL,
                           "The store has schema version %d, but this build "
                           "knows %d: install the newer build.",
                           version, RENSEI_SCHEMA_VERSION);
}

static apr_status_t step_run(rensei_conn_t *c, int version, apr_int64_t now_ms,
                             apr_pool_t *p, rensei_err_t *err)
{
    const char *const *ddl;
    apr_status_t rv = APR_SUCCESS;

    for (ddl = rensei_schema_step(version); *ddl && rv == APR_SUCCESS; ddl++) {
        rv = rensei_conn_text(NULL, c, *ddl, p, err);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    return rensei_conn_text(
        NULL, c,
        apr_psprintf(p,
                     "INSERT INTO rensei_schema (version, applied_at) "
                     "VALUES (%d, %" APR_INT64_T_FMT ")",
                     version, now_ms),
        p, err);
}

static apr_status_t steps_run(rensei_conn_t *c, apr_int64_t now_ms,
                              apr_pool_t *p, rensei_err_t *err)
{
    int version = 0;
    rensei_rows_t rows;
    apr_status_t rv = APR_SUCCESS;

    if (!c->sqlite) {
        rv = rensei_conn_text(&rows, c, PGSQL_LOCK, p, err);
    }
    if (rv == APR_SUCCESS) {
        /* Again, now that nobody else can change it. */
        rv = rensei_schema_version(&version, c, p, err);
    }
    if (rv == APR_SUCCESS && version > RENSEI_SCHEMA_VERSION) {
        rv = too_new(version, p, err);
    }
    while (rv == APR_SUCCESS && version < RENSEI_SCHEMA_VERSION) {
        rv = step_run(c, ++version, now_ms, p, err);
    }
    return rv;
}

static apr_status_t migrate_once(rensei_conn_t *c, apr_int64_t now_ms,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_status_t rv = rensei_conn_begin(c, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = steps_run(c, now_ms, p, err);
    return rensei_conn_end(c, rv, p, err);
}

apr_status_t rensei_schema_migrate(rensei_conn_t *c, apr_int64_t now_ms,
                                   apr_pool_t *p, rensei_err_t *err)
{
    int version;
    apr_time_t end = rensei_sys_elapsed() + PATIENCE;
    apr_status_t rv = rensei_schema_version(&version, c, p, err);

    if (rv == APR_SUCCESS && version == RENSEI_SCHEMA_VERSION) {
        return rv;
    }
    if (rv == APR_SUCCESS && version > RENSEI_SCHEMA_VERSION) {
        return too_new(version, p, err);
    }
    rv = migrate_once(c, now_ms, p, err);
    while (rv != APR_SUCCESS && rensei_conn_locked(err) &&
           rensei_sys_elapsed() < end) {
        apr_sleep(PAUSE);
        rv = migrate_once(c, now_ms, p, err);
    }
    return rv;
}
