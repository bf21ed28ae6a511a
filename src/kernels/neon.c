/* neon.c - the kernels of body.h, compiled for neon (flags in the Makefile), with the dot product
 * instructions for int8 rows. */
#include <arm_neon.h>

#define KERN_OPS kern_ops_neon
#define KERN_ISA "neon"
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_neon
#define KERN_PEAK     peak_neon
#include "kernels/ops.h"
static void quantize_neon(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static size_t peak_neon(size_t n);
#include "kernels/body.h"

#include "kernels/neon_linear.h"

INLINE void q_block(enum kern_type type, int R, const uint8_t *w, const struct q_row *x, size_t b,
                    float (*y)[KERN_PANEL])
{
    neon_block(type, R, w, x, b, y);
}

static size_t peak_neon(size_t n)
{
    int32x4_t acc[8];
    int8x16_t v = vdupq_n_s8(1);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        acc[i] = vdupq_n_s32(0);
    for (size_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            acc[k] = vdotq_s32(acc[k], v, v);
            __asm__ volatile("" : "+w"(acc[k]));
        }
    return n * 8 * 16;
}
