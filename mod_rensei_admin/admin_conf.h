/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * What the admin API takes of mod_rensei_auth.
 */
#ifndef ADMIN_CONF_H
#define ADMIN_CONF_H

#include "rensei_principal.h"

#include <httpd.h>
#include <http_config.h>

/* All else is built hidden; AP_MODULE_DECLARE_DATA would not undo that. */
extern module rensei_admin_module __attribute__((visibility("default")));

/** Who calls, or NULL. */
const rensei_principal_t *admin_principal(request_rec *r);

/** The vocabularies of the virtual host. */
const rensei_vocab_t *admin_vocab(server_rec *s);

/** Makes every child forget what it knows of the object. */
void admin_announce(const char *id);

#endif
