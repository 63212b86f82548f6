/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_json_write.h"

#include <apr_strings.h>
#include <string.h>

#define SIZE_FIRST 512
#define ESCAPE_MAX 6 /* \u001F */

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

/* Characters that do not stand for themselves (RFC 8259 7); UTF-8 does. */
static const unsigned char special[256] = {
    [0 ... 0x1f] = 1,
    ['"'] = 1,
    ['\\'] = 1,
};

/* How many characters from the start stand for themselves. */
static apr_size_t plain_run(const char *s, apr_size_t n)
{
    const unsigned char *at = (const unsigned char *)s, *end = at + n;

    while (end - at >= 4 && !(special[at[0]] | special[at[1]] | special[at[2]] |
                              special[at[3]])) {
        at += 4;
    }
    while (at < end && !special[*at]) {
        at++;
    }
    return n - (apr_size_t)(end - at);
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
    out[1] = 'u';
    out[2] = '0';
    out[3] = '0';
    out[4] = digits[c >> 4];
    out[5] = digits[c & 15];
    return ESCAPE_MAX;
}

/* In runs: most strings are one. */
static void put_string(rensei_json_text_t *w, const char *s, apr_size_t n)
{
    apr_size_t run;

    need(w, n + 2);
    w->buf[w->n++] = '"';
    for (run = plain_run(s, n); run < n; run = plain_run(s, n)) {
        put(w, s, run);
        need(w, ESCAPE_MAX);
        w->n += escape(w->buf + w->n, (unsigned char)s[run]);
        s += run + 1;
        n -= run + 1;
    }
    put(w, s, n);
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
    char digits[RENSEI_INT_LEN];
    apr_size_t n = rensei_int_write(digits, value);

    put_name(w, name);
    put(w, digits, n);
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
