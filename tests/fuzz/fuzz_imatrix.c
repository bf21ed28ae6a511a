/* The input is an importance matrix: read it, look its entries up, quantize with what it says. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/imatrix.h"
#include "model/quantize.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const struct imatrix *m, const char *name, int64_t n_in)
{
    static float mean[LIMIT_DIM], values[QUANTIZE_BLOCK];
    uint8_t blocks[34];
    if (n_in > LIMIT_DIM || imatrix_find(m, name, n_in, mean, NULL) < 0)
        return;
    for (int i = 0; i < QUANTIZE_BLOCK; i++)
        values[i] = (float)(i * 37 % 11) - 5;
    for (int64_t i = 0; i < n_in; i++)
        if (!(mean[i] >= 0 && isfinite(mean[i])))
            abort();
    if (n_in >= QUANTIZE_BLOCK) {
        quantize_blocks(KERN_Q4_0, values, mean, QUANTIZE_BLOCK, blocks);
        quantize_blocks(KERN_Q8_0, values, mean, QUANTIZE_BLOCK, blocks);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gguf *g;
    struct imatrix *m;
    char name[4097];
    if (gguf_open_memory(data, n, &g, NULL) < 0)
        return 0;
    if (imatrix_read(g, &m, NULL) == 0) {
        for (int i = 0; i < gguf_n_tensors(g); i++) {
            const struct gguf_tensor *t = gguf_tensor_at(g, i);
            size_t len = strlen(t->name);
            memcpy(name, t->name, len + 1);
            if (len > 8)
                name[len - 8] = 0; /* NAME.in_sum2 */
            use(m, name, t->ne[0]);
        }
        imatrix_free(m);
    }
    gguf_close(g);
    return 0;
}
