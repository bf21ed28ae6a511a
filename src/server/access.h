/* access.h - access control: API keys, rate limits, and allowed web pages.
 *
 * Threads: the HTTP library's. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H
#include <stdbool.h>
#include "server/errors.h"

struct request;

/* Whose rows of the store this request may see and change; NULL: all. */
const char *access_owner(const struct request *r);
/* Whether the request has a valid key; false on a server without keys. */
bool access_has_key(const struct request *r);
/* In this order, before a byte of the body is kept. */
int access_check_host(struct request *r, struct api_error *e);
void access_find_origin(struct request *r); /* origin of the web page that asks, if it is allowed */
int access_preflight(struct request *r, const char *path, struct api_error *e); /* OPTIONS */
int access_check_origin(struct request *r, struct api_error *e);
int access_check(struct request *r, struct api_error *e); /* key and rate */
void access_headers(struct request *r);                   /* of every reply */

#endif
