/* Equalized channels: the function stays the same in floats, channels that were blown up come back
 * to size; and a recipe keeps to its target.  Run from the root. */
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
#include "model/import.h"
#include "model/model.h"
#include "model/quantize.h"

#define N_FRAME 12

static char plain[64], other[64], small[64];

static int setup(void **state)
{
    (void)state;
    snprintf(plain, sizeof plain, "/tmp/test_equalize-%d-a.gguf", (int)getpid());
    snprintf(other, sizeof other, "/tmp/test_equalize-%d-b.gguf", (int)getpid());
    snprintf(small, sizeof small, "/tmp/test_equalize-%d-c.gguf", (int)getpid());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(plain);
    unlink(other);
    unlink(small);
    return 0;
}

static void convert(const char *set, const char *to, bool equalize, bool trim)
{
    char directory[128];
    struct err e = {0};
    snprintf(directory, sizeof directory, "tests/golden/%s/checkpoint", set);
    struct import_options o = {.directory = directory,
                               .output = to,
                               .type = KERN_F32,
                               .sampling = {-1, -1, -1},
                               .equalize = equalize,
                               .trim_head = trim};
    if (import_convert(&o, &e) < 0)
        fail_msg("%s: %s", set, e.msg);
}

/* --- what a model computes --- */

struct heard {
    float *pcm, *slow, *fast;
    int32_t *codes;
    size_t n_pcm, n_slow, n_fast, n_codes;
};

static void hear(const char *path, struct heard *h)
{
    struct model m;
    struct model_options o = {.n_thread = 1, .max_batch = 1};
    struct err e = {0};
    struct codec_stream *s;
    struct codec *encoder;
    struct lm_slot *slot;
    struct prompt p;
    if (model_open(&m, path, &o, &e) < 0)
        fail_msg("%s", e.msg);
    size_t q = (size_t)m.spec.lm.n_codebook, hop = (size_t)m.spec.codec.frame_samples;
    int32_t *codes = mem_alloc(q * N_FRAME * sizeof *codes);
    for (size_t i = 0; i < q * N_FRAME; i++)
        codes[i] = (int32_t)(i * 7919 % (size_t)m.spec.codec.residual_size);
    h->n_pcm = hop * N_FRAME;
    h->pcm = mem_alloc(h->n_pcm * sizeof *h->pcm);
    assert_int_equal(codec_stream_new(m.codec, &s, &e), 0);
    codec_decode(m.codec, s, codes, N_FRAME, h->pcm, m.exec);
    codec_stream_free(s);
    assert_int_equal(model_encoder(&m, &encoder, &e), 0);
    h->n_codes = q * N_FRAME;
    h->codes = mem_alloc(h->n_codes * sizeof *h->codes);
    assert_int_equal(codec_encode(encoder, h->pcm, h->n_pcm, h->codes, m.exec, &e), 0);
    struct prompt_reference ref = {"A voice.", codes, N_FRAME};
    prompt_init(&p, (int)q);
    struct prompt_parts parts = {.refs = &ref, .n_ref = 1, .text = "Words."};
    assert_int_equal(prompt_build(&p, m.tokenizer, &m.spec.lm, &parts, &e), 0);
    h->n_slow = (size_t)lm_n_head_row(m.lm);
    h->n_fast = (size_t)m.spec.lm.codebook_size;
    h->slow = mem_alloc(h->n_slow * sizeof *h->slow);
    h->fast = mem_alloc(h->n_fast * sizeof *h->fast);
    float *hidden = mem_alloc((size_t)m.spec.lm.slow.dim * sizeof *hidden);
    assert_int_equal(lm_slot_new(m.lm, p.n_column, &slot, &e), 0);
    struct lm_feed f = {slot, p.columns, p.n_column, hidden, h->slow};
    lm_slow(m.lm, &f, 1, m.exec);
    lm_fast_begin(m.lm, hidden, codes, 1, h->fast, m.exec);
    lm_slot_free(slot);
    prompt_done(&p);
    mem_free(hidden);
    mem_free(codes);
    model_close(&m);
}

static void heard_done(struct heard *h)
{
    mem_free(h->pcm);
    mem_free(h->slow);
    mem_free(h->fast);
    mem_free(h->codes);
}

/* Largest difference in parts of the largest value. */
static double apart(const float *a, const float *b, size_t n)
{
    double most = 0, peak = 1e-30;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        peak = fmax(peak, fabs((double)a[i]));
    }
    return most / peak;
}

static int n_changed(const char *a, const char *b)
{
    struct gguf *x, *y;
    struct err e = {0};
    int n = 0;
    assert_int_equal(gguf_open(a, &x, &e), 0);
    assert_int_equal(gguf_open(b, &y, &e), 0);
    for (int i = 0; i < gguf_n_tensors(x); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(x, i), *u = gguf_find(y, t->name);
        n += u && (u->n_bytes != t->n_bytes || memcmp(t->data, u->data, t->n_bytes));
    }
    gguf_close(x);
    gguf_close(y);
    return n;
}

/* Factors are powers of two, so all that rounds anew is a snake's 1 / (slope + 1e-9) and an epsilon
 * beside a norm's mean: some 1e-7 of the peak.  A factor that is not undone shows as 1e-2. */
static void test_function_stays(void **state)
{
    static const char *const sets[] = {"s1-nano", "s1-odd", "s1-one"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct heard a, b;
        convert(sets[i], plain, false, false);
        convert(sets[i], other, true, true);
        assert_true(n_changed(plain, other) > 20);
        hear(plain, &a);
        hear(other, &b);
        assert_int_equal(a.n_slow, b.n_slow);
        assert_true(apart(a.pcm, b.pcm, a.n_pcm) < 2e-6);
        assert_true(apart(a.slow, b.slow, a.n_slow) < 2e-6);
        assert_true(apart(a.fast, b.fast, a.n_fast) < 2e-6);
        assert_memory_equal(a.codes, b.codes, a.n_codes * sizeof *a.codes);
        heard_done(&a);
        heard_done(&b);
    }
}

/* --- files changed value by value --- */

typedef void change(const void *cookie, const struct gguf_tensor *t, float *v, size_t n);

static void write_changed(const char *from, const char *to, change *f, const void *cookie)
{
    struct gguf *g;
    struct gguf_writer *w;
    struct err e = {0};
    enum gguf_kind kind;
    assert_int_equal(gguf_open(from, &g, &e), 0);
    assert_int_equal(gguf_writer_new(to, &w, &e), 0);
    for (int i = 0; gguf_key_at(g, i, &kind); i++)
        gguf_put_copy(w, g, i);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        assert_int_equal(gguf_writer_tensor(w, t->name, t->type, t->n_dim, t->ne, &e), 0);
    }
    assert_int_equal(gguf_writer_begin(w, &e), 0);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        float *v = mem_alloc(t->n_bytes);
        memcpy(v, t->data, t->n_bytes);
        f(cookie, t, v, t->n_bytes / sizeof *v);
        assert_int_equal(gguf_writer_data(w, v, t->n_bytes, &e), 0);
        mem_free(v);
    }
    assert_int_equal(gguf_writer_finish(w, &e), 0);
    gguf_writer_free(w);
    gguf_close(g);
}

/* --- every path --- */

static float any_power(const char *name, size_t i)
{
    size_t h = i * 2654435761u;
    while (*name)
        h = h * 31 + (size_t)*name++;
    return ldexpf(1, (int)(h / 65536 % 5) - 2);
}

/* Another network: rows and columns of all matrices of quite different sizes. */
static void roughen(const void *cookie, const struct gguf_tensor *t, float *v, size_t n)
{
    (void)cookie;
    size_t width = (size_t)t->ne[0], deep = width * (size_t)(t->n_dim > 2 ? t->ne[1] : 1);
    bool vector = t->n_dim < 2 || strstr(t->name, ".codebook.");
    for (size_t i = 0; !vector && i < n; i++)
        v[i] *= any_power(t->name, i % width) * any_power(t->name, 7000 + i / deep) / 4;
}

static bool shape_of(void *cookie, const char *name, int64_t ne[3])
{
    const struct gguf_tensor *t = gguf_find(cookie, name);
    for (int i = 0; t && i < 3; i++)
        ne[i] = t->ne[i];
    return t != NULL;
}

static int values_of(void *cookie, const char *name, float *out, struct err *e)
{
    const struct gguf_tensor *t = gguf_find(cookie, name);
    (void)e;
    memcpy(out, t->data, t->n_bytes);
    return 0;
}

static void apply(const void *cookie, const struct gguf_tensor *t, float *v, size_t n)
{
    equalize_values(cookie, t->name, 0, v, n);
}

static void test_every_path(void **state)
{
    static const char *const sets[] = {"s1-nano", "s1-odd", "s1-one"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct heard a, b;
        struct gguf *g;
        struct spec s;
        struct equalize *q;
        struct err e = {0};
        convert(sets[i], plain, false, false);
        write_changed(plain, other, roughen, NULL);
        assert_int_equal(gguf_open(other, &g, &e), 0);
        assert_int_equal(spec_read(g, &s, &e), 0);
        const struct equalize_tensors t = {g, shape_of, values_of};
        assert_int_equal(equalize_new(&s, &t, NULL, &q, &e), 0);
        write_changed(other, small, apply, q);
        int n_matrix;
        assert_true(equalize_largest(q, &n_matrix) >= 4 && n_matrix > 20);
        hear(other, &a);
        hear(small, &b);
        size_t n_wrong = 0;
        for (size_t k = 0; k < a.n_codes; k++)
            n_wrong += a.codes[k] != b.codes[k];
        assert_true(n_wrong <= a.n_codes / 50); /* a near tie may fall the other way */
        if (apart(a.pcm, b.pcm, a.n_pcm) > 2e-5 || apart(a.slow, b.slow, a.n_slow) > 2e-5 ||
            apart(a.fast, b.fast, a.n_fast) > 2e-5)
            fail_msg("%s: sound %g, slow %g, fast %g", sets[i], apart(a.pcm, b.pcm, a.n_pcm),
                     apart(a.slow, b.slow, a.n_slow), apart(a.fast, b.fast, a.n_fast));
        heard_done(&a);
        heard_done(&b);
        equalize_free(q);
        gguf_close(g);
    }
}

/* --- channels blown up --- */

/* Tensors whose rows (or entries), and whose columns, belong to the channels of one path. */
static const char *const blown[][2] = {
    {"blk.1.ffn_up.weight", "rows"},
    {"blk.1.ffn_down.weight", "columns"},
    {"codec.dec.0.res.1.conv1.weight", "rows"},
    {"codec.dec.0.res.1.conv1.bias", "entries"},
    {"codec.dec.0.res.1.snake2.alpha", "by"},
    {"codec.dec.0.res.1.conv2.weight", "columns"},
    {"codec.dec.0.up.weight", "rows"},
    {"codec.dec.0.up.bias", "entries"},
    {"codec.dec.0.res.0.conv2.weight", "rows"},
    {"codec.dec.0.res.0.conv2.bias", "entries"},
    {"codec.dec.0.res.1.conv2.weight", "rows"},
    {"codec.dec.0.res.1.conv2.bias", "entries"},
    {"codec.dec.0.res.2.conv2.weight", "rows"},
    {"codec.dec.0.res.2.conv2.bias", "entries"},
    {"codec.dec.0.res.0.snake1.alpha", "by"},
    {"codec.dec.0.res.1.snake1.alpha", "by"},
    {"codec.dec.0.res.2.snake1.alpha", "by"},
    {"codec.dec.0.res.0.conv1.weight", "columns"},
    {"codec.dec.0.res.1.conv1.weight", "columns"},
    {"codec.dec.0.res.2.conv1.weight", "columns"},
    {"codec.dec.1.snake.alpha", "by"},
    {"codec.dec.1.up.weight", "columns"},
};
#define N_BLOWN (sizeof blown / sizeof *blown)

/* Channels 3 and 17 of 32 become 50 times larger, and what reads them smaller. */
static void blow_up(const void *cookie, const struct gguf_tensor *t, float *v, size_t n)
{
    (void)cookie;
    size_t width = (size_t)t->ne[0], deep = width * (size_t)(t->n_dim > 2 ? t->ne[1] : 1);
    for (size_t k = 0; k < N_BLOWN; k++) {
        const char *how = blown[k][1];
        if (strcmp(t->name, blown[k][0]))
            continue;
        for (size_t i = 0; i < n; i++) {
            size_t c = *how == 'r' ? i / deep % 32 : i % width;
            if (c == 3 || c == 17)
                v[i] *= *how == 'r' || *how == 'e' ? 50 : 0.02f;
        }
    }
}

/* Signal-to-noise ratio of a file's sound in 8 bits against the plain model's, dB. */
static double in_bytes(const char *from, bool equalize, const struct heard *want)
{
    struct quantize_options o = {
        .input = from, .output = small, .scheme = QUANTIZE_Q8, .equalize = equalize, .n_thread = 1};
    struct err e = {0};
    struct heard h;
    double signal = 0, noise = 0;
    if (quantize_file(&o, &e) < 0)
        fail_msg("%s", e.msg);
    hear(small, &h);
    for (size_t i = 0; i < h.n_pcm; i++) {
        double x = (double)want->pcm[i], d = x - (double)h.pcm[i];
        signal += x * x;
        noise += d * d;
    }
    heard_done(&h);
    return 10 * log10(signal / noise);
}

static void test_outliers(void **state)
{
    (void)state;
    struct heard a, b;
    convert("s1-nano", plain, false, false);
    write_changed(plain, other, blow_up, NULL);
    hear(plain, &a);
    hear(other, &b); /* the same function, and so a fair test */
    assert_true(apart(a.pcm, b.pcm, a.n_pcm) < 1e-4);
    double whole = in_bytes(plain, false, &a), lost = in_bytes(other, false, &a);
    double back = in_bytes(other, true, &a);
    if (!(lost < whole - 3 && back > whole - 1))
        fail_msg("%.2f dB plain, %.2f blown up, %.2f equalized", whole, lost, back);
    heard_done(&a);
    heard_done(&b);
}

/* --- recipes --- */

static void keep_lines(void *cookie, const char *line)
{
    char *said = cookie;
    size_t n = strlen(said);
    snprintf(said + n, 2000 - n, "%s\n", line);
}

/* Bits a value of the language model's matrices. */
static double bits_of(const char *path)
{
    struct gguf *g;
    struct err e = {0};
    double bits = 0, n = 0;
    assert_int_equal(gguf_open(path, &g, &e), 0);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        if (!strncmp(t->name, "codec.", 6) || t->n_dim < 2)
            continue;
        n += (double)t->ne[0] * (double)t->ne[1];
        bits += 8 * (double)t->n_bytes;
    }
    gguf_close(g);
    return bits / n;
}

static void test_target(void **state)
{
    (void)state;
    static const double targets[] = {4.5, 5, 6, 7.5, 8.5};
    char said[2000];
    struct err e = {0};
    double before = 0;
    convert("s1-nano", plain, false, false);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct quantize_options o = {.input = plain,
                                     .output = small,
                                     .scheme = QUANTIZE_MIXED,
                                     .target_bits = targets[i],
                                     .equalize = true,
                                     .note = keep_lines,
                                     .cookie = said};
        *said = 0;
        assert_int_equal(quantize_file(&o, &e), 0);
        double bits = bits_of(small);
        assert_true(bits <= targets[i] + 1e-9 && bits > targets[i] - 1 && bits >= before);
        assert_non_null(strstr(said, "equalized, by factors up to"));
        assert_non_null(strstr(said, "within"));
        before = bits;
    }
    assert_true(before == 8.5);
    static const double wrong[] = {4.4, 8.6, -1, NAN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct quantize_options o = {
            .input = plain, .output = small, .scheme = QUANTIZE_MIXED, .target_bits = wrong[i]};
        assert_int_equal(quantize_file(&o, &e), ERR_ARGUMENT);
    }
}

/* --- an output matrix of its own --- */

/* A stored head of few rows is the head that is copied out of all of them. */
static void test_trimmed_head(void **state)
{
    (void)state;
    struct gguf *g;
    struct spec s;
    struct err e = {0};
    struct heard a, b;
    convert("s1-odd", plain, false, false);
    convert("s1-odd", other, false, true);
    assert_int_equal(gguf_open(other, &g, &e), 0);
    assert_int_equal(spec_read(g, &s, &e), 0);
    assert_false(s.lm.tied);
    const struct gguf_tensor *t = gguf_find(g, "output.weight");
    assert_int_equal(t->ne[1], s.lm.semantic_end - s.lm.semantic_begin + 2);
    gguf_close(g);
    hear(plain, &a);
    hear(other, &b);
    assert_int_equal(a.n_slow, b.n_slow);
    assert_memory_equal(a.slow, b.slow, a.n_slow * sizeof *a.slow);
    heard_done(&a);
    heard_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_function_stays), cmocka_unit_test(test_every_path),
        cmocka_unit_test(test_outliers), cmocka_unit_test(test_target),
        cmocka_unit_test(test_trimmed_head)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
