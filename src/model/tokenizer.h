/* tokenizer.h - byte-level BPE (tiktoken files) with S1's split pattern and special tokens.
 *
 * Source: fish_speech/tokenizer.py of the S1 era; quirks in docs/MODEL.md.  Unicode properties come
 * from PCRE2.  Read from GGUF (tokenizer.ggml.*), built once, then read-only: any thread. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "formats/gguf.h"

struct tokenizer;

struct tokenizer_vocab { /* as in the checkpoint: ranks first, then special tokens */
    int n_rank, n_special;
    const char **token;  /* [n_rank + n_special] raw bytes, not NUL-terminated */
    size_t *token_bytes; /* their lengths */
};

/* Parse tokenizer.tiktoken and special_tokens.json.  Free with tokenizer_vocab_done. */
int tokenizer_vocab_read(const char *tiktoken_path, const char *special_path,
                         struct tokenizer_vocab *v, struct err *e);
int tokenizer_vocab_parse(const char *tiktoken, size_t n_tiktoken, const char *special,
                          size_t n_special, struct tokenizer_vocab *v, struct err *e);
void tokenizer_vocab_done(struct tokenizer_vocab *v);

int tokenizer_new(const struct tokenizer_vocab *v, struct tokenizer **ret,
                  struct err *e); /* copies */
int tokenizer_from_gguf(const struct gguf *g, struct tokenizer **ret, struct err *e);
void tokenizer_write(const struct tokenizer_vocab *v, struct gguf_writer *w);
void tokenizer_free(struct tokenizer *t);

int tokenizer_n_vocab(const struct tokenizer *t);                   /* ranks + specials */
int tokenizer_special(const struct tokenizer *t, const char *name); /* id, or -1 */

struct tokens {
    int32_t *id;
    size_t n, cap;
};
void tokens_done(struct tokens *t);

/* Append the ids of text[0..n).  specials: recognise special tokens written in the text (trusted
 * text only); otherwise they are ordinary characters.  Invalid UTF-8 is ERR_FORMAT. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, bool specials,
                     struct tokens *out, struct err *e);
/* Bytes of one token; *n its length; NULL for an id that does not exist. */
const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *n);

#endif
