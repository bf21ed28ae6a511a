/* voice_store.h - the voice store as the engine uses it: what may be stored, and recordings to
 * codes.  store/store.h keeps the rows; jabbertts.h has the rest.
 *
 * Threads: any. */
#ifndef ENGINE_VOICE_STORE_H
#define ENGINE_VOICE_STORE_H
#include "audio/audio.h"
#include "engine/dual_ar/dual_ar.h"
#include "store/store.h"

/* The voice with this id or name that the owner (NULL: anyone) may use, as tts speaks it; free *ret
 * with jabbertts_voice_free. */
int store_voice(struct jabbertts *tts, const char *id, const char *owner,
                struct jabbertts_voice **ret, struct err *e);

/* jabbertts_store_add. */
int store_add_recordings(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                         const struct jabbertts_stored *v, char id[48], struct err *e);

/* The voice stored under a name for the codec with this fingerprint; ERR_NOT_FOUND without a store
 * or such a voice. */
int store_anchor(struct jabbertts *tts, const char *name, int64_t made_by,
                 struct jabbertts_voice **ret, struct err *e);
/* Stores *v under that name.  If another program has stored one meanwhile, *v becomes that one. If
 * it cannot be stored, the next program makes it again. */
void store_keep_anchor(struct jabbertts *tts, const char *name, int64_t made_by,
                       struct jabbertts_voice **v);

/* What made some codes: a hash (FNV-1a) of the first bytes of each tensor with this prefix. */
int64_t store_fingerprint(const struct jabbertts *tts, const char *prefix);
/* A clip's codes as rows have them; borrowed. */
struct store_codes store_codes_of(const struct jabbertts_voice *v, int clip, int64_t fingerprint);

/* voice.c: voices as lists of clips. */
struct jabbertts_voice *voice_new(const struct jabbertts *tts, int n_clip); /* NULL: no memory */
/* Copies text (as the model reads it) and codes [Q, n_frame].  After a failure v is still to be
 * freed. */
int voice_set_clip(struct jabbertts_voice *v, int i, const char *text, const int32_t *codes,
                   int n_frame, struct err *e);
int voice_join(struct jabbertts_voice *v, struct jabbertts_voice *more, struct err *e);

/* voice.c: a recording to a voice.  text "": no transcript. */
int voice_decode(struct jabbertts *tts, const struct audio_file *f, double max_seconds, float **pcm,
                 size_t *n, struct err *e);
int voice_encode(struct jabbertts *tts, const float *pcm, size_t n, const char *text,
                 struct jabbertts_voice **ret, struct err *e);

#endif
