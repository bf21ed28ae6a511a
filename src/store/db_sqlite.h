/* db_sqlite.h - what both users of SQLite share: the voice store and databases (db.h). */
#ifndef STORE_DB_SQLITE_H
#define STORE_DB_SQLITE_H
#include <sqlite3.h>
#include "base/err.h"

/* The error of the last call.  db NULL: SQLite had no memory to open it. */
int db_sqlite_fail(sqlite3 *db, const char *path, struct err *e);

#endif
