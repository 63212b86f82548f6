/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "auth_secret.h"
#include "rensei_http_log.h"
#include "rensei_sys.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <http_config.h>
#include <http_core.h>
#include <openssl/crypto.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

APLOG_USE_MODULE(rensei_auth);

#define SECRET_MAX 16384 /* bytes; an RSA key as PEM has 3,300 */
#define EXEC_SECONDS 10
#define KEPT_KEY "rensei_auth:secrets"

/* One source, in the process's pool; no pointer into this module, which is
 * unloaded and loaded again in a restart. */
typedef struct kept_t {
    apr_size_t n;
    int generation; /* the configuration's, when it was read */
    unsigned char bytes[SECRET_MAX];
} kept_t;

static apr_hash_t *kept_table(server_rec *s)
{
    apr_pool_t *pool = s->process->pool;
    void *data = NULL;

    apr_pool_userdata_get(&data, KEPT_KEY, pool);
    if (!data) {
        data = apr_hash_make(pool);
        apr_pool_userdata_set(data, KEPT_KEY, apr_pool_cleanup_null, pool);
    }
    return data;
}

static kept_t *kept_find(server_rec *s, const char *source)
{
    return apr_hash_get(kept_table(s), source, APR_HASH_KEY_STRING);
}

static void keep(server_rec *s, const char *source, const unsigned char *bytes,
                 apr_size_t n)
{
    kept_t *k = kept_find(s, source);

    if (!k) {
        k = apr_pcalloc(s->process->pool, sizeof(*k));
        apr_hash_set(kept_table(s), apr_pstrdup(s->process->pool, source),
                     APR_HASH_KEY_STRING, k);
    }
    OPENSSL_cleanse(k->bytes, sizeof(k->bytes));
    memcpy(k->bytes, bytes, n);
    k->n = n;
    k->generation = ap_state_query(AP_SQ_CONFIG_GEN);
}

int auth_source_valid(const char *text)
{
    return (strncmp(text, "env:", 4) == 0 && text[4]) ||
           strncmp(text, "file:/", 6) == 0 || strncmp(text, "exec:/", 6) == 0;
}

/* Takes the variable out of the environment, the memory too that
 * /proc/PID/environ shows. */
static const char *read_env(unsigned char *buf, apr_size_t *n, const char *name,
                            apr_pool_t *p)
{
    char *value = getenv(name);

    if (!value || !*value) {
        return apr_psprintf(
            p,
            "no secret: the environment has no %s; set it (32 bytes or more; "
            "on Debian in /etc/apache2/envvars), or say 'RenseiSecret "
            "file:/etc/apache2/rensei.secret' and make that file with "
            "'renseictl secret new --out /etc/apache2/rensei.secret'",
            name);
    }
    *n = strlen(value);
    if (*n > SECRET_MAX) {
        return apr_psprintf(p, "the secret in %s is longer than %d bytes", name,
                            SECRET_MAX);
    }
    memcpy(buf, value, *n);
    OPENSSL_cleanse(value, *n);
    unsetenv(name);
    return NULL;
}

static const char *check_file(int fd, const char *path, apr_pool_t *p)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return apr_psprintf(p, "the secret file %s is not a regular file",
                            path);
    }
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        return apr_psprintf(p,
                            "the secret file %s has another owner than root; "
                            "'chown root %s'",
                            path, path);
    }
    if (st.st_mode & 077) {
        return apr_psprintf(p,
                            "the secret file %s can be read by others than "
                            "its owner; 'chmod 600 %s'",
                            path, path);
    }
    return NULL;
}

static const char *read_fd(unsigned char *buf, apr_size_t *n, int fd,
                           const char *what, apr_pool_t *p)
{
    apr_size_t have = 0;
    ssize_t got;

    while (have < SECRET_MAX &&
           (got = read(fd, buf + have, SECRET_MAX - have)) != 0) {
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return apr_psprintf(p, "the secret from %s cannot be read: %s",
                                what, strerror(errno));
        }
        have += (apr_size_t)got;
    }
    if (have == SECRET_MAX) {
        return apr_psprintf(p, "the secret from %s is %d bytes or longer", what,
                            SECRET_MAX);
    }
    while (have > 0 && (buf[have - 1] == '\n' || buf[have - 1] == '\r')) {
        have--;
    }
    *n = have;
    return NULL;
}

static const char *not_opened(const char *path, int why, apr_pool_t *p)
{
    const char *advice = "";

    if (why == ENOENT) {
        advice = apr_psprintf(p,
                              "; 'renseictl secret new --out %s' makes one "
                              "(of a signing key, 'renseictl signing-key "
                              "new')",
                              path);
    }
    else if (why == ELOOP) {
        advice = "; a symbolic link is not followed";
    }
    else if (why == EACCES) {
        advice = "; it is read as the user who starts httpd";
    }
    return apr_psprintf(p, "the secret file %s cannot be opened: %s%s", path,
                        strerror(why), advice);
}

/* No symbolic link, no pipe that would block the start. */
static const char *read_file(unsigned char *buf, apr_size_t *n,
                             const char *path, apr_pool_t *p)
{
    const char *wrong;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return not_opened(path, errno, p);
    }
    wrong = check_file(fd, path, p);
    if (!wrong) {
        wrong = read_fd(buf, n, fd, path, p);
    }
    close(fd);
    return wrong;
}

static const char *read_output(unsigned char *buf, apr_size_t *n,
                               apr_proc_t *proc, apr_time_t deadline,
                               const char *command, apr_pool_t *p)
{
    apr_size_t have = 0, got;
    apr_status_t rv = APR_SUCCESS;

    while (have < SECRET_MAX && rv == APR_SUCCESS) {
        apr_interval_time_t left = deadline - rensei_sys_elapsed();
        apr_file_pipe_timeout_set(proc->out, left > 0 ? left : 0);
        got = SECRET_MAX - have;
        rv = apr_file_read(proc->out, (char *)buf + have, &got);
        have += rv == APR_SUCCESS ? got : 0;
    }
    if (rv != APR_EOF) {
        return apr_psprintf(p,
                            "the secret command %s did not end within %d "
                            "seconds, or wrote too much",
                            command, EXEC_SECONDS);
    }
    while (have > 0 && (buf[have - 1] == '\n' || buf[have - 1] == '\r')) {
        have--;
    }
    *n = have;
    return NULL;
}

/* One that closed its output and lingers is ended, too. */
static int wait_command(apr_proc_t *proc, apr_time_t deadline)
{
    int code = 0;
    apr_exit_why_e why = APR_PROC_EXIT;

    while (apr_proc_wait(proc, &code, &why, APR_NOWAIT) != APR_CHILD_DONE) {
        if (rensei_sys_elapsed() > deadline) {
            apr_proc_kill(proc, SIGKILL);
            apr_proc_wait(proc, &code, &why, APR_WAIT);
            break;
        }
        apr_sleep(10000);
    }
    return APR_PROC_CHECK_EXIT(why) && code == 0;
}

static const char *run_command(unsigned char *buf, apr_size_t *n,
                               const char *command, apr_pool_t *p)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                                      NULL};
    apr_procattr_t *attr;
    apr_proc_t proc;
    apr_time_t deadline =
        rensei_sys_elapsed() + apr_time_from_sec(EXEC_SECONDS);
    char **argv;
    const char *wrong;

    if (apr_tokenize_to_argv(command, &argv, p) ||
        apr_procattr_create(&attr, p) ||
        apr_procattr_io_set(attr, APR_NO_PIPE, APR_FULL_BLOCK, APR_NO_PIPE) ||
        apr_procattr_cmdtype_set(attr, APR_PROGRAM) ||
        apr_procattr_error_check_set(attr, 1) ||
        apr_proc_create(&proc, argv[0], (const char *const *)argv, env, attr,
                        p)) {
        return apr_psprintf(p, "the secret command %s cannot be run", command);
    }
    wrong = read_output(buf, n, &proc, deadline, command, p);
    if (!wait_command(&proc, wrong ? 0 : deadline) && !wrong) {
        wrong = apr_psprintf(p, "the secret command %s failed", command);
    }
    return wrong;
}

/* configtest runs nothing: it may be typed at any time, by anyone. */
static const char *check_command(const char *command, apr_pool_t *p)
{
    char **argv;

    if (apr_tokenize_to_argv(command, &argv, p) || access(argv[0], X_OK)) {
        return apr_psprintf(p,
                            "the secret command %s is not an executable "
                            "file",
                            command);
    }
    return NULL;
}

static apr_status_t ring_add(rensei_ring_t *ring, const auth_source_t *src,
                             const unsigned char *bytes, apr_size_t n,
                             rensei_err_t *err)
{
    return src->pem
               ? rensei_ring_add_pem(ring, bytes, n, src->alg, src->kid, err)
               : rensei_ring_add_secret(ring, bytes, n, src->kid, err);
}

/* Is it a key at all? Found out before it takes the place of one that is. */
static const char *check_key(const auth_source_t *src, int first,
                             const unsigned char *bytes, apr_size_t n,
                             apr_pool_t *p)
{
    rensei_ring_t *ring;
    rensei_err_t err = {0};
    apr_pool_t *own;
    const char *wrong = NULL;

    apr_pool_create(&own, p);
    if (rensei_ring_create(&ring, own)) {
        wrong = "OpenSSL has no SHA-256";
    }
    else if (ring_add(ring, src, bytes, n, &err)) {
        wrong = apr_psprintf(p, "the key from %s cannot be used: %s", src->text,
                             err.text);
    }
    else if (first && !rensei_ring_key_signs(rensei_ring_at(ring, 0))) {
        wrong = apr_psprintf(p,
                             "the first key signs, and that from %s is a "
                             "public one",
                             src->text);
    }
    apr_pool_destroy(own);
    return wrong;
}

static const char *read_source(unsigned char *buf, apr_size_t *n,
                               const auth_source_t *src, int first,
                               apr_pool_t *p)
{
    const char *rest = src->text + 4;
    const char *wrong = NULL;

    if (strncmp(src->text, "env:", 4) == 0) {
        wrong = read_env(buf, n, rest, p);
    }
    else if (strncmp(src->text, "file:", 5) == 0) {
        wrong = read_file(buf, n, rest + 1, p);
    }
    else {
        wrong = run_command(buf, n, rest + 1, p);
    }
    if (!wrong && !src->pem && *n < RENSEI_SECRET_LEN_MIN) {
        wrong = apr_psprintf(p,
                             "the secret from %s has %d bytes; it needs %d or "
                             "more ('renseictl secret new' makes one)",
                             src->text, (int)*n, RENSEI_SECRET_LEN_MIN);
    }
    if (!wrong && !src->pem && memcmp(buf, "-----BEGIN", 10) == 0) {
        /* a public one, published, would be everybody's secret */
        wrong = apr_psprintf(
            p, "%s is a key, not a secret; say RenseiSigningKey", src->text);
    }
    return wrong ? wrong : check_key(src, first, buf, *n, p);
}

/* Both passes of a start read the configuration: the second takes what the
 * first one read, so that a command runs once, and a variable, which is gone
 * by then, is not missed. */
static int already_read(const kept_t *k, const char *source)
{
    int gen = ap_state_query(AP_SQ_CONFIG_GEN);

    if (!k) {
        return 0;
    }
    if (strncmp(source, "env:", 4) == 0) {
        return getenv(source + 4) == NULL;
    }
    return k->generation == gen || (k->generation == 0 && gen == 1);
}

static const char *load_one(const auth_source_t *src, int first, server_rec *s,
                            apr_pool_t *p)
{
    unsigned char buf[SECRET_MAX];
    apr_size_t n = 0;
    kept_t *k = kept_find(s, src->text);
    const char *wrong;

    if (already_read(k, src->text)) {
        return NULL;
    }
    if (strncmp(src->text, "exec:", 5) == 0 &&
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return check_command(src->text + 5, p);
    }
    wrong = read_source(buf, &n, src, first, p);
    if (!wrong) {
        keep(s, src->text, buf, n);
    }
    else if (k) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     RSLOG(0005) "what was read before stays in use: %s",
                     wrong);
        wrong = NULL;
    }
    OPENSSL_cleanse(buf, sizeof(buf));
    return wrong;
}

const char *auth_secret_load(const apr_array_header_t *sources, server_rec *s,
                             apr_pool_t *ptemp)
{
    int i;

    for (i = 0; i < sources->nelts; i++) {
        const auth_source_t *src = &APR_ARRAY_IDX(sources, i, auth_source_t);
        const char *wrong = load_one(src, i == 0, s, ptemp);
        if (wrong) {
            return apr_psprintf(ptemp, "%s: %s",
                                src->pem ? "RenseiSigningKey" : "RenseiSecret",
                                wrong);
        }
    }
    return NULL;
}

const rensei_ring_t *auth_secret_ring(const apr_array_header_t *sources,
                                      server_rec *s, apr_pool_t *p)
{
    rensei_ring_t *ring;
    rensei_err_t err = {0};
    int i;

    if (rensei_ring_create(&ring, p) != APR_SUCCESS) {
        return NULL;
    }
    for (i = 0; i < sources->nelts; i++) {
        const auth_source_t *src = &APR_ARRAY_IDX(sources, i, auth_source_t);
        const kept_t *k = kept_find(s, src->text);
        if (!k && i == 0) {
            /* It signs; none of the others may in its place. */
            return NULL;
        }
        if (k && ring_add(ring, src, k->bytes, k->n, &err)) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                         RSLOG(0006) "a key cannot be used (%s): %s", src->text,
                         err.text);
            return NULL;
        }
    }
    if (!rensei_ring_signer(ring)) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                     RSLOG(0015) "the first key signs, and the one given is a "
                                 "public key");
        return NULL;
    }
    return ring;
}

int auth_secret_known(const apr_array_header_t *sources, server_rec *s)
{
    int i;

    for (i = 0; i < sources->nelts; i++) {
        if (!kept_find(s, APR_ARRAY_IDX(sources, i, auth_source_t).text)) {
            return 0;
        }
    }
    return 1;
}
