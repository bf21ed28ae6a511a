/* focus.c - which word of a piece is said when, by what the model's alignment heads attend to. */
#include <string.h>

#include "engine/dual_ar/dual_ar.h"

#define LEAST_FRAMES 0.3 /* of a token that is said */

void focus_done(struct focus *f)
{
    align_free(f->align);
    mem_free(f->seen);
    mem_free(f->byte);
    mem_free(f->first);
    *f = (struct focus){0};
}

/* The last columns of the prompt whose tokens make up the text; where each begins. */
static int focus_tokens(const struct dual_ar *d, struct focus *f, const char *text,
                        const struct prompt *p, struct err *e)
{
    struct tokens tokens = {0};
    int rc = tokenizer_encode(d->model.tokenizer, text, strlen(text), false, &tokens, e);
    if (rc == 0 && ((int)tokens.n > p->n_column - p->n_prefix || tokens.n == 0))
        rc = err_set(e, ERR_INTERNAL, "a prompt has %d columns for %zu tokens",
                     p->n_column - p->n_prefix, tokens.n);
    if (rc == 0) {
        f->n_token = (int)tokens.n;
        f->byte = mem_try(tokens.n + 1, sizeof *f->byte);
        f->first = mem_try(tokens.n + 1, sizeof *f->first);
        f->seen = mem_try(tokens.n * (size_t)d->model.spec.alignment.n_head, sizeof *f->seen);
        if (!f->byte || !f->first || !f->seen)
            rc = err_set(e, ERR_MEMORY, "out of memory for word times");
    }
    for (size_t i = 0; i < tokens.n && rc == 0; i++) {
        size_t n = 0;
        tokenizer_bytes(d->model.tokenizer, tokens.id[i], &n);
        f->byte[i + 1] = f->byte[i] + n;
    }
    tokens_done(&tokens);
    return rc;
}

int focus_begin(struct dual_ar *d, struct focus *f, const char *text, struct ar *a, struct err *e)
{
    const struct prompt *p = ar_prompt(a);
    if (d->model.spec.alignment.n_head == 0)
        return 0;
    int rc = focus_tokens(d, f, text, p, e);
    if (rc == 0)
        rc = align_new(f->n_token, ar_max_frames(a), &f->align, e);
    if (rc == 0)
        lm_slot_watch(ar_slot(a), p->n_column - f->n_token, p->n_column, f->seen);
    return rc;
}

void focus_frame(const struct dual_ar *d, struct focus *f)
{
    if (f->align)
        align_frame(f->align, f->seen, d->model.spec.alignment.n_head);
}

/* In frames, where byte `at` of the text begins: inside a token in proportion. */
static double focus_at(const struct focus *f, size_t at)
{
    int i = 0;
    while (i < f->n_token && f->byte[i + 1] <= at)
        i++;
    if (i == f->n_token)
        return f->first[i];
    double share = (double)(at - f->byte[i]) / (double)(f->byte[i + 1] - f->byte[i]);
    return f->first[i] + share * (f->first[i + 1] - f->first[i]);
}

bool focus_times(const struct dual_ar *d, const struct focus *f, const struct text_piece *p,
                 double shift_s, struct word_time *at)
{
    double late = shift_s + (double)d->model.spec.alignment.delay_s;
    if (!f->align || align_n_frame(f->align) == 0)
        return false;
    align_path(f->align, f->first);
    for (int i = 0; i < p->n_word; i++) {
        at[i].from = focus_at(f, p->word[i].at) * d->frame_s + late;
        at[i].to = focus_at(f, p->word[i].to) * d->frame_s + late;
    }
    return true;
}

double focus_left_out(const struct focus *f)
{
    int n = 0;
    if (!f->align || align_n_frame(f->align) == 0)
        return 0;
    align_path(f->align, f->first);
    for (int i = 0; i < f->n_token; i++)
        n += f->first[i + 1] - f->first[i] < LEAST_FRAMES;
    return (double)n / f->n_token;
}
