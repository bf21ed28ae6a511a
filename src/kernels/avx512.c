/* avx512.c - the kernels of body.h, compiled for avx512 (flags in the Makefile), with VNNI's dot
 * product for int8 rows. */
#include "kernels/x86.h"

#define KERN_OPS kern_ops_avx512
#define KERN_ISA "avx512"
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_x86
#include "kernels/ops.h"
static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
#include "kernels/body.h"

/* vpdpbusd adds four products of unsigned and signed bytes to 32 bits and cannot overflow here.
 * Weights are made unsigned by an offset (128, or q4_0's own 8), so every sum starts at
 * -offset * sum(x). */
INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const uint16_t *ws,
                    const struct q_row *x, size_t b, float (*y)[KERN_PANEL])
{
    const __m512i flip = _mm512_set1_epi8(-128), low = _mm512_set1_epi8(15);
    __m512i acc[4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        acc[r] = _mm512_set1_epi32((type == KERN_Q8_0 ? -128 : -8) * x[r].sum[b]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        const uint8_t *p = w + (type == KERN_Q8_0 ? g : g / 2) * 64;
        __m512i v = _mm512_loadu_si512(p);
        if (type == KERN_Q8_0)
            v = _mm512_xor_si512(v, flip);
        else
            v = _mm512_and_si512(g % 2 ? _mm512_srli_epi16(v, 4) : v, low);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x[r].q + b * KERN_BLOCK + g * 4, sizeof four);
            acc[r] = _mm512_dpbusd_epi32(acc[r], v, _mm512_set1_epi32(four));
        }
    }
    v8 low8 = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)ws));
    v8 high8 = (v8)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(ws + 8)));
    v16 scale =
        __builtin_shufflevector(low8, high8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        v16i sums;
        memcpy(&sums, &acc[r], sizeof sums);
        store(y[r], load(y[r]) + __builtin_convertvector(sums, v16) * (scale * x[r].scale[b]));
    }
}

INLINE int32_t block_sum(__m128i v)
{
    v = _mm_madd_epi16(v, _mm_set1_epi16(1));
    v = _mm_hadd_epi32(v, v);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(v, v));
}

#include "kernels/quantize_x86.h"
