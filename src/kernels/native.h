/* native.h - vectors of as many floats as a register holds, for what does not work on panels;
 * included by body.h. */
#if defined(__AVX512F__)
#include "kernels/x86.h"
#define LANES 16
#define LANE_LIST(f)                                                                               \
    f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), \
        f(15)
#elif defined(__AVX2__)
#include "kernels/x86.h"
#define LANES        8
#define LANE_LIST(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define LANES        4
#define LANE_LIST(f) f(0), f(1), f(2), f(3)
#endif

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef uint32_t vu __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));
typedef int8_t vb __attribute__((vector_size(LANES)));

INLINE vf load_n(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_n(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

INLINE vf splat_n(float x)
{
    return x - (vf){0};
}

INLINE float sum_n(vf v)
{
#if LANES == 16
    return sum(v);
#elif LANES == 8
    return sum8(v);
#else
    return sum4(v);
#endif
}

/* Neighbours exchanged; the even or the odd lanes twice. */
#define LANE_SWAP(i) (i) ^ 1
#define LANE_EVEN(i) (i) & ~1
#define LANE_ODD(i)  (i) | 1
#define LANE_SIGN(i) (i) % 2 ? 1.0f : -1.0f
#define swap_n(v)    __builtin_shufflevector(v, v, LANE_LIST(LANE_SWAP))
#define even_n(v)    __builtin_shufflevector(v, v, LANE_LIST(LANE_EVEN))
#define odd_n(v)     __builtin_shufflevector(v, v, LANE_LIST(LANE_ODD))
static const vf minus_plus = {LANE_LIST(LANE_SIGN)};

/* Halves to floats and back, nearest even. */
#if LANES == 16
#define NATIVE_HALF
INLINE vf load_half(const uint16_t *p)
{
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE void store_half(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
}
#elif LANES == 8
#define NATIVE_HALF
INLINE vf load_half(const uint16_t *p)
{
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

INLINE void store_half(uint16_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__ARM_FEATURE_DOTPROD) /* neon.c, not ref.c */
#define NATIVE_HALF
INLINE vf load_half(const uint16_t *p)
{
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

INLINE void store_half(uint16_t *p, vf v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)v)));
}
#else
INLINE vf load_half(const uint16_t *p) /* as from_f16 */
{
    vh h;
    memcpy(&h, p, sizeof h);
    vu u = __builtin_convertvector(h, vu);
    vf v = (vf)((u & 0x7fff) << 13) * 0x1p112f;
    return (vf)((vu)v | (u & 0x8000) << 16);
}
#endif

/* Signed bytes to floats. */
INLINE vf load_bytes(const int8_t *p)
{
#if LANES == 16
    return (vf)_mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
#elif LANES == 8
    return (vf)_mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
#else
    vb b;
    memcpy(&b, p, sizeof b);
    return __builtin_convertvector(__builtin_convertvector(b, vi), vf);
#endif
}

/* Products of 32 bytes and 32 numbers of 14 bits, exact, each lane the sum of 32 / LANES of them;
 * halves to floats: one in all lanes, four in a row. */
#if LANES == 16
INLINE vf dot_block(const int8_t *k, const int16_t *q)
{
    __m512i a = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)k));
    return (vf)_mm512_cvtepi32_ps(_mm512_madd_epi16(a, _mm512_loadu_si512(q)));
}
#elif LANES == 8
INLINE vf dot_block(const int8_t *k, const int16_t *q)
{
    const __m128i *p = (const __m128i *)(const void *)k;
    const __m256i *x = (const __m256i *)(const void *)q;
    __m256i a = _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(p)), _mm256_loadu_si256(x));
#ifdef VNNI_BITS
    a = x86_dpwssd256(a, _mm256_cvtepi8_epi16(_mm_loadu_si128(p + 1)), _mm256_loadu_si256(x + 1));
    return (vf)_mm256_cvtepi32_ps(a);
#else
    __m256i b =
        _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(p + 1)), _mm256_loadu_si256(x + 1));
    return (vf)_mm256_cvtepi32_ps(_mm256_add_epi32(a, b));
#endif
}
#else
INLINE vf dot_block(const int8_t *k, const int16_t *q)
{
    vi sums = {0};
    for (int i = 0; i < KERN_BLOCK; i++)
        sums[i % LANES] += k[i] * q[i];
    return __builtin_convertvector(sums, vf);
}
#endif

#if LANES > 4
INLINE vf splat_half(const uint16_t *p)
{
    return splat_n(_cvtsh_ss(*p));
}

INLINE v4 load_half4(const uint16_t *p)
{
    return (v4)_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
#else
INLINE v4 load_half4(const uint16_t *p)
{
    return load_half(p);
}

INLINE vf splat_half(const uint16_t *p)
{
    uint16_t h[LANES] = {*p};
    return splat_n(load_half(h)[0]);
}
#endif

/* e^v: v = k ln2 + r, Taylor series of r to degree 7 (|r| <= 0.347: error below 1e-8). */
INLINE vf exp_n(vf v)
{
    vi low = (vi)(v < splat_n(-87.0f)), high = (vi)(v > splat_n(88.0f));
    v = (vf)((low & (vi)splat_n(-87.0f)) | (high & (vi)splat_n(88.0f)) | (~(low | high) & (vi)v));
    vf magic = splat_n(12582912.0f);
    vf k = (v * 1.44269504088896341f + magic) - magic; /* nearest integer, as in nearest() */
    vf r = v - k * 0.693359375f - k * -2.12194440054690583e-4f;
    vf y = r * (1.0f / 5040) + 1.0f / 720;
    y = y * r + 1.0f / 120;
    y = y * r + 1.0f / 24;
    y = y * r + 1.0f / 6;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    return y * (vf)((__builtin_convertvector(k, vi) + 127) << 23);
}
