/* bench.c - jabbertts_bench: what a model costs on this machine.
 *
 * The work of a request is done in its parts, with the calls the engine makes, so that each can be
 * timed: prompt, slow step, fast steps, sampling, codec.  Ratios are compute time / audio time. */
#include "engine/engine.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"

#define PROMPT_COLUMNS 256
#define N_PROMPT_RUN   3
#define N_FRAME        24
#define SENTENCE       48 /* columns of a short sentence */
#define REFERENCE_TEXT 60 /* columns of a reference's transcript */
#define REFERENCE_S    10 /* seconds of its sound */
#define N_CODEC_RUN    6

struct stat { double best, median; };

struct bench {
    struct model model;
    struct lm_slot *slot;
    struct codec_stream *stream;
    int32_t *columns; /* [n_column or n_reference + SENTENCE, 1 + Q] */
    float *hidden, *logits, *probs, *pcm;
    int32_t *scratch, *codes;
    int n_column, n_reference;
    double load_s, first_audio_s, uncached_s, cached_s;
    struct stat prompt_s, slow_s, fast_s, frame_s, codec_s; /* one run; codec: per frame in a chunk */
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct stat summarize(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return (struct stat){v[0], v[n / 2]};
}

static int bench_alloc(struct bench *b, struct err *e)
{
    const struct spec *s = &b->model.spec;
    size_t n_codebook = (size_t)s->lm.n_codebook;
    size_t n_logit = (size_t)lm_n_head_row(b->model.lm);
    int rc, context = s->lm.slow.n_position < 1024 ? s->lm.slow.n_position : 1024;
    if (n_logit < (size_t)s->lm.codebook_size)
        n_logit = (size_t)s->lm.codebook_size;
    b->n_column = PROMPT_COLUMNS < context / 2 ? PROMPT_COLUMNS : context / 2;
    b->n_reference = REFERENCE_TEXT + REFERENCE_S * s->codec.sample_rate / s->codec.frame_samples;
    if (b->n_reference > context - SENTENCE - 1)
        b->n_reference = context - SENTENCE - 1;
    int most = b->n_column > b->n_reference + SENTENCE ? b->n_column : b->n_reference + SENTENCE;
    b->columns = mem_try((size_t)most * (1 + n_codebook), sizeof *b->columns);
    b->hidden = mem_try((size_t)s->lm.slow.dim, sizeof *b->hidden);
    b->logits = mem_try(n_logit, sizeof *b->logits);
    b->probs = mem_try(n_logit, sizeof *b->probs);
    b->scratch = mem_try(n_logit, sizeof *b->scratch);
    b->codes = mem_try(n_codebook * ENGINE_CHUNK_FRAMES, sizeof *b->codes);
    b->pcm = mem_try((size_t)s->codec.frame_samples * ENGINE_CHUNK_FRAMES, sizeof *b->pcm);
    if (!b->columns || !b->hidden || !b->logits || !b->probs || !b->scratch || !b->codes || !b->pcm)
        return err_set(e, ERR_MEMORY, "out of memory for the benchmark");
    if ((rc = lm_slot_new(b->model.lm, context, &b->slot, e)) < 0)
        return rc;
    return codec_stream_new(b->model.codec, &b->stream, e);
}

/* n columns, those in [from, to) reference frames, the others text. */
static void fill_prompt(struct bench *b, int n, int from, int to)
{
    const struct spec_lm *s = &b->model.spec.lm;
    int width = 1 + s->n_codebook;
    for (int t = 0; t < n; t++) {
        int32_t *c = b->columns + (size_t)t * (size_t)width;
        bool frame = t >= from && t < to;
        c[0] = frame ? s->semantic_begin + t % 7 : t % 200;
        for (int q = 0; q < s->n_codebook; q++)
            c[1 + q] = !frame ? 0 : q == 0 ? t % 7 : (t * 31 + q) % 64;
    }
}

static int32_t draw(struct bench *b, int n, int frame, int k)
{
    struct sampler_params p = {0.8f, 0.8f, 1.1f};
    sampler_probs(b->logits, n, NULL, 0, &p, b->scratch, b->probs);
    return sampler_draw(b->probs, n, sampler_uniform(1, 0, (uint32_t)frame, (uint32_t)k));
}

/* One frame; slow and fast times apart. */
static void one_frame(struct bench *b, int i, double *slow_s, double *fast_s)
{
    const struct spec_lm *s = &b->model.spec.lm;
    int32_t column[1 + LIMIT_CODEBOOKS] = {s->semantic_begin + i % 7, i % 7};
    struct lm_feed feed = {b->slot, column, 1, b->hidden, b->logits};
    int32_t code = i % 7;
    double t = engine_now();
    lm_slow(b->model.lm, &feed, 1, b->model.exec);
    draw(b, lm_n_head_row(b->model.lm), i, 0);
    *slow_s = engine_now() - t;
    t = engine_now();
    for (int k = 1; k < s->n_codebook; k++) {
        if (k == 1)
            lm_fast_begin(b->model.lm, b->hidden, &code, 1, b->logits, b->model.exec);
        else
            lm_fast_step(b->model.lm, &code, 1, k, b->logits, b->model.exec);
        code = draw(b, lm_n_candidate(b->model.lm, k), i, k);
    }
    *fast_s = engine_now() - t;
}

static void run_language_model(struct bench *b)
{
    double prompt[N_PROMPT_RUN], slow[N_FRAME], fast[N_FRAME], both[N_FRAME];
    struct lm_feed feed = {b->slot, b->columns, b->n_column, b->hidden, b->logits};
    double t;
    for (int i = 0; i < N_PROMPT_RUN; i++) {
        lm_slot_reset(b->slot);
        t = engine_now();
        lm_slow(b->model.lm, &feed, 1, b->model.exec);
        prompt[i] = engine_now() - t;
    }
    for (int i = 0; i < N_FRAME; i++) {
        one_frame(b, i, &slow[i], &fast[i]);
        both[i] = slow[i] + fast[i];
    }
    b->prompt_s = summarize(prompt, N_PROMPT_RUN);
    b->slow_s = summarize(slow, N_FRAME);
    b->fast_s = summarize(fast, N_FRAME);
    b->frame_s = summarize(both, N_FRAME);
}

static void run_codec(struct bench *b)
{
    double run[N_CODEC_RUN];
    int n = b->model.spec.lm.n_codebook * ENGINE_CHUNK_FRAMES;
    double t;
    for (int i = 0; i < n; i++)
        b->codes[i] = (i * 37) % 64;
    for (int i = 0; i < N_CODEC_RUN; i++) {
        t = engine_now();
        codec_decode(b->model.codec, b->stream, b->codes, ENGINE_CHUNK_FRAMES, b->pcm,
                     b->model.exec);
        run[i] = (engine_now() - t) / ENGINE_CHUNK_FRAMES;
    }
    b->codec_s = summarize(run, N_CODEC_RUN);
}

/* A prompt of n columns, the first n_prefix of them from a snapshot where there is one, one frame, one
 * frame of sound. */
static double time_to_sound(struct bench *b, int n, const void *prefix, int n_prefix)
{
    double slow, fast, t;
    struct lm_feed feed = {b->slot,
                           b->columns + (size_t)n_prefix * (size_t)(1 + b->model.spec.lm.n_codebook),
                           n - n_prefix, b->hidden, b->logits};
    lm_slot_reset(b->slot);
    codec_stream_reset(b->stream);
    t = engine_now();
    if (prefix)
        lm_slot_load(b->slot, n_prefix, prefix);
    lm_slow(b->model.lm, &feed, 1, b->model.exec);
    one_frame(b, 0, &slow, &fast);
    codec_decode(b->model.codec, b->stream, b->codes, 1, b->pcm, b->model.exec);
    return engine_now() - t;
}

/* A short sentence without a reference, with one, and with one whose prompt is known. */
static int run_first_audio(struct bench *b, struct err *e)
{
    int n = b->n_column < SENTENCE ? b->n_column : SENTENCE;
    b->first_audio_s = time_to_sound(b, n, NULL, 0);
    fill_prompt(b, b->n_reference + SENTENCE, REFERENCE_TEXT, b->n_reference);
    b->uncached_s = time_to_sound(b, b->n_reference + SENTENCE, NULL, 0);
    void *prefix = mem_try(lm_slot_bytes(b->slot, b->n_reference), 1);
    if (!prefix)
        return err_set(e, ERR_MEMORY, "out of memory for the benchmark");
    lm_slot_save(b->slot, b->n_reference, prefix);
    b->cached_s = time_to_sound(b, b->n_reference + SENTENCE, prefix, b->n_reference);
    mem_free(prefix);
    return 0;
}

static json_t *stat_json(struct stat s, double factor)
{
    return json_pack("{s:f, s:f}", "best", s.best * factor, "median", s.median * factor);
}

static json_t *bench_json(const struct bench *b, const char *path)
{
    struct rusage usage;
    const struct spec_codec *c = &b->model.spec.codec;
    double frame = (double)c->frame_samples / c->sample_rate;
    struct stat total = {b->frame_s.best + b->codec_s.best, b->frame_s.median + b->codec_s.median};
    struct stat speed = {b->n_column / b->prompt_s.best, b->n_column / b->prompt_s.median};
    getrusage(RUSAGE_SELF, &usage);
    return json_pack("{s:s, s:s, s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:f, s:f, s:f}",
                     "model", path, "version", jabbertts_version(),
                     "isa", kern_exec_isa(b->model.exec), "threads", pool_threads(b->model.pool),
                     "load_s", b->load_s, "prefill_tokens_per_s", stat_json(speed, 1),
                     "slow_ms_per_frame", stat_json(b->slow_s, 1e3),
                     "fast_ms_per_frame", stat_json(b->fast_s, 1e3),
                     "lm_rtf", stat_json(b->frame_s, 1 / frame),
                     "codec_rtf", stat_json(b->codec_s, 1 / frame),
                     "total_rtf", stat_json(total, 1 / frame),
                     "first_audio_s", b->first_audio_s,
                     "first_audio_reference_s", b->uncached_s,
                     "first_audio_known_reference_s", b->cached_s,
                     "peak_memory_mb", (double)usage.ru_maxrss / 1024);
}

static char *bench_table(json_t *j)
{
    struct buf out;
    const char *key;
    json_t *v;
    buf_init(&out, 1 << 16);
    buf_add_format(&out, "%-22s %12s %12s\n", "", "best", "median");
    json_object_foreach(j, key, v) {
        if (json_is_object(v))
            buf_add_format(&out, "%-22s %12.3f %12.3f\n", key,
                           json_real_value(json_object_get(v, "best")),
                           json_real_value(json_object_get(v, "median")));
        else if (json_is_string(v))
            buf_add_format(&out, "%-22s %s\n", key, json_string_value(v));
        else
            buf_add_format(&out, "%-22s %12.3f\n", key, json_number_value(v));
    }
    return buf_take(&out);
}

static int bench_run(struct bench *b, const struct jabbertts_options *o, const char *path,
                     struct err *e)
{
    struct model_options m = {.n_thread = o->threads, .isa = o->isa, .max_batch = 1};
    double t;
    int rc;
    t = engine_now();
    if ((rc = model_open(&b->model, path, &m, e)) < 0)
        return rc;
    b->load_s = engine_now() - t;
    if ((rc = bench_alloc(b, e)) < 0)
        return rc;
    fill_prompt(b, b->n_column, b->n_column / 2, b->n_column);
    run_language_model(b);
    run_codec(b);
    return run_first_audio(b, e);
}

static void bench_done(struct bench *b)
{
    lm_slot_free(b->slot);
    codec_stream_free(b->stream);
    mem_free(b->columns);
    mem_free(b->hidden);
    mem_free(b->logits);
    mem_free(b->probs);
    mem_free(b->scratch);
    mem_free(b->codes);
    mem_free(b->pcm);
    model_close(&b->model);
}

int jabbertts_bench(const struct jabbertts_options *o, int json, char **ret,
                    struct jabbertts_error *error)
{
    struct err e = {0};
    struct bench b = {0};
    char path[4096], *text = NULL;
    int rc = engine_model_path(o->model, path, sizeof path, &e);
    if (rc == 0)
        rc = bench_run(&b, o, path, &e);
    if (rc == 0) {
        json_t *j = bench_json(&b, path);
        text = !j ? NULL : json ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(6))
                                : bench_table(j);
        json_decref(j);
        if (text)
            *ret = text;
        else
            rc = err_set(&e, ERR_MEMORY, "out of memory for the report");
    }
    bench_done(&b);
    return engine_return(error, &e, rc);
}
