/* db.c - which kind of database, and the parameters of a statement. */
#include "store/db_impl.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

struct db_pool {
    const struct db_kind *kind;
    void *pool;
};

struct db {
    const struct db_kind *kind;
    void *link;
    bool open; /* a transaction is */
};

struct db_rows {
    const struct db_kind *kind;
    void *rows;
};

bool db_is_url(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

int db_open(const char *where, struct db_pool **ret, struct err *e)
{
    struct db_pool *p = mem_try(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_MEMORY, "out of memory for a database");
    p->kind = db_is_url(where) ? &db_postgres : &db_sqlite;
    int rc = p->kind->open(where, &p->pool, e);
    if (rc < 0)
        mem_free(p);
    else
        *ret = p;
    return rc;
}

void db_close(struct db_pool *p)
{
    if (!p)
        return;
    p->kind->close(p->pool);
    mem_free(p);
}

bool db_is_shared(const struct db_pool *p)
{
    return p->kind->is_shared;
}

int db_take(struct db_pool *p, struct db **ret, struct err *e)
{
    struct db *d = mem_try(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_MEMORY, "out of memory for a database");
    d->kind = p->kind;
    int rc = p->kind->take(p->pool, &d->link, e);
    if (rc < 0)
        mem_free(d);
    else
        *ret = d;
    return rc;
}

void db_give(struct db_pool *p, struct db *d)
{
    db_rollback(d);
    p->kind->give(p->pool, d->link);
    mem_free(d);
}

int db_script(struct db *d, const char *sql, struct err *e)
{
    return d->kind->script(d->link, sql, e);
}

int db_begin(struct db *d, struct err *e)
{
    int rc = db_script(d, d->kind->begin, e);
    d->open = rc == 0;
    return rc;
}

int db_commit(struct db *d, struct err *e)
{
    int rc = db_script(d, "COMMIT", e);
    if (rc == 0)
        d->open = false;
    return rc;
}

void db_rollback(struct db *d)
{
    if (d->open)
        db_script(d, "ROLLBACK", NULL);
    d->open = false;
}

static int read_values(struct db_value *v, const char *types, va_list args)
{
    int n = 0;
    for (; types[n]; n++) {
        v[n] = (struct db_value){.type = types[n]};
        if (types[n] == 'i') {
            v[n].i = va_arg(args, int64_t);
        } else if (types[n] == 'f') {
            v[n].f = va_arg(args, double);
        } else {
            v[n].data = va_arg(args, const void *);
            v[n].n = types[n] == 'b' ? va_arg(args, size_t) : v[n].data ? strlen(v[n].data) : 0;
        }
    }
    return n;
}

int db_run(struct db *d, struct err *e, const char *sql, const char *types, ...)
{
    struct db_value v[DB_PARAMETERS];
    va_list args;
    va_start(args, types);
    int n = read_values(v, types, args);
    va_end(args);
    return d->kind->query(d->link, sql, v, n, NULL, e);
}

int db_once(struct db_pool *p, struct err *e, const char *sql, const char *types, ...)
{
    struct db_value v[DB_PARAMETERS];
    struct db *d;
    va_list args;
    va_start(args, types);
    int n = read_values(v, types, args);
    va_end(args);
    int rc = db_take(p, &d, e);
    if (rc < 0)
        return rc;
    rc = d->kind->query(d->link, sql, v, n, NULL, e);
    db_give(p, d);
    return rc;
}

int db_query(struct db *d, struct db_rows **ret, struct err *e, const char *sql, const char *types,
             ...)
{
    struct db_value v[DB_PARAMETERS];
    struct db_rows *q = mem_try(1, sizeof *q);
    va_list args;
    if (!q)
        return err_set(e, ERR_MEMORY, "out of memory for rows of a database");
    va_start(args, types);
    int n = read_values(v, types, args);
    va_end(args);
    q->kind = d->kind;
    int rc = d->kind->query(d->link, sql, v, n, &q->rows, e);
    if (rc < 0)
        mem_free(q);
    else
        *ret = q;
    return rc < 0 ? rc : 0;
}

int db_next(struct db_rows *q, struct err *e)
{
    return q->kind->next(q->rows, e);
}

int64_t db_int(const struct db_rows *q, int column)
{
    return q->kind->integer(q->rows, column);
}

double db_real(const struct db_rows *q, int column)
{
    return q->kind->real(q->rows, column);
}

const char *db_text(const struct db_rows *q, int column)
{
    size_t n;
    const char *s = q->kind->bytes(q->rows, column, &n);
    return s ? s : "";
}

const void *db_bytes(const struct db_rows *q, int column, size_t *n)
{
    return q->kind->bytes(q->rows, column, n);
}

void db_end(struct db_rows *q)
{
    q->kind->end(q->rows);
    mem_free(q);
}

int db_number(struct db *d, struct err *e, int64_t *ret, const char *sql, const char *id)
{
    struct db_rows *q;
    int rc = db_query(d, &q, e, sql, id ? "s" : "", id);
    if (rc < 0)
        return rc;
    rc = db_next(q, e);
    *ret = rc == 1 ? db_int(q, 0) : 0;
    db_end(q);
    return rc < 0 ? rc : 0;
}
