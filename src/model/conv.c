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

size_t conv_work8_bytes(const struct conv *c, int n_frame)
{
    return c->bytes.packed ? conv8_work_bytes(&c->bytes, n_frame) : 0;
}

void conv_run(const struct conv *c, const struct conv_space *m, int n_row, float *out,
              enum kern_epilogue epilogue)
{
    size_t n_state = conv_state_floats(c);
    float *state = m->slab + c->state;
    if (n_state > 0)
        memcpy(m->work, state, n_state * sizeof *state);
    if (c->dw) {
        kern_depthwise(m->exec, m->work, c->dw, c->dw_bias, n_row, c->n_in, c->n_tap, out);
    } else if (c->bytes.packed) {
        struct conv8_call call = {.in = m->work, .out = out, .work = m->work8,
                                  .n_piece = n_row / c->frame, .epilogue = epilogue};
        conv8_run(m->exec, &c->bytes, &call);
    } else {
        struct kern_call call = {.in = m->work, .out = out, .n_row = n_row / c->stride,
                                 .stride = c->stride, .dilation = c->dilation,
                                 .epilogue = epilogue};
        kern_linear_run(m->exec, &c->linear, &call);
    }
    if (n_state > 0)
        memcpy(state, m->work + (size_t)n_row * (size_t)c->n_in, n_state * sizeof *state);
}
