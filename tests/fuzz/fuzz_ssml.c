/* Any bytes as SSML: byte 0 chooses the front end, the rest is the document. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/ssml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text_pieces p;
    struct err e = {0};
    if (n == 0)
        return 0;
    struct text_options o = {.frontend = data[0] % 3};
    if (ssml_split((const char *)data + 1, n - 1, &o, &p, &e) < 0) {
        if (!e.msg[0])
            abort();
        return 0;
    }
    size_t last = 0;
    for (int i = 0; i < p.n; i++) {
        const struct text_piece *x = &p.piece[i];
        if (x->start < last || x->end < x->start || x->end > n - 1 || x->rate < 0.25 || x->rate > 4)
            abort();
        last = x->start;
    }
    for (int i = 0; i < p.n_mark; i++)
        if (p.mark[i].piece < 0 || p.mark[i].piece >= p.n || !p.mark[i].name[0])
            abort();
    if (p.n && data[0] & 4 && text_piece_read(&p.piece[0], &o, &e) < 0 && e.code == ERR_INTERNAL)
        abort();
    text_pieces_done(&p);
    return 0;
}
