#include "hub/source.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/mem.h"

#define MAX_SIBLINGS 100000

static const struct known_model known_models[] = {
    {"s1-mini", "fishaudio/openaudio-s1-mini", "cc-by-nc-sa-4.0"},
};

/* Ids: https://huggingface.co/docs/hub/repositories-licenses */
static const struct licence licences[] = {
    {"apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0"},
    {"mit", "MIT License", "https://opensource.org/license/mit"},
    {"cc0-1.0", "Creative Commons Zero 1.0", "https://creativecommons.org/publicdomain/zero/1.0/"},
    {"cc-by-4.0", "Creative Commons Attribution 4.0",
     "https://creativecommons.org/licenses/by/4.0/"},
    {"cc-by-sa-4.0", "Creative Commons Attribution-ShareAlike 4.0",
     "https://creativecommons.org/licenses/by-sa/4.0/"},
    {"cc-by-nc-4.0", "Creative Commons Attribution-NonCommercial 4.0",
     "https://creativecommons.org/licenses/by-nc/4.0/"},
    {"cc-by-nc-sa-4.0", "Creative Commons Attribution-NonCommercial-ShareAlike 4.0",
     "https://creativecommons.org/licenses/by-nc-sa/4.0/"},
    {"cc-by-nc-nd-4.0", "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
     "https://creativecommons.org/licenses/by-nc-nd/4.0/"},
};

const struct licence *licence_find(const char *id)
{
    for (size_t i = 0; i < sizeof licences / sizeof *licences; i++)
        if (strcasecmp(licences[i].id, id) == 0)
            return &licences[i];
    return NULL;
}

bool licence_is_non_commercial(const char *id)
{
    return strstr(id, "-nc-") != NULL || strstr(id, "non-commercial") != NULL;
}

const struct known_model *source_known(const char *name)
{
    for (size_t i = 0; i < sizeof known_models / sizeof *known_models; i++)
        if (strcasecmp(known_models[i].name, name) == 0 ||
            strcasecmp(known_models[i].repository, name) == 0)
            return &known_models[i];
    return NULL;
}

/* --- what users write --- */

static bool source_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcasecmp(s + n - m, suffix) == 0;
}

/* Part of a repository's id or a model's name: nothing that a path or a url could stumble over. */
static bool plain_word(const char *s, size_t n)
{
    static const char more[] = "._-";
    if (n == 0 || n > 96 || *s == '.' || *s == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
            return false;
    return true;
}

/* A file within a repository: words with slashes. */
static bool plain_path(const char *s)
{
    for (;;) {
        size_t n = strcspn(s, "/");
        if (!plain_word(s, n))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

static int copy_part(char *to, size_t size, const char *from, size_t n)
{
    if (n >= size)
        return -1;
    memcpy(to, from, n);
    to[n] = 0;
    return 0;
}

/* OWNER/NAME[@REVISION][/FILE.gguf]; a revision may have slashes, a file ends in .gguf */
static int parse_repository(const char *text, struct source *s)
{
    size_t owner = strcspn(text, "/");
    if (!plain_word(text, owner) || !text[owner])
        return -1;
    size_t name = strcspn(text + owner + 1, "/@"), n = owner + 1 + name;
    if (!plain_word(text + owner + 1, name) ||
        copy_part(s->repository, sizeof s->repository, text, n))
        return -1;
    const char *rest = text + n, *file = NULL;
    if (source_ends(rest, ".gguf"))
        file = *rest == '/' ? rest : strchr(rest, '/');
    size_t len = file ? (size_t)(file - rest) : strlen(rest);
    snprintf(s->revision, sizeof s->revision, "main");
    if (len > 0 &&
        (*rest != '@' || len < 2 || copy_part(s->revision, sizeof s->revision, rest + 1, len - 1) ||
         strstr(s->revision, "..") || strpbrk(s->revision, "?#%\\ ")))
        return -1;
    if (file &&
        (!plain_path(file + 1) || copy_part(s->file, sizeof s->file, file + 1, strlen(file + 1))))
        return -1;
    s->kind = SOURCE_HUB;
    snprintf(s->canonical, sizeof s->canonical, "hf://%s@%s%s%s", s->repository, s->revision,
             file ? "/" : "", s->file);
    return 0;
}

static int parse_url(const char *text, const char *endpoint, struct source *s, struct err *e)
{
    size_t n = strlen(endpoint);
    bool hub = strncasecmp(text, endpoint, n) == 0 && text[n] == '/';
    if (hub && !strstr(text, "/resolve/") && !strstr(text, "/blob/") &&
        parse_repository(text + n + 1, s) == 0)
        return 0;
    size_t path = strcspn(text, "?#");
    if (path < 5 || strncasecmp(text + path - 5, ".gguf", 5) != 0)
        return err_set(e, ERR_ARGUMENT,
                       "\"%.200s\" is no address of a .gguf file; a repository is OWNER/NAME",
                       text);
    s->kind = SOURCE_URL;
    snprintf(s->place, sizeof s->place, "%s", text);
    snprintf(s->canonical, sizeof s->canonical, "%s", text);
    return 0;
}

int source_parse(const char *text, const char *endpoint, struct source *ret, struct err *e)
{
    struct stat st;
    *ret = (struct source){0};
    if (strlen(text) >= sizeof ret->place)
        return err_set(e, ERR_LIMIT, "a source has at most %zu bytes", sizeof ret->place - 1);
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
        return parse_url(text, endpoint, ret, e);
    bool hub = strncmp(text, "hf://", 5) == 0;
    if (!hub && !strchr(text, '/') && (ret->known = source_known(text)))
        return parse_repository(ret->known->repository, ret);
    if (!hub && stat(text, &st) == 0) {
        ret->kind = S_ISDIR(st.st_mode) ? SOURCE_DIRECTORY : SOURCE_FILE;
        snprintf(ret->place, sizeof ret->place, "%s", text);
        snprintf(ret->canonical, sizeof ret->canonical, "%s", text);
        return 0;
    }
    if (parse_repository(text + (hub ? 5 : 0), ret) == 0)
        return 0;
    return err_set(
        e, ERR_ARGUMENT,
        "\"%.200s\" is not a known name (%s), not the OWNER/NAME of a repository, and no file or "
        "directory here",
        text, known_models[0].name);
}

int source_check_name(const char *name, struct err *e)
{
    if (plain_word(name, strlen(name)))
        return 0;
    return err_set(e, ERR_ARGUMENT,
                   "\"%.100s\" cannot be a model's name: 1 to 96 letters, digits and . _ -, not "
                   "beginning with . or -; give one with `name`",
                   name);
}

int source_name(const struct source *s, char *to, size_t n, struct err *e)
{
    char text[4096];
    snprintf(text, sizeof text, "%s",
             s->known           ? s->known->name
             : s->file[0]       ? s->file
             : s->repository[0] ? s->repository
                                : s->place);
    if (s->kind == SOURCE_URL)
        text[strcspn(text, "?#")] = 0;
    size_t len = strlen(text);
    while (len > 1 && text[len - 1] == '/')
        text[--len] = 0;
    if (source_ends(text, ".gguf"))
        text[len - 5] = 0;
    const char *slash = strrchr(text, '/');
    snprintf(to, n, "%s", slash ? slash + 1 : text);
    return source_check_name(to, e);
}

/* --- files of a repository --- */

/* Roles in a checkpoint; of the alternatives of a role the first that is there is taken, and with
 * an index its shards. */
static const struct role {
    const char *names[4];
    bool optional;
} roles[] = {
    {{"config.json"}, false},
    {{"model.safetensors.index.json", "model.safetensors", "model.pth"}, false},
    {{"codec.safetensors.index.json", "codec.safetensors", "codec.pth"}, false},
    {{"tokenizer.tiktoken"}, false},
    {{"special_tokens.json"}, false},
    {{"modded_dac_vq.yaml"}, true},
};

static bool name_there(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static int repository_add(struct repository *r, const char *name, struct err *e)
{
    if (r->n_file == SOURCE_MAX_FILES)
        return err_set(e, ERR_LIMIT, "the repository's model has more than %d files",
                       SOURCE_MAX_FILES);
    char *copy = mem_strndup(name, strlen(name));
    if (!copy)
        return err_set(e, ERR_MEMORY, "out of memory for a repository");
    r->file[r->n_file++] = copy;
    return 0;
}

/* Shards of an index (model-00001-of-00002.safetensors) and voices (voices/zoe.json). */
static int add_family(struct repository *r, const char *const *names, int n, const char *start,
                      const char *end, struct err *e)
{
    size_t len = strlen(start);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++)
        if (strncmp(names[i], start, len) == 0 && source_ends(names[i], end) &&
            plain_word(names[i] + len, strlen(names[i] + len)))
            rc = repository_add(r, names[i], e);
    return rc;
}

static int choose_role(struct repository *r, const struct role *role, const char *const *names,
                       int n, struct err *e)
{
    char family[32];
    for (int k = 0; k < 4 && role->names[k]; k++) {
        const char *name = role->names[k];
        if (!name_there(names, n, name))
            continue;
        int rc = repository_add(r, name, e);
        if (rc < 0 || !source_ends(name, ".index.json"))
            return rc;
        snprintf(family, sizeof family, "%.*s-", (int)strcspn(name, "."), name);
        return add_family(r, names, n, family, ".safetensors", e);
    }
    return role->optional
               ? 0
               : err_set(e, ERR_UNSUPPORTED,
                         "the repository has no %s: it is not an OpenAudio S1 model, and has "
                         "no GGUF",
                         role->names[0]);
}

/* One GGUF: the one of this name, or the only one. */
static int choose_gguf(struct repository *r, const char *const *names, int n, const char *gguf,
                       struct err *e)
{
    char list[300] = "";
    int n_found = 0, fit = -1;
    for (int i = 0; i < n; i++) {
        if (!source_ends(names[i], ".gguf") || !plain_path(names[i]))
            continue;
        size_t len = strlen(list);
        snprintf(list + len, sizeof list - len, "%s%s", n_found++ ? ", " : "", names[i]);
        if (gguf ? !strcmp(names[i], gguf) : fit < 0)
            fit = i;
    }
    if (gguf && fit < 0)
        return err_set(e, ERR_NOT_FOUND, "the repository has no file %.200s%s%s", gguf,
                       n_found ? "; it has " : "", list);
    if (!gguf && n_found > 1)
        return err_set(e, ERR_ARGUMENT,
                       "the repository has %d GGUF files: choose one as OWNER/NAME/FILE.gguf (%s)",
                       n_found, list);
    return n_found ? repository_add(r, names[fit], e) : ERR_NOT_FOUND;
}

int repository_choose(const char *const *names, int n_name, const char *gguf,
                      struct repository *ret, struct err *e)
{
    int rc = choose_gguf(ret, names, n_name, gguf, e);
    if (rc != ERR_NOT_FOUND || gguf)
        return rc;
    rc = 0;
    for (size_t i = 0; i < sizeof roles / sizeof *roles && rc == 0; i++)
        rc = choose_role(ret, &roles[i], names, n_name, e);
    return rc < 0 ? rc : add_family(ret, names, n_name, "voices/", ".json", e);
}

void repository_done(struct repository *r)
{
    for (int i = 0; i < r->n_file; i++)
        mem_free(r->file[i]);
    *r = (struct repository){0};
}

/* Text that will be shown on a terminal: without control characters, or not at all. */
static void take_text(const json_t *from, const char *key, char *to, size_t n)
{
    const char *s = json_string_value(json_object_get(from, key));
    size_t len = s ? strlen(s) : n;
    for (size_t i = 0; i < len && len < n; i++)
        if ((unsigned char)s[i] < ' ' || s[i] == 127)
            return;
    if (len < n)
        memcpy(to, s, len + 1);
}

static int read_info(const json_t *root, const char *gguf, struct repository *ret, struct err *e)
{
    const json_t *card = json_object_get(root, "cardData"), *list, *one;
    size_t i, n = json_array_size(list = json_object_get(root, "siblings"));
    int n_name = 0;
    take_text(root, "sha", ret->commit, sizeof ret->commit);
    take_text(card, "license", ret->licence, sizeof ret->licence);
    if (strcmp(ret->licence, "other") == 0)
        take_text(card, "license_name", ret->licence, sizeof ret->licence);
    take_text(card, "license_link", ret->licence_url, sizeof ret->licence_url);
    if (!plain_word(ret->commit, strlen(ret->commit)))
        return err_set(e, ERR_FORMAT, "the hub's answer names no commit: check HF_ENDPOINT");
    if (n > MAX_SIBLINGS)
        return err_set(e, ERR_LIMIT, "the repository has %zu files, the limit is %d", n,
                       MAX_SIBLINGS);
    const char **names = mem_try(n, sizeof *names);
    if (!names)
        return err_set(e, ERR_MEMORY, "out of memory for a repository's files");
    json_array_foreach(list, i, one)
    {
        const char *s = json_string_value(json_object_get(one, "rfilename"));
        if (s)
            names[n_name++] = s;
    }
    int rc = repository_choose(names, n_name, gguf, ret, e);
    mem_free(names);
    return rc;
}

int repository_read(const char *json, size_t n, const char *gguf, struct repository *ret,
                    struct err *e)
{
    json_error_t why;
    *ret = (struct repository){0};
    json_t *root = json_loadb(json, n, 0, &why);
    if (!root)
        return err_set(e, ERR_FORMAT, "the hub's answer is not JSON (%.100s): check HF_ENDPOINT",
                       why.text);
    int rc = read_info(root, gguf, ret, e);
    json_decref(root);
    if (rc < 0)
        repository_done(ret);
    return rc;
}
