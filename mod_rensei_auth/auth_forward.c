/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_forward.h"
#include "auth_conf.h"
#include "auth_request.h"
#include "rensei_json.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>

#define PREFIX "x-rensei-"
#define PREFIX_LEN 9

/* A CGI or WSGI server writes X_Rensei_Org and X-Rensei-Org as the same
 * variable, so they are the same header here; and so is X.Rensei.Org, as some
 * write any character that no name of a variable can have. */
static int is_ours(const char *name, apr_size_t n)
{
    apr_size_t i;

    if (n < PREFIX_LEN) {
        return 0;
    }
    for (i = 0; i < PREFIX_LEN; i++) {
        char c = apr_isalnum(name[i]) ? (char)apr_tolower(name[i]) : '-';
        if (c != PREFIX[i]) {
            return 0;
        }
    }
    return 1;
}

/* `Connection: X-Rensei-Org` tells the next proxy, httpd's own, to drop the
 * header that we are going to add. Such a name has no business there. */
static void clean_connection(request_rec *r)
{
    const char *value = apr_table_get(r->headers_in, "Connection");
    const char *kept = NULL;
    char *list, *token, *last = NULL;

    if (!value || !strpbrk(value, "xX")) {
        return;
    }
    list = apr_pstrdup(r->pool, value);
    for (token = apr_strtok(list, ", \t", &last); token;
         token = apr_strtok(NULL, ", \t", &last)) {
        if (!is_ours(token, strlen(token))) {
            kept = kept ? apr_pstrcat(r->pool, kept, ", ", token, NULL) : token;
        }
    }
    if (kept) {
        apr_table_setn(r->headers_in, "Connection", kept);
    }
    else {
        apr_table_unset(r->headers_in, "Connection");
    }
}

int auth_forward_drop_forged(request_rec *r)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *e = (const apr_table_entry_t *)all->elts;
    int i, lists = 0;

    for (i = 0; i < all->nelts; i++) {
        char first = (char)(e[i].key[0] | 0x20); /* in lower case */

        if (first == 'x' && is_ours(e[i].key, strlen(e[i].key))) {
            apr_table_unset(r->headers_in, e[i].key);
            e = (const apr_table_entry_t *)all->elts;
            i = -1; /* the table was closed up */
        }
        lists |= first == 'c'; /* it may be Connection */
    }
    if (lists) {
        clean_connection(r);
    }
    return DECLINED;
}

#define FACTS 6

static const char *const variables[FACTS] = {
    "RENSEI_SUB",    "RENSEI_ORG",  "RENSEI_WORKSPACE",
    "RENSEI_SCOPES", "RENSEI_KIND", "RENSEI_CREDENTIAL"};

static void values_of(const char **value, const rensei_principal_t *pr)
{
    value[0] = pr->sub;
    value[1] = pr->org;
    value[2] = pr->workspace;
    value[3] = pr->scopes_text.p;
    value[4] = rensei_kind_name(pr->kind);
    value[5] = pr->credential;
}

/* The facts, once for both uses.
 * @param fresh none of the names is in the table: to look for them is most of
 *   what it takes to set them */
static void set_identity(apr_table_t *t, const rensei_principal_t *pr,
                         const char *const name[FACTS], int fresh)
{
    const char *value[FACTS];
    int i;

    values_of(value, pr);
    for (i = 0; i < FACTS; i++) {
        if (fresh && value[i]) {
            apr_table_addn(t, name[i], value[i]);
        }
        else if (value[i]) {
            apr_table_setn(t, name[i], value[i]);
        }
        else if (!fresh) {
            apr_table_unset(t, name[i]);
        }
    }
}

/* A claim may be any text, and go into a header: what is not printable ASCII
 * is percent-encoded, as is the percent sign. A line break in a claim must
 * not become a header of its own. */
static const char *encoded(rensei_str_t s, apr_pool_t *p)
{
    char *out = apr_palloc(p, s.n * 3 + 1), *to = out;
    apr_size_t i;

    for (i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c > 0x20 && c < 0x7f && c != '%') {
            *to++ = (char)c;
        }
        else if (c == ' ' && i > 0 && i + 1 < s.n) {
            *to++ = ' ';
        }
        else {
            *to++ = '%';
            *to++ = "0123456789ABCDEF"[c >> 4];
            *to++ = "0123456789ABCDEF"[c & 15];
        }
    }
    *to = '\0';
    return out;
}

static const char *claim_text(const rensei_json_object_t *claims,
                              const char *name, apr_pool_t *p)
{
    const rensei_json_member_t *m = rensei_json_find(claims, name);
    return m ? encoded(rensei_json_unescape(m, p), p) : NULL;
}

/* The claims that the location names: a string as its text, anything else as
 * its JSON. */
static void set_claims(apr_table_t *t, request_rec *r,
                       const apr_array_header_t *list, int as_headers)
{
    rensei_str_t text = auth_request_claims(r);
    rensei_json_object_t claims;
    int i;

    claims.count = 0;
    if (text.n > 0) {
        rensei_json_scan(&claims, text.p, text.n);
    }
    for (i = 0; i < list->nelts; i++) {
        const forward_claim_t *f = &APR_ARRAY_IDX(list, i, forward_claim_t);
        const char *name = as_headers ? f->header : f->variable;
        const char *value = claim_text(&claims, f->claim, r->pool);
        if (value) {
            apr_table_setn(t, name, value);
        }
        else {
            apr_table_unset(t, name);
        }
    }
}

/* A subrequest begins with what its parent had; SetEnv and its like may have
 * used one of the names. */
static int has_none_of_ours(const apr_table_t *env)
{
    const apr_array_header_t *all = apr_table_elts(env);
    const apr_table_entry_t *e = (const apr_table_entry_t *)all->elts;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (strncasecmp(e[i].key, "RENSEI_", 7) == 0) {
            return 0;
        }
    }
    return 1;
}

/* mod_cache stores an answer in spite of Authorization when the application
 * says "public" or "must-revalidate" (RFC 9111 3.5), and gives it to the next
 * caller, of whatever organisation. But here the answer may be the caller's
 * own, by X-Rensei-Sub or RENSEI_SUB, of which a cache knows nothing. */
static int caches;

/* All variables, without a value. */
static apr_table_t *blank;

void auth_forward_child_init(apr_pool_t *p, server_rec *s)
{
    int i;

    caches = ap_find_linked_module("mod_cache.c") != NULL;
    blank = apr_table_make(p, FACTS);
    for (i = 0; i < FACTS; i++) {
        apr_table_setn(blank, variables[i], "");
    }
}

/* Where there is nothing in the environment yet, to add what is always the
 * same in one go takes a fraction of what it takes to add one by one. It stays
 * the table that it was: other modules, and subrequests, may know it.
 * @return 0 where it has to be done so */
static int set_blank(request_rec *r, const rensei_principal_t *pr)
{
    const char *value[FACTS];
    apr_table_entry_t *e;
    int i;

    values_of(value, pr);
    for (i = 0; i < FACTS; i++) {
        if (!value[i]) {
            return 0;
        }
    }
    if (!apr_is_empty_table(r->subprocess_env)) {
        return 0;
    }
    apr_table_overlap(r->subprocess_env, blank, APR_OVERLAP_TABLES_ADD);
    e = (apr_table_entry_t *)apr_table_elts(r->subprocess_env)->elts;
    for (i = 0; i < FACTS; i++) {
        e[i].val = (char *)value[i];
    }
    return 1;
}

int auth_forward_environment(request_rec *r)
{
    const auth_request_t *a = auth_request_peek(r);

    if (!a || !a->principal) {
        return DECLINED;
    }
    if (!set_blank(r, a->principal)) {
        set_identity(r->subprocess_env, a->principal, variables,
                     has_none_of_ours(r->subprocess_env));
    }
    if (auth_dir_conf(r)->claims) {
        set_claims(r->subprocess_env, r, auth_dir_conf(r)->claims, 0);
    }
    if (caches) {
        apr_table_setn(r->subprocess_env, "no-cache", "1");
    }
    return OK;
}

/* What a backend gets in place of what the client sent. A credential that
 * nobody looked at (`Require ip` beside ours let the request in) is not for
 * the backend either. */
static void set_headers(request_rec *r)
{
    static const char *const name[FACTS] = {
        "X-Rensei-Sub",    "X-Rensei-Org",  "X-Rensei-Workspace",
        "X-Rensei-Scopes", "X-Rensei-Kind", "X-Rensei-Credential"};
    const auth_request_t *a = auth_request_peek(r);

    if (auth_dir_conf(r)->forward != 1) {
        return;
    }
    apr_table_unset(r->headers_in, "Authorization");
    if (a && a->principal) {
        set_identity(r->headers_in, a->principal, name, 0);
        if (auth_dir_conf(r)->claims) {
            set_claims(r->headers_in, r, auth_dir_conf(r)->claims, 1);
        }
    }
}

int auth_forward_proxy(request_rec *r)
{
    set_headers(r);
    return OK;
}

/* What mod_proxy is going to ask: by ProxyPass and [P], which set the file
 * name, or by SetHandler. */
static const char *proxy_target(const request_rec *r)
{
    if (r->proxyreq && r->filename &&
        strncasecmp(r->filename, "proxy:", 6) == 0) {
        return r->filename + 6;
    }
    if (r->handler && apr_tolower(*r->handler) == 'p' &&
        strncasecmp(r->handler, "proxy:", 6) == 0) {
        return r->handler + 6;
    }
    return NULL;
}

/* Only these run mod_proxy's fixups; any other, and any to come, does not. */
static int runs_fixups(const char *target)
{
    static const char *const scheme[] = {"http:", "https:", "ws:", "wss:"};
    apr_size_t i;

    for (i = 0; i < sizeof(scheme) / sizeof(scheme[0]); i++) {
        if (strncasecmp(target, scheme[i], strlen(scheme[i])) == 0) {
            return 1;
        }
    }
    return 0;
}

int auth_forward_handler(request_rec *r)
{
    const char *target = proxy_target(r);

    if (target && !runs_fixups(target) && auth_dir_conf(r)->forward == 1) {
        r->headers_in = apr_table_copy(r->pool, r->headers_in);
        set_headers(r);
        /* mod_cache looks for Authorization in what is now without: it would
         * give one caller's answer to the next. */
        apr_table_setn(r->subprocess_env, "no-cache", "1");
    }
    return DECLINED;
}
