/* files.c - /v1/files: what batches read and write, in OpenAI's shapes. */
#include "server/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "server/access.h"
#include "server/daemon.h"
#include "server/multipart.h"

#define PAGE_FILES     10000
#define KEEP_S         (30 * 86400) /* of an upload, where its client says nothing */
#define KEEP_MIN_S     3600
#define KEEP_MAX_S     (30 * 86400)
#define STORE_RETRY_S  5
#define CONTENT_SUFFIX "/content"

/* --- what batches.c shares --- */

struct jobs *files_store(struct request *r)
{
    struct api_error e;
    if (r->server->jobs)
        return r->server->jobs;
    api_fail(&e, FAULT_UNSUPPORTED, NULL,
             "this server keeps no files; start it with a directory of voices, or with the option "
             "store");
    http_reply_error(r, &e);
    return NULL;
}

void files_fail(const struct err *why, const char *param, struct api_error *e)
{
    switch (why->code) {
    case ERR_NOT_FOUND:
        api_fail(e, FAULT_NOT_FOUND, param, "%s", why->msg);
        break;
    case ERR_ARGUMENT:
        api_fail(e, FAULT_INVALID_VALUE, param, "%s", why->msg);
        break;
    case ERR_LIMIT:
        api_fail(e, FAULT_RATE, param, "%s", why->msg);
        e->retry_after_s = 60;
        break;
    case ERR_BUSY:
    case ERR_AWAY:
        api_fail(e, FAULT_STORE, NULL, "%s", why->msg);
        e->retry_after_s = STORE_RETRY_S;
        break;
    default:
        api_fail(e, why->code == ERR_MEMORY ? FAULT_MEMORY : FAULT_INTERNAL, NULL, "%s", why->msg);
    }
}

void files_reply_failure(struct request *r, const char *param, const struct err *why)
{
    struct api_error e;
    files_fail(why, param, &e);
    http_reply_error(r, &e);
}

static int files_read_page(const struct request *r, int most, int preset, struct jobs_page *p,
                           struct api_error *e)
{
    const char *s = http_query(r, "limit"), *order = http_query(r, "order");
    char *end = NULL;
    long n = s ? strtol(s, &end, 10) : preset;
    *p = (struct jobs_page){.owner = access_owner(r),
                            .after = http_query(r, "after"),
                            .purpose = http_query(r, "purpose"),
                            .limit = (int)n,
                            .descending = !order || strcmp(order, "asc") != 0};
    if (s && (end == s || *end || n < 1 || n > most))
        return api_fail(e, FAULT_INVALID_VALUE, "limit", "'limit' is %.32s, must be 1 to %d", s,
                        most);
    if (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
        return api_fail(e, FAULT_INVALID_VALUE, "order", "'order' is %.32s, must be asc or desc",
                        order);
    return 0;
}

struct jobs *files_begin_list(struct request *r, int most, int preset, struct jobs_page *p)
{
    struct jobs *jobs = files_store(r);
    struct api_error e;
    if (!jobs || files_read_page(r, most, preset, p, &e) == 0)
        return jobs;
    http_reply_error(r, &e);
    return NULL;
}

void files_end_list(struct request *r, json_t *list, int more, const struct err *why)
{
    if (more < 0) {
        json_decref(list);
        files_reply_failure(r, NULL, why);
        return;
    }
    size_t n = json_array_size(list);
    json_t *first = json_object_get(json_array_get(list, 0), "id");
    json_t *last = n ? json_object_get(json_array_get(list, n - 1), "id") : NULL;
    http_reply_json(r, 200,
                    json_pack("{s:s,s:o,s:O?,s:O?,s:b}", "object", "list", "data", list, "first_id",
                              first, "last_id", last, "has_more", more));
}

/* 1h, 24h, 7d, 90s, 15m: seconds; 0: it is no such time */
int64_t files_read_time(const char *s)
{
    static const struct {
        char letter;
        int64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    long n = strtol(s, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end > s && n > 0 && n <= 10000 && end[0] == units[i].letter && !end[1])
            return n * units[i].s;
    return 0;
}

/* --- the list --- */

static json_t *file_json(const struct jobs_file *f)
{
    json_t *j = json_pack("{s:s,s:s,s:I,s:I,s:s,s:s,s:s}", "id", f->id, "object", "file", "bytes",
                          (json_int_t)f->n_bytes, "created_at", (json_int_t)f->created_at,
                          "filename", f->name, "purpose", f->purpose, "status", "processed");
    json_object_set_new(j, "expires_at", f->expires_at ? json_integer(f->expires_at) : json_null());
    return j;
}

static void append_file(void *cookie, const struct jobs_file *f)
{
    json_array_append_new(cookie, file_json(f));
}

void files_list(struct request *r)
{
    struct jobs_page page;
    struct err why = {0};
    struct jobs *jobs = files_begin_list(r, PAGE_FILES, PAGE_FILES, &page);
    if (!jobs)
        return;
    json_t *list = json_array();
    files_end_list(r, list, jobs_list_files(jobs, &page, append_file, list, &why), &why);
}

/* --- an upload --- */

/* A field as a string; "" where it is missing. */
static void form_field(const struct multipart *m, const char *name, char *to, size_t n)
{
    const struct part *p = multipart_find(m, name);
    snprintf(to, n, "%.*s", p ? (int)(p->n < n ? p->n : n - 1) : 0, p ? p->data : "");
}

static int read_keep(const struct multipart *m, int64_t *keep_s, struct api_error *e)
{
    char anchor[32], seconds[32], *end;
    form_field(m, "expires_after[anchor]", anchor, sizeof anchor);
    form_field(m, "expires_after[seconds]", seconds, sizeof seconds);
    *keep_s = KEEP_S;
    if (!*anchor && !*seconds)
        return 0;
    long n = strtol(seconds, &end, 10);
    if (strcmp(anchor, "created_at") != 0)
        return api_fail(e, FAULT_INVALID_VALUE, "expires_after",
                        "'expires_after[anchor]' is '%s', must be created_at", anchor);
    if (*end || n < KEEP_MIN_S || n > KEEP_MAX_S)
        return api_fail(e, FAULT_INVALID_VALUE, "expires_after",
                        "'expires_after[seconds]' is '%s', must be %d to %d", seconds, KEEP_MIN_S,
                        KEEP_MAX_S);
    *keep_s = n;
    return 0;
}

/* Makes a file name safe: bytes that are not UTF-8, control characters and path separators become
 * _. */
static void clean_file_name(char *name)
{
    bool utf8 = utf8_check(name, strlen(name)) == strlen(name);
    for (char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127 || strchr("/\\\"", *p) || (!utf8 && *p < 0))
            *p = '_';
}

static int read_upload_file(struct request *r, struct multipart *m, struct jobs_file *f,
                            const struct part **content, struct api_error *e)
{
    const char *type = http_header(r, "Content-Type"), *body = spool_data(&r->body), *why;
    char purpose[32];
    if (!body)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for the upload");
    if (!type || strncasecmp(type, "multipart/", 10) != 0)
        return api_fail(e, FAULT_CONTENT_TYPE, NULL,
                        "the body is %.64s, must be multipart/form-data with the fields file and "
                        "purpose",
                        type ? type : "of no type");
    if (multipart_parse(type, body, r->body.len, m, &why) < 0)
        return api_fail(e, FAULT_INVALID_VALUE, NULL, "the form cannot be read: %s", why);
    form_field(m, "purpose", purpose, sizeof purpose);
    if (!(*content = multipart_find(m, "file")))
        return api_fail(e, FAULT_MISSING, "file", "the field 'file' is missing");
    if (strcmp(purpose, "batch") != 0)
        return api_fail(e, *purpose ? FAULT_INVALID_VALUE : FAULT_MISSING, "purpose",
                        "'purpose' is '%s', must be 'batch'", purpose);
    struct part *named = &m->part[*content - m->part];
    clean_file_name(named->file);
    f->name = *named->file ? named->file : "upload.jsonl";
    f->purpose = "batch";
    return read_keep(m, &f->keep_s, e);
}

void files_add(struct request *r)
{
    struct jobs *jobs = files_store(r);
    struct jobs_file f = {.owner = r->key.name};
    const struct part *content = NULL;
    struct multipart *m;
    struct api_error e;
    struct err why = {0};
    char id[JOBS_ID_BYTES];
    if (!jobs)
        return;
    if (!(m = mem_try(1, sizeof *m))) {
        api_fail(&e, FAULT_MEMORY, NULL, "out of memory for the upload");
        http_reply_error(r, &e);
    } else if (read_upload_file(r, m, &f, &content, &e) < 0) {
        http_reply_error(r, &e);
    } else if (jobs_add_file(jobs, &f, content->data, content->n, id, &why) < 0) {
        files_reply_failure(r, NULL, &why);
    } else {
        json_t *list = json_array();
        if (jobs_get_file(jobs, NULL, id, append_file, list, &why) < 0)
            files_reply_failure(r, NULL, &why);
        else
            http_reply_json(r, 200, json_incref(json_array_get(list, 0)));
        json_decref(list);
    }
    mem_free(m);
}

/* --- one file --- */

struct download {
    struct request_state state;
    struct jobs_reader reader;
    struct buf piece; /* read, and not sent yet */
    bool done;
};

static void download_free(struct request_state *state)
{
    buf_done(&((struct download *)state)->piece);
    mem_free(state);
}

struct known_file {
    char name[256];
    bool is_text;
};

static void note_file(void *cookie, const struct jobs_file *f)
{
    struct known_file *k = cookie;
    snprintf(k->name, sizeof k->name, "%s", f->name);
    for (char *p = k->name; *p; p++) /* it goes into a header */
        if ((unsigned char)*p > 126)
            *p = '_';
    k->is_text = strcmp(f->purpose, "batch_sound") != 0;
}

static int download_begin(struct request *r, const char *id, struct err *why)
{
    struct jobs *jobs = r->server->jobs;
    struct jabbertts_format format;
    struct known_file known;
    int rc = jobs_get_file(jobs, access_owner(r), id, note_file, &known, why);
    struct download *d = rc == 0 ? mem_try(1, sizeof *d) : NULL;
    if (rc == 0 && !d)
        rc = err_set(why, ERR_MEMORY, "out of memory for a file");
    if (rc == 0) {
        buf_init(&d->piece, 2 * HTTP_OUT_BYTES);
        d->state.free = download_free;
        rc = jobs_open_file(jobs, access_owner(r), id, &d->reader, why);
    }
    /* While the answer can still be an error. */
    if (rc < 0 || (rc = jobs_read(jobs, &d->reader, &d->piece, why)) < 0) {
        if (d)
            download_free(&d->state);
        return rc;
    }
    r->state = &d->state;
    r->reply.status = 200;
    r->reply.type = !known.is_text && jabbertts_format_find(known.name, &format) == 0
                        ? format.type
                        : "application/octet-stream";
    http_reply_header(r, "Content-Disposition", "attachment; filename=\"%s\"", known.name);
    r->reply.stream = true;
    return 0;
}

static void download_run(struct request *r)
{
    struct download *d = (struct download *)r->state;
    struct err why = {0};
    int rc = 1;
    if (d->done)
        return;
    while (rc == 1 && !http_gone(r) && http_has_room(r)) {
        if (d->piece.len > 0 && http_write(r, d->piece.data, d->piece.len) < 0) {
            rc = ERR_MEMORY;
            break;
        }
        buf_clear(&d->piece);
        rc = jobs_read(r->server->jobs, &d->reader, &d->piece, &why);
    }
    if (rc == 1 && !http_gone(r))
        return; /* no room: it is run again */
    d->done = true;
    http_write_end(r, rc != 0);
}

static void reply_file(struct request *r)
{
    struct err why = {0};
    json_t *list = json_array();
    if (jobs_get_file(r->server->jobs, access_owner(r), r->argument, append_file, list, &why) < 0)
        files_reply_failure(r, NULL, &why);
    else
        http_reply_json(r, 200, json_incref(json_array_get(list, 0)));
    json_decref(list);
}

/* GET /v1/files/ID and /v1/files/ID/content */
void files_get(struct request *r)
{
    size_t n = strlen(r->argument), suffix = strlen(CONTENT_SUFFIX);
    char id[JOBS_ID_BYTES];
    struct err why = {0};
    if (r->state) {
        download_run(r);
        return;
    }
    if (r->reply.status)
        return;
    if (!files_store(r)) {
        http_ready(r);
        return;
    }
    if (n <= suffix || strcmp(r->argument + n - suffix, CONTENT_SUFFIX) != 0) {
        reply_file(r);
    } else {
        snprintf(id, sizeof id, "%.*s", (int)(n - suffix), r->argument);
        if (download_begin(r, id, &why) == 0) {
            http_ready(r);
            download_run(r);
            return;
        }
        files_reply_failure(r, NULL, &why);
    }
    http_ready(r);
}

void files_remove(struct request *r)
{
    struct jobs *jobs = files_store(r);
    struct err why = {0};
    if (!jobs)
        return;
    if (jobs_remove_file(jobs, access_owner(r), r->argument, &why) < 0)
        files_reply_failure(r, NULL, &why);
    else
        http_reply_json(
            r, 200, json_pack("{s:s,s:s,s:b}", "id", r->argument, "object", "file", "deleted", 1));
}
