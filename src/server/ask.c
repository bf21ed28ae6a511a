#include "server/ask.h"

#include <string.h>

#include "base/near.h"
#include "server/daemon.h"
#include "server/kokoro.h"
#include "server/recordings.h"

#define SILENCE_S 0.2 /* for a text without anything to say */

static void ask_ignore(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    (void)v;
}

static bool ask_voice_known(struct server *s, const struct jabbertts_request *q)
{
    const struct jabbertts *tts = models_find(s, q->model);
    const struct jabbertts_which which = {JABBERTTS_VOICE, q->owner, q->voice, 0};
    const char *voice = q->voice;
    const char *name, *target;
    for (int i = 0; (name = jabbertts_voice_name(tts, i)); i++)
        if (strcmp(name, voice) == 0)
            return true;
    for (int i = 0; (name = jabbertts_voice_alias(tts, i, &target)); i++)
        if (strcmp(name, voice) == 0)
            return true;
    return s->store && jabbertts_store_get(s->store, &which, ask_ignore, NULL, NULL) == 0;
}

static int ask_fail_voice(struct server *s, const struct jabbertts_request *q, struct api_error *e)
{
    const struct jabbertts *tts = models_find(s, q->model);
    const char *voice = q->voice;
    const char *name, *target;
    struct near near;
    int n = 0;
    near_init(&near, voice);
    for (int i = 0; (name = jabbertts_voice_name(tts, i)); i++, n++)
        near_try(&near, name);
    for (int i = 0; (name = jabbertts_voice_alias(tts, i, &target)); i++, n++)
        near_try(&near, name);
    const char *best = near_found(&near);
    return api_fail(e, FAULT_INVALID_VALUE, "voice",
                    "there is no voice '%.64s'%s%s%s GET /v1/audio/voices lists %d.", voice,
                    best ? "; did you mean '" : ".", best ? best : "", best ? "'?" : "", n);
}

int ask_check_model(struct server *s, const char *id, struct api_error *e)
{
    return models_find(s, id) ? 0 : models_refuse(s, id, e);
}

static bool ask_is_espeak(struct server *s, const char *id)
{
    struct jabbertts_model_info m;
    jabbertts_model_info(models_find(s, id), &m);
    return strcmp(m.engine, "espeak-ng") == 0;
}

/* The field that a refused request has to change. */
static int ask_fail_submit(struct server *s, const struct speech_params *p,
                           const struct jabbertts_error *why, struct api_error *e)
{
    const char *voice = p->request.voice;
    if (strstr(why->message, "samples a second"))
        return api_fail_engine(e, "sample_rate", why);
    if (why->code != JABBERTTS_ERR_NOT_FOUND)
        return api_fail_engine(e, "input", why);
    if (ask_is_espeak(s, p->model))
        return api_fail_engine(e, "voice", why);
    /* A language that espeak-ng does not know is not found either. */
    return !voice || ask_voice_known(s, &p->request) ? api_fail_engine(e, "language", why)
                                                     : ask_fail_voice(s, &p->request, e);
}

/* The recordings that the request brings, as its voice. */
static int ask_imitate(struct server *s, struct speech_params *p, struct api_error *e)
{
    struct recordings c = {.n = 0};
    const char *field = p->references ? "references" : "ref_audio";
    int rc = 0;
    if (p->imitated || (!p->references && !p->ref_audio))
        return 0;
    if (p->request.voice || (p->references && p->ref_audio))
        return api_fail(e, FAULT_INVALID_VALUE, field,
                        "'%s' and '%s' both choose a voice; send one", field,
                        p->request.voice ? "voice" : "ref_audio");
    rc = p->references ? recordings_read(&c, field, p->references, e)
                       : recordings_add_base64(&c, field, p->ref_audio, p->ref_text, e);
    if (rc == 0)
        rc = recordings_voice(&c, field, models_find(s, p->model), &p->imitated, e);
    recordings_done(&c);
    p->request.reference = p->imitated;
    return rc;
}

int ask_prepare(struct server *s, struct speech_params *p, const char *owner, struct api_error *e)
{
    struct jabbertts_model_info model;
    const char *other;
    if (p->request.voice && strcmp(p->request.voice, "default") == 0)
        p->request.voice = NULL;
    if (ask_imitate(s, p, e) < 0)
        return -1;
    jabbertts_model_info(models_find(s, p->model), &model);
    p->request.model = model.name;
    p->request.owner = owner;
    p->request.fallback = s->o.fallback;
    if (!s->o.fallback)
        jabbertts_unread(s->tts, &p->request, &p->unread);
    if (!p->request.voice || ask_voice_known(s, &p->request))
        return 0;
    if ((other = kokoro_voice(p->request.voice)))
        p->request.voice = other;
    else if (strchr(p->request.voice, '+') && !ask_is_espeak(s, p->model))
        return api_fail(e, FAULT_UNSUPPORTED, "voice",
                        "'%.64s' is a mixture of voices, and those tried sounded like one of them "
                        "(docs/QUALITY.md); name one voice",
                        p->request.voice);
    return 0;
}

int ask_submit(struct server *s, struct speech_params *p, const struct asker *who,
               struct pump **ret, struct api_error *e)
{
    struct jabbertts_error why;
    if (ask_prepare(s, p, who->owner, e) < 0)
        return -1;
    p->request.deadline_s = who->deadline_s;
    p->request.background = who->background;
    const struct pump_options options = {.sink = who->sink,
                                         .volume = p->volume == 1 ? 0 : p->volume,
                                         .silence_s = s->o.refuse_silence ? 0 : SILENCE_S};
    int rc = pump_new(s->tts, &p->request, &p->encoder, &options, ret, &why);
    return rc < 0 ? ask_fail_submit(s, p, &why, e) : 0;
}

int ask_fail_short(const struct pump *pump, struct api_error *e)
{
    struct jabbertts_progress p;
    pump_progress(pump, &p);
    return api_fail(e, FAULT_INCOMPLETE, NULL,
                    "the model did not come to the end of %d of %d sentences; try another seed, or "
                    "shorter sentences",
                    p.n_truncated, p.n_piece);
}
