/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The scanner of rensei_json.h: one pass, no allocation. Everything that a
 * token carries goes through here on each request, where building a tree
 * costs more than the signature does.
 */
#include "rensei_json.h"

typedef unsigned char byte_t;

enum { PLAIN = 1, SPACE = 2, DIGIT = 4 };

/* PLAIN is what stands for itself in a string: ASCII without controls, quote
 * and backslash. */
static const byte_t kind_of[256] = {
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\r'] = SPACE,
    [' '] = PLAIN | SPACE,
    ['!'] = PLAIN,
    ['#' ... '/'] = PLAIN,
    ['0' ... '9'] = PLAIN | DIGIT,
    [':' ... '['] = PLAIN,
    [']' ... 0x7f] = PLAIN,
};

/* A member's name while its object is being read. */
typedef struct name_t {
    rensei_str_t text;
    int escaped;
} name_t;

#define NAMES_MAX (RENSEI_JSON_MEMBERS_MAX * (RENSEI_JSON_DEPTH_MAX - 1))

typedef struct scan_t {
    const byte_t *at;
    const byte_t *end;
    int depth;
    int names; /* of all nested objects that are open, innermost last */
    name_t name[NAMES_MAX];
} scan_t;

static int scan_value(scan_t *s, rensei_json_member_t *m);

static int more(const scan_t *s, byte_t kind)
{
    return s->at < s->end && (kind_of[*s->at] & kind);
}

static void skip_space(scan_t *s)
{
    while (more(s, SPACE)) {
        s->at++;
    }
}

static int take(scan_t *s, char c)
{
    if (s->at < s->end && *s->at == (byte_t)c) {
        s->at++;
        return 1;
    }
    return 0;
}

static rensei_str_t span(const byte_t *from, const byte_t *to)
{
    rensei_str_t out = {(const char *)from, (apr_size_t)(to - from)};

    return out;
}

/* Which of the eight bytes at p are not PLAIN: the top bit of each, the first
 * byte lowest. The first term finds what is below a space, the next two quote
 * and backslash, the last what is not ASCII. A borrow makes more of them, but
 * only after one that is right: the lowest always is. */
static apr_uint64_t not_plain(const byte_t *p)
{
    const apr_uint64_t ones = APR_UINT64_C(0x0101010101010101);
    apr_uint64_t x;

    memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return ((x - ones * ' ') | ((x ^ ones * '"') - ones) |
            ((x ^ ones * '\\') - ones) | x) &
           ones * 0x80;
}

static inline const byte_t *skip_plain(const byte_t *at, const byte_t *end)
{
    for (; end - at >= 8; at += 8) {
        apr_uint64_t found = not_plain(at);

        if (found) {
            return at + __builtin_ctzll(found) / 8;
        }
    }
    while (at < end && (kind_of[*at] & PLAIN)) {
        at++;
    }
    return at;
}

/* Four hex digits at s, or -1. */
static int hex4(const byte_t *s, const byte_t *end)
{
    int value = 0, i;

    if (end - s < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        byte_t c = s[i];
        byte_t lower = c | 0x20;

        if (c >= '0' && c <= '9') {
            value = value << 4 | (c - '0');
        }
        else if (lower >= 'a' && lower <= 'f') {
            value = value << 4 | (lower - 'a' + 10);
        }
        else {
            return -1;
        }
    }
    return value;
}

static int utf8_write(char out[4], unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Reads what follows "\u" and moves *at past it: one escape, or the two of a
 * surrogate pair. @return the code point, or 0 for none that we take */
static unsigned unicode_escape(const byte_t **at, const byte_t *end)
{
    int high = hex4(*at, end), low;

    if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff)) {
        return 0;
    }
    *at += 4;
    if (high < 0xd800 || high > 0xdbff) {
        return (unsigned)high;
    }
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') {
        return 0;
    }
    low = hex4(*at + 2, end);
    if (low < 0xdc00 || low > 0xdfff) {
        return 0;
    }
    *at += 6;
    return 0x10000u + ((unsigned)(high - 0xd800) << 10) +
           (unsigned)(low - 0xdc00);
}

/* Reads an escape, *at at its backslash, and moves *at past it.
 * @return the bytes of UTF-8 written to out, 0 for a bad escape */
static int escape_read(char out[4], const byte_t **at, const byte_t *end)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *found;
    unsigned c;

    if (end - *at < 2) {
        return 0;
    }
    c = (*at)[1];
    *at += 2;
    if (c == 'u') {
        c = unicode_escape(at, end);
        return c ? utf8_write(out, c) : 0;
    }
    found = c ? strchr(letters, (int)c) : NULL;
    if (!found) {
        return 0;
    }
    out[0] = meanings[found - letters];
    return 1;
}

/* An escape or a sequence of UTF-8. Not inlined: its buffer would cost every
 * string a stack guard, and hardly any string has either. */
static __attribute__((noinline)) int scan_special(scan_t *s, int *escaped)
{
    char unused[4];
    apr_size_t n;

    if (*s->at == '\\') {
        *escaped = 1;
        return escape_read(unused, &s->at, s->end);
    }
    n = rensei_utf8_sequence((const char *)s->at, (apr_size_t)(s->end - s->at));
    s->at += n;
    return n > 0;
}

/* The rest of a string that has something special in it. */
static __attribute__((noinline)) int scan_rest(scan_t *s, const byte_t *from,
                                               rensei_str_t *out, int *escaped)
{
    while (s->at < s->end && *s->at != '"') {
        if (!scan_special(s, escaped)) {
            return 0;
        }
        s->at = skip_plain(s->at, s->end);
    }
    if (s->at == s->end) {
        return 0;
    }
    *out = span(from, s->at++);
    return 1;
}

/* After the opening quote, to past the closing one. */
static inline int scan_string(scan_t *s, rensei_str_t *out, int *escaped)
{
    const byte_t *from = s->at, *at = skip_plain(from, s->end);

    *escaped = 0;
    if (at < s->end && *at == '"') {
        *out = span(from, at);
        s->at = at + 1;
        return 1;
    }
    s->at = at;
    return scan_rest(s, from, out, escaped);
}

/* How many digits stand here; moves past them. */
static int take_digits(scan_t *s)
{
    const byte_t *from = s->at;

    while (more(s, DIGIT)) {
        s->at++;
    }
    return (int)(s->at - from);
}

/* "0", or digits that start with another. @return how many, 0 for none */
static int take_whole(scan_t *s)
{
    return take(s, '0') ? 1 : take_digits(s);
}

/* After the "e", up to three digits; *exponent is 0 for a negative one, which
 * makes nothing too large. */
static int scan_exponent(scan_t *s, apr_int64_t *exponent)
{
    const byte_t *from;
    int negative = take(s, '-');

    if (!negative) {
        take(s, '+');
    }
    while (s->end - s->at >= 2 && s->at[0] == '0' &&
           (kind_of[s->at[1]] & DIGIT)) {
        s->at++;
    }
    from = s->at;
    take_digits(s);
    if (!rensei_int_parse(exponent, (const char *)from,
                          (apr_size_t)(s->at - from), 0, 999)) {
        return 0;
    }
    *exponent = negative ? 0 : *exponent;
    return 1;
}

/* A number beyond what a 64-bit integer, or a double, holds is read
 * differently by different parsers (RFC 8259 6), so it is none. */
static int scan_number(scan_t *s, rensei_json_member_t *m)
{
    const byte_t *from = s->at;
    int whole, real = 0;
    apr_int64_t exponent = 0, ignored;

    take(s, '-');
    if ((whole = take_whole(s)) == 0) {
        return 0;
    }
    if (take(s, '.')) {
        real = 1;
        if (take_digits(s) == 0) {
            return 0;
        }
    }
    if (take(s, 'e') || take(s, 'E')) {
        real = 1;
        if (!scan_exponent(s, &exponent)) {
            return 0;
        }
    }
    m->type = RENSEI_JSON_NUMBER;
    m->value = span(from, s->at);
    if (real) {
        return whole + exponent <= 308;
    }
    return whole < 19 || rensei_int_parse(&ignored, m->value.p, m->value.n,
                                          APR_INT64_MIN, APR_INT64_MAX);
}

static int scan_word(scan_t *s, rensei_json_member_t *m, rensei_str_t word,
                     rensei_json_type_e type)
{
    if ((apr_size_t)(s->end - s->at) < word.n ||
        memcmp(s->at, word.p, word.n) != 0) {
        return 0;
    }
    m->type = type;
    m->value = span(s->at, s->at + word.n);
    s->at += word.n;
    return 1;
}

/* The next character of a checked name, as its UTF-8 in one number. */
static apr_uint32_t name_char(const byte_t **at, const byte_t *end)
{
    apr_uint32_t c = 0;
    char utf8[4];
    int n = 1, i;

    if (**at == '\\') {
        n = escape_read(utf8, at, end);
    }
    else {
        apr_size_t len =
            rensei_utf8_sequence((const char *)*at, (apr_size_t)(end - *at));

        n = len ? (int)len : 1;
        memcpy(utf8, *at, (apr_size_t)n);
        *at += n;
    }
    for (i = 0; i < n; i++) {
        c = c << 8 | (byte_t)utf8[i];
    }
    return c;
}

/* "a" and "\u0061" are one name, and a parser that undoes escapes keeps only
 * one of the two members. */
static int name_eq(const name_t *a, const name_t *b)
{
    const byte_t *pa = (const byte_t *)a->text.p, *enda = pa + a->text.n;
    const byte_t *pb = (const byte_t *)b->text.p, *endb = pb + b->text.n;

    if (!a->escaped && !b->escaped) {
        return rensei_str_eq(a->text, b->text);
    }
    while (pa < enda && pb < endb) {
        if (name_char(&pa, enda) != name_char(&pb, endb)) {
            return 0;
        }
    }
    return pa == enda && pb == endb;
}

/* A member's name and the colon. */
static int scan_name(scan_t *s, name_t *name)
{
    if (!take(s, '"') || !scan_string(s, &name->text, &name->escaped)) {
        return 0;
    }
    skip_space(s);
    return take(s, ':');
}

/* A name of the nested object whose names start at `base`. */
static int nested_name(scan_t *s, int base)
{
    name_t *name = &s->name[s->names];
    int i;

    if (s->names - base >= RENSEI_JSON_MEMBERS_MAX || !scan_name(s, name)) {
        return 0;
    }
    for (i = base; i < s->names; i++) {
        if (name_eq(&s->name[i], name)) {
            return 0;
        }
    }
    s->names++;
    return 1;
}

/* After the opening brace, to past the closing one. */
static int scan_members(scan_t *s)
{
    int base = s->names;
    rensei_json_member_t m;

    skip_space(s);
    if (take(s, '}')) {
        return 1;
    }
    do {
        skip_space(s);
        if (!nested_name(s, base) || !scan_value(s, &m)) {
            return 0;
        }
    } while (take(s, ','));
    s->names = base;
    return take(s, '}');
}

/* After the opening bracket, to past the closing one. */
static int scan_elements(scan_t *s)
{
    rensei_json_member_t m;

    skip_space(s);
    if (take(s, ']')) {
        return 1;
    }
    do {
        if (!scan_value(s, &m)) {
            return 0;
        }
    } while (take(s, ','));
    return take(s, ']');
}

static int scan_nested(scan_t *s, rensei_json_member_t *m)
{
    const byte_t *from = s->at;
    int good;

    if (s->depth >= RENSEI_JSON_DEPTH_MAX) {
        return 0;
    }
    s->depth++;
    m->type = *s->at++ == '{' ? RENSEI_JSON_OBJECT : RENSEI_JSON_ARRAY;
    good = m->type == RENSEI_JSON_OBJECT ? scan_members(s) : scan_elements(s);
    s->depth--;
    m->value = span(from, s->at);
    return good;
}

static int scan_other(scan_t *s, rensei_json_member_t *m)
{
    switch (s->at < s->end ? *s->at : 0) {
    case '{':
    case '[':
        return scan_nested(s, m);
    case 't':
        return scan_word(s, m, RENSEI_STR("true"), RENSEI_JSON_TRUE);
    case 'f':
        return scan_word(s, m, RENSEI_STR("false"), RENSEI_JSON_FALSE);
    case 'n':
        return scan_word(s, m, RENSEI_STR("null"), RENSEI_JSON_NULL);
    default:
        return scan_number(s, m);
    }
}

/* A value, with the space around it. */
static int scan_value(scan_t *s, rensei_json_member_t *m)
{
    int good;

    m->escaped = 0;
    skip_space(s);
    if (take(s, '"')) { /* what most are */
        m->type = RENSEI_JSON_STRING;
        good = scan_string(s, &m->value, &m->escaped);
    }
    else {
        good = scan_other(s, m);
    }
    skip_space(s);
    return good;
}

/* Is the name among the members? Two names that are the same have the same
 * bit in `seen`, so most need not be looked for. */
static inline int is_member(const rensei_json_object_t *obj, rensei_str_t name,
                            apr_uint64_t *seen)
{
    apr_uint64_t bit = 1;
    int i;

    if (name.n > 0) {
        bit <<= ((byte_t)name.p[0] * 5u + (byte_t)name.p[name.n - 1] +
                 name.n * 3u) %
                64;
    }
    for (i = 0; (*seen & bit) && i < obj->count; i++) {
        if (rensei_str_eq(obj->member[i].name, name)) {
            return 1;
        }
    }
    *seen |= bit;
    return 0;
}

static int scan_member(scan_t *s, rensei_json_object_t *out, apr_uint64_t *seen)
{
    rensei_json_member_t *m = &out->member[out->count];
    name_t name;

    skip_space(s);
    if (out->count == RENSEI_JSON_MEMBERS_MAX || !scan_name(s, &name) ||
        name.escaped || is_member(out, name.text, seen)) {
        return 0;
    }
    m->name = name.text;
    out->count++;
    return scan_value(s, m);
}

static int scan_object(scan_t *s, rensei_json_object_t *out)
{
    apr_uint64_t seen = 0;

    skip_space(s);
    if (!take(s, '{')) {
        return 0;
    }
    skip_space(s);
    if (!take(s, '}')) {
        do {
            if (!scan_member(s, out, &seen)) {
                return 0;
            }
        } while (take(s, ','));
        if (!take(s, '}')) {
            return 0;
        }
    }
    skip_space(s);
    return s->at == s->end;
}

/* Not `= {…}`: that would clear the stack of names, 23 KB of it. */
static void scan_start(scan_t *s, const char *text, apr_size_t n)
{
    s->at = (const byte_t *)text;
    s->end = s->at + n;
    s->depth = 0;
    s->names = 0;
}

apr_status_t rensei_json_scan(rensei_json_object_t *out, const char *text,
                              apr_size_t n)
{
    scan_t s;

    scan_start(&s, text, n);
    s.depth = 1;
    out->count = 0;
    if (!scan_object(&s, out)) {
        out->count = 0;
        return APR_EINVAL;
    }
    return APR_SUCCESS;
}

const rensei_json_member_t *rensei_json_find(const rensei_json_object_t *obj,
                                             const char *name)
{
    rensei_str_t wanted = rensei_str(name);
    int i;

    for (i = 0; i < obj->count; i++) {
        if (rensei_str_eq(obj->member[i].name, wanted)) {
            return &obj->member[i];
        }
    }
    return NULL;
}

int rensei_json_next(rensei_json_member_t *out, rensei_str_t array,
                     apr_size_t *at)
{
    scan_t s;

    if (*at >= array.n) {
        return 0;
    }
    scan_start(&s, array.p, array.n);
    s.at += *at;
    /* before the first element its bracket, then the comma of the last */
    s.at++;
    skip_space(&s);
    out->name = RENSEI_STR("");
    if (!scan_value(&s, out)) {
        *at = array.n;
        return 0;
    }
    *at = (apr_size_t)(s.at - (const byte_t *)array.p);
    return 1;
}

rensei_str_t rensei_json_unescape(const rensei_json_member_t *m, apr_pool_t *p)
{
    const byte_t *at = (const byte_t *)m->value.p;
    const byte_t *end = at + m->value.n;
    rensei_str_t out = m->value;
    char *to;

    if (!m->escaped) {
        return out;
    }
    /* an escape is never shorter than what it stands for; escape_read writes
     * at most the four bytes of a pair of twelve */
    out.p = to = apr_palloc(p, m->value.n);
    while (at < end) {
        if (*at == '\\') {
            to += escape_read(to, &at, end);
        }
        else {
            *to++ = (char)*at++;
        }
    }
    out.n = (apr_size_t)(to - out.p);
    return out;
}

int rensei_json_int(const rensei_json_member_t *m, apr_int64_t *out,
                    apr_int64_t min, apr_int64_t max)
{
    return m->type == RENSEI_JSON_NUMBER &&
           rensei_int_parse(out, m->value.p, m->value.n, min, max);
}
