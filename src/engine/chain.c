#include "engine/chain.h"

#include <math.h>
#include <string.h>

#include "audio/audio.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "text/script.h"

#define CHAIN_SAMPLES 2048      /* of a part, read at once */
#define CHAIN_BYTES   (1 << 20) /* of them at the model's rate */

/* Languages with scripts other than Latin that S1 was trained on. */
static const char *const read_by_s1[] = {"ar", "cmn", "ja", "ko", "ru"};

struct link {
    size_t start, end;               /* of the text */
    const char *language;            /* that espeak-ng speaks; NULL: the model speaks */
    struct jabbertts_stream *stream; /* (lock) NULL: not submitted, or there was nothing to say */
    bool begun;                      /* it was submitted */
};

struct chain {
    struct jabbertts *model, *other;
    struct jabbertts_request request; /* the chain owns its strings */
    struct link *link;
    int n, at;                      /* at: the part whose sound is being read */
    struct audio_encoder *resample; /* of the part that is read; NULL: it has the model's rate */
    struct buf bytes;        /* samples at the model's rate that the reader has not taken yet */
    size_t n_taken;          /* of them, */
    size_t n_out, n_max;     /* samples read so far; their limit */
    bool cut;                /* there were more */
    double submitted, ended; /* engine_now; ended 0: not yet */
    struct jabbertts_error failure; /* code 0: none */
    void (*on_ready)(void *cookie);
    void *ready_cookie;
    pthread_mutex_t lock; /* never taken while the engine's lock is held */
    bool cancelled;       /* (lock) */
};

/* --- who reads what --- */

static bool chain_is_language(const char *tag, const char *language)
{
    size_t n = strlen(language);
    return strncmp(tag, language, n) == 0 && (tag[n] == 0 || tag[n] == '-');
}

/* Whether the model reads the script of this language.  Every model reads Latin (NULL). */
static bool chain_reads(const struct jabbertts *model, const char *language)
{
    struct jabbertts_voice_info v;
    if (!language || model->frontend == TEXT_WORDS)
        return true;
    for (size_t i = 0; model->frontend == TEXT_PLAIN && i < sizeof read_by_s1 / sizeof *read_by_s1;
         i++)
        if (strcmp(read_by_s1[i], language) == 0)
            return true;
    for (int i = 0; jabbertts_voice_at(model, i, &v) == 0; i++)
        if (chain_is_language(v.language, language))
            return true;
    return false;
}

static bool chain_is_ssml(const struct jabbertts_request *r)
{
    return r->ssml > 0 ||
           (r->ssml == 0 && strncmp(r->text + strspn(r->text, " \t\r\n"), "<speak", 6) == 0);
}

/* The next run of sentences: the model reads all of them, or none. */
static bool chain_next_run(struct script_walk *w, const struct jabbertts *model, struct link *run)
{
    if (!script_walk_next(w))
        return false;
    *run = (struct link){.start = w->start,
                         .end = w->end,
                         .language = chain_reads(model, w->language) ? NULL : w->language};
    return true;
}

int chain_unread(struct jabbertts *model, const struct jabbertts_request *r, const char **language)
{
    struct script_walk w;
    struct link run;
    int n = 0;
    if (!r->text || chain_is_ssml(r) || utf8_check(r->text, strlen(r->text)) < strlen(r->text))
        return 0;
    script_walk_init(&w, r->text, strlen(r->text), false);
    while (chain_next_run(&w, model, &run))
        if (run.language && n++ == 0)
            *language = run.language;
    return n;
}

/* --- making --- */

static int chain_cut(struct chain *c)
{
    struct script_walk w;
    struct link run;
    const char *text = c->request.text;
    script_walk_init(&w, text, strlen(text), false);
    while (chain_next_run(&w, c->model, &run)) {
        struct link *last = c->n ? &c->link[c->n - 1] : NULL;
        if (last && !last->language && !run.language) {
            last->end = run.end;
            continue;
        }
        struct link *more = mem_grow(c->link, (size_t)c->n + 1, sizeof *more);
        if (!more)
            return ERR_MEMORY;
        c->link = more;
        c->link[c->n++] = run;
    }
    return 0;
}

static int chain_copy(const char **to)
{
    if (*to && !(*to = mem_strndup(*to, strlen(*to))))
        return ERR_MEMORY;
    return 0;
}

static int chain_own(struct chain *c, const struct jabbertts_request *r)
{
    struct jabbertts_request *own = &c->request;
    *own = *r;
    own->model = NULL;
    const char **strings[] = {&own->text, &own->voice, &own->owner, &own->language,
                              &own->instructions};
    int rc = 0;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (rc < 0)
            *strings[i] = NULL;
        else
            rc = chain_copy(strings[i]);
    return rc;
}

/* The OpenAI voice that is an alias of this voice.  espeak-ng has a speaker for each of those, so a
 * woman's voice stays a woman's. */
static const char *chain_speaker(const struct chain *c)
{
    const char *voice = c->request.voice, *alias, *name;
    if (!voice)
        voice = jabbertts_voice_default(c->model);
    for (int i = 0; voice && (alias = jabbertts_voice_alias(c->model, i, &name)); i++)
        if (strcmp(alias, voice) == 0 || strcmp(name, voice) == 0)
            for (int k = 0; (name = jabbertts_voice_alias(c->other, k, &voice)); k++)
                if (strcmp(name, alias) == 0)
                    return name;
    return NULL;
}

static bool chain_is_silent(const struct jabbertts_error *e)
{
    return e->code == JABBERTTS_ERR_ARGUMENT && strstr(e->message, JABBERTTS_NOTHING_TO_SAY);
}

/* Submit part i, if there is one.  A part with nothing to say is skipped. */
static int chain_begin(struct chain *c, int i, struct jabbertts_error *e)
{
    struct jabbertts_request r = c->request;
    struct jabbertts_stream *s = NULL;
    if (i >= c->n || c->link[i].begun)
        return 0;
    const struct link *l = &c->link[i];
    char *text = mem_strndup(r.text + l->start, l->end - l->start);
    r.text = text;
    r.fallback = 0;
    r.ssml = -1;
    if (l->language) {
        bool named = r.language && strncmp(r.language, "en", 2) != 0;
        r.language = named ? r.language : l->language;
        r.voice = chain_speaker(c);
        r.reference = NULL;
    }
    if (r.deadline_s > 0)
        r.deadline_s = fmax(0.001, c->submitted + r.deadline_s - engine_now());
    int rc = JABBERTTS_ERR_MEMORY;
    if (text)
        rc = jabbertts_submit(l->language ? c->other : c->model, &r, &s, e);
    mem_free(text);
    if (rc < 0 && text && chain_is_silent(e))
        rc = 0;
    pthread_mutex_lock(&c->lock);
    c->link[i].begun = rc == 0;
    c->link[i].stream = s;
    if (s && c->cancelled)
        jabbertts_cancel(s);
    pthread_mutex_unlock(&c->lock);
    if (s && c->on_ready)
        jabbertts_stream_on_ready(s, c->on_ready, c->ready_cookie);
    return rc;
}

static int chain_new(struct jabbertts *model, const struct jabbertts_request *r, struct chain **ret)
{
    struct chain *c = mem_try(1, sizeof *c);
    if (!c)
        return ERR_MEMORY;
    *ret = c;
    pthread_mutex_init(&c->lock, NULL);
    buf_init(&c->bytes, CHAIN_BYTES);
    c->model = model;
    c->other = jabbertts_model_named(model, ENGINE_ESPEAK);
    c->submitted = engine_now();
    c->n_max = r->max_seconds > 0 ? (size_t)ceil(r->max_seconds * model->rate) : SIZE_MAX;
    int rc = chain_own(c, r);
    return rc < 0 ? rc : chain_cut(c);
}

/* The first part that the model speaks, or n. */
static int chain_first_own(const struct chain *c)
{
    int i = 0;
    while (i < c->n && c->link[i].language)
        i++;
    return i;
}

int chain_submit(struct jabbertts *model, const struct jabbertts_request *r,
                 struct jabbertts_stream **ret, struct jabbertts_error *e)
{
    struct chain *c = NULL;
    struct jabbertts_stream *s = mem_try(1, sizeof *s);
    struct err memory = {ERR_MEMORY, "out of memory for a request"};
    int rc = s ? chain_new(model, r, &c) : ERR_MEMORY;
    if (rc < 0) {
        chain_free(c);
        mem_free(s);
        return engine_return(e, &memory, ERR_MEMORY);
    }
    struct jabbertts_error why = {0};
    /* Errors in the request are reported now. */
    if ((rc = chain_begin(c, 0, &why)) < 0 || (rc = chain_begin(c, chain_first_own(c), &why)) < 0) {
        chain_free(c);
        mem_free(s);
        if (e)
            *e = why;
        return rc;
    }
    s->ask.tts = model;
    s->chain = c;
    *ret = s;
    return 0;
}

/* --- reading --- */

static int chain_keep(void *cookie, const void *data, size_t n, struct err *e)
{
    struct chain *c = cookie;
    int rc = buf_add(&c->bytes, data, n);
    return rc < 0 ? err_set(e, rc, "out of memory for sound") : 0;
}

/* Converts the sound that is kept to samples. */
static int chain_take(struct chain *c, float *pcm, int n_max)
{
    const unsigned char *b = (const unsigned char *)c->bytes.data + c->n_taken;
    size_t n = (c->bytes.len - c->n_taken) / 2;
    if (n > (size_t)n_max)
        n = (size_t)n_max;
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)(int16_t)(b[2 * i] | b[2 * i + 1] << 8) / 32768.0f;
    c->n_taken += 2 * n;
    if (c->n_taken == c->bytes.len) {
        buf_clear(&c->bytes);
        c->n_taken = 0;
    }
    return (int)n;
}

static int chain_pause(struct chain *c, struct err *e)
{
    static const unsigned char zeros[1024];
    const char last = c->request.text[c->link[c->at].end - 1];
    size_t ms = last == '\n' ? TEXT_PAUSE_PARAGRAPH : TEXT_PAUSE_SENTENCE;
    size_t left = ms * (size_t)c->model->rate / 1000 * 2;
    int rc = 0;
    for (size_t n; rc == 0 && left > 0; left -= n) {
        n = left < sizeof zeros ? left : sizeof zeros;
        rc = chain_keep(c, zeros, n, e);
    }
    return rc;
}

/* The part that was read has ended: its last samples, the pause behind it, and the next. */
static int chain_advance(struct chain *c, struct err *e)
{
    int rc = c->resample ? audio_encoder_finish(c->resample, e) : 0;
    audio_encoder_free(c->resample);
    c->resample = NULL;
    if (rc == 0 && c->link[c->at].stream && c->at + 1 < c->n)
        rc = chain_pause(c, e);
    c->at++;
    return rc;
}

static int chain_resample(struct chain *c, int hz, const float *pcm, int n, struct err *e)
{
    const struct audio_encoder_options o = {.format = AUDIO_PCM,
                                            .in_hz = hz,
                                            .out_hz = c->model->rate,
                                            .sink = chain_keep,
                                            .cookie = c};
    int rc = c->resample ? 0 : audio_encoder_new(&o, &c->resample, e);
    return rc < 0 ? rc : audio_encoder_write(c->resample, pcm, (size_t)n, e);
}

/* Some samples into pcm, 0: try again, JABBERTTS_AGAIN, or a failure. */
static int chain_step(struct chain *c, chain_reader read, float *pcm, int n_max,
                      struct jabbertts_error *error)
{
    struct err e = {0};
    float part[CHAIN_SAMPLES];
    int rc = chain_begin(c, c->at, error);
    if (rc == 0)
        rc = chain_begin(c, c->at + 1, error);
    if (rc < 0)
        return rc;
    struct jabbertts_stream *s = c->link[c->at].stream;
    bool same = s && jabbertts_stream_rate(s) == c->model->rate;
    int n = 0;
    if (s && same)
        n = read(s, pcm, n_max, error);
    else if (s)
        n = read(s, part, CHAIN_SAMPLES, error);
    if (n < 0 || (n > 0 && same))
        return n;
    rc = n > 0 ? chain_resample(c, jabbertts_stream_rate(s), part, n, &e) : chain_advance(c, &e);
    return rc < 0 ? engine_return(error, &e, rc) : 0;
}

/* n samples are handed over: no more than the request asked for. */
static int chain_count(struct chain *c, int n)
{
    size_t left = c->n_max - c->n_out;
    if ((size_t)n > left)
        n = (int)left;
    c->n_out += (size_t)n;
    if (c->n_out == c->n_max) {
        c->cut = c->at < c->n;
        c->at = c->n;
        buf_clear(&c->bytes);
        c->n_taken = 0;
    }
    return n;
}

int chain_read(struct chain *c, chain_reader read, float *pcm, int n_max, struct jabbertts_error *e)
{
    struct jabbertts_error why = {0};
    int n = 0;
    if (c->failure.code) {
        if (e)
            *e = c->failure;
        return c->failure.code;
    }
    if (n_max <= 0)
        return engine_return(e, &(struct err){ERR_ARGUMENT, "no room for samples"}, ERR_ARGUMENT);
    while (n == 0 && (c->bytes.len > 0 || c->at < c->n))
        n = c->bytes.len > 0 ? chain_take(c, pcm, n_max) : chain_step(c, read, pcm, n_max, &why);
    if (n > 0)
        n = chain_count(c, n);
    if (n == JABBERTTS_AGAIN)
        return n;
    if (n <= 0 && c->ended == 0)
        c->ended = engine_now();
    if (n < 0) {
        c->failure = why;
        if (e)
            *e = why;
    }
    return n;
}

/* --- the rest --- */

void chain_on_ready(struct chain *c, void (*fn)(void *cookie), void *cookie)
{
    c->on_ready = fn;
    c->ready_cookie = cookie;
    for (int i = 0; i < c->n; i++)
        if (c->link[i].stream)
            jabbertts_stream_on_ready(c->link[i].stream, fn, cookie);
}

void chain_progress(const struct chain *c, struct jabbertts_progress *ret)
{
    struct jabbertts_progress sum = {.wait_s = -1, .first_audio_s = -1}, p;
    for (int i = 0; i < c->n; i++) {
        const struct jabbertts_stream *s = c->link[i].stream;
        if (!s) {
            sum.n_piece += !c->link[i].begun;
            continue;
        }
        jabbertts_stream_progress(s, &p);
        sum.n_piece += p.n_piece;
        sum.piece += p.piece;
        sum.n_token += p.n_token;
        sum.n_frame += p.n_frame;
        sum.n_truncated += p.n_truncated;
        sum.n_repaired += p.n_repaired;
        sum.n_ignored += p.n_ignored;
        sum.n_sample += p.n_sample * (size_t)c->model->rate / (size_t)jabbertts_stream_rate(s);
        sum.wait_s = sum.wait_s < 0 ? p.wait_s : sum.wait_s;
        sum.first_audio_s = sum.first_audio_s < 0 ? p.first_audio_s : sum.first_audio_s;
    }
    if (c->cut && sum.n_truncated == 0)
        sum.n_truncated = sum.n_piece > sum.piece ? sum.n_piece - sum.piece : 1;
    if (c->ended > 0)
        sum.n_sample = c->n_out;
    sum.elapsed_s = (c->ended > 0 ? c->ended : engine_now()) - c->submitted;
    *ret = sum;
}

void chain_cancel(struct chain *c)
{
    pthread_mutex_lock(&c->lock);
    c->cancelled = true;
    for (int i = 0; i < c->n; i++)
        if (c->link[i].stream)
            jabbertts_cancel(c->link[i].stream);
    pthread_mutex_unlock(&c->lock);
}

void chain_free(struct chain *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++)
        jabbertts_stream_free(c->link[i].stream);
    const struct jabbertts_request *r = &c->request;
    const char *const strings[] = {r->text, r->voice, r->owner, r->language, r->instructions};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        mem_free((void *)(uintptr_t)strings[i]);
    audio_encoder_free(c->resample);
    buf_done(&c->bytes);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->link);
    mem_free(c);
}
