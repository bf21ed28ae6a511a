/* voice_store.h - the voice store as the engine uses it: what may be stored, and recordings to
 * codes.  store/store.h keeps the rows; jabbertts.h has the rest.
 *
 * Threads: any. */
#ifndef ENGINE_VOICE_STORE_H
#define ENGINE_VOICE_STORE_H
#include "audio/audio.h"
#include "engine/dual_ar/dual_ar.h"

/* The voice with this id or name that the owner (NULL: anyone) may use, as tts speaks it; free *ret
 * with jabbertts_voice_free. */
int store_voice(struct jabbertts *tts, const char *id, const char *owner,
                struct jabbertts_voice **ret, struct err *e);

/* voice.c: a recording to a voice.  text "": no transcript. */
int voice_decode(struct jabbertts *tts, const void *data, size_t n_bytes, double max_seconds,
                 float **pcm, size_t *n, struct err *e);
int voice_encode(struct jabbertts *tts, const float *pcm, size_t n, const char *text,
                 struct jabbertts_voice **ret, struct err *e);

#endif
