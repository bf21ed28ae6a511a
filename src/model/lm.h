/* lm.h - the two language-model transformers: tokens and codes in, logits out.
 *
 * A column of the prompt is [1 + Q] int32: token id, then one code per codebook (zero at text).
 * Slow: embeds a column, runs it, gives hidden [dim] (before the final norm) and logits.
 * Fast: per frame, position 0 takes the hidden state, position k the code k-1, predicting code k.
 * Source: fish_speech/models/text2semantic/llama.py:DualARTransformer; quirks in docs/MODEL.md.
 *
 * Heads: by default only the rows that can be generated (semantic tokens, then im_end; residual
 * codes) are computed; lm_head_* maps between row and token.  The full head stays selectable for
 * exact comparison.
 *
 * Threads: the engine thread. */
#ifndef MODEL_LM_H
#define MODEL_LM_H
#include "kernels/kern.h"
#include "model/load.h"
#include "model/spec.h"
#include "model/transformer.h"

struct lm;
struct lm_options {
    const char *cache; /* "f32", "f16", "q8_0": keys and values of the slow transformer; NULL: what
                          lm_cache_type says.  Rows that cannot be q8_0 (kern.h) are f16. */
    bool full_head;    /* compute the whole padded vocabulary */
    int max_row;       /* rows in one slow call: prompt chunk or batch; 0 = 256 */
    int max_batch;     /* sequences in one fast call; 0 = 8 */
};
int lm_load(const struct load *from, const struct spec_lm *s, const struct lm_options *o,
            struct lm **ret, struct err *e);
void lm_free(struct lm *m); /* frees its caches; the rest dies with the arena, later */
/* Where nothing is said: q8_0 with layers in q4_0, whose own error is a hundred times that of such
 * a cache (docs/SPEED.md), f32 with f32, else f16.  type as in struct load. */
enum kern_type lm_cache_type(const struct gguf *g, const struct spec_lm *s, enum kern_type type);
const struct spec_lm *lm_spec(const struct lm *m);

int lm_n_head_row(const struct lm *m);              /* logits per slow call */
int32_t lm_head_token(const struct lm *m, int row); /* row of the head -> token id */

/* What computes in the place of our kernels, on the engine thread; a driver outlives the model. */
struct lm_plain { /* a slot's keys and values */
    float *rows;  /* [layer, 2, capacity, K D]: keys, then values */
    int length, capacity;
    uint64_t stamp; /* the driver's; 0: rows were changed by others */
};
struct lm_feed;
struct lm_driver {
    void *self;
    void (*slow)(void *self, const struct lm_feed *feeds, int n_feed); /* as lm_slow */
    /* As lm_fast_begin, or with hidden NULL as lm_fast_step. */
    void (*fast)(void *self, const float *hidden, const int32_t *code, int n, int k, float *logits);
};
int lm_new_driven(const struct lm_driver *d, const struct spec_lm *s, int max_batch,
                  struct mem_arena *arena, struct lm **ret, struct err *e); /* in the arena */

/* One sequence's slow KV cache. */
struct lm_slot;
struct lm_plain *lm_slot_plain(struct lm_slot *s); /* of a model with a driver */
int lm_slot_new(const struct lm *m, int n_context, struct lm_slot **ret, struct err *e);
void lm_slot_free(struct lm_slot *s);
void lm_slot_reset(struct lm_slot *s);
/* Forget all but the first n columns. */
void lm_slot_cut(struct lm_slot *s, int n_column);
int lm_slot_length(const struct lm_slot *s); /* columns seen, and not forgotten */
/* Whether the embeddings of all columns since the reset were finite.  Loading checks every other
 * weight; these tables are too large to be read for that. */
bool lm_slot_is_finite(const struct lm_slot *s);
int lm_slot_capacity(const struct lm_slot *s);
enum kern_type lm_kv_type(const struct lm *m); /* of keys and values of the slow transformer */

/* What a slot remembers of its first n columns (n <= length), and back into an empty slot of the
 * same model with capacity >= n: it goes on as if it had been fed them. */
size_t lm_slot_bytes(const struct lm_slot *s, int n_column);
void lm_slot_save(const struct lm_slot *s, int n_column, void *out);
void lm_slot_load(struct lm_slot *s, int n_column, const void *in);

/* Heads of the slow transformer, layer by layer; borrowed.  None at first. */
void lm_watch_heads(struct lm *m, const struct spec_head *heads, int n);
/* Each feed of the slot leaves in out what those heads attend to from its last column: softmax over
 * columns from to to - 1, [n_head, to - from].  out NULL, or a reset: nothing. */
void lm_slot_watch(struct lm_slot *s, int from, int to, float *out);

struct lm_feed {
    struct lm_slot *slot;
    const int32_t *columns; /* [n_column, 1 + Q] */
    int n_column;           /* >= 1; length + n_column <= capacity (asserted) */
    float *hidden;          /* [dim] of the last column, or NULL */
    float *logits;          /* [lm_n_head_row] of the last column, or NULL */
};
/* Feed columns to several sequences in one pass over the weights (chunked by max_row). */
void lm_slow(struct lm *m, const struct lm_feed *feeds, int n_feed, struct kern_exec *x);

/* Fast transformer over n sequences together (n <= max_batch): begin with the hidden states [n,
 * dim] and the semantic codes [n], which gives logits of code 1; then one call per codebook k
 * = 2..Q-1 with the codes k-1 [n], for logits of code k.  Begin takes positions 0 and 1 in one pass
 * over the weights: those of position 0 are not needed.  logits [n, codebook_size], of which the
 * lm_n_candidate(k) first are computed (all, with a full head). */
void lm_fast_begin(struct lm *m, const float *hidden, const int32_t *code, int n, float *logits,
                   struct kern_exec *x);
void lm_fast_step(struct lm *m, const int32_t *code, int n, int k, float *logits,
                  struct kern_exec *x);
/* Room for the arrays of those calls, of max_batch sequences; the model's, so that a frame
 * allocates nothing. */
struct lm_batch {
    float *hidden; /* [max_batch, dim] */
    float *logits; /* [max_batch, codebook_size] */
    int32_t *code; /* [max_batch] */
};
struct lm_batch *lm_batch(struct lm *m);
int lm_n_candidate(const struct lm *m, int k); /* min(codebook_size, 1024) for k >= 1 */

#endif
