/* digest.h - hashes of the hub's files, by GnuTLS: SHA-256 of large ones, git's blob hash (SHA-1 of
 * "blob SIZE\0" and the content) of small ones.
 *
 *     digest_parse("9f86d0...", &wanted) == 0      kind by its length: 64 or 40 hex digits
 *     digest_begin(&d, &wanted, size, e);
 *     digest_add(&d, data, n); ...
 *     if (digest_end(&d, &found), !digest_same(&wanted, &found)) ...
 *
 * Threads: a digest belongs to one. */
#ifndef HUB_DIGEST_H
#define HUB_DIGEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum digest_kind { DIGEST_NONE, DIGEST_SHA256, DIGEST_GIT };

struct digest_value {
    enum digest_kind kind;
    char hex[65]; /* lower case */
};

struct digest {
    enum digest_kind kind;
    void *state; /* gnutls_hash_hd_t; NULL: not begun */
};

int digest_parse(const char *hex, struct digest_value *ret); /* 0, or ERR_FORMAT: neither */
int digest_begin(struct digest *d, enum digest_kind kind, uint64_t size, struct err *e);
void digest_add(struct digest *d, const void *data, size_t n);
void digest_end(struct digest *d, struct digest_value *ret); /* ret may be NULL */
bool digest_same(const struct digest_value *a, const struct digest_value *b);

/* Called now and then with bytes read; not 0 stops. */
struct digest_watch {
    int (*step)(void *cookie, uint64_t done);
    void *cookie;
};
/* A whole file.  *size: its bytes, may be NULL; watch may be NULL. */
int digest_file(const char *path, enum digest_kind kind, struct digest_value *ret, uint64_t *size,
                const struct digest_watch *watch, struct err *e);

#endif
