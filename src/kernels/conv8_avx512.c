/* conv8_avx512.c - conv8 with VNNI: unsigned inputs (offset 128) times signed weights. */
#include <immintrin.h>

#include "kernels/conv8_ops.h"

#define CONV8_ISA "avx512"
#define CONV8_OPS conv8_ops_avx512
#define CONV8_BYTE uint8_t
#define CONV8_OFFSET 128
#define CONV8_ROWS 12

static float largest(const float *in, size_t n)
{
    __m512 top = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = n - i >= 16 ? 0xffff : (__mmask16)((1u << (n - i)) - 1);
        top = _mm512_max_ps(top, _mm512_abs_ps(_mm512_maskz_loadu_ps(m, in + i)));
    }
    return _mm512_reduce_max_ps(top);
}

static void quantize(const float *in, float scale, int n, uint8_t *out)
{
    __m512 inverse = _mm512_set1_ps(scale > 0 ? 1 / scale : 0);
    for (int i = 0; i < n; i += 16) {
        int left = n - i;
        __mmask16 have = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        __mmask16 want = left >= 16 ? 0xffff : (__mmask16)((1u << (left + 3) / 4 * 4) - 1);
        __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(have, in + i), inverse));
        v = _mm512_add_epi32(v, _mm512_set1_epi32(CONV8_OFFSET));
        _mm512_mask_cvtepi32_storeu_epi8(out + i, want, v);
    }
}

static inline __attribute__((always_inline)) void sums(int R, const uint8_t *const *in, size_t step,
                                                       const struct conv8 *c, const int8_t *w,
                                                       int32_t sum[][CONV8_PANEL])
{
    size_t n = ((size_t)c->n_in + 3) / 4 * 4;
    __m512i acc[CONV8_ROWS];
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        acc[r] = _mm512_setzero_si512();
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < n; i += 4, w += 64) {
            __m512i weight = _mm512_loadu_si512(w);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++) {
                int32_t four;
                __builtin_memcpy(&four, in[r] + j * step + i, sizeof four);
                acc[r] = _mm512_dpbusd_epi32(acc[r], _mm512_set1_epi32(four), weight);
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        _mm512_storeu_si512(sum[r], acc[r]);
}

#include "kernels/conv8_body.h"
