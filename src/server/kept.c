#include "server/kept.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/daemon.h"
#include "store/takes.h"

#define TAKES_PATH "/v1/audio/takes/"

enum range { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

struct part {
    size_t first, n;
};

/* "bytes=5-9", "bytes=5-", "bytes=-5" of n bytes.  Several ranges, and what is no range, are passed
 * over, as is allowed: then the whole is sent. */
static enum range kept_range(const char *s, size_t n, struct part *ret)
{
    char *end;
    if (!s || n == 0 || strncasecmp(s, "bytes=", 6) != 0)
        return RANGE_NONE;
    const char *from = s + 6;
    bool tail = *from == '-';
    const char *digits = from + tail;
    if (!isdigit((unsigned char)*digits))
        return RANGE_NONE;
    unsigned long long a = strtoull(digits, &end, 10), b = n - 1;
    if (tail) {
        if (*end)
            return RANGE_NONE;
        *ret = a < n ? (struct part){n - (size_t)a, (size_t)a} : (struct part){0, n};
        return a > 0 ? RANGE_PART : RANGE_BEYOND;
    }
    if (*end++ != '-')
        return RANGE_NONE;
    if (*end) {
        if (!isdigit((unsigned char)*end) || (b = strtoull(end, &end, 10)) < a || *end)
            return RANGE_NONE;
    }
    if (a >= n)
        return RANGE_BEYOND;
    *ret = (struct part){(size_t)a, (size_t)((b < n ? b : n - 1) - a + 1)};
    return RANGE_PART;
}

static bool kept_is_named(const char *tags, const char *name)
{
    char tag[TAKES_NAME + 3];
    snprintf(tag, sizeof tag, "\"%s\"", name);
    return tags && strstr(tags, tag);
}

static void kept_send(struct request *r, const struct stored_take *take, const struct part *part)
{
    r->reply.fd = take->fd;
    r->reply.fd_offset = take->offset + (off_t)part->first;
    r->reply.fd_bytes = part->n;
}

/* Which part was asked for: the reply is set. */
static void kept_send_asked(struct request *r, const char *name, const struct stored_take *take)
{
    const char *only_if = http_header(r, "If-Range"), *range = http_header(r, "Range");
    struct part part = {0, take->n_bytes};
    enum range asked = only_if && (only_if[0] == 'W' || !kept_is_named(only_if, name))
                           ? RANGE_NONE
                           : kept_range(range, take->n_bytes, &part);
    if (asked == RANGE_BEYOND) {
        struct api_error e;
        close(take->fd);
        api_fail(&e, FAULT_RANGE, NULL,
                 "there are %zu bytes, and the range \"%.64s\" has none of them", take->n_bytes,
                 range);
        http_reply_error(r, &e);
        http_reply_header(r, "Content-Range", "bytes */%zu", take->n_bytes);
        return;
    }
    r->reply.status = asked == RANGE_PART ? 206 : 200;
    if (asked == RANGE_PART)
        http_reply_header(r, "Content-Range", "bytes %zu-%zu/%zu", part.first,
                          part.first + part.n - 1, take->n_bytes);
    kept_send(r, take, &part);
}

bool kept_reply(struct request *r, const char *name)
{
    struct stored_take take;
    const char *known = http_header(r, "If-None-Match");
    /* The same name is the same bytes, whether they are still kept or not; "*" is what there is at
     * an address, so it says nothing of a request to speak. */
    bool same = kept_is_named(known, name);
    if (!same) {
        if (!takes_find(r->server->takes, name, &take))
            return false;
        same = known && strcmp(known, "*") == 0 && strcmp(r->method, "POST") != 0;
        if (same)
            close(take.fd);
    }
    http_reply_header(r, "ETag", "\"%s\"", name);
    http_reply_header(r, "Accept-Ranges", "bytes");
    http_reply_header(r, "Content-Location", TAKES_PATH "%s", name);
    if (same) {
        r->reply.status = 304;
        return true;
    }
    http_reply_header(r, "Content-Type", "%s", take.type);
    kept_send_asked(r, name, &take);
    return true;
}

void kept_announce(struct request *r, const char *name, bool whole)
{
    http_reply_header(r, "ETag", "%s\"%s\"", whole ? "" : "W/", name);
    http_reply_header(r, "Content-Location", TAKES_PATH "%s", name);
}

void takes_get(struct request *r)
{
    struct api_error e;
    if (!r->server->takes)
        api_fail(&e, FAULT_NOT_FOUND, NULL,
                 "this server keeps no takes; start it with --cache-dir DIR");
    else if (!takes_is_name(r->argument) || !kept_reply(r, r->argument))
        api_fail(&e, FAULT_NOT_FOUND, NULL,
                 "there is no such take: it never was, or made room for others");
    else
        return;
    http_reply_error(r, &e);
}
