/* sampler.c - one draw, in the order of fish_speech/models/text2semantic/inference.py:
 * repetition penalty, top-p at temperature 1, temperature, softmax, draw. */
#include <math.h>
#include <string.h>

#include "model/ar.h"

static void penalize(float *logits, int n, const struct sampler_window *w, float penalty)
{
    const int32_t *prev = w->index;
    for (int i = 0; i < w->n; i++) {
        int seen = prev[i] < 0 || prev[i] >= n;
        for (int j = 0; j < i && !seen; j++)
            seen = prev[j] == prev[i];
        if (!seen) {
            float *l = &logits[prev[i]];
            *l = *l < 0 ? *l * penalty : *l / penalty;
        }
    }
}

static double softmax(const float *logits, int n, float temperature, float *probs)
{
    float top = -INFINITY;
    double total = 0;
    for (int i = 0; i < n; i++)
        top = logits[i] > top ? logits[i] : top;
    for (int i = 0; i < n; i++)
        total += probs[i] = expf((logits[i] - top) / temperature);
    for (int i = 0; i < n; i++)
        probs[i] = (float)(probs[i] / total);
    return total;
}

/* A candidate as one number: more probable is larger, then the lower index.  Probabilities are not
 * negative, so their bits are in order. */
static uint64_t candidate(float p, int32_t i)
{
    uint32_t bits;
    memcpy(&bits, &p, sizeof bits);
    return (uint64_t)bits << 32 | (uint32_t)~i;
}

static int32_t candidate_index(uint64_t c)
{
    return (int32_t) ~(uint32_t)c;
}

/* Sort n candidates, the best first: by the bytes of the probability, the last first.  Each pass
 * keeps the order of equals, so they stay with the lower index first. */
static void sort(uint64_t *list, uint64_t *other, int n)
{
    for (int shift = 32; shift < 64; shift += 8) {
        int place[256] = {0}, at = 0;
        for (int i = 0; i < n; i++)
            place[list[i] >> shift & 255]++;
        for (int b = 255; b >= 0; b--) {
            int count = place[b];
            place[b] = at;
            at += count;
        }
        for (int i = 0; i < n; i++)
            other[place[list[i] >> shift & 255]++] = list[i];
        uint64_t *sorted = other;
        other = list;
        list = sorted;
    }
}

/* Sort the candidates of at least `least` into list [2 n] and take from the first until their sum,
 * each included, exceeds top_p; the first always stays, the one that crosses goes.  Returns how
 * many, or 0 when the sum never exceeded top_p. */
static int take_top(uint64_t *list, const float *probs, int n, float least, float top_p)
{
    float sum = 0;
    int n_list = 0;
    for (int i = 0; i < n; i++)
        if (probs[i] >= least)
            list[n_list++] = candidate(probs[i], i);
    sort(list, list + n, n_list);
    for (int kept = 0; kept < n_list; kept++) {
        sum += probs[candidate_index(list[kept])];
        if (kept > 0 && sum > top_p)
            return kept;
    }
    return least > 0 ? 0 : n_list;
}

/* All that are less probable than (1 - top_p) / n together have less than 1 - top_p, so the sum is
 * exceeded before they come; half of that leaves room for rounding.  S1-mini's head has 4097 rows,
 * of which few are likely. */
static int top_p_keep(uint64_t *list, const float *probs, int n, float top_p)
{
    float least = top_p < 1 ? (1 - top_p) / (2 * (float)n) : 0;
    int kept = take_top(list, probs, n, least, top_p);
    return kept > 0 ? kept : take_top(list, probs, n, 0, top_p);
}

void sampler_probs(float *logits, int n, const struct sampler_window *w,
                   const struct sampler_params *p, uint64_t *scratch, float *probs)
{
    float temperature = p->temperature > 1e-5f ? p->temperature : 1e-5f, top;
    double total = 0;
    if (w && p->repetition_penalty != 1)
        penalize(logits, n, w, p->repetition_penalty);
    softmax(logits, n, 1, probs);
    int kept = top_p_keep(scratch, probs, n, p->top_p);
    memset(probs, 0, (size_t)n * sizeof *probs);
    if (kept == 0) { /* no logit is a number */
        probs[0] = 1;
        return;
    }
    top = logits[candidate_index(scratch[0])];
    for (int i = 0; i < kept; i++)
        top = logits[candidate_index(scratch[i])] > top ? logits[candidate_index(scratch[i])] : top;
    for (int i = kept - 1; i >= 0; i--) {
        int32_t at = candidate_index(scratch[i]);
        total += probs[at] = expf((logits[at] - top) / temperature);
    }
    for (int i = 0; i < kept; i++)
        probs[candidate_index(scratch[i])] = (float)(probs[candidate_index(scratch[i])] / total);
}

/* SplitMix64's finalizer (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)
 * over a mix of the counters: no state, so a draw depends on nothing but its place. */
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double sampler_uniform(uint64_t seed, uint32_t stream, uint32_t frame, uint32_t codebook)
{
    uint64_t z = mix(mix(mix(seed) ^ stream) ^ ((uint64_t)frame << 32 | codebook));
    return (double)(z >> 11) * 0x1p-53;
}

double sampler_log_prob(const float *logits, int n, int i)
{
    float top = -INFINITY;
    double total = 0;
    for (int k = 0; k < n; k++)
        top = logits[k] > top ? logits[k] : top;
    for (int k = 0; k < n; k++)
        total += (double)expf(logits[k] - top);
    return (double)(logits[i] - top) - log(total);
}

int sampler_draw(const float *probs, int n, double u)
{
    double sum = 0;
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (probs[i] <= 0)
            continue;
        sum += probs[i];
        last = i;
        if (u < sum)
            return i;
    }
    return last; /* rounding left the sum just below u */
}
