/* i8mm.c - the kernels of neon.c, and products of two rows and more by ARM's matrix product of
 * bytes: smmla adds eight products to each of 2 x 2 sums, those of two rows by two outputs. */
#include <arm_neon.h>

#define KERN_OPS kern_ops_i8mm
#define KERN_ISA "i8mm"
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_neon
#define KERN_PEAK     peak_i8mm
#include "kernels/ops.h"
static void quantize_neon(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static size_t peak_i8mm(size_t n);
#include "kernels/body.h"

#include "kernels/neon_linear.h"

/* Eight values each of outputs 2 i and 2 i + 1, from two groups of four values of 16 outputs. */
INLINE void i8mm_weights(enum kern_type type, const uint8_t *codes, int pair, int8x16_t v[8])
{
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        uint8x16_t a = vld1q_u8(codes + (type == KERN_Q8_0 ? 2 * pair : pair) * 64 + o * 16), b;
        if (type == KERN_Q8_0) {
            b = vld1q_u8(codes + (2 * pair + 1) * 64 + o * 16);
        } else {
            b = vshrq_n_u8(a, 4);
            a = vandq_u8(a, vdupq_n_u8(15));
        }
        int32x4_t low = vreinterpretq_s32_u8(a), high = vreinterpretq_s32_u8(b);
        v[2 * o] = vreinterpretq_s8_s32(vzip1q_s32(low, high));
        v[2 * o + 1] = vreinterpretq_s8_s32(vzip2q_s32(low, high));
    }
}

/* y[0] and y[1] += the sums of two rows by the 16 outputs; y[1] NULL: there is one row. */
INLINE void i8mm_put(const int32x4_t acc[8], const uint8_t *w, const float scale[2], float *y[2])
{
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        uint16x4_t half = vld1_u16((const uint16_t *)(const void *)w + o * 4);
        float32x4_t s = vcvt_f32_f16(vreinterpret_f16_u16(half));
        int64x2_t a = vreinterpretq_s64_s32(acc[2 * o]), b = vreinterpretq_s64_s32(acc[2 * o + 1]);
        int32x4_t row[2] = {vreinterpretq_s32_s64(vzip1q_s64(a, b)),
                            vreinterpretq_s32_s64(vzip2q_s64(a, b))};
#pragma GCC unroll 2
        for (int r = 0; r < 2; r++)
            if (y[r])
                vst1q_f32(y[r] + o * 4, vfmaq_f32(vld1q_f32(y[r] + o * 4), vcvtq_f32_s32(row[r]),
                                                  vmulq_n_f32(s, scale[r])));
    }
}

/* Pairs of rows; the last row of an odd number is its own neighbour. */
INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    int32x4_t acc[2][8];
    if (R == 1) {
        neon_block(type, R, w, x, b, y);
        return;
    }
#pragma GCC unroll 2
    for (int p = 0; p < (R + 1) / 2; p++) {
        int other = 2 * p + 1 < R ? 2 * p + 1 : 2 * p;
        int32x4_t begin = vcombine_s32(vdup_n_s32(type == KERN_Q8_0 ? 0 : -8 * x[2 * p].sum[b]),
                                       vdup_n_s32(type == KERN_Q8_0 ? 0 : -8 * x[other].sum[b]));
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            acc[p][i] = begin;
    }
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; pair++) {
        int8x16_t v[8];
        i8mm_weights(type, Q_CODES(w), pair, v);
#pragma GCC unroll 2
        for (int p = 0; p < (R + 1) / 2; p++) {
            int other = 2 * p + 1 < R ? 2 * p + 1 : 2 * p;
            size_t at = b * KERN_BLOCK + (size_t)pair * 8;
            int8x16_t in = vcombine_s8(vld1_s8(x[2 * p].q + at), vld1_s8(x[other].q + at));
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                acc[p][i] = vmmlaq_s32(acc[p][i], in, v[i]);
        }
    }
#pragma GCC unroll 2
    for (int p = 0; p < (R + 1) / 2; p++) {
        bool whole = 2 * p + 1 < R;
        float scale[2] = {x[2 * p].scale[b], whole ? x[2 * p + 1].scale[b] : 0};
        float *to[2] = {y[2 * p], whole ? y[2 * p + 1] : NULL};
        i8mm_put(acc[p], w, scale, to);
    }
}

static size_t peak_i8mm(size_t n)
{
    int32x4_t acc[8];
    int8x16_t v = vdupq_n_s8(1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = vdupq_n_s32(0);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            acc[k] = vmmlaq_s32(acc[k], v, v);
            __asm__ volatile("" : "+w"(acc[k]));
        }
    return n * 8 * 32;
}
