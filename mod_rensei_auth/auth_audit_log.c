/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_audit_log.h"
#include "auth_conf.h"
#include "rensei_audit.h"
#include "rensei_http_conf.h"
#include "rensei_http_log.h"
#include "rensei_sys.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <http_core.h>

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

APLOG_USE_MODULE(rensei_auth);

#define SAY_AGAIN apr_time_from_sec(60)
#define MODE (APR_FPROT_UREAD | APR_FPROT_UWRITE | APR_FPROT_GREAD)

struct auth_audit_log_t {
    const char *name; /* as the directive says it */
    apr_file_t *file;
    pthread_mutex_t *mutex; /* of all children; NULL for a file */
    apr_time_t said_at;     /* when this child last said that it fails */
};

const char *auth_audit_log_directive(cmd_parms *cmd, void *dir, const char *arg)
{
    const char *wrong = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (wrong) {
        return wrong;
    }
    if (strcmp(arg, "|") == 0) {
        return DIR_AUDIT_LOG " takes a file, or '|' and a program, as "
                             "CustomLog does";
    }
    auth_server_conf(cmd->server)->audit_log = arg;
    return NULL;
}

/* ---- checking ---- */

static const char *program_wrong(const char *command, apr_pool_t *p)
{
    char **argv;

    if (*command == '|') {
        command++;
    }
    if (*command == '$') {
        return NULL; /* a line for the shell */
    }
    if (apr_tokenize_to_argv(command, &argv, p) != APR_SUCCESS || !argv[0]) {
        return "it names no program";
    }
    return argv[0][0] == '/' && access(argv[0], X_OK) != 0
               ? apr_psprintf(p, "%s cannot be run: %s", argv[0],
                              strerror(errno))
               : NULL;
}

static const char *file_wrong(const char *name, apr_pool_t *p)
{
    const char *path = ap_server_root_relative(p, name);
    apr_finfo_t is;
    const char *folder;

    if (!path) {
        return "that is no path";
    }
    if (apr_stat(&is, path, APR_FINFO_TYPE, p) == APR_SUCCESS) {
        return is.filetype == APR_DIR ? "that is a directory; name a file in it"
                                      : NULL;
    }
    folder = ap_make_dirstr_parent(p, path);
    return apr_stat(&is, folder, APR_FINFO_TYPE, p) == APR_SUCCESS &&
                   is.filetype == APR_DIR
               ? NULL
               : apr_psprintf(p,
                              "there is no directory %s; create it, writable "
                              "for root alone",
                              folder);
}

int auth_audit_log_check(server_rec *main_server, apr_pool_t *ptemp)
{
    server_rec *s;
    int good = 1;

    for (s = main_server; s; s = s->next) {
        const char *name = auth_server_conf(s)->audit_log;
        const char *wrong = NULL;
        if (name) {
            wrong = *name == '|' ? program_wrong(name + 1, ptemp)
                                 : file_wrong(name, ptemp);
        }
        if (wrong) {
            ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, 0, s,
                         RSLOG(0050) DIR_AUDIT_LOG " %s: %s", name, wrong);
            good = 0;
        }
    }
    return good;
}

/* ---- opening ---- */

/* A line that is longer than a pipe takes at once could get another child's
 * in its middle. */
static apr_status_t mutex_make(pthread_mutex_t **out, apr_pool_t *p)
{
    apr_shm_t *shm;
    pthread_mutexattr_t attr;
    /* NOLINTNEXTLINE(cert-fio38-c): takes a struct with a mutex for a FILE */
    apr_status_t rv = apr_shm_create(&shm, sizeof(**out), NULL, p);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    *out = apr_shm_baseaddr_get(shm);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    rv = pthread_mutex_init(*out, &attr);
    pthread_mutexattr_destroy(&attr);
    return rv;
}

static apr_status_t log_open(auth_audit_log_t *log, apr_pool_t *p)
{
    piped_log *piped;
    apr_status_t rv;

    if (*log->name != '|') {
        return apr_file_open(&log->file, ap_server_root_relative(p, log->name),
                             APR_FOPEN_WRITE | APR_FOPEN_APPEND |
                                 APR_FOPEN_CREATE | APR_FOPEN_LARGEFILE,
                             MODE, p);
    }
    rv = mutex_make(&log->mutex, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    piped = ap_open_piped_log(p, log->name + 1);
    if (!piped) {
        return APR_EGENERAL;
    }
    log->file = ap_piped_log_write_fd(piped);
    return APR_SUCCESS;
}

/* The log of that name, which virtual hosts can share; NULL when it cannot be
 * opened. */
static auth_audit_log_t *log_find(apr_hash_t *logs, server_rec *s,
                                  apr_pool_t *p)
{
    const char *name = auth_server_conf(s)->audit_log;
    auth_audit_log_t *log = apr_hash_get(logs, name, APR_HASH_KEY_STRING);
    apr_status_t rv;

    if (log) {
        return log;
    }
    log = apr_pcalloc(p, sizeof(*log));
    log->name = name;
    rv = log_open(log, p);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG | APLOG_STARTUP, rv, s,
                     RSLOG(0051) DIR_AUDIT_LOG " %s cannot be opened", name);
        return NULL;
    }
    apr_hash_set(logs, name, APR_HASH_KEY_STRING, log);
    return log;
}

int auth_audit_log_open(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp,
                        server_rec *main_server)
{
    apr_hash_t *logs = apr_hash_make(ptemp);
    server_rec *s;
    int good = 1;

    for (s = main_server; s; s = s->next) {
        auth_server_conf_t *c = auth_server_conf(s);
        if (c->audit_log) {
            c->audit_log_open = log_find(logs, s, p);
            good = good && c->audit_log_open;
        }
    }
    return good ? OK : rensei_http_conf_refuse();
}

/* ---- writing ---- */

/* Once in a while: a full disk is not to be filled with words about it. Two
 * threads may both say it, which does no harm. */
static void say_failed(server_rec *s, auth_audit_log_t *log, apr_status_t rv)
{
    apr_time_t now = rensei_sys_elapsed();

    if (log->said_at && now - log->said_at < SAY_AGAIN) {
        return;
    }
    log->said_at = now;
    ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                 RSLOG(0052) "audit events cannot be written to %s; they are "
                             "in the store",
                 log->name);
}

static apr_status_t line_write(auth_audit_log_t *log, const char *line)
{
    apr_size_t n = strlen(line);
    apr_status_t rv;

    if (!log->mutex) {
        return apr_file_write_full(log->file, line, n, NULL);
    }
    /* A child that died in the middle of a line leaves half of it. */
    if (pthread_mutex_lock(log->mutex) == EOWNERDEAD) {
        pthread_mutex_consistent(log->mutex);
        apr_file_write_full(log->file, "\n", 1, NULL);
    }
    rv = apr_file_write_full(log->file, line, n, NULL);
    pthread_mutex_unlock(log->mutex);
    return rv;
}

static void witness(void *baton, const rensei_event_t *ev, apr_pool_t *p)
{
    server_rec *s = baton;
    auth_audit_log_t *log = auth_server_conf(s)->audit_log_open;
    const char *text =
        rensei_json_dump(rensei_json_own(rensei_event_json(ev, p), p), p);
    apr_status_t rv =
        text ? line_write(log, apr_pstrcat(p, text, "\n", NULL)) : APR_ENOMEM;

    if (rv != APR_SUCCESS) {
        say_failed(s, log, rv);
    }
}

rensei_witness_fn *auth_audit_log_witness(server_rec *s, void **baton)
{
    *baton = s;
    return auth_server_conf(s)->audit_log_open ? witness : NULL;
}
