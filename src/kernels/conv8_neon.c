/* conv8_neon.c - conv8 with the dot product of four bytes (armv8.2-a+dotprod). */
#include "kernels/conv8_arm.h"

#define CONV8_ISA    "neon"
#define CONV8_OPS    conv8_ops_neon
#define CONV8_BYTE   int8_t
#define CONV8_OFFSET 0
#define CONV8_ROWS   4

static inline __attribute__((always_inline)) void sums(int R, const int8_t *const *in, size_t step,
                                                       const struct conv8 *c, const int8_t *w,
                                                       int32_t sum[][CONV8_PANEL])
{
    size_t n = ((size_t)c->n_in + 3) / 4 * 4;
    int32x4_t acc[CONV8_ROWS][4];
    for (int r = 0; r < R; r++)
        for (int v = 0; v < 4; v++)
            acc[r][v] = vdupq_n_s32(0);
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (size_t i = 0; i < n; i += 4, w += 64) {
            int8x16_t weight[4];
            for (int v = 0; v < 4; v++)
                weight[v] = vld1q_s8(w + 16 * v);
            for (int r = 0; r < R; r++) {
                int32_t four;
                memcpy(&four, in[r] + j * step + i, sizeof four);
                int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
                for (int v = 0; v < 4; v++)
                    acc[r][v] = vdotq_s32(acc[r][v], weight[v], x);
            }
        }
    for (int r = 0; r < R; r++)
        for (int v = 0; v < 4; v++)
            vst1q_s32(sum[r] + 4 * v, acc[r][v]);
}

#include "kernels/conv8_body.h"
