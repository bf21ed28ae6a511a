/* thread.c - the engine thread of a model: it ends streams, brings weights in and gives them back,
 * and has the engine do its turns; between them it sleeps. */
#include <math.h>
#include <time.h>

#include "engine/stream.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define RECENT 0.99 /* weight of the past: about the last hundred turns count */

struct front *engine_lock(struct jabbertts *tts)
{
    pthread_mutex_lock(&tts->all->lock);
    return &tts->guarded;
}

void engine_unlock(struct jabbertts *tts)
{
    pthread_mutex_unlock(&tts->all->lock);
}

/* --- ending ------------------------------------------------------------------------------------
 */

/* End what is complete, broken, cancelled or late. */
static void thread_end_streams(struct jabbertts *tts, struct front *f, double now)
{
    struct jabbertts_stream *s, *next;
    for (s = f->open; s; s = next) {
        struct out *o = stream_out(s, f);
        struct err why = s->sound.broken;
        next = o->next;
        if (o->cancel || f->closing)
            err_set(&why, ERR_CANCELLED, "cancelled");
        else if (!why.code && !s->sound.complete && now >= s->ask.deadline)
            err_set(&why, ERR_DEADLINE,
                    "the deadline of %.6g s passed with %d of %d sentences spoken",
                    s->ask.deadline - s->ask.submitted, o->progress.piece, s->ask.pieces.n);
        if (!why.code && !s->sound.complete)
            continue;
        tts->kind->drop(tts, s);
        stream_end(s, f, why.code ? &why : NULL);
        stream_tell(s, o);
    }
}

static void thread_fail_all(struct jabbertts *tts, struct front *f, const struct err *why)
{
    for (struct jabbertts_stream *s = f->open; s; s = stream_out(s, f)->next)
        s->sound.broken = *why;
    thread_end_streams(tts, f, engine_now());
    for (struct encode_job *j = f->jobs; j; j = j->next) {
        j->err = *why;
        j->rc = why->code;
        j->done = true;
    }
    f->jobs = NULL;
    pthread_cond_broadcast(&tts->all->changed);
}

/* --- weights -----------------------------------------------------------------------------------
 */

/* Bring the weights in; the lock is given up meanwhile. */
static void thread_load(struct jabbertts *tts, struct front *f)
{
    struct err e = {0};
    double begin = engine_now();
    engine_unlock(tts);
    int rc = tts->kind->load ? tts->kind->load(tts, &e) : 0;
    engine_lock(tts);
    f->last_work = f->loaded_at = engine_now();
    f->load_s = f->last_work - begin;
    f->loaded = rc == 0;
    models_wake(tts->all); /* models that wait may ask for its room from now on */
    if (rc == 0)
        return;
    models_give_back(tts, f);
    if (e.code != ERR_MEMORY) /* a bad file is the server's fault, not the request's */
        e.code = ERR_IO;
    err_wrap(&e, "the model \"%.64s\" cannot be loaded", tts->name);
    thread_fail_all(tts, f, &e);
}

static void thread_unload(struct jabbertts *tts, struct front *f)
{
    f->loaded = f->leave = false;
    engine_unlock(tts);
    tts->kind->unload(tts);
#ifdef __GLIBC__
    malloc_trim(0); /* gives memory that free() keeps back to the system */
#endif
    models_give_back(tts, engine_lock(tts));
}

/* --- turns -------------------------------------------------------------------------------------
 */

void engine_account(struct front *f, double seconds, int n_step, double sound_s)
{
    f->load.batch = n_step;
    f->load.busy_s += seconds;
    f->recent_busy = RECENT * f->recent_busy + seconds;
    f->recent_sound = RECENT * f->recent_sound + sound_s;
    f->last_work = engine_now();
}

/* Sleep until something changes, the next deadline, or the time given; not while a stream waits to
 * be ended. */
static void thread_wait(struct jabbertts *tts, struct front *f, double until)
{
    for (struct jabbertts_stream *s = f->open; s; s = stream_out(s, f)->next) {
        if (s->sound.broken.code || s->sound.complete)
            return;
        until = fmin(until, s->ask.deadline);
    }
    if (until > 1e12) {
        pthread_cond_wait(&tts->wake, &tts->all->lock);
        return;
    }
    struct timespec t = engine_clock(until);
    pthread_cond_timedwait(&tts->wake, &tts->all->lock, &t);
}

/* One step for a model that is not in memory: load it, or wait. */
static void thread_step_unloaded(struct jabbertts *tts, struct front *f)
{
    double again = INFINITY;
    bool wanted = f->jobs || (f->open && (!tts->kind->has_work || tts->kind->has_work(tts, f)));
    if (!wanted)
        models_withdraw(tts, f);
    if (wanted && models_make_room(tts, f, engine_now(), &again))
        thread_load(tts, f);
    else
        thread_wait(tts, f, again);
}

static void thread_step_loaded(struct jabbertts *tts, struct front *f)
{
    double idle_at =
        tts->kind->unload && !f->open && tts->idle_s > 0 ? f->last_work + tts->idle_s : INFINITY;
    if (tts->kind->turn(tts, f))
        return;
    if (f->leave || engine_now() >= idle_at)
        thread_unload(tts, f);
    else
        thread_wait(tts, f, idle_at);
}

void *engine_main(void *arg)
{
    struct jabbertts *tts = arg;
    struct front *f = engine_lock(tts);
    for (;;) {
        thread_end_streams(tts, f, engine_now());
        if (f->closing && !f->jobs)
            break;
        if (f->loaded)
            thread_step_loaded(tts, f);
        else
            thread_step_unloaded(tts, f);
    }
    engine_unlock(tts);
    return NULL;
}
