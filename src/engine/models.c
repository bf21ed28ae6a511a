/* models.c - the models of an engine: found by name, and which of them are in memory.
 *
 * A model that has something to do is loaded if the budget allows.  Else it waits, first come first
 * served, until others have made room: the one that was not used for longest, at once where it has
 * nothing to do, else at the end of its pieces in hand, and not before it has had its turn of
 * MODELS_STAY_S (or MODELS_STAY_LOADS times the time of its loading, if that is more).  What is
 * left of its texts goes on when it is loaded again. */
#include <math.h>
#include <string.h>

#include "engine/stream.h"
#include "model/model.h"

#define MODELS_STAY_S     2.0
#define MODELS_STAY_LOADS 4

/* What OpenAI's clients ask for by default. */
static const char *const model_aliases[] = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts",
                                            "gpt-4o-mini-tts-2025-12-15"};
#define N_MODEL_ALIAS (int)(sizeof model_aliases / sizeof *model_aliases)

struct jabbertts *jabbertts_model_at(struct jabbertts *tts, int i)
{
    return i >= 0 && i < tts->all->n_listed ? tts->all->model[i] : NULL;
}

const char *jabbertts_model_alias(int i)
{
    return i >= 0 && i < N_MODEL_ALIAS ? model_aliases[i] : NULL;
}

struct jabbertts *jabbertts_model_named(struct jabbertts *tts, const char *name)
{
    struct models *all = tts->all;
    for (int i = 0; name && i < all->n; i++)
        if (strcmp(all->model[i]->name, name) == 0)
            return all->model[i];
    bool first = !name;
    for (int i = 0; !first && i < N_MODEL_ALIAS; i++)
        first = strcmp(model_aliases[i], name) == 0;
    return first ? all->model[0] : NULL;
}

/* --- memory ------------------------------------------------------------------------------------
 */

/* The time from which m may be asked to make room although it has work; INFINITY: never. */
static double models_leaves_at(const struct jabbertts *m, const struct front *f)
{
    if (!f->loaded || f->leave || m->cost == 0)
        return INFINITY;
    return f->open || f->jobs ? f->loaded_at + fmax(MODELS_STAY_S, MODELS_STAY_LOADS * f->load_s)
                              : f->last_work;
}

/* Whether m makes room before other does: idle models first, then the least recently used. */
static bool models_goes_before(const struct jabbertts *m, const struct jabbertts *other)
{
    const struct front *a = &m->guarded, *b = &other->guarded;
    bool a_busy = a->open || a->jobs, b_busy = b->open || b->jobs;
    if (a_busy != b_busy)
        return b_busy;
    return a_busy ? a->loaded_at < b->loaded_at : a->last_work < b->last_work;
}

/* Asks other models to leave until tts fits; *again: when to ask the next one. */
static void models_ask_to_leave(struct jabbertts *tts, double now, double *again)
{
    struct models *all = tts->all;
    size_t coming = 0; /* bytes of models that are leaving */
    for (int i = 0; i < all->n; i++)
        if (all->model[i]->guarded.leave)
            coming += all->model[i]->cost;
    while (all->in_use - coming + tts->cost > all->budget) {
        struct jabbertts *next = NULL;
        for (int i = 0; i < all->n; i++) {
            struct jabbertts *m = all->model[i];
            double at = models_leaves_at(m, &m->guarded);
            if (at > now)
                *again = fmin(*again, at);
            else if (!next || models_goes_before(m, next))
                next = m;
        }
        if (!next)
            return;
        next->guarded.leave = true;
        pthread_cond_signal(&next->wake);
        coming += next->cost;
    }
}

/* Wakes the models that wait for room: the order or the candidates to leave have changed. */
void models_wake(struct models *all)
{
    for (int i = 0; i < all->n; i++)
        if (all->model[i]->guarded.wants_since > 0)
            pthread_cond_signal(&all->model[i]->wake);
}

void models_withdraw(struct jabbertts *tts, struct front *f)
{
    if (f->wants_since == 0)
        return;
    f->wants_since = 0;
    models_wake(tts->all);
}

bool models_make_room(struct jabbertts *tts, struct front *f, double now, double *again)
{
    struct models *all = tts->all;
    if (f->wants_since == 0)
        f->wants_since = now;
    bool first = true; /* of those that wait */
    for (int i = 0; i < all->n; i++) {
        const struct front *other = &all->model[i]->guarded;
        first = first && !(other->wants_since > 0 && other->wants_since < f->wants_since);
    }
    if (all->budget == 0 || tts->cost == 0 || (first && all->in_use + tts->cost <= all->budget)) {
        all->in_use += tts->cost;
        f->wants_since = 0;
        models_wake(all); /* the next is first now */
        return true;
    }
    if (first)
        models_ask_to_leave(tts, now, again);
    return false;
}

void models_give_back(struct jabbertts *tts, struct front *f)
{
    (void)f;
    tts->all->in_use -= tts->cost;
    models_wake(tts->all);
}

/* --- what the engine says about itself ---------------------------------------------------------
 */

struct policy_queue engine_queue(const struct jabbertts *tts, const struct front *f)
{
    return (struct policy_queue){.n_open = f->n_open,
                                 .n_queued = f->n_queued,
                                 .n_dry = f->n_dry,
                                 .n_free = f->n_free,
                                 .n_slot = tts->n_slot,
                                 .n_queue_max = tts->n_queue_max,
                                 .piece_s = f->piece_s,
                                 .load_s = f->loaded ? 0 : f->load_s,
                                 .max_wait_s = tts->max_wait_s,
                                 .draining = tts->all->draining};
}

static double models_wait_s(const struct jabbertts *tts, const struct front *f)
{
    struct policy_queue q = engine_queue(tts, f);
    return policy_wait_s(&q);
}

static void models_load_of(const struct jabbertts *m, const struct front *f,
                           struct jabbertts_load *l)
{
    *l = f->load;
    l->slots = m->n_slot;
    l->queued = f->n_queued;
    l->active = f->n_open - f->n_queued;
    l->loaded = f->loaded && m->cost > 0;
    l->draining = m->all->draining;
    l->wait_s = models_wait_s(m, f);
    l->rtf = f->recent_sound > 0 ? f->recent_busy / f->recent_sound : 0;
}

static void models_add_load(struct jabbertts_load *sum, const struct jabbertts_load *l)
{
    sum->slots += l->slots;
    sum->queued += l->queued;
    sum->active += l->active;
    sum->loaded += l->loaded;
    sum->batch += l->batch;
    sum->busy_s += l->busy_s;
    sum->n_frame += l->n_frame;
    sum->audio_s += l->audio_s;
    sum->n_submitted += l->n_submitted;
    sum->n_refused += l->n_refused;
    sum->n_finished += l->n_finished;
    sum->n_cancelled += l->n_cancelled;
    sum->n_failed += l->n_failed;
    sum->n_truncated += l->n_truncated;
    sum->n_repaired += l->n_repaired;
}

void jabbertts_load(struct jabbertts *tts, struct jabbertts_load *l)
{
    struct models *all = tts->all;
    struct jabbertts_load one;
    double busy = 0, sound = 0;
    *l = (struct jabbertts_load){0};
    struct front *f = engine_lock(tts);
    for (int i = 0; i < all->n; i++) {
        const struct front *of = &all->model[i]->guarded;
        models_load_of(all->model[i], of, &one);
        models_add_load(l, &one);
        busy += of->recent_busy;
        sound += of->recent_sound;
    }
    l->rtf = sound > 0 ? busy / sound : 0;
    l->wait_s = models_wait_s(tts, f);
    l->draining = all->draining;
    l->budget_bytes = all->budget;
    l->in_use_bytes = all->in_use;
    engine_unlock(tts);
    l->memory_bytes = mem_process_bytes(NULL);
}

void jabbertts_model_info(struct jabbertts *tts, struct jabbertts_model_info *info)
{
    *info = (struct jabbertts_model_info){.name = tts->name,
                                          .path = tts->path,
                                          .engine = tts->kind->name,
                                          .licence = tts->licence,
                                          .file_bytes = tts->file_bytes,
                                          .memory_bytes = tts->cost};
    info->imitates = tts->model && tts->model->spec.codec.has_encoder;
    info->replaced = tts->model && gguf_is_replaced(tts->model->file);
    struct front *f = engine_lock(tts);
    models_load_of(tts, f, &info->load);
    info->idle_s = f->open || f->jobs ? 0 : engine_now() - f->last_work;
    engine_unlock(tts);
}

static int models_n_open(const struct models *all)
{
    int n = 0;
    for (int i = 0; i < all->n; i++)
        n += all->model[i]->guarded.n_open + all->model[i]->guarded.n_background;
    return n;
}

int jabbertts_drain(struct jabbertts *tts, double timeout_s)
{
    struct models *all = tts->all;
    struct timespec t = engine_clock(engine_now() + fmin(fmax(timeout_s, 0), 1e9));
    engine_lock(tts);
    all->draining = true;
    while (models_n_open(all) > 0 && pthread_cond_timedwait(&all->changed, &all->lock, &t) == 0)
        ;
    int n = models_n_open(all);
    engine_unlock(tts);
    return n;
}
