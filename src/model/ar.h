/* ar.h - autoregressive generation: prompts, sampling, penalty windows, stopping.
 *
 * A prompt is built from references and text; an ar is one sequence being generated.  ar_step
 * makes one frame for each of n sequences in one pass over the weights; what a sequence gets does
 * not depend on its neighbours.  A context that is full goes on with the prompt and the last
 * frames: n_context is a window then, not an end.
 *
 *     prompt_init(&p, n_codebook); prompt_text(&p, ...); ...
 *     ar_new(lm, 2048, &a, &e); ar_start(a, &p, &params, &e);
 *     while (ar_step(lm, &a, 1, exec), ar_state(a) == AR_FRAME) use(ar_codes(a));
 *
 * Source: fish_speech/models/text2semantic/inference.py; every quirk is in docs/MODEL.md.
 * Threads: prompts any; ar the engine thread. */
#ifndef MODEL_AR_H
#define MODEL_AR_H
#include <stdint.h>
#include "model/lm.h"
#include "model/tokenizer.h"

/* --- prompt ----------------------------------------------------------------------------------- */

struct prompt {
    int32_t *columns; /* [n_column, 1 + Q] */
    int n_column, cap, n_codebook;
    int n_prefix; /* columns in front of the text: the same for every text with these references */
};
void prompt_init(struct prompt *p, int n_codebook);
void prompt_done(struct prompt *p);
struct prompt_reference {
    const char *text;     /* transcript, as the model reads it (text or IPA) */
    const int32_t *codes; /* [Q, n_frame] */
    int n_frame;
};
struct prompt_parts {
    const struct prompt_reference *refs;
    int n_ref;
    const char *text;
    /* Text is untrusted: special tokens in it are read as ordinary text, unless this is set, which
     * only tests against the original program do. */
    bool specials;
};
/* <|interleave|>, each reference, then the text. */
int prompt_build(struct prompt *p, const struct tokenizer *t, const struct spec_lm *s,
                 const struct prompt_parts *parts, struct err *e);

/* --- sampler ---------------------------------------------------------------------------------- */

struct sampler_params {
    float temperature, top_p, repetition_penalty;
};
/* What the repetition penalty looks at: indices into the logits; those outside are ignored. */
struct sampler_window {
    const int32_t *index; /* [n] */
    int n;
};
/* Probabilities after penalty, top-p and temperature, in the reference's order.
 * logits [n] are changed; w NULL: no penalty; probs [n], scratch [2 n]. */
void sampler_probs(float *logits, int n, const struct sampler_window *w,
                   const struct sampler_params *p, uint64_t *scratch, float *probs);
/* Uniform number in [0, 1) that depends only on its arguments (counter-based generator). */
double sampler_uniform(uint64_t seed, uint32_t stream, uint32_t frame, uint32_t codebook);
/* Index drawn by u from probs [n]. */
int sampler_draw(const float *probs, int n, double u);
/* Logarithm of the probability of one of n logits, at temperature 1. */
double sampler_log_prob(const float *logits, int n, int i);

/* --- generation ------------------------------------------------------------------------------- */

enum ar_state {
    AR_IDLE,    /* nothing started */
    AR_READY,   /* started; the prompt goes in with the next step */
    AR_FRAME,   /* the last step made a frame: ar_codes */
    AR_STOPPED, /* the model ended it: the last step made no frame */
    AR_LIMIT,   /* max_frames, or a context with little room behind the prompt, ran out before the
                 * model ended: text not finished */
    AR_BROKEN   /* logits or an embedding are NaN or infinite: the weights are damaged */
};
struct ar_params {
    struct sampler_params sampling;
    uint64_t seed;
    uint32_t stream; /* piece of the request: other numbers from the same seed */
    int max_frames;  /* > 0 */
    bool weigh;      /* ar_likelihood will be asked for */
};
struct ar;
int ar_new(const struct lm *m, int n_context, struct ar **ret, struct err *e);
void ar_free(struct ar *a);
/* Copies the prompt.  ERR_LIMIT when it leaves no room for at least one frame in the context. */
int ar_start(struct ar *a, const struct prompt *p, const struct ar_params *params, struct err *e);
void ar_reset(struct ar *a);
enum ar_state ar_state(const struct ar *a);
const int32_t *ar_codes(const struct ar *a); /* [Q] of the last frame */
int ar_n_frame(const struct ar *a);
const int32_t *ar_frames(const struct ar *a); /* [n_frame, 1 + Q]: columns, as in a prompt */
int ar_max_frames(const struct ar *a);        /* as it was started */
/* Mean logarithm of the probabilities, before top-p and temperature, of what the slow transformer's
 * draws gave: frames, and the end.  0 before the first. */
double ar_likelihood(const struct ar *a);
/* The prompt, and the slot it goes into.  Between ar_start and the first step a slot may be given
 * the state of the prompt's first columns (lm_slot_load): the step feeds only the others. */
const struct prompt *ar_prompt(const struct ar *a);
struct lm_slot *ar_slot(struct ar *a);
/* One frame for each; those in state AR_READY first take their prompt (at most the lm's max_row
 * columns per call: a long prompt needs several steps and stays AR_READY meanwhile). */
void ar_step(struct lm *m, struct ar *const *seqs, int n, struct kern_exec *x);

/* Window of tokens the penalty looks at for frame i (0-based), the reference's quirk included.
 * history [n_frame, 1 + Q] all frames so far.  slow: out [1 + Q] values; returns how many (0 for
 * the first frame).  fast, codebook k: out [16]. */
int ar_slow_window(const int32_t *history, int n_frame, int n_codebook, int32_t *out);
int ar_fast_window(const int32_t *history, int n_frame, int n_codebook, int k, int32_t *out);

#endif
