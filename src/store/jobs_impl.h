/* jobs_impl.h - what the two halves of jobs.h share: jobs.c is their clients', items.c their
 * speakers'. */
#ifndef STORE_JOBS_IMPL_H
#define STORE_JOBS_IMPL_H
#include "store/db.h"
#include "store/jobs.h"

#define JOBS_OPEN_MAX 10000 /* batches that have not ended, looked at together */

enum item_state { ITEM_WAITING, ITEM_CLAIMED, ITEM_DONE, ITEM_FAILED };

struct jobs {
    struct db_pool *pool;
    struct bucket *bucket; /* NULL: none */
    size_t above;          /* bytes that are kept in the database */
    char lock_path[4104];
    int lock_fd; /* -1: another process speaks this file's items */
};

/* Before the transaction: a content that belongs into the bucket is written there, and f->is_object
 * set. */
int jobs_put_object(struct jobs *j, struct jobs_file *f, const void *data, size_t n, struct err *e);
/* A row and its chunks, in the caller's transaction; data NULL: it shows f->n_bytes of answers.
 * ERR_CANCELLED: its object was swept away meanwhile. */
int jobs_put_file(struct db *d, const struct jobs_file *f, const void *data, size_t n,
                  struct err *e);

#endif
