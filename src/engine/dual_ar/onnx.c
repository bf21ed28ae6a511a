#include "engine/dual_ar/onnx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/export.h"

static const char *const graphs[] = {"slow", "fast", "decoder", "encoder"};

bool onnx_is_folder(const char *path)
{
    char inside[PATH_MAX];
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
           snprintf(inside, sizeof inside, "%s/" EXPORT_METADATA, path) < PATH_MAX &&
           access(inside, R_OK) == 0;
}

/* DIR, if model is DIR/model.gguf with graphs beside it. */
static bool onnx_beside(const char *model, char *dir)
{
    const char *slash = strrchr(model, '/');
    char graph[PATH_MAX];
    if (!slash || strcmp(slash + 1, EXPORT_METADATA) != 0)
        return false;
    snprintf(dir, PATH_MAX, "%.*s", (int)(slash - model), model);
    return snprintf(graph, sizeof graph, "%s/slow.onnx", dir) < PATH_MAX &&
           access(graph, R_OK) == 0;
}

/* What a file is now, as far as its folder depends on it: FNV-1a (Fowler, Noll, Vo). */
static uint64_t onnx_hash(const char *path, const struct stat *st)
{
    char text[PATH_MAX + 96];
    uint64_t h = 0xcbf29ce484222325u;
    snprintf(text, sizeof text, "%s %s %lld %lld.%ld", JABBERTTS_VERSION, path,
             (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    for (const char *p = text; *p; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    return h;
}

static int onnx_make_parents(const char *path, struct err *e)
{
    char part[PATH_MAX];
    for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return err_set(e, ERR_IO, "cannot make the directory %s: %s", part, strerror(errno));
    }
    return 0;
}

static int onnx_make(const char *model, const char *keep, char *dir, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    const char *slash = strrchr(model, '/'), *name = slash ? slash + 1 : model;
    if (!keep)
        return err_set(e, ERR_ARGUMENT,
                       "no directory for the graphs is known (onnx_dir); name one, or an exported "
                       "folder as the model");
    if (!realpath(model, path) || stat(path, &st) < 0)
        return err_set(e, ERR_NOT_FOUND, "cannot open %s: %s", model, strerror(errno));
    if (snprintf(dir, PATH_MAX, "%s/%.64s-%016llx", keep, name,
                 (unsigned long long)onnx_hash(path, &st)) >= PATH_MAX)
        return err_set(e, ERR_LIMIT, "the path %.64s... is too long", keep);
    if (onnx_is_folder(dir))
        return 0;
    struct export_options x = {.model = model, .dir = dir};
    int rc = onnx_make_parents(dir, e);
    return rc < 0 ? rc : export_onnx(&x, e);
}

int onnx_folder_of(const char *model, const struct jabbertts_options *o, struct onnx_folder *ret,
                   struct err *e)
{
    int rc = onnx_beside(model, ret->dir) ? 0 : onnx_make(model, o->onnx_dir, ret->dir, e);
    ret->n_bytes = 0;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs && rc == 0; i++) {
        char path[PATH_MAX];
        struct stat st;
        if (snprintf(path, sizeof path, "%s/%s.onnx.data", ret->dir, graphs[i]) < PATH_MAX &&
            stat(path, &st) == 0)
            ret->n_bytes += (size_t)st.st_size;
    }
    return rc;
}
