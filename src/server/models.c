/* models.c - the lists of models. */
#include <string.h>

#include "base/near.h"
#include "server/daemon.h"

#define ESPEAK "espeak-ng" /* speaks beside any model */

/* What OpenAI's clients ask for by default. */
static const char *const aliases[] = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts",
                                      "gpt-4o-mini-tts-2025-12-15", ESPEAK};
#define N_ALIAS (int)(sizeof aliases / sizeof *aliases)

/* i-th id, the model's own first; NULL after the last */
static const char *id_at(const struct server *s, int i)
{
    if (i < s->n_model_name)
        return s->model_names[i];
    return i < s->n_model_name + N_ALIAS ? aliases[i - s->n_model_name] : NULL;
}

bool models_known(const struct server *s, const char *id)
{
    const char *known;
    for (int i = 0; (known = id_at(s, i)); i++)
        if (strcmp(known, id) == 0)
            return true;
    return false;
}

const char *models_engine(const char *id)
{
    return strcmp(id, ESPEAK) == 0 ? id : NULL;
}

const char *models_nearest(const struct server *s, const char *id)
{
    const char *known;
    struct near near;
    near_init(&near, id);
    for (int i = 0; (known = id_at(s, i)); i++)
        near_try(&near, known);
    return near_found(&near);
}

static json_t *model_json(const struct server *s, const char *id)
{
    return json_pack("{s:s,s:s,s:I,s:s}", "id", id, "object", "model", "created",
                     (json_int_t)s->model_created, "owned_by", "jabbertts");
}

static json_t *all_models(const struct server *s)
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
    if (models_known(r->server, r->argument)) {
        http_reply_json(r, 200, model_json(r->server, r->argument));
        return;
    }
    const char *best = models_nearest(r->server, r->argument);
    api_fail(&e, FAULT_NO_MODEL, "model",
             "there is no model '%.64s'%s%s%s GET /v1/models lists "
             "those there are.",
             r->argument, best ? "; did you mean '" : ".", best ? best : "", best ? "'?" : "");
    http_reply_error(r, &e);
}
