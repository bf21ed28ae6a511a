/* db_impl.h - inside of db.h: what a kind of database does.  db.c chooses the kind and reads the
 * parameters. */
#ifndef STORE_DB_IMPL_H
#define STORE_DB_IMPL_H
#include "store/db.h"

#define DB_PARAMETERS 16

struct db_value {
    char type; /* s, b, i, f as in db.h */
    const void *data;
    size_t n;
    int64_t i;
    double f;
};

struct db_kind {
    int (*open)(const char *where, void **ret, struct err *e);
    void (*close)(void *pool);
    int (*take)(void *pool, void **ret, struct err *e);
    void (*give)(void *pool, void *link);
    int (*script)(void *link, const char *sql, struct err *e);
    /* With rows NULL the number of changed rows is returned. */
    int (*query)(void *link, const char *sql, const struct db_value *v, int n_value, void **rows,
                 struct err *e);
    int (*next)(void *rows, struct err *e);
    int64_t (*integer)(const void *rows, int column);
    double (*real)(const void *rows, int column);
    const void *(*bytes)(const void *rows, int column, size_t *n);
    void (*end)(void *rows);
    const char *begin; /* the statement */
    bool is_shared;
};
extern const struct db_kind db_sqlite, db_postgres;

#endif
