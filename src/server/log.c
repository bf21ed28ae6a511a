/* log.c - what is kept of a finished request: numbers for the metrics, and a line on standard
 * error, text or JSON.  Never the text that was spoken, unless the option log_text asks for it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
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

/* A whole line in one write, so that lines of several threads do not mix. */
static void log_put(const char *s, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, s, n);
        if (done <= 0)
            return;
        s += done;
        n -= (size_t)done;
    }
}

static void log_set(json_t *o, const char *name, json_t *value)
{
    json_object_set_new(o, name, value);
}

void log_set_string(json_t *o, const char *name, const char *s)
{
    if (s && *s)
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
    log_set_string(o, "key", r->key ? r->key->name : NULL);
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

/* 2026-11-24T06:00:00.000Z POST /v1/audio/speech 200 name=value... */
static void put_text(json_t *o)
{
    struct buf b;
    const char *name;
    json_t *v;
    buf_init(&b, 64 << 10);
    buf_add_format(&b, "%s %s %s %d", json_string_value(json_object_get(o, "time")),
                   json_string_value(json_object_get(o, "method")),
                   json_string_value(json_object_get(o, "path")),
                   (int)json_integer_value(json_object_get(o, "status")));
    json_object_foreach(o, name, v)
    {
        if (strcmp(name, "time") == 0 || strcmp(name, "method") == 0 || strcmp(name, "path") == 0 ||
            strcmp(name, "status") == 0 || strcmp(name, "level") == 0)
            continue;
        if (json_is_string(v))
            buf_add_format(&b, " %s=%s%s%s", name, strchr(json_string_value(v), ' ') ? "\"" : "",
                           json_string_value(v), strchr(json_string_value(v), ' ') ? "\"" : "");
        else
            buf_add_format(&b, " %s=%.10g", name, json_number_value(v));
    }
    /* Paths and texts are the client's: nothing of them may look like another line. */
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char)b.data[i] < ' ' || b.data[i] == 127)
            b.data[i] = '?';
    buf_add_str(&b, "\n");
    log_put(buf_str(&b), b.len);
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
        size_t n = s ? strlen(s) : 0;
        if (s) {
            s[n] = '\n'; /* in the place of its NUL */
            log_put(s, n + 1);
        }
        free(s);
    } else {
        put_text(o);
    }
    json_decref(o);
}
