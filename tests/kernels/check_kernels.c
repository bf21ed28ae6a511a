/* check_kernels.c - every op of every usable instruction set against plain double arithmetic, on
 * odd sizes; each output must be bit for bit the same for 1, 2 and 3 threads, and however many rows
 * are in the call.  --bench times the ops that decide the speed; names of instruction sets restrict
 * it to those.  Last line: N passed, N failed. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/check.h"

static int n_pass, n_fail;
static const char *isa;
struct kern_exec *execs[N_POOL];

void report(bool ok, const char *what, int a, int b)
{
    if (ok) {
        n_pass++;
        return;
    }
    n_fail++;
    printf("FAIL %s %s, sizes %d %d\n", isa, what, a, b);
}

static uint32_t rng_state = 1;

uint32_t rng(void)
{
    rng_state ^= rng_state << 13;
    rng_state ^= rng_state >> 17;
    rng_state ^= rng_state << 5;
    return rng_state;
}

static float uniform(float top)
{
    return ((float)(rng() >> 8) / 8388608.0f - 1.0f) * top;
}

float *numbers(size_t n, float top)
{
    float *p = mem_alloc((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) {
        uint32_t kind = rng() % 64;
        p[i] = kind == 0 ? 0 : kind == 1 ? 1e-40f : uniform(kind == 2 ? top * 8 : top);
    }
    return p;
}

static bool near(const float *got, const double *want, const double *size, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-6 * size[i] + 1e-30))
            return false;
    return true;
}

/* --- linear --- */

struct shape {
    int n_out, n_in, n_tap, n_row, stride, dilation;
};

struct linear_case {
    struct shape s;
    struct kern_linear l;
    struct kern_source source;
    float *w, *in, *bias, *scale, *start;
    const float *seen; /* what the weights meet: in, or in there and back through int8 */
    size_t n_w, n_in_row, n_result;
    enum kern_epilogue epilogue;
};

static void linear_expect(const struct linear_case *c, double *want, double *size)
{
    const struct shape *s = &c->s;
    size_t k = (size_t)s->n_in * (size_t)s->n_tap;
    for (int r = 0; r < s->n_row; r++)
        for (int o = 0; o < s->n_out; o++) {
            double sum = c->bias ? (double)c->bias[o] : 0, magnitude = fabs(sum);
            for (int j = 0; j < s->n_tap; j++)
                for (int i = 0; i < s->n_in; i++) {
                    double w =
                        (double)c->w[(size_t)o * k + (size_t)j * (size_t)s->n_in + (size_t)i];
                    double v = (double)c->seen[((size_t)r * (size_t)s->stride +
                                                (size_t)j * (size_t)s->dilation) *
                                                   (size_t)s->n_in +
                                               (size_t)i];
                    sum += w * v;
                    magnitude += fabs(w * v);
                }
            size_t at = (size_t)r * (size_t)s->n_out + (size_t)o;
            bool add = c->epilogue == KERN_ADD;
            double factor = add && c->scale ? (double)c->scale[o] : 1;
            want[at] = factor * sum + (add ? (double)c->start[at] : 0);
            size[at] = fabs(factor) * magnitude + (add ? fabs((double)c->start[at]) : 0);
        }
}

/* Weights in blocks meet rows in blocks of 32: nearest multiple of the largest magnitude / 127. */
static float *quantized(const float *in, size_t n)
{
    float *out = mem_alloc((n + 1) * sizeof *out);
    for (size_t b = 0; b < n; b += 32) {
        float top = 0;
        for (size_t i = b; i < b + 32; i++)
            top = fmaxf(top, fabsf(in[i]));
        for (size_t i = b; i < b + 32; i++)
            out[i] = top > 1e-30f ? nearbyintf(in[i] * (127.0f / top)) * (top / 127.0f) : 0;
    }
    return out;
}

static bool in_blocks(enum kern_type t)
{
    return t == KERN_Q8_0 || t == KERN_Q4_0;
}

static void linear_run(const struct linear_case *c, int i_pool, int row, int n_row, float *out)
{
    struct kern_call call = {.in = c->in + (size_t)row * (size_t)c->s.stride * (size_t)c->s.n_in,
                             .out = out,
                             .n_row = n_row,
                             .stride = c->s.stride,
                             .dilation = c->s.dilation,
                             .epilogue = c->epilogue,
                             .scale = c->scale};
    kern_linear_run(execs[i_pool], &c->l, &call);
}

static void linear_compare(struct linear_case *c, const char *what)
{
    size_t n = c->n_result, n_out = (size_t)c->s.n_out;
    size_t steps = (size_t)(c->s.n_row - 1) * (size_t)c->s.stride +
                   (size_t)(c->s.n_tap - 1) * (size_t)c->s.dilation + 1;
    float *seen = in_blocks(c->l.type) ? quantized(c->in, steps * (size_t)c->s.n_in) : NULL;
    c->seen = seen ? seen : c->in;
    float *first = mem_alloc(n * 4), *other = mem_alloc(n * 4);
    double *want = mem_alloc(n * 8), *size = mem_alloc(n * 8);
    linear_expect(c, want, size);
    memcpy(first, c->start, n * 4);
    linear_run(c, 0, 0, c->s.n_row, first);
    report(near(first, want, size, n), what, c->s.n_out, c->s.n_in * c->s.n_tap);
    for (int i = 1; i < N_POOL; i++) {
        memcpy(other, c->start, n * 4);
        linear_run(c, i, 0, c->s.n_row, other);
        report(!memcmp(first, other, n * 4), "linear, more threads", c->s.n_out, c->s.n_row);
    }
    memcpy(other, c->start, n * 4);
    for (int r = 0, step = 1; r < c->s.n_row; r += step, step = step % 5 + 1) {
        int m = c->s.n_row - r < step ? c->s.n_row - r : step;
        linear_run(c, r % N_POOL, r, m, other + (size_t)r * n_out);
    }
    report(!memcmp(first, other, n * 4), "linear, rows apart", c->s.n_out, c->s.n_row);
    mem_free(seen);
    mem_free(first);
    mem_free(other);
    mem_free(want);
    mem_free(size);
}

static void check_linear(struct shape s, enum kern_type type, int variant)
{
    struct linear_case c = {.s = s, .epilogue = variant & 1 ? KERN_ADD : KERN_STORE};
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct err e = {0};
    size_t n_in = (size_t)s.n_in;
    size_t steps =
        (size_t)(s.n_row - 1) * (size_t)s.stride + (size_t)(s.n_tap - 1) * (size_t)s.dilation + 1;
    c.n_w = (size_t)s.n_out * n_in * (size_t)s.n_tap;
    c.n_result = (size_t)s.n_row * (size_t)s.n_out;
    c.w = numbers(c.n_w, 1);
    c.in = numbers(steps * n_in, 2);
    c.start = numbers(c.n_result, 1);
    c.bias = variant & 2 ? numbers((size_t)s.n_out, 1) : NULL;
    c.scale = variant == 3 ? numbers((size_t)s.n_out, 1) : NULL;
    struct kern_source source = {s.n_out, s.n_in, s.n_tap, KERN_F32, c.w, c.bias, NULL};
    int rc = kern_linear_init(&c.l, execs[0], &source, type, arena, &e);
    report(rc == 0, "linear_init", s.n_out, s.n_in);
    /* What the packed weights stand for: there and back through their format. */
    void *stored = mem_alloc(kern_type_row_bytes(KERN_F32, c.n_w));
    kern_from_f32(c.l.type, c.w, stored, c.n_w);
    kern_to_f32(c.l.type, stored, c.w, c.n_w);
    if (rc == 0)
        linear_compare(&c, kern_type_name(type));
    mem_free(stored);
    mem_free(c.w);
    mem_free(c.in);
    mem_free(c.start);
    mem_free(c.bias);
    mem_free(c.scale);
    mem_arena_free(arena);
}

/* Blocks as another program may have stored them: their scale is not what their largest value would
 * give, and no bit of them may be rounded away. */
static void check_stored(struct shape s, enum kern_type type)
{
    struct linear_case c = {.s = s};
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct err e = {0};
    c.n_w = (size_t)s.n_out * (size_t)s.n_in;
    c.n_result = (size_t)s.n_row * (size_t)s.n_out;
    size_t bytes = kern_type_row_bytes(type, c.n_w), block = kern_type_row_bytes(type, 32);
    unsigned char *stored = mem_alloc(bytes);
    for (size_t i = 0; i < bytes; i++) /* the second byte of each block is its scale's exponent */
        stored[i] = (unsigned char)(i % block == 1 ? 0x20 + rng() % 8 : rng() % 256);
    c.w = mem_alloc(c.n_w * 4);
    kern_to_f32(type, stored, c.w, c.n_w);
    c.in = numbers((size_t)s.n_row * (size_t)s.n_in, 2);
    c.start = numbers(c.n_result, 1);
    struct kern_source source = {s.n_out, s.n_in, 1, type, stored, NULL, NULL};
    int rc = kern_linear_init(&c.l, execs[0], &source, KERN_AS_STORED, arena, &e);
    report(rc == 0, "linear_init as stored", s.n_out, s.n_in);
    if (rc == 0)
        linear_compare(&c, "as stored");
    mem_free(stored);
    mem_free(c.w);
    mem_free(c.in);
    mem_free(c.start);
    mem_arena_free(arena);
}

/* Scales of one and whole numbers: every product and sum is exact, so all instruction sets must
 * give the same bits.  Extremes are frequent: they are where 16-bit sums would saturate or wrap. */
static void check_integers(struct shape s, enum kern_type type)
{
    static const int ends[] = {-128, -127, 127, -1, 0, 126};
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct kern_linear l;
    struct err e = {0};
    size_t n_in = (size_t)s.n_in, n_w = (size_t)s.n_out * n_in,
           n = (size_t)s.n_row * (size_t)s.n_out;
    size_t block = kern_type_row_bytes(type, 32), bytes = kern_type_row_bytes(type, n_w);
    unsigned char *stored = mem_alloc(bytes);
    float *w = mem_alloc(n_w * 4), *in = mem_alloc((size_t)s.n_row * n_in * 4);
    float *want = mem_alloc(n * 4), *got = mem_alloc(n * 4);
    int flavour = (int)(rng() % 4); /* 0, 1: all weights at one end */
    for (size_t i = 0; i < bytes; i++) {
        int v = flavour < 2 ? (type == KERN_Q8_0 ? ends[flavour * 2] : flavour * 255)
                : rng() % 2 ? ends[rng() % 6]
                            : (int)(rng() % 256);
        stored[i] = (unsigned char)(i % block == 0 ? 0 : i % block == 1 ? 0x3c : v);
    }
    for (size_t i = 0; i < (size_t)s.n_row * n_in; i++)
        in[i] = i % 32 == 5 ? 127 : flavour == 3 ? 127 : (float)((int)(rng() % 255) - 127);
    for (size_t i = 0; flavour == 1 && i < (size_t)s.n_row * n_in; i++)
        in[i] = i / n_in % 2 ? -127 : 127;
    kern_to_f32(type, stored, w, n_w);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_in; k++)
            want[i] += w[i % (size_t)s.n_out * n_in + k] * in[i / (size_t)s.n_out * n_in + k];
    struct kern_source source = {s.n_out, s.n_in, 1, type, stored, NULL, NULL};
    struct kern_call call = {.in = in, .out = got, .n_row = s.n_row};
    int rc = kern_linear_init(&l, execs[0], &source, type, arena, &e);
    if (rc == 0)
        kern_linear_run(execs[1], &l, &call);
    report(rc == 0 && !memcmp(want, got, n * 4), kern_type_name(type), s.n_out, s.n_in);
    mem_free(stored);
    mem_free(w);
    mem_free(in);
    mem_free(want);
    mem_free(got);
    mem_arena_free(arena);
}

/* The norm in front of a linear is kern_rms_norm. */
static void check_norm_linear(enum kern_type type, int n_row)
{
    enum { IN = 64, OUT = 35 };
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct kern_linear l;
    struct err e = {0};
    size_t n_out = OUT * (size_t)n_row;
    float *w = numbers(IN * OUT, 1), *in = numbers(IN * (size_t)n_row, 2), *norm = numbers(IN, 1);
    float *normed = mem_alloc(IN * 4 * (size_t)n_row), *a = mem_alloc(n_out * 4);
    float *b = mem_alloc(n_out * 4);
    struct kern_source source = {OUT, IN, 1, KERN_F32, w, NULL, NULL};
    struct kern_norm m = {.w = norm, .eps = 1e-5f, .n = IN};
    struct kern_call one = {.in = in, .out = a, .n_row = n_row, .norm = &m};
    struct kern_call two = {.in = normed, .out = b, .n_row = n_row};
    int rc = kern_linear_init(&l, execs[0], &source, type, arena, &e);
    if (rc == 0) {
        kern_linear_run(execs[2], &l, &one);
        kern_rms_norm(execs[0], &m, in, n_row, normed);
        kern_linear_run(execs[0], &l, &two);
    }
    report(rc == 0 && !memcmp(a, b, n_out * 4), "linear with norm", OUT, n_row);
    mem_free(w);
    mem_free(in);
    mem_free(norm);
    mem_free(normed);
    mem_free(a);
    mem_free(b);
    mem_arena_free(arena);
}

static void check_linears(void)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0, KERN_Q4_0};
    static const int sizes[] = {1, 3, 7, 16, 31, 32, 33, 64, 65, 96, 130};
    static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 65};
    for (int t = 0; t < LEN(types); t++) {
        for (int i = 0; i < 60; i++) {
            struct shape s = {sizes[rng() % LEN(sizes)], sizes[rng() % LEN(sizes)],
                              (int)(rng() % 7) + 1,      rows[rng() % LEN(rows)],
                              (int)(rng() % 3) + 1,      (int)(rng() % 4) + 1};
            check_linear(s, types[t], i % 4);
        }
        for (int r = 0; r < LEN(rows); r++)
            check_linear((struct shape){80, 64, 1, rows[r], 1, 1}, types[t], r % 4);
        check_linear((struct shape){257, 160, 7, 130, 1, 9}, types[t], 2);
    }
    for (int i = 0; i < 200; i++) {
        struct shape s = {
            sizes[rng() % LEN(sizes)], 32 << (int)(rng() % 3), 1, rows[rng() % LEN(rows)], 1, 1};
        check_integers(s, i % 2 ? KERN_Q8_0 : KERN_Q4_0);
    }
    for (int n_row = 1; n_row < 6; n_row++)
        for (int t = 0; t < LEN(types); t++)
            check_norm_linear(types[t], n_row);
    check_stored((struct shape){33, 96, 1, 3, 1, 1}, KERN_Q8_0);
    check_stored((struct shape){33, 96, 1, 3, 1, 1}, KERN_Q4_0);
}

/* --- ops over rows: f(x) per element, checked against double --- */

static double snake(double v, double alpha)
{
    double s = sin(alpha * v);
    return v + s * s / (alpha + 1e-9);
}

static void check_activations(int n_row, int n)
{
    size_t total = (size_t)n_row * (size_t)n;
    float *in = numbers(total * 2, 6), *alpha = numbers((size_t)n, 1), *inv = numbers((size_t)n, 1);
    float *out[4], *first[4] = {0};
    struct kern_slopes slopes = {alpha, inv, n};
    for (int c = 0; c < n; c++) {
        alpha[c] = 0.05f + fabsf(alpha[c]);
        inv[c] = 1 / (alpha[c] + 1e-9f);
    }
    in[0] = 100;
    for (int i = 0; i < N_POOL; i++) {
        for (int k = 0; k < 4; k++) {
            out[k] = mem_alloc(total * 4);
            memcpy(out[k], in, total * 4);
        }
        kern_silu_mul(execs[i], in, n_row, n, out[0]);
        kern_snake(execs[i], &slopes, in, n_row, out[1]);
        kern_gelu(execs[i], out[2], total);
        kern_tanh(execs[i], out[3], total);
        for (int k = 0; k < 4; k++) {
            if (i == 0)
                first[k] = out[k];
            else {
                report(!memcmp(first[k], out[k], total * 4), "activation, more threads", k, n);
                mem_free(out[k]);
            }
        }
    }
    bool ok[4] = {true, true, true, true};
    for (size_t i = 0; i < total; i++) {
        size_t r = i / (size_t)n, c = i % (size_t)n;
        double a = (double)in[r * 2 * (size_t)n + c], b = (double)in[(r * 2 + 1) * (size_t)n + c];
        double v = (double)in[i], al = (double)alpha[c];
        double want[4] = {a / (1 + exp(-a)) * b, snake(v, al), 0.5 * v * (1 + erf(v / sqrt(2))),
                          tanh(v)};
        double size[4] = {fabs(want[0]) + 1e-7, fabs(v) * 2 + 1 / al, fabs(v), 1};
        for (int k = 0; k < 4; k++)
            ok[k] = ok[k] && near(&first[k][i], &want[k], &size[k], 1);
    }
    static const char *const names[] = {"silu_mul", "snake", "gelu", "tanh"};
    for (int k = 0; k < 4; k++) {
        report(ok[k], names[k], n_row, n);
        mem_free(first[k]);
    }
    mem_free(in);
    mem_free(alpha);
    mem_free(inv);
}

static void check_norms(int n_row, int n)
{
    size_t total = (size_t)n_row * (size_t)n;
    float *in = numbers(total, 3), *w = numbers((size_t)n, 1), *b = numbers((size_t)n, 1);
    float *rms = mem_alloc(total * 4), *layer = mem_alloc(total * 4), *head = mem_alloc(total * 4);
    double want, size;
    bool ok[3] = {true, true, true};
    struct kern_norm rms_norm = {.w = w, .eps = 1e-5f, .n = n};
    struct kern_norm layer_norm = {.w = w, .b = b, .eps = 1e-6f, .n = n};
    struct kern_heads heads = {head, total, 1, n_row, n};
    kern_rms_norm(execs[1], &rms_norm, in, n_row, rms);
    kern_layer_norm(execs[1], &layer_norm, in, n_row, layer);
    memcpy(head, in, total * 4);
    kern_head_norm(execs[2], &rms_norm, &heads);
    for (int r = 0; r < n_row; r++) {
        const float *p = in + (size_t)r * (size_t)n;
        double mean = 0, square = 0, var = 0;
        for (int i = 0; i < n; i++) {
            mean += (double)p[i] / n;
            square += (double)p[i] * (double)p[i] / n;
        }
        for (int i = 0; i < n; i++)
            var += ((double)p[i] - mean) * ((double)p[i] - mean) / n;
        for (int i = 0; i < n; i++) {
            size_t at = (size_t)r * (size_t)n + (size_t)i;
            want = (double)p[i] / sqrt(square + 1e-5) * (double)w[i];
            size = fabs(want);
            ok[0] = ok[0] && near(&rms[at], &want, &size, 1);
            ok[1] = ok[1] && near(&head[at], &want, &size, 1);
            double scale = (double)w[i] / sqrt(var + 1e-6);
            want = ((double)p[i] - mean) * scale + (double)b[i];
            size = (fabs((double)p[i]) + fabs(mean)) * fabs(scale) + fabs((double)b[i]);
            ok[2] = ok[2] && (n == 1 || near(&layer[at], &want, &size, 1));
        }
    }
    report(ok[0], "rms_norm", n_row, n);
    report(ok[1], "head_norm", n_row, n);
    report(ok[2], "layer_norm", n_row, n);
    mem_free(in);
    mem_free(w);
    mem_free(b);
    mem_free(rms);
    mem_free(layer);
    mem_free(head);
}

static void check_depthwise(int n_row, int n, int n_tap)
{
    size_t total = (size_t)n_row * (size_t)n, width = (size_t)n;
    float *in = numbers(total + (size_t)(n_tap - 1) * width, 2);
    float *w = numbers((size_t)n_tap * width, 1), *bias = numbers(width, 1);
    float *out = mem_alloc(total * 4);
    bool ok = true;
    kern_depthwise(execs[2], &(struct kern_filter){w, bias, n, n_tap}, in, n_row, out);
    for (size_t i = 0; i < total; i++) {
        double want = (double)bias[i % width], size = fabs(want);
        for (int j = 0; j < n_tap; j++) {
            double v = (double)w[(size_t)j * width + i % width] * (double)in[i + (size_t)j * width];
            want += v;
            size += fabs(v);
        }
        ok = ok && near(&out[i], &want, &size, 1);
    }
    report(ok, "depthwise", n_row, n);
    mem_free(in);
    mem_free(w);
    mem_free(bias);
    mem_free(out);
}

/* --- attention --- */

struct attend_case {
    int n_head, n_kv_head, dim, n_row;
    struct kern_kv kv;
    float *q, *k, *v; /* k, v [position][n_kv_head * dim], as stored */
    struct kern_attend_row rows[16];
};

static bool attend_ok(const struct attend_case *c, const float *out)
{
    size_t d = (size_t)c->dim, kv_row = (size_t)c->n_kv_head * d;
    for (int i = 0; i < c->n_row * c->n_head; i++) {
        const struct kern_attend_row *row = &c->rows[i / c->n_head];
        size_t h = (size_t)(i % c->n_head / (c->n_head / c->n_kv_head)) * d;
        double total = 0, sum[KERN_KV_Q8_DIM] = {0}, size[KERN_KV_Q8_DIM] = {0};
        for (int p = row->first; p <= row->last; p++) {
            double s = 0;
            for (size_t j = 0; j < d; j++)
                s += (double)c->q[(size_t)i * d + j] * (double)c->k[(size_t)p * kv_row + h + j];
            double weight = exp(s / sqrt((double)d));
            total += weight;
            for (size_t j = 0; j < d; j++) {
                double v = (double)c->v[(size_t)p * kv_row + h + j];
                sum[j] += weight * v;
                size[j] += weight * fabs(v);
            }
        }
        for (size_t j = 0; j < d; j++) {
            double want = sum[j] / total, scale = 4 * size[j] / total + 1e-4;
            if (!near(&out[(size_t)i * d + j], &want, &scale, 1))
                return false;
        }
    }
    return true;
}

/* What the last positions of a cache hold, [position][n_head * dim], as kern.h says they are
 * stored; each number may be half a step of int8 from what was given. */
static void read_kv(const struct kern_kv *kv, const void *rows, int n_position, float *out)
{
    int d = kv->head_dim, n_block = d / 32;
    size_t bytes = kern_type_row_bytes(kv->type, (size_t)d);
    for (int p = n_position - kv->capacity; p < n_position; p++)
        for (int h = 0; h < kv->n_head; h++) {
            const char *row =
                (const char *)rows + (size_t)(h * kv->capacity + p % kv->capacity) * bytes;
            float *to = out + ((size_t)p * (size_t)kv->n_head + (size_t)h) * (size_t)d;
            if (kv->type != KERN_Q8_0)
                kern_to_f32(kv->type, row, to, (size_t)d);
            for (int i = 0; kv->type == KERN_Q8_0 && i < d; i++) {
                float scale, v;
                kern_to_f32(KERN_F16, row + i / 32 * 2, &scale, 1);
                v = scale * (float)(int8_t)row[n_block * 2 + i];
                report(fabsf(v - to[i]) <= 0.6f * scale + 1e-7f, "cache row", d, i);
                to[i] = v;
            }
        }
}

/* The query as q8_0 keys meet it: nearest multiples of the largest magnitude / 16383. */
static void round_query(float *q, int d)
{
    float top = 0;
    for (int j = 0; j < d; j++)
        top = fmaxf(top, fabsf(q[j]));
    for (int j = 0; j < d; j++)
        q[j] = nearbyintf(q[j] * (16383 / top)) * (top / 16383);
}

static void check_attend(enum kern_type type, int n_kv_head, int dim, int n_position)
{
    struct attend_case c = {n_kv_head * 2, n_kv_head, dim, 5, .kv = {0}};
    int capacity = n_position > 20 ? n_position - 7 : n_position; /* so that the ring wraps */
    size_t bytes = kern_kv_bytes(type, n_kv_head, dim, capacity);
    size_t kv_row = (size_t)n_kv_head * (size_t)dim, n_kv = kv_row * (size_t)n_position;
    size_t n_out = (size_t)c.n_row * (size_t)c.n_head * (size_t)dim;
    c.kv = (struct kern_kv){mem_alloc(bytes), mem_alloc(bytes), type, n_kv_head, dim, capacity};
    c.q = numbers(n_out, 0.5f);
    c.k = numbers(n_kv, 0.5f);
    c.v = numbers(n_kv, 1);
    for (int p = 0; p < n_position; p++)
        kern_kv_store(execs[0], &c.kv, p, c.k + (size_t)p * kv_row, c.v + (size_t)p * kv_row);
    read_kv(&c.kv, c.kv.k, n_position, c.k);
    read_kv(&c.kv, c.kv.v, n_position, c.v);
    for (int r = 0; r < c.n_row; r++) {
        int first = n_position - capacity, last = n_position - 1 - r;
        c.rows[r] = (struct kern_attend_row){&c.kv, first, last < first ? first : last};
    }
    float *out = mem_alloc(n_out * 4), *other = mem_alloc(n_out * 4);
    size_t q_row = (size_t)c.n_head * (size_t)dim;
    struct kern_heads q = {c.q, q_row, c.n_row, c.n_head, dim};
    kern_attend(execs[0], &q, c.rows, out);
    for (int r = 0; r < c.n_row; r++) {
        struct kern_heads one = {c.q + (size_t)r * q_row, q_row, 1, c.n_head, dim};
        kern_attend(execs[2], &one, &c.rows[r], other + (size_t)r * q_row);
    }
    report(!memcmp(out, other, n_out * 4), "attend, rows apart", dim, n_position);
    for (size_t at = 0; type == KERN_Q8_0 && at < n_out; at += (size_t)dim)
        round_query(c.q + at, dim);
    report(attend_ok(&c, out), "attend", dim, n_position);
    mem_free(c.kv.k);
    mem_free(c.kv.v);
    mem_free(c.q);
    mem_free(c.k);
    mem_free(c.v);
    mem_free(out);
    mem_free(other);
}

/* --- rotation and formats --- */

static void check_rope(int n_head, int dim)
{
    int32_t position[3] = {0, 5, 2};
    size_t row = (size_t)n_head * (size_t)dim + 3, n = row * 3;
    float *table = mem_alloc((size_t)dim * 6 * 4), *p = numbers(n, 2),
          *was = mem_alloc((n + 1) * 4);
    bool ok = true;
    kern_rope_table(10000, dim, 6, table);
    memcpy(was, p, n * 4);
    kern_rope(execs[1], &(struct kern_heads){p, row, 3, n_head, dim}, table, position);
    for (size_t i = 0; i < n; i++) {
        size_t r = i / row, at = i % row, pair = at % (size_t)dim / 2 * 2;
        const float *t = table + (size_t)position[r] * (size_t)dim + pair;
        size_t even = i - at % (size_t)dim % 2;
        double a = (double)was[even], b = (double)was[even + 1], c = (double)t[0], s = (double)t[1];
        double want = at % 2 ? b * c + a * s : a * c - b * s, size = fabs(a) + fabs(b);
        if (at >= (size_t)(n_head * dim))
            want = (double)was[i];
        ok = ok && near(&p[i], &want, &size, 1);
    }
    report(ok, "rope", n_head, dim);
    mem_free(table);
    mem_free(p);
    mem_free(was);
}

/* Every half survives the way to float and back; NaN stays NaN. */
static void check_formats(void)
{
    static const enum kern_type types[] = {KERN_F16, KERN_BF16};
    for (int t = 0; t < LEN(types); t++) {
        bool ok = true;
        int inf = t == 0 ? 0x7c00 : 0x7f80;
        for (int i = 0; i < inf; i++)
            for (int sign = 0; sign < 2; sign++) {
                uint16_t h = (uint16_t)(i | sign << 15), back;
                float v;
                kern_to_f32(types[t], &h, &v, 1);
                kern_from_f32(types[t], &v, &back, 1);
                ok = ok && back == h;
            }
        report(ok, kern_type_name(types[t]), inf, 1);
    }
}

/* Blocks of 32: within half a step of the scale (q4_0: a whole one at its short end), the largest
 * exact where the format promises it, zeros and denormals without a division by zero. */
static void check_blocks(void)
{
    static const float ends[][2] = {{0, 0},  {1e-42f, -1e-42f}, {7, -8},
                                    {8, -7}, {-65000, 3},       {1, 1}};
    for (int i = 0; i < 200 + LEN(ends); i++) {
        float in[64], q8[64], q4[64], top[2] = {0};
        uint8_t stored[68];
        bool ok = true;
        for (int k = 0; k < 64; k++) {
            in[k] = i < LEN(ends) ? ends[i][k % 2] : uniform(1.0f + (float)(i % 9));
            top[k / 32] = fmaxf(top[k / 32], fabsf(in[k]));
        }
        kern_from_f32(KERN_Q8_0, in, stored, 64);
        kern_to_f32(KERN_Q8_0, stored, q8, 64);
        kern_from_f32(KERN_Q4_0, in, stored, 64);
        kern_to_f32(KERN_Q4_0, stored, q4, 64);
        for (int k = 0; k < 64; k++) { /* the scale is a half: 2^-11 of itself off, or 2^-25 */
            float t = top[k / 32], slack = t * 0x1p-10f + 0x1p-20f;
            ok = ok && fabsf(q8[k] - in[k]) <= t / 254 + slack;
            ok = ok && fabsf(q4[k] - in[k]) <= t / 8 + slack;
            ok = ok && (fabsf(in[k]) < t || fabsf(q8[k] - in[k]) <= slack);
        }
        report(ok, "blocks", i, 64);
    }
}

static void check_nan(void)
{
    float in[66], w[33], out[33];
    for (int i = 0; i < 66; i++)
        in[i] = NAN;
    for (int i = 0; i < 33; i++)
        w[i] = 1;
    kern_rms_norm(execs[1], &(struct kern_norm){.w = w, .eps = 1e-5f, .n = 33}, in, 1, out);
    report(out[32] != out[32], "rms_norm of nan", 1, 33);
    kern_silu_mul(execs[1], in, 1, 33, out);
    report(out[32] != out[32], "silu_mul of nan", 1, 33);
    kern_snake(execs[1], &(struct kern_slopes){w, w, 33}, in, 1, out);
    report(out[32] != out[32], "snake of nan", 1, 33);
}

static void check_isa(void)
{
    static const int sizes[] = {1, 3, 7, 16, 31, 33, 65, 130};
    check_formats();
    check_blocks();
    check_nan();
    check_linears();
    for (int i = 0; i < LEN(sizes); i++)
        for (int r = 1; r < 70; r = r * 3 + 1) {
            check_activations(r, sizes[i]);
            check_norms(r, sizes[i]);
            check_depthwise(r, sizes[i], r % 7 + 1);
        }
    for (int n = 1; n < 200; n = n * 2 + 1) {
        check_attend(KERN_F32, 2, 8 * (n % 5) + 8, n);
        check_attend(KERN_F16, 1, 64, n);
        check_attend(KERN_Q8_0, 2, 32 * (n % 4 + 1), n);
        check_attend(KERN_Q8_0, 1, KERN_KV_Q8_DIM - 32 * (n % 4), n);
    }
    for (int i = 1; i < 5; i++)
        check_rope(i, 8 * i);
    check_conv8();
}

/* --- bench --- */

/* As weights and activations are.  The denormals among numbers() take processors a hundred times as
 * long, which no model does. */
static float *ordinary(size_t n)
{
    float *p = mem_alloc(n * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = uniform(1);
    return p;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench_linear(const char *name, struct shape s, enum kern_type type)
{
    struct mem_arena *arena = mem_arena_new(1 << 20);
    struct linear_case c = {.s = s};
    struct err e;
    size_t k = (size_t)s.n_in * (size_t)s.n_tap;
    c.w = ordinary((size_t)s.n_out * k);
    c.in = ordinary((size_t)(s.n_row + s.n_tap * s.dilation) * (size_t)s.n_in);
    float *out = mem_alloc((size_t)s.n_row * (size_t)s.n_out * 4);
    struct kern_source source = {s.n_out, s.n_in, s.n_tap, KERN_F32, c.w, NULL, NULL};
    if (kern_linear_init(&c.l, execs[1], &source, type, arena, &e) == 0) {
        double begin = now(), best = 1e9;
        while (now() - begin < 0.5) {
            double start = now();
            linear_run(&c, 1, 0, s.n_row, out);
            best = fmin(best, now() - start);
        }
        double mac = (double)s.n_out * (double)k * s.n_row;
        printf("%-7s %-22s %-5s %8.3f ms %7.2f GMAC/s\n", isa, name, kern_type_name(c.l.type),
               best * 1e3, mac / best * 1e-9);
    }
    mem_free(c.w);
    mem_free(c.in);
    mem_free(out);
    mem_arena_free(arena);
}

/* S1-mini's 28 layers, one or more rows at position 1000. */
static void bench_attend(enum kern_type type, int n_row)
{
    enum { N_LAYER = 28, H = 16, K = 8, D = 128, T = 1000 };
    struct kern_kv kv[N_LAYER];
    struct kern_attend_row rows[64];
    size_t bytes = kern_kv_bytes(type, K, D, T + 64);
    float *v = ordinary(H * D * 64), *out = mem_alloc(H * D * 64 * sizeof *out);
    struct kern_heads q = {v, H * D, n_row, H, D};
    double begin, best = 1e9;
    for (int i = 0; i < N_LAYER; i++) {
        kv[i] = (struct kern_kv){mem_alloc(bytes), mem_alloc(bytes), type, K, D, T + 64};
        for (int p = 0; p < T + n_row; p++)
            kern_kv_store(execs[0], &kv[i], p, v + p % 64, v + p % 32);
    }
    for (begin = now(); now() - begin < 1;) {
        double start = now();
        for (int i = 0; i < N_LAYER; i++) {
            for (int r = 0; r < n_row; r++)
                rows[r] = (struct kern_attend_row){&kv[i], 0, T + r};
            kern_attend(execs[0], &q, rows, out);
        }
        best = fmin(best, now() - start);
    }
    printf("%-7s attend, %2d rows at %d   %-5s %8.3f ms\n", isa, n_row, T, kern_type_name(type),
           best * 1e3);
    for (int i = 0; i < N_LAYER; i++) {
        mem_free(kv[i].k);
        mem_free(kv[i].v);
    }
    mem_free(v);
    mem_free(out);
}

static void bench_isa(void)
{
    static const enum kern_type types[] = {KERN_F32, KERN_F16, KERN_Q8_0, KERN_Q4_0};
    for (int t = 0; t < LEN(types); t++) {
        bench_linear("vector 8192x3072", (struct shape){8192, 3072, 1, 1, 1, 1}, types[t]);
        bench_linear("8 rows 8192x3072", (struct shape){8192, 3072, 1, 8, 1, 1}, types[t]);
        bench_linear("256 rows 6144x1024", (struct shape){6144, 1024, 1, 256, 1, 1}, types[t]);
        bench_linear("conv 192x192x7 512", (struct shape){192, 192, 7, 512, 1, 3}, types[t]);
        if (kern_kv_type(types[t], 128) == types[t] && types[t] != KERN_Q4_0) {
            bench_attend(types[t], 1);
            bench_attend(types[t], 64);
        }
    }
}

static int open_execs(struct pool **pools)
{
    struct err e;
    for (int i = 0; i < N_POOL; i++)
        if (pool_new(i + 1, &pools[i], &e) < 0 || kern_exec_new(isa, pools[i], &execs[i], &e) < 0) {
            printf("FAIL %s: %s\n", isa, e.msg);
            return -1;
        }
    return 0;
}

static bool named(int n, char **names)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(names[i], isa))
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    bool bench = argc > 1 && !strcmp(argv[1], "--bench");
    int first = bench ? 2 : 1;
    for (int i = 0; (isa = kern_isa_name(i)); i++) {
        struct pool *pools[N_POOL];
        if (!named(argc - first, argv + first))
            continue;
        if (open_execs(pools) < 0)
            return 1;
        rng_state = 1;
        if (bench)
            bench_isa();
        else
            check_isa();
        for (int j = 0; j < N_POOL; j++) {
            kern_exec_free(execs[j]);
            pool_free(pools[j]);
        }
    }
    printf("%d passed, %d failed\n", n_pass, n_fail);
    return n_fail > 0 || (!bench && n_pass == 0);
}
