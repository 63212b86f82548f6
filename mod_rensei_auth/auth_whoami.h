/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * SetHandler rensei-whoami: answers the principal as JSON, whatever the
 * method. What the demo resources are made of, and a way to try Require lines
 * before there is an application behind them.
 */
#ifndef AUTH_WHOAMI_H
#define AUTH_WHOAMI_H

#include <httpd.h>

int auth_whoami_handler(request_rec *r);

#endif
