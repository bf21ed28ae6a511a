/* sample.h - sentences said by a model, to look at how it does it: calibration and evaluation.
 *
 *     sample_open(&s, &model, "text.txt", &e);                 NULL: a text that comes with us
 *     while (sample_next(&s, &e) > 0)
 *         use(s.prompt, s.columns, s.n_frame);
 *     sample_done(&s);
 *
 * Each sentence is spoken as a request without options would be: the default voice, the recommended
 * sampling, seed 0; at most SAMPLE_FRAMES frames.
 *
 * Threads: the one that owns the model. */
#ifndef TOOLS_SAMPLE_H
#define TOOLS_SAMPLE_H
#include "model/model.h"
#include "text/text.h"

#define SAMPLE_FRAMES 200

struct sample {
    struct model *model;
    struct text_pieces pieces;
    struct ar *ar;
    int max_frames;       /* SAMPLE_FRAMES, or fewer where the codec's streams are shorter */
    int next;             /* piece */
    struct prompt prompt; /* of the sentence in hand */
    int32_t *columns;     /* [n_frame, 1 + Q] what the model made of it */
    int n_frame;
    bool stopped; /* the model ended it */
    int n_token;  /* of the sentence's text, at the prompt's end */
    /* Called before a sentence is said, with its prompt in ar, and for each frame; NULL: not. */
    int (*begin)(void *cookie, struct err *e);
    void (*frame)(void *cookie);
    void *cookie;
};
/* In the place of a path: other sentences that come with us, to judge what was learned from the
 * first. */
extern const char sample_held_out[];
int sample_open(struct sample *s, struct model *m, const char *path, struct err *e);
int sample_next(struct sample *s, struct err *e); /* 1, 0 after the last, or ERR_* */
void sample_done(struct sample *s);               /* zeroed or opened, also after a failure */

/* Codes [Q, n] of frames [from, from + n) of the sentence in hand, codebook first. */
void sample_codes(const struct sample *s, int from, int n, int32_t *codes);

#endif
