/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_apikey.h"
#include "rensei_client.h"
#include "rensei_org.h"
#include "rensei_schema.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const rensei_ctl_column_t state_fields[] = {
    {"Store", "store"}, {"Schema version", "schemaVersion"}, {NULL, NULL}};

static const rensei_ctl_column_t check_fields[] = {
    {"Store", "store"},
    {"Schema version", "schemaVersion"},
    {"Owner", "owner"},
    {"Organisations", "orgs"},
    {"Workspaces", "workspaces"},
    {"M2M clients", "clients"},
    {"API keys", "keys"},
    {"Audit events", "events"},
    {"Change sequence", "sequence"},
    {"Problems", "problemCount"},
    {NULL, NULL}};

static rensei_ctl_exit_e show_state(rensei_ctl_t *ctl)
{
    int version;

    if (rensei_store_version(&version, ctl->store, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return rensei_ctl_show(ctl,
                           json_pack("{s:s, s:i}", "store",
                                     rensei_ctl_store_name(ctl),
                                     "schemaVersion", version),
                           state_fields);
}

static rensei_ctl_exit_e init(rensei_ctl_t *ctl)
{
    const char *owner = rensei_ctl_option(ctl, "owner");
    rensei_ctl_exit_e rc = rensei_ctl_store_init(ctl, owner);

    if (rc == RENSEI_CTL_OK && !owner && geteuid() == 0 &&
        rensei_ctl_store_file(ctl)) {
        rensei_ctl_say(rc, "The store belongs to root now. It must belong to "
                           "the user httpd runs as; --owner makes it so.");
    }
    return rc == RENSEI_CTL_OK ? show_state(ctl) : rc;
}

static rensei_ctl_exit_e migrate(rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_ANY);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (rensei_store_migrate(ctl->store, ctl->p, &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    return show_state(ctl);
}

/* What a check finds. */
typedef struct found_t {
    json_t *report;
    json_t *problems;
    apr_int64_t workspaces, clients, keys, events;
    apr_int64_t orgs;
} found_t;

static void problem(found_t *found, const char *text)
{
    json_array_append_new(found->problems, json_string(text));
}

/* A file of the store: its owner alone may read it, and all have one owner,
 * or httpd, which runs as that owner, cannot write. */
static void check_file(found_t *found, rensei_ctl_t *ctl, const char *path,
                       uid_t owner)
{
    struct stat st;

    if (lstat(path, &st) != 0) {
        return;
    }
    if (st.st_uid != owner) {
        problem(found, apr_psprintf(ctl->p, "%s belongs to %s, not to %s", path,
                                    rensei_ctl_user_name(st.st_uid, ctl->p),
                                    rensei_ctl_user_name(owner, ctl->p)));
    }
    if (st.st_mode & 077) {
        problem(found, apr_psprintf(ctl->p,
                                    "%s can be read by others than its owner: "
                                    "chmod 600",
                                    path));
    }
}

static void check_folder(found_t *found, rensei_ctl_t *ctl, const char *path)
{
    apr_size_t n = (apr_size_t)(strrchr(path, '/') - path) + 1;
    const char *folder = apr_pstrmemdup(ctl->p, path, n);

    if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) {
        problem(found,
                apr_psprintf(ctl->p, "%s is not writable by the store's owner",
                             folder));
    }
}

static void check_files(found_t *found, rensei_ctl_t *ctl, const char *name)
{
    /* SQLite puts the other files beside what a link leads to. */
    char *path = realpath(name, NULL);
    struct stat st;

    if (!path || stat(path, &st) != 0) {
        problem(found, apr_pstrcat(ctl->p, name, " cannot be seen", NULL));
        free(path);
        return;
    }
    json_object_set_new(found->report, "owner",
                        json_string(rensei_ctl_user_name(st.st_uid, ctl->p)));
    check_file(found, ctl, path, st.st_uid);
    check_file(found, ctl, apr_pstrcat(ctl->p, path, "-wal", NULL), st.st_uid);
    check_file(found, ctl, apr_pstrcat(ctl->p, path, "-shm", NULL), st.st_uid);
    if (st.st_uid == geteuid()) {
        check_folder(found, ctl, path);
    }
    free(path);
}

static int count_workspaces(found_t *found, rensei_ctl_t *ctl, const char *org,
                            apr_pool_t *p)
{
    const char *after = NULL;
    rensei_workspace_t *ws;
    int count;

    do {
        if (rensei_workspace_list(&ws, &count, ctl->store, org, after,
                                  RENSEI_PAGE_MAX, p,
                                  &ctl->err) != APR_SUCCESS) {
            return 0;
        }
        found->workspaces += count;
        after = count ? ws[count - 1].name : NULL;
    } while (count == RENSEI_PAGE_MAX);
    return 1;
}

static int count_clients(found_t *found, rensei_ctl_t *ctl, const char *org,
                         apr_pool_t *p)
{
    rensei_client_filter_t filter = {.limit = RENSEI_PAGE_MAX};
    rensei_client_page_t page;

    do {
        if (rensei_client_list(&page, ctl->store, org, &filter, p, &ctl->err) !=
            APR_SUCCESS) {
            return 0;
        }
        found->clients += page.count;
    } while ((filter.cursor = page.next_cursor) != NULL);
    return 1;
}

static int count_keys(found_t *found, rensei_ctl_t *ctl, const char *org,
                      apr_pool_t *p)
{
    rensei_apikey_filter_t filter = {.limit = RENSEI_PAGE_MAX};
    rensei_apikey_page_t page;

    do {
        if (rensei_apikey_list(&page, ctl->store, org, &filter, p, &ctl->err) !=
            APR_SUCCESS) {
            return 0;
        }
        found->keys += page.count;
    } while ((filter.cursor = page.next_cursor) != NULL);
    return 1;
}

/* Events are numbered from 1 without gaps: the newest one's number is how
 * many there are. */
static int count_events(found_t *found, rensei_ctl_t *ctl, const char *org,
                        apr_pool_t *p)
{
    rensei_audit_filter_t filter = {.limit = 1};
    rensei_event_page_t page;

    if (rensei_audit_list(&page, ctl->store, org, &filter, p, &ctl->err) !=
        APR_SUCCESS) {
        return 0;
    }
    found->events += page.count ? page.event[0].seq : 0;
    return 1;
}

static rensei_ctl_exit_e count_org(rensei_ctl_t *ctl, const char *org,
                                   void *baton)
{
    found_t *found = baton;
    apr_pool_t *p;
    int ok;

    apr_pool_create(&p, ctl->p);
    ++found->orgs;
    ok = count_workspaces(found, ctl, org, p) &&
         count_clients(found, ctl, org, p) && count_keys(found, ctl, org, p) &&
         count_events(found, ctl, org, p);
    if (!ok) {
        rensei_ctl_fail(ctl);
    }
    apr_pool_destroy(p);
    return ok ? RENSEI_CTL_OK : RENSEI_CTL_FAILED;
}

static rensei_ctl_exit_e count_all(found_t *found, rensei_ctl_t *ctl)
{
    apr_int64_t sequence;
    rensei_ctl_exit_e rc = rensei_ctl_each_org(ctl, count_org, found);

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    if (!count_events(found, ctl, RENSEI_AUDIT_SYSTEM_ORG, ctl->p) ||
        rensei_store_sequence(&sequence, ctl->store, ctl->p, &ctl->err) !=
            APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    json_object_set_new(found->report, "orgs", json_integer(found->orgs));
    json_object_set_new(found->report, "workspaces",
                        json_integer(found->workspaces));
    json_object_set_new(found->report, "clients", json_integer(found->clients));
    json_object_set_new(found->report, "keys", json_integer(found->keys));
    json_object_set_new(found->report, "events", json_integer(found->events));
    json_object_set_new(found->report, "sequence", json_integer(sequence));
    return RENSEI_CTL_OK;
}

/* A schema of another version cannot be counted: its tables may differ. */
static rensei_ctl_exit_e check_schema(found_t *found, rensei_ctl_t *ctl)
{
    int version;

    if (rensei_store_version(&version, ctl->store, ctl->p, &ctl->err) !=
        APR_SUCCESS) {
        return rensei_ctl_fail(ctl);
    }
    json_object_set_new(found->report, "schemaVersion", json_integer(version));
    if (version == RENSEI_SCHEMA_VERSION) {
        return count_all(found, ctl);
    }
    problem(found, apr_psprintf(ctl->p, "the schema is version %d, not %d%s",
                                version, RENSEI_SCHEMA_VERSION,
                                version < RENSEI_SCHEMA_VERSION
                                    ? ": run renseictl db migrate"
                                    : ""));
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e report(found_t *found, rensei_ctl_t *ctl)
{
    size_t count = json_array_size(found->problems);
    const json_t *item;
    rensei_ctl_exit_e rc;
    size_t i;

    json_object_set(found->report, "problems", found->problems);
    json_object_set_new(found->report, "problemCount",
                        json_integer((json_int_t)count));
    rc = rensei_ctl_show(ctl, json_incref(found->report), check_fields);
    json_array_foreach(found->problems, i, item)
    {
        rc = rensei_ctl_say(RENSEI_CTL_FAILED, "%s.", json_string_value(item));
    }
    return rc;
}

static rensei_ctl_exit_e check(rensei_ctl_t *ctl)
{
    rensei_ctl_exit_e rc = rensei_ctl_store_open(ctl, RENSEI_CTL_STORE_ANY);
    const char *path = rensei_ctl_store_file(ctl);
    found_t found = {.orgs = 0};

    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    found.report = rensei_json_own(
        json_pack("{s:s}", "store", rensei_ctl_store_name(ctl)), ctl->p);
    found.problems = rensei_json_own(json_array(), ctl->p);
    if ((rc = check_schema(&found, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (path) {
        check_files(&found, ctl, path);
    }
    return report(&found, ctl);
}

static const rensei_ctl_option_t init_options[] = {
    {"owner", "USER", "as root: to whom the SQLite file shall belong", 0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_db_commands[] = {
    {"db init", NULL, "Create the store",
     "SQLite: creates the file, for its owner alone, in a folder that the\n"
     "user httpd runs as must be able to write to. PostgreSQL: the database\n"
     "and its user are there already; creates the tables. What is there\n"
     "already is refused.\n"
     "\n"
     "Examples:\n"
     "  sudo install -d -m 700 -o www-data /var/lib/rensei\n"
     "  sudo renseictl db init --owner www-data \\\n"
     "      --store sqlite3:/var/lib/rensei/store.db\n"
     "  renseictl db init --store 'pgsql:host=db dbname=rensei user=rensei'\n",
     init_options, init},
    {"db migrate", NULL, "Bring the store's schema to this version",
     "Each step happens once, under a lock, also while gateways run. They do\n"
     "it too, when they open the store.\n"
     "\n"
     "Example:\n"
     "  renseictl db migrate --store sqlite3:/var/lib/rensei/store.db\n",
     NULL, migrate},
    {"db check", NULL, "Check the store, and count what is in it",
     "Looks at the schema's version, at who owns and can read the files, and\n"
     "reads through all organisations. Exit status 1 where something is "
     "wrong.\n"
     "\n"
     "Example:\n"
     "  renseictl db check --store sqlite3:/var/lib/rensei/store.db\n",
     NULL, check},
    {"db backup", "FILE", "Copy the store to a file",
     "Also while gateways run: all that was done before is in the copy. It is\n"
     "for its owner alone (0600), checked, and on the disk when this ends; a\n"
     "file that is there already is left as it is. The owner of the store has\n"
     "to be able to enter the folder. Keep it as safe as the store: it has\n"
     "the digests of all secrets. PostgreSQL: use pg_dump.\n"
     "\n"
     "Example:\n"
     "  sudo -E renseictl db backup /var/backups/rensei-$(date +%F).db\n",
     NULL, rensei_ctl_db_backup},
    {"db restore", "FILE", "Put a copy in the store's place",
     "Stop httpd first. Checks the copy, brings it to this version's schema,\n"
     "and puts it in the place of the store, which is kept beside it as\n"
     "STORE.replaced-TIME. What was revoked after the copy was made is valid\n"
     "again: look for it in the old store's trail, and revoke it again.\n"
     "\n"
     "Examples:\n"
     "  sudo -E renseictl db restore /var/backups/rensei-2026-01-31.db\n"
     "  sudo -E renseictl audit --org acme --event m2m.client_revoked \\\n"
     "      --store sqlite3:store.db.replaced-20260131T120000Z\n",
     rensei_ctl_restore_options, rensei_ctl_db_restore},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
