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

#endif
