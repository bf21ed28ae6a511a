#include "hub/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_BYTES (1 << 20)

int digest_parse(const char *hex, struct digest_value *ret)
{
    size_t n = strlen(hex);
    if ((n != 64 && n != 40) || strspn(hex, "0123456789abcdefABCDEF") != n)
        return ERR_FORMAT;
    ret->kind = n == 64 ? DIGEST_SHA256 : DIGEST_GIT;
    for (size_t i = 0; i <= n; i++)
        ret->hex[i] = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + ('a' - 'A') : hex[i]);
    return 0;
}

int digest_begin(struct digest *d, enum digest_kind kind, uint64_t size, struct err *e)
{
    gnutls_hash_hd_t h;
    char head[48];
    *d = (struct digest){.kind = kind};
    if (gnutls_hash_init(&h, kind == DIGEST_GIT ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256) < 0)
        return err_set(e, ERR_MEMORY, "out of memory for a hash");
    d->state = h;
    if (kind == DIGEST_GIT) {
        int n = snprintf(head, sizeof head, "blob %" PRIu64, size);
        digest_add(d, head, (size_t)n + 1);
    }
    return 0;
}

void digest_add(struct digest *d, const void *data, size_t n)
{
    gnutls_hash(d->state, data, n);
}

void digest_end(struct digest *d, struct digest_value *ret)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[32];
    if (!d->state)
        return;
    gnutls_hash_deinit(d->state, raw);
    if (ret) {
        size_t n = d->kind == DIGEST_GIT ? 20 : 32;
        ret->kind = d->kind;
        for (size_t i = 0; i < n; i++) {
            ret->hex[2 * i] = digits[raw[i] >> 4];
            ret->hex[2 * i + 1] = digits[raw[i] & 15];
        }
        ret->hex[2 * n] = 0;
    }
    d->state = NULL;
}

bool digest_same(const struct digest_value *a, const struct digest_value *b)
{
    return a->kind == b->kind && strcmp(a->hex, b->hex) == 0;
}

static int digest_read(struct digest *d, int fd, char *block, const struct digest_watch *watch)
{
    uint64_t done = 0;
    ssize_t n;
    while ((n = read(fd, block, READ_BYTES)) > 0) {
        digest_add(d, block, (size_t)n);
        done += (uint64_t)n;
        if (watch && watch->step(watch->cookie, done))
            return ERR_CANCELLED;
    }
    return n < 0 ? ERR_IO : 0;
}

int digest_file(const char *path, enum digest_kind kind, struct digest_value *ret, uint64_t *size,
                const struct digest_watch *watch, struct err *e)
{
    struct digest d = {0};
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        rc = err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                     strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    char *block = mem_try(READ_BYTES, 1);
    rc = block ? digest_begin(&d, kind, (uint64_t)st.st_size, e)
               : err_set(e, ERR_MEMORY, "out of memory for a hash");
    if (rc == 0) {
        rc = digest_read(&d, fd, block, watch);
        if (rc == ERR_CANCELLED)
            err_set(e, rc, "stopped");
        else if (rc < 0)
            err_set(e, rc, "cannot read %s: %s", path, strerror(errno));
        digest_end(&d, ret);
        if (size)
            *size = (uint64_t)st.st_size;
    }
    mem_free(block);
    close(fd);
    return rc;
}
