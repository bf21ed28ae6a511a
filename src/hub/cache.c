#include "hub/cache.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_NAMES 4096

/* CACHE/models--OWNER--NAME */
static int cache_base(const char *cache, const char *repository, char to[2048])
{
    const char *slash = strchr(repository, '/');
    int n = slash ? snprintf(to, 2048, "%s/models--%.*s--%s", cache, (int)(slash - repository),
                             repository, slash + 1)
                  : -1;
    return n > 0 && n < 2048 ? 0 : ERR_NOT_FOUND;
}

int cache_commit(const char *cache, const char *repository, const char *revision, char commit[80])
{
    char base[2048], path[4096], line[80] = "";
    if (cache_base(cache, repository, base) < 0)
        return ERR_NOT_FOUND;
    snprintf(path, sizeof path, "%s/snapshots/%s", base, revision);
    if (!strchr(revision, '/') && strlen(revision) < 80 && access(path, F_OK) == 0) {
        snprintf(commit, 80, "%s", revision);
        return 0;
    }
    snprintf(path, sizeof path, "%s/refs/%s", base, revision);
    FILE *f = fopen(path, "r");
    if (!f)
        return ERR_NOT_FOUND;
    bool good = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    line[strcspn(line, "\r\n")] = 0;
    if (!good || strspn(line, "0123456789abcdef") != 40 || line[40])
        return ERR_NOT_FOUND;
    snprintf(commit, 80, "%s", line);
    return 0;
}

int cache_find(const char *cache, const char *repository, const char *commit, const char *file,
               struct digest_value *hash, char path[4096])
{
    char base[2048], link[4096], target[4096];
    int n;
    if (cache_base(cache, repository, base) < 0)
        return ERR_NOT_FOUND;
    if (hash->kind != DIGEST_NONE) {
        n = snprintf(path, 4096, "%s/blobs/%s", base, hash->hex);
        if (n < 4096 && access(path, R_OK) == 0)
            return 0;
    }
    n = snprintf(link, sizeof link, "%s/snapshots/%s/%s", base, commit, file);
    if (n >= (int)sizeof link || access(link, R_OK) != 0)
        return ERR_NOT_FOUND;
    ssize_t len = readlink(link, target, sizeof target - 1);
    if (len > 0 && hash->kind == DIGEST_NONE) {
        target[len] = 0;
        const char *slash = strrchr(target, '/');
        digest_parse(slash ? slash + 1 : target, hash);
    }
    snprintf(path, 4096, "%s", link);
    return 0;
}

/* Names of a snapshot, a folder deep: as files of a repository. */
static int cache_names(const char *dir, const char *prefix, char **names, int *n)
{
    char path[4096], name[512];
    struct dirent *d;
    struct stat st;
    DIR *list = opendir(dir);
    if (!list)
        return ERR_NOT_FOUND;
    while ((d = readdir(list)) && *n < MAX_NAMES) {
        snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        if (d->d_name[0] == '.' || stat(path, &st) < 0 ||
            snprintf(name, sizeof name, "%s%s", prefix, d->d_name) >= (int)sizeof name)
            continue;
        if (S_ISREG(st.st_mode) && (names[*n] = mem_strndup(name, strlen(name))))
            (*n)++;
        if (S_ISDIR(st.st_mode) && !*prefix) {
            snprintf(name, sizeof name, "%.250s/", d->d_name);
            cache_names(path, name, names, n);
        }
    }
    closedir(list);
    return 0;
}

int cache_choose(const char *cache, const char *repository, const char *commit, const char *gguf,
                 struct repository *ret, struct err *e)
{
    char base[2048], dir[4096];
    int n = 0, rc = ERR_NOT_FOUND;
    char **names = mem_try(MAX_NAMES, sizeof *names);
    *ret = (struct repository){0};
    if (!names)
        return err_set(e, ERR_MEMORY, "out of memory for the cache's files");
    if (cache_base(cache, repository, base) == 0) {
        snprintf(dir, sizeof dir, "%s/snapshots/%s", base, commit);
        rc = cache_names(dir, "", names, &n);
    }
    snprintf(ret->commit, sizeof ret->commit, "%s", commit);
    rc = rc < 0 ? err_set(e, rc, "the cache %s has no files of %s", cache, repository)
                : repository_choose((const char *const *)names, n, gguf, ret, e);
    for (int i = 0; i < n; i++)
        mem_free(names[i]);
    mem_free(names);
    if (rc < 0)
        repository_done(ret);
    return rc;
}
