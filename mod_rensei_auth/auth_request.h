/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What mod_rensei_auth knows of one request, and the answers that it gives
 * (RFC 6750 3): the challenge, and a JSON body where no ErrorDocument says
 * otherwise.
 */
#ifndef AUTH_REQUEST_H
#define AUTH_REQUEST_H

#include "auth_conf.h"
#include "mod_rensei_auth.h"

typedef struct auth_request_t {
    const rensei_principal_t *principal;
    const char *header;   /* the Authorization that it came from */
    const char *audience; /* that it was held against */
    int accepted;         /* as what RenseiAccept names: a kind, or
                             ACCEPT_SECRET */
    rensei_err_t err;     /* why the request was refused, or code NONE */
    int wanted;           /* our providers asked for a principal */
    const char *missing;  /* scopes that our providers found lacking */
    int in_authz;         /* our auth_checker runs the others' */
    int collecting;       /* it does so to find all that is missing */
} auth_request_t;

/** Of this request; made if it is not there. */
auth_request_t *auth_request(request_rec *r);

/** Of this request, or NULL. */
static inline auth_request_t *auth_request_peek(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &rensei_auth_module);
}

/** Whom the request speaks for, his scopes as a set, too; NULL: nobody. The
 * principal in auth_request_t may have them as text alone. */
const rensei_principal_t *auth_request_principal(request_rec *r);

/** The claims of whom the request speaks for, a JSON object; n = 0 where it
 * has none. Asked by few, so a token's are decoded here. */
rensei_str_t auth_request_claims(request_rec *r);

/** Refuses for lack of any credential: the bare challenge. */
int auth_refuse_missing(request_rec *r);

/** Refuses with err: status and challenge by its code. Logs it once. */
int auth_refuse(request_rec *r, const rensei_err_t *err);

/** 403 for a principal that is good but not enough: with
 * insufficient_scope and all of `missing`, or, where that is NULL, without. */
int auth_refuse_principal(request_rec *r, const char *missing);

/** A request that passes carries no challenge. */
void auth_pass(request_rec *r);

/** Hook insert_error_filter: our JSON as the body of our refusals. */
void auth_insert_error_filter(request_rec *r);

/** Registers the filter. */
void auth_register_filter(void);

#endif
