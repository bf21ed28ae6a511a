#include "cli/clips.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAB_MAX 4096 /* bytes of a transcript */

static const char *const clips_sounds[] = {"wav", "mp3", "flac", "ogg", "opus",
                                           "m4a", "aac", "webm", NULL};
static const char *const clips_texts[] = {"lab", "txt", NULL};

/* The ending of a file's name that is one of these, or NULL. */
static const char *clips_ending(const char *name, const char *const *known)
{
    const char *dot = strrchr(name, '.');
    for (; dot && *known; known++)
        if (strcasecmp(dot + 1, *known) == 0)
            return *known;
    return NULL;
}

/* The transcript beside a recording, without the white space around it. */
static int clips_read_text(const char *path, char **ret)
{
    char name[4096];
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    int stem = (int)(dot && dot > slash ? (size_t)(dot - path) : strlen(path));
    for (const char *const *t = clips_texts; *t; t++) {
        size_t n;
        snprintf(name, sizeof name, "%.*s.%s", stem, path, *t);
        if (access(name, F_OK) != 0)
            continue;
        int code = cli_read_file(name, LAB_MAX, ret, &n);
        if (code)
            return code;
        size_t from = strspn(*ret, " \t\r\n\xEF\xBB\xBF");
        while (n > from && strchr(" \t\r\n", (*ret)[n - 1]))
            n--;
        memmove(*ret, *ret + from, n - from);
        (*ret)[n - from] = 0;
        return 0;
    }
    return 0;
}

static int clips_add_file(const struct options *o, const char *path, struct clips *c)
{
    if (c->n == JABBERTTS_CLIPS_MAX)
        return cli_usage(o->command->name, "more than %d recordings; a voice has at most so many",
                         JABBERTTS_CLIPS_MAX);
    if (!(c->path[c->n] = strdup(path)))
        return cli_fail("out of memory");
    return clips_read_text(path, &c->text[c->n++]);
}

static int clips_is_sound(const struct dirent *f)
{
    return f->d_name[0] != '.' && clips_ending(f->d_name, clips_sounds);
}

static int clips_add_folder(const struct options *o, const char *path, struct clips *c)
{
    struct dirent **found;
    char name[4096];
    int n = scandir(path, &found, clips_is_sound, alphasort), code = 0;
    if (n < 0)
        return cli_fail("cannot read the folder %s", path);
    if (n == 0)
        code = cli_fail("there are no recordings in %s (wav, mp3, flac, ...)", path);
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s/%s", path, found[i]->d_name);
        code = code ? code : clips_add_file(o, name, c);
        free(found[i]);
    }
    free(found);
    return code;
}

static int clips_add(const struct options *o, const char *path, struct clips *c)
{
    struct stat st;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    return folder ? clips_add_folder(o, path, c) : clips_add_file(o, path, c);
}

int clips_gather(const struct options *o, const char *first, struct clips *c)
{
    int code = first ? clips_add(o, first, c) : 0;
    for (int i = 0; i < o->clips.n && !code; i++)
        code = clips_add(o, o->clips.item[i], c);
    if (code)
        return code;
    if (o->clip_texts.n > c->n)
        return cli_usage(o->command->name, "%d transcripts for %d recordings", o->clip_texts.n,
                         c->n);
    for (int i = 0; i < o->clip_texts.n; i++) {
        free(c->text[i]);
        if (!(c->text[i] = strdup(o->clip_texts.item[i])))
            return cli_fail("out of memory");
    }
    return 0;
}

void clips_done(struct clips *c)
{
    for (int i = 0; i < c->n; i++) {
        free(c->path[i]);
        free(c->text[i]);
    }
    c->n = 0;
}
