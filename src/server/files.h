/* files.h - what the handlers of files and batches share.
 *
 * Threads: any. */
#ifndef SERVER_FILES_H
#define SERVER_FILES_H
#include <jansson.h>
#include "server/errors.h"
#include "store/jobs.h"

struct request;

/* The store of files and batches; NULL: there is none, and the reply says so. */
struct jobs *files_store(struct request *r);
/* The store's error as the client's; param: the field it is about, if it is about one. */
void files_fail(const struct err *why, const char *param, struct api_error *e);
void files_reply_failure(struct request *r, const char *param, const struct err *why);
/* A list in pages, in two steps.  Begin reads ?limit= (at most most), ?after=, ?order= and
 * ?purpose=; NULL: it has answered with an error.  End answers with {"object":"list","data":list,
 * "first_id","last_id","has_more"}, or with the error in why where more is one; takes the list. */
struct jobs *files_begin_list(struct request *r, int most, int preset, struct jobs_page *p);
void files_end_list(struct request *r, json_t *list, int more, const struct err *why);
int64_t files_read_time(const char *s); /* "24h" in seconds; 0: it is no time */

#endif
