/* timed.h - the answers that carry word times: events, one JSON, Kokoro's lines.
 *
 * Each makes the JSON of what is known by now; NULL: out of memory.  Threads: one at a time. */
#ifndef SERVER_TIMED_H
#define SERVER_TIMED_H
#include "server/captions.h"
#include "server/params.h"

/* Base64 of sound as a JSON string. */
json_t *timed_audio(const void *data, size_t n);
/* speech.audio.words or speech.audio.sentences of the words from the i-th on. */
json_t *timed_event(struct captions *c, int i, bool sentences);
/* What POST /v1/audio/speech/timestamps answers; seconds: of the sound. */
json_t *timed_whole(struct captions *c, const struct speech_params *p, double seconds,
                    const void *sound, size_t n);
/* What Kokoro-FastAPI's /dev/captioned_speech answers, whole or as a line; type: of the sound. */
json_t *timed_kokoro(struct captions *c, int i, bool times, const char *type, const void *sound,
                     size_t n);

#endif
