/* log.h - what is kept of a finished request: numbers for the metrics, and a line on standard
 * error.
 *
 * Threads: any. */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H
#include <jansson.h>

struct request;

void log_request(const struct request *r);

/* For request_state.log: fields of the line.  Empty strings and negative seconds are left out. */
void log_set_string(json_t *o, const char *name, const char *s);
void log_set_seconds(json_t *o, const char *name, double v);

#endif
