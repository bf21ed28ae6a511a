/* transformer.h - the ONE transformer block: slow, fast, codec post, pre and encoder stacks.
 *
 * Per layer (fish_speech/models/text2semantic/llama.py:TransformerBlock, and
 * models/dac/modded_dac.py:TransformerBlock, which adds layer scale and a window):
 *     x += scale_a * wo(attention(rope(norm(qk)))), x += scale_f * w2(silu(w1 x) * w3 x)
 * A call works on rows: each row belongs to a sequence (its KV cache) and stands at a position, so
 * prefill, single steps and batches of sequences are the same code.
 *
 * Threads: weights read-only; a call belongs to the executor's thread. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H
#include "kernels/kern.h"
#include "model/spec.h"

struct transformer; /* weights of one stack, final norm included; lives in the model's arena */

/* Tensors are the load's prefix + "blk.N.attn_qkv.weight" and so on, + "output_norm.weight". */
struct load;
int transformer_load(const struct load *l, const struct spec_transformer *s,
                     struct transformer **ret, struct err *e);

/* KV cache of one sequence: n_layer rings of `capacity` positions.  Backed as it fills. */
struct transformer_kv;
int transformer_kv_new(const struct transformer *t, int capacity, enum kern_type type,
                       struct transformer_kv **ret, struct err *e);
void transformer_kv_reset(struct transformer_kv *kv); /* forget everything, give memory back */
void transformer_kv_free(struct transformer_kv *kv);
/* Positions 0..n-1 of a cache that holds them, packed; load puts them into a cache of the same
 * model and type and of any capacity >= n, bit for bit.  The layout is the caller's business only
 * where it keeps the bytes beyond this version of the program. */
size_t transformer_kv_span_bytes(const struct transformer_kv *kv, int n);
void transformer_kv_save(const struct transformer_kv *kv, int n, void *out);
void transformer_kv_load(struct transformer_kv *kv, int n, const void *in);
size_t transformer_kv_bytes(const struct spec_transformer *s, int capacity, enum kern_type type);

/* Scratch for calls of up to max_row rows, shared by all calls of one executor. */
struct transformer_scratch;
int transformer_scratch_new(const struct spec_transformer *s, int max_row, struct mem_arena *arena,
                            struct transformer_scratch **ret,
                            struct err *e); /* dies with the arena */

/* What some heads attend to: of each row of a call with out, for the h-th of the heads, the softmax
 * over positions from to to - 1 alone goes to out[h * (to - from) ..].  No windows. */
struct transformer_span {
    int from, to;
    float *out; /* NULL: this row is not watched */
};
struct transformer_watch {
    const struct spec_head *heads;
    int n_head;
    const struct transformer_span *span; /* [n_row] */
};
/* For the next calls with this scratch; NULL: nothing is watched. */
void transformer_scratch_watch(struct transformer_scratch *s, const struct transformer_watch *w);

struct transformer_rows {
    int n_row;                        /* <= the scratch's max_row */
    struct transformer_kv *const *kv; /* [n_row] the sequence of each row */
    /* [n_row]; rows of a sequence in ascending order; at most capacity - window (or capacity) of
     * one sequence in a call */
    const int32_t *position;
};

/* x [n_row, dim] in place through layer i; keys and values of the rows are stored first. */
void transformer_layer(const struct transformer *t, int i_layer, const struct transformer_rows *r,
                       float *x, struct transformer_scratch *s, struct kern_exec *exec);
/* All layers; the final norm is not applied. */
void transformer_run(const struct transformer *t, const struct transformer_rows *r, float *x,
                     struct transformer_scratch *s, struct kern_exec *exec);
/* kern_linear_run of a head, with the stack's final norm in front. */
void transformer_head(const struct transformer *t, const struct kern_linear *head,
                      const struct kern_call *call, struct kern_exec *exec);
/* out [n_row, dim] = final norm of x. */
void transformer_norm(const struct transformer *t, const float *x, int n_row, float *out,
                      struct kern_exec *exec);

#endif
