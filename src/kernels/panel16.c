/* panel16.c - the layout that the kernels of body.h read: panels of 16 outputs, lane = output.
 *
 *     f32 f16 bf16   [n_tap][n_in][16] numbers
 *     q8_0 q4_0      block after block; quant.h has a block's layout
 *
 * An instruction set with other tiles brings a layout of its own (ops.h). */
#include <string.h>

#include "kernels/ops.h"

static size_t panel16_bytes(enum kern_type t, size_t k)
{
    return kern_type_row_bytes(t, k) * KERN_PANEL;
}

static void pack_blocks(enum kern_type t, const uint8_t *row, size_t n_block, int lane, char *panel)
{
    size_t bytes = kern_type_row_bytes(t, KERN_BLOCK);
    for (size_t b = 0; b < n_block; b++, row += bytes, panel += bytes * KERN_PANEL) {
        char *codes = panel + (2 * KERN_PANEL + lane * 4);
        memcpy(panel + lane * 2, row, 2);
        for (int i = 0; i < KERN_BLOCK; i++) {
            if (t == KERN_Q8_0) {
                codes[i / 4 * 64 + i % 4] = (char)row[2 + i];
            } else {
                int code = i < 16 ? row[2 + i] & 15 : row[2 + i - 16] >> 4;
                codes[i / 8 * 64 + i % 4] |= (char)(code << (i % 8 / 4 * 4));
            }
        }
    }
}

static void panel16_pack(enum kern_type t, const void *row, size_t k, int lane, void *panel)
{
    if (t == KERN_Q8_0 || t == KERN_Q4_0) {
        pack_blocks(t, row, k / KERN_BLOCK, lane, panel);
        return;
    }
    size_t size = kern_type_row_bytes(t, 1);
    for (size_t i = 0; i < k; i++)
        memcpy((char *)panel + (i * KERN_PANEL + (size_t)lane) * size, (const char *)row + i * size,
               size);
}

const struct kern_layout kern_panel16 = {KERN_PANEL, panel16_bytes, panel16_pack};
