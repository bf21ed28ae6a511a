/* validate.h - a batch's input file, line by line, to its items.
 *
 * Threads: the runner's. */
#ifndef SERVER_VALIDATE_H
#define SERVER_VALIDATE_H
#include "server/server.h"
#include "store/jobs.h"

/* Reads the file and fills the batch, or says in its errors what is wrong with which lines.  A
 * negative status: it could not be decided; try again. */
int validate_batch(struct jobs *j, const struct server_options *o, const char *batch,
                   const char *input, const char *runner, struct err *e);

#endif
