/* wyoming.h - Home Assistant's Wyoming protocol on a port of its own, default off.
 *
 *     wyoming_start(server, 10200, &w, &e);
 *     wyoming_stop(w);                        closes what is open
 *
 * A line of JSON for each event, {"type", "data", "data_length", "payload_length"}, then
 * data_length bytes of more JSON and payload_length of sound
 * (https://github.com/OHF-Voice/wyoming).  Here:
 *     describe                             -> info
 *     synthesize                           -> audio-start, audio-chunk ..., audio-stop
 *     synthesize-start, -chunk ..., -stop  -> the same while text comes, then synthesize-stopped
 *     ping                                 -> pong
 * and error for what cannot be.  A synthesize between start and stop repeats the text for servers
 * that know no streaming, and is passed over.  The protocol knows no keys: whoever reaches the port
 * may speak with any voice that everyone has.
 *
 * Threads: one listens, two for each connection: one reads, one speaks. */
#ifndef SERVER_WYOMING_H
#define SERVER_WYOMING_H
#include <jansson.h>
#include "base/err.h"

struct server;
struct wyoming;
/* Listens on the host that the server listens on, or loopback where that is no address. */
int wyoming_start(struct server *s, int port, struct wyoming **ret, struct err *e);
void wyoming_stop(struct wyoming *w); /* NULL is fine */
const char *wyoming_url(const struct wyoming *w);

/* The head of an event: a line without its end.  *data is its JSON ("data" of the line, or an empty
 * object), a new reference; 0, or ERR_FORMAT or ERR_LIMIT with what is wrong. */
struct wyoming_head {
    char type[32];
    json_t *data;
    size_t n_data, n_payload; /* bytes that follow */
};
int wyoming_parse(const char *line, size_t n, struct wyoming_head *ret, struct err *e);

#endif
