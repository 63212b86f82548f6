/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * A real store for each test: a SQLite file in a folder of its own, or, when
 * RENSEI_TEST_PGSQL holds a conninfo string, a schema of its own in that
 * PostgreSQL database. And what most tests of the rules start from.
 */
#ifndef UNIT_STORE_H
#define UNIT_STORE_H

#include "unit.h"
#include "rensei_apikey.h"
#include "rensei_client.h"
#include "rensei_grant.h"
#include "rensei_org.h"

/** Do the tests run on PostgreSQL? */
int test_pgsql(void);

/** The store of this test, migrated; the same one each time. */
rensei_store_t *test_store(void);

/** Another connection to it, not migrated, closed with p. */
rensei_store_t *test_store_again(apr_pool_t *p);

/** What rensei_store_open takes for the store of this test. */
const char *test_store_driver(void);
const char *test_store_params(void);

/** Runs SQL on a connection beside the store's. */
void test_sql(const char *sql);

/** The value that a query gives, "" for NULL, NULL for no row. */
const char *test_sql_value(const char *query);

/** A column of all rows of a query, a line each; NULL for no row. */
const char *test_sql_lines(const char *query, int col);

/** How many rows a table has, or that meet a condition. */
int test_sql_count(const char *table_and_where);

/** Moves the clock on. */
void test_later(apr_int64_t seconds);
apr_int64_t test_now_ms(void);

extern const rensei_actor_t test_actor;

/** A new organisation, workspace, client (of any scopes, by an operator). */
rensei_org_t test_org(const char *name);
rensei_workspace_t test_workspace(const rensei_org_t *org, const char *name);
rensei_client_t test_client(const rensei_org_t *org, const char *name,
                            const char *scopes, const char **secret);
rensei_apikey_t test_key(const rensei_org_t *org, const char *name,
                         const char *type, const char *scopes,
                         const char **token);

rensei_scopes_t test_scopes(const char *text);
rensei_grantor_t test_grantor(rensei_class_e cls, const char *scopes);
json_t *test_json(const char *text);

/** The newest event of an organisation. */
rensei_event_t test_last_event(const char *org);

/** Texts that would do harm if they were ever part of the SQL, or of a
 * pattern; NULL ends them. */
extern const char *const test_sql_attacks[];

/** Asserts an INVALID_REQUEST that names a field. */
#define ck_assert_field(call, err, name)                              \
    do {                                                              \
        ck_assert_err(call, err, RENSEI_E_INVALID_REQUEST);           \
        ck_assert_msg((err).field &&strcmp((err).field, (name)) == 0, \
                      "%s: field %s, not %s", #call,                  \
                      (err).field ? (err).field : "none", (name));    \
    } while (0)

/** rensei_grant_token, each token recorded in a transaction of its own.
 * @param out set only where there is a token, but for when its client ends */
apr_status_t test_grant_token(rensei_token_t *out, rensei_store_t *st,
                              const rensei_issuer_t *iss,
                              const rensei_token_request_t *req,
                              const rensei_actor_t *actor, apr_pool_t *p,
                              rensei_err_t *err);

#endif
