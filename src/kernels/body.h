/* body.h - all kernels, once: included by each instruction set's file, which names KERN_OPS and
 * KERN_ISA.  Shapes and layouts: kern.h, ops.h. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/ops.h"
#if defined(__F16C__)
#include "kernels/x86.h"
#endif

typedef float v16 __attribute__((vector_size(64)));
typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef uint16_t v16h __attribute__((vector_size(32)));
typedef int8_t v16b __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE v16 load(const float *p)
{
    v16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float *p, v16 v)
{
    memcpy(p, &v, sizeof v);
}

INLINE v16 splat(float x)
{
    return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

/* n values at p, the missing ones zero. */
INLINE v16 load_part(const float *p, int n)
{
    if (n >= 16)
        return load(p);
    float v[16] = {0};
    memcpy(v, p, (size_t)n * sizeof *v);
    return load(v);
}

INLINE void store_part(float *p, v16 v, int n)
{
    if (n >= 16) {
        store(p, v);
        return;
    }
    float s[16];
    store(s, v);
    memcpy(p, s, (size_t)n * sizeof *s);
}

/* Sum of the lanes, always in the same tree: halves onto each other. */
INLINE float sum4(v4 v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

INLINE float sum8(v8 v)
{
    return sum4(__builtin_shufflevector(v, v, 0, 1, 2, 3) +
                __builtin_shufflevector(v, v, 4, 5, 6, 7));
}

INLINE float sum(v16 v)
{
    return sum8(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* Nearest integer, for |v| < 2^22: the sum pushes the fraction out of the mantissa. */
INLINE v16 nearest(v16 v)
{
    v16 magic = splat(12582912.0f);
    return (v + magic) - magic;
}

/* --- number formats --- */

INLINE v16 from_bf16(const uint16_t *p)
{
    v16h h;
    memcpy(&h, p, sizeof h);
    return (v16)(__builtin_convertvector(h, v16u) << 16);
}

#if defined(__AVX512F__)
INLINE v16 from_f16(const uint16_t *p)
{
    return (v16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
#elif defined(__F16C__)
INLINE v16 from_f16(const uint16_t *p)
{
    v8 low = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
    v8 high = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 8)));
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#else
/* Exponent and mantissa shifted into place and rescaled by 2^112: exact for every finite half;
 * infinities are turned into NaN's neighbours 2^16 (weights are finite).  The product of a
 * subnormal half is one of a float denormal, which many processors do in microcode: where there is
 * an instruction, it is used. */
INLINE v16 from_f16(const uint16_t *p)
{
    v16h h;
    memcpy(&h, p, sizeof h);
    v16u u = __builtin_convertvector(h, v16u);
    v16 v = (v16)((u & 0x7fff) << 13) * 0x1p112f;
    return (v16)((v16u)v | (u & 0x8000) << 16);
}
#endif

/* --- linear --- */

#ifndef KERN_LINEAR
/* acc[p][r] over k values of one tap, weights of panel p at w[p]. */
INLINE void dot_f32(int P, int R, int k, const float *const *w, const float *const *x, v16 acc[][8])
{
    for (int i = 0; i < k; i++)
        for (int p = 0; p < P; p++) {
            v16 wv = load(w[p] + (size_t)i * 16);
            for (int r = 0; r < R; r++)
                acc[p][r] += wv * x[r][i];
        }
}

INLINE void dot_half(int P, int R, int k, int bf16, const uint16_t *const *w, const float *const *x,
                     v16 acc[][8])
{
    for (int i = 0; i < k; i++)
        for (int p = 0; p < P; p++) {
            const uint16_t *q = w[p] + (size_t)i * 16;
            v16 wv = bf16 ? from_bf16(q) : from_f16(q);
            for (int r = 0; r < R; r++)
                acc[p][r] += wv * x[r][i];
        }
}

INLINE void dot(int P, int R, const struct kern_linear *l, const char *const *w,
                const float *const *x, v16 acc[][8])
{
    if (l->type == KERN_F32)
        dot_f32(P, R, l->n_in, (const float *const *)(const void *)w, x, acc);
    else if (l->type == KERN_BF16)
        dot_half(P, R, l->n_in, 1, (const uint16_t *const *)(const void *)w, x, acc);
    else
        dot_half(P, R, l->n_in, 0, (const uint16_t *const *)(const void *)w, x, acc);
}
#endif

/* Same operations whether the panel is whole or not: else the compiler might fuse them differently.
 */
INLINE void put(const struct kern_tile *t, int panel, int row, v16 y)
{
    const struct kern_linear *l = t->l;
    const struct kern_call *c = t->c;
    int first = panel * KERN_PANEL, n = l->n_out - first;
    float *out = c->out + (size_t)row * (c->out_stride ? c->out_stride : (size_t)l->n_out) + first;
    if (l->bias)
        y += load_part(l->bias + first, n);
    if (c->epilogue == KERN_ADD)
        y = load_part(out, n) + (c->scale ? load_part(c->scale + first, n) * y : y);
    store_part(out, y, n);
}

#ifndef KERN_LINEAR /* unless the file brings its own */
#define KERN_LINEAR op_linear
/* P panels x R rows; constant P and R keep the accumulators in registers. */
INLINE void tile(int P, int R, const struct kern_tile *t, int panel, int row)
{
    const struct kern_linear *l = t->l;
    const struct kern_call *c = t->c;
    size_t bytes = kern_panel16.bytes(l->type, (size_t)l->n_in * (size_t)l->n_tap);
    size_t tap_bytes = bytes / (size_t)l->n_tap;
    size_t stride = c->stride ? (size_t)c->stride : 1,
           dilation = c->dilation ? (size_t)c->dilation : 1;
    v16 acc[4][8] = {0};
    for (int j = 0; j < l->n_tap; j++) {
        const char *w[4];
        const float *x[8];
        for (int p = 0; p < P; p++)
            w[p] = (const char *)l->packed + (size_t)(panel + p) * bytes + (size_t)j * tap_bytes;
        for (int r = 0; r < R; r++)
            x[r] = c->in + ((size_t)(row + r) * stride + (size_t)j * dilation) * (size_t)l->n_in;
        dot(P, R, l, w, x, acc);
    }
    for (int p = 0; p < P; p++)
        for (int r = 0; r < R; r++)
            put(t, panel + p, row + r, acc[p][r]);
}

/* Each output is the same sum in every form: taps, then channels, in order.  Four panels at a time
 * hide the latency of the additions when there is one row. */
static void op_linear(const struct kern_tile *t)
{
    int p = t->panel, p_end = t->panel + t->n_panel, r_end = t->row + t->n_row;
    if (t->n_row < 4)
        for (; p + 4 <= p_end; p += 4)
            for (int r = t->row; r < r_end; r++)
                tile(4, 1, t, p, r);
    for (; p < p_end; p++) {
        int r = t->row;
        for (; r + 8 <= r_end; r += 8)
            tile(1, 8, t, p, r);
        for (; r + 4 <= r_end; r += 4)
            tile(1, 4, t, p, r);
        for (; r < r_end; r++)
            tile(1, 1, t, p, r);
    }
}
#endif

#include "kernels/native.h"
#include "kernels/quant.h"

/* --- norms and activations --- */

static void op_rms_norm(const float *in, const float *w, float eps, int n, float *out)
{
    vf s[4] = {{0}};
    float rest = 0;
    int i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (int k = 0; k < 4; k++)
            s[k] += load_n(in + i + k * LANES) * load_n(in + i + k * LANES);
    for (; i < n; i++)
        rest += in[i] * in[i];
    float scale = 1.0f / sqrtf((sum_n((s[0] + s[1]) + (s[2] + s[3])) + rest) / (float)n + eps);
    for (i = 0; i + LANES <= n; i += LANES)
        store_n(out + i, load_n(in + i) * scale * load_n(w + i));
    for (; i < n; i++)
        out[i] = in[i] * scale * w[i];
}

static void op_layer_norm(const float *in, const float *w, const float *b, float eps, int n,
                          float *out)
{
    v16 s = {0};
    for (int i = 0; i < n; i += 16)
        s += load_part(in + i, n - i);
    float mean = sum(s) / (float)n, var = 0;
    for (int i = 0; i < n; i++)
        var += (in[i] - mean) * (in[i] - mean);
    v16 scale = splat(1.0f / sqrtf(var / (float)n + eps));
    for (int i = 0; i < n; i += 16) {
        v16 v = (load_part(in + i, n - i) - splat(mean)) * scale;
        store_part(out + i, v * load_part(w + i, n - i) + load_part(b + i, n - i), n - i);
    }
}

/* sin(v)^2: v / pi = k + r, r^2 times a polynomial in r^2 through the Chebyshev nodes of [0, 1/4];
 * error below 3e-7, and what rounding v / pi costs, 2e-7 |v|. */
INLINE vf sin2(vf v)
{
    vf t = v * 0.318309886183790672f;
    vf r = t - (t + 12582912.0f - 12582912.0f); /* from the nearest integer */
    vf q = r * r, y = q * -3.35610867f + 13.0497961f;
    y = y * q - 30.1014004f;
    y = y * q + 42.7271919f;
    y = y * q - 32.4696693f;
    y = y * q + 9.86960411f;
    return y * q;
}

static void op_silu_mul(const float *in, int n, float *out)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf a = load_n(in + i);
        store_n(out + i, a / (1.0f + exp_n(-a)) * load_n(in + n + i));
    }
    for (; i < n; i++)
        out[i] = in[i] / (1.0f + exp_n(splat_n(-in[i]))[0]) * in[n + i];
}

/* a = |v|; erfc(a / sqrt 2) = polynomial(t) exp(-a^2 / 2), t = 1 / (1 + p a), error below 1.5e-7
 * (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26). */
INLINE vf gelu(vf v)
{
    vf a = (vf)((vi)v & 0x7fffffff), t = 1.0f / (a * (0.3275911f * 0.707106781186547524f) + 1.0f);
    vf y = t * 1.061405429f - 1.453152027f;
    y = y * t + 1.421413741f;
    y = y * t - 0.284496736f;
    y = y * t + 0.254829592f;
    return (v + a) * 0.5f - a * 0.5f * (y * t * exp_n(a * a * -0.5f));
}

static void op_gelu(float *p, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        store_n(p + i, gelu(load_n(p + i)));
    for (; i < n; i++)
        p[i] = gelu(splat_n(p[i]))[0];
}

static void op_snake(const float *in, const float *alpha, const float *inv, int n, float *out)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        vf v = load_n(in + i);
        store_n(out + i, v + sin2(v * load_n(alpha + i)) * load_n(inv + i));
    }
    for (; i < n; i++)
        out[i] = in[i] + sin2(splat_n(in[i] * alpha[i]))[0] * inv[i];
}

static void op_depthwise(const float *in, const float *w, const float *bias, int n_channel,
                         int n_tap, float *out)
{
    for (int c = 0; c < n_channel; c += 16) {
        int n = n_channel - c;
        v16 y = bias ? load_part(bias + c, n) : (v16){0};
        for (int j = 0; j < n_tap; j++)
            y += load_part(w + (size_t)j * (size_t)n_channel + c, n) *
                 load_part(in + (size_t)j * (size_t)n_channel + c, n);
        store_part(out + c, y, n);
    }
}

static void op_rope(float *p, const float *table, int n_head, int head_dim)
{
    for (int h = 0; h < n_head; h++, p += head_dim) {
        int i = 0;
        for (; i + LANES <= head_dim; i += LANES) {
            vf v = load_n(p + i), t = load_n(table + i);
            store_n(p + i, v * even_n(t) + swap_n(v) * odd_n(t) * minus_plus);
        }
        for (; i < head_dim; i += 2) {
            float a = p[i], b = p[i + 1], c = table[i], s = table[i + 1];
            p[i] = a * c - b * s;
            p[i + 1] = b * c + a * s;
        }
    }
}

#include "kernels/attend.h"

static void op_to_f32(enum kern_type t, const void *in, float *out, size_t n)
{
    const uint16_t *h = in;
    for (size_t i = 0; i < n; i += 16) {
        uint16_t part[16] = {0};
        size_t m = n - i < 16 ? n - i : 16;
        memcpy(part, h + i, m * sizeof *part);
        store_part(out + i, t == KERN_BF16 ? from_bf16(part) : from_f16(part), (int)m);
    }
}

static void op_to_f16(const float *in, uint16_t *out, size_t n)
{
    size_t i = 0;
#ifdef NATIVE_HALF
    for (; i + LANES <= n; i += LANES)
        store_half(out + i, load_n(in + i));
#endif
    kern_from_f32(KERN_F16, in + i, out + i, n - i);
}

#ifndef KERN_PEAK /* unless the file brings its own */
#define KERN_PEAK op_peak
static size_t op_peak(size_t n)
{
    float out[KERN_PANEL];
    for (size_t i = 0; i < n; i++) {
        v16 sum = splat((float)i), v = sum;
        for (int k = 0; k < 16; k++)
            sum += v * sum;
        store(out, sum);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
    return n * 16 * KERN_PANEL;
}
#endif
#ifndef KERN_LINEAR_Q /* unless the file brings its own */
#define KERN_LINEAR_Q op_linear_q
#endif

const struct kern_ops KERN_OPS = {
    .isa = KERN_ISA,
    .layout = &kern_panel16,
    .linear = KERN_LINEAR,
    .rms_norm = op_rms_norm,
    .layer_norm = op_layer_norm,
    .silu_mul = op_silu_mul,
    .snake = op_snake,
    .gelu = op_gelu,
    .depthwise = op_depthwise,
    .rope = op_rope,
    .attend = op_attend,
    .linear_q = KERN_LINEAR_Q,
    .quantize = KERN_QUANTIZE,
    .to_f32 = op_to_f32,
    .to_f16 = op_to_f16,
    .peak = KERN_PEAK,
};
