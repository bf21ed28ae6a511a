/* x86.h - the intrinsics of x86; kernels include it instead of immintrin.h.
 *
 * Built with KERN_SIMDE (make check-isa), those of AVX-512 come from SIMDe, which emulates them
 * with AVX2, and those of VNNI from here: that is how avx512.c and avxvnni.c are checked on a
 * machine without them. */
#ifndef KERNELS_X86_H
#define KERNELS_X86_H

#ifdef KERN_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* The instructions wrap; SIMDe adds in int, which must not overflow.  Halves of each pair of bytes
 * meet apart, since a product of bytes fits 16 bits and a sum of two does not. */
#define DPBUSD(bits, type, sum, a, b)                                                              \
    type low = simde_mm##bits##_and_si##bits(a, simde_mm##bits##_set1_epi16(255));                 \
    type high = simde_mm##bits##_srli_epi16(a, 8);                                                 \
    type b_low = simde_mm##bits##_srai_epi16(simde_mm##bits##_slli_epi16(b, 8), 8);                \
    type even = simde_mm##bits##_madd_epi16(low, b_low);                                           \
    type odd = simde_mm##bits##_madd_epi16(high, simde_mm##bits##_srai_epi16(b, 8));               \
    return simde_mm##bits##_add_epi32(sum, simde_mm##bits##_add_epi32(even, odd))

static inline simde__m512i x86_dpbusd512(simde__m512i sum, simde__m512i a, simde__m512i b)
{
    DPBUSD(512, simde__m512i, sum, a, b);
}

static inline simde__m256i x86_dpbusd256(simde__m256i sum, simde__m256i a, simde__m256i b)
{
    DPBUSD(256, simde__m256i, sum, a, b);
}
#undef DPBUSD
#define x86_dpwssd512(sum, a, b) simde_mm512_add_epi32(sum, simde_mm512_madd_epi16(a, b))
#define x86_dpwssd256(sum, a, b) simde_mm256_add_epi32(sum, simde_mm256_madd_epi16(a, b))
#else
#include <immintrin.h>
#define x86_dpbusd512 _mm512_dpbusd_epi32
#define x86_dpwssd512 _mm512_dpwssd_epi32
#define x86_dpbusd256 _mm256_dpbusd_avx_epi32
#define x86_dpwssd256 _mm256_dpwssd_avx_epi32
#endif

#endif
