/* The input is a file of the prefix cache: behind the hash that the input cannot know, what is
 * accepted must be what was asked for, and readable to its last byte.  The hash is put right half
 * of the time. */
#include <libavutil/mem.h>
#include <libavutil/murmur3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/dual_ar/prefix_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define N_COLUMN 20
#define WIDTH    3
#define N_KV     64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static int32_t columns[N_COLUMN * WIDTH];
    struct prefix_identity id = {{1, 2, 3}, "0 ref"};
    struct prompt p = {
        .columns = columns, .n_column = N_COLUMN, .n_codebook = WIDTH - 1, .n_prefix = N_COLUMN};
    struct prefix_header h;
    const void *kv;
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return 0;
    if (n)
        memcpy(copy, data, n);
    if (n >= sizeof h + N_KV && data[n - 1] & 1) {
        struct AVMurMur3 *m = av_murmur3_alloc();
        memcpy(&h, copy, sizeof h);
        av_murmur3_init(m);
        av_murmur3_update(m, copy + n - N_KV, N_KV);
        av_murmur3_final(m, h.kv_hash);
        memcpy(copy, &h, sizeof h);
        av_free(m);
    }
    struct prefix_key key = {&id, &p, N_KV};
    if (prefix_file_check(copy, n, &key, &kv, NULL) == 0) {
        static volatile unsigned sink;
        for (size_t i = 0; i < N_KV; i++)
            sink += ((const uint8_t *)kv)[i];
        if ((const uint8_t *)kv + N_KV != copy + n)
            abort();
    }
    free(copy);
    return 0;
}
