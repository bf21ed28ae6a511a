/* test_codec.c - a small random codec: splits, threads, clamping, encoding, missing tensors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/mem.h"
#include "model/codec.h"
#include "base/mem_test.h"

#define N_FRAME     29 /* more than window and pass */
#define MAX_TENSOR  512
#define ARENA_CHUNK (1 << 20)

/* Sizes that have nothing in common with S1-mini's: odd rates, one factor, uneven channels. */
static const struct spec_codec small = {
    .sample_rate = 8000,
    .frame_samples = 18,
    .encoder_dim = 4,
    .decoder_dim = 20,
    .latent_dim = 24,
    .n_rate = 2,
    .n_encoder_rate = 2,
    .encoder_rate = {2, 3},
    .decoder_rate = {3, 2},
    .encoder_layers = {0, 1},
    .n_factor = 1,
    .factor = {3},
    .n_codebook = 3,
    .semantic_size = 37,
    .residual_size = 19,
    .codebook_dim = 5,
    .has_encoder = true,
    .post = {.n_layer = 2,
             .dim = 24,
             .n_head = 3,
             .n_head_kv = 3,
             .head_dim = 8,
             .n_ff = 40,
             .norm_eps = 1e-5f,
             .rope_base = 10000,
             .layer_scale = true,
             .window = 5,
             .n_position = 64},
    .pre = {.n_layer = 1,
            .dim = 24,
            .n_head = 3,
            .n_head_kv = 3,
            .head_dim = 8,
            .n_ff = 40,
            .norm_eps = 1e-5f,
            .rope_base = 10000,
            .layer_scale = true,
            .window = 5,
            .n_position = 40},
    .enc[1] = {.n_layer = 1,
               .dim = 16,
               .n_head = 2,
               .n_head_kv = 2,
               .head_dim = 8,
               .n_ff = 48,
               .norm_eps = 1e-5f,
               .rope_base = 10000,
               .layer_scale = true,
               .window = 7,
               .n_position = 512},
};

/* --- a random model file ---------------------------------------------------------------------- */

struct maker {
    struct gguf_writer *w;
    const char *omit; /* leave this tensor out */
    size_t n[MAX_TENSOR];
    float top[MAX_TENSOR]; /* of the tensor's numbers, so that sound neither dies nor saturates */
    int n_tensor;
};

static uint32_t random_state;

static float random_float(void) /* -0.5..0.5 */
{
    random_state = random_state * 1664525u + 1013904223u;
    return (float)(random_state >> 8) / 16777216.0f - 0.5f;
}

static void tensor(struct maker *m, int64_t out, int64_t tap, int64_t in, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* tap 0: a matrix; out 0 too: a vector. */
static void tensor(struct maker *m, int64_t out, int64_t tap, int64_t in, const char *format, ...)
{
    char name[128];
    va_list args;
    struct err e = {0};
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if (m->omit && !strcmp(m->omit, name))
        return;
    int64_t ne[3] = {in, tap > 0 ? tap : out, out};
    int n_dim = out == 0 ? 1 : tap == 0 ? 2 : 3;
    assert_true(m->n_tensor < MAX_TENSOR);
    size_t n_in = (size_t)(in * (tap > 0 ? tap : 1));
    m->top[m->n_tensor] = out > 0 ? 1.2 / sqrtf((float)n_in) : 0.5f;
    m->n[m->n_tensor++] = n_in * (size_t)(out > 0 ? out : 1);
    assert_int_equal(0, gguf_writer_tensor(m->w, name, KERN_F32, n_dim, ne, &e));
}

static void conv(struct maker *m, const char *name, int out, int tap, int in, int n_bias)
{
    tensor(m, out, tap, in, "codec.%s.weight", name);
    tensor(m, 0, 0, n_bias, "codec.%s.bias", name);
}

static void stack(struct maker *m, const char *prefix, const struct spec_transformer *s)
{
    int n_qkv = (s->n_head + 2 * s->n_head_kv) * s->head_dim;
    for (int i = 0; i < s->n_layer; i++) {
        tensor(m, 0, 0, s->dim, "%sblk.%d.attn_norm.weight", prefix, i);
        tensor(m, n_qkv, 0, s->dim, "%sblk.%d.attn_qkv.weight", prefix, i);
        tensor(m, s->dim, 0, s->n_head * s->head_dim, "%sblk.%d.attn_output.weight", prefix, i);
        tensor(m, 0, 0, s->dim, "%sblk.%d.attn_scale.weight", prefix, i);
        tensor(m, 0, 0, s->dim, "%sblk.%d.ffn_norm.weight", prefix, i);
        tensor(m, s->n_ff, 0, s->dim, "%sblk.%d.ffn_gate.weight", prefix, i);
        tensor(m, s->n_ff, 0, s->dim, "%sblk.%d.ffn_up.weight", prefix, i);
        tensor(m, s->dim, 0, s->n_ff, "%sblk.%d.ffn_down.weight", prefix, i);
        tensor(m, 0, 0, s->dim, "%sblk.%d.ffn_scale.weight", prefix, i);
    }
    tensor(m, 0, 0, s->dim, "%soutput_norm.weight", prefix);
}

static void next(struct maker *m, const char *prefix, int n)
{
    char name[64];
    tensor(m, 7, 0, n, "codec.%s.dw.weight", prefix);
    tensor(m, 0, 0, n, "codec.%s.dw.bias", prefix);
    tensor(m, 0, 0, n, "codec.%s.norm.weight", prefix);
    tensor(m, 0, 0, n, "codec.%s.norm.bias", prefix);
    tensor(m, 0, 0, n, "codec.%s.gamma.weight", prefix);
    snprintf(name, sizeof name, "%s.pw1", prefix);
    conv(m, name, 4 * n, 0, n, 4 * n);
    snprintf(name, sizeof name, "%s.pw2", prefix);
    conv(m, name, n, 0, 4 * n, n);
}

static void units(struct maker *m, const char *chain, int block, int n)
{
    char name[64];
    for (int i = 0; i < 3; i++) {
        tensor(m, 0, 0, n, "codec.%s.%d.res.%d.snake1.alpha", chain, block, i);
        snprintf(name, sizeof name, "%s.%d.res.%d.conv1", chain, block, i);
        conv(m, name, n, 7, n, n);
        tensor(m, 0, 0, n, "codec.%s.%d.res.%d.snake2.alpha", chain, block, i);
        snprintf(name, sizeof name, "%s.%d.res.%d.conv2", chain, block, i);
        conv(m, name, n, 1, n, n);
    }
}

static void declare(struct maker *m)
{
    const struct spec_codec *s = &small;
    char name[64];
    int n = s->decoder_dim, c = s->encoder_dim;
    for (int i = 0; i < s->n_codebook; i++) {
        tensor(m, i ? s->residual_size : s->semantic_size, 0, s->codebook_dim,
               "codec.rvq.%d.codebook.weight", i);
        snprintf(name, sizeof name, "rvq.%d.in_proj", i);
        conv(m, name, s->codebook_dim, 0, s->latent_dim, s->codebook_dim);
        snprintf(name, sizeof name, "rvq.%d.out_proj", i);
        conv(m, name, s->latent_dim, 0, s->codebook_dim, s->latent_dim);
    }
    conv(m, "up.0.conv", 3 * s->latent_dim, 1, s->latent_dim, s->latent_dim);
    next(m, "up.0", s->latent_dim);
    conv(m, "down.0.conv", s->latent_dim, 3, s->latent_dim, s->latent_dim);
    next(m, "down.0", s->latent_dim);
    conv(m, "dec.conv_in", n, 7, s->latent_dim, n);
    conv(m, "enc.conv_in", c, 7, 1, c);
    for (int i = 0; i < s->n_rate; i++, n /= 2, c *= 2) {
        tensor(m, 0, 0, n, "codec.dec.%d.snake.alpha", i);
        snprintf(name, sizeof name, "dec.%d.up", i);
        conv(m, name, s->decoder_rate[i] * (n / 2), 2, n, n / 2);
        units(m, "dec", i, n / 2);
        units(m, "enc", i, c);
        tensor(m, 0, 0, c, "codec.enc.%d.snake.alpha", i);
        snprintf(name, sizeof name, "enc.%d.down", i);
        conv(m, name, 2 * c, 2 * s->encoder_rate[i], c, 2 * c);
    }
    tensor(m, 0, 0, n, "codec.dec.snake.alpha");
    conv(m, "dec.conv_out", 1, 7, n, 1);
    tensor(m, 0, 0, c, "codec.enc.snake.alpha");
    conv(m, "enc.conv_out", s->latent_dim, 3, c, s->latent_dim);
    stack(m, "codec.post.", &s->post);
    stack(m, "codec.pre.", &s->pre);
    stack(m, "codec.enc.1.tf.", &s->enc[1]);
}

static struct gguf *make_model(const char *omit)
{
    char path[] = "/tmp/test_codec_XXXXXX";
    struct maker m = {.omit = omit};
    struct gguf *g = NULL;
    struct err e = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    random_state = 1;
    assert_int_equal(0, gguf_writer_new(path, &m.w, &e));
    gguf_put_string(m.w, "general.architecture", "test", 4);
    declare(&m);
    assert_int_equal(0, gguf_writer_begin(m.w, &e));
    for (int i = 0; i < m.n_tensor; i++) {
        float *data = mem_alloc(m.n[i] * sizeof *data);
        for (size_t j = 0; j < m.n[i]; j++)
            data[j] = random_float() * 2 * m.top[i];
        assert_int_equal(0, gguf_writer_data(m.w, data, m.n[i] * sizeof *data, &e));
        mem_free(data);
    }
    assert_int_equal(0, gguf_writer_finish(m.w, &e));
    gguf_writer_free(m.w);
    assert_int_equal(0, gguf_open(path, &g, &e));
    unlink(path);
    return g;
}

struct fixture {
    struct gguf *g;
    struct pool *pool;
    struct kern_exec *x;
    struct mem_arena *arena;
    struct codec *c;
};

static enum kern_type fixture_type = KERN_F32; /* of the next fixture; q8_0: integer convolutions */

static int open_fixture(struct fixture *f, int n_thread, const char *omit, struct err *e)
{
    struct codec_options o = {true, true};
    *f = (struct fixture){.g = make_model(omit)};
    assert_int_equal(0, pool_new(n_thread, &f->pool, e));
    assert_int_equal(0, kern_exec_new(NULL, f->pool, &f->x, e));
    f->arena = mem_arena_new(ARENA_CHUNK);
    struct load from = {f->g, "", f->x, fixture_type, f->arena};
    return codec_load(&from, &small, &o, &f->c, e);
}

static void close_fixture(struct fixture *f)
{
    mem_arena_free(f->arena);
    kern_exec_free(f->x);
    pool_free(f->pool);
    gguf_close(f->g);
}

/* --- decoding --------------------------------------------------------------------------------- */

static void fill_codes(int32_t *codes, int n)
{
    random_state = 7;
    for (int i = 0; i < n; i++)
        codes[i] = (int32_t)((random_float() + 0.5f) * 19);
}

/* Decode `codes` of `total` frames in pieces of `first`, then `step` frames. */
static void decode(struct fixture *f, struct codec_stream *s, const int32_t *codes, int total,
                   int first, int step, float *pcm)
{
    int q = small.n_codebook;
    for (int t = 0, n = first; t < total; t += n, n = step) {
        int32_t part[3 * N_FRAME];
        n = n < total - t ? n : total - t;
        for (int i = 0; i < q; i++)
            memcpy(part + i * n, codes + i * total + t, (size_t)n * sizeof *part);
        codec_decode(f->c, s, part, n, pcm + t * small.frame_samples, f->x);
    }
}

static void check_splits_and_threads(float *want)
{
    static const int split[][2] = {{N_FRAME, 1}, {1, 1}, {3, N_FRAME}, {2, 5}, {9, 8}};
    int32_t codes[3 * N_FRAME];
    float got[N_FRAME * 18];
    struct err e = {0};
    fill_codes(codes, 3 * N_FRAME);
    for (int threads = 1; threads <= 3; threads++) {
        struct fixture f;
        struct codec_stream *s;
        assert_int_equal(0, open_fixture(&f, threads, NULL, &e));
        assert_int_equal(64, codec_max_frames(f.c));
        assert_int_equal(0, codec_stream_new(f.c, &s, &e));
        for (size_t i = 0; i < sizeof split / sizeof *split; i++) {
            bool reference = threads == 1 && i == 0;
            memset(got, 0xff, sizeof got);
            codec_stream_reset(s);
            decode(&f, s, codes, N_FRAME, split[i][0], split[i][1], reference ? want : got);
            if (!reference)
                assert_memory_equal(want, got, sizeof got);
        }
        codec_stream_free(s);
        close_fixture(&f);
    }
    for (int i = 1; i < N_FRAME * 18; i++)
        assert_true(want[i] > -1.0001f && want[i] < 1.0001f);
    assert_memory_not_equal(want, want + 18, 18 * sizeof *want);
}

static void test_splits_and_threads(void **state)
{
    float in_floats[N_FRAME * 18], in_bytes[N_FRAME * 18], signal = 0, noise = 0;
    (void)state;
    check_splits_and_threads(in_floats);
    fixture_type = KERN_Q8_0;
    check_splits_and_threads(in_bytes);
    fixture_type = KERN_F32;
    for (int i = 0; i < N_FRAME * 18; i++) {
        float d = in_floats[i] - in_bytes[i];
        signal += in_floats[i] * in_floats[i];
        noise += d * d;
    }
    /* 45 dB here; a wrong scale or tap leaves less than 10. */
    assert_true(noise > 0 && noise < 1e-3f * signal);
}

static void test_two_streams_do_not_meet(void **state)
{
    struct fixture f;
    struct codec_stream *a, *b;
    struct err e = {0};
    int32_t codes[3 * N_FRAME], other[3] = {1, 2, 3};
    float want[N_FRAME * 18], got[N_FRAME * 18], rest[18];
    (void)state;
    fill_codes(codes, 3 * N_FRAME);
    assert_int_equal(0, open_fixture(&f, 2, NULL, &e));
    assert_int_equal(0, codec_stream_new(f.c, &a, &e));
    assert_int_equal(0, codec_stream_new(f.c, &b, &e));
    decode(&f, a, codes, N_FRAME, N_FRAME, 1, want);
    codec_stream_reset(a);
    for (int t = 0; t < N_FRAME; t++) {
        int32_t one[3] = {codes[t], codes[N_FRAME + t], codes[2 * N_FRAME + t]};
        codec_decode(f.c, a, one, 1, got + t * 18, f.x);
        codec_decode(f.c, b, other, 1, rest, f.x);
    }
    assert_memory_equal(want, got, sizeof want);
    codec_stream_free(a);
    codec_stream_free(b);
    close_fixture(&f);
}

static void test_codes_are_clamped(void **state)
{
    struct fixture f;
    struct codec_stream *s;
    struct err e = {0};
    int32_t wild[3] = {INT32_MAX, -5, 19}, tame[3] = {36, 0, 18};
    float want[18], got[18];
    (void)state;
    assert_int_equal(0, open_fixture(&f, 1, NULL, &e));
    assert_int_equal(0, codec_stream_new(f.c, &s, &e));
    codec_decode(f.c, s, tame, 1, want, f.x);
    codec_stream_reset(s);
    codec_decode(f.c, s, wild, 1, got, f.x);
    assert_memory_equal(want, got, sizeof want);
    codec_stream_free(s);
    close_fixture(&f);
}

/* --- encoding --------------------------------------------------------------------------------- */

static void test_encode(void **state)
{
    struct err e = {0};
    float pcm[N_FRAME * 18];
    int32_t want[3 * N_FRAME], got[3 * N_FRAME];
    (void)state;
    random_state = 3;
    for (int i = 0; i < N_FRAME * 18; i++)
        pcm[i] = random_float();
    for (int threads = 1; threads <= 2; threads++) {
        struct fixture f;
        assert_int_equal(0, open_fixture(&f, threads, NULL, &e));
        assert_int_equal(0, codec_n_frames(f.c, 0));
        assert_int_equal(1, codec_n_frames(f.c, 1));
        assert_int_equal(2, codec_n_frames(f.c, 19));
        assert_int_equal(0,
                         codec_encode(f.c, pcm, N_FRAME * 18, threads == 1 ? want : got, f.x, &e));
        /* causal: a clip cut after 10 frames has the same first 10 codes */
        int32_t cut[3 * 10];
        assert_int_equal(0, codec_encode(f.c, pcm, 10 * 18, cut, f.x, &e));
        for (int i = 0; i < 30; i++)
            assert_int_equal(want[i / 10 * N_FRAME + i % 10], cut[i]);
        assert_int_equal(ERR_LIMIT, codec_encode(f.c, pcm, 41 * 18, got, f.x, &e));
        close_fixture(&f);
        if (threads > 1)
            assert_memory_equal(want, got, sizeof want);
    }
    for (int i = 0; i < 3 * N_FRAME; i++)
        assert_in_range(want[i], 0, i < N_FRAME ? 36 : 18);
}

static void test_missing_tensor_is_named(void **state)
{
    static const char *const names[] = {"codec.dec.1.up.bias", "codec.rvq.2.codebook.weight",
                                        "codec.up.0.gamma.weight",
                                        "codec.enc.0.res.2.conv1.weight"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct fixture f;
        struct err e = {0};
        assert_int_equal(ERR_NOT_FOUND, open_fixture(&f, 1, names[i], &e));
        assert_non_null(strstr(e.msg, names[i]));
        close_fixture(&f);
    }
}

/* Every allocation in turn fails; nothing crashes or leaks, and it says so. */
static void test_out_of_memory(void **state)
{
    struct codec_options o = {true, true};
    struct fixture f;
    struct err e = {0};
    float silence[8 * 18] = {0};
    int32_t any[3 * 8];
    int r = ERR_MEMORY;
    (void)state;
    assert_int_equal(0, open_fixture(&f, 1, NULL, &e));
    /* the executor's own scratch grows here, so that only the codec's allocations fail below */
    assert_int_equal(0, codec_encode(f.c, silence, 8 * 18, any, f.x, &e));
    for (long n = 0; r < 0; n++) {
        struct codec *c = NULL;
        struct codec_stream *s = NULL;
        struct mem_arena *arena = mem_arena_new(ARENA_CHUNK);
        float pcm[18] = {0};
        int32_t codes[3];
        mem_fail_after(n);
        struct load from = {f.g, "", f.x, KERN_F32, arena};
        r = codec_load(&from, &small, &o, &c, &e);
        if (r == 0)
            r = codec_stream_new(c, &s, &e);
        if (r == 0)
            r = codec_encode(c, pcm, 18, codes, f.x, &e);
        mem_fail_after(-1);
        assert_true(r == 0 || r == ERR_MEMORY);
        codec_stream_free(s);
        mem_arena_free(arena);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_and_threads),
        cmocka_unit_test(test_two_streams_do_not_meet),
        cmocka_unit_test(test_codes_are_clamped),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_missing_tensor_is_named),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
