/* conv8_avxvnni.c - conv8_vnni.h on 256 bits: 6 rows of a panel's sums in registers. */
#define VNNI_BITS  256
#define FIR_ISA    "avxvnni"
#define FIR_OPS    conv8_fir_avxvnni
#define FIR_ROWS   6
#define CONV8_OPS  conv8_ops_avxvnni
#define CONV8_ROWS 6
#include "kernels/conv8_vnni.h"
