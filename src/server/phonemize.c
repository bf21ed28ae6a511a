/* phonemize.c - POST /dev/phonemize as Kokoro-FastAPI's clients ask it: {"text", "language"} in,
 * {"phonemes", "tokens"} out.  The phonemes are those that a model which reads phonemes is given;
 * the tokens are the default model's own for the same text. */
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"
#include "server/faces.h"

/* espeak-ng alone has no tokens. */
static bool phonemize_has_tokens(const struct request *r)
{
    struct jabbertts_model_info m;
    jabbertts_model_info(r->server->tts, &m);
    return strcmp(m.engine, "espeak-ng") != 0;
}

static int phonemize_stage(struct request *r, const struct speech_params *p, const char *stage,
                           char **ret, struct api_error *e)
{
    struct jabbertts_text_options o;
    struct jabbertts_error why;
    jabbertts_text_options_init(&o);
    o.stage = stage;
    o.language = p->request.language;
    int rc = jabbertts_text(r->server->tts, &o, p->request.text, ret, &why);
    return rc < 0 ? api_fail_engine(e, rc == JABBERTTS_ERR_NOT_FOUND ? "language" : "text", &why)
                  : 0;
}

/* A line for each sentence becomes one line. */
static json_t *phonemize_line(char *lines)
{
    size_t n = strlen(lines);
    while (n > 0 && lines[n - 1] == '\n')
        n--;
    for (size_t i = 0; i < n; i++)
        lines[i] = lines[i] == '\n' ? ' ' : lines[i];
    return json_stringn(lines, n);
}

static json_t *phonemize_ids(const char *lines)
{
    json_t *list = json_array();
    char *end;
    for (const char *p = lines;; p = end) {
        long id = strtol(p, &end, 10);
        if (end == p)
            return list;
        json_array_append_new(list, json_integer(id));
    }
}

static int phonemize_text(struct request *r, const struct speech_params *p, struct api_error *e)
{
    char *phonemes = NULL, *tokens = NULL;
    int rc = phonemize_stage(r, p, "phonemes", &phonemes, e);
    if (rc == 0 && phonemize_has_tokens(r))
        rc = phonemize_stage(r, p, "tokens", &tokens, e);
    if (rc == 0)
        http_reply_json(r, 200,
                        json_pack("{s:o,s:o}", "phonemes", phonemize_line(phonemes), "tokens",
                                  phonemize_ids(tokens ? tokens : "")));
    free(phonemes);
    free(tokens);
    return rc;
}

void phonemize_run(struct request *r)
{
    struct speech_params p;
    struct api_error e;
    int rc = faces_read(r, &p, &e);
    if (rc == 0) {
        rc = phonemize_text(r, &p, &e);
        params_done(&p);
    }
    if (rc < 0)
        http_reply_error(r, &e);
}
