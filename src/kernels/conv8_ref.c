/* conv8_ref.c - conv8 in plain C: the arithmetic that all others reproduce. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/conv8_ops.h"

#define CONV8_ISA    "ref"
#define CONV8_OPS    conv8_ops_ref
#define CONV8_BYTE   int8_t
#define CONV8_OFFSET 0
#define CONV8_ROWS   4

static float largest(const float *in, size_t n)
{
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = fabsf(in[i]) > top ? fabsf(in[i]) : top;
    return top;
}

static void quantize(const float *in, float scale, int n, int8_t *out)
{
    float inverse = scale > 0 ? 1 / scale : 0;
    for (int i = 0; i < (n + 3) / 4 * 4; i++)
        out[i] = (int8_t)(i < n ? lrintf(in[i] * inverse) : 0);
}

static inline __attribute__((always_inline)) void sums(int R, const int8_t *const *in, size_t step,
                                                       const struct conv8 *c, const int8_t *w,
                                                       int32_t sum[][CONV8_PANEL])
{
    int n = (c->n_in + 3) / 4 * 4;
    memset(sum, 0, (size_t)R * sizeof *sum);
    for (size_t j = 0; j < (size_t)c->n_tap; j++)
        for (int i = 0; i < n; i += 4, w += 64)
            for (int r = 0; r < R; r++)
                for (int o = 0; o < CONV8_PANEL; o++)
                    for (int k = 0; k < 4; k++)
                        sum[r][o] += w[o * 4 + k] * in[r][j * step + (size_t)(i + k)];
}

#include "kernels/conv8_body.h"
