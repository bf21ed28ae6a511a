/* The parts that decoder and encoder share, and the memory they run in. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "model/codec_parts.h"

/* --- memory ----------------------------------------------------------------------------------- */

const struct codec_stack *codec_chain_stack(const struct codec_chain *chain, int i)
{
    if (chain->latent.t && chain->latent.i_carry == i)
        return &chain->latent;
    for (int b = 0; b < SPEC_MAX_STAGES; b++)
        if (chain->block[b].stack.t && chain->block[b].stack.i_carry == i)
            return &chain->block[b].stack;
    return NULL;
}

int codec_work_init(struct codec_work *w, const struct codec_chain *chain, struct mem_arena *arena,
                    struct err *e)
{
    size_t n_row = (size_t)chain->max_rows;
    *w = (struct codec_work){0};
    w->x = mem_arena_array(arena, chain->n_work, sizeof *w->x);
    w->work = mem_arena_array(arena, chain->n_work, sizeof *w->work);
    w->mid = mem_arena_array(arena, chain->n_work, sizeof *w->mid);
    w->hold = mem_arena_array(arena, chain->n_hold, sizeof *w->hold);
    w->work8 = mem_arena_array(arena, chain->n_work8, 1);
    w->kv = mem_arena_array(arena, n_row, sizeof *w->kv);
    w->position = mem_arena_array(arena, n_row, sizeof *w->position);
    if (mem_arena_failed(arena))
        return err_set(e, ERR_MEMORY, "no memory for the codec's work space, %zu floats",
                       3 * chain->n_work);
    for (int i = 0; i < chain->n_stack; i++) {
        const struct codec_stack *s = codec_chain_stack(chain, i);
        int r = transformer_scratch_new(s->s, CODEC_PASS * s->rows, arena, &w->scratch[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

int codec_carry_init(struct codec_carry *k, const struct codec_chain *chain,
                     struct mem_arena *arena, struct err *e)
{
    *k = (struct codec_carry){.state = mem_arena_array(arena, chain->n_state, sizeof *k->state)};
    if (mem_arena_failed(arena))
        return err_set(e, ERR_MEMORY, "no memory for a codec stream, %zu floats", chain->n_state);
    for (int i = 0; i < chain->n_stack; i++) {
        const struct codec_stack *s = codec_chain_stack(chain, i);
        int pass = CODEC_PASS * s->rows;
        int capacity = s->s->n_position;
        if (s->s->window > 0 && s->s->window < capacity - pass)
            capacity = s->s->window + pass;
        int r = transformer_kv_new(s->t, capacity, KERN_F32, &k->kv[i], e);
        if (r < 0)
            return r;
    }
    return 0;
}

void codec_carry_done(struct codec_carry *k, const struct codec_chain *chain)
{
    for (int i = 0; i < chain->n_stack; i++)
        transformer_kv_free(k->kv[i]);
}

/* --- parts ------------------------------------------------------------------------------------ */

void codec_show(struct codec_pass *p, int n_channel, const char *format, ...)
{
    if (!p->c->probe)
        return;
    char name[64];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    p->c->probe(p->c->cookie, name, p->w->x, p->n_row, n_channel);
}

static struct conv_space space(const struct codec_pass *p, float *work)
{
    return (struct conv_space){p->carry->state, work, p->w->work8, p->exec};
}

void codec_run_unit(struct codec_pass *p, const struct codec_unit *u)
{
    struct codec_work *w = p->w;
    struct conv_space in1 = space(p, w->work), in2 = space(p, w->mid);
    float *mid = conv_input(&u->conv2, w->mid);
    struct conv_call one = {.n_row = p->n_row, .out = mid, .raw = w->x, .slopes = &u->snake1};
    struct conv_call two = {
        .n_row = p->n_row, .out = w->x, .epilogue = KERN_ADD, .raw = mid, .slopes = &u->snake2};
    conv_run(&u->conv1, &in1, &one);
    conv_run(&u->conv2, &in2, &two);
}

void codec_run_next(struct codec_pass *p, const struct codec_next *n)
{
    struct codec_work *w = p->w;
    struct conv_space in = space(p, w->work);
    int n_channel = n->dw.n_in;
    memcpy(conv_input(&n->dw, w->work), w->x, (size_t)p->n_row * (size_t)n_channel * sizeof *w->x);
    conv_run(&n->dw, &in, &(struct conv_call){.n_row = p->n_row, .out = w->mid});
    kern_layer_norm(p->exec, &n->norm, w->mid, p->n_row, w->mid);
    struct kern_call wide = {.in = w->mid, .out = w->work, .n_row = p->n_row};
    kern_linear_run(p->exec, &n->pw1, &wide);
    kern_gelu(p->exec, w->work, (size_t)p->n_row * (size_t)n->pw1.n_out);
    struct kern_call back = {
        .in = w->work, .out = w->x, .n_row = p->n_row, .epilogue = KERN_ADD, .scale = n->gamma};
    kern_linear_run(p->exec, &n->pw2, &back);
}

void codec_run_stack(struct codec_pass *p, const struct codec_stack *s)
{
    struct codec_work *w = p->w;
    for (int i = 0; i < p->n_row; i++) {
        w->kv[i] = p->carry->kv[s->i_carry];
        w->position[i] = p->carry->n_frame * s->rows + i;
    }
    struct transformer_rows rows = {p->n_row, w->kv, w->position};
    transformer_run(s->t, &rows, w->x, w->scratch[s->i_carry], p->exec);
    transformer_norm(s->t, w->x, p->n_row, w->x, p->exec);
}

void codec_run_conv(struct codec_pass *p, const struct conv *c)
{
    struct conv_space in = space(p, p->w->work);
    memcpy(conv_input(c, p->w->work), p->w->x,
           (size_t)p->n_row * (size_t)c->n_in * sizeof *p->w->x);
    conv_run(c, &in, &(struct conv_call){.n_row = p->n_row, .out = p->w->x});
    p->n_row = conv_rows(c, p->n_row);
}

void codec_run_snake_conv(struct codec_pass *p, const struct kern_slopes *s, const struct conv *c)
{
    struct conv_space in = space(p, p->w->work);
    struct conv_call call = {.n_row = p->n_row, .out = p->w->x, .raw = p->w->x, .slopes = s};
    conv_run(c, &in, &call);
    p->n_row = conv_rows(c, p->n_row);
}
