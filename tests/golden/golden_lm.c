/* golden_lm.c - tokenizer, prompts, language model, sampler and generation against the original. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "golden/golden.h"
#include "model/model_test.h"

#define MAX_REFERENCES 16
#define CONTEXT        4096 /* no prompt and generation of a set is longer */

static int context(const struct golden *g)
{
    return g->spec.lm.slow.n_position < CONTEXT ? g->spec.lm.slow.n_position : CONTEXT;
}

static void check_tokenizer(struct golden *g)
{
    struct npy text, text_off, ids, ids_off;
    if (golden_npy(g, "tok_text", &text) < 0 || golden_npy(g, "tok_text_off", &text_off) < 0 ||
        golden_npy(g, "tok_ids", &ids) < 0 || golden_npy(g, "tok_ids_off", &ids_off) < 0)
        return;
    char *bytes = mem_alloc(text.n + 1);
    for (size_t i = 0; i < text.n; i++)
        bytes[i] = (char)text.i[i];
    int wrong = 0, zero = 0;
    for (size_t i = 0; i + 1 < text_off.n; i++) {
        struct tokens t = {0};
        size_t n = (size_t)(ids_off.i[i + 1] - ids_off.i[i]);
        tokenizer_encode(g->tokenizer, bytes + text_off.i[i],
                         (size_t)(text_off.i[i + 1] - text_off.i[i]), true, &t, NULL);
        wrong += t.n != n || (n && memcmp(t.id, ids.i + ids_off.i[i], n * sizeof *t.id));
        tokens_done(&t);
    }
    golden_exact(g, "tokenizer", &wrong, &zero, 1);
    mem_free(bytes);
    npy_done(&text);
    npy_done(&text_off);
    npy_done(&ids);
    npy_done(&ids_off);
}

/* --- prompts --- */

static void check_prompt(struct golden *g, const char *name, json_t *spec)
{
    struct prompt_reference refs[MAX_REFERENCES] = {0};
    struct npy codes[MAX_REFERENCES] = {0}, want;
    char file[128];
    json_t *list = json_object_get(spec, "references"), *r;
    size_t i, n_ref = 0;
    struct prompt p;
    prompt_init(&p, g->spec.lm.n_codebook);
    json_array_foreach(list, i, r)
    {
        if (n_ref == MAX_REFERENCES)
            break;
        snprintf(file, sizeof file, "%s", json_string_value(json_object_get(r, "codes")));
        if (strchr(file, '.'))
            *strchr(file, '.') = 0;
        if (golden_npy(g, file, &codes[n_ref]) < 0)
            break;
        refs[n_ref] = (struct prompt_reference){json_string_value(json_object_get(r, "text")),
                                                codes[n_ref].i, codes[n_ref].shape[1]};
        n_ref++;
    }
    snprintf(file, sizeof file, "prompt_%s", name);
    if (golden_npy(g, file, &want) == 0) {
        int rows = want.shape[0], n = want.shape[1], wrong = -1, zero = 0;
        struct prompt_parts parts = {refs, (int)n_ref,
                                     json_string_value(json_object_get(spec, "text")), true};
        if (prompt_build(&p, g->tokenizer, &g->spec.lm, &parts, NULL) == 0 && p.n_column == n &&
            rows == 1 + g->spec.lm.n_codebook)
            for (wrong = 0, i = 0; i < want.n; i++)
                wrong += p.columns[(i % (size_t)n) * (size_t)rows + i / (size_t)n] != want.i[i];
        wrong = wrong < 0 ? 1 : wrong;
        golden_exact(g, file, &wrong, &zero, 1);
        npy_done(&want);
    }
    prompt_done(&p);
    for (i = 0; i < MAX_REFERENCES; i++)
        npy_done(&codes[i]);
}

static void check_prompts(struct golden *g)
{
    char path[1024];
    json_error_t why;
    const char *name;
    json_t *spec;
    snprintf(path, sizeof path, "%s/golden/prompts.json", g->dir);
    json_t *all = json_load_file(path, 0, &why);
    if (!all && access(path, F_OK) == 0)
        golden_fail(g, path, why.text);
    json_object_foreach(all, name, spec) check_prompt(g, name, spec);
    json_decref(all);
}

/* --- rotary tables --- */

static void check_rope(struct golden *g)
{
    const struct spec_transformer *s = &g->spec.lm.slow, *f = &g->spec.lm.fast;
    struct npy positions, slow, fast;
    if (golden_npy(g, "rope_positions", &positions) == 0 && golden_npy(g, "lm_rope", &slow) == 0) {
        size_t d = (size_t)s->head_dim, n = positions.n;
        float *table = mem_alloc((size_t)s->n_position * d * sizeof *table);
        int differ = 0, none = 0;
        kern_rope_table(s->rope_base, s->head_dim, s->n_position, table);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < d; j++)
                differ += table[(size_t)positions.i[i] * d + j] != slow.f[i * d + j];
        differ = differ > 3 ? differ : 0; /* a few sit on a rounding boundary */
        golden_exact(g, "lm_rope", &differ, &none, 1);
        mem_free(table);
        npy_done(&positions);
        npy_done(&slow);
    }
    if (golden_npy(g, "fast_rope", &fast) == 0) {
        float *table = mem_alloc((size_t)f->n_position * (size_t)f->head_dim * sizeof *table);
        kern_rope_table(f->rope_base, f->head_dim, f->n_position, table);
        golden_absolute(g, "fast_rope", table, fast.f, fast.n, 0);
        mem_free(table);
        npy_done(&fast);
    }
}

/* --- slow --- */

/* [1 + Q, n] as stored to [n, 1 + Q]. */
static int32_t *columns_of(const struct npy *a)
{
    size_t rows = (size_t)a->shape[0], n = (size_t)a->shape[1];
    int32_t *c = mem_alloc(a->n * sizeof *c);
    for (size_t i = 0; i < a->n; i++)
        c[(i % n) * rows + i / n] = a->i[i];
    return c;
}

static void check_one(struct golden *g, const char *name, const float *got, size_t n)
{
    struct npy want;
    if (golden_npy(g, name, &want) < 0)
        return;
    if (want.n == n)
        golden_relative(g, name, got, want.f, n);
    else
        golden_fail(g, name, "has another size");
    npy_done(&want);
}

static void check_steps(struct golden *g, struct lm_slot *slot)
{
    size_t dim = (size_t)g->spec.lm.slow.dim, fast = (size_t)g->spec.lm.fast.dim;
    size_t n_logit = (size_t)lm_n_head_row(g->lm);
    struct npy in;
    if (golden_npy(g, "lm_step_inputs", &in) < 0)
        return;
    size_t n = (size_t)in.shape[0], width = (size_t)in.shape[1];
    float *hidden = mem_alloc(n * dim * sizeof(float)),
          *logits = mem_alloc(n * n_logit * sizeof(float));
    float *fast_in = mem_alloc(n * fast * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        struct lm_feed f = {slot, in.i + i * width, 1, hidden + i * dim, logits + i * n_logit};
        lm_slow(g->lm, &f, 1, g->exec);
        lm_fast_input(g->lm, f.hidden, fast_in + i * fast, g->exec);
    }
    check_one(g, "lm_step_hidden", hidden, n * dim);
    check_one(g, "lm_step_logits", logits, n * n_logit);
    check_one(g, "lm_step_fast_in", fast_in, n * fast);
    mem_free(hidden);
    mem_free(logits);
    mem_free(fast_in);
    npy_done(&in);
}

static void check_slow(struct golden *g)
{
    const struct spec_lm *s = &g->spec.lm;
    size_t dim = (size_t)s->slow.dim, n_logit = (size_t)lm_n_head_row(g->lm);
    struct npy prompt;
    struct lm_slot *slot;
    if (golden_npy(g, "prompt_ref1", &prompt) < 0 ||
        lm_slot_new(g->lm, context(g), &slot, NULL) < 0)
        return;
    int32_t *columns = columns_of(&prompt);
    int n = prompt.shape[1];
    size_t n_layer = (size_t)(s->slow.n_layer + 1) * (size_t)n * dim;
    float *layers = mem_alloc(n_layer * sizeof(float)), *hidden = mem_alloc(dim * sizeof(float));
    float *logits = mem_alloc(n_logit * sizeof(float));
    float *fast_in = mem_alloc((size_t)s->fast.dim * sizeof(float));
    struct lm_feed f = {slot, columns, n, hidden, logits};
    lm_slow_layers(g->lm, &f, layers, g->exec);
    check_one(g, "lm_layers", layers, n_layer);
    lm_slot_reset(slot);
    lm_slow(g->lm, &f, 1, g->exec);
    lm_fast_input(g->lm, hidden, fast_in, g->exec);
    check_one(g, "lm_prefill_hidden", hidden, dim);
    check_one(g, "lm_prefill_logits", logits, n_logit);
    check_one(g, "lm_prefill_fast_in", fast_in, (size_t)s->fast.dim);
    check_steps(g, slot);
    lm_slot_free(slot);
    mem_free(columns);
    mem_free(layers);
    mem_free(hidden);
    mem_free(logits);
    mem_free(fast_in);
    npy_done(&prompt);
}

/* --- fast --- */

static void check_fast(struct golden *g)
{
    const struct spec_lm *s = &g->spec.lm;
    struct npy in, codes;
    if (golden_npy(g, "fast_in", &in) < 0 || golden_npy(g, "fast_codes", &codes) < 0)
        return;
    size_t n = (size_t)in.shape[0], dim = (size_t)s->fast.dim, n_book = (size_t)s->n_codebook;
    size_t size = (size_t)s->codebook_size;
    float *logits = mem_alloc(n * n_book * size * sizeof(float));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_book; k++) {
            float *to = logits + (i * n_book + k) * size;
            if (k == 0)
                lm_fast_begin_at(g->lm, in.f + i * dim, 1, to, g->exec);
            else
                lm_fast_step(g->lm, codes.i + i * n_book + k - 1, 1, (int)k, to, g->exec);
        }
    check_one(g, "fast_logits", logits, n * n_book * size);
    mem_free(logits);
    npy_done(&in);
    npy_done(&codes);
}

/* --- sampler --- */

static void check_sampler(struct golden *g)
{
    struct npy logits, row, params, prev, prev_n, want;
    if (golden_npy(g, "sampler_logits", &logits) < 0 ||
        golden_npy(g, "sampler_logits_row", &row) < 0 ||
        golden_npy(g, "sampler_params", &params) < 0 || golden_npy(g, "sampler_prev", &prev) < 0 ||
        golden_npy(g, "sampler_prev_n", &prev_n) < 0 || golden_npy(g, "sampler_probs", &want) < 0)
        return;
    size_t n = (size_t)want.shape[1];
    float *l = mem_alloc(n * sizeof *l), *got = mem_alloc(want.n * sizeof *got);
    uint64_t *scratch = mem_alloc(2 * n * sizeof *scratch);
    for (size_t i = 0; i < (size_t)want.shape[0]; i++) {
        struct sampler_params p = {params.f[i * 3], params.f[i * 3 + 1], params.f[i * 3 + 2]};
        memcpy(l, logits.f + (size_t)row.i[i] * n, n * sizeof *l);
        struct sampler_window w = {prev.i + i * (size_t)prev.shape[1], prev_n.i[i]};
        sampler_probs(l, (int)n, &w, &p, scratch, got + i * n);
    }
    golden_absolute(g, "sampler_probs", got, want.f, want.n, 5e-5);
    mem_free(l);
    mem_free(got);
    mem_free(scratch);
    npy_done(&logits);
    npy_done(&row);
    npy_done(&params);
    npy_done(&prev);
    npy_done(&prev_n);
    npy_done(&want);
}

/* --- generation --- */

static void check_windows(struct golden *g, const char *name, const struct npy *want)
{
    int q = g->spec.lm.n_codebook, rows = 1 + q, n = want->shape[1], wrong = 0, zero = 0;
    struct npy slow, fast;
    char file[128];
    int32_t out[2 * LIMIT_CODEBOOKS], *history = columns_of(want);
    snprintf(file, sizeof file, "%s_slow_window", name);
    if (golden_npy(g, file, &slow) < 0)
        return;
    for (int i = 1; i < n; i++) {
        ar_slow_window(history, i, q, out);
        wrong += memcmp(out, slow.i + (size_t)i * (size_t)rows, (size_t)rows * sizeof *out) != 0;
    }
    golden_exact(g, file, &wrong, &zero, 1);
    npy_done(&slow);
    snprintf(file, sizeof file, "%s_fast_window", name);
    if (golden_npy(g, file, &fast) < 0)
        return;
    wrong = 0;
    for (int i = 1; i < n; i++)
        for (int k = 1; k < q; k++) {
            ar_fast_window(history, i, q, k, out);
            wrong += memcmp(out, fast.i + ((size_t)i * (size_t)(q - 1) + (size_t)(k - 1)) * 16,
                            16 * sizeof *out) != 0;
        }
    golden_exact(g, file, &wrong, &zero, 1);
    npy_done(&fast);
    mem_free(history);
}

static void check_greedy(struct golden *g, const char *name, const char *prompt, float penalty)
{
    float p_repeat = golden_number(g, name, "repetition_penalty ", penalty);
    struct ar_params params = {.sampling = {1, 1e-9f, p_repeat}};
    struct npy columns, want;
    struct ar *a;
    if (golden_npy(g, prompt, &columns) < 0 || golden_npy(g, name, &want) < 0 ||
        ar_new(g->lm, context(g), &a, NULL) < 0)
        return;
    struct prompt p = {columns_of(&columns), columns.shape[1], columns.shape[1],
                       g->spec.lm.n_codebook, 0};
    int n = want.shape[1], wrong = 0, zero = 0;
    params.max_frames = n + 8;
    ar_start(a, &p, &params, NULL);
    for (int i = 0; i < n; i++) {
        ar_step(g->lm, &a, 1, g->exec);
        if (ar_state(a) == AR_STOPPED) { /* the frame that ends is dropped */
            wrong += i + 1 != n || want.i[i] != g->spec.lm.im_end;
            break;
        }
        for (int k = 0; k < g->spec.lm.n_codebook; k++)
            wrong += ar_codes(a)[k] != want.i[(k + 1) * n + i];
    }
    golden_exact(g, name, &wrong, &zero, 1);
    if (penalty != 1)
        check_windows(g, name, &want);
    ar_free(a);
    mem_free(p.columns);
    npy_done(&columns);
    npy_done(&want);
}

/* Along the reference's own path: what it could have drawn, and how probable it was. */
struct forced {
    struct npy index, probs, path;
    struct sampler_params params;
    size_t at;
    double worst;
    float *p;
    uint64_t *scratch;
    int32_t *history;
};

static void check_draw(struct forced *f, float *logits, int n, int frame, int slot)
{
    int32_t prev[2 * LIMIT_CODEBOOKS];
    int q = f->path.shape[0] - 1;
    int n_prev = slot == 0 ? ar_slow_window(f->history, frame, q, prev)
                           : ar_fast_window(f->history, frame, q, slot, prev);
    struct sampler_window w = {prev, n_prev};
    sampler_probs(logits, n, &w, &f->params, f->scratch, f->p);
    for (;
         f->at < f->probs.n && f->index.i[f->at * 3] == frame && f->index.i[f->at * 3 + 1] == slot;
         f->at++) {
        int i = f->index.i[f->at * 3 + 2];
        double d = (double)f->probs.f[f->at] - (i >= 0 && i < n ? (double)f->p[i] : 0);
        d = d < 0 ? -d : d;
        f->worst = d <= f->worst ? f->worst : d;
        if (i >= 0 && i < n)
            f->p[i] = 0;
    }
    for (int i = 0; i < n; i++)
        f->worst = f->p[i] <= f->worst ? f->worst : f->p[i];
}

static void check_sampled(struct golden *g)
{
    const struct spec_lm *s = &g->spec.lm;
    struct npy prompt;
    struct forced f = {0};
    struct lm_slot *slot;
    if (golden_npy(g, "prompt_ref2", &prompt) < 0 || golden_npy(g, "gen_sampled", &f.path) < 0 ||
        golden_npy(g, "gen_sampled_probs_index", &f.index) < 0 ||
        golden_npy(g, "gen_sampled_probs", &f.probs) < 0 ||
        lm_slot_new(g->lm, context(g), &slot, NULL) < 0)
        return;
    f.params =
        (struct sampler_params){golden_number(g, "gen_sampled", "temperature ", 0.7f),
                                golden_number(g, "gen_sampled", "top_p ", 0.8f),
                                golden_number(g, "gen_sampled", "repetition_penalty ", 1.3f)};
    int n_logit = lm_n_head_row(g->lm) > s->codebook_size ? lm_n_head_row(g->lm) : s->codebook_size;
    float *logits = mem_alloc((size_t)n_logit * sizeof(float));
    float *hidden = mem_alloc((size_t)s->slow.dim * sizeof(float));
    int32_t *columns = columns_of(&prompt);
    f.p = mem_alloc((size_t)n_logit * sizeof(float));
    f.scratch = mem_alloc(2 * (size_t)n_logit * sizeof *f.scratch);
    f.history = columns_of(&f.path);
    struct lm_feed feed = {slot, columns, prompt.shape[1], hidden, logits};
    for (int i = 0; i < f.path.shape[1]; i++) {
        const int32_t *column = f.history + (size_t)i * (size_t)(1 + s->n_codebook);
        lm_slow(g->lm, &feed, 1, g->exec);
        check_draw(&f, logits, lm_n_head_row(g->lm), i, 0);
        for (int k = 1; k < s->n_codebook; k++) {
            if (k == 1)
                lm_fast_begin(g->lm, hidden, column + k, 1, logits, g->exec);
            else
                lm_fast_step(g->lm, column + k, 1, k, logits, g->exec);
            check_draw(&f, logits, lm_n_candidate(g->lm, k), i, k);
        }
        feed.columns = column;
        feed.n_column = 1;
    }
    float worst = (float)f.worst, zero = 0;
    golden_absolute(g, "gen_sampled_probs", &worst, &zero, 1, 2e-4);
    check_windows(g, "gen_sampled", &f.path);
    lm_slot_free(slot);
    mem_free(logits);
    mem_free(hidden);
    mem_free(columns);
    mem_free(f.p);
    mem_free(f.scratch);
    mem_free(f.history);
    npy_done(&prompt);
    npy_done(&f.path);
    npy_done(&f.index);
    npy_done(&f.probs);
}

int golden_lm(struct golden *g)
{
    check_tokenizer(g);
    check_prompts(g);
    check_rope(g);
    check_slow(g);
    check_fast(g);
    check_sampler(g);
    check_greedy(g, "gen_greedy", "prompt_gen_greedy", 1);
    check_greedy(g, "gen_greedy_ref", "prompt_ref1", 1);
    check_greedy(g, "gen_greedy_stop", "prompt_gen_greedy_stop", 1);
    check_greedy(g, "gen_greedy_penalty", "prompt_gen_greedy_penalty", 1.5f);
    check_sampled(g);
    return 0;
}
