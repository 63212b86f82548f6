/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_json.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 4096

rensei_ctl_exit_e rensei_ctl_say(rensei_ctl_exit_e status, const char *fmt, ...)
{
    char text[SENTENCE_MAX];
    va_list ap;

    va_start(ap, fmt);
    apr_vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "renseictl: %s\n", text);
    return status;
}

/* lib/ names the fields of the wire; here they have options' names. */
static const char *option_of_field(const rensei_ctl_t *ctl)
{
    static const struct {
        const char *field, *option;
    } table[] = {{"confirm", "confirm"},
                 {"keyType", "type"},
                 {"userId", "user-id"},
                 {"expiresAt", "expires"},
                 {"maxUses", "max-uses"},
                 {"tokenLifetime", "lifetime"},
                 {"workspaceId", "workspace"},
                 {"tokenEndpointAuthMethod", "auth-method"},
                 {"jwks", "jwks"},
                 {"audiences", "audience"},
                 {"trustedMetadata", "metadata"},
                 {"secretExpiresAt", "secret-expires"},
                 {"secretExpiresAt", "expires"}};
    const char *field = ctl->err.field;

    for (size_t i = 0; field && i < sizeof(table) / sizeof(table[0]); ++i) {
        const char *option = table[i].option;
        if (!strcmp(table[i].field, field) && ctl->command &&
            rensei_ctl_option_find(ctl->command->options, option,
                                   strlen(option))) {
            return option;
        }
    }
    return NULL;
}

static rensei_ctl_exit_e exit_of_code(rensei_code_e code)
{
    switch (code) {
    case RENSEI_E_NOT_FOUND:
        return RENSEI_CTL_NOT_FOUND;
    case RENSEI_E_NONE:
    case RENSEI_E_INTERNAL:
    case RENSEI_E_UNAVAILABLE:
        return RENSEI_CTL_FAILED;
    default:
        return RENSEI_CTL_REFUSED;
    }
}

/* What was written elsewhere must not move the cursor here. */
static const char *printable(const char *text, apr_pool_t *p)
{
    char *out = apr_pstrdup(p, text);

    for (unsigned char *c = (unsigned char *)out; *c; ++c) {
        int c1 = c[0] == 0xC2 && c[1] >= 0x80 && c[1] < 0xA0;
        if (*c == '\n' || *c == '\t') {
            *c = ' ';
        }
        else if (*c < 0x20 || *c == 0x7F) {
            *c = '?';
        }
        else if (c1) {
            c[0] = c[1] = '?';
        }
    }
    return out;
}

rensei_ctl_exit_e rensei_ctl_fail(const rensei_ctl_t *ctl)
{
    const char *option = option_of_field(ctl);
    const char *text = ctl->err.text ? ctl->err.text : "It failed.";
    rensei_ctl_exit_e status = exit_of_code(ctl->err.code);

    if (option) {
        return rensei_ctl_say(status, "--%s: %s", option, text);
    }
    if (ctl->err.cause) {
        return rensei_ctl_say(status, "%s (%s)", text,
                              printable(ctl->err.cause, ctl->p));
    }
    return rensei_ctl_say(status, "%s", text);
}

static const char *array_text(const json_t *array, apr_pool_t *p)
{
    const char *out = "";
    const json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        const char *word = json_string_value(item);
        out = apr_pstrcat(p, out, i ? " " : "", word ? word : "?", NULL);
    }
    return *out ? out : "-";
}

/* The wire has times as epoch ms in places; they are called "at" or ...At. */
static int is_time(const char *member)
{
    apr_size_t n = strlen(member);

    return !strcmp(member, "at") || (n > 2 && !strcmp(member + n - 2, "At"));
}

static const char *value_text(const json_t *value, const char *member,
                              apr_pool_t *p)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
        return printable(json_string_value(value), p);
    case JSON_INTEGER:
        return is_time(member)
                   ? rensei_time_iso(json_integer_value(value), p)
                   : apr_psprintf(p, "%" APR_INT64_T_FMT,
                                  (apr_int64_t)json_integer_value(value));
    case JSON_TRUE:
        return "yes";
    case JSON_FALSE:
        return "no";
    case JSON_ARRAY:
        return printable(array_text(value, p), p);
    case JSON_OBJECT:
        return printable(rensei_json_dump(value, p), p);
    default:
        return "-";
    }
}

/* Columns on a terminal: UTF-8's continuation bytes take none. */
static int width(const char *text)
{
    int n = 0;

    for (; *text; ++text) {
        n += (*text & 0xC0) != 0x80;
    }
    return n;
}

static void print_cell(const char *text, int room)
{
    printf("%s%*s", text, room - width(text), "");
}

static void print_fields(const json_t *object,
                         const rensei_ctl_column_t *columns, apr_pool_t *p)
{
    int room = 0;

    for (const rensei_ctl_column_t *c = columns; c->title; ++c) {
        room = width(c->title) > room ? width(c->title) : room;
    }
    for (const rensei_ctl_column_t *c = columns; c->title; ++c) {
        const json_t *value = json_object_get(object, c->member);
        if (value && !json_is_null(value)) {
            print_cell(c->title, room + 2);
            puts(value_text(value, c->member, p));
        }
    }
}

static int column_width(const json_t *rows, const rensei_ctl_column_t *c,
                        apr_pool_t *p)
{
    int room = width(c->title);
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        int n =
            width(value_text(json_object_get(row, c->member), c->member, p));
        room = n > room ? n : room;
    }
    return room;
}

static void print_table(const json_t *rows, const rensei_ctl_column_t *columns,
                        apr_pool_t *p)
{
    apr_array_header_t *room = apr_array_make(p, 8, sizeof(int));
    const json_t *row;
    size_t i;

    for (const rensei_ctl_column_t *c = columns; c->title; ++c) {
        int n = column_width(rows, c, p);
        int last = !c[1].title;
        APR_ARRAY_PUSH(room, int) = last ? 0 : n + 2;
        print_cell(c->title, last ? width(c->title) : n + 2);
    }
    putchar('\n');
    json_array_foreach(rows, i, row)
    {
        for (int k = 0; k < room->nelts; ++k) {
            const char *text = value_text(
                json_object_get(row, columns[k].member), columns[k].member, p);
            int n = APR_ARRAY_IDX(room, k, int);
            print_cell(text, n ? n : width(text));
        }
        putchar('\n');
    }
}

static rensei_ctl_exit_e print_json(json_t *value)
{
    int failed = !value || json_dumpf(value, stdout, JSON_COMPACT) != 0;

    json_decref(value);
    if (failed) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "The result could not be written as JSON.");
    }
    putchar('\n');
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_show(const rensei_ctl_t *ctl, json_t *object,
                                  const rensei_ctl_column_t *columns)
{
    if (rensei_ctl_option(ctl, "json")) {
        return print_json(object);
    }
    print_fields(object, columns, ctl->p);
    json_decref(object);
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_show_rows(const rensei_ctl_t *ctl, json_t *rows,
                                       const char *member, const char *cursor,
                                       const rensei_ctl_column_t *columns)
{
    if (rensei_ctl_option(ctl, "json")) {
        return print_json(
            json_pack("{s:o, s:s?}", member, rows, "nextCursor", cursor));
    }
    print_table(rows, columns, ctl->p);
    json_decref(rows);
    if (cursor) {
        fprintf(stderr, "There is more: --cursor %s\n", cursor);
    }
    return RENSEI_CTL_OK;
}
