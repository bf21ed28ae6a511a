/* codec.h - the modified DAC codec: PCM <-> codes, whole clips or frame by frame.
 *
 * One frame = spec frame_samples (2048) of mono f32 PCM = Q codes.  Codes are [Q, T]: codebook
 * first, as the reference stores them.  Inside, activations are time first [T, C].
 * Source: fish_speech/models/dac/modded_dac.py and rvq.py of the S1 era; docs/MODEL.md.
 *
 *     codec_stream_new(codec, &s, &e);
 *     while (next frame) codec_decode(codec, s, codes, 1, pcm, exec);
 *     codec_stream_free(s);
 *
 * Threads: a codec is shared and read-only; streams, encode and calls with an executor belong to
 * the engine thread. */
#ifndef MODEL_CODEC_H
#define MODEL_CODEC_H
#include "kernels/kern.h"
#include "model/load.h"
#include "model/spec.h"

struct codec; /* in the arena of its weights, with its scratch */
struct codec_options {
    bool decoder, encoder;
};
int codec_load(const struct load *from, const struct spec_codec *s, const struct codec_options *o,
               struct codec **ret, struct err *e);

/* What computes one direction in the place of our kernels; a driver outlives the codec. */
struct codec_stretch {
    int first, n_frame; /* frames before it, and of it: at most 32 */
    int32_t *codes;     /* [Q, n_frame] */
    float *pcm;         /* [n_frame * frame_samples] */
};
struct codec_driver {
    void *self;
    void *(*stream_new)(void *self); /* NULL: out of memory */
    void (*stream_reset)(void *self, void *stream);
    void (*stream_free)(void *self, void *stream); /* NULL is fine */
    void (*run)(void *self, void *stream, const struct codec_stretch *t);
};
/* In the arena, like codec_load's. */
int codec_new_driven(const struct codec_driver *d, const struct spec_codec *s,
                     struct mem_arena *arena, bool encoder, struct codec **ret, struct err *e);

/* State of one decoding stream: everything convolutions and attention carry over. */
struct codec_stream;
int codec_stream_new(struct codec *c, struct codec_stream **ret, struct err *e);
void codec_stream_free(struct codec_stream *s);
void codec_stream_reset(struct codec_stream *s); /* start anew; keeps memory */
/* Whether all samples since the start were finite; else the weights are damaged, and the sound is
 * not to be used. */
bool codec_stream_is_finite(const struct codec_stream *s);
int codec_max_frames(const struct codec *c); /* of one stream: rows of the rotary table */

/* Decode T more frames; any split of the same codes gives the same samples, bit for bit.
 * codes [Q, T]; entries beyond their codebook count as its last entry, negative ones as 0.
 * pcm [T * frame_samples].  The stream must have room: frames + T <= codec_max_frames. */
void codec_decode(struct codec *c, struct codec_stream *s, const int32_t *codes, int n_frame,
                  float *pcm, struct kern_exec *x);

/* Encode a clip (zero-padded to whole frames): codes [Q, T], T = codec_n_frames(c, n_sample).
 * ERR_UNSUPPORTED without an encoder, ERR_LIMIT when longer than the rotary tables, ERR_MEMORY,
 * ERR_IO when what the encoder computes is not finite. */
int codec_max_encode_frames(const struct codec *c);
int codec_n_frames(const struct codec *c, size_t n_sample);
int codec_encode(struct codec *c, const float *pcm, size_t n_sample, int32_t *codes,
                 struct kern_exec *x, struct err *e);

/* The same in steps of at most 8 frames, so that other work may be done between them; pcm and codes
 * are those of the whole clip.  A step returns whether there are more. */
struct codec_encoding;
int codec_encoding_new(struct codec *c, size_t n_sample, struct codec_encoding **ret,
                       struct err *e);
bool codec_encoding_step(struct codec_encoding *g, const float *pcm, int32_t *codes,
                         struct kern_exec *x);
/* After the last step: ERR_IO when what was computed is not finite. */
int codec_encoding_check(const struct codec_encoding *g, struct err *e);
void codec_encoding_free(struct codec_encoding *g); /* NULL is fine */

/* Looks at a stage of the codec: model/model_test.h. */
typedef void (*codec_probe)(void *cookie, const char *stage, const float *data, int n_row,
                            int n_channel);

#endif
