/* conv.h - causal convolutions with history: strided, dilated, depthwise and transposed.
 *
 * A convolution's history is the last input rows that its next output needs; it lives in a slab of
 * floats, one per stream, at the place given when the convolution was loaded.  Zeros are the
 * padding of a new stream.  The caller puts new input rows behind room for the history:
 *
 *     struct conv_space m = {slab, work, work8, exec};  work [history + n_row, n_in]
 *     fill(conv_input(c, work), n_row);
 *     conv_run(c, &m, n_row, out, KERN_STORE);          out [conv_rows(c, n_row), n_out]
 *
 * Source: modded_dac.py:CausalConvNet and CausalTransConvNet.
 * Threads: a conv is read-only; slab and work belong to the caller. */
#ifndef MODEL_CONV_H
#define MODEL_CONV_H
#include "kernels/conv8.h"

struct conv_snake {
    const float *alpha, *inv;
    int n;
}; /* [n]; inv = 1 / (alpha + 1e-9) */

struct conv {
    struct kern_linear linear; /* one of these: in floats, */
    struct conv8 bytes;        /* or in 8-bit integers; bytes.packed NULL: unused; */
    const float *dw;           /* or depthwise weights [n_tap, n_in]; NULL: not */
    const float *dw_bias;      /* [n_in] */
    int n_in, n_out, n_tap;    /* channels, of one time step */
    int stride, dilation;      /* input rows per output row; rows between taps */
    int up;                    /* output rows per input row (transposed), else 1 */
    int history;               /* input rows carried over */
    int frame;                 /* input rows of one frame: they share a scale in integers */
    size_t state;              /* where the history begins in the slab, in floats */
};

/* Rows of history; negative when the stride skips input, which no causal convolution does. */
int conv_history(int n_tap, int stride, int dilation);
/* Floats of slab that c needs. */
size_t conv_state_floats(const struct conv *c);
/* Where the first new input row belongs in work. */
float *conv_input(const struct conv *c, float *work);
int conv_rows(const struct conv *c, int n_row); /* output rows; n_row is a multiple of stride */

struct conv_space {
    float *slab; /* histories of the stream */
    float *work; /* the input */
    void *work8; /* conv_work8_bytes, page aligned */
    struct kern_exec *exec;
};
/* Bytes of work8 for n_frame frames; 0 in floats. */
size_t conv_work8_bytes(const struct conv *c, int n_frame);
/* out = conv, or out += conv with KERN_ADD (not for depthwise); n_row is whole frames.  out must
 * not overlap work. */
void conv_run(const struct conv *c, const struct conv_space *m, int n_row, float *out,
              enum kern_epilogue epilogue);
/* The same of kern_snake of in [n_row, n_in], which may be the new rows in work or apart from it;
 * not for depthwise. */
void conv_run_snake(const struct conv *c, const struct conv_space *m, const struct conv_snake *s,
                    const float *in, int n_row, float *out, enum kern_epilogue epilogue);

#endif
