/* The input up to the first NUL is a tiktoken file that is appended to the 256 bytes, up to the
 * second NUL special tokens in JSON, the rest a text to encode and decode. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/tokenizer.h"
#include "model/model_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void add_bytes(struct buf *b)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 256; i++)
        buf_add_format(b, "%c%c== %d\n", digit[i >> 2], digit[(i & 3) << 4], i);
}

static void check(const struct tokenizer *t, const char *text, size_t n)
{
    for (int specials = 0; specials < 2; specials++) {
        struct tokens out = {0};
        char *back;
        size_t n_back;
        struct err e = {0};
        if (tokenizer_encode(t, text, n, specials, &out, &e) == 0) {
            if (tokenizer_decode(t, out.id, out.n, &back, &n_back, &e) < 0)
                abort();
            if (n_back != n || (n && memcmp(back, text, n) != 0))
                abort();
            mem_free(back);
        } else if (e.code != ERR_FORMAT) {
            abort();
        }
        tokens_done(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *s = (const char *)data, *end = s + n;
    const char *special = n ? memchr(s, 0, n) : NULL;
    const char *text = special ? memchr(special + 1, 0, (size_t)(end - special - 1)) : NULL;
    struct tokenizer_vocab v;
    struct tokenizer *t;
    struct err e = {0};
    struct buf b;
    if (!text)
        return 0;
    buf_init(&b, 1 << 24);
    add_bytes(&b);
    buf_add(&b, s, (size_t)(special - s));
    if (tokenizer_vocab_parse(buf_str(&b), b.len, special + 1, (size_t)(text - special - 1), &v,
                              &e) == 0) {
        if (tokenizer_new(&v, &t, &e) == 0) {
            check(t, text + 1, (size_t)(end - text - 1));
            tokenizer_free(t);
        }
        tokenizer_vocab_done(&v);
    }
    buf_done(&b);
    return 0;
}
