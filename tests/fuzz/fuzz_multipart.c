/* Any bytes as a form: the first line is the Content-Type, the rest the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct multipart m;
    char type[256] = "";
    const uint8_t *eol = n ? memchr(data, '\n', n) : NULL;
    size_t n_type = eol ? (size_t)(eol - data) : 0;
    const char *why = NULL;
    if (!eol || n_type >= sizeof type)
        return 0;
    memcpy(type, data, n_type);
    const char *body = (const char *)eol + 1, *end = (const char *)data + n;
    if (multipart_parse(type, body, (size_t)(end - body), &m, &why) < 0) {
        if (!why)
            abort();
        return 0;
    }
    for (int i = 0; i < m.n; i++)
        if (m.part[i].data < body || m.part[i].n > (size_t)(end - m.part[i].data) ||
            !multipart_find(&m, m.part[i].name))
            abort();
    return 0;
}
