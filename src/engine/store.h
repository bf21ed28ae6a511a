/* store.h - the voice store as the engine uses it; jabbertts.h has the rest.
 *
 * One SQLite file, voices.sqlite: voices and consents with their recordings, and for each voice its
 * codes per model, which are made again from the recording where a model has none.
 *
 * Threads: any; one lock and one connection per store. */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H
#include "audio/audio.h"
#include "engine/engine.h"

/* The voice with this id or name, as tts speaks it; free *ret with jabbertts_voice_free. */
int store_voice(struct jabbertts_store *s, struct jabbertts *tts, const char *id,
                struct jabbertts_voice **ret, struct err *e);

/* voice.c: a recording to a voice.  text "": no transcript. */
int voice_decode(struct jabbertts *tts, const void *data, size_t n_bytes, float **pcm, size_t *n,
                 struct err *e);
int voice_encode(struct jabbertts *tts, const float *pcm, size_t n, const char *text,
                 struct jabbertts_voice **ret, struct err *e);

#endif
