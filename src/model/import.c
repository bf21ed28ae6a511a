#include "model/import.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/mem.h"
#include "formats/checkpoint.h"
#include "kernels/kern.h"
#include "model/tokenizer.h"

#define ARCH        "openaudio-s1"
#define NAME        256 /* bytes of a tensor name */
#define MAX_PLAN    8192
#define COPY_VALUES ((size_t)1 << 20) /* values of a large tensor in memory at a time */

enum op { COPY, VECTOR, CONV, TRANSPOSED, DEPTHWISE };

struct step {                      /* one tensor of the output */
    char name[NAME], source[NAME]; /* source: base name; ".weight" and its spellings are tried */
    enum op op;
    bool codec, bias; /* bias: the source is SOURCE.bias */
    int type, n_dim;
    int64_t ne[3];
};

struct import {
    const struct import_options *o;
    struct checkpoint *lm, *codec;
    const char *codec_prefix; /* "generator." or "" */
    const char *lm_prefix;    /* "model." or "" */
    struct spec spec;
    struct tokenizer_vocab vocab;
    json_t *config;
    yaml_document_t yaml;
    bool has_yaml;
    struct step *plan;
    int n_plan;
    double n_value, n_done; /* of the output */
};

/* --- finding source tensors --- */

static struct checkpoint_tensor *source(const struct import *m, bool codec, const char *name)
{
    char full[2 * NAME];
    snprintf(full, sizeof full, "%s%s", codec ? m->codec_prefix : m->lm_prefix, name);
    return checkpoint_find(codec ? m->codec : m->lm, full);
}

/* The weight of a layer: plain, or the direction of one of the two spellings of weight norm; then
 * *g is the magnitude. */
static struct checkpoint_tensor *weight(const struct import *m, bool codec, const char *base,
                                        struct checkpoint_tensor **g)
{
    static const char *const spelling[][2] = {
        {"weight", ""},
        {"parametrizations.weight.original1", "parametrizations.weight.original0"},
        {"weight_v", "weight_g"}};
    char name[2 * NAME];
    *g = NULL;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", base, spelling[i][0]);
        struct checkpoint_tensor *t = source(m, codec, name);
        if (!t)
            continue;
        snprintf(name, sizeof name, "%s.%s", base, spelling[i][1]);
        if (i > 0 && !(*g = source(m, codec, name)))
            return NULL;
        return t;
    }
    return source(m, codec, base); /* alpha, gamma: a parameter by itself */
}

/* --- the plan --- */

static void plan_add(struct import *m, bool codec, enum op op, const char *name, const char *base)
{
    if (m->n_plan == MAX_PLAN)
        return;
    struct step *s = &m->plan[m->n_plan++];
    *s = (struct step){.op = op, .codec = codec};
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->source, sizeof s->source, "%s", base);
}

/* NAME.weight and, where the checkpoint has one, NAME.bias. */
static void plan_layer(struct import *m, bool codec, enum op op, const char *name, const char *base)
{
    char full[NAME + 16], from[NAME + 16];
    snprintf(full, sizeof full, "%s.weight", name);
    plan_add(m, codec, op, full, base);
    snprintf(from, sizeof from, "%s.bias", base);
    if (source(m, codec, from)) {
        snprintf(full, sizeof full, "%s.bias", name);
        plan_add(m, codec, VECTOR, full, base);
        m->plan[m->n_plan - 1].bias = true;
    }
}

static void plan_stack(struct import *m, bool codec, const char *prefix, const char *layers,
                       const char *norm, const struct spec_transformer *s)
{
    static const struct {
        const char *ours, *theirs;
        enum op op;
    } parts[] = {{"attn_norm", "attention_norm", VECTOR},
                 {"attn_qkv", "attention.wqkv", COPY},
                 {"attn_output", "attention.wo", COPY},
                 {"attn_q_norm", "attention.q_norm", VECTOR},
                 {"attn_k_norm", "attention.k_norm", VECTOR},
                 {"ffn_norm", "ffn_norm", VECTOR},
                 {"ffn_gate", "feed_forward.w1", COPY},
                 {"ffn_up", "feed_forward.w3", COPY},
                 {"ffn_down", "feed_forward.w2", COPY},
                 {"attn_scale", "attention_layer_scale.gamma", VECTOR},
                 {"ffn_scale", "ffn_layer_scale.gamma", VECTOR}};
    char name[NAME - 64], base[NAME - 64];
    for (int i = 0; i < s->n_layer; i++)
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            bool qk = j == 3 || j == 4, scale = j >= 9;
            if ((qk && !s->qk_norm) || (scale && !s->layer_scale))
                continue;
            snprintf(name, sizeof name, "%sblk.%d.%s", prefix, i, parts[j].ours);
            snprintf(base, sizeof base, "%s.%d.%s", layers, i, parts[j].theirs);
            plan_layer(m, codec, parts[j].op, name, base);
        }
    snprintf(name, sizeof name, "%soutput_norm", prefix);
    plan_layer(m, codec, VECTOR, name, norm);
}

static void plan_lm(struct import *m)
{
    const struct spec_lm *s = &m->spec.lm;
    plan_layer(m, false, COPY, "token_embd", "embeddings");
    plan_layer(m, false, COPY, "codebook_embd", "codebook_embeddings");
    plan_stack(m, false, "", "layers", "norm", &s->slow);
    if (!s->tied)
        plan_layer(m, false, COPY, "output", "output");
    plan_layer(m, false, COPY, "fast.token_embd", "fast_embeddings");
    plan_stack(m, false, "fast.", "fast_layers", "fast_norm", &s->fast);
    plan_layer(m, false, COPY, "fast.output", "fast_output");
    if (s->fast_project_in)
        plan_layer(m, false, COPY, "fast.proj_in", "fast_project_in");
}

static void plan_residual(struct import *m, const char *ours, const char *theirs)
{
    static const struct {
        const char *ours, *theirs;
    } parts[] = {{"snake1.alpha", "block.0.alpha"},
                 {"conv1", "block.1.conv"},
                 {"snake2.alpha", "block.2.alpha"},
                 {"conv2", "block.3.conv"}};
    char a[NAME - 64], b[NAME - 64];
    for (int i = 0; i < 4; i++) {
        snprintf(a, sizeof a, "%s.%s", ours, parts[i].ours);
        snprintf(b, sizeof b, "%s.%s", theirs, parts[i].theirs);
        if (i % 2 == 0)
            plan_add(m, true, VECTOR, a, b);
        else
            plan_layer(m, true, CONV, a, b);
    }
}

static void plan_resample(struct import *m, const char *ours, const char *theirs, enum op conv)
{
    static const struct {
        const char *ours, *theirs;
        enum op op;
    } parts[] = {{"dw", "1.dwconv.conv", DEPTHWISE},
                 {"norm", "1.norm", VECTOR},
                 {"pw1", "1.pwconv1", COPY},
                 {"pw2", "1.pwconv2", COPY}};
    char a[NAME - 64], b[NAME - 64];
    for (int i = 0; i < m->spec.codec.n_factor; i++) {
        snprintf(a, sizeof a, "%s.%d.conv", ours, i);
        snprintf(b, sizeof b, "%s.%d.0.conv", theirs, i);
        plan_layer(m, true, conv, a, b);
        for (int j = 0; j < 4; j++) {
            snprintf(a, sizeof a, "%s.%d.%s", ours, i, parts[j].ours);
            snprintf(b, sizeof b, "%s.%d.%s", theirs, i, parts[j].theirs);
            plan_layer(m, true, parts[j].op, a, b);
        }
        snprintf(a, sizeof a, "%s.%d.gamma.weight", ours, i);
        snprintf(b, sizeof b, "%s.%d.1.gamma", theirs, i);
        plan_add(m, true, VECTOR, a, b);
    }
}

static void plan_decoder(struct import *m)
{
    const struct spec_codec *c = &m->spec.codec;
    char a[NAME - 64], b[NAME - 64];
    plan_stack(m, true, "codec.post.", "quantizer.post_module.layers", "quantizer.post_module.norm",
               &c->post);
    plan_resample(m, "codec.up", "quantizer.upsample", TRANSPOSED);
    plan_layer(m, true, CONV, "codec.dec.conv_in", "decoder.model.0.conv");
    for (int i = 0; i < c->n_rate; i++) {
        snprintf(a, sizeof a, "codec.dec.%d.snake.alpha", i);
        snprintf(b, sizeof b, "decoder.model.%d.block.0.alpha", i + 1);
        plan_add(m, true, VECTOR, a, b);
        snprintf(a, sizeof a, "codec.dec.%d.up", i);
        snprintf(b, sizeof b, "decoder.model.%d.block.1.conv", i + 1);
        plan_layer(m, true, TRANSPOSED, a, b);
        for (int r = 0; r < 3; r++) {
            snprintf(a, sizeof a, "codec.dec.%d.res.%d", i, r);
            snprintf(b, sizeof b, "decoder.model.%d.block.%d", i + 1, r + 2);
            plan_residual(m, a, b);
        }
    }
    snprintf(b, sizeof b, "decoder.model.%d.alpha", c->n_rate + 1);
    plan_add(m, true, VECTOR, "codec.dec.snake.alpha", b);
    snprintf(b, sizeof b, "decoder.model.%d.conv", c->n_rate + 2);
    plan_layer(m, true, CONV, "codec.dec.conv_out", b);
}

static void plan_encoder(struct import *m)
{
    const struct spec_codec *c = &m->spec.codec;
    char a[NAME - 64], b[NAME - 64], norm[NAME - 64];
    plan_layer(m, true, CONV, "codec.enc.conv_in", "encoder.block.0.conv");
    for (int i = 0; i < c->n_encoder_rate; i++) {
        for (int r = 0; r < 3; r++) {
            snprintf(a, sizeof a, "codec.enc.%d.res.%d", i, r);
            snprintf(b, sizeof b, "encoder.block.%d.block.%d", i + 1, r);
            plan_residual(m, a, b);
        }
        snprintf(a, sizeof a, "codec.enc.%d.snake.alpha", i);
        snprintf(b, sizeof b, "encoder.block.%d.block.3.alpha", i + 1);
        plan_add(m, true, VECTOR, a, b);
        snprintf(a, sizeof a, "codec.enc.%d.down", i);
        snprintf(b, sizeof b, "encoder.block.%d.block.4.conv", i + 1);
        plan_layer(m, true, CONV, a, b);
        if (c->encoder_layers[i]) {
            snprintf(a, sizeof a, "codec.enc.%d.tf.", i);
            snprintf(b, sizeof b, "encoder.block.%d.block.5.layers", i + 1);
            snprintf(norm, sizeof norm, "encoder.block.%d.block.5.norm", i + 1);
            plan_stack(m, true, a, b, norm, &c->enc[i]);
        }
    }
    snprintf(b, sizeof b, "encoder.block.%d.alpha", c->n_encoder_rate + 1);
    plan_add(m, true, VECTOR, "codec.enc.snake.alpha", b);
    snprintf(b, sizeof b, "encoder.block.%d.conv", c->n_encoder_rate + 2);
    plan_layer(m, true, CONV, "codec.enc.conv_out", b);
    plan_resample(m, "codec.down", "quantizer.downsample", CONV);
    plan_stack(m, true, "codec.pre.", "quantizer.pre_module.layers", "quantizer.pre_module.norm",
               &c->pre);
}

static void plan_quantizers(struct import *m)
{
    static const struct {
        const char *ours, *theirs;
        enum op op;
    } parts[] = {{"codebook", "codebook", VECTOR},
                 {"in_proj", "in_proj", COPY},
                 {"out_proj", "out_proj", COPY}};
    char a[NAME - 64], b[NAME - 64];
    for (int k = 0; k < m->spec.lm.n_codebook; k++)
        for (int j = 0; j < 3; j++) {
            if (j == 1 && !m->spec.codec.has_encoder)
                continue;
            snprintf(a, sizeof a, "codec.rvq.%d.%s", k, parts[j].ours);
            snprintf(b, sizeof b, "quantizer.%s.quantizers.%d.%s",
                     k ? "quantizer" : "semantic_quantizer", k ? k - 1 : 0, parts[j].theirs);
            plan_layer(m, true, parts[j].op, a, b);
        }
}

/* --- shapes and types --- */

/* Output dimensions, innermost first, from the source's shape. */
static int shape_step(const struct import *m, struct step *s, struct err *e)
{
    struct checkpoint_tensor *g = NULL, *t;
    char name[NAME + 16];
    snprintf(name, sizeof name, "%s.bias", s->source);
    t = s->bias ? source(m, s->codec, name) : weight(m, s->codec, s->source, &g);
    if (!t || t->n == 0)
        return err_set(e, ERR_FORMAT, "checkpoint lacks %s", s->source);
    if (t->type < 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "%s is not a f32, f16 or bf16 tensor, or overlaps itself", t->name);
    const int64_t *d = t->shape;
    s->n_dim = 2;
    if (s->op == VECTOR && t->n_dim == 2) { /* a codebook */
        s->ne[0] = d[1];
        s->ne[1] = d[0];
    } else if (s->op == VECTOR) {
        s->n_dim = 1;
        s->ne[0] = (int64_t)t->n;
    } else if (s->op == COPY) {
        s->ne[0] = t->n_dim > 1 ? d[1] : 0;
        s->ne[1] = d[0];
    } else if (s->op == DEPTHWISE) {
        s->ne[0] = d[0];
        s->ne[1] = t->n_dim == 3 ? d[2] : 0;
    } else {
        s->n_dim = 3;
        s->ne[0] = s->op == CONV ? d[1] : d[0];
        s->ne[1] = t->n_dim == 3 ? d[2] : 0;
        s->ne[2] = s->op == CONV ? d[0] : d[1];
    }
    if (s->op == TRANSPOSED) { /* k = m * stride: m taps, stride phases */
        int stride = strstr(s->name, ".conv.") ? (int)d[2] : (int)d[2] / 2;
        s->ne[1] = stride > 0 ? d[2] / stride : 0;
        s->ne[2] = d[1] * stride;
    }
    bool vector = s->op == VECTOR || s->op == DEPTHWISE;
    int keep = g && t->type == KERN_BF16 ? KERN_F16 : t->type; /* folded values need more bits */
    s->type = vector ? KERN_F32 : m->o->type < 0 ? keep : m->o->type;
    if (s->type == KERN_Q8_0 && s->ne[0] % 32)
        s->type = KERN_F16;
    for (int i = 0; i < s->n_dim; i++)
        if (s->ne[i] < 1)
            return err_set(e, ERR_FORMAT, "%s has an unexpected shape", t->name);
    return 0;
}

/* --- values --- */

/* w = g v / |v|, the norm over all axes but the first (torch.nn.utils.weight_norm). */
static int import_fold(struct checkpoint *c, const struct checkpoint_tensor *g,
                       const struct checkpoint_tensor *t, float *v, struct err *e)
{
    float *magnitude;
    size_t rows = (size_t)t->shape[0], n = t->n / rows;
    if (g->n != rows)
        return err_set(e, ERR_FORMAT, "%s has %zu values, must be %zu", g->name, g->n, rows);
    int rc = checkpoint_read(c, g, &magnitude, e);
    if (rc < 0)
        return rc;
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)v[r * n + i] * v[r * n + i];
        double scale = sum > 0 ? magnitude[r] / sqrt(sum) : 0;
        for (size_t i = 0; i < n; i++)
            v[r * n + i] = (float)(v[r * n + i] * scale);
    }
    mem_free(magnitude);
    return 0;
}

/* From the source's layout to ours (top of docs/MODEL.md's GGUF section). */
static void arrange(const struct step *s, const float *v, float *out)
{
    size_t in = (size_t)s->ne[0], taps = (size_t)s->ne[1], outs = (size_t)s->ne[2];
    if (s->op == DEPTHWISE) {
        for (size_t c = 0; c < in; c++)
            for (size_t j = 0; j < taps; j++)
                out[j * in + c] = v[c * taps + j];
    } else {
        for (size_t o = 0; o < outs; o++)
            for (size_t j = 0; j < taps; j++)
                for (size_t c = 0; c < in; c++)
                    out[(o * taps + j) * in + c] = v[(o * in + c) * taps + j];
    }
}

/* [C_in, C_out, k] to [stride * C_out, m, C_in]: phase p of tap j (oldest first) is k-index
 * p + (m - 1 - j) * stride. */
static void arrange_transposed(const struct step *s, const struct checkpoint_tensor *t,
                               const float *v, float *out)
{
    size_t in = (size_t)t->shape[0], n_out = (size_t)t->shape[1], k = (size_t)t->shape[2];
    size_t m = (size_t)s->ne[1], stride = k / m;
    for (size_t p = 0; p < stride; p++)
        for (size_t o = 0; o < n_out; o++)
            for (size_t j = 0; j < m; j++)
                for (size_t c = 0; c < in; c++)
                    out[((p * n_out + o) * m + j) * in + c] =
                        v[(c * n_out + o) * k + p + (m - 1 - j) * stride];
}

static int write_values(struct gguf_writer *w, const struct step *s, const float *v, size_t n,
                        struct err *e)
{
    size_t bytes = kern_type_row_bytes((enum kern_type)s->type, n);
    void *out = mem_try(bytes, 1);
    if (!out)
        return err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    kern_from_f32((enum kern_type)s->type, v, out, n);
    int rc = gguf_writer_data(w, out, bytes, e);
    mem_free(out);
    return rc;
}

/* n more values are written; an error when the caller wants to stop. */
static int advance(struct import *m, size_t n, struct err *e)
{
    m->n_done += (double)n;
    if (m->o->progress && m->o->progress(m->o->cookie, m->n_done / m->n_value))
        return err_set(e, ERR_CANCELLED, "stopped; nothing was written");
    return 0;
}

/* A tensor that stays as it is, rows at a time: an embedding is too large to hold as float. */
static int copy_step(struct import *m, struct gguf_writer *w, const struct step *s,
                     const struct checkpoint_tensor *t, struct err *e)
{
    struct checkpoint *c = s->codec ? m->codec : m->lm;
    struct checkpoint_reader *r;
    size_t row = (size_t)s->ne[0], piece = row < COPY_VALUES ? COPY_VALUES / row * row : row;
    int rc = checkpoint_reader_new(c, t, &r, e);
    if (rc < 0)
        return rc;
    float *v = mem_try(piece, sizeof *v);
    if (!v)
        rc = err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    for (size_t i = 0; i < t->n && rc == 0; i += piece) {
        size_t n = t->n - i < piece ? t->n - i : piece;
        if ((rc = checkpoint_reader_next(r, v, n, e)) == 0 &&
            (rc = write_values(w, s, v, n, e)) == 0)
            rc = advance(m, n, e);
    }
    mem_free(v);
    checkpoint_reader_free(r);
    return rc;
}

static int write_step(struct import *m, struct gguf_writer *w, const struct step *s, struct err *e)
{
    struct checkpoint *c = s->codec ? m->codec : m->lm;
    struct checkpoint_tensor *g = NULL, *t;
    char name[NAME + 16];
    float *v, *out = NULL;
    snprintf(name, sizeof name, "%s.bias", s->source);
    t = s->bias ? source(m, s->codec, name) : weight(m, s->codec, s->source, &g);
    if (!g && !t->strided && (s->op == COPY || s->op == VECTOR))
        return copy_step(m, w, s, t, e);
    int rc = checkpoint_read(c, t, &v, e);
    if (rc < 0)
        return rc;
    if (g)
        rc = import_fold(c, g, t, v, e);
    if (rc == 0 && s->op != COPY && s->op != VECTOR && !(out = mem_try(t->n, sizeof *out)))
        rc = err_set(e, ERR_MEMORY, "out of memory for %s", s->name);
    if (rc == 0 && s->op == TRANSPOSED)
        arrange_transposed(s, t, v, out);
    else if (rc == 0 && out)
        arrange(s, v, out);
    if (rc == 0 && (rc = write_values(w, s, out ? out : v, t->n, e)) == 0)
        rc = advance(m, t->n, e);
    mem_free(out);
    mem_free(v);
    return rc;
}

/* --- hyper-parameters --- */

/* Absent, null and -1 mean the fallback; a negative one: the key must be there. */
static int config_int(const struct import *m, const char *key, int fallback, int *ret,
                      struct err *e)
{
    json_t *v = json_object_get(m->config, key);
    if (!v || json_is_null(v) || (json_integer_value(v) == -1 && fallback >= 0)) {
        if (fallback < 0)
            return err_set(e, ERR_FORMAT, "config.json lacks %s", key);
        *ret = fallback;
        return 0;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > LIMIT_VOCAB)
        return err_set(e, ERR_FORMAT, "config.json: %s must be a whole number from 0 to %d", key,
                       LIMIT_VOCAB);
    *ret = (int)json_integer_value(v);
    return 0;
}

static bool config_bool(const struct import *m, const char *key, bool fallback)
{
    json_t *v = json_object_get(m->config, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

static float config_float(const struct import *m, const char *key, double fallback)
{
    json_t *v = json_object_get(m->config, key);
    return (float)(json_is_number(v) ? json_number_value(v) : fallback);
}

/* Width of the slow feed-forward layers, from their weights: S1's configurations may leave it out.
 */
static int ff_of(const struct import *m)
{
    struct checkpoint_tensor *t = source(m, false, "layers.0.feed_forward.w1.weight");
    return t && t->n_dim == 2 && t->shape[0] <= LIMIT_DIM ? (int)t->shape[0] : -1;
}

/* Slow stack from the plain keys, fast stack from the fast_ ones, which fall back to the slow. */
static int config_stack(const struct import *m, const char *prefix, struct spec_transformer *s,
                        const struct spec_transformer *slow, struct err *e)
{
    char key[64];
    int rc = 0;
    struct {
        const char *name;
        int *to;
        int fallback;
    } ints[] = {{"dim", &s->dim, slow ? slow->dim : -1},
                {"n_head", &s->n_head, slow ? slow->n_head : -1},
                {"n_local_heads", &s->n_head_kv, slow ? slow->n_head_kv : 0},
                {"head_dim", &s->head_dim, slow ? slow->head_dim : 0},
                {"intermediate_size", &s->n_ff, slow ? slow->n_ff : ff_of(m)}};
    for (int i = 0; i < 5 && rc == 0; i++) {
        snprintf(key, sizeof key, "%s%s", prefix, ints[i].name);
        rc = config_int(m, key, ints[i].fallback, ints[i].to, e);
    }
    if (rc < 0)
        return rc;
    if (s->n_head < 1)
        return err_set(e, ERR_FORMAT, "config.json: n_head must be at least 1");
    s->n_head_kv = s->n_head_kv > 0 ? s->n_head_kv : s->n_head;
    s->head_dim = s->head_dim > 0 ? s->head_dim : s->dim / s->n_head;
    struct {
        const char *name;
        bool *to, fallback;
    } bools[] = {{"attention_qkv_bias", &s->qkv_bias, slow && slow->qkv_bias},
                 {"attention_o_bias", &s->o_bias, slow && slow->o_bias},
                 {"attention_qk_norm", &s->qk_norm, slow && slow->qk_norm}};
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "%s%s", prefix, bools[i].name);
        *bools[i].to = config_bool(m, key, bools[i].fallback);
    }
    s->norm_eps = config_float(m, "norm_eps", 1e-5);
    s->rope_base = config_float(m, "rope_base", 10000);
    return 0;
}

static int find_tokens(struct import *m, struct err *e)
{
    struct spec_lm *s = &m->spec.lm;
    char name[64];
    s->semantic_begin = s->semantic_end = s->im_end = -1;
    for (int i = 0; i < m->vocab.n_special; i++) {
        int id = m->vocab.n_rank + i;
        snprintf(name, sizeof name, "%.*s", (int)m->vocab.token_bytes[id], m->vocab.token[id]);
        if (!strcmp(name, "<|im_end|>"))
            s->im_end = id;
        else if (!strncmp(name, "<|semantic:", 11)) {
            s->semantic_begin = s->semantic_begin < 0 ? id : s->semantic_begin;
            s->semantic_end = id;
        }
    }
    if (s->im_end < 0 || s->semantic_begin < 0)
        return err_set(e, ERR_FORMAT, "special_tokens.json lacks <|im_end|> or <|semantic:0|>");
    return 0;
}

static int lm_spec_read(struct import *m, struct err *e)
{
    struct spec_lm *s = &m->spec.lm;
    json_t *frontend = json_object_get(m->config, "text_frontend");
    int rc;
    if ((rc = config_stack(m, "", &s->slow, NULL, e)) < 0 ||
        (rc = config_stack(m, "fast_", &s->fast, &s->slow, e)) < 0 ||
        (rc = config_int(m, "n_layer", -1, &s->slow.n_layer, e)) < 0 ||
        (rc = config_int(m, "n_fast_layer", -1, &s->fast.n_layer, e)) < 0 ||
        (rc = config_int(m, "max_seq_len", -1, &s->slow.n_position, e)) < 0 ||
        (rc = config_int(m, "vocab_size", -1, &s->n_vocab, e)) < 0 ||
        (rc = config_int(m, "num_codebooks", -1, &s->n_codebook, e)) < 0 ||
        (rc = config_int(m, "codebook_size", -1, &s->codebook_size, e)) < 0)
        return rc;
    s->fast.n_position = s->n_codebook;
    s->tied = config_bool(m, "tie_word_embeddings", true);
    s->scale_codebook_embd = config_bool(m, "scale_codebook_embeddings", false);
    s->fast_project_in = source(m, false, "fast_project_in.weight") != NULL;
    m->spec.espeak_ipa =
        frontend && json_is_string(frontend) && !strcmp(json_string_value(frontend), "espeak-ipa");
    return find_tokens(m, e);
}

/* Scalar at a dotted path of the yaml, or NULL. */
static const char *yaml_value(const struct import *m, const char *path)
{
    yaml_document_t *d = (yaml_document_t *)(uintptr_t)&m->yaml;
    yaml_node_t *n = m->has_yaml ? yaml_document_get_root_node(d) : NULL;
    while (n && *path) {
        size_t len = strcspn(path, ".");
        yaml_node_t *next = NULL;
        if (n->type != YAML_MAPPING_NODE)
            return NULL;
        for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top;
             p++) {
            yaml_node_t *k = yaml_document_get_node(d, p->key);
            if (k && k->type == YAML_SCALAR_NODE && k->data.scalar.length == len &&
                !memcmp(k->data.scalar.value, path, len))
                next = yaml_document_get_node(d, p->value);
        }
        n = next;
        path += len + (path[len] == '.');
    }
    return n && n->type == YAML_SCALAR_NODE ? (const char *)n->data.scalar.value : NULL;
}

static double yaml_number(const struct import *m, const char *path, double fallback)
{
    const char *s = yaml_value(m, path);
    char *end;
    double v = s ? strtod(s, &end) : fallback;
    return s && (end == s || *end || !isfinite(v)) ? fallback : v;
}

/* Out of any sensible range means -1, which the check of the whole specification refuses. */
static int yaml_int(const struct import *m, const char *path, int fallback)
{
    double v = yaml_number(m, path, fallback);
    return v >= 0 && v <= LIMIT_VOCAB ? (int)v : -1;
}

static int64_t dim_of(const struct import *m, const char *base, int axis)
{
    struct checkpoint_tensor *g, *t = weight(m, true, base, &g);
    return t && axis < t->n_dim ? t->shape[axis] : 0;
}

static int import_count(const struct import *m, const char *before, const char *after)
{
    char name[NAME + 16];
    int n = 0;
    do
        snprintf(name, sizeof name, "%s%d%s", before, n, after);
    while (dim_of(m, name, 0) > 0 && ++n < LIMIT_LAYERS);
    return n;
}

/* A stack of the codec: counts and widths from the tensors, the rest from the yaml. */
static void codec_stack(const struct import *m, const char *tensors, const char *yaml,
                        struct spec_transformer *s)
{
    char name[200], path[200];
    snprintf(name, sizeof name, "%s.layers.", tensors);
    s->n_layer = import_count(m, name, ".attention.wqkv");
    snprintf(name, sizeof name, "%s.layers.0.attention.wqkv", tensors);
    int qkv = (int)dim_of(m, name, 0);
    s->dim = (int)dim_of(m, name, 1);
    snprintf(name, sizeof name, "%s.layers.0.feed_forward.w1", tensors);
    s->n_ff = (int)dim_of(m, name, 0);
    snprintf(name, sizeof name, "%s.freqs_cis", tensors);
    struct checkpoint_tensor *table = source(m, true, name);
    s->head_dim = table && table->n_dim == 3 ? (int)table->shape[1] * 2 : 64;
    s->n_position = table && table->n_dim == 3 ? (int)table->shape[0] : s->n_position;
    snprintf(path, sizeof path, "%s.head_dim", yaml);
    s->head_dim = yaml_int(m, path, s->head_dim);
    snprintf(path, sizeof path, "%s.block_size", yaml);
    s->n_position = yaml_int(m, path, s->n_position);
    snprintf(path, sizeof path, "%s.rope_base", yaml);
    s->rope_base = (float)yaml_number(m, path, 10000);
    snprintf(path, sizeof path, "%s.norm_eps", yaml);
    s->norm_eps = (float)yaml_number(m, path, 1e-5);
    s->n_head = s->n_head_kv = s->head_dim > 0 ? qkv / 3 / s->head_dim : 0;
    s->layer_scale = true;
}

/* Rates and transformers of the encoder's blocks; without an encoder the decoder's rates stand for
 * its own. */
static void encoder_spec_read(struct import *m)
{
    struct spec_codec *c = &m->spec.codec;
    char name[NAME + 16];
    if (!c->has_encoder) {
        c->n_encoder_rate = c->n_rate;
        memcpy(c->encoder_rate, c->decoder_rate, sizeof c->encoder_rate);
    }
    for (int i = 0; c->has_encoder && i < SPEC_MAX_STAGES; i++) {
        snprintf(name, sizeof name, "encoder.block.%d.block.4.conv", i + 1);
        if (!dim_of(m, name, 2))
            break;
        c->encoder_rate[c->n_encoder_rate++] = (int)dim_of(m, name, 2) / 2;
        snprintf(name, sizeof name, "encoder.block.%d.block.5", i + 1);
        struct spec_transformer *t = &c->enc[i];
        t->n_position = 16384;
        codec_stack(m, name, "transformer_general_config", t);
        t->window = 512;
        c->encoder_layers[i] = t->n_layer;
    }
}

static int codec_spec_read(struct import *m, struct err *e)
{
    struct spec_codec *c = &m->spec.codec;
    char name[NAME + 16];
    c->sample_rate = yaml_int(m, "sample_rate", 44100);
    c->n_codebook = m->spec.lm.n_codebook;
    c->latent_dim = (int)dim_of(m, "decoder.model.0.conv", 1);
    c->decoder_dim = (int)dim_of(m, "decoder.model.0.conv", 0);
    c->encoder_dim = (int)dim_of(m, "encoder.block.0.conv", 0);
    c->has_encoder = c->encoder_dim > 0 && !m->o->no_encoder;
    c->encoder_dim = c->encoder_dim > 0 ? c->encoder_dim : 1;
    for (c->n_rate = 0; c->n_rate < SPEC_MAX_STAGES; c->n_rate++) {
        snprintf(name, sizeof name, "decoder.model.%d.block.1.conv", c->n_rate + 1);
        if (!dim_of(m, name, 2))
            break;
        c->decoder_rate[c->n_rate] = (int)dim_of(m, name, 2) / 2;
    }
    encoder_spec_read(m);
    c->n_factor = import_count(m, "quantizer.downsample.", ".0.conv");
    c->n_factor = c->n_factor ? c->n_factor : import_count(m, "quantizer.upsample.", ".0.conv");
    if (c->n_rate < 1 || c->n_factor > SPEC_MAX_STAGES)
        return err_set(e, ERR_FORMAT,
                       "the codec has %d decoder blocks and %d factors, must be 1 to "
                       "%d",
                       c->n_rate, c->n_factor, SPEC_MAX_STAGES);
    for (int i = 0; i < c->n_factor; i++) {
        snprintf(name, sizeof name, "quantizer.upsample.%d.0.conv", c->n_factor - 1 - i);
        c->factor[i] = (int)dim_of(m, name, 2);
    }
    c->semantic_size = (int)dim_of(m, "quantizer.semantic_quantizer.quantizers.0.codebook", 0);
    c->codebook_dim = (int)dim_of(m, "quantizer.semantic_quantizer.quantizers.0.codebook", 1);
    c->residual_size = (int)dim_of(m, "quantizer.quantizer.quantizers.0.codebook", 0);
    c->residual_size = c->residual_size ? c->residual_size : c->semantic_size;
    c->post.n_position = c->pre.n_position = 4096;
    codec_stack(m, "quantizer.post_module", "quantizer.post_module.config", &c->post);
    bool same = !yaml_value(m, "quantizer.pre_module.window_size"); /* usually an alias */
    codec_stack(m, "quantizer.pre_module",
                same ? "quantizer.post_module.config" : "quantizer.pre_module.config", &c->pre);
    c->post.window = yaml_int(m, "quantizer.post_module.window_size", 128);
    c->pre.window = yaml_int(m, "quantizer.pre_module.window_size", c->post.window);
    if (c->pre.n_layer == 0)
        c->pre = c->post;
    return 0;
}

/* --- opening --- */

static int open_either(const struct import *m, const char *stem, struct checkpoint **ret,
                       struct err *e)
{
    static const char *const endings[] = {".pth", ".safetensors", ".safetensors.index.json"};
    char path[4096];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s%s", m->o->directory, stem, endings[i]);
        if (access(path, F_OK) == 0)
            return checkpoint_open(path, ret, e);
    }
    return err_set(e, ERR_NOT_FOUND, "%s has neither %s.pth nor %s.safetensors, whole or in parts",
                   m->o->directory, stem, stem);
}

static bool any_name(const struct checkpoint *c, const char *part)
{
    for (int i = 0; i < checkpoint_n(c); i++)
        if (strstr(checkpoint_at(c, i)->name, part))
            return true;
    return false;
}

static int open_yaml(struct import *m, struct err *e)
{
    char path[4096];
    yaml_parser_t parser;
    snprintf(path, sizeof path, "%s/modded_dac_vq.yaml", m->o->directory);
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0; /* S1-mini's values hold */
    if (fseek(f, 0, SEEK_END) != 0 || ftell(f) > LIMIT_YAML_BYTES) {
        fclose(f);
        return err_set(e, ERR_LIMIT, "%s is over %d bytes", path, LIMIT_YAML_BYTES);
    }
    rewind(f);
    if (!yaml_parser_initialize(&parser)) {
        fclose(f);
        return err_set(e, ERR_MEMORY, "out of memory for %s", path);
    }
    yaml_parser_set_input_file(&parser, f);
    m->has_yaml = yaml_parser_load(&parser, &m->yaml);
    int rc = m->has_yaml
                 ? 0
                 : err_set(e, ERR_FORMAT, "%s: line %zu: %s", path, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "not valid yaml");
    yaml_parser_delete(&parser);
    fclose(f);
    return rc;
}

/* What cannot be loaded later is refused now. */
static int check_vocab(const struct tokenizer_vocab *v, struct err *e)
{
    struct tokenizer *t;
    int rc = v->n_rank > 0 ? tokenizer_new(v, &t, e)
                           : err_set(e, ERR_FORMAT, "tokenizer.tiktoken has no tokens");
    if (rc == 0)
        tokenizer_free(t);
    return rc;
}

static int import_open(struct import *m, struct err *e)
{
    char path[4096], special[4096];
    json_error_t why;
    int rc;
    snprintf(path, sizeof path, "%s/config.json", m->o->directory);
    m->config = json_load_file(path, 0, &why);
    if (!json_is_object(m->config))
        return access(path, R_OK) < 0
                   ? err_set(e, ERR_NOT_FOUND,
                             "%s: %s; a checkpoint is a directory with config.json in it", path,
                             strerror(errno))
                   : err_set(e, ERR_FORMAT, "%s is no JSON: line %d: %s", path, why.line, why.text);
    snprintf(path, sizeof path, "%s/tokenizer.tiktoken", m->o->directory);
    snprintf(special, sizeof special, "%s/special_tokens.json", m->o->directory);
    if ((rc = tokenizer_vocab_read(path, special, &m->vocab, e)) < 0 ||
        (rc = check_vocab(&m->vocab, e)) < 0 || (rc = open_either(m, "model", &m->lm, e)) < 0 ||
        (rc = open_either(m, "codec", &m->codec, e)) < 0 || (rc = open_yaml(m, e)) < 0)
        return rc;
    m->codec_prefix = any_name(m->codec, "generator.") ? "generator." : "";
    m->lm_prefix = checkpoint_find(m->lm, "embeddings.weight") ? "" : "model.";
    if ((rc = lm_spec_read(m, e)) < 0)
        return rc;
    return codec_spec_read(m, e);
}

/* --- voices --- */

struct voice_list {
    char *names[1024];
    char *texts[1024];
    int n;
};

static int put_voice(struct import *m, struct gguf_writer *w, const char *path,
                     struct voice_list *list, struct err *e)
{
    json_error_t why;
    json_t *j = json_load_file(path, 0, &why), *row, *v;
    const char *name = json_string_value(json_object_get(j, "name"));
    const char *text = json_string_value(json_object_get(j, m->spec.espeak_ipa ? "ipa" : "text"));
    json_t *codes = json_object_get(j, "codes");
    size_t q = json_array_size(codes), n = json_array_size(json_array_get(codes, 0)), i, k;
    char key[256];
    int rc = 0;
    int32_t *all = mem_try(q * n + 1, sizeof *all);
    if (!name || !text || q != (size_t)m->spec.lm.n_codebook || n == 0 || n > 65536 || !all ||
        strlen(name) > LIMIT_VOICE_NAME_BYTES || list->n == 1024)
        rc = err_set(e, ERR_FORMAT, "%s is not a voice: wanted name, %s and codes [%d][frames]",
                     path, m->spec.espeak_ipa ? "ipa" : "text", m->spec.lm.n_codebook);
    json_array_foreach(codes, i, row)
    {
        if (rc == 0 && json_array_size(row) != n)
            rc = err_set(e, ERR_FORMAT, "%s: rows of codes differ in length", path);
        if (rc < 0)
            break;
        json_array_foreach(row, k, v) all[i * n + k] = (int32_t)json_integer_value(v);
    }
    if (rc == 0) {
        snprintf(key, sizeof key, ARCH ".voice.codes.%s", name);
        gguf_put_ints(w, key, all, q * n);
        list->names[list->n] = mem_strdup(name);
        list->texts[list->n++] = mem_strdup(text);
    }
    mem_free(all);
    json_decref(j);
    return rc;
}

static int is_json(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && !strcmp(d->d_name + n - 5, ".json");
}

static int put_voices(struct import *m, struct gguf_writer *w, struct err *e)
{
    struct voice_list *list = mem_alloc(sizeof *list);
    struct dirent **files = NULL;
    char path[4096];
    int rc = 0;
    snprintf(path, sizeof path, "%s/voices", m->o->directory);
    int n = scandir(path, &files, is_json, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/voices/%s", m->o->directory, files[i]->d_name);
        if (rc == 0)
            rc = put_voice(m, w, path, list, e);
        free(files[i]);
    }
    free(files);
    if (rc == 0 && list->n > 0) {
        gguf_put_strings(w, ARCH ".voice.names", (const char *const *)list->names, NULL,
                         (size_t)list->n);
        gguf_put_strings(w, ARCH ".voice.texts", (const char *const *)list->texts, NULL,
                         (size_t)list->n);
    }
    for (int i = 0; i < list->n; i++) {
        mem_free(list->names[i]);
        mem_free(list->texts[i]);
    }
    mem_free(list);
    return rc;
}

static int put_aliases(const struct import *m, struct gguf_writer *w, struct err *e)
{
    const char *from[256], *to[256];
    size_t from_n[256];
    int n = m->o->n_alias;
    if (n > 256)
        return err_set(e, ERR_LIMIT, "%d aliases, the limit is 256", n);
    for (int i = 0; i < n; i++) {
        const char *eq = strchr(m->o->aliases[i], '=');
        if (!eq || eq == m->o->aliases[i] || !eq[1])
            return err_set(e, ERR_ARGUMENT, "alias \"%.64s\" is not ALIAS=VOICE", m->o->aliases[i]);
        from[i] = m->o->aliases[i];
        from_n[i] = (size_t)(eq - from[i]);
        to[i] = eq + 1;
    }
    if (n > 0) {
        gguf_put_strings(w, ARCH ".voice.alias.from", from, from_n, (size_t)n);
        gguf_put_strings(w, ARCH ".voice.alias.to", to, NULL, (size_t)n);
    }
    if (m->o->default_voice)
        gguf_put_string(w, ARCH ".voice.default", m->o->default_voice, strlen(m->o->default_voice));
    return 0;
}

/* --- all together --- */

static int write_all(struct import *m, struct gguf_writer *w, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < m->n_plan && rc == 0; i++) {
        struct step *s = &m->plan[i];
        if ((rc = shape_step(m, s, e)) == 0)
            rc = gguf_writer_tensor(w, s->name, s->type, s->n_dim, s->ne, e);
        double n = 1;
        for (int k = 0; k < s->n_dim; k++)
            n *= (double)s->ne[k];
        m->n_value += n;
    }
    if (rc == 0)
        rc = gguf_writer_begin(w, e);
    for (int i = 0; i < m->n_plan && rc == 0; i++)
        rc = write_step(m, w, &m->plan[i], e);
    return rc < 0 ? rc : gguf_writer_finish(w, e);
}

static int write_model(struct import *m, struct err *e)
{
    const char *slash = strrchr(m->o->directory, '/');
    const char *name = m->o->name ? m->o->name : slash && slash[1] ? slash + 1 : m->o->directory;
    struct gguf_writer *w;
    int rc = gguf_writer_new(m->o->output, &w, e);
    if (rc < 0)
        return rc;
    spec_write(&m->spec, w);
    gguf_put_string(w, "general.name", name, strlen(name));
    if (m->o->version)
        gguf_put_string(w, "general.version", m->o->version, strlen(m->o->version));
    tokenizer_write(&m->vocab, w);
    if ((rc = put_voices(m, w, e)) == 0 && (rc = put_aliases(m, w, e)) == 0)
        rc = write_all(m, w, e);
    gguf_writer_free(w);
    return rc;
}

static void import_done(struct import *m)
{
    json_decref(m->config);
    if (m->has_yaml)
        yaml_document_delete(&m->yaml);
    tokenizer_vocab_done(&m->vocab);
    checkpoint_close(m->lm);
    checkpoint_close(m->codec);
    mem_free(m->plan);
}

int import_convert(const struct import_options *o, struct err *e)
{
    struct import m = {.o = o, .plan = mem_try(MAX_PLAN, sizeof *m.plan)};
    struct spec_sampling *s = &m.spec.sampling;
    int rc = m.plan ? import_open(&m, e) : err_set(e, ERR_MEMORY, "out of memory for an import");
    m.spec.codec.gain_db = o->gain_db;
    s->temperature = o->sampling.temperature >= 0 ? o->sampling.temperature : 0.8f;
    s->top_p = o->sampling.top_p >= 0 ? o->sampling.top_p : 0.8f;
    s->repetition_penalty =
        o->sampling.repetition_penalty >= 0 ? o->sampling.repetition_penalty : 1.1f;
    if (rc == 0) {
        plan_lm(&m);
        plan_quantizers(&m);
        plan_decoder(&m);
        if (m.spec.codec.has_encoder)
            plan_encoder(&m);
        rc = m.n_plan < MAX_PLAN ? write_model(&m, e)
                                 : err_set(e, ERR_LIMIT, "over %d tensors", MAX_PLAN);
    }
    import_done(&m);
    return rc;
}
