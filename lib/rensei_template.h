/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Custom claims: a JSON object that says which claims a virtual host's tokens
 * have beside the usual ones, with placeholders for what is the client's own:
 *
 *   {"tier": {{ client.trusted_metadata.plan.tier }},
 *    "team": {"name": {{ client.owner }}, "kind": "machine"}}
 *
 * A placeholder stands for a JSON value, so outside of quotes; what the client
 * does not have leaves its member (or element) out. It is filled in as a
 * value, never as text: nothing in a client's metadata can be more than the
 * value that it is.
 *
 * Placeholders are client.id, client.name, client.owner, client.org_id,
 * client.workspace_id, client.trusted_metadata, and members of the latter, to
 * any depth, with dots between names of A-Z a-z 0-9 _ -.
 */
#ifndef RENSEI_TEMPLATE_H
#define RENSEI_TEMPLATE_H

#include "rensei_client.h"

#define RENSEI_TEMPLATE_LEN_MAX 4096 /* bytes of text */
#define RENSEI_TEMPLATE_DEPTH_MAX 8  /* the object itself is 1 deep */
#define RENSEI_TEMPLATE_CLAIMS_MAX 32
#define RENSEI_CLAIM_NAME_MAX 64 /* bytes */

/** Read at start, then only read, by all threads. */
typedef struct rensei_template_t rensei_template_t;

/** @param out lives in p, independent of text
 * @return err INVALID_REQUEST, its text a sentence for configtest: no JSON
 *   object, an unknown placeholder, one in quotes or in place of a name, a
 *   claim's name that is registered (rensei_claim_registered), empty or not
 *   plain, over a limit above */
apr_status_t rensei_template_parse(rensei_template_t **out, const char *text,
                                   apr_pool_t *p, rensei_err_t *err);

/** The claims of a client's token: an object, p's; NULL only when out of
 * memory. */
json_t *rensei_template_claims(const rensei_template_t *t,
                               const rensei_client_t *c, apr_pool_t *p);

#endif
