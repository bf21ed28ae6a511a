#include "model/conv.h"
#include <string.h>

int conv_history(int n_tap, int stride, int dilation)
{
    return (n_tap - 1) * dilation + 1 - stride;
}

size_t conv_state_floats(const struct conv *c)
{
    return (size_t)c->history * (size_t)c->n_in;
}

float *conv_input(const struct conv *c, float *work)
{
    return work + conv_state_floats(c);
}

int conv_rows(const struct conv *c, int n_row)
{
    return n_row / c->stride * c->up;
}

void conv_run(const struct conv *c, float *slab, float *work, int n_row, float *out,
              enum kern_epilogue epilogue, struct kern_exec *x)
{
    size_t n_state = conv_state_floats(c);
    float *state = slab + c->state;
    if (n_state > 0)
        memcpy(work, state, n_state * sizeof *work);
    if (c->dw) {
        kern_depthwise(x, work, c->dw, c->dw_bias, n_row, c->n_in, c->n_tap, out);
    } else {
        struct kern_call call = {.in = work, .out = out, .n_row = n_row / c->stride,
                                 .stride = c->stride, .dilation = c->dilation,
                                 .epilogue = epilogue};
        kern_linear_run(x, &c->linear, &call);
    }
    if (n_state > 0)
        memcpy(state, work + (size_t)n_row * (size_t)c->n_in, n_state * sizeof *work);
}
