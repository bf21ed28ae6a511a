/* Hyper-parameters: from the configuration where it has them, else from the shapes of tensors. */
#include "model/import_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- config.json --- */

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
    struct checkpoint_tensor *t = import_source(m, false, "layers.0.feed_forward.w1.weight");
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

static int import_read_lm(struct import *m, struct err *e)
{
    struct spec_lm *s = &m->spec.lm;
    json_t *frontend = json_object_get(m->config, "text_frontend");
    m->spec.piece_seconds = (float)json_number_value(json_object_get(m->config, "piece_seconds"));
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
    s->fast_project_in = import_source(m, false, "fast_project_in.weight") != NULL;
    m->spec.espeak_ipa =
        frontend && json_is_string(frontend) && !strcmp(json_string_value(frontend), "espeak-ipa");
    return find_tokens(m, e);
}

/* --- modded_dac_vq.yaml --- */

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

/* What is not a number is NaN, which the check of the whole specification refuses. */
static double yaml_number(const struct import *m, const char *path, double fallback)
{
    const char *s = yaml_value(m, path);
    char *end;
    double v = s ? strtod(s, &end) : fallback;
    return s && (end == s || *end) ? NAN : v;
}

/* Out of any sensible range means -1, which the check of the whole specification refuses. */
static int yaml_int(const struct import *m, const char *path, int fallback)
{
    double v = yaml_number(m, path, fallback);
    return v >= 0 && v <= LIMIT_VOCAB ? (int)v : -1;
}

static int64_t dim_of(const struct import *m, const char *base, int axis)
{
    struct checkpoint_tensor *g, *t = import_weight(m, true, base, &g);
    return t && axis < t->n_dim ? t->shape[axis] : 0;
}

static int import_count(const struct import *m, const char *before, const char *after)
{
    char name[PATTERN_NAME + 16];
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
    struct checkpoint_tensor *table = import_source(m, true, name);
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
    char name[PATTERN_NAME + 16];
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

static int import_read_codec(struct import *m, struct err *e)
{
    struct spec_codec *c = &m->spec.codec;
    char name[PATTERN_NAME + 16];
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

int import_spec_read(struct import *m, struct err *e)
{
    int rc = import_read_lm(m, e);
    return rc < 0 ? rc : import_read_codec(m, e);
}
