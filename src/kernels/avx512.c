/* avx512.c - the kernels of body.h, compiled for avx512 (flags in the Makefile), with VNNI's dot
 * product for int8 rows. */
#include "kernels/x86.h"

#define KERN_OPS kern_ops_avx512
#define KERN_ISA "avx512"
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_avx512
#include "kernels/ops.h"
static void quantize_avx512(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
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
    __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)ws));
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        __m512 s = _mm512_mul_ps(scale, _mm512_set1_ps(x[r].scale[b]));
        _mm512_storeu_ps(y[r], _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[r]), s, _mm512_loadu_ps(y[r])));
    }
}

static void quantize_avx512(const float *in, int n, int8_t *q, float *scale, int32_t *sum)
{
    for (int b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK, q += KERN_BLOCK) {
        __m512 v0 = _mm512_loadu_ps(in), v1 = _mm512_loadu_ps(in + 16);
        float top = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(v0), _mm512_abs_ps(v1)));
        float inverse = top > 1e-30f ? 127.0f / top : 0;
        __m512i k0 = _mm512_cvtps_epi32(_mm512_mul_ps(v0, _mm512_set1_ps(inverse)));
        __m512i k1 = _mm512_cvtps_epi32(_mm512_mul_ps(v1, _mm512_set1_ps(inverse)));
        _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtsepi32_epi8(k0));
        _mm_storeu_si128((__m128i *)(void *)(q + 16), _mm512_cvtsepi32_epi8(k1));
        sum[b] = _mm512_reduce_add_epi32(_mm512_add_epi32(k0, k1));
        scale[b] = top > 1e-30f ? top / 127.0f : 0;
    }
}
