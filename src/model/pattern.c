#include "model/pattern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- transformers --- */

struct stack { /* one that stands once */
    const char *ours, *theirs;
    size_t spec; /* offset in struct spec */
};

static const struct stack stacks[] = {
    {"", "", offsetof(struct spec, lm.slow)},
    {"fast.", "fast_", offsetof(struct spec, lm.fast)},
    {"codec.post.", "quantizer.post_module.", offsetof(struct spec, codec.post)},
    {"codec.pre.", "quantizer.pre_module.", offsetof(struct spec, codec.pre)},
};
#define N_STACK (int)(sizeof stacks / sizeof *stacks)
#define PRE     3 /* the encoder's, as are those behind it */

/* Stacks in order: those of the table, then the encoder's blocks.  False: there is none. */
static bool stack_at(const struct spec *s, int k, struct pattern_place *p)
{
    if (k >= PRE && !s->codec.has_encoder)
        return false;
    if (k < N_STACK) {
        p->ours = stacks[k].ours;
        p->theirs = stacks[k].theirs;
        p->stack = (const void *)((const char *)s + stacks[k].spec);
        return p->stack->n_layer > 0;
    }
    k -= N_STACK;
    snprintf(p->text[0], sizeof p->text[0], "codec.enc.%d.tf.", k);
    snprintf(p->text[1], sizeof p->text[1], "encoder.block.%d.block.5.", k + 1);
    p->ours = p->text[0];
    p->theirs = p->text[1];
    p->stack = &s->codec.enc[k];
    return k < s->codec.n_encoder_rate && s->codec.encoder_layers[k] > 0;
}

/* The stack (or layer of a stack) number k, or how many there are when k is -1. */
static int walk_stacks(const struct spec *s, bool layers, int k, struct pattern_place *p)
{
    int n = 0;
    for (int i = 0; i < N_STACK + SPEC_MAX_STAGES; i++) {
        struct pattern_place here;
        if (!stack_at(s, i, &here))
            continue;
        int of_this = layers ? here.stack->n_layer : 1;
        if (k >= n && k < n + of_this) {
            stack_at(s, i, p);
            p->i = k - n;
            p->n = of_this;
        }
        n += of_this;
    }
    return n;
}

/* --- places --- */

static int pattern_blocks(enum pattern_over over, const struct spec *s)
{
    const struct spec_codec *c = &s->codec;
    switch (over) {
    case OVER_CODEBOOKS:
        return c->n_codebook;
    case OVER_FACTORS:
        return c->n_factor;
    case OVER_ENC_FACTORS:
        return c->has_encoder ? c->n_factor : 0;
    case OVER_RATES:
    case OVER_UNITS:
        return c->n_rate;
    case OVER_ENC_RATES:
    case OVER_ENC_UNITS:
        return c->has_encoder ? c->n_encoder_rate : 0;
    case OVER_ENC_ONE:
    case OVER_ENC_END:
        return c->has_encoder;
    default:
        return 1;
    }
}

static bool over_units(enum pattern_over over)
{
    return over == OVER_UNITS || over == OVER_ENC_UNITS;
}

int pattern_count(enum pattern_over over, const struct spec *s)
{
    if (over == OVER_LAYERS || over == OVER_STACKS)
        return walk_stacks(s, over == OVER_LAYERS, -1, NULL);
    return pattern_blocks(over, s) * (over_units(over) ? PATTERN_UNITS : 1);
}

void pattern_at(enum pattern_over over, const struct spec *s, int k, struct pattern_place *p)
{
    *p = (struct pattern_place){.ours = "", .theirs = ""};
    if (over == OVER_LAYERS || over == OVER_STACKS) {
        walk_stacks(s, over == OVER_LAYERS, k, p);
        return;
    }
    p->n = pattern_blocks(over, s);
    p->i = over == OVER_END       ? s->codec.n_rate
           : over == OVER_ENC_END ? s->codec.n_encoder_rate
           : over_units(over)     ? k / PATTERN_UNITS
                                  : k;
    p->u = over_units(over) ? k % PATTERN_UNITS : 0;
    if (over == OVER_CODEBOOKS) { /* 0 is the semantic one */
        snprintf(p->text[1], sizeof p->text[1], "quantizer.%s.quantizers.%d.",
                 k ? "quantizer" : "semantic_quantizer", k ? k - 1 : 0);
        p->theirs = p->text[1];
    }
}

/* --- names --- */

/* Replaces a letter, with its +1 or -1, inside of braces. */
static int field(const char *in, const struct pattern_place *p, char *out, size_t n)
{
    if (*in == 'p' || *in == 't')
        return snprintf(out, n, "%s", *in == 'p' ? p->ours : p->theirs);
    int v = *in == 'i' ? p->i : *in == 'u' ? p->u : p->r;
    return snprintf(out, n, "%d", v + (int)strtol(in + 1, NULL, 10));
}

void pattern_name(const char *pattern, const struct pattern_place *p, char *out, size_t n)
{
    size_t at = 0;
    for (; *pattern && at + 1 < n; pattern++) {
        if (*pattern != '{') {
            out[at++] = *pattern;
            continue;
        }
        int wrote = field(pattern + 1, p, out + at, n - at);
        at = wrote >= 0 && (size_t)wrote < n - at ? at + (size_t)wrote : n - 1;
        pattern += strcspn(pattern, "}");
    }
    out[at < n ? at : n - 1] = 0;
}
