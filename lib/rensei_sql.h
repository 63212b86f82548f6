/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The names of the statements; their text is in rensei_sql.c, the tables in
 * rensei_schema.c.
 */
#ifndef RENSEI_SQL_H
#define RENSEI_SQL_H

/* One list, so that a statement and its name cannot drift apart. */
#define RENSEI_SQL_LIST(X) \
    X(ORG_INSERT)          \
    X(ORG_BY_ID)           \
    X(ORG_BY_NAME)         \
    X(ORG_LIST)            \
    X(ORG_STATUS)          \
    X(ORG_LOCK)            \
    X(ORG_LIVE)            \
    X(ORG_DELETE)          \
    X(WORKSPACE_INSERT)    \
    X(WORKSPACE_BY_ID)     \
    X(WORKSPACE_BY_NAME)   \
    X(WORKSPACE_LIST)      \
    X(WORKSPACE_STATUS)    \
    X(WORKSPACE_LOCK)      \
    X(WORKSPACE_DELETE)    \
    X(DELETE_REVOKED)      \
    X(DELETE_WORKERS)      \
    X(DELETE_KEYS)         \
    X(DELETE_CLIENTS)      \
    X(DELETE_WORKSPACES)   \
    X(CLIENT_INSERT)       \
    X(CLIENT_GET)          \
    X(CLIENT_FIND)         \
    X(CLIENT_DIGEST)       \
    X(CLIENT_LOCK)         \
    X(CLIENT_UPDATE)       \
    X(CLIENT_REVOKE)       \
    X(CLIENT_FIT)          \
    X(CLIENTS_USED)        \
    X(CLIENT_ROTATE)       \
    X(CLIENT_SUCCEED)      \
    X(CLIENT_DISARM)       \
    X(CLIENT_CUT_OFF)      \
    X(CLIENT_LIST)         \
    X(CLIENT_LIST_NAME)    \
    X(CLIENT_LIST_OWNER)   \
    X(CLIENT_FLOOR)        \
    X(CLIENT_FLOOR_NAME)   \
    X(CLIENT_FLOOR_OWNER)  \
    X(REVOKED_INSERT)      \
    X(REVOKED_FIND)        \
    X(REVOKED_OF)          \
    X(REVOKED_FORGET)      \
    X(ASSERTION_INSERT)    \
    X(ASSERTION_FORGET)    \
    X(KEY_INSERT)          \
    X(KEY_GET)             \
    X(KEY_FIND)            \
    X(KEY_LOCK)            \
    X(KEY_UPDATE)          \
    X(KEY_ROTATE)          \
    X(KEY_REVOKE)          \
    X(KEY_USED)            \
    X(KEYS_USED)           \
    X(KEY_LIST)            \
    X(KEY_LIST_NAME)       \
    X(KEY_LIST_OWNER)      \
    X(KEY_FLOOR)           \
    X(KEY_FLOOR_NAME)      \
    X(KEY_FLOOR_OWNER)     \
    X(KEY_ENROLL)          \
    X(WORKER_FIND)         \
    X(WORKER_GET)          \
    X(WORKER_MACHINE)      \
    X(WORKER_INSERT)       \
    X(WORKER_AGAIN)        \
    X(WORKER_SEEN)         \
    X(WORKER_REVOKE)       \
    X(WORKER_LIST)         \
    X(WORKER_LIST_HOST)    \
    X(WORKER_LIST_KEY)     \
    X(WORKER_FLOOR)        \
    X(WORKER_FLOOR_HOST)   \
    X(WORKER_FLOOR_KEY)    \
    X(AUDIT_NEXT)          \
    X(AUDIT_INSERT)        \
    X(AUDIT_INSERT_2)      \
    X(AUDIT_INSERT_3)      \
    X(AUDIT_INSERT_4)      \
    X(AUDIT_INSERT_6)      \
    X(AUDIT_INSERT_8)      \
    X(AUDIT_INSERT_12)     \
    X(AUDIT_INSERT_16)     \
    X(AUDIT_HASH)          \
    X(AUDIT_HEAD)          \
    X(AUDIT_LAST)          \
    X(AUDIT_LATEST)        \
    X(AUDIT_CHAINS)        \
    X(AUDIT_RUN)           \
    X(AUDIT_OLDEST)        \
    X(AUDIT_LOCK)          \
    X(AUDIT_DELETE)        \
    X(AUDIT_ANCHOR)        \
    X(AUDIT_RANGE)         \
    X(AUDIT_LIST)          \
    X(INVENTORY_CLIENTS)   \
    X(INVENTORY_KEYS)      \
    X(EXPIRING_CLIENTS)    \
    X(EXPIRING_SECRETS)    \
    X(EXPIRING_KEYS)       \
    X(CLIENT_NOTICED)      \
    X(SECRET_NOTICED)      \
    X(KEY_NOTICED)         \
    X(SEQUENCE_NEXT)       \
    X(SEQUENCE_GET)        \
    X(SEQUENCE_SINCE)      \
    X(CHANGE_INSERT)       \
    X(CHANGE_FORGET)       \
    X(CHANGE_LIST)         \
    X(SEQUENCE_LEAP)       \
    X(HOLDS)

/* Rows that CLIENTS_USED and KEYS_USED take. */
#define RENSEI_SQL_USES 32

#define RENSEI_SQL_ENUM(name) RENSEI_SQL_##name,
typedef enum { RENSEI_SQL_LIST(RENSEI_SQL_ENUM) RENSEI_SQL_COUNT } rensei_sql_e;
#undef RENSEI_SQL_ENUM

/** The statement's text, for apr_dbd_prepare.
 * @param sqlite else PostgreSQL */
const char *rensei_sql_text(rensei_sql_e stmt, int sqlite);

/** What the statement is called among those prepared on a connection that
 * other modules use as well: "rensei:" and its name. */
const char *rensei_sql_name(rensei_sql_e stmt);

#endif
