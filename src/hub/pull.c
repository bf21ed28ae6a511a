/* pull.c - a model from its source to the shelf. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "jabbertts_tools.h"
#include "hub/hub.h"
#include "hub/part.h"

#define SPARE_BYTES   ((int64_t)64 << 20)  /* that stay free on the disk */
#define CONVERT_BYTES ((int64_t)300 << 20) /* measured: docs/SPEED.md */
#define RATE_S        0.5                  /* between two looks at the rate */

/* What a model of 16-bit weights shrinks to at most, bytes of a weight times 16. */
static const struct scheme {
    const char *name;
    int sixteenths;
} schemes[] = {{"q8", 17}, {"q4", 17}, {"mixed", 17}, {"f16", 32}};

struct pull {
    struct jabbertts_hub *hub;
    const struct jabbertts_pull *ask;
    struct web web;
    struct survey survey;
    char name[JABBERTTS_HUB_NAME], work[4096], source_dir[4200], imatrix[65];
    const char *type; /* of what will be made; "gguf": as it is */
    int lock;
    /* for progress */
    const char *stage, *file;
    uint64_t arrived, total;
    int64_t parts, of_parts; /* of other stages */
    double rate, rate_at;
    uint64_t rate_bytes;
};

static double pull_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- progress --- */

static int pull_tell(struct pull *p, const char *note)
{
    bool loading = strcmp(p->stage, "download") == 0;
    struct jabbertts_pull_progress g = {.stage = p->stage,
                                        .file = p->file ? p->file : "",
                                        .note = note,
                                        .done_bytes = loading ? (int64_t)p->arrived : p->parts,
                                        .total_bytes = loading ? (int64_t)p->total : p->of_parts,
                                        .bytes_per_second = loading ? p->rate : -1,
                                        .remaining_s = -1};
    if (loading && p->rate > 0)
        g.remaining_s = (double)(p->total - p->arrived) / p->rate;
    return p->ask->progress ? p->ask->progress(p->ask->cookie, &g) : 0;
}

/* Called while the network works: the rate is a mean that forgets, over some seconds. */
static int pull_tick(void *cookie, const char *note)
{
    struct pull *p = cookie;
    double now = pull_now(), t = now - p->rate_at;
    if (*note) /* what is only read again says nothing of the line */
        p->rate_at = 0;
    else if (p->rate_at == 0 || t >= RATE_S) {
        double moved = p->arrived > p->rate_bytes ? (double)(p->arrived - p->rate_bytes) : 0;
        if (p->rate_at > 0)
            p->rate = p->rate < 0 ? moved / t : 0.7 * p->rate + 0.3 * moved / t;
        p->rate_at = now;
        p->rate_bytes = p->arrived;
    }
    return pull_tell(p, note);
}

static void pull_stage(struct pull *p, const char *stage, const char *file)
{
    p->stage = stage;
    p->file = file;
    p->parts = 0;
    p->of_parts = 1000000;
}

static int pull_fraction(void *cookie, double fraction)
{
    struct pull *p = cookie;
    p->parts = (int64_t)(1e6 * fraction);
    return pull_tell(p, "");
}

static void pull_fraction_only(void *cookie, double fraction)
{
    pull_fraction(cookie, fraction);
}

static int pull_waits(void *cookie)
{
    return pull_tell(cookie, "another pull of this name runs");
}

struct pull_check {
    struct pull *pull;
    uint64_t size;
};

static int pull_checks(void *cookie, uint64_t done)
{
    struct pull_check *c = cookie;
    return pull_fraction(c->pull, c->size ? (double)done / (double)c->size : 1);
}

/* --- plan --- */

static int pull_choose_type(struct pull *p, struct err *e)
{
    const char *type = p->ask->type;
    p->type = type ? type : p->survey.is_gguf ? "gguf" : "mixed";
    if (!type)
        return 0;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strcmp(schemes[i].name, type) == 0 && !(p->survey.is_gguf && !strcmp(type, "f16")))
            return 0;
    return err_set(e, ERR_ARGUMENT, "type \"%.32s\" is not q8, q4, mixed%s", type,
                   p->survey.is_gguf ? " (of a GGUF)" : " or f16");
}

static int pull_hash_imatrix(struct pull *p, struct err *e)
{
    struct digest_value v;
    if (!p->ask->imatrix)
        return 0;
    if (!strcmp(p->type, "gguf") || !strcmp(p->type, "f16"))
        return err_set(e, ERR_ARGUMENT,
                       "an importance matrix goes with the types q8, q4 and mixed");
    int rc = digest_file(p->ask->imatrix, DIGEST_SHA256, &v, NULL, NULL, e);
    if (rc == 0)
        snprintf(p->imatrix, sizeof p->imatrix, "%s", v.hex);
    return rc;
}

static bool pull_is_installed(struct pull *p)
{
    struct manifest m = {0};
    char path[4096];
    if (shelf_read(p->hub->dir, p->name, &m, NULL) < 0)
        return false;
    shelf_path(p->hub->dir, &m, path);
    bool same = !strcmp(m.source, p->survey.source.canonical) &&
                !strcmp(m.commit, p->survey.commit) && !strcmp(m.type, p->type) &&
                !strcmp(m.imatrix, p->imatrix) && access(path, R_OK) == 0;
    shelf_done(&m);
    return same;
}

static int64_t pull_local_bytes(const struct pull *p)
{
    static const char *const names[] = {"model.pth", "codec.pth", "model.safetensors",
                                        "codec.safetensors"};
    char path[4200];
    struct stat st;
    int64_t sum = 0;
    if (p->survey.source.kind == SOURCE_FILE)
        return stat(p->survey.source.place, &st) == 0 ? (int64_t)st.st_size : 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", p->survey.source.place, names[i]);
        if (stat(path, &st) == 0)
            sum += (int64_t)st.st_size;
    }
    return sum;
}

/* At the peak there are the download, the same as one GGUF (unless it is one), and what becomes of
 * it. */
static void pull_measure(struct pull *p, struct jabbertts_pull_plan *plan)
{
    struct statvfs fs;
    int64_t source = 0, missing = 0, here = 0;
    char path[4300];
    for (int i = 0; i < p->survey.n_file; i++) {
        const struct pull_file *f = &p->survey.file[i];
        struct stat st;
        source += (int64_t)f->fetch.size;
        snprintf(path, sizeof path, "%s/%s", p->source_dir, f->name);
        bool there = *f->cached || access(path, F_OK) == 0;
        missing += there ? 0 : (int64_t)f->fetch.size;
        snprintf(path, sizeof path, "%s/%s.part", p->source_dir, f->name);
        if (!there && stat(path, &st) == 0)
            here += (int64_t)st.st_blocks * 512;
    }
    if (p->survey.n_file == 0)
        source = pull_local_bytes(p);
    here = here < missing ? here : missing;
    plan->download_bytes = missing - here;
    plan->disk_bytes = plan->download_bytes;
    int sixteenths = 0;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (!strcmp(schemes[i].name, p->type))
            sixteenths = schemes[i].sixteenths;
    if (sixteenths)
        plan->disk_bytes +=
            source * sixteenths / 32 + (p->survey.is_gguf || !strcmp(p->type, "f16") ? 0 : source);
    else if (p->survey.source.kind == SOURCE_FILE)
        plan->disk_bytes += source; /* a copy */
    plan->memory_bytes = sixteenths ? CONVERT_BYTES : 32 << 20;
    plan->free_bytes =
        statvfs(p->work, &fs) == 0 ? (int64_t)(fs.f_bavail * fs.f_frsize) : INT64_MAX;
}

/* The same terms were accepted for what is installed under this name. */
static bool pull_has_agreed(const struct pull *p)
{
    struct manifest m = {0};
    bool same = shelf_read(p->hub->dir, p->name, &m, NULL) == 0 &&
                !strcmp(m.licence, p->survey.licence) &&
                !strcmp(m.source, p->survey.source.canonical);
    shelf_done(&m);
    return same;
}

static int pull_agree(struct pull *p, struct err *e)
{
    const struct survey *s = &p->survey;
    const struct licence *l = licence_find(s->licence);
    bool hub = s->source.kind == SOURCE_HUB, local = s->n_file == 0;
    char page[800];
    struct subject who;
    survey_subject(p->hub, &s->source, "", page, &who);
    struct jabbertts_pull_plan plan = {.name = p->name,
                                       .source = s->source.canonical,
                                       .commit = hub ? s->commit : "",
                                       .licence = s->licence,
                                       .licence_title = l ? l->title : s->licence,
                                       .licence_url = l ? l->url : s->licence_url,
                                       .page = hub ? page : "",
                                       .non_commercial = licence_is_non_commercial(s->licence),
                                       .type = p->type};
    pull_measure(p, &plan);
    if (plan.disk_bytes + SPARE_BYTES > plan.free_bytes)
        return err_set(e, ERR_LIMIT,
                       "the disk of %s is too small: %" PRId64 " MB are needed, %" PRId64
                       " MB are free; make room or choose another directory with `model_dir`",
                       p->hub->dir, (plan.disk_bytes + SPARE_BYTES) / 1000000,
                       plan.free_bytes / 1000000);
    plan.accepted = p->ask->accept_licence || local || pull_has_agreed(p);
    int yes = p->ask->accept ? p->ask->accept(p->ask->cookie, &plan) : 0;
    if (yes || plan.accepted)
        return 0;
    return err_set(e, ERR_ARGUMENT,
                   "the licence of %s (%s) was not accepted: read it at %s, then say yes or give "
                   "`accept_licence`",
                   p->name, *s->licence ? s->licence : "not stated",
                   *plan.licence_url ? plan.licence_url
                   : hub             ? page
                                     : s->source.place);
}

/* --- files --- */

static int pull_use_cached(struct pull *p, const struct pull_file *f, const char *to, struct err *e)
{
    struct digest_value found;
    struct pull_check check = {p, f->fetch.size};
    const struct digest_watch watch = {pull_checks, &check};
    if (f->fetch.hash.kind != DIGEST_NONE) {
        pull_stage(p, "check", f->name);
        int rc = digest_file(f->cached, f->fetch.hash.kind, &found, NULL, &watch, e);
        if (rc < 0)
            return rc;
        if (!digest_same(&found, &f->fetch.hash))
            return ERR_FORMAT;
    }
    unlink(to);
    return symlink(f->cached, to) < 0 ? part_fail(to, e) : 0;
}

/* Is there already, whole: from an earlier pull. */
static bool pull_has(struct pull *p, const struct pull_file *f, const char *path, int *rc,
                     struct err *e)
{
    struct digest_value found = {0};
    struct pull_check check = {p, f->fetch.size};
    const struct digest_watch watch = {pull_checks, &check};
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    pull_stage(p, "check", f->name);
    if ((uint64_t)st.st_size == f->fetch.size && f->fetch.hash.kind != DIGEST_NONE) {
        *rc = digest_file(path, f->fetch.hash.kind, &found, NULL, &watch, e);
        if (*rc < 0 || digest_same(&found, &f->fetch.hash))
            return true;
    }
    unlink(path);
    return false;
}

static int pull_one(struct pull *p, struct pull_file *f, struct err *e)
{
    char path[4400], page[800];
    struct subject who;
    int rc = 0;
    snprintf(path, sizeof path, "%s/%s", p->source_dir, f->name);
    if (*f->cached) {
        rc = pull_use_cached(p, f, path, e);
        if (rc != ERR_FORMAT || p->hub->offline)
            return rc == ERR_FORMAT
                       ? err_set(e, rc, "%s in the cache is damaged: remove it", f->cached)
                       : rc;
        p->total += f->fetch.size; /* another one comes from the hub */
        rc = 0;
    }
    if (pull_has(p, f, path, &rc, e)) {
        p->arrived += f->fetch.size;
        return rc;
    }
    unlink(path); /* a link into a cache that is gone */
    survey_subject(p->hub, &p->survey.source, f->name, page, &who);
    pull_stage(p, "download", f->name);
    return fetch_download(&p->web, &f->fetch, &who, path, &p->arrived, e);
}

static int pull_files(struct pull *p, struct err *e)
{
    char voices[4300];
    int rc = shelf_make_dir(p->source_dir, e);
    snprintf(voices, sizeof voices, "%s/voices", p->source_dir);
    if (rc < 0)
        return rc;
    for (int i = 0; i < p->survey.n_file && rc == 0; i++) {
        struct pull_file *f = &p->survey.file[i];
        if (strncmp(f->name, "voices/", 7) == 0)
            rc = shelf_make_dir(voices, e);
        p->total += *f->cached ? 0 : f->fetch.size;
    }
    for (int i = 0; i < p->survey.n_file && rc == 0; i++)
        rc = pull_one(p, &p->survey.file[i], e);
    return rc;
}

/* --- making the model file --- */

static int pull_took(const struct jabbertts_error *from, struct err *e)
{
    return err_set(e, from->code, "%s", from->message);
}

static int pull_convert(struct pull *p, const char *type, const char *to, struct err *e)
{
    struct jabbertts_convert_options o;
    struct jabbertts_error why;
    jabbertts_convert_options_init(&o);
    pull_stage(p, "convert", NULL);
    o.directory = p->survey.n_file ? p->source_dir : p->survey.source.place;
    o.output = to;
    o.type = type;
    o.name = p->name;
    o.progress = pull_fraction;
    o.cookie = p;
    return jabbertts_convert(&o, &why) < 0 ? pull_took(&why, e) : 0;
}

static int pull_quantize(struct pull *p, const char *from, const char *to, struct err *e)
{
    struct jabbertts_error why;
    struct jabbertts_quantize_options o = {.input = from,
                                           .output = to,
                                           .type = p->type,
                                           .imatrix = p->ask->imatrix,
                                           .progress = pull_fraction_only,
                                           .cookie = p};
    pull_stage(p, "quantize", NULL);
    return jabbertts_quantize(&o, &why) < 0 ? pull_took(&why, e) : 0;
}

/* A copy, because a file of somebody else may be written to while it is used. */
static int pull_copy(struct pull *p, const char *from, const char *to, struct err *e)
{
    struct stat st;
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = 0;
    char *block = mem_try(1 << 20, 1);
    uint64_t done = 0;
    ssize_t n = -1;
    if (in >= 0 && out >= 0 && block && fstat(in, &st) == 0)
        while ((n = read(in, block, 1 << 20)) > 0 && rc == 0) {
            rc = write(out, block, (size_t)n) == n ? 0 : part_fail(to, e);
            done += (uint64_t)n;
            if (rc == 0 && pull_fraction(p, (double)done / (double)(st.st_size + 1)))
                rc = err_set(e, ERR_CANCELLED, "stopped");
        }
    if (rc == 0 && (n < 0 || out < 0))
        rc = err_set(e, ERR_IO, "cannot copy %s to %s: %s", from, to, strerror(errno));
    mem_free(block);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return rc;
}

/* The finished GGUF is at `to`. */
static int pull_make(struct pull *p, const char *to, struct err *e)
{
    char from[4400];
    int rc = 0;
    bool quantized = strcmp(p->type, "gguf") != 0 && strcmp(p->type, "f16") != 0;
    if (!p->survey.is_gguf && !quantized)
        return pull_convert(p, p->type, to, e);
    if (!p->survey.is_gguf) {
        snprintf(from, sizeof from, "%s/whole.gguf", p->work);
        rc = pull_convert(p, NULL, from, e);
    } else if (p->survey.source.kind == SOURCE_FILE) {
        snprintf(from, sizeof from, "%s", p->survey.source.place);
    } else {
        snprintf(from, sizeof from, "%s/%s", p->source_dir, p->survey.file->name);
    }
    if (rc < 0)
        return rc;
    pull_stage(p, "install", NULL);
    rc = quantized ? pull_quantize(p, from, to, e) : pull_copy(p, from, to, e);
    if (!p->survey.is_gguf)
        unlink(from);
    return rc;
}

static json_t *pull_list_files(const struct pull *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->survey.n_file; i++) {
        const struct pull_file *f = &p->survey.file[i];
        json_array_append_new(list, json_pack("{s:s,s:I,s:s}", "name", f->name, "bytes",
                                              (json_int_t)f->fetch.size, "hash",
                                              f->fetch.hash.kind ? f->fetch.hash.hex : ""));
    }
    return list;
}

static int pull_install(struct pull *p, const char *gguf, struct err *e)
{
    struct manifest m = {.installed_at = time(NULL), .accepted_at = time(NULL)};
    struct jabbertts_error why;
    struct digest_value v;
    struct stat st;
    struct pull_check check = {p, 0};
    const struct digest_watch watch = {pull_checks, &check};
    char *text;
    pull_stage(p, "install", NULL);
    if (jabbertts_inspect(gguf, 0, 0, &text, &why) < 0)
        return err_set(e, why.code, "the download is not a model that can speak: %s", why.message);
    free(text);
    check.size = stat(gguf, &st) == 0 ? (uint64_t)st.st_size : 0;
    int fd = open(gguf, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    int rc = digest_file(gguf, DIGEST_SHA256, &v, NULL, &watch, e);
    if (rc < 0)
        return rc;
    m.bytes = (int64_t)check.size;
    snprintf(m.name, sizeof m.name, "%s", p->name);
    snprintf(m.source, sizeof m.source, "%s", p->survey.source.canonical);
    snprintf(m.commit, sizeof m.commit, "%s", p->survey.commit);
    snprintf(m.licence, sizeof m.licence, "%s", p->survey.licence);
    snprintf(m.licence_url, sizeof m.licence_url, "%s", p->survey.licence_url);
    snprintf(m.type, sizeof m.type, "%s", p->type);
    snprintf(m.sha256, sizeof m.sha256, "%s", v.hex);
    snprintf(m.imatrix, sizeof m.imatrix, "%s", p->imatrix);
    snprintf(m.version, sizeof m.version, "%s", jabbertts_version());
    m.files = pull_list_files(p);
    rc = shelf_install(p->hub->dir, gguf, &m, e);
    shelf_done(&m);
    return rc;
}

/* With the lock, and the survey made. */
static int pull_locked(struct pull *p, struct err *e)
{
    char gguf[4200];
    int rc;
    if ((rc = shelf_make_dir(p->work, e)) < 0 || (rc = pull_agree(p, e)) < 0)
        return rc;
    if (p->survey.n_file && (rc = pull_files(p, e)) < 0)
        return rc;
    snprintf(gguf, sizeof gguf, "%s/model.gguf", p->work);
    bool as_it_is = p->survey.is_gguf && p->survey.source.kind != SOURCE_FILE &&
                    !strcmp(p->type, "gguf") && !p->ask->keep && !*p->survey.file->cached;
    if (as_it_is) /* no copy of what is ours */
        snprintf(gguf, sizeof gguf, "%.4095s/source/%.90s", p->work, p->survey.file->name);
    else if ((rc = pull_make(p, gguf, e)) < 0)
        return rc;
    if ((rc = pull_install(p, gguf, e)) < 0)
        return rc;
    if (!p->ask->keep)
        shelf_erase(p->work);
    return 0;
}

static int pull_begin(struct pull *p, struct err *e)
{
    struct source s;
    int rc = source_parse(p->ask->source, p->hub->endpoint, &s, e);
    if (rc == 0 && p->ask->name && (rc = source_check_name(p->ask->name, e)) == 0)
        snprintf(p->name, sizeof p->name, "%s", p->ask->name);
    else if (rc == 0)
        rc = source_name(&s, p->name, sizeof p->name, e);
    if (rc < 0)
        return rc;
    snprintf(p->work, sizeof p->work, "%s/.pull/%s", p->hub->dir, p->name);
    snprintf(p->source_dir, sizeof p->source_dir, "%s/source", p->work);
    pull_stage(p, "wait", NULL);
    if ((rc = shelf_lock(p->hub->dir, p->name, pull_waits, p, &p->lock, e)) < 0)
        return rc;
    pull_stage(p, "check", NULL);
    if ((rc = hub_web(p->hub, &p->web, e)) < 0)
        return rc;
    p->web.tick = pull_tick;
    p->web.cookie = p;
    return 0;
}

int pull_run(struct jabbertts_hub *h, const struct jabbertts_pull *ask,
             char name[JABBERTTS_HUB_NAME], struct err *e)
{
    struct pull p = {.hub = h, .ask = ask, .lock = -1, .rate = -1};
    int rc = pull_begin(&p, e);
    if (rc == 0)
        rc = survey_make(h, &p.web, ask->source, &p.survey, e);
    if (rc == 0 && (rc = pull_choose_type(&p, e)) == 0)
        rc = pull_hash_imatrix(&p, e);
    if (rc == 0 && !pull_is_installed(&p))
        rc = pull_locked(&p, e) < 0 ? e->code : 1;
    if (rc >= 0 && name)
        memcpy(name, p.name, sizeof p.name);
    survey_done(&p.survey);
    web_close(&p.web);
    shelf_unlock(p.lock);
    return rc;
}
