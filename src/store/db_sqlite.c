/* db_sqlite.c - db.h on a file of SQLite: one connection, taken in turns.
 *
 * The journal is written ahead and synchronized with every transaction, so that what was committed
 * is there after a crash. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db_impl.h"

#define WAIT_MS 5000

struct sqlite_pool {
    sqlite3 *db;
    pthread_mutex_t lock; /* held from take to give */
    char path[4096];
};

struct sqlite_rows {
    struct sqlite_pool *pool;
    sqlite3_stmt *q;
};

/* The error of the last call.  db NULL: SQLite had no memory to open it. */
static int sqlite_fail(sqlite3 *db, const char *path, struct err *e)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_BUSY, "another program has %s locked; try again", path);
    case SQLITE_FULL:
        return err_set(e, ERR_BUSY, "the disk with %s is full", path);
    case SQLITE_CONSTRAINT:
        return err_set(e, ERR_ARGUMENT, "%s: %s", path, sqlite3_errmsg(db));
    case SQLITE_NOMEM:
        return err_set(e, ERR_MEMORY, "out of memory for %s", path);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return err_set(e, ERR_FORMAT, "%s is damaged, or is not a database of this program: %s",
                       path, sqlite3_errmsg(db));
    default:
        return err_set(e, ERR_IO, "%s: %s", path, sqlite3_errmsg(db));
    }
}

static int sqlite_script(void *link, const char *sql, struct err *e)
{
    struct sqlite_pool *p = link;
    return sqlite3_exec(p->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                   : sqlite_fail(p->db, p->path, e);
}

static void sqlite_close_(void *pool)
{
    struct sqlite_pool *p = pool;
    sqlite3_close(p->db);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

/* For its owner alone, whatever the umask; SQLite gives its other files the same mode. */
static int sqlite_touch(const struct sqlite_pool *p, struct err *e)
{
    int fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot open %s: %s", p->path, strerror(errno));
    close(fd);
    return 0;
}

static int sqlite_open_(const char *where, void **ret, struct err *e)
{
    struct sqlite_pool *p = mem_try(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_MEMORY, "out of memory for a database");
    pthread_mutex_init(&p->lock, NULL);
    int rc, n = snprintf(p->path, sizeof p->path, "%s", where);
    if (!*where || (size_t)n >= sizeof p->path)
        rc = err_set(e, ERR_ARGUMENT, "the database's name is empty or too long");
    else if ((rc = sqlite_touch(p, e)) == 0 &&
             sqlite3_open_v2(p->path, &p->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX,
                             NULL) != SQLITE_OK)
        rc = sqlite_fail(p->db, p->path, e);
    if (rc == 0) {
        sqlite3_busy_timeout(p->db, WAIT_MS);
        rc = sqlite_script(p,
                           "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                           "PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;"
                           "PRAGMA secure_delete = FAST",
                           e);
    }
    if (rc < 0)
        sqlite_close_(p);
    else
        *ret = p;
    return rc;
}

static int sqlite_take(void *pool, void **ret, struct err *e)
{
    struct sqlite_pool *p = pool;
    (void)e;
    pthread_mutex_lock(&p->lock);
    *ret = p;
    return 0;
}

static void sqlite_give(void *pool, void *link)
{
    (void)link;
    pthread_mutex_unlock(&((struct sqlite_pool *)pool)->lock);
}

/* $1 is a name to SQLite, whose index is the order in which names come first. */
static int sqlite_bind(sqlite3_stmt *q, const struct db_value *v, int number)
{
    char name[16];
    snprintf(name, sizeof name, "$%d", number);
    int at = sqlite3_bind_parameter_index(q, name);
    if (at == 0)
        return SQLITE_OK;
    switch (v->type) {
    case 's':
        return sqlite3_bind_text64(q, at, v->data, v->n, SQLITE_STATIC, SQLITE_UTF8);
    case 'b':
        return sqlite3_bind_blob64(q, at, v->n ? v->data : "", v->n, SQLITE_STATIC);
    case 'f':
        return sqlite3_bind_double(q, at, v->f);
    default:
        return sqlite3_bind_int64(q, at, v->i);
    }
}

static int sqlite_query(void *link, const char *sql, const struct db_value *v, int n, void **rows,
                        struct err *e)
{
    struct sqlite_pool *p = link;
    sqlite3_stmt *q = NULL;
    struct sqlite_rows *r = NULL;
    int rc = sqlite3_prepare_v2(p->db, sql, -1, &q, NULL);
    for (int i = 0; i < n && rc == SQLITE_OK; i++)
        rc = sqlite_bind(q, &v[i], i + 1);
    if (rc == SQLITE_OK && rows && (r = mem_try(1, sizeof *r))) {
        *r = (struct sqlite_rows){p, q};
        *rows = r;
        return 0;
    }
    int done = rc == SQLITE_OK && !rows && sqlite3_step(q) == SQLITE_DONE
                   ? sqlite3_changes(p->db)
                   : sqlite_fail(p->db, p->path, e);
    sqlite3_finalize(q);
    return done;
}

static int sqlite_next(void *rows, struct err *e)
{
    struct sqlite_rows *r = rows;
    int rc = sqlite3_step(r->q);
    return rc == SQLITE_ROW    ? 1
           : rc == SQLITE_DONE ? 0
                               : sqlite_fail(r->pool->db, r->pool->path, e);
}

static int64_t sqlite_integer(const void *rows, int column)
{
    return sqlite3_column_int64(((const struct sqlite_rows *)rows)->q, column);
}

static double sqlite_real(const void *rows, int column)
{
    return sqlite3_column_double(((const struct sqlite_rows *)rows)->q, column);
}

/* A text has a 0 behind it. */
static const void *sqlite_bytes(const void *rows, int column, size_t *n)
{
    sqlite3_stmt *q = ((const struct sqlite_rows *)rows)->q;
    const void *data = sqlite3_column_type(q, column) == SQLITE_BLOB
                           ? sqlite3_column_blob(q, column)
                           : (const void *)sqlite3_column_text(q, column);
    *n = (size_t)sqlite3_column_bytes(q, column);
    return data;
}

static void sqlite_end(void *rows)
{
    sqlite3_finalize(((struct sqlite_rows *)rows)->q);
    mem_free(rows);
}

const struct db_kind db_sqlite = {.open = sqlite_open_,
                                  .close = sqlite_close_,
                                  .take = sqlite_take,
                                  .give = sqlite_give,
                                  .script = sqlite_script,
                                  .query = sqlite_query,
                                  .next = sqlite_next,
                                  .integer = sqlite_integer,
                                  .real = sqlite_real,
                                  .bytes = sqlite_bytes,
                                  .end = sqlite_end,
                                  .begin = "BEGIN IMMEDIATE"};
