/* test_audio.c - every format there and back: length, pitch, level; speed; damage. */
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
#include <libavutil/md5.h>
#include "audio/audio.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/mem_test.h"

#define TAU     6.283185307179586
#define TONE_HZ 440.0
#define LEVEL   0.5
#define PERIODS 28665 /* samples at 44100 Hz: 286 whole periods of the tone */

static int sink(void *cookie, const void *data, size_t n, struct err *e)
{
    (void)e;
    return buf_add(cookie, data, n);
}

static float *tone(int hz, size_t n)
{
    float *x = mem_alloc(n * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(LEVEL * sin(TAU * TONE_HZ * (double)i / hz));
    return x;
}

/* Amplitude of the tone of f Hz in x (one bin of a Fourier transform). */
static double level_at(const float *x, size_t n, int hz, double f)
{
    double re = 0, im = 0;
    for (size_t i = 0; i < n; i++) {
        re += (double)x[i] * cos(TAU * f * (double)i / hz);
        im += (double)x[i] * sin(TAU * f * (double)i / hz);
    }
    return 2 * sqrt(re * re + im * im) / (double)n;
}

static double rms(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

/* Encode x in writes of uneven length. */
static void encode(struct audio_encoder_options o, const float *x, size_t n, struct buf *b)
{
    struct err e = {0};
    struct audio_encoder *a = NULL;
    buf_init(b, 64 << 20);
    o.sink = sink;
    o.cookie = b;
    if (audio_encoder_new(&o, &a, &e) < 0)
        fail_msg("%s: %s", audio_format_at(o.format)->name, e.msg);
    for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 7919) {
        if (step > n - at)
            step = n - at;
        assert_int_equal(audio_encoder_write(a, x + at, step, &e), 0);
    }
    assert_int_equal(audio_encoder_finish(a, &e), 0);
    assert_int_equal(audio_encoder_finish(a, &e), 0);
    assert_int_equal(audio_encoder_write(a, x, 1, &e), ERR_ARGUMENT);
    audio_encoder_free(a);
}

static void decode(const struct buf *b, int hz, float **x, size_t *n)
{
    struct err e = {0};
    if (audio_decode_memory(&(struct audio_file){b->data, b->len}, hz, 60, x, n, &e) < 0)
        fail_msg("%s", e.msg);
}

/* One second each way; extra: what a codec may put around the sound (its delay and the rest of
 * its last frame), in samples at 44100 Hz.  LAME turns the level down by 5 %. */
static void test_round_trip(void **state)
{
    static const struct {
        enum audio_format format;
        int in_hz, out_hz;
        size_t extra;
        double tolerance;
    } cases[] = {
        {AUDIO_WAV, 44100, 0, 0, 1e-4},        {AUDIO_WAV, 16000, 0, 2, 1e-3},
        {AUDIO_WAV, 44100, 8000, 12, 1e-3},    {AUDIO_FLAC, 44100, 0, 0, 1e-4},
        {AUDIO_FLAC, 16000, 0, 2, 1e-3},       {AUDIO_MP3, 44100, 0, 3 * 1152, 0.03},
        {AUDIO_MP3, 16000, 0, 8 * 1152, 0.03}, {AUDIO_OPUS, 44100, 0, 2, 0.02},
        {AUDIO_OPUS, 16000, 0, 4, 0.02},       {AUDIO_AAC, 44100, 0, 3 * 1024, 0.02},
        {AUDIO_AAC, 16000, 0, 9 * 1024, 0.02}, {AUDIO_M4A, 44100, 0, 3 * 1024, 0.02},
        {AUDIO_M4A, 16000, 0, 9 * 1024, 0.02},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n_in = (size_t)cases[i].in_hz, n;
        float *in = tone(cases[i].in_hz, n_in), *out;
        struct buf b;
        encode((struct audio_encoder_options){.format = cases[i].format,
                                              .in_hz = cases[i].in_hz,
                                              .out_hz = cases[i].out_hz,
                                              .seconds = -1},
               in, n_in, &b);
        decode(&b, 44100, &out, &n);
        print_message("%s %d Hz: %zu bytes, %zu samples, level %.4f\n",
                      audio_format_at(cases[i].format)->name, cases[i].in_hz, b.len, n,
                      level_at(out + 5000, PERIODS, 44100, TONE_HZ));
        assert_in_range(n, 44100 - (cases[i].extra < 16 ? cases[i].extra : 0),
                        44100 + cases[i].extra);
        /* The middle, clear of delays and of the resampler's ends. */
        double level = level_at(out + 5000, PERIODS, 44100, TONE_HZ);
        assert_true(fabs(level - LEVEL) <= cases[i].tolerance);
        assert_true(fabs(rms(out + 5000, PERIODS) - LEVEL / sqrt(2)) <= cases[i].tolerance);
        mem_free(in);
        mem_free(out);
        buf_done(&b);
    }
}

/* Every sample comes back: exactly in the formats without loss, and no codec cuts the end. */
static void test_nothing_lost(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 100, 1151, 1153, 4096, 4097, 12345};
    (void)state;
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++)
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            size_t n_in = lengths[i], n = 0;
            float *in = tone(48000, n_in + 1), *out = NULL;
            struct buf b;
            struct err e;
            encode(
                (struct audio_encoder_options){.format = (enum audio_format)format, .in_hz = 48000},
                in, n_in, &b);
            if (format == AUDIO_PCM) {
                assert_int_equal(b.len, 2 * n_in);
            } else if (n_in > 0) {
                int lossy = format != AUDIO_WAV && format != AUDIO_FLAC;
                /* libav does not recognise mp3 and aac by the first few frames alone. */
                if (lossy && n_in < 4096 && format != AUDIO_OPUS) {
                    assert_true(b.len > 0);
                } else {
                    decode(&b, 48000, &out, &n);
                    assert_true(n >= n_in);
                }
                if (format == AUDIO_WAV || format == AUDIO_FLAC)
                    assert_int_equal(n, n_in);
                for (size_t k = 0; (format == AUDIO_WAV || format == AUDIO_FLAC) && k < n; k++)
                    assert_true(fabsf(in[k] - out[k]) <= 0.51f / 32768);
            } else if (audio_decode_memory(&(struct audio_file){b.data, b.len}, 48000, 60, &out, &n,
                                           &e) < 0) {
                assert_true(e.code == ERR_FORMAT);
            }
            mem_free(in);
            mem_free(out);
            buf_done(&b);
        }
}

/* A chirp that ends at its loudest: what is late, early or cut shows. */
static float *chirp(int hz, size_t n)
{
    float *x = mem_alloc(n * sizeof(*x));
    double phase = 0;
    for (size_t i = 0; i < n; i++) {
        double at = (double)i / (double)n;
        phase += TAU * (200 + 2000 * at) / hz;
        x[i] = (float)((0.2 + 0.4 * at) * sin(phase));
    }
    return x;
}

static double correlation(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 1e-12, bb = 1e-12;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* Decoded again, the sound begins at its sample, is the same throughout, and ends with its last.
 * priming: what a decoder cannot know to skip (ADTS has no place to say it, and libav does not
 * read it from MP4 in fragments); tail: the rest of the
 * last frames, where a stream cannot say how long it is. */
static void test_content(void **state)
{
    static const struct {
        enum audio_format format;
        int hz;
        size_t priming, tail;
    } cases[] = {{AUDIO_WAV, 24000, 0, 0},           {AUDIO_FLAC, 24000, 0, 0},
                 {AUDIO_FLAC, 44100, 0, 0},          {AUDIO_OPUS, 48000, 0, 0},
                 {AUDIO_MP3, 16000, 0, 3 * 576},     {AUDIO_MP3, 24000, 0, 3 * 576},
                 {AUDIO_MP3, 44100, 0, 3 * 1152},    {AUDIO_AAC, 24000, 1024, 2 * 1024},
                 {AUDIO_AAC, 44100, 1024, 2 * 1024}, {AUDIO_M4A, 24000, 1024, 2 * 1024},
                 {AUDIO_M4A, 44100, 1024, 2 * 1024}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t n_in = 24000; n_in < 24004; n_in += 3) {
            int hz = cases[i].hz;
            size_t n, end = (size_t)hz / 20, from = cases[i].priming;
            float *in = chirp(hz, n_in), *out;
            struct buf b;
            encode((struct audio_encoder_options){.format = cases[i].format,
                                                  .in_hz = hz,
                                                  .seconds = -1},
                   in, n_in, &b);
            decode(&b, hz, &out, &n);
            assert_in_range(n, n_in + from, n_in + from + cases[i].tail);
            double all = correlation(in, out + from, n_in);
            double last = correlation(in + n_in - end, out + from + n_in - end, end);
            print_message("%s %d Hz: %zu of %zu samples, correlation %.5f, of the end %.5f\n",
                          audio_format_at(cases[i].format)->name, hz, n, n_in, all, last);
            assert_true(all > 0.995 && last > 0.97);
            mem_free(in);
            mem_free(out);
            buf_done(&b);
        }
}

/* Sound leaves an encoder soon after it goes in, and never in large lumps. */
static void test_first_bytes(void **state)
{
    (void)state;
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++) {
        struct err e;
        struct buf b;
        struct audio_encoder *a;
        struct audio_encoder_options o = {.format = (enum audio_format)format,
                                          .in_hz = 24000,
                                          .seconds = -1,
                                          .sink = sink,
                                          .cookie = &b};
        float *x = tone(24000, 24000);
        size_t first = 0, last = 0, gap = 0;
        buf_init(&b, 64 << 20);
        assert_int_equal(audio_encoder_new(&o, &a, &e), 0);
        size_t header = b.len, seen = b.len;
        for (size_t at = 0; at < 24000; at += 24) {
            assert_int_equal(audio_encoder_write(a, x + at, 24, &e), 0);
            if (b.len == seen)
                continue;
            gap = first && at + 24 - last > gap ? at + 24 - last : gap;
            first = first ? first : at + 24;
            last = at + 24;
            seen = b.len;
        }
        print_message("%s: first sound after %zu ms, then every %zu ms at most\n",
                      audio_format_at((size_t)format)->name, first / 24, gap / 24);
        /* A fragment of MP4 is written when the next frame says how long it was. */
        size_t limit = format == AUDIO_M4A ? 130 : 110;
        assert_true(b.len > header && first / 24 <= limit && gap / 24 <= 65);
        audio_encoder_free(a);
        buf_done(&b);
        mem_free(x);
    }
}

/* At any speed the end of the sound is the end of what came in: a tone that rises at the end does.
 */
static void test_speed_keeps_the_end(void **state)
{
    static const double speeds[] = {0.25, 0.75, 1.5, 4};
    (void)state;
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        size_t n_in = 48000, n, mark = n_in - 12000;
        float *in = tone(24000, n_in), *out;
        struct buf b;
        for (size_t k = 0; k < n_in; k++)
            in[k] *= k < mark ? 0.1f : 1;
        encode(
            (struct audio_encoder_options){.format = AUDIO_WAV, .in_hz = 24000, .speed = speeds[i]},
            in, n_in, &b);
        decode(&b, 24000, &out, &n);
        size_t loud = 0, from = 0;
        for (size_t k = 0; k < n; k++)
            if (fabsf(out[k]) > 0.25f) {
                from = loud ? from : k;
                loud = k;
            }
        double want = 12000 / speeds[i], got = (double)(loud - from);
        print_message("speed %g: %.0f samples of the end, wanted %.0f, then %zu\n", speeds[i], got,
                      want, n - loud);
        assert_true(fabs(got - want) <= 600 && n - loud < 800);
        mem_free(in);
        mem_free(out);
        buf_done(&b);
    }
}

static void test_same_bytes(void **state)
{
    (void)state;
    float *in = tone(44100, 30000);
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++) {
        struct buf a, b;
        struct audio_encoder_options o = {
            .format = (enum audio_format)format, .in_hz = 44100, .seconds = -1};
        encode(o, in, 30000, &a);
        encode(o, in, 30000, &b);
        assert_int_equal(a.len, b.len);
        assert_memory_equal(a.data, b.data, a.len);
        buf_done(&a);
        buf_done(&b);
    }
    mem_free(in);
}

static uint32_t le32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static void test_wav_sizes(void **state)
{
    (void)state;
    unsigned char header[44];
    float x[3] = {0, 2.0f, -2.0f};
    struct buf b;
    struct audio_encoder_options o = {.format = AUDIO_WAV, .in_hz = 22050};
    encode(o, x, 3, &b);
    assert_int_equal(b.len, 44 + 6);
    assert_int_equal(le32(b.data + 4), 36 + 6);
    assert_int_equal(le32(b.data + 24), 22050);
    assert_int_equal(le32(b.data + 28), 44100);
    assert_int_equal(le32(b.data + 40), 6);
    /* clipped, not wrapped: 0, 32767, -32768 */
    assert_memory_equal(b.data + 44, "\0\0\xff\x7f\0\x80", 6);
    audio_wav_header(22050, 3, header);
    assert_memory_equal(b.data, header, 44);
    buf_done(&b);
    o.seconds = -1;
    encode(o, x, 3, &b);
    assert_int_equal(b.len, 44 + 6);
    assert_int_equal(le32(b.data + 4), 0xFFFFFFFF);
    assert_int_equal(le32(b.data + 40), 0xFFFFFFFF);
    audio_wav_header(22050, SIZE_MAX, header);
    assert_memory_equal(b.data, header, 44);
    buf_done(&b);
}

/* A NaN is silence, an infinity full scale. */
static void test_not_a_number(void **state)
{
    (void)state;
    float x[3] = {NAN, INFINITY, -INFINITY};
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++) {
        struct buf b;
        encode((struct audio_encoder_options){.format = (enum audio_format)format,
                                              .in_hz = 48000,
                                              .speed = 1.5},
               x, 3, &b);
        buf_done(&b);
        encode((struct audio_encoder_options){.format = (enum audio_format)format, .in_hz = 48000},
               x, 3, &b);
        if (format == AUDIO_PCM)
            assert_memory_equal(b.data, "\0\0\xff\x7f\0\x80", 6);
        buf_done(&b);
    }
}

static void test_speed(void **state)
{
    static const double speeds[] = {0.25, 0.5, 0.8, 1, 1.5, 2, 4};
    (void)state;
    for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++) {
        size_t n_in = 2 * 44100, n;
        float *in = tone(44100, n_in), *out;
        struct buf b;
        encode(
            (struct audio_encoder_options){.format = AUDIO_WAV, .in_hz = 44100, .speed = speeds[i]},
            in, n_in, &b);
        decode(&b, 44100, &out, &n);
        double want = (double)n_in / speeds[i];
        print_message("speed %g: %zu samples of %.0f, level %.3f\n", speeds[i], n, want,
                      level_at(out + 2000, 8820, 44100, TONE_HZ));
        assert_true(fabs((double)n - want) <= 0.01 * want + 1);
        /* Pitch kept: the energy is still at the tone's own frequency.  At speed 4 the joints
         * between periods widen the line to half its height. */
        assert_true(level_at(out + 2000, 8820, 44100, TONE_HZ) > 0.45 * LEVEL);
        assert_true(level_at(out + 2000, 8820, 44100, TONE_HZ * 2) < 0.1 * LEVEL);
        assert_true(level_at(out + 2000, 8820, 44100, TONE_HZ / 2) < 0.1 * LEVEL);
        mem_free(in);
        mem_free(out);
        buf_done(&b);
    }
}

/* Sound is out long before the end: at most 0.3 s is held back. */
static void test_progressive(void **state)
{
    (void)state;
    float *in = tone(44100, 44100);
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++) {
        struct buf b;
        struct err e = {0};
        struct audio_encoder *a = NULL;
        buf_init(&b, 1 << 20);
        struct audio_encoder_options o = {.format = (enum audio_format)format,
                                          .in_hz = 44100,
                                          .seconds = -1,
                                          .sink = sink,
                                          .cookie = &b};
        assert_int_equal(audio_encoder_new(&o, &a, &e), 0);
        size_t header = b.len, n = 0;
        for (; b.len < header + 200 && n < 44100; n += 441)
            assert_int_equal(audio_encoder_write(a, in + n, 441, &e), 0);
        print_message("%s: first sound after %zu samples\n", audio_format_at(o.format)->name, n);
        assert_in_range(n, 1, 13230);
        audio_encoder_free(a); /* in the middle: nothing more is written */
        buf_done(&b);
    }
    mem_free(in);
}

static int refuse(void *cookie, const void *data, size_t n, struct err *e)
{
    int *left = cookie;
    (void)data;
    (void)n;
    if ((*left)-- > 0)
        return 0;
    return err_set(e, ERR_CANCELLED, "listener left");
}

static void test_refusing_sink(void **state)
{
    (void)state;
    float *in = tone(44100, 44100);
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++)
        for (int after = 0; after < 5; after++) {
            struct err e = {0};
            struct audio_encoder *a = NULL;
            int left = after;
            struct audio_encoder_options o = {.format = (enum audio_format)format,
                                              .in_hz = 44100,
                                              .seconds = -1,
                                              .sink = refuse,
                                              .cookie = &left};
            int r = audio_encoder_new(&o, &a, &e);
            if (r == 0)
                r = audio_encoder_write(a, in, 44100, &e);
            if (r == 0)
                r = audio_encoder_finish(a, &e);
            if (r == 0) { /* everything fitted in fewer pieces */
                audio_encoder_free(a);
                continue;
            }
            assert_int_equal(r, ERR_CANCELLED);
            assert_string_equal(e.msg, "listener left");
            if (a) {
                struct err f = {0};
                assert_int_equal(audio_encoder_write(a, in, 100, &f), ERR_CANCELLED);
                assert_string_equal(f.msg, "listener left");
                assert_int_equal(audio_encoder_finish(a, NULL), ERR_CANCELLED);
            }
            audio_encoder_free(a);
        }
    mem_free(in);
}

static void test_arguments(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    struct audio_encoder *a = NULL;
    buf_init(&b, 100);
    struct audio_encoder_options good = {.in_hz = 16000, .sink = sink, .cookie = &b};
    struct audio_encoder_options bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].format = (enum audio_format)99;
    bad[1].in_hz = 0;
    bad[2].speed = 0.2;
    bad[3].speed = NAN;
    bad[4].sink = NULL;
    bad[5].out_hz = -5;
    bad[6].bit_rate = 1;
    bad[7].format = AUDIO_OPUS;
    bad[7].out_hz = 44100;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(audio_encoder_new(&bad[i], &a, &e), ERR_ARGUMENT);
        assert_null(a);
    }
    audio_encoder_free(NULL);
    buf_done(&b);
    enum audio_format f = AUDIO_AAC;
    assert_int_equal(audio_format_from_name("a.b/c.MP3", &f, &e), 0);
    assert_int_equal(f, AUDIO_MP3);
    assert_int_equal(audio_format_from_name("opus", &f, &e), 0);
    assert_int_equal(f, AUDIO_OPUS);
    assert_int_equal(audio_format_from_name("x.doc", &f, &e), ERR_ARGUMENT);
    assert_int_equal(audio_format_from_name("", &f, &e), ERR_ARGUMENT);
    assert_int_equal(audio_format_from_name("x.oga", &f, &e), 0);
    assert_int_equal(f, AUDIO_OPUS);
    assert_int_equal(audio_format_from_name("x.og", &f, &e), ERR_ARGUMENT);
    assert_int_equal(audio_format_from_name("x.opus ogg", &f, &e), ERR_ARGUMENT);
    assert_int_equal(audio_format_from_name("x.mp4", &f, &e), 0);
    assert_int_equal(f, AUDIO_M4A);
    assert_string_equal(audio_format_at(AUDIO_FLAC)->name, "flac");
    assert_null(audio_format_at(AUDIO_PCM + 1));
}

/* Two channels become their mean: one with the tone and one silent give half of it. */
static void test_channels_averaged(void **state)
{
    (void)state;
    enum { N = 20000 };
    static unsigned char file[44 + 4 * N];
    audio_wav_header(44100, 2 * N, file);
    file[22] = 2; /* channels */
    file[32] = 4; /* bytes of both */
    for (int i = 0; i < N; i++) {
        int v = (int)(16384 * sin(TAU * TONE_HZ * i / 44100));
        file[44 + 4 * i] = (unsigned char)(v & 255);
        file[44 + 4 * i + 1] = (unsigned char)(v >> 8 & 255);
    }
    float *x;
    size_t n;
    struct err e;
    assert_int_equal(
        audio_decode_memory(&(struct audio_file){file, sizeof(file)}, 44100, 9, &x, &n, &e), 0);
    assert_int_equal(n, N);
    assert_true(fabs(level_at(x, n, 44100, TONE_HZ) - 0.25) < 1e-3);
    mem_free(x);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/test_audio_XXXXXX";
    struct err e;
    float *in = tone(16000, 16000), *x = NULL, *y = NULL;
    size_t n = 0, n_y = 0;
    struct buf b;
    encode((struct audio_encoder_options){.format = AUDIO_FLAC, .in_hz = 16000}, in, 16000, &b);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, b.data, b.len) == (ssize_t)b.len);
    assert_int_equal(audio_decode_file(path, 24000, 60, &x, &n, &e), 0);
    decode(&b, 24000, &y, &n_y);
    assert_int_equal(n, n_y);
    assert_memory_equal(x, y, n * sizeof(*x));
    mem_free(y);
    mem_free(x);
    x = NULL;
    assert_int_equal(audio_decode_file(path, 24000, 0.5, &x, &n, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, path));
    assert_null(x);
    close(fd);
    unlink(path);
    assert_int_equal(audio_decode_file(path, 24000, 9, &x, &n, &e), ERR_NOT_FOUND);
    assert_true(audio_decode_file("/", 24000, 9, &x, &n, &e) < 0);
    assert_true(audio_decode_file("/dev/null", 24000, 9, &x, &n, &e) < 0);
    mem_free(in);
    buf_done(&b);
}

/* Damage gives an error or some sound, never a crash; a playlist opens nothing. */
static void test_hostile(void **state)
{
    static const char *texts[] = {
        "",
        "R",
        "RIFF",
        "hello, this is no sound at all, but text, and rather long at that",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    };
    (void)state;
    float *in = tone(16000, 8000), *x = NULL;
    size_t n;
    struct err e;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(audio_decode_memory(&(struct audio_file){texts[i], strlen(texts[i])},
                                             16000, 9, &x, &n, &e),
                         ERR_FORMAT);
    assert_int_equal(audio_decode_memory(&(struct audio_file){"x", 1}, 16000, NAN, &x, &n, &e),
                     ERR_ARGUMENT);
    assert_int_equal(audio_decode_memory(&(struct audio_file){"x", 1}, 0, 1, &x, &n, &e),
                     ERR_ARGUMENT);
    unsigned seed = 1;
    for (int format = AUDIO_MP3; format <= AUDIO_PCM; format++) {
        struct buf b;
        encode((struct audio_encoder_options){.format = (enum audio_format)format, .in_hz = 16000},
               in, 8000, &b);
        for (size_t cut = 0; cut < b.len; cut += 1 + b.len / 24) {
            char *copy = mem_alloc(cut + 1); /* of just this size: over-reads show */
            memcpy(copy, b.data, cut);
            if (audio_decode_memory(&(struct audio_file){copy, cut}, 16000, 9, &x, &n, &e) == 0)
                mem_free(x);
            memcpy(copy, b.data, cut);
            for (size_t k = 0; k < 5 && cut > 0; k++) {
                seed = seed * 1664525u + 1013904223u;
                copy[(seed >> 8) % cut] = (char)seed;
            }
            if (audio_decode_memory(&(struct audio_file){copy, cut}, 44100, 9, &x, &n, &e) == 0)
                mem_free(x);
            mem_free(copy);
        }
        buf_done(&b);
    }
    mem_free(in);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    float *in = tone(16000, 8000), *x = NULL;
    size_t n;
    struct err e;
    struct buf b;
    encode((struct audio_encoder_options){.format = AUDIO_WAV, .in_hz = 16000}, in, 8000, &b);
    for (long k = 0; k < 4; k++) {
        mem_fail_after(k);
        int r = audio_decode_memory(&(struct audio_file){b.data, b.len}, 44100, 9, &x, &n, &e);
        mem_fail_after(-1);
        if (r == 0)
            mem_free(x);
        else
            assert_int_equal(r, ERR_MEMORY);
        if (k == 0)
            assert_int_equal(r, ERR_MEMORY);
    }
    buf_done(&b);
    mem_free(in);
}

/* Two seconds of bursts at this level, with silence and direct current around. */
static size_t recording(float *x, int hz, double level)
{
    size_t n = 4 * (size_t)hz;
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / hz, on = t > 1 && t < 3 && fmod(t, 0.5) < 0.4;
        x[i] = (float)(0.05 * level + on * level * sin(TAU * TONE_HZ * t));
    }
    return n;
}

/* A reference of any level, with silence and direct current, becomes the same one. */
static void test_prepared(void **state)
{
    enum { HZ = 16000 };
    float *first = mem_alloc(4 * HZ * sizeof *first), *x = mem_alloc(4 * HZ * sizeof *x);
    struct err e;
    size_t n_first = recording(first, HZ, 0.3), n;
    (void)state;
    assert_int_equal(audio_prepare_speech(first, &n_first, HZ, -24, &e), 0);
    assert_in_range(n_first, 2 * HZ, 22 * HZ / 10); /* 1.9 s, and a tenth before and after */
    double mean = 0, level = rms(first, n_first);
    for (size_t i = 0; i < n_first; i++)
        mean += (double)first[i] / (double)n_first;
    assert_true(fabs(mean) < 0.01 * level);
    /* A burst at -24 LUFS: the tone's power is within 1.5 dB of it, the pauses take 1 dB. */
    assert_true(fabs(20 * log10(level) + 25) < 2);
    for (double gain = 0.01; gain < 4; gain *= 5) {
        n = recording(x, HZ, 0.3 * gain);
        assert_int_equal(audio_prepare_speech(x, &n, HZ, -24, &e), 0);
        assert_int_equal(n, n_first);
        assert_true(fabs(rms(x, n) - level) < 0.01 * level);
    }
    n = recording(x, HZ, 0.3); /* no level asked for */
    assert_int_equal(audio_prepare_speech(x, &n, HZ, 0, &e), 0);
    assert_true(n == n_first && fabs(level_at(x, n, HZ, TONE_HZ) - 0.24) < 0.03);
    memset(x, 0, HZ * sizeof *x); /* silence stays */
    n = HZ;
    assert_int_equal(audio_prepare_speech(x, &n, HZ, -24, &e), 0);
    assert_true(n == HZ && rms(x, n) == 0);
    mem_free(first);
    mem_free(x);
}

/* FLAC's MD5 is that of the samples as little-endian 16-bit integers. */
static void check_md5(const unsigned char *want, const float *pcm, size_t n)
{
    unsigned char *bytes = mem_try(n, 2), md5[16];
    for (size_t i = 0; i < n; i++) {
        long v = lrintf(pcm[i] * 32768);
        bytes[2 * i] = (unsigned char)(v & 255);
        bytes[2 * i + 1] = (unsigned char)(v >> 8 & 255);
    }
    av_md5_sum(md5, bytes, 2 * n);
    mem_free(bytes);
    assert_memory_equal(md5, want, sizeof md5);
}

/* Where the whole is known the beginning says so: sizes of WAV, samples and MD5 of FLAC, frames and
 * padding of MP3, so that players show its length and play not a sample more. */
static void test_head(void **state)
{
    enum { N = 30000 };
    static float in[N];
    static const int rates[] = {16000, 24000, 44100, 48000};
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = 0.4f * sinf((float)i * 0.05f);
    for (size_t k = 0; k < 4 * 3; k++) {
        static const enum audio_format formats[] = {AUDIO_WAV, AUDIO_FLAC, AUDIO_MP3};
        unsigned char head[AUDIO_HEAD_MAX];
        struct audio_encoder *a;
        struct buf b;
        struct err e;
        float *out;
        size_t n_out;
        int hz = rates[k / 3];
        buf_init(&b, 1 << 24);
        struct audio_encoder_options o = {
            .format = formats[k % 3], .in_hz = hz, .seconds = -1, .sink = sink, .cookie = &b};
        assert_int_equal(audio_encoder_new(&o, &a, &e), 0);
        assert_int_equal(audio_encoder_head(a, head), 0); /* not yet */
        assert_int_equal(audio_encoder_write(a, in, N - 123, &e), 0);
        assert_int_equal(audio_encoder_finish(a, &e), 0);
        size_t n = audio_encoder_head(a, head);
        assert_true(n > 0 && n < b.len);
        memcpy(b.data, head, n);
        audio_encoder_free(a);
        const unsigned char *p = (const unsigned char *)b.data;
        if (o.format == AUDIO_FLAC) {
            uint64_t total = (uint64_t)(p[21] & 15) << 32 | (uint64_t)p[22] << 24 |
                             (uint64_t)p[23] << 16 | (uint64_t)p[24] << 8 | p[25];
            assert_int_equal(total, N - 123);
        }
        assert_int_equal(
            audio_decode_memory(&(struct audio_file){b.data, b.len}, hz, 60, &out, &n_out, &e), 0);
        if (o.format == AUDIO_FLAC)
            check_md5(p + 26, out, n_out);
        if (n_out != N - 123)
            fail_msg("%s at %d Hz: %zu samples came back of %d", audio_format_at(o.format)->name,
                     hz, n_out, N - 123);
        mem_free(out);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_nothing_lost),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_speed_keeps_the_end),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_wav_sizes),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_progressive),
        cmocka_unit_test(test_refusing_sink),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_channels_averaged),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
