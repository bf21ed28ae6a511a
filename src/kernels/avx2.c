/* avx2.c - the kernels of body.h, compiled for avx2 (flags in the Makefile), with a matrix product
 * of its own. */
#define KERN_OPS    kern_ops_avx2
#define KERN_ISA    "avx2"
#define KERN_LINEAR linear_avx2
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_x86
#define KERN_PEAK     peak_avx2
#include "kernels/ops.h"
#include "kernels/x86.h"
static void linear_avx2(const struct kern_tile *t);
static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static size_t peak_avx2(size_t n);
#include "kernels/body.h"

#include "kernels/linear_avx2.h"

/* --- int8 rows --- */

/* vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits, saturating.
 * q8_0: |w| and x with w's sign: a pair is at most 2 * 128 * 127, below 2^15.
 * q4_0: codes 0..15 as they are; a lane takes 8 pairs of a block and starts at -8 times the sum of
 * their x (block_sum).  It ends as the sum of 16 products of -8..7 and x, at most 16 * 8 * 127, so
 * 16 bits do, whatever wraps on the way. */

/* Keeps sums in registers: without it the compiler regroups additions, and spills. */
#define HOLD(acc) __asm__("" : "+x"((acc)[0]), "+x"((acc)[1]))

INLINE __m256i bytes32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

INLINE __m256i four(const int8_t *p) /* 4 bytes, 8 times */
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

INLINE void sums_q8(int R, const uint8_t *w, const struct q_row *x, size_t b, __m256i acc[4][2])
{
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        __m256i w0 = bytes32(w + g * 64), w1 = bytes32(w + g * 64 + 32);
        __m256i a0 = _mm256_abs_epi8(w0), a1 = _mm256_abs_epi8(w1);
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            __m256i v = four(x[r].q + b * KERN_BLOCK + g * 4);
            __m256i p0 = _mm256_maddubs_epi16(a0, _mm256_sign_epi8(v, w0));
            __m256i p1 = _mm256_maddubs_epi16(a1, _mm256_sign_epi8(v, w1));
            acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(p0, ones));
            acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(p1, ones));
            HOLD(acc[r]);
        }
    }
}

/* acc[r] += w[half] * the four bytes at k of row r */
INLINE void pairs_q4(int R, const __m256i w[2], const struct q_row *x, size_t k, __m256i acc[4][2])
{
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        __m256i v = four(x[r].q + k);
        acc[r][0] = _mm256_add_epi16(acc[r][0], _mm256_maddubs_epi16(w[0], v));
        acc[r][1] = _mm256_add_epi16(acc[r][1], _mm256_maddubs_epi16(w[1], v));
        HOLD(acc[r]);
    }
}

INLINE void sums_q4(int R, const uint8_t *w, const struct q_row *x, size_t b, __m256i acc[4][2])
{
    const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15);
#pragma GCC unroll 8
    for (size_t g = 0; g < 8; g++) {
        const uint8_t *p = w + g / 2 * 64;
        __m256i c[2] = {bytes32(p), bytes32(p + 32)};
#pragma GCC unroll 2
        for (int i = 0; i < 2; i++)
            c[i] = _mm256_and_si256(g % 2 ? _mm256_srli_epi16(c[i], 4) : c[i], low);
        pairs_q4(R, c, x, b * KERN_BLOCK + g * 4, acc);
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        acc[r][0] = _mm256_madd_epi16(acc[r][0], ones);
        acc[r][1] = _mm256_madd_epi16(acc[r][1], ones);
    }
}

INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    __m256i acc[4][2];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        acc[r][0] = acc[r][1] = _mm256_set1_epi32(type == KERN_Q4_0 ? x[r].sum[b] : 0);
    if (type == KERN_Q8_0)
        sums_q8(R, Q_CODES(w), x, b, acc);
    else
        sums_q4(R, Q_CODES(w), x, b, acc);
    __m256 s0 = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)w));
    __m256 s1 = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(w + 16)));
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        __m256 s = _mm256_broadcast_ss(x[r].scale + b);
        _mm256_storeu_ps(y[r], _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][0]), _mm256_mul_ps(s0, s),
                                               _mm256_loadu_ps(y[r])));
        _mm256_storeu_ps(y[r] + 8,
                         _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[r][1]), _mm256_mul_ps(s1, s),
                                         _mm256_loadu_ps(y[r] + 8)));
    }
}

/* Sum of the first two values of all groups, times -8, below that of the other two. */
INLINE int32_t block_sum(__m128i v)
{
    v = _mm_add_epi16(v, _mm_shuffle_epi32(v, 0x4e)); /* values i % 4 */
    v = _mm_slli_epi16(_mm_hadd_epi16(v, v), 3);
    return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), v));
}

static size_t peak_avx2(size_t n)
{
    __m256i acc[8], v = _mm256_set1_epi16(1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = v;
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            acc[k] = _mm256_add_epi16(acc[k], _mm256_maddubs_epi16(v, acc[k]));
            __asm__ volatile("" : "+x"(acc[k]));
        }
    return n * 8 * 32;
}

#include "kernels/quantize_x86.h"
