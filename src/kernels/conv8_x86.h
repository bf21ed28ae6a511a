/* conv8_x86.h - passes over inputs that conv8's files for x86 share. */
#include <math.h>

#include "kernels/x86.h"

static float largest(const float *in, size_t n)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 top = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        top = _mm256_max_ps(top, _mm256_and_ps(_mm256_loadu_ps(in + i), no_sign));
    float v[8], most = 0;
    _mm256_storeu_ps(v, top);
    for (int k = 0; k < 8; k++)
        most = v[k] > most ? v[k] : most;
    for (; i < n; i++)
        most = fabsf(in[i]) > most ? fabsf(in[i]) : most;
    return most;
}
