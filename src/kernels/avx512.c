/* avx512.c - the kernels of body.h, compiled for avx512 (flags in the Makefile), with VNNI's dot
 * product for int8 rows. */
#define VNNI_BITS 512
#include "kernels/vnni.h"

#define KERN_OPS kern_ops_avx512
#define KERN_ISA "avx512"
#define KERN_Q_BLOCK
#define Q_HELD        4
#define KERN_QUANTIZE quantize_x86
#define KERN_LINEAR_Q linear_q_vnni
#define KERN_PEAK     peak_vnni
#define VNNI_PEAK
#define VNNI_ROWS
#include "kernels/ops.h"
static void quantize_x86(const float *in, int n, int8_t *q, float *scale, int32_t *sum);
static void linear_q_vnni(const struct kern_tile *t);
static size_t peak_vnni(size_t n);
#include "kernels/body.h"

#include "kernels/vnni_linear.h"
