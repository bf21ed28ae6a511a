/* avx512.c - the kernels of body.h, compiled for avx512 (flags in the Makefile). */
#define KERN_OPS kern_ops_avx512
#define KERN_ISA "avx512"
#include "kernels/body.h"
