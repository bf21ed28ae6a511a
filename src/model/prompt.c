/* prompt.c - <|interleave|>, references, text; each part tokenized on its own.
 * Source: fish_speech/content_sequence.py and inference.py:generate_long of the S1 era. */
#include <string.h>

#include "base/mem.h"
#include "model/ar.h"

#define SPEAKER "<|speaker:0|>"

void prompt_init(struct prompt *p, int n_codebook)
{
    *p = (struct prompt){.n_codebook = n_codebook};
}

void prompt_done(struct prompt *p)
{
    mem_free(p->columns);
    *p = (struct prompt){.n_codebook = p->n_codebook};
}

/* n more columns, zeroed; NULL when out of memory. */
static int32_t *extend(struct prompt *p, int n)
{
    size_t width = 1 + (size_t)p->n_codebook;
    if (p->n_column + n > p->cap) {
        int cap = (p->n_column + n) * 2;
        int32_t *c = mem_grow(p->columns, (size_t)cap * width, sizeof *c);
        if (!c)
            return NULL;
        p->columns = c;
        p->cap = cap;
    }
    int32_t *at = p->columns + (size_t)p->n_column * width;
    memset(at, 0, (size_t)n * width * sizeof *at);
    p->n_column += n;
    return at;
}

static int prompt_add_tokens(struct prompt *p, const struct tokens *t, struct err *e)
{
    int32_t *at = t->n < (1u << 24) ? extend(p, (int)t->n) : NULL;
    if (!at)
        return err_set(e, ERR_MEMORY, "out of memory for a prompt of %zu tokens", t->n);
    for (size_t i = 0; i < t->n; i++)
        at[i * (1 + (size_t)p->n_codebook)] = t->id[i];
    return 0;
}

static int add_special(struct prompt *p, const struct tokenizer *t, const char *name, struct err *e)
{
    int id = tokenizer_special(t, name);
    int32_t *at;
    if (id < 0)
        return err_set(e, ERR_FORMAT, "the tokenizer has no token %s", name);
    if (!(at = extend(p, 1)))
        return err_set(e, ERR_MEMORY, "out of memory for a prompt");
    at[0] = id;
    return 0;
}

static int add_text(struct prompt *p, const struct tokenizer *t, const char *text, bool specials,
                    struct err *e)
{
    struct tokens tokens = {0};
    int rc = tokenizer_encode(t, text, strlen(text), specials, &tokens, e);
    if (rc == 0)
        rc = prompt_add_tokens(p, &tokens, e);
    tokens_done(&tokens);
    return rc;
}

/* The speaker mark and the text are two parts: no token reaches from one into the other.  The mark
 * is ordinary text unless the vocabulary has it (content_sequence.py encodes part by part). */
static int add_spoken(struct prompt *p, const struct tokenizer *t, const char *text, bool specials,
                      struct err *e)
{
    int rc = add_text(p, t, SPEAKER, true, e);
    return rc < 0 ? rc : add_text(p, t, text, specials, e);
}

static int add_codes(struct prompt *p, const struct spec_lm *s, const struct prompt_reference *r,
                     struct err *e)
{
    size_t width = 1 + (size_t)p->n_codebook, n = (size_t)r->n_frame;
    int32_t *at = extend(p, r->n_frame);
    if (!at)
        return err_set(e, ERR_MEMORY, "out of memory for a prompt of %d frames", r->n_frame);
    for (size_t t = 0; t < n; t++) {
        at[t * width] = s->semantic_begin + r->codes[t];
        for (size_t q = 0; q < (size_t)p->n_codebook; q++)
            at[t * width + 1 + q] = r->codes[q * n + t];
    }
    return 0;
}

int prompt_build(struct prompt *p, const struct tokenizer *t, const struct spec_lm *s,
                 const struct prompt_parts *parts, struct err *e)
{
    int rc = add_special(p, t, "<|interleave|>", e);
    for (int i = 0; i < parts->n_ref && rc == 0; i++) {
        if ((rc = add_spoken(p, t, parts->refs[i].text, parts->specials, e)) < 0 ||
            (rc = add_codes(p, s, &parts->refs[i], e)) < 0)
            return rc;
        rc = add_special(p, t, "<|im_end|>", e);
    }
    p->n_prefix = p->n_column;
    return rc < 0 ? rc : add_spoken(p, t, parts->text, parts->specials, e);
}
