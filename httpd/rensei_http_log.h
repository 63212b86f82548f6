/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Log lines. Each has a number of ours, written RSLOG(0017) in front of its
 * format as APLOGNO is: never reused, listed with its meaning in
 * docs/log-messages.md (a guard compares the two).
 */
#ifndef RENSEI_HTTP_LOG_H
#define RENSEI_HTTP_LOG_H

#include <http_log.h>

#define RSLOG(n) "RS" #n ": "

#endif
