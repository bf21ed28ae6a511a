#include "store/rates.h"

#include "base/mem.h"
#include "store/db.h"

struct rates {
    struct db_pool *pool;
};

int rates_open(const char *where, struct rates **ret, struct err *e)
{
    struct rates *r = mem_try(1, sizeof *r);
    struct db *d;
    if (!r)
        return err_set(e, ERR_MEMORY, "out of memory for rates");
    int rc = db_open(where, &r->pool, e);
    if (rc == 0 && (rc = db_take(r->pool, &d, e)) == 0) {
        /* Replicas start at the same time; the lock ends with the transaction. */
        if ((rc = db_begin(d, e)) == 0 &&
            (rc = db_script(d,
                            "SELECT pg_advisory_xact_lock(7229118);"
                            "CREATE TABLE IF NOT EXISTS rate(name TEXT PRIMARY KEY,"
                            " tokens DOUBLE PRECISION NOT NULL, filled DOUBLE PRECISION NOT NULL)",
                            e)) == 0)
            rc = db_commit(d, e);
        db_give(r->pool, d);
    }
    if (rc < 0)
        rates_close(r);
    else
        *ret = r;
    return rc;
}

void rates_close(struct rates *r)
{
    if (!r)
        return;
    db_close(r->pool);
    mem_free(r);
}

int rates_spend(struct rates *r, const char *key, double per_minute, double spent, double *left,
                struct err *e)
{
    /* Who waited for a row comes with a time that is older than the row's. */
    static const char sql[] =
        "INSERT INTO rate AS r(name, tokens, filled)"
        " VALUES($1, $2 - $3, extract(epoch FROM now())::DOUBLE PRECISION)"
        " ON CONFLICT(name) DO UPDATE SET tokens = greatest(-$2, least($2, r.tokens +"
        " greatest(0, excluded.filled - r.filled) * $2 / 60) - $3),"
        " filled = greatest(r.filled, excluded.filled) RETURNING tokens";
    struct db_rows *q;
    struct db *d;
    int rc = db_take(r->pool, &d, e);
    if (rc < 0)
        return rc;
    if ((rc = db_query(d, &q, e, sql, "sff", key, per_minute, spent)) == 0) {
        if ((rc = db_next(q, e)) == 1)
            *left = db_real(q, 0);
        db_end(q);
    }
    db_give(r->pool, d);
    return rc == 1 ? 0 : rc < 0 ? rc : err_set(e, ERR_INTERNAL, "a rate was not counted");
}
