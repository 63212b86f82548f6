/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_check.h"
#include "auth_audit_log.h"
#include "auth_conf.h"
#include "auth_gate.h"
#include "auth_limits.h"
#include "auth_live.h"
#include "auth_secret.h"
#include "rensei_http_conf.h"
#include "rensei_http_log.h"
#include "rensei_http_store.h"

#include <apr_strings.h>
#include <http_core.h>
#include <unixd.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

APLOG_USE_MODULE(rensei_auth);

#define DEFAULT_ISSUER "rensei-platform"
#define DEFAULT_AUDIENCE "rensei-api"
#define DEFAULT_SKEW 10
#define DEFAULT_STALENESS 60
#define DEFAULT_EXPIRY_NOTICE (14 * 86400)
#define DEFAULT_FAILURES 10
#define DEFAULT_FAILURES_SECONDS 60

/* What Require and RenseiAccept lines said, kept until the vocabularies are
 * known; made anew in each pre_config. */
typedef struct noted_t {
    const char *scope; /* of a Require line */
    const ap_directive_t *at;
    server_rec *server;
} noted_t;

static apr_array_header_t *noted_scopes;
static apr_array_header_t *noted_accepts; /* of keys */
static const ap_directive_t *noted_provider;

static void note(apr_array_header_t *list, cmd_parms *cmd, const char *scope)
{
    noted_t *n = apr_array_push(list);

    n->scope = scope;
    n->at = cmd->directive;
    n->server = cmd->server;
}

int auth_check_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp)
{
    noted_scopes = apr_array_make(p, 8, sizeof(noted_t));
    noted_accepts = apr_array_make(p, 8, sizeof(noted_t));
    noted_provider = NULL;
    return OK;
}

/* An .htaccess file is read while requests are served, by several threads. */
static int serving(void)
{
    return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_RUN_MPM;
}

static const char *unknown_scope(const char *args, const char *scope,
                                 apr_pool_t *p)
{
    return apr_psprintf(p,
                        "'Require %s': the scope '%s' is in no vocabulary; "
                        "correct it, or add it with " DIR_SCOPES,
                        args, scope);
}

const char *auth_check_note_scope(cmd_parms *cmd, const char *scope)
{
    if (!serving()) {
        note(noted_scopes, cmd, scope);
        return NULL;
    }
    return rensei_vocab_knows(&auth_server_conf(cmd->server)->vocab,
                              rensei_str(scope))
               ? NULL
               : unknown_scope(cmd->directive->args, scope, cmd->pool);
}

void auth_check_note_key(cmd_parms *cmd)
{
    if (!serving()) {
        note(noted_accepts, cmd, NULL);
    }
}

void auth_check_note_provider(cmd_parms *cmd)
{
    if (!serving() && !noted_provider) {
        noted_provider = cmd->directive;
    }
}

static void set_policy(auth_server_conf_t *c)
{
    rensei_policy_t *pol = &c->policy;

    c->vocab = *rensei_vocab_default();
    if (c->m2m_scopes) {
        c->vocab.m2m = *c->m2m_scopes;
    }
    if (c->key_scopes) {
        c->vocab.key = *c->key_scopes;
    }
    pol->vocab = &c->vocab;
    pol->expect.issuer = c->issuer ? c->issuer : DEFAULT_ISSUER;
    pol->expect.audience = c->audience ? c->audience : DEFAULT_AUDIENCE;
    pol->expect.skew = c->skew >= 0 ? c->skew : DEFAULT_SKEW;
    pol->stateless = !auth_conf_immediate(c);
    pol->base_url = c->base_url;
    auth_limits_set(&pol->limits, c);
    c->throttle.failures =
        c->throttle_failures >= 0 ? c->throttle_failures : DEFAULT_FAILURES;
    c->throttle.seconds = c->throttle_seconds >= 0 ? c->throttle_seconds
                                                   : DEFAULT_FAILURES_SECONDS;
    if (c->staleness < 0) {
        c->staleness = DEFAULT_STALENESS;
    }
    if (c->expiry_notice < 0) {
        c->expiry_notice = DEFAULT_EXPIRY_NOTICE;
    }
}

/* By the vocabulary of the server in which the line stands. */
static int check_scopes(server_rec *main_server, apr_pool_t *ptemp)
{
    int i;

    for (i = 0; i < noted_scopes->nelts; i++) {
        const noted_t *n = &APR_ARRAY_IDX(noted_scopes, i, noted_t);
        const auth_server_conf_t *c = auth_server_conf(n->server);
        if (!rensei_vocab_knows(&c->vocab, rensei_str(n->scope))) {
            ap_log_error(
                APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, main_server,
                RSLOG(0001) "%s line %d: 'Require %s': the scope '%s' is in "
                            "no vocabulary; correct it, or add it "
                            "with " DIR_SCOPES,
                n->at->filename, n->at->line_num, n->at->args, n->scope);
            return 0;
        }
    }
    return 1;
}

/* A key cannot be checked without the store. Where the line stands outside
 * any virtual host, one that has a store may be meant. */
static int check_accept(server_rec *main_server)
{
    int i;

    for (i = 0; i < noted_accepts->nelts; i++) {
        const noted_t *n = &APR_ARRAY_IDX(noted_accepts, i, noted_t);
        server_rec *s = n->server;
        int has = auth_conf_has_store(auth_server_conf(s));

        for (s = n->server == main_server ? s : NULL; s && !has; s = s->next) {
            has = auth_conf_has_store(auth_server_conf(s));
        }
        if (!has) {
            ap_log_error(
                APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, main_server,
                RSLOG(0007) "%s line %d: '" DIR_ACCEPT " %s': a key is looked "
                            "up in the store, and there is none; leave 'key' "
                            "out, or say 'DBDriver sqlite3' and 'DBDParams "
                            "/path/to/store.db'",
                n->at->filename, n->at->line_num, n->at->args);
            return 0;
        }
    }
    return 1;
}

/* Does anything there need our keys: Bearer, or one of our handlers? */
static int tree_uses_us(const ap_directive_t *tree)
{
    return rensei_http_conf_uses(tree, "AuthType", "Bearer") ||
           rensei_http_conf_handler(tree, "rensei-token") ||
           rensei_http_conf_handler(tree, "rensei-admin");
}

static int check_provider(server_rec *s)
{
    if (!noted_provider ||
        rensei_http_conf_uses(ap_conftree, "AuthType", "Bearer")) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                 RSLOG(0002) "%s line %d: '%s %s' needs a credential to look "
                             "at; say 'AuthType Bearer' in the same section",
                 noted_provider->filename, noted_provider->line_num,
                 noted_provider->directive, noted_provider->args);
    return 0;
}

static int check_store(server_rec *s)
{
    auth_server_conf_t *c = auth_server_conf(s);
    const char *what = NULL;

    if (!auth_conf_immediate(c)) {
        return 1;
    }
    if (!rensei_http_store_available()) {
        what = "load mod_dbd ('LoadModule dbd_module modules/mod_dbd.so', or "
               "a2enmod dbd) and say 'DBDriver sqlite3' and 'DBDParams "
               "/path/to/store.db'";
    }
    else if (!auth_conf_has_store(c)) {
        what = "say 'DBDriver sqlite3' and 'DBDParams /path/to/store.db'";
    }
    else if (!auth_live_watchdog_available()) {
        what = "load mod_watchdog";
    }
    if (!what) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                 RSLOG(0003) "immediate revocation needs a store: %s; or say "
                             "'" DIR_REVOCATION " expiry' to check tokens "
                             "without one",
                 what);
    return 0;
}

/* Trailers are merged into the headers when the body has been read: after the
 * X-Rensei-* headers of the client's own were dropped, and, for FastCGI and
 * its like, after ours were set. */
static int check_trailers(server_rec *s)
{
    if (!rensei_http_conf_uses(ap_conftree, "MergeTrailers", "On")) {
        return 1;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                 RSLOG(0009) "'MergeTrailers On' lets a client put X-Rensei-* "
                             "headers of its own into a request after they "
                             "were looked at; say 'MergeTrailers Off'");
    return 0;
}

/* The keys, then the secrets; M2M_JWT_SECRET where neither is given. */
static const apr_array_header_t *all_sources(const auth_server_conf_t *c,
                                             apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 2, sizeof(auth_source_t));

    if (c->keys) {
        apr_array_cat(all, c->keys);
    }
    if (c->secrets) {
        apr_array_cat(all, c->secrets);
    }
    if (all->nelts == 0) {
        auth_source_t *src = apr_array_push(all);
        memset(src, 0, sizeof(*src));
        src->text = "env:" ENV_SECRET;
    }
    return all;
}

/* What was said once of several virtual hosts is not said again. */
static int report(const char *number, const char *wrong, server_rec *s,
                  apr_table_t *said)
{
    if (!apr_table_get(said, wrong)) {
        apr_table_setn(said, wrong, "");
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "%s%s",
                     number, wrong);
    }
    return 0;
}

static int check_secrets(server_rec *s, apr_table_t *said, apr_pool_t *ptemp)
{
    const char *wrong =
        auth_secret_load(auth_server_conf(s)->sources, s, ptemp);
    if (wrong) {
        return report(RSLOG(0004), wrong, s, said);
    }
    /* each by itself is right; are they all together? configtest runs no
     * command, and so does not know what one would give */
    return auth_secret_ring(auth_server_conf(s)->sources, s, ptemp) != NULL ||
           !auth_secret_known(auth_server_conf(s)->sources, s);
}

/* Who serves requests: User, where httpd is started as root. */
static uid_t run_user(void)
{
    return geteuid() == 0 ? ap_unixd_config.user_id : geteuid();
}

/* Group rights are not followed up: whose groups are which is for the kernel
 * to say, when it comes to it. */
static int folder_writable(const char *path, apr_pool_t *p)
{
    struct stat st;
    const char *folder = ap_make_dirstr_parent(p, path);

    if (stat(folder, &st) != 0) {
        return 0;
    }
    return st.st_uid == run_user() ? (st.st_mode & S_IWUSR) != 0
                                   : (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* An empty file gets our tables. One that we may not read is for the children
 * to judge. To close it drops no lock of SQLite's, as the parent has none. */
static int may_be_database(const char *path)
{
    static const char head[] = "SQLite format 3";
    char first[sizeof(head)];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? 0 : read(file, first, sizeof(first));

    if (file >= 0) {
        close(file);
    }
    return n <= 0 || (n == (ssize_t)sizeof(head) &&
                      memcmp(first, head, sizeof(head)) == 0);
}

/* SQLite would make the file anew, empty, and every credential be unknown. */
static const char *sqlite_wrong(const char *path, apr_pool_t *p)
{
    struct stat st;
    const char *make = apr_psprintf(
        p, "'renseictl --store sqlite3:%s db init --owner USER' makes it",
        path);

    if (*path != '/') {
        return apr_psprintf(p, "DBDParams '%s' is not an absolute path", path);
    }
    if (stat(path, &st) != 0) {
        return apr_psprintf(p, "the store %s: %s; %s", path, strerror(errno),
                            make);
    }
    if (!S_ISREG(st.st_mode)) {
        return apr_psprintf(p, "the store %s is not a file; %s", path, make);
    }
    if (st.st_uid != run_user()) {
        return apr_psprintf(p,
                            "the store %s does not belong to the user that "
                            "httpd runs as; chown it, and its -wal and -shm",
                            path);
    }
    if (st.st_mode & 077) {
        return apr_psprintf(p,
                            "the store %s can be used by others than its "
                            "owner; 'chmod 600 %s'",
                            path, path);
    }
    if (!(st.st_mode & S_IWUSR)) {
        return apr_psprintf(p,
                            "the store %s cannot be written to by its owner; "
                            "'chmod 600 %s', and its -wal and -shm",
                            path, path);
    }
    if (!may_be_database(path)) {
        return apr_psprintf(p,
                            "the store %s is not a SQLite database, or is "
                            "damaged; put a backup in its place with "
                            "'renseictl db restore'",
                            path);
    }
    return folder_writable(path, p)
               ? NULL
               : apr_psprintf(p,
                              "the folder of the store %s cannot be written "
                              "to by the user that httpd runs as",
                              path);
}

static int check_file(server_rec *s, apr_table_t *said, apr_pool_t *ptemp)
{
    const auth_server_conf_t *c = auth_server_conf(s);
    const char *wrong;

    if (!auth_conf_has_store(c) || strcmp(c->dbd_driver, "sqlite3") != 0) {
        return 1;
    }
    wrong = sqlite_wrong(c->dbd_params, ptemp);
    return wrong ? report(RSLOG(0008), wrong, s, said) : 1;
}

/* The subtrees of a virtual host, found by where it was defined, or all that
 * is outside of any. */
static int server_uses_us(const server_rec *s, const server_rec *main_server)
{
    const ap_directive_t *d;
    int vhost = s != main_server;

    for (d = ap_conftree; d; d = d->next) {
        int is_vhost = strcasecmp(d->directive, "<VirtualHost") == 0;
        if (is_vhost && vhost && s->defn_name &&
            d->line_num == (int)s->defn_line_number &&
            strcmp(d->filename, s->defn_name) == 0 &&
            tree_uses_us(d->first_child)) {
            return 1;
        }
        if (!is_vhost) {
            ap_directive_t alone = *d;
            alone.next = NULL;
            if (tree_uses_us(&alone)) {
                return 1;
            }
        }
    }
    return 0;
}

/* What the machine has to have for the configuration: secrets, the file of
 * the store, the folder of a log. One virtual host's fault takes no other's
 * keys away. */
static int check_machine(server_rec *main_server, apr_pool_t *ptemp)
{
    apr_table_t *said = apr_table_make(ptemp, 2);
    server_rec *s;
    int good = auth_audit_log_check(main_server, ptemp);

    for (s = main_server; s; s = s->next) {
        if (auth_server_conf(s)->sources) {
            good = check_secrets(s, said, ptemp) && good;
            good = check_file(s, said, ptemp) && good;
        }
    }
    return good;
}

static int verdict(int good)
{
    return good ? OK : rensei_http_conf_refuse();
}

/* Runs for whatever httpd is called, `-k stop` too, which must not fail for
 * what the machine lacks by now; so only configtest looks at that from here. */
int auth_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *main_server)
{
    server_rec *s;
    int good = 1;

    rensei_http_store_retrieve();
    for (s = main_server; s; s = s->next) {
        set_policy(auth_server_conf(s));
    }
    good = check_scopes(main_server, ptemp) && check_provider(main_server) &&
           check_accept(main_server) && check_trailers(main_server);
    for (s = main_server; s; s = s->next) {
        auth_server_conf_t *c = auth_server_conf(s);
        int used = server_uses_us(s, main_server);
        /* also where only an .htaccess file, which is not looked into, may
         * use them */
        if (used || c->keys || c->secrets) {
            c->sources = all_sources(c, p);
        }
        if (used) {
            good = check_store(s) && good;
        }
    }
    if (ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST) {
        good = check_machine(main_server, ptemp) && good;
    }
    return verdict(good);
}

/* A start or a restart, as root, before core.c turns stderr into the error
 * log: what is said here is seen by who starts httpd. */
int auth_check_open_logs(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                         server_rec *main_server)
{
    return verdict(check_machine(main_server, ptemp));
}

int auth_check_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                           server_rec *main_server)
{
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        auth_server_conf_t *c = auth_server_conf(s);
        if (c->sources) {
            c->policy.ring = auth_secret_ring(c->sources, s, p);
        }
    }
    auth_gate_post_config(main_server);
    return auth_live_post_config(p, main_server);
}
