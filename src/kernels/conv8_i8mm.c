/* conv8_i8mm.c - conv8 with ARM's matrix product of bytes (armv8.2-a+i8mm): two rows by two outputs
 * by eight values an instruction. */
#include "kernels/conv8_arm.h"

#define CONV8_ISA    "i8mm"
#define CONV8_OPS    conv8_ops_i8mm
#define CONV8_BYTE   int8_t
#define CONV8_OFFSET 0
#define CONV8_ROWS   4

/* Four values of each of 16 outputs at w, and the next four, as eight each of two outputs; the last
 * four of an odd number have zeros behind them. */
static inline __attribute__((always_inline)) void pair_weights(const int8_t *w, bool both,
                                                               int8x16_t v[8])
{
    for (int o = 0; o < 4; o++) {
        int32x4_t low = vreinterpretq_s32_s8(vld1q_s8(w + 16 * o));
        int32x4_t high = both ? vreinterpretq_s32_s8(vld1q_s8(w + 64 + 16 * o)) : vdupq_n_s32(0);
        v[2 * o] = vreinterpretq_s8_s32(vzip1q_s32(low, high));
        v[2 * o + 1] = vreinterpretq_s8_s32(vzip2q_s32(low, high));
    }
}

static inline __attribute__((always_inline)) int8x8_t pair_values(const int8_t *in, bool both)
{
    int32_t four[2] = {0, 0};
    if (both)
        return vld1_s8(in);
    memcpy(four, in, sizeof *four);
    return vreinterpret_s8_s32(vld1_s32(four));
}

static inline __attribute__((always_inline)) void sums(int R, const int8_t *const *in, size_t step,
                                                       const struct conv8 *c, const int8_t *w,
                                                       int32_t sum[][CONV8_PANEL])
{
    size_t n = ((size_t)c->n_in + 3) / 4 * 4;
    int n_pair = (R + 1) / 2;
    int32x4_t acc[CONV8_ROWS / 2][8];
    for (int p = 0; p < n_pair; p++)
        for (int v = 0; v < 8; v++)
            acc[p][v] = vdupq_n_s32(0);
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < n; i += 8) {
            int8x16_t weight[8];
            bool both = i + 8 <= n;
            pair_weights(w, both, weight);
            w += both ? 128 : 64;
            for (int p = 0; p < n_pair; p++) {
                size_t at = j * step + i;
                const int8_t *other = in[2 * p + 1 < R ? 2 * p + 1 : 2 * p];
                int8x16_t x =
                    vcombine_s8(pair_values(in[2 * p] + at, both), pair_values(other + at, both));
                for (int v = 0; v < 8; v++)
                    acc[p][v] = vmmlaq_s32(acc[p][v], x, weight[v]);
            }
        }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < 4; v++) {
            int64x2_t a = vreinterpretq_s64_s32(acc[r / 2][2 * v]);
            int64x2_t b = vreinterpretq_s64_s32(acc[r / 2][2 * v + 1]);
            int64x2_t row = r % 2 ? vzip2q_s64(a, b) : vzip1q_s64(a, b);
            vst1q_s32(sum[r] + 4 * v, vreinterpretq_s32_s64(row));
        }
}

#include "kernels/conv8_body.h"
