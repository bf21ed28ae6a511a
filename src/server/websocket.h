/* websocket.h - speech over a WebSocket (RFC 6455, framing by wslay): text in, sound out, cancel.
 *
 *     GET /v1/audio/speech/stream                         our own messages (docs/HTTP.md)
 *     GET /v1/text-to-speech/{voice}/stream-input         ElevenLabs' messages
 *
 * The route's handler agrees to the upgrade; then the connection has two threads, one that reads
 * messages and one that speaks (talk.h).
 *
 * Threads: websocket_open and websocket_upgraded the HTTP library's. */
#ifndef SERVER_WEBSOCKET_H
#define SERVER_WEBSOCKET_H
#include <stddef.h>

struct request;
struct MHD_UpgradeResponseHandle;
#define WEBSOCKET_KEY_BYTES 64
/* What proves to the client that we speak the protocol: base64 of SHA-1, 28 letters. */
int websocket_accept(const char *key, char accept[32]);
/* The connection is ours; extra: bytes that came already. */
void websocket_upgraded(struct request *r, const void *extra, size_t n_extra, int fd,
                        struct MHD_UpgradeResponseHandle *handle);

#endif
