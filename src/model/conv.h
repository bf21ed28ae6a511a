/* conv.h - causal convolutions that remember: strided, dilated, depthwise and transposed.
 *
 * A convolution's history is the last input rows that its next output needs; it lives in a slab of
 * floats, one per stream, at the place given when the convolution was loaded.  Zeros are the
 * padding of a new stream.  The caller puts new input rows behind room for the history:
 *
 *     fill(conv_input(c, work), n_row);               work [history + n_row, n_in]
 *     conv_run(c, slab, work, n_row, out, 0, x);      out [conv_rows(c, n_row), n_out]
 *
 * Source: modded_dac.py:CausalConvNet and CausalTransConvNet.
 * Threads: a conv is read-only; slab and work belong to the caller. */
#ifndef MODEL_CONV_H
#define MODEL_CONV_H
#include "kernels/kern.h"

struct conv {
    struct kern_linear linear; /* unused when depthwise */
    const float *dw;           /* depthwise weights [n_tap, n_in], or NULL */
    const float *dw_bias;      /* [n_in] */
    int n_in, n_out, n_tap;    /* channels, of one time step */
    int stride, dilation;      /* input rows per output row; rows between taps */
    int up;                    /* output rows per input row (transposed), else 1 */
    int history;               /* input rows carried over */
    size_t state;              /* where the history begins in the slab, in floats */
};

/* Rows of history; negative when the stride skips input, which no causal convolution does. */
int conv_history(int n_tap, int stride, int dilation);
/* Floats of slab that c needs. */
size_t conv_state_floats(const struct conv *c);
/* Where the first new input row belongs in work. */
float *conv_input(const struct conv *c, float *work);
int conv_rows(const struct conv *c, int n_row); /* output rows; n_row is a multiple of stride */
/* out = conv, or out += conv with KERN_ADD (not for depthwise).  out must not overlap work. */
void conv_run(const struct conv *c, float *slab, float *work, int n_row, float *out,
              enum kern_epilogue epilogue, struct kern_exec *x);

#endif
