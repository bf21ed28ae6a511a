/* items.c - the items of batches, as those who speak them see them. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/bucket.h"
#include "store/jobs_impl.h"

#define SWEEP_ROWS    200 /* removed in one transaction */
#define SWEEP_OBJECTS 50

void jobs_item_done(struct jobs_item *i)
{
    mem_free(i->custom);
    mem_free(i->body);
    *i = (struct jobs_item){0};
}

int jobs_hold(struct jobs *j, const char *batch, const char *runner, struct err *e)
{
    return db_once(j->pool, e,
                   "UPDATE batch SET runner = $2, lease = unixepoch() + $3 WHERE id = $1 AND"
                   " (runner = $2 OR lease < unixepoch())",
                   "ssi", batch, runner, (int64_t)JOBS_LEASE_S);
}

int jobs_clear_items(struct jobs *j, const char *batch, struct err *e)
{
    return db_once(j->pool, e, "DELETE FROM item WHERE batch = $1", "s", batch);
}

int jobs_renew(struct jobs *j, const char *runner, struct err *e)
{
    return db_once(j->pool, e,
                   "UPDATE item SET lease = unixepoch() + $2 WHERE runner = $1 AND state = 1", "si",
                   runner, (int64_t)JOBS_LEASE_S);
}

int jobs_release(struct jobs *j, const char *batch, int64_t line, const char *runner, struct err *e)
{
    return db_once(j->pool, e,
                   "UPDATE item SET state = 0, runner = '' WHERE runner = $1 AND state = 1 AND"
                   " ($2 = 0 OR (batch = $3 AND line = $2))",
                   "sis", runner, line, batch);
}

int jobs_add_items(struct jobs *j, const char *batch, const struct jobs_item *item, int n,
                   int64_t *duplicate, struct err *e)
{
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    *duplicate = 0;
    if (rc < 0)
        return rc;
    rc = db_begin(d, e);
    for (int i = 0; i < n && rc >= 0 && !*duplicate; i++) {
        rc = db_run(d, e,
                    "INSERT INTO item(batch, line, custom, body) VALUES($1, $2, $3, $4)"
                    " ON CONFLICT DO NOTHING",
                    "siss", batch, item[i].line, item[i].custom, item[i].body);
        if (rc == 0)
            *duplicate = item[i].line;
    }
    if (rc >= 0 && !*duplicate)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc < 0 ? rc : 0;
}

int jobs_validated(struct jobs *j, const char *batch, int64_t n_item, const char *errors,
                   struct err *e)
{
    if (errors)
        return db_once(
            j->pool, e,
            "UPDATE batch SET status = 5, at_5 = unixepoch(), errors = $2 WHERE id = $1 AND"
            " status = 0",
            "ss", batch, errors);
    return db_once(j->pool, e,
                   "UPDATE batch SET status = 1, at_1 = unixepoch(), n_total = $2 WHERE id = $1 AND"
                   " status = 0",
                   "si", batch, n_item);
}

int jobs_claim(struct jobs *j, const char *batch, const char *runner, struct jobs_item *ret,
               struct err *e)
{
    struct db_rows *q;
    struct db *d;
    char sql[640];
    snprintf(sql, sizeof sql,
             "UPDATE item SET state = 1, runner = $2, lease = unixepoch() + $3 WHERE batch = $1 AND"
             " line = (SELECT line FROM item WHERE batch = $1 AND (state = 0 OR (state = 1 AND"
             " lease < unixepoch())) ORDER BY state, line LIMIT 1%s)"
             " RETURNING line, custom, body",
             db_is_shared(j->pool) ? " FOR UPDATE SKIP LOCKED" : "");
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e, sql, "ssi", batch, runner, (int64_t)JOBS_LEASE_S);
    if (rc == 0) {
        rc = db_next(q, e);
        struct jobs_item got = {0};
        if (rc == 1)
            got = (struct jobs_item){db_int(q, 0), mem_strndup(db_text(q, 1), SIZE_MAX),
                                     mem_strndup(db_text(q, 2), SIZE_MAX)};
        int more = rc == 1 ? db_next(q, e) : 0; /* to the end, which makes it so */
        db_end(q);
        if (more < 0 || (rc == 1 && (!got.custom || !got.body))) {
            rc = more < 0 ? more : err_set(e, ERR_MEMORY, "out of memory for an item");
            jobs_item_done(&got);
        }
        if (rc == 1)
            *ret = got;
    }
    db_give(j->pool, d);
    return rc;
}

static int finish_item(struct db *d, const struct jobs_done *f, struct err *e)
{
    int rc = db_run(d, e,
                    "UPDATE item SET state = $4, answer = $5, body = '', runner = '' WHERE"
                    " batch = $1 AND line = $2 AND state = 1 AND runner = $3",
                    "sisis", f->batch, f->line, f->runner,
                    (int64_t)(f->failed ? ITEM_FAILED : ITEM_DONE), f->answer);
    if (rc == 0)
        return err_set(e, ERR_CANCELLED, "line %lld is another's now", (long long)f->line);
    if (rc > 0 && f->sound)
        rc = jobs_put_file(d, f->sound, f->data, f->n, e);
    if (rc >= 0)
        rc = db_run(d, e,
                    "UPDATE batch SET n_done = n_done + $2, n_failed = n_failed + $3,"
                    " n_in = n_in + $4, n_out = n_out + $5 WHERE id = $1",
                    "siiii", f->batch, (int64_t)!f->failed, (int64_t)f->failed,
                    (int64_t)f->n_in_token, (int64_t)f->n_out_token);
    return rc < 0 ? rc : 0;
}

int jobs_finish(struct jobs *j, const struct jobs_done *f, struct err *e)
{
    struct db *d;
    struct jobs_done done = *f;
    struct jobs_file sound;
    int rc = 0;
    if (f->sound) {
        sound = *f->sound;
        done.sound = &sound;
        rc = jobs_put_object(j, &sound, f->data, f->n, e);
    }
    if (rc < 0 || (rc = db_take(j->pool, &d, e)) < 0)
        return rc;
    if ((rc = db_begin(d, e)) == 0 && (rc = finish_item(d, &done, e)) == 0)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc;
}

/* --- the end of a batch --- */

/* Items that were not begun get an answer that says why they never will be. */
static int drop_waiting(struct db *d, const char *batch, const char *code, const char *message,
                        struct err *e)
{
    int n = db_run(d, e,
                   "UPDATE item SET state = 3, body = '', answer = '{\"id\":\"' || batch || '_' ||"
                   " CAST(line AS TEXT) || '\",\"custom_id\":' || custom ||"
                   " ',\"response\":null,\"error\":{\"code\":\"' || $2 || '\",\"message\":\"' ||"
                   " $3 || '\"}}' WHERE batch = $1 AND (state = 0 OR (state = 1 AND"
                   " lease < unixepoch()))",
                   "sss", batch, code, message);
    if (n > 0 && db_run(d, e, "UPDATE batch SET n_failed = n_failed + $2 WHERE id = $1", "si",
                        batch, (int64_t)n) < 0)
        return e ? e->code : ERR_IO;
    return n < 0 ? n : 0;
}

/* The file that shows the answers of one kind, if there are any. */
static int add_view(struct db *d, const char *batch, enum jobs_view view, struct err *e)
{
    struct db_rows *q;
    char id[JOBS_ID_BYTES], name[JOBS_ID_BYTES + 32], owner[256];
    int64_t n_bytes = 0, keep = 0;
    int rc = db_query(d, &q, e,
                      "SELECT coalesce((SELECT sum(length(answer) + 1) FROM item WHERE batch = $1"
                      " AND state = $2), 0), owner, keep FROM batch WHERE id = $1",
                      "si", batch, (int64_t)(view == JOBS_OUTPUT ? ITEM_DONE : ITEM_FAILED));
    if (rc < 0)
        return rc;
    if ((rc = db_next(q, e)) == 1) {
        n_bytes = db_int(q, 0);
        snprintf(owner, sizeof owner, "%s", db_text(q, 1));
        keep = db_int(q, 2);
    }
    db_end(q);
    if (rc <= 0 || n_bytes == 0)
        return rc < 0 ? rc : 0;
    jobs_make_id("file-", id);
    snprintf(name, sizeof name, "%s_%s.jsonl", batch, view == JOBS_OUTPUT ? "output" : "error");
    rc = jobs_put_file(d,
                       &(struct jobs_file){.id = id,
                                           .owner = owner,
                                           .name = name,
                                           .purpose = "batch_output",
                                           .batch = batch,
                                           .view = view,
                                           .n_bytes = n_bytes,
                                           .keep_s = keep},
                       NULL, 0, e);
    if (rc < 0)
        return rc;
    return db_run(d, e,
                  view == JOBS_OUTPUT ? "UPDATE batch SET output = $2 WHERE id = $1"
                                      : "UPDATE batch SET error_file = $2 WHERE id = $1",
                  "ss", batch, id);
}

struct settling {
    enum jobs_status status;
    bool late;      /* its time is over */
    int64_t n_open; /* items that wait or are being spoken */
};

static int look_at(struct db *d, const char *batch, bool shared, struct settling *ret,
                   struct err *e)
{
    struct db_rows *q;
    char sql[320];
    snprintf(
        sql, sizeof sql,
        "SELECT status, CASE WHEN expires < unixepoch() THEN 1 ELSE 0 END,"
        " (SELECT count(*) FROM item WHERE batch = $1 AND state < 2) FROM batch WHERE id = $1%s",
        shared ? " FOR UPDATE" : "");
    int rc = db_query(d, &q, e, sql, "s", batch);
    if (rc < 0)
        return rc;
    if ((rc = db_next(q, e)) == 1)
        *ret = (struct settling){(enum jobs_status)db_int(q, 0), db_int(q, 1) != 0, db_int(q, 2)};
    db_end(q);
    return rc;
}

static int settle(struct db *d, const char *batch, bool shared, struct err *e)
{
    struct settling s;
    int rc = look_at(d, batch, shared, &s, e);
    if (rc <= 0 || s.status >= JOBS_COMPLETED || (s.status == JOBS_VALIDATING && !s.late))
        return rc < 0 ? rc : 0;
    if (s.status == JOBS_CANCELLING || s.late) {
        bool late = s.status != JOBS_CANCELLING;
        rc = drop_waiting(d, batch, late ? "batch_expired" : "batch_cancelled",
                          late ? "the completion window ended before this line was spoken"
                               : "the batch was cancelled before this line was spoken",
                          e);
        if (rc == 0)
            rc = look_at(d, batch, shared, &s, e);
        if (rc < 0)
            return rc;
    }
    if (s.n_open > 0)
        return 0;
    enum jobs_status next = s.status == JOBS_CANCELLING             ? JOBS_CANCELLED
                            : s.late && s.status != JOBS_FINALIZING ? JOBS_EXPIRED
                                                                    : JOBS_COMPLETED;
    char sql[160];
    if ((rc = add_view(d, batch, JOBS_OUTPUT, e)) < 0 ||
        (rc = add_view(d, batch, JOBS_ERRORS, e)) < 0)
        return rc;
    snprintf(sql, sizeof sql,
             "UPDATE batch SET status = %d, at_%d = unixepoch(), at_2 = unixepoch() WHERE id = $1",
             next, next);
    return db_run(d, e, sql, "s", batch);
}

int jobs_settle(struct jobs *j, const char *batch, struct err *e)
{
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    if ((rc = db_begin(d, e)) == 0 && (rc = settle(d, batch, db_is_shared(j->pool), e)) >= 0) {
        int done = db_commit(d, e);
        rc = done < 0 ? done : rc > 0;
    }
    db_give(j->pool, d);
    return rc;
}

/* --- what has expired --- */

static int sweep(struct db *d, int64_t keep_s, struct err *e)
{
    int rc = db_run(d, e,
                    "INSERT INTO orphan(id, due) SELECT id, unixepoch() FROM file WHERE object = 1"
                    " AND id IN (SELECT id FROM file WHERE expires > 0 AND"
                    " expires < unixepoch() ORDER BY expires, id LIMIT $1)",
                    "i", (int64_t)SWEEP_ROWS);
    if (rc >= 0)
        rc = db_run(d, e,
                    "DELETE FROM chunk WHERE file IN (SELECT id FROM file WHERE expires > 0 AND"
                    " expires < unixepoch() ORDER BY expires, id LIMIT $1)",
                    "i", (int64_t)SWEEP_ROWS);
    if (rc >= 0)
        rc = db_run(d, e,
                    "DELETE FROM file WHERE id IN (SELECT id FROM file WHERE expires > 0 AND"
                    " expires < unixepoch() ORDER BY expires, id LIMIT $1)",
                    "i", (int64_t)SWEEP_ROWS);
    if (rc >= 0)
        rc = db_run(d, e,
                    "DELETE FROM item WHERE batch IN (SELECT id FROM batch WHERE status >= 4 AND"
                    " created + $1 < unixepoch() AND expires + $1 < unixepoch())",
                    "i", keep_s);
    if (rc >= 0)
        rc = db_run(d, e,
                    "DELETE FROM batch WHERE status >= 4 AND created + $1 < unixepoch() AND"
                    " expires + $1 < unixepoch()",
                    "i", keep_s);
    return rc;
}

static int condemn_orphans(struct jobs *j, char id[SWEEP_OBJECTS][JOBS_ID_BYTES], struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int n = 0, rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e,
                  "UPDATE orphan SET condemned = 1 WHERE id IN (SELECT id FROM orphan WHERE"
                  " due <= unixepoch() ORDER BY due LIMIT $1) RETURNING id",
                  "i", (int64_t)SWEEP_OBJECTS);
    if (rc == 0) {
        while ((rc = db_next(q, e)) == 1)
            if (n < SWEEP_OBJECTS)
                snprintf(id[n++], JOBS_ID_BYTES, "%s", db_text(q, 0));
        db_end(q);
    }
    db_give(j->pool, d);
    return rc < 0 ? rc : n;
}

/* Objects that no file has.  What fails is tried at the next sweep. */
static int sweep_objects(struct jobs *j, struct err *e)
{
    char id[SWEEP_OBJECTS][JOBS_ID_BYTES];
    int n = j->bucket ? condemn_orphans(j, id, e) : 0, rc = n;
    for (int i = 0; i < n && rc >= 0; i++) {
        rc = bucket_remove(j->bucket, id[i], e);
        if (rc == 0)
            rc = db_once(j->pool, e, "DELETE FROM orphan WHERE id = $1", "s", id[i]);
    }
    return rc < 0 ? rc : 0;
}

int jobs_sweep(struct jobs *j, int64_t keep_s, struct err *e)
{
    struct db *d;
    int rc = db_take(j->pool, &d, e);
    if (rc < 0)
        return rc;
    if ((rc = db_begin(d, e)) == 0 && (rc = sweep(d, keep_s, e)) >= 0)
        rc = db_commit(d, e);
    db_give(j->pool, d);
    return rc < 0 ? rc : sweep_objects(j, e);
}
