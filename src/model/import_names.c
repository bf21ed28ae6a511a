#include "model/import_parts.h"

#include <stdio.h>
#include <string.h>

/* --- the table --- */

enum names_if { ALWAYS, UNTIED, PROJECTED, QK_NORM, LAYER_SCALE, ENCODER };

struct names_row {
    enum pattern_over over;
    const char *ours, *theirs; /* pattern.h */
    enum import_op op;
    enum names_if when;
};

/* Rows that follow each other and go over the same are written together, place by place.  A layer
 * has a bias where the checkpoint has one. */
static const struct names_row rows[] = {
    {OVER_ONE, "token_embd", "embeddings", IMPORT_COPY, ALWAYS},
    {OVER_ONE, "codebook_embd", "codebook_embeddings", IMPORT_COPY, ALWAYS},
    {OVER_ONE, "output", "output", IMPORT_HEAD, UNTIED},
    {OVER_ONE, "fast.token_embd", "fast_embeddings", IMPORT_COPY, ALWAYS},
    {OVER_ONE, "fast.output", "fast_output", IMPORT_COPY, ALWAYS},
    {OVER_ONE, "fast.proj_in", "fast_project_in", IMPORT_COPY, PROJECTED},

    {OVER_LAYERS, "{p}blk.{i}.attn_norm", "{t}layers.{i}.attention_norm", IMPORT_VECTOR, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.attn_qkv", "{t}layers.{i}.attention.wqkv", IMPORT_COPY, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.attn_output", "{t}layers.{i}.attention.wo", IMPORT_COPY, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.attn_q_norm", "{t}layers.{i}.attention.q_norm", IMPORT_VECTOR,
     QK_NORM},
    {OVER_LAYERS, "{p}blk.{i}.attn_k_norm", "{t}layers.{i}.attention.k_norm", IMPORT_VECTOR,
     QK_NORM},
    {OVER_LAYERS, "{p}blk.{i}.ffn_norm", "{t}layers.{i}.ffn_norm", IMPORT_VECTOR, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.ffn_gate", "{t}layers.{i}.feed_forward.w1", IMPORT_COPY, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.ffn_up", "{t}layers.{i}.feed_forward.w3", IMPORT_COPY, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.ffn_down", "{t}layers.{i}.feed_forward.w2", IMPORT_COPY, ALWAYS},
    {OVER_LAYERS, "{p}blk.{i}.attn_scale", "{t}layers.{i}.attention_layer_scale.gamma",
     IMPORT_VECTOR, LAYER_SCALE},
    {OVER_LAYERS, "{p}blk.{i}.ffn_scale", "{t}layers.{i}.ffn_layer_scale.gamma", IMPORT_VECTOR,
     LAYER_SCALE},
    {OVER_STACKS, "{p}output_norm", "{t}norm", IMPORT_VECTOR, ALWAYS},

    {OVER_CODEBOOKS, "codec.rvq.{i}.codebook", "{t}codebook", IMPORT_VECTOR, ALWAYS},
    {OVER_CODEBOOKS, "codec.rvq.{i}.in_proj", "{t}in_proj", IMPORT_COPY, ENCODER},
    {OVER_CODEBOOKS, "codec.rvq.{i}.out_proj", "{t}out_proj", IMPORT_COPY, ALWAYS},

    {OVER_FACTORS, "codec.up.{i}.conv", "quantizer.upsample.{i}.0.conv", IMPORT_TRANSPOSED, ALWAYS},
    {OVER_FACTORS, "codec.up.{i}.dw", "quantizer.upsample.{i}.1.dwconv.conv", IMPORT_DEPTHWISE,
     ALWAYS},
    {OVER_FACTORS, "codec.up.{i}.norm", "quantizer.upsample.{i}.1.norm", IMPORT_VECTOR, ALWAYS},
    {OVER_FACTORS, "codec.up.{i}.pw1", "quantizer.upsample.{i}.1.pwconv1", IMPORT_COPY, ALWAYS},
    {OVER_FACTORS, "codec.up.{i}.pw2", "quantizer.upsample.{i}.1.pwconv2", IMPORT_COPY, ALWAYS},
    {OVER_FACTORS, "codec.up.{i}.gamma.weight", "quantizer.upsample.{i}.1.gamma", IMPORT_PARAMETER,
     ALWAYS},

    {OVER_ONE, "codec.dec.conv_in", "decoder.model.0.conv", IMPORT_CONV, ALWAYS},
    {OVER_RATES, "codec.dec.{i}.snake.alpha", "decoder.model.{i+1}.block.0.alpha", IMPORT_PARAMETER,
     ALWAYS},
    {OVER_RATES, "codec.dec.{i}.up", "decoder.model.{i+1}.block.1.conv", IMPORT_TRANSPOSED, ALWAYS},
    {OVER_UNITS, "codec.dec.{i}.res.{u}.snake1.alpha",
     "decoder.model.{i+1}.block.{u+2}.block.0.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_UNITS, "codec.dec.{i}.res.{u}.conv1", "decoder.model.{i+1}.block.{u+2}.block.1.conv",
     IMPORT_CONV, ALWAYS},
    {OVER_UNITS, "codec.dec.{i}.res.{u}.snake2.alpha",
     "decoder.model.{i+1}.block.{u+2}.block.2.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_UNITS, "codec.dec.{i}.res.{u}.conv2", "decoder.model.{i+1}.block.{u+2}.block.3.conv",
     IMPORT_CONV, ALWAYS},
    {OVER_END, "codec.dec.snake.alpha", "decoder.model.{i+1}.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_END, "codec.dec.conv_out", "decoder.model.{i+2}.conv", IMPORT_CONV, ALWAYS},

    {OVER_ENC_ONE, "codec.enc.conv_in", "encoder.block.0.conv", IMPORT_CONV, ALWAYS},
    {OVER_ENC_UNITS, "codec.enc.{i}.res.{u}.snake1.alpha",
     "encoder.block.{i+1}.block.{u}.block.0.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_ENC_UNITS, "codec.enc.{i}.res.{u}.conv1", "encoder.block.{i+1}.block.{u}.block.1.conv",
     IMPORT_CONV, ALWAYS},
    {OVER_ENC_UNITS, "codec.enc.{i}.res.{u}.snake2.alpha",
     "encoder.block.{i+1}.block.{u}.block.2.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_ENC_UNITS, "codec.enc.{i}.res.{u}.conv2", "encoder.block.{i+1}.block.{u}.block.3.conv",
     IMPORT_CONV, ALWAYS},
    {OVER_ENC_RATES, "codec.enc.{i}.snake.alpha", "encoder.block.{i+1}.block.3.alpha",
     IMPORT_PARAMETER, ALWAYS},
    {OVER_ENC_RATES, "codec.enc.{i}.down", "encoder.block.{i+1}.block.4.conv", IMPORT_CONV, ALWAYS},
    {OVER_ENC_END, "codec.enc.snake.alpha", "encoder.block.{i+1}.alpha", IMPORT_PARAMETER, ALWAYS},
    {OVER_ENC_END, "codec.enc.conv_out", "encoder.block.{i+2}.conv", IMPORT_CONV, ALWAYS},

    {OVER_ENC_FACTORS, "codec.down.{i}.conv", "quantizer.downsample.{i}.0.conv", IMPORT_CONV,
     ALWAYS},
    {OVER_ENC_FACTORS, "codec.down.{i}.dw", "quantizer.downsample.{i}.1.dwconv.conv",
     IMPORT_DEPTHWISE, ALWAYS},
    {OVER_ENC_FACTORS, "codec.down.{i}.norm", "quantizer.downsample.{i}.1.norm", IMPORT_VECTOR,
     ALWAYS},
    {OVER_ENC_FACTORS, "codec.down.{i}.pw1", "quantizer.downsample.{i}.1.pwconv1", IMPORT_COPY,
     ALWAYS},
    {OVER_ENC_FACTORS, "codec.down.{i}.pw2", "quantizer.downsample.{i}.1.pwconv2", IMPORT_COPY,
     ALWAYS},
    {OVER_ENC_FACTORS, "codec.down.{i}.gamma.weight", "quantizer.downsample.{i}.1.gamma",
     IMPORT_PARAMETER, ALWAYS},
};
#define N_ROW (sizeof rows / sizeof *rows)

/* --- finding source tensors --- */

struct checkpoint_tensor *import_source(const struct import *m, bool codec, const char *name)
{
    char full[2 * PATTERN_NAME];
    snprintf(full, sizeof full, "%s%s", codec ? m->codec_prefix : m->lm_prefix, name);
    return checkpoint_find(codec ? m->codec : m->lm, full);
}

/* Plain, or the direction of one of the two spellings of weight norm. */
struct checkpoint_tensor *import_weight(const struct import *m, bool codec, const char *base,
                                        struct checkpoint_tensor **g)
{
    static const char *const spelling[][2] = {
        {"weight", ""},
        {"parametrizations.weight.original1", "parametrizations.weight.original0"},
        {"weight_v", "weight_g"}};
    char name[2 * PATTERN_NAME];
    *g = NULL;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", base, spelling[i][0]);
        struct checkpoint_tensor *t = import_source(m, codec, name);
        if (!t)
            continue;
        snprintf(name, sizeof name, "%s.%s", base, spelling[i][1]);
        if (i > 0 && !(*g = import_source(m, codec, name)))
            return NULL;
        return t;
    }
    return import_source(m, codec, base); /* a codebook of a checkpoint may be a parameter */
}

/* --- the plan --- */

static bool names_apply(const struct import *m, enum names_if when, const struct pattern_place *p)
{
    switch (when) {
    case UNTIED:
        return !m->spec.lm.tied;
    case PROJECTED:
        return m->spec.lm.fast_project_in;
    case QK_NORM:
        return p->stack->qk_norm;
    case LAYER_SCALE:
        return p->stack->layer_scale;
    case ENCODER:
        return m->spec.codec.has_encoder;
    default:
        return true;
    }
}

static int plan_tensor(struct import *m, const struct import_step *s, const char *ending,
                       struct err *e)
{
    if (m->n_plan == IMPORT_MAX_PLAN)
        return err_set(e, ERR_LIMIT, "over %d tensors", IMPORT_MAX_PLAN);
    struct import_step *to = &m->plan[m->n_plan++];
    *to = *s;
    snprintf(to->name, sizeof to->name, "%.*s%s", PATTERN_NAME - 16, s->name, ending);
    return 0;
}

/* A row in one place: a tensor, or a layer's weight and its bias, if it has one. */
static int plan_row(struct import *m, const struct names_row *row, const struct pattern_place *p,
                    struct err *e)
{
    struct import_step s = {.op = row->op};
    if (!names_apply(m, row->when, p))
        return 0;
    pattern_name(row->ours, p, s.name, sizeof s.name);
    pattern_name(row->theirs, p, s.source, sizeof s.source - 16);
    s.codec = !strncmp(s.name, "codec.", 6);
    int rc = plan_tensor(m, &s, s.op == IMPORT_PARAMETER ? "" : ".weight", e);
    snprintf(s.source + strlen(s.source), 16, ".bias");
    if (rc < 0 || s.op == IMPORT_PARAMETER || !import_source(m, s.codec, s.source))
        return rc;
    s.op = IMPORT_VECTOR;
    s.bias = true;
    return plan_tensor(m, &s, ".bias", e);
}

int import_plan(struct import *m, struct err *e)
{
    struct pattern_place p;
    int rc = 0;
    for (size_t from = 0, end; from < N_ROW && rc == 0; from = end) {
        for (end = from + 1; end < N_ROW && rows[end].over == rows[from].over;)
            end++;
        for (int k = 0; k < pattern_count(rows[from].over, &m->spec) && rc == 0; k++) {
            pattern_at(rows[from].over, &m->spec, k, &p);
            for (size_t i = from; i < end && rc == 0; i++)
                rc = plan_row(m, &rows[i], &p, e);
        }
    }
    return rc;
}
