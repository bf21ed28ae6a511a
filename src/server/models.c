/* models.c - the lists of models. */
#include <string.h>
#include <sys/stat.h>

#include "base/near.h"
#include "server/daemon.h"

#define ESPEAK "espeak-ng" /* speaks beside the models, listed among them or not */

/* i-th id: the models' own, OpenAI's names of the first, espeak-ng; NULL after the last */
static const char *id_at(struct server *s, int i)
{
    struct jabbertts_model_info info;
    struct jabbertts *m;
    const char *alias;
    bool has_espeak = false;
    int n = 0;
    for (; (m = jabbertts_model_at(s->tts, n)); n++) {
        jabbertts_model_info(m, &info);
        if (n == i)
            return info.name;
        has_espeak = has_espeak || strcmp(info.name, ESPEAK) == 0;
    }
    if (i < n + s->n_model_name - 1) /* the first of them is the first model's own */
        return s->model_names[i - n + 1];
    n += s->n_model_name ? s->n_model_name - 1 : 0;
    for (int k = 0; (alias = jabbertts_model_alias(k)); k++, n++)
        if (n == i)
            return alias;
    return n == i && !has_espeak ? ESPEAK : NULL;
}

struct jabbertts *models_find(struct server *s, const char *id)
{
    for (int i = 0; id && i < s->n_model_name; i++)
        if (strcmp(s->model_names[i], id) == 0)
            return s->tts;
    return jabbertts_model_named(s->tts, id);
}

int models_refuse(struct server *s, const char *id, struct api_error *e)
{
    const char *known;
    struct near near;
    near_init(&near, id);
    for (int i = 0; (known = id_at(s, i)); i++)
        near_try(&near, known);
    const char *best = near_found(&near);
    return api_fail(e, FAULT_NO_MODEL, "model",
                    "there is no model '%.64s'%s%s%s GET /v1/models lists those there are.", id,
                    best ? "; did you mean '" : ".", best ? best : "", best ? "'?" : "");
}

long models_created(const struct server *s, const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 ? (long)st.st_mtime : s->started;
}

static const struct server_model *models_about(const struct server *s, const char *name)
{
    static const struct server_model none = {.licence = "", .licence_url = ""};
    for (int i = 0; i < s->o.n_about; i++)
        if (strcmp(s->o.about[i].name, name) == 0)
            return &s->o.about[i];
    return &none;
}

/* OpenAI's four fields, and further ones in an object named after this program. */
static json_t *model_json(struct server *s, const char *id)
{
    struct jabbertts_model_info m;
    struct jabbertts *tts = models_find(s, id);
    jabbertts_model_info(tts, &m);
    const struct server_model *about = models_about(s, m.name);
    const char *licence = *about->licence ? about->licence : m.licence;
    return json_pack("{s:s,s:s,s:I,s:s,s:{s:s,s:s,s:I,s:I,s:i,s:s,s:s,s:b,s:b,s:b}}", "id", id,
                     "object", "model", "created", (json_int_t)models_created(s, m.path),
                     "owned_by", "jabbertts", "jabbertts", "name", m.name, "engine", m.engine,
                     "file_bytes", (json_int_t)m.file_bytes, "memory_bytes",
                     (json_int_t)m.memory_bytes, "sample_rate", jabbertts_sample_rate(tts),
                     "licence", licence, "licence_url", about->licence_url, "non_commercial",
                     about->non_commercial, "imitates", m.imitates, "loaded", m.load.loaded);
}

static json_t *all_models(struct server *s)
{
    json_t *list = json_array();
    const char *id;
    for (int i = 0; (id = id_at(s, i)); i++)
        json_array_append_new(list, model_json(s, id));
    return list;
}

void models_list(struct request *r)
{
    http_reply_json(r, 200,
                    json_pack("{s:s,s:o}", "object", "list", "data", all_models(r->server)));
}

/* Open WebUI reads "models", everyone else "data". */
void audio_models_list(struct request *r)
{
    json_t *list = all_models(r->server);
    http_reply_json(r, 200,
                    json_pack("{s:s,s:O,s:o}", "object", "list", "models", list, "data", list));
}

void models_get(struct request *r)
{
    struct api_error e;
    if (models_find(r->server, r->argument)) {
        http_reply_json(r, 200, model_json(r->server, r->argument));
        return;
    }
    models_refuse(r->server, r->argument, &e);
    http_reply_error(r, &e);
}
