/* fish.c - /v1/references of Fish Audio's server: users' voices by their names, with answers in its
 * shape, {"success", "message", "reference_id"}: MessagePack, or JSON where a client says so. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "server/access.h"
#include "server/daemon.h"
#include "server/fish.h"
#include "server/multipart.h"
#include "server/packed.h"
#include "server/recordings.h"
#include "server/timed.h"

#define ANSWER_BYTES (4 << 20)

bool fish_is_packed(const struct request *r)
{
    const char *type = http_header(r, "Content-Type");
    return type && (strncasecmp(type, "application/msgpack", 19) == 0 ||
                    strncasecmp(type, "application/x-msgpack", 21) == 0);
}

/* A part of a form, as its name has it in JSON: text, or else a number, true, a list... */
static json_t *fish_part(const struct part *p)
{
    static const char *const texts[] = {"text", "format", "reference_id"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(p->name, texts[i]) == 0)
            return json_stringn(p->data, p->n);
    if (p->n == 4 && strncasecmp(p->data, "true", 4) == 0) /* Python writes True */
        return json_true();
    if (p->n == 5 && strncasecmp(p->data, "false", 5) == 0)
        return json_false();
    json_t *v = p->n ? json_loadb(p->data, p->n, JSON_DECODE_ANY, NULL) : json_null();
    return v ? v : json_stringn(p->data, p->n);
}

/* The i-th part called `name`; NULL: there are not so many. */
static const struct part *fish_nth(const struct multipart *form, const char *name, int i)
{
    for (int k = 0; k < form->n; k++)
        if (strcmp(form->part[k].name, name) == 0 && i-- == 0)
            return &form->part[k];
    return NULL;
}

/* Files called reference_audio, each with the reference_text of its place. */
static int fish_take_files(const struct multipart *form, json_t *to, struct api_error *e)
{
    const struct part *audio, *text;
    json_t *list = json_array();
    int i = 0;
    for (; (audio = fish_nth(form, "reference_audio", i)); i++) {
        json_t *one = json_pack("{s:o}", "audio", timed_audio(audio->data, audio->n));
        text = fish_nth(form, "reference_text", i);
        if (json_array_append_new(list, one) < 0 ||
            (text && json_object_set_new(one, "text", json_stringn(text->data, text->n)) < 0)) {
            json_decref(list);
            return api_fail(e, FAULT_INVALID_VALUE, "reference_text",
                            "'reference_text' is not UTF-8");
        }
    }
    if (i > 0)
        json_object_set(to, "references", list);
    json_decref(list);
    if (fish_nth(form, "reference_text", i))
        return api_fail(e, FAULT_INVALID_VALUE, "reference_text",
                        "there are more parts 'reference_text' than 'reference_audio', of which "
                        "there are %d",
                        i);
    return 0;
}

static int fish_read_parts(const struct request *r, const char *body, size_t n, json_t **ret,
                           struct api_error *e)
{
    struct multipart form;
    const char *why;
    if (multipart_parse(http_header(r, "Content-Type"), body, n, &form, &why) < 0)
        return api_fail(e, FAULT_INVALID_VALUE, NULL, "the form cannot be read: %s", why);
    json_t *o = json_object();
    int rc = 0;
    for (int i = 0; i < form.n && rc == 0; i++)
        if (strncmp(form.part[i].name, "reference_", 10) != 0 ||
            strcmp(form.part[i].name, "reference_id") == 0)
            rc = json_object_set_new(o, form.part[i].name, fish_part(&form.part[i]));
    rc = rc < 0 ? api_fail(e, FAULT_INVALID_VALUE, NULL, "a part of the form is not UTF-8")
                : fish_take_files(&form, o, e);
    if (rc < 0)
        json_decref(o);
    else
        *ret = o;
    return rc;
}

bool fish_is_form(const struct request *r)
{
    const char *type = http_header(r, "Content-Type");
    return type && strncasecmp(type, "multipart/form-data", 19) == 0;
}

int fish_read(const struct request *r, const char *body, size_t n, json_t **ret,
              struct api_error *e)
{
    json_error_t why;
    json_t *v = NULL;
    if (fish_is_form(r))
        return fish_read_parts(r, body, n, ret, e);
    if (fish_is_packed(r) && packed_read(body, n, &v, e) < 0)
        return -1;
    if (!fish_is_packed(r) && !(v = json_loadb(body, n, 0, &why)))
        return api_fail(e, FAULT_BAD_JSON, NULL, "the body is not valid JSON: %s", why.text);
    if (!json_is_object(v)) {
        json_decref(v);
        return api_fail(e, FAULT_BAD_JSON, NULL, "the body is no object of names and values");
    }
    *ret = v;
    return 0;
}

/* --- answers --- */

static bool fish_wants_json(const struct request *r)
{
    const char *format = http_query(r, "format"), *accept = http_header(r, "Accept");
    if (format && *format)
        return strcmp(format, "json") == 0 || strcmp(format, "application/json") == 0;
    return accept && strstr(accept, "json");
}

/* Takes the reference. */
static void fish_reply(struct request *r, int status, json_t *json)
{
    struct buf b;
    if (fish_wants_json(r)) {
        http_reply_json(r, status, json);
        return;
    }
    buf_init(&b, ANSWER_BYTES);
    spool_done(&r->reply.body);
    bool good =
        json && packed_write(json, &b) == 0 && spool_add(&r->reply.body, b.data, b.len) == 0;
    r->reply.status = good ? status : 503;
    r->reply.type = good ? "application/msgpack" : NULL;
    buf_done(&b);
    json_decref(json);
}

/* e NULL: it is done. */
static void fish_answer(struct request *r, const struct api_error *e, const char *id,
                        const char *done)
{
    char message[800];
    if (e)
        r->error = *e;
    else
        snprintf(message, sizeof message, "reference %.128s %s", id, done);
    fish_reply(r, e ? api_status(e->fault) : 200,
               json_pack("{s:b, s:s, s:s}", "success", !e, "message", e ? e->message : message,
                         "reference_id", id));
}

/* --- requests --- */

struct reference { /* as a request names it */
    json_t *json;  /* whose strings they are; of a form: made of it */
    const char *id, *text, *renamed;
    struct recordings recorded;
};

static const char *fish_string(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static int fish_read_form(struct request *r, struct reference *ref, struct api_error *e)
{
    static const char *const names[] = {"id", "text", "reference_id", "old_reference_id",
                                        "new_reference_id"};
    struct multipart form;
    const char *why, *body = spool_data(&r->body);
    if (!body)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for the upload");
    if (multipart_parse(http_header(r, "Content-Type"), body, r->body.len, &form, &why) < 0)
        return api_fail(e, FAULT_INVALID_VALUE, NULL, "the form cannot be read: %s", why);
    ref->json = json_object();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct part *p = multipart_find(&form, names[i]);
        if (p && json_object_set_new(ref->json, names[i], json_stringn(p->data, p->n)) < 0)
            return api_fail(e, FAULT_INVALID_VALUE, names[i], "'%s' is not UTF-8", names[i]);
    }
    const struct part *audio = multipart_find(&form, "audio");
    return audio ? recordings_add(&ref->recorded, "audio", audio->data, audio->n,
                                  fish_string(ref->json, "text"), e)
                 : 0;
}

static int fish_read_object(struct request *r, struct reference *ref, struct api_error *e)
{
    const char *body = spool_data(&r->body);
    if (!body)
        return api_fail(e, FAULT_MEMORY, NULL, "out of memory for the body");
    if (fish_read(r, body, r->body.len, &ref->json, e) < 0)
        return -1;
    const char *audio = fish_string(ref->json, "audio");
    return audio ? recordings_add_base64(&ref->recorded, "audio", audio,
                                         fish_string(ref->json, "text"), e)
                 : 0;
}

/* id: the name of the field that says which reference is meant. */
static int fish_begin(struct request *r, const char *id, struct reference *ref, struct api_error *e)
{
    bool form = fish_is_form(r);
    *ref = (struct reference){.id = ""};
    if (!r->server->store)
        return api_fail(e, FAULT_NOT_FOUND, NULL,
                        "this server keeps no voices: it has no voice_dir");
    if (r->body.len > 0 && (form ? fish_read_form : fish_read_object)(r, ref, e) < 0)
        return -1;
    const char *named = fish_string(ref->json, id);
    ref->id = named ? named : http_query(r, id) ? http_query(r, id) : "";
    ref->text = fish_string(ref->json, "text");
    ref->renamed = fish_string(ref->json, "new_reference_id");
    return *ref->id ? 0 : api_fail(e, FAULT_MISSING, id, "'%s' is missing", id);
}

static void fish_end(struct reference *ref)
{
    recordings_done(&ref->recorded);
    json_decref(ref->json);
}

static int fish_fail_store(struct api_error *e, const struct jabbertts_error *why)
{
    return why->code == JABBERTTS_ERR_NOT_FOUND
               ? api_fail(e, FAULT_NOT_FOUND, NULL, "%s", why->message)
               : api_fail_engine(e, NULL, why);
}

/* --- the handlers --- */

static int fish_add(struct request *r, const struct reference *ref, struct api_error *e)
{
    struct jabbertts_error why;
    char id[48];
    if (ref->recorded.n == 0)
        return api_fail(e, FAULT_MISSING, "audio", "'audio' is missing");
    const struct jabbertts_stored v = {.name = ref->id,
                                       .transcript = ref->text,
                                       .owner = access_owner(r),
                                       .recording = ref->recorded.clip[0].recording,
                                       .n_bytes = ref->recorded.clip[0].n_bytes};
    return jabbertts_store_add(r->server->store, r->server->tts, JABBERTTS_VOICE, &v, id, &why) < 0
               ? fish_fail_store(e, &why)
               : 0;
}

void references_add(struct request *r)
{
    struct reference ref;
    struct api_error e;
    bool bad = fish_begin(r, "id", &ref, &e) < 0 || fish_add(r, &ref, &e) < 0;
    fish_answer(r, bad ? &e : NULL, ref.id, "was added");
    fish_end(&ref);
}

void references_remove(struct request *r)
{
    struct reference ref;
    struct api_error e;
    struct jabbertts_error why;
    int rc = fish_begin(r, "reference_id", &ref, &e);
    const struct jabbertts_which which = {JABBERTTS_VOICE, access_owner(r), ref.id, 0};
    if (rc == 0 && jabbertts_store_remove(r->server->store, &which, &why) < 0)
        rc = fish_fail_store(&e, &why);
    fish_answer(r, rc < 0 ? &e : NULL, ref.id, "was deleted");
    fish_end(&ref);
}

static void fish_list_one(void *cookie, const struct jabbertts_stored *v)
{
    json_array_append_new(cookie, json_string(v->name));
}

/* The model's voices, and those of users. */
void references_list(struct request *r)
{
    struct server *s = r->server;
    const struct jabbertts_which which = {JABBERTTS_VOICE, access_owner(r), NULL, LIMIT_STORED};
    struct jabbertts_error why;
    struct api_error e;
    json_t *names = json_array();
    const char *name;
    for (int i = 0; (name = jabbertts_voice_name(s->tts, i)); i++)
        json_array_append_new(names, json_string(name));
    if (s->store && jabbertts_store_list(s->store, &which, fish_list_one, names, &why) < 0) {
        json_decref(names);
        fish_fail_store(&e, &why);
        fish_answer(r, &e, "", "");
        return;
    }
    fish_reply(r, 200,
               json_pack("{s:b, s:s, s:o}", "success", 1, "message", "these voices are there",
                         "reference_ids", names));
}
