/* hub.c - the public header: options, and what is installed. */
#include "hub/hub.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

#define MAX_INSTALLED 10000

static int hub_return(struct jabbertts_error *to, const struct err *e, int rc)
{
    if (rc < 0 && to) {
        *to = (struct jabbertts_error){.code = rc};
        snprintf(to->message, sizeof to->message, "%s", e->msg);
    }
    return rc;
}

void jabbertts_hub_options_init(struct jabbertts_hub_options *o)
{
    *o = (struct jabbertts_hub_options){.connections = 4, .stall_s = 10};
}

void jabbertts_pull_init(struct jabbertts_pull *p)
{
    *p = (struct jabbertts_pull){0};
}

static int hub_copy(char *to, size_t n, const char *from, const char *what, struct err *e)
{
    if (from && strlen(from) >= n)
        return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", what, n - 1);
    snprintf(to, n, "%s", from ? from : "");
    return 0;
}

static int hub_check(struct jabbertts_hub *h, struct err *e)
{
    for (size_t n = strlen(h->endpoint); n > 0 && h->endpoint[n - 1] == '/';)
        h->endpoint[--n] = 0;
    for (const char *p = h->token; *p; p++)
        if (*p <= ' ' || *p > '~') /* it becomes a header's value */
            return err_set(e, ERR_ARGUMENT, "the token has a character that no token has");
    if (strncmp(h->endpoint, "https://", 8) != 0 && strncmp(h->endpoint, "http://", 7) != 0)
        return err_set(e, ERR_ARGUMENT,
                       "the endpoint \"%.100s\" must begin with https:// (HF_ENDPOINT)",
                       h->endpoint);
    return 0;
}

static int hub_fill(struct jabbertts_hub *h, const struct jabbertts_hub_options *o, struct err *e)
{
    const char *endpoint = o->endpoint && *o->endpoint ? o->endpoint : "https://huggingface.co";
    int rc;
    if (!o->dir || !*o->dir)
        return err_set(e, ERR_ARGUMENT, "wanted a directory for models");
    if ((rc = hub_copy(h->dir, sizeof h->dir, o->dir, "the models' directory", e)) < 0 ||
        (rc = hub_copy(h->endpoint, sizeof h->endpoint, endpoint, "the endpoint", e)) < 0 ||
        (rc = hub_copy(h->cache, sizeof h->cache, o->cache, "the hub's cache", e)) < 0 ||
        (rc = hub_copy(h->ca_file, sizeof h->ca_file, o->ca_file, "the CA file", e)) < 0 ||
        (rc = hub_copy(h->token, sizeof h->token, o->token, "the token", e)) < 0)
        return rc;
    if ((rc = hub_check(h, e)) < 0)
        return rc;
    if (o->connections < 1 || o->connections > FETCH_CONNECTIONS)
        return err_set(e, ERR_ARGUMENT, "%d connections; must be 1 to %d", o->connections,
                       FETCH_CONNECTIONS);
    if (!(o->stall_s >= 0.1 && o->stall_s <= 3600))
        return err_set(e, ERR_ARGUMENT, "a patience of %g s; must be 0.1 to 3600", o->stall_s);
    h->offline = o->offline != 0;
    h->connections = o->connections;
    h->stall_s = o->stall_s;
    return 0;
}

int jabbertts_hub_open(const struct jabbertts_hub_options *o, struct jabbertts_hub **ret,
                       struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts_hub *h = mem_try(1, sizeof *h);
    int rc = h ? hub_fill(h, o, &e) : err_set(&e, ERR_MEMORY, "out of memory for the hub");
    if (rc == 0)
        *ret = h;
    else
        mem_free(h);
    return hub_return(error, &e, rc);
}

void jabbertts_hub_close(struct jabbertts_hub *h)
{
    if (h)
        memset(h->token, 0, sizeof h->token);
    mem_free(h);
}

int hub_web(struct jabbertts_hub *h, struct web *w, struct err *e)
{
    *w = (struct web){.endpoint = h->endpoint,
                      .token = *h->token ? h->token : NULL,
                      .ca_file = *h->ca_file ? h->ca_file : NULL,
                      .stall_s = h->stall_s,
                      .n_connection = h->connections};
    return web_open(w, e);
}

int jabbertts_hub_pull(struct jabbertts_hub *h, const struct jabbertts_pull *p,
                       char name[JABBERTTS_HUB_NAME], struct jabbertts_error *error)
{
    struct err e = {0};
    int rc = p->source ? pull_run(h, p, name, &e) : err_set(&e, ERR_ARGUMENT, "wanted a source");
    return hub_return(error, &e, rc);
}

/* --- installed models --- */

static void hub_tell(struct jabbertts_hub *h, const struct manifest *m, jabbertts_installed_fn fn,
                     void *cookie)
{
    const struct licence *l = licence_find(m->licence);
    char path[4096], chosen[JABBERTTS_HUB_NAME];
    shelf_path(h->dir, m, path);
    struct jabbertts_installed i = {.name = m->name,
                                    .path = path,
                                    .source = m->source,
                                    .commit = m->commit,
                                    .licence = m->licence,
                                    .licence_title = l ? l->title : m->licence,
                                    .licence_url = l ? l->url : m->licence_url,
                                    .non_commercial = licence_is_non_commercial(m->licence),
                                    .type = m->type,
                                    .sha256 = m->sha256,
                                    .version = m->version,
                                    .bytes = m->bytes,
                                    .installed_at = m->installed_at,
                                    .used_at = shelf_used(h->dir, m->name),
                                    .is_default = shelf_default(h->dir, chosen) &&
                                                  strcmp(chosen, m->name) == 0};
    fn(cookie, &i);
}

static int hub_names(const char *dir, struct dirent ***list)
{
    int n = scandir(dir, list, NULL, alphasort);
    return n < 0 ? 0 : n; /* no directory: nothing is installed */
}

int jabbertts_hub_list(struct jabbertts_hub *h, jabbertts_installed_fn fn, void *cookie,
                       struct jabbertts_error *error)
{
    struct dirent **list = NULL;
    struct err e = {0};
    int n_found = 0, n = hub_names(h->dir, &list);
    for (int i = 0; i < n; i++) {
        struct manifest m = {0};
        if (n_found < MAX_INSTALLED && shelf_read(h->dir, list[i]->d_name, &m, NULL) == 0) {
            hub_tell(h, &m, fn, cookie);
            n_found++;
        }
        shelf_done(&m);
        free(list[i]);
    }
    free(list);
    return hub_return(error, &e, n_found);
}

int jabbertts_hub_show(struct jabbertts_hub *h, const char *name, jabbertts_installed_fn fn,
                       void *cookie, struct jabbertts_error *error)
{
    struct err e = {0};
    struct manifest m = {0};
    int rc = shelf_read(h->dir, name, &m, &e);
    if (rc == 0)
        hub_tell(h, &m, fn, cookie);
    shelf_done(&m);
    return hub_return(error, &e, rc);
}

int jabbertts_hub_find(struct jabbertts_hub *h, const char *name, char *path, size_t n,
                       struct jabbertts_error *error)
{
    char full[4096];
    struct err e = {0};
    struct manifest m = {0};
    int rc = shelf_read(h->dir, name, &m, &e);
    if (rc == 0) {
        shelf_path(h->dir, &m, full);
        if (strlen(full) >= n)
            rc = err_set(&e, ERR_LIMIT, "the path of %s is too long", name);
        else
            snprintf(path, n, "%s", full);
    }
    if (rc == 0)
        shelf_touch(h->dir, name);
    shelf_done(&m);
    return hub_return(error, &e, rc);
}

int jabbertts_hub_use(struct jabbertts_hub *h, const char *name, struct jabbertts_error *error)
{
    struct err e = {0};
    return hub_return(error, &e, shelf_set_default(h->dir, name, &e));
}

int jabbertts_hub_default(struct jabbertts_hub *h, char name[JABBERTTS_HUB_NAME])
{
    return shelf_default(h->dir, name) ? 0 : JABBERTTS_ERR_NOT_FOUND;
}

struct hub_reading {
    int (*progress)(void *cookie, double fraction);
    void *cookie;
    double size;
};

static int hub_checks(void *cookie, uint64_t done)
{
    struct hub_reading *c = cookie;
    return c->progress && c->size > 0 ? c->progress(c->cookie, (double)done / c->size) : 0;
}

static int hub_verify(struct jabbertts_hub *h, const struct manifest *m, struct hub_reading *c,
                      struct err *e)
{
    char path[4096];
    struct digest_value v;
    uint64_t size = 0;
    shelf_path(h->dir, m, path);
    const struct digest_watch watch = {hub_checks, c};
    c->size = (double)m->bytes;
    int rc = digest_file(path, DIGEST_SHA256, &v, &size, &watch, e);
    if (rc < 0)
        return rc;
    if ((int64_t)size != m->bytes || strcmp(v.hex, m->sha256) != 0)
        return err_set(
            e, ERR_FORMAT,
            "%s has changed since it was installed (%lld of %lld bytes, SHA-256 %.16s... for "
            "%.16s...): remove it, then pull %s again",
            path, (long long)size, (long long)m->bytes, v.hex, m->sha256, m->source);
    return 0;
}

int jabbertts_hub_verify(struct jabbertts_hub *h, const char *name,
                         int (*progress)(void *cookie, double fraction), void *cookie,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    struct manifest m = {0};
    struct hub_reading c = {.progress = progress, .cookie = cookie};
    int rc = shelf_read(h->dir, name, &m, &e);
    if (rc == 0)
        rc = hub_verify(h, &m, &c, &e);
    shelf_done(&m);
    return hub_return(error, &e, rc);
}

int jabbertts_hub_remove(struct jabbertts_hub *h, const char *name, struct jabbertts_error *error)
{
    struct err e = {0};
    struct manifest m = {0};
    int lock = -1, rc = shelf_read(h->dir, name, &m, &e);
    shelf_done(&m);
    if (rc == 0 || rc == ERR_FORMAT)
        rc = shelf_lock(h->dir, name, NULL, NULL, &lock, &e);
    if (rc == 0)
        rc = shelf_remove(h->dir, name, &e);
    shelf_unlock(lock);
    return hub_return(error, &e, rc);
}

static int hub_newer(struct jabbertts_hub *h, const struct manifest *m, struct err *e)
{
    struct web w;
    char commit[200] = "";
    int rc = h->offline
                 ? err_set(e, ERR_ARGUMENT, "offline: unset HF_HUB_OFFLINE to look for updates")
                 : hub_web(h, &w, e);
    if (rc < 0)
        return rc;
    rc = survey_commit(h, &w, m->source, commit, e);
    web_close(&w);
    return rc < 0 ? rc : strcmp(commit, m->commit) != 0;
}

int jabbertts_hub_update(struct jabbertts_hub *h, const char *name, const struct jabbertts_pull *p,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    struct manifest m = {0};
    struct jabbertts_pull ask = *p;
    int rc = shelf_read(h->dir, name, &m, &e);
    if (rc == 0)
        rc = hub_newer(h, &m, &e);
    if (rc == 1) {
        ask.source = m.source;
        ask.name = m.name;
        ask.type = strcmp(m.type, "gguf") == 0 ? NULL : m.type;
        if (!ask.imatrix && *m.imatrix)
            rc = err_set(&e, ERR_ARGUMENT,
                         "%s was made with an importance matrix: give it again with `imatrix`",
                         name);
        else
            rc = pull_run(h, &ask, NULL, &e);
    }
    shelf_done(&m);
    return hub_return(error, &e, rc);
}
