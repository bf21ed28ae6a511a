/* conv8_arm.h - magnitudes and int8 inputs of conv8 for ARM; included by conv8_neon.c and
 * conv8_i8mm.c. */
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "kernels/conv8_ops.h"

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
