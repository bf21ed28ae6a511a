/* conv.h - causal convolutions with history: strided, dilated, depthwise and transposed.
 *
 * A convolution's history is the last input rows that its next output needs; it lives in a slab of
 * floats, one per stream, at the place given when the convolution was loaded.  Zeros are the
 * padding of a new stream.  The caller puts new input rows behind room for the history:
 *
 *     struct conv_space m = {slab, work, work8, exec};  work [history + n_row, n_in]
 *     struct conv_call call = {.n_row = n_row, .out = out};
 *     fill(conv_input(c, work), n_row);
 *     conv_run(c, &m, &call);                           out [conv_rows(c, n_row), n_out]
 *
 * Source: modded_dac.py:CausalConvNet and CausalTransConvNet.
 * Threads: a conv is read-only; slab and work belong to the caller. */
#ifndef MODEL_CONV_H
#define MODEL_CONV_H
#include "kernels/conv8.h"

struct conv {
    struct kern_linear linear; /* one of three: in floats, */
    struct conv8 bytes;        /* or in 8-bit integers; bytes.packed NULL: unused; */
    struct kern_filter filter; /* or depthwise; filter.w NULL: unused */
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
struct conv_call {
    int n_row;                   /* whole frames */
    float *out;                  /* must not overlap work */
    enum kern_epilogue epilogue; /* without a scale; of depthwise convolutions KERN_STORE */
    /* raw not NULL: the new rows are made first, as kern_snake of raw [n_row, n_in], which may be
     * those rows themselves.  Not for depthwise convolutions. */
    const float *raw;
    const struct kern_slopes *slopes;
};
void conv_run(const struct conv *c, const struct conv_space *m, const struct conv_call *call);

#endif
