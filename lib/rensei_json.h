/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Reading JSON. Two readers for two purposes: a scanner for the hot path,
 * which checks all of an object's text and points at its members without
 * building anything, and jansson, strictly, for bodies. Both refuse what two
 * parsers could read differently: a member twice, bad UTF-8, a NUL, text
 * after the end (RFC 8259; RFC 7515 4, "unique").
 */
#ifndef RENSEI_JSON_H
#define RENSEI_JSON_H

#include "rensei_err.h"
#include "rensei_str.h"

#include <jansson.h>

typedef enum {
    RENSEI_JSON_STRING,
    RENSEI_JSON_NUMBER,
    RENSEI_JSON_TRUE,
    RENSEI_JSON_FALSE,
    RENSEI_JSON_NULL,
    RENSEI_JSON_OBJECT,
    RENSEI_JSON_ARRAY
} rensei_json_type_e;

typedef struct rensei_json_member_t {
    rensei_str_t name;  /* between the quotes; never has an escape */
    rensei_str_t value; /* a string's without its quotes, still escaped;
                           any other's text as it stands */
    rensei_json_type_e type;
    int escaped; /* a string with a backslash in it */
} rensei_json_member_t;

#define RENSEI_JSON_MEMBERS_MAX 64
#define RENSEI_JSON_DEPTH_MAX 16

typedef struct rensei_json_object_t {
    rensei_json_member_t member[RENSEI_JSON_MEMBERS_MAX];
    int count;
} rensei_json_object_t;

/** Checks that text[0..n) is one JSON object and points out its members.
 * All of it is checked, nested values too; nothing is allocated.
 * @return APR_SUCCESS; APR_EINVAL for anything that is not strictly an object:
 *   bad syntax, bad UTF-8, a raw control character, a lone surrogate escape,
 *   \u0000, a duplicate member at any level, an escape in a top-level member
 *   name, a number too large for a 64-bit integer or a double, an object of
 *   more than RENSEI_JSON_MEMBERS_MAX members, deeper than
 *   RENSEI_JSON_DEPTH_MAX (the object itself is 1 deep). */
apr_status_t rensei_json_scan(rensei_json_object_t *out, const char *text,
                              apr_size_t n);

/** The member of that name, or NULL. */
const rensei_json_member_t *rensei_json_find(const rensei_json_object_t *obj,
                                             const char *name);

/** Walks an array's text (a member of type ARRAY, already checked): each call
 * gives the next element and moves *at on; start with *at = 0.
 * @return 1 with *out set (its name empty), 0 at the end. */
int rensei_json_next(rensei_json_member_t *out, rensei_str_t array,
                     apr_size_t *at);

/** The value of a string member with its escapes undone, in p; the bytes as
 * they stand, not copied, where there is none. */
rensei_str_t rensei_json_unescape(const rensei_json_member_t *m, apr_pool_t *p);

/** A number that is an integer in [min, max], without fraction or exponent.
 * @return 1 and *out set, or 0. */
int rensei_json_int(const rensei_json_member_t *m, apr_int64_t *out,
                    apr_int64_t min, apr_int64_t max);

/** Parses a body as one JSON object with jansson, strictly: duplicates, NUL
 * and nesting beyond RENSEI_JSON_DEPTH_MAX refused.
 * @param out belongs to p, by a cleanup; take no reference
 * @return APR_SUCCESS, or err with INVALID_REQUEST and where it went wrong
 *   (the line and column, never the text: it may be a secret) */
apr_status_t rensei_json_load(json_t **out, const char *text, apr_size_t n,
                              apr_pool_t *p, rensei_err_t *err);

/** Compact text of a value, UTF-8 as it is, in p. NULL only when out of
 * memory. */
const char *rensei_json_dump(const json_t *value, apr_pool_t *p);

/** The one text of a value that others can make again, to hash it (RFC 8785,
 * which for numbers that are no integers this does not keep): members in the
 * order of their names, no blanks, UTF-8 as it is, other control characters
 * than \b \t \n \f \r as \u00 and two digits in lower case. In p; NULL only
 * when out of memory. */
const char *rensei_json_canonical(const json_t *value, apr_pool_t *p);

/* Making a value that is whole, or none: what could not be added, because
 * there is no memory, makes NULL of *object (or *array), which then stays so.
 * An answer, or an event, is not to be told in part. Each takes over what is
 * added, which may be NULL for the same reason. */
void rensei_json_set(json_t **object, const char *name, json_t *value);
void rensei_json_merge(json_t **object, json_t *more);
void rensei_json_append(json_t **array, json_t *value);

/** Parses what the store has as JSON; `otherwise`, which is taken over, stands
 * in for text that is none. NULL only when out of memory. */
json_t *rensei_json_stored(const char *text, json_t *otherwise);

/** Ties a reference of jansson's to a pool: it is dropped with the pool. */
json_t *rensei_json_own(json_t *value, apr_pool_t *p);

/** "2026-01-31T12:00:00.000Z" of milliseconds since the epoch; the first or
 * the last moment of the years 0000 to 9999 for one outside of them. */
const char *rensei_time_iso(apr_int64_t ms, apr_pool_t *p);

/** Reads a span of time as administrators write it: "45d" "12h" "30m" "90s",
 * or a number of seconds alone. @param out seconds, 1 to 3650 days
 * @return 1, or 0 for anything else */
int rensei_duration_parse(apr_int64_t *out, const char *s, apr_size_t n);

/** The same, but with its unit, where a `d` forgotten would make days seconds,
 * and nobody would notice. */
int rensei_span_parse(apr_int64_t *out, const char *s);

/** A span as it is written: the largest unit that it is a whole number of. */
const char *rensei_duration_text(apr_int64_t seconds, apr_pool_t *p);

/** Reads what rensei_time_iso writes, and RFC 3339 generally (an offset, no
 * fraction, up to nine digits of it, a leap second where one can be). What is
 * finer than a millisecond is dropped.
 * @return 1 and *ms set, or 0. */
int rensei_time_parse(apr_int64_t *ms, const char *s);

#endif
