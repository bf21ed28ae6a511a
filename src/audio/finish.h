/* finish.h - the last stage before the listener: sets the level of speech, and puts silence of a
 * fixed length around it.
 *
 *     finish_new(hz, gain_db, &f, &e);
 *     finish_begin(f, FINISH_FIRST | FINISH_LAST);  a piece that is a whole text
 *     n = finish_run(f, pcm, n, to);                for each chunk; to: finish_room(f, n) samples
 *     n = finish_end(f, to);                        its end; to: finish_room(f, 0) samples
 *
 * The gain is one number for a model, and what it lifts over FINISH_KNEE is bent, never past
 * FINISH_CEILING: no sample waits to learn how loud a later one is.  What is kept back is silence
 * alone: before the first sound of a text all but its last FINISH_LEAD_MS, after its last what
 * comes later than FINISH_TRAIL_MS, and most of it at joints inside a sentence; silence longer than
 * FINISH_HOLD_MS is passed on.  Each piece
 * fades in, and falls to zero at its end, so that joints do not click.  What comes out does not
 * depend on how it is cut into chunks.  Threads: one at a time. */
#ifndef AUDIO_FINISH_H
#define AUDIO_FINISH_H
#include <stddef.h>
#include "base/err.h"

#define FINISH_LUFS     (-18.0) /* the level that a model's gain is chosen for */
#define FINISH_KNEE     0.5f    /* of full scale */
#define FINISH_CEILING  0.8f /* -1.9 dB: between samples of 16 kHz a wave rises up to 0.9 dB more */
#define FINISH_LEAD_MS  50
#define FINISH_TRAIL_MS 150
#define FINISH_HOLD_MS  1000

#define FINISH_JOINT_MS 25 /* of silence that a piece keeps at an end inside a sentence */

enum finish_place { /* of the piece in its text */
                    FINISH_FIRST = 1,
                    FINISH_LAST = 2,
                    FINISH_CONTINUES = 4, /* it begins inside a sentence: the pause is the text's */
                    FINISH_GOES_ON = 8    /* it ends inside one */
};

struct finish;
int finish_new(int hz, double gain_db, struct finish **ret, struct err *e);
void finish_free(struct finish *f);
void finish_begin(struct finish *f, int place);
size_t finish_room(const struct finish *f, size_t n);
size_t finish_run(struct finish *f, const float *pcm, size_t n, float *to);
size_t finish_end(struct finish *f, float *to);
/* Samples by which what came in so far comes out later (< 0: earlier): silence that was cut off in
 * front, or made up. */
long finish_shift(const struct finish *f);

#endif
