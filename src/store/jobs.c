/* jobs.c - files and batches as statements that SQLite and PostgreSQL both understand. */
#include "store/jobs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/bucket.h"
#include "store/jobs_impl.h"

/* What makes the next version of version i. */
static const char *const jobs_updates[] = {
    "CREATE TABLE meta(version BIGINT NOT NULL);"
    "CREATE TABLE file(id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL,"
    " purpose TEXT NOT NULL, batch TEXT NOT NULL, shows BIGINT NOT NULL, bytes BIGINT NOT NULL,"
    " created BIGINT NOT NULL, expires BIGINT NOT NULL);"
    "CREATE INDEX file_owner ON file(owner, id);"
    "CREATE INDEX file_batch ON file(batch, id);"
    "CREATE INDEX file_expires ON file(expires) WHERE expires > 0;"
    "CREATE TABLE chunk(file TEXT NOT NULL, seq BIGINT NOT NULL, data BYTEA NOT NULL,"
    " PRIMARY KEY(file, seq));"
    "CREATE TABLE batch(id TEXT PRIMARY KEY, owner TEXT NOT NULL, input TEXT NOT NULL,"
    " completion TEXT NOT NULL, metadata TEXT NOT NULL, sees_all BIGINT NOT NULL,"
    " status BIGINT NOT NULL, errors TEXT NOT NULL DEFAULT '', output TEXT NOT NULL DEFAULT '',"
    " error_file TEXT NOT NULL DEFAULT '', created BIGINT NOT NULL, expires BIGINT NOT NULL,"
    " keep BIGINT NOT NULL, at_1 BIGINT NOT NULL DEFAULT 0, at_2 BIGINT NOT NULL DEFAULT 0,"
    " at_3 BIGINT NOT NULL DEFAULT 0, at_4 BIGINT NOT NULL DEFAULT 0,"
    " at_5 BIGINT NOT NULL DEFAULT 0, at_6 BIGINT NOT NULL DEFAULT 0,"
    " at_7 BIGINT NOT NULL DEFAULT 0, n_total BIGINT NOT NULL DEFAULT 0,"
    " n_done BIGINT NOT NULL DEFAULT 0, n_failed BIGINT NOT NULL DEFAULT 0,"
    " n_in BIGINT NOT NULL DEFAULT 0, n_out BIGINT NOT NULL DEFAULT 0,"
    " runner TEXT NOT NULL DEFAULT '', lease BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX batch_owner ON batch(owner, id);"
    "CREATE INDEX batch_open ON batch(status) WHERE status < 4;"
    "CREATE TABLE item(batch TEXT NOT NULL, line BIGINT NOT NULL, custom TEXT NOT NULL,"
    " body TEXT NOT NULL, state BIGINT NOT NULL DEFAULT 0, runner TEXT NOT NULL DEFAULT '',"
    " lease BIGINT NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '',"
    " PRIMARY KEY(batch, line), UNIQUE(batch, custom));"
    "CREATE INDEX item_todo ON item(batch, state, line);"
    "CREATE INDEX item_claimed ON item(runner) WHERE state = 1;"
    "INSERT INTO meta VALUES(1);",
    /* condemned: it is being removed, and no file may be made of it any more. */
    "ALTER TABLE file ADD COLUMN object BIGINT NOT NULL DEFAULT 0;"
    "CREATE TABLE orphan(id TEXT PRIMARY KEY, due BIGINT NOT NULL,"
    " condemned BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX orphan_due ON orphan(due);"
    "UPDATE meta SET version = 2;",
};
#define VERSION ((int)(sizeof jobs_updates / sizeof *jobs_updates))

/* SQLite has this function of its own. */
static const char postgres_clock[] =
    "CREATE OR REPLACE FUNCTION unixepoch() RETURNS BIGINT LANGUAGE SQL VOLATILE AS"
    " 'SELECT extract(epoch FROM clock_timestamp())::BIGINT';";

/* --- open and close --- */

void jobs_make_id(const char *prefix, char id[JOBS_ID_BYTES])
{
    unsigned char random[10] = {0};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (getrandom(random, sizeof random, 0) < 0)
        memcpy(random, &now.tv_nsec, sizeof now.tv_nsec);
    long long ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    size_t n = (size_t)snprintf(id, JOBS_ID_BYTES, "%s%012llx", prefix, ms);
    for (size_t i = 0; i < sizeof random; i++, n += 2)
        snprintf(id + n, JOBS_ID_BYTES - n, "%02x", random[i]);
}

static int jobs_migrate(struct jobs *j, struct db *d, struct err *e)
{
    int64_t version = 0, there = 0;
    int rc = db_begin(d, e);
    if (rc == 0 && db_is_shared(j->pool)) /* replicas start at the same time */
        rc = db_script(d, "SELECT pg_advisory_xact_lock(7229116)", e);
    if (rc == 0)
        rc = db_number(d, e, &there,
                       db_is_shared(j->pool)
                           ? "SELECT count(*) FROM pg_tables WHERE tablename = 'meta' AND"
                             " schemaname = current_schema()"
                           : "SELECT count(*) FROM sqlite_master WHERE name = 'meta'",
                       NULL);
    if (rc == 0 && there)
        rc = db_number(d, e, &version, "SELECT version FROM meta", NULL);
    if (rc == 0 && (version < 0 || version > VERSION))
        rc = err_set(e, ERR_UNSUPPORTED, "the jobs are of version %lld, this program knows %d",
                     (long long)version, VERSION);
    for (; rc == 0 && version < VERSION; version++)
        rc = db_script(d, jobs_updates[version], e);
    if (rc == 0 && db_is_shared(j->pool))
        rc = db_script(d, postgres_clock, e);
    return rc < 0 ? rc : db_commit(d, e);
}

int jobs_open(const char *where, struct jobs **ret, struct err *e)
{
    struct jobs *j = mem_try(1, sizeof *j);
    struct db *d;
    if (!j)
        return err_set(e, ERR_MEMORY, "out of memory for jobs");
    j->lock_fd = -1;
    int rc = db_open(where, &j->pool, e);
    if (rc == 0 && !db_is_shared(j->pool)) {
        snprintf(j->lock_path, sizeof j->lock_path, "%s.lock", where);
    }
    if (rc == 0 && (rc = db_take(j->pool, &d, e)) == 0) {
        rc = jobs_migrate(j, d, e);
        db_give(j->pool, d);
    }
    if (rc < 0)
        jobs_close(j);
    else
        *ret = j;
    return rc;
}

void jobs_use_bucket(struct jobs *j, struct bucket *bucket, size_t above)
{
    j->bucket = bucket;
    j->above = above;
}

void jobs_close(struct jobs *j)
{
    if (!j)
        return;
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    db_close(j->pool);
    mem_free(j);
}

bool jobs_lead(struct jobs *j)
{
    struct db *d;
    if (db_is_shared(j->pool) || j->lock_fd >= 0)
        return true;
    int fd = open(j->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || db_take(j->pool, &d, NULL) < 0) {
        close(fd);
        return false;
    }
    /* A process that held claims before has ended, since only one process at a time can hold the
     * lock. */
    int rc = db_run(d, NULL, "UPDATE item SET state = 0, runner = '' WHERE state = 1", "");
    if (rc >= 0)
        rc = db_run(d, NULL, "UPDATE batch SET lease = 0 WHERE lease > 0", "");
    db_give(j->pool, d);
    if (rc < 0)
        close(fd);
    else
        j->lock_fd = fd;
    return rc >= 0;
}

/* --- files --- */

#define FILE_COLUMNS "id, owner, name, purpose, batch, shows, bytes, created, expires, object"
#define ORPHAN_S     3600 /* that an object may wait for its file */
#define OWNED        "($1 IS NULL OR owner = $1)"

static void show_file(struct db_rows *q, jobs_file_fn fn, void *cookie)
{
    fn(cookie, &(struct jobs_file){.id = db_text(q, 0),
                                   .owner = db_text(q, 1),
                                   .name = db_text(q, 2),
                                   .purpose = db_text(q, 3),
                                   .batch = db_text(q, 4),
                                   .view = (enum jobs_view)db_int(q, 5),
                                   .n_bytes = db_int(q, 6),
                                   .created_at = db_int(q, 7),
                                   .expires_at = db_int(q, 8),
                                   .is_object = db_int(q, 9) != 0});
}

static int no_file(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no file '%.64s'", id);
}

int jobs_put_object(struct jobs *j, struct jobs_file *f, const void *data, size_t n, struct err *e)
{
    if (!j->bucket || n <= j->above)
        return 0;
    int rc = db_once(j->pool, e,
                     "INSERT INTO orphan(id, due) VALUES($1, unixepoch() + $2)"
                     " ON CONFLICT(id) DO UPDATE SET due = unixepoch() + $2",
                     "si", f->id, (int64_t)ORPHAN_S);
    if (rc >= 0)
        rc = bucket_put(j->bucket, f->id, data, n, e);
    f->is_object = rc >= 0;
    return rc < 0 ? rc : 0;
}

int jobs_put_file(struct db *d, const struct jobs_file *f, const void *data, size_t n,
                  struct err *e)
{
    int rc = db_run(d, e,
                    "INSERT INTO file(" FILE_COLUMNS ") VALUES($1, $2, $3, $4, $5, $6, $7,"
                    " unixepoch(), CASE WHEN $8 > 0 THEN unixepoch() + $8 ELSE 0 END, $9)",
                    "sssssiiii", f->id, f->owner ? f->owner : "", f->name, f->purpose,
                    f->batch ? f->batch : "", (int64_t)f->view, data ? (int64_t)n : f->n_bytes,
                    f->keep_s, (int64_t)f->is_object);
    if (rc > 0 && f->is_object) {
        rc = db_run(d, e, "DELETE FROM orphan WHERE id = $1 AND condemned = 0", "s", f->id);
        if (rc == 0)
            rc = err_set(e, ERR_CANCELLED, "the object of %s waited for too long", f->id);
    }
    for (size_t at = 0, seq = 0; data && !f->is_object && at < n && rc >= 0;
         at += JOBS_CHUNK_BYTES, seq++) {
        size_t part = n - at < JOBS_CHUNK_BYTES ? n - at : JOBS_CHUNK_BYTES;
        rc = db_run(d, e, "INSERT INTO chunk VALUES($1, $2, $3)", "sib", f->id, (int64_t)seq,
                    (const char *)data + at, part);
    }
    return rc < 0 ? rc : 0;
}

int jobs_add_file(struct jobs *j, const struct jobs_file *f, const void *data, size_t n,
                  char id[JOBS_ID_BYTES], struct err *e)
{
    struct jobs_file file = *f;
    struct db *d;
    jobs_make_id("file-", id);
    file.id = id;
    int rc = jobs_put_object(j, &file, data, n, e);
    if (rc < 0 || (rc = db_take(j->pool, &d, e)) < 0)
        return rc;
    if ((rc = db_begin(d, e)) == 0 && (rc = jobs_put_file(d, &file, data ? data : "", n, e)) == 0)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc;
}

int jobs_get_file(struct jobs *j, const char *owner, const char *id, jobs_file_fn fn, void *cookie,
                  struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e,
                  "SELECT " FILE_COLUMNS " FROM file WHERE " OWNED " AND id = $2 AND"
                  " (expires = 0 OR expires > unixepoch())",
                  "ss", owner, id);
    if (rc == 0) {
        rc = db_next(q, e);
        if (rc == 1)
            show_file(q, fn, cookie);
        db_end(q);
        rc = rc == 1 ? 0 : rc == 0 ? no_file(id, e) : rc;
    }
    db_give(j->pool, d);
    return rc;
}

/* A page of a table whose ids sort by time.  rest: further conditions on $4. */
static int select_page(struct db *d, const struct jobs_page *p, const char *columns,
                       const char *from, struct db_rows **q, struct err *e)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "SELECT %s FROM %s AND " OWNED " AND ($2 IS NULL OR id %s $2)"
             " ORDER BY id %s LIMIT $3",
             columns, from, p->descending ? "<" : ">", p->descending ? "DESC" : "ASC");
    return db_query(d, q, e, sql, "ssiss", p->owner, p->after, (int64_t)p->limit + 1, p->purpose,
                    p->batch);
}

int jobs_list_files(struct jobs *j, const struct jobs_page *p, jobs_file_fn fn, void *cookie,
                    struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int n = 0, rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = select_page(d, p, FILE_COLUMNS,
                     "file WHERE (purpose = $4 OR batch = $5 OR ($4 IS NULL AND $5 IS NULL AND"
                     " purpose <> 'batch_sound')) AND (expires = 0 OR expires > unixepoch())",
                     &q, e);
    if (rc == 0) {
        while ((rc = db_next(q, e)) == 1 && n++ < p->limit)
            show_file(q, fn, cookie);
        db_end(q);
    }
    db_give(j->pool, d);
    return rc;
}

int jobs_remove_file(struct jobs *j, const char *owner, const char *id, struct err *e)
{
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_begin(d, e);
    if (rc == 0)
        rc = db_run(d, e,
                    "INSERT INTO orphan(id, due) SELECT id, unixepoch() FROM file WHERE " OWNED
                    " AND id = $2 AND object = 1",
                    "ss", owner, id);
    if (rc >= 0 &&
        (rc = db_run(d, e, "DELETE FROM file WHERE " OWNED " AND id = $2", "ss", owner, id)) == 0)
        rc = no_file(id, e);
    if (rc > 0)
        rc = db_run(d, e, "DELETE FROM chunk WHERE file = $1", "s", id);
    if (rc >= 0)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc;
}

static void note_reader(void *cookie, const struct jobs_file *f)
{
    struct jobs_reader *r = cookie;
    *r = (struct jobs_reader){.view = f->view,
                              .at = f->view == JOBS_CONTENT && !f->is_object ? -1 : 0,
                              .is_object = f->is_object,
                              .n_bytes = f->n_bytes};
    snprintf(r->id, sizeof r->id, "%s", f->id);
    snprintf(r->batch, sizeof r->batch, "%s", f->batch);
}

int jobs_open_file(struct jobs *j, const char *owner, const char *id, struct jobs_reader *ret,
                   struct err *e)
{
    return jobs_get_file(j, owner, id, note_reader, ret, e);
}

static int read_chunk(struct db *d, struct jobs_reader *r, struct buf *to, struct err *e)
{
    struct db_rows *q;
    size_t n;
    int rc = db_query(d, &q, e, "SELECT data FROM chunk WHERE file = $1 AND seq = $2", "si", r->id,
                      r->at + 1);
    if (rc < 0)
        return rc;
    if ((rc = db_next(q, e)) == 1) {
        const void *data = db_bytes(q, 0, &n);
        r->at++;
        if (buf_add(to, data, n) < 0)
            rc = err_set(e, ERR_MEMORY, "out of memory for a file");
    }
    db_end(q);
    return rc;
}

static int read_answers(struct db *d, struct jobs_reader *r, struct buf *to, struct err *e)
{
    struct db_rows *q;
    size_t before = to->len;
    int rc = db_query(d, &q, e,
                      "SELECT line, answer FROM item WHERE batch = $1 AND state = $2 AND line > $3"
                      " ORDER BY line LIMIT 100",
                      "sii", r->batch, (int64_t)(r->view == JOBS_OUTPUT ? ITEM_DONE : ITEM_FAILED),
                      r->at);
    if (rc < 0)
        return rc;
    while (to->len - before < JOBS_CHUNK_BYTES && (rc = db_next(q, e)) == 1) {
        r->at = db_int(q, 0);
        if (buf_add_str(to, db_text(q, 1)) < 0 || buf_add(to, "\n", 1) < 0) {
            rc = err_set(e, ERR_MEMORY, "out of memory for a file");
            break;
        }
    }
    db_end(q);
    return rc < 0 ? rc : to->len > before;
}

static int read_stored(struct jobs *j, struct jobs_reader *r, struct buf *to, struct err *e)
{
    int64_t n = r->n_bytes - r->at < JOBS_CHUNK_BYTES ? r->n_bytes - r->at : JOBS_CHUNK_BYTES;
    if (n <= 0)
        return 0;
    if (!j->bucket)
        return err_set(e, ERR_IO, "the file %s is in a bucket, and this program has none", r->id);
    int rc = bucket_get(j->bucket, r->id, r->at, (size_t)n, to, e);
    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_IO, "the bucket has lost the file %s", r->id);
    r->at += n;
    return rc < 0 ? rc : 1;
}

int jobs_read(struct jobs *j, struct jobs_reader *r, struct buf *to, struct err *e)
{
    struct db *d;
    if (r->is_object)
        return read_stored(j, r, to, e);
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = r->view == JOBS_CONTENT ? read_chunk(d, r, to, e) : read_answers(d, r, to, e);
    db_give(j->pool, d);
    return rc;
}

/* --- batches, as their clients see them --- */

static const char *const status_names[N_JOBS_STATUS] = {
    [JOBS_VALIDATING] = "validating", [JOBS_IN_PROGRESS] = "in_progress",
    [JOBS_FINALIZING] = "finalizing", [JOBS_CANCELLING] = "cancelling",
    [JOBS_COMPLETED] = "completed",   [JOBS_FAILED] = "failed",
    [JOBS_EXPIRED] = "expired",       [JOBS_CANCELLED] = "cancelled",
};

const char *jobs_status_name(enum jobs_status s)
{
    return status_names[s];
}

#define BATCH_COLUMNS                                                                              \
    "id, owner, input, completion, metadata, sees_all, status, errors, output, error_file,"        \
    " created, expires, keep, n_total, n_done, n_failed, n_in, n_out, at_1, at_2, at_3, at_4,"     \
    " at_5, at_6, at_7"

static void show_batch(struct db_rows *q, jobs_batch_fn fn, void *cookie)
{
    struct jobs_batch b = {.id = db_text(q, 0),
                           .owner = db_text(q, 1),
                           .input = db_text(q, 2),
                           .window = db_text(q, 3),
                           .metadata = db_text(q, 4),
                           .sees_all = db_int(q, 5) != 0,
                           .status = (enum jobs_status)db_int(q, 6),
                           .errors = db_text(q, 7),
                           .output = db_text(q, 8),
                           .error_file = db_text(q, 9),
                           .created_at = db_int(q, 10),
                           .expires_at = db_int(q, 11),
                           .keep_s = db_int(q, 12),
                           .n_total = db_int(q, 13),
                           .n_done = db_int(q, 14),
                           .n_failed = db_int(q, 15),
                           .n_in_token = db_int(q, 16),
                           .n_out_token = db_int(q, 17)};
    for (int i = 1; i < N_JOBS_STATUS; i++)
        b.at[i] = db_int(q, 17 + i);
    if (fn)
        fn(cookie, &b);
}

/* What the input file of a new batch must be. */
static int batch_check_input(struct db *d, const struct jobs_batch *b, struct err *e)
{
    struct db_rows *q;
    int rc = db_query(d, &q, e,
                      "SELECT purpose FROM file WHERE " OWNED " AND id = $2 AND"
                      " (expires = 0 OR expires > unixepoch())",
                      "ss", b->sees_all ? NULL : b->owner, b->input);
    if (rc < 0)
        return rc;
    rc = db_next(q, e);
    if (rc == 0)
        rc = no_file(b->input, e);
    else if (rc == 1 && strcmp(db_text(q, 0), "batch") != 0)
        rc = err_set(e, ERR_ARGUMENT, "the file's purpose is '%.32s', must be 'batch'",
                     db_text(q, 0));
    db_end(q);
    return rc < 0 ? rc : 0;
}

static int put_batch(struct db *d, const struct jobs_batch *b, int max_open, const char *id,
                     struct err *e)
{
    int64_t n = 0;
    int rc = batch_check_input(d, b, e);
    if (rc == 0)
        rc = db_number(d, e, &n, "SELECT count(*) FROM batch WHERE status < 4 AND owner = $1",
                       b->owner);
    if (rc < 0)
        return rc;
    if (n >= max_open)
        return err_set(e, ERR_LIMIT,
                       "%lld batches have not ended, the limit is %d (batch_open); wait for one, "
                       "or cancel it",
                       (long long)n, max_open);
    return db_run(
        d, e,
        "INSERT INTO batch(id, owner, input, completion, metadata, sees_all, status, keep,"
        " created, expires) VALUES($1, $2, $3, $4, $5, $6, 0, $7, unixepoch(),"
        " unixepoch() + $8)",
        "sssssiii", id, b->owner, b->input, b->window, b->metadata, (int64_t)b->sees_all, b->keep_s,
        b->window_s);
}

int jobs_add_batch(struct jobs *j, const struct jobs_batch *b, int max_open, char id[JOBS_ID_BYTES],
                   struct err *e)
{
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    jobs_make_id("batch_", id);
    if ((rc = db_begin(d, e)) == 0 && (rc = put_batch(d, b, max_open, id, e)) >= 0)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc;
}

static int no_batch(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "there is no batch '%.64s'", id);
}

int jobs_get_batch(struct jobs *j, const char *owner, const char *id, jobs_batch_fn fn,
                   void *cookie, struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e, "SELECT " BATCH_COLUMNS " FROM batch WHERE " OWNED " AND id = $2", "ss",
                  owner, id);
    if (rc == 0) {
        rc = db_next(q, e);
        if (rc == 1)
            show_batch(q, fn, cookie);
        db_end(q);
        rc = rc == 1 ? 0 : rc == 0 ? no_batch(id, e) : rc;
    }
    db_give(j->pool, d);
    return rc;
}

static int list_batches(struct jobs *j, const struct jobs_page *p, const char *from,
                        jobs_batch_fn fn, void *cookie, struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int n = 0, rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = select_page(d, p, BATCH_COLUMNS, from, &q, e);
    if (rc == 0) {
        while ((rc = db_next(q, e)) == 1 && n++ < p->limit)
            show_batch(q, fn, cookie);
        db_end(q);
    }
    db_give(j->pool, d);
    return rc;
}

int jobs_list_batches(struct jobs *j, const struct jobs_page *p, jobs_batch_fn fn, void *cookie,
                      struct err *e)
{
    return list_batches(j, p, "batch WHERE $4 IS NULL", fn, cookie, e);
}

int jobs_open_batches(struct jobs *j, jobs_batch_fn fn, void *cookie, struct err *e)
{
    return list_batches(j, &(struct jobs_page){.limit = JOBS_OPEN_MAX},
                        "batch WHERE status < 4 AND $4 IS NULL", fn, cookie, e);
}

int jobs_cancel(struct jobs *j, const char *owner, const char *id, struct err *e)
{
    struct db *d;
    int64_t there = 0;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_run(d, e,
                "UPDATE batch SET status = 3, at_3 = unixepoch() WHERE " OWNED " AND id = $2"
                " AND status < 3",
                "ss", owner, id);
    if (rc == 0)
        rc = db_number(d, e, &there, "SELECT count(*) FROM batch WHERE id = $1 AND status = 3", id);
    db_give(j->pool, d);
    if (rc == 0 && !there)
        rc = err_set(e, ERR_ARGUMENT, "the batch has ended, and cannot be cancelled");
    return rc < 0 ? rc : 0;
}
