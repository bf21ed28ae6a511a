/* ref.c - the kernels of body.h, compiled for any machine. */
#define KERN_OPS kern_ops_ref
#define KERN_ISA "ref"
#include "kernels/body.h"
