/* engine.c - open, close, and what the engine says about itself. */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/lexicon.h"
#include "text/libespeak.h"

/* The two lists of codes are one list under two names. */
#define SAME(name) ((int)JABBERTTS_##name == (int)name)
_Static_assert(SAME(ERR_ARGUMENT) && SAME(ERR_NOT_FOUND) && SAME(ERR_FORMAT) &&
                   SAME(ERR_UNSUPPORTED) && SAME(ERR_LIMIT) && SAME(ERR_MEMORY) && SAME(ERR_IO) &&
                   SAME(ERR_BUSY) && SAME(ERR_CANCELLED) && SAME(ERR_INTERNAL) &&
                   SAME(ERR_DEADLINE),
               "jabbertts.h and err.h disagree");

int engine_return(struct jabbertts_error *to, const struct err *from, int rc)
{
    if (to && rc < 0) {
        to->code = rc;
        to->retry_after_s = 0;
        snprintf(to->message, sizeof to->message, "%s", from->msg);
    }
    return rc;
}

double engine_frame_s(const struct jabbertts *tts)
{
    return (double)tts->model.spec.codec.frame_samples / tts->model.spec.codec.sample_rate;
}

double engine_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

const char *jabbertts_version(void)
{
    return JABBERTTS_VERSION;
}

/* --- open and close --- */

/* The built-in voice: beside the program (build tree, installed tree), then the data directory. */
int engine_model_path(const char *given, char *path, size_t n, struct err *e)
{
    static const char *const beside[] = {"../models", "../share/jabbertts", "../../models"};
    char exe[PATH_MAX];
    if (given) {
        if ((size_t)snprintf(path, n, "%s", given) >= n)
            return err_set(e, ERR_ARGUMENT, "model path is longer than %zu bytes", n - 1);
        return 0;
    }
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = 0;
        char *slash = strrchr(exe, '/');
        if (slash)
            *slash = 0;
        for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
            int m = snprintf(path, n, "%s/%s/jabber-tiny.gguf", exe, beside[i]);
            if (m > 0 && (size_t)m < n && access(path, R_OK) == 0)
                return 0;
        }
    }
    snprintf(path, n, "%s/jabber-tiny.gguf", JABBERTTS_DATA_DIR);
    if (access(path, R_OK) == 0)
        return 0;
    return err_set(e, ERR_NOT_FOUND,
                   "cannot find the built-in voice jabber-tiny.gguf (looked beside the program and "
                   "in %s); name a model file",
                   JABBERTTS_DATA_DIR);
}

void jabbertts_options_init(struct jabbertts_options *o)
{
    *o = (struct jabbertts_options){.slots = 4, .queue = 64, .prefix_mb = 256};
}

static int engine_check_options(const struct jabbertts_options *o, struct err *e)
{
    if (o->threads < 0 || o->threads > POOL_MAX_THREADS)
        return err_set(e, ERR_ARGUMENT, "threads is %d, must be 0 (all cores) to %d", o->threads,
                       POOL_MAX_THREADS);
    if (o->slots < 1 || o->slots > LIMIT_SLOTS)
        return err_set(e, ERR_ARGUMENT, "slots is %d, must be 1 to %d", o->slots, LIMIT_SLOTS);
    if (o->queue < 0 || o->queue > 65536)
        return err_set(e, ERR_ARGUMENT, "queue is %d, must be 0 to 65536", o->queue);
    if (o->prefix_mb < 0 || o->prefix_mb > 65536)
        return err_set(e, ERR_ARGUMENT, "prefix_mb is %d, must be 0 (none) to 65536", o->prefix_mb);
    if (!(o->max_wait_s >= 0) || !(o->idle_s >= 0))
        return err_set(e, ERR_ARGUMENT, "max_wait_s is %g, idle_s is %g, must not be negative",
                       o->max_wait_s, o->idle_s);
    if (o->context < 0)
        return err_set(e, ERR_ARGUMENT, "context is %d, must not be negative", o->context);
    return 0;
}

int engine_load(struct jabbertts *tts, struct err *e)
{
    int rc = model_load(&tts->model, &tts->model_options, e);
    if (rc == 0)
        rc = speak_init(tts, e);
    if (rc < 0)
        engine_unload(tts);
    return rc;
}

void engine_unload(struct jabbertts *tts)
{
    speak_done(tts);
    model_unload(&tts->model);
#ifdef __GLIBC__
    malloc_trim(0); /* what free keeps goes back to the system too */
#endif
}

/* The names of instruction set and cache must outlive the caller's options and the weights. */
static void remember_options(struct jabbertts *tts, const struct jabbertts_options *o)
{
    tts->n_thread = pool_threads(tts->model.pool);
    tts->isa = kern_exec_isa(tts->model.exec);
    tts->model_options.isa = tts->isa;
    tts->model_options.cache = kern_type_name(lm_kv_type(tts->model.lm));
    tts->n_slot = o->slots;
    tts->n_queue_max = o->queue;
    tts->prefix_mb = o->prefix_mb;
    tts->prefix_dir = o->prefix_dir ? mem_strdup(o->prefix_dir) : NULL;
    tts->store = o->store;
    tts->max_wait_s = o->max_wait_s;
    tts->idle_s = o->idle_s;
    tts->last_work = engine_now();
    tts->n_free = o->slots;
}

static void nothing(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    (void)v;
}

/* "alias=name, ...": each name must be a voice, of the model or of the store. */
static int engine_read_aliases(struct jabbertts *tts, const char *list, struct err *e)
{
    char alias[LIMIT_VOICE_NAME_BYTES + 1], name[LIMIT_VOICE_NAME_BYTES + 1];
    int n, rc;
    while (*(list += strspn(list, ", "))) {
        if (sscanf(list, "%128[^=, ]=%128[^=, ]%n", alias, name, &n) != 2 ||
            (list[n] && !strchr(", ", list[n])))
            return err_set(e, ERR_ARGUMENT, "\"%.64s\" in the aliases, must be ALIAS=VOICE", list);
        if (!voices_find(tts->model.voices, name) &&
            (!tts->store ||
             jabbertts_store_get(tts->store,
                                 &(struct jabbertts_which){.kind = JABBERTTS_VOICE, .id = name},
                                 nothing, NULL, NULL) < 0))
            return err_set(e, ERR_NOT_FOUND,
                           "the alias \"%s\" stands for \"%s\", which is no voice", alias, name);
        if ((rc = voices_set_alias(tts->model.voices, alias,
                                   voices_resolve(tts->model.voices, name), e)) < 0)
            return rc;
        list += n;
    }
    return 0;
}

/* A reference leaves a quarter of the context to the text and its sound. */
static int engine_clip_frames(const struct jabbertts *tts)
{
    const struct spec_codec *c = &tts->model.spec.codec;
    int most = tts->n_context - tts->n_context / 4, rows = c->frame_samples;
    if (!c->has_encoder)
        return 0;
    for (int i = 0; i < c->n_encoder_rate; i++) {
        rows /= c->encoder_rate[i]; /* positions that a frame takes in the block's transformer */
        if (c->enc[i].n_layer > 0 && c->enc[i].n_position / rows < most)
            most = c->enc[i].n_position / rows;
    }
    return c->pre.n_layer > 0 && c->pre.n_position < most ? c->pre.n_position : most;
}

static int engine_start(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    char path[PATH_MAX];
    double begin = engine_now();
    int rc;
    tts->model_options = (struct model_options){
        .n_thread = o->threads, .isa = o->isa, .cache = o->cache, .max_batch = o->slots};
    if ((rc = engine_check_options(o, e)) < 0 ||
        (o->lexicon && (rc = lexicon_open(o->lexicon, &tts->lexicon, e)) < 0))
        return rc;
    if (o->model && strcmp(o->model, ENGINE_ESPEAK) == 0)
        return 0;
    if ((rc = engine_model_path(o->model, path, sizeof path, e)) < 0 ||
        (rc = model_open(&tts->model, path, &tts->model_options, e)) < 0)
        return rc;
    tts->has_model = true;
    int longest = tts->model.spec.lm.slow.n_position;
    if (o->context > longest)
        return err_set(e, ERR_ARGUMENT, "context is %d, this model's is %d", o->context, longest);
    tts->n_context = o->context ? o->context : longest;
    tts->max_clip_frames = engine_clip_frames(tts);
    remember_options(tts, o);
    if (o->aliases && (rc = engine_read_aliases(tts, o->aliases, e)) < 0)
        return rc;
    if ((rc = speak_init(tts, e)) < 0)
        return rc;
    tts->loaded = true;
    tts->load_s = engine_now() - begin;
    if ((errno = pthread_create(&tts->thread, NULL, engine_main, tts)) != 0)
        return err_set(e, ERR_IO, "cannot start the engine thread: %s", strerror(errno));
    tts->has_thread = true;
    return 0;
}

int jabbertts_open(const struct jabbertts_options *o, struct jabbertts **ret,
                   struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts *tts = mem_try(1, sizeof *tts);
    if (!tts)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    pthread_condattr_t clock;
    pthread_mutex_init(&tts->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&tts->wake, &clock);
    pthread_cond_init(&tts->changed, &clock);
    pthread_condattr_destroy(&clock);
    int rc = engine_start(tts, o, &e);
    if (rc < 0)
        jabbertts_close(tts);
    else
        *ret = tts;
    return engine_return(error, &e, rc);
}

void jabbertts_close(struct jabbertts *tts)
{
    if (!tts)
        return;
    if (tts->has_thread) {
        pthread_mutex_lock(&tts->lock);
        tts->closing = true;
        pthread_cond_signal(&tts->wake);
        pthread_mutex_unlock(&tts->lock);
        pthread_join(tts->thread, NULL);
    }
    speak_done(tts);
    model_close(&tts->model);
    lexicon_free(tts->lexicon);
    pthread_cond_destroy(&tts->changed);
    pthread_cond_destroy(&tts->wake);
    pthread_mutex_destroy(&tts->lock);
    mem_free(tts->prefix_dir);
    mem_free(tts);
}

int jabbertts_lexicon_problem(struct jabbertts *tts, struct jabbertts_error *error)
{
    struct err e = {0};
    return tts->lexicon ? engine_return(error, &e, lexicon_problem(tts->lexicon, &e)) : 0;
}

int jabbertts_sample_rate(const struct jabbertts *tts)
{
    return tts->has_model ? tts->model.spec.codec.sample_rate : libespeak_rate();
}

int jabbertts_frame_samples(const struct jabbertts *tts)
{
    return tts->model.spec.codec.frame_samples;
}

int jabbertts_n_codebook(const struct jabbertts *tts)
{
    return tts->model.spec.lm.n_codebook;
}

const char *jabbertts_isa(const struct jabbertts *tts)
{
    return tts->has_model ? tts->isa : "none";
}

int jabbertts_threads(const struct jabbertts *tts)
{
    return tts->has_model ? tts->n_thread : 1;
}

/* --- load --- */

static size_t resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

void jabbertts_load(struct jabbertts *tts, struct jabbertts_load *l)
{
    pthread_mutex_lock(&tts->lock);
    *l = tts->load;
    l->slots = tts->n_slot;
    l->queued = tts->n_queued;
    l->active = tts->n_open - tts->n_queued;
    l->loaded = tts->loaded;
    l->draining = tts->draining;
    l->wait_s = engine_wait(tts);
    l->rtf = tts->recent_sound > 0 ? tts->recent_busy / tts->recent_sound : 0;
    pthread_mutex_unlock(&tts->lock);
    l->memory_bytes = resident_bytes();
}

int jabbertts_drain(struct jabbertts *tts, double timeout_s)
{
    double end = engine_now() + fmin(fmax(timeout_s, 0), 1e9);
    struct timespec t = {.tv_sec = (time_t)end, .tv_nsec = (long)((end - floor(end)) * 1e9)};
    pthread_mutex_lock(&tts->lock);
    tts->draining = true;
    while (tts->n_open > 0 && pthread_cond_timedwait(&tts->changed, &tts->lock, &t) == 0)
        ;
    int n = tts->n_open;
    pthread_mutex_unlock(&tts->lock);
    return n;
}
