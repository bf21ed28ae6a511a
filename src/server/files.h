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
/* ?limit= (at most most), ?after=, ?order=, ?purpose= */
int files_read_page(const struct request *r, int most, int preset, struct jobs_page *p,
                    struct api_error *e);
/* {"object":"list","data":[...],"first_id","last_id","has_more"}; takes the list */
json_t *files_page_json(json_t *list, bool more);
int64_t files_read_time(const char *s); /* "24h" in seconds; 0: it is no time */

#endif
