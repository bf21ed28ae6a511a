/* request.c - what handlers set: the reply. */
#include "server/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reply_body(struct request *r, int status, const char *type, const char *s, size_t n)
{
    struct reply *p = &r->reply;
    p->status = status;
    p->type = type;
    spool_done(&p->body);
    if (spool_add(&p->body, s, n) < 0) {
        spool_done(&p->body);
        p->status = 503;
        p->type = NULL;
    }
}

void http_reply_text(struct request *r, int status, const char *type, const char *text)
{
    reply_body(r, status, type, text, strlen(text));
}

void http_reply_json(struct request *r, int status, json_t *json)
{
    char *s = json ? json_dumps(json, JSON_COMPACT) : NULL;
    reply_body(r, s ? status : 500, "application/json", s ? s : "", s ? strlen(s) : 0);
    free(s);
    json_decref(json);
}

void http_reply_error(struct request *r, const struct api_error *e)
{
    r->error = *e;
    http_reply_json(r, api_status(e->fault), api_error_json(e));
    if (e->retry_after_s > 0) {
        http_reply_header(r, "retry-after", "%.0f", e->retry_after_s < 1 ? 1 : e->retry_after_s);
        http_reply_header(r, "retry-after-ms", "%.0f", e->retry_after_s * 1000);
        http_reply_header(r, "x-should-retry", "true");
    } else if (r->reply.status >= 500) {
        /* A server error that is not temporary will happen again. */
        http_reply_header(r, "x-should-retry", "false");
    }
}

void http_reply_header(struct request *r, const char *name, const char *format, ...)
{
    struct buf *b = &r->reply.headers;
    char value[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof value || buf_add(b, name, strlen(name) + 1) < 0)
        return;
    if (buf_add(b, value, (size_t)n + 1) < 0)
        b->len -= strlen(name) + 1;
}

double http_seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) * 1e-9;
}
