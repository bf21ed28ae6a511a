/* vnni.h - what the sets with VNNI's dot products share, whatever their registers are wide:
 * included by avx512.c, avxvnni.c and their conv8 files, which define VNNI_BITS as 512 or 256
 * before.
 *
 * vpdpbusd adds four products of unsigned and signed bytes to each 32 bits, vpdpwssd two of 16
 * bits. A panel's 16 outputs are one vector of 512 bits or two of 256. */
#ifndef KERNELS_VNNI_H
#define KERNELS_VNNI_H
#include "kernels/x86.h"

#if VNNI_BITS == 512
typedef __m512i vnni;
#define VNNI_PANEL             1 /* vectors of a panel */
#define vnni_set1_8(x)         _mm512_set1_epi8(x)
#define vnni_set1_32(x)        _mm512_set1_epi32(x)
#define vnni_load(p)           _mm512_loadu_si512(p)
#define vnni_store(p, v)       _mm512_storeu_si512(p, v)
#define vnni_xor(a, b)         _mm512_xor_si512(a, b)
#define vnni_and(a, b)         _mm512_and_si512(a, b)
#define vnni_srli_16(a, n)     _mm512_srli_epi16(a, n)
#define vnni_slli_32(a, n)     _mm512_slli_epi32(a, n)
#define vnni_dpbusd(sum, a, b) x86_dpbusd512(sum, a, b)
#define vnni_dpwssd(sum, a, b) x86_dpwssd512(sum, a, b)
#else
typedef __m256i vnni;
#define VNNI_PANEL             2
#define vnni_set1_8(x)         _mm256_set1_epi8(x)
#define vnni_set1_32(x)        _mm256_set1_epi32(x)
#define vnni_load(p)           _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vnni_store(p, v)       _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define vnni_xor(a, b)         _mm256_xor_si256(a, b)
#define vnni_and(a, b)         _mm256_and_si256(a, b)
#define vnni_srli_16(a, n)     _mm256_srli_epi16(a, n)
#define vnni_slli_32(a, n)     _mm256_slli_epi32(a, n)
#define vnni_dpbusd(sum, a, b) x86_dpbusd256(sum, a, b)
#define vnni_dpwssd(sum, a, b) x86_dpwssd256(sum, a, b)
#endif
#define VNNI_LANES (VNNI_BITS / 32)
/* The compiler must not know what v is. */
#ifdef KERN_SIMDE
#define vnni_keep(v) ((void)(v))
#else
#define vnni_keep(v) __asm__ volatile("" : "+x"(v))
#endif

#endif
