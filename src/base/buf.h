/* buf.h - a growing byte buffer with a maximum that is named when it is made.
 *
 *     struct buf b;
 *     buf_init(&b, LIMIT_TEXT_BYTES);
 *     if (buf_add(&b, s, n) < 0) ...            ERR_LIMIT or ERR_MEMORY; contents unchanged
 *     puts(buf_str(&b));                        always NUL-terminated
 *     buf_done(&b);
 *
 * Threads: a buffer belongs to one thread at a time. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include <stddef.h>

#include "base/err.h"

struct buf {
    char *data;
    size_t len, cap, max;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
void buf_clear(struct buf *b);
int buf_add(struct buf *b, const void *data, size_t n); /* 0, ERR_LIMIT or ERR_MEMORY */
int buf_add_str(struct buf *b, const char *s);
int buf_add_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *buf_str(const struct buf *b); /* "" when empty; valid until the next buf_* call */
char *buf_take(struct buf *b);            /* the caller frees it with mem_free; NULL if no memory */

/* Append the whole file.  The error names it: ERR_NOT_FOUND, ERR_IO, ERR_MEMORY, or ERR_LIMIT where
 * it is longer than the room. */
int buf_read_file(struct buf *b, const char *path, struct err *e);

#endif
