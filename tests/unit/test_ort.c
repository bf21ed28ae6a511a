/* A model in ONNX Runtime against our own kernels in floats: prompts, steps alone and together,
 * frames, sound and codes; and that a failed run is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "model/export.h"
#include "model/model.h"

#define N_SEQUENCE 4
#define TOLERANCE  1e-4 /* of the peak: other sums in another order */

static struct model own, ort;
static char dir[] = "/tmp/test_ort.XXXXXX";
static const char *const files[] = {"slow.onnx",         "fast.onnx",         "decoder.onnx",
                                    "encoder.onnx",      "slow.onnx.data",    "fast.onnx.data",
                                    "decoder.onnx.data", "encoder.onnx.data", EXPORT_METADATA};

static void near(const float *got, const float *want, size_t n, const char *what)
{
    double peak = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        peak = fmax(peak, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
    }
    if (!(worst <= TOLERANCE * peak))
        fail_msg("%s: %g off, peak %g", what, worst, peak);
}

/* The same feeds to both; the results of both are compared. */
static void feed(struct lm_slot *(*slots)[N_SEQUENCE], const int32_t *columns, const int *lengths,
                 int n)
{
    size_t dim = (size_t)own.spec.lm.slow.dim, rows = (size_t)lm_n_head_row(own.lm);
    size_t width = 1 + (size_t)own.spec.lm.n_codebook;
    float *out[2] = {calloc((size_t)n, (dim + rows) * sizeof(float)),
                     calloc((size_t)n, (dim + rows) * sizeof(float))};
    for (int k = 0; k < 2; k++) {
        struct lm_feed feeds[N_SEQUENCE];
        size_t at = 0;
        for (int i = 0; i < n; i++) {
            float *to = out[k] + (size_t)i * (dim + rows);
            feeds[i] =
                (struct lm_feed){slots[k][i], columns + at * width, lengths[i], to, to + dim};
            at += (size_t)lengths[i];
        }
        lm_slow(k ? ort.lm : own.lm, feeds, n, own.exec);
    }
    for (int i = 0; i < n; i++) {
        near(out[1] + (size_t)i * (dim + rows), out[0] + (size_t)i * (dim + rows), dim, "hidden");
        near(out[1] + (size_t)i * (dim + rows) + dim, out[0] + (size_t)i * (dim + rows) + dim, rows,
             "logits");
    }
    free(out[0]);
    free(out[1]);
}

static int32_t *some_columns(int n, unsigned seed)
{
    const struct spec_lm *s = &own.spec.lm;
    int width = 1 + s->n_codebook;
    int32_t *c = calloc((size_t)(n * width), sizeof *c);
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        c[i * width] = (int32_t)(seed >> 8) % s->n_vocab;
        for (int q = 0; q < s->n_codebook; q++) {
            seed = seed * 1664525u + 1013904223u;
            c[i * width + 1 + q] = (int32_t)(seed >> 8) % s->codebook_size;
        }
    }
    return c;
}

static void test_slow(void **state)
{
    static const int prompts[N_SEQUENCE] = {300, 17, 1, 40}, step[N_SEQUENCE] = {1, 1, 1, 1};
    struct lm_slot *slots[2][N_SEQUENCE];
    (void)state;
    for (int i = 0; i < N_SEQUENCE; i++) {
        assert_int_equal(lm_slot_new(own.lm, 512, &slots[0][i], NULL), 0);
        assert_int_equal(lm_slot_new(ort.lm, 512, &slots[1][i], NULL), 0);
    }
    int32_t *c = some_columns(358, 1);
    feed(slots, c, prompts, N_SEQUENCE);
    for (int i = 0; i < 3; i++)
        feed(slots, c + 20 * i, step, N_SEQUENCE);
    feed(slots, c, step, 1); /* one goes on alone, then all again, then fewer */
    feed(slots, c, step, N_SEQUENCE);
    feed(slots, c, step, 2);
    for (int k = 0; k < 2; k++) { /* the third is another one now, of the same length */
        size_t n = lm_slot_bytes(slots[k][1], 10);
        void *saved = malloc(n);
        lm_slot_save(slots[k][1], 10, saved);
        lm_slot_reset(slots[k][0]);
        lm_slot_load(slots[k][0], 10, saved);
        free(saved);
    }
    feed(slots, c, step, 2);
    for (int i = 0; i < 260; i++) /* longer than a group's first array */
        feed(slots, c + i, step, 2);
    for (int i = 0; i < N_SEQUENCE; i++) {
        lm_slot_free(slots[0][i]);
        lm_slot_free(slots[1][i]);
    }
    free(c);
}

static void test_fast(void **state)
{
    const struct spec_lm *s = &own.spec.lm;
    size_t dim = (size_t)s->slow.dim, size = (size_t)s->codebook_size;
    float *hidden = calloc(N_SEQUENCE * dim, sizeof *hidden);
    float *a = calloc(N_SEQUENCE * size, sizeof *a), *b = calloc(N_SEQUENCE * size, sizeof *b);
    int32_t code[N_SEQUENCE] = {1, 2, 3, 4};
    (void)state;
    for (size_t i = 0; i < N_SEQUENCE * dim; i++)
        hidden[i] = (float)sin((double)i * 0.7);
    for (int n = 1; n <= N_SEQUENCE; n += 3)
        for (int k = 1; k < s->n_codebook; k++) {
            if (k == 1) {
                lm_fast_begin(own.lm, hidden, code, n, a, own.exec);
                lm_fast_begin(ort.lm, hidden, code, n, b, NULL);
            } else {
                lm_fast_step(own.lm, code, n, k, a, own.exec);
                lm_fast_step(ort.lm, code, n, k, b, NULL);
            }
            for (int i = 0; i < n; i++)
                near(b + (size_t)i * size, a + (size_t)i * size, (size_t)lm_n_candidate(own.lm, k),
                     "logits of a frame");
        }
    free(hidden);
    free(a);
    free(b);
}

static void test_codec(void **state)
{
    enum { FRAMES = 45 };
    struct codec_stream *s[2];
    struct codec *encoder[2];
    size_t hop = (size_t)own.spec.codec.frame_samples, Q = (size_t)own.spec.codec.n_codebook;
    int32_t *codes = calloc(Q * FRAMES, sizeof *codes), *back[2];
    float *pcm[2];
    (void)state;
    for (size_t i = 0; i < Q * FRAMES; i++)
        codes[i] = (int32_t)(i * 37 % 200);
    for (int k = 0; k < 2; k++) {
        struct model *m = k ? &ort : &own;
        pcm[k] = calloc(hop * FRAMES, sizeof *pcm[k]);
        back[k] = calloc(Q * FRAMES, sizeof *back[k]);
        assert_int_equal(codec_stream_new(m->codec, &s[k], NULL), 0);
        codec_decode(m->codec, s[k], codes, 5, pcm[k], own.exec); /* something else first */
        codec_stream_reset(s[k]);
        codec_decode(m->codec, s[k], codes, FRAMES, pcm[k], own.exec);
        assert_int_equal(model_encoder(m, &encoder[k], NULL), 0);
        assert_int_equal(
            codec_encode(encoder[k], pcm[0], hop * FRAMES - 99, back[k], own.exec, NULL), 0);
        codec_stream_free(s[k]);
    }
    near(pcm[1], pcm[0], hop * FRAMES, "samples");
    size_t same = 0;
    for (size_t i = 0; i < Q * FRAMES; i++)
        same += back[0][i] == back[1][i];
    assert_true(same * 100 >= Q * FRAMES * 98); /* the last books are nearly tied */
    for (int k = 0; k < 2; k++) {
        free(pcm[k]);
        free(back[k]);
    }
    free(codes);
}

static void test_failure(void **state)
{
    struct err e = {0};
    struct codec_stream *s;
    (void)state;
    assert_int_equal(model_check(&ort, &e), 0);
    assert_int_equal(codec_stream_new(ort.codec, &s, NULL), 0);
    int n = codec_max_frames(ort.codec);
    int32_t *codes = calloc((size_t)ort.spec.codec.n_codebook * (size_t)(n + 1), sizeof *codes);
    float *pcm = calloc((size_t)ort.spec.codec.frame_samples * (size_t)(n + 1), sizeof *pcm);
    codec_decode(ort.codec, s, codes, n + 1, pcm, NULL); /* no row of the rotary table is left */
    assert_true(model_check(&ort, &e) < 0);
    assert_non_null(strstr(e.msg, "ONNX Runtime"));
    codec_stream_free(s);
    free(codes);
    free(pcm);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow), cmocka_unit_test(test_fast),
                                       cmocka_unit_test(test_codec),
                                       cmocka_unit_test(test_failure)};
    struct err e = {0};
    const char *model = argc > 1 ? argv[1] : "models/jabber-tiny.gguf";
    struct export_options x = {.model = model, .dir = dir};
    struct model_options a = {.n_thread = 1, .max_batch = N_SEQUENCE, .f32 = true}, b = a;
    if (!mkdtemp(dir) || export_onnx(&x, &e) < 0 || model_open(&own, model, &a, &e) < 0) {
        printf("%s\n", e.msg);
        return 1;
    }
    b.ort.dir = dir;
    int rc = model_open(&ort, model, &b, &e);
    if (rc < 0)
        printf("%s\n", e.msg);
    int failed = rc == 0                 ? cmocka_run_group_tests(tests, NULL, NULL)
                 : rc == ERR_UNSUPPORTED ? 77
                                         : 1;
    model_close(&ort);
    model_close(&own);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        unlink(path);
    }
    rmdir(dir);
    return failed;
}
