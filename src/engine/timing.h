/* timing.h - when each word of a piece is heard, in the sound that was made of it.
 *
 *     timing_hear(&h, rate, pcm, n);               all of the piece's sound, as it comes
 *     timing_spread(&h, piece, at);              at [n_word]: or what the engine knows
 *     timing_settle(&h, piece, at);
 *     timing_done(&h);
 *
 * An engine that knows which text each moment says gives times; else words get them by their length
 * in the sound that is not silence.  Either way a boundary that falls near a silence moves to it.
 *
 * Threads: one at a time. */
#ifndef ENGINE_TIMING_H
#define ENGINE_TIMING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "text/text.h"

struct word_time { /* seconds of the piece's sound */
    double from, to;
};

struct timing_heard {
    float peak;    /* of the hop in hand, */
    size_t n_peak; /* which has so many samples */
    uint8_t *loud; /* [n] for each hop of 10 ms */
    size_t n, cap;
};
size_t timing_samples(const struct timing_heard *h, int rate); /* heard so far */
/* 0 or ERR_MEMORY. */
int timing_hear(struct timing_heard *h, int rate, const float *pcm, size_t n);
void timing_clear(struct timing_heard *h); /* for the next piece */
void timing_done(struct timing_heard *h);
/* When sound comes back after the silence nearest to a moment, at most reach_s away. */
bool timing_resumes(const struct timing_heard *h, double at_s, double reach_s, double *ret);
double timing_end(const struct timing_heard *h); /* of the last sound */
/* Times by length. */
void timing_spread(const struct timing_heard *h, const struct text_piece *p, struct word_time *at);
/* Move boundaries into silences, and put times in order. */
void timing_settle(const struct timing_heard *h, const struct text_piece *p, struct word_time *at);

#endif
