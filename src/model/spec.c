/* spec.c - the table of GGUF keys: each field once, for reading and for writing. */
#include "model/spec.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ARCH "openaudio-s1"

enum field_type { INT, FLOAT, BOOL, OPTIONAL };
struct field {
    const char *key;
    enum field_type type;
    size_t offset;
    int min, max; /* of INT; of OPTIONAL, a FLOAT that may be missing and is 0 then */
};

#define T(key, type, field, min, max)                                                              \
    {                                                                                              \
        key, type, offsetof(struct spec_transformer, field), min, max                              \
    }
static const struct field transformer_fields[] = {
    T("block_count", INT, n_layer, 0, LIMIT_LAYERS),
    T("embedding_length", INT, dim, 1, LIMIT_DIM),
    T("attention.head_count", INT, n_head, 1, LIMIT_DIM),
    T("attention.head_count_kv", INT, n_head_kv, 1, LIMIT_DIM),
    T("attention.key_length", INT, head_dim, 2, LIMIT_HEAD_DIM),
    T("feed_forward_length", INT, n_ff, 1, LIMIT_DIM * 8),
    T("attention.layer_norm_rms_epsilon", FLOAT, norm_eps, 0, 0),
    T("rope.freq_base", FLOAT, rope_base, 0, 0),
    T("attention.qkv_bias", BOOL, qkv_bias, 0, 0),
    T("attention.output_bias", BOOL, o_bias, 0, 0),
    T("attention.qk_norm", BOOL, qk_norm, 0, 0),
    T("layer_scale", BOOL, layer_scale, 0, 0),
    T("attention.sliding_window", INT, window, 0, 1 << 20),
    T("context_length", INT, n_position, 1, 1 << 20),
};

#define S(key, type, field, min, max)                                                              \
    {                                                                                              \
        key, type, offsetof(struct spec, field), min, max                                          \
    }
static const struct field model_fields[] = {
    S("vocab_size", INT, lm.n_vocab, 1, LIMIT_VOCAB),
    S("codebook_count", INT, lm.n_codebook, 1, LIMIT_CODEBOOKS),
    S("codebook_size", INT, lm.codebook_size, 1, LIMIT_VOCAB),
    S("tie_word_embeddings", BOOL, lm.tied, 0, 0),
    S("scale_codebook_embeddings", BOOL, lm.scale_codebook_embd, 0, 0),
    S("fast.project_in", BOOL, lm.fast_project_in, 0, 0),
    S("semantic_begin", INT, lm.semantic_begin, 0, LIMIT_VOCAB),
    S("semantic_end", INT, lm.semantic_end, 0, LIMIT_VOCAB),
    S("im_end", INT, lm.im_end, 0, LIMIT_VOCAB),
    S("codec.sample_rate", INT, codec.sample_rate, 1000, 384000),
    S("codec.encoder_dim", INT, codec.encoder_dim, 1, LIMIT_DIM),
    S("codec.decoder_dim", INT, codec.decoder_dim, 1, LIMIT_DIM),
    S("codec.latent_dim", INT, codec.latent_dim, 1, LIMIT_DIM),
    S("codec.rate_count", INT, codec.n_rate, 1, SPEC_MAX_STAGES),
    S("codec.factor_count", INT, codec.n_factor, 0, SPEC_MAX_STAGES),
    S("codec.semantic_size", INT, codec.semantic_size, 1, LIMIT_VOCAB),
    S("codec.residual_size", INT, codec.residual_size, 1, LIMIT_VOCAB),
    S("codec.codebook_dim", INT, codec.codebook_dim, 1, LIMIT_DIM),
    S("codec.has_encoder", BOOL, codec.has_encoder, 0, 0),
    S("codec.gain_db", OPTIONAL, codec.gain_db, -40, 40),
    S("text.piece_seconds", OPTIONAL, piece_seconds, 0, 60),
    S("sampling.temperature", FLOAT, sampling.temperature, 0, 0),
    S("sampling.top_p", FLOAT, sampling.top_p, 0, 0),
    S("sampling.repetition_penalty", FLOAT, sampling.repetition_penalty, 0, 0),
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

struct stack {
    const char *prefix;
    size_t offset;
};
static const struct stack stacks[] = {
    {"", offsetof(struct spec, lm.slow)},
    {"fast.", offsetof(struct spec, lm.fast)},
    {"codec.post.", offsetof(struct spec, codec.post)},
    {"codec.pre.", offsetof(struct spec, codec.pre)},
};

static int spec_read_field(const struct gguf *g, const char *prefix, const struct field *f,
                           char *base, struct err *e)
{
    char key[128];
    int64_t i = 0;
    double d = 0;
    bool b = false;
    int rc;
    snprintf(key, sizeof key, ARCH ".%s%s", prefix, f->key);
    if (f->type == INT) {
        if ((rc = gguf_get_int(g, key, f->min, f->max, &i, e)) == 0)
            *(int *)(void *)(base + f->offset) = (int)i;
    } else if (f->type == OPTIONAL) {
        if ((rc = gguf_get_float(g, key, &d, e)) == ERR_NOT_FOUND)
            return 0;
        if (rc == 0 && !(d >= f->min && d <= f->max))
            return err_set(e, ERR_FORMAT, "%s is %g, must be %d to %d", key, d, f->min, f->max);
        if (rc == 0)
            *(float *)(void *)(base + f->offset) = (float)d;
    } else if (f->type == FLOAT) {
        if ((rc = gguf_get_float(g, key, &d, e)) == 0)
            *(float *)(void *)(base + f->offset) = (float)d;
    } else if ((rc = gguf_get_bool(g, key, &b, e)) == 0) {
        *(bool *)(base + f->offset) = b;
    }
    return rc;
}

static void write_field(struct gguf_writer *w, const char *prefix, const struct field *f,
                        const char *base)
{
    char key[128];
    const void *p = base + f->offset;
    snprintf(key, sizeof key, ARCH ".%s%s", prefix, f->key);
    if (f->type == INT)
        gguf_put_int(w, key, GGUF_U32, *(const int *)p);
    else if (f->type == FLOAT || f->type == OPTIONAL)
        gguf_put_float(w, key, *(const float *)p);
    else
        gguf_put_bool(w, key, *(const bool *)p);
}

/* Checks the integers of a structure, and that those of a stack fit together. */
static int check_fields(const char *prefix, const struct field *f, size_t n, const char *base,
                        struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int v = f[i].type == INT ? *(const int *)(const void *)(base + f[i].offset) : 0;
        if (f[i].type == INT && (v < f[i].min || v > f[i].max))
            return err_set(e, ERR_FORMAT, ARCH ".%s%s is %d, must be %d to %d", prefix, f[i].key, v,
                           f[i].min, f[i].max);
    }
    return 0;
}

static int check_stack(const char *prefix, const struct spec_transformer *t, struct err *e)
{
    if (t->n_head % t->n_head_kv || t->head_dim % 2 || !(t->norm_eps > 0) || !(t->rope_base > 0))
        return err_set(
            e, ERR_FORMAT,
            "%s: %d heads of %d over %d key heads, epsilon %g, rotary base %g do not fit "
            "together",
            *prefix ? prefix : "slow", t->n_head, t->head_dim, t->n_head_kv, (double)t->norm_eps,
            (double)t->rope_base);
    return 0;
}

int spec_check(const struct spec *s, struct err *e)
{
    int rc = check_fields("", model_fields, COUNT(model_fields), (const char *)s, e);
    for (size_t i = 0; i < COUNT(stacks) && rc == 0; i++) {
        const char *t = (const char *)s + stacks[i].offset;
        rc = check_fields(stacks[i].prefix, transformer_fields, COUNT(transformer_fields), t, e);
        if (rc == 0)
            rc = check_stack(stacks[i].prefix, (const struct spec_transformer *)(const void *)t, e);
    }
    return rc;
}

static int read_stack(const struct gguf *g, const char *prefix, struct spec_transformer *t,
                      struct err *e)
{
    for (size_t i = 0; i < COUNT(transformer_fields); i++) {
        int rc = spec_read_field(g, prefix, &transformer_fields[i], (char *)t, e);
        if (rc < 0)
            return rc;
    }
    return check_stack(prefix, t, e);
}

static int read_rates(const struct gguf *g, struct spec_codec *c, struct err *e)
{
    int rc;
    int64_t hop = 1;
    size_t n;
    enum gguf_kind kind;
    if ((rc = gguf_array_len(g, ARCH ".codec.encoder_rates", &kind, &n, e)) < 0)
        return rc;
    if (n < 1 || n > SPEC_MAX_STAGES)
        return err_set(e, ERR_FORMAT, "the codec has %zu encoder rates, must be 1 to %d", n,
                       SPEC_MAX_STAGES);
    c->n_encoder_rate = (int)n;
    if ((rc = gguf_array_ints(g, ARCH ".codec.encoder_rates", c->encoder_rate, n, e)) < 0 ||
        (rc = gguf_array_ints(g, ARCH ".codec.decoder_rates", c->decoder_rate, (size_t)c->n_rate,
                              e)) < 0 ||
        (rc = gguf_array_ints(g, ARCH ".codec.encoder_layers", c->encoder_layers, n, e)) < 0 ||
        (rc = gguf_array_ints(g, ARCH ".codec.factors", c->factor, (size_t)c->n_factor, e)) < 0)
        return rc;
    int64_t up = 1;
    for (int i = 0; i < c->n_encoder_rate || i < c->n_rate; i++) {
        int down = i < c->n_encoder_rate ? c->encoder_rate[i] : 1;
        int rate = i < c->n_rate ? c->decoder_rate[i] : 1;
        if (down < 1 || rate < 1 || down > 64 || rate > 64 || hop > 65536 || up > 65536)
            return err_set(e, ERR_FORMAT,
                           "codec rates must be 1 to 64, a frame at most 65536 samples");
        hop *= down;
        up *= rate;
    }
    for (int i = 0; i < c->n_factor; i++) {
        if (c->factor[i] < 1 || c->factor[i] > 64 || hop > 65536 || up > 65536)
            return err_set(e, ERR_FORMAT,
                           "codec factors must be 1 to 64, a frame at most 65536 samples");
        hop *= c->factor[i];
        up *= c->factor[i];
    }
    if (hop != up || hop > 65536)
        return err_set(e, ERR_FORMAT, "a codec frame is %lld samples encoding, %lld decoding",
                       (long long)hop, (long long)up);
    c->frame_samples = (int)hop;
    return 0;
}

#define ALIGNMENT_HEADS ARCH ".alignment.heads"
#define ALIGNMENT_DELAY ARCH ".alignment.delay"

/* The alignment heads; a file may have none. */
static int read_alignment(const struct gguf *g, struct spec *s, struct err *e)
{
    struct spec_alignment *a = &s->alignment;
    enum gguf_kind kind;
    size_t n;
    double delay;
    int32_t pairs[2 * SPEC_MAX_ALIGNMENT];
    int rc = gguf_array_len(g, ALIGNMENT_HEADS, &kind, &n, e);
    if (rc == ERR_NOT_FOUND) {
        *e = (struct err){0};
        return 0;
    }
    if (rc == 0 && (n % 2 || n > 2 * SPEC_MAX_ALIGNMENT))
        return err_set(e, ERR_FORMAT, ALIGNMENT_HEADS " has %zu numbers, must be pairs, at most %d",
                       n, SPEC_MAX_ALIGNMENT);
    if (rc < 0 || (rc = gguf_array_ints(g, ALIGNMENT_HEADS, pairs, n, e)) < 0 ||
        (rc = gguf_get_float(g, ALIGNMENT_DELAY, &delay, e)) < 0)
        return rc;
    if (!(delay >= -1 && delay <= 1))
        return err_set(e, ERR_FORMAT, ALIGNMENT_DELAY " is %g s, must be -1 to 1", delay);
    a->n_head = (int)n / 2;
    a->delay_s = (float)delay;
    for (int i = 0; i < a->n_head; i++) {
        struct spec_head h = a->head[i] = (struct spec_head){pairs[2 * i], pairs[2 * i + 1]};
        if (h.layer < 0 || h.layer >= s->lm.slow.n_layer || h.head < 0 ||
            h.head >= s->lm.slow.n_head)
            return err_set(e, ERR_FORMAT,
                           ALIGNMENT_HEADS " names head %d of layer %d, there are %d of %d", h.head,
                           h.layer, s->lm.slow.n_head, s->lm.slow.n_layer);
    }
    return 0;
}

void spec_write_alignment(const struct spec_alignment *a, struct gguf_writer *w)
{
    int32_t pairs[2 * SPEC_MAX_ALIGNMENT];
    for (int i = 0; i < a->n_head; i++) {
        pairs[2 * i] = a->head[i].layer;
        pairs[2 * i + 1] = a->head[i].head;
    }
    gguf_put_ints(w, ALIGNMENT_HEADS, pairs, 2 * (size_t)a->n_head);
    gguf_put_float(w, ALIGNMENT_DELAY, a->delay_s);
}

bool spec_is_alignment(const char *key)
{
    return !strcmp(key, ALIGNMENT_HEADS) || !strcmp(key, ALIGNMENT_DELAY);
}

int spec_read(const struct gguf *g, struct spec *s, struct err *e)
{
    const char *arch, *frontend;
    char prefix[32];
    int rc;
    memset(s, 0, sizeof *s);
    if ((rc = gguf_get_string(g, "general.architecture", &arch, e)) < 0)
        return rc;
    if (strcmp(arch, ARCH))
        return err_set(e, ERR_UNSUPPORTED, "model architecture is \"%.64s\", must be \"" ARCH "\"",
                       arch);
    for (size_t i = 0; i < COUNT(model_fields); i++)
        if ((rc = spec_read_field(g, "", &model_fields[i], (char *)s, e)) < 0)
            return rc;
    for (size_t i = 0; i < COUNT(stacks); i++)
        if ((rc = read_stack(g, stacks[i].prefix,
                             (struct spec_transformer *)(void *)((char *)s + stacks[i].offset),
                             e)) < 0)
            return rc;
    s->codec.n_codebook = s->lm.n_codebook;
    if ((rc = read_rates(g, &s->codec, e)) < 0)
        return rc;
    for (int i = 0; i < s->codec.n_encoder_rate; i++) {
        snprintf(prefix, sizeof prefix, "codec.enc.%d.", i);
        if (s->codec.encoder_layers[i] && s->codec.has_encoder &&
            (rc = read_stack(g, prefix, &s->codec.enc[i], e)) < 0)
            return rc;
    }
    if ((rc = gguf_get_string(g, ARCH ".text_frontend", &frontend, e)) < 0)
        return rc;
    s->espeak_ipa = !strcmp(frontend, "espeak-ipa");
    if (s->lm.semantic_end - s->lm.semantic_begin + 1 > s->lm.codebook_size ||
        s->lm.semantic_end < s->lm.semantic_begin || s->lm.semantic_end >= s->lm.n_vocab ||
        s->lm.im_end >= s->lm.n_vocab)
        return err_set(e, ERR_FORMAT, "semantic tokens %d to %d do not fit %d codes and %d tokens",
                       s->lm.semantic_begin, s->lm.semantic_end, s->lm.codebook_size,
                       s->lm.n_vocab);
    return read_alignment(g, s, e);
}

void spec_write(const struct spec *s, struct gguf_writer *w)
{
    char prefix[32];
    const struct spec_codec *c = &s->codec;
    const char *frontend = s->espeak_ipa ? "espeak-ipa" : "none";
    gguf_put_string(w, "general.architecture", ARCH, strlen(ARCH));
    for (size_t i = 0; i < COUNT(model_fields); i++)
        write_field(w, "", &model_fields[i], (const char *)s);
    for (size_t i = 0; i < COUNT(stacks); i++)
        for (size_t j = 0; j < COUNT(transformer_fields); j++)
            write_field(w, stacks[i].prefix, &transformer_fields[j],
                        (const char *)s + stacks[i].offset);
    for (int i = 0; i < c->n_encoder_rate; i++) {
        snprintf(prefix, sizeof prefix, "codec.enc.%d.", i);
        for (size_t j = 0; c->encoder_layers[i] && j < COUNT(transformer_fields); j++)
            write_field(w, prefix, &transformer_fields[j], (const char *)&c->enc[i]);
    }
    gguf_put_ints(w, ARCH ".codec.encoder_rates", c->encoder_rate, (size_t)c->n_encoder_rate);
    gguf_put_ints(w, ARCH ".codec.decoder_rates", c->decoder_rate, (size_t)c->n_rate);
    gguf_put_ints(w, ARCH ".codec.encoder_layers", c->encoder_layers, (size_t)c->n_encoder_rate);
    gguf_put_ints(w, ARCH ".codec.factors", c->factor, (size_t)c->n_factor);
    gguf_put_string(w, ARCH ".text_frontend", frontend, strlen(frontend));
}

/* A transformer of the codec: three of them differ in depth, window and length only. */
#define S1_CODEC_STACK(layers, reach, positions)                                                   \
    {                                                                                              \
        .n_layer = layers, .dim = 1024, .n_head = 16, .n_head_kv = 16, .head_dim = 64,             \
        .n_ff = 3072, .norm_eps = 1e-5f, .rope_base = 10000, .layer_scale = true, .window = reach, \
        .n_position = positions                                                                    \
    }

static const struct spec s1_mini = {
    .lm = {.slow = {.n_layer = 28,
                    .dim = 1024,
                    .n_head = 16,
                    .n_head_kv = 8,
                    .head_dim = 128,
                    .n_ff = 3072,
                    .norm_eps = 1e-6f,
                    .rope_base = 1000000,
                    .qk_norm = true,
                    .n_position = 8192},
           .fast = {.n_layer = 4,
                    .dim = 1024,
                    .n_head = 16,
                    .n_head_kv = 8,
                    .head_dim = 64,
                    .n_ff = 3072,
                    .norm_eps = 1e-6f,
                    .rope_base = 1000000,
                    .n_position = 10},
           .n_vocab = 155776,
           .n_codebook = 10,
           .codebook_size = 4096,
           .tied = false,
           .scale_codebook_embd = true},
    .codec = {.sample_rate = 44100,
              .frame_samples = 2048,
              .encoder_dim = 64,
              .decoder_dim = 1536,
              .latent_dim = 1024,
              .n_rate = 4,
              .n_encoder_rate = 4,
              .encoder_rate = {2, 4, 8, 8},
              .decoder_rate = {8, 8, 4, 2},
              .encoder_layers = {0, 0, 0, 4},
              .n_factor = 2,
              .factor = {2, 2},
              .n_codebook = 10,
              .semantic_size = 4096,
              .residual_size = 1024,
              .codebook_dim = 8,
              .post = S1_CODEC_STACK(8, 128, 4096),
              .pre = S1_CODEC_STACK(8, 128, 4096),
              .enc[3] = S1_CODEC_STACK(4, 512, 16384),
              .has_encoder = true},
    .sampling = {0.8f, 0.8f, 1.1f},
};

void spec_s1_mini(struct spec *s)
{
    *s = s1_mini;
}
