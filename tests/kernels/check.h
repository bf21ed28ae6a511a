/* check.h - what the kernel checks share: counting, random numbers, executors. */
#ifndef TESTS_KERNELS_CHECK_H
#define TESTS_KERNELS_CHECK_H
#include <stdbool.h>
#include <stdint.h>

#include "kernels/kern.h"

#define N_POOL 3
#define LEN(a) ((int)(sizeof(a) / sizeof *(a)))

extern struct kern_exec
    *execs[N_POOL]; /* of the instruction set in hand, with 1, 2 and 3 threads */

void report(bool ok, const char *what, int a, int b); /* a, b: sizes */
uint32_t rng(void);
/* Mostly ordinary numbers up to top; some zeros, large ones and denormals.  mem_free. */
float *numbers(size_t n, float top);

void check_conv8(void);

#endif
