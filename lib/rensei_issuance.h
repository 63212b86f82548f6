/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Tokens on their way out: made and signed, and nobody's until the events that
 * tell of them are durable. Those of clients that ask at the same time are
 * recorded in one transaction, because what costs is to make it durable, and
 * that costs the same for one and for a hundred.
 */
#ifndef RENSEI_ISSUANCE_H
#define RENSEI_ISSUANCE_H

#include "rensei_client.h"

typedef struct rensei_token_t {
    const char *access_token;
    apr_int64_t expires_in; /* seconds */
    const char *scope;
    /* when what the client authenticated with ends (rensei_client_auth_end);
     * set also where it then got no token: epoch ms, 0: never, or it failed */
    apr_int64_t credential_expires_at;
} rensei_token_t;

typedef struct rensei_issuance_t {
    rensei_token_t token;
    const char *client, *org;
    apr_int64_t client_version; /* its updated_at, as it was when it proved
                                   who it is */
    int recalled; /* what is known of the client is as of that change */
    apr_int64_t as_of;
    rensei_actor_t actor; /* the client */
    const char *details;  /* of the event, canonical JSON */
    int stale; /* set by rensei_issuance_record: the client has changed since it
                  was read, or is not to have tokens any more: nothing was
                  recorded, and the token must not be given away */
} rensei_issuance_t;

/** Records tokens of any clients and organisations, each with its event
 * m2m.token_issued, in the caller's transaction: which it may roll back and
 * begin anew, so that there should be nothing else in it.
 * @param list those to record; its order changes. Each is recorded, or stale
 * @return err UNAVAILABLE: none is recorded */
apr_status_t rensei_issuance_record(rensei_store_t *st,
                                    rensei_issuance_t **list, int count,
                                    apr_pool_t *p, rensei_err_t *err);

#endif
