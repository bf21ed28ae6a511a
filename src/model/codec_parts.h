/* codec_parts.h - the parts a codec is made of; private to codec*.c.
 *
 * A chain (decoder or encoder) works in passes of at most CODEC_PASS frames through three buffers
 * of equal size, shared by all streams of a codec: x carries the signal, work and mid are a
 * convolution's input behind its history.  Where a pass has more numbers than the weights it meets
 * (the wide end of a chain: many rows, few channels), frames go through one at a time, so that
 * they stay in the cache; hold keeps what stands between the two ends.  What lasts from pass to
 * pass is in a struct codec_carry. */
#ifndef MODEL_CODEC_PARTS_H
#define MODEL_CODEC_PARTS_H
#include "model/codec.h"
#include "model/conv.h"
#include "model/rvq.h"
#include "model/transformer.h"

#define CODEC_PASS       8 /* frames in one pass: enough to share the reading of weights */
#define CODEC_UNITS      3 /* residual units of a block */
#define CODEC_MAX_STACKS (SPEC_MAX_STAGES + 1)

struct codec_unit { /* x += conv2(snake2(conv1(snake1(x)))) */
    struct kern_slopes snake1, snake2;
    struct conv conv1, conv2;
};

struct codec_next { /* ConvNeXt: x += gamma pw2(gelu(pw1(norm(dw(x))))) */
    struct conv dw;
    struct kern_norm norm;
    const float *gamma; /* [C] */
    struct kern_linear pw1, pw2;
};

struct codec_scale { /* one stage of the quantizer's up- or downsampling */
    struct conv conv;
    struct codec_next next;
};

struct codec_stack { /* a transformer standing in the chain */
    struct transformer *t;
    const struct spec_transformer *s;
    int rows;    /* per frame */
    int i_carry; /* its cache in struct codec_carry */
};

struct codec_block { /* of the decoder: snake, conv, units; of the encoder: units, snake, conv */
    struct codec_unit unit[CODEC_UNITS];
    struct kern_slopes snake;
    struct conv conv;
    struct codec_stack stack; /* encoder; t is NULL where there is none */
};

struct codec_chain { /* weights and sizes of one direction */
    struct conv conv_in, conv_out;
    struct codec_block block[SPEC_MAX_STAGES];
    struct kern_slopes snake;
    struct codec_scale scale[SPEC_MAX_STAGES];
    struct codec_stack latent; /* post or pre */
    int n_stack;
    int n_whole;    /* decoder: blocks from here on go frame by frame; encoder: those before */
    size_t n_hold;  /* floats between the two */
    size_t n_state; /* floats of all histories */
    size_t n_work;  /* floats of each buffer for one pass */
    size_t n_work8; /* bytes that integer convolutions need for one pass */
    int max_rows;   /* of a transformer in one pass */
};

struct codec_work { /* scratch of a chain; x, mid and work hold n_work floats each */
    float *x, *work, *mid;
    float *hold; /* [n_hold] */
    void *work8;
    struct transformer_scratch *scratch[CODEC_MAX_STACKS];
    struct transformer_kv **kv; /* [max_rows] */
    int32_t *position;          /* [max_rows] */
};

struct codec_carry { /* what a stream remembers */
    float *state;    /* [n_state] */
    struct transformer_kv *kv[CODEC_MAX_STACKS];
    int n_frame;
    bool broken; /* it computed something that is not finite */
};

struct codec {
    struct spec_codec s;
    const struct codec_driver *driver; /* NULL: our kernels compute, with what follows */
    bool has_decoder, has_encoder;
    struct rvq rvq;
    struct codec_chain dec, enc;
    struct codec_work work; /* of the decoder; encoding makes its own */
    codec_probe probe;
    void *cookie;
};

struct codec_stream {
    struct codec *codec;
    struct mem_arena *arena; /* of the stream itself, too */
    void *driven;            /* the driver's; then only carry.n_frame counts */
    struct codec_carry carry;
};

/* One pass in progress. */
struct codec_pass {
    struct codec *c;
    const struct codec_chain *chain;
    struct codec_work *w;
    struct codec_carry *carry;
    struct kern_exec *exec;
    int n_row; /* rows of x now */
};

int codec_weights_load(struct codec *c, const struct load *from, const struct codec_options *o,
                       struct err *e);

int codec_work_init(struct codec_work *w, const struct codec_chain *chain, struct mem_arena *arena,
                    struct err *e); /* dies with the arena */
/* All but the caches is the arena's; done frees those, also after a failed init. */
int codec_carry_init(struct codec_carry *k, const struct codec_chain *chain,
                     struct mem_arena *arena, struct err *e);
void codec_carry_done(struct codec_carry *k, const struct codec_chain *chain);
const struct codec_stack *codec_chain_stack(const struct codec_chain *chain, int i);

/* x through one part, in place. */
void codec_run_unit(struct codec_pass *p, const struct codec_unit *u);
void codec_run_next(struct codec_pass *p, const struct codec_next *n);
void codec_run_stack(struct codec_pass *p, const struct codec_stack *s);
void codec_run_conv(struct codec_pass *p, const struct conv *c);
void codec_run_snake_conv(struct codec_pass *p, const struct kern_slopes *s, const struct conv *c);
void codec_show(struct codec_pass *p, int n_channel, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
