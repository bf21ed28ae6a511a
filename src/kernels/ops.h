/* ops.h - the table of kernels of one instruction set; inside of src/kernels only.
 *
 * body.h holds the one source of all of them, in GCC's vector extension (16 lanes, which the
 * compiler maps to one, two or four registers); ref.c, avx2.c, avx512.c, neon.c and so on compile
 * it with their own flags.  A kernel runs on one thread; kern.c splits the work.
 *
 * Weights are packed in the layout that the table names: panel16.c's, or one of its own. */
#ifndef KERNELS_OPS_H
#define KERNELS_OPS_H
#include "kernels/kern.h"

#define KERN_PANEL 16 /* outputs per panel */
#define KERN_BLOCK 32 /* values that share a scale in the q types */

/* Bytes of a head's row of keys or values. */
static inline size_t kern_kv_row_bytes(enum kern_type t, int head_dim)
{
    size_t d = (size_t)head_dim;
    return t == KERN_Q8_0 ? d / KERN_BLOCK * 34 : t == KERN_F16 ? d * 2 : d * 4;
}

/* The error of weights that are not finite: ERR_FORMAT. */
int kern_damaged(const struct kern_source *s, struct err *e);

struct kern_int8 { /* rows quantized in blocks of 32; one after the other */
    int8_t *q;     /* [n_row, n_in], -127..127 */
    float *scale;  /* [n_row, n_in / 32]: value = q * scale */
    int32_t *sum;  /* [n_row, n_in / 32] sums of q, in the form that linear_q wants */
};

struct kern_tile { /* rows [row, row + n_row) x panels [panel, panel + n_panel) of one call */
    const struct kern_linear *l;
    const struct kern_call *c;
    const struct kern_int8 *x; /* the call's input, when the weights are q8_0 or q4_0 */
    int row, n_row, panel, n_panel;
};

struct kern_attend_task { /* the query heads of one key head, of one row or of two neighbours */
    const float *q;       /* [n_row, n_q, head_dim], rows q_stride apart */
    float *out;           /* the same, out_stride apart */
    size_t q_stride, out_stride;
    int n_q, head, n_row;
    const struct kern_attend_row *rows;
};

struct kern_layout { /* how weights are packed: panels of n_lane outputs each */
    int n_lane;
    size_t (*bytes)(enum kern_type t, size_t k); /* of a panel with k values per output */
    /* Row [k] of type t, as stored, into its lane of a panel, which was zero. */
    void (*pack)(enum kern_type t, const void *row, size_t k, int lane, void *panel);
};
extern const struct kern_layout kern_panel16;

struct kern_ops {
    const char *isa;
    const struct kern_layout *layout;
    void (*linear)(const struct kern_tile *t);   /* weights f32, f16, bf16 */
    void (*linear_q)(const struct kern_tile *t); /* weights q8_0, q4_0 */
    void (*quantize)(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
    void (*rms_norm)(const float *in, const float *w, float eps, int n, float *out);
    void (*layer_norm)(const float *in, const float *w, const float *b, float eps, int n,
                       float *out);
    void (*silu_mul)(const float *in, int n, float *out);
    void (*gelu)(float *p, int n);
    void (*snake)(const float *in, const float *alpha, const float *inv, int n, float *out);
    void (*depthwise)(const float *in, const float *w, const float *bias, int n_channel, int n_tap,
                      float *out);
    void (*rope)(float *p, const float *table, int n_head, int head_dim);
    void (*attend)(const struct kern_attend_task *t);
    void (*to_f32)(enum kern_type t, const void *in, float *out, size_t n);
    void (*to_f16)(const float *in, uint16_t *out, size_t n);
    /* n rounds of the set's fastest products of bytes, in registers; returns how many products. */
    size_t (*peak)(size_t n);
};

extern const struct kern_ops kern_ops_ref;
#if defined(__x86_64__)
extern const struct kern_ops kern_ops_avx2, kern_ops_avxvnni, kern_ops_avx512, kern_ops_amx;
#elif defined(__aarch64__)
extern const struct kern_ops kern_ops_neon, kern_ops_i8mm;
#endif

const struct kern_ops *kern_exec_ops(const struct kern_exec *x);
void kern_exec_count(struct kern_exec *x, double products, double bytes); /* more was done */

#endif
