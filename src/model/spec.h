/* spec.h - what an S1 model is: every hyper-parameter, and the names it has in our GGUF.
 *
 * spec_read turns the metadata of a GGUF into a struct spec and checks every value;
 * import writes the same keys (spec_write), so the key names stand in spec.c alone.
 * docs/MODEL.md lists the keys and tensor names.
 *
 * Letters: T time, C channels, H query heads, K key/value heads, D head dimension, V vocabulary,
 * Q codebooks. */
#ifndef MODEL_SPEC_H
#define MODEL_SPEC_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/limits.h"
#include "formats/gguf.h"

#define SPEC_MAX_STAGES    8 /* up- or downsampling stages */
#define SPEC_MAX_ALIGNMENT 8 /* heads */

struct spec_transformer { /* one stack of blocks, wherever it stands */
    int n_layer, dim, n_head, n_head_kv, head_dim, n_ff;
    float norm_eps, rope_base;
    bool qkv_bias, o_bias, qk_norm;
    bool layer_scale; /* codec: each branch times a learned vector */
    int window;       /* 0: full causal; else position i sees i-window+1..i */
    int n_position;   /* rows of the rotary table: positions beyond cannot be used */
};

struct spec_lm {
    struct spec_transformer slow, fast;
    int n_vocab;              /* rows of the token embedding, padding included */
    int n_codebook;           /* Q; 1 semantic + Q-1 residual */
    int codebook_size;        /* rows per codebook in the codebook embedding = semantic size */
    bool tied;                /* output = token embedding */
    bool scale_codebook_embd; /* divide the sum by sqrt(Q + 1) */
    bool fast_project_in;     /* linear with bias from slow to fast dim */
    int semantic_begin, semantic_end; /* token ids, inclusive */
    int im_end;                       /* <|im_end|> */
};

struct spec_codec {
    int sample_rate;   /* Hz */
    int frame_samples; /* hop of one frame: product of rates and of factors */
    int encoder_dim, decoder_dim, latent_dim;
    int n_rate, n_encoder_rate; /* blocks of the decoder, of the encoder */
    int encoder_rate[SPEC_MAX_STAGES], decoder_rate[SPEC_MAX_STAGES];
    int encoder_layers[SPEC_MAX_STAGES];   /* transformer layers closing each encoder block */
    int n_factor, factor[SPEC_MAX_STAGES]; /* downsampling of the quantizer, in encoding order */
    int n_codebook;                        /* Q, semantic included */
    int semantic_size, residual_size, codebook_dim;
    struct spec_transformer post, pre;
    struct spec_transformer enc[SPEC_MAX_STAGES]; /* n_layer 0 where there is none */
    bool has_encoder;                             /* false: decoding only */
    float gain_db; /* that brings its speech to FINISH_LUFS; 0: not known */
};

struct spec_sampling {
    float temperature, top_p, repetition_penalty;
};

struct spec_head {
    int layer, head;
};
/* Heads of the slow transformer that attend to the text being said, as `jabbertts calibrate
 * --alignment` found them. */
struct spec_alignment {
    int n_head; /* 0: none is known */
    struct spec_head head[SPEC_MAX_ALIGNMENT];
    float delay_s; /* from a frame's begin to what these heads attend to when it is made */
};

struct spec {
    struct spec_lm lm;
    struct spec_alignment alignment;
    struct spec_codec codec;
    struct spec_sampling
        sampling;        /* recommended; S1-mini's 0.8 0.8 1.1 when the file says nothing */
    bool espeak_ipa;     /* text_frontend: the model reads IPA */
    float piece_seconds; /* length of the sentences it was trained on; 0: not known */
};

int spec_read(const struct gguf *g, struct spec *s, struct err *e);
/* Checks a configuration before it is written, as spec_read would. */
int spec_check(const struct spec *s, struct err *e);
void spec_write(const struct spec *s, struct gguf_writer *w);
void spec_write_alignment(const struct spec_alignment *a, struct gguf_writer *w);
bool spec_is_alignment(const char *key); /* one that spec_write_alignment writes */
/* The dimensions of S1-mini (openaudio-s1-mini config.json and modded_dac_vq.yaml). */
void spec_s1_mini(struct spec *s);

#endif
