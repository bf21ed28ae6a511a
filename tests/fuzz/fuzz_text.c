/* Any bytes as text: byte 0 chooses the front end and the length of pieces, the rest is the text. */
#include <stdint.h>
#include <stdlib.h>

#include "text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text_pieces p;
    struct err e = {0};
    if (n == 0)
        return 0;
    struct text_options o = {.frontend = data[0] & 1 ? TEXT_IPA : TEXT_PLAIN,
                             .max_piece_chars = data[0] & 2 ? 20 + data[0] / 2 : 0};
    if (text_split((const char *)data + 1, n - 1, &o, &p, &e) < 0)
        return 0;
    size_t last = 0;
    for (int i = 0; i < p.n; i++) {
        if (p.piece[i].start < last || p.piece[i].end <= p.piece[i].start || !p.piece[i].text[0])
            abort();
        last = p.piece[i].end;
    }
    if (last > n - 1)
        abort();
    text_pieces_done(&p);
    return 0;
}
