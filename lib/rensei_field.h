/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Fields: the values that callers hand in, each checked by itself and refused
 * by its name; how they are read from a JSON body, and how values look in a
 * JSON answer. What several fields say together is for the rule to judge.
 */
#ifndef RENSEI_FIELD_H
#define RENSEI_FIELD_H

#include "rensei_json.h"
#include "rensei_scope.h"

/** Checks a text: UTF-8, 1 to max bytes, something in it that can be seen, no
 * blank at either end, no control character (C0, DEL, C1, line and paragraph
 * separators, those that turn the direction of writing), but newlines if
 * `lines`. NULL passes. */
apr_status_t rensei_field_text(const char *field, const char *value,
                               apr_size_t max, int lines, apr_pool_t *p,
                               rensei_err_t *err);

/** As rensei_field_text, and NULL does not pass. */
apr_status_t rensei_field_needed(const char *field, const char *value,
                                 apr_size_t max, apr_pool_t *p,
                                 rensei_err_t *err);

/** Checks a value to compare with: anything that the database takes. */
apr_status_t rensei_field_filter(const char *field, const char *value,
                                 apr_pool_t *p, rensei_err_t *err);

/** Is value one of a NULL-terminated list? NULL passes. */
apr_status_t rensei_field_choice(const char *field, const char *value,
                                 const char *const *choices, apr_pool_t *p,
                                 rensei_err_t *err);

/** Checks a time from outside: epoch ms, between 2001 and 9999 (a smaller
 * number is one of seconds). 0 passes. */
apr_status_t rensei_field_time(const char *field, apr_int64_t ms, apr_pool_t *p,
                               rensei_err_t *err);

/** The rensei_sql argument that looks for a scope in a column of scopes.
 * @param out NULL for NULL @return err naming `scope` for one that is none */
apr_status_t rensei_field_scope_filter(const char **out, const char *scope,
                                       apr_pool_t *p, rensei_err_t *err);

/** Refuses members of a body that are not in the NULL-terminated list. */
apr_status_t rensei_body_known(const json_t *body, const char *const *names,
                               apr_pool_t *p, rensei_err_t *err);

/* Each reads a member: *out as it is when the member is absent, NULL or 0
 * when it is null. @return 1 when it was there, 0 when not; -1 with err for
 * one of another type. */
int rensei_body_text(const char **out, const json_t *body, const char *name,
                     apr_pool_t *p, rensei_err_t *err);
int rensei_body_int(apr_int64_t *out, const json_t *body, const char *name,
                    apr_int64_t min, apr_int64_t max, apr_pool_t *p,
                    rensei_err_t *err);
/** Epoch ms, or text as of RFC 3339. */
int rensei_body_time(apr_int64_t *out, const json_t *body, const char *name,
                     apr_pool_t *p, rensei_err_t *err);
/** An array of scope tokens; null is refused. */
int rensei_body_scopes(rensei_scopes_t *out, const json_t *body,
                       const char *name, apr_pool_t *p, rensei_err_t *err);

/* New references, for answers. */
json_t *rensei_answer_scopes(const rensei_scopes_t *scopes);
json_t *rensei_answer_ms(apr_int64_t ms);                 /* null for 0 */
json_t *rensei_answer_iso(apr_int64_t ms, apr_pool_t *p); /* null for 0 */

#endif
