/* sampler.c - one draw, in the order of fish_speech/models/text2semantic/inference.py:
 * repetition penalty, top-p at temperature 1, temperature, softmax, draw. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/ar.h"

static void penalize(float *logits, int n, const int32_t *prev, int n_prev, float penalty)
{
    for (int i = 0; i < n_prev; i++) {
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

struct candidate { float p; int32_t i; };

/* Most probable first, lower index first among equals: a total order, so any sort gives the same. */
static int by_probability(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->p != y->p)
        return x->p < y->p ? 1 : -1;
    return (x->i > y->i) - (x->i < y->i);
}

/* Sift a heap of indices so that the best candidate is on top. */
static void sift(int32_t *heap, int n, int at, const float *probs)
{
    for (;;) {
        int best = at;
        for (int c = 2 * at + 1; c <= 2 * at + 2 && c < n; c++) {
            struct candidate x = {probs[heap[c]], heap[c]}, y = {probs[heap[best]], heap[best]};
            if (by_probability(&x, &y) < 0)
                best = c;
        }
        if (best == at)
            return;
        int32_t t = heap[at];
        heap[at] = heap[best];
        heap[best] = t;
        at = best;
    }
}

/* Take candidates from the top until their sum, each included, exceeds top_p; the first always stays,
 * the one that crosses goes.  Kept indices end up at the end of the heap array; returns how many. */
static int top_p_keep(int32_t *heap, int n, const float *probs, float top_p)
{
    float sum = 0;
    int kept = 0, left = n;
    for (int i = 0; i < n; i++)
        heap[i] = i;
    for (int i = n / 2 - 1; i >= 0; i--)
        sift(heap, n, i, probs);
    while (left > 0) {
        int32_t best = heap[0];
        sum += probs[best];
        if (kept > 0 && sum > top_p)
            break;
        heap[0] = heap[--left];
        heap[left] = best;
        sift(heap, left, 0, probs);
        kept++;
    }
    return kept;
}

void sampler_probs(float *logits, int n, const int32_t *prev, int n_prev,
                   const struct sampler_params *p, int32_t *scratch, float *probs)
{
    float temperature = p->temperature > 1e-5f ? p->temperature : 1e-5f, top;
    double total = 0;
    if (n_prev > 0 && p->repetition_penalty != 1)
        penalize(logits, n, prev, n_prev, p->repetition_penalty);
    softmax(logits, n, 1, probs);
    int kept = top_p_keep(scratch, n, probs, p->top_p);
    const int32_t *list = scratch + n - kept;
    memset(probs, 0, (size_t)n * sizeof *probs);
    top = logits[list[kept - 1]];
    for (int i = 0; i < kept; i++)
        top = logits[list[i]] > top ? logits[list[i]] : top;
    for (int i = 0; i < kept; i++)
        total += probs[list[i]] = expf((logits[list[i]] - top) / temperature);
    for (int i = 0; i < kept; i++)
        probs[list[i]] = (float)(probs[list[i]] / total);
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
