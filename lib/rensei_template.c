/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_template.h"
#include "rensei_jwt.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

/*
 * A placeholder becomes a JSON string that begins with MARK and goes on with
 * its path, and the whole is then parsed as JSON. That such a string came
 * from a placeholder, and not from between quotes, is what counting them
 * shows: no other string may have MARK in it.
 */
#define MARK "{{"
#define MARK_END "}}"
#define METADATA "client.trusted_metadata"

struct rensei_template_t {
    json_t *root;
};

/* A template being read. */
typedef struct reading_t {
    const char *at; /* what is left of the text */
    char *json;     /* where the JSON is written to */
    int marks;      /* placeholders */
    apr_pool_t *p;
    rensei_err_t *err;
} reading_t;

/* The texts of a client. */
typedef struct field_t {
    const char *path;
    apr_size_t at; /* of a const char * in rensei_client_t */
} field_t;

static const field_t fields[] = {
    {"client.id", offsetof(rensei_client_t, id)},
    {"client.name", offsetof(rensei_client_t, name)},
    {"client.owner", offsetof(rensei_client_t, owner)},
    {"client.org_id", offsetof(rensei_client_t, org)},
    {"client.workspace_id", offsetof(rensei_client_t, workspace)},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static apr_status_t refused(reading_t *r, const char *text)
{
    return rensei_err_set(r->err, RENSEI_E_INVALID_REQUEST, text);
}

static int path_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static const field_t *field_find(const char *path)
{
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        if (strcmp(path, fields[i].path) == 0) {
            return &fields[i];
        }
    }
    return NULL;
}

/* The metadata, or a member: names with single dots between them. */
static int path_known(const char *path)
{
    const char *rest;

    if (strncmp(path, METADATA, strlen(METADATA)) != 0) {
        return field_find(path) != NULL;
    }
    rest = path + strlen(METADATA);
    return *rest == '\0' || (*rest == '.' && rest[strlen(rest) - 1] != '.' &&
                             !strstr(rest, ".."));
}

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static void put(reading_t *r, const char *text, apr_size_t n)
{
    memcpy(r->json, text, n);
    r->json += n;
}

/* Writes the string that stands for a placeholder, which is n bytes long; and
 * blanks, so that what JSON's errors say of lines and columns stays true. */
static void mark_put(reading_t *r, const char *path, apr_size_t n)
{
    const char *text = apr_pstrcat(r->p, "\"" MARK, path, "\"", NULL);
    apr_size_t len = strlen(text);

    put(r, text, len);
    memset(r->json, ' ', n - len);
    r->json += n - len;
    r->marks++;
}

/* r->at is at MARK. */
static apr_status_t placeholder_read(reading_t *r)
{
    const char *from = skip_blanks(r->at + strlen(MARK)), *to = from;
    const char *path;

    while (path_char(*to)) {
        to++;
    }
    path = apr_pstrmemdup(r->p, from, (apr_size_t)(to - from));
    to = skip_blanks(to);
    if (strncmp(to, MARK_END, strlen(MARK_END)) != 0) {
        return refused(r, "A placeholder is not as {{ client.owner }}.");
    }
    if (!path_known(path)) {
        return rensei_err_setf(r->err, r->p, RENSEI_E_INVALID_REQUEST,
                               "There is no placeholder {{ %.64s }}: there "
                               "are client.id, client.name, client.owner, "
                               "client.org_id, client.workspace_id, and "
                               "client.trusted_metadata and what is in it.",
                               path);
    }
    to += strlen(MARK_END);
    mark_put(r, path, (apr_size_t)(to - r->at));
    r->at = to;
    return APR_SUCCESS;
}

/* r->at is at a quote; copies to past the other one, or to the end. */
static void string_copy(reading_t *r)
{
    const char *from = r->at++;

    while (*r->at && *r->at != '"') {
        r->at += r->at[0] == '\\' && r->at[1] ? 2 : 1;
    }
    r->at += *r->at == '"';
    put(r, from, (apr_size_t)(r->at - from));
}

/* The text as JSON, as long as the text: `"{{x"` is not longer than `{{x}}`. */
static apr_status_t json_make(const char **out, reading_t *r)
{
    char *start = apr_palloc(r->p, strlen(r->at) + 1);
    apr_status_t rv = APR_SUCCESS;

    r->json = start;
    while (rv == APR_SUCCESS && *r->at) {
        if (*r->at == '"') {
            string_copy(r);
        }
        else if (strncmp(r->at, MARK, strlen(MARK)) == 0) {
            rv = placeholder_read(r);
        }
        else {
            put(r, r->at++, 1);
        }
    }
    *r->json = '\0';
    *out = start;
    return rv;
}

static int is_mark(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && strstr(text, MARK) != NULL;
}

/* Counts the marks among values to *marks. @return 0 where a member's name
 * has one, or it is too deep */
static int marks_count(int *marks, const json_t *value, int depth)
{
    const char *name;
    json_t *item;
    size_t i;

    *marks += is_mark(value);
    if (!json_is_object(value) && !json_is_array(value)) {
        return 1;
    }
    if (depth > RENSEI_TEMPLATE_DEPTH_MAX) {
        return 0;
    }
    json_object_foreach((json_t *)value, name, item)
    {
        if (strstr(name, MARK) || !marks_count(marks, item, depth + 1)) {
            return 0;
        }
    }
    json_array_foreach(value, i, item)
    {
        if (!marks_count(marks, item, depth + 1)) {
            return 0;
        }
    }
    return 1;
}

/* A name at the top: as it will be a claim's, and needs no escape there. */
static apr_status_t name_check(reading_t *r, const char *name)
{
    apr_size_t n = strlen(name);
    const char *c;

    if (rensei_claim_registered(rensei_str(name))) {
        return rensei_err_setf(r->err, r->p, RENSEI_E_INVALID_REQUEST,
                               "The claim %s has a meaning of its own, and "
                               "cannot be a custom one.",
                               name);
    }
    for (c = name; (unsigned char)*c >= ' ' && *c != '"' && *c != '\\'; c++) {
    }
    if (n == 0 || n > RENSEI_CLAIM_NAME_MAX || *c) {
        return refused(r, "A claim's name must have 1 to 64 bytes, no quotes, "
                          "backslashes or control characters.");
    }
    return APR_SUCCESS;
}

static apr_status_t root_check(reading_t *r, json_t *root)
{
    int marks = 0;
    const char *name;
    json_t *value;

    if (!marks_count(&marks, root, 1)) {
        return refused(r, "The claims are nested too deeply, or a placeholder "
                          "stands for a name.");
    }
    if (marks != r->marks) {
        return refused(r, "A placeholder stands for a whole value: write it "
                          "without quotes, as {\"team\": {{ client.owner }}}.");
    }
    if (json_object_size(root) > RENSEI_TEMPLATE_CLAIMS_MAX) {
        return refused(r, "There are too many claims: 32 are the most.");
    }
    json_object_foreach(root, name, value)
    {
        if (name_check(r, name) != APR_SUCCESS) {
            return APR_EGENERAL;
        }
    }
    return APR_SUCCESS;
}

apr_status_t rensei_template_parse(rensei_template_t **out, const char *text,
                                   apr_pool_t *p, rensei_err_t *err)
{
    reading_t r = {.at = text, .p = p, .err = err};
    const char *json;
    json_t *root;
    apr_status_t rv;

    if (strlen(text) > RENSEI_TEMPLATE_LEN_MAX) {
        return refused(&r, "The claims have more than 4096 bytes.");
    }
    rv = json_make(&json, &r);
    if (rv == APR_SUCCESS) {
        rv = rensei_json_load(&root, json, strlen(json), p, err);
    }
    if (rv == APR_SUCCESS) {
        rv = root_check(&r, root);
    }
    if (rv == APR_SUCCESS) {
        *out = apr_palloc(p, sizeof(**out));
        (*out)->root = root;
    }
    return rv;
}

/* One client's claims in the making. */
typedef struct filling_t {
    const rensei_client_t *client;
    apr_pool_t *p;
    int failed; /* something that there is could not be copied */
} filling_t;

static json_t *made(filling_t *f, json_t *value)
{
    f->failed |= value == NULL;
    return value;
}

/* jansson's copy leaves out what there was no memory for, and says nothing. */
static json_t *copied(filling_t *f, const json_t *value)
{
    json_t *copy = json_deep_copy(value);

    f->failed |= !json_equal(copy, value);
    return copy;
}

/* The member of the metadata at `path`, names with dots between them; all of
 * it for an empty one. */
static json_t *metadata_at(filling_t *f, const char *path)
{
    const json_t *value = f->client->trusted_metadata;
    apr_size_t n;

    while (value && *path) {
        n = strcspn(path, ".");
        value = json_object_get(value, apr_pstrmemdup(f->p, path, n));
        path += n + (path[n] == '.');
    }
    return value ? copied(f, value) : NULL;
}

/* What a placeholder stands for: a new reference, NULL for nothing. */
static json_t *mark_value(filling_t *f, const char *path)
{
    const field_t *field = field_find(path);
    const char *text;

    if (field == NULL) {
        path += strlen(METADATA);
        return metadata_at(f, path + (*path == '.'));
    }
    text = *(const char *const *)((const char *)f->client + field->at);
    return text ? made(f, json_string(text)) : NULL;
}

static json_t *value_make(filling_t *f, const json_t *value);

static json_t *object_make(filling_t *f, const json_t *object)
{
    json_t *out = json_object(), *value, *filled;
    const char *name;

    json_object_foreach((json_t *)object, name, value)
    {
        filled = value_make(f, value);
        if (filled) {
            rensei_json_set(&out, name, filled);
        }
    }
    return made(f, out);
}

static json_t *array_make(filling_t *f, const json_t *array)
{
    json_t *out = json_array(), *value, *filled;
    size_t i;

    json_array_foreach(array, i, value)
    {
        filled = value_make(f, value);
        if (filled) {
            rensei_json_append(&out, filled);
        }
    }
    return made(f, out);
}

/* Copies, never references, of what all threads share. */
static json_t *value_make(filling_t *f, const json_t *value)
{
    if (is_mark(value)) {
        return mark_value(f, json_string_value(value) + strlen(MARK));
    }
    if (json_is_object(value)) {
        return object_make(f, value);
    }
    return json_is_array(value) ? array_make(f, value) : copied(f, value);
}

json_t *rensei_template_claims(const rensei_template_t *t,
                               const rensei_client_t *c, apr_pool_t *p)
{
    filling_t f = {c, p, 0};
    json_t *out = rensei_json_own(object_make(&f, t->root), p);

    return f.failed ? NULL : out;
}
