/* random.c - a model file of S1-mini's shape with random weights, for benchmarks.
 *
 * Names and shapes are those that an import of the published checkpoint writes, whose language
 * model is in bf16 with an output matrix of its own, and whose codec is in f32; the layer lists
 * follow lm.c, transformer.c and
 * codec_weights.c.  Values are uniform and made in chunks, so memory does not grow with the model.
 */
#include <math.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kern.h"
#include "model/import.h"
#include "model/tokenizer.h"

#define MAX_TENSORS   2048
#define CHUNK         ((size_t)1 << 18) /* values made at a time: 1 MiB, whole q8_0 blocks */
#define UNITS         3                 /* residual units of a codec block (modded_dac.py) */
#define EMBEDDING_STD 0.02f

struct item {
    char name[96];
    int type, n_dim;
    int64_t ne[3];
    float mean, std;
};

struct plan {
    struct item *item; /* [MAX_TENSORS] */
    int n, type;
    bool full; /* more items than room */
    char prefix[64];
};

/* --- the list of tensors --- */

static void random_at(struct plan *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void random_at(struct plan *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->prefix, sizeof p->prefix, format, args);
    va_end(args);
}

static struct item *random_add(struct plan *p, const char *name, const char *suffix, int type)
{
    p->full |= p->n == MAX_TENSORS;
    if (p->full)
        return &p->item[MAX_TENSORS - 1];
    struct item *t = &p->item[p->n++];
    p->full |=
        snprintf(t->name, sizeof t->name, "%s%s%s", p->prefix, name, suffix) >= (int)sizeof t->name;
    t->type = type;
    return t;
}

/* n floats around mean. */
static void vector(struct plan *p, const char *name, int n, float mean, float std)
{
    struct item *t = random_add(p, name, "", KERN_F32);
    t->n_dim = 1;
    t->ne[0] = n;
    t->mean = mean;
    t->std = std;
}

/* NAME.weight [n_out, taps, n_in], two-dimensional when taps is 0; its outputs keep the variance
 * of its inputs. */
static void matrix(struct plan *p, const char *name, int n_out, int taps, int n_in)
{
    bool blocks = p->type == KERN_Q8_0 || p->type == KERN_Q4_0;
    struct item *t = random_add(p, name, ".weight", blocks && n_in % 32 ? KERN_F16 : p->type);
    t->n_dim = taps ? 3 : 2;
    t->ne[0] = n_in;
    t->ne[1] = taps ? taps : n_out;
    t->ne[2] = taps ? n_out : 1;
    t->mean = 0;
    t->std = 1 / sqrtf((float)n_in * (float)(taps ? taps : 1));
}

/* A matrix with a bias; up > 1: of a transposed convolution, one bias for all phases. */
static void layer(struct plan *p, const char *name, int n_out, int taps, int n_in, int up)
{
    char bias[64];
    matrix(p, name, n_out * up, taps, n_in);
    snprintf(bias, sizeof bias, "%s.bias", name);
    vector(p, bias, n_out, 0, 0.01f);
}

static void embedding(struct plan *p, const char *name, int n_row, int dim)
{
    matrix(p, name, n_row, 0, dim);
    p->item[p->n - 1].std = EMBEDDING_STD;
}

static void stack(struct plan *p, const char *prefix, const struct spec_transformer *s)
{
    int heads = s->n_head * s->head_dim, kv = s->n_head_kv * s->head_dim;
    for (int i = 0; i < s->n_layer; i++) {
        random_at(p, "%sblk.%d.", prefix, i);
        vector(p, "attn_norm.weight", s->dim, 1, 0);
        matrix(p, "attn_qkv", heads + 2 * kv, 0, s->dim);
        matrix(p, "attn_output", s->dim, 0, heads);
        if (s->qk_norm) {
            vector(p, "attn_q_norm.weight", s->head_dim, 1, 0);
            vector(p, "attn_k_norm.weight", s->head_dim, 1, 0);
        }
        vector(p, "ffn_norm.weight", s->dim, 1, 0);
        matrix(p, "ffn_gate", s->n_ff, 0, s->dim);
        matrix(p, "ffn_up", s->n_ff, 0, s->dim);
        matrix(p, "ffn_down", s->dim, 0, s->n_ff);
        if (s->layer_scale) {
            vector(p, "attn_scale.weight", s->dim, 0.1f, 0);
            vector(p, "ffn_scale.weight", s->dim, 0.1f, 0);
        }
    }
    random_at(p, "%s", prefix);
    vector(p, "output_norm.weight", s->dim, 1, 0);
}

static void language_model(struct plan *p, const struct spec_lm *s)
{
    int type = p->type;
    random_at(p, "%s", "");
    p->type = type == KERN_Q4_0 ? KERN_Q8_0 : type; /* what is looked up, and the head */
    embedding(p, "token_embd", s->n_vocab, s->slow.dim);
    embedding(p, "codebook_embd", s->codebook_size * s->n_codebook, s->slow.dim);
    embedding(p, "output", s->semantic_end - s->semantic_begin + 2, s->slow.dim); /* trimmed */
    embedding(p, "fast.token_embd", s->codebook_size, s->fast.dim);
    p->type = type;
    matrix(p, "fast.output", s->codebook_size, 0, s->fast.dim);
    stack(p, "", &s->slow);
    stack(p, "fast.", &s->fast);
}

static void quantizers(struct plan *p, const struct spec_codec *c)
{
    for (int i = 0; i < c->n_codebook; i++) {
        random_at(p, "codec.rvq.%d.", i);
        struct item *t = random_add(p, "codebook", ".weight", KERN_F32);
        t->n_dim = 2;
        t->ne[0] = c->codebook_dim;
        t->ne[1] = i ? c->residual_size : c->semantic_size;
        t->std = 1;
        layer(p, "in_proj", c->codebook_dim, 0, c->latent_dim, 1);
        layer(p, "out_proj", c->latent_dim, 0, c->codebook_dim, 1);
    }
}

/* ConvNeXt block behind a change of rate: depthwise kernel 7, four times as wide inside. */
static void next_block(struct plan *p, int dim)
{
    struct item *t = random_add(p, "dw", ".weight", KERN_F32);
    t->n_dim = 2;
    t->ne[0] = dim;
    t->ne[1] = 7;
    t->std = 1 / sqrtf(7);
    vector(p, "dw.bias", dim, 0, 0.01f);
    vector(p, "norm.weight", dim, 1, 0);
    vector(p, "norm.bias", dim, 0, 0);
    vector(p, "gamma.weight", dim, 0.1f, 0);
    layer(p, "pw1", 4 * dim, 0, dim, 1);
    layer(p, "pw2", dim, 0, 4 * dim, 1);
}

static void units(struct plan *p, const char *chain, int i_block, int n)
{
    for (int i = 0; i < UNITS; i++) {
        random_at(p, "codec.%s.%d.res.%d.", chain, i_block, i);
        vector(p, "snake1.alpha", n, 1, 0);
        layer(p, "conv1", n, 7, n, 1);
        vector(p, "snake2.alpha", n, 1, 0);
        layer(p, "conv2", n, 1, n, 1);
    }
}

static void decoder(struct plan *p, const struct spec_codec *c)
{
    int n = c->decoder_dim;
    stack(p, "codec.post.", &c->post);
    for (int i = 0; i < c->n_factor; i++) {
        random_at(p, "codec.up.%d.", i);
        layer(p, "conv", c->latent_dim, 1, c->latent_dim, c->factor[c->n_factor - 1 - i]);
        next_block(p, c->latent_dim);
    }
    random_at(p, "codec.dec.");
    layer(p, "conv_in", n, 7, c->latent_dim, 1);
    for (int i = 0; i < c->n_rate; i++, n /= 2) {
        random_at(p, "codec.dec.%d.", i);
        vector(p, "snake.alpha", n, 1, 0);
        layer(p, "up", n / 2, 2, n, c->decoder_rate[i]); /* the kernel is twice the stride */
        units(p, "dec", i, n / 2);
    }
    random_at(p, "codec.dec.");
    vector(p, "snake.alpha", n, 1, 0);
    layer(p, "conv_out", 1, 7, n, 1);
}

static void encoder(struct plan *p, const struct spec_codec *c)
{
    char prefix[64];
    int n = c->encoder_dim;
    random_at(p, "codec.enc.");
    layer(p, "conv_in", n, 7, 1, 1);
    for (int i = 0; i < c->n_encoder_rate; i++, n *= 2) {
        units(p, "enc", i, n);
        random_at(p, "codec.enc.%d.", i);
        vector(p, "snake.alpha", n, 1, 0);
        layer(p, "down", 2 * n, 2 * c->encoder_rate[i], n, 1);
        snprintf(prefix, sizeof prefix, "codec.enc.%d.tf.", i);
        if (c->encoder_layers[i])
            stack(p, prefix, &c->enc[i]);
    }
    random_at(p, "codec.enc.");
    vector(p, "snake.alpha", n, 1, 0);
    layer(p, "conv_out", c->latent_dim, 3, n, 1);
    for (int i = 0; i < c->n_factor; i++) {
        random_at(p, "codec.down.%d.", i);
        layer(p, "conv", c->latent_dim, c->factor[i], c->latent_dim, 1);
        next_block(p, c->latent_dim);
    }
    stack(p, "codec.pre.", &c->pre);
}

/* --- the tokenizer: every byte is a token, and the special ones behind --- */

static const char *const fixed[] = {"<|im_start|>", "<|im_end|>", "<|interleave|>"};

static void number_tokens(struct spec_lm *s)
{
    s->im_end = 257;
    s->semantic_begin = 256 + (int)(sizeof fixed / sizeof *fixed);
    s->semantic_end = s->semantic_begin + s->codebook_size - 1;
}

static void put_tokenizer(struct gguf_writer *w, const struct spec_lm *s)
{
    int n_fixed = (int)(sizeof fixed / sizeof *fixed);
    struct tokenizer_vocab v = {.n_rank = 256, .n_special = n_fixed + s->codebook_size};
    size_t n = (size_t)v.n_rank + (size_t)v.n_special;
    v.token = mem_alloc(n * sizeof *v.token);
    v.token_bytes = mem_alloc(n * sizeof *v.token_bytes);
    for (int i = 0; i < (int)n; i++) {
        char text[32];
        if (i < 256)
            snprintf(text, sizeof text, "%c", i);
        else if (i < 256 + n_fixed)
            snprintf(text, sizeof text, "%s", fixed[i - 256]);
        else
            snprintf(text, sizeof text, "<|semantic:%d|>", i - 256 - n_fixed);
        v.token[i] = mem_strndup(text, sizeof text - 1);
        v.token_bytes[i] = i < 256 ? 1 : strlen(text);
    }
    tokenizer_write(&v, w);
    tokenizer_vocab_done(&v);
}

/* --- values --- */

/* xorshift64 (Marsaglia 2003); uniform with the wanted deviation: half width std * sqrt(3). */
static void fill(float *v, size_t n, const struct item *t, uint64_t *state)
{
    uint64_t x = *state;
    float scale = t->std * sqrtf(3) / 8388608.0f;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        v[i] = t->mean + scale * (float)((int32_t)(x >> 40) - 8388608);
    }
    *state = x;
}

static int write_items(struct gguf_writer *w, const struct plan *p, int (*progress)(void *, double),
                       void *cookie, struct err *e)
{
    float *v = mem_try(CHUNK, sizeof *v);
    void *out = mem_try(CHUNK, sizeof *v);
    uint64_t state = 0x9e3779b97f4a7c15u;
    int rc = v && out ? 0 : err_set(e, ERR_MEMORY, "out of memory for random weights");
    for (int i = 0; i < p->n && rc == 0; i++) {
        const struct item *t = &p->item[i];
        size_t left = (size_t)t->ne[0];
        for (int k = 1; k < t->n_dim; k++)
            left *= (size_t)t->ne[k];
        while (left > 0 && rc == 0) {
            size_t n = left < CHUNK ? left : CHUNK;
            fill(v, n, t, &state);
            if (strncmp(t->name, "codec.", 6)) { /* no more than the source would hold */
                kern_from_f32(KERN_BF16, v, out, n);
                kern_to_f32(KERN_BF16, out, v, n);
            }
            kern_from_f32((enum kern_type)t->type, v, out, n);
            rc = gguf_writer_data(w, out, kern_type_row_bytes((enum kern_type)t->type, n), e);
            left -= n;
        }
        if (rc == 0 && progress && progress(cookie, (double)(i + 1) / p->n))
            rc = err_set(e, ERR_CANCELLED, "stopped; nothing was written");
    }
    mem_free(v);
    mem_free(out);
    return rc;
}

static int random_write_file(const char *output, const struct spec *s, const struct plan *p,
                             int (*progress)(void *, double), void *cookie, struct err *e)
{
    struct gguf_writer *w;
    int rc = gguf_writer_new(output, &w, e);
    if (rc < 0)
        return rc;
    put_tokenizer(w, &s->lm);
    spec_write(s, w);
    gguf_put_string(w, "general.name", "s1-mini, random weights", 23);
    for (int i = 0; i < p->n && rc == 0; i++)
        rc = gguf_writer_tensor(w, p->item[i].name, p->item[i].type, p->item[i].n_dim,
                                p->item[i].ne, e);
    if (rc == 0 && (rc = gguf_writer_begin(w, e)) == 0 &&
        (rc = write_items(w, p, progress, cookie, e)) == 0)
        rc = gguf_writer_finish(w, e);
    gguf_writer_free(w);
    return rc;
}

int import_random(const char *output, int type, int (*progress)(void *, double), void *cookie,
                  struct err *e)
{
    struct spec s;
    struct plan p = {.type = type < 0 ? KERN_BF16 : type,
                     .item = mem_try(MAX_TENSORS, sizeof *p.item)};
    if (!p.item)
        return err_set(e, ERR_MEMORY, "out of memory for a list of tensors");
    spec_s1_mini(&s);
    number_tokens(&s.lm);
    language_model(&p, &s.lm);
    p.type = type < 0            ? KERN_F32  /* as published */
             : type == KERN_Q4_0 ? KERN_Q8_0 /* the codec needs more */
                                 : type;
    quantizers(&p, &s.codec);
    decoder(&p, &s.codec);
    encoder(&p, &s.codec);
    int rc = p.full ? err_set(e, ERR_INTERNAL, "over %d tensors", MAX_TENSORS)
                    : random_write_file(output, &s, &p, progress, cookie, e);
    mem_free(p.item);
    return rc;
}
