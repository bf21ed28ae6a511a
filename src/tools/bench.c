/* bench.c - jabbertts_bench: what a model costs on this machine.
 *
 * The work of a request is done in its parts, with the calls the engine makes, so that each can be
 * timed: prompt, slow step, fast steps, sampling, codec.  Ratios are compute time / audio time. */
#include "tools/bench.h"
#include "jabbertts_tools.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "engine/dual_ar/onnx.h"
#include "engine/engine.h"
#include "model/transformer.h"

#define PROMPT_COLUMNS 256
#define N_PROMPT_RUN   3
#define N_FRAME        24
#define N_CODEC_RUN    6
#define MAX_BATCH      16
#define SENTENCE       48 /* columns of a short sentence */
#define REFERENCE_TEXT 60 /* columns of a reference's transcript */
#define REFERENCE_S    10 /* seconds of its sound */
#define CONTEXT        1024
#define LM_SHARE       0.95 /* of the machine's peak, that the language model reaches */
#define N_CASE         6

struct stat {
    double best, median;
};

/* Frames of `batch` sequences together, each `context` columns long when they begin. */
struct frames {
    int context, batch;
    struct stat slow_s, fast_s, both_s; /* best 0: not run */
    struct kern_done done;              /* by a frame */
};

struct bench {
    struct model model;
    struct lm_slot *slots[MAX_BATCH];
    struct codec_stream *stream;
    int32_t *columns;                     /* [n_column or n_reference + SENTENCE, 1 + Q] */
    float *hidden, *logits, *fast_logits; /* [MAX_BATCH, ...] */
    float *probs, *pcm;
    uint64_t *scratch;
    int32_t *codes;
    void *saved; /* what a slot remembers, to give it to others */
    int n_column, n_reference, capacity, n_logit;
    double load_s, first_audio_s, uncached_s, cached_s, memory_mb;
    struct stat prompt_s, codec_s;            /* one run; codec: per frame in a chunk */
    struct kern_done prompt_done, codec_done; /* the same */
    struct kern_peak peak;
    struct frames cases[N_CASE];
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

/* What was done since `begin`, by one of n. */
static struct kern_done done_since(const struct bench *b, struct kern_done begin, double n)
{
    struct kern_done now = kern_exec_done(b->model.exec);
    return (struct kern_done){(now.products - begin.products) / n, (now.bytes - begin.bytes) / n};
}

static json_t *stat_json(struct stat s, double factor)
{
    return json_pack("{s:f, s:f}", "best", s.best * factor, "median", s.median * factor);
}

json_t *bench_stat(double *v, int n, double factor)
{
    return stat_json(summarize(v, n), factor);
}

/* Room for both prompts that are measured. */
static int n_columns(struct bench *b)
{
    const struct spec_codec *c = &b->model.spec.codec;
    b->n_reference = REFERENCE_TEXT + REFERENCE_S * c->sample_rate / c->frame_samples;
    if (b->n_reference > b->capacity - SENTENCE - 1)
        b->n_reference = b->capacity - SENTENCE - 1;
    int n = b->n_reference + SENTENCE;
    return n > b->n_column ? n : b->n_column;
}

/* The last frames of a context that was asked for, the first if none was: sequences of one come
 * first. */
static int choose_cases(struct bench *b, int context, struct err *e)
{
    int most = b->model.spec.lm.slow.n_position;
    if (context > most)
        return err_set(e, ERR_ARGUMENT, "context is %d, this model's is %d", context, most);
    b->capacity = context ? context : most < CONTEXT ? most : CONTEXT;
    int last = context && b->capacity > N_FRAME ? b->capacity - N_FRAME : 0;
    const struct frames cases[N_CASE] = {
        {.context = 300, .batch = 1}, {.context = 1000, .batch = 1}, {.context = last, .batch = 1},
        {.context = 300, .batch = 4}, {.context = 300, .batch = 8},  {.context = 300, .batch = 16}};
    memcpy(b->cases, cases, sizeof cases);
    return 0;
}

static int bench_alloc(struct bench *b, struct err *e)
{
    const struct spec *s = &b->model.spec;
    size_t n_codebook = (size_t)s->lm.n_codebook, batch = MAX_BATCH;
    int rc;
    b->n_logit = lm_n_head_row(b->model.lm);
    if (b->n_logit < s->lm.codebook_size)
        b->n_logit = s->lm.codebook_size;
    b->n_column = PROMPT_COLUMNS < b->capacity / 2 ? PROMPT_COLUMNS : b->capacity / 2;
    for (size_t i = 0; i < batch; i++)
        if ((rc = lm_slot_new(b->model.lm, b->capacity, &b->slots[i], e)) < 0)
            return rc;
    b->columns = mem_try((size_t)n_columns(b) * (1 + n_codebook), sizeof *b->columns);
    b->hidden = mem_try(batch * (size_t)s->lm.slow.dim, sizeof *b->hidden);
    b->logits = mem_try(batch * (size_t)b->n_logit, sizeof *b->logits);
    b->fast_logits = mem_try(batch * (size_t)s->lm.codebook_size, sizeof *b->fast_logits);
    b->probs = mem_try((size_t)b->n_logit, sizeof *b->probs);
    b->scratch = mem_try(2 * (size_t)b->n_logit, sizeof *b->scratch);
    b->codes = mem_try(n_codebook * POLICY_CHUNK_FRAMES, sizeof *b->codes);
    b->pcm = mem_try((size_t)s->codec.frame_samples * POLICY_CHUNK_FRAMES, sizeof *b->pcm);
    b->saved = mem_try(lm_slot_bytes(b->slots[0], b->capacity), 1);
    if (!b->columns || !b->hidden || !b->logits || !b->fast_logits || !b->probs || !b->scratch ||
        !b->codes || !b->pcm || !b->saved)
        return err_set(e, ERR_MEMORY, "out of memory for the benchmark");
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

static int32_t draw(struct bench *b, float *logits, int n, int frame, int k)
{
    struct sampler_params p = {0.8f, 0.8f, 1.1f};
    sampler_probs(logits, n, NULL, &p, b->scratch, b->probs);
    return sampler_draw(b->probs, n, sampler_uniform(1, 0, (uint32_t)frame, (uint32_t)k));
}

static void fast_frame(struct bench *b, int i, int n)
{
    const struct spec_lm *s = &b->model.spec.lm;
    int32_t code[MAX_BATCH];
    for (int j = 0; j < n; j++)
        code[j] = (i + j) % 7;
    for (int k = 1; k < s->n_codebook; k++) {
        if (k == 1)
            lm_fast_begin(b->model.lm, b->hidden, code, n, b->fast_logits, b->model.exec);
        else
            lm_fast_step(b->model.lm, code, n, k, b->fast_logits, b->model.exec);
        for (int j = 0; j < n; j++)
            code[j] = draw(b, b->fast_logits + (size_t)j * (size_t)s->codebook_size,
                           lm_n_candidate(b->model.lm, k), i, k);
    }
}

/* One frame of n sequences; slow and fast times apart, sampling included. */
static void one_frame(struct bench *b, int i, int n, double *slow_s, double *fast_s)
{
    const struct spec_lm *s = &b->model.spec.lm;
    int32_t column[1 + LIMIT_CODEBOOKS] = {s->semantic_begin + i % 7, i % 7};
    struct lm_feed feeds[MAX_BATCH];
    double t;
    for (int j = 0; j < n; j++)
        feeds[j] =
            (struct lm_feed){b->slots[j], column, 1, b->hidden + (size_t)j * (size_t)s->slow.dim,
                             b->logits + (size_t)j * (size_t)b->n_logit};
    t = engine_now();
    lm_slow(b->model.lm, feeds, n, b->model.exec);
    for (int j = 0; j < n; j++)
        draw(b, feeds[j].logits, lm_n_head_row(b->model.lm), i, 0);
    *slow_s = engine_now() - t;
    t = engine_now();
    fast_frame(b, i, n);
    *fast_s = engine_now() - t;
}

static void run_prompt(struct bench *b)
{
    double prompt[N_PROMPT_RUN];
    struct lm_feed feed = {b->slots[0], b->columns, b->n_column, b->hidden, b->logits};
    struct kern_done begin = kern_exec_done(b->model.exec);
    double t;
    for (int i = 0; i < N_PROMPT_RUN; i++) {
        lm_slot_reset(b->slots[0]);
        t = engine_now();
        lm_slow(b->model.lm, &feed, 1, b->model.exec);
        prompt[i] = engine_now() - t;
    }
    b->prompt_s = summarize(prompt, N_PROMPT_RUN);
    b->prompt_done = done_since(b, begin, N_PROMPT_RUN);
}

/* All slots of a case as long as it says: one is fed, the others get its memory. */
static void bench_fill_slots(struct bench *b, int context, int batch)
{
    lm_slot_reset(b->slots[0]);
    for (int n = 0, left = context; left > 0; left -= n) {
        n = left < b->n_column ? left : b->n_column;
        struct lm_feed feed = {b->slots[0], b->columns, n, NULL, NULL};
        lm_slow(b->model.lm, &feed, 1, b->model.exec);
    }
    if (batch > 1)
        lm_slot_save(b->slots[0], context, b->saved);
    for (int i = 1; i < batch; i++) {
        lm_slot_reset(b->slots[i]);
        lm_slot_load(b->slots[i], context, b->saved);
    }
}

static void run_frames(struct bench *b, struct frames *f)
{
    double slow[N_FRAME], fast[N_FRAME], both[N_FRAME];
    if (f->context == 0 || f->context + N_FRAME > b->capacity)
        return;
    bench_fill_slots(b, f->context, f->batch);
    struct kern_done begin = kern_exec_done(b->model.exec);
    for (int i = 0; i < N_FRAME; i++) {
        one_frame(b, i, f->batch, &slow[i], &fast[i]);
        both[i] = slow[i] + fast[i];
    }
    f->slow_s = summarize(slow, N_FRAME);
    f->fast_s = summarize(fast, N_FRAME);
    f->both_s = summarize(both, N_FRAME);
    f->done = done_since(b, begin, N_FRAME);
}

static void bench_run_codec(struct bench *b)
{
    double run[N_CODEC_RUN];
    int n = b->model.spec.lm.n_codebook * POLICY_CHUNK_FRAMES;
    struct kern_done begin = kern_exec_done(b->model.exec);
    double t;
    for (int i = 0; i < n; i++)
        b->codes[i] = (i * 37) % 64;
    for (int i = 0; i < N_CODEC_RUN; i++) {
        t = engine_now();
        codec_decode(b->model.codec, b->stream, b->codes, POLICY_CHUNK_FRAMES, b->pcm,
                     b->model.exec);
        run[i] = (engine_now() - t) / POLICY_CHUNK_FRAMES;
    }
    b->codec_s = summarize(run, N_CODEC_RUN);
    b->codec_done = done_since(b, begin, N_CODEC_RUN * POLICY_CHUNK_FRAMES);
}

/* A prompt of n columns, the first n_prefix of them from what is saved, one frame, one frame of
 * sound. */
static double time_to_sound(struct bench *b, int n, int n_prefix)
{
    double slow, fast, t;
    const int32_t *rest = b->columns + (size_t)n_prefix * (size_t)(1 + b->model.spec.lm.n_codebook);
    struct lm_feed feed = {b->slots[0], rest, n - n_prefix, b->hidden, b->logits};
    lm_slot_reset(b->slots[0]);
    codec_stream_reset(b->stream);
    t = engine_now();
    if (n_prefix > 0)
        lm_slot_load(b->slots[0], n_prefix, b->saved);
    lm_slow(b->model.lm, &feed, 1, b->model.exec);
    one_frame(b, 0, 1, &slow, &fast);
    codec_decode(b->model.codec, b->stream, b->codes, 1, b->pcm, b->model.exec);
    return engine_now() - t;
}

/* A short sentence without a reference, with one, and with one whose prompt is known. */
static void run_first_audio(struct bench *b)
{
    int n = b->n_reference + SENTENCE;
    b->first_audio_s = time_to_sound(b, SENTENCE < b->n_column ? SENTENCE : b->n_column, 0);
    fill_prompt(b, n, REFERENCE_TEXT, b->n_reference);
    b->uncached_s = time_to_sound(b, n, 0);
    lm_slot_save(b->slots[0], b->n_reference, b->saved);
    b->cached_s = time_to_sound(b, n, b->n_reference);
    fill_prompt(b, b->n_column, b->n_column / 2, b->n_column);
}

/* What the process holds at most, in MB. */
static double memory_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

/* Share of the machine's measured peak: of products, or of memory, whichever is nearer to it. */
static json_t *share_json(const struct bench *b, struct stat s, struct kern_done done)
{
    double products = done.products / b->peak.products, bytes = done.bytes / b->peak.bytes;
    double least = products > bytes ? products : bytes; /* seconds */
    return json_pack("{s:f, s:f, s:s}", "best", least / s.best, "median", least / s.median, "bound",
                     products > bytes ? "products" : "memory");
}

/* A convolution's 112 products cost 34 of twice the width, and much else is done beside them.
 * Measured with avx2 and avx512 (docs/SPEED.md). */
static double codec_share(const char *isa)
{
    return strcmp(isa, "avx512") == 0 || strcmp(isa, "amx") == 0 ? 0.8 : 0.4;
}

double jabbertts_expect(const struct jabbertts_machine *m, const struct jabbertts_work *w)
{
    double lm = fmax(w->lm_products / m->products_per_s, w->lm_bytes / m->bytes_per_s) / LM_SHARE;
    return w->frames_per_s * (lm + w->codec_products / m->products_per_s / codec_share(m->isa));
}

/* The same of this machine, of which it just measured the peak. */
static double bench_expected(const struct bench *b, double frame_s)
{
    struct jabbertts_machine m = {kern_exec_isa(b->model.exec), pool_threads(b->model.pool),
                                  b->peak.products, b->peak.bytes};
    struct kern_done lm = b->cases[0].done;
    return jabbertts_expect(
        &m, &(struct jabbertts_work){1 / frame_s, lm.products, lm.bytes, b->codec_done.products});
}

static json_t *case_json(const struct bench *b, const struct frames *f)
{
    const struct spec_codec *c = &b->model.spec.codec;
    double frame = (double)c->frame_samples / c->sample_rate, batch = f->batch;
    return json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o}", "context", f->context, "batch",
                     f->batch, "slow_ms", stat_json(f->slow_s, 1e3), "fast_ms",
                     stat_json(f->fast_s, 1e3), "frame_ms", stat_json(f->both_s, 1e3),
                     "rtf_per_sequence", stat_json(f->both_s, 1 / frame / batch), "of_peak",
                     share_json(b, f->both_s, f->done));
}

static json_t *bench_json(const struct bench *b, const char *path)
{
    const struct spec_codec *c = &b->model.spec.codec;
    const struct spec_transformer *s = &b->model.spec.lm.slow;
    enum kern_type cache = lm_kv_type(b->model.lm);
    double frame = (double)c->frame_samples / c->sample_rate;
    struct stat lm = b->cases[0].both_s,
                speed = {b->n_column / b->prompt_s.best, b->n_column / b->prompt_s.median};
    struct stat total = {lm.best + b->codec_s.best, lm.median + b->codec_s.median};
    json_t *frames = json_array();
    for (int i = 0; i < N_CASE; i++)
        if (b->cases[i].both_s.best > 0)
            json_array_append_new(frames, case_json(b, &b->cases[i]));
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:f, s:f, s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, "
        "s:f, s:f, s:f, s:f, s:f}",
        "model", path, "version", jabbertts_version(), "isa",
        b->model.ort ? "onnxruntime" : kern_exec_isa(b->model.exec), "threads",
        pool_threads(b->model.pool), "peak_gmac_per_s", b->peak.products * 1e-9,
        "peak_memory_gb_per_s", b->peak.bytes * 1e-9, "cache", kern_type_name(cache), "context",
        b->capacity, "load_s", b->load_s, "prefill_tokens_per_s", stat_json(speed, 1),
        "prefill_of_peak", share_json(b, b->prompt_s, b->prompt_done), "frames", frames, "lm_rtf",
        stat_json(lm, 1 / frame), "codec_rtf", stat_json(b->codec_s, 1 / frame), "codec_of_peak",
        share_json(b, b->codec_s, b->codec_done), "total_rtf", stat_json(total, 1 / frame),
        "expected_rtf", bench_expected(b, frame), "first_audio_s", b->first_audio_s,
        "first_audio_reference_s", b->uncached_s, "first_audio_known_reference_s", b->cached_s,
        "peak_memory_mb", b->memory_mb, "cache_mb",
        (double)transformer_kv_bytes(s, b->capacity, cache) * 1e-6);
}

static void table_line(struct buf *out, const char *name, json_t *stat)
{
    buf_add_format(out, "%-34s %12.3f %12.3f\n", name,
                   json_real_value(json_object_get(stat, "best")),
                   json_real_value(json_object_get(stat, "median")));
}

struct table_list {
    const char *name, *format, *first, *second, *keys[6];
};

/* Lists of cases, a line for each key of each: format takes the first and the second number, and
 * the key. */
static const struct table_list lists[] = {
    {"frames",
     "%lld at %lld, %s",
     "batch",
     "context",
     {"slow_ms", "fast_ms", "frame_ms", "rtf_per_sequence", "of_peak"}},
    {"speech",
     "%lld requests of %lld sentences, %s",
     "requests",
     "sentences",
     {"rtf", "first_audio_s", "first_audio_p50_s", "first_audio_p95_s"}},
};

static void table_cases(struct buf *out, const char *name, json_t *cases)
{
    const struct table_list *l = lists, *end = lists + sizeof lists / sizeof *lists;
    size_t i;
    json_t *c;
    while (l < end && strcmp(l->name, name))
        l++;
    if (l == end)
        return;
    json_array_foreach(cases, i, c) for (const char *const *key = l->keys; *key; key++)
    {
        char line[64];
        snprintf(line, sizeof line, l->format, json_integer_value(json_object_get(c, l->first)),
                 json_integer_value(json_object_get(c, l->second)), *key);
        table_line(out, line, json_object_get(c, *key));
    }
}

static char *bench_table(json_t *j)
{
    struct buf out;
    const char *key;
    json_t *v;
    buf_init(&out, 1 << 16);
    buf_add_format(&out, "%-34s %12s %12s\n", "", "best", "median");
    json_object_foreach(j, key, v)
    {
        if (json_is_array(v))
            table_cases(&out, key, v);
        else if (json_is_object(v))
            table_line(&out, key, v);
        else if (json_is_string(v))
            buf_add_format(&out, "%-34s %s\n", key, json_string_value(v));
        else
            buf_add_format(&out, "%-34s %12.3f\n", key, json_number_value(v));
    }
    return buf_take(&out);
}

static int bench_run(struct bench *b, const struct jabbertts_options *o, const char *path,
                     struct err *e)
{
    struct model_options m = {
        .n_thread = o->threads, .isa = o->isa, .cache = o->cache, .max_batch = MAX_BATCH};
    struct onnx_folder folder;
    bool onnx = o->engine && strcmp(o->engine, ENGINE_ONNX) == 0;
    int rc = onnx ? onnx_folder_of(path, o, &folder, e) : 0;
    if (rc < 0)
        return rc;
    if (onnx)
        m.ort = (struct ort_place){folder.dir, o->onnx_library, o->onnx_provider};
    double t = engine_now();
    if ((rc = model_open(&b->model, path, &m, e)) < 0)
        return rc;
    b->load_s = engine_now() - t;
    if ((rc = choose_cases(b, o->context, e)) < 0 || (rc = bench_alloc(b, e)) < 0)
        return rc;
    fill_prompt(b, b->n_column, b->n_column / 2, b->n_column);
    run_prompt(b);
    for (int i = 0; i < N_CASE && b->cases[i].batch == 1; i++)
        run_frames(b, &b->cases[i]);
    bench_run_codec(b);
    run_first_audio(b);
    b->memory_mb = memory_mb(); /* before several sequences have caches */
    if ((rc = kern_exec_peak(b->model.exec, &b->peak, e)) < 0)
        return rc;
    for (int i = 0; i < N_CASE; i++)
        if (b->cases[i].batch > 1)
            run_frames(b, &b->cases[i]);
    return 0;
}

static void bench_done(struct bench *b)
{
    for (int i = 0; i < MAX_BATCH; i++)
        lm_slot_free(b->slots[i]);
    codec_stream_free(b->stream);
    mem_free(b->columns);
    mem_free(b->hidden);
    mem_free(b->logits);
    mem_free(b->fast_logits);
    mem_free(b->saved);
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
    json_t *j = NULL, *speech = NULL;
    if (rc == 0)
        rc = bench_run(&b, o, path, &e);
    if (rc == 0)
        j = bench_json(&b, path);
    bench_done(&b); /* one model at a time */
    if (rc == 0 && (rc = bench_speech(o, &speech, error)) < 0) {
        json_decref(j);
        json_decref(speech);
        return rc;
    }
    if (rc == 0) {
        json_object_set_new(j, "speech", speech);
        text = !j     ? NULL
               : json ? json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(6))
                      : bench_table(j);
        json_decref(j);
        if (text)
            *ret = text;
        else
            rc = err_set(&e, ERR_MEMORY, "out of memory for the report");
    }
    return engine_return(error, &e, rc);
}
