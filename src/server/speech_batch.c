/* speech_batch.c - POST /v1/audio/speech/batch: several inputs in one request, answered together.
 *
 * Each item is a speech request of its own, with the members around the list as its defaults.  What
 * has ended is sent, as a part of a JSON text, of multipart/mixed or of a ZIP archive. */
#include <archive.h>
#include <archive_entry.h>
#include <libavutil/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "server/access.h"
#include "server/ask.h"
#include "server/daemon.h"

#define SPEECH_ITEMS  32
#define SPEECH_BYTES  ((size_t)512 << 20) /* of one item in base64 */
#define SPEECH_SLICE  (32 << 10)          /* handed to HTTP at a time */
#define PART_BOUNDARY "jabbertts-part-5b1f0f"

enum batch_form { FORM_JSON, FORM_MULTIPART, FORM_ZIP };

struct speech_item {
    struct request *request;
    int index;
    struct speech_params params;
    struct pump *pump; /* NULL: not submitted, or refused */
    struct spool sound;
    struct api_error error; /* fault 0: none */
    bool waits, ended, sent;
};

struct speech_batch {
    struct request_state state;
    struct speech_item item[SPEECH_ITEMS];
    int n, n_sent, n_failed;
    enum batch_form form;
    struct archive *zip;
    struct buf out; /* to be sent, from head on */
    size_t head;
    bool begun, closed, done;
    double seconds;
};

static la_ssize_t zip_collect(struct archive *a, void *cookie, const void *data, size_t n)
{
    (void)a;
    return buf_add(&((struct speech_batch *)cookie)->out, data, n) < 0 ? -1 : (la_ssize_t)n;
}

static void speech_batch_free(struct request_state *state)
{
    struct speech_batch *b = (struct speech_batch *)state;
    for (int i = 0; i < b->n; i++) {
        pump_free(b->item[i].pump);
        params_done(&b->item[i].params);
        spool_done(&b->item[i].sound);
    }
    if (b->zip)
        archive_write_free(b->zip);
    buf_done(&b->out);
    mem_free(b);
}

static void speech_batch_count(const struct request_state *state, struct metrics *m, bool failed)
{
    (void)failed;
    metrics_add(m, METRIC_AUDIO_SECONDS, "", ((const struct speech_batch *)state)->seconds);
}

/* --- the request --- */

static int item_write(void *cookie, const void *data, size_t n)
{
    return spool_add(&((struct speech_item *)cookie)->sound, data, n);
}

static bool item_has_room(void *cookie)
{
    (void)cookie;
    return true;
}

static void item_wake(void *cookie)
{
    http_schedule(((struct speech_item *)cookie)->request);
}

/* Its own members over those around the list. */
static int item_parse(struct speech_item *it, const json_t *around, json_t *own)
{
    struct server *s = it->request->server;
    const struct param_limits limits = {s->o.max_input_chars, s->o.strict};
    if (!json_is_object(own))
        return api_fail(&it->error, FAULT_WRONG_TYPE, "items", "an item must be an object");
    json_t *all = json_pack("{s:s,s:s}", "model", "tts-1", "response_format", "wav");
    json_object_update(all, (json_t *)(uintptr_t)around);
    json_object_del(all, "items");
    json_object_update(all, own);
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    int rc = text ? params_parse(text, strlen(text), &limits, &it->params, &it->error)
                  : api_fail(&it->error, FAULT_MEMORY, NULL, "out of memory for an item");
    free(text);
    if (rc == 0 && it->params.stream_format)
        rc = api_fail(&it->error, FAULT_UNSUPPORTED, "stream_format",
                      "'stream_format' sse has no meaning in a batch");
    return rc < 0 ? rc : ask_check_model(s, it->params.model, &it->error);
}

/* An item that finds the queue full waits while another item of the same request speaks; the end of
 * that one wakes it. */
static void item_submit(struct speech_item *it, bool another)
{
    struct request *r = it->request;
    const struct asker who = {.owner = access_owner(r),
                              .deadline_s = r->server->o.request_timeout_s,
                              .sink = {item_write, item_has_room, item_wake, it}};
    struct api_error e = {0};
    it->waits = false;
    if (ask_submit(r->server, &it->params, &who, &it->pump, &e) == 0)
        return;
    it->waits = e.fault == FAULT_BUSY && another;
    it->ended = !it->waits;
    if (it->ended)
        it->error = e;
}

static enum batch_form speech_batch_form(const struct request *r)
{
    const char *accept = http_header(r, "Accept");
    return accept && strstr(accept, "application/zip")   ? FORM_ZIP
           : accept && strstr(accept, "multipart/mixed") ? FORM_MULTIPART
                                                         : FORM_JSON;
}

static int speech_batch_open(struct request *r, struct speech_batch *b)
{
    static const char *const types[] = {
        "application/json", "multipart/mixed; boundary=" PART_BOUNDARY, "application/zip"};
    b->form = speech_batch_form(r);
    r->reply.status = 200;
    r->reply.type = types[b->form];
    r->reply.stream = true;
    if (b->form != FORM_ZIP)
        return 0;
    b->zip = archive_write_new();
    if (!b->zip || archive_write_set_format_zip(b->zip) != ARCHIVE_OK)
        return -1;
    archive_write_set_options(b->zip, "zip:compression=store");
    archive_write_set_bytes_per_block(b->zip, 0);
    return archive_write_open(b->zip, b, NULL, zip_collect, NULL) == ARCHIVE_OK ? 0 : -1;
}

static int speech_batch_parse(struct request *r, struct speech_batch *b, const json_t *j,
                              struct api_error *e)
{
    const json_t *items = json_object_get(j, "items");
    if (!json_is_object(j))
        return api_fail(e, FAULT_BAD_JSON, NULL, "the body is not a JSON object");
    if (!json_is_array(items))
        return api_fail(e, items ? FAULT_WRONG_TYPE : FAULT_MISSING, "items",
                        "'items' must be an array of objects");
    if (json_array_size(items) < 1 || json_array_size(items) > SPEECH_ITEMS)
        return api_fail(e, FAULT_INVALID_VALUE, "items",
                        "'items' has %zu members, must have 1 to %d; /v1/batches takes more",
                        json_array_size(items), SPEECH_ITEMS);
    b->n = (int)json_array_size(items);
    for (int i = 0; i < b->n; i++) {
        struct speech_item *it = &b->item[i];
        it->request = r;
        it->index = i;
        spool_init(&it->sound, &r->server->spool, HTTP_WHOLE_BYTES);
        it->ended = item_parse(it, j, json_array_get(items, (size_t)i)) < 0;
    }
    return 0;
}

static bool speech_batch_speaks(const struct speech_batch *b)
{
    for (int i = 0; i < b->n; i++)
        if (b->item[i].pump && !b->item[i].ended)
            return true;
    return false;
}

static int speech_batch_begin(struct request *r, struct api_error *e)
{
    json_error_t why;
    const char *body = spool_data(&r->body), *type = http_header(r, "Content-Type");
    struct speech_batch *b = mem_try(1, sizeof *b);
    if (!b || !body) {
        mem_free(b);
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for a request");
    }
    b->state = (struct request_state){.free = speech_batch_free, .count = speech_batch_count};
    buf_init(&b->out, SPEECH_BYTES);
    json_t *j = json_loadb(body, r->body.len, 0, &why);
    int rc = type && strncmp(type, "application/json", 16) == 0
                 ? speech_batch_parse(r, b, j, e)
                 : api_fail(e, FAULT_CONTENT_TYPE, NULL, "the body must be application/json");
    json_decref(j);
    if (rc == 0 && speech_batch_open(r, b) < 0)
        rc = api_fail(e, FAULT_MEMORY, NULL, "out of memory for an archive");
    if (rc < 0) {
        speech_batch_free(&b->state);
        return rc;
    }
    r->state = &b->state;
    for (int i = 0; i < b->n; i++)
        if (!b->item[i].ended)
            item_submit(&b->item[i], speech_batch_speaks(b));
    return 0;
}

/* --- what has ended --- */

static void item_pump(struct speech_item *it)
{
    struct jabbertts_error why = {0};
    unsigned char head[JABBERTTS_HEAD_MAX];
    int step = pump_run(it->pump, &why);
    it->ended = step == PUMP_END || step == PUMP_SHORT || step < 0;
    if (step == PUMP_SHORT)
        ask_fail_short(it->pump, &it->error);
    else if (step < 0)
        api_fail_engine(&it->error, NULL, &why);
    size_t n = step == PUMP_END ? pump_head(it->pump, head) : 0;
    if (n > 0)
        spool_rewrite(&it->sound, head, n);
}

static int speech_batch_add_json(struct speech_batch *b, json_t *j)
{
    char *s = j ? json_dumps(j, JSON_COMPACT) : NULL;
    int rc = s ? buf_add_str(&b->out, s) : ERR_MEMORY;
    free(s);
    json_decref(j);
    return rc;
}

static json_t *item_usage(const struct speech_item *it)
{
    struct jabbertts_progress p;
    pump_progress(it->pump, &p);
    return json_pack("{s:i,s:i,s:i}", "input_tokens", p.n_token, "output_tokens", p.n_frame,
                     "total_tokens", p.n_token + p.n_frame);
}

static int emit_json(struct speech_batch *b, struct speech_item *it, const char *type)
{
    int rc = buf_add_str(&b->out, b->n_sent ? "," : "");
    if (rc < 0 || it->error.fault)
        return rc < 0 ? rc
                      : speech_batch_add_json(b, json_pack("{s:i,s:s,s:s,s:s}", "index", it->index,
                                                           "status", "error", "error",
                                                           it->error.message, "code",
                                                           api_code(it->error.fault)));
    size_t room = AV_BASE64_SIZE(it->sound.len);
    const char *data = spool_data(&it->sound);
    char *text = data && room < SPEECH_BYTES ? mem_try(room, 1) : NULL;
    if (!text || !av_base64_encode(text, (int)room, (const uint8_t *)data, (int)it->sound.len))
        rc = ERR_MEMORY;
    else
        rc = speech_batch_add_json(b, json_pack("{s:i,s:s,s:s,s:s,s:o}", "index", it->index,
                                                "status", "success", "audio_data", text,
                                                "media_type", type, "usage", item_usage(it)));
    mem_free(text);
    return rc;
}

static int emit_part(struct speech_batch *b, struct speech_item *it, const char *type)
{
    const char *data = spool_data(&it->sound);
    int rc =
        buf_add_format(&b->out,
                       "%s--" PART_BOUNDARY "\r\nContent-Type: %s\r\n"
                       "Content-Disposition: attachment; name=\"%d\"; filename=\"%d.%s\"\r\n\r\n",
                       b->n_sent ? "\r\n" : "", it->error.fault ? "application/json" : type,
                       it->index, it->index, it->error.fault ? "json" : it->params.encoder.format);
    if (rc < 0 || it->error.fault)
        return rc < 0 ? rc : speech_batch_add_json(b, api_error_json(&it->error));
    return data ? buf_add(&b->out, data, it->sound.len) : ERR_MEMORY;
}

static int emit_entry(struct speech_batch *b, struct speech_item *it)
{
    json_t *error = it->error.fault ? api_error_json(&it->error) : NULL;
    char name[48], *text = error ? json_dumps(error, JSON_COMPACT) : NULL;
    const char *data = error ? text : spool_data(&it->sound);
    size_t n = error ? text ? strlen(text) : 0 : it->sound.len;
    struct archive_entry *entry = archive_entry_new();
    snprintf(name, sizeof name, "%03d.%s", it->index, error ? "json" : it->params.encoder.format);
    int rc = entry && data ? 0 : ERR_MEMORY;
    if (rc == 0) {
        archive_entry_set_pathname(entry, name);
        archive_entry_set_size(entry, (la_int64_t)n);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        rc = archive_write_header(b->zip, entry) < ARCHIVE_WARN ||
                     archive_write_data(b->zip, data, n) < 0
                 ? ERR_MEMORY
                 : 0;
    }
    archive_entry_free(entry);
    json_decref(error);
    free(text);
    return rc;
}

static int speech_batch_emit(struct speech_batch *b, struct speech_item *it)
{
    struct jabbertts_format f = {.type = "audio/wav"};
    jabbertts_format_find(it->params.encoder.format ? it->params.encoder.format : "wav", &f);
    int rc = b->form == FORM_JSON        ? emit_json(b, it, f.type)
             : b->form == FORM_MULTIPART ? emit_part(b, it, f.type)
                                         : emit_entry(b, it);
    if (!it->error.fault)
        b->seconds += pump_seconds(it->pump);
    b->n_failed += it->error.fault != FAULT_NONE;
    it->sent = true;
    b->n_sent++;
    spool_done(&it->sound);
    spool_init(&it->sound, &it->request->server->spool, HTTP_WHOLE_BYTES);
    return rc;
}

static int speech_batch_close(struct request *r, struct speech_batch *b)
{
    b->closed = true;
    if (b->form == FORM_JSON)
        return buf_add_format(&b->out,
                              "],\"id\":\"speech-batch-%s\",\"total\":%d,\"succeeded\":%d,"
                              "\"failed\":%d}",
                              r->id + 4, b->n, b->n - b->n_failed, b->n_failed);
    if (b->form == FORM_MULTIPART)
        return buf_add_str(&b->out, "\r\n--" PART_BOUNDARY "--\r\n");
    return archive_write_close(b->zip) == ARCHIVE_OK ? 0 : ERR_MEMORY;
}

/* What there is, as far as there is room: 1 when all of it is sent. */
static int speech_batch_send(struct request *r, struct speech_batch *b)
{
    while (b->head < b->out.len && http_has_room(r)) {
        size_t n = b->out.len - b->head < SPEECH_SLICE ? b->out.len - b->head : SPEECH_SLICE;
        if (http_write(r, b->out.data + b->head, n) < 0)
            return ERR_MEMORY;
        b->head += n;
    }
    if (b->head < b->out.len)
        return 0;
    buf_clear(&b->out);
    b->head = 0;
    return 1;
}

/* The next thing to write: 1: there was one; 0: not yet. */
static int speech_batch_step(struct request *r, struct speech_batch *b)
{
    int rc = 0;
    if (!b->begun) {
        b->begun = true;
        rc = b->form == FORM_JSON ? buf_add_str(&b->out, "{\"results\":[") : 0;
        return rc < 0 ? rc : 1;
    }
    for (int i = 0; i < b->n; i++)
        if (b->item[i].ended && !b->item[i].sent) {
            rc = speech_batch_emit(b, &b->item[i]);
            return rc < 0 ? rc : 1;
        }
    if (b->n_sent < b->n || b->closed)
        return 0;
    rc = speech_batch_close(r, b);
    return rc < 0 ? rc : 1;
}

static void speech_batch_advance(struct request *r, struct speech_batch *b)
{
    int rc = 1, sent = 1;
    for (int i = 0; i < b->n; i++)
        if (b->item[i].pump && !b->item[i].ended)
            item_pump(&b->item[i]);
    for (int i = 0; i < b->n; i++) {
        if (b->item[i].waits)
            item_submit(&b->item[i], speech_batch_speaks(b));
        if (b->item[i].pump && !b->item[i].ended) /* silence is there at once */
            item_pump(&b->item[i]);
    }
    while (rc == 1 && (sent = speech_batch_send(r, b)) == 1)
        rc = speech_batch_step(r, b);
    if (rc >= 0 && sent >= 0 && !(b->closed && sent == 1 && rc == 0))
        return;
    b->done = true;
    http_write_end(r, rc < 0 || sent < 0);
}

void speech_batch_run(struct request *r)
{
    struct api_error e = {0};
    if (!r->state) {
        if (r->reply.status)
            return;
        if (speech_batch_begin(r, &e) < 0)
            http_reply_error(r, &e);
        http_ready(r);
    }
    struct speech_batch *b = (struct speech_batch *)r->state;
    if (!b || b->done)
        return;
    if (!http_gone(r)) {
        speech_batch_advance(r, b);
        return;
    }
    for (int i = 0; i < b->n; i++)
        if (b->item[i].pump)
            pump_cancel(b->item[i].pump);
    b->done = true;
    http_write_end(r, true);
}
