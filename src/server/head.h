/* head.h - strict checks of a request's head, before anything else: a head that two programs read
 * differently allows request smuggling.
 *
 *     if (head_read(r, target, version, &e) < 0) ...       answer e and close the connection
 *
 * Threads: the HTTP library's. */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H
#include <stdbool.h>
#include <stddef.h>
#include "server/errors.h"

struct request;

/* Check the header lines, and the target, as it came, into r->path and r->authority. */
int head_read(struct request *r, const char *target, const char *version, struct api_error *e);

/* A target as a path: scheme and host of the absolute form go to authority (""; none), the query
 * is cut off, %XX decoded, "//" made "/".  0, or what is wrong with it. */
const char *head_path(const char *target, char *path, size_t n_path, char *authority,
                      size_t n_authority);
#define HEAD_TOO_LONG "the path is too long" /* of head_path's answers */

#endif
