/* tls.c - the certificate and its key. */
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#include "server/daemon.h"

#define PEM_BYTES (1 << 20)

/* The file as a string. */
static int read_pem(const char *path, struct buf *to, struct err *e)
{
    char block[4096];
    size_t n;
    int rc = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return err_set(e, ERR_NOT_FOUND, "cannot read %.128s: %s", path, strerror(errno));
    while (rc == 0 && (n = fread(block, 1, sizeof block, f)) > 0)
        rc = buf_add(to, block, n);
    fclose(f);
    return rc < 0 ? err_set(e, rc, "%.128s is larger than %zu bytes", path, to->max) : 0;
}

/* The library only logs what is wrong with a pair of files, so try them first. */
static int tls_check_pair(const struct server_options *o, const struct buf *cert,
                          const struct buf *key, struct err *e)
{
    gnutls_certificate_credentials_t c;
    gnutls_datum_t chain = {(unsigned char *)cert->data, (unsigned)cert->len};
    gnutls_datum_t secret = {(unsigned char *)key->data, (unsigned)key->len};
    if (gnutls_certificate_allocate_credentials(&c) < 0)
        return err_set(e, ERR_MEMORY, "out of memory for TLS");
    int rc = gnutls_certificate_set_x509_key_mem(c, &chain, &secret, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(c);
    return rc >= 0 ? 0
                   : err_set(e, ERR_FORMAT, "%.128s and %.128s are no certificate and its key: %s",
                             o->tls_cert, o->tls_key, gnutls_strerror(rc));
}

int tls_read(struct server *s, struct err *e)
{
    int rc;
    buf_init(&s->tls_cert, PEM_BYTES);
    buf_init(&s->tls_key, PEM_BYTES);
    if (!s->o.tls_cert && !s->o.tls_key)
        return 0;
    if (!s->o.tls_cert || !s->o.tls_key)
        return err_set(e, ERR_ARGUMENT, "tls_cert and tls_key go together: one is not set");
    if ((rc = read_pem(s->o.tls_cert, &s->tls_cert, e)) < 0 ||
        (rc = read_pem(s->o.tls_key, &s->tls_key, e)) < 0)
        return rc;
    return tls_check_pair(&s->o, &s->tls_cert, &s->tls_key, e);
}
