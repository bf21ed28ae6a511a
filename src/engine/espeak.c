/* espeak.c - espeak-ng as an engine beside the neural one: any of its languages, at once.
 *
 * There is no thread and no queue: the reader's own jabbertts_read speaks the next piece of text, a
 * millisecond or two of work under espeak-ng's lock, and hands it out.  So it can neither wait for
 * the neural engine nor keep it waiting. */
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "audio/effect.h"
#include "base/buf.h"
#include "text/libespeak.h"

#define PIECE_MAX_SECONDS 600 /* of sound from one piece of text */
#define VOICE_BYTES       64

struct espeak_stream {
    char voice[VOICE_BYTES];
    struct buf pcm;        /* float samples of the piece being read */
    struct effect *effect; /* for pieces with a rate or volume; made when the first comes */
    size_t at;             /* of which so many were handed out */
    size_t pause;          /* samples of silence after them */
    size_t n_left;         /* samples that max_seconds still allows */
    double deadline;
    bool ended; /* and counted as such */
};

/* The voices every OpenAI client knows, as speakers of whatever language is spoken. */
static const struct {
    const char *name, *variant;
} speakers[] = {
    {"alloy", "f2"}, {"ash", "m3"},        {"ballad", "m1"}, {"cedar", "m7"}, {"coral", "f3"},
    {"echo", "m2"},  {"fable", "m4"},      {"marin", "f5"},  {"nova", "f4"},  {"onyx", "m8"},
    {"sage", "f1"},  {"shimmer", "steph"}, {"verse", "m6"},
};
#define N_SPEAKER (int)(sizeof speakers / sizeof *speakers)

bool engine_wants_espeak(const struct jabbertts *tts, const struct jabbertts_request *r)
{
    return r->model ? strcmp(r->model, ENGINE_ESPEAK) == 0 : !tts->has_model;
}

const char *jabbertts_espeak_voice(int i, const char **name)
{
    const struct libespeak_voice *v = libespeak_voice_at(i);
    if (v && name)
        *name = v->name;
    return v ? v->language : NULL;
}

const char *engine_espeak_alias(int i)
{
    return i >= 0 && i < N_SPEAKER ? speakers[i].name : NULL;
}

/* A voice and a language (NULL: none asked for) as espeak-ng's LANGUAGE+VARIANT: the voice may be
 * both or either, and the language goes before the voice's own. */
static int choose_voice(const char *name, const char *language, char voice[VOICE_BYTES],
                        struct err *e)
{
    const char *asked = name ? name : ENGINE_ESPEAK_VOICE, *variant = "";
    size_t n_language = strcspn(asked, "+");
    if (asked[n_language])
        variant = asked + n_language + 1;
    for (int i = 0; i < N_SPEAKER; i++)
        if (strcmp(asked, speakers[i].name) == 0) {
            variant = speakers[i].variant;
            asked = ENGINE_ESPEAK_VOICE;
            n_language = strlen(asked);
        }
    if (language) {
        asked = language;
        n_language = strlen(asked);
    }
    int n = snprintf(voice, VOICE_BYTES, "%.*s%s%s", (int)n_language, asked, *variant ? "+" : "",
                     variant);
    if (n < 0 || n >= VOICE_BYTES)
        return err_set(e, ERR_NOT_FOUND, "no voice of espeak-ng has a name as long as %d bytes", n);
    int rc = libespeak_begin(voice, e);
    if (rc < 0)
        return err_wrap(e, "voice \"%.40s\" (`jabbertts voices --model espeak-ng` lists them)",
                        name ? name : voice);
    libespeak_end();
    return 0;
}

/* The engine's counts of streams: this one came in, or ended with rc. */
static void count_stream(struct jabbertts_stream *s, int rc)
{
    struct jabbertts_load *l = &s->tts->load;
    pthread_mutex_lock(&s->tts->lock);
    if (rc > 0)
        l->n_submitted++;
    else if (!s->espeak->ended) {
        *(rc == 0 ? &l->n_finished : rc == ERR_CANCELLED ? &l->n_cancelled : &l->n_failed) += 1;
        l->n_truncated += rc == 0 ? (uint64_t)s->progress.n_truncated : 0;
        s->espeak->ended = true;
    }
    pthread_mutex_unlock(&s->tts->lock);
}

/* Pieces with a voice or language of their own get the voice that says them. */
static int choose_voices(struct jabbertts_stream *s, const struct jabbertts_request *r,
                         struct err *e)
{
    char voice[VOICE_BYTES];
    for (int i = 0; i < s->pieces.n; i++) {
        struct text_piece *p = &s->pieces.piece[i];
        if (!p->voice && !p->language)
            continue;
        const char *language = p->language ? p->language : p->voice ? NULL : r->language;
        int rc = choose_voice(p->voice ? p->voice : r->voice, language, voice, e);
        if (rc < 0)
            return rc;
        mem_free(p->voice);
        p->voice = mem_strndup(voice, VOICE_BYTES);
        if (!p->voice)
            return err_set(e, ERR_MEMORY, "out of memory for a request");
    }
    return 0;
}

int engine_espeak_fill(struct jabbertts_stream *s, const struct jabbertts_request *r, struct err *e)
{
    struct espeak_stream *es = mem_try(1, sizeof *es);
    if (!es)
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    s->espeak = es;
    buf_init(&es->pcm, (size_t)PIECE_MAX_SECONDS * (size_t)libespeak_rate() * sizeof(float));
    if (r->reference)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng cannot clone a voice");
    int rc = choose_voice(r->voice, r->language, es->voice, e);
    if (rc < 0)
        return rc;
    struct text_options text = {.frontend = TEXT_WORDS,
                                .language = r->language,
                                .markup = engine_markup(r),
                                .as_written = !r->normalize,
                                .lexicon = s->tts->lexicon};
    if ((rc = text_split(r->text, strlen(r->text), &text, &s->pieces, e)) < 0 ||
        (rc = choose_voices(s, r, e)) < 0)
        return rc;
    es->n_left = r->max_seconds > 0 ? (size_t)ceil(r->max_seconds * libespeak_rate()) : SIZE_MAX;
    es->deadline = r->deadline_s > 0 ? s->submitted + r->deadline_s : INFINITY;
    s->state = STREAM_DONE; /* nothing of it is ever with the engine thread */
    s->progress.n_piece = s->pieces.n;
    s->progress.n_ignored = s->pieces.n_ignored;
    s->progress.first_audio_s = -1; /* wait_s is 0: it has no queue */
    count_stream(s, 1);
    return 0;
}

void engine_espeak_free(struct jabbertts_stream *s)
{
    struct espeak_stream *es = s->espeak;
    if (!es)
        return;
    if (s->pieces.n)
        count_stream(s, ERR_CANCELLED);
    effect_free(es->effect);
    buf_done(&es->pcm);
    mem_free(es);
}

static bool is_cancelled(struct jabbertts_stream *s)
{
    pthread_mutex_lock(&s->tts->lock);
    bool cancel = s->cancel;
    pthread_mutex_unlock(&s->tts->lock);
    return cancel;
}

/* What the effect has ready. */
static int take_effect(struct espeak_stream *es)
{
    float pcm[1024];
    int n, rc = 0;
    while (rc == 0 && (n = effect_read(es->effect, pcm, 1024)) > 0)
        rc = buf_add(&es->pcm, pcm, (size_t)n * sizeof *pcm);
    return rc;
}

static bool espeak_has_effect(const struct text_piece *p)
{
    return p->rate != 1 || p->volume != 1;
}

static int espeak_on_speech(void *cookie, const int16_t *pcm, int n)
{
    struct jabbertts_stream *s = cookie;
    struct espeak_stream *es = s->espeak;
    const struct text_piece *p = &s->pieces.piece[s->progress.piece];
    float v[1024];
    int rc = is_cancelled(s) ? ERR_CANCELLED : 0;
    for (int i = 0, m; i < n && rc == 0; i += m) {
        for (m = 0; m < 1024 && i + m < n; m++)
            v[m] = (float)pcm[i + m] / 32768.0f;
        if (!espeak_has_effect(p))
            rc = buf_add(&es->pcm, v, (size_t)m * sizeof *v);
        else if ((rc = effect_write(es->effect, v, m, NULL)) == 0)
            rc = take_effect(es);
    }
    return rc;
}

/* A piece of text to sound in pcm. */
static int speak(struct jabbertts_stream *s, const struct text_piece *p, struct err *e)
{
    struct espeak_stream *es = s->espeak;
    int rc = 0;
    if (!p->text[0])
        return 0;
    if (espeak_has_effect(p) && !es->effect)
        rc = effect_new(libespeak_rate(), &es->effect, e);
    if (rc < 0)
        return rc;
    if (espeak_has_effect(p))
        effect_begin(es->effect, p->rate, p->volume);
    rc = text_speech(p->text, p->voice ? p->voice : es->voice, espeak_on_speech, s, e);
    if (rc == 0 && espeak_has_effect(p)) {
        effect_end(es->effect);
        rc = take_effect(es);
    }
    return rc;
}

/* (lock) The whole piece is made before any of it is read: its marks are known. */
static void mark_piece(struct jabbertts_stream *s, int i)
{
    struct espeak_stream *es = s->espeak;
    size_t first = s->progress.n_sample, n = es->pcm.len / sizeof(float);
    s->progress.n_sample = first + n;
    stream_mark_piece(s, i, first, false);
    s->progress.n_sample += es->pause;
    stream_mark_piece(s, i, first, true);
    s->progress.n_sample = first;
}

/* Speak the next piece into pcm.  1: done, 0: there is none. */
static int next_piece(struct jabbertts_stream *s, struct err *e)
{
    struct espeak_stream *es = s->espeak;
    int i = s->progress.piece;
    buf_clear(&es->pcm);
    es->at = 0;
    if (i >= s->pieces.n)
        return 0;
    const struct text_piece *p = &s->pieces.piece[i];
    int rc = speak(s, p, e);
    if (rc == ERR_LIMIT)
        return err_set(e, rc, "a piece of text is longer than %d s of speech", PIECE_MAX_SECONDS);
    if (rc == ERR_CANCELLED || rc == ERR_MEMORY)
        return err_set(e, rc, rc == ERR_MEMORY ? "out of memory for speech" : "cancelled");
    if (rc < 0 && rc != ERR_ARGUMENT) /* the last: letters that are never spoken */
        return rc;
    es->pause = i + 1 < s->pieces.n ? (size_t)p->pause_ms * (size_t)libespeak_rate() / 1000 : 0;
    pthread_mutex_lock(&s->tts->lock);
    mark_piece(s, i);
    s->progress.piece++;
    pthread_mutex_unlock(&s->tts->lock);
    return 1;
}

/* What is ready: up to n_max samples of speech, then of silence. */
static size_t espeak_take(struct espeak_stream *es, float *pcm, size_t n_max)
{
    size_t n = es->pcm.len / sizeof *pcm - es->at;
    n = n < n_max ? n : n_max;
    if (n) {
        memcpy(pcm, es->pcm.data + es->at * sizeof *pcm, n * sizeof *pcm);
        es->at += n;
        return n;
    }
    n = es->pause < n_max ? es->pause : n_max;
    memset(pcm, 0, n * sizeof *pcm);
    es->pause -= n;
    return n;
}

static void espeak_count(struct jabbertts_stream *s, size_t n)
{
    struct jabbertts_progress *p = &s->progress;
    pthread_mutex_lock(&s->tts->lock);
    p->elapsed_s = engine_now() - s->submitted;
    if (n && p->first_audio_s < 0)
        p->first_audio_s = p->elapsed_s;
    p->n_sample += n;
    s->tts->load.audio_s += (double)n / libespeak_rate();
    if (s->espeak->n_left == 0) /* what max_seconds left out, a piece cut short included */
        p->n_truncated =
            p->n_piece - p->piece + (s->espeak->at < s->espeak->pcm.len / sizeof(float));
    pthread_mutex_unlock(&s->tts->lock);
}

static int read_some(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e)
{
    struct espeak_stream *es = s->espeak;
    size_t n = 0;
    if (is_cancelled(s))
        return err_set(e, ERR_CANCELLED, "cancelled");
    if (engine_now() > es->deadline)
        return err_set(e, ERR_DEADLINE, "the deadline passed after %zu samples",
                       s->progress.n_sample);
    if (n_max <= 0)
        return err_set(e, ERR_ARGUMENT, "room for %d samples, wanted at least 1", n_max);
    size_t most = (size_t)n_max < es->n_left ? (size_t)n_max : es->n_left;
    while (most && (n = espeak_take(es, pcm, most)) == 0) {
        int rc = next_piece(s, e);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
    }
    if (es->n_left != SIZE_MAX)
        es->n_left -= n;
    espeak_count(s, n);
    return (int)n;
}

int engine_espeak_read(struct jabbertts_stream *s, float *pcm, int n_max, struct err *e)
{
    int n = read_some(s, pcm, n_max, e);
    if (n <= 0)
        count_stream(s, n);
    return n;
}
