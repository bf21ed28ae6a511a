/* ar.c - generation of one or several sequences, a frame at a time. */
#include "model/ar.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define WINDOW 16 /* frames the repetition penalty looks back */
/* Frames behind the prompt that a full context keeps: a quarter of what is there, so that each
 * frame is fed at most 1.33 times; no more than a breath's, since they are fed between two frames
 * that somebody listens to. */
#define KEPT(room) ((room) / 4 < 128 ? (room) / 4 : 128)
#define ROOM_LEAST 64 /* behind the prompt, for that to make sense */
#define AR_ARENA   ((size_t)256 << 10)

struct ar {
    struct mem_arena *arena; /* of this struct, too */
    struct lm_slot *slot;
    enum ar_state state;
    struct ar_params params;
    int n_codebook;
    struct prompt prompt; /* own copy */
    int32_t *history;     /* [n_frame, 1 + Q] */
    int n_frame, cap;     /* cap: positions */
    int most;             /* frames that history has room for */
    double log_prob;      /* sum over n_draw draws of tokens */
    int n_draw;
    float *hidden, *logits, *probs; /* [dim], [widest head] */
    uint64_t *scratch;
};

int ar_new(const struct lm *m, int n_context, struct ar **ret, struct err *e)
{
    const struct spec_lm *s = lm_spec(m);
    struct mem_arena *arena = mem_arena_new(AR_ARENA);
    struct ar *a = mem_arena_array(arena, 1, sizeof *a);
    size_t width = 1 + (size_t)s->n_codebook, n = (size_t)lm_n_head_row(m);
    if (n < (size_t)s->codebook_size)
        n = (size_t)s->codebook_size;
    int rc = a ? lm_slot_new(m, n_context, &a->slot, e)
               : err_set(e, ERR_MEMORY, "out of memory for a sequence");
    if (rc < 0) {
        mem_arena_free(arena);
        return rc;
    }
    a->arena = arena;
    a->n_codebook = s->n_codebook;
    a->cap = lm_slot_capacity(a->slot);
    prompt_init(&a->prompt, s->n_codebook);
    a->prompt.cap = a->cap;
    a->prompt.columns = mem_arena_array(arena, (size_t)a->cap * width, sizeof *a->prompt.columns);
    a->most = s->slow.n_position;
    a->history = mem_arena_array(arena, (size_t)a->most * width, sizeof *a->history);
    a->hidden = mem_arena_array(arena, (size_t)s->slow.dim, sizeof *a->hidden);
    a->logits = mem_arena_array(arena, n, sizeof *a->logits);
    a->probs = mem_arena_array(arena, n, sizeof *a->probs);
    a->scratch = mem_arena_array(arena, 2 * n, sizeof *a->scratch);
    if (mem_arena_failed(arena)) {
        ar_free(a);
        return err_set(e, ERR_MEMORY, "out of memory for a sequence of %d positions", n_context);
    }
    *ret = a;
    return 0;
}

void ar_free(struct ar *a)
{
    if (!a)
        return;
    lm_slot_free(a->slot);
    mem_arena_free(a->arena);
}

int ar_start(struct ar *a, const struct prompt *p, const struct ar_params *params, struct err *e)
{
    size_t width = 1 + (size_t)a->n_codebook;
    if (p->n_column + 1 > a->cap)
        return err_set(e, ERR_LIMIT,
                       "text and reference take %d positions, the context has %d: use a shorter "
                       "reference or a shorter sentence",
                       p->n_column, a->cap);
    if (params->max_frames < 1)
        return err_set(e, ERR_ARGUMENT, "max_frames is %d, must be at least 1", params->max_frames);
    ar_reset(a);
    memcpy(a->prompt.columns, p->columns, (size_t)p->n_column * width * sizeof *p->columns);
    a->prompt.n_column = p->n_column;
    a->prompt.n_prefix = p->n_prefix;
    a->params = *params;
    a->state = AR_READY;
    return 0;
}

void ar_reset(struct ar *a)
{
    lm_slot_reset(a->slot);
    a->n_frame = a->prompt.n_column = a->n_draw = 0;
    a->log_prob = 0;
    a->state = AR_IDLE;
}

enum ar_state ar_state(const struct ar *a)
{
    return a->state;
}

const int32_t *ar_codes(const struct ar *a)
{
    assert(a->n_frame > 0);
    return a->history + (size_t)(a->n_frame - 1) * (1 + (size_t)a->n_codebook) + 1;
}

int ar_n_frame(const struct ar *a)
{
    return a->n_frame;
}

const int32_t *ar_frames(const struct ar *a)
{
    return a->history;
}

int ar_max_frames(const struct ar *a)
{
    return a->params.max_frames;
}

double ar_likelihood(const struct ar *a)
{
    return a->n_draw ? a->log_prob / a->n_draw : 0;
}

const struct prompt *ar_prompt(const struct ar *a)
{
    return &a->prompt;
}

struct lm_slot *ar_slot(struct ar *a)
{
    return a->slot;
}

/* --- penalty windows: inference.py:decode_n_tokens --- */

/* The reference keeps the frames after the first in a zero-filled list; entry j is frame j + 1. */
static int window_value(const int32_t *history, int n_frame, int n_codebook, int entry, int row)
{
    if (entry + 1 >= n_frame)
        return 0;
    return history[(size_t)(entry + 1) * (size_t)(1 + n_codebook) + (size_t)row];
}

int ar_slow_window(const int32_t *history, int n_frame, int n_codebook, int32_t *out)
{
    if (n_frame == 0)
        return 0;
    /* Frame i = n_frame is list entry i - 1; its window starts at 0, or 16 entries back.  Only the
     * window's first entry is used: its token and its codes, taken as token ids. */
    int entry = n_frame - 1, start = entry < WINDOW ? 0 : entry - WINDOW;
    for (int r = 0; r < 1 + n_codebook; r++)
        out[r] = window_value(history, n_frame, n_codebook, start, r);
    return 1 + n_codebook;
}

int ar_fast_window(const int32_t *history, int n_frame, int n_codebook, int k, int32_t *out)
{
    if (n_frame == 0)
        return 0;
    int entry = n_frame - 1, start = entry < WINDOW ? 0 : entry - WINDOW;
    for (int j = 0; j < WINDOW; j++)
        out[j] = window_value(history, n_frame, n_codebook, start + j, 1 + k);
    return WINDOW;
}

/* --- stepping --- */

/* Token ids of the penalty window as rows of the head; -1 where the head has none. */
static void tokens_to_rows(const struct lm *m, int32_t *ids, int n)
{
    const struct spec_lm *s = lm_spec(m);
    if (lm_n_head_row(m) == s->n_vocab)
        return;
    for (int i = 0; i < n; i++)
        ids[i] = ids[i] == s->im_end ? lm_n_head_row(m) - 1
                 : ids[i] >= s->semantic_begin && ids[i] <= s->semantic_end
                     ? ids[i] - s->semantic_begin
                     : -1;
}

static int32_t draw_token(struct lm *m, struct ar *a)
{
    int32_t prev[1 + LIMIT_CODEBOOKS];
    int n = ar_slow_window(a->history, a->n_frame, a->n_codebook, prev);
    tokens_to_rows(m, prev, n);
    struct sampler_window w = {prev, n};
    sampler_probs(a->logits, lm_n_head_row(m), &w, &a->params.sampling, a->scratch, a->probs);
    double u = sampler_uniform(a->params.seed, a->params.stream, (uint32_t)a->n_frame, 0);
    int row = sampler_draw(a->probs, lm_n_head_row(m), u);
    if (a->params.weigh) {
        a->log_prob += sampler_log_prob(a->logits, lm_n_head_row(m), row);
        a->n_draw++;
    }
    return lm_head_token(m, row);
}

static int32_t draw_code(struct lm *m, struct ar *a, int k, const float *logits)
{
    int32_t prev[WINDOW];
    int n = ar_fast_window(a->history, a->n_frame, a->n_codebook, k, prev),
        c = lm_n_candidate(m, k);
    memcpy(a->logits, logits, (size_t)c * sizeof *logits);
    struct sampler_window w = {prev, n};
    sampler_probs(a->logits, c, &w, &a->params.sampling, a->scratch, a->probs);
    double u = sampler_uniform(a->params.seed, a->params.stream, (uint32_t)a->n_frame, (uint32_t)k);
    return sampler_draw(a->probs, c, u);
}

struct draws { /* what is drawn for every sequence: tokens for k = 0, else codes of codebook k */
    struct lm *m;
    struct ar *const *seqs;
    int k;
    const float *logits; /* of codes: [sequence, codebook_size] */
};

/* What was computed for a sequence's next token.  A logit that is not a number would win or lose
 * every draw without a word. */
static bool ar_is_finite(const struct lm *m, const struct ar *a)
{
    return lm_slot_is_finite(a->slot) && kern_all_finite(a->hidden, (size_t)lm_spec(m)->slow.dim) &&
           kern_all_finite(a->logits, (size_t)lm_n_head_row(m));
}

static void draw_task(void *arg, int i, int i_thread)
{
    const struct draws *d = arg;
    struct ar *a = d->seqs[i];
    int32_t *column = a->history + (size_t)a->n_frame * (1 + (size_t)a->n_codebook);
    const float *logits = d->logits + (size_t)i * (size_t)lm_spec(d->m)->codebook_size;
    (void)i_thread;
    if (d->k == 0 ? !ar_is_finite(d->m, a)
                  : !kern_all_finite(logits, (size_t)lm_n_candidate(d->m, d->k)))
        a->state = AR_BROKEN;
    if (d->k == 0)
        column[0] = draw_token(d->m, a);
    else
        column[1 + d->k] = draw_code(d->m, a, d->k, logits);
}

/* Columns that a sequence feeds for its next frame.  When the context is full, all but the prompt
 * and the last frames is forgotten, and these are fed again, at the positions where they stand
 * now: the prompt is what the others lean on (G. Xiao et al., Efficient Streaming Language Models
 * with Attention Sinks, 2024), and keys that only moved would be turned wrongly.  0: no room. */
static int ar_next(struct ar *a)
{
    int n_prompt = a->prompt.n_column, room = a->cap - n_prompt;
    if (lm_slot_length(a->slot) < a->cap)
        return 1;
    if (room < ROOM_LEAST)
        return 0;
    lm_slot_cut(a->slot, n_prompt);
    return KEPT(room);
}

/* Feed what each sequence has next; fills live[] with those that have logits for a frame. */
static int ar_feed(struct lm *m, struct ar *const *seqs, int n, struct ar **live,
                   struct kern_exec *x)
{
    struct lm_feed feeds[LIMIT_SLOTS];
    int n_feed = 0, n_live = 0;
    for (int i = 0; i < n; i++) {
        struct ar *a = seqs[i];
        size_t width = 1 + (size_t)a->n_codebook;
        struct lm_feed f = {a->slot, NULL, 1, a->hidden, a->logits};
        if (a->state != AR_READY && a->state != AR_FRAME)
            continue;
        if (a->state == AR_FRAME && (a->n_frame >= a->params.max_frames || a->n_frame >= a->most ||
                                     (f.n_column = ar_next(a)) == 0)) {
            a->state = AR_LIMIT;
            continue;
        }
        if (a->state == AR_READY) {
            int n_fed = lm_slot_length(a->slot);
            f.columns = a->prompt.columns + (size_t)n_fed * width;
            f.n_column = a->prompt.n_column - n_fed;
        } else {
            f.columns = a->history + (size_t)(a->n_frame - f.n_column) * width;
        }
        feeds[n_feed++] = f;
        live[n_live++] = a;
    }
    if (n_feed > 0)
        lm_slow(m, feeds, n_feed, x);
    return n_live;
}

/* Codes of the frames of n sequences: one pass of the fast transformer per codebook for all. */
static void ar_run_fast(struct lm *m, struct ar *const *live, int n, struct kern_exec *x)
{
    const struct spec_lm *s = lm_spec(m);
    struct lm_batch *b = lm_batch(m);
    size_t dim = (size_t)s->slow.dim, width = 1 + (size_t)s->n_codebook;
    for (int i = 0; i < n; i++)
        memcpy(b->hidden + (size_t)i * dim, live[i]->hidden, dim * sizeof(float));
    for (int k = 1; k < s->n_codebook; k++) {
        for (int i = 0; i < n; i++)
            b->code[i] = live[i]->history[(size_t)live[i]->n_frame * width + (size_t)k];
        if (k == 1)
            lm_fast_begin(m, b->hidden, b->code, n, b->logits, x);
        else
            lm_fast_step(m, b->code, n, k, b->logits, x);
        struct draws codes = {m, live, k, b->logits};
        pool_run(kern_exec_pool(x), draw_task, &codes, n);
    }
}

void ar_step(struct lm *m, struct ar *const *seqs, int n, struct kern_exec *x)
{
    const struct spec_lm *s = lm_spec(m);
    struct ar *live[LIMIT_SLOTS];
    int n_live = ar_feed(m, seqs, n, live, x), n_frame = 0;
    struct draws tokens = {m, live, 0, NULL};
    pool_run(kern_exec_pool(x), draw_task, &tokens, n_live);
    for (int i = 0; i < n_live; i++) {
        struct ar *a = live[i];
        int32_t *column = a->history + (size_t)a->n_frame * (1 + (size_t)a->n_codebook);
        if (a->state == AR_BROKEN)
            continue;
        column[1] = column[0] > s->semantic_begin ? column[0] - s->semantic_begin : 0;
        if (column[1] >= s->codebook_size)
            column[1] = s->codebook_size - 1;
        /* The reference does not look at the very first token. */
        if (column[0] == s->im_end && (a->n_frame > 0 || lm_n_head_row(m) != s->n_vocab))
            a->state = AR_STOPPED;
        else
            live[n_frame++] = a;
    }
    if (n_frame > 0)
        ar_run_fast(m, live, n_frame, x);
    for (int i = 0; i < n_frame; i++) {
        if (live[i]->state == AR_BROKEN)
            continue;
        live[i]->n_frame++;
        live[i]->state = AR_FRAME;
    }
}
