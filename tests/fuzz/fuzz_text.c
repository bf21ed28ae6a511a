/* Any bytes as text: byte 0 chooses the front end, the language and the length of pieces, the rest
 * is the text.  Each stage leaves valid UTF-8 whose map stays inside the input and never goes back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unicode/utf8.h>

#include "text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_stage(const struct mapped *m, size_t n)
{
    const char *s = buf_str(&m->text);
    size_t last = 0, start, end;
    for (int32_t i = 0, len = (int32_t)m->text.len; i < len;) {
        UChar32 c;
        mapped_source(m, (size_t)i, &start, &end);
        U8_NEXT(s, i, len, c);
        if (c <= 0 || start < last || end < start || end > n)
            abort();
        last = start;
    }
}

static void check_pieces(const struct text_pieces *p, size_t n)
{
    size_t last = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->piece[i].start < last || p->piece[i].end < p->piece[i].start ||
            p->piece[i].end > n || !p->piece[i].text[0])
            abort();
        last = p->piece[i].start;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const languages[] = {"en-us", "de",    "fr",    "es",   "it", "pt",
                                            "nl",    "pl",    "ru",    "zh",   "ja", "ko",
                                            "eo",    "en-us", "en-us", "en-us"};
    struct text_pieces p = {0};
    struct mapped clean, normalized = {0};
    struct err e = {0};
    if (n-- == 0)
        return 0;
    struct text_options o = {.frontend = data[0] & 1 ? TEXT_IPA : TEXT_PLAIN,
                             .emoji = data[0] & 2,
                             .language = languages[data[0] >> 4],
                             .max_piece_chars = data[0] & 4 ? 20 + data[0] / 2 : 0};
    int rc = text_clean((const char *)data + 1, n, &o, &clean, &e);
    if (rc == 0) {
        check_stage(&clean, n);
        rc = text_normalize(&clean, &o, &normalized, &e);
    }
    if (rc == 0) {
        check_stage(&normalized, n);
        rc = text_cut(&normalized, &o, &p, &e);
    }
    if (rc == 0)
        check_pieces(&p, n);
    for (int i = 0; rc == 0 && i < p.n && i < 4; i++)
        rc = text_piece_read(&p.piece[i], &o, &e);
    text_pieces_done(&p);
    mapped_done(&clean);
    mapped_done(&normalized);
    return 0;
}
