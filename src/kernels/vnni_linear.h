/* vnni_linear.h - int8 rows by VNNI's dot products; included by avx512.c and avxvnni.c behind
 * body.h.
 *
 * Weights are made unsigned by an offset (128, or q4_0's own 8), so every sum starts at
 * -offset * sum(x); it cannot overflow. */

INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    const vnni flip = vnni_set1_8(-128), low = vnni_set1_8(15);
    vnni acc[4][VNNI_PANEL];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            acc[r][h] = type == KERN_Q8_0 ? vnni_slli_32(vnni_set1_32(x[r].sum[b]), 4)
                                          : vnni_set1_32(x[r].sum[b]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        const uint8_t *p = Q_CODES(w) + (type == KERN_Q8_0 ? g : g / 2) * 64;
        vnni v[VNNI_PANEL];
#pragma GCC unroll 2
        for (int h = 0; h < VNNI_PANEL; h++) {
            v[h] = vnni_load(p + h * 64 / VNNI_PANEL);
            if (type == KERN_Q8_0)
                v[h] = vnni_xor(v[h], flip);
            else
                v[h] = vnni_and(g % 2 ? vnni_srli_16(v[h], 4) : v[h], low);
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x[r].q + b * KERN_BLOCK + g * 4, sizeof four);
            vnni in = vnni_set1_32(four);
#pragma GCC unroll 2
            for (int h = 0; h < VNNI_PANEL; h++)
                acc[r][h] = vnni_dpbusd(acc[r][h], v[h], in);
        }
    }
    v16 scale = from_f16((const uint16_t *)(const void *)w);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
        v16i sums;
        memcpy(&sums, acc[r], sizeof sums);
        store(y[r], load(y[r]) + __builtin_convertvector(sums, v16) * (scale * x[r].scale[b]));
    }
}

/* Times q4_0's offset, so that a block's sum is where its products begin. */
INLINE int32_t block_sum(__m128i v)
{
    v = _mm_madd_epi16(v, _mm_set1_epi16(-8));
    v = _mm_hadd_epi32(v, v);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(v, v));
}

#ifdef VNNI_PEAK /* where it is the fastest */
static size_t peak_vnni(size_t n)
{
    vnni acc[8], v = vnni_set1_8(1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = vnni_set1_32(0);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            acc[k] = vnni_dpbusd(acc[k], v, v);
            vnni_keep(acc[k]);
        }
    return n * 8 * VNNI_BITS / 8;
}
#endif

#include "kernels/quantize_x86.h"
