/* The codec against the original's numbers: every stage of decoding and encoding. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "golden/golden.h"
#include "model/model_test.h"

#define MAX_STAGES 64

struct stage {
    char name[64];
    float *data;
    int n_row, n_channel;
}; /* [n_row, n_channel] */
struct seen {
    struct stage stage[MAX_STAGES];
    int n;
};

/* Stages come in passes: put their rows one after the other. */
static void collect(void *cookie, const char *name, const float *data, int n_row, int n_channel)
{
    struct seen *s = cookie;
    int i = 0;
    while (i < s->n && strcmp(s->stage[i].name, name))
        i++;
    if (i == MAX_STAGES)
        return;
    struct stage *g = &s->stage[i];
    if (i == s->n) {
        *g = (struct stage){.n_channel = n_channel};
        snprintf(g->name, sizeof g->name, "%s", name);
        s->n++;
    }
    size_t old = (size_t)g->n_row * (size_t)n_channel, add = (size_t)n_row * (size_t)n_channel;
    float *grown = mem_grow(g->data, old + add, sizeof *grown);
    if (!grown)
        return;
    memcpy(grown + old, data, add * sizeof *grown);
    g->data = grown;
    g->n_row += n_row;
}

static void forget(struct seen *s)
{
    for (int i = 0; i < s->n; i++)
        mem_free(s->stage[i].data);
    s->n = 0;
}

/* want [n_channel, n_row] against the last n_row rows of a stage. */
static void check_stage(struct golden *g, const struct seen *s, const char *stage,
                        const char *label, const float *want, const int shape[2])
{
    for (int i = 0; i < s->n; i++) {
        const struct stage *k = &s->stage[i];
        if (strcmp(k->name, stage))
            continue;
        if (k->n_channel != shape[0] || k->n_row < shape[1])
            break;
        size_t n_row = (size_t)shape[1], n = (size_t)shape[0] * n_row;
        const float *rows = k->data + ((size_t)k->n_row - n_row) * (size_t)k->n_channel;
        float *turned = mem_alloc(n * sizeof *turned);
        for (size_t j = 0; j < n; j++)
            turned[j] = rows[j % n_row * (size_t)shape[0] + j / n_row];
        golden_relative(g, label, turned, want, n);
        mem_free(turned);
        return;
    }
    golden_fail(g, label, "stage is missing or has another shape");
}

static void check_file(struct golden *g, const struct seen *s, const char *stage, const char *file)
{
    struct npy a;
    if (golden_npy(g, file, &a) < 0)
        return;
    int shape[2] = {a.shape[0], a.shape[1]};
    check_stage(g, s, stage, file, a.f, shape);
    npy_done(&a);
}

/* FILE holds stages one after the other, FILE_shape their index, channels and rows. */
static void check_stages(struct golden *g, const struct seen *s, const char *chain,
                         const char *file)
{
    char name[64];
    struct npy all, shapes;
    snprintf(name, sizeof name, "%s_shape", file);
    if (golden_npy(g, file, &all) < 0)
        return;
    if (golden_npy(g, name, &shapes) == 0) {
        const float *want = all.f;
        for (int i = 0; i < shapes.shape[0]; i++) {
            const int32_t *row = shapes.i + 3 * i;
            int shape[2] = {row[1], row[2]};
            snprintf(name, sizeof name, "%s.%d", chain, row[0]);
            check_stage(g, s, name, name, want, shape);
            want += (size_t)row[1] * (size_t)row[2];
        }
        npy_done(&shapes);
    }
    npy_done(&all);
}

/* --- decoding --------------------------------------------------------------------------------- */

/* Decode the first n_frame columns of codes [>= first_row + Q, n_column] from the start. */
static float *decode(struct golden *g, const struct npy *codes, int first_row, int n_frame)
{
    struct codec *c = g->codec;
    struct codec_stream *s;
    struct err e = {0};
    size_t q = (size_t)g->spec.codec.n_codebook, n = (size_t)n_frame;
    float *pcm = mem_alloc(n * (size_t)g->spec.codec.frame_samples * sizeof *pcm);
    int32_t *part = mem_alloc(q * n * sizeof *part);
    for (size_t i = 0; i < q; i++)
        memcpy(part + i * n, codes->i + ((size_t)first_row + i) * (size_t)codes->shape[1],
               n * sizeof *part);
    if (codec_stream_new(c, &s, &e) < 0) {
        golden_fail(g, "codec_stream_new", e.msg);
    } else {
        codec_decode(c, s, part, n_frame, pcm, g->exec);
        codec_stream_free(s);
    }
    mem_free(part);
    return pcm;
}

static void decode_case(struct golden *g, struct seen *s, const char *file, int n_frame,
                        const char *wav)
{
    struct npy codes, want;
    forget(s);
    if (golden_npy(g, file, &codes) < 0)
        return;
    if (n_frame == 0)
        n_frame = codes.shape[1];
    float *pcm = decode(g, &codes, 0, n_frame);
    if (wav && golden_npy(g, wav, &want) == 0) {
        size_t n = (size_t)n_frame * (size_t)g->spec.codec.frame_samples;
        golden_absolute(g, wav, pcm + n - want.n, want.f, want.n, 1e-4);
        npy_done(&want);
    }
    mem_free(pcm);
    npy_done(&codes);
}

static void end_to_end(struct golden *g)
{
    struct npy codes, want;
    if (golden_npy(g, "gen_greedy", &codes) < 0)
        return;
    if (golden_npy(g, "e2e_wav", &want) == 0) {
        int n_frame = (int)(want.n / (size_t)g->spec.codec.frame_samples);
        float *pcm = decode(g, &codes, 1, n_frame);
        for (size_t i = 0; i < want.n; i++) {
            pcm[i] = rintf(pcm[i] * 32767.0f);
            want.f[i] = (float)want.i[i];
        }
        golden_absolute(g, "e2e_wav", pcm, want.f, want.n, 8);
        mem_free(pcm);
        npy_done(&want);
    }
    npy_done(&codes);
}

/* --- encoding --------------------------------------------------------------------------------- */

static void encode_case(struct golden *g, struct seen *s, const char *name, float scale)
{
    char file[64];
    struct npy wav, codes, margin;
    struct err e = {0};
    forget(s);
    snprintf(file, sizeof file, "%s_wav", name);
    if (golden_npy(g, file, &wav) < 0)
        return;
    snprintf(file, sizeof file, "%s_margin", name);
    int r = golden_npy(g, file, &margin);
    snprintf(file, sizeof file, "%s_codes", name);
    if (r == 0 && golden_npy(g, file, &codes) == 0) {
        int32_t *got = mem_alloc(codes.n * sizeof *got);
        int n_wrong = 0;
        for (size_t i = 0; i < wav.n; i++)
            wav.f[i] = (float)wav.i[i] / scale;
        if (codec_n_frames(g->codec, wav.n) != codes.shape[1])
            golden_fail(g, file, "another number of frames");
        else if (codec_encode(g->codec, wav.f, wav.n, got, g->exec, &e) < 0)
            golden_fail(g, file, e.msg);
        for (size_t i = 0; i < codes.n; i++)
            n_wrong += got[i] != codes.i[i] && margin.f[i] > 1e-4f;
        g->n_check++;
        if (n_wrong)
            golden_fail(g, file, "codes differ");
        mem_free(got);
        npy_done(&codes);
    }
    if (r == 0)
        npy_done(&margin);
    npy_done(&wav);
}

int golden_codec(struct golden *g)
{
    struct seen *s = mem_alloc(sizeof *s);
    codec_set_probe(g->codec, collect, s);
    decode_case(g, s, "codec_codes", 0, "codec_wav");
    check_file(g, s, "zq", "codec_zq");
    check_file(g, s, "post", "codec_post");
    check_file(g, s, "z", "codec_z");
    decode_case(g, s, "codec_codes", 1, NULL);
    check_stages(g, s, "dec", "codec_dec_stages");
    decode_case(g, s, "codec_clamp_codes", 0, NULL);
    check_file(g, s, "zq", "codec_clamp_zq");
    decode_case(g, s, "codec_long_codes", 0, "codec_long_wav_tail");
    check_file(g, s, "post", "codec_long_post");
    end_to_end(g);
    if (g->spec.codec.has_encoder) {
        encode_case(g, s, "enc", 32768);
        check_file(g, s, "latent", "enc_latent");
        check_file(g, s, "down", "enc_down");
        check_file(g, s, "pre", "enc_pre");
        encode_case(g, s, "enc_short", 32768);
        check_stages(g, s, "enc", "enc_short_stages");
        encode_case(g, s, "enc_long", 128);
        check_file(g, s, "latent", "enc_long_latent_tail");
        check_file(g, s, "pre", "enc_long_pre");
    }
    forget(s);
    codec_set_probe(g->codec, NULL, NULL);
    mem_free(s);
    return 0;
}
