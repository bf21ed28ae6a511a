/* engine.c - open, close, and what the engine says about itself. */
#include "engine/engine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/libespeak.h"

/* The two lists of codes are one list under two names. */
#define SAME(name) ((int)JABBERTTS_##name == (int)name)
_Static_assert(SAME(ERR_ARGUMENT) && SAME(ERR_NOT_FOUND) && SAME(ERR_FORMAT) &&
                   SAME(ERR_UNSUPPORTED) && SAME(ERR_LIMIT) && SAME(ERR_MEMORY) &&
                   SAME(ERR_IO) && SAME(ERR_BUSY) && SAME(ERR_CANCELLED) &&
                   SAME(ERR_INTERNAL) && SAME(ERR_DEADLINE),
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
                   "in %s); name a model with --model", JABBERTTS_DATA_DIR);
}

void jabbertts_options_init(struct jabbertts_options *o)
{
    *o = (struct jabbertts_options){.slots = 4, .queue = 64, .prefix_mb = 256};
}

static int check_options(const struct jabbertts_options *o, struct err *e)
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
    if (o->context < 0)
        return err_set(e, ERR_ARGUMENT, "context is %d, must not be negative", o->context);
    return 0;
}

static int engine_start(struct jabbertts *tts, const struct jabbertts_options *o, struct err *e)
{
    char path[PATH_MAX];
    struct model_options m = {.n_thread = o->threads, .isa = o->isa, .max_batch = o->slots};
    int rc;
    if ((rc = check_options(o, e)) < 0)
        return rc;
    if (o->model && strcmp(o->model, ENGINE_ESPEAK) == 0)
        return 0;
    if ((rc = engine_model_path(o->model, path, sizeof path, e)) < 0 ||
        (rc = model_open(&tts->model, path, &m, e)) < 0)
        return rc;
    tts->has_model = true;
    int longest = tts->model.spec.lm.slow.n_position;
    if (o->context > longest)
        return err_set(e, ERR_ARGUMENT, "context is %d, this model's is %d", o->context, longest);
    tts->n_context = o->context ? o->context : longest;
    tts->n_slot = o->slots;
    tts->n_queue_max = o->queue;
    struct prefix_options prefix = {(size_t)o->prefix_mb << 20, o->prefix_dir, path,
                                    kern_exec_isa(tts->model.exec)};
    if ((rc = engine_slots_new(tts, e)) < 0 ||
        (rc = prefix_cache_new(&prefix, &tts->prefix, e)) < 0)
        return rc;
    if (pthread_create(&tts->thread, NULL, engine_main, tts) != 0)
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
    pthread_condattr_destroy(&clock);
    pthread_cond_init(&tts->job_done, NULL);
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
    engine_slots_free(tts);
    prefix_cache_free(tts->prefix);
    model_close(&tts->model);
    pthread_cond_destroy(&tts->job_done);
    pthread_cond_destroy(&tts->wake);
    pthread_mutex_destroy(&tts->lock);
    mem_free(tts);
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
    return tts->has_model ? kern_exec_isa(tts->model.exec) : "none";
}

int jabbertts_threads(const struct jabbertts *tts)
{
    return tts->has_model ? pool_threads(tts->model.pool) : 1;
}

/* --- load --- */

/* Streams leave their slots one by one, n_slot in every recent_hold seconds. */
double engine_wait(const struct jabbertts *tts)
{
    int n_free = 0;
    for (int i = 0; i < tts->n_slot; i++)
        n_free += !tts->slots[i].stream;
    int n_before = tts->n_queued + 1 - n_free;
    return n_before > 0 && tts->n_slot > 0 ? n_before * tts->recent_hold / tts->n_slot : 0;
}

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
    for (int i = 0; i < tts->n_slot; i++)
        l->active += tts->slots[i].stream != NULL;
    l->wait_s = engine_wait(tts);
    l->rtf = tts->recent_sound > 0 ? tts->recent_busy / tts->recent_sound : 0;
    pthread_mutex_unlock(&tts->lock);
    l->loaded = tts->has_model;
    l->weight_bytes = tts->has_model ? mem_arena_bytes(tts->model.arena) : 0;
    l->memory_bytes = resident_bytes();
}
