/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_id.h"
#include "rensei_org.h"
#include "rensei_schema.h"

#include <apr_strings.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORGS_AT_ONCE 200

typedef struct spec_t {
    const char *driver, *params;
} spec_t;

static int is_file(const spec_t *spec)
{
    return !strcmp(spec->driver, "sqlite3");
}

/* "password=..." of a conninfo, or the one of a postgresql:// URI. */
static int holds_password(const char *params)
{
    const char *scheme = strstr(params, "://");
    const char *at;

    if (scheme) {
        const char *colon = strchr(scheme + 3, ':');
        const char *host = strchr(scheme + 3, '@');
        if (colon && host && colon < host) {
            return 1;
        }
    }
    if ((at = strcasestr(params, "password")) != NULL) {
        at += strlen("password");
        return at[strspn(at, " \t")] == '=';
    }
    return 0;
}

static const char *spec_text(const rensei_ctl_t *ctl)
{
    const char *text = rensei_ctl_option(ctl, "store");

    return text ? text : getenv("RENSEI_STORE");
}

/* Found out once, before we become the owner of the file, who may not be able
 * to follow the link, or the folders above it, that lead to where it is. */
static const char *real_path(const char *path)
{
    static char real[PATH_MAX];

    if (!*real && !realpath(path, real)) {
        *real = '\0';
    }
    return *real ? real : path;
}

static int spec_parse(spec_t *out, const rensei_ctl_t *ctl)
{
    const char *text = spec_text(ctl);
    apr_size_t n = text ? strcspn(text, ":") : 0;

    if (n == 0 || !text[n] || !text[n + 1]) {
        return 0;
    }
    out->driver = apr_pstrmemdup(ctl->p, text, n);
    out->params = text + n + 1;
    if (is_file(out)) {
        out->params = real_path(out->params);
    }
    return is_file(out) || !strcmp(out->driver, "pgsql");
}

static rensei_ctl_exit_e spec_read(spec_t *out, rensei_ctl_t *ctl)
{
    const char *text = spec_text(ctl);

    if (!text || !*text) {
        return rensei_ctl_usage(ctl, "Say which store: --store "
                                     "sqlite3:/var/lib/rensei/store.db, or "
                                     "RENSEI_STORE in the environment.");
    }
    if (!spec_parse(out, ctl)) {
        return rensei_ctl_usage(ctl, "A store is sqlite3:FILE or "
                                     "pgsql:CONNINFO.");
    }
    if (rensei_ctl_option(ctl, "store") && holds_password(out->params)) {
        return rensei_ctl_usage(ctl, "A password on the command line is in "
                                     "the process list: use ~/.pgpass, "
                                     "PGPASSFILE or RENSEI_STORE.");
    }
    return RENSEI_CTL_OK;
}

const char *rensei_ctl_store_file(rensei_ctl_t *ctl)
{
    spec_t spec = {"", ""};

    return spec_parse(&spec, ctl) && is_file(&spec) ? spec.params : NULL;
}

rensei_ctl_exit_e rensei_ctl_store_path(const char **file, rensei_ctl_t *ctl)
{
    spec_t spec = {"", ""};
    rensei_ctl_exit_e rc = spec_read(&spec, ctl);

    *file = rc == RENSEI_CTL_OK && is_file(&spec) ? spec.params : NULL;
    return rc;
}

const char *rensei_ctl_store_name(rensei_ctl_t *ctl)
{
    const char *file = rensei_ctl_store_file(ctl);

    return file ? apr_pstrcat(ctl->p, "sqlite3:", file, NULL) : "pgsql";
}

/* SQLite would create what is not there, empty, and all would seem well. */
static rensei_ctl_exit_e file_check(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 && errno != ENOENT) {
        return rensei_ctl_say(
            RENSEI_CTL_FAILED, "The store %s cannot be looked at: %s.%s", path,
            strerror(errno), errno == EACCES ? " Are you to use sudo?" : "");
    }
    if (stat(path, &st) != 0) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "There is no store %s (%s). \"renseictl db "
                              "init\" creates one.",
                              path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "%s is not a file.", path);
    }
    return rensei_ctl_user_become(st.st_uid, st.st_gid);
}

static rensei_ctl_exit_e version_check(rensei_ctl_t *ctl)
{
    int version;

    if (rensei_store_version(&version, ctl->store, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    if (version < RENSEI_SCHEMA_VERSION) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "The store's schema is version %d, this "
                              "renseictl wants %d. Run: renseictl db migrate",
                              version, RENSEI_SCHEMA_VERSION);
    }
    if (version > RENSEI_SCHEMA_VERSION) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "The store's schema is version %d, newer than "
                              "this renseictl (%d). Use the renseictl that "
                              "came with the modules.",
                              version, RENSEI_SCHEMA_VERSION);
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e connect_to(rensei_ctl_t *ctl, const spec_t *spec)
{
    if (rensei_store_open(&ctl->store, spec->driver, spec->params,
                          rensei_sys_default(), ctl->p,
                          &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_store_open(rensei_ctl_t *ctl,
                                        rensei_ctl_store_e want)
{
    rensei_ctl_exit_e rc;
    spec_t spec = {"", ""};

    if ((rc = spec_read(&spec, ctl)) == RENSEI_CTL_OK && is_file(&spec)) {
        rc = file_check(spec.params);
    }
    if (rc == RENSEI_CTL_OK) {
        rc = connect_to(ctl, &spec);
    }
    if (rc == RENSEI_CTL_OK && want == RENSEI_CTL_STORE_CURRENT) {
        rc = version_check(ctl);
    }
    return rc;
}

rensei_ctl_exit_e rensei_ctl_owner_become(const char *owner)
{
    const struct passwd *pw = getpwnam(owner);

    if (!pw) {
        return rensei_ctl_say(RENSEI_CTL_NOT_FOUND, "There is no user \"%s\".",
                              owner);
    }
    if (geteuid() != 0 && pw->pw_uid != geteuid()) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "--owner: only root can create a store for "
                              "another user.");
    }
    return rensei_ctl_user_become(pw->pw_uid, pw->pw_gid);
}

static rensei_ctl_exit_e file_create(rensei_ctl_t *ctl, const char *path,
                                     const char *owner)
{
    rensei_ctl_exit_e rc = RENSEI_CTL_OK;
    int fd;

    if (owner && (rc = rensei_ctl_owner_become(owner)) != RENSEI_CTL_OK) {
        return rc;
    }
    if ((rc = rensei_ctl_private_create(&fd, path)) == RENSEI_CTL_OK) {
        close(fd);
    }
    else if (owner && rc == RENSEI_CTL_FAILED) {
        rensei_ctl_say(rc, "The folder must be there, and writable by %s.",
                       owner);
    }
    return rc;
}

/* A half-made store would be in the way of the next try. */
static void file_remove(rensei_ctl_t *ctl, const char *path)
{
    unlink(path);
    unlink(apr_pstrcat(ctl->p, path, "-wal", NULL));
    unlink(apr_pstrcat(ctl->p, path, "-shm", NULL));
}

static rensei_ctl_exit_e refuse_used(rensei_ctl_t *ctl)
{
    int version;

    if (rensei_store_version(&version, ctl->store, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    if (version > 0) {
        return rensei_ctl_say(RENSEI_CTL_REFUSED,
                              "The database has a schema already (version "
                              "%d), and is left as it is.",
                              version);
    }
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_store_init(rensei_ctl_t *ctl, const char *owner)
{
    rensei_ctl_exit_e rc;
    spec_t spec = {"", ""};

    if ((rc = spec_read(&spec, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (!is_file(&spec) && owner) {
        return rensei_ctl_usage(ctl, "--owner is for a SQLite file.");
    }
    if (is_file(&spec) &&
        (rc = file_create(ctl, spec.params, owner)) != RENSEI_CTL_OK) {
        return rc;
    }
    if ((rc = connect_to(ctl, &spec)) == RENSEI_CTL_OK &&
        (rc = refuse_used(ctl)) == RENSEI_CTL_OK &&
        rensei_store_migrate(ctl->store, ctl->p, &ctl->err) != APR_SUCCESS) {
        rc = rensei_ctl_fail(ctl);
    }
    if (rc != RENSEI_CTL_OK && is_file(&spec)) {
        file_remove(ctl, spec.params);
    }
    return rc;
}

rensei_ctl_exit_e rensei_ctl_org_open(const char **org, rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    rensei_org_t found;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_org_get(&found, ctl->store, rensei_ctl_option(ctl, "org"),
                       ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    *org = found.id;
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_trail_open(const char **org, rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_CURRENT);
    const char *said = rensei_ctl_option(ctl, "org");
    rensei_audit_filter_t newest = {.limit = 1};
    rensei_event_page_t page;
    rensei_org_t found;

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_org_get(&found, ctl->store, said, ctl->p, &ctl->err) ==
        APR_SUCCESS) {
        *org = found.id;
        return RENSEI_CTL_OK;
    }
    if (ctl->err.code == RENSEI_E_NOT_FOUND &&
        rensei_id_valid(RENSEI_ID_ORG, said, strlen(said)) &&
        rensei_audit_list(&page, ctl->store, said, &newest, ctl->p,
                          &ctl->err) == APR_SUCCESS &&
        page.count > 0) {
        *org = said;
        return RENSEI_CTL_OK;
    }
    return rensei_ctl_fail(ctl);
}

rensei_ctl_exit_e rensei_ctl_workspace_find(const char **workspace,
                                            rensei_ctl_t *ctl, const char *org)
{
    const char *name = rensei_ctl_option(ctl, "workspace");
    rensei_workspace_t found;

    *workspace = NULL;
    if (!name) {
        return RENSEI_CTL_OK;
    }
    if (rensei_workspace_get(&found, ctl->store, org, name, ctl->p,
                             &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    *workspace = found.id;
    return RENSEI_CTL_OK;
}

rensei_ctl_exit_e rensei_ctl_each_org(rensei_ctl_t *ctl,
                                      rensei_ctl_each_org_fn *fn, void *baton)
{
    rensei_ctl_exit_e rc = RENSEI_CTL_OK;
    const char *after = NULL;
    rensei_org_t *orgs;
    int count;

    do {
        if (rensei_org_list(&orgs, &count, ctl->store, after, ORGS_AT_ONCE,
                            ctl->p, &ctl->err) != APR_SUCCESS) {
            return rensei_ctl_fail(ctl);
        }
        for (int i = 0; i < count && rc == RENSEI_CTL_OK; ++i) {
            rc = fn(ctl, orgs[i].id, baton);
            after = orgs[i].name;
        }
    } while (rc == RENSEI_CTL_OK && count == ORGS_AT_ONCE);
    return rc;
}
