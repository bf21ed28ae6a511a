/* x86.h - the intrinsics of x86; kernels include it instead of immintrin.h.
 *
 * Built with KERN_SIMDE (make check-isa), those of AVX-512 come from SIMDe, which emulates them
 * with AVX2: that is how avx512.c is checked on a machine without it. */
#ifndef KERNELS_X86_H
#define KERNELS_X86_H

#ifdef KERN_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
/* The instructions wrap; SIMDe adds in int, which must not overflow.  Halves of each pair of bytes
 * meet apart, since a product of bytes fits 16 bits and a sum of two does not. */
static inline simde__m512i x86_dpbusd(simde__m512i sum, simde__m512i a, simde__m512i b)
{
    simde__m512i low = simde_mm512_and_si512(a, simde_mm512_set1_epi16(255));
    simde__m512i even =
        simde_mm512_madd_epi16(low, simde_mm512_srai_epi16(simde_mm512_slli_epi16(b, 8), 8));
    simde__m512i odd =
        simde_mm512_madd_epi16(simde_mm512_srli_epi16(a, 8), simde_mm512_srai_epi16(b, 8));
    return simde_mm512_add_epi32(sum, simde_mm512_add_epi32(even, odd));
}
#undef _mm512_dpbusd_epi32
#undef _mm512_dpwssd_epi32
#define _mm512_dpbusd_epi32            x86_dpbusd
#define _mm512_dpwssd_epi32(sum, a, b) simde_mm512_add_epi32(sum, simde_mm512_madd_epi16(a, b))
#else
#include <immintrin.h>
#endif

#endif
