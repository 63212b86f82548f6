/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Copies of a store that is a SQLite file: made while gateways go on, looked
 * at without changing them, and made ready to take a store's place. Files
 * are only opened here; who moves them where is the caller's affair.
 *
 * PostgreSQL has tools of its own for this.
 */
#ifndef RENSEI_BACKUP_H
#define RENSEI_BACKUP_H

#include "rensei_audit.h"

/** What a copy holds. */
typedef struct rensei_backup_t {
    int version; /* of its schema */
    apr_int64_t orgs, workspaces, clients, keys, workers, events;
    apr_int64_t sequence; /* of its changes */
} rensei_backup_t;

/** Writes the store, as it is at one moment, to a file: all that was
 * committed before the call is in it.
 * @param file is there and empty, or is not there; in a folder that we can
 *   write to. Not on the disk yet when this returns: see fsync
 * @return err INVALID_REQUEST for PostgreSQL, UNAVAILABLE */
apr_status_t rensei_backup_write(rensei_store_t *st, const char *file,
                                 apr_pool_t *p, rensei_err_t *err);

/** Reads all of a file: is it whole, and a store that this build can take
 * on? The file stays as it is.
 * @return err INVALID_REQUEST with what is wrong with it, UNAVAILABLE */
apr_status_t rensei_backup_check(rensei_backup_t *out, const char *file,
                                 apr_pool_t *p, rensei_err_t *err);

/** Makes a copy that was checked ready to take the place of a store: brings
 * its schema to this version; moves its change sequence past any that a
 * gateway can have followed, so that none trusts what it knew before; and
 * writes down that it happened ("system.store_restored", in the trail of
 * RENSEI_AUDIT_SYSTEM_ORG). Nothing of the copy is left in a -wal file.
 * @param details as rensei_audit_append takes them */
apr_status_t rensei_backup_adopt(const char *file, const rensei_sys_t *sys,
                                 const rensei_actor_t *actor,
                                 const json_t *details, apr_pool_t *p,
                                 rensei_err_t *err);

/** Puts what is in the -wal file of a store into its main file, and leaves
 * none: the main file by itself is then the whole store.
 * @return err UNAVAILABLE where others use it, or it is no database */
apr_status_t rensei_backup_settle(const char *file, apr_pool_t *p,
                                  rensei_err_t *err);

#endif
