/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "rensei_http_basic.h"
#include "rensei_b64.h"
#include "rensei_http_body.h"
#include "rensei_str.h"

#include <apr_strings.h>
#include <openssl/crypto.h>

#define TEXT_LEN_MAX 1024 /* far more than an id and a secret of ours */

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
    const char *decoded = rensei_http_form_decode(s, n, p);

    return decoded ? decoded : apr_pstrmemdup(p, s, n);
}

apr_status_t rensei_http_basic_read(const char **id, const char **secret,
                                    const char *text, apr_pool_t *p,
                                    rensei_err_t *err)
{
    char *pair = strlen(text) <= TEXT_LEN_MAX ? base64_decode(text, p) : NULL;
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
