/* announce.h - a service told to the network by DNS-SD (RFC 6763), where Avahi runs here.
 *
 *     struct announcement *a = announce_start("_wyoming._tcp", "JabberTTS", 10200);
 *     announce_stop(a);                        NULL is fine: there is no Avahi, or no D-Bus
 *
 * A name that another machine has gets a number.  An Avahi that comes later is waited for.
 *
 * Threads: one of its own (Avahi's); start before the sandbox, which may forbid to connect. */
#ifndef SERVER_ANNOUNCE_H
#define SERVER_ANNOUNCE_H

struct announcement;
struct announcement *announce_start(const char *type, const char *name, int port);
void announce_stop(struct announcement *a);

#endif
