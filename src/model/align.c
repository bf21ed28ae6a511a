#include "model/align.h"

#include <math.h>
#include <stdint.h>

#include "base/mem.h"

#define MAX_STEP   3     /* tokens from one frame to the next: two may be left out */
#define LEFT_OUT   2.0f  /* what leaving one out costs, as a logarithm */
#define FLOOR      1e-3f /* attention that is as good as none */
#define AROUND     2     /* frames on either side of a boundary that have a say in it */
#define END_TOKENS 4     /* the last frame says one of so many last tokens */

struct align {
    int n_token, n_frame, cap;
    float *score, *before;       /* [n_token] of the best path that ends there */
    float *share, *before_share; /* [n_token] sum of attention on that path */
    uint8_t *step;               /* [cap, n_token] how it came there */
    float *mean;                 /* [cap, n_token] attention */
};

int align_new(int n_token, int max_frames, struct align **ret, struct err *e)
{
    struct align *a = mem_try(1, sizeof *a);
    size_t n = (size_t)n_token, cap = (size_t)max_frames;
    if (!a)
        return err_set(e, ERR_MEMORY, "out of memory for word times");
    *a = (struct align){.n_token = n_token, .cap = max_frames};
    a->score = mem_try(n, sizeof *a->score);
    a->before = mem_try(n, sizeof *a->before);
    a->share = mem_try(n, sizeof *a->share);
    a->before_share = mem_try(n, sizeof *a->before_share);
    a->step = mem_try(n * cap, sizeof *a->step);
    a->mean = mem_try(n * cap, sizeof *a->mean);
    if (!a->mean || !a->score || !a->before || !a->share || !a->before_share || !a->step) {
        align_free(a);
        return err_set(e, ERR_MEMORY, "out of memory for the word times of %d frames", max_frames);
    }
    *ret = a;
    return 0;
}

void align_free(struct align *a)
{
    if (!a)
        return;
    mem_free(a->score);
    mem_free(a->before);
    mem_free(a->share);
    mem_free(a->before_share);
    mem_free(a->step);
    mem_free(a->mean);
    mem_free(a);
}

static float align_mean(const float *focus, int n_head, int n_token, int i)
{
    float sum = 0;
    for (int h = 0; h < n_head; h++)
        sum += focus[h * n_token + i];
    return sum / (float)n_head;
}

/* The best way to token i; before the first frame a path stands in front of the text. */
static int align_best(const struct align *a, int i, float *score)
{
    int best = 0;
    if (a->n_frame == 0) {
        *score = i < MAX_STEP ? -LEFT_OUT * (float)i : -INFINITY;
        return 0;
    }
    *score = a->before[i];
    for (int s = 1; s <= MAX_STEP && s <= i; s++) {
        float v = a->before[i - s] - LEFT_OUT * (float)(s - 1);
        if (v > *score) {
            *score = v;
            best = s;
        }
    }
    return best;
}

void align_frame(struct align *a, const float *focus, int n_head)
{
    if (a->n_frame == a->cap)
        return;
    uint8_t *step = a->step + (size_t)a->n_frame * (size_t)a->n_token;
    for (int i = 0; i < a->n_token; i++) {
        float mean = align_mean(focus, n_head, a->n_token, i), score;
        a->mean[(size_t)a->n_frame * (size_t)a->n_token + (size_t)i] = mean;
        step[i] = (uint8_t)align_best(a, i, &score);
        a->score[i] = score + logf(mean + FLOOR);
        a->share[i] = mean + (a->n_frame ? a->before_share[i - step[i]] : 0);
    }
    float *score = a->before, *share = a->before_share;
    a->before = a->score;
    a->before_share = a->share;
    a->score = score;
    a->share = share;
    a->n_frame++;
}

int align_join(struct align *const *heads, int n, struct align **ret, struct err *e)
{
    int n_token = heads[0]->n_token, n_frame = heads[0]->n_frame;
    float *seen = mem_try((size_t)n * (size_t)n_token, sizeof *seen);
    int rc = seen ? align_new(n_token, n_frame, ret, e)
                  : err_set(e, ERR_MEMORY, "out of memory for the attention of %d heads", n);
    for (int t = 0; t < n_frame && rc == 0; t++) {
        for (int h = 0; h < n; h++)
            for (int i = 0; i < n_token; i++)
                seen[h * n_token + i] = heads[h]->mean[t * n_token + i];
        align_frame(*ret, seen, n);
    }
    mem_free(seen);
    return rc;
}

int align_n_frame(const struct align *a)
{
    return a->n_frame;
}

/* The frame in which the path comes to each token. */
static void align_trace(const struct align *a, int end, double *first)
{
    int at = end;
    for (int i = 0; i <= a->n_token; i++)
        first[i] = a->n_frame;
    for (int t = a->n_frame - 1; t >= 0; t--) {
        int from = at - a->step[(size_t)t * (size_t)a->n_token + (size_t)at];
        for (int i = from + 1; i <= at; i++) /* what is left out has no time of its own */
            first[i] = t;
        at = from;
    }
    for (int i = at; i >= 0; i--)
        first[i] = 0;
}

/* Frames around the path's where token i begins, by how much attention is still in front of it. */
static double align_refine(const struct align *a, int i, int frame)
{
    int from = frame - AROUND < 0 ? 0 : frame - AROUND;
    int to = frame + AROUND > a->n_frame ? a->n_frame : frame + AROUND;
    double at = from;
    for (int t = from; t < to; t++) {
        const float *mean = a->mean + (size_t)t * (size_t)a->n_token;
        double before = 0, all = 0;
        for (int k = 0; k < a->n_token; k++) {
            all += (double)mean[k];
            before += k < i ? (double)mean[k] : 0;
        }
        at += all > 0 ? before / all : 0;
    }
    return at;
}

double align_path(const struct align *a, double *first)
{
    int end = a->n_token - 1;
    for (int i = end - 1; i >= 0 && i >= a->n_token - END_TOKENS; i--)
        end = a->before[i] > a->before[end] ? i : end;
    align_trace(a, end, first);
    for (int i = 1; i <= end; i++) {
        double at = align_refine(a, i, (int)first[i]);
        first[i] = at > first[i - 1] ? at : first[i - 1];
    }
    return a->n_frame ? (double)a->before_share[end] / a->n_frame : 0;
}
