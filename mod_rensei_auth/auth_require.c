/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_require.h"
#include "auth_check.h"
#include "auth_conf.h"
#include "auth_request.h"
#include "rensei_apikey.h"
#include "rensei_http_log.h"
#include "rensei_id.h"
#include "rensei_json.h"

#include <ap_expr.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_request.h>
#include <mod_auth.h>

APLOG_USE_MODULE(rensei_auth);

/* One word of a Require line: as it stands, or an expression. */
typedef struct word_t {
    rensei_str_t literal; /* p NULL: an expression */
    const ap_expr_info_t *expr;
} word_t;

typedef struct line_t {
    int count;
    word_t *word;
} line_t;

/* Is a value allowed there? Asked of literals at start, and of what an
 * expression gave at each request: it may come from the URL, so it is one
 * value, never a list, never a wildcard. */
typedef int value_ok_fn(const char *value);

/* ---- reading a line ---- */

static const char *parse_word(word_t *w, cmd_parms *cmd, const char *text,
                              value_ok_fn *ok, const char *what)
{
    const char *err = NULL;

    if (strstr(text, "%{")) {
        w->expr = ap_expr_parse_cmd(cmd, text, AP_EXPR_FLAG_STRING_RESULT, &err,
                                    NULL);
        return err ? apr_psprintf(cmd->pool, "Require %s: '%s': %s",
                                  cmd->directive->args, text, err)
                   : NULL;
    }
    if (!ok(text)) {
        return apr_psprintf(cmd->pool, "Require %s: takes %s, not '%s'",
                            cmd->directive->args, what, text);
    }
    w->literal = rensei_str(text);
    return NULL;
}

static const char *parse_line(cmd_parms *cmd, const char *args,
                              const void **out, value_ok_fn *ok,
                              const char *what)
{
    apr_array_header_t *words = apr_array_make(cmd->pool, 4, sizeof(word_t));
    line_t *line = apr_pcalloc(cmd->pool, sizeof(*line));
    const char *text, *wrong;

    auth_check_note_provider(cmd);
    while (*(text = ap_getword_conf(cmd->pool, &args)) != '\0') {
        word_t *w = apr_array_push(words);
        memset(w, 0, sizeof(*w));
        wrong = parse_word(w, cmd, text, ok, what);
        if (wrong) {
            return wrong;
        }
    }
    if (words->nelts == 0) {
        return apr_psprintf(cmd->pool, "Require %s needs %s",
                            cmd->directive->args, what);
    }
    line->count = words->nelts;
    line->word = (word_t *)words->elts;
    *out = line;
    return NULL;
}

/* The word's value for this request, with a NUL behind it; p NULL where it is
 * not one that could match. */
static rensei_str_t word_value(request_rec *r, const word_t *w, value_ok_fn *ok)
{
    static const rensei_str_t none = {NULL, 0};
    const char *err = NULL, *value;

    if (w->literal.p) {
        return w->literal;
    }
    value = ap_expr_str_exec(r, w->expr, &err);
    if (err || !value) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      RSLOG(0040) "an expression of a Require line failed: %s",
                      err ? err : "no value");
        return none;
    }
    return ok(value) ? rensei_str(value) : none;
}

/* Does any word of the line equal the principal's value? */
static int any_word_is(request_rec *r, const line_t *line, value_ok_fn *ok,
                       const char *have)
{
    int i;

    for (i = 0; have && i < line->count; i++) {
        rensei_str_t value = word_value(r, &line->word[i], ok);
        if (value.p && strcmp(value.p, have) == 0) {
            return 1;
        }
    }
    return 0;
}

/* What all providers begin with: who is it? NULL, with *status to return,
 * where nobody was authenticated yet (httpd asks once before anybody is), or
 * not by us. */
static const rensei_principal_t *principal(request_rec *r, authz_status *status)
{
    const auth_request_t *a = auth_request_peek(r);

    if (!r->user) {
        auth_request(r)->wanted = 1;
        *status = AUTHZ_DENIED_NO_USER;
        return NULL;
    }
    *status = AUTHZ_DENIED;
    return a ? a->principal : NULL;
}

/* ---- scopes ---- */

static int ok_scope(const char *v)
{
    return strcmp(v, "*") != 0 && rensei_scope_valid(v, strlen(v));
}

/* What a line answers. `missing` is told as a whole, with what the client has
 * of it, and each scope once: with all of that it would pass. */
static authz_status scope_answer(request_rec *r, const char *scopes, int good)
{
    auth_request_t *a = auth_request(r);
    const char *all = a->missing
                          ? apr_pstrcat(r->pool, a->missing, " ", scopes, NULL)
                          : scopes;
    rensei_scopes_t set;
    rensei_err_t err;

    if ((!good || a->collecting) &&
        !rensei_scopes_parse(&set, all, strlen(all), r->pool, &err)) {
        a->missing = rensei_scopes_text(&set, r->pool);
    }
    if (good) {
        return AUTHZ_GRANTED;
    }
    return a->collecting ? AUTHZ_DENIED_NO_USER : AUTHZ_DENIED;
}

static int has_scope(request_rec *r, const rensei_principal_t *pr,
                     rensei_str_t scope)
{
    return rensei_scope_granted_text(&auth_server_conf(r->server)->vocab,
                                     pr->cls, pr->scopes_text, scope);
}

/* All of a line, for who lacks one. */
static const char *scopes_of(request_rec *r, const line_t *line)
{
    const char *all = "";
    int i;

    for (i = 0; i < line->count; i++) {
        rensei_str_t scope = word_value(r, &line->word[i], ok_scope);
        all = apr_pstrcat(r->pool, all, i > 0 ? " " : "",
                          scope.p ? scope.p : "", NULL);
    }
    return all;
}

static authz_status check_scope(request_rec *r, const char *args,
                                const void *parsed)
{
    const line_t *line = parsed;
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    int i, good = 1;

    if (!pr) {
        return status;
    }
    for (i = 0; i < line->count; i++) {
        rensei_str_t scope = word_value(r, &line->word[i], ok_scope);
        if (!scope.p) {
            return AUTHZ_DENIED;
        }
        good = good && has_scope(r, pr, scope);
    }
    return good && !auth_request_peek(r)->collecting
               ? AUTHZ_GRANTED
               : scope_answer(r, scopes_of(r, line), good);
}

static const char *parse_scope(cmd_parms *cmd, const char *args,
                               const void **parsed)
{
    const char *wrong = parse_line(cmd, args, parsed, ok_scope,
                                   "scopes ('*' is held, never required)");
    const line_t *line = *parsed;
    int i;

    for (i = 0; !wrong && i < line->count; i++) {
        if (line->word[i].literal.p) {
            wrong = auth_check_note_scope(cmd, line->word[i].literal.p);
        }
    }
    return wrong;
}

/* ---- resources: the scope by the method ---- */

static authz_status check_resource(request_rec *r, const char *args,
                                   const void *parsed)
{
    const line_t *line = parsed;
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    int reads = r->method_number == M_GET || r->method_number == M_OPTIONS;
    const char *scope;
    rensei_str_t name;

    if (!pr) {
        return status;
    }
    name = word_value(r, &line->word[0], ok_scope);
    if (!name.p) {
        return AUTHZ_DENIED;
    }
    scope = apr_pstrcat(r->pool, name.p, reads ? ":read" : ":write", NULL);
    return scope_answer(r, scope, has_scope(r, pr, rensei_str(scope)));
}

static const char *parse_resource(cmd_parms *cmd, const char *args,
                                  const void **parsed)
{
    const char *wrong = parse_line(cmd, args, parsed, ok_scope,
                                   "one resource, such as 'sessions'");
    const line_t *line = *parsed;

    if (!wrong && line->count != 1) {
        wrong = "Require rensei-resource takes one resource";
    }
    if (!wrong && line->word[0].literal.p) {
        const char *name = line->word[0].literal.p;
        wrong = auth_check_note_scope(
            cmd, apr_pstrcat(cmd->pool, name, ":read", NULL));
        if (!wrong) {
            wrong = auth_check_note_scope(
                cmd, apr_pstrcat(cmd->pool, name, ":write", NULL));
        }
    }
    return wrong;
}

/* ---- identifiers ---- */

static int ok_id(const char *v)
{
    return rensei_id_safe(v, strlen(v));
}

/* A name in place of an id would never match, and nobody be told. */
static int ok_org(const char *v)
{
    return ok_id(v) && strncmp(v, "org_", 4) == 0;
}

static int ok_workspace(const char *v)
{
    return ok_id(v) && strncmp(v, "ws_", 3) == 0;
}

static int ok_client(const char *v)
{
    return ok_id(v) && strncmp(v, "m2m_", 4) == 0;
}

static const char *parse_org(cmd_parms *cmd, const char *args,
                             const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_org,
                      "ids, org_... ('renseictl org list' shows them)");
}

static const char *parse_workspace(cmd_parms *cmd, const char *args,
                                   const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_workspace,
                      "ids, ws_... ('renseictl workspace list' shows them)");
}

static const char *parse_client(cmd_parms *cmd, const char *args,
                                const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_client,
                      "ids, m2m_... ('renseictl m2m-clients list' shows "
                      "them)");
}

static authz_status check_org(request_rec *r, const char *args,
                              const void *parsed)
{
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    return pr && any_word_is(r, parsed, ok_id, pr->org) ? AUTHZ_GRANTED
                                                        : status;
}

static authz_status check_workspace(request_rec *r, const char *args,
                                    const void *parsed)
{
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    return pr && any_word_is(r, parsed, ok_id, pr->workspace) ? AUTHZ_GRANTED
                                                              : status;
}

static authz_status check_client(request_rec *r, const char *args,
                                 const void *parsed)
{
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    return pr && pr->kind == RENSEI_KIND_M2M &&
                   any_word_is(r, parsed, ok_id, pr->sub)
               ? AUTHZ_GRANTED
               : status;
}

/* ---- kinds ---- */

static int ok_key_type(const char *v)
{
    rensei_class_e cls;
    return rensei_apikey_class(&cls, v);
}

static const char *parse_key_type(cmd_parms *cmd, const char *args,
                                  const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_key_type,
                      "'user', 'worker_registration' or 'org'");
}

static authz_status check_key_type(request_rec *r, const char *args,
                                   const void *parsed)
{
    const line_t *line = parsed;
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    int i;

    if (!pr || pr->kind != RENSEI_KIND_KEY) {
        return status;
    }
    for (i = 0; i < line->count; i++) {
        rensei_str_t type = word_value(r, &line->word[i], ok_key_type);
        rensei_class_e cls;
        if (type.p && rensei_apikey_class(&cls, type.p) && cls == pr->cls) {
            return AUTHZ_GRANTED;
        }
    }
    return AUTHZ_DENIED;
}

static int ok_kind(const char *v)
{
    rensei_kind_e kind;
    return rensei_kind_parse(&kind, v);
}

static const char *parse_kind(cmd_parms *cmd, const char *args,
                              const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_kind, "'m2m', 'key' or 'worker'");
}

static authz_status check_kind(request_rec *r, const char *args,
                               const void *parsed)
{
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    return pr && any_word_is(r, parsed, ok_kind, rensei_kind_name(pr->kind))
               ? AUTHZ_GRANTED
               : status;
}

/* ---- claims ---- */

static int ok_claim(const char *v)
{
    const char *colon = strchr(v, ':');
    return colon && colon > v && colon[1] != '\0';
}

static const char *parse_claim(cmd_parms *cmd, const char *args,
                               const void **parsed)
{
    return parse_line(cmd, args, parsed, ok_claim, "name:value");
}

static int value_is(const rensei_json_member_t *m, rensei_str_t want,
                    apr_pool_t *p)
{
    rensei_json_member_t element;
    apr_size_t at = 0;

    switch (m->type) {
    case RENSEI_JSON_STRING:
        return rensei_str_eq(rensei_json_unescape(m, p), want);
    case RENSEI_JSON_NUMBER:
    case RENSEI_JSON_TRUE:
    case RENSEI_JSON_FALSE:
        return rensei_str_eq(m->value, want);
    case RENSEI_JSON_ARRAY:
        while (rensei_json_next(&element, m->value, &at)) {
            if (element.type != RENSEI_JSON_ARRAY &&
                value_is(&element, want, p)) {
                return 1;
            }
        }
        return 0;
    default:
        return 0;
    }
}

static int has_claim(const rensei_json_object_t *claims, const char *pair,
                     apr_pool_t *p)
{
    const char *colon = strchr(pair, ':');
    const char *name = apr_pstrmemdup(p, pair, (apr_size_t)(colon - pair));
    const rensei_json_member_t *m = rensei_json_find(claims, name);
    return m && value_is(m, rensei_str(colon + 1), p);
}

static authz_status check_claim(request_rec *r, const char *args,
                                const void *parsed)
{
    const line_t *line = parsed;
    authz_status status;
    const rensei_principal_t *pr = principal(r, &status);
    rensei_str_t text = auth_request_claims(r);
    rensei_json_object_t claims;
    int i;

    if (!pr || text.n == 0 || rensei_json_scan(&claims, text.p, text.n)) {
        return status;
    }
    for (i = 0; i < line->count; i++) {
        rensei_str_t pair = word_value(r, &line->word[i], ok_claim);
        if (pair.p && has_claim(&claims, pair.p, r->pool)) {
            return AUTHZ_GRANTED;
        }
    }
    return AUTHZ_DENIED;
}

/* ---- registration ---- */

static const struct {
    const char *name;
    authz_provider provider;
} providers[] = {
    {"rensei-scope", {check_scope, parse_scope}},
    {"rensei-resource", {check_resource, parse_resource}},
    {"rensei-org", {check_org, parse_org}},
    {"rensei-workspace", {check_workspace, parse_workspace}},
    {"rensei-client", {check_client, parse_client}},
    {"rensei-key-type", {check_key_type, parse_key_type}},
    {"rensei-kind", {check_kind, parse_kind}},
    {"rensei-claim", {check_claim, parse_claim}},
};

/* PER_URI, here and for the hooks: with PER_CONF httpd skips authorization on
 * an internal redirect between two URLs of one <LocationMatch>, and a token
 * for /tenants/a opens /tenants/b. */
void auth_require_register(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        ap_register_auth_provider(
            p, AUTHZ_PROVIDER_GROUP, providers[i].name, AUTHZ_PROVIDER_VERSION,
            &providers[i].provider, AP_AUTH_INTERNAL_PER_URI);
    }
}

/* httpd stops at the first line of a <RequireAll> that denies; the client is
 * to be told all the scopes that are needed. So, once it is denied, ask again
 * with our providers giving the one answer at which httpd goes on. The first
 * run has logged all there is to log. */
static void find_all_missing(request_rec *r, auth_request_t *a)
{
    const struct ap_logconf *log = r->log;
    struct ap_logconf *silent = ap_new_log_config(r->pool, NULL);

    silent->level = APLOG_EMERG;
    r->log = silent;
    a->missing = NULL;
    a->collecting = 1;
    ap_run_auth_checker(r);
    a->collecting = 0;
    r->log = log;
}

/* mod_authz_core answers a denial with 401, which tells the client to
 * authenticate again. So run the checkers from here, and turn the denial of
 * one whom we authenticated into RFC 6750's 403. */
int auth_require_check(request_rec *r)
{
    auth_request_t *a = auth_request_peek(r);
    int status;

    if (!a || !a->principal || a->in_authz) {
        return DECLINED;
    }
    a->missing = NULL;
    a->in_authz = 1;
    status = ap_run_auth_checker(r);
    if (status == OK) {
        auth_pass(r);
    }
    else if (status == HTTP_UNAUTHORIZED || status == HTTP_FORBIDDEN) {
        if (a->missing) {
            find_all_missing(r, a);
        }
        status = auth_refuse_principal(r, a->missing);
    }
    a->in_authz = 0;
    return status;
}
