/* x86.h - the intrinsics of x86; kernels include it instead of immintrin.h.
 *
 * Built with KERN_SIMDE (make check-isa), those of AVX-512 come from SIMDe, which emulates them
 * with AVX2: that is how avx512.c is checked on a machine without it. */
#ifndef KERNELS_X86_H
#define KERNELS_X86_H

#ifdef KERN_SIMDE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#else
#include <immintrin.h>
#endif

#endif
