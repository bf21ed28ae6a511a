/* takes.h - finished sounds and answers kept in files, by the name of what they were made of.
 *
 *     if (takes_open(dir, limit, &t, &e) < 0) ...
 *     if (takes_find(t, name, &take)) ...            its bytes are take.n_bytes of take.fd from
 *         close(take.fd);                            take.offset on, and whole
 *     w = takes_begin(t, name, type);                NULL is fine below: it is not kept
 *     takes_write(w, data, n);
 *     takes_end(w, head, n_head);                    whole: found from now on
 *     takes_drop(w);                                 or not whole, and forgotten
 *
 * DIR/NAME.take is struct take_header and the bytes.  It is written beside and renamed, so that a
 * process that dies leaves nothing to be found; what it leaves is locked by nobody and is swept
 * away.  Bytes that are not what was written, by their hash, are removed when they are asked for;
 * nothing is flushed to the disk on the way.  What was used least recently goes first: when more
 * than the limit is kept, a tenth goes at once, so that the directory is seldom read.  Several
 * processes may share a directory; each looks again after it has added a sixteenth of the limit.
 * Whatever cannot be written is not kept: a full disk costs no answer.
 *
 * Threads: any; a writer belongs to one. */
#ifndef STORE_TAKES_H
#define STORE_TAKES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

#define TAKES_NAME 64 /* hexadecimal digits */
#define TAKES_TYPE 48 /* bytes of a media type, with its end */

struct take_header {
    char magic[8]; /* "JBRTTAKE" */
    uint32_t version, pad;
    uint64_t n_bytes;
    char name[TAKES_NAME], type[TAKES_TYPE];
    uint8_t hash[16]; /* MurmurHash3 of all else: finds damage, not forgery */
};

struct stored_take {
    int fd;
    off_t offset;
    size_t n_bytes;
    char type[TAKES_TYPE];
};

struct takes_counts {
    uint64_t n_hit, n_miss, n_evicted, n_kept, n_lost; /* lost: could not be written, or damaged */
    size_t bytes;                                      /* kept, as far as this process knows */
};

struct takes;
struct take_writer;
/* dir is made if its parent is there. */
int takes_open(const char *dir, size_t limit, struct takes **ret, struct err *e);
void takes_close(struct takes *t); /* NULL is fine */
void takes_count(struct takes *t, struct takes_counts *ret);

bool takes_is_name(const char *name);
bool takes_find(struct takes *t, const char *name, struct stored_take *ret);

struct take_writer *takes_begin(struct takes *t, const char *name, const char *type);
void takes_write(struct take_writer *w, const void *data, size_t n);
/* head [n_head] replaces the first bytes.  True: it is kept.  Frees w. */
bool takes_end(struct take_writer *w, const void *head, size_t n_head);
void takes_drop(struct take_writer *w);

#endif
