#include "model/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/quantize.h"

#define B         QUANTIZE_BLOCK
#define LOOK_ROWS 48 /* of a matrix, when its loss is measured */

struct choice { /* a matrix, or the two that are one when they run: gate and up */
    const struct gguf_tensor *t[2];
    size_t n;    /* values of both */
    double gain; /* of 8 bits */
    bool more;   /* has them */
};

struct recipe {
    struct recipe_of of;
    struct choice *choice; /* with a target, best first; else NULL */
    int n_choice;
    int n_matrix;
    double reached; /* bits a value */
};

/* --- kinds of tensors --- */

bool recipe_is_matrix(const struct gguf_tensor *t)
{
    return t->n_dim > 1 && !strstr(t->name, ".codebook.") && !strstr(t->name, ".dw.");
}

static bool known(int type)
{
    return type == KERN_F32 || type == KERN_F16 || type == KERN_BF16 || type == KERN_Q8_0 ||
           type == KERN_Q4_0;
}

static bool is_codec(const struct gguf_tensor *t)
{
    return !strncmp(t->name, "codec.", 6);
}

int recipe_importance(const struct gguf_tensor *t, const struct imatrix *m,
                      const struct equalize *q, float *out, struct err *e)
{
    int rc = strstr(t->name, "_embd.") ? ERR_NOT_FOUND : imatrix_find(m, t->name, t->ne[0], out, e);
    if (rc == 0)
        equalize_importance(q, t->name, out);
    return rc;
}

/* --- schemes --- */

/* What hurts most, measured by bench/sensitivity and bench/quality.  Embeddings are looked up, and
 * of the tied one only the head's rows are computed.  The fast transformer is read once per
 * codebook, but 4 bits there are what listeners notice. */
static enum kern_type mixed_type(const struct spec *s, const char *name)
{
    static const char *const careful[] = {"codec.", "token_embd.", "output.", "fast.", "blk.0."};
    char last[32];
    for (size_t i = 0; i < sizeof careful / sizeof *careful; i++)
        if (!strncmp(name, careful[i], strlen(careful[i])))
            return KERN_Q8_0;
    snprintf(last, sizeof last, "blk.%d.", s->lm.slow.n_layer - 1);
    return strncmp(name, last, strlen(last)) ? KERN_Q4_0 : KERN_Q8_0;
}

static enum kern_type chosen_type(const struct recipe *r, const struct gguf_tensor *t)
{
    for (int i = 0; i < r->n_choice; i++)
        if (r->choice[i].t[0] == t || r->choice[i].t[1] == t)
            return r->choice[i].more ? KERN_Q8_0 : KERN_Q4_0;
    return KERN_Q8_0;
}

enum kern_type recipe_type(const struct recipe *r, const struct gguf_tensor *t)
{
    enum kern_type own = (enum kern_type)t->type, want = KERN_Q8_0;
    if (!recipe_is_matrix(t) || !known(t->type))
        return own;
    if (r->choice)
        want = chosen_type(r, t);
    else if (r->of.scheme == QUANTIZE_Q4 && !is_codec(t))
        want = KERN_Q4_0;
    else if (r->of.scheme == QUANTIZE_MIXED)
        want = mixed_type(r->of.spec, t->name);
    if (t->ne[0] % B)
        want = KERN_F16;
    /* Bits that are gone do not come back. */
    return kern_type_row_bytes(want, B) < kern_type_row_bytes(own, B) ? want : own;
}

/* --- a target --- */

/* How much the speech suffers from a loss in a kind of matrix, per matrix: divergence of both
 * transformers in thousandths of a nat when it alone is in q4_0, by bench/sensitivity on
 * jabber-tiny (docs/SPEED.md), divided among its layers.  First match counts. */
static double weight_of(const char *name)
{
    static const struct {
        const char *start, *part;
        double weight;
    } kinds[] = {{"fast.", ".ffn_down.", 3.1},
                 {"fast.", ".ffn_", 2.2},
                 {"fast.", ".attn_qkv.", 1.65},
                 {"fast.", ".attn_output.", 0.85},
                 {"fast.", "fast.output.", 11.3},
                 {"fast.", ".token_embd.", 1.2},
                 {"fast.", "", 2.0},
                 {"codebook_embd.", "", 0.9},
                 {"token_embd.", "", 8.0},
                 {"output.", "", 8.0},
                 {"blk.", ".ffn_down.", 1.4},
                 {"blk.", ".ffn_", 1.75},
                 {"blk.", ".attn_qkv.", 1.2},
                 {"blk.", "", 0.7}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strncmp(name, kinds[i].start, strlen(kinds[i].start)) && strstr(name, kinds[i].part))
            return kinds[i].weight;
    return 1;
}

struct look {                       /* at one row */
    float *row, *back, *importance; /* [ne0] */
    uint8_t *blocks;
};

static double error_in(const struct look *l, enum kern_type type, const float *importance, size_t n)
{
    double sum = 0;
    quantize_blocks(type, l->row, importance, n, l->blocks);
    kern_to_f32(type, l->blocks, l->back, n);
    for (size_t i = 0; i < n; i++) {
        double d = (double)l->row[i] - (double)l->back[i];
        sum += d * d * (importance ? (double)importance[i] : 1);
    }
    return sum;
}

/* Loss in q4_0 more than in q8_0, in parts of the output's energy, by some of the rows. */
static int measure_loss(const struct recipe_of *of, const struct gguf_tensor *t, struct look *l,
                        double *loss, struct err *e)
{
    size_t n = (size_t)t->ne[0], n_row = (size_t)t->ne[1], step = n_row / LOOK_ROWS + 1;
    size_t bytes = kern_type_row_bytes((enum kern_type)t->type, n);
    double energy = 0, lost = 0;
    int rc = of->imatrix ? recipe_importance(t, of->imatrix, of->equalize, l->importance, e)
                         : ERR_NOT_FOUND;
    const float *importance = rc == 0 ? l->importance : NULL;
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    for (size_t r = 0; r < n_row; r += step) {
        kern_to_f32((enum kern_type)t->type, (const uint8_t *)t->data + r * bytes, l->row, n);
        equalize_values(of->equalize, t->name, r * n, l->row, n);
        lost += error_in(l, KERN_Q4_0, importance, n) - error_in(l, KERN_Q8_0, importance, n);
        for (size_t i = 0; i < n; i++)
            energy +=
                (double)l->row[i] * (double)l->row[i] * (importance ? (double)importance[i] : 1);
    }
    gguf_drop(of->g, t);
    *loss = energy > 0 ? lost / energy : 0;
    return 0;
}

static bool wants_choice(const struct gguf_tensor *t)
{
    return recipe_is_matrix(t) && !is_codec(t) && known(t->type) && t->type != KERN_Q4_0 &&
           t->n_dim == 2 && t->ne[0] % B == 0 && t->ne[0] <= LIMIT_DIM;
}

static int add_choice(struct recipe *r, const struct gguf_tensor *t, struct look *l, struct err *e)
{
    struct choice *c = &r->choice[r->n_choice];
    double loss;
    int rc = measure_loss(&r->of, t, l, &loss, e);
    if (rc < 0)
        return rc;
    for (int i = 0; i < r->n_choice && strstr(t->name, ".ffn_up."); i++) {
        const char *gate = r->choice[i].t[0]->name, *at = strstr(gate, ".ffn_gate.");
        if (at && !strncmp(gate, t->name, (size_t)(at - gate) + 1))
            c = &r->choice[i];
    }
    c->t[c->t[0] != NULL] = t;
    c->n += (size_t)t->ne[0] * (size_t)t->ne[1];
    c->gain += loss * weight_of(t->name) / (c->t[1] ? 2 : 1);
    r->n_choice += c == &r->choice[r->n_choice];
    return 0;
}

static int better_choice(const void *a, const void *b)
{
    const struct choice *x = a, *y = b;
    double gx = x->gain / (double)x->n, gy = y->gain / (double)y->n;
    return gx < gy ? 1 : gx > gy ? -1 : strcmp(x->t[0]->name, y->t[0]->name);
}

/* Best first; where one does not fit, smaller ones are still tried. */
static void spend(struct recipe *r)
{
    double all = 0, used = 0;
    qsort(r->choice, (size_t)r->n_choice, sizeof *r->choice, better_choice);
    for (int i = 0; i < r->n_choice; i++) {
        all += (double)r->choice[i].n;
        used += (double)r->choice[i].n * RECIPE_MIN_BITS;
    }
    for (int i = 0; i < r->n_choice; i++) {
        double cost = (double)r->choice[i].n * (RECIPE_MAX_BITS - RECIPE_MIN_BITS);
        r->choice[i].more = used + cost <= r->of.target_bits * all * (1 + 1e-12);
        used += r->choice[i].more ? cost : 0;
    }
    r->reached = all > 0 ? used / all : 0;
}

static int choose_all(struct recipe *r, struct err *e)
{
    struct look l = {mem_try(LIMIT_DIM, sizeof *l.row), mem_try(LIMIT_DIM, sizeof *l.back),
                     mem_try(LIMIT_DIM, sizeof *l.importance), mem_try(LIMIT_DIM, 2)};
    int n = gguf_n_tensors(r->of.g), rc = 0;
    r->choice = mem_try((size_t)n + 1, sizeof *r->choice);
    if (!r->choice || !l.row || !l.back || !l.importance || !l.blocks)
        rc = err_set(e, ERR_MEMORY, "out of memory for a recipe");
    for (int pass = 0; pass < 2; pass++) /* ffn_up joins its ffn_gate */
        for (int i = 0; i < n && rc == 0; i++) {
            const struct gguf_tensor *t = gguf_tensor_at(r->of.g, i);
            if (wants_choice(t) && (strstr(t->name, ".ffn_up.") != NULL) == pass)
                rc = add_choice(r, t, &l, e);
        }
    if (rc == 0)
        spend(r);
    mem_free(l.row);
    mem_free(l.back);
    mem_free(l.importance);
    mem_free(l.blocks);
    return rc;
}

/* --- all --- */

int recipe_new(const struct recipe_of *of, struct recipe **ret, struct err *e)
{
    struct recipe *r;
    if (of->target_bits != 0 && of->scheme != QUANTIZE_MIXED)
        return err_set(e, ERR_ARGUMENT, "target bits go with type mixed only");
    if (of->target_bits != 0 &&
        !(of->target_bits >= RECIPE_MIN_BITS && of->target_bits <= RECIPE_MAX_BITS))
        return err_set(e, ERR_ARGUMENT, "target bits are %g, must be %g (all in 4 bits) to %g",
                       of->target_bits, RECIPE_MIN_BITS, RECIPE_MAX_BITS);
    if (!(r = mem_try(1, sizeof *r)))
        return err_set(e, ERR_MEMORY, "out of memory for a recipe");
    r->of = *of;
    int rc = of->target_bits != 0 ? choose_all(r, e) : 0;
    if (rc < 0)
        recipe_free(r);
    else
        *ret = r;
    return rc;
}

void recipe_free(struct recipe *r)
{
    if (r)
        mem_free(r->choice);
    mem_free(r);
}

static void say_types(const struct recipe *r, void (*note)(void *, const char *), void *cookie)
{
    static const struct {
        const char *part;
        bool codec;
    } parts[] = {{"language model", false}, {"codec", true}};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        char line[256];
        int n[4] = {0};
        double values = 0, bits = 0;
        for (int i = 0; i < gguf_n_tensors(r->of.g); i++) {
            const struct gguf_tensor *t = gguf_tensor_at(r->of.g, i);
            enum kern_type type = recipe_type(r, t);
            if (!recipe_is_matrix(t) || is_codec(t) != parts[p].codec)
                continue;
            double k = (double)t->ne[0] * (double)t->ne[1] * (double)(t->n_dim > 2 ? t->ne[2] : 1);
            n[type == KERN_Q8_0 ? 0 : type == KERN_Q4_0 ? 1 : type == KERN_F32 ? 3 : 2]++;
            values += k;
            bits += k / B * (double)kern_type_row_bytes(type, B) * 8;
        }
        snprintf(line, sizeof line,
                 "%s: %d matrices in q8_0, %d in q4_0, %d in 16, %d in 32 bits; %.2f bits a value",
                 parts[p].part, n[0], n[1], n[2], n[3], values > 0 ? bits / values : 0);
        note(cookie, line);
    }
}

void recipe_say(const struct recipe *r, void (*note)(void *, const char *), void *cookie)
{
    static const char *const why[] = {
        [QUANTIZE_Q8] = "q8: every matrix in 8 bits",
        [QUANTIZE_Q4] = "q4: the language model in 4 bits; the codec in 8, since its integer "
                        "convolutions would not be faster in 4",
        [QUANTIZE_MIXED] = "mixed: 8 bits for embeddings, head, first and last slow layer and the "
                           "fast transformer, where 4 bits were measured to hurt most"};
    char line[256];
    int n = 0;
    double largest = r->of.equalize ? equalize_largest(r->of.equalize, &n) : 1;
    if (r->of.equalize)
        snprintf(line, sizeof line,
                 "channels: %d matrices equalized, by factors up to %.0f, from %s", n, largest,
                 r->of.imatrix ? "what calibration saw"
                               : "the weights alone (no importance matrix)");
    else
        snprintf(line, sizeof line, "channels: as they are");
    note(cookie, line);
    if (r->choice) {
        snprintf(line, sizeof line,
                 "mixed: 8 bits where the measured loss in 4 is largest for the size, within %g "
                 "bits a value: %.2f",
                 r->of.target_bits, r->reached);
        note(cookie, line);
    } else {
        note(cookie, why[r->of.scheme]);
    }
    say_types(r, note, cookie);
}
