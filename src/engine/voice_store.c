/* voice_store.c - what may be stored, and recordings to codes; store/ keeps the rows. */
#include "engine/voice_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "engine/hearing.h"
#include "store/store.h"

#define MIN_SECONDS    1
#define TRIM_SECONDS   600      /* of a recording that is to be cut */
#define CODEC          "codec." /* tensors */
#define DUPLICATE      0.88     /* recordings of one speaker are so alike (docs/QUALITY.md) */
#define PREVIEW_MAX_S  15
#define PREVIEW_WAIT_S 60
#define UNTOLD         "With a transcript of what is said it is more alike and better understood."

/* --- the public functions over the rows --- */

int jabbertts_store_open(const char *where, struct jabbertts_store **ret,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_open(where, ret, &e));
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

/* A stored voice cannot take a name of the model's voices. */
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

static int check_recording(const void *recording, size_t n_bytes, const char *transcript,
                           struct err *e)
{
    if (!recording || n_bytes == 0)
        return err_set(e, ERR_ARGUMENT, "the recording is empty");
    if (n_bytes > LIMIT_RECORDING_BYTES)
        return err_set(e, ERR_LIMIT, "the recording has %zu bytes, the limit is %d", n_bytes,
                       LIMIT_RECORDING_BYTES);
    return check_length("transcript", transcript, LIMIT_VOICE_TEXT_BYTES, e);
}

static int check_input(struct jabbertts *tts, enum jabbertts_kind kind,
                       const struct jabbertts_stored *v, struct err *e)
{
    int rc;
    if ((rc = check_name(kind, v->name, e)) < 0 ||
        (rc = check_length("language", v->language, 35, e)) < 0 ||
        (rc = check_length("description", v->description, LIMIT_VOICE_TEXT_BYTES, e)) < 0 ||
        (rc = check_recording(v->recording, v->n_bytes, v->transcript, e)) < 0)
        return rc;
    if (v->n_more < 0 || v->n_more > (kind == JABBERTTS_VOICE ? LIMIT_REFERENCES - 1 : 0))
        return err_set(e, ERR_LIMIT, "a %s of %d recordings, the limit is %d",
                       kind == JABBERTTS_VOICE ? "voice" : "consent", v->n_more + 1,
                       kind == JABBERTTS_VOICE ? LIMIT_REFERENCES : 1);
    for (int i = 0; i < v->n_more; i++)
        if ((rc = check_recording(v->more[i].recording, v->more[i].n_bytes, v->more[i].transcript,
                                  e)) < 0)
            return rc;
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

int64_t store_fingerprint(const struct jabbertts *tts, const char *prefix)
{
    return model_fingerprint(tts->model->file, prefix);
}

struct store_codes store_codes_of(const struct jabbertts_voice *v, int clip, int64_t fingerprint)
{
    const struct prompt_reference *r = &v->clip[clip];
    size_t n = (size_t)r->n_frame * (size_t)v->tts->model->spec.lm.n_codebook;
    return (struct store_codes){fingerprint, r->text, r->n_frame, r->codes, n * sizeof *r->codes};
}

/* Codes of all clips of a voice; returns how many. */
static int store_all_codes(const struct jabbertts_voice *v, struct store_codes *to)
{
    int64_t made_by = store_fingerprint(v->tts, CODEC);
    for (int i = 0; i < v->n_clip; i++)
        to[i] = store_codes_of(v, i, made_by);
    return v->n_clip;
}

struct store_making { /* a voice of recordings, or a consent */
    struct jabbertts *tts;
    enum jabbertts_kind kind;
    bool trim;
    struct jabbertts_voice *voice; /* NULL: none yet, or none wanted */
    struct hearing heard;
    bool untold; /* what is said in one of them is not known */
};

/* A recording as samples, cut to what fits if that was asked for. */
static int store_decode(const struct store_making *m, const struct jabbertts_clip *c, float **pcm,
                        size_t *n, bool *cut, struct err *e)
{
    struct jabbertts *tts = m->tts;
    struct audio_file f = {c->recording, c->n_bytes};
    int hz = jabbertts_sample_rate(tts);
    bool voice = m->kind == JABBERTTS_VOICE && tts->model;
    double longest = voice ? jabbertts_clip_seconds(tts) : LIMIT_REFERENCE_SECONDS;
    if (voice && longest == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "this model cannot make a voice of a recording: it has "
                       "no codec encoder");
    int rc = voice_decode(tts, &f, m->trim ? TRIM_SECONDS : LIMIT_REFERENCE_SECONDS, pcm, n, e);
    if (rc < 0)
        return rc;
    *cut = m->trim && (double)*n / hz > longest;
    if (*cut)
        *n = audio_cut_at_pause(*pcm, *n, hz, longest);
    rc = audio_check_speech(*pcm, *n, hz, MIN_SECONDS, longest, e);
    if (rc == ERR_LIMIT && !m->trim)
        err_set(e, ERR_LIMIT,
                "the recording is %.1f s long, %s takes at most %.1f s; send a shorter one, or "
                "trim=true to have it cut at a pause",
                (double)*n / hz, voice ? "this model" : "a consent", longest);
    if (rc < 0)
        mem_free(*pcm);
    return rc;
}

/* --- listening --- */

double jabbertts_likeness(const float *a, const float *b)
{
    return ear_likeness(a, b);
}

/* What is heard in a recording, as far as it is kept, joins what was heard in those before it. */
static int store_hear(struct jabbertts *tts, const struct jabbertts_clip *c, struct hearing *all,
                      struct err *e)
{
    struct hearing h;
    float *pcm, both[2][EAR_PRINT];
    size_t n, kept = (size_t)(c->seconds * EAR_HZ);
    struct audio_file f = {c->recording, c->n_bytes};
    int rc = audio_decode_memory(&f, EAR_HZ, TRIM_SECONDS, &pcm, &n, e);
    if (rc < 0)
        return rc;
    rc = hearing_of(tts->all, pcm, n < kept ? n : kept, &h, e);
    mem_free(pcm);
    if (rc < 0)
        return rc;
    if (h.advice[0])
        hearing_advise(all, "%s", h.advice);
    if (all->has_print && h.has_print) {
        memcpy(both[0], all->print, sizeof both[0]);
        memcpy(both[1], h.print, sizeof both[1]);
        if (ear_likeness(both[0], both[1]) < HEARING_ONE_SPEAKER)
            hearing_advise(all, "The recordings seem to be of different speakers.");
        ear_mean(both, 2, all->print);
    } else if (h.has_print) {
        memcpy(all->print, h.print, sizeof all->print);
        all->has_print = true;
    }
    return 0;
}

struct store_nearest {
    const float *print;
    double likeness;
    char name[LIMIT_VOICE_NAME_BYTES + 1];
};

static void store_compare(void *cookie, const struct jabbertts_stored *v)
{
    struct store_nearest *f = cookie;
    double likeness = v->print ? ear_likeness(v->print, f->print) : 0;
    if (likeness <= f->likeness)
        return;
    f->likeness = likeness;
    snprintf(f->name, sizeof f->name, "%s", v->name);
}

static void store_find_duplicate(struct jabbertts_store *s, const char *owner, struct hearing *h)
{
    struct store_nearest f = {.print = h->print};
    const struct jabbertts_which which = {JABBERTTS_VOICE, owner, NULL, LIMIT_STORED};
    if (store_list(s, &which, store_compare, &f, NULL) >= 0 && f.likeness >= DUPLICATE)
        hearing_advise(h, "It sounds like the voice \"%.64s\" (likeness %.2f).", f.name,
                       f.likeness);
}

/* What the model says with a voice, as sound at EAR_HZ; free *pcm.  < 0: nothing. */
static int store_preview(struct jabbertts *tts, const struct jabbertts_voice *v, float **pcm,
                         size_t *n)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    size_t room = (size_t)tts->rate * PREVIEW_MAX_S, got = 0;
    float *said = mem_try(room, sizeof *said);
    int k = -1;
    jabbertts_request_init(&r);
    r.text = JABBERTTS_PREVIEW;
    r.language = "en-us";
    r.reference = v;
    r.max_seconds = PREVIEW_MAX_S;
    r.deadline_s = PREVIEW_WAIT_S;
    if (said && jabbertts_submit(tts, &r, &s, NULL) == 0) {
        while (got < room && (k = jabbertts_read(s, said + got, (int)(room - got), NULL)) > 0)
            got += (size_t)k;
        jabbertts_stream_free(s);
    }
    int rc =
        k < 0 ? ERR_NOT_FOUND
              : audio_resample(&(struct audio_sound){said, got, tts->rate}, EAR_HZ, pcm, n, NULL);
    mem_free(said);
    return rc;
}

/* Similarity of the voice that the model makes of it; < 0: not measured. */
static double store_try(struct jabbertts *tts, const struct jabbertts_voice *v,
                        const struct hearing *heard)
{
    struct hearing h = {.has_print = false};
    float *pcm;
    size_t n;
    if (!v || !heard->has_print || store_preview(tts, v, &pcm, &n) < 0)
        return -1;
    int rc = hearing_of(tts->all, pcm, n, &h, NULL);
    mem_free(pcm);
    return rc == 0 && h.has_print ? ear_likeness(h.print, heard->print) : -1;
}

/* A recording joins the voice; c->seconds is set. */
static int store_add_clip(struct store_making *m, struct jabbertts_clip *c, struct err *e)
{
    struct jabbertts *tts = m->tts;
    struct jabbertts_voice *one = NULL;
    float *pcm;
    size_t n;
    bool cut = false;
    int rc = store_decode(m, c, &pcm, &n, &cut, e);
    if (rc < 0)
        return rc;
    c->seconds = (double)n / jabbertts_sample_rate(tts);
    const char *text = c->transcript && !cut ? c->transcript : "";
    rc = store_hear(tts, c, &m->heard, e);
    m->untold = m->untold || !*text;
    if (rc == 0 && m->kind == JABBERTTS_VOICE && tts->model)
        rc = voice_encode(tts, pcm, n, text, &one, e);
    mem_free(pcm);
    if (rc == 0 && one && m->voice && (rc = voice_join(m->voice, one, e)) < 0)
        jabbertts_voice_free(one);
    else if (rc == 0 && !m->voice)
        m->voice = one;
    return rc;
}

int jabbertts_voice_from_memory(struct jabbertts *tts, const void *data, size_t n_bytes,
                                const char *text, struct jabbertts_voice **ret,
                                struct jabbertts_error *error)
{
    struct jabbertts_clip clip = {data, n_bytes, text, 0};
    struct store_making m = {.tts = tts, .kind = JABBERTTS_VOICE};
    struct err e = {0};
    int rc = check_recording(data, n_bytes, text, &e);
    if (rc == 0 && !tts->model)
        rc = err_set(&e, ERR_UNSUPPORTED, "espeak-ng cannot clone a voice");
    if (rc == 0)
        rc = store_add_clip(&m, &clip, &e);
    if (rc == 0)
        *ret = m.voice;
    return engine_return(error, &e, rc);
}

int store_add_recordings(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                         const struct jabbertts_stored *v, char id[48], struct err *e)
{
    struct store_making m = {.tts = tts, .kind = kind, .trim = v->trim};
    struct jabbertts_stored row = *v;
    struct jabbertts_clip clip[LIMIT_REFERENCES] = {{v->recording, v->n_bytes, v->transcript, 0}};
    struct store_codes codes[LIMIT_REFERENCES];
    char made[48];
    int rc;
    if ((rc = check_input(tts, kind, v, e)) < 0 || (rc = store_make_id(kind, made, e)) < 0)
        return rc;
    for (int i = 0; i < v->n_more; i++)
        clip[i + 1] = v->more[i];
    for (int i = 0; i <= v->n_more && rc == 0; i++) {
        rc = store_add_clip(&m, &clip[i], e);
        row.seconds = i ? row.seconds + clip[i].seconds : clip[i].seconds;
    }
    if (kind == JABBERTTS_VOICE && tts->model && m.untold)
        hearing_advise(&m.heard, UNTOLD);
    row.id = made;
    row.more = clip + 1;
    row.print = m.heard.has_print ? m.heard.print : NULL;
    row.likeness = rc == 0 ? store_try(tts, m.voice, &m.heard) : -1;
    if (rc == 0 && kind == JABBERTTS_VOICE && m.heard.has_print)
        store_find_duplicate(s, v->owner, &m.heard);
    row.advice = m.heard.advice;
    if (rc == 0)
        rc = store_add(s, kind, &row, codes, m.voice ? store_all_codes(m.voice, codes) : 0, e);
    if (rc == 0)
        memcpy(id, made, sizeof made);
    jabbertts_voice_free(m.voice);
    return rc;
}

int jabbertts_store_add(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                        const struct jabbertts_stored *v, char id[48],
                        struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_add_recordings(s, tts, kind, v, id, &e));
}

/* --- speaking with a stored voice --- */

static int store_load_codes(void *cookie, const struct store_codes *c, struct err *e)
{
    struct jabbertts_voice **v = cookie, *one = NULL;
    const struct jabbertts *tts = (*v)->tts;
    const struct spec_lm *lm = &tts->model->spec.lm;
    size_t n = c->n_bytes / sizeof(int32_t);
    const int32_t *codes = c->codes;
    bool good = c->n_frame >= 1 &&
                c->n_bytes == (size_t)c->n_frame * (size_t)lm->n_codebook * sizeof(int32_t);
    for (size_t i = 0; i < n && good; i++)
        good = codes[i] >= 0 && codes[i] < lm->codebook_size;
    if (!good)
        return err_set(e, ERR_FORMAT,
                       "the codes of a stored voice are damaged; delete and add it again");
    if (!(one = voice_new(tts, 1)))
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    int rc = voice_set_clip(one, 0, c->text, codes, c->n_frame, e);
    if (rc == 0)
        rc = voice_join(*v, one, e);
    if (rc < 0)
        jabbertts_voice_free(one);
    return rc;
}

struct store_copy {
    char id[48];
    int n;
    bool failed; /* for want of memory */
    struct store_copy_clip {
        char *transcript;
        void *data;
        size_t n;
        double seconds;
    } clip[LIMIT_REFERENCES];
};

static void store_copy_clip(struct store_copy *c, const struct jabbertts_clip *from)
{
    struct store_copy_clip *to = &c->clip[c->n++];
    to->transcript = mem_strndup(from->transcript, LIMIT_VOICE_TEXT_BYTES);
    to->data = mem_try(from->n_bytes + 1, 1);
    to->n = from->n_bytes;
    to->seconds = from->seconds;
    if (to->data && from->n_bytes)
        memcpy(to->data, from->recording, from->n_bytes);
    c->failed = c->failed || !to->data || !to->transcript;
}

static void store_take_copy(void *cookie, const struct jabbertts_stored *v)
{
    struct store_copy *c = cookie;
    struct jabbertts_clip first = {v->recording, v->n_bytes, v->transcript, v->seconds};
    snprintf(c->id, sizeof c->id, "%s", v->id);
    for (int i = 0; i < v->n_more; i++)
        first.seconds -= v->more[i].seconds; /* a voice's are those of all */
    store_copy_clip(c, &first);
    for (int i = 0; i < v->n_more; i++)
        store_copy_clip(c, &v->more[i]);
}

/* Encode a recording with this model, as far as it was kept. */
static int store_encode_clip(struct jabbertts *tts, const struct store_copy_clip *c,
                             struct jabbertts_voice **ret, struct err *e)
{
    float *pcm;
    size_t n;
    struct audio_file f = {c->data, c->n};
    int rc = voice_decode(tts, &f, TRIM_SECONDS, &pcm, &n, e);
    if (rc < 0)
        return rc;
    size_t kept = (size_t)(c->seconds * jabbertts_sample_rate(tts)) + 1;
    bool cut = n > kept + (size_t)jabbertts_sample_rate(tts) / 10;
    rc = voice_encode(tts, pcm, cut ? kept : n, cut ? "" : c->transcript, ret, e);
    mem_free(pcm);
    return rc;
}

/* All recordings of a voice become clips of v, and their codes are kept. */
static int store_encode_again(struct jabbertts *tts, const struct store_copy *c,
                              struct jabbertts_voice *v, struct err *e)
{
    struct store_codes codes[LIMIT_REFERENCES];
    int rc = c->failed ? err_set(e, ERR_MEMORY, "out of memory for a voice") : 0;
    for (int i = 0; i < c->n && rc == 0; i++) {
        struct jabbertts_voice *one = NULL;
        rc = store_encode_clip(tts, &c->clip[i], &one, e);
        if (rc == 0 && (rc = voice_join(v, one, e)) < 0)
            jabbertts_voice_free(one);
    }
    if (rc == 0) /* what fails is encoded again by the next request */
        store_add_codes(tts->all->store, c->id, codes, store_all_codes(v, codes), NULL);
    return rc;
}

int store_voice(struct jabbertts *tts, const char *id, const char *owner,
                struct jabbertts_voice **ret, struct err *e)
{
    const struct jabbertts_which which = {JABBERTTS_VOICE, owner, id, 0};
    struct store_copy c = {.n = 0};
    struct jabbertts_voice *v = voice_new(tts, 0);
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    int rc = store_get_codes(tts->all->store, &which, store_fingerprint(tts, CODEC),
                             store_load_codes, &v, e);
    if (rc == 0)
        rc = store_get(tts->all->store, &which, store_take_copy, &c, e);
    if (rc == 0)
        rc = store_encode_again(tts, &c, v, e);
    for (int i = 0; i < c.n; i++) {
        mem_free(c.clip[i].data);
        mem_free(c.clip[i].transcript);
    }
    if (rc < 0)
        jabbertts_voice_free(v);
    else
        *ret = v;
    return rc < 0 ? rc : 0;
}

/* --- anchors --- */

int store_anchor(struct jabbertts *tts, const char *name, int64_t made_by,
                 struct jabbertts_voice **ret, struct err *e)
{
    struct jabbertts_voice *v = tts->all->store ? voice_new(tts, 0) : NULL;
    if (!tts->all->store)
        return ERR_NOT_FOUND;
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    int rc = store_get_anchor(tts->all->store, name, made_by, store_load_codes, &v, e);
    if (rc == 1)
        *ret = v;
    else
        jabbertts_voice_free(v);
    return rc == 1 ? 0 : rc < 0 ? rc : ERR_NOT_FOUND;
}

void store_keep_anchor(struct jabbertts *tts, const char *name, int64_t made_by,
                       struct jabbertts_voice **v)
{
    const struct store_codes codes = store_codes_of(*v, 0, made_by);
    struct jabbertts_voice *kept = NULL;
    if (!tts->all->store || store_add_anchor(tts->all->store, name, &codes, NULL) < 0 ||
        store_anchor(tts, name, made_by, &kept, NULL) < 0)
        return;
    jabbertts_voice_free(*v);
    *v = kept;
}
