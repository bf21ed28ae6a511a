/* quantize_x86.h - rows to int8 in blocks of 32 (quant.h says how), for avx2.c and avx512.c.  They
 * bring block_sum: struct kern_int8's sum from 8 sums of 4 values, of which each was i % 4 in its
 * group. */

INLINE float largest(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (int b = 0; b < n / KERN_BLOCK; b++, in += KERN_BLOCK, q += KERN_BLOCK) {
        __m256 v[4], top8 = _mm256_setzero_ps();
        __m256i k[4];
        for (int i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(in + 8 * i);
            top8 = _mm256_max_ps(top8, _mm256_andnot_ps(sign, v[i]));
        }
        float top = largest(top8), inverse = top > 1e-30f ? 127.0f / top : 0;
        for (int i = 0; i < 4; i++)
            k[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)));
        __m256i low = _mm256_packs_epi32(k[0], k[1]), high = _mm256_packs_epi32(k[2], k[3]);
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        _mm256_storeu_si256((__m256i *)(void *)q, bytes);
        __m256i both = _mm256_add_epi16(low, high); /* groups of four stay side by side */
        sum[b] = block_sum(
            _mm_add_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
        scale[b] = top > 1e-30f ? top / 127.0f : 0;
    }
}
