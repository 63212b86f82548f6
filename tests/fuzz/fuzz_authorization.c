/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The Authorization header, and the id and secret in it.
 */
#include "fuzz.h"
#include "rensei_authorization.h"

#include <apr_base64.h>
#include <apr_strings.h>
#include <string.h>

/* Each byte as %XX, which is one of the ways to write it. */
static const char *escaped(const char *s, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(s) * 3 + 1), *to = out;

    for (; *s; s++, to += 3) {
        apr_snprintf(to, 4, "%%%02x", (unsigned char)*s);
    }
    *to = '\0';
    return out;
}

/* What was read, written down again, is read as the same. */
static void check_basic(const char *text, apr_pool_t *p)
{
    const char *id, *secret, *id2, *secret2, *pair;
    rensei_err_t err = {0};
    char *again;

    if (rensei_authorization_basic(&id, &secret, text, p, &err) !=
        APR_SUCCESS) {
        FUZZ_HOLDS(err.code == RENSEI_E_INVALID_REQUEST && err.text);
        return;
    }
    FUZZ_HOLDS(rensei_utf8_valid(id, strlen(id)) &&
               rensei_utf8_valid(secret, strlen(secret)));
    pair = apr_pstrcat(p, escaped(id, p), ":", escaped(secret, p), NULL);
    again = apr_palloc(p, (apr_size_t)apr_base64_encode_len((int)strlen(pair)));
    apr_base64_encode(again, pair, (int)strlen(pair));
    if (strlen(again) <= 1024) {
        FUZZ_HOLDS(rensei_authorization_basic(&id2, &secret2, again, p, &err) ==
                   APR_SUCCESS);
        FUZZ_HOLDS(strcmp(id, id2) == 0 && strcmp(secret, secret2) == 0);
    }
}

void fuzz_authorization(const char *text, apr_size_t n, apr_pool_t *p)
{
    const char *header = fuzz_string(text, n, p);
    rensei_str_t c = {NULL, 0};
    rensei_scheme_e scheme = rensei_authorization_read(&c, header, 1);

    if (scheme == RENSEI_SCHEME_OTHER || scheme == RENSEI_SCHEME_MALFORMED) {
        FUZZ_HOLDS(c.p == NULL);
        return;
    }
    FUZZ_HOLDS(c.p > header && c.p + c.n == header + strlen(header));
    FUZZ_HOLDS(c.n == 0 || *c.p != ' ');
    if (rensei_authorization_valid(c)) {
        FUZZ_HOLDS(c.n > 0 && strcspn(c.p, " ,\t\r\n\";") == c.n);
    }
    if (scheme == RENSEI_SCHEME_BASIC) {
        FUZZ_HOLDS(rensei_authorization_read(&c, header, 0) !=
                   RENSEI_SCHEME_BASIC);
        check_basic(c.p, p);
    }
}
