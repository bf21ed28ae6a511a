/* Voices of the checkpoint directory (voices/NAME.json: name, text or ipa, codes) and aliases. */
#include "model/import_parts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARCH "openaudio-s1"

struct voice_list {
    char *names[1024];
    char *texts[1024];
    char
        *transcripts[1024]; /* of a model that reads IPA: what is said, in letters; "": not known */
    char *languages[1024], *descriptions[1024]; /* "": not known */
    int n;
};

static char *voice_about(const json_t *voice, const char *key)
{
    const char *s = json_string_value(json_object_get(voice, key));
    return mem_strdup(s ? s : "");
}

/* A list of the voices' strings, if one of them says something. */
static void put_voice_strings(struct gguf_writer *w, const char *key, char *const *list, int n)
{
    for (int i = 0; i < n; i++)
        if (*list[i]) {
            gguf_put_strings(w, key, (const char *const *)list, NULL, (size_t)n);
            return;
        }
}

static int put_voice(struct import *m, struct gguf_writer *w, const char *path,
                     struct voice_list *list, struct err *e)
{
    json_error_t why;
    json_t *j = json_load_file(path, 0, &why), *row, *v;
    const char *name = json_string_value(json_object_get(j, "name"));
    const char *text = json_string_value(json_object_get(j, m->spec.espeak_ipa ? "ipa" : "text"));
    const char *plain = json_string_value(json_object_get(j, "text"));
    json_t *codes = json_object_get(j, "codes");
    size_t q = json_array_size(codes), n = json_array_size(json_array_get(codes, 0)), i, k;
    char key[256];
    int rc = 0;
    int32_t *all = mem_try(q * n + 1, sizeof *all);
    if (!name || !text || q != (size_t)m->spec.lm.n_codebook || n == 0 || n > 65536 || !all ||
        strlen(name) > LIMIT_VOICE_NAME_BYTES || list->n == 1024)
        rc = err_set(e, ERR_FORMAT, "%s is not a voice: wanted name, %s and codes [%d][frames]",
                     path, m->spec.espeak_ipa ? "ipa" : "text", m->spec.lm.n_codebook);
    json_array_foreach(codes, i, row)
    {
        if (rc == 0 && json_array_size(row) != n)
            rc = err_set(e, ERR_FORMAT, "%s: rows of codes differ in length", path);
        if (rc < 0)
            break;
        json_array_foreach(row, k, v) all[i * n + k] = (int32_t)json_integer_value(v);
    }
    if (rc == 0) {
        snprintf(key, sizeof key, ARCH ".voice.codes.%s", name);
        gguf_put_ints(w, key, all, q * n);
        list->names[list->n] = mem_strdup(name);
        list->transcripts[list->n] = mem_strdup(plain ? plain : "");
        list->languages[list->n] = voice_about(j, "language");
        list->descriptions[list->n] = voice_about(j, "description");
        list->texts[list->n++] = mem_strdup(text);
    }
    mem_free(all);
    json_decref(j);
    return rc;
}

static int is_json(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && !strcmp(d->d_name + n - 5, ".json");
}

int import_put_voices(struct import *m, struct gguf_writer *w, struct err *e)
{
    struct voice_list *list = mem_alloc(sizeof *list);
    struct dirent **files = NULL;
    char path[4096];
    int rc = 0;
    snprintf(path, sizeof path, "%s/voices", m->o->directory);
    int n = scandir(path, &files, is_json, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/voices/%s", m->o->directory, files[i]->d_name);
        if (rc == 0)
            rc = put_voice(m, w, path, list, e);
        free(files[i]);
    }
    free(files);
    if (rc == 0 && list->n > 0) {
        gguf_put_strings(w, ARCH ".voice.names", (const char *const *)list->names, NULL,
                         (size_t)list->n);
        gguf_put_strings(w, ARCH ".voice.texts", (const char *const *)list->texts, NULL,
                         (size_t)list->n);
        if (m->spec.espeak_ipa)
            gguf_put_strings(w, ARCH ".voice.transcripts", (const char *const *)list->transcripts,
                             NULL, (size_t)list->n);
        put_voice_strings(w, ARCH ".voice.languages", list->languages, list->n);
        put_voice_strings(w, ARCH ".voice.descriptions", list->descriptions, list->n);
    }
    for (int i = 0; i < list->n; i++) {
        mem_free(list->names[i]);
        mem_free(list->texts[i]);
        mem_free(list->transcripts[i]);
        mem_free(list->languages[i]);
        mem_free(list->descriptions[i]);
    }
    mem_free(list);
    return rc;
}

int import_put_aliases(const struct import *m, struct gguf_writer *w, struct err *e)
{
    const char *from[256], *to[256];
    size_t from_n[256];
    int n = m->o->n_alias;
    if (n > 256)
        return err_set(e, ERR_LIMIT, "%d aliases, the limit is 256", n);
    for (int i = 0; i < n; i++) {
        const char *eq = strchr(m->o->aliases[i], '=');
        if (!eq || eq == m->o->aliases[i] || !eq[1])
            return err_set(e, ERR_ARGUMENT, "alias \"%.64s\" is not ALIAS=VOICE", m->o->aliases[i]);
        from[i] = m->o->aliases[i];
        from_n[i] = (size_t)(eq - from[i]);
        to[i] = eq + 1;
    }
    if (n > 0) {
        gguf_put_strings(w, ARCH ".voice.alias.from", from, from_n, (size_t)n);
        gguf_put_strings(w, ARCH ".voice.alias.to", to, NULL, (size_t)n);
    }
    if (m->o->default_voice)
        gguf_put_string(w, ARCH ".voice.default", m->o->default_voice, strlen(m->o->default_voice));
    return 0;
}
