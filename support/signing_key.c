/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

#include "renseictl.h"

#include "rensei_json.h"
#include "rensei_ring.h"

#include <apr_file_info.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

static const rensei_ctl_column_t new_fields[] = {
    {"Key id", "kid"}, {"Algorithm", "alg"},       {"Type", "type"},
    {"Bits", "bits"},  {"Private key in", "file"}, {"To use it", "directive"},
    {NULL, NULL}};

static const rensei_ctl_column_t list_fields[] = {
    {"Key id", "kid"}, {"Algorithm", "alg"},   {"Type", "type"},
    {"Bits", "bits"},  {"Private", "private"}, {"File", "file"},
    {NULL, NULL}};

/* ---- a ring of the key in a PEM text ---- */

static rensei_ctl_exit_e ring_make(rensei_ring_t **ring, rensei_ctl_t *ctl)
{
    if (rensei_ring_create(ring, ctl->p) != APR_SUCCESS) {
        return rensei_ctl_say(RENSEI_CTL_FAILED, "OpenSSL does not work.");
    }
    return RENSEI_CTL_OK;
}

static rensei_ctl_exit_e ring_add(rensei_ring_t *ring, rensei_ctl_t *ctl,
                                  const char *pem, apr_size_t n,
                                  const char *path)
{
    if (rensei_ring_add_pem(ring, pem, n, rensei_ctl_option(ctl, "alg"), NULL,
                            &ctl->err) != APR_SUCCESS) {
        return rensei_ctl_say(ctl->err.code == RENSEI_E_UNAVAILABLE
                                  ? RENSEI_CTL_FAILED
                                  : RENSEI_CTL_REFUSED,
                              "%s: %s", path, ctl->err.text);
    }
    return RENSEI_CTL_OK;
}

/* "RSA" "P-256" "P-384" "Ed25519" */
static const char *type_of(const rensei_ring_key_t *key)
{
    switch (rensei_ring_key_alg(key)) {
    case RENSEI_ALG_ES256:
        return "P-256";
    case RENSEI_ALG_ES384:
        return "P-384";
    case RENSEI_ALG_EDDSA:
        return "Ed25519";
    default:
        return "RSA";
    }
}

static json_t *key_json(const rensei_ring_key_t *key, const char *path)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:b, s:s}", "kid",
                     rensei_ring_key_kid(key), "alg",
                     rensei_alg_name(rensei_ring_key_alg(key)), "type",
                     type_of(key), "bits", rensei_ring_key_bits(key), "private",
                     rensei_ring_key_signs(key), "file", path);
}

/* ---- signing-key new ---- */

static EVP_PKEY *generate(rensei_alg_e alg, apr_int64_t bits)
{
    switch (alg) {
    case RENSEI_ALG_ES256:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    case RENSEI_ALG_ES384:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    case RENSEI_ALG_EDDSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    }
}

/* PKCS#8, in p; the caller wipes it. NULL when OpenSSL failed. */
static char *pem_make(rensei_alg_e alg, apr_int64_t bits, apr_pool_t *p)
{
    EVP_PKEY *pkey = generate(alg, bits);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text, *pem = NULL;

    if (pkey && bio &&
        PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)) {
        long n = BIO_get_mem_data(bio, &text);
        pem = apr_pstrmemdup(p, text, (apr_size_t)n);
    }
    BIO_free(bio); /* which wipes its copy */
    EVP_PKEY_free(pkey);
    return pem;
}

/* The algorithm of --alg, and --bits, which is for RSA alone. */
static rensei_ctl_exit_e kind_read(rensei_alg_e *alg, apr_int64_t *bits,
                                   rensei_ctl_t *ctl)
{
    if (!rensei_alg_parse(alg, rensei_ctl_option(ctl, "alg")) ||
        *alg == RENSEI_ALG_HS256) {
        return rensei_ctl_usage(ctl, "--alg wants one of ES256, ES384, RS256, "
                                     "PS256 and EdDSA.");
    }
    if (rensei_ctl_option(ctl, "bits") && *alg != RENSEI_ALG_RS256 &&
        *alg != RENSEI_ALG_PS256) {
        return rensei_ctl_usage(ctl, "--bits is for RS256 and PS256: the other "
                                     "algorithms have one size.");
    }
    return rensei_ctl_option_int(bits, ctl, "bits", RENSEI_RSA_BITS_MIN,
                                 RENSEI_RSA_BITS_MAX);
}

static rensei_ctl_exit_e file_write(const char *path, const char *pem)
{
    rensei_ctl_exit_e rc;
    int fd;

    if ((rc = rensei_ctl_private_create(&fd, path)) != RENSEI_CTL_OK) {
        return rc;
    }
    if ((rc = rensei_ctl_private_write(fd, path, pem)) != RENSEI_CTL_OK) {
        unlink(path);
    }
    return rc;
}

/* The line for the configuration, which takes absolute paths; the algorithm
 * is not in the file, so one that is not the usual must be said. */
static const char *directive(const rensei_ring_key_t *key, const char *path,
                             apr_pool_t *p)
{
    int usual = rensei_ring_key_alg(key) != RENSEI_ALG_PS256;
    char *absolute = NULL;

    apr_filepath_merge(&absolute, NULL, path, APR_FILEPATH_NATIVE, p);
    path = absolute ? absolute : path;
    return apr_pstrcat(p, "RenseiSigningKey ",
                       strpbrk(path, " \t") ? "\"file:" : "file:", path,
                       strpbrk(path, " \t") ? "\"" : "",
                       usual ? "" : " alg=PS256", NULL);
}

static rensei_ctl_exit_e show_new(rensei_ctl_t *ctl, const char *pem,
                                  const char *path)
{
    const rensei_ring_key_t *key;
    rensei_ctl_exit_e rc;
    rensei_ring_t *ring;
    json_t *object;

    if ((rc = ring_make(&ring, ctl)) != RENSEI_CTL_OK ||
        (rc = ring_add(ring, ctl, pem, strlen(pem), path)) != RENSEI_CTL_OK ||
        (rc = file_write(path, pem)) != RENSEI_CTL_OK) {
        return rc;
    }
    key = rensei_ring_signer(ring);
    object = key_json(key, path);
    json_object_del(object, "private");
    json_object_set_new(object, "directive",
                        json_string(directive(key, path, ctl->p)));
    return rensei_ctl_show(ctl, object, new_fields);
}

static rensei_ctl_exit_e new_key(rensei_ctl_t *ctl)
{
    apr_int64_t bits = RENSEI_RSA_BITS_MIN;
    rensei_alg_e alg;
    rensei_ctl_exit_e rc;
    char *pem;

    if ((rc = kind_read(&alg, &bits, ctl)) != RENSEI_CTL_OK) {
        return rc;
    }
    if (!(pem = pem_make(alg, bits, ctl->p))) {
        return rensei_ctl_say(RENSEI_CTL_FAILED,
                              "OpenSSL could not make a key.");
    }
    rc = show_new(ctl, pem, rensei_ctl_option(ctl, "out"));
    OPENSSL_cleanse(pem, strlen(pem));
    return rc;
}

/* ---- signing-key list ---- */

/* Adds a file's key to all of them, and a row for it. */
static rensei_ctl_exit_e file_list(rensei_ctl_t *ctl, rensei_ring_t *all,
                                   json_t *rows, const char *path)
{
    rensei_ring_t *own;
    rensei_ctl_exit_e rc;
    apr_size_t n = 0;
    char *pem = NULL;

    if ((rc = ring_make(&own, ctl)) != RENSEI_CTL_OK ||
        (rc = rensei_ctl_file_read(&pem, &n, path, ctl->p)) != RENSEI_CTL_OK) {
        return rc;
    }
    if ((rc = ring_add(own, ctl, pem, n, path)) == RENSEI_CTL_OK &&
        (rc = ring_add(all, ctl, pem, n, path)) == RENSEI_CTL_OK) {
        json_array_append_new(rows, key_json(rensei_ring_at(own, 0), path));
    }
    OPENSSL_cleanse(pem, n);
    return rc;
}

static rensei_ctl_exit_e list(rensei_ctl_t *ctl)
{
    json_t *rows = rensei_json_own(json_array(), ctl->p);
    rensei_ring_t *all;
    rensei_ctl_exit_e rc = ring_make(&all, ctl);

    for (int i = 0; rc == RENSEI_CTL_OK && i < ctl->args->nelts; ++i) {
        rc = file_list(ctl, all, rows,
                       APR_ARRAY_IDX(ctl->args, i, const char *));
    }
    if (rc != RENSEI_CTL_OK) {
        return rc;
    }
    return rensei_ctl_option(ctl, "json")
               ? rensei_ctl_show(ctl, rensei_ring_jwks(all), list_fields)
               : rensei_ctl_show_rows(ctl, json_incref(rows), "keys", NULL,
                                      list_fields);
}

static const rensei_ctl_option_t new_options[] = {
    {"alg", "ALG", "ES256, ES384, RS256, PS256 or EdDSA", RENSEI_CTL_REQUIRED},
    {"out", "FILE", "write it there (0600); an existing file is left",
     RENSEI_CTL_REQUIRED},
    {"bits", "NUMBER", "of an RSA key: 2048 (the default) to 4096", 0},
    {NULL, NULL, NULL, 0}};

static const rensei_ctl_option_t list_options[] = {
    {"alg", "ALG", "what RenseiSigningKey says with alg=; else the usual one",
     0},
    {NULL, NULL, NULL, 0}};

const rensei_ctl_command_t rensei_ctl_signing_key_commands[] = {
    {"signing-key new", NULL, "Make a key pair to sign tokens with",
     "PKCS#8 in PEM, for RenseiSigningKey. Gateways and other servers verify\n"
     "with the public half alone, which /.well-known/jwks.json gives them.\n"
     "The key id is the key's thumbprint (RFC 7638). It needs no store.\n"
     "\n"
     "ES256 is a good choice: short tokens, quickly signed, verified by every\n"
     "library. RS256 verifies faster, in tokens that are longer by 256 bytes.\n"
     "\n"
     "Example:\n"
     "  sudo renseictl signing-key new --alg ES256 \\\n"
     "      --out /etc/apache2/rensei-2026.pem\n",
     new_options, new_key},
    {"signing-key list", "FILE...", "Tell what keys are in files",
     "Of private keys and of public ones. With --json it prints their public\n"
     "halves as a JWK Set, for servers that verify without asking for it.\n"
     "\n"
     "Examples:\n"
     "  sudo renseictl signing-key list /etc/apache2/rensei-*.pem\n"
     "  renseictl signing-key list key.pem --json > jwks.json\n",
     list_options, list},
    {NULL, NULL, NULL, NULL, NULL, NULL}};
