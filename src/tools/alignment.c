#include "tools/alignment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/timing.h"
#include "model/align.h"
#include "tools/sample.h"

#define GOOD       0.5  /* of a head's attention on the path, at least, */
#define AS_GOOD    0.75 /* and of the best one's */
#define MAX_DELAYS 1024 /* pauses that are looked at */
#define REACH      0.4  /* seconds between a pause and where attention has it */

struct hunt {
    struct model model;
    struct sample sample;
    int n_head;             /* of all layers */
    struct spec_head *head; /* [n_head] */
    double *score;          /* [n_head] sums over the sentences */
    struct align **align;   /* [n_head] of the sentence in hand */
    float *seen;            /* [n_head, n_token] */
    int n_sentence;
    double delay[MAX_DELAYS]; /* of the pauses, with the chosen heads */
    int n_delay;
    struct spec_alignment found;
};

/* --- a sentence --------------------------------------------------------------------------------
 */

static void hunt_forget(struct hunt *h)
{
    for (int i = 0; h->align && i < h->n_head; i++) {
        align_free(h->align[i]);
        h->align[i] = NULL;
    }
    mem_free(h->seen);
    h->seen = NULL;
}

static void hunt_frame(void *cookie)
{
    struct hunt *h = cookie;
    int n = h->sample.n_token;
    for (int i = 0; i < h->n_head; i++)
        align_frame(h->align[i], h->seen + (size_t)i * (size_t)n, 1);
}

/* The next sentence is about to be said. */
static int hunt_begin(void *cookie, struct err *e)
{
    struct hunt *h = cookie;
    int n = h->sample.n_token, rc = 0;
    hunt_forget(h);
    h->seen = mem_try((size_t)h->n_head * (size_t)n, sizeof *h->seen);
    if (!h->seen)
        return err_set(e, ERR_MEMORY, "out of memory for the attention of %d heads", h->n_head);
    for (int i = 0; i < h->n_head && rc == 0; i++)
        rc = align_new(n, SAMPLE_FRAMES, &h->align[i], e);
    int end = h->sample.prompt.n_column;
    lm_slot_watch(ar_slot(h->sample.ar), end - n, end, h->seen);
    return rc;
}

/* All sentences, with the heads watched; each is looked at when it has been said. */
static int hunt_say(struct hunt *h, const struct jabbertts_calibrate_options *o,
                    int (*look)(struct hunt *h, struct err *e), double from, struct err *e)
{
    int rc = sample_open(&h->sample, &h->model, o->text, e);
    h->sample.begin = hunt_begin;
    h->sample.frame = hunt_frame;
    h->sample.cookie = h;
    lm_watch_heads(h->model.lm, h->head, h->n_head);
    while (rc == 0 && (rc = sample_next(&h->sample, e)) > 0) {
        rc = h->sample.n_frame > 0 ? look(h, e) : 0;
        if (rc == 0 && o->progress)
            o->progress(o->cookie, from + 0.5 * h->sample.next / h->sample.pieces.n);
    }
    sample_done(&h->sample);
    return rc;
}

/* --- which heads -------------------------------------------------------------------------------
 */

static int hunt_score(struct hunt *h, struct err *e)
{
    double *first = mem_try((size_t)h->sample.n_token + 1, sizeof *first);
    if (!first)
        return err_set(e, ERR_MEMORY, "out of memory for a path");
    for (int i = 0; i < h->n_head; i++)
        h->score[i] += align_path(h->align[i], first);
    h->n_sentence++;
    mem_free(first);
    return 0;
}

static int hunt_all_heads(struct hunt *h, struct err *e)
{
    const struct spec_transformer *s = &h->model.spec.lm.slow;
    size_t n = (size_t)s->n_layer * (size_t)s->n_head;
    h->head = mem_try(n, sizeof *h->head);
    h->score = mem_try(n, sizeof *h->score);
    h->align = mem_try(n, sizeof *h->align);
    if (!h->head || !h->score || !h->align)
        return err_set(e, ERR_MEMORY, "out of memory for %zu heads", n);
    for (; h->n_head < (int)n; h->n_head++)
        h->head[h->n_head] = (struct spec_head){h->n_head / s->n_head, h->n_head % s->n_head};
    return 0;
}

/* The best of them, in the order of the layers. */
static int hunt_choose(struct hunt *h, struct err *e)
{
    double best = 0, least;
    int n = 0;
    for (int i = 0; i < h->n_head; i++) {
        h->score[i] /= h->n_sentence > 0 ? h->n_sentence : 1;
        best = fmax(best, h->score[i]);
    }
    if (best < GOOD)
        return err_set(e, ERR_UNSUPPORTED,
                       "no head of this model follows the text: the best has %.2f of its attention "
                       "there, wanted %.2f; word times go by the length of words",
                       best, GOOD);
    for (least = AS_GOOD * best;; least += 0.01) { /* until those that are left fit */
        n = 0;
        for (int i = 0; i < h->n_head; i++)
            n += h->score[i] >= least;
        if (n <= SPEC_MAX_ALIGNMENT)
            break;
    }
    for (int i = 0; i < h->n_head; i++)
        if (h->score[i] >= least)
            h->found.head[h->found.n_head++] = h->head[i];
    memcpy(h->head, h->found.head, (size_t)n * sizeof *h->head);
    hunt_forget(h);
    h->n_head = n;
    return 0;
}

/* --- the delay ---------------------------------------------------------------------------------
 */

/* The sound of the sentence in hand, and where it is silent. */
static int hunt_hear(struct hunt *h, struct timing_heard *heard, struct err *e)
{
    const struct model *m = &h->model;
    size_t n = (size_t)h->sample.n_frame, hop = (size_t)m->spec.codec.frame_samples;
    struct codec_stream *stream = NULL;
    int32_t *codes = mem_try(n * (size_t)m->spec.lm.n_codebook, sizeof *codes);
    float *pcm = mem_try(n * hop, sizeof *pcm), gain = powf(10, m->spec.codec.gain_db / 20);
    int rc = codes && pcm ? codec_stream_new(m->codec, &stream, e)
                          : err_set(e, ERR_MEMORY, "out of memory for a sentence's sound");
    if (rc == 0) {
        sample_codes(&h->sample, 0, (int)n, codes);
        codec_decode(m->codec, stream, codes, (int)n, pcm, m->exec);
        for (size_t i = 0; i < n * hop; i++)
            pcm[i] *= gain;
        if (timing_hear(heard, m->spec.codec.sample_rate, pcm, n * hop) < 0)
            rc = err_set(e, ERR_MEMORY, "out of memory for a sentence's silences");
    }
    codec_stream_free(stream);
    mem_free(codes);
    mem_free(pcm);
    return rc;
}

/* Is the i-th token of the text this character, and no more? */
static bool hunt_is(const struct hunt *h, int i, char c)
{
    const struct prompt *p = &h->sample.prompt;
    size_t width = 1 + (size_t)p->n_codebook, n;
    int column = p->n_column - h->sample.n_token + i;
    const char *s = tokenizer_bytes(h->model.tokenizer, p->columns[(size_t)column * width], &n);
    return s && n == 1 && s[0] == c;
}

static bool hunt_is_end(const struct hunt *h, int i)
{
    return hunt_is(h, i, '.') || hunt_is(h, i, '?') || hunt_is(h, i, '!');
}

/* How much later than on the path the sound behind each comma begins, and that of the sentence
 * ends. */
static int hunt_delays(struct hunt *h, struct err *e)
{
    const struct sample *s = &h->sample;
    const struct spec_codec *codec = &h->model.spec.codec;
    double frame_s = (double)codec->frame_samples / codec->sample_rate, resumes;
    struct timing_heard heard = {0};
    struct align *all = NULL;
    double *first = mem_try((size_t)s->n_token + 1, sizeof *first);
    int rc = first ? hunt_hear(h, &heard, e) : err_set(e, ERR_MEMORY, "out of memory for a path");
    if (rc == 0 && (rc = align_join(h->align, h->n_head, &all, e)) == 0)
        align_path(all, first);
    for (int i = 0; rc == 0 && i < s->n_token && h->n_delay < MAX_DELAYS; i++) {
        int word = i + 1; /* behind the comma and the space */
        while (word < s->n_token && hunt_is(h, word, ' '))
            word++;
        double at = word < s->n_token ? first[word] * frame_s : 0;
        if (word < s->n_token && hunt_is(h, i, ',') && timing_resumes(&heard, at, REACH, &resumes))
            h->delay[h->n_delay++] = resumes - at;
    }
    if (rc == 0 && h->n_delay < MAX_DELAYS && h->sample.stopped && hunt_is_end(h, s->n_token - 1))
        h->delay[h->n_delay++] = timing_end(&heard) - first[s->n_token - 1] * frame_s;
    align_free(all);
    timing_done(&heard);
    mem_free(first);
    return rc;
}

static int hunt_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* --- the file ----------------------------------------------------------------------------------
 */

static int alignment_copy(const struct gguf *g, const struct spec_alignment *a,
                          struct gguf_writer *w, struct err *e)
{
    enum gguf_kind kind;
    const char *key;
    int n = gguf_n_tensors(g), rc = 0;
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++)
        if (!spec_is_alignment(key))
            gguf_put_copy(w, g, i);
    spec_write_alignment(a, w);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        rc = gguf_writer_tensor(w, t->name, t->type, t->n_dim, t->ne, e);
    }
    if (rc == 0)
        rc = gguf_writer_begin(w, e);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        rc = gguf_writer_data(w, t->data, t->n_bytes, e);
        gguf_drop(g, t);
    }
    if (rc == 0)
        rc = gguf_check(g, e); /* what was read is what the file held */
    return rc < 0 ? rc : gguf_writer_finish(w, e);
}

static int alignment_write(const char *from, const char *to, const struct spec_alignment *a,
                           struct err *e)
{
    struct gguf *g = NULL;
    struct gguf_writer *w = NULL;
    int rc = gguf_open(from, &g, e);
    if (rc == 0 && (rc = gguf_writer_new(to, &w, e)) == 0)
        rc = alignment_copy(g, a, w, e);
    gguf_writer_free(w);
    gguf_close(g);
    return rc;
}

int alignment_calibrate(const struct jabbertts_calibrate_options *o, const char *path,
                        struct err *e)
{
    struct hunt h = {0};
    struct model_options mo = {.n_thread = o->threads};
    int rc;
    if ((rc = model_open(&h.model, path, &mo, e)) == 0 && (rc = hunt_all_heads(&h, e)) == 0 &&
        (rc = hunt_say(&h, o, hunt_score, 0, e)) == 0 && (rc = hunt_choose(&h, e)) == 0)
        rc = hunt_say(&h, o, hunt_delays, 0.5, e);
    if (rc == 0 && h.n_delay > 0) {
        qsort(h.delay, (size_t)h.n_delay, sizeof *h.delay, hunt_compare);
        h.found.delay_s = (float)h.delay[h.n_delay / 2];
    }
    if (rc == 0)
        rc = alignment_write(path, o->output, &h.found, e);
    hunt_forget(&h);
    model_close(&h.model);
    mem_free(h.head);
    mem_free(h.score);
    mem_free(h.align);
    return rc;
}
