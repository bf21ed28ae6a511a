/* conv8_avx512.c - conv8 with VNNI: unsigned inputs (offset 128) times signed weights. */
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"
#include "kernels/x86.h"

#define CONV8_ISA "avx512"
#define CONV8_OPS conv8_ops_avx512
#define CONV8_BYTE uint8_t
#define CONV8_OFFSET 128
#define CONV8_ROWS 12

static float largest(const float *in, size_t n)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 top = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        top = _mm256_max_ps(top, _mm256_and_ps(_mm256_loadu_ps(in + i), no_sign));
    float v[8], most = 0;
    _mm256_storeu_ps(v, top);
    for (int k = 0; k < 8; k++)
        most = v[k] > most ? v[k] : most;
    for (; i < n; i++)
        most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    return most;
}

/* 16 values to bytes with the offset. */
static __m128i bytes16(const float *in, __m256 inverse)
{
    __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in), inverse));
    __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(in + 8), inverse));
    __m256i v = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    v = _mm256_add_epi16(v, _mm256_set1_epi16(CONV8_OFFSET));
    return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

static void quantize(const float *in, float scale, int n, uint8_t *out)
{
    __m256 inverse = _mm256_set1_ps(scale > 0 ? 1 / scale : 0);
    int i = 0;
    for (; i + 16 <= n; i += 16)
        _mm_storeu_si128((__m128i *)(void *)(out + i), bytes16(in + i, inverse));
    if (i < n) {
        float part[16] = {0};
        uint8_t last[16];
        memcpy(part, in + i, (size_t)(n - i) * sizeof *part);
        _mm_storeu_si128((__m128i *)(void *)last, bytes16(part, inverse));
        memcpy(out + i, last, (size_t)(n - i + 3) / 4 * 4);
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
                memcpy(&four, in[r] + j * step + i, sizeof four);
                acc[r] = _mm512_dpbusd_epi32(acc[r], _mm512_set1_epi32(four), weight);
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        _mm512_storeu_si512(sum[r], acc[r]);
}

#include "kernels/conv8_body.h"
