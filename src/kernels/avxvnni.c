/* avxvnni.c - the kernels of body.h for processors with AVX2 and VNNI's dot products on 256 bits,
 * but no AVX-512: most desktops and laptops since 2021 (flags in the Makefile). */
#define VNNI_BITS 256
#include "kernels/vnni.h"

#define KERN_OPS    kern_ops_avxvnni
#define KERN_ISA    "avxvnni"
#define KERN_LINEAR linear_avx2
#define KERN_Q_BLOCK
#define KERN_QUANTIZE quantize_x86
#define KERN_PEAK     peak_vnni
#define VNNI_PEAK
#include "kernels/ops.h"
static void linear_avx2(const struct kern_tile *t);
static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static size_t peak_vnni(size_t n);
#include "kernels/body.h"

#include "kernels/linear_avx2.h"
#include "kernels/vnni_linear.h"
