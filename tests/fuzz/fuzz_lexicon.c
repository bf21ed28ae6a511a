/* Any bytes as a lexicon, up to a zero byte; what follows it is a text to apply it to. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/lexicon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *path(void)
{
    static char name[] = "/tmp/fuzz-lexicon-XXXXXX";
    static int fd = -1;
    if (fd < 0 && (fd = mkstemp(name)) >= 0)
        close(fd);
    return name;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *zero = memchr(data, 0, n);
    size_t n_file = zero ? (size_t)(zero - data) : n;
    struct lexicon *l = NULL;
    struct err e = {0};
    FILE *f = fopen(path(), "wb");
    if (!f)
        return 0;
    fwrite(data, 1, n_file, f);
    fclose(f);
    if (lexicon_open(path(), &l, &e) < 0)
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
