/* spool.h - bytes of bodies and answers that do not stay in memory: the first SPOOL_MEMORY do, more
 * goes to a file without a name, which is gone with the process.
 *
 *     spool_init(&s, &budget, 1 << 20);
 *     if (spool_add(&s, data, n) < 0) ...       ERR_LIMIT, ERR_BUSY (the budget), ERR_IO
 *     p = spool_data(&s);                       all of it, mapped; valid until the next spool_add
 *     spool_done(&s);
 *
 * One budget bounds what all spools together keep beyond their memory.
 *
 * Threads: a budget any; a spool one at a time. */
#ifndef SERVER_SPOOL_H
#define SERVER_SPOOL_H
#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/buf.h"

#define SPOOL_MEMORY (16 << 10)

struct spool_budget {
    pthread_mutex_t lock;
    size_t limit, used; /* (lock) bytes */
    const char *dir;    /* of the files; NULL: /var/tmp, or /tmp */
};
void spool_budget_init(struct spool_budget *b, size_t limit, const char *dir);
void spool_budget_done(struct spool_budget *b);
size_t spool_budget_used(struct spool_budget *b);

struct spool {
    struct spool_budget *budget;
    struct buf memory; /* the content, as long as there is no file */
    size_t len, max;
    size_t reserved; /* of the budget */
    int fd;          /* -1: no file */
    void *map;       /* [n_map] */
    size_t n_map;
};
void spool_init(struct spool *s, struct spool_budget *b, size_t max);
void spool_done(struct spool *s);
/* So many bytes are announced: 0, ERR_LIMIT, or ERR_BUSY when there is no budget for them now. */
int spool_reserve(struct spool *s, size_t n);
int spool_add(struct spool *s, const void *data, size_t n);
/* Replace the first n bytes, which are there. */
int spool_rewrite(struct spool *s, const void *data, size_t n);
const char *spool_data(struct spool *s); /* "" when empty; NULL: it cannot be mapped */
ssize_t spool_read(const struct spool *s, size_t pos, void *to, size_t n);

#endif
