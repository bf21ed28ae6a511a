/* Loading: tensors by name, every shape checked against what stands before it in the chain, and
 * the sizes of the buffers that the chain needs. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "model/codec_parts.h"
#include "model/load.h"

#define NEXT_EPS 1e-6f /* modded_dac.py:ConvNeXtBlock, nn.LayerNorm(dim, eps=1e-6) */

struct loader {
    const struct load *from;
    struct codec_chain *chain; /* being loaded */
    int rows;                  /* per frame, where we are in the chain */
    int pass;                  /* frames that go through together, where we are */
    struct err *e;
    char prefix[64]; /* of the names */
    char name[128];  /* the tensor in hand */
};

static void codec_weights_at(struct loader *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void codec_weights_at(struct loader *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->prefix, sizeof l->prefix, format, args);
    va_end(args);
}

/* --- tensors ---------------------------------------------------------------------------------- */

static bool type_known(int type)
{
    return type == KERN_F32 || type == KERN_F16 || type == KERN_BF16 || type == KERN_Q8_0 ||
           type == KERN_Q4_0;
}

static int codec_weights_find(struct loader *l, const char *what, const struct gguf_tensor **ret)
{
    snprintf(l->name, sizeof l->name, "codec.%s%s", l->prefix, what);
    const struct gguf_tensor *t = gguf_find(l->from->g, l->name);
    if (!t)
        return err_set(l->e, ERR_NOT_FOUND, "tensor %s is missing", l->name);
    if (!type_known(t->type))
        return err_set(l->e, ERR_UNSUPPORTED, "tensor %s has type %d, which cannot be loaded",
                       l->name, t->type);
    *ret = t;
    return 0;
}

/* n numbers as floats, in the arena. */
static int load_floats(struct loader *l, const char *what, size_t n, const float **ret)
{
    const struct gguf_tensor *t;
    int r = codec_weights_find(l, what, &t);
    if (r < 0)
        return r;
    size_t have = 1;
    for (int i = 0; i < GGUF_MAX_DIMS; i++)
        have *= (size_t)t->ne[i];
    if (have != n)
        return err_set(l->e, ERR_FORMAT, "tensor %s has %zu numbers, wanted %zu", l->name, have, n);
    float *out = mem_arena_alloc(l->from->arena, n * sizeof *out);
    if (!out)
        return err_set(l->e, ERR_MEMORY, "no memory for tensor %s", l->name);
    kern_to_f32((enum kern_type)t->type, t->data, out, n);
    *ret = out;
    return load_check(t, l->e);
}

/* Weights [n_out, taps, n_in] and a bias of n_out / up numbers, repeated for each phase. */
struct wanted {
    int n_out, n_in, n_tap, up;
}; /* n_tap 0: as the tensor has it */

/* Bias for every output, to be freed, or NULL. */
static float *load_bias(struct loader *l, const char *what, const struct wanted *m, int *r)
{
    char part[64];
    const float *bias;
    size_t n = (size_t)(m->n_out / m->up);
    snprintf(part, sizeof part, "%s.bias", what);
    *r = load_floats(l, part, n, &bias);
    if (*r < 0)
        return NULL;
    float *tiled = mem_try((size_t)m->n_out, sizeof *tiled);
    if (!tiled)
        *r = err_set(l->e, ERR_MEMORY, "no memory for tensor %s", l->name);
    for (int i = 0; tiled && i < m->up; i++)
        memcpy(tiled + (size_t)i * n, bias, n * sizeof *tiled);
    return tiled;
}

/* The tensor, its shape checked and its taps filled in. */
static int find_matrix(struct loader *l, const char *what, struct wanted *m,
                       const struct gguf_tensor **ret)
{
    char part[64];
    const struct gguf_tensor *t;
    snprintf(part, sizeof part, "%s.weight", what);
    int r = codec_weights_find(l, part, &t);
    if (r < 0)
        return r;
    int64_t taps = t->n_dim <= 2 ? 1 : t->ne[1], out = t->n_dim <= 2 ? t->ne[1] : t->ne[2];
    if (t->n_dim > 3 || t->ne[0] != m->n_in || out != m->n_out || taps < 1 || taps > LIMIT_DIM ||
        (m->n_tap > 0 && taps != m->n_tap))
        return err_set(l->e, ERR_FORMAT,
                       "tensor %s is [%lld, %lld, %lld], wanted [%d, taps, %d] with %d taps "
                       "(0: any)",
                       l->name, (long long)out, (long long)taps, (long long)t->ne[0], m->n_out,
                       m->n_in, m->n_tap);
    m->n_tap = (int)taps;
    *ret = t;
    return 0;
}

/* A matrix of one tap. */
static int codec_weights_load_linear(struct loader *l, const char *what, int n_out, int n_in,
                                     struct kern_linear *ret)
{
    const struct gguf_tensor *t;
    struct wanted m = {n_out, n_in, 1, 1};
    int r;
    float *bias = load_bias(l, what, &m, &r);
    if (r == 0 && (r = find_matrix(l, what, &m, &t)) == 0) {
        struct kern_source s = {n_out, n_in, 1, (enum kern_type)t->type, t->data, bias, t->name};
        r = kern_linear_init(ret, l->from->exec, &s, l->from->type, l->from->arena, l->e);
        gguf_drop(l->from->g, t);
    }
    mem_free(bias);
    return r;
}

/* Whether a convolution runs in 8-bit integers: when its weights are in 8 bits or fewer, but for
 * the last one, whose single output would make every rounding heard and costs nothing. */
static bool in_bytes(const struct loader *l, const struct gguf_tensor *t, const struct wanted *m)
{
    int type = l->from->type == KERN_AS_STORED ? t->type : (int)l->from->type;
    return (type == KERN_Q8_0 || type == KERN_Q4_0) && m->n_out > 1 &&
           conv8_fits(m->n_in, m->n_tap);
}

static int load_conv_weights(struct loader *l, const char *what, struct conv *c)
{
    const struct gguf_tensor *t;
    struct wanted m = {c->n_out * c->up, c->n_in, 0, c->up};
    int r;
    float *bias = load_bias(l, what, &m, &r);
    if (r == 0 && (r = find_matrix(l, what, &m, &t)) == 0) {
        struct kern_source s = {m.n_out, m.n_in, m.n_tap, (enum kern_type)t->type,
                                t->data, bias,   t->name};
        struct conv8_shape shape = {c->stride, c->dilation, l->rows / c->stride};
        c->n_tap = m.n_tap;
        r = in_bytes(l, t, &m)
                ? conv8_init(&c->bytes, l->from->exec, &s, &shape, l->from->arena, l->e)
                : kern_linear_init(&c->linear, l->from->exec, &s, l->from->type, l->from->arena,
                                   l->e);
        gguf_drop(l->from->g, t);
    }
    mem_free(bias);
    return r;
}

/* --- parts ------------------------------------------------------------------------------------ */

/* A buffer must hold n_row rows of n_channel behind a history. */
static void codec_weights_need(struct loader *l, size_t history, size_t n_row, size_t n_channel)
{
    size_t n = (history + n_row * (size_t)l->pass) * n_channel;
    if (n > l->chain->n_work)
        l->chain->n_work = n;
}

/* Complete a convolution whose channels, taps, stride, dilation and up are known. */
static int place_conv(struct loader *l, struct conv *c)
{
    c->history = conv_history(c->n_tap, c->stride, c->dilation);
    if (c->history < 0)
        return err_set(l->e, ERR_FORMAT, "tensor %s has %d taps, fewer than its stride %d", l->name,
                       c->n_tap, c->stride);
    c->state = l->chain->n_state;
    l->chain->n_state += conv_state_floats(c);
    c->frame = l->rows;
    size_t work8 = conv_work8_bytes(c, l->pass);
    if (work8 > l->chain->n_work8)
        l->chain->n_work8 = work8;
    codec_weights_need(l, (size_t)c->history, (size_t)l->rows, (size_t)c->n_in);
    l->rows = conv_rows(c, l->rows);
    codec_weights_need(l, 0, (size_t)l->rows, (size_t)c->n_out);
    return 0;
}

/* Channels in and out; then how the taps step. */
struct conv_shape {
    int n_in, n_out, stride, dilation;
};

static int load_conv(struct loader *l, const char *what, struct conv_shape s, struct conv *c)
{
    *c = (struct conv){
        .n_in = s.n_in, .n_out = s.n_out, .stride = s.stride, .dilation = s.dilation, .up = 1};
    int r = load_conv_weights(l, what, c);
    return r < 0 ? r : place_conv(l, c);
}

/* Transposed: `up` phases of n_out channels make one output row of the linear. */
static int load_conv_up(struct loader *l, const char *what, int n_in, int n_out, int up,
                        struct conv *c)
{
    *c = (struct conv){.n_in = n_in, .n_out = n_out, .stride = 1, .dilation = 1, .up = up};
    if (n_out > INT_MAX / 2 / up)
        return err_set(l->e, ERR_LIMIT, "codec.%s%s: %d channels times %d phases are too many",
                       l->prefix, what, n_out, up);
    int r = load_conv_weights(l, what, c);
    return r < 0 ? r : place_conv(l, c);
}

static int load_depthwise(struct loader *l, int n_channel, struct conv *c)
{
    const struct gguf_tensor *t;
    int r = codec_weights_find(l, "dw.weight", &t);
    if (r < 0)
        return r;
    if (t->n_dim != 2 || t->ne[0] != n_channel || t->ne[1] < 1 || t->ne[1] > LIMIT_DIM)
        return err_set(l->e, ERR_FORMAT, "tensor %s is [%lld, %lld], wanted [taps, %d]", l->name,
                       (long long)t->ne[1], (long long)t->ne[0], n_channel);
    *c = (struct conv){.n_in = n_channel,
                       .n_out = n_channel,
                       .n_tap = (int)t->ne[1],
                       .stride = 1,
                       .dilation = 1,
                       .up = 1};
    c->filter = (struct kern_filter){.n_channel = n_channel, .n_tap = c->n_tap};
    r = load_floats(l, "dw.weight", (size_t)n_channel * (size_t)c->n_tap, &c->filter.w);
    if (r == 0)
        r = load_floats(l, "dw.bias", (size_t)n_channel, &c->filter.bias);
    return r < 0 ? r : place_conv(l, c);
}

static int load_snake(struct loader *l, const char *what, int n, struct kern_slopes *s)
{
    s->n_channel = n;
    int r = load_floats(l, what, (size_t)n, &s->alpha);
    if (r < 0)
        return r;
    float *inv = mem_arena_alloc(l->from->arena, (size_t)n * sizeof *inv);
    if (!inv)
        return err_set(l->e, ERR_MEMORY, "no memory for tensor %s", l->name);
    for (int i = 0; i < n; i++) /* dac/nn/layers.py:snake */
        inv[i] = 1.0f / (s->alpha[i] + 1e-9f);
    s->inv = inv;
    return 0;
}

/* Numbers of a vector, or rows of a matrix: what stands between two layers may have been pruned. */
static int codec_weights_width(struct loader *l, const char *what, int *ret)
{
    const struct gguf_tensor *t;
    int r = codec_weights_find(l, what, &t);
    if (r < 0)
        return r;
    if (t->ne[t->n_dim - 1] < 1 || t->ne[t->n_dim - 1] > 8 * LIMIT_DIM)
        return err_set(l->e, ERR_FORMAT, "tensor %s has %lld rows, must be 1 to %d", l->name,
                       (long long)t->ne[t->n_dim - 1], 8 * LIMIT_DIM);
    *ret = (int)t->ne[t->n_dim - 1];
    return 0;
}

/* Residual units; the dilations are fixed in the architecture (modded_dac.py:ResidualUnit). */
static int load_units(struct loader *l, const char *chain, int i_block, int n, struct codec_unit *u)
{
    static const int dilation[CODEC_UNITS] = {1, 3, 9};
    for (int i = 0; i < CODEC_UNITS; i++, u++) {
        int r, m = n;
        codec_weights_at(l, "%s.%d.res.%d.", chain, i_block, i);
        if ((r = codec_weights_width(l, "snake2.alpha", &m)) < 0 ||
            (r = load_snake(l, "snake1.alpha", n, &u->snake1)) < 0 ||
            (r = load_conv(l, "conv1", (struct conv_shape){n, m, 1, dilation[i]}, &u->conv1)) < 0 ||
            (r = load_snake(l, "snake2.alpha", m, &u->snake2)) < 0 ||
            (r = load_conv(l, "conv2", (struct conv_shape){m, n, 1, 1}, &u->conv2)) < 0)
            return r;
    }
    return 0;
}

static int load_next(struct loader *l, int n, struct codec_next *x)
{
    int wide; /* 4 n before pruning: modded_dac.py:ConvNeXtBlock, mlp_ratio 4 */
    int r = codec_weights_width(l, "pw1.weight", &wide);
    if (r < 0)
        return r;
    x->norm.eps = NEXT_EPS;
    x->norm.n = n;
    codec_weights_need(l, 0, (size_t)l->rows, (size_t)wide);
    if ((r = load_depthwise(l, n, &x->dw)) < 0 ||
        (r = load_floats(l, "norm.weight", (size_t)n, &x->norm.w)) < 0 ||
        (r = load_floats(l, "norm.bias", (size_t)n, &x->norm.b)) < 0 ||
        (r = load_floats(l, "gamma.weight", (size_t)n, &x->gamma)) < 0 ||
        (r = codec_weights_load_linear(l, "pw1", wide, n, &x->pw1)) < 0)
        return r;
    return codec_weights_load_linear(l, "pw2", n, wide, &x->pw2);
}

static int load_stack(struct loader *l, const char *prefix, const struct spec_transformer *s,
                      int dim, struct codec_stack *k)
{
    if (s->dim != dim)
        return err_set(l->e, ERR_FORMAT, "%s has dimension %d, its place in the codec has %d",
                       prefix, s->dim, dim);
    if (l->rows > s->n_position)
        return err_set(l->e, ERR_FORMAT, "%s has %d positions, one frame takes %d", prefix,
                       s->n_position, l->rows);
    struct load part = *l->from;
    part.prefix = prefix;
    int r = transformer_load(&part, s, &k->t, l->e);
    if (r < 0)
        return r;
    k->s = s;
    k->rows = l->rows;
    k->i_carry = l->chain->n_stack++;
    codec_weights_need(l, 0, (size_t)l->rows, (size_t)dim);
    if (l->rows * l->pass > l->chain->max_rows)
        l->chain->max_rows = l->rows * l->pass;
    return 0;
}

/* --- the three pieces ------------------------------------------------------------------------- */

static int load_books(struct loader *l, struct codec *c)
{
    const struct spec_codec *s = &c->s;
    c->rvq.n_book = s->n_codebook;
    for (int i = 0; i < s->n_codebook; i++) {
        struct rvq_book *b = &c->rvq.book[i];
        codec_weights_at(l, "rvq.%d.", i);
        b->size = i == 0 ? s->semantic_size : s->residual_size;
        b->dim = s->codebook_dim;
        size_t n = (size_t)b->size * (size_t)b->dim;
        int r = load_floats(l, "codebook.weight", n, &b->entry);
        bool last_of_encoder = !c->has_decoder && i + 1 == s->n_codebook;
        if (r == 0 && !last_of_encoder)
            r = codec_weights_load_linear(l, "out_proj", s->latent_dim, b->dim, &b->out);
        if (r == 0 && c->has_encoder) {
            float *unit = mem_arena_alloc(l->from->arena, n * sizeof *unit);
            if (!unit)
                return err_set(l->e, ERR_MEMORY, "no memory for codebook %d", i);
            rvq_unit(b->entry, b->size, b->dim, unit);
            b->unit = unit;
            r = codec_weights_load_linear(l, "in_proj", b->dim, s->latent_dim, &b->in);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Whether a pass through units of n channels has more numbers than their weights, about 24 n^2. */
static bool is_wide(int rows, int n)
{
    return (int64_t)rows * CODEC_PASS > 24 * (int64_t)n;
}

/* The boundary between the two ends of a chain, n_channel wide. */
static void hold_here(struct loader *l, int n_whole, int pass_after, int n_channel)
{
    l->chain->n_whole = n_whole;
    l->chain->n_hold = (size_t)l->rows * CODEC_PASS * (size_t)n_channel;
    l->pass = CODEC_PASS;
    codec_weights_need(l, 0, (size_t)l->rows, (size_t)n_channel);
    l->pass = pass_after;
}

static int load_decoder(struct loader *l, struct codec *c)
{
    const struct spec_codec *s = &c->s;
    struct codec_chain *d = l->chain = &c->dec;
    l->rows = 1;
    l->pass = CODEC_PASS;
    codec_weights_need(l, 0, 1, (size_t)s->latent_dim);
    codec_weights_need(l, 0, 1, (size_t)s->codebook_dim);
    int r = load_stack(l, "codec.post.", &s->post, s->latent_dim, &d->latent);
    for (int i = 0; i < s->n_factor && r == 0; i++) {
        codec_weights_at(l, "up.%d.", i);
        r = load_conv_up(l, "conv", s->latent_dim, s->latent_dim, s->factor[s->n_factor - 1 - i],
                         &d->scale[i].conv);
        if (r == 0)
            r = load_next(l, s->latent_dim, &d->scale[i].next);
    }
    codec_weights_at(l, "dec.");
    if (r == 0)
        r = load_conv(l, "conv_in", (struct conv_shape){s->latent_dim, s->decoder_dim, 1, 1},
                      &d->conv_in);
    int n = s->decoder_dim;
    for (int i = 0; i < s->n_rate && r == 0; i++, n /= 2) {
        struct codec_block *b = &d->block[i];
        if (l->pass > 1 && is_wide(l->rows * s->decoder_rate[i], n / 2))
            hold_here(l, i, 1, n);
        codec_weights_at(l, "dec.%d.", i);
        r = load_snake(l, "snake.alpha", n, &b->snake);
        if (r == 0)
            r = load_conv_up(l, "up", n, n / 2, s->decoder_rate[i], &b->conv);
        if (r == 0)
            r = load_units(l, "dec", i, n / 2, b->unit);
    }
    if (l->pass > 1)
        hold_here(l, s->n_rate, 1, n);
    codec_weights_at(l, "dec.");
    if (r == 0)
        r = load_snake(l, "snake.alpha", n, &d->snake);
    if (r == 0)
        r = load_conv(l, "conv_out", (struct conv_shape){n, 1, 1, 1}, &d->conv_out);
    if (r == 0 && l->rows != s->frame_samples)
        r = err_set(l->e, ERR_FORMAT, "the codec's rates make %d samples, a frame has %d", l->rows,
                    s->frame_samples);
    return r;
}

static int load_encoder_block(struct loader *l, struct codec *c, int i, int n)
{
    const struct spec_codec *s = &c->s;
    struct codec_block *b = &c->enc.block[i];
    int r = load_units(l, "enc", i, n, b->unit);
    codec_weights_at(l, "enc.%d.", i);
    if (r == 0)
        r = load_snake(l, "snake.alpha", n, &b->snake);
    if (r == 0)
        r = load_conv(l, "down", (struct conv_shape){n, 2 * n, s->encoder_rate[i], 1}, &b->conv);
    if (r == 0 && s->encoder_layers[i] > 0) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "codec.enc.%d.tf.", i);
        r = load_stack(l, prefix, &s->enc[i], 2 * n, &b->stack);
    }
    return r;
}

static int codec_weights_load_encoder(struct loader *l, struct codec *c)
{
    const struct spec_codec *s = &c->s;
    struct codec_chain *n = l->chain = &c->enc;
    int dim = s->encoder_dim;
    l->rows = s->frame_samples;
    l->pass = 1;
    codec_weights_at(l, "enc.");
    int r = load_conv(l, "conv_in", (struct conv_shape){1, dim, 1, 1}, &n->conv_in);
    for (int i = 0; i < s->n_encoder_rate && r == 0; i++, dim *= 2) {
        if (l->pass == 1 && (!is_wide(l->rows, dim) || s->encoder_layers[i] > 0))
            hold_here(l, i, CODEC_PASS, dim);
        r = load_encoder_block(l, c, i, dim);
    }
    if (l->pass == 1)
        hold_here(l, s->n_encoder_rate, CODEC_PASS, dim);
    codec_weights_at(l, "enc.");
    if (r == 0)
        r = load_snake(l, "snake.alpha", dim, &n->snake);
    if (r == 0)
        r = load_conv(l, "conv_out", (struct conv_shape){dim, s->latent_dim, 1, 1}, &n->conv_out);
    for (int i = 0; i < s->n_factor && r == 0; i++) {
        codec_weights_at(l, "down.%d.", i);
        r = load_conv(l, "conv", (struct conv_shape){s->latent_dim, s->latent_dim, s->factor[i], 1},
                      &n->scale[i].conv);
        if (r == 0)
            r = load_next(l, s->latent_dim, &n->scale[i].next);
    }
    if (r == 0 && l->rows != 1)
        r = err_set(l->e, ERR_FORMAT, "the encoder makes %d steps of one frame, wanted 1", l->rows);
    if (r == 0)
        r = load_stack(l, "codec.pre.", &s->pre, s->latent_dim, &n->latent);
    codec_weights_need(l, 0, 1, (size_t)s->codebook_dim);
    float *minus_one = mem_arena_alloc(l->from->arena, (size_t)s->latent_dim * sizeof *minus_one);
    if (r == 0 && !minus_one)
        r = err_set(l->e, ERR_MEMORY, "no memory for the encoder");
    for (int i = 0; r == 0 && i < s->latent_dim; i++)
        minus_one[i] = -1;
    c->rvq.minus_one = minus_one;
    return r;
}

/* The numbers that everything below trusts; each chain's rates must give frame_samples exactly, so
 * that a pass is always whole windows of every stride. */
static bool check_ranges(const struct spec_codec *s)
{
    const struct {
        int value, least, most;
    } all[] = {{s->n_rate, 1, SPEC_MAX_STAGES},    {s->n_encoder_rate, 1, SPEC_MAX_STAGES},
               {s->n_factor, 0, SPEC_MAX_STAGES},  {s->n_codebook, 1, LIMIT_CODEBOOKS},
               {s->latent_dim, 1, LIMIT_DIM},      {s->encoder_dim, 1, LIMIT_DIM},
               {s->decoder_dim, 1, LIMIT_DIM},     {s->codebook_dim, 1, LIMIT_DIM},
               {s->semantic_size, 1, LIMIT_VOCAB}, {s->residual_size, 1, LIMIT_VOCAB}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value < all[i].least || all[i].value > all[i].most)
            return false;
    return s->decoder_dim >> s->n_rate >= 1;
}

static int check_spec(const struct spec_codec *s, struct err *e)
{
    int64_t dec = 1, enc = 1, wide = s->encoder_dim;
    bool ok = check_ranges(s);
    for (int i = 0; ok && i < s->n_rate; i++)
        ok = s->decoder_rate[i] >= 1 && (dec *= s->decoder_rate[i]) <= LIMIT_DIM;
    for (int i = 0; ok && i < s->n_encoder_rate; i++, wide *= 2)
        ok = s->encoder_rate[i] >= 1 && (enc *= s->encoder_rate[i]) <= LIMIT_DIM;
    for (int i = 0; ok && i < s->n_factor; i++)
        ok = s->factor[i] >= 1 && (enc *= s->factor[i]) <= LIMIT_DIM &&
             (dec *= s->factor[i]) <= LIMIT_DIM;
    if (!ok || (s->has_encoder && wide > LIMIT_DIM))
        return err_set(e, ERR_FORMAT, "the codec's dimensions are out of range");
    if (dec != s->frame_samples || (s->has_encoder && enc != s->frame_samples))
        return err_set(e, ERR_FORMAT,
                       "the codec's rates make %lld (decoder) and %lld (encoder) samples, a frame "
                       "has %d",
                       (long long)dec, (long long)enc, s->frame_samples);
    return 0;
}

int codec_weights_load(struct codec *c, const struct load *from, const struct codec_options *o,
                       struct err *e)
{
    struct loader l = {.from = from, .e = e};
    int r = check_spec(&c->s, e);
    c->has_decoder = o->decoder;
    c->has_encoder = o->encoder && c->s.has_encoder;
    if (r == 0)
        r = load_books(&l, c);
    if (r == 0 && c->has_decoder)
        r = load_decoder(&l, c);
    if (r == 0 && c->has_encoder)
        r = codec_weights_load_encoder(&l, c);
    return r;
}
