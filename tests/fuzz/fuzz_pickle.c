/* The input is the index of a PyTorch checkpoint (data.pkl). */
#include <stdint.h>
#include <stdlib.h>

#include "formats/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct checkpoint_tensor *list = NULL;
    struct err e = {0};
    int count = 0, rc = pickle_read(data, n, &list, &count, &e);
    if (rc < 0)
        return 0;
    for (int i = 0; i < count; i++) {
        size_t product = 1;
        if (!list[i].name || !list[i].key || list[i].n_dim > CHECKPOINT_MAX_DIMS)
            abort();
        for (int d = 0; d < list[i].n_dim; d++)
            product *= (size_t)list[i].shape[d];
        if (product != list[i].n)
            abort();
    }
    checkpoint_tensors_free(list, count);
    return 0;
}
