#include "cli/hub.h"

#include <limits.h>

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/near.h"

#define TOKEN_BYTES 512

static const char *hub_variable(const char *const names[])
{
    for (int i = 0; names[i]; i++) {
        const char *v = getenv(names[i]);
        if (v && *v)
            return v;
    }
    return NULL;
}

static int hub_is_true(const char *name)
{
    const char *v = getenv(name);
    return v && (!strcmp(v, "1") || !strcasecmp(v, "true") || !strcasecmp(v, "yes") ||
                 !strcasecmp(v, "on"));
}

/* $HF_HOME, else $XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface. */
static void hub_home(char *to, size_t n)
{
    const char *home = getenv("HF_HOME"), *cache = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
    if (home && *home)
        snprintf(to, n, "%s", home);
    else if (cache && *cache)
        snprintf(to, n, "%s/huggingface", cache);
    else
        snprintf(to, n, "%s/.cache/huggingface", user ? user : "");
}

/* HF_TOKEN, else the file that the hub's client writes at its login; "": none. */
static void hub_token(const char *home, char to[TOKEN_BYTES])
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL};
    const char *given = hub_variable(names), *path = getenv("HF_TOKEN_PATH");
    char usual[4096];
    *to = 0;
    if (given) {
        snprintf(to, TOKEN_BYTES, "%s", given);
    } else if (!hub_is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
        snprintf(usual, sizeof usual, "%s/token", home);
        FILE *f = fopen(path && *path ? path : usual, "r");
        if (f && !fgets(to, TOKEN_BYTES, f))
            *to = 0;
        if (f)
            fclose(f);
    }
    size_t n = strlen(to), skip = strspn(to, " \t\r\n");
    while (n > skip && isspace((unsigned char)to[n - 1]))
        n--;
    memmove(to, to + skip, n - skip);
    to[n - skip] = 0;
}

/* $XDG_DATA_HOME/jabbertts/models; root and services: below /var/lib. */
const char *cli_model_dir(const char *given, char *to, size_t n)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (given)
        return given;
    if (data && *data == '/')
        snprintf(to, n, "%s/jabbertts/models", data);
    else if (getuid() == 0 || !home || !*home)
        snprintf(to, n, "/var/lib/jabbertts/models");
    else
        snprintf(to, n, "%s/.local/share/jabbertts/models", home);
    return to;
}

int cli_hub_open(const struct options *o, struct jabbertts_hub **ret)
{
    static const char *const caches[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", NULL};
    static const char *const certificates[] = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                                               "CURL_CA_BUNDLE", NULL};
    char home[4000], dir[4096], cache[4096], token[TOKEN_BYTES];
    const char *patience = getenv("HF_HUB_DOWNLOAD_TIMEOUT"), *given = hub_variable(caches);
    struct jabbertts_hub_options h;
    struct jabbertts_error e;
    jabbertts_hub_options_init(&h);
    hub_home(home, sizeof home);
    hub_token(home, token);
    snprintf(cache, sizeof cache, "%s/hub", home);
    h.dir = cli_model_dir(o->model_dir, dir, sizeof dir);
    h.endpoint = getenv("HF_ENDPOINT");
    h.token = token;
    h.cache = given ? given : cache;
    h.ca_file = o->ca_file ? o->ca_file : hub_variable(certificates);
    h.offline = hub_is_true("HF_HUB_OFFLINE");
    h.connections = o->connections;
    if (patience && *patience)
        h.stall_s = strtod(patience, NULL);
    int rc = jabbertts_hub_open(&h, ret, &e);
    memset(token, 0, sizeof token);
    return rc < 0 ? cli_fail("%s", e.message) : 0;
}

struct nearest {
    struct near near;
    char best[JABBERTTS_HUB_NAME]; /* what is installed lives for the call only */
};

static void nearest_try(void *cookie, const struct jabbertts_installed *m)
{
    struct nearest *n = cookie;
    near_try(&n->near, m->name);
    if (n->near.best == m->name) {
        snprintf(n->best, sizeof n->best, "%s", m->name);
        n->near.best = n->best;
    }
}

int cli_model_error(const char *command, struct jabbertts_hub *hub, const char *name,
                    const struct jabbertts_error *e)
{
    struct nearest n;
    if (e->code != JABBERTTS_ERR_NOT_FOUND)
        return cli_error(command, e);
    near_init(&n.near, name);
    if (strcmp(command, "models")) { /* which is about what was installed alone */
        near_try(&n.near, "jabber-tiny");
        near_try(&n.near, "espeak-ng");
    }
    jabbertts_hub_list(hub, nearest_try, &n, NULL);
    const char *best = near_found(&n.near);
    if (best)
        return cli_fail("%s; did you mean %s?", e->message, best);
    return cli_fail("%s; get it with `jabbertts pull %s`, or see `jabbertts models`", e->message,
                    name);
}

/* A path has a slash or the suffix of model files. */
static int looks_like_path(const char *s)
{
    size_t n = strlen(s);
    return strchr(s, '/') || (n > 5 && !strcasecmp(s + n - 5, ".gguf"));
}

/* name NULL: the default model, if one was chosen. */
static int find_model(struct options *o, const char *name, const char **to)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    char chosen[JABBERTTS_HUB_NAME];
    if (name && (!strcmp(name, "espeak-ng") || looks_like_path(name)))
        return 0;
    if (name && !strcmp(name, "jabber-tiny")) { /* built in */
        *to = NULL;
        return 0;
    }
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    if (!name && jabbertts_hub_default(hub, chosen) == 0)
        name = chosen;
    if (!name) {
        jabbertts_hub_close(hub);
        return 0;
    }
    int rc = jabbertts_hub_find(hub, name, o->model_path, sizeof o->model_path, &e);
    if (rc == 0)
        *to = o->model_path;
    code =
        rc == 0 || access(name, F_OK) == 0 ? 0 : cli_model_error(o->command->name, hub, name, &e);
    jabbertts_hub_close(hub);
    return code;
}

/* --- models to serve --- */

#define SERVED_MAX 64 /* of an engine */

/* What serve is given: lives as long as the program. */
static struct served {
    struct jabbertts_model model[SERVED_MAX];
    struct server_model about[SERVED_MAX];
    int n, n_about;
    bool full;
    int first;        /* of the models: the default */
    int64_t first_at; /* when it was installed */
} served;

static char *served_copy(const char *s)
{
    char *copy = strdup(s);
    if (!copy)
        abort();
    return copy;
}

static void served_add(const char *name, const char *path)
{
    if (served.n == SERVED_MAX) {
        served.full = true;
        return;
    }
    served.model[served.n++] =
        (struct jabbertts_model){name ? served_copy(name) : NULL, path ? served_copy(path) : NULL};
}

static void served_installed(void *cookie, const struct jabbertts_installed *m)
{
    (void)cookie;
    if (m->is_default || served.n == 0 || m->installed_at < served.first_at) {
        served.first = served.n;
        served.first_at = m->is_default ? 0 : m->installed_at;
    }
    served_add(m->name, m->path);
    if (served.n_about < SERVED_MAX)
        served.about[served.n_about++] =
            (struct server_model){served_copy(m->name), served_copy(m->licence),
                                  served_copy(m->licence_url), m->non_commercial};
}

/* All that are installed, and the built-in voice.  The default is what the user chose, else the one
 * that was there first: installing another does not change what clients hear. */
static int served_all(struct jabbertts_hub *hub)
{
    struct jabbertts_error e;
    if (jabbertts_hub_list(hub, served_installed, NULL, &e) < 0)
        return cli_fail("%s", e.message);
    if (served.n > 0) {
        struct jabbertts_model first = served.model[served.first];
        memmove(&served.model[1], served.model, (size_t)served.first * sizeof first);
        served.model[0] = first;
        served_add("jabber-tiny", NULL);
    }
    return served.full
               ? cli_fail("more than %d models are installed: name those to serve with --model",
                          SERVED_MAX - 1)
               : 0;
}

static int served_named(struct options *o, struct jabbertts_hub *hub)
{
    struct jabbertts_error e;
    for (int i = 0; i < o->models.n; i++) {
        const char *name = o->models.item[i];
        bool path = !strcmp(name, "espeak-ng") || looks_like_path(name);
        if (!path && jabbertts_hub_show(hub, name, served_installed, NULL, &e) < 0) {
            path = !strcmp(name, "jabber-tiny") || access(name, F_OK) == 0;
            if (!path)
                return cli_model_error("serve", hub, name, &e);
        }
        if (path)
            served_add(NULL, strcmp(name, "jabber-tiny") ? name : NULL);
    }
    return served.full ? cli_fail("more than %d models", SERVED_MAX) : 0;
}

static int find_served(struct options *o)
{
    struct jabbertts_hub *hub;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    code = o->models.n ? served_named(o, hub) : served_all(hub);
    jabbertts_hub_close(hub);
    o->server.engine.models = served.model;
    o->server.engine.n_model = served.n;
    o->server.engine.memory_budget = (size_t)o->memory_budget_mb << 20;
    o->server.about = served.about;
    o->server.n_about = served.n_about;
    return code;
}

int cli_find_models(struct options *o)
{
    const unsigned with_argument = INSPECT | BENCH | CALIBRATE,
                   with_option = SAY | BATCH | BOOK | TEXT | VOICES | BENCH | CALIBRATE;
    const char *argument = o->n_argument ? o->argument[0] : NULL;
    static char onnx_dir[PATH_MAX];
    o->server.engine.onnx_dir = cli_onnx_dir(o->server.engine.onnx_dir, onnx_dir, sizeof onnx_dir);
    if (o->command->bit & SERVE)
        return find_served(o);
    if (o->models.n)
        o->server.engine.model = o->models.item[o->models.n - 1];
    if (argument && (o->command->bit & with_argument)) {
        int code = find_model(o, argument, &argument);
        o->argument[0] = (char *)(uintptr_t)argument; /* nobody writes to it */
        return code;
    }
    return o->command->bit & with_option
               ? find_model(o, o->server.engine.model, &o->server.engine.model)
               : 0;
}

const char *cli_size(int64_t bytes, char to[32])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double v = (double)bytes;
    int i = 0;
    for (; v >= 999.5 && i < 4; i++)
        v /= 1000;
    snprintf(to, 32, v < 9.95 && i > 0 ? "%.1f %s" : "%.0f %s", v, units[i]);
    return to;
}
