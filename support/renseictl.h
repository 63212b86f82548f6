/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * renseictl, the operator's tool: what its files share. One table of commands
 * per noun says what can be typed; one context goes through a run, from the
 * parsed command line to the exit status.
 */
#ifndef RENSEICTL_H
#define RENSEICTL_H

#include "rensei_audit.h"
#include "rensei_scope.h"

#include <apr_tables.h>

/** Exit statuses, as scripts see them. */
typedef enum {
    RENSEI_CTL_OK = 0,
    RENSEI_CTL_FAILED = 1,    /* the store, the machine */
    RENSEI_CTL_USAGE = 2,     /* the command line makes no sense */
    RENSEI_CTL_NOT_FOUND = 3, /* what it names is not there */
    RENSEI_CTL_REFUSED = 4    /* against a rule, or in conflict */
} rensei_ctl_exit_e;

typedef struct rensei_ctl_option_t {
    const char *name;  /* without the dashes */
    const char *value; /* what help calls its value; NULL: it takes none */
    const char *help;
    unsigned flags; /* of RENSEI_CTL_… below */
} rensei_ctl_option_t;

#define RENSEI_CTL_REQUIRED 1U
#define RENSEI_CTL_REPEATS 2U /* may be given more than once */

typedef struct rensei_ctl_t rensei_ctl_t;
typedef rensei_ctl_exit_e rensei_ctl_run_fn(rensei_ctl_t *ctl);

typedef struct rensei_ctl_command_t {
    const char *path;    /* "org api-keys create" */
    const char *arg;     /* its one argument, required, or NULL; "X...":
                            one or more */
    const char *summary; /* a line */
    const char *help;    /* what else to know, and examples */
    const rensei_ctl_option_t *options; /* ends with name NULL; or NULL */
    rensei_ctl_run_fn *run;
} rensei_ctl_command_t;

/** A noun: its commands' paths begin with it. */
typedef struct rensei_ctl_group_t {
    const char *path; /* "org api-keys" */
    const char *help;
    const rensei_ctl_command_t *commands; /* ends with path NULL */
} rensei_ctl_group_t;

extern const rensei_ctl_group_t rensei_ctl_groups[]; /* ends with path NULL */
extern const rensei_ctl_option_t rensei_ctl_common_options[];

extern const rensei_ctl_command_t rensei_ctl_org_commands[];
extern const rensei_ctl_command_t rensei_ctl_workspace_commands[];
extern const rensei_ctl_command_t rensei_ctl_apikey_commands[];
extern const rensei_ctl_command_t rensei_ctl_client_commands[];
extern const rensei_ctl_command_t rensei_ctl_rotate_commands[];
extern const rensei_ctl_command_t rensei_ctl_worker_commands[];
extern const rensei_ctl_command_t rensei_ctl_audit_commands[];
extern const rensei_ctl_command_t rensei_ctl_chain_commands[];
extern const rensei_ctl_command_t rensei_ctl_credentials_commands[];
extern const rensei_ctl_command_t rensei_ctl_db_commands[];
extern const rensei_ctl_command_t rensei_ctl_secret_commands[];
extern const rensei_ctl_command_t rensei_ctl_signing_key_commands[];

struct rensei_ctl_t {
    apr_pool_t *p;
    const char *path;                    /* the words read so far, or "" */
    const rensei_ctl_command_t *command; /* NULL: the words name none */
    const char *arg;                     /* its argument, or NULL */
    apr_array_header_t *args;            /* all of them, for "FILE..." */
    apr_table_t *options;                /* name to value, "" for a switch */
    rensei_actor_t actor;
    rensei_store_t *store; /* NULL until it is opened */
    rensei_err_t err;
    const char *secret_path; /* --secret-file, created before the command */
    int secret_fd;           /* -1 where there is none */
    int secret_saved;
};

/* options.c: the command line */

/** Reads the command line into ctl. A help text that was asked for is left
 * to the caller: then ctl->options has "help".
 * @return RENSEI_CTL_OK, or RENSEI_CTL_USAGE with all said on stderr */
rensei_ctl_exit_e rensei_ctl_parse(rensei_ctl_t *ctl, int argc,
                                   const char *const *argv);

/** The value of an option, "" of a switch, NULL where it was not given. */
const char *rensei_ctl_option(const rensei_ctl_t *ctl, const char *name);

/** The values of an option that repeats, in the order given, as a JSON array;
 * a new reference, or NULL where it was not given. */
json_t *rensei_ctl_option_all(const rensei_ctl_t *ctl, const char *name);

/* json_file.c */

/** Reads a file of at most 64 KiB. @param text in p; not terminated */
rensei_ctl_exit_e rensei_ctl_file_read(char **text, apr_size_t *n,
                                       const char *path, apr_pool_t *p);

/** Reads the JSON object in the file that an option names; *out stays where
 * the option was not given. @param out belongs to ctl->p */
rensei_ctl_exit_e rensei_ctl_option_json(json_t **out, rensei_ctl_t *ctl,
                                         const char *name);

/** Reads a number of an option; *out stays what it was where the option was
 * not given. @return RENSEI_CTL_OK or RENSEI_CTL_USAGE */
rensei_ctl_exit_e rensei_ctl_option_int(apr_int64_t *out, rensei_ctl_t *ctl,
                                        const char *name, apr_int64_t min,
                                        apr_int64_t max);

/** Reads a time (epoch ms) of an option: RFC 3339, or a number with one of
 * s m h d, counted from now; *out stays where it was not given.
 * @param direction 1: ahead of now, -1: before now */
rensei_ctl_exit_e rensei_ctl_option_time(apr_int64_t *out, rensei_ctl_t *ctl,
                                         const char *name, int direction);

/* help.c */

/** Prints the help of ctl->command, or of the level that ctl->path names. */
void rensei_ctl_help(const rensei_ctl_t *ctl);

/** Says on stderr what is wrong with the command line, how the command is
 * used, and where its help is. @return RENSEI_CTL_USAGE, always */
rensei_ctl_exit_e rensei_ctl_usage(const rensei_ctl_t *ctl, const char *fmt,
                                   ...) __attribute__((format(printf, 2, 3)));

/** The row of a group's or of the common options, or NULL. */
const rensei_ctl_option_t *rensei_ctl_option_find(
    const rensei_ctl_option_t *options, const char *name, apr_size_t n);

/* output.c */

/** Says a sentence on stderr. @return status */
rensei_ctl_exit_e rensei_ctl_say(rensei_ctl_exit_e status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Says ctl->err on stderr. @return the exit status that goes with it */
rensei_ctl_exit_e rensei_ctl_fail(const rensei_ctl_t *ctl);

/** A column of a table, a line of a record: what it is called, and which
 * member of the JSON it shows. Both forms of output come from one JSON value,
 * so they cannot differ. */
typedef struct rensei_ctl_column_t {
    const char *title; /* NULL: the end */
    const char *member;
} rensei_ctl_column_t;

/** Prints an object, whose reference it takes: lines, or with --json all of
 * it as it is. */
rensei_ctl_exit_e rensei_ctl_show(const rensei_ctl_t *ctl, json_t *object,
                                  const rensei_ctl_column_t *columns);

/** Prints rows, an array whose reference it takes: a table, or with --json
 * {member: rows, "nextCursor": cursor}.
 * @param cursor NULL on the last page */
rensei_ctl_exit_e rensei_ctl_show_rows(const rensei_ctl_t *ctl, json_t *rows,
                                       const char *member, const char *cursor,
                                       const rensei_ctl_column_t *columns);

/* store.c */

/** What a command asks of the store. */
typedef enum {
    RENSEI_CTL_STORE_CURRENT, /* there, and of this build's schema */
    RENSEI_CTL_STORE_ANY      /* there; of any schema */
} rensei_ctl_store_e;

/** Opens the store of --store or RENSEI_STORE as ctl->store. As root, works
 * from then on as the user who owns a SQLite file. */
rensei_ctl_exit_e rensei_ctl_store_open(rensei_ctl_t *ctl,
                                        rensei_ctl_store_e want);

/** Creates the store, empty, with the schema.
 * @param owner NULL, or the user to whom a SQLite file shall belong */
rensei_ctl_exit_e rensei_ctl_store_init(rensei_ctl_t *ctl, const char *owner);

/** The file of a SQLite store, NULL for any other; where the command line
 * and the environment name none, or a bad one, also NULL: open says so. */
const char *rensei_ctl_store_file(rensei_ctl_t *ctl);

/** The same for a command that is about the file, not about what is in it:
 * says what is wrong with the command line. @param file NULL for PostgreSQL */
rensei_ctl_exit_e rensei_ctl_store_path(const char **file, rensei_ctl_t *ctl);

/** Works from here on as the user that --owner names. */
rensei_ctl_exit_e rensei_ctl_owner_become(const char *owner);

/** "pgsql", or "sqlite3:FILE": never a conninfo, which may hold a password. */
const char *rensei_ctl_store_name(rensei_ctl_t *ctl);

/** Opens the store and finds the organisation of --org (an id or a name). */
rensei_ctl_exit_e rensei_ctl_org_open(const char **org, rensei_ctl_t *ctl);

/** As rensei_ctl_org_open, for what only looks at the audit trail: that of an
 * organisation which was deleted is found by its id. */
rensei_ctl_exit_e rensei_ctl_trail_open(const char **org, rensei_ctl_t *ctl);

/** Finds the workspace of --workspace in it; NULL where none was given. */
rensei_ctl_exit_e rensei_ctl_workspace_find(const char **workspace,
                                            rensei_ctl_t *ctl, const char *org);

/** Calls fn for each organisation there is, until one call returns other than
 * RENSEI_CTL_OK. @return what the last call returned, or the store's error */
typedef rensei_ctl_exit_e rensei_ctl_each_org_fn(rensei_ctl_t *ctl,
                                                 const char *org, void *baton);
rensei_ctl_exit_e rensei_ctl_each_org(rensei_ctl_t *ctl,
                                      rensei_ctl_each_org_fn *fn, void *baton);

/* secret_file.c: a secret that goes to a file of its own */

/** Creates path for the owner alone; an existing one is refused. */
rensei_ctl_exit_e rensei_ctl_private_create(int *fd, const char *path);

/** Writes text to fd, to the disk, and closes it. */
rensei_ctl_exit_e rensei_ctl_private_write(int fd, const char *path,
                                           const char *text);

/** Creates --secret-file before the command makes a secret, so that no
 * secret is made which then has nowhere to go. */
rensei_ctl_exit_e rensei_ctl_secret_begin(rensei_ctl_t *ctl);

/** Puts a new secret where it belongs.
 * @param lost what to do should the file take no more, when the secret is
 *   gone: a sentence
 * @param shown what is left to print: the secret, or NULL where it went to
 *   the file */
rensei_ctl_exit_e rensei_ctl_secret_keep(const char **shown, rensei_ctl_t *ctl,
                                         const char *secret, const char *lost);

/** Removes the file again where no secret was put into it. */
void rensei_ctl_secret_end(rensei_ctl_t *ctl);

/* user.c: who runs this, and as whom */

/** The operator, for the audit trail. */
rensei_actor_t rensei_ctl_actor(apr_pool_t *p);

/** As root: works as that user from here on. Otherwise nothing happens.
 * @return RENSEI_CTL_OK, or RENSEI_CTL_FAILED with all said */
rensei_ctl_exit_e rensei_ctl_user_become(uid_t uid, gid_t gid);

/** Undoes it. */
void rensei_ctl_user_return(void);

/** The name of a user, or his number. */
const char *rensei_ctl_user_name(uid_t uid, apr_pool_t *p);

/* client.c */

/** Opens the store and finds the organisation of the client that ctl->arg
 * names: --org, or where that was not given the client's own. */
rensei_ctl_exit_e rensei_ctl_client_org(const char **org, rensei_ctl_t *ctl);

/* client_change.c: for client.c */

/** The body that the admin API takes, from the options of a creation or a
 * change, so that both obey the same rules; the pool's. */
rensei_ctl_exit_e rensei_ctl_client_body(json_t **out, rensei_ctl_t *ctl);

extern const rensei_ctl_option_t rensei_ctl_client_update_options[];
rensei_ctl_run_fn rensei_ctl_client_show, rensei_ctl_client_update;

/* apikey.c */

/** Prints a key with its token; the token to --secret-file, where one is
 * given. @param lost as rensei_ctl_secret_keep */
struct rensei_apikey_t;
rensei_ctl_exit_e rensei_ctl_apikey_show(rensei_ctl_t *ctl,
                                         const struct rensei_apikey_t *key,
                                         const char *token, const char *lost);

/** Opens the store and finds the organisation of the key that ctl->arg names:
 * --org, or where that was not given the key's own. */
rensei_ctl_exit_e rensei_ctl_apikey_org(const char **org, rensei_ctl_t *ctl);

/* apikey_change.c: for the table of commands in apikey.c */
extern const rensei_ctl_option_t rensei_ctl_apikey_rotate_options[];
extern const rensei_ctl_option_t rensei_ctl_apikey_update_options[];
rensei_ctl_run_fn rensei_ctl_apikey_rotate, rensei_ctl_apikey_update;

/* backup.c, restore.c: for the table of commands in db.c */
extern const rensei_ctl_option_t rensei_ctl_restore_options[];
rensei_ctl_run_fn rensei_ctl_db_backup, rensei_ctl_db_restore;

/* scopes.c: what both kinds of credential take */

/** The vocabularies: the usual ones, or --vocabulary in place of both. */
rensei_ctl_exit_e rensei_ctl_vocab(rensei_vocab_t *out, rensei_ctl_t *ctl);

/** The scopes of --scopes as a JSON array; a new reference. */
json_t *rensei_ctl_scopes_json(const rensei_ctl_t *ctl);

#endif
