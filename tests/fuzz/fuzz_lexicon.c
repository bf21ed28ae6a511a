/* Any bytes as a lexicon, up to a zero byte; what follows it is a text to apply it to. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "text/lexicon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A file in memory: ext4 flushes one that is cut and written again to the disk each time. */
static int fuzz_file(char *path, size_t room)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("lexicon", 0);
    snprintf(path, room, "/proc/self/fd/%d", fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *zero = memchr(data, 0, n);
    size_t n_file = zero ? (size_t)(zero - data) : n;
    struct lexicon *l = NULL;
    struct err e = {0};
    char path[64];
    int fd = fuzz_file(path, sizeof path);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n_file, 0) != (ssize_t)n_file ||
        lexicon_open(path, &l, &e) < 0)
        return 0;
    struct mapped in, out;
    int ignored = 0;
    mapped_init(&in, 1 << 20);
    mapped_init(&out, 1 << 24);
    if (zero)
        mapped_copy(&in, (const char *)zero + 1, 0, n - n_file - 1);
    lexicon_apply(l, "en-us", n & 1, &in, &out, &ignored);
    mapped_done(&in);
    mapped_done(&out);
    lexicon_free(l);
    return 0;
}
