/* conv8_neon.c - conv8 with the dot product of four bytes (armv8.2-a+dotprod). */
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"

#define CONV8_ISA    "neon"
#define CONV8_OPS    conv8_ops_neon
#define CONV8_BYTE   int8_t
#define CONV8_OFFSET 0
#define CONV8_ROWS   4

static float largest(const float *in, size_t n)
{
    float32x4_t top = vdupq_n_f32(0);
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        top = vmaxnmq_f32(top, vabsq_f32(vld1q_f32(in + i)));
    float most = vmaxnmvq_f32(top);
    for (; i < n; i++)
        most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    return most;
}

static void quantize(const float *in, float scale, int n, int8_t *out)
{
    float inverse = scale > 0 ? 1 / scale : 0;
    int i = 0;
    for (; i + 8 <= n; i += 8) {
        int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i), inverse));
        int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i + 4), inverse));
        vst1_s8(out + i, vqmovn_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b))));
    }
    for (; i < (n + 3) / 4 * 4; i++)
        out[i] = (int8_t)(i < n ? vcvtns_s32_f32(in[i] * inverse) : 0);
}

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
