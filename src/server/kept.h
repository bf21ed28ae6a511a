/* kept.h - replies from the cache of takes (store/takes.h), with HTTP's conditions: ETag,
 * If-None-Match, Range and If-Range (RFC 9110).
 *
 *     if (kept_reply(r, name)) ...        the reply is set: 200, 206, 304 or 416
 *     kept_announce(r, name, whole);      a first answer that may be found again
 *
 * A take's name is a hash of what it is made of, so it is its ETag, too: a weak one while the sound
 * is sent as it is made, since what says its length is not known yet.
 *
 * Threads: any. */
#ifndef SERVER_KEPT_H
#define SERVER_KEPT_H
#include <stdbool.h>

struct request;
bool kept_reply(struct request *r, const char *name);
void kept_announce(struct request *r, const char *name, bool whole);

#endif
