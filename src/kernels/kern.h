/* kern.h - all the arithmetic of the project: what each operation computes, on which shapes.
 *
 * An op is a function over a kern_exec: a table of kernels chosen once (ref, avx2, avxvnni, avx512,
 * amx or neon), a thread pool, and scratch memory allocated when it is made.  Ops split their work
 * over the pool. Activations are float, row-major, time first: x[T, C] is T rows of C contiguous
 * floats.
 *
 * Determinism: every output number is one sum in one fixed order, whatever the thread count, the
 * number of rows in the call and the neighbouring rows.  Instruction sets may differ in rounding.
 *
 * Threads: one thread at a time per kern_exec.  Weights are read-only and shared.
 * Errors: only *_new and *_init can fail; ops return void, their caller has checked the shapes. */
#ifndef KERNELS_KERN_H
#define KERNELS_KERN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"

enum kern_type { /* how numbers are stored; values are GGUF's tensor types */
                 KERN_F32 = 0,
                 KERN_F16 = 1,
                 KERN_Q4_0 = 2, /* 32 x 4 bit + f16 scale, 18 bytes */
                 KERN_Q8_0 = 8, /* 32 x 8 bit + f16 scale, 34 bytes */
                 KERN_BF16 = 30,
                 KERN_AS_STORED = -1 /* only as a wish: whatever the source is */
};
const char *kern_type_name(enum kern_type t);           /* "f32", "q8_0", ... ; "?" when unknown */
size_t kern_type_row_bytes(enum kern_type t, size_t n); /* bytes of n values; n % 32 == 0 for q */

/* --- executor ------------------------------------------------------------------------------ */

struct kern_exec;
/* isa: NULL for the best this machine has, or a name listed by kern_isa_name.
 * pool is borrowed and must outlive the executor. */
int kern_exec_new(const char *isa, struct pool *pool, struct kern_exec **ret, struct err *e);
void kern_exec_free(struct kern_exec *x);
const char *kern_exec_isa(const struct kern_exec *x);
struct pool *kern_exec_pool(struct kern_exec *x);
const char *
kern_isa_name(int i); /* i-th instruction set usable here, "ref" first; NULL after the last */

/* What ops of this executor have done: products of matrices, convolutions and attention, and bytes
 * of weights, keys and values that passed by, once for all rows of a call. */
struct kern_done {
    double products, bytes;
};
struct kern_done kern_exec_done(const struct kern_exec *x);

/* What the machine can do with this executor's threads, measured for some tenths of a second:
 * products of bytes in registers, bytes read from memory (256 MB of it, ERR_MEMORY), by second. */
struct kern_peak {
    double products, bytes;
};
int kern_exec_peak(struct kern_exec *x, struct kern_peak *ret, struct err *e);

/* --- number formats ------------------------------------------------------------------------ */

/* n values from one format to float, and back (round to nearest even; q: absmax scaling). */
void kern_to_f32(enum kern_type t, const void *in, float *out, size_t n);
void kern_from_f32(enum kern_type t, const float *in, void *out, size_t n);
/* Whether all are numbers: neither NaN nor infinite. */
bool kern_all_finite(const float *p, size_t n);
/* The same of n stored values; of blocks, their scales are looked at. */
bool kern_stored_finite(enum kern_type t, const void *values, size_t n);

/* --- linear, convolution, transposed convolution -------------------------------------------- */

/* One op serves all three.  out[r, o] = bias[o] + sum over taps j, channels c of
 *     weight[o, j, c] * in[(r * stride + j * dilation), c]
 * Linear: one tap, stride 1.  Causal convolution: k taps, the caller puts (k-1)*dilation + 1 -
 * stride rows of history in front.  Transposed convolution k = m * stride: m taps over the last m
 * input rows, n_out = stride * C_out: an output row is `stride` time steps of C_out channels. */
struct kern_linear {
    int n_out, n_in, n_tap; /* n_in: channels of one tap */
    enum kern_type type;    /* what the packed weights are */
    const void *packed;     /* private layout, in the arena */
    const float *bias;      /* [n_out] or NULL, in the arena */
    const char *name;       /* of the source; NULL: none */
};

/* Where weights come from: rows [n_out, n_tap * n_in] of `type`, read once. */
struct kern_source {
    int n_out, n_in, n_tap;
    enum kern_type type;
    const void *rows;
    const float *bias; /* [n_out] or NULL; copied */
    const char *name;  /* for a probe: of the tensor, must outlive the linear; or NULL */
};

/* Weights in f32, f16 and bf16 meet the input as float.  For q8_0 and q4_0 each input row is
 * quantized to int8 first, in blocks of 32 with a scale each (largest magnitude / 127): products
 * are integers.
 *
 * Pack for this executor's kernels.  type is a wish: a q type needs n_in % 32 == 0 and falls back
 * to f16 otherwise; q4_0 becomes q8_0, which holds its values exactly.  A source that is stored in
 * blocks keeps their scales: nothing is rounded twice.  ERR_MEMORY when the arena is out.
 * ERR_FORMAT when a weight is NaN or infinite: rounded to integers it would look like any other. */
int kern_linear_init(struct kern_linear *l, const struct kern_exec *x, const struct kern_source *s,
                     enum kern_type type, struct mem_arena *arena, struct err *e);

struct kern_norm {  /* of rows n long, or of heads n long */
    const float *w; /* [n] */
    const float *b; /* [n]; kern_layer_norm alone has one */
    float eps;
    int n;
};

enum kern_epilogue {
    KERN_STORE, /* out = y */
    KERN_ADD    /* out += scale * y; scale [n_out] or NULL for 1 */
};

struct kern_call { /* the run-time half of the op; zero what is unused, stride and dilation 0 mean 1
                    */
    const float *in;   /* [(n_row-1)*stride + (n_tap-1)*dilation + 1, n_in] contiguous */
    float *out;        /* row r at out + r * out_stride; must not overlap in */
    size_t out_stride; /* floats between output rows; 0 = n_out */
    int n_row;
    int stride, dilation;
    enum kern_epilogue epilogue;
    const float *scale;
    const struct kern_norm *norm; /* not NULL: in goes through kern_rms_norm first; one tap only */
};
void kern_linear_run(struct kern_exec *x, const struct kern_linear *l, const struct kern_call *c);

/* Calibration looks at what every linear is given: called before the op runs, on its thread; NULL
 * switches it off. */
typedef void (*kern_probe)(void *cookie, const struct kern_linear *l, const struct kern_call *c);
void kern_exec_set_probe(struct kern_exec *x, kern_probe probe, void *cookie);

/* Depthwise causal convolution: out[t, c] = bias[c] + sum_j w[j, c] * in[t + j, c].
 * in [T + n_tap - 1, C], out [T, C]. */
struct kern_filter {
    const float *w;    /* [n_tap, C] */
    const float *bias; /* [C] or NULL */
    int n_channel, n_tap;
};
void kern_depthwise(struct kern_exec *x, const struct kern_filter *f, const float *in, int n_row,
                    float *out);

/* --- norms and activations ------------------------------------------------------------------ */

/* Rows of heads: row r begins at p + r * stride and holds n_head heads of head_dim floats. */
struct kern_heads {
    float *p;
    size_t stride;
    int n_row, n_head, head_dim;
};

/* out[r, :] = in[r, :] / sqrt(mean(in[r, :]^2) + eps) * w.  in may be out.  Rows are contiguous. */
void kern_rms_norm(struct kern_exec *x, const struct kern_norm *m, const float *in, int n_row,
                   float *out);
/* The same for each head, in place (qk-norm); m->n is head_dim. */
void kern_head_norm(struct kern_exec *x, const struct kern_norm *m, const struct kern_heads *h);
/* out[r, :] = (in[r, :] - mean) / sqrt(variance + eps) * w + b, mean and variance of the row. */
void kern_layer_norm(struct kern_exec *x, const struct kern_norm *m, const float *in, int n_row,
                     float *out);
/* in [T, 2F]: out[t, f] = silu(in[t, f]) * in[t, F + f] */
void kern_silu_mul(struct kern_exec *x, const float *in, int n_row, int n, float *out);
void kern_gelu(struct kern_exec *x, float *p, size_t n); /* 0.5 v (1 + erf(v / sqrt 2)) */
void kern_tanh(struct kern_exec *x, float *p, size_t n);
/* out = in + sin(alpha[c] in)^2 * inv[c]; in may be out. */
struct kern_slopes {
    const float *alpha, *inv; /* [n_channel]; inv = 1 / (alpha + 1e-9) */
    int n_channel;
};
void kern_snake(struct kern_exec *x, const struct kern_slopes *s, const float *in, int n_row,
                float *out);

/* --- rotary positions and attention ---------------------------------------------------------- */

/* Fill table [n_position, head_dim/2, 2] with bfloat16-rounded cos and sin as golden README's
 * recipe says (exponent and angle in float32, power in double). */
void kern_rope_table(float base, int head_dim, int n_position, float *table);
/* Rotate the neighbouring pairs of each head, in place; row r stands at position[r]. */
void kern_rope(struct kern_exec *x, const struct kern_heads *h, const float *table,
               const int32_t *position);

/* Keys and values of one sequence in one layer: two arrays [n_head, capacity, head_dim] of type
 * f32, f16 or q8_0.  A ring: position p lives at p % capacity.  A row of q8_0 has its halves first:
 * [head_dim / 32] scales, then [head_dim] int8. */
#define KERN_KV_Q8_DIM 256 /* the longest row that q8_0 is made for */
struct kern_kv {
    void *k, *v;
    enum kern_type type;
    int n_head, head_dim, capacity;
};
/* The wish, or f16 where rows of q8_0 are not whole blocks of 32, or longer than KERN_KV_Q8_DIM. */
enum kern_type kern_kv_type(enum kern_type wish, int head_dim);
size_t kern_kv_bytes(enum kern_type t, int n_head, int head_dim, int capacity); /* of k, or of v */
/* Store one row: k and v are [n_head * head_dim] floats. */
void kern_kv_store(struct kern_exec *x, const struct kern_kv *kv, int position, const float *k,
                   const float *v);

struct kern_attend_row {
    const struct kern_kv *kv;
    int first, last; /* attends to positions first..last inclusive; last - first < capacity */
};
/* out[r, h, :] = sum_p softmax_p(q[r, h] . k[p, h / (H / K)] / sqrt(D)) v[p, ...]
 * All rows' caches have the same K and D.  rows [q->n_row], out [n_row, n_head * head_dim]. */
void kern_attend(struct kern_exec *x, const struct kern_heads *q,
                 const struct kern_attend_row *rows, float *out);

#endif
