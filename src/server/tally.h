/* tally.h - keeps the rates of keys common to all replicas, without a request that waits for it.
 *
 *     if (tally_start(&s->keys, "postgresql://...", &s->tally, &e) < 0) ...
 *     tally_stop(s->tally);
 *
 * keys_take counts here and now.  A thread tells the database what was spent, at most every 50 ms,
 * and the key goes on with what all replicas together have left.  Between two answers a replica
 * spends at most a quarter of a key's rate, or four requests where that is more (keys.h), so N
 * replicas exceed a rate by (N - 1) times that, and pay it back.  While the database is away, each
 * counts for itself.
 *
 * Threads: start and stop from one. */
#ifndef SERVER_TALLY_H
#define SERVER_TALLY_H
#include "base/err.h"

struct keys;
struct tally;
int tally_start(struct keys *keys, const char *where, struct tally **ret, struct err *e);
void tally_stop(struct tally *t); /* NULL is fine */

#endif
