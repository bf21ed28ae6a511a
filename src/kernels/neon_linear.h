/* neon_linear.h - int8 rows by ARM's dot products; included by neon.c and i8mm.c behind body.h. */

/* sdot adds four products of signed bytes to 32 bits; q4_0's codes are taken as they are and the
 * sums start at -8 * sum(x). */
INLINE void neon_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x,
                       size_t b, float (*y)[KERN_PANEL])
{
    int32x4_t acc[4][4];
#pragma GCC unroll 4
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++)
            acc[r][o] = vdupq_n_s32(type == KERN_Q8_0 ? 0 : -8 * x[r].sum[b]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        int8x16_t v[4];
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++) {
            uint8x16_t u = vld1q_u8(Q_CODES(w) + (type == KERN_Q8_0 ? g : g / 2) * 64 + o * 16);
            if (type == KERN_Q4_0)
                u = g % 2 ? vshrq_n_u8(u, 4) : vandq_u8(u, vdupq_n_u8(15));
            v[o] = vreinterpretq_s8_u8(u);
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; r++) {
            int32_t four;
            memcpy(&four, x[r].q + b * KERN_BLOCK + g * 4, sizeof four);
            int8x16_t q = vreinterpretq_s8_s32(vdupq_n_s32(four));
#pragma GCC unroll 4
            for (int o = 0; o < 4; o++)
                acc[r][o] = vdotq_s32(acc[r][o], v[o], q);
        }
    }
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        uint16x4_t half = vld1_u16((const uint16_t *)(const void *)w + o * 4);
        float32x4_t s = vcvt_f32_f16(vreinterpret_f16_u16(half));
#pragma GCC unroll 4
        for (int r = 0; r < R; r++)
            vst1q_f32(y[r] + o * 4, vfmaq_f32(vld1q_f32(y[r] + o * 4), vcvtq_f32_s32(acc[r][o]),
                                              vmulq_n_f32(s, x[r].scale[b])));
    }
}

static void quantize_neon(const float *in, int n, int8_t *q, float *scale, int32_t *sum)
{
    for (int b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK) {
        float32x4_t most = vdupq_n_f32(0);
        int32x4_t total = vdupq_n_s32(0);
        for (int i = 0; i < KERN_BLOCK; i += 4)
            most = vmaxq_f32(most, vabsq_f32(vld1q_f32(in + i)));
        float top = vmaxvq_f32(most), inverse = top > 1e-30f ? 127.0f / top : 0;
        for (int i = 0; i < KERN_BLOCK; i += 8, q += 8) {
            int32x4_t k0 = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i), inverse));
            int32x4_t k1 = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(in + i + 4), inverse));
            total = vaddq_s32(total, vaddq_s32(k0, k1));
            vst1_s8(q, vqmovn_s16(vcombine_s16(vqmovn_s32(k0), vqmovn_s32(k1))));
        }
        scale[b] = top > 1e-30f ? top / 127.0f : 0;
        sum[b] = vaddvq_s32(total);
    }
}
