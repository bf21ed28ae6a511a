#include "engine/timing.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define HOP_S     0.01
#define QUIET     0.01f /* -40 dB: below speech at FINISH_LUFS, above breath and room */
#define SILENCE_N 5     /* hops that make a silence; a plosive's closure is shorter or not here */
#define REACH_S   0.15  /* from a boundary to the silence that it belongs to */
#define MARK      4     /* letters that the pause behind a mark is worth */

void timing_clear(struct timing_heard *h)
{
    h->n = h->n_peak = 0;
    h->peak = 0;
}

void timing_done(struct timing_heard *h)
{
    mem_free(h->loud);
    *h = (struct timing_heard){0};
}

static size_t timing_hop(int rate)
{
    return (size_t)((double)rate * HOP_S);
}

size_t timing_samples(const struct timing_heard *h, int rate)
{
    return h->n * timing_hop(rate) + h->n_peak;
}

int timing_hear(struct timing_heard *h, int rate, const float *pcm, size_t n)
{
    size_t hop = timing_hop(rate);
    for (size_t i = 0; i < n; i++) {
        float v = pcm ? fabsf(pcm[i]) : 0;
        h->peak = v > h->peak ? v : h->peak;
        if (++h->n_peak < hop)
            continue;
        if (h->n == h->cap) {
            size_t cap = h->cap ? 2 * h->cap : 1024;
            uint8_t *grown = mem_grow(h->loud, cap, 1);
            if (!grown)
                return ERR_MEMORY;
            h->loud = grown;
            h->cap = cap;
        }
        h->loud[h->n++] = h->peak >= QUIET;
        h->peak = 0;
        h->n_peak = 0;
    }
    return 0;
}

/* The silence that hop i is in: [*from, *to); false: none of SILENCE_N hops. */
static bool timing_silence(const struct timing_heard *h, size_t i, size_t *from, size_t *to)
{
    if (i >= h->n || h->loud[i])
        return false;
    *from = i;
    *to = i + 1;
    while (*from > 0 && !h->loud[*from - 1])
        --*from;
    while (*to < h->n && !h->loud[*to])
        ++*to;
    return *to - *from >= SILENCE_N;
}

/* --- by length ---------------------------------------------------------------------------------
 */

/* Hops that are sound, or a silence too short to count. */
static bool timing_counts(const struct timing_heard *h, size_t i)
{
    size_t from, to;
    return h->loud[i] || !timing_silence(h, i, &from, &to);
}

static size_t timing_letters(const char *s, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

/* The moment at which so much of the sound is over. */
static double timing_moment(const struct timing_heard *h, double sound)
{
    double passed = 0;
    for (size_t i = 0; i < h->n; i++) {
        if (!timing_counts(h, i))
            continue;
        if (passed + 1 > sound)
            return ((double)i + sound - passed) * HOP_S;
        passed++;
    }
    return (double)h->n * HOP_S;
}

void timing_spread(const struct timing_heard *h, const struct text_piece *p, struct word_time *at)
{
    double sound = 0, letters = 0, passed = 0;
    for (size_t i = 0; i < h->n; i++)
        sound += timing_counts(h, i);
    for (int i = 0; i < p->n_word; i++)
        letters += (double)timing_letters(p->text, p->word[i].at, p->word[i].to);
    for (int i = 0; i < p->n_word; i++) {
        double n = (double)timing_letters(p->text, p->word[i].at, p->word[i].to);
        at[i].from = timing_moment(h, letters > 0 ? passed * sound / letters : 0);
        passed += n;
        at[i].to = timing_moment(h, letters > 0 ? passed * sound / letters : 0);
    }
}

/* --- silences ----------------------------------------------------------------------------------
 */

/* The silence nearest to a moment, within reach. */
static bool timing_near(const struct timing_heard *h, double t, double reach_s, size_t *from,
                        size_t *to)
{
    int reach = (int)(reach_s / HOP_S), at = (int)(t / HOP_S);
    for (int k = 0; k <= reach; k++)
        for (int sign = -1; sign <= 1; sign += 2) {
            int i = at + sign * k;
            if (i >= 0 && timing_silence(h, (size_t)i, from, to))
                return true;
        }
    return false;
}

bool timing_resumes(const struct timing_heard *h, double at_s, double reach_s, double *ret)
{
    size_t from, to;
    if (!timing_near(h, at_s, reach_s, &from, &to) || from == 0 || to == h->n)
        return false;
    *ret = (double)to * HOP_S;
    return true;
}

double timing_end(const struct timing_heard *h)
{
    size_t n = h->n;
    while (n > 0 && !h->loud[n - 1])
        n--;
    return (double)n * HOP_S;
}

void timing_settle(const struct timing_heard *h, const struct text_piece *p, struct word_time *at)
{
    size_t from, to;
    double end = (double)h->n * HOP_S, last = 0;
    for (int i = 0; i <= p->n_word && p->n_word > 0; i++) { /* the boundary in front of word i */
        double t = i < p->n_word ? at[i].from : at[i - 1].to;
        bool silent = timing_near(h, t, REACH_S, &from, &to) &&
                      (i == 0 || at[i - 1].from < (double)from * HOP_S);
        if (silent && i < p->n_word)
            at[i].from = (double)to * HOP_S;
        double before = silent ? (double)from * HOP_S : t;
        if (i > 0 && at[i - 1].to > before)
            at[i - 1].to = before;
    }
    for (int i = 0; i < p->n_word; i++) {
        at[i].from = fmin(fmax(at[i].from, last), end);
        at[i].to = fmin(fmax(at[i].to, at[i].from), end);
        last = at[i].to;
    }
}
