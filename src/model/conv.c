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

static struct conv8_call call_in_bytes(const struct conv *c, const struct conv_space *m, int n_row,
                                       float *out, enum kern_epilogue epilogue)
{
    return (struct conv8_call){.in = m->work,
                               .out = out,
                               .work = m->work8,
                               .n_piece = n_row / c->frame,
                               .epilogue = epilogue};
}

void conv_run(const struct conv *c, const struct conv_space *m, int n_row, float *out,
              enum kern_epilogue epilogue)
{
    recall(c, m);
    if (c->dw) {
        kern_depthwise(m->exec, m->work, c->dw, c->dw_bias, n_row, c->n_in, c->n_tap, out);
    } else if (c->bytes.packed) {
        struct conv8_call call = call_in_bytes(c, m, n_row, out, epilogue);
        conv8_run(m->exec, &c->bytes, &call);
    } else {
        struct kern_call call = {.in = m->work,
                                 .out = out,
                                 .n_row = n_row / c->stride,
                                 .stride = c->stride,
                                 .dilation = c->dilation,
                                 .epilogue = epilogue};
        kern_linear_run(m->exec, &c->linear, &call);
    }
    remember(c, m, n_row);
}

void conv_run_snake(const struct conv *c, const struct conv_space *m, const struct conv_snake *s,
                    const float *in, int n_row, float *out, enum kern_epilogue epilogue)
{
    if (!c->bytes.packed) {
        kern_snake(m->exec, in, s->alpha, s->inv, n_row, s->n, conv_input(c, m->work));
        conv_run(c, m, n_row, out, epilogue);
        return;
    }
    struct conv8_call call = call_in_bytes(c, m, n_row, out, epilogue);
    call.raw = in;
    call.alpha = s->alpha;
    call.inv = s->inv;
    recall(c, m);
    conv8_run(m->exec, &c->bytes, &call);
    remember(c, m, n_row);
}
