/* confine.c - the places that a server's sandbox allows: those its options name, the models', and
 * the default directories. */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/confine.h"

static void confine_add(struct confine *c, const char *path, bool write)
{
    struct sandbox *s = &c->sandbox;
    if (!path || !*path || s->n_place == SANDBOX_PLACES)
        return;
    char *copy = strdup(path);
    if (!copy)
        return;
    s->write[s->n_place] = write;
    s->place[s->n_place++] = copy;
}

/* The directory of a file, and that of the file behind a link: either may be renamed over. */
static void confine_file(struct confine *c, const char *path, bool write)
{
    char name[PATH_MAX], real[PATH_MAX];
    if (!path || !*path || strlen(path) >= sizeof name)
        return;
    memcpy(name, path, strlen(path) + 1);
    confine_add(c, dirname(name), write);
    if (!write && realpath(path, real))
        confine_add(c, dirname(real), false);
}

/* A directory to write in; made, so that it can be named.  Its parents are made if asked for. */
static void confine_dir(struct confine *c, const char *path, bool parents)
{
    char name[PATH_MAX];
    if (!path || !*path || strlen(path) >= sizeof name)
        return;
    memcpy(name, path, strlen(path) + 1);
    for (char *p = name + 1; parents && (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(name, 0700); /* errors are reported by the code that uses it */
        *p = '/';
    }
    mkdir(name, 0700);
    confine_add(c, path, true);
}

/* $variable/jabbertts, or what stands for it below the home directory. */
static void confine_xdg(struct confine *c, const char *variable, const char *below_home)
{
    char path[PATH_MAX];
    const char *dir = getenv(variable), *home = getenv("HOME");
    if (dir && *dir == '/')
        snprintf(path, sizeof path, "%s/jabbertts", dir);
    else if (home && *home == '/')
        snprintf(path, sizeof path, "%s/%s/jabbertts", home, below_home);
    else
        return;
    confine_dir(c, path, true);
}

static bool confine_is(const struct option_row *row, const char *placeholder)
{
    return row->type == STRING && row->commands & SERVE && row->placeholder &&
           strcmp(row->placeholder, placeholder) == 0;
}

/* Options that are files or directories of the server. */
static void confine_options(struct confine *c, const struct options *o)
{
    for (int i = 0; i < n_option_row; i++) {
        const struct option_row *row = &option_rows[i];
        const char *value = NULL;
        if (confine_is(row, "FILE") || confine_is(row, "DIR"))
            memcpy(&value, (const char *)o + row->offset, sizeof value);
        if (!value)
            continue;
        if (strstr(value, "://"))
            c->sandbox.connect = true;
        else if (confine_is(row, "DIR"))
            confine_dir(c, value, strcmp(row->name, "voice_dir") == 0);
        else
            confine_file(c, value, strcmp(row->name, "store") == 0);
    }
    for (int i = 0; i < o->models.n; i++)
        confine_file(c, o->models.item[i], false);
    confine_file(c, o->server.engine.model, false);
    for (int i = 0; i < o->server.engine.n_model; i++)
        confine_file(c, o->server.engine.models[i].path, false);
    if (strncmp(o->server.host, "unix:", 5) == 0)
        confine_file(c, o->server.host + 5, true);
}

void confine_places(struct confine *c, const struct options *o)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    *c = (struct confine){.sandbox.connect = o->server.bucket.where != NULL};
    confine_options(c, o);
    if (o->server.voice_dir && strstr(o->server.voice_dir, "://"))
        c->sandbox.connect = true;
    else
        confine_dir(c, o->server.voice_dir, true); /* as its store does */
    confine_xdg(c, "XDG_DATA_HOME", ".local/share");
    if (o->background)
        confine_xdg(c, "XDG_STATE_HOME", ".local/state");
    if (o->server.engine.engine && strcmp(o->server.engine.engine, "onnx") == 0)
        confine_xdg(c, "XDG_CACHE_HOME", ".cache");
    confine_add(c, o->server.spool_dir ? NULL : "/var/tmp", true);
    confine_add(c, getenv("ESPEAK_DATA_PATH"), false);
    if (n > 0) { /* its folder, and what is installed beside it */
        program[n] = 0;
        confine_add(c, dirname(dirname(program)), false);
    }
}

void confine_free(struct confine *c)
{
    for (int i = 0; i < c->sandbox.n_place; i++)
        free((void *)(uintptr_t)c->sandbox.place[i]);
}

static int confine_given(const char *dir, const char *name)
{
    if (dir && !strstr(dir, "://") && access(dir, R_OK | W_OK | X_OK) < 0)
        return cli_fail("%s cannot be written to by %s, give it away: chown -R %s %s", dir, name,
                        name, dir);
    return 0;
}

int confine_user(const char *name, const struct options *o)
{
    struct passwd *p = getpwnam(name);
    if (!p)
        return cli_usage("serve", "--user is %s, which is not a user of this system", name);
    if (getuid() != 0)
        return cli_usage("serve", "--user is %s, but only root can become another user", name);
    if (setgroups(0, NULL) < 0 || setgid(p->pw_gid) < 0 || setuid(p->pw_uid) < 0)
        return cli_fail("cannot become %s: %s", name, strerror(errno));
    int code = confine_given(o->server.voice_dir, name);
    return code ? code : confine_given(o->server.cache_dir, name);
}
