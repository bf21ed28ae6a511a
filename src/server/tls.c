#include "server/tls.h"

#include <string.h>

#include "base/mem.h"

#define PEM_BYTES (1 << 20)
#define CHAIN_MAX 16

static gnutls_datum_t tls_datum(const struct buf *b)
{
    return (gnutls_datum_t){(unsigned char *)b->data, (unsigned)b->len};
}

/* The HTTP library only logs a bad pair of files, so they are tried first. */
static int tls_check_pair(const char *cert_path, const char *key_path, const struct buf *cert,
                          const struct buf *key, struct err *e)
{
    gnutls_certificate_credentials_t c;
    gnutls_datum_t chain = tls_datum(cert), secret = tls_datum(key);
    if (gnutls_certificate_allocate_credentials(&c) < 0)
        return err_set(e, ERR_MEMORY, "out of memory for TLS");
    int rc = gnutls_certificate_set_x509_key_mem(c, &chain, &secret, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(c);
    return rc >= 0
               ? 0
               : err_set(e, ERR_FORMAT, "%.128s and %.128s are not a certificate and its key: %s",
                         cert_path, key_path, gnutls_strerror(rc));
}

int tls_load(struct tls *t, const char *cert_path, const char *key_path, struct err *e)
{
    struct buf cert, key;
    int rc;
    if (!t->ready)
        pthread_mutex_init(&t->lock, NULL);
    t->ready = true;
    if (!cert_path && !key_path)
        return 0;
    if (!cert_path || !key_path)
        return err_set(e, ERR_ARGUMENT, "tls_cert and tls_key go together: one is not set");
    buf_init(&cert, PEM_BYTES);
    buf_init(&key, PEM_BYTES);
    if ((rc = buf_read_file(&cert, cert_path, e)) < 0 ||
        (rc = buf_read_file(&key, key_path, e)) < 0 ||
        (rc = tls_check_pair(cert_path, key_path, &cert, &key, e)) < 0) {
        buf_done(&cert);
        buf_done(&key);
        return rc;
    }
    pthread_mutex_lock(&t->lock);
    buf_done(&t->cert);
    buf_done(&t->key);
    t->cert = cert;
    t->key = key;
    pthread_mutex_unlock(&t->lock);
    return 0;
}

void tls_done(struct tls *t)
{
    buf_done(&t->cert);
    buf_done(&t->key);
    if (t->ready)
        pthread_mutex_destroy(&t->lock);
    *t = (struct tls){.ready = false};
}

/* The library's callback has no cookie.  One process serves with one certificate. */
static struct tls *tls_in_use;

void tls_use(struct tls *t)
{
    tls_in_use = t;
}

/* A copy for this handshake, which GnuTLS frees: another may be loaded meanwhile.
 * Signature: gnutls_certificate_retrieve_function3. */
int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                 gnutls_pcert_st **certs, unsigned *n_cert, gnutls_ocsp_data_st **ocsp,
                 unsigned *n_ocsp, gnutls_privkey_t *key, unsigned *flags)
{
    struct tls *t = tls_in_use;
    gnutls_privkey_t k = NULL;
    unsigned n = CHAIN_MAX;
    gnutls_pcert_st *list = gnutls_calloc(CHAIN_MAX, sizeof *list);
    (void)session;
    (void)info;
    if (!list || gnutls_privkey_init(&k) < 0) {
        gnutls_free(list);
        return -1;
    }
    pthread_mutex_lock(&t->lock);
    gnutls_datum_t chain = tls_datum(&t->cert), secret = tls_datum(&t->key);
    int rc = gnutls_pcert_list_import_x509_raw(list, &n, &chain, GNUTLS_X509_FMT_PEM, 0);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(k, &secret, GNUTLS_X509_FMT_PEM, NULL, 0);
    pthread_mutex_unlock(&t->lock);
    if (rc < 0) {
        gnutls_privkey_deinit(k);
        gnutls_free(list);
        return -1;
    }
    *certs = list;
    *n_cert = n;
    *key = k;
    *ocsp = NULL;
    *n_ocsp = 0;
    *flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
    return 0;
}
