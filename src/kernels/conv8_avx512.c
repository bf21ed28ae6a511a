/* conv8_avx512.c - conv8_vnni.h on 512 bits: 12 rows of a panel's sums in registers. */
#define VNNI_BITS  512
#define FIR_ISA    "avx512"
#define FIR_OPS    conv8_fir_avx512
#define FIR_ROWS   12
#define CONV8_OPS  conv8_ops_avx512
#define CONV8_ROWS 12
#include "kernels/conv8_vnni.h"
