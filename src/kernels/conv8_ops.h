/* conv8_ops.h - what an instruction set brings for conv8.h; inside of src/kernels only.
 *
 * Work comes in units.  `prepare` turns float input into the kernel's own form of it, unit by unit;
 * `run` then makes output, a range of units by a range of panels of 16 output channels. */
#ifndef KERNELS_CONV8_OPS_H
#define KERNELS_CONV8_OPS_H
#include "kernels/conv8.h"

#define CONV8_PANEL 16

struct conv8_job {
    const struct conv8 *c;
    const struct conv8_call *call;
    float *scale; /* of the inputs: [n_piece], or with one tap [rows] */
    void *q;      /* the prepared input */
};

struct conv8_range {
    int unit, unit_end, panel, panel_end;
};

struct conv8_ops {
    const char *isa;
    bool (*takes)(const struct conv8 *c); /* NULL: every convolution */
    int run_block;                        /* units of run that a task takes together */
    size_t (*panel_bytes)(const struct conv8 *c);
    void (*pack)(const struct conv8 *c, const int8_t *w, int n, void *panel); /* w [n][tap][in] */
    size_t (*input_bytes)(const struct conv8 *c, int n_piece);
    int (*n_prepare)(const struct conv8_job *j);
    void (*prepare)(const struct conv8_job *j, int unit, int unit_end);
    int (*n_run)(const struct conv8_job *j);
    void (*run)(const struct conv8_job *j, const struct conv8_range *r);
    float (*top)(const float *in, size_t n); /* largest magnitude */
};

extern const struct conv8_ops conv8_ops_ref;
#if defined(__x86_64__)
extern const struct conv8_ops conv8_ops_avx2, conv8_ops_avxvnni, conv8_ops_avx512, conv8_ops_amx;
/* conv8_fir.h */
extern const struct conv8_ops conv8_fir_avx2, conv8_fir_avxvnni, conv8_fir_avx512;
#elif defined(__aarch64__)
extern const struct conv8_ops conv8_ops_neon, conv8_ops_i8mm;
#endif

/* Input rows that n_row output rows see. */
static inline int conv8_rows_in(const struct conv8 *c, int n_row)
{
    return (n_row - 1) * c->stride + (c->n_tap - 1) * c->dilation + 1;
}

/* First input row of a piece. */
static inline size_t conv8_piece(const struct conv8_job *j, int i_piece)
{
    return (size_t)i_piece * (size_t)j->c->n_row * (size_t)j->c->stride;
}

static inline float conv8_in_scale(const struct conv8_job *j, int row)
{
    return j->c->n_tap == 1 ? j->scale[row] : j->scale[row / j->c->n_row];
}

#endif
