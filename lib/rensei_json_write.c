/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_json_write.h"

#include <apr_strings.h>
#include <string.h>

#define SIZE_FIRST 512
#define ESCAPE_MAX 6 /* \u001F */
#define INT_MAX_LEN 20

/* Room for n bytes more, and a NUL. */
static void need(rensei_json_text_t *w, apr_size_t n)
{
    char *grown;

    if (w->n + n < w->size) {
        return;
    }
    w->size = 2 * (w->n + n) + 1;
    grown = apr_palloc(w->p, w->size);
    memcpy(grown, w->buf, w->n);
    w->buf = grown;
}

static void put(rensei_json_text_t *w, const char *s, apr_size_t n)
{
    need(w, n);
    memcpy(w->buf + w->n, s, n);
    w->n += n;
}

/* A character that stands for itself (RFC 8259 7)? UTF-8 does. */
static int plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static apr_size_t escape(char *out, unsigned char c)
{
    static const char letters[] = "btnvfr"; /* of 8 to 13; \v is not JSON */
    static const char digits[] = "0123456789ABCDEF";

    out[0] = '\\';
    if (c == '"' || c == '\\') {
        out[1] = (char)c;
        return 2;
    }
    if (c >= 8 && c <= 13 && c != 11) {
        out[1] = letters[c - 8];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return ESCAPE_MAX;
}

/* In runs: most strings are one. */
static void put_string(rensei_json_text_t *w, const char *s, apr_size_t n)
{
    apr_size_t i, from = 0;

    need(w, n + 2);
    w->buf[w->n++] = '"';
    for (i = 0; i < n; i++) {
        if (!plain((unsigned char)s[i])) {
            put(w, s + from, i - from);
            need(w, ESCAPE_MAX);
            w->n += escape(w->buf + w->n, (unsigned char)s[i]);
            from = i + 1;
        }
    }
    put(w, s + from, n - from);
    put(w, "\"", 1);
}

static void put_name(rensei_json_text_t *w, const char *name)
{
    apr_size_t n = strlen(name);

    need(w, n + 4);
    if (w->n > 1) {
        w->buf[w->n++] = ',';
    }
    w->buf[w->n++] = '"';
    memcpy(w->buf + w->n, name, n);
    w->n += n;
    w->buf[w->n++] = '"';
    w->buf[w->n++] = ':';
}

void rensei_json_begin(rensei_json_text_t *w, apr_pool_t *p)
{
    w->p = p;
    w->size = SIZE_FIRST;
    w->buf = apr_palloc(p, w->size);
    w->buf[0] = '{';
    w->n = 1;
}

void rensei_json_put_text(rensei_json_text_t *w, const char *name,
                          const char *value)
{
    if (value) {
        put_name(w, name);
        put_string(w, value, strlen(value));
    }
}

void rensei_json_put_int(rensei_json_text_t *w, const char *name,
                         apr_int64_t value)
{
    char digits[INT_MAX_LEN];
    apr_uint64_t rest = value < 0 ? -(apr_uint64_t)value : (apr_uint64_t)value;
    apr_size_t i = sizeof(digits);

    do {
        digits[--i] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) {
        digits[--i] = '-';
    }
    put_name(w, name);
    put(w, digits + i, sizeof(digits) - i);
}

void rensei_json_put_list(rensei_json_text_t *w, const char *name,
                          const rensei_scopes_t *values)
{
    int i;

    put_name(w, name);
    put(w, "[", 1);
    for (i = 0; i < values->count; i++) {
        if (i > 0) {
            put(w, ",", 1);
        }
        put_string(w, values->scope[i].p, values->scope[i].n);
    }
    put(w, "]", 1);
}

void rensei_json_put_raw(rensei_json_text_t *w, const char *name,
                         const char *json)
{
    put_name(w, name);
    put(w, json, strlen(json));
}

const char *rensei_json_finish(rensei_json_text_t *w)
{
    put(w, "}", 1);
    need(w, 1);
    w->buf[w->n] = '\0';
    return w->buf;
}
