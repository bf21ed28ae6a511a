/* survey.c - what a source is, before anything is downloaded. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "hub/cache.h"
#include "hub/hub.h"

#define INFO_BYTES (16 << 20) /* what the hub says of a repository */

void survey_done(struct survey *s)
{
    repository_done(&s->repository);
    mem_free(s->file);
    s->file = NULL;
}

void survey_subject(const struct jabbertts_hub *h, const struct source *s, const char *file,
                    char page[800], struct subject *ret)
{
    bool hub = s->kind == SOURCE_HUB;
    snprintf(page, 800, "%s/%s", h->endpoint, s->repository);
    *ret = (struct subject){.repository = hub ? s->repository : "",
                            .revision = s->revision,
                            .file = file,
                            .page = page,
                            .endpoint = h->endpoint,
                            .host = hub ? h->endpoint : s->place,
                            .has_token = *h->token != 0};
}

/* The characters of a path that a url cannot have as they are, as %XX. */
static void survey_quote(const char *s, char *to, size_t n)
{
    static const char plain[] = "-._~/", digits[] = "0123456789ABCDEF";
    size_t i = 0;
    for (; *s && i + 4 < n; s++) {
        unsigned char c = (unsigned char)*s;
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (word || strchr(plain, c)) {
            to[i++] = *s;
            continue;
        }
        to[i++] = '%';
        to[i++] = digits[c >> 4];
        to[i++] = digits[c & 15];
    }
    to[i] = 0;
}

static int survey_info(struct jabbertts_hub *h, struct web *w, const struct source *s,
                       const char *gguf, struct repository *ret, struct err *e)
{
    char url[WEB_URL_BYTES], page[800], revision[620];
    struct subject who;
    struct answer a;
    struct buf body;
    buf_init(&body, INFO_BYTES);
    survey_subject(h, s, "", page, &who);
    survey_quote(s->revision, revision, sizeof revision);
    for (char *p; (p = strchr(revision, '/'));) { /* a revision is one part of this path */
        memmove(p + 3, p + 1, strlen(p));
        memcpy(p, "%2F", 3);
    }
    snprintf(url, sizeof url, "%s/api/models/%s/revision/%s", h->endpoint, s->repository, revision);
    int rc = web_fetch(w, url, &who, &body, &a, e);
    if (rc == 0 && a.status >= 300)
        rc =
            err_set(e, ERR_FORMAT, "%s sends questions to another host (%.100s): check HF_ENDPOINT",
                    h->endpoint, a.location);
    if (rc == 0)
        rc = repository_read(buf_str(&body), body.len, gguf, ret, e);
    buf_done(&body);
    return rc;
}

static int survey_room(struct survey *s, int n_file, struct err *e)
{
    s->n_file = n_file;
    s->file = mem_try((size_t)n_file, sizeof *s->file);
    return s->file ? 0 : err_set(e, ERR_MEMORY, "out of memory for a list of files");
}

static int survey_hub_file(struct jabbertts_hub *h, struct web *w, struct survey *s,
                           struct pull_file *f, struct err *e)
{
    char page[800];
    struct subject who;
    survey_subject(h, &s->source, f->name, page, &who);
    int n = snprintf(f->fetch.url, sizeof f->fetch.url, "%s/%s/resolve/%s/", h->endpoint,
                     s->source.repository, s->commit);
    survey_quote(f->name, f->fetch.url + n, sizeof f->fetch.url - (size_t)n);
    int rc = fetch_resolve(w, &f->fetch, &who, e);
    if (rc == 0 && *h->cache)
        cache_find(h->cache, s->source.repository, s->commit, f->name, &f->fetch.hash, f->cached);
    struct stat st;
    if (*f->cached && (stat(f->cached, &st) < 0 || (uint64_t)st.st_size != f->fetch.size))
        *f->cached = 0; /* half of one, or of another commit */
    return rc;
}

static int survey_cached_file(struct jabbertts_hub *h, struct survey *s, struct pull_file *f,
                              struct err *e)
{
    struct stat st;
    if (cache_find(h->cache, s->source.repository, s->commit, f->name, &f->fetch.hash, f->cached) <
            0 ||
        stat(f->cached, &st) < 0)
        return err_set(e, ERR_NOT_FOUND,
                       "offline, and %s of %s is not in the cache %s: unset HF_HUB_OFFLINE",
                       f->name, s->source.repository, h->cache);
    f->fetch.size = (uint64_t)st.st_size;
    return 0;
}

static int survey_cached(struct jabbertts_hub *h, struct survey *s, const char *gguf, struct err *e)
{
    char commit[80];
    if (!*h->cache || cache_commit(h->cache, s->source.repository, s->source.revision, commit) < 0)
        return err_set(e, ERR_NOT_FOUND,
                       "offline, and %s at %s is not in the cache %s: unset HF_HUB_OFFLINE, or set "
                       "HF_HUB_CACHE",
                       s->source.repository, s->source.revision, h->cache);
    return cache_choose(h->cache, s->source.repository, commit, gguf, &s->repository, e);
}

static int survey_hub(struct jabbertts_hub *h, struct web *w, struct survey *s, struct err *e)
{
    const char *gguf = *s->source.file ? s->source.file : NULL;
    int rc = h->offline ? survey_cached(h, s, gguf, e)
                        : survey_info(h, w, &s->source, gguf, &s->repository, e);
    if (rc < 0 || (rc = survey_room(s, s->repository.n_file, e)) < 0)
        return rc;
    snprintf(s->commit, sizeof s->commit, "%s", s->repository.commit);
    snprintf(s->licence, sizeof s->licence, "%s", s->repository.licence);
    snprintf(s->licence_url, sizeof s->licence_url, "%s", s->repository.licence_url);
    const struct known_model *known = source_known(s->source.repository);
    if (known && !*s->licence) /* offline, or a card that says nothing */
        snprintf(s->licence, sizeof s->licence, "%s", known->licence);
    for (int i = 0; i < s->n_file && rc == 0; i++) {
        s->file[i].name = s->repository.file[i];
        rc = h->offline ? survey_cached_file(h, s, &s->file[i], e)
                        : survey_hub_file(h, w, s, &s->file[i], e);
    }
    s->is_gguf = s->n_file == 1;
    return rc;
}

static int survey_url(struct jabbertts_hub *h, struct web *w, struct survey *s, struct err *e)
{
    static char name[] = "model.gguf";
    char page[800];
    struct subject who;
    int rc = survey_room(s, 1, e);
    if (rc < 0)
        return rc;
    if (h->offline)
        return err_set(e, ERR_ARGUMENT, "offline: unset HF_HUB_OFFLINE to get %s", s->source.place);
    survey_subject(h, &s->source, s->source.place, page, &who);
    s->file->name = name;
    s->is_gguf = true;
    snprintf(s->file->fetch.url, sizeof s->file->fetch.url, "%s", s->source.place);
    if ((rc = fetch_resolve(w, &s->file->fetch, &who, e)) < 0)
        return rc;
    snprintf(s->commit, sizeof s->commit, "%s", s->file->fetch.etag);
    return 0;
}

/* Files that are here: what changes when they do stands for a commit. */
static int survey_local(struct survey *s, struct err *e)
{
    char path[4200];
    struct stat st;
    s->is_gguf = s->source.kind == SOURCE_FILE;
    snprintf(path, sizeof path, "%s%s", s->source.place, s->is_gguf ? "" : "/config.json");
    if (stat(path, &st) < 0)
        return err_set(e, ERR_NOT_FOUND, "%s: %s; wanted a GGUF or a checkpoint directory", path,
                       strerror(errno));
    snprintf(s->commit, sizeof s->commit, "%" PRId64 "-%" PRId64, (int64_t)st.st_size,
             (int64_t)st.st_mtime);
    return 0;
}

int survey_make(struct jabbertts_hub *h, struct web *w, const char *source, struct survey *ret,
                struct err *e)
{
    *ret = (struct survey){0};
    int rc = source_parse(source, h->endpoint, &ret->source, e);
    if (rc < 0)
        return rc;
    if (ret->source.kind == SOURCE_HUB)
        return survey_hub(h, w, ret, e);
    if (ret->source.kind == SOURCE_URL)
        return survey_url(h, w, ret, e);
    return survey_local(ret, e);
}

int survey_commit(struct jabbertts_hub *h, struct web *w, const char *source, char commit[200],
                  struct err *e)
{
    struct survey s = {0};
    int rc = source_parse(source, h->endpoint, &s.source, e);
    if (rc < 0)
        return rc;
    if (s.source.kind == SOURCE_HUB) {
        rc = survey_info(h, w, &s.source, *s.source.file ? s.source.file : NULL, &s.repository, e);
        snprintf(commit, 200, "%s", s.repository.commit);
    } else {
        rc = survey_make(h, w, source, &s, e);
        snprintf(commit, 200, "%s", s.commit);
    }
    survey_done(&s);
    return rc;
}
