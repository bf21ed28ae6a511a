/* archive.h - all that a batch has made, as one stream of ZIP or TAR.
 *
 * Threads: workers, for one request one at a time. */
#ifndef SERVER_ARCHIVE_H
#define SERVER_ARCHIVE_H
#include "base/err.h"

struct request;

/* Set the reply to the archive of a batch; name: "sounds.zip" or "sounds.tar".  ERR_NOT_FOUND. */
int archive_begin(struct request *r, const char *batch, const char *name, struct err *e);
void archive_run(struct request *r); /* as far as there is room */

#endif
