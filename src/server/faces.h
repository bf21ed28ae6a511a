/* faces.h - speech requests of other vendors' clients, translated to this server's fields.
 *
 *     if (faces_body(r, body, n, &made, &e) < 0) ...      made: JSON as params.h reads it
 *
 * ElevenLabs: POST /v1/text-to-speech/{voice}, and /stream.  Fish Audio: POST /v1/tts.
 * A field that is not in the tables (faces.c) has no counterpart here and is passed over.
 *
 * Threads: any. */
#ifndef SERVER_FACES_H
#define SERVER_FACES_H
#include <stddef.h>
#include "server/errors.h"

struct request;
struct face;
/* Of the route that the request found; NULL: it is OpenAI's own. */
const struct face *faces_of(const struct request *r);
struct json_t;
/* GET /v1/text-to-speech/{voice}/stream-input?output_format=...: fields of ours. */
int faces_stream_input(const struct request *r, struct json_t *fields, struct api_error *e);
/* The translated body; free with free(). */
int faces_body(const struct request *r, const char *body, size_t n, char **ret,
               struct api_error *e);

#endif
