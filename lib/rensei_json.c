/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_json.h"

#include <apr_lib.h>
#include <string.h>

static apr_status_t json_drop(void *value)
{
    json_decref(value);
    return APR_SUCCESS;
}

json_t *rensei_json_own(json_t *value, apr_pool_t *p)
{
    if (value) {
        apr_pool_cleanup_register(p, value, json_drop, apr_pool_cleanup_null);
    }
    return value;
}

static void whole_or_none(json_t **value, int failed)
{
    if (failed) {
        json_decref(*value);
        *value = NULL;
    }
}

void rensei_json_set(json_t **object, const char *name, json_t *value)
{
    whole_or_none(object, json_object_set_new(*object, name, value) != 0);
}

void rensei_json_merge(json_t **object, json_t *more)
{
    whole_or_none(object, json_object_update_new(*object, more) != 0);
}

void rensei_json_append(json_t **array, json_t *value)
{
    whole_or_none(array, json_array_append_new(*array, value) != 0);
}

/* What jansson sets no code for is that it could not even begin.
 * @param error had no code before */
static int out_of_memory(const json_error_t *error)
{
    return json_error_code(error) == json_error_out_of_memory ||
           json_error_code(error) == json_error_unknown;
}

json_t *rensei_json_stored(const char *text, json_t *otherwise)
{
    json_error_t error = {.line = 0};
    json_t *value = text ? json_loads(text, 0, &error) : NULL;

    if (!value && (!text || !out_of_memory(&error))) {
        return otherwise;
    }
    json_decref(otherwise);
    return value;
}

/* jansson follows 2048 levels by recursion; brackets outside of strings can
 * be counted before it starts. Text that is no JSON is left for it to judge. */
static int too_deep(const char *text, apr_size_t n)
{
    int depth = 0, in_string = 0;
    apr_size_t i;

    for (i = 0; i < n; i++) {
        char c = text[i];

        if (in_string && c == '\\') {
            i++;
        }
        else if (c == '"') {
            in_string = !in_string;
        }
        else if (!in_string && (c == '{' || c == '[')) {
            if (++depth > RENSEI_JSON_DEPTH_MAX) {
                return 1;
            }
        }
        else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return 0;
}

/* jansson's own words quote the text near the fault, which may be a secret. */
static const char *fault(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        return "a member is given twice";
    case json_error_null_byte_in_key:
    case json_error_null_character:
        return "a string has a NUL in it";
    case json_error_invalid_utf8:
        return "a string is not UTF-8";
    case json_error_numeric_overflow:
        return "a number is too large";
    case json_error_end_of_input_expected:
        return "there is text after its end";
    case json_error_premature_end_of_input:
        return "it ends too early";
    default:
        return "the syntax is wrong";
    }
}

apr_status_t rensei_json_load(json_t **out, const char *text, apr_size_t n,
                              apr_pool_t *p, rensei_err_t *err)
{
    json_error_t error = {.line = 0};
    json_t *value;

    if (too_deep(text, n)) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The JSON is nested too deeply.");
    }
    value = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!value && out_of_memory(&error)) {
        return rensei_err_set(err, RENSEI_E_UNAVAILABLE,
                              "There is no memory for the JSON.");
    }
    if (!value) {
        return rensei_err_setf(err, p, RENSEI_E_INVALID_REQUEST,
                               "The JSON cannot be read at line %d, column "
                               "%d: %s.",
                               error.line, error.column, fault(&error));
    }
    rensei_json_own(value, p);
    if (!json_is_object(value)) {
        return rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                              "The JSON must be an object.");
    }
    *out = value;
    return APR_SUCCESS;
}

#define DUMP_FIRST 1024 /* most texts are shorter, and written once */

static char *dump(const json_t *value, size_t flags, apr_pool_t *p)
{
    char first[DUMP_FIRST];
    size_t n = json_dumpb(value, first, sizeof(first), flags);
    char *text;

    if (n == 0) {
        return NULL;
    }
    text = apr_palloc(p, n + 1);
    if (n <= sizeof(first)) {
        memcpy(text, first, n);
        text[n] = '\0';
        return text;
    }
    if (json_dumpb(value, text, n, flags) != n) {
        return NULL;
    }
    text[n] = '\0';
    return text;
}

const char *rensei_json_dump(const json_t *value, apr_pool_t *p)
{
    return dump(value, JSON_COMPACT | JSON_ENCODE_ANY, p);
}

const char *rensei_json_canonical(const json_t *value, apr_pool_t *p)
{
    char *text =
        dump(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS, p);
    char *s = text ? strchr(text, '\\') : NULL;

    /* jansson writes the digits of \u001F in upper case */
    for (; s; s = strchr(s + 2, '\\')) {
        if (s[1] == 'u') {
            s[4] = (char)apr_tolower(s[4]);
            s[5] = (char)apr_tolower(s[5]);
        }
    }
    return text;
}
