#include "engine/dual_ar/stock.h"

#include <limits.h>
#include <string.h>

#include "audio/audio.h"
#include "engine/voice_store.h"

#define ARENA          ((size_t)16 << 20)
#define SENTENCE_MAX_S 10 /* if the model does not stop by itself */

struct stock {
    struct gguf *file;
    struct spec spec;
    struct voices *voices; /* with codes of the built-in model */
    pthread_mutex_t lock;
    struct jabbertts_voice **made; /* (lock) [n] by this model; NULL: not yet */
    int n;
};

/* --- opening --- */

static int stock_read(struct stock *s, struct voices **names, struct err *e)
{
    int rc = spec_read(s->file, &s->spec, e);
    if (rc == 0)
        rc = voices_read(s->file, &s->spec, &s->voices, e);
    if (rc == 0)
        rc = voices_read(s->file, &s->spec, names, e);
    while (rc == 0 && voices_at(s->voices, s->n))
        s->n++;
    s->made = mem_try((size_t)s->n + 1, sizeof *s->made);
    return rc < 0 || s->made ? rc : err_set(e, ERR_MEMORY, "out of memory for voices");
}

int stock_open(const struct model *m, struct voices **names, struct stock **ret, struct err *e)
{
    char path[PATH_MAX];
    struct voices *theirs = NULL;
    *ret = NULL;
    if (voices_at(m->voices, 0) || engine_model_path(NULL, path, sizeof path, NULL) < 0)
        return 0;
    struct stock *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for voices");
    pthread_mutex_init(&s->lock, NULL);
    int rc = gguf_open(path, &s->file, e);
    if (rc == 0)
        rc = stock_read(s, &theirs, e);
    if (rc < 0) {
        voices_free(theirs);
        stock_close(s);
        return rc;
    }
    voices_free(*names);
    *names = theirs;
    *ret = s;
    return 0;
}

void stock_close(struct stock *s)
{
    if (!s)
        return;
    for (int i = 0; s->made && i < s->n; i++)
        jabbertts_voice_free(s->made[i]);
    mem_free(s->made);
    voices_free(s->voices);
    gguf_close(s->file);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* --- making a voice --- */

/* Codes to samples by the built-in codec, which is loaded for it: once for each voice in use. */
static int stock_decode(const struct stock *s, const struct prompt_reference *v, float *pcm,
                        struct err *e)
{
    struct codec_options o = {.decoder = true};
    struct pool *pool = NULL;
    struct kern_exec *exec = NULL;
    struct mem_arena *arena = mem_arena_new(ARENA);
    struct codec *codec = NULL;
    struct codec_stream *stream = NULL;
    int rc = arena ? pool_new(1, &pool, e) : err_set(e, ERR_MEMORY, "out of memory for a codec");
    if (rc == 0)
        rc = kern_exec_new(NULL, pool, &exec, e);
    struct load from = {s->file, "", exec, KERN_AS_STORED, arena};
    if (rc == 0)
        rc = codec_load(&from, &s->spec.codec, &o, &codec, e);
    if (rc == 0)
        rc = codec_stream_new(codec, &stream, e);
    if (rc == 0)
        codec_decode(codec, stream, v->codes, v->n_frame, pcm, exec);
    if (rc == 0 && !codec_stream_is_finite(stream))
        rc = err_set(e, ERR_IO, "the built-in model's file is damaged, get it again");
    codec_stream_free(stream);
    kern_exec_free(exec);
    pool_free(pool);
    mem_arena_free(arena);
    return rc;
}

/* The voice's recording, which the built-in codec makes of its codes, by this model's encoder. */
static int stock_imitate(struct jabbertts *tts, const struct voice *v, struct jabbertts_voice **ret,
                         struct err *e)
{
    const struct stock *s = dual_ar_of(tts)->stock;
    size_t n = (size_t)v->reference.n_frame * (size_t)s->spec.codec.frame_samples, n_sound;
    float *pcm = mem_try(n + 1, sizeof *pcm), *sound;
    if (!pcm)
        return err_set(e, ERR_MEMORY, "out of memory for voice %s", v->name);
    int rc = stock_decode(s, &v->reference, pcm, e);
    if (rc == 0)
        rc = audio_resample(&(struct audio_sound){pcm, n, s->spec.codec.sample_rate},
                            tts->model->spec.codec.sample_rate, &sound, &n_sound, e);
    mem_free(pcm);
    if (rc < 0)
        return rc;
    rc = voice_encode(tts, sound, n_sound, v->transcript ? v->transcript : "", ret, e);
    mem_free(sound);
    return rc;
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t stock_seed(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

/* For a model without an encoder: it says a fixed sentence without a reference, with a seed derived
 * from the name, and those codes are the voice. */
static int stock_draw(struct jabbertts *tts, const struct voice *v, struct jabbertts_voice **ret,
                      struct err *e)
{
    struct jabbertts_request r;
    struct jabbertts_error why;
    struct jabbertts_stream *s;
    float pcm[1024];
    int n, rc;
    jabbertts_request_init(&r);
    r.text = JABBERTTS_PREVIEW; /* about five seconds, with most sounds of English */
    r.voice = STOCK_NOBODY;
    r.language = "en-us";
    r.seed = stock_seed(v->name);
    r.max_seconds = SENTENCE_MAX_S;
    if ((rc = jabbertts_submit(tts, &r, &s, &why)) < 0)
        return err_set(e, rc, "voice %s cannot be drawn: %s", v->name, why.message);
    while ((n = jabbertts_read(s, pcm, 1024, &why)) > 0)
        ;
    const struct piece *p = work_of(s)->piece; /* the first one's codes stay */
    if (n < 0 || p->made.n_frame == 0) {
        rc = err_set(e, n < 0 ? n : ERR_INTERNAL, "voice %s cannot be drawn: %s", v->name,
                     n < 0 ? why.message : "the model says nothing");
    } else {
        int n_codebook = tts->model->spec.lm.n_codebook;
        int32_t *codes = mem_try((size_t)p->made.n_frame * (size_t)n_codebook, sizeof *codes);
        for (int t = 0; codes && t < p->made.n_frame; t++)
            for (int q = 0; q < n_codebook; q++)
                codes[q * p->made.n_frame + t] = p->made.codes[t * n_codebook + q];
        *ret = codes ? voice_new(tts, 1) : NULL;
        rc = *ret ? voice_set_clip(*ret, 0, s->ask.pieces.piece[0].text, codes, p->made.n_frame, e)
                  : err_set(e, ERR_MEMORY, "out of memory for voice %s", v->name);
        mem_free(codes);
    }
    jabbertts_stream_free(s);
    return rc;
}

/* From the store, else made and kept there, so that the voice does not change later. */
static int stock_make(struct jabbertts *tts, const struct voice *v, struct jabbertts_voice **ret,
                      struct err *e)
{
    bool imitates = tts->model->spec.codec.has_encoder;
    int64_t made_by = store_fingerprint(tts, imitates ? "codec." : "");
    int rc = store_anchor(tts, v->name, made_by, ret, e);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = imitates ? stock_imitate(tts, v, ret, e) : stock_draw(tts, v, ret, e);
    if (rc == 0)
        store_keep_anchor(tts, v->name, made_by, ret);
    return rc;
}

int stock_voice(struct jabbertts *tts, const char *name, struct references *ref, struct err *e)
{
    struct stock *s = dual_ar_of(tts)->stock;
    struct jabbertts_voice *made, *own = NULL;
    int i = 0, rc = 0;
    while (i < s->n && strcmp(voices_at(s->voices, i)->name, name) != 0)
        i++;
    if (i == s->n)
        return err_set(e, ERR_NOT_FOUND, "there is no voice \"%.64s\"", name);
    pthread_mutex_lock(&s->lock);
    made = s->made[i];
    pthread_mutex_unlock(&s->lock);
    if (!made && (rc = stock_make(tts, voices_at(s->voices, i), &own, e)) < 0) {
        jabbertts_voice_free(own);
        return rc;
    }
    pthread_mutex_lock(&s->lock);
    if (!s->made[i]) { /* no other thread has made it meanwhile */
        s->made[i] = own;
        own = NULL;
    }
    made = s->made[i];
    pthread_mutex_unlock(&s->lock);
    jabbertts_voice_free(own);
    *ref = (struct references){made->clip, made->n_clip};
    return 0;
}
