/* Quantizers: errors within the format's bounds on adversarial blocks, never more than plain
 * rounding makes; importance moves the error; files come out the same for every thread count, whole
 * or not at all; importance files keep what they are given and refuse another model's. */
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
#include "jabbertts_tools.h"
#include "model/imatrix.h"
#include "model/import.h"
#include "model/model.h"
#include "model/quantize.h"
#include "base/mem_test.h"

#define NANO "tests/golden/s1-nano/checkpoint"
#define B    QUANTIZE_BLOCK

/* Root mean square error over the largest magnitude.  Plain rounding is at most half a step of
 * every value, 1/254 and 1/16, and a search only makes it less; a half's own rounding adds 2^-11.
 */
#define Q8_BOUND (0.5 / 127 + 1.0 / 2048)
#define Q4_BOUND (0.5 / 8 + 1.0 / 2048)

static char source[64], first[64], second[64], importance_file[64];

static uint32_t random_u32(void)
{
    static uint32_t x = 12345;
    return x = x * 1664525 + 1013904223;
}

static float random_float(void)
{
    return (float)(int32_t)random_u32() / 2147483648.0f;
}

static double squared_error(enum kern_type t, const float *x, const float *w, const void *blocks,
                            size_t n)
{
    double sum = 0;
    float *y = mem_alloc(n * sizeof *y);
    kern_to_f32(t, blocks, y, n);
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        assert_true(isfinite(d));
        sum += (w ? (double)w[i] : 1) * d * d;
    }
    mem_free(y);
    return sum;
}

static void check_block(enum kern_type t, const float *x)
{
    uint8_t searched[34], plain[34];
    double bound = t == KERN_Q8_0 ? Q8_BOUND : Q4_BOUND;
    float largest = 0;
    /* In double, gcc 12 for aarch64 fails to vectorize this (an internal error). */
    for (int i = 0; i < B; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    double top = (double)largest;
    quantize_blocks(t, x, NULL, B, searched);
    kern_from_f32(t, x, plain, B);
    double error = squared_error(t, x, NULL, searched, B);
    /* A scale below the smallest half is zero: then each value is its own error. */
    if (top / (t == KERN_Q8_0 ? 127 : 8) > 1e-6)
        assert_true(sqrt(error / B) <= bound * top);
    else
        assert_true(error <= B * top * top);
    assert_true(error <= squared_error(t, x, NULL, plain, B) * (1 + 1e-6) + 1e-30);
}

static void fill(int kind, float *x)
{
    for (int i = 0; i < B; i++)
        switch (kind) {
        case 0:
            x[i] = 0;
            break;
        case 1:
            x[i] = i == 17 ? -3.5f : 0;
            break;
        case 2:
            x[i] = i % 2 ? 1.0f : -1.0f;
            break;
        case 3:
            x[i] = 0.25f;
            break;
        case 4:
            x[i] = i == 3 ? 60000.0f : 1e-3f;
            break;
        case 5:
            x[i] = 1e-8f * (float)i;
            break;
        case 6:
            x[i] = -QUANTIZE_MAX;
            break;
        case 7:
            x[i] = 1e-42f;
            break;
        case 8:
            x[i] = i == 0 ? 1e-4f : 9e-5f;
            break;
        case 9:
            x[i] = i < 16 ? 7.0f : -8.0f;
            break;
        default:
            x[i] = random_float() * (kind % 3 ? 1 : powf(2, (float)(i % 20) - 10));
            break;
        }
}

static void test_blocks(void **state)
{
    float x[B];
    (void)state;
    for (int kind = 0; kind < 400; kind++) {
        fill(kind, x);
        check_block(KERN_Q8_0, x);
        check_block(KERN_Q4_0, x);
    }
}

/* The error goes where it is not weighted, and weights of any size do no harm. */
static void test_importance(void **state)
{
    float x[B], w[B], wild[B];
    uint8_t with[18], without[18], same[18];
    double a = 0, b = 0;
    (void)state;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < B; i++) {
            x[i] = random_float();
            w[i] = i % 8 == 0 ? 100 : 0.01f;
            wild[i] = w[i] * 1e30f;
        }
        quantize_blocks(KERN_Q4_0, x, w, B, with);
        quantize_blocks(KERN_Q4_0, x, wild, B, same);
        quantize_blocks(KERN_Q4_0, x, NULL, B, without);
        assert_memory_equal(with, same, sizeof with);
        a += squared_error(KERN_Q4_0, x, w, with, B);
        b += squared_error(KERN_Q4_0, x, w, without, B);
    }
    assert_true(a < 0.8 * b);
    memset(w, 0, sizeof w); /* nothing counts: as if nothing were known */
    quantize_blocks(KERN_Q4_0, x, w, B, with);
    assert_memory_equal(with, without, sizeof with);
}

/* --- files --- */

static int setup(void **state)
{
    (void)state;
    struct err e = {0};
    snprintf(source, sizeof source, "/tmp/test_quantize-%d.gguf", (int)getpid());
    snprintf(first, sizeof first, "/tmp/test_quantize-%d-1.gguf", (int)getpid());
    snprintf(second, sizeof second, "/tmp/test_quantize-%d-2.gguf", (int)getpid());
    snprintf(importance_file, sizeof importance_file, "/tmp/test_quantize-%d.imatrix",
             (int)getpid());
    struct import_options o = {
        .directory = NANO, .output = source, .type = KERN_F32, .sampling = {-1, -1, -1}};
    return import_convert(&o, &e);
}

static int teardown(void **state)
{
    (void)state;
    unlink(first);
    unlink(second);
    unlink(importance_file);
    return unlink(source);
}

static char *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *data = mem_alloc(*n + 1);
    assert_int_equal(fread(data, 1, *n, f), *n);
    fclose(f);
    return data;
}

static void assert_same_files(const char *a, const char *b)
{
    size_t n, m;
    char *x = read_whole(a, &n), *y = read_whole(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mem_free(x);
    mem_free(y);
}

static int quantize(const char *to, enum quantize_scheme scheme, const char *imatrix, int n_thread,
                    struct err *e)
{
    struct quantize_options o = {
        .input = source, .output = to, .scheme = scheme, .imatrix = imatrix, .n_thread = n_thread};
    return quantize_file(&o, e);
}

static void test_files(void **state)
{
    struct err e = {0};
    struct model m;
    struct model_options o = {.n_thread = 1};
    (void)state;
    for (int scheme = QUANTIZE_Q8; scheme <= QUANTIZE_MIXED; scheme++) {
        assert_int_equal(quantize(first, (enum quantize_scheme)scheme, NULL, 1, &e), 0);
        assert_int_equal(quantize(second, (enum quantize_scheme)scheme, NULL, 3, &e), 0);
        assert_same_files(first, second);
        assert_int_equal(model_open(&m, first, &o, &e), 0);
        const struct gguf_tensor *t = gguf_find(m.file, "blk.0.attn_norm.weight");
        assert_int_equal(t->type, KERN_F32);
        t = gguf_find(m.file, "blk.0.ffn_gate.weight");
        enum kern_type want =
            scheme == QUANTIZE_Q4 ? KERN_Q4_0 : KERN_Q8_0; /* mixed: first layer */
        assert_int_equal(t->type, t->ne[0] % B ? KERN_F16 : want);
        model_close(&m);
    }
}

/* Every key survives; quantizing what is quantized changes nothing. */
static void test_again(void **state)
{
    struct err e = {0};
    struct gguf *a, *b;
    enum gguf_kind kind, other;
    const char *key, *x, *y;
    size_t n, m;
    (void)state;
    assert_int_equal(quantize(first, QUANTIZE_Q8, NULL, 2, &e), 0);
    struct quantize_options o = {.input = first, .output = second, .scheme = QUANTIZE_Q8};
    assert_int_equal(quantize_file(&o, &e), 0);
    assert_same_files(first, second);
    assert_int_equal(gguf_open(source, &a, &e), 0);
    assert_int_equal(gguf_open(first, &b, &e), 0);
    for (int i = 0; (key = gguf_key_at(a, i, &kind)); i++) {
        if (kind == GGUF_STRING) {
            assert_int_equal(gguf_get_string(a, key, &x, &e), 0);
            assert_int_equal(gguf_get_string(b, key, &y, &e), 0);
            assert_string_equal(x, y);
        } else if (kind == GGUF_ARRAY) {
            assert_int_equal(gguf_array_len(a, key, &kind, &n, &e), 0);
            assert_int_equal(gguf_array_len(b, key, &other, &m, &e), 0);
            assert_int_equal(kind, other);
            assert_int_equal(n, m);
            for (size_t k = 0; kind == GGUF_STRING && k < n; k++) {
                size_t p, q;
                assert_int_equal(gguf_array_string(a, key, k, &x, &p), 0);
                assert_int_equal(gguf_array_string(b, key, k, &y, &q), 0);
                assert_int_equal(p, q);
                assert_memory_equal(x, y, p);
            }
        }
    }
    gguf_close(a);
    gguf_close(b);
}

static void test_refused(void **state)
{
    struct err e = {0};
    (void)state;
    unlink(first);
    assert_int_equal(quantize("/proc/none/x.gguf", QUANTIZE_Q8, NULL, 1, &e), ERR_IO);
    assert_int_equal(quantize(first, QUANTIZE_Q8, "/proc/none/x", 1, &e), ERR_NOT_FOUND);
    assert_int_equal(quantize(first, QUANTIZE_Q8, source, 1, &e), ERR_FORMAT);
    assert_int_not_equal(access(first, F_OK), 0);
    for (long n = 0; n < 40; n++) {
        mem_fail_after(n);
        int rc = quantize(first, QUANTIZE_Q8, NULL, 1, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc < 0 && access(first, F_OK) != 0));
        unlink(first);
    }
}

static void test_not_finite(void **state)
{
    struct err e = {0};
    struct gguf *g;
    size_t n;
    (void)state;
    char *data = read_whole(source, &n);
    assert_int_equal(gguf_open_memory(data, n, &g, &e), 0);
    const struct gguf_tensor *t = gguf_find(g, "blk.0.ffn_down.weight");
    float bad = NAN;
    memcpy((char *)(uintptr_t)t->data + 40, &bad, sizeof bad);
    gguf_close(g);
    FILE *f = fopen(second, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
    mem_free(data);
    unlink(first);
    struct quantize_options o = {.input = second, .output = first, .scheme = QUANTIZE_Q8};
    assert_int_equal(quantize_file(&o, &e), ERR_FORMAT);
    assert_non_null(strstr(e.msg, "blk.0.ffn_down.weight holds"));
    assert_int_not_equal(access(first, F_OK), 0);
}

/* --- importance --- */

static void test_imatrix(void **state)
{
    struct err e = {0};
    struct imatrix *m;
    const float rows[2][3] = {{1, 0, -2}, {3, 0, 4}};
    float mean[3] = {9, 9, 9};
    (void)state;
    assert_int_equal(imatrix_new(&m, &e), 0);
    assert_int_equal(imatrix_add(m, "a.weight", rows[0], 1, 3, &e), 0);
    assert_int_equal(imatrix_add(m, "a.weight", rows[1], 1, 3, &e), 0);
    assert_int_equal(imatrix_add(m, "a.weight", rows[0], 1, 2, &e), ERR_INTERNAL);
    assert_int_equal(imatrix_write(m, importance_file, "a test", 1, &e), 0);
    imatrix_free(m);
    assert_int_equal(imatrix_open(importance_file, &m, &e), 0);
    assert_int_equal(imatrix_find(m, "b.weight", 3, mean, &e), ERR_NOT_FOUND);
    assert_int_equal(imatrix_find(m, "a.weight", 4, mean, &e), ERR_FORMAT);
    assert_true(mean[0] == 9);
    assert_int_equal(imatrix_find(m, "a.weight", 3, mean, &e), 0);
    assert_true(mean[0] == 5 && mean[1] == 0 && mean[2] == 10);
    imatrix_free(m);
    imatrix_free(NULL);
}

/* The engine's own activations: every matrix but those whose rows are looked up has an entry, the
 * same bytes for every thread count, and quantizing with it helps where it says. */
static void test_calibrate(void **state)
{
    struct jabbertts_calibrate_options o = {
        .model = source, .text = "tests/cases/calibrate.txt", .output = first, .threads = 1};
    struct jabbertts_error error;
    struct err e = {0};
    struct imatrix *m;
    struct gguf *g;
    float row[4096];
    (void)state;
    assert_int_equal(jabbertts_calibrate(&o, &error), 0);
    o.output = second;
    o.threads = 3;
    assert_int_equal(jabbertts_calibrate(&o, &error), 0);
    assert_same_files(first, second);
    assert_int_equal(imatrix_open(first, &m, &e), 0);
    assert_int_equal(gguf_open(source, &g, &e), 0);
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        bool looked_up = !strcmp(t->name, "codebook_embd.weight") ||
                         !strcmp(t->name, "fast.token_embd.weight") ||
                         strstr(t->name, ".codebook.") || strstr(t->name, ".dw.");
        if (t->n_dim < 2 || looked_up)
            continue;
        if (imatrix_find(m, t->name, t->ne[0], row, &e) != 0)
            fail_msg("%s", e.msg);
        for (int k = 0; k < t->ne[0]; k++)
            assert_true(row[k] >= 0);
    }
    gguf_close(g);
    imatrix_free(m);
    assert_int_equal(quantize(second, QUANTIZE_MIXED, first, 2, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_importance),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_again),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_imatrix), cmocka_unit_test(test_calibrate),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
