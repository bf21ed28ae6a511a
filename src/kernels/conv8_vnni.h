/* conv8_vnni.h - conv8 with VNNI: unsigned inputs (offset 128) times signed weights, four products
 * a lane; long convolutions of many rows by fewer products of 16 bits, two a lane.  Included by
 * conv8_avx512.c and conv8_avxvnni.c, which name FIR_ISA, FIR_OPS, FIR_ROWS, CONV8_OPS and
 * CONV8_ROWS: rows of sums that fit the registers. */
#include "kernels/vnni.h"
#include "kernels/conv8_fir.h"

/* With fewer, reading weights takes the time: they are ten times as long. */
#define FIR16_MIN_ROWS 128

static enum form form_of(const struct conv8 *c)
{
    bool pays = tiles_in(FIR16, c) * 34 * 2 * 5 < c->n_row * c->n_tap * 4; /* by a quarter */
    return fits(FIR16, c) && c->n_row >= FIR16_MIN_ROWS && pays ? FIR16 : NONE;
}

/* FIR16's rows are equally far apart: three pointers and two distances fit the registers. */
INLINE void fir_tile(int R, const int16_t *const *in, const struct fir_shape *s, const int16_t *w,
                     int32_t (*sum)[CONV8_PANEL])
{
    vnni acc[FIR_ROWS][VNNI_PANEL], weight[VNNI_PANEL];
    ptrdiff_t apart = R > 1 ? in[1] - in[0] : 0, apart3 = 3 * apart;
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            acc[r][h] = vnni_set1_32(0);
    for (size_t g = 0; g < s->n_group; g++)
        for (size_t i = g * s->step; i < g * s->step + s->n; i += 2, w += 32) {
            for (int h = 0; h < VNNI_PANEL; h++)
                weight[h] = vnni_load(w + h * 2 * VNNI_LANES);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++) {
                int32_t two;
                memcpy(&two, in[r / 4 * 4] + i + (r % 4 == 3 ? apart3 : r % 4 * apart), sizeof two);
                vnni x = vnni_set1_32(two);
                for (int h = 0; h < VNNI_PANEL; h++)
                    acc[r][h] = vnni_dpwssd(acc[r][h], weight[h], x);
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            vnni_store(sum[r] + h * VNNI_LANES, acc[r][h]);
}

static void fir_sums(const int16_t *const *in, int n_row, const struct fir_shape *s,
                     const int16_t *w, int32_t (*sum)[CONV8_PANEL])
{
    switch (n_row) {
#define ROWS(n)                                                                                    \
    case n:                                                                                        \
        fir_tile(n <= FIR_ROWS ? n : 1, in, s, w, sum);                                            \
        break
        ROWS(1);
        ROWS(2);
        ROWS(3);
        ROWS(4);
        ROWS(5);
        ROWS(6);
        ROWS(7);
        ROWS(8);
        ROWS(9);
        ROWS(10);
        ROWS(11);
        ROWS(12);
#undef ROWS
    }
}

#define CONV8_ISA    FIR_ISA
#define CONV8_BYTE   uint8_t
#define CONV8_OFFSET 128

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
    vnni acc[CONV8_ROWS][VNNI_PANEL], weight[VNNI_PANEL];
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            acc[r][h] = vnni_set1_32(0);
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < n; i += 4, w += 64) {
            for (int h = 0; h < VNNI_PANEL; h++)
                weight[h] = vnni_load(w + h * 4 * VNNI_LANES);
#pragma GCC unroll 12
            for (int r = 0; r < R; r++) {
                int32_t four;
                memcpy(&four, in[r] + j * step + i, sizeof four);
                vnni x = vnni_set1_32(four);
                for (int h = 0; h < VNNI_PANEL; h++)
                    acc[r][h] = vnni_dpbusd(acc[r][h], x, weight[h]);
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < R; r++)
        for (int h = 0; h < VNNI_PANEL; h++)
            vnni_store(sum[r] + h * VNNI_LANES, acc[r][h]);
}

#include "kernels/conv8_body.h"
