/* avx2.c - the kernels of body.h, compiled for avx2 (flags in the Makefile). */
#define KERN_OPS kern_ops_avx2
#define KERN_ISA "avx2"
#include "kernels/body.h"
