/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_field.h"

#include <apr_strings.h>
#include <string.h>

#define FILTER_MAX 1000                       /* bytes */
#define TIME_MIN APR_INT64_C(1000000000000)   /* 2001-09-09, in ms */
#define TIME_MAX APR_INT64_C(253402300799999) /* the end of 9999 */
#define NAME_SHOWN_MAX 64

static int is_control(const unsigned char *s, int lines)
{
    if (*s == '\n') {
        return !lines;
    }
    /* U+0080 to U+009F are C2 80 to C2 9F. */
    return *s < 0x20 || *s == 0x7f ||
           (*s == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f);
}

static int has_control(const char *value, int lines)
{
    const unsigned char *s;

    for (s = (const unsigned char *)value; *s; s++) {
        if (is_control(s, lines)) {
            return 1;
        }
    }
    return 0;
}

apr_status_t rensei_field_text(const char *field, const char *value,
                               apr_size_t max, int lines, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_size_t n = value ? strlen(value) : 0;

    if (value == NULL) {
        return APR_SUCCESS;
    }
    if (n == 0 || n > max) {
        return rensei_err_field(err, p, field,
                                "%s must have 1 to %" APR_SIZE_T_FMT " bytes.",
                                field, max);
    }
    if (!rensei_utf8_valid(value, n)) {
        return rensei_err_field(err, p, field, "%s must be UTF-8.", field);
    }
    if (has_control(value, lines)) {
        return rensei_err_field(err, p, field,
                                "%s must not have control characters.", field);
    }
    if (value[0] == ' ' || value[n - 1] == ' ') {
        return rensei_err_field(
            err, p, field, "%s must not begin or end with a blank.", field);
    }
    return APR_SUCCESS;
}

apr_status_t rensei_field_needed(const char *field, const char *value,
                                 apr_size_t max, apr_pool_t *p,
                                 rensei_err_t *err)
{
    if (value == NULL) {
        return rensei_err_field(err, p, field, "%s is required.", field);
    }
    return rensei_field_text(field, value, max, 0, p, err);
}

apr_status_t rensei_field_filter(const char *field, const char *value,
                                 apr_pool_t *p, rensei_err_t *err)
{
    apr_size_t n = value ? strlen(value) : 0;

    /* PostgreSQL fails on text that is not UTF-8: a mistake of the caller,
     * which must not look like one of the store. */
    if (n > FILTER_MAX || (value && !rensei_utf8_valid(value, n))) {
        return rensei_err_field(err, p, field,
                                "%s must be UTF-8 of at most %d bytes.", field,
                                FILTER_MAX);
    }
    return APR_SUCCESS;
}

apr_status_t rensei_field_choice(const char *field, const char *value,
                                 const char *const *choices, apr_pool_t *p,
                                 rensei_err_t *err)
{
    const char *all = "";
    int i;

    for (i = 0; choices[i]; i++) {
        if (value == NULL || strcmp(value, choices[i]) == 0) {
            return APR_SUCCESS;
        }
        all = apr_pstrcat(p, all, i ? ", " : "", choices[i], NULL);
    }
    return rensei_err_field(err, p, field, "%s must be one of: %s.", field,
                            all);
}

apr_status_t rensei_field_time(const char *field, apr_int64_t ms, apr_pool_t *p,
                               rensei_err_t *err)
{
    if (ms != 0 && (ms < TIME_MIN || ms > TIME_MAX)) {
        return rensei_err_field(err, p, field,
                                "%s must be a time in milliseconds since "
                                "1970, from 2001 to 9999.",
                                field);
    }
    return APR_SUCCESS;
}

apr_status_t rensei_field_scope_filter(const char **out, const char *scope,
                                       apr_pool_t *p, rensei_err_t *err)
{
    *out = NULL;
    if (scope == NULL) {
        return APR_SUCCESS;
    }
    if (!rensei_scope_valid(scope, strlen(scope))) {
        return rensei_err_field(err, p, "scope", "scope is not one scope.");
    }
    *out = apr_pstrcat(p, " ", scope, " ", NULL);
    return APR_SUCCESS;
}

static int listed(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0) {
        names++;
    }
    return *names != NULL;
}

apr_status_t rensei_body_known(const json_t *body, const char *const *names,
                               apr_pool_t *p, rensei_err_t *err)
{
    const char *name;
    json_t *value;

    /* jansson's iterators take no const; they only read. */
    json_object_foreach((json_t *)body, name, value)
    {
        if (!listed(name, names)) {
            name = apr_pstrmemdup(
                p, name, strlen(name) > NAME_SHOWN_MAX ? 0 : strlen(name));
            return rensei_err_field(err, p, name,
                                    "There is no such field here.");
        }
    }
    return APR_SUCCESS;
}

int rensei_body_text(const char **out, const json_t *body, const char *name,
                     apr_pool_t *p, rensei_err_t *err)
{
    const json_t *value = json_object_get(body, name);

    if (value == NULL) {
        return 0;
    }
    if (!json_is_string(value) && !json_is_null(value)) {
        rensei_err_field(err, p, name, "%s must be a string.", name);
        return -1;
    }
    *out =
        json_is_null(value) ? NULL : apr_pstrdup(p, json_string_value(value));
    return 1;
}

int rensei_body_int(apr_int64_t *out, const json_t *body, const char *name,
                    apr_int64_t min, apr_int64_t max, apr_pool_t *p,
                    rensei_err_t *err)
{
    const json_t *value = json_object_get(body, name);
    apr_int64_t n = json_integer_value(value);

    if (value == NULL) {
        return 0;
    }
    if (json_is_null(value)) {
        *out = 0;
        return 1;
    }
    if (!json_is_integer(value) || n < min || n > max) {
        rensei_err_field(err, p, name,
                         "%s must be an integer from %" APR_INT64_T_FMT
                         " to %" APR_INT64_T_FMT ".",
                         name, min, max);
        return -1;
    }
    *out = n;
    return 1;
}

int rensei_body_time(apr_int64_t *out, const json_t *body, const char *name,
                     apr_pool_t *p, rensei_err_t *err)
{
    const json_t *value = json_object_get(body, name);
    apr_int64_t ms;

    if (!json_is_string(value)) {
        return rensei_body_int(out, body, name, TIME_MIN, TIME_MAX, p, err);
    }
    /* The range as well: 1970-01-01T00:00:00Z is 0, which means never. */
    if (!rensei_time_parse(&ms, json_string_value(value)) || ms < TIME_MIN ||
        ms > TIME_MAX) {
        rensei_err_field(err, p, name,
                         "%s must be a time as 2026-01-31T12:00:00Z, or "
                         "milliseconds since 1970.",
                         name);
        return -1;
    }
    *out = ms;
    return 1;
}

static int scope_of(const char **out, const json_t *value)
{
    *out = json_string_value(value);
    return *out && rensei_scope_valid(*out, json_string_length(value));
}

int rensei_body_scopes(rensei_scopes_t *out, const json_t *body,
                       const char *name, apr_pool_t *p, rensei_err_t *err)
{
    const json_t *list = json_object_get(body, name);
    const char *scope, *text = "";
    size_t i, n = json_array_size(list);

    if (list == NULL) {
        return 0;
    }
    if (!json_is_array(list) || n > RENSEI_SCOPES_MAX) {
        rensei_err_field(err, p, name, "%s must be an array of at most %d.",
                         name, RENSEI_SCOPES_MAX);
        return -1;
    }
    for (i = 0; i < n; i++) {
        if (!scope_of(&scope, json_array_get(list, i))) {
            rensei_err_field(err, p, name, "%s has an item that is no scope.",
                             name);
            return -1;
        }
        text = apr_pstrcat(p, text, i ? " " : "", scope, NULL);
    }
    return rensei_scopes_parse(out, text, strlen(text), p, err) == APR_SUCCESS
               ? 1
               : -1;
}

json_t *rensei_answer_scopes(const rensei_scopes_t *scopes)
{
    json_t *out = json_array();
    int i;

    for (i = 0; i < scopes->count; i++) {
        json_array_append_new(
            out, json_stringn(scopes->scope[i].p, scopes->scope[i].n));
    }
    return out;
}

json_t *rensei_answer_ms(apr_int64_t ms)
{
    return ms ? json_integer(ms) : json_null();
}

json_t *rensei_answer_iso(apr_int64_t ms, apr_pool_t *p)
{
    return ms ? json_string(rensei_time_iso(ms, p)) : json_null();
}
