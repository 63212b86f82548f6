/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The names of the statements; their text is in rensei_sql.c, the tables in
 * rensei_schema.c.
 */
#ifndef RENSEI_SQL_H
#define RENSEI_SQL_H

typedef enum { RENSEI_SQL_COUNT } rensei_sql_e;

/** The statement's text, for apr_dbd_prepare. */
const char *rensei_sql_text(rensei_sql_e stmt);

/** How many arguments it takes. */
int rensei_sql_args(rensei_sql_e stmt);

#endif
