/* jobs.h - files, batches and their items: what OpenAI's Files and Batches keep.
 *
 *     if (jobs_open("/var/lib/jabbertts/jobs.sqlite", &j, &e) < 0) ...   or a postgresql:// URL
 *     jobs_add_file(j, &file, data, n, id, &e);
 *     jobs_add_batch(j, &batch, 100, id, &e);
 *     jobs_close(j);
 *
 * An item is a line of a batch's input.  Those who speak them (server/runner.h) claim one at a time
 * and hold a lease on it, which ends with their life:
 *
 *              jobs_claim              jobs_finish
 *     WAITING ------------> CLAIMED ----------------> DONE or FAILED
 *        ^                     |
 *        +---------------------+  jobs_release, or the lease has run out
 *
 * Storing an item's sound and finishing it are one transaction, which changes nothing where the
 * claim was lost meanwhile: so each line is in the output once, whoever dies.
 *
 * Rows belong to an owner, the name of a key; owner NULL sees all.  Times are seconds since 1970 by
 * the database's own clock, so that machines need not agree.  ERR_BUSY, ERR_AWAY: the database
 * is locked or away.
 *
 * Threads: any. */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define JOBS_ID_BYTES    48
#define JOBS_CHUNK_BYTES (48 << 10) /* a file's content is kept and read in pieces of so many */
#define JOBS_LEASE_S     30

struct bucket;
struct jobs;
int jobs_open(const char *where, struct jobs **ret, struct err *e);
/* Before anything else: contents of more than `above` bytes are kept there from now on; borrowed.
 *
 * An object is written under its file's id before the transaction that makes the file.  Until then
 * it is an orphan, a row by which jobs_sweep finds it when nothing came of it; a file that is
 * removed leaves one, too.  So the bucket never has to be listed, and every file has its object. */
void jobs_use_bucket(struct jobs *j, struct bucket *bucket, size_t above);
void jobs_close(struct jobs *j); /* NULL is fine */

/* --- files --- */

/* What a file holds: bytes, or answers of a batch. */
enum jobs_view { JOBS_CONTENT, JOBS_OUTPUT, JOBS_ERRORS };

struct jobs_file {
    const char *id, *owner, *name, *purpose;
    const char *batch; /* that it comes from; "" */
    enum jobs_view view;
    bool is_object;                          /* its bytes are in the bucket */
    int64_t n_bytes, created_at, expires_at; /* expires_at 0: never */
    int64_t keep_s;                          /* to add: it expires so much later; 0: never */
};
typedef void (*jobs_file_fn)(void *cookie, const struct jobs_file *f);

struct jobs_page {
    const char *owner, *after, *purpose; /* after, purpose NULL: from the first; any but sounds */
    const char *batch; /* of files: those of this batch, sounds too; NULL: of any */
    int limit;
    bool descending;
};
int jobs_add_file(struct jobs *j, const struct jobs_file *f, const void *data, size_t n,
                  char id[JOBS_ID_BYTES], struct err *e);
int jobs_get_file(struct jobs *j, const char *owner, const char *id, jobs_file_fn fn, void *cookie,
                  struct err *e);
/* 1: there are more. */
int jobs_list_files(struct jobs *j, const struct jobs_page *p, jobs_file_fn fn, void *cookie,
                    struct err *e);
int jobs_remove_file(struct jobs *j, const char *owner, const char *id, struct err *e);

/* A file's content, piece by piece. */
struct jobs_reader {
    char id[JOBS_ID_BYTES], batch[JOBS_ID_BYTES];
    enum jobs_view view;
    int64_t at;
    bool is_object;
    int64_t n_bytes; /* of an object */
};
int jobs_open_file(struct jobs *j, const char *owner, const char *id, struct jobs_reader *ret,
                   struct err *e);
/* Appends to `to` at most JOBS_CHUNK_BYTES and one answer: 1: there was some; 0: the end. */
int jobs_read(struct jobs *j, struct jobs_reader *r, struct buf *to, struct err *e);

/* --- batches --- */

enum jobs_status {
    JOBS_VALIDATING,
    JOBS_IN_PROGRESS,
    JOBS_FINALIZING,
    JOBS_CANCELLING,
    JOBS_COMPLETED, /* from here on it has ended */
    JOBS_FAILED,
    JOBS_EXPIRED,
    JOBS_CANCELLED,
    N_JOBS_STATUS
};
const char *jobs_status_name(enum jobs_status s);

struct jobs_batch {
    const char *id, *owner, *input, *window, *metadata; /* metadata: JSON, or "" */
    bool sees_all;                                      /* its key sees every owner's voices */
    int64_t window_s, keep_s;                           /* to add: its time, and its sounds' */
    enum jobs_status status;
    const char *errors, *output, *error_file; /* JSON, or ""; ids, or "" */
    int64_t created_at, expires_at;
    int64_t at[N_JOBS_STATUS]; /* when that status was reached; 0: not yet */
    int64_t n_total, n_done, n_failed, n_in_token, n_out_token;
};
typedef void (*jobs_batch_fn)(void *cookie, const struct jobs_batch *b);

/* ERR_LIMIT: the owner has max_open batches that have not ended. */
int jobs_add_batch(struct jobs *j, const struct jobs_batch *b, int max_open, char id[JOBS_ID_BYTES],
                   struct err *e);
int jobs_get_batch(struct jobs *j, const char *owner, const char *id, jobs_batch_fn fn,
                   void *cookie, struct err *e);
int jobs_list_batches(struct jobs *j, const struct jobs_page *p, jobs_batch_fn fn, void *cookie,
                      struct err *e);
/* ERR_ARGUMENT: it has ended. */
int jobs_cancel(struct jobs *j, const char *owner, const char *id, struct err *e);

/* --- speaking them --- */

/* May this process speak items?  A file's are spoken by one process at a time. */
bool jobs_lead(struct jobs *j);
/* All batches that have not ended, oldest first. */
int jobs_open_batches(struct jobs *j, jobs_batch_fn fn, void *cookie, struct err *e);
/* Claims a batch as a whole, which one process at a time may do.  1: claimed, for the lease's time.
 */
int jobs_hold(struct jobs *j, const char *batch, const char *runner, struct err *e);
/* Begin, or begin again, to fill a batch with items. */
int jobs_clear_items(struct jobs *j, const char *batch, struct err *e);

struct jobs_item {
    int64_t line;        /* from 1 */
    char *custom, *body; /* JSON texts: the id that the client gave, the request.  mem_free */
};
void jobs_item_done(struct jobs_item *i);
/* In one transaction.  *duplicate: the line whose id another one has; 0: none. */
int jobs_add_items(struct jobs *j, const char *batch, const struct jobs_item *item, int n,
                   int64_t *duplicate, struct err *e);
/* From VALIDATING to IN_PROGRESS with so many items, or to FAILED with errors (JSON). */
int jobs_validated(struct jobs *j, const char *batch, int64_t n_item, const char *errors,
                   struct err *e);
int jobs_claim(struct jobs *j, const char *batch, const char *runner, struct jobs_item *ret,
               struct err *e);                                     /* 1: there was one */
int jobs_renew(struct jobs *j, const char *runner, struct err *e); /* its leases */
/* Give a claim back; line 0: all of the runner's. */
int jobs_release(struct jobs *j, const char *batch, int64_t line, const char *runner,
                 struct err *e);

struct jobs_done {
    const char *batch, *runner;
    int64_t line;
    const char *answer;            /* a line of JSON in ASCII, without its end */
    bool failed;                   /* then there is no sound */
    const struct jobs_file *sound; /* its id was made by jobs_make_id */
    const void *data;
    size_t n;
    int n_in_token, n_out_token;
};
/* ERR_CANCELLED: the claim is lost, and nothing was done. */
int jobs_finish(struct jobs *j, const struct jobs_done *d, struct err *e);
/* A batch whose items are all done, that has expired or is to be cancelled goes on to its next
 * state.  1: it did. */
int jobs_settle(struct jobs *j, const char *batch, struct err *e);
/* Remove some of what has expired; batches and their items keep_s after their end. */
int jobs_sweep(struct jobs *j, int64_t keep_s, struct err *e);

void jobs_make_id(const char *prefix, char id[JOBS_ID_BYTES]); /* sorts by the time it was made */

#endif
