/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/**
 * SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, 2012): a MAC
 * for short texts, at a tenth of what SHA-256 costs. Whoever does not have
 * the key can neither steer its values nor find a text for one of them.
 *
 * One round for eight bytes and three at the end are what languages key their
 * hash tables with (Python, Ruby, Rust); the two and four of the paper's own
 * proposal have a margin for values that are published. Here nobody outside
 * the process sees a value, and whoever looks for a second text of one has a
 * request for each attempt. apr_siphash has 64 bits, which are enough for a
 * table, and not for a MAC.
 */
#ifndef RENSEI_SIPHASH_H
#define RENSEI_SIPHASH_H

#include <apr.h>

/** Of the eight bytes of `first`, the lowest first, and then data[0..n).
 * @param key random, and nobody's to know
 * @param out the value, the first eight bytes in out[0], the lowest first */
void rensei_siphash(apr_uint64_t out[2], const apr_uint64_t key[2],
                    apr_uint64_t first, const void *data, apr_size_t n);

#endif
