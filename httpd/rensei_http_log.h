/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * Log lines. Each has a number of ours, written RSLOG(0017) in front of its
 * format as APLOGNO is: never reused, listed with its meaning in
 * docs/log-messages.md (a guard compares the two).
 */
#ifndef RENSEI_HTTP_LOG_H
#define RENSEI_HTTP_LOG_H

#include <httpd.h>
#include <http_log.h>

#define RSLOG(n) "RS" #n ": "

/** The files of httpd/ are linked into each module. Each module says with
 * this, once, that their lines carry its name and obey its LogLevel; without
 * it they carry none. */
#define RENSEI_HTTP_LOG_AS(name) \
    int *const rensei_http_log_index = &name##_module.module_index

extern int *const rensei_http_log_index __attribute__((weak));

/** In the files of httpd/, in place of APLOG_MARK. */
#define RSLOG_MARK      \
    __FILE__, __LINE__, \
        (&rensei_http_log_index ? *rensei_http_log_index : APLOG_NO_MODULE)

/** While the store is away, each request would say so: a line of one cause is
 * due every five seconds in each process.
 * @return NULL: not now; else what to add to it, with how many were not said */
const char *rensei_http_log_due(const char *cause, apr_pool_t *p);

#endif
