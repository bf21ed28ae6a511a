#include "server/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "server/access.h"
#include "server/daemon.h"
#include "store/jobs.h"

#define ARCHIVE_PAGE  64
#define ARCHIVE_BYTES (256 << 20) /* of a ZIP's directory, which is written at once */
#define SLICE_BYTES   (32 << 10)  /* handed to HTTP at a time */

struct entry {
    char id[JOBS_ID_BYTES], name[256];
    int64_t n_bytes, created_at;
};

struct archived {
    struct request_state state;
    struct archive *to;
    char batch[JOBS_ID_BYTES];
    struct entry entry[ARCHIVE_PAGE]; /* [n], those from next on are to be written */
    int n, next;
    bool more, closed, done;
    struct jobs_reader reader; /* id "": no entry is being written */
    struct buf out;            /* written by the library; sent up to head */
    size_t head;
};

static const struct {
    const char *name, *type;
    int (*format)(struct archive *a);
} archive_kinds[] = {
    {"sounds.zip", "application/zip", archive_write_set_format_zip},
    {"sounds.tar", "application/x-tar", archive_write_set_format_pax_restricted},
};

static la_ssize_t archive_collect(struct archive *a, void *cookie, const void *data, size_t n)
{
    struct archived *s = cookie;
    (void)a;
    return buf_add(&s->out, data, n) < 0 ? -1 : (la_ssize_t)n;
}

static void archive_done(struct request_state *state)
{
    struct archived *s = (struct archived *)state;
    if (s->to)
        archive_write_free(s->to);
    buf_done(&s->out);
    mem_free(s);
}

static int archive_open(struct archived *s, int kind)
{
    s->to = archive_write_new();
    if (!s->to || archive_kinds[kind].format(s->to) != ARCHIVE_OK)
        return -1;
    if (kind == 0)
        archive_write_set_options(s->to, "zip:compression=store");
    archive_write_set_bytes_per_block(s->to, 0);
    return archive_write_open(s->to, s, NULL, archive_collect, NULL) == ARCHIVE_OK ? 0 : -1;
}

int archive_begin(struct request *r, const char *batch, const char *name, struct err *e)
{
    int kind = 0, n_kind = (int)(sizeof archive_kinds / sizeof *archive_kinds);
    while (kind < n_kind && strcmp(archive_kinds[kind].name, name) != 0)
        kind++;
    if (kind == n_kind)
        return err_set(e, ERR_NOT_FOUND, "a batch has sounds.zip and sounds.tar, no '%.32s'", name);
    int rc = jobs_get_batch(r->server->jobs, access_owner(r), batch, NULL, NULL, e);
    if (rc < 0)
        return rc;
    struct archived *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory for an archive");
    buf_init(&s->out, ARCHIVE_BYTES);
    s->state.free = archive_done;
    s->more = true;
    snprintf(s->batch, sizeof s->batch, "%s", batch);
    if (archive_open(s, kind) < 0) {
        archive_done(&s->state);
        return err_set(e, ERR_MEMORY, "out of memory for an archive");
    }
    r->state = &s->state;
    r->reply.status = 200;
    r->reply.type = archive_kinds[kind].type;
    r->reply.stream = true;
    http_reply_header(r, "Content-Disposition", "attachment; filename=\"%s-%s\"", batch, name);
    return 0;
}

static void archive_note(void *cookie, const struct jobs_file *f)
{
    struct archived *s = cookie;
    struct entry *to = &s->entry[s->n++];
    snprintf(to->id, sizeof to->id, "%s", f->id);
    snprintf(to->name, sizeof to->name, "%s", f->name);
    to->n_bytes = f->n_bytes;
    to->created_at = f->created_at;
}

static int archive_entry_begin(struct archived *s, const struct entry *f, struct request *r,
                               struct err *e)
{
    struct archive_entry *entry = archive_entry_new();
    if (!entry)
        return err_set(e, ERR_MEMORY, "out of memory for an archive");
    archive_entry_set_pathname_utf8(entry, f->name);
    archive_entry_set_size(entry, f->n_bytes);
    archive_entry_set_mtime(entry, f->created_at, 0);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    int rc = archive_write_header(s->to, entry);
    archive_entry_free(entry);
    if (rc < ARCHIVE_WARN)
        return err_set(e, ERR_IO, "%s", archive_error_string(s->to));
    return jobs_open_file(r->server->jobs, NULL, f->id, &s->reader, e);
}

/* One step further: 1, or 0 when all is written. */
static int archive_step(struct archived *s, struct request *r, struct buf *piece, struct err *e)
{
    if (s->reader.id[0]) {
        buf_clear(piece);
        int rc = jobs_read(r->server->jobs, &s->reader, piece, e);
        if (rc < 0)
            return rc;
        if (rc == 0)
            s->reader.id[0] = 0;
        else if (archive_write_data(s->to, piece->data, piece->len) < 0)
            return err_set(e, ERR_IO, "%s", archive_error_string(s->to));
        return 1;
    }
    if (s->next == s->n && s->more) {
        char after[JOBS_ID_BYTES];
        snprintf(after, sizeof after, "%s", s->n ? s->entry[s->n - 1].id : "");
        const struct jobs_page page = {
            .batch = s->batch, .after = *after ? after : NULL, .limit = ARCHIVE_PAGE};
        s->n = s->next = 0;
        int rc = jobs_list_files(r->server->jobs, &page, archive_note, s, e);
        s->more = rc == 1;
        return rc < 0 ? rc : 1;
    }
    if (s->next < s->n) {
        int rc = archive_entry_begin(s, &s->entry[s->next++], r, e);
        return rc < 0 ? rc : 1;
    }
    if (!s->closed && archive_write_close(s->to) != ARCHIVE_OK)
        return err_set(e, ERR_IO, "%s", archive_error_string(s->to));
    s->closed = true;
    return 0;
}

/* What the library wrote, as far as there is room: 1 when all of it is sent. */
static int archive_send(struct archived *s, struct request *r)
{
    while (s->head < s->out.len && http_has_room(r)) {
        size_t n = s->out.len - s->head < SLICE_BYTES ? s->out.len - s->head : SLICE_BYTES;
        if (http_write(r, s->out.data + s->head, n) < 0)
            return ERR_MEMORY;
        s->head += n;
    }
    if (s->head < s->out.len)
        return 0;
    buf_clear(&s->out);
    s->head = 0;
    return 1;
}

void archive_run(struct request *r)
{
    struct archived *s = (struct archived *)r->state;
    struct buf piece;
    struct err why = {0};
    int rc = 1, sent = 1;
    if (s->done)
        return;
    buf_init(&piece, 2 * HTTP_OUT_BYTES);
    while (!http_gone(r) && (sent = archive_send(s, r)) == 1 && rc == 1)
        rc = archive_step(s, r, &piece, &why);
    buf_done(&piece);
    if (sent == 0 && rc >= 0 && !http_gone(r))
        return; /* no room: it is run again */
    s->done = true;
    http_write_end(r, rc != 0 || sent != 1);
}
