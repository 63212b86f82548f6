/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_backup.h"
#include "rensei_conn.h"
#include "rensei_schema.h"

#include <apr_strings.h>
#include <string.h>

static apr_status_t unusable(rensei_err_t *err, const char *text)
{
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST, text);
}

/* The store's sentence is about a store that is away. */
static apr_status_t failed(apr_status_t rv, rensei_err_t *err, const char *text)
{
    if (rv != APR_SUCCESS && err->code == RENSEI_E_UNAVAILABLE) {
        err->text = text;
    }
    return rv;
}

/* A name as SQL text; no statement takes it as an argument. */
static const char *quoted(const char *s, apr_pool_t *p)
{
    char *out = apr_palloc(p, 2 * strlen(s) + 3);
    char *to = out;

    *to++ = '\'';
    for (; *s; s++) {
        if (*s == '\'') {
            *to++ = '\'';
        }
        *to++ = *s;
    }
    *to++ = '\'';
    *to = '\0';
    return out;
}

apr_status_t rensei_backup_write(rensei_store_t *st, const char *file,
                                 apr_pool_t *p, rensei_err_t *err)
{
    rensei_conn_t *c = rensei_store_conn(st);
    const char *sql =
        apr_pstrcat(p, "VACUUM main INTO ", quoted(file, p), NULL);

    if (!c->sqlite) {
        return unusable(err, "This is for a SQLite file alone.");
    }
    return failed(rensei_conn_text(NULL, c, sql, p, err), err,
                  "The copy cannot be written.");
}

/* ---- looking at a file ---- */

/* Not rensei_store_open, which would make settings in the file. */
static apr_status_t file_connect(rensei_store_t **out, const char *file,
                                 apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    apr_status_t rv = rensei_store_connect(out, "sqlite3", file,
                                           rensei_sys_default(), p, err);

    if (rv == APR_SUCCESS) {
        rv = rensei_conn_text(&rows, rensei_store_conn(*out),
                              "PRAGMA busy_timeout=50", p, err);
    }
    return rv;
}

static apr_status_t whole(rensei_conn_t *c, apr_pool_t *p, rensei_err_t *err)
{
    rensei_rows_t rows;
    const char *said;

    if (rensei_conn_text(&rows, c, "PRAGMA integrity_check(1)", p, err) !=
        APR_SUCCESS) {
        unusable(err, "It is no SQLite database, or a damaged one.");
        return APR_EGENERAL;
    }
    said = rows.count ? rensei_rows_text(&rows, 0, 0) : NULL;
    if (!said || strcmp(said, "ok") != 0) {
        unusable(err, "It is damaged.");
        err->cause = said;
        return APR_EGENERAL;
    }
    if (rensei_conn_text(&rows, c, "PRAGMA foreign_key_check", p, err) !=
            APR_SUCCESS ||
        rows.count > 0) {
        return unusable(err, "It is damaged: a row belongs to one that is not "
                             "there.");
    }
    return APR_SUCCESS;
}

static apr_status_t known_version(int *version, rensei_conn_t *c, apr_pool_t *p,
                                  rensei_err_t *err)
{
    apr_status_t rv = rensei_schema_version(version, c, p, err);

    if (rv == APR_SUCCESS && *version < 1) {
        return unusable(err, "It is a database, but no store of mod_rensei.");
    }
    if (rv == APR_SUCCESS && *version > RENSEI_SCHEMA_VERSION) {
        return rensei_err_setf(err, p, RENSEI_E_INVALID_REQUEST,
                               "Its schema is version %d, newer than this "
                               "build knows (%d): install the newer build.",
                               *version, RENSEI_SCHEMA_VERSION);
    }
    return rv;
}

static apr_status_t count(rensei_backup_t *out, rensei_store_t *st,
                          apr_pool_t *p, rensei_err_t *err)
{
    apr_int64_t *const to[] = {&out->orgs,    &out->workspaces, &out->clients,
                               &out->keys,    &out->workers,    &out->events,
                               &out->sequence};
    rensei_rows_t rows;
    apr_status_t rv =
        rensei_store_select(&rows, st, RENSEI_SQL_HOLDS, NULL, p, err);
    int i, n = sizeof(to) / sizeof(to[0]);

    if (rv != APR_SUCCESS || rows.cols != n) {
        return unusable(err, "It lacks tables that a store has.");
    }
    for (i = 0; i < n; i++) {
        *to[i] = rensei_rows_int(&rows, 0, i);
    }
    if (!rensei_rows_text(&rows, 0, n - 1)) {
        return unusable(err, "It has lost its change sequence.");
    }
    return APR_SUCCESS;
}

/* In a pool of its own: the connection, and with it the lock on the file,
 * goes with that. Its texts have to outlive it. */
static apr_status_t with_pool_gone(apr_status_t rv, apr_pool_t *own,
                                   apr_pool_t *p, rensei_err_t *err)
{
    if (rv != APR_SUCCESS) {
        err->text = err->text ? apr_pstrdup(p, err->text) : NULL;
        err->cause = err->cause ? apr_pstrdup(p, err->cause) : NULL;
    }
    apr_pool_destroy(own);
    return rv;
}

apr_status_t rensei_backup_check(rensei_backup_t *out, const char *file,
                                 apr_pool_t *p, rensei_err_t *err)
{
    rensei_store_t *st;
    apr_pool_t *own;
    apr_status_t rv;

    memset(out, 0, sizeof(*out));
    apr_pool_create(&own, p);
    rv = file_connect(&st, file, own, err);
    if (rv == APR_SUCCESS) {
        rv = whole(rensei_store_conn(st), own, err);
    }
    if (rv == APR_SUCCESS) {
        rv = known_version(&out->version, rensei_store_conn(st), own, err);
    }
    if (rv == APR_SUCCESS) {
        rv = count(out, st, own, err);
    }
    return with_pool_gone(rv, own, p, err);
}

/* ---- taking a store's place ---- */

static apr_status_t adopt_note(rensei_store_t *st, const rensei_actor_t *actor,
                               const json_t *details, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_status_t rv = rensei_store_begin(st, p, err);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = rensei_store_exec(NULL, st, RENSEI_SQL_SEQUENCE_LEAP, NULL, p, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_audit_append(st, "system.store_restored",
                                 RENSEI_AUDIT_SYSTEM_ORG, actor, NULL, details,
                                 p, err);
    }
    return rensei_store_end(st, rv, p, err);
}

apr_status_t rensei_backup_adopt(const char *file, const rensei_sys_t *sys,
                                 const rensei_actor_t *actor,
                                 const json_t *details, apr_pool_t *p,
                                 rensei_err_t *err)
{
    rensei_store_t *st;
    apr_pool_t *own;
    apr_status_t rv;

    apr_pool_create(&own, p);
    rv = rensei_store_open(&st, "sqlite3", file, sys, own, err);
    if (rv == APR_SUCCESS) {
        rv = rensei_store_migrate(st, own, err);
    }
    if (rv == APR_SUCCESS) {
        rv = adopt_note(st, actor, details, own, err);
    }
    rv = with_pool_gone(failed(rv, err, "The copy cannot be made ready."), own,
                        p, err);
    return rv == APR_SUCCESS ? rensei_backup_settle(file, p, err) : rv;
}

apr_status_t rensei_backup_settle(const char *file, apr_pool_t *p,
                                  rensei_err_t *err)
{
    rensei_store_t *st;
    rensei_rows_t rows = {0};
    apr_pool_t *own;
    apr_status_t rv;

    apr_pool_create(&own, p);
    rv = file_connect(&st, file, own, err);
    if (rv == APR_SUCCESS) {
        /* Needs the file for itself; and unlike a checkpoint takes the -wal
         * file away. */
        rv = rensei_conn_text(&rows, rensei_store_conn(st),
                              "PRAGMA journal_mode=DELETE", own, err);
    }
    if (rv == APR_SUCCESS &&
        (!rows.count || strcmp(rensei_rows_text(&rows, 0, 0), "delete") != 0)) {
        rv = rensei_err_set(err, RENSEI_E_UNAVAILABLE, "It is in use.");
    }
    return with_pool_gone(rv, own, p, err);
}
