/* espeak.c - espeak-ng as an engine: any of its languages, letters in, a robot's voice out.
 *
 * Its thread speaks a piece of text at a time, a millisecond or two of work under espeak-ng's lock,
 * for the stream that runs dry first; a stream whose reader falls behind pauses; others go on. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/stream.h"
#include "text/libespeak.h"

#define PIECE_MAX_SECONDS 600 /* of sound from one piece of text */
#define VOICE_BYTES       64
#define ESPEAK_VOICE      "en-us" /* the default */

struct espeak_work { /* of a stream */
    char voice[VOICE_BYTES];
    size_t n_piece; /* samples of the piece in hand, before its effects */
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

/* --- voices ------------------------------------------------------------------------------------
 */

const char *jabbertts_espeak_voice(int i, const char **name)
{
    const struct libespeak_voice *v = libespeak_voice_at(i);
    if (v && name)
        *name = v->name;
    return v ? v->language : NULL;
}

static int espeak_voice(const struct jabbertts *tts, int i, struct jabbertts_voice_info *ret)
{
    const struct libespeak_voice *v = libespeak_voice_at(i);
    (void)tts;
    if (!v)
        return ERR_NOT_FOUND;
    *ret = (struct jabbertts_voice_info){v->language, v->language, v->name};
    return 0;
}

static const char *espeak_alias(const struct jabbertts *tts, int i, const char **name)
{
    (void)tts;
    *name = ESPEAK_VOICE;
    return i >= 0 && i < N_SPEAKER ? speakers[i].name : NULL;
}

static const char *espeak_default_voice(const struct jabbertts *tts)
{
    (void)tts;
    return ESPEAK_VOICE;
}

/* A voice and a language (NULL: none asked for) as espeak-ng's LANGUAGE+VARIANT: the voice may be
 * both or either, and the language goes before the voice's own. */
static int choose_voice(const char *name, const char *language, char voice[VOICE_BYTES],
                        struct err *e)
{
    const char *asked = name ? name : ESPEAK_VOICE, *variant = "";
    size_t n_language = strcspn(asked, "+");
    if (asked[n_language])
        variant = asked + n_language + 1;
    for (int i = 0; i < N_SPEAKER; i++)
        if (strcmp(asked, speakers[i].name) == 0) {
            variant = speakers[i].variant;
            asked = ESPEAK_VOICE;
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
        return err_wrap(e, "voice \"%.40s\"", name ? name : voice);
    libespeak_end();
    return 0;
}

/* --- a request ---------------------------------------------------------------------------------
 */

/* Pieces with a voice or language of their own get the voice that says them. */
static int choose_voices(struct text_pieces *pieces, const struct jabbertts_request *r,
                         struct err *e)
{
    char voice[VOICE_BYTES];
    for (int i = 0; i < pieces->n; i++) {
        struct text_piece *p = &pieces->piece[i];
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

static int espeak_prepare(struct jabbertts_stream *s, const struct jabbertts_request *r,
                          struct err *e)
{
    struct espeak_work *w = s->work = mem_try(1, sizeof *w);
    struct text_options text = stream_text_options(s, r);
    int rc;
    if (!w)
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    if (r->reference)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng cannot clone a voice");
    if ((rc = choose_voice(r->voice, r->language, w->voice, e)) < 0 ||
        (rc = text_split(r->text, strlen(r->text), &text, &s->ask.pieces, e)) < 0 ||
        (rc = choose_voices(&s->ask.pieces, r, e)) < 0)
        return rc;
    for (int i = 0; i < s->ask.pieces.n; i++)
        if ((rc = text_piece_read(&s->ask.pieces.piece[i], &text, e)) < 0)
            return rc;
    if (r->max_seconds > 0)
        s->ask.max_samples = (size_t)ceil(r->max_seconds * s->ask.tts->rate);
    return 0;
}

static int espeak_identify(struct jabbertts *tts, const struct jabbertts_request *r, struct take *t,
                           struct err *e)
{
    (void)tts;
    (void)r;
    (void)t;
    return err_set(e, ERR_UNSUPPORTED, "espeak-ng is never the same to the sample twice");
}

static void espeak_forget(struct jabbertts_stream *s)
{
    mem_free(s->work);
}

/* --- speaking ----------------------------------------------------------------------------------
 */

static bool espeak_is_cancelled(struct jabbertts_stream *s)
{
    struct front *f = engine_lock(s->ask.tts);
    bool cancel = stream_out(s, f)->cancel || f->closing;
    engine_unlock(s->ask.tts);
    return cancel;
}

static int espeak_on_speech(void *cookie, const int16_t *pcm, int n)
{
    struct jabbertts_stream *s = cookie;
    struct espeak_work *w = s->work;
    float v[1024];
    w->n_piece += (size_t)n;
    if (w->n_piece > (size_t)PIECE_MAX_SECONDS * (size_t)s->ask.tts->rate)
        return ERR_LIMIT;
    if (espeak_is_cancelled(s))
        return ERR_CANCELLED;
    for (int i = 0, m; i < n; i += m) {
        for (m = 0; m < 1024 && i + m < n; m++)
            v[m] = (float)pcm[i + m] / 32768.0f;
        if (s->sound.n_sample == s->ask.max_samples)
            s->sound.cut = true;
        if (s->sound.cut)
            return ERR_CANCELLED;
        stream_write(s, v, (size_t)m, 0);
        if (s->sound.broken.code)
            return s->sound.broken.code;
    }
    return 0;
}

/* The next piece of a stream, to its end; failures go to broken. */
static void espeak_speak(struct jabbertts_stream *s)
{
    const struct text_pieces *pieces = &s->ask.pieces;
    struct espeak_work *w = s->work;
    int i = s->sound.i_head, rc = 0;
    const struct text_piece *p = &pieces->piece[i];
    struct err e = {0};
    w->n_piece = 0;
    if (p->text[0])
        rc = text_speech(p->text, p->voice ? p->voice : w->voice, espeak_on_speech, s, &e);
    if (rc == ERR_LIMIT)
        err_set(&e, rc, "a piece of text is longer than %d s of speech", PIECE_MAX_SECONDS);
    if (rc == ERR_MEMORY || (rc == ERR_CANCELLED && !s->sound.cut))
        err_set(&e, rc, rc == ERR_MEMORY ? "out of memory for speech" : "cancelled");
    if (rc < 0 && rc != ERR_ARGUMENT &&
        !s->sound.cut) { /* ERR_ARGUMENT: a script that espeak-ng does not speak */
        if (!s->sound.broken.code)
            s->sound.broken = e;
        return;
    }
    bool spent = s->sound.n_sample == s->ask.max_samples;
    struct piece_end end = {.spoken = !s->sound.cut,
                            .n_truncated = spent ? pieces->n - i - !s->sound.cut : 0,
                            .last = spent || i + 1 == pieces->n};
    stream_end_piece(s, &end);
}

static struct jabbertts_stream *espeak_next(struct front *f)
{
    struct jabbertts_stream *best = NULL;
    for (struct jabbertts_stream *s = f->open; s; s = stream_out(s, f)->next)
        if (stream_unread_s(s, stream_out(s, f)) < POLICY_SOUND_S &&
            (!best || stream_runs_dry(s) < stream_runs_dry(best)))
            best = s;
    return best;
}

static bool espeak_turn(struct jabbertts *tts, struct front *f)
{
    double now = engine_now();
    struct jabbertts_stream *s = espeak_next(f);
    if (!s)
        return false;
    size_t before = s->sound.n_sample;
    stream_begin(s, f, now);
    engine_unlock(tts);
    espeak_speak(s);
    engine_lock(tts);
    engine_account(f, engine_now() - now, 0, (double)(s->sound.n_sample - before) / tts->rate);
    return true;
}

static void espeak_drop(struct jabbertts *tts, struct jabbertts_stream *s)
{
    (void)tts;
    (void)s;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static int espeak_open(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    (void)o;
    (void)e;
    tts->frontend = TEXT_WORDS;
    tts->rate = libespeak_rate();
    tts->isa = "none";
    tts->n_thread = 1;
    return 0;
}

static void espeak_close(struct jabbertts *tts)
{
    (void)tts;
}

const struct voice_engine engine_espeak = {
    .name = ENGINE_ESPEAK,
    .open = espeak_open,
    .close = espeak_close,
    .turn = espeak_turn,
    .drop = espeak_drop,
    .prepare = espeak_prepare,
    .forget = espeak_forget,
    .identify = espeak_identify,
    .voice = espeak_voice,
    .alias = espeak_alias,
    .default_voice = espeak_default_voice,
};
