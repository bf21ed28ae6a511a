/* page.c - the web page and the OpenAPI document: the files of src/server/page, built into the
 * binary as they are.  The schema of a speech request is added from the table in params.c, so the
 * document cannot drift from what is accepted. */
#include <string.h>

#include "server/daemon.h"
#include "server/params.h"

/* `name` becomes the file's bytes, ended by a zero. */
#define EMBED(name, file)                                                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global page_" #name "\n"                                                             \
            "page_" #name ":\n"                                                                    \
            ".incbin \"src/server/page/" file "\"\n"                                               \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char page_##name[]

EMBED(index, "index.html");
EMBED(style, "page.css");
EMBED(script, "page.js");
EMBED(sound, "sound.js");
EMBED(picture, "picture.js");
EMBED(docs, "docs.html");
EMBED(docs_script, "docs.js");
EMBED(document, "openapi.json");

static const struct file {
    const char *path, *type, *text;
} files[] = {
    {"/", "text/html; charset=utf-8", page_index},
    {"/page.css", "text/css; charset=utf-8", page_style},
    {"/page.js", "text/javascript; charset=utf-8", page_script},
    {"/sound.js", "text/javascript; charset=utf-8", page_sound},
    {"/picture.js", "text/javascript; charset=utf-8", page_picture},
    {"/docs", "text/html; charset=utf-8", page_docs},
    {"/docs.js", "text/javascript; charset=utf-8", page_docs_script},
};

/* The addresses in a page are relative to its own, which must be spelt right for that: "/tts/" with
 * a slash at its end, "/docs" without. */
static bool page_moved(struct request *r)
{
    size_t n = strlen(r->path);
    bool directory = strcmp(r->route->path, "/") == 0;
    if ((n > 0 && r->path[n - 1] == '/') == directory)
        return false;
    http_reply_text(r, 308, "text/plain; charset=utf-8", "it is one slash away\n");
    if (directory)
        http_reply_header(r, "Location", "%s/", strrchr(r->path, '/') + 1);
    else
        http_reply_header(r, "Location", "..%s", r->route->path);
    return true;
}

void page_file(struct request *r)
{
    if (page_moved(r))
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strcmp(r->route->path, files[i].path) == 0) {
            http_reply_text(r, 200, files[i].type, files[i].text);
            /* Content-Security-Policy: nothing from other servers runs or loads; sound is played
             * from memory. */
            http_reply_header(r, "Content-Security-Policy",
                              "default-src 'self'; media-src blob:; img-src data:; "
                              "frame-ancestors 'none'; base-uri 'none'");
            http_reply_header(r, "X-Frame-Options", "DENY");
            http_reply_header(r, "Referrer-Policy", "no-referrer");
            http_reply_header(r, "Cache-Control", "no-cache");
            return;
        }
}

/* --- the OpenAPI document --- */

/* JSON Schema of one field.  max_chars: of `input`, an option. */
static json_t *field_schema(const struct param *p, int max_chars)
{
    static const char *const types[] = {
        [PARAM_STRING] = "string",   [PARAM_VOICE] = "string", [PARAM_ENUM] = "string",
        [PARAM_OPTIONS] = "object",  [PARAM_REFUSED] = "null", [PARAM_NUMBER] = "number",
        [PARAM_INTEGER] = "integer", [PARAM_BOOL] = "boolean", [PARAM_TIMES] = "array",
        [PARAM_CLIPS] = "array",
    };
    json_t *s = json_pack("{s:s}", "description", p->help);
    json_object_set_new(s, "type",
                        p->required ? json_string(types[p->type])
                                    : json_pack("[s, s]", types[p->type], "null"));
    if (p->type == PARAM_STRING || p->type == PARAM_VOICE) {
        bool input = strcmp(p->name, "input") == 0;
        json_object_set_new(s, "minLength", json_integer((json_int_t)p->min));
        json_object_set_new(s, "maxLength", json_integer(input ? max_chars : (json_int_t)p->max));
    } else if (p->type == PARAM_NUMBER || p->type == PARAM_INTEGER) {
        json_object_set_new(s, "minimum", json_real(p->min));
        json_object_set_new(s, "maximum", json_real(p->max));
        if (p->preset >= p->min)
            json_object_set_new(s, "default", json_real(p->preset));
    } else if (p->type == PARAM_ENUM) {
        json_t *values = json_array();
        for (int i = 0; p->values[i]; i++)
            json_array_append_new(values, json_string(p->values[i]));
        json_array_append_new(values, json_null());
        json_object_set_new(s, "enum", values);
        json_object_set_new(s, "default", json_string(p->values[(int)p->preset]));
    } else if (p->type == PARAM_BOOL) {
        json_object_set_new(s, "default", json_boolean(p->preset != 0));
    } else if (p->type == PARAM_CLIPS) {
        json_object_set_new(s, "items",
                            json_pack("{s:s, s:[s], s:{s:{s:s}, s:{s:[s, s]}}}", "type", "object",
                                      "required", "audio", "properties", "audio", "type", "string",
                                      "text", "type", "string", "null"));
        json_object_set_new(s, "maxItems", json_integer((json_int_t)p->max));
    } else if (p->type == PARAM_TIMES) {
        json_object_set_new(
            s, "items", json_pack("{s:s, s:[s, s]}", "type", "string", "enum", "word", "sentence"));
    } else if (p->type == PARAM_REFUSED) {
        json_object_set_new(s, "type", json_string("null"));
    }
    return s;
}

/* A voice is also {"id": name}. */
static json_t *voice_schema(json_t *name)
{
    json_t *help = json_incref(json_object_get(name, "description"));
    json_object_del(name, "description");
    return json_pack("{s:[o, {s:s, s:[s], s:{s:O}, s:b}], s:o}", "anyOf", name, "type", "object",
                     "required", "id", "properties", "id", name, "additionalProperties", 0,
                     "description", help);
}

static json_t *speech_schema(const struct server *s)
{
    json_t *properties = json_object(), *required = json_array();
    struct param p;
    for (size_t i = 0; params_at(i, &p); i++) {
        json_t *field = field_schema(&p, s->o.max_input_chars);
        json_object_set_new(properties, p.name,
                            p.type == PARAM_VOICE ? voice_schema(field) : field);
        if (p.required)
            json_array_append_new(required, json_string(p.name));
    }
    return json_pack("{s:s, s:o, s:o}", "type", "object", "required", required, "properties",
                     properties);
}

void page_openapi(struct request *r)
{
    json_error_t why;
    json_t *doc = json_loads(page_document, 0, &why);
    json_object_set_new(json_object_get(doc, "info"), "version", json_string(jabbertts_version()));
    json_object_set_new(json_object_get(json_object_get(doc, "components"), "schemas"),
                        "CreateSpeechRequest", speech_schema(r->server));
    http_reply_json(r, 200, doc);
}
