#include "hub/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "hub/part.h"
#include "hub/source.h"

#define MANIFEST_BYTES (1 << 20)
#define ERASE_DEPTH    8

/* --- manifest --- */

#define FIELD(field)                                                                               \
    {                                                                                              \
#field, offsetof(struct manifest, field), sizeof(((struct manifest *)0)->field)            \
    }

static const struct shelf_field {
    const char *name;
    size_t offset, size;
} strings[] = {FIELD(name),        FIELD(file), FIELD(source), FIELD(commit),  FIELD(licence),
               FIELD(licence_url), FIELD(type), FIELD(sha256), FIELD(imatrix), FIELD(version)},
  numbers[] = {FIELD(bytes), FIELD(installed_at), FIELD(accepted_at)};
#define N_STRING (sizeof strings / sizeof *strings)
#define N_NUMBER (sizeof numbers / sizeof *numbers)

void shelf_done(struct manifest *m)
{
    json_decref(m->files);
    m->files = NULL;
}

static int shelf_take(const json_t *root, struct manifest *m)
{
    for (size_t i = 0; i < N_STRING; i++) {
        const char *s = json_string_value(json_object_get(root, strings[i].name));
        if (!s || strlen(s) >= strings[i].size)
            return -1;
        snprintf((char *)m + strings[i].offset, strings[i].size, "%s", s);
    }
    for (size_t i = 0; i < N_NUMBER; i++) {
        const json_t *v = json_object_get(root, numbers[i].name);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return -1;
        *(int64_t *)(void *)((char *)m + numbers[i].offset) = json_integer_value(v);
    }
    m->files = json_incref(json_object_get(root, "files"));
    return 0;
}

int shelf_parse(const char *json, size_t n, struct manifest *ret, struct err *e)
{
    struct manifest m = {0};
    json_error_t why;
    json_t *root = json_loadb(json, n, 0, &why);
    int rc = root ? shelf_take(root, &m) : -1;
    json_decref(root);
    /* Names become parts of paths. */
    if (rc == 0 && source_check_name(m.name, NULL) == 0 && source_check_name(m.file, NULL) == 0) {
        *ret = m;
        return 0;
    }
    shelf_done(&m);
    return err_set(e, ERR_FORMAT, "the manifest is malformed");
}

static int shelf_slurp(const char *path, struct buf *to)
{
    char block[4096];
    size_t n;
    int rc = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return ERR_NOT_FOUND;
    while (rc == 0 && (n = fread(block, 1, sizeof block, f)) > 0)
        rc = buf_add(to, block, n);
    if (ferror(f))
        rc = ERR_IO;
    fclose(f);
    return rc;
}

int shelf_read(const char *dir, const char *name, struct manifest *ret, struct err *e)
{
    char path[4096];
    struct buf text;
    int rc = source_check_name(name, e);
    if (rc < 0)
        return rc;
    buf_init(&text, MANIFEST_BYTES);
    snprintf(path, sizeof path, "%s/%s/manifest.json", dir, name);
    rc = shelf_slurp(path, &text);
    if (rc == ERR_NOT_FOUND)
        err_set(e, rc, "no model \"%s\" is installed", name);
    else if (rc < 0)
        err_set(e, rc, "cannot read %s", path);
    else if ((rc = shelf_parse(buf_str(&text), text.len, ret, e)) < 0)
        err_set(e, rc, "%s is malformed: remove the model \"%s\" and pull it again", path, name);
    else if (strcmp(ret->name, name) != 0) {
        shelf_done(ret);
        rc = err_set(e, ERR_FORMAT, "%s is of another model, \"%s\"", path, ret->name);
    }
    buf_done(&text);
    return rc;
}

static int shelf_write(const char *path, const struct manifest *m, struct err *e)
{
    char temporary[4300];
    json_t *root = json_object();
    for (size_t i = 0; i < N_STRING; i++)
        json_object_set_new(root, strings[i].name,
                            json_string((const char *)m + strings[i].offset));
    for (size_t i = 0; i < N_NUMBER; i++)
        json_object_set_new(
            root, numbers[i].name,
            json_integer(*(const int64_t *)(const void *)((const char *)m + numbers[i].offset)));
    json_object_set(root, "files", m->files);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = fd >= 0 && json_dumpfd(root, fd, JSON_INDENT(2)) == 0 && write(fd, "\n", 1) == 1 &&
                fsync(fd) == 0;
    json_decref(root);
    int rc = good ? 0 : part_fail(temporary, e);
    if (fd >= 0)
        close(fd);
    if (rc == 0 && rename(temporary, path) < 0)
        rc = part_fail(path, e);
    return rc;
}

/* --- directories --- */

int shelf_make_dir(const char *dir, struct err *e)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path)
        return err_set(e, ERR_LIMIT, "%.100s... is too long a path", dir);
    for (char *p = path + 1;; p++) {
        char c = *p;
        if (c && c != '/')
            continue;
        *p = 0;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return err_set(e, ERR_IO,
                           "cannot make %s: %s; choose another directory with `model_dir`", path,
                           strerror(errno));
        *p = c;
        if (!c)
            return 0;
    }
}

static void erase_at(int parent, const char *name, int depth)
{
    struct dirent *d;
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT || depth == ERASE_DEPTH)
        return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((d = readdir(list)))
        if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
            erase_at(fd, d->d_name, depth + 1);
    closedir(list);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void shelf_erase(const char *path)
{
    erase_at(AT_FDCWD, path, 0);
}

static void shelf_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* All of a model's directory but what its manifest names. */
static void shelf_tidy(const char *home, const char *file)
{
    char path[4400];
    struct dirent *d;
    DIR *list = opendir(home);
    while (list && (d = readdir(list))) {
        if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || !strcmp(d->d_name, file) ||
            !strcmp(d->d_name, "manifest.json") || !strcmp(d->d_name, "used"))
            continue;
        snprintf(path, sizeof path, "%s/%s", home, d->d_name);
        shelf_erase(path);
    }
    if (list)
        closedir(list);
}

int shelf_install(const char *dir, const char *from, struct manifest *m, struct err *e)
{
    char home[4096], to[4096], path[4200];
    snprintf(home, sizeof home, "%s/%s", dir, m->name);
    /* Another name for each content: what a running program has open is not touched. */
    snprintf(m->file, sizeof m->file, "%.60s-%s-%.12s.gguf", m->name, m->type, m->sha256);
    shelf_path(dir, m, to);
    int rc = shelf_make_dir(home, e);
    if (rc < 0)
        return rc;
    if (rename(from, to) < 0)
        return part_fail(to, e);
    shelf_sync(home);
    snprintf(path, sizeof path, "%s/manifest.json", home);
    if ((rc = shelf_write(path, m, e)) < 0)
        return rc;
    shelf_sync(home);
    shelf_sync(dir);
    shelf_tidy(home, m->file);
    return 0;
}

int shelf_remove(const char *dir, const char *name, struct err *e)
{
    char path[4096];
    struct manifest m = {0};
    struct err why = {0};
    int rc = shelf_read(dir, name, &m, &why);
    shelf_done(&m);
    if (rc < 0 && rc != ERR_FORMAT) /* a broken one can go, too */
        return err_set(e, rc, "%s", why.msg);
    snprintf(path, sizeof path, "%s/%s/manifest.json", dir, name);
    if (unlink(path) < 0)
        return err_set(e, ERR_IO, "cannot remove %s: %s", path, strerror(errno));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    shelf_erase(path);
    snprintf(path, sizeof path, "%s/.pull/%s", dir, name);
    shelf_erase(path);
    return 0;
}

void shelf_path(const char *dir, const struct manifest *m, char path[4096])
{
    snprintf(path, 4096, "%s/%s/%s", dir, m->name, m->file);
}

int64_t shelf_used(const char *dir, const char *name)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s/used", dir, name);
    return stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
}

void shelf_touch(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/used", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) /* a reader's store: fine */
        return;
    futimens(fd, NULL);
    close(fd);
}

bool shelf_default(const char *dir, char name[100])
{
    char path[4096];
    struct manifest m = {0};
    snprintf(path, sizeof path, "%s/.default", dir);
    ssize_t n = readlink(path, name, 99);
    name[n > 0 ? n : 0] = 0;
    bool found = n > 0 && shelf_read(dir, name, &m, NULL) == 0;
    shelf_done(&m);
    return found;
}

int shelf_set_default(const char *dir, const char *name, struct err *e)
{
    char path[4096], next[4200];
    struct manifest m = {0};
    snprintf(path, sizeof path, "%s/.default", dir);
    snprintf(next, sizeof next, "%s.new-%ld", path, (long)getpid());
    if (!name)
        return unlink(path) < 0 && errno != ENOENT ? part_fail(path, e) : 0;
    int rc = shelf_read(dir, name, &m, e);
    shelf_done(&m);
    if (rc == 0 && (symlink(name, next) < 0 || rename(next, path) < 0)) {
        rc = part_fail(path, e);
        unlink(next);
    }
    return rc;
}

int shelf_lock(const char *dir, const char *name, int (*wait)(void *cookie), void *cookie, int *ret,
               struct err *e)
{
    char path[4096];
    struct timespec moment = {.tv_nsec = 100000000};
    int rc;
    if ((rc = source_check_name(name, e)) < 0)
        return rc;
    snprintf(path, sizeof path, "%s/.lock", dir);
    if ((rc = shelf_make_dir(path, e)) < 0)
        return rc;
    snprintf(path, sizeof path, "%s/.lock/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            rc = err_set(e, ERR_IO, "cannot lock %s: %s", path, strerror(errno));
        else if (wait && wait(cookie))
            rc = err_set(e, ERR_CANCELLED, "stopped");
        if (rc < 0) {
            close(fd);
            return rc;
        }
        nanosleep(&moment, NULL);
    }
    *ret = fd;
    return 0;
}

void shelf_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
