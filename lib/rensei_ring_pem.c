/* Copyright the mod_rensei authors. SPDX-License-Identifier: Apache-2.0 */

/*
 * The key of a PEM text (RFC 7468). Its blocks are read one by one and told
 * apart by their labels: OpenSSL's readers take the first that fits, and ask
 * at the terminal for a passphrase.
 */
#include "rensei_ring_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>

typedef struct block_t {
    char *label, *header;
    unsigned char *der;
    long n;
} block_t;

static apr_status_t refused(rensei_err_t *err, const char *text)
{
    ERR_clear_error();
    return rensei_err_set(err, RENSEI_E_INVALID_REQUEST, text);
}

/* PEM_FLAG_SECURE: what was read is wiped when it is freed. */
static int block_read(block_t *out, BIO *bio)
{
    return PEM_read_bio_ex(bio, &out->label, &out->header, &out->der, &out->n,
                           PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE);
}

static void block_free(block_t *b)
{
    OPENSSL_secure_free(b->label);
    OPENSSL_secure_free(b->header);
    OPENSSL_secure_clear_free(b->der, (size_t)b->n);
    memset(b, 0, sizeof(*b));
}

static int labelled(const block_t *b, const char *label)
{
    return strcmp(b->label, label) == 0;
}

static int is_private_block(const block_t *b)
{
    return labelled(b, PEM_STRING_PKCS8INF) || labelled(b, PEM_STRING_RSA) ||
           labelled(b, PEM_STRING_ECPRIVATEKEY);
}

/* Up to the end: what follows the key in its block is part of no key. */
static EVP_PKEY *block_decode(const block_t *b)
{
    const unsigned char *at = b->der;
    EVP_PKEY *pkey = is_private_block(b) ? d2i_AutoPrivateKey(NULL, &at, b->n)
                                         : d2i_PUBKEY(NULL, &at, b->n);

    if (pkey && at != b->der + b->n) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static apr_status_t block_key(EVP_PKEY **out, int *is_private, const block_t *b,
                              rensei_err_t *err)
{
    if (labelled(b, PEM_STRING_ECPARAMETERS)) {
        return APR_SUCCESS; /* `openssl ecparam -genkey` writes it first */
    }
    if (labelled(b, PEM_STRING_PKCS8) || *b->header) {
        return refused(err, "The private key is encrypted. A server that "
                            "starts by itself needs it as it is: 'openssl "
                            "pkey -in FILE -out NEWFILE', with mode 0600.");
    }
    if (!is_private_block(b) && !labelled(b, PEM_STRING_PUBLIC)) {
        return refused(err, "The PEM text has something else in it than a "
                            "private key (PRIVATE KEY) or a public one "
                            "(PUBLIC KEY).");
    }
    if (*out) {
        return refused(err, "The PEM text has more than one key in it.");
    }
    *is_private = is_private_block(b);
    *out = block_decode(b);
    return *out ? APR_SUCCESS
                : refused(err, "The key in the PEM text cannot be read.");
}

static apr_status_t blocks_read(EVP_PKEY **out, int *is_private, BIO *bio,
                                rensei_err_t *err)
{
    block_t b = {NULL, NULL, NULL, 0};
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && block_read(&b, bio)) {
        rv = block_key(out, is_private, &b, err);
        block_free(&b);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return refused(err, "The PEM text is damaged.");
    }
    ERR_clear_error();
    return *out ? APR_SUCCESS
                : refused(err, "There is no key in it: a PEM text begins with "
                               "'-----BEGIN PRIVATE KEY-----', or PUBLIC KEY.");
}

apr_status_t rensei_ring_pem_read(EVP_PKEY **out, int *is_private,
                                  const void *pem, apr_size_t n,
                                  rensei_err_t *err)
{
    apr_status_t rv;
    BIO *bio;

    *out = NULL;
    if (n > RENSEI_PEM_LEN_MAX) {
        return refused(err, "The PEM text is too long for a key.");
    }
    bio = BIO_new_mem_buf(pem, (int)n);
    if (!bio) {
        return rensei_ring_openssl_failed(err);
    }
    rv = blocks_read(out, is_private, bio, err);
    BIO_free(bio);
    if (rv != APR_SUCCESS) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return rv;
}
