/* effect.h - rate (pitch kept, Sonic) and volume of a stretch of sound.
 *
 *     effect_new(hz, &fx, &e);
 *     effect_begin(fx, 0.8, 1.5);                        slower and louder from here on
 *     effect_write(fx, pcm, n, &e);                      as often as there is sound
 *     while ((n = effect_read(fx, pcm, n_max)) > 0) ...  what it became; ask after every write
 *     effect_end(fx);                                    then read the rest
 *
 * Sound that volume pushes over full scale is rounded off, not clipped.  Threads: one at a time. */
#ifndef AUDIO_EFFECT_H
#define AUDIO_EFFECT_H
#include <stddef.h>
#include "base/err.h"

#define EFFECT_MIN_RATE 0.25
#define EFFECT_MAX_RATE 4.0

struct effect;
int effect_new(int hz, struct effect **ret, struct err *e);
void effect_free(struct effect *fx); /* NULL is fine */
void effect_begin(struct effect *fx, double rate, double volume);
int effect_write(struct effect *fx, const float *pcm, int n, struct err *e);
int effect_read(struct effect *fx, float *pcm, int n_max);
void effect_end(struct effect *fx);

#endif
