/* faces.h - speech requests of other vendors' clients, translated to this server's fields.
 *
 *     if (faces_read(r, &p, &e) < 0) ...      OpenAI's requests, too
 *
 * ElevenLabs: POST /v1/text-to-speech/{voice}, and /stream.  Fish Audio: POST /v1/tts.
 * Kokoro-FastAPI: POST /dev/phonemize.
 * A field that is not in the tables (faces.c) has no counterpart here and is passed over.
 *
 * Threads: any. */
#ifndef SERVER_FACES_H
#define SERVER_FACES_H
#include "server/params.h"

struct request;
struct json_t;
/* The body of a request in the terms of its route; params_done when it is spoken. */
int faces_read(struct request *r, struct speech_params *ret, struct api_error *e);
/* GET /v1/text-to-speech/{voice}/stream-input?output_format=...: fields of ours. */
int faces_stream_input(const struct request *r, struct json_t *fields, struct api_error *e);

#endif
