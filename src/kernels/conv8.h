/* conv8.h - convolutions in 8-bit integers: int8 weights with one scale per output channel, int8
 * activations scaled where they are used.
 *
 *     out[r, o] = bias[o] + w_scale[o] * in_scale(r) * sum over taps j, channels c of
 *                 weight[o, j, c] * q[r * stride + j * dilation, c]
 *     q = round to nearest even(in * (1 / in_scale)), in_scale = (largest |in|) / 127
 *
 * and weights likewise.  Magnitudes all below 1e-30 give a scale of 0, hence q = 0. The sum is
 * exact, so it is the same in whatever order and by whatever algorithm a kernel takes it. Which
 * inputs share a scale: with one tap those of a row; with more, those that the rows of one piece
 * see, history included.  The caller chooses the size of pieces (for the codec: frames); results do
 * not depend on how many pieces a call has.
 *
 *     struct conv8_shape shape = {.stride = 1, .dilation = 3, .n_row = 32};
 *     conv8_init(&c, exec, &source, &shape, arena, &e);
 *     struct conv8_call call = {.in = x, .out = y, .work = w, .n_piece = 8};
 *     conv8_run(exec, &c, &call);                          w: conv8_work_bytes(&c, 8)
 *
 * Threads: as kern.h.  Errors: only conv8_init can fail. */
#ifndef KERNELS_CONV8_H
#define KERNELS_CONV8_H
#include <stdbool.h>
#include "kernels/kern.h"

struct conv8_ops;

struct conv8 {
    int n_out, n_in, n_tap, stride, dilation, n_row; /* as its kernels see them: conv8_init */
    int n_beside; /* rows of the caller that lie side by side in one of n_in channels */
    const struct conv8_ops *ops; /* kernels of the executor it was packed for */
    const void *packed;          /* private layout, in the arena */
    const float *scale, *bias;   /* [n_out, rounded up to 16], in the arena */
};

/* Whether the exact sums fit the kernels' 32 bits. */
bool conv8_fits(int n_in, int n_tap);

struct conv8_shape {
    int stride, dilation;
    int n_row; /* output rows of a piece */
};

/* Pack a convolution's weights; s->rows may be of any type, s->bias NULL.  s must fit.  ERR_FORMAT
 * when a weight is NaN or infinite.
 * Where the taps are m times the stride, m > 1, and lie side by side, the convolution is kept as
 * one of stride 1 and m taps over rows of stride * n_in channels, which is the same. */
int conv8_init(struct conv8 *c, struct kern_exec *x, const struct kern_source *s,
               const struct conv8_shape *shape, struct mem_arena *arena, struct err *e);

struct conv8_call {
    float *in;  /* [(n_piece * n_row - 1) * stride + (n_tap - 1) * dilation + 1, n_in] */
    float *out; /* [n_piece * n_row, n_out]; must not overlap in */
    void *work; /* conv8_work_bytes, 64-byte aligned */
    int n_piece;
    enum kern_epilogue epilogue; /* without a scale */
    /* raw not NULL: the last n_piece * n_row * stride rows of in are made first, as kern_snake of
     * raw, which has as many and may be those rows themselves.  Not with a stride larger than
     * n_tap. */
    const float *raw;
    const struct kern_slopes *slopes;
};
size_t conv8_work_bytes(const struct conv8 *c, int n_piece);
void conv8_run(struct kern_exec *x, const struct conv8 *c, const struct conv8_call *call);

#endif
