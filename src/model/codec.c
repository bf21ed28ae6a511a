#include "model/codec.h"
#include <limits.h>
#include <string.h>
#include "model/codec_parts.h"
#include "model/model_test.h"

#define STREAM_ARENA   ((size_t)64 << 10)
#define ENCODING_ARENA ((size_t)1 << 20)
#define DRIVEN_PASS    32 /* frames that a driver gets at once */

/* --- loading ---------------------------------------------------------------------------------- */

int codec_load(const struct load *from, const struct spec_codec *s, const struct codec_options *o,
               struct codec **ret, struct err *e)
{
    struct codec *c = mem_arena_array(from->arena, 1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "no memory for the codec");
    c->s = *s;
    int r = codec_weights_load(c, from, o, e);
    if (r == 0 && c->has_decoder)
        r = codec_work_init(&c->work, &c->dec, from->arena, e);
    if (r == 0)
        *ret = c;
    return r;
}

int codec_new_driven(const struct codec_driver *d, const struct spec_codec *s,
                     struct mem_arena *arena, bool encoder, struct codec **ret, struct err *e)
{
    struct codec *c = mem_arena_array(arena, 1, sizeof *c);
    if (!c)
        return err_set(e, ERR_MEMORY, "no memory for the codec");
    c->s = *s;
    c->driver = d;
    c->has_encoder = encoder;
    c->has_decoder = !encoder;
    *ret = c;
    return 0;
}

void codec_set_probe(struct codec *c, codec_probe probe, void *cookie)
{
    c->probe = probe;
    c->cookie = cookie;
}

/* --- decoding --------------------------------------------------------------------------------- */

int codec_stream_new(struct codec *c, struct codec_stream **ret, struct err *e)
{
    if (!c->has_decoder)
        return err_set(e, ERR_UNSUPPORTED, "the codec was loaded without its decoder");
    struct mem_arena *arena = mem_arena_new(STREAM_ARENA);
    struct codec_stream *s = mem_arena_array(arena, 1, sizeof *s);
    if (!s) {
        mem_arena_free(arena);
        return err_set(e, ERR_MEMORY, "no memory for a codec stream");
    }
    s->codec = c;
    s->arena = arena;
    int r = 0;
    if (!c->driver)
        r = codec_carry_init(&s->carry, &c->dec, arena, e);
    else if (!(s->driven = c->driver->stream_new(c->driver->self)))
        r = err_set(e, ERR_MEMORY, "no memory for a codec stream");
    if (r < 0)
        codec_stream_free(s);
    else
        *ret = s;
    return r;
}

void codec_stream_free(struct codec_stream *s)
{
    if (!s)
        return;
    if (s->codec->driver)
        s->codec->driver->stream_free(s->codec->driver->self, s->driven);
    else
        codec_carry_done(&s->carry, &s->codec->dec);
    mem_arena_free(s->arena);
}

void codec_stream_reset(struct codec_stream *s)
{
    const struct codec_chain *chain = &s->codec->dec;
    s->carry.n_frame = 0;
    s->carry.broken = false;
    if (s->codec->driver) {
        s->codec->driver->stream_reset(s->codec->driver->self, s->driven);
        return;
    }
    memset(s->carry.state, 0, chain->n_state * sizeof *s->carry.state);
    for (int i = 0; i < chain->n_stack; i++)
        transformer_kv_reset(s->carry.kv[i]);
}

bool codec_stream_is_finite(const struct codec_stream *s)
{
    return !s->carry.broken;
}

int codec_max_frames(const struct codec *c)
{
    return c->s.post.n_position;
}

/* The latent part: codes to z, codec.s.latent_dim channels (rvq.py: decode). */
static void decode_latent(struct codec_pass *p, const int32_t *codes, size_t codes_stride)
{
    struct codec *c = p->c;
    int n_latent = c->s.latent_dim;
    struct rvq_space space = {p->w->mid, p->exec};
    rvq_decode(&c->rvq, codes, codes_stride, p->n_row, p->w->x, &space);
    codec_show(p, n_latent, "zq");
    codec_run_stack(p, &p->chain->latent);
    codec_show(p, n_latent, "post");
    for (int i = 0; i < c->s.n_factor; i++) {
        codec_run_conv(p, &p->chain->scale[i].conv);
        codec_run_next(p, &p->chain->scale[i].next);
    }
    codec_show(p, n_latent, "z");
}

static void decode_block(struct codec_pass *p, int i)
{
    const struct codec_block *b = &p->chain->block[i];
    codec_run_snake_conv(p, &b->snake, &b->conv);
    for (int j = 0; j < CODEC_UNITS; j++)
        codec_run_unit(p, &b->unit[j]);
    codec_show(p, b->conv.n_out, "dec.%d", 1 + i);
}

/* The wide end, for one frame. */
static void decode_frame(struct codec_pass *p, float *pcm)
{
    const struct codec_chain *d = p->chain;
    int n_block = p->c->s.n_rate;
    for (int i = d->n_whole; i < n_block; i++)
        decode_block(p, i);
    kern_snake(p->exec, &d->snake, p->w->x, p->n_row, p->w->x);
    codec_show(p, d->snake.n_channel, "dec.%d", n_block + 1);
    codec_run_conv(p, &d->conv_out);
    codec_show(p, 1, "dec.%d", n_block + 2);
    if (!kern_all_finite(p->w->x, (size_t)p->n_row)) /* tanh would make ones of infinities */
        p->carry->broken = true;
    kern_tanh(p->exec, p->w->x, (size_t)p->n_row);
    codec_show(p, 1, "dec.%d", n_block + 3);
    memcpy(pcm, p->w->x, (size_t)p->n_row * sizeof *pcm);
}

/* One pass: codes to samples (modded_dac.py:Decoder). */
static void decode_pass(struct codec_pass *p, const int32_t *codes, size_t codes_stride, float *pcm)
{
    const struct codec_chain *d = p->chain;
    int n_frame = p->n_row;
    decode_latent(p, codes, codes_stride);
    codec_run_conv(p, &d->conv_in);
    codec_show(p, d->conv_in.n_out, "dec.0");
    for (int i = 0; i < d->n_whole; i++)
        decode_block(p, i);
    int rows = p->n_row / n_frame;
    size_t n = d->n_hold / CODEC_PASS;
    memcpy(p->w->hold, p->w->x, n * (size_t)n_frame * sizeof *p->w->hold);
    for (int f = 0; f < n_frame; f++) {
        memcpy(p->w->x, p->w->hold + (size_t)f * n, n * sizeof *p->w->x);
        p->n_row = rows;
        decode_frame(p, pcm + (size_t)f * (size_t)p->c->s.frame_samples);
    }
}

/* A driver wants the codes of a stretch together; it gets a copy where they are part of more. */
static void decode_driven(struct codec *c, struct codec_stream *s, const int32_t *codes,
                          int n_frame, float *pcm)
{
    int32_t part[LIMIT_CODEBOOKS * DRIVEN_PASS];
    size_t hop = (size_t)c->s.frame_samples;
    for (int t = 0; t < n_frame; t += DRIVEN_PASS) {
        int n = n_frame - t < DRIVEN_PASS ? n_frame - t : DRIVEN_PASS;
        for (int q = 0; q < c->s.n_codebook; q++)
            memcpy(part + q * n, codes + q * n_frame + t, (size_t)n * sizeof *part);
        struct codec_stretch k = {s->carry.n_frame, n, part, pcm + (size_t)t * hop};
        c->driver->run(c->driver->self, s->driven, &k);
        if (!kern_all_finite(k.pcm, (size_t)n * hop))
            s->carry.broken = true;
        s->carry.n_frame += n;
    }
}

void codec_decode(struct codec *c, struct codec_stream *s, const int32_t *codes, int n_frame,
                  float *pcm, struct kern_exec *x)
{
    if (c->driver) {
        decode_driven(c, s, codes, n_frame, pcm);
        return;
    }
    for (int t = 0; t < n_frame; t += CODEC_PASS) {
        int n = n_frame - t < CODEC_PASS ? n_frame - t : CODEC_PASS;
        struct codec_pass p = {c, &c->dec, &c->work, &s->carry, x, n};
        decode_pass(&p, codes + t, (size_t)n_frame, pcm + (size_t)t * (size_t)c->s.frame_samples);
        s->carry.n_frame += n;
    }
}

/* --- encoding --------------------------------------------------------------------------------- */

int codec_n_frames(const struct codec *c, size_t n_sample)
{
    size_t hop = (size_t)c->s.frame_samples;
    size_t n = n_sample / hop + (n_sample % hop > 0);
    return n > INT_MAX ? INT_MAX : (int)n;
}

/* Frames that every transformer of the encoder has positions for. */
int codec_max_encode_frames(const struct codec *c)
{
    const struct spec_codec *s = &c->s;
    int n = s->pre.n_layer > 0 ? s->pre.n_position : INT_MAX, rows = s->frame_samples;
    for (int i = 0; i < s->n_encoder_rate; i++) {
        rows /= s->encoder_rate[i];
        if (s->encoder_layers[i] > 0 && s->enc[i].n_position / rows < n)
            n = s->enc[i].n_position / rows;
    }
    return n;
}

static void encode_block(struct codec_pass *p, int i)
{
    const struct codec_block *b = &p->chain->block[i];
    for (int j = 0; j < CODEC_UNITS; j++)
        codec_run_unit(p, &b->unit[j]);
    codec_run_snake_conv(p, &b->snake, &b->conv);
    if (b->stack.t)
        codec_run_stack(p, &b->stack);
    codec_show(p, b->conv.n_out, "enc.%d", 1 + i);
}

/* The wide end, for one frame: samples in x. */
static void codec_encode_frame(struct codec_pass *p)
{
    const struct codec_chain *n = p->chain;
    p->n_row = p->c->s.frame_samples;
    codec_run_conv(p, &n->conv_in);
    codec_show(p, n->conv_in.n_out, "enc.0");
    for (int i = 0; i < n->n_whole; i++)
        encode_block(p, i);
}

/* The convolutional part: samples to latent steps (modded_dac.py:Encoder). */
static void encode_steps(struct codec_pass *p, const float *pcm, size_t n_sample, int n_frame)
{
    const struct codec_chain *n = p->chain;
    int n_block = p->c->s.n_encoder_rate;
    size_t n_hold = n->n_hold / CODEC_PASS, hop = (size_t)p->c->s.frame_samples;
    for (int f = 0; f < n_frame; f++) { /* zeros after the clip's end */
        size_t first = (size_t)f * hop, n_real = n_sample > first ? n_sample - first : 0;
        n_real = n_real < hop ? n_real : hop;
        memcpy(p->w->x, pcm + first, n_real * sizeof *pcm);
        memset(p->w->x + n_real, 0, (hop - n_real) * sizeof *pcm);
        codec_encode_frame(p);
        memcpy(p->w->hold + (size_t)f * n_hold, p->w->x, n_hold * sizeof *p->w->hold);
    }
    p->n_row *= n_frame;
    memcpy(p->w->x, p->w->hold, n_hold * (size_t)n_frame * sizeof *p->w->x);
    for (int i = n->n_whole; i < n_block; i++)
        encode_block(p, i);
    kern_snake(p->exec, &n->snake, p->w->x, p->n_row, p->w->x);
    codec_show(p, n->snake.n_channel, "enc.%d", n_block + 1);
    codec_run_conv(p, &n->conv_out);
    codec_show(p, n->conv_out.n_out, "enc.%d", n_block + 2);
}

/* What follows: latent steps to codes. */
static void encode_latent(struct codec_pass *p, int32_t *codes, size_t codes_stride)
{
    const struct spec_codec *s = &p->c->s;
    codec_show(p, s->latent_dim, "latent");
    for (int i = 0; i < s->n_factor; i++) {
        codec_run_conv(p, &p->chain->scale[i].conv);
        codec_run_next(p, &p->chain->scale[i].next);
    }
    codec_show(p, s->latent_dim, "down");
    codec_run_stack(p, &p->chain->latent);
    codec_show(p, s->latent_dim, "pre");
    if (!kern_all_finite(p->w->x, (size_t)p->n_row * (size_t)s->latent_dim))
        p->carry->broken = true;
    struct rvq_space space = {p->w->mid, p->exec};
    rvq_encode(&p->c->rvq, p->w->x, p->n_row, codes, codes_stride, &space);
}

struct codec_encoding {
    struct codec *codec;
    struct mem_arena *arena; /* of this struct, too */
    void *driven;            /* as in struct codec_stream */
    struct codec_work work;
    struct codec_carry carry;
    size_t n_sample;
    int n_frame;
};

int codec_encoding_new(struct codec *c, size_t n_sample, struct codec_encoding **ret, struct err *e)
{
    if (!c->has_encoder)
        return err_set(e, ERR_UNSUPPORTED, "this model has no codec encoder");
    int n_frame = codec_n_frames(c, n_sample), max = codec_max_encode_frames(c);
    if (n_frame > max)
        return err_set(e, ERR_LIMIT, "the clip has %d frames, the codec can encode at most %d",
                       n_frame, max);
    struct mem_arena *arena = mem_arena_new(ENCODING_ARENA);
    struct codec_encoding *g = mem_arena_array(arena, 1, sizeof *g);
    if (!g) {
        mem_arena_free(arena);
        return err_set(e, ERR_MEMORY, "no memory to encode a clip");
    }
    g->codec = c;
    g->arena = arena;
    g->n_sample = n_sample;
    g->n_frame = n_frame;
    int r = 0;
    if (!c->driver)
        r = codec_work_init(&g->work, &c->enc, arena, e);
    else if (!(g->driven = c->driver->stream_new(c->driver->self)))
        r = err_set(e, ERR_MEMORY, "no memory to encode a clip");
    if (r == 0 && !c->driver)
        r = codec_carry_init(&g->carry, &c->enc, arena, e);
    if (r < 0)
        codec_encoding_free(g);
    else
        *ret = g;
    return r;
}

void codec_encoding_free(struct codec_encoding *g)
{
    if (!g)
        return;
    if (g->codec->driver)
        g->codec->driver->stream_free(g->codec->driver->self, g->driven);
    else
        codec_carry_done(&g->carry, &g->codec->enc);
    mem_arena_free(g->arena);
}

/* n frames from the t-th on, filled up with zeros.  Without memory for them they are silence. */
static void encode_driven(struct codec_encoding *g, const float *pcm, int32_t *codes, int t, int n)
{
    const struct codec *c = g->codec;
    int32_t part[LIMIT_CODEBOOKS * CODEC_PASS] = {0};
    size_t hop = (size_t)c->s.frame_samples, first = (size_t)t * hop;
    size_t n_real = g->n_sample - first < (size_t)n * hop ? g->n_sample - first : (size_t)n * hop;
    float *whole = mem_try((size_t)n * hop, sizeof *whole);
    struct codec_stretch k = {t, n, part, whole};
    if (whole) {
        memcpy(whole, pcm + first, n_real * sizeof *whole);
        c->driver->run(c->driver->self, g->driven, &k);
    }
    for (int q = 0; q < c->s.n_codebook; q++)
        memcpy(codes + (size_t)q * (size_t)g->n_frame + t, part + q * n, (size_t)n * sizeof *part);
    mem_free(whole);
}

bool codec_encoding_step(struct codec_encoding *g, const float *pcm, int32_t *codes,
                         struct kern_exec *x)
{
    struct codec_pass p = {g->codec, &g->codec->enc, &g->work, &g->carry, x, 0};
    int t = g->carry.n_frame, n = g->n_frame - t < CODEC_PASS ? g->n_frame - t : CODEC_PASS;
    size_t first = (size_t)t * (size_t)g->codec->s.frame_samples;
    if (n > 0 && g->codec->driver) {
        encode_driven(g, pcm, codes, t, n);
        g->carry.n_frame += n;
    } else if (n > 0) {
        encode_steps(&p, pcm + first, g->n_sample - first, n);
        encode_latent(&p, codes + t, (size_t)g->n_frame);
        g->carry.n_frame += n;
    }
    return g->carry.n_frame < g->n_frame;
}

int codec_encoding_check(const struct codec_encoding *g, struct err *e)
{
    if (!g->carry.broken)
        return 0;
    return err_set(e, ERR_IO,
                   "the encoder gave numbers that are not finite: the model's file is damaged, get "
                   "it or convert it again");
}

int codec_encode(struct codec *c, const float *pcm, size_t n_sample, int32_t *codes,
                 struct kern_exec *x, struct err *e)
{
    struct codec_encoding *g;
    int r = codec_encoding_new(c, n_sample, &g, e);
    if (r < 0)
        return r;
    while (codec_encoding_step(g, pcm, codes, x))
        ;
    r = codec_encoding_check(g, e);
    codec_encoding_free(g);
    return r;
}
