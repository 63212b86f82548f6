/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_field.h"

#include <apr_strings.h>
#include <string.h>

#define FILTER_MAX 1000                       /* bytes */
#define TIME_MIN APR_INT64_C(1000000000000)   /* 2001-09-09, in ms */
#define TIME_MAX APR_INT64_C(253402300799999) /* the end of 9999 */
#define NAME_SHOWN_MAX 64

typedef struct range_t {
    apr_uint32_t from, to;
} range_t;

/* C0 (less the newline), DEL, C1; and what makes a text show as another than
 * it is, in a list or a log: line ends by other names, and what turns the
 * direction of writing. */
static const range_t controls[] = {{0x01, 0x09},     {0x0b, 0x1f},
                                   {0x7f, 0x9f},     {0x2028, 0x202e},
                                   {0x2066, 0x2069}, {0, 0}};

/* Blanks, and what Unicode calls default ignorable: of these alone a text
 * would look as if there were none. */
static const range_t unseen[] = {
    {0x0a, 0x0a},       {0x20, 0x20},       {0xa0, 0xa0},
    {0xad, 0xad},       {0x34f, 0x34f},     {0x61c, 0x61c},
    {0x115f, 0x1160},   {0x1680, 0x1680},   {0x17b4, 0x17b5},
    {0x180b, 0x180f},   {0x2000, 0x200f},   {0x202f, 0x202f},
    {0x205f, 0x206f},   {0x2800, 0x2800},   {0x3000, 0x3000},
    {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},   {0xfff0, 0xfff8},   {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}, {0, 0}};

static int in(const range_t *ranges, apr_uint32_t c)
{
    while (ranges->to && (c < ranges->from || c > ranges->to)) {
        ranges++;
    }
    return ranges->to != 0;
}

/* The next character of a text that is UTF-8. */
static apr_uint32_t character(const char **s)
{
    const unsigned char *c = (const unsigned char *)*s;
    apr_size_t i, n = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    apr_uint32_t out = n == 1 ? c[0] : c[0] & (0x7fu >> n);

    for (i = 1; i < n; i++) {
        out = out << 6 | (c[i] & 0x3fu);
    }
    *s += n;
    return out;
}

/* Why a text is not fit to be shown, or NULL. */
static const char *unfit(const char *value, int lines)
{
    int seen = 0;

    while (*value) {
        apr_uint32_t c = character(&value);

        if ((c == '\n' && !lines) || in(controls, c)) {
            return "must not have control characters";
        }
        seen = seen || !in(unseen, c);
    }
    return seen ? NULL : "must have a character that can be seen";
}

apr_status_t rensei_field_text(const char *field, const char *value,
                               apr_size_t max, int lines, apr_pool_t *p,
                               rensei_err_t *err)
{
    apr_size_t n = value ? strlen(value) : 0;
    const char *wrong;

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
    wrong = unfit(value, lines);
    if (wrong) {
        return rensei_err_field(err, p, field, "%s %s.", field, wrong);
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
        rensei_json_append(
            &out, json_stringn(scopes->scope[i].p, scopes->scope[i].n));
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
