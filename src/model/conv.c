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

static void recall(const struct conv *c, const struct conv_space *m)
{
    memcpy(m->work, m->slab + c->state, conv_state_floats(c) * sizeof *m->work);
}

static void remember(const struct conv *c, const struct conv_space *m, int n_row)
{
    memcpy(m->slab + c->state, m->work + (size_t)n_row * (size_t)c->n_in,
           conv_state_floats(c) * sizeof *m->work);
}

static void run_in_bytes(const struct conv *c, const struct conv_space *m,
                         const struct conv_call *call)
{
    struct conv8_call bytes = {.in = m->work,
                               .out = call->out,
                               .work = m->work8,
                               .n_piece = call->n_row / c->frame,
                               .epilogue = call->epilogue,
                               .raw = call->raw,
                               .slopes = call->slopes};
    conv8_run(m->exec, &c->bytes, &bytes);
}

static void run_in_floats(const struct conv *c, const struct conv_space *m,
                          const struct conv_call *call)
{
    struct kern_call floats = {.in = m->work,
                               .out = call->out,
                               .n_row = call->n_row / c->stride,
                               .stride = c->stride,
                               .dilation = c->dilation,
                               .epilogue = call->epilogue};
    if (call->raw)
        kern_snake(m->exec, call->slopes, call->raw, call->n_row, conv_input(c, m->work));
    kern_linear_run(m->exec, &c->linear, &floats);
}

void conv_run(const struct conv *c, const struct conv_space *m, const struct conv_call *call)
{
    recall(c, m);
    if (c->filter.w)
        kern_depthwise(m->exec, &c->filter, m->work, call->n_row, call->out);
    else if (c->bytes.packed)
        run_in_bytes(c, m, call);
    else
        run_in_floats(c, m, call);
    remember(c, m, call->n_row);
}
