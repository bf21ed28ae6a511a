/* fetch.h - one file from the hub or from any web server: what it is, and its bytes.
 *
 * A large file comes over several connections, each with a range of its own.  A connection that
 * breaks goes on at the byte where it broke; a signed address that has expired is asked for again.
 *
 * Threads: one, that of its struct web. */
#ifndef HUB_FETCH_H
#define HUB_FETCH_H
#include "hub/digest.h"
#include "hub/web.h"

#define FETCH_CONNECTIONS 16 /* at most */

struct fetch_file {
    char url[WEB_URL_BYTES];    /* where to ask; may redirect */
    char source[WEB_URL_BYTES]; /* where the bytes are; often signed, and soon of no use */
    uint64_t size;
    struct digest_value hash; /* kind DIGEST_NONE: a server that is no hub names none */
    char etag[160], commit[80];
};

/* Fills all but url, which may change to where the hub has moved it. */
int fetch_resolve(struct web *w, struct fetch_file *f, const struct subject *s, struct err *e);
/* Downloads to path, which appears when it is whole and its hash is right.  *arrived: bytes that
 * are there, kept up to date for w->tick. */
int fetch_download(struct web *w, struct fetch_file *f, const struct subject *s, const char *path,
                   uint64_t *arrived, struct err *e);

#endif
