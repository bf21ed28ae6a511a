#include "store/voice_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/mem.h"

#define RETRY_S 2

struct cached_voice {
    char id[LIMIT_VOICE_NAME_BYTES + 1];
    char owner[LIMIT_VOICE_NAME_BYTES + 1];
    bool any_owner;
    bool failed; /* no memory, or a name that is too long: not kept */
    int64_t model;
    int n;
    struct store_codes clip[LIMIT_REFERENCES];
};

struct voice_cache {
    pthread_mutex_t lock;
    struct cached_voice *voice[VOICE_CACHE_MAX]; /* (lock) NULL: free */
    int next;                                    /* (lock) the place that is filled next */
    int64_t changes;                             /* (lock) -1: not known */
    time_t check_at, checked_at;                 /* (lock) of the monotonic clock */
};

static time_t cache_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1; /* never 0 */
}

struct voice_cache *voice_cache_open(void)
{
    struct voice_cache *c = mem_try(1, sizeof *c);
    if (c) {
        pthread_mutex_init(&c->lock, NULL);
        c->changes = -1;
    }
    return c;
}

static void cache_free_voice(struct cached_voice *v)
{
    for (int i = 0; v && i < v->n; i++) {
        mem_free((void *)(uintptr_t)v->clip[i].text);
        mem_free((void *)(uintptr_t)v->clip[i].codes);
    }
    mem_free(v);
}

/* (lock) */
static void cache_empty(struct voice_cache *c)
{
    for (int i = 0; i < VOICE_CACHE_MAX; i++) {
        cache_free_voice(c->voice[i]);
        c->voice[i] = NULL;
    }
}

void voice_cache_close(struct voice_cache *c)
{
    if (!c)
        return;
    cache_empty(c);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

bool voice_cache_due(struct voice_cache *c, int64_t *changes)
{
    time_t now = cache_clock();
    pthread_mutex_lock(&c->lock);
    bool due = now >= c->check_at;
    if (due) /* until it has failed or not, the others go on */
        c->check_at = now + RETRY_S;
    *changes = c->changes;
    pthread_mutex_unlock(&c->lock);
    return due;
}

void voice_cache_checked(struct voice_cache *c, int64_t changes)
{
    pthread_mutex_lock(&c->lock);
    if (c->changes != changes)
        cache_empty(c);
    c->changes = changes;
    c->checked_at = cache_clock();
    c->check_at = c->checked_at + VOICE_CACHE_CHECK_S;
    pthread_mutex_unlock(&c->lock);
}

bool voice_cache_is_fresh(struct voice_cache *c)
{
    pthread_mutex_lock(&c->lock);
    bool fresh = c->checked_at && cache_clock() - c->checked_at < VOICE_CACHE_AWAY_S;
    pthread_mutex_unlock(&c->lock);
    return fresh;
}

void voice_cache_forget(struct voice_cache *c)
{
    pthread_mutex_lock(&c->lock);
    cache_empty(c);
    c->changes = -1;
    c->check_at = 0;
    pthread_mutex_unlock(&c->lock);
}

static bool cache_is(const struct cached_voice *v, const struct jabbertts_which *which,
                     int64_t model)
{
    return v && v->model == model && strcmp(v->id, which->id) == 0 &&
           v->any_owner == !which->owner && strcmp(v->owner, which->owner ? which->owner : "") == 0;
}

int voice_cache_find(struct voice_cache *c, const struct jabbertts_which *which, int64_t model,
                     store_codes_fn fn, void *cookie, struct err *e)
{
    int n = 0, rc = 0;
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < VOICE_CACHE_MAX && n == 0; i++) {
        const struct cached_voice *v = c->voice[i];
        if (cache_is(v, which, model))
            for (; n < v->n && rc >= 0; n++)
                rc = fn(cookie, &v->clip[n], e);
    }
    pthread_mutex_unlock(&c->lock);
    return rc < 0 ? rc : n;
}

struct cached_voice *voice_cache_new(const struct jabbertts_which *which, int64_t model)
{
    struct cached_voice *v = mem_try(1, sizeof *v);
    const char *owner = which->owner ? which->owner : "";
    if (!v)
        return NULL;
    v->model = model;
    v->any_owner = !which->owner;
    v->failed = strlen(which->id) >= sizeof v->id || strlen(owner) >= sizeof v->owner;
    snprintf(v->id, sizeof v->id, "%s", which->id);
    snprintf(v->owner, sizeof v->owner, "%s", owner);
    return v;
}

void voice_cache_add(struct cached_voice *v, const struct store_codes *from)
{
    if (!v || v->failed || v->n == LIMIT_REFERENCES) {
        if (v)
            v->failed = true;
        return;
    }
    void *codes = mem_try(from->n_bytes + 1, 1);
    struct store_codes *to = &v->clip[v->n++];
    *to = *from;
    to->text = mem_strndup(from->text, SIZE_MAX);
    to->codes = codes;
    if (codes && from->n_bytes)
        memcpy(codes, from->codes, from->n_bytes);
    v->failed = !codes || !to->text;
}

void voice_cache_keep(struct voice_cache *c, int64_t changes, struct cached_voice *v)
{
    if (!v)
        return;
    pthread_mutex_lock(&c->lock);
    if (!v->failed && v->n > 0 && changes >= 0 && changes == c->changes) {
        struct cached_voice *old = c->voice[c->next];
        c->voice[c->next] = v;
        c->next = (c->next + 1) % VOICE_CACHE_MAX;
        v = old;
    }
    pthread_mutex_unlock(&c->lock);
    cache_free_voice(v);
}
