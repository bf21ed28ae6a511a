/* log.c - what is kept of a finished request: numbers for the metrics, and a line on standard
 * error, text or JSON.  Never the text that was spoken, unless the option log_text asks for it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "server/daemon.h"
#include "server/log.h"

static void time_string(char *to, size_t n)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(to, n, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(to + len, n - len, ".%03ldZ", now.tv_nsec / 1000000);
}

static void log_set(json_t *o, const char *name, json_t *value)
{
    json_object_set_new(o, name, value);
}

void log_set_string(json_t *o, const char *name, const char *s)
{
    char clean[1024];
    if (!s || !*s)
        return;
    if (utf8_check(s, strlen(s)) < strlen(s)) { /* a client sent it: show what can be shown */
        snprintf(clean, sizeof clean, "%s", s);
        for (char *p = clean; *p; p++)
            *p = (unsigned char)*p < 128 ? *p : '?';
        s = clean;
    }
    log_set(o, name, json_string(s));
}

/* Thousandths are enough, and keep the lines short. */
void log_set_seconds(json_t *o, const char *name, double v)
{
    if (v >= 0)
        log_set(o, name, json_real(round(v * 1000) / 1000));
}

static json_t *fields(const struct request *r)
{
    char now[40];
    json_t *o = json_object();
    time_string(now, sizeof now);
    log_set_string(o, "time", now);
    log_set_string(o, "level",
                   r->reply.status >= 500 ? "error"
                   : r->error.fault       ? "warning"
                                          : "info");
    log_set_string(o, "request_id", r->id);
    log_set_string(o, "method", r->method);
    log_set_string(o, "path", r->path);
    log_set(o, "status", json_integer(r->reply.status));
    log_set_seconds(o, "seconds", http_seconds_since(&r->started));
    log_set_seconds(o, "first_byte_seconds", r->first_byte_s);
    log_set(o, "bytes", json_integer((json_int_t)r->n_sent));
    log_set_string(o, "key", r->key.name);
    log_set_string(o, "client_request_id", r->client_id);
    log_set_string(o, "trace_id", r->trace_id);
    log_set_string(o, "parent_id", r->parent_id);
    if (r->n_retry > 0)
        log_set(o, "retry", json_integer(r->n_retry));
    if (r->state && r->state->log)
        r->state->log(r->state, o);
    if (r->error.fault) {
        log_set_string(o, "code", api_code(r->error.fault));
        log_set_string(o, "error", r->error.message);
    }
    return o;
}

/* A value that could be taken for another field is quoted, and what ends a quotation is escaped:
 * paths, texts and ids are the client's. */
static void add_quoted(struct buf *b, const char *s)
{
    s = s ? s : "";
    bool plain = *s && !s[strcspn(s, " =\"\\")];
    if (plain) {
        buf_add_str(b, s);
        return;
    }
    buf_add_str(b, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_add_str(b, "\\");
        buf_add(b, s, 1);
    }
    buf_add_str(b, "\"");
}

/* 2026-11-24T06:00:00.000Z POST /v1/audio/speech 200 name=value... */
static void put_text(struct logger *l, json_t *o)
{
    static const char *const leading[] = {"time", "method", "path", "status", "level"};
    struct buf b;
    const char *name;
    json_t *v;
    buf_init(&b, 64 << 10);
    for (int i = 0; i < 3; i++) {
        add_quoted(&b, json_string_value(json_object_get(o, leading[i])));
        buf_add_str(&b, " ");
    }
    buf_add_format(&b, "%d", (int)json_integer_value(json_object_get(o, "status")));
    json_object_foreach(o, name, v)
    {
        bool is_leading = false;
        for (size_t i = 0; i < sizeof leading / sizeof *leading; i++)
            is_leading = is_leading || strcmp(name, leading[i]) == 0;
        if (is_leading)
            continue;
        buf_add_format(&b, " %s=", name);
        if (json_is_string(v))
            add_quoted(&b, json_string_value(v));
        else
            buf_add_format(&b, "%.10g", json_number_value(v));
    }
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char)b.data[i] < ' ' || b.data[i] == 127)
            b.data[i] = '?';
    logger_line(l, buf_str(&b));
    buf_done(&b);
}

static void log_count(const struct request *r)
{
    struct metrics *m = &r->server->metrics;
    const char *route = r->route ? r->route->name : "none";
    char labels[128];
    snprintf(labels, sizeof labels, "route=\"%s\",status=\"%d\"", route, r->reply.status);
    metrics_add(m, METRIC_REQUESTS, labels, 1);
    snprintf(labels, sizeof labels, "route=\"%s\"", route);
    metrics_add(m, METRIC_REQUEST_SECONDS, labels, http_seconds_since(&r->started));
    metrics_add(m, METRIC_SENT_BYTES, "", (double)r->n_sent);
    if (r->n_retry > 0)
        metrics_add(m, METRIC_RETRIES, "", 1);
    if (r->error.fault) {
        snprintf(labels, sizeof labels, "code=\"%s\"", api_code(r->error.fault));
        metrics_add(m, METRIC_ERRORS, labels, 1);
    }
    if (r->state && r->state->count)
        r->state->count(r->state, m, r->error.fault != FAULT_NONE);
}

void log_request(const struct request *r)
{
    log_count(r);
    bool probe = r->route && r->route->is_quiet && r->reply.status < 400;
    if (r->server->o.log == SERVER_LOG_NONE || probe)
        return;
    json_t *o = fields(r);
    if (r->server->o.log == SERVER_LOG_JSON) {
        char *s = json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
        if (s)
            logger_line(&r->server->logger, s);
        free(s);
    } else {
        put_text(&r->server->logger, o);
    }
    json_decref(o);
}
