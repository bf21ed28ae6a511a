/* part.h - a file that is being downloaded: "PATH.part", and "PATH.chunks", which says what of it
 * is there.
 *
 * The file is cut into chunks.  A chunk that has come whole is noted in the journal with the
 * SHA-256 of what came; when a download goes on, a chunk counts if it still has that hash.  So
 * nothing has to be flushed on the way: whatever a crash leaves, torn or lost, is found.  The hash
 * of the whole follows the front of what is there.  PATH itself appears when that hash is right.
 *
 * Threads: one.  The caller holds a lock on the directory. */
#ifndef HUB_PART_H
#define HUB_PART_H
#include "hub/digest.h"

#define PART_CHUNK ((uint64_t)4 << 20)

enum part_state { PART_FREE, PART_TAKEN, PART_DONE };

struct part {
    char path[4096];
    uint64_t size;
    struct digest_value wanted; /* kind DIGEST_NONE: only the size is known */
    int fd, journal;
    int n_chunk, n_done, front; /* chunks; done; that the whole hash has seen */
    unsigned char *state;       /* [n_chunk] enum part_state */
    struct digest whole;
    char *block; /* [PART_CHUNK] */
};

/* Goes on with what is there, if it is of a file of this size and hash; watch may be NULL. */
int part_open(struct part *p, const char *path, uint64_t size, const struct digest_value *wanted,
              const struct digest_watch *watch, struct err *e);
void part_close(struct part *p);
uint64_t part_bytes(const struct part *p); /* in chunks that are done */

/* The longest run of free chunks from the first on, at most max, is taken: 0, or -1: none left. */
int part_take(struct part *p, int max, uint64_t *first, uint64_t *end);
void part_give(struct part *p, uint64_t first, uint64_t end); /* back, what of it is not done */
int part_write(struct part *p, uint64_t at, const void *data, size_t n, struct err *e);
/* The chunk at this byte is written, and what came had this hash. */
int part_chunk(struct part *p, uint64_t at, const struct digest_value *sha256, struct err *e);
/* All chunks are done: compare, flush, rename to PATH.  A wrong hash removes what is there. */
int part_finish(struct part *p, struct err *e);

/* One line of the journal, "INDEX HEX"; 0, or -1: malformed. */
int part_parse(const char *line, int *index, struct digest_value *sha256);
/* errno of a write as an error that says what to do. */
int part_fail(const char *path, struct err *e);

#endif
