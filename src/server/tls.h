/* tls.h - the certificate and its key, which may be read again while connections run.
 *
 * Threads: tls_load from one at a time; tls_retrieve from any. */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

struct tls {
    pthread_mutex_t lock;
    bool ready;           /* the lock is made */
    struct buf cert, key; /* (lock) PEM */
};
/* Read the files (both NULL: no TLS) and try them.  What was there stays when they are bad. */
int tls_load(struct tls *t, const char *cert, const char *key, struct err *e);
void tls_done(struct tls *t);

/* For the HTTP library: the pair for one more handshake, of the struct tls that tls_use named. */
void tls_use(struct tls *t);
int tls_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                 gnutls_pcert_st **certs, unsigned *n_cert, gnutls_ocsp_data_st **ocsp,
                 unsigned *n_ocsp, gnutls_privkey_t *key, unsigned *flags);

#endif
