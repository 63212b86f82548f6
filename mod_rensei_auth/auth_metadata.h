/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * RFC 9728: where a client that was refused learns who issues tokens for a
 * location. A location that says `RenseiResourceMetadata On` is described at
 * /.well-known/oauth-protected-resource and its path, and its challenges name
 * that URL.
 */
#ifndef AUTH_METADATA_H
#define AUTH_METADATA_H

#include <httpd.h>

/** Handler rensei-resource-metadata. */
int auth_metadata_handler(request_rec *r);

/** The attribute for a challenge, `, resource_metadata="…"`, or "" where the
 * location has none. */
const char *auth_metadata_attribute(request_rec *r);

#endif
