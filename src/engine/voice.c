/* voice.c - the voices of a model, and voices made from clips. */
#include "engine/voice_store.h"

#include <string.h>

#include "audio/audio.h"
#include "audio/finish.h"

const char *jabbertts_voice_name(const struct jabbertts *tts, int i)
{
    struct jabbertts_voice_info info;
    return jabbertts_voice_at(tts, i, &info) < 0 ? NULL : info.name;
}

int jabbertts_voice_at(const struct jabbertts *tts, int i, struct jabbertts_voice_info *ret)
{
    return tts->kind->voice(tts, i, ret);
}

const char *jabbertts_voice_alias(const struct jabbertts *tts, int i, const char **name)
{
    return tts->kind->alias(tts, i, name);
}

const char *jabbertts_voice_default(const struct jabbertts *tts)
{
    return tts->kind->default_voice(tts);
}

int jabbertts_voices_imitated(const struct jabbertts *tts)
{
    return tts->model != NULL && dual_ar_of(tts)->stock != NULL;
}

_Static_assert(JABBERTTS_CLIPS_MAX == LIMIT_REFERENCES, "one limit, two headers");

/* --- from a clip --- */

/* Run codec_encode on the engine thread and wait for it. */
static int voice_encode_clip(struct jabbertts *tts, const float *pcm, size_t n_sample,
                             int32_t *codes, struct err *e)
{
    struct encode_job j = {.pcm = pcm, .n_sample = n_sample, .codes = codes};
    struct front *f = engine_lock(tts);
    struct encode_job **p = &f->jobs;
    int n = 0;
    for (; *p; p = &(*p)->next)
        n++;
    if (n >= LIMIT_ENCODING) {
        engine_unlock(tts);
        return err_set(e, ERR_BUSY, "%d recordings wait to be encoded, the limit; try again later",
                       n);
    }
    *p = &j;
    pthread_cond_signal(&tts->wake);
    while (!j.done)
        pthread_cond_wait(&tts->all->changed, &tts->all->lock);
    engine_unlock(tts);
    if (j.rc < 0)
        *e = j.err;
    return j.rc;
}

static int voice_text(const struct jabbertts *tts, const char *text, char **ret, struct err *e)
{
    if (strlen(text) > LIMIT_VOICE_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "the transcript has %zu bytes, the limit is %d", strlen(text),
                       LIMIT_VOICE_TEXT_BYTES);
    if (tts->model->spec.espeak_ipa && *text)
        return text_phonemes(text, NULL, ret, e);
    *ret = mem_strndup(text, LIMIT_VOICE_TEXT_BYTES);
    return *ret ? 0 : err_set(e, ERR_MEMORY, "out of memory for a transcript");
}

/* Scales a clip to the level of the training data, which the model's gain tells; without a gain the
 * clip stays as it is. */
static double voice_lufs(const struct jabbertts *tts)
{
    float gain_db = tts->model->spec.codec.gain_db;
    return gain_db != 0 ? FINISH_LUFS - (double)gain_db : 0;
}

struct jabbertts_voice *voice_new(const struct jabbertts *tts, int n_clip)
{
    struct jabbertts_voice *v = mem_try(1, sizeof *v);
    if (!v)
        return NULL;
    v->tts = tts;
    v->clip = mem_try((size_t)n_clip, sizeof *v->clip);
    v->n_clip = v->clip ? n_clip : 0;
    if (!v->clip) {
        mem_free(v);
        return NULL;
    }
    return v;
}

int voice_set_clip(struct jabbertts_voice *v, int i, const char *text, const int32_t *codes,
                   int n_frame, struct err *e)
{
    size_t n = (size_t)n_frame * (size_t)v->tts->model->spec.lm.n_codebook;
    char *text_copy = mem_strndup(text, LIMIT_VOICE_TEXT_BYTES * 4);
    int32_t *codes_copy = mem_try(n, sizeof *codes);
    v->clip[i] = (struct prompt_reference){text_copy, codes_copy, n_frame};
    if (!text_copy || !codes_copy)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    memcpy(codes_copy, codes, n * sizeof *codes);
    return 0;
}

/* pcm is changed. */
static int voice_make(struct jabbertts *tts, float *pcm, size_t n_sample, const char *text,
                      struct prompt_reference *clip, struct err *e)
{
    int hz = jabbertts_sample_rate(tts), rc;
    if (!tts->model)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng cannot clone a voice");
    if (n_sample < (size_t)hz / 2)
        return err_set(e, ERR_ARGUMENT, "the clip is %.2f s long, at least 0.5 s are needed",
                       (double)n_sample / hz);
    if (n_sample > (size_t)hz * LIMIT_REFERENCE_SECONDS)
        return err_set(e, ERR_LIMIT, "the clip is %.1f s long, the limit is %d s",
                       (double)n_sample / hz, LIMIT_REFERENCE_SECONDS);
    if ((rc = audio_prepare_speech(pcm, &n_sample, hz, voice_lufs(tts), e)) < 0)
        return rc;
    size_t frame = (size_t)tts->model->spec.codec.frame_samples;
    size_t n_codebook = (size_t)tts->model->spec.lm.n_codebook;
    char *read = NULL;
    clip->n_frame = (int)((n_sample + frame - 1) / frame);
    int32_t *codes = mem_try((size_t)clip->n_frame * n_codebook, sizeof *codes);
    clip->codes = codes;
    if (!codes)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    if ((rc = voice_text(tts, text, &read, e)) < 0)
        return rc;
    clip->text = read;
    return voice_encode_clip(tts, pcm, n_sample, codes, e);
}

int voice_encode(struct jabbertts *tts, const float *pcm, size_t n, const char *text,
                 struct jabbertts_voice **ret, struct err *e)
{
    struct jabbertts_voice *v = voice_new(tts, 1);
    float *copy = mem_try(n + 1, sizeof *copy);
    int rc;
    if (v && copy) {
        memcpy(copy, pcm, n * sizeof *copy);
        rc = voice_make(tts, copy, n, text, v->clip, e);
    } else {
        rc = err_set(e, ERR_MEMORY, "out of memory for a voice");
    }
    mem_free(copy);
    if (rc < 0)
        jabbertts_voice_free(v);
    else
        *ret = v;
    return rc;
}

static int voice_frames(const struct jabbertts_voice *v)
{
    int n = 0;
    for (int i = 0; i < v->n_clip; i++)
        n += v->clip[i].n_frame;
    return n;
}

int voice_join(struct jabbertts_voice *v, struct jabbertts_voice *more, struct err *e)
{
    const struct jabbertts *tts = v->tts;
    int n = v->n_clip + more->n_clip, n_frame = voice_frames(v) + voice_frames(more);
    int most = tts->max_clip_frames ? tts->max_clip_frames : tts->model->spec.lm.slow.n_position;
    double frame_s = (double)tts->frame_samples / tts->rate;
    if (more->tts != tts)
        return err_set(e, ERR_ARGUMENT, "the clips of a voice are of two models, %.64s and %.64s",
                       tts->name, more->tts->name);
    if (n > LIMIT_REFERENCES)
        return err_set(e, ERR_LIMIT, "a voice of %d clips, the limit is %d", n, LIMIT_REFERENCES);
    if (n_frame > most)
        return err_set(e, ERR_LIMIT,
                       "the clips are %.1f s long together, this model has room for %.1f s beside "
                       "a sentence; leave some out, or use shorter ones",
                       n_frame * frame_s, most * frame_s);
    struct prompt_reference *clip = mem_grow(v->clip, (size_t)n, sizeof *clip);
    if (!clip)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    memcpy(clip + v->n_clip, more->clip, (size_t)more->n_clip * sizeof *clip);
    v->clip = clip;
    v->n_clip = n;
    more->n_clip = 0; /* its clips are v's now */
    jabbertts_voice_free(more);
    return 0;
}

int jabbertts_voice_join(struct jabbertts_voice *v, struct jabbertts_voice *more,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, voice_join(v, more, &e));
}

double jabbertts_clip_seconds(const struct jabbertts *tts)
{
    double seconds = (double)tts->max_clip_frames * tts->frame_samples / tts->rate;
    return seconds < LIMIT_REFERENCE_SECONDS ? seconds : LIMIT_REFERENCE_SECONDS;
}

int voice_decode(struct jabbertts *tts, const struct audio_file *f, double max_seconds, float **pcm,
                 size_t *n, struct err *e)
{
    return audio_decode_memory(f, jabbertts_sample_rate(tts), max_seconds, pcm, n, e);
}

int jabbertts_voice_from_pcm(struct jabbertts *tts, const float *pcm, size_t n_sample,
                             const char *text, struct jabbertts_voice **ret,
                             struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, voice_encode(tts, pcm, n_sample, text ? text : "", ret, &e));
}

int jabbertts_voice_from_file(struct jabbertts *tts, const char *path, const char *text,
                              struct jabbertts_voice **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    float *pcm;
    size_t n;
    int rc =
        audio_decode_file(path, jabbertts_sample_rate(tts), LIMIT_REFERENCE_SECONDS, &pcm, &n, &e);
    if (rc < 0)
        return engine_return(error, &e, rc);
    rc = jabbertts_voice_from_pcm(tts, pcm, n, text, ret, error);
    mem_free(pcm);
    return rc;
}

static int voice_check_codes(const struct jabbertts *tts, const int32_t *codes, int n_frame,
                             const char *text, struct err *e)
{
    if (!tts->model)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng cannot clone a voice");
    const struct spec_lm *lm = &tts->model->spec.lm;
    if (!text || n_frame < 1 || n_frame > lm->slow.n_position)
        return err_set(e, ERR_ARGUMENT, "a voice of %d frames, must be 1 to %d, and a text",
                       n_frame, lm->slow.n_position);
    for (size_t i = 0; i < (size_t)n_frame * (size_t)lm->n_codebook; i++)
        if (codes[i] < 0 || codes[i] >= lm->codebook_size)
            return err_set(e, ERR_ARGUMENT, "code %zu is %d, must be 0 to %d", i, (int)codes[i],
                           lm->codebook_size - 1);
    return 0;
}

int jabbertts_voice_from_codes(struct jabbertts *tts, const int32_t *codes, int n_frame,
                               const char *text, struct jabbertts_voice **ret,
                               struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts_voice *v = NULL;
    int rc = voice_check_codes(tts, codes, n_frame, text, &e);
    if (rc == 0 && !(v = voice_new(tts, 1)))
        rc = err_set(&e, ERR_MEMORY, "out of memory for a voice");
    if (rc == 0)
        rc = voice_set_clip(v, 0, text, codes, n_frame, &e);
    if (rc < 0)
        jabbertts_voice_free(v);
    else
        *ret = v;
    return engine_return(error, &e, rc);
}

void jabbertts_voice_free(struct jabbertts_voice *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->n_clip; i++) {
        mem_free((void *)(uintptr_t)v->clip[i].text);
        mem_free((void *)(uintptr_t)v->clip[i].codes);
    }
    mem_free(v->clip);
    mem_free(v);
}
