/* bench_speech.c - whole requests, as bench.c's last part: several at once and several sentences,
 * through the engine with its threads, scheduler and queue.  Decoding goes on beside the next
 * frames here, so the ratios are lower than those of the parts together. */
#include "tools/bench.h"

#include <stdlib.h>
#include <string.h>

#define MAX_REQUEST 16
#define MAX_RUN     3
#define REFERENCE   108 /* frames: 5 s */

/* Models of random weights speak until they are stopped: a sentence so short by its length
 * (speak.c). */
static const char sentence[] = "And so on, and on.\n\n";

struct speech {
    int n_request, n_sentence, n_run;
};
static const struct speech cases[] = {{1, 1, 3}, {1, 4, 1}, {4, 1, 1}, {8, 1, 1}, {16, 1, 1}};

struct result {
    double rtf, first_audio_s, p50, p95; /* first audio: of the last request; percentiles */
};

static int bench_speech_read_all(struct jabbertts_stream *s, struct jabbertts_error *error)
{
    static float pcm[8192]; /* nobody listens */
    int n;
    while ((n = jabbertts_read(s, pcm, sizeof pcm / sizeof *pcm, error)) > 0)
        ;
    return n;
}

static int sooner(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds computed by second of sound, and when the sounds began. */
static int bench_speech_run(struct jabbertts *tts, const struct speech *c,
                            const struct jabbertts_voice *voice, struct result *r,
                            struct jabbertts_error *error)
{
    struct jabbertts_stream *s[MAX_REQUEST] = {0};
    struct jabbertts_request request;
    struct jabbertts_progress p;
    char text[sizeof sentence * 4] = "";
    double begin = engine_now(), sound = 0, first[MAX_REQUEST] = {0};
    int rc = 0, n = c->n_request;
    jabbertts_request_init(&request);
    for (int i = 0; i < c->n_sentence; i++)
        memcpy(text + (size_t)i * (sizeof sentence - 1), sentence, sizeof sentence);
    request.text = text;
    request.reference = voice;
    for (int i = 0; i < c->n_request && rc == 0; i++) {
        request.seed = (uint64_t)i + 1;
        rc = jabbertts_submit(tts, &request, &s[i], error);
    }
    for (int i = 0; i < c->n_request && rc == 0; i++)
        rc = bench_speech_read_all(s[i], error);
    double seconds = engine_now() - begin;
    for (int i = 0; i < c->n_request && rc == 0; i++) {
        jabbertts_stream_progress(s[i], &p);
        sound += (double)p.n_sample / jabbertts_sample_rate(tts);
        first[i] = p.first_audio_s;
    }
    qsort(first, (size_t)n, sizeof *first, sooner);
    r->first_audio_s = first[n - 1];
    r->p50 = first[(n - 1) / 2];
    r->p95 = first[(n * 95 + 99) / 100 - 1]; /* nearest rank */
    r->rtf = sound > 0 ? seconds / sound : 0;
    for (int i = 0; i < c->n_request; i++)
        jabbertts_stream_free(s[i]);
    return rc;
}

static int run_case(struct jabbertts *tts, const struct speech *c,
                    const struct jabbertts_voice *voice, json_t *list,
                    struct jabbertts_error *error)
{
    struct result r;
    double rtf[MAX_RUN], first[MAX_RUN], p50[MAX_RUN], p95[MAX_RUN];
    int rc = 0;
    for (int i = 0; i < c->n_run && rc == 0; i++) {
        rc = bench_speech_run(tts, c, voice, &r, error);
        rtf[i] = r.rtf;
        first[i] = r.first_audio_s;
        p50[i] = r.p50;
        p95[i] = r.p95;
    }
    if (rc == 0)
        json_array_append_new(list, json_pack("{s:i, s:i, s:o, s:o, s:o, s:o}", "requests",
                                              c->n_request, "sentences", c->n_sentence, "rtf",
                                              bench_stat(rtf, c->n_run, 1), "first_audio_s",
                                              bench_stat(first, c->n_run, 1), "first_audio_p50_s",
                                              bench_stat(p50, c->n_run, 1), "first_audio_p95_s",
                                              bench_stat(p95, c->n_run, 1)));
    return rc;
}

/* Any codes: that they are in the prompt is all that matters. */
static int some_voice(struct jabbertts *tts, struct jabbertts_voice **ret,
                      struct jabbertts_error *error)
{
    int n = jabbertts_n_codebook(tts) * REFERENCE;
    int32_t *codes = mem_alloc((size_t)n * sizeof *codes);
    for (int i = 0; i < n; i++)
        codes[i] = i * 37 % 64;
    int rc = jabbertts_voice_from_codes(tts, codes, REFERENCE, "And so on.", ret, error);
    mem_free(codes);
    return rc;
}

/* All cases, with the model's default voice, or some where it has none, as with random weights. */
static int run_cases(struct jabbertts *tts, json_t *list, struct jabbertts_error *error)
{
    struct jabbertts_voice *voice = NULL;
    int rc = jabbertts_voice_default(tts) ? 0 : some_voice(tts, &voice, error);
    for (size_t i = 0; i < sizeof cases / sizeof *cases && rc == 0; i++)
        rc = run_case(tts, &cases[i], voice, list, error);
    jabbertts_voice_free(voice);
    return rc;
}

int bench_speech(const struct jabbertts_options *o, json_t **ret, struct jabbertts_error *error)
{
    struct jabbertts_options options;
    struct jabbertts *tts;
    jabbertts_options_init(&options);
    options.model = o->model;
    options.threads = o->threads;
    options.isa = o->isa;
    options.engine = o->engine;
    options.onnx_dir = o->onnx_dir;
    options.onnx_library = o->onnx_library;
    options.onnx_provider = o->onnx_provider;
    options.cache = o->cache;
    options.context = o->context;
    options.slots = MAX_REQUEST;
    int rc = jabbertts_open(&options, &tts, error);
    if (rc < 0)
        return rc;
    *ret = json_array();
    rc = run_cases(tts, *ret, error);
    jabbertts_close(tts);
    return rc;
}
