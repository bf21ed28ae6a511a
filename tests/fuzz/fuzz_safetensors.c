/* The input is a checkpoint file, safetensors or zip, which libzip tells apart by itself.  It is
 * opened through a file in memory, since the reader takes a path. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "formats/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_tensors(struct checkpoint *c)
{
    for (int i = 0; i < checkpoint_n(c); i++) {
        struct checkpoint_tensor *t = checkpoint_at(c, i);
        float *values;
        if (!checkpoint_find(c, t->name))
            abort();
        /* A zip may claim a large tensor; its memory is not what is tested here. */
        if (t->n < 1 << 20 && checkpoint_read(c, t, &values, NULL) == 0)
            mem_free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char path[64];
    struct checkpoint *c;
    int fd = memfd_create("checkpoint", 0);
    if (fd < 0)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, n) == (ssize_t)n && checkpoint_open(path, &c, NULL) == 0) {
        read_tensors(c);
        checkpoint_close(c);
    }
    close(fd);
    return 0;
}
