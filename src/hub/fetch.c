#include "hub/fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "hub/part.h"

#define RUN_CHUNKS  16          /* that one request asks for */
#define SPAN_TRIES  8           /* of a range, without a chunk in between: half a minute */
#define NOISE_BYTES (256 << 10) /* of a page that explains a refusal */

/* What one connection does: bytes [pos, end), of which it asks again after a failure. */
struct span {
    struct fetch *fetch;
    struct web_call call;
    bool has_work, is_active;
    uint64_t first, pos, end;
    uint64_t asked; /* where the running request began */
    uint64_t noise;
    struct digest chunk; /* of the chunk that pos is in */
    int n_failed;
    double not_before; /* seconds, monotonic */
    struct err e;      /* set while the body came */
};

struct fetch {
    struct web *web;
    struct fetch_file *file;
    struct subject subject;
    char host[256];
    struct part part;
    uint64_t *arrived;
    bool is_plain; /* the server knows no ranges */
    bool is_stale; /* ask for the address again when nobody uses it */
    int n_span;
    struct span span[FETCH_CONNECTIONS];
};

static double fetch_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- what a file is --- */

int fetch_resolve(struct web *w, struct fetch_file *f, const struct subject *s, struct err *e)
{
    struct answer a;
    bool hub = web_is_hub(w, f->url);
    int rc = web_fetch(w, f->url, s, NULL, &a, e);
    if (rc < 0)
        return rc;
    bool elsewhere = a.status >= 300;
    if (elsewhere && strncasecmp(f->url, "https:", 6) == 0 && strncasecmp(a.location, "https:", 6))
        return err_set(e, ERR_FORMAT,
                       "%s sends from https to %.100s: no redirect from https to http is followed",
                       s->host, a.location);
    int64_t size = a.linked_size >= 0 ? a.linked_size : elsewhere ? -1 : a.length;
    const char *etag = *a.linked_etag ? a.linked_etag : a.etag;
    snprintf(f->source, sizeof f->source, "%s", elsewhere ? a.location : f->url);
    snprintf(f->etag, sizeof f->etag, "%s", etag);
    snprintf(f->commit, sizeof f->commit, "%s", a.commit);
    if (size < 0)
        return err_set(e, ERR_FORMAT, "%s does not say how large %s is: nothing can be checked",
                       s->host, s->file);
    f->size = (uint64_t)size;
    f->hash.kind = DIGEST_NONE;
    if (hub && digest_parse(etag, &f->hash) < 0)
        return err_set(e, ERR_FORMAT,
                       "%s names no hash for %s (X-Linked-Etag or ETag, got \"%.80s\"): check "
                       "HF_ENDPOINT",
                       s->host, s->file, etag);
    return 0;
}

/* --- bytes as they come --- */

static size_t span_refuse(struct span *s, const char *what)
{
    err_set(&s->e, ERR_FORMAT,
            "%s %s of %s than the hub says (%" PRIu64
            " bytes): the repository may be changing; pull "
            "again later",
            s->fetch->host, what, s->fetch->subject.file, s->fetch->file->size);
    return 0;
}

/* The first bytes of an answer: is it what was asked for?  1, or 0 with s->e or is_plain set. */
static size_t span_admit(struct span *s)
{
    const struct answer *a = &s->call.answer;
    struct fetch *f = s->fetch;
    int64_t size = (int64_t)f->file->size;
    if (a->status == 206) {
        if (a->range_total >= 0 && a->range_total != size)
            return span_refuse(s, a->range_total < size ? "has fewer bytes" : "has more bytes");
        if (a->range_first != (int64_t)s->asked) {
            err_set(&s->e, ERR_FORMAT, "%s sends another part of %s than was asked for", f->host,
                    f->subject.file);
            return 0;
        }
        return 1;
    }
    if (a->length >= 0 && a->length != size)
        return span_refuse(s, a->length < size ? "has fewer bytes" : "has more bytes");
    if (s->asked != 0 || s->end != f->file->size) {
        f->is_plain = true;
        return 0;
    }
    return 1;
}

static int span_take(struct span *s, const char *data, size_t n)
{
    struct fetch *f = s->fetch;
    struct digest_value v;
    while (n > 0) {
        uint64_t border = s->pos - s->pos % PART_CHUNK + PART_CHUNK;
        uint64_t end = border < f->file->size ? border : f->file->size;
        size_t len = n < end - s->pos ? n : (size_t)(end - s->pos);
        int rc = part_write(&f->part, s->pos, data, len, &s->e);
        if (rc == 0 && !s->chunk.state)
            rc = digest_begin(&s->chunk, DIGEST_SHA256, 0, &s->e);
        if (rc < 0)
            return rc;
        digest_add(&s->chunk, data, len);
        s->pos += len;
        *f->arrived += len;
        data += len;
        n -= len;
        if (s->pos < end)
            continue;
        digest_end(&s->chunk, &v);
        if ((rc = part_chunk(&f->part, end - 1, &v, &s->e)) < 0)
            return rc;
        s->n_failed = 0;
    }
    return 0;
}

static size_t span_body(void *cookie, const char *data, size_t n)
{
    struct span *s = cookie;
    int status = s->call.answer.status;
    if (status < 200 || status >= 300) /* a page that explains; its end need not be seen */
        return (s->noise += n) <= NOISE_BYTES ? n : 0;
    if (n == 0)
        return 0;
    if (s->pos == s->asked && !span_admit(s))
        return 0;
    if (n > s->end - s->pos)
        return span_refuse(s, "sends more bytes");
    return span_take(s, data, n) < 0 ? 0 : n;
}

/* --- connections --- */

/* All of it again: what a connection had of a chunk that is not done counts no more. */
static void span_rewind(struct span *s, uint64_t to)
{
    if (s->pos > to)
        *s->fetch->arrived -= s->pos - to;
    s->pos = to;
    digest_end(&s->chunk, NULL);
}

static void span_stop(struct fetch *f, struct span *s)
{
    if (s->is_active)
        web_end(f->web, &s->call);
    if (s->has_work)
        part_give(&f->part, s->first, s->end);
    if (s->chunk.state)
        span_rewind(s, s->pos - s->pos % PART_CHUNK);
    s->is_active = s->has_work = false;
}

static void span_find_work(struct fetch *f, struct span *s)
{
    if (f->is_plain) {
        s->has_work = s == &f->span[0] && f->part.n_done < f->part.n_chunk;
        s->first = s->pos = 0;
        s->end = f->file->size;
        return;
    }
    s->has_work = part_take(&f->part, RUN_CHUNKS, &s->first, &s->end) == 0;
    s->pos = s->first;
}

static int span_start(struct fetch *f, struct span *s, struct err *e)
{
    char range[64];
    if (f->is_plain)
        span_rewind(s, 0);
    snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, s->pos, s->end - 1);
    bool whole = f->is_plain || (s->pos == 0 && s->end == f->file->size);
    s->asked = s->pos;
    s->noise = 0;
    s->e.code = 0;
    s->call.body = span_body;
    s->call.cookie = s;
    int rc = web_begin(f->web, &s->call, WEB_GET, f->file->source, whole ? NULL : range, e);
    s->is_active = rc == 0;
    return rc;
}

/* Signed addresses expire, and a storage host says so in many ways; a hub may have moved a file. */
static bool span_expired(const struct fetch *f, int status)
{
    bool hub = web_is_hub(f->web, f->file->source);
    return hub ? status >= 300 && status < 400
               : status == 400 || status == 401 || status == 403 || status == 404 || status == 410;
}

/* A call has ended: 0, or the error that ends the download. */
static int span_done(struct fetch *f, struct span *s, struct err *e)
{
    struct err why = {0};
    int status = s->call.answer.status;
    enum web_verdict v = web_judge(&s->call, &f->subject, &why);
    double delay = web_delay(&s->call, s->n_failed);
    web_end(f->web, &s->call);
    s->is_active = false;
    if (s->e.code)
        return err_set(e, s->e.code, "%s", s->e.msg);
    if (f->is_plain && s->asked == s->pos && v == WEB_FAILED && status == 200) {
        for (int i = 0; i < f->n_span; i++)
            span_stop(f, &f->span[i]);
        *f->arrived -= part_bytes(&f->part); /* they come again, and are counted again */
        return 0;
    }
    if (s->pos == s->end) {
        s->has_work = false;
        return 0;
    }
    if (span_expired(f, status)) {
        f->is_stale = true;
        v = WEB_AGAIN;
        delay = s->n_failed ? delay : 0;
    } else if (v == WEB_GOOD) {
        err_set(&why, ERR_FORMAT,
                "%s ended %s after %" PRIu64 " of %" PRIu64
                " bytes: the repository may be changing; "
                "pull again later",
                f->host, f->subject.file, s->pos, f->file->size);
        v = WEB_AGAIN;
    }
    if (v == WEB_FAILED || ++s->n_failed == SPAN_TRIES)
        return err_set(e, why.code, "%s", why.msg);
    s->not_before = fetch_now() + delay;
    return 0;
}

static int fetch_again(struct fetch *f, struct err *e)
{
    struct fetch_file now = *f->file;
    int rc = fetch_resolve(f->web, &now, &f->subject, e);
    if (rc < 0)
        return rc;
    if (now.size != f->file->size || strcmp(now.etag, f->file->etag) != 0)
        return err_set(e, ERR_FORMAT, "%s was replaced while it was downloaded: pull again",
                       f->subject.file);
    memcpy(f->file->source, now.source, sizeof now.source);
    web_host(now.source, f->host, sizeof f->host);
    f->is_stale = false;
    return 0;
}

/* Gives every connection something to do; *n_active: those that do. */
static int fetch_assign(struct fetch *f, int *n_active, struct err *e)
{
    int rc = 0;
    *n_active = 0;
    for (int i = 0; i < f->n_span && rc == 0; i++) {
        struct span *s = &f->span[i];
        if (!s->has_work)
            span_find_work(f, s);
        if (s->has_work && !s->is_active && !f->is_stale && fetch_now() >= s->not_before)
            rc = span_start(f, s, e);
        *n_active += s->is_active;
    }
    return rc;
}

static int fetch_run(struct fetch *f, struct err *e)
{
    int rc = 0, n_active;
    while (rc == 0 && f->part.n_done < f->part.n_chunk) {
        struct web_call *done;
        if ((rc = fetch_assign(f, &n_active, e)) < 0)
            break;
        if (f->is_stale && n_active == 0) { /* it steps the same calls */
            rc = fetch_again(f, e);
            continue;
        }
        rc = web_step(f->web, &done, e);
        for (int i = 0; i < f->n_span && rc == 0 && done; i++)
            if (done == &f->span[i].call)
                rc = span_done(f, &f->span[i], e);
    }
    for (int i = 0; i < f->n_span; i++)
        span_stop(f, &f->span[i]);
    return rc;
}

struct fetch_check {
    struct web *web;
    uint64_t *arrived, before;
};

static int fetch_checking(void *cookie, uint64_t done)
{
    struct fetch_check *c = cookie;
    *c->arrived = c->before + done;
    return c->web->tick ? c->web->tick(c->web->cookie, "checking what is there already") : 0;
}

int fetch_download(struct web *w, struct fetch_file *file, const struct subject *s,
                   const char *path, uint64_t *arrived, struct err *e)
{
    struct fetch f = {.web = w, .file = file, .subject = *s, .arrived = arrived};
    struct fetch_check check = {w, arrived, *arrived};
    const struct digest_watch watch = {fetch_checking, &check};
    web_host(file->source, f.host, sizeof f.host);
    f.subject.host = f.host;
    f.n_span = w->n_connection < FETCH_CONNECTIONS ? w->n_connection : FETCH_CONNECTIONS;
    for (int i = 0; i < f.n_span; i++)
        f.span[i].fetch = &f;
    int rc = part_open(&f.part, path, file->size, &file->hash, &watch, e);
    if (rc == 0) {
        *arrived = check.before + part_bytes(&f.part);
        rc = fetch_run(&f, e);
    }
    if (rc == 0)
        rc = part_finish(&f.part, e);
    part_close(&f.part);
    return rc;
}
