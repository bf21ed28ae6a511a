/* voice_store.c - what may be stored, and recordings to codes; store/ keeps the rows. */
#include "engine/voice_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "store/store.h"

#define MIN_SECONDS  1
#define TRIM_SECONDS 600 /* of a recording that is to be cut */

/* --- the public functions over the rows --- */

int jabbertts_store_open(const char *dir, struct jabbertts_store **ret,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_open(dir, ret, &e));
}

void jabbertts_store_close(struct jabbertts_store *s)
{
    store_close(s);
}

int jabbertts_store_get(struct jabbertts_store *s, const struct jabbertts_which *which,
                        jabbertts_stored_fn fn, void *cookie, struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_get(s, which, fn, cookie, &e));
}

int jabbertts_store_list(struct jabbertts_store *s, const struct jabbertts_which *which,
                         jabbertts_stored_fn fn, void *cookie, struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_list(s, which, fn, cookie, &e));
}

int jabbertts_store_remove(struct jabbertts_store *s, const struct jabbertts_which *which,
                           struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_remove(s, which, &e));
}

/* --- what may be stored --- */

static int check_length(const char *what, const char *s, size_t max, struct err *e)
{
    if (s && strlen(s) > max)
        return err_set(e, ERR_LIMIT, "the %s has %zu bytes, the limit is %zu", what, strlen(s),
                       max);
    if (s && utf8_check(s, strlen(s)) < strlen(s))
        return err_set(e, ERR_ARGUMENT, "the %s is not UTF-8 at byte %zu", what,
                       utf8_check(s, strlen(s)));
    for (; s && *s; s++)
        if ((unsigned char)*s < ' ' && *s != '\n' && *s != '\t')
            return err_set(e, ERR_ARGUMENT, "the %s has a control character", what);
    return 0;
}

static int check_name(enum jabbertts_kind kind, const char *name, struct err *e)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (!name || !*name)
        return err_set(e, ERR_ARGUMENT, "a %s needs a name",
                       (kind == JABBERTTS_VOICE ? "voice" : "consent"));
    if (kind == JABBERTTS_VOICE && name[strspn(name, allowed)])
        return err_set(e, ERR_ARGUMENT,
                       "a voice's name has only letters, digits, - and _, not "
                       "\"%.64s\"",
                       name);
    if (kind == JABBERTTS_VOICE && strncmp(name, "voice_", 6) == 0)
        return err_set(e, ERR_ARGUMENT, "a voice's name does not begin with voice_, ids do");
    return check_length("name", name, LIMIT_VOICE_NAME_BYTES, e);
}

/* Names of the model stay the model's. */
static int check_free(struct jabbertts *tts, const char *name, struct err *e)
{
    const char *known, *target;
    bool taken = strcmp(name, "default") == 0;
    for (int i = 0; tts && !taken && (known = jabbertts_voice_name(tts, i)); i++)
        taken = strcmp(known, name) == 0;
    for (int i = 0; tts && !taken && (known = jabbertts_voice_alias(tts, i, &target)); i++)
        taken = strcmp(known, name) == 0;
    return taken ? err_set(e, ERR_ARGUMENT, "the model has a voice \"%.64s\"; choose another name",
                           name)
                 : 0;
}

static int check_input(struct jabbertts *tts, enum jabbertts_kind kind,
                       const struct jabbertts_stored *v, struct err *e)
{
    int rc;
    if ((rc = check_name(kind, v->name, e)) < 0 ||
        (rc = check_length("language", v->language, 35, e)) < 0 ||
        (rc = check_length("transcript", v->transcript, LIMIT_VOICE_TEXT_BYTES, e)) < 0 ||
        (rc = check_length("description", v->description, LIMIT_VOICE_TEXT_BYTES, e)) < 0)
        return rc;
    if (!v->recording || v->n_bytes == 0)
        return err_set(e, ERR_ARGUMENT, "the recording is empty");
    if (v->n_bytes > LIMIT_RECORDING_BYTES)
        return err_set(e, ERR_LIMIT, "the recording has %zu bytes, the limit is %d", v->n_bytes,
                       LIMIT_RECORDING_BYTES);
    return kind == JABBERTTS_VOICE ? check_free(tts, v->name, e) : 0;
}

static int store_make_id(enum jabbertts_kind kind, char id[48], struct err *e)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return err_set(e, ERR_IO, "no random numbers for an id: %s", strerror(errno));
    size_t n = (size_t)snprintf(id, 48, "%s", kind == JABBERTTS_VOICE ? "voice_" : "cons_");
    for (size_t i = 0; i < sizeof random; i++, n += 2)
        snprintf(id + n, 48 - n, "%02x", random[i]);
    return 0;
}

int jabbertts_store_rename(struct jabbertts_store *s, const struct jabbertts_which *which,
                           const char *name, struct jabbertts_error *error)
{
    struct err e = {0};
    int rc = check_name(which->kind, name, &e);
    return engine_return(error, &e, rc < 0 ? rc : store_rename(s, which, name, &e));
}

/* --- adding --- */

/* Which codec made some codes: FNV-1a of the first bytes of each of its tensors. */
static int64_t store_fingerprint(const struct jabbertts *tts)
{
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < gguf_n_tensors(tts->model->file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(tts->model->file, i);
        if (strncmp(t->name, "codec.", 6) != 0)
            continue;
        for (size_t k = 0; k < t->n_bytes && k < 64; k++)
            hash = (hash ^ ((const unsigned char *)t->data)[k]) * 1099511628211u;
    }
    return (int64_t)hash;
}

/* The recording as samples, cut to what fits if that was asked for. */
static int store_decode(struct jabbertts *tts, enum jabbertts_kind kind,
                        const struct jabbertts_stored *v, float **pcm, size_t *n, bool *cut,
                        struct err *e)
{
    int hz = jabbertts_sample_rate(tts);
    bool voice = kind == JABBERTTS_VOICE && tts->model;
    double longest = voice ? jabbertts_clip_seconds(tts) : LIMIT_REFERENCE_SECONDS;
    if (voice && longest == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "this model cannot make a voice of a recording: it has "
                       "no codec encoder");
    int rc = voice_decode(tts, v->recording, v->n_bytes,
                          v->trim ? TRIM_SECONDS : LIMIT_REFERENCE_SECONDS, pcm, n, e);
    if (rc < 0)
        return rc;
    *cut = v->trim && (double)*n / hz > longest;
    if (*cut)
        *n = audio_cut_at_pause(*pcm, *n, hz, longest);
    rc = audio_check_speech(*pcm, *n, hz, MIN_SECONDS, longest, e);
    if (rc == ERR_LIMIT && !v->trim)
        err_set(e, ERR_LIMIT,
                "the recording is %.1f s long, %s takes at most %.1f s; send a shorter one, or "
                "trim=true to have it cut at a pause",
                (double)*n / hz, voice ? "this model" : "a consent", longest);
    if (rc < 0)
        mem_free(*pcm);
    return rc;
}

static struct store_codes store_codes_of(const struct jabbertts *tts,
                                         const struct jabbertts_voice *v)
{
    size_t n = (size_t)v->n_frame * (size_t)tts->model->spec.lm.n_codebook;
    return (struct store_codes){store_fingerprint(tts), v->text, v->n_frame, v->codes,
                                n * sizeof *v->codes};
}

static int store_add_recording(struct jabbertts_store *s, struct jabbertts *tts,
                               enum jabbertts_kind kind, const struct jabbertts_stored *v,
                               char id[48], struct err *e)
{
    struct jabbertts_voice *voice = NULL;
    struct jabbertts_stored row = *v;
    struct store_codes codes;
    float *pcm;
    size_t n;
    bool cut = false;
    char made[48];
    int rc;
    if ((rc = check_input(tts, kind, v, e)) < 0 || (rc = store_make_id(kind, made, e)) < 0 ||
        (rc = store_decode(tts, kind, v, &pcm, &n, &cut, e)) < 0)
        return rc;
    if (kind == JABBERTTS_VOICE && tts->model)
        rc = voice_encode(tts, pcm, n, v->transcript && !cut ? v->transcript : "", &voice, e);
    mem_free(pcm);
    row.id = made;
    row.seconds = (double)n / jabbertts_sample_rate(tts);
    if (voice)
        codes = store_codes_of(tts, voice);
    if (rc == 0)
        rc = store_add(s, kind, &row, voice ? &codes : NULL, e);
    if (rc == 0)
        memcpy(id, made, sizeof made);
    jabbertts_voice_free(voice);
    return rc;
}

int jabbertts_store_add(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                        const struct jabbertts_stored *v, char id[48],
                        struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_add_recording(s, tts, kind, v, id, &e));
}

/* --- speaking with a stored voice --- */

struct store_loading {
    const struct jabbertts *tts;
    struct jabbertts_voice *voice;
};

static int store_load_codes(void *cookie, const struct store_codes *c, struct err *e)
{
    struct store_loading *l = cookie;
    const struct spec_lm *lm = &l->tts->model->spec.lm;
    struct jabbertts_voice *v = l->voice;
    size_t n = c->n_bytes / sizeof *v->codes;
    bool good = c->n_frame >= 1 &&
                c->n_bytes == (size_t)c->n_frame * (size_t)lm->n_codebook * sizeof *v->codes;
    if (good) {
        v->text = mem_strndup(c->text, LIMIT_VOICE_TEXT_BYTES * 4);
        v->codes = mem_try(n, sizeof *v->codes);
        if (!v->text || !v->codes)
            return err_set(e, ERR_MEMORY, "out of memory for a voice");
        memcpy(v->codes, c->codes, c->n_bytes);
        v->n_frame = c->n_frame;
    }
    for (size_t i = 0; i < n && good; i++)
        good = v->codes[i] >= 0 && v->codes[i] < lm->codebook_size;
    return good ? 0
                : err_set(e, ERR_FORMAT,
                          "the codes of a stored voice are damaged; delete and add "
                          "it again");
}

struct store_copy {
    char id[48], *transcript;
    void *data;
    size_t n;
    double seconds;
};

static void store_take_copy(void *cookie, const struct jabbertts_stored *v)
{
    struct store_copy *c = cookie;
    snprintf(c->id, sizeof c->id, "%s", v->id);
    c->transcript = mem_strndup(v->transcript, LIMIT_VOICE_TEXT_BYTES);
    c->data = mem_try(v->n_bytes, 1);
    c->n = v->n_bytes;
    c->seconds = v->seconds;
    if (c->data)
        memcpy(c->data, v->recording, v->n_bytes);
}

/* Encode the recording with this model, as far as it was kept, and remember the codes. */
static int store_encode_again(struct jabbertts *tts, const struct store_copy *c,
                              struct jabbertts_voice **ret, struct err *e)
{
    float *pcm;
    size_t n;
    if (!c->data || !c->transcript)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    int rc = voice_decode(tts, c->data, c->n, TRIM_SECONDS, &pcm, &n, e);
    if (rc < 0)
        return rc;
    size_t kept = (size_t)(c->seconds * jabbertts_sample_rate(tts)) + 1;
    bool cut = n > kept + (size_t)jabbertts_sample_rate(tts) / 10;
    rc = voice_encode(tts, pcm, cut ? kept : n, cut ? "" : c->transcript, ret, e);
    mem_free(pcm);
    if (rc < 0)
        return rc;
    struct store_codes codes = store_codes_of(tts, *ret);
    store_add_codes(tts->all->store, c->id, &codes,
                    NULL); /* else the next request encodes it again */
    return 0;
}

int store_voice(struct jabbertts *tts, const char *id, const char *owner,
                struct jabbertts_voice **ret, struct err *e)
{
    const struct jabbertts_which which = {JABBERTTS_VOICE, owner, id, 0};
    struct store_loading l = {tts, mem_try(1, sizeof *l.voice)};
    struct store_copy c = {.n = 0};
    if (!l.voice)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    l.voice->tts = tts;
    int rc =
        store_get_codes(tts->all->store, &which, store_fingerprint(tts), store_load_codes, &l, e);
    if (rc == 1) {
        *ret = l.voice;
        return 0;
    }
    jabbertts_voice_free(l.voice);
    if (rc == 0)
        rc = store_get(tts->all->store, &which, store_take_copy, &c, e);
    if (rc == 0)
        rc = store_encode_again(tts, &c, ret, e);
    mem_free(c.data);
    mem_free(c.transcript);
    return rc;
}
