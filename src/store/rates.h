/* rates.h - how often each key has asked, counted for all replicas in their PostgreSQL.
 *
 *     if (rates_open("postgresql://...", &r, &e) < 0) ...
 *     rates_spend(r, "alice", 60, 3, &left, &e);     three requests; 60 a minute are allowed
 *     rates_close(r);
 *
 * A key has a bucket of as many tokens as it may do requests a minute, which fills in a minute.
 * What is spent is taken out even where less is left, so that left is negative: it was spent
 * already, and is paid back.
 *
 * Threads: any. */
#ifndef STORE_RATES_H
#define STORE_RATES_H
#include "base/err.h"

struct rates;
int rates_open(const char *where, struct rates **ret, struct err *e);
void rates_close(struct rates *r); /* NULL is fine */
int rates_spend(struct rates *r, const char *key, double per_minute, double spent, double *left,
                struct err *e);

#endif
