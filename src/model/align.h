/* align.h - which token of the text each frame says, from what attention looks at.
 *
 *     align_new(n_token, max_frames, &a, &e);
 *     align_frame(a, focus, n_head);        for each frame: [n_head, n_token] of lm_slot_watch
 *     align_path(a, first);                 first[i]: the frame that token i begins with
 *     align_free(a);
 *
 * The path goes through the text once, in order, and maximizes the sum of log of the heads' mean: a
 * hidden Markov model from left to right that stays, steps, or leaves tokens out (Viterbi).
 *
 * Threads: one at a time.  A frame costs some ten operations a token and allocates nothing. */
#ifndef MODEL_ALIGN_H
#define MODEL_ALIGN_H
#include "base/err.h"

struct align;
int align_new(int n_token, int max_frames, struct align **ret, struct err *e);
void align_free(struct align *a); /* NULL is fine */
void align_frame(struct align *a, const float *focus, int n_head);
int align_n_frame(const struct align *a);
/* What the heads of n aligners of the same frames say together: a new one. */
int align_join(struct align *const *heads, int n, struct align **ret, struct err *e);
/* first [n_token + 1], in frames and parts of them, never falling; the last one is the number of
 * frames.  Returns the mean share of
 * attention that lies on the path, 0 to 1. */
double align_path(const struct align *a, double *first);

#endif
