/* bucket.h - an S3-compatible store of objects: bytes under names, over HTTP, signed by libcurl
 * with AWS's signature, version 4.
 *
 *     if (bucket_open(&options, &b, &e) < 0) ...
 *     bucket_put(b, "file-1", data, n, &e);          whole or not at all; again is no harm
 *     bucket_get(b, "file-1", at, n, &buf, &e);      appends n bytes from at on
 *     bucket_remove(b, "file-1", &e);                what is not there is removed
 *     bucket_close(b);
 *
 * What fails for a reason that may pass (no connection, 5xx, 429, too slow, full) is tried three
 * times within 15 seconds and what the bytes take at 1 MB a second; then it is ERR_AWAY, and for
 * two seconds nobody waits for the bucket.  Three calls run at a time; who waits a second for a
 * turn gets ERR_AWAY too.  ERR_NOT_FOUND, ERR_IO: the bucket's own answer.
 *
 * Memory: what the caller gives.  Threads: any. */
#ifndef STORE_BUCKET_H
#define STORE_BUCKET_H
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct bucket_options {
    const char *where;    /* s3://NAME or s3://NAME/PREFIX */
    const char *endpoint; /* https://HOST; NULL: Amazon's of the region */
    const char *region;
    const char *key_id, *secret, *token; /* token NULL: the key is not a temporary one */
};

struct bucket;
/* Writes and removes an object, to know that it may.  A bucket that is away now is opened; one that
 * refuses is an error. */
int bucket_open(const struct bucket_options *o, struct bucket **ret, struct err *e);
void bucket_close(struct bucket *b); /* NULL is fine */
int bucket_put(struct bucket *b, const char *name, const void *data, size_t n, struct err *e);
int bucket_get(struct bucket *b, const char *name, int64_t at, size_t n, struct buf *to,
               struct err *e);
int bucket_remove(struct bucket *b, const char *name, struct err *e);

#endif
