/* conv8_put.h - exact sums of one row and panel to outputs; included by the files of conv8 that
 * make them by direct sums. */
#include <string.h>

#include "kernels/conv8_ops.h"

typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16s __attribute__((vector_size(64)));
typedef uint32_t v16wrap __attribute__((vector_size(64))); /* wraps where int32 may not */

/* 16 sums to outputs of one row, n of them real, whose inputs had that scale. */
static inline __attribute__((always_inline)) void put_row(const struct conv8_job *j, int row,
                                                          int first, int n, const v16s *sum)
{
    const struct conv8 *c = j->c;
    float part[CONV8_PANEL] = {0}, *out = j->call->out + (size_t)row * (size_t)c->n_out + first;
    v16f scale, bias, old;
    memcpy(&scale, c->scale + first, sizeof scale);
    memcpy(&bias, c->bias + first, sizeof bias);
    v16f y = __builtin_convertvector(*sum, v16f) * (conv8_in_scale(j, row) * scale);
    y = y + bias;
    if (j->call->epilogue == KERN_ADD) {
        memcpy(part, out, (size_t)n * sizeof *part);
        memcpy(&old, n < CONV8_PANEL ? part : out, sizeof old);
        y = old + y;
    }
    if (n == CONV8_PANEL) {
        memcpy(out, &y, sizeof y);
        return;
    }
    memcpy(part, &y, sizeof y);
    memcpy(out, part, (size_t)n * sizeof *part);
}
