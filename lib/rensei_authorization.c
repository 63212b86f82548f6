/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_authorization.h"
#include "rensei_b64.h"
#include "rensei_form.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include <strings.h>

#define BASIC_LEN_MAX 1024 /* far more than an id and a secret of ours */

int rensei_authorization_valid(rensei_str_t c)
{
    apr_size_t i = 0;

    while (i < c.n && (apr_isalnum(c.p[i]) || strchr("-._~+/", c.p[i]))) {
        i++;
    }
    while (i > 0 && i < c.n && c.p[i] == '=') {
        i++;
    }
    return c.n > 0 && i == c.n;
}

/* Some other scheme first, ours joined behind it by httpd. */
static int has_second(const char *header)
{
    const char *comma = header;

    while ((comma = strchr(comma, ',')) != NULL) {
        comma += strspn(comma, ", \t");
        if (strncasecmp(comma, "Bearer ", 7) == 0) {
            return 1;
        }
    }
    return 0;
}

static int is_scheme(const char *header, const char *scheme, apr_size_t n)
{
    return strncasecmp(header, scheme, n) == 0 &&
           (header[n] == '\0' || !apr_isalnum(header[n]));
}

/* Mostly written so. */
static int is_bearer(const char *header)
{
    return strncmp(header, "Bearer ", 7) == 0 || is_scheme(header, "Bearer", 6);
}

static rensei_str_t after_blanks(const char *text)
{
    while (*text == ' ') {
        text++;
    }
    return rensei_str(text);
}

rensei_scheme_e rensei_authorization_read(rensei_str_t *credential,
                                          const char *header, int basic)
{
    if (!header) {
        return RENSEI_SCHEME_OTHER;
    }
    if (is_bearer(header)) {
        *credential = after_blanks(header + 6);
        return RENSEI_SCHEME_BEARER;
    }
    if (basic && is_scheme(header, "Basic", 5)) {
        *credential = after_blanks(header + 5);
        return RENSEI_SCHEME_BASIC;
    }
    return has_second(header) ? RENSEI_SCHEME_MALFORMED : RENSEI_SCHEME_OTHER;
}

/* Plain base64 with its padding (RFC 4648 4), as strict as our base64url,
 * which does the work. @return the text in p, or NULL */
static char *base64_decode(const char *text, apr_pool_t *p)
{
    apr_size_t n = strlen(text);
    char *out = apr_palloc(p, n + 1);
    char *url = apr_pstrmemdup(p, text, n);
    apr_size_t len = 0;
    apr_status_t rv = APR_EINVAL;
    char *c;

    if (n % 4 == 0 && !strpbrk(text, "-_")) {
        n -= n > 0 && text[n - 1] == '=';
        n -= n > 0 && text[n - 1] == '=';
        for (c = url; *c; c++) {
            *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
        }
        rv = rensei_b64url_decode(out, &len, url, n);
    }
    OPENSSL_cleanse(url, strlen(url));
    out[rv == APR_SUCCESS ? len : 0] = '\0';
    return rv == APR_SUCCESS && rensei_utf8_valid(out, len) ? out : NULL;
}

/* RFC 6749 2.3.1 has clients form-encode both parts. Many send them raw, so
 * what does not decode is taken as it is; it is wrong then, and is to be
 * refused like any other wrong secret. */
static const char *part_decode(const char *s, apr_size_t n, apr_pool_t *p)
{
    const char *decoded = rensei_form_decode(s, n, p);

    return decoded ? decoded : apr_pstrmemdup(p, s, n);
}

apr_status_t rensei_authorization_basic(const char **id, const char **secret,
                                        const char *text, apr_pool_t *p,
                                        rensei_err_t *err)
{
    char *pair = strlen(text) <= BASIC_LEN_MAX ? base64_decode(text, p) : NULL;
    const char *colon = pair ? strchr(pair, ':') : NULL;

    if (colon) {
        *id = part_decode(pair, (apr_size_t)(colon - pair), p);
        *secret = part_decode(colon + 1, strlen(colon + 1), p);
    }
    if (pair) {
        OPENSSL_cleanse(pair, strlen(pair));
    }
    return colon ? APR_SUCCESS
                 : rensei_err_set(err, RENSEI_E_INVALID_REQUEST,
                                  "The Authorization header is malformed.");
}
