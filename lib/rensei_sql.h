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
    X(WORKSPACE_INSERT)    \
    X(WORKSPACE_BY_ID)     \
    X(WORKSPACE_BY_NAME)   \
    X(WORKSPACE_LIST)      \
    X(CLIENT_INSERT)       \
    X(CLIENT_GET)          \
    X(CLIENT_FIND)         \
    X(CLIENT_DIGEST)       \
    X(CLIENT_LOCK)         \
    X(CLIENT_UPDATE)       \
    X(CLIENT_REVOKE)       \
    X(CLIENT_USED)         \
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
    X(KEY_REVOKE)          \
    X(KEY_USED)            \
    X(KEY_LIST)            \
    X(KEY_LIST_NAME)       \
    X(KEY_LIST_OWNER)      \
    X(KEY_FLOOR)           \
    X(KEY_FLOOR_NAME)      \
    X(KEY_FLOOR_OWNER)     \
    X(WORKER_FIND)         \
    X(AUDIT_NEXT)          \
    X(AUDIT_INSERT)        \
    X(AUDIT_HEAD)          \
    X(AUDIT_RANGE)         \
    X(AUDIT_LIST)          \
    X(SEQUENCE_NEXT)       \
    X(SEQUENCE_GET)        \
    X(CHANGE_INSERT)       \
    X(CHANGE_LIST)

#define RENSEI_SQL_ENUM(name) RENSEI_SQL_##name,
typedef enum { RENSEI_SQL_LIST(RENSEI_SQL_ENUM) RENSEI_SQL_COUNT } rensei_sql_e;
#undef RENSEI_SQL_ENUM

/** The statement's text, for apr_dbd_prepare. */
const char *rensei_sql_text(rensei_sql_e stmt);

/** What the statement is called among those prepared on a connection that
 * other modules use as well: "rensei:" and its name. */
const char *rensei_sql_name(rensei_sql_e stmt);

/** How many arguments it takes. */
int rensei_sql_args(rensei_sql_e stmt);

#endif
