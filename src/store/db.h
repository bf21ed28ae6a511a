/* db.h - a database: statements with parameters, rows, transactions.  A file of SQLite, or a
 * PostgreSQL server.
 *
 *     if (db_open("/var/lib/x/jobs.sqlite", &pool, &e) < 0) ...   or postgresql://user@host/db
 *     if (db_take(pool, &d, &e) == 0) {
 *         n = db_run(d, &e, "UPDATE t SET a = $2 WHERE id = $1", "si", id, a);    rows changed
 *         if (db_query(d, &q, &e, "SELECT a FROM t WHERE id = $1", "s", id) == 0) {
 *             while ((rc = db_next(q, &e)) == 1)
 *                 use(db_int(q, 0));
 *             db_end(q);
 *         }
 *         db_give(pool, d);
 *     }
 *
 * Statements are those that both understand; parameters are $1, $2, ... and their types a letter
 * each: s a string (NULL: NULL), b bytes and their number (size_t), i int64_t, f double.
 *
 * A change outside of a transaction is one by itself.  What has returned is on the disk.  ERR_BUSY
 * (another program has the file locked) and ERR_AWAY (the server does not answer) mean that nothing
 * was done: try again later.
 *
 * Threads: a pool any; what db_take gave belongs to one thread until db_give. */
#ifndef STORE_DB_H
#define STORE_DB_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct db_pool;
struct db;
struct db_rows;

bool db_is_url(const char *where); /* else it is a file */
int db_open(const char *where, struct db_pool **ret, struct err *e);
void db_close(struct db_pool *p); /* NULL is fine */
/* Do several processes, on several machines perhaps, use it at the same time? */
bool db_is_shared(const struct db_pool *p);

int db_take(struct db_pool *p, struct db **ret, struct err *e); /* waits for its turn */
void db_give(struct db_pool *p, struct db *d);                  /* rolls back what is open */

int db_begin(struct db *d, struct err *e);
int db_commit(struct db *d, struct err *e);
void db_rollback(struct db *d); /* also after a failure; without a transaction it does nothing */

/* Statements of a schema, without parameters, with semicolons. */
int db_script(struct db *d, const char *sql, struct err *e);
/* Rows changed, or an error.  ERR_ARGUMENT: a constraint forbids it. */
int db_run(struct db *d, struct err *e, const char *sql, const char *types, ...);
/* The same with a connection taken for this one statement. */
int db_once(struct db_pool *p, struct err *e, const char *sql, const char *types, ...);
int db_query(struct db *d, struct db_rows **ret, struct err *e, const char *sql, const char *types,
             ...);
int db_next(struct db_rows *q, struct err *e); /* 1: a row; 0: none is left */
int64_t db_int(const struct db_rows *q, int column);
double db_real(const struct db_rows *q, int column);
const char *db_text(const struct db_rows *q, int column); /* "" for NULL; until the next row */
const void *db_bytes(const struct db_rows *q, int column, size_t *n); /* the same */
void db_end(struct db_rows *q);
/* The one number that a statement gives; 0 where it gives no row. */
int db_number(struct db *d, struct err *e, int64_t *ret, const char *sql, const char *id);

#endif
