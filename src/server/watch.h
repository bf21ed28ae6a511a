/* watch.h - the thread that looks after connections: clients that are gone, or too slow.
 *
 * Threads: as said. */
#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H
#include "base/err.h"

struct conn;
struct server;

int watch_start(struct server *s, struct err *e); /* start and stop: the server's own thread */
void watch_stop(struct server *s);
void watch_leave_all(struct server *s); /* cut every connection, give up what runs for it */
/* HTTP's thread: a connection begins and ends.  When there are too many, the one that has been
 * idle for longest is closed for the new one. */
void watch_add(struct server *s, struct conn *c);
void watch_remove(struct server *s, struct conn *c);

#endif
