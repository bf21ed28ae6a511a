/* voices.c - the lists of voices, users' own ones, and the consents to make them.
 *
 * Bodies come as multipart/form-data, as OpenAI has it, or as JSON with the recording in base64;
 * the names that other servers give the fields are known too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "server/access.h"
#include "server/daemon.h"
#include "server/multipart.h"
#include "server/recordings.h"

#define PAGE_MAX    100
#define PAGE_PRESET 20

/* The fields of an upload, and what they are called. */
enum { NAME, SOUND, LANGUAGE, TRANSCRIPT, DESCRIPTION, CONSENT, TRIM, N_FIELD };
#define N_SPELLING 6
static const char *const spellings[N_FIELD][N_SPELLING] = {
    [NAME] = {"name"},
    [SOUND] = {"audio_sample", "recording", "audio", "file", "ref_audio"},
    [LANGUAGE] = {"language"},
    [TRANSCRIPT] = {"ref_text", "transcript", "text"},
    [DESCRIPTION] = {"description"},
    [CONSENT] = {"consent", "consent_id"},
    [TRIM] = {"trim"},
};

struct upload {
    char *field[N_FIELD];       /* NUL-terminated copies; of SOUND nothing */
    struct recordings recorded; /* with the transcripts that came with them, or "" */
};

static void upload_done(struct upload *u)
{
    for (int i = 0; i < N_FIELD; i++)
        mem_free(u->field[i]);
    recordings_done(&u->recorded);
}

static int voices_out_of_memory(struct api_error *e)
{
    return api_fail(e, FAULT_MEMORY, NULL, "out of memory for the upload");
}

/* A copy of bytes as a field that is text. */
static int voices_take(struct upload *u, int i, const char *data, size_t n, struct api_error *e)
{
    if (memchr(data, 0, n))
        return api_fail(e, FAULT_INVALID_VALUE, spellings[i][0], "'%s' contains a zero byte",
                        spellings[i][0]);
    if (utf8_check(data, n) < n)
        return api_fail(e, FAULT_INVALID_VALUE, spellings[i][0], "'%s' is not UTF-8 at byte %zu",
                        spellings[i][0], utf8_check(data, n));
    mem_free(u->field[i]);
    u->field[i] = mem_try(n + 1, 1);
    if (!u->field[i])
        return voices_out_of_memory(e);
    memcpy(u->field[i], data, n);
    return 0;
}

static bool voices_spells(int i, const char *name)
{
    int k = 0;
    while (k < N_SPELLING && spellings[i][k] && strcmp(spellings[i][k], name) != 0)
        k++;
    return k < N_SPELLING && spellings[i][k];
}

/* Every recording of a form, and the transcripts, which come in the same order. */
static int voices_take_parts(struct upload *u, const struct multipart *m, struct api_error *e)
{
    int n = 0;
    for (int i = 0; i < m->n; i++)
        if (voices_spells(SOUND, m->part[i].name) &&
            recordings_add(&u->recorded, m->part[i].name, m->part[i].data, m->part[i].n, NULL, e) <
                0)
            return -1;
    for (int i = 0; i < m->n; i++) {
        if (!voices_spells(TRANSCRIPT, m->part[i].name))
            continue;
        if (n == u->recorded.n)
            return api_fail(e, FAULT_INVALID_VALUE, m->part[i].name,
                            "more transcripts than recordings, of which there are %d", n);
        if (voices_take(u, TRANSCRIPT, m->part[i].data, m->part[i].n, e) < 0)
            return -1;
        mem_free((void *)(uintptr_t)u->recorded.clip[n].transcript);
        u->recorded.clip[n++].transcript = u->field[TRANSCRIPT];
        u->field[TRANSCRIPT] = NULL;
    }
    return 0;
}

static int read_multipart(struct request *r, const char *type, struct upload *u,
                          struct api_error *e)
{
    struct multipart m;
    const struct part *p;
    const char *why, *body = spool_data(&r->body);
    if (!body)
        return voices_out_of_memory(e);
    if (multipart_parse(type, body, r->body.len, &m, &why) < 0)
        return api_fail(e, FAULT_INVALID_VALUE, NULL, "the form cannot be read: %s", why);
    for (int i = 0; i < N_FIELD; i++)
        for (int k = 0; k < N_SPELLING && spellings[i][k] && !u->field[i]; k++)
            if (i != SOUND && i != TRANSCRIPT && (p = multipart_find(&m, spellings[i][k])) &&
                voices_take(u, i, p->data, p->n, e) < 0)
                return -1;
    return voices_take_parts(u, &m, e);
}

/* The transcript of the recording that came as `audio`, and the further ones. */
static int voices_take_list(struct upload *u, const json_t *list, struct api_error *e)
{
    if (u->recorded.n && u->field[TRANSCRIPT]) {
        mem_free((void *)(uintptr_t)u->recorded.clip[0].transcript);
        u->recorded.clip[0].transcript = u->field[TRANSCRIPT];
        u->field[TRANSCRIPT] = NULL;
    }
    return list && !json_is_null(list) ? recordings_read(&u->recorded, "references", list, e) : 0;
}

static int read_json(struct request *r, struct upload *u, struct api_error *e)
{
    json_error_t why;
    const char *body = spool_data(&r->body);
    if (!body)
        return voices_out_of_memory(e);
    json_t *j = json_loadb(body, r->body.len, 0, &why);
    int rc =
        json_is_object(j) ? 0 : api_fail(e, FAULT_BAD_JSON, NULL, "the body is not a JSON object");
    for (int i = 0; i < N_FIELD && rc == 0; i++)
        for (int k = 0; k < N_SPELLING && spellings[i][k] && !u->field[i] && rc == 0; k++) {
            const json_t *v = json_object_get(j, spellings[i][k]);
            if (!v || json_is_null(v) || (i == SOUND && u->recorded.n))
                continue;
            if (i == TRIM && json_is_boolean(v))
                rc = voices_take(u, i, json_is_true(v) ? "true" : "false", json_is_true(v) ? 4 : 5,
                                 e);
            else if (!json_is_string(v))
                rc = api_fail(e, FAULT_WRONG_TYPE, spellings[i][k], "'%s' must be a string",
                              spellings[i][k]);
            else if (i == SOUND)
                rc = recordings_add_base64(&u->recorded, spellings[i][k], json_string_value(v),
                                           NULL, e);
            else
                rc = voices_take(u, i, json_string_value(v), json_string_length(v), e);
        }
    if (rc == 0)
        rc = voices_take_list(u, json_object_get(j, "references"), e);
    json_decref(j);
    return rc;
}

static int read_upload(struct request *r, struct upload *u, struct api_error *e)
{
    const char *type = http_header(r, "Content-Type");
    if (type && strncasecmp(type, "multipart/form-data", 19) == 0)
        return read_multipart(r, type, u, e);
    if (type && strncasecmp(type, "application/json", 16) == 0)
        return read_json(r, u, e);
    return api_fail(e, FAULT_CONTENT_TYPE, NULL,
                    "the body is %.64s, must be multipart/form-data or "
                    "application/json",
                    type ? type : "of no type");
}

static int voices_need(const struct upload *u, int i, const char *called, struct api_error *e)
{
    if (u->field[i] && u->field[i][0])
        return 0;
    if (i == SOUND && u->recorded.n > 0 && u->recorded.clip[0].n_bytes > 0)
        return 0;
    return api_fail(e, FAULT_MISSING, called, "'%s' is missing", called);
}

/* --- replies --- */

static json_t *stored_json(enum jabbertts_kind kind, const struct jabbertts_stored *v)
{
    const char *owner = *v->owner ? v->owner : NULL;
    json_t *j =
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:s?}", "id", v->id, "voice_id", v->id, "object",
                  kind == JABBERTTS_VOICE ? "audio.voice" : "audio.voice_consent", "name", v->name,
                  "created_at", (json_int_t)v->created_at, "language", v->language, "owner", owner);
    if (kind == JABBERTTS_VOICE && j)
        json_object_update_new(j, json_pack("{s:s,s:s,s:s,s:f}", "description", v->description,
                                            "transcript", v->transcript, "consent", v->consent,
                                            "duration", v->seconds));
    if (kind == JABBERTTS_VOICE && j)
        json_object_update_new(
            j, json_pack("{s:s, s:s, s:o}", "advice", v->advice, "preview", JABBERTTS_PREVIEW,
                         "likeness", v->likeness < 0 ? json_null() : json_real(v->likeness)));
    if (kind == JABBERTTS_VOICE && j && v->recording) /* a list does not know */
        json_object_set_new(j, "recordings", json_integer(v->n_more + 1));
    return j;
}

/* What a list tells of a voice to those who showed no key. */
static json_t *public_json(const struct jabbertts_stored *v)
{
    return json_pack("{s:s,s:s,s:s,s:s}", "id", v->id, "voice_id", v->id, "object", "audio.voice",
                     "name", v->name);
}

struct found {
    enum jabbertts_kind kind;
    bool is_public;
    json_t *json; /* an object, or an array that grows */
};

static void keep_one(void *cookie, const struct jabbertts_stored *v)
{
    struct found *f = cookie;
    f->json = stored_json(f->kind, v);
}

static void keep_all(void *cookie, const struct jabbertts_stored *v)
{
    struct found *f = cookie;
    json_array_append_new(f->json, f->is_public ? public_json(v) : stored_json(f->kind, v));
}

static bool no_store(struct request *r)
{
    struct api_error e;
    if (r->server->store)
        return false;
    api_fail(&e, FAULT_NOT_FOUND, NULL, "this server keeps no voices: it has no voice_dir");
    http_reply_error(r, &e);
    return true;
}

/* A failure of the store; what it does not find is not found here too. */
static void reply_failure(struct request *r, const char *param, const struct jabbertts_error *why)
{
    struct api_error e;
    if (why->code == JABBERTTS_ERR_NOT_FOUND)
        api_fail(&e, FAULT_NOT_FOUND, param, "%s", why->message);
    else
        api_fail_engine(&e, param, why);
    http_reply_error(r, &e);
}

/* --- adding --- */

static void reply_stored(struct request *r, enum jabbertts_kind kind, const char *id)
{
    struct jabbertts_error why;
    struct found f = {kind, false, NULL};
    const struct jabbertts_which which = {kind, access_owner(r), id, 0};
    if (jabbertts_store_get(r->server->store, &which, keep_one, &f, &why) < 0)
        reply_failure(r, NULL, &why);
    else
        http_reply_json(r, 200, f.json);
}

static void voices_add_(struct request *r, enum jabbertts_kind kind)
{
    bool voice = kind == JABBERTTS_VOICE;
    struct upload u = {.recorded = {.n = 0}};
    struct jabbertts_error why;
    struct api_error e;
    char id[48];
    if (no_store(r))
        return;
    if (read_upload(r, &u, &e) < 0 || voices_need(&u, NAME, "name", &e) < 0 ||
        voices_need(&u, SOUND, voice ? "audio_sample" : "recording", &e) < 0 ||
        (!voice && voices_need(&u, LANGUAGE, "language", &e) < 0)) {
        http_reply_error(r, &e);
        upload_done(&u);
        return;
    }
    struct jabbertts_stored v = {.name = u.field[NAME],
                                 .language = u.field[LANGUAGE],
                                 .transcript = u.recorded.clip[0].transcript,
                                 .description = u.field[DESCRIPTION],
                                 .consent = voice ? u.field[CONSENT] : NULL,
                                 .owner = access_owner(r),
                                 .recording = u.recorded.clip[0].recording,
                                 .n_bytes = u.recorded.clip[0].n_bytes,
                                 .more = u.recorded.clip + 1,
                                 .n_more = u.recorded.n - 1,
                                 .trim = u.field[TRIM] && strcmp(u.field[TRIM], "true") == 0};
    int rc = jabbertts_store_add(r->server->store, r->server->tts, kind, &v, id, &why);
    upload_done(&u);
    if (rc < 0)
        reply_failure(r, NULL, &why);
    else
        reply_stored(r, kind, id);
}

/* Some ask for the list with an empty POST. */
void voices_add(struct request *r)
{
    const char *type = http_header(r, "Content-Type");
    if (r->body.len == 0 && (!type || strncasecmp(type, "multipart/", 10) != 0))
        voices_list(r);
    else
        voices_add_(r, JABBERTTS_VOICE);
}

void consents_add(struct request *r)
{
    voices_add_(r, JABBERTTS_CONSENT);
}

/* --- lists --- */

/* The model's voice of this name, if it has one: an alias may mean a user's. */
static bool voices_named(const struct jabbertts *tts, const char *name,
                         struct jabbertts_voice_info *ret)
{
    for (int i = 0; jabbertts_voice_at(tts, i, ret) == 0; i++)
        if (strcmp(ret->name, name) == 0)
            return true;
    return false;
}

/* v: of the voice; target: its name, where this is another name of it, or NULL. */
static json_t *model_voice(const struct server *s, const struct jabbertts_model_info *m,
                           const struct jabbertts_voice_info *v, const char *name,
                           const char *target)
{
    char text[160];
    if (target)
        snprintf(text, sizeof text, "another name of %s", target);
    const char *about = target ? text : *v->description ? v->description : NULL;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s?,s:s?,s:s?,s:I}", "id", name, "voice_id", name,
                     "name", name, "object", "audio.voice", "model", m->name, "language",
                     *v->language ? v->language : NULL, "description", about, "alias_of", target,
                     "created_at", (json_int_t)models_created(s, m->path));
}

/* Of the model that ?model= names, or the first. */
static json_t *model_voices(struct request *r, struct api_error *e)
{
    struct server *s = r->server;
    const struct jabbertts_voice_info unknown = {NULL, "", ""};
    struct jabbertts_voice_info v;
    const char *name, *target, *model = http_query(r, "model");
    struct jabbertts *tts = models_find(s, model);
    struct jabbertts_model_info m;
    if (!tts) {
        models_refuse(s, model, e);
        return NULL;
    }
    jabbertts_model_info(tts, &m);
    json_t *list = json_array();
    for (int i = 0; jabbertts_voice_at(tts, i, &v) == 0; i++)
        json_array_append_new(list, model_voice(s, &m, &v, v.name, NULL));
    for (int i = 0; (name = jabbertts_voice_alias(tts, i, &target)); i++)
        json_array_append_new(
            list, model_voice(s, &m, voices_named(tts, target, &v) ? &v : &unknown, name, target));
    return list;
}

/* ?limit= and ?after=; limit stays 0 where it is not given. */
static int read_page(const struct request *r, int *limit, const char **after, struct api_error *e)
{
    const char *s = http_query(r, "limit");
    char *end = NULL;
    long n = s ? strtol(s, &end, 10) : 0;
    *after = http_query(r, "after");
    *limit = (int)n;
    if (s && (end == s || *end || n < 1 || n > PAGE_MAX))
        return api_fail(e, FAULT_INVALID_VALUE, "limit", "'limit' is %.32s, must be 1 to %d", s,
                        PAGE_MAX);
    return 0;
}

/* {"object":"list","data":[...],"first_id","last_id","has_more"}, and the same list under `also`.
 */
static json_t *page_json(json_t *list, const char *also, bool more)
{
    size_t n = json_array_size(list);
    json_t *first = json_object_get(json_array_get(list, 0), "id");
    json_t *last = n ? json_object_get(json_array_get(list, n - 1), "id") : NULL;
    json_t *j = json_pack("{s:s,s:O,s:O?,s:O?,s:b}", "object", "list", "data", list, "first_id",
                          first, "last_id", last, "has_more", more);
    if (also && j)
        json_object_set(j, also, list);
    json_decref(list);
    return j;
}

/* From behind the entry whose id is after, limit entries (0: all); false: there is no such id. */
static bool voices_cut(json_t *list, const char *after, int limit, bool *more)
{
    size_t from = 0, n = json_array_size(list);
    const char *id = NULL;
    for (; after && from < n && (!id || strcmp(id, after)); from++)
        id = json_string_value(json_object_get(json_array_get(list, from), "id"));
    if (after && (!id || strcmp(id, after)))
        return false;
    while (from-- > 0)
        json_array_remove(list, 0);
    *more = limit > 0 && json_array_size(list) > (size_t)limit;
    while (*more && json_array_size(list) > (size_t)limit)
        json_array_remove(list, json_array_size(list) - 1);
    return true;
}

/* Open WebUI reads "voices", everyone else "data"; pickers want all of them, so that is the preset.
 */
/* Kokoro's clients of old read bare names. */
static json_t *legacy_list(const json_t *list)
{
    json_t *names = json_array(), *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        json_array_append(names, json_object_get(v, "name"));
    }
    return json_pack("{s:o}", "voices", names);
}

void voices_list(struct request *r)
{
    struct server *s = r->server;
    struct jabbertts_error why;
    struct api_error e;
    struct found f = {JABBERTTS_VOICE, !access_has_key(r), NULL};
    const char *after, *legacy = http_query(r, "legacy");
    int limit;
    bool more = false;
    if (read_page(r, &limit, &after, &e) < 0 || !(f.json = model_voices(r, &e))) {
        http_reply_error(r, &e);
        return;
    }
    const struct jabbertts_which which = {JABBERTTS_VOICE, access_owner(r), NULL, LIMIT_STORED};
    if (s->store && jabbertts_store_list(s->store, &which, keep_all, &f, &why) < 0) {
        json_decref(f.json);
        reply_failure(r, NULL, &why);
    } else if (!voices_cut(f.json, after, limit, &more)) {
        json_decref(f.json);
        api_fail(&e, FAULT_INVALID_VALUE, "after", "there is no voice '%.64s'", after);
        http_reply_error(r, &e);
    } else if (legacy && strcmp(legacy, "true") == 0) {
        http_reply_json(r, 200, legacy_list(f.json));
        json_decref(f.json);
    } else {
        http_reply_json(r, 200, page_json(f.json, "voices", more));
    }
}

void consents_list(struct request *r)
{
    struct jabbertts_error why;
    struct api_error e;
    struct found f = {JABBERTTS_CONSENT, false, NULL};
    const char *after;
    int limit;
    if (no_store(r))
        return;
    if (read_page(r, &limit, &after, &e) < 0) {
        http_reply_error(r, &e);
        return;
    }
    f.json = json_array();
    const struct jabbertts_which which = {JABBERTTS_CONSENT, access_owner(r), after,
                                          limit ? limit : PAGE_PRESET};
    int rc = jabbertts_store_list(r->server->store, &which, keep_all, &f, &why);
    if (rc >= 0) {
        http_reply_json(r, 200, page_json(f.json, NULL, rc == 1));
        return;
    }
    json_decref(f.json);
    reply_failure(r, "after", &why);
}

/* --- one of them --- */

static json_t *find_model_voice(struct request *r, const char *id)
{
    struct api_error e;
    json_t *list = model_voices(r, &e), *v, *found = NULL;
    size_t i;
    json_array_foreach(list, i, v) if (!found && strcmp(json_string_value(json_object_get(v, "id")),
                                                        id) == 0) found = json_incref(v);
    json_decref(list);
    return found;
}

void voices_get(struct request *r)
{
    json_t *v = find_model_voice(r, r->argument);
    if (v)
        http_reply_json(r, 200, v);
    else if (!no_store(r))
        reply_stored(r, JABBERTTS_VOICE, r->argument);
}

void consents_get(struct request *r)
{
    if (!no_store(r))
        reply_stored(r, JABBERTTS_CONSENT, r->argument);
}

void consents_rename(struct request *r)
{
    const struct jabbertts_which which = {JABBERTTS_CONSENT, access_owner(r), r->argument, 0};
    struct upload u = {.recorded = {.n = 0}};
    struct jabbertts_error why;
    struct api_error e;
    if (no_store(r))
        return;
    if (read_upload(r, &u, &e) < 0 || voices_need(&u, NAME, "name", &e) < 0)
        http_reply_error(r, &e);
    else if (jabbertts_store_rename(r->server->store, &which, u.field[NAME], &why) < 0)
        reply_failure(r, "name", &why);
    else
        reply_stored(r, JABBERTTS_CONSENT, r->argument);
    upload_done(&u);
}

/* Kokoro-FastAPI's mixture of voices. */
void voices_combine(struct request *r)
{
    struct api_error e;
    api_fail(&e, FAULT_UNSUPPORTED, NULL,
             "voices cannot be mixed: those tried sounded like one of them (docs/QUALITY.md); POST "
             "/v1/audio/voices makes a voice from recordings");
    http_reply_error(r, &e);
}

static void remove_one(struct request *r, enum jabbertts_kind kind, const char *object)
{
    struct jabbertts_error why;
    if (no_store(r))
        return;
    const struct jabbertts_which which = {kind, access_owner(r), r->argument, 0};
    if (jabbertts_store_remove(r->server->store, &which, &why) < 0)
        reply_failure(r, NULL, &why);
    else
        http_reply_json(
            r, 200, json_pack("{s:s,s:s,s:b}", "id", r->argument, "object", object, "deleted", 1));
}

void voices_remove(struct request *r)
{
    struct api_error e;
    json_t *v = find_model_voice(r, r->argument);
    json_decref(v);
    if (v) {
        api_fail(&e, FAULT_INVALID_VALUE, NULL,
                 "'%.64s' belongs to the model and cannot be deleted", r->argument);
        http_reply_error(r, &e);
        return;
    }
    remove_one(r, JABBERTTS_VOICE, "audio.voice");
}

void consents_remove(struct request *r)
{
    remove_one(r, JABBERTTS_CONSENT, "audio.voice_consent");
}
