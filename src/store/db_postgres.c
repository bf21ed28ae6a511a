/* db_postgres.c - db.h on a PostgreSQL server: a few connections, made when they are wanted and
 * again when they broke. */
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "store/db_impl.h"

#define CONNECTIONS 4
#define WAIT_S      10 /* for one of them */
#define REST_S      1  /* after a failure nobody tries to connect, so that nobody waits for it */

/* Types of pg_type, which never change: text, bytea, int8, float8. */
enum { OID_TEXT = 25, OID_BYTEA = 17, OID_INT8 = 20, OID_FLOAT8 = 701 };

struct pg_link {
    PGconn *connection; /* NULL: not made yet */
    bool taken;         /* (lock) */
};

struct pg_pool {
    char *where;
    pthread_mutex_t lock;
    pthread_cond_t free;
    struct pg_link link[CONNECTIONS];
    time_t failed_at; /* (lock) seconds of the monotonic clock; 0: the last connection was made */
};

struct pg_rows {
    PGresult *result;
    int row;                 /* -1: before the first */
    unsigned char *bytes[2]; /* unescaped, of this row's columns asked for */
    int n_bytes;
};

static bool pg_is_passing(const char *state)
{
    /* SQLSTATE classes of temporary failures: connections, resources, conflicting transactions, an
     * operator's action, locks. */
    static const char *const passing[] = {"08", "53", "40", "57", "55"};
    for (size_t i = 0; state && i < sizeof passing / sizeof *passing; i++)
        if (strncmp(state, passing[i], 2) == 0)
            return true;
    return false;
}

static int pg_fail(PGconn *c, const PGresult *r, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *why = r && *PQresultErrorMessage(r) ? PQresultErrorMessage(r) : PQerrorMessage(c);
    int n = (int)strcspn(why, "\n");
    if (PQstatus(c) != CONNECTION_OK || pg_is_passing(state))
        return err_set(e, ERR_AWAY, "the database is away: %.*s", n < 300 ? n : 300, why);
    if (state && strncmp(state, "23", 2) == 0)
        return err_set(e, ERR_ARGUMENT, "the database refuses it: %.*s", n < 300 ? n : 300, why);
    return err_set(e, ERR_IO, "the database: %.*s", n < 300 ? n : 300, why);
}

static int pg_connect(struct pg_pool *p, struct pg_link *l, struct err *e)
{
    /* The URL's settings come last, so they override these. */
    const char *const names[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                                 "options",         "dbname",           NULL};
    const char *const values[] = {
        "5",
        "10000",
        "jabbertts",
        "-c statement_timeout=60000 -c lock_timeout=20000"
        " -c idle_in_transaction_session_timeout=60000 -c client_min_messages=warning",
        p->where,
        NULL};
    if (l->connection && PQstatus(l->connection) == CONNECTION_OK)
        return 0;
    PQfinish(l->connection);
    l->connection = PQconnectdbParams(names, values, 1);
    if (!l->connection)
        return err_set(e, ERR_MEMORY, "out of memory for a connection");
    return PQstatus(l->connection) == CONNECTION_OK ? 0 : pg_fail(l->connection, NULL, e);
}

static time_t pg_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* (lock) A link that is free, a connected one first; NULL: all were busy for too long. */
static struct pg_link *pg_wait(struct pg_pool *p)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_S;
    for (;;) {
        struct pg_link *l = NULL;
        for (int i = 0; i < CONNECTIONS; i++)
            if (!p->link[i].taken && (!l || p->link[i].connection))
                l = &p->link[i];
        if (l || pthread_cond_timedwait(&p->free, &p->lock, &until) == ETIMEDOUT)
            return l;
    }
}

static int pg_take(void *pool, void **ret, struct err *e)
{
    struct pg_pool *p = pool;
    int rc = 0;
    pthread_mutex_lock(&p->lock);
    struct pg_link *l = pg_wait(p);
    if (!l)
        rc = err_set(e, ERR_AWAY, "the database is away: no answer for %d seconds", WAIT_S);
    else if (PQstatus(l->connection) != CONNECTION_OK && p->failed_at &&
             pg_clock() - p->failed_at < REST_S)
        rc = err_set(e, ERR_AWAY, "the database is away: no connection");
    if (rc == 0)
        l->taken = true;
    pthread_mutex_unlock(&p->lock);
    if (rc < 0)
        return rc;
    rc = pg_connect(p, l, e);
    if (rc == 0) {
        *ret = l;
        return 0;
    }
    pthread_mutex_lock(&p->lock);
    p->failed_at = pg_clock();
    l->taken = false;
    pthread_cond_signal(&p->free);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

static void pg_give(void *pool, void *link)
{
    struct pg_pool *p = pool;
    pthread_mutex_lock(&p->lock);
    ((struct pg_link *)link)->taken = false;
    pthread_cond_signal(&p->free);
    pthread_mutex_unlock(&p->lock);
}

static void pg_close(void *pool)
{
    struct pg_pool *p = pool;
    for (int i = 0; i < CONNECTIONS; i++)
        PQfinish(p->link[i].connection);
    pthread_cond_destroy(&p->free);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->where);
    mem_free(p);
}

static int pg_open(const char *where, void **ret, struct err *e)
{
    struct pg_pool *p = mem_try(1, sizeof *p);
    pthread_condattr_t clock;
    void *link;
    if (!p)
        return err_set(e, ERR_MEMORY, "out of memory for a database");
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&p->free, &clock);
    pthread_condattr_destroy(&clock);
    p->where = mem_strndup(where, SIZE_MAX);
    int rc = p->where ? pg_take(p, &link, e) : err_set(e, ERR_MEMORY, "out of memory");
    if (rc < 0) {
        pg_close(p);
        return rc;
    }
    pg_give(p, link);
    *ret = p;
    return 0;
}

static int pg_script(void *link, const char *sql, struct err *e)
{
    PGconn *c = ((struct pg_link *)link)->connection;
    PGresult *r = PQexec(c, sql);
    ExecStatusType s = PQresultStatus(r);
    int rc = s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK ? 0 : pg_fail(c, r, e);
    /* COMMIT of a transaction that failed says ROLLBACK. */
    if (rc == 0 && strcmp(sql, "COMMIT") == 0 && strcmp(PQcmdStatus(r), "COMMIT") != 0)
        rc = err_set(e, ERR_AWAY, "the database rolled the transaction back");
    PQclear(r);
    return rc;
}

static Oid pg_type(char type)
{
    return type == 'b' ? OID_BYTEA : type == 's' ? OID_TEXT : type == 'f' ? OID_FLOAT8 : OID_INT8;
}

static PGresult *pg_send(PGconn *c, const char *sql, const struct db_value *v, int n)
{
    Oid type[DB_PARAMETERS];
    const char *value[DB_PARAMETERS];
    int length[DB_PARAMETERS], binary[DB_PARAMETERS];
    char number[DB_PARAMETERS][40];
    for (int i = 0; i < n; i++) {
        value[i] = v[i].data;
        length[i] = (int)v[i].n;
        binary[i] = v[i].type == 'b';
        type[i] = pg_type(v[i].type);
        if (v[i].type == 'b' && !v[i].data)
            value[i] = "";
        if (v[i].type == 'i') {
            snprintf(number[i], sizeof number[i], "%lld", (long long)v[i].i);
            value[i] = number[i];
        } else if (v[i].type == 'f') {
            snprintf(number[i], sizeof number[i], "%.17g", v[i].f);
            value[i] = number[i];
        }
    }
    return PQexecParams(c, sql, n, type, value, length, binary, 0);
}

static int pg_query(void *link, const char *sql, const struct db_value *v, int n, void **rows,
                    struct err *e)
{
    PGconn *c = ((struct pg_link *)link)->connection;
    PGresult *r = pg_send(c, sql, v, n);
    ExecStatusType s = PQresultStatus(r);
    struct pg_rows *q = NULL;
    int rc = 0;
    if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK)
        rc = pg_fail(c, r, e);
    else if (!rows)
        rc = (int)strtol(PQcmdTuples(r), NULL, 10);
    else if (!(q = mem_try(1, sizeof *q)))
        rc = err_set(e, ERR_MEMORY, "out of memory for rows of a database");
    if (!q) {
        PQclear(r);
        return rc;
    }
    *q = (struct pg_rows){.result = r, .row = -1};
    *rows = q;
    return 0;
}

static void pg_forget(struct pg_rows *q)
{
    while (q->n_bytes > 0)
        PQfreemem(q->bytes[--q->n_bytes]);
}

static int pg_next(void *rows, struct err *e)
{
    struct pg_rows *q = rows;
    (void)e;
    pg_forget(q);
    return ++q->row < PQntuples(q->result);
}

static int64_t pg_integer(const void *rows, int column)
{
    const struct pg_rows *q = rows;
    return strtoll(PQgetvalue(q->result, q->row, column), NULL, 10);
}

static double pg_real(const void *rows, int column)
{
    const struct pg_rows *q = rows;
    return strtod(PQgetvalue(q->result, q->row, column), NULL);
}

static const void *pg_bytes(const void *rows, int column, size_t *n)
{
    struct pg_rows *q = (struct pg_rows *)(uintptr_t)rows;
    *n = 0;
    if (PQgetisnull(q->result, q->row, column))
        return NULL;
    const char *s = PQgetvalue(q->result, q->row, column);
    *n = (size_t)PQgetlength(q->result, q->row, column);
    if (PQftype(q->result, column) != OID_BYTEA)
        return s;
    if (q->n_bytes == 2) /* more of a row are never asked for */
        return NULL;
    return q->bytes[q->n_bytes++] = PQunescapeBytea((const unsigned char *)s, n);
}

static void pg_end(void *rows)
{
    struct pg_rows *q = rows;
    pg_forget(q);
    PQclear(q->result);
    mem_free(q);
}

const struct db_kind db_postgres = {.open = pg_open,
                                    .close = pg_close,
                                    .take = pg_take,
                                    .give = pg_give,
                                    .script = pg_script,
                                    .query = pg_query,
                                    .next = pg_next,
                                    .integer = pg_integer,
                                    .real = pg_real,
                                    .bytes = pg_bytes,
                                    .end = pg_end,
                                    .begin = "BEGIN",
                                    .is_shared = true};
