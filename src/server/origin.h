/* origin.h - checks of Host and Origin: which host names and which web pages are allowed.
 *
 * A browser sends what any page tells it to, also to a server on its own machine.  Two things tell
 * such requests from others: Host, which names another host when a page's name was made to point
 * here, and Origin (or Sec-Fetch-Site), which names the page.
 *
 * Threads: any; without state. */
#ifndef SERVER_ORIGIN_H
#define SERVER_ORIGIN_H
#include <stdbool.h>

/* authority: host or host:port, as in Host.  localhost, *.localhost, 127.0.0.0/8 or [::1]? */
bool origin_is_loopback(const char *authority);
/* Is its host one of a list with commas? */
bool origin_host_listed(const char *list, const char *authority);
/* Is it a page of this server: origin is http(s):// and the authority that was asked for? */
bool origin_is_own(const char *origin, const char *authority);
/* allowed: "*"; or a list with commas of origins, where `local` stands for those on loopback. */
bool origin_allowed(const char *allowed, const char *origin, const char *authority);

#endif
