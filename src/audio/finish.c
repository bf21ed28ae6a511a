#include "audio/finish.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

#define QUIET   0.004f /* -48 dB: the codec's own noise is below, the softest consonant above */
#define FADE_MS 10     /* the codec starts with a tick of -57 dB */
#define TAIL_MS 5

struct finish {
    float gain;
    int hz, fills; /* of enum finish_place: where missing silence is made up */
    size_t lead, trail, hold, fade, tail; /* samples */
    bool first, last, heard; /* silence is kept back before the first sound, after the last */
    size_t n_in;             /* samples of the piece so far */
    size_t n_quiet;          /* of silence, up to now, that were given out */
    size_t n_held;           /* of silence that were not */
    float end;               /* the last sample given out */
    size_t at;
    size_t n_out;
    long shift;
    float held[]; /* [hold], a ring: the oldest is at */
};

int finish_new(int hz, double gain_db, struct finish **ret, struct err *e)
{
    size_t ms = (size_t)hz, hold = ms * FINISH_HOLD_MS / 1000;
    struct finish *f = mem_try(1, sizeof *f + hold * sizeof f->held[0]);
    if (!f)
        return err_set(e, ERR_MEMORY, "out of memory for the silence around speech");
    f->gain = (float)pow(10, gain_db / 20);
    f->hz = hz;
    f->hold = hold;
    f->fade = ms * FADE_MS / 1000;
    f->tail = ms * TAIL_MS / 1000;
    *ret = f;
    return 0;
}

void finish_free(struct finish *f)
{
    mem_free(f);
}

void finish_begin(struct finish *f, int place)
{
    size_t ms = (size_t)f->hz;
    f->first = place & (FINISH_FIRST | FINISH_CONTINUES);
    f->last = place & (FINISH_LAST | FINISH_GOES_ON);
    f->fills = place & (FINISH_FIRST | FINISH_LAST);
    f->lead = ms * (place & FINISH_FIRST ? FINISH_LEAD_MS : FINISH_JOINT_MS) / 1000;
    f->trail = ms * (place & FINISH_LAST ? FINISH_TRAIL_MS : FINISH_JOINT_MS) / 1000;
    f->heard = false;
    f->n_in = f->n_quiet = f->n_held = f->at = f->n_out = 0;
    f->shift = 0;
    f->end = 0;
}

size_t finish_room(const struct finish *f, size_t n)
{
    return n + f->hold + (size_t)f->hz * (FINISH_TRAIL_MS + FINISH_LEAD_MS) / 1000;
}

/* The slope is 1 at the knee; the square root, unlike tanh, is the same on every machine. */
static float finish_bend(float v)
{
    float over = (fabsf(v) - FINISH_KNEE) / (FINISH_CEILING - FINISH_KNEE);
    if (over <= 0)
        return v;
    return copysignf(FINISH_KNEE + (FINISH_CEILING - FINISH_KNEE) * over / sqrtf(1 + over * over),
                     v);
}

/* A straight line, squared: the tick is at its very start. */
static float finish_fade(const struct finish *f)
{
    float x = (float)f->n_in / (float)f->fade;
    return f->n_in < f->fade ? x * x : 1;
}

/* The newest n of the held samples. */
static size_t finish_release(struct finish *f, size_t n, float *to)
{
    for (size_t i = f->n_held - n; i < f->n_held; i++)
        *to++ = f->held[(f->at + i) % f->hold];
    f->n_held = f->at = 0;
    return n;
}

/* Adds v to the ring; a full ring returns its oldest sample. */
static size_t finish_hold(struct finish *f, float v, float *to)
{
    size_t n = f->n_held == f->hold;
    if (n)
        *to = f->held[f->at];
    f->held[(f->at + f->n_held) % f->hold] = v;
    f->at = n ? (f->at + 1) % f->hold : f->at;
    f->n_held += !n;
    return n;
}

/* The first sound of a text: the silence before it, made up where the model left less. */
static size_t finish_lead(struct finish *f, float *to)
{
    size_t n = f->fills & FINISH_FIRST && f->n_held < f->lead ? f->lead - f->n_held : 0;
    memset(to, 0, n * sizeof *to);
    return n + finish_release(f, f->n_held < f->lead ? f->n_held : f->lead, to + n);
}

size_t finish_run(struct finish *f, const float *pcm, size_t n, float *to)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++, f->n_in++) {
        float v = finish_bend(pcm[i] * f->gain) * finish_fade(f);
        bool quiet = fabsf(v) < QUIET;
        if (quiet && ((f->first && !f->heard) || (f->last && f->n_quiet >= f->trail))) {
            out += finish_hold(f, v, to + out);
            continue;
        }
        if (!quiet && f->first && !f->heard)
            out += finish_lead(f, to + out);
        else if (!quiet)
            out += finish_release(f, f->n_held, to + out);
        if (!quiet && !f->heard)
            f->shift = (long)(f->n_out + out) - (long)f->n_in;
        f->heard = f->heard || !quiet;
        f->n_quiet = quiet ? f->n_quiet + 1 : 0;
        to[out++] = v;
        f->end = v;
    }
    f->n_out += out;
    return out;
}

long finish_shift(const struct finish *f)
{
    return f->shift;
}

size_t finish_end(struct finish *f, float *to)
{
    if (f->first && !f->heard) /* silence is all there is */
        return finish_release(f, f->n_held, to);
    size_t out = f->end != 0 ? f->tail : 0, n = 0;
    for (size_t i = 0; i < out; i++) {
        float x = 1 - (float)(i + 1) / (float)out;
        to[i] = f->end * x * x;
    }
    if (f->fills & FINISH_LAST && f->n_quiet + out < f->trail)
        n = f->trail - f->n_quiet - out;
    memset(to + out, 0, n * sizeof *to);
    return out + n;
}
