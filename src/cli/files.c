/* Files that commands read and write. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"

#define TEXT_MAX (4 << 20) /* bytes of a text to speak */

static const char *files_name(const char *path)
{
    return path && strcmp(path, "-") ? path : "standard input";
}

static FILE *files_open(const char *path)
{
    struct stat st;
    FILE *f = path && strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!f) {
        cli_fail("cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fileno(f), &st) < 0 || !S_ISDIR(st.st_mode))
        return f;
    cli_fail("cannot read %s: it is a directory", files_name(path));
    if (f != stdin)
        fclose(f);
    return NULL;
}

int cli_read_file(const char *path, size_t limit, char **ret, size_t *n)
{
    FILE *f = files_open(path);
    if (!f)
        return CLI_FAILED;
    char *data = malloc(limit + 2);
    size_t got = data ? fread(data, 1, limit + 1, f) : 0;
    int bad = ferror(f), why = errno;
    if (f != stdin)
        fclose(f);
    if (!data)
        return cli_fail("out of memory for %s", files_name(path));
    if (bad || got > limit) {
        free(data);
        return bad ? cli_fail("cannot read %s: %s", files_name(path), strerror(why))
                   : cli_fail("%s has more than %zu bytes, the limit", files_name(path), limit);
    }
    data[got] = 0;
    *ret = data;
    *n = got;
    return 0;
}

int cli_read_text(const struct options *o, char **ret)
{
    const char *name = files_name(o->input);
    size_t n;
    if (o->input && o->n_argument)
        return cli_usage(o->command->name, "give either a text or --input, not both");
    if (o->n_argument) {
        *ret = strdup(o->argument[0]);
        return *ret ? 0 : cli_fail("out of memory for the text");
    }
    if (name != o->input && isatty(0))
        cli_note("Type the text, then Ctrl-D.");
    if (cli_read_file(o->input, TEXT_MAX, ret, &n))
        return CLI_FAILED;
    if (!memchr(*ret, 0, n))
        return 0;
    free(*ret);
    *ret = NULL;
    return cli_fail("%s is not text: it contains a zero byte", name);
}

int cli_write_file(const char *path, const char *text)
{
    char temporary[4096];
    if (!strcmp(path, "-"))
        return fputs(text, stdout) < 0 ? cli_fail("cannot write to standard output") : 0;
    snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!f)
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    int bad = fputs(text, f) < 0;
    bad |= fclose(f) != 0;
    if (!bad && rename(temporary, path) == 0) {
        cli_wrote(path);
        return 0;
    }
    cli_fail("cannot write %s: %s", path, strerror(errno));
    unlink(temporary);
    return CLI_FAILED;
}

int cli_check_output(const char *path)
{
    char dir[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return cli_fail("cannot write %s: %s", path, strerror(EISDIR));
    return access(dir, W_OK | X_OK) == 0 ? 0
                                         : cli_fail("cannot write %s: %s", path, strerror(errno));
}

void cli_wrote(const char *path)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    struct stat st;
    int unit = 0;
    if (stat(path, &st) < 0)
        return;
    double size = (double)st.st_size;
    for (; size >= 1000 && unit < 4; unit++)
        size /= 1000;
    cli_note("%s, %.*f %s", path, unit && size < 100 ? 1 : 0, size, units[unit]);
}

const char *cli_voice_dir(const char *given, char *path, size_t n)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (given)
        return given;
    if (data && *data == '/')
        snprintf(path, n, "%s/jabbertts/voices", data);
    else if (home && *home)
        snprintf(path, n, "%s/.local/share/jabbertts/voices", home);
    else /* a service */
        snprintf(path, n, "/var/lib/jabbertts/voices");
    return path;
}

bool cli_has_voices(const char *voice_dir)
{
    return strstr(voice_dir, "://") || access(voice_dir, F_OK) == 0;
}

const char *cli_onnx_dir(const char *given, char *path, size_t n)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (given)
        return given;
    if (cache && *cache == '/')
        snprintf(path, n, "%s/jabbertts/onnx", cache);
    else if (home && *home)
        snprintf(path, n, "%s/.cache/jabbertts/onnx", home);
    else /* a service */
        snprintf(path, n, "/var/cache/jabbertts/onnx");
    return path;
}
