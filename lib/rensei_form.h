/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * The parameters of an OAuth request, once its body, or its query, was read:
 * a form (RFC 6749 appendix B) or a JSON object, made into one object of
 * strings. What two parsers could read differently is refused.
 */
#ifndef RENSEI_FORM_H
#define RENSEI_FORM_H

#include "rensei_json.h"

#define RENSEI_PARAMS_MAX 64 /* parameters of a form or a query */

/** How a parameter may be other than one string. */
typedef enum {
    RENSEI_PARAM_ONE = 0, /* it may not */
    RENSEI_PARAM_MANY,    /* repeated in a form (RFC 8707 2), an array of
                             strings in JSON */
    RENSEI_PARAM_NUMBER   /* an integer in JSON */
} rensei_param_e;

typedef struct rensei_param_t {
    const char *name; /* NULL ends a list */
    rensei_param_e kind;
} rensei_param_t;

/** Reads text[0..n) as a form: one parameter given twice is refused, as is
 * one that is not well encoded, or not UTF-8, or has a NUL in it. An empty
 * one counts as absent (RFC 6749 3.2).
 * @param out name to string; to an array of strings, with one at least, for
 *   RENSEI_PARAM_MANY; p's
 * @param special those that may be otherwise; NULL for none
 * @return err INVALID_REQUEST; UNAVAILABLE when out of memory: a parameter
 *   that got lost would be one that was not given */
apr_status_t rensei_form_read(json_t **out, const rensei_param_t *special,
                              const char *text, apr_size_t n, apr_pool_t *p,
                              rensei_err_t *err);

/** Makes of an object, which rensei_json_load read, what rensei_form_read
 * gives, in place: a member that is not a string is refused; a number becomes
 * its text. @return err as there */
apr_status_t rensei_params_check(json_t *params, const rensei_param_t *special,
                                 apr_pool_t *p, rensei_err_t *err);

/** Decodes s[0..n) as a name or a value of application/x-www-form-urlencoded,
 * strictly: `+` is a blank, each `%` has two hex digits.
 * @return the text in p, or NULL for a bad escape, a NUL, bad UTF-8 */
const char *rensei_form_decode(const char *s, apr_size_t n, apr_pool_t *p);

#endif
