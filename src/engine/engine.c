/* engine.c - open and close an engine: its models, one after the other. */
#define _GNU_SOURCE /* dladdr */
#include "engine/engine.h"
#include "model/ear.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/pool.h"
#include "engine/dual_ar/onnx.h"
#include "model/export.h"
#include "model/model.h"
#include "text/lexicon.h"

/* JABBERTTS_ERR_* and ERR_* are the same list of codes. */
#define SAME(name) ((int)JABBERTTS_##name == (int)name)
_Static_assert(SAME(ERR_ARGUMENT) && SAME(ERR_NOT_FOUND) && SAME(ERR_FORMAT) &&
                   SAME(ERR_UNSUPPORTED) && SAME(ERR_LIMIT) && SAME(ERR_MEMORY) && SAME(ERR_IO) &&
                   SAME(ERR_BUSY) && SAME(ERR_CANCELLED) && SAME(ERR_INTERNAL) &&
                   SAME(ERR_DEADLINE) && SAME(ERR_DENIED),
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

double engine_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct timespec engine_clock(double t)
{
    return (struct timespec){.tv_sec = (time_t)t, .tv_nsec = (long)((t - floor(t)) * 1e9)};
}

const char *jabbertts_version(void)
{
    return JABBERTTS_VERSION;
}

/* --- open and close --- */

/* FILE beside a program or library: in the tree where it was built, installed or unpacked. */
static bool shipped_beside(const char *program, const char *file, char *path, size_t n)
{
    static const char *const places[] = {"../models", "../share/jabbertts", "../../models",
                                         "../../share/jabbertts"};
    const char *slash = strrchr(program, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        int m = snprintf(path, n, "%.*s/%s/%s", (int)(slash - program), program, places[i], file);
        if (m > 0 && (size_t)m < n && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

/* A file that is installed with JabberTTS: looked for beside the program, beside the library (which
 * another program may have loaded), then in the data directory. */
int engine_shipped(const char *file, char *path, size_t n)
{
    char exe[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len > 0) {
        exe[len] = 0;
        if (shipped_beside(exe, file, path, n))
            return 0;
    }
    Dl_info self;
    static const char inside; /* any address in this library */
    if (dladdr(&inside, &self) && self.dli_fname && shipped_beside(self.dli_fname, file, path, n))
        return 0;
    snprintf(path, n, "%s/%s", JABBERTTS_DATA_DIR, file);
    return access(path, R_OK) == 0 ? 0 : ERR_NOT_FOUND;
}

int engine_model_path(const char *given, char *path, size_t n, struct err *e)
{
    if (given) {
        if ((size_t)snprintf(path, n, "%s", given) >= n)
            return err_set(e, ERR_ARGUMENT, "model path is longer than %zu bytes", n - 1);
        return 0;
    }
    if (engine_shipped("jabber-tiny.gguf", path, n) == 0)
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
    if (o->engine && strcmp(o->engine, ENGINE_OWN) != 0 && strcmp(o->engine, ENGINE_ONNX) != 0)
        return err_set(e, ERR_ARGUMENT, "engine is \"%.32s\", must be own or onnx", o->engine);
    if (o->context < 0)
        return err_set(e, ERR_ARGUMENT, "context is %d, must not be negative", o->context);
    if (o->n_model < 0 || o->n_model > LIMIT_MODELS)
        return err_set(e, ERR_ARGUMENT, "n_model is %d, must be 0 to %d", o->n_model, LIMIT_MODELS);
    return 0;
}

/* The name that a request chooses it by: given, or the file's. */
static char *engine_name(const char *given, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path;
    size_t n = strlen(from);
    if (given)
        return mem_strndup(given, LIMIT_VOICE_NAME_BYTES);
    if (n > 5 && strcmp(from + n - 5, ".gguf") == 0)
        n -= 5;
    return mem_strndup(from, n < LIMIT_VOICE_NAME_BYTES ? n : LIMIT_VOICE_NAME_BYTES);
}

static int engine_check_model(const struct models *all, const struct jabbertts *tts, struct err *e)
{
    for (int i = 0; i < all->n; i++)
        if (all->model[i] != tts && strcmp(all->model[i]->name, tts->name) == 0)
            return err_set(e, ERR_ARGUMENT, "two models have the name \"%.64s\": %.128s and %.128s",
                           tts->name, all->model[i]->path, tts->path);
    if (all->budget > 0 && tts->cost > all->budget)
        return err_set(e, ERR_LIMIT,
                       "the model \"%.64s\" takes %zu MiB (weights, slots and caches), the memory "
                       "budget is %zu MiB; raise it, or use fewer slots, a shorter context or a "
                       "smaller type",
                       tts->name, (tts->cost >> 20) + 1, all->budget >> 20);
    return 0;
}

/* The engine of the model at path, which becomes the file in it where it is an exported folder. */
static const struct voice_engine *engine_kind(const char *wish, char *path)
{
    size_t n = strlen(path);
    bool folder = onnx_is_folder(path), onnx = wish && strcmp(wish, ENGINE_ONNX) == 0;
    if (folder)
        snprintf(path + n, PATH_MAX - n, "/" EXPORT_METADATA);
    return folder || onnx ? &engine_onnx : &engine_dual_ar;
}

/* A model without its weights, and its thread. */
static int engine_add(struct models *all, const struct jabbertts_options *o,
                      const struct jabbertts_model *m, struct err *e)
{
    char path[PATH_MAX];
    bool espeak = m->path && strcmp(m->path, ENGINE_ESPEAK) == 0;
    int rc = espeak ? 0 : engine_model_path(m->path, path, sizeof path, e);
    if (rc < 0)
        return rc;
    struct jabbertts *tts = mem_try(1, sizeof *tts);
    if (!tts)
        return err_set(e, ERR_MEMORY, "out of memory for a model");
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&tts->wake, &clock);
    pthread_condattr_destroy(&clock);
    all->model[all->n++] = tts;
    tts->all = all;
    tts->name = engine_name(m->name, espeak ? ENGINE_ESPEAK : path);
    tts->kind = espeak ? &engine_espeak : engine_kind(o->engine, path);
    tts->path = mem_strndup(espeak ? ENGINE_ESPEAK : path, PATH_MAX);
    tts->licence = "";
    tts->n_queue_max = o->queue;
    tts->max_wait_s = o->max_wait_s;
    tts->idle_s = o->idle_s;
    tts->guarded.last_work = engine_now();
    if (!tts->path || !tts->name)
        return err_set(e, ERR_MEMORY, "out of memory for a model");
    if ((rc = tts->kind->open(tts, o, e)) < 0)
        return all->n > 1 ? err_wrap(e, "model \"%.64s\"", tts->name) : rc;
    return engine_check_model(all, tts, e);
}

/* The first model's weights are loaded here, so that what is wrong with them is known at once. */
static int engine_load_first(struct jabbertts *tts, struct err *e)
{
    double begin = engine_now();
    int rc = tts->kind->load ? tts->kind->load(tts, e) : 0;
    if (rc < 0)
        return rc;
    struct front *f = engine_lock(tts);
    f->loaded = true;
    f->last_work = f->loaded_at = engine_now();
    f->load_s = f->loaded_at - begin;
    tts->all->in_use += tts->cost;
    engine_unlock(tts);
    return 0;
}

static int engine_start_threads(struct models *all, struct err *e)
{
    for (int i = 0; i < all->n; i++) {
        struct jabbertts *tts = all->model[i];
        if ((errno = pthread_create(&tts->thread, NULL, engine_main, tts)) != 0)
            return err_set(e, ERR_IO, "cannot start an engine thread: %s", strerror(errno));
        tts->has_thread = true;
    }
    return 0;
}

static void engine_ignore(void *cookie, const struct jabbertts_stored *v)
{
    (void)cookie;
    (void)v;
}

/* alias=name in every model that knows the name; some model or the store must. */
static int engine_set_alias(struct models *all, const char *alias, const char *name, struct err *e)
{
    const struct jabbertts_which which = {.kind = JABBERTTS_VOICE, .id = name};
    bool stored =
        all->store && jabbertts_store_get(all->store, &which, engine_ignore, NULL, NULL) == 0;
    int n = 0, rc = 0;
    for (int i = 0; i < all->n && rc >= 0; i++) {
        const struct voice_engine *kind = all->model[i]->kind;
        rc = kind->set_alias ? kind->set_alias(all->model[i], alias, name, stored, e) : 0;
        n += rc > 0;
    }
    if (rc >= 0 && n == 0)
        rc = err_set(e, ERR_NOT_FOUND, "the alias \"%s\" stands for \"%s\", which is not a voice",
                     alias, name);
    return rc < 0 ? rc : 0;
}

/* "alias=name, ..." */
static int engine_read_aliases(struct models *all, const char *list, struct err *e)
{
    char alias[LIMIT_VOICE_NAME_BYTES + 1], name[LIMIT_VOICE_NAME_BYTES + 1];
    int n, rc;
    while (*(list += strspn(list, ", "))) {
        if (sscanf(list, "%128[^=, ]=%128[^=, ]%n", alias, name, &n) != 2 ||
            (list[n] && !strchr(", ", list[n])))
            return err_set(e, ERR_ARGUMENT, "\"%.64s\" in the aliases, must be ALIAS=VOICE", list);
        if ((rc = engine_set_alias(all, alias, name, e)) < 0)
            return rc;
        list += n;
    }
    return 0;
}

static int engine_open(struct models *all, const struct jabbertts_options *o, struct err *e)
{
    const struct jabbertts_model one = {.path = o->model}, espeak = {.path = ENGINE_ESPEAK};
    const struct jabbertts_model *models = o->n_model > 0 ? o->models : &one;
    int n = o->n_model > 0 ? o->n_model : 1, rc;
    bool has_espeak = false;
    if ((rc = engine_check_options(o, e)) < 0 ||
        (o->lexicon && (rc = lexicon_open(o->lexicon, &all->lexicon, e)) < 0))
        return rc;
    all->store = o->store;
    all->budget = o->memory_budget;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = engine_add(all, o, &models[i], e);
        has_espeak = has_espeak || (rc == 0 && all->model[i]->kind == &engine_espeak);
    }
    all->n_listed = all->n;
    if (rc == 0 && !has_espeak)
        rc = engine_add(all, o, &espeak, e);
    if (rc == 0 && o->aliases)
        rc = engine_read_aliases(all, o->aliases, e);
    if (rc == 0)
        rc = engine_load_first(all->model[0], e);
    return rc < 0 ? rc : engine_start_threads(all, e);
}

static void engine_free_model(struct jabbertts *tts)
{
    tts->kind->close(tts);
    pthread_cond_destroy(&tts->wake);
    mem_free(tts->name);
    mem_free(tts->path);
    mem_free(tts);
}

static void engine_free(struct models *all)
{
    pthread_mutex_lock(&all->lock);
    for (int i = 0; i < all->n; i++) {
        all->model[i]->guarded.closing = true;
        pthread_cond_signal(&all->model[i]->wake);
    }
    pthread_mutex_unlock(&all->lock);
    for (int i = 0; i < all->n; i++)
        if (all->model[i]->has_thread)
            pthread_join(all->model[i]->thread, NULL);
    for (int i = 0; i < all->n; i++)
        engine_free_model(all->model[i]);
    lexicon_free(all->lexicon);
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    pthread_mutex_destroy(&all->ear_lock);
    ear_close(all->ear);
    mem_free(all);
}

int jabbertts_open(const struct jabbertts_options *o, struct jabbertts **ret,
                   struct jabbertts_error *error)
{
    struct err e = {0};
    struct models *all = mem_try(1, sizeof *all);
    if (!all)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    pthread_condattr_t clock;
    pthread_mutex_init(&all->lock, NULL);
    pthread_mutex_init(&all->ear_lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&all->changed, &clock);
    pthread_condattr_destroy(&clock);
    int rc = engine_open(all, o, &e);
    if (rc < 0)
        engine_free(all);
    else
        *ret = all->model[0];
    return engine_return(error, &e, rc);
}

void jabbertts_close(struct jabbertts *tts)
{
    if (tts)
        engine_free(tts->all);
}

/* --- what it is --------------------------------------------------------------------------------
 */

int jabbertts_lexicon_problem(struct jabbertts *tts, struct jabbertts_error *error)
{
    struct err e = {0};
    struct lexicon *l = tts->all->lexicon;
    return l ? engine_return(error, &e, lexicon_problem(l, &e)) : 0;
}

int jabbertts_sample_rate(const struct jabbertts *tts)
{
    return tts->rate;
}

int jabbertts_frame_samples(const struct jabbertts *tts)
{
    return tts->frame_samples;
}

int jabbertts_n_codebook(const struct jabbertts *tts)
{
    return tts->model ? tts->model->spec.lm.n_codebook : 0;
}

const char *jabbertts_isa(const struct jabbertts *tts)
{
    return tts->isa;
}

int jabbertts_threads(const struct jabbertts *tts)
{
    return tts->n_thread;
}
