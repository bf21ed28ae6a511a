#include "server/download.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "server/access.h"
#include "server/daemon.h"

#define NAME_BYTES 80
#define COPY_BYTES 4096

struct kept_sound {
    char name[NAME_BYTES], *owner; /* owner NULL: everyone's */
    const char *type;
    struct spool sound;
    struct timespec at; /* when it was whole */
};

void downloads_init(struct downloads *l)
{
    *l = (struct downloads){.n = 0};
    pthread_mutex_init(&l->lock, NULL);
}

void downloads_done(struct downloads *l)
{
    for (int i = 0; i < l->n; i++)
        downloads_free(l->item[i]);
    pthread_mutex_destroy(&l->lock);
}

struct kept_sound *downloads_new(struct server *s, const char *owner)
{
    struct kept_sound *d = mem_try(1, sizeof *d);
    if (!d)
        return NULL;
    spool_init(&d->sound, &s->spool, s->spool.limit / 4);
    if (owner && !(d->owner = mem_strndup(owner, strlen(owner)))) {
        downloads_free(d);
        return NULL;
    }
    return d;
}

void downloads_free(struct kept_sound *d)
{
    if (!d)
        return;
    spool_done(&d->sound);
    mem_free(d->owner);
    mem_free(d);
}

void downloads_add(struct kept_sound **d, const void *data, size_t n)
{
    if (!*d || spool_add(&(*d)->sound, data, n) == 0)
        return;
    downloads_free(*d);
    *d = NULL;
}

/* The lock is held. */
static void downloads_drop_oldest(struct downloads *l)
{
    downloads_free(l->item[0]);
    memmove(l->item, l->item + 1, (size_t)--l->n * sizeof *l->item);
}

/* The lock is held.  Those that are too old go. */
static void downloads_expire(struct downloads *l)
{
    while (l->n > 0 && http_seconds_since(&l->item[0]->at) > DOWNLOAD_S)
        downloads_drop_oldest(l);
}

void downloads_publish(struct server *s, struct kept_sound *d, const char *name, const char *type,
                       const void *head, size_t n)
{
    struct downloads *l = &s->downloads;
    if (!d)
        return;
    if (n > 0)
        spool_rewrite(&d->sound, head, n);
    snprintf(d->name, sizeof d->name, "%s", name);
    d->type = type;
    clock_gettime(CLOCK_MONOTONIC, &d->at);
    pthread_mutex_lock(&l->lock);
    downloads_expire(l);
    size_t sum = d->sound.len;
    for (int i = 0; i < l->n; i++)
        sum += l->item[i]->sound.len;
    while (l->n > 0 && (l->n == DOWNLOADS || sum > s->spool.limit / 4)) {
        sum -= l->item[0]->sound.len;
        downloads_drop_oldest(l);
    }
    l->item[l->n++] = d;
    pthread_mutex_unlock(&l->lock);
}

/* The lock is held. */
static int downloads_copy(struct request *r, const struct kept_sound *d)
{
    char part[COPY_BYTES];
    ssize_t n;
    int rc = 0;
    for (size_t at = 0; rc == 0 && (n = spool_read(&d->sound, at, part, sizeof part)) > 0;
         at += (size_t)n)
        rc = spool_add(&r->reply.body, part, (size_t)n);
    return rc;
}

void downloads_get(struct request *r)
{
    struct downloads *l = &r->server->downloads;
    const struct kept_sound *found = NULL;
    const char *owner = access_owner(r);
    struct api_error e;
    int rc = 0;
    pthread_mutex_lock(&l->lock);
    downloads_expire(l);
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->item[i]->name, r->argument) == 0 &&
            (!owner || (l->item[i]->owner && strcmp(owner, l->item[i]->owner) == 0)))
            found = l->item[i];
    if (found) {
        r->reply.status = 200;
        r->reply.type = found->type;
        http_reply_header(r, "Content-Disposition", "attachment; filename=\"%s\"", found->name);
        rc = downloads_copy(r, found);
    }
    pthread_mutex_unlock(&l->lock);
    if (!found)
        api_fail(&e, FAULT_NOT_FOUND, NULL,
                 "there is no such download: it is not complete yet, or its %d minutes are over",
                 DOWNLOAD_S / 60);
    else if (rc < 0)
        api_fail(&e, FAULT_BUSY, NULL, "there is no room for the answer now; try again later");
    if (!found || rc < 0)
        http_reply_error(r, &e);
}
