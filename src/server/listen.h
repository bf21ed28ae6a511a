/* listen.h - the socket to serve on: an address, a path, or one that systemd opened.
 *
 * host is a name or an address ("127.0.0.1", "::1", "[::1]"), "unix:/path", or "systemd" for the
 * first socket of socket activation (sd_listen_fds(3)).
 *
 * Threads: one. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H
#include <stdbool.h>
#include "base/err.h"

struct listen {
    int fd;
    char url[160];    /* to reach it: http://127.0.0.1:8000 */
    bool is_loopback; /* only this machine's programs come */
    bool is_unix;
    char path[108]; /* of the socket to remove at the end; "": none */
};
/* systemd: the values of LISTEN_PID and LISTEN_FDS, NULL where they are not set.  secure: the URL
 * begins with https. */
int listen_open(const char *host, int port, const char *const systemd[2], bool secure,
                struct listen *ret, struct err *e);
void listen_done(struct listen *l); /* removes the path; the descriptor has another owner */

#endif
