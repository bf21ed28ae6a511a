#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/hub.h"

static void installed_when(int64_t at, const char *format, char to[32])
{
    time_t t = (time_t)at;
    struct tm tm;
    gmtime_r(&t, &tm);
    if (!at || !strftime(to, 32, format, &tm))
        snprintf(to, 32, "never");
}

static json_t *installed_json(const struct jabbertts_installed *m)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:s,s:s,s:I,s:I,s:I,s:b}", "name",
                     m->name, "path", m->path, "source", m->source, "commit", m->commit, "licence",
                     m->licence, "licence_title", m->licence_title, "licence_url", m->licence_url,
                     "non_commercial", m->non_commercial, "type", m->type, "sha256", m->sha256,
                     "version", m->version, "bytes", (json_int_t)m->bytes, "installed_at",
                     (json_int_t)m->installed_at, "used_at", (json_int_t)m->used_at, "default",
                     m->is_default);
}

static int installed_print(json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
    return CLI_OK;
}

static void installed_row(void *cookie, const struct jabbertts_installed *m)
{
    char size[32], used[32];
    (void)cookie;
    installed_when(m->used_at, "%Y-%m-%d", used);
    printf("%-24s %8s  %-6s %-16s %-10s%s\n", m->name, cli_size(m->bytes, size), m->type,
           *m->licence ? m->licence : "-", used, m->is_default ? "  the default" : "");
}

static void installed_append(void *cookie, const struct jabbertts_installed *m)
{
    json_array_append_new(cookie, installed_json(m));
}

static void installed_details(void *cookie, const struct jabbertts_installed *m)
{
    const struct options *o = cookie;
    char size[32], at[32], used[32];
    if (o->json) {
        installed_print(installed_json(m));
        return;
    }
    installed_when(m->installed_at, "%Y-%m-%d %H:%M:%S UTC", at);
    installed_when(m->used_at, "%Y-%m-%d %H:%M:%S UTC", used);
    printf("name         %s\npath         %s\nsize         %s, %" PRId64 " bytes\n"
           "type         %s\nsource       %s\n",
           m->name, m->path, cli_size(m->bytes, size), m->bytes, m->type, m->source);
    if (*m->commit)
        printf("commit       %s\n", m->commit);
    printf("licence      %s%s\n", *m->licence ? m->licence_title : "not stated",
           m->non_commercial ? " (non-commercial use only)" : "");
    if (*m->licence_url)
        printf("             %s\n", m->licence_url);
    printf("sha256       %s\ninstalled    %s, by version %s\nused         %s\n", m->sha256, at,
           m->version, used);
}

static void installed_path_row(void *cookie, const struct jabbertts_installed *m)
{
    (void)cookie;
    puts(m->path);
}

static int installed_list(struct options *o)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    int n, code = cli_hub_open(o, &hub);
    if (code)
        return code;
    if (o->json) {
        json_t *list = json_array();
        n = jabbertts_hub_list(hub, installed_append, list, &e);
        installed_print(list);
    } else {
        printf("%-24s %8s  %-6s %-16s %s\n", "NAME", "SIZE", "TYPE", "LICENCE", "USED");
        n = jabbertts_hub_list(hub, installed_row, NULL, &e);
        if (n == 0)
            cli_note("none is installed: jabbertts pull s1-mini gets one; jabber-tiny is built in");
    }
    jabbertts_hub_close(hub);
    return n < 0 ? cli_error("models", &e) : CLI_OK;
}

static int installed_tell(struct options *o, jabbertts_installed_fn fn)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    if (jabbertts_hub_show(hub, o->argument[0], fn, o, &e) < 0)
        code = cli_model_error("models", hub, o->argument[0], &e);
    jabbertts_hub_close(hub);
    return code;
}

static int installed_show(struct options *o)
{
    return installed_tell(o, installed_details);
}

static int installed_path(struct options *o)
{
    return installed_tell(o, installed_path_row);
}

static int installed_verify(struct options *o)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    cli_catch_signals();
    if (jabbertts_hub_verify(hub, o->argument[0], cli_progress_or_stop, NULL, &e) < 0)
        code = cli_model_error("models", hub, o->argument[0], &e);
    else
        cli_note("%s is unchanged since it was installed", o->argument[0]);
    jabbertts_hub_close(hub);
    return code;
}

static int installed_use(struct options *o)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    const char *name = strcmp(o->argument[0], "jabber-tiny") ? o->argument[0] : NULL;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    if (jabbertts_hub_use(hub, name, &e) < 0)
        code = cli_model_error("models", hub, o->argument[0], &e);
    else
        cli_note("%s is the default%s", o->argument[0], name ? "" : ", built in");
    jabbertts_hub_close(hub);
    return code;
}

static int installed_remove(struct options *o)
{
    struct jabbertts_hub *hub;
    struct jabbertts_error e;
    int code = cli_hub_open(o, &hub);
    if (code)
        return code;
    if (jabbertts_hub_remove(hub, o->argument[0], &e) < 0)
        code = cli_model_error("models", hub, o->argument[0], &e);
    else
        cli_note("%s is removed", o->argument[0]);
    jabbertts_hub_close(hub);
    return code;
}

const struct verb models_verbs[] = {
    {"list", "", "what is installed: size, type, licence, when it was used", 0, installed_list},
    {"show", "NAME", "all that is known of one", 1, installed_show},
    {"use", "NAME", "make one the default, where no --model is given; jabber-tiny is built in", 1,
     installed_use},
    {"verify", "NAME", "compare the file with its hash", 1, installed_verify},
    {"rm", "NAME", "remove one", 1, installed_remove},
    {"update", "NAME", "pull it again if its source has a newer revision", 1, models_update},
    {"path", "NAME", "its file", 1, installed_path},
    {0}};
