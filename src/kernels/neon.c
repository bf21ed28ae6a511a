/* neon.c - the kernels of body.h, compiled for neon (flags in the Makefile). */
#define KERN_OPS kern_ops_neon
#define KERN_ISA "neon"
#include "kernels/body.h"
