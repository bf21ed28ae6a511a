/* health.c - whether the server is alive, and whether it would accept a request. */
#include <string.h>

#include "server/daemon.h"
#include "server/pressure.h"
#include "store/takes.h"

void health_live(struct request *r)
{
    http_reply_json(r, 200,
                    json_pack("{s:s,s:s,s:s}", "status", "ok", "version", jabbertts_version(),
                              "model", r->server->model_id));
}

/* Why a request that came now would be refused, or take what running ones need. */
static const char *health_state(struct server *s, const struct jabbertts_load *l)
{
    const struct jabbertts_options *o = &s->o.engine;
    size_t room = (size_t)s->o.spool_mb << 20;
    if (l->queued >= o->queue + o->slots || (o->max_wait_s > 0 && l->wait_s > o->max_wait_s))
        return "busy";
    if (pressure_is_high(PRESSURE_GROUP, PRESSURE_MACHINE))
        return "out_of_memory";
    return spool_budget_used(&s->spool) > room - room / 10 ? "out_of_storage" : "ready";
}

/* A stopping server never gets here: http.c refuses for it. */
void health_ready(struct request *r)
{
    struct jabbertts_load l;
    jabbertts_load(r->server->tts, &l);
    const char *state = health_state(r->server, &l);
    http_reply_json(r, strcmp(state, "ready") == 0 ? 200 : 503,
                    json_pack("{s:s,s:b,s:i,s:i,s:i,s:f}", "status", state, "loaded", l.loaded,
                              "slots", l.slots, "active", l.active, "queued", l.queued,
                              "wait_seconds", l.wait_s));
}

static int print_takes(struct takes *t, struct buf *to)
{
    struct takes_counts c = {.n_hit = 0};
    if (t)
        takes_count(t, &c);
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"jabbertts_take_hits_total", "counter", "Answers that were kept, and sent again.",
         (double)c.n_hit},
        {"jabbertts_take_misses_total", "counter", "Answers that were not kept.", (double)c.n_miss},
        {"jabbertts_takes_kept_total", "counter", "Answers written to the directory of takes.",
         (double)c.n_kept},
        {"jabbertts_take_evictions_total", "counter", "Answers that made room for others.",
         (double)c.n_evicted},
        {"jabbertts_takes_lost_total", "counter",
         "Answers that could not be written there, or were found damaged.", (double)c.n_lost},
        {"jabbertts_takes_bytes", "gauge", "Bytes in the directory of takes.", (double)c.bytes},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && rc == 0; i++)
        rc = metrics_print_value(to, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
    return rc;
}

static int print_engine(struct request *r, struct buf *to)
{
    struct server *s = r->server;
    struct jabbertts_load l;
    jabbertts_load(s->tts, &l);
    const struct {
        const char *name, *type, *help;
        double value;
    } rows[] = {
        {"jabbertts_slots", "gauge", "Requests that are spoken together, at most.", l.slots},
        {"jabbertts_requests_active", "gauge", "Requests being spoken.", l.active},
        {"jabbertts_requests_queued", "gauge", "Requests waiting for a slot.", l.queued},
        {"jabbertts_batch_size", "gauge", "Requests in the last pass over the weights.", l.batch},
        {"jabbertts_predicted_wait_seconds", "gauge", "Wait of a request that came now.", l.wait_s},
        {"jabbertts_recent_rtf", "gauge", "Compute time a second of sound, recently.", l.rtf},
        {"jabbertts_model_loaded", "gauge", "Models whose weights are in memory.", l.loaded},
        {"jabbertts_models_bytes", "gauge", "Memory that those models take.",
         (double)l.in_use_bytes},
        {"jabbertts_models_budget_bytes", "gauge", "What they may take; 0 is no limit.",
         (double)l.budget_bytes},
        {"jabbertts_busy_seconds_total", "counter", "Compute time of the engine.", l.busy_s},
        {"jabbertts_frames_total", "counter", "Frames made.", (double)l.n_frame},
        {"jabbertts_truncated_total", "counter", "Sentences that a limit cut short.",
         (double)l.n_truncated},
        {"jabbertts_repaired_total", "counter", "Times that a sentence was made again.",
         (double)l.n_repaired},
        {"jabbertts_connections", "gauge", "Open connections.", server_connections(s)},
        {"jabbertts_connections_evicted_total", "counter",
         "Connections closed to make room for others.", server_evicted(s)},
        {"jabbertts_spool_bytes", "gauge", "Bytes of bodies and answers kept in files.",
         (double)spool_budget_used(&s->spool)},
        {"jabbertts_log_dropped_total", "counter",
         "Lines of the log lost, standard error being slow.", (double)logger_dropped(&s->logger)},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && rc == 0; i++)
        rc = metrics_print_value(to, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
    if (rc < 0)
        return rc;
    return buf_add_format(to,
                          "# HELP jabbertts_build_info Version, model and processor in use.\n"
                          "# TYPE jabbertts_build_info gauge\n"
                          "jabbertts_build_info{version=\"%s\",model=\"%s\",isa=\"%s\","
                          "threads=\"%d\"} 1\n",
                          jabbertts_version(), s->model_id, jabbertts_isa(s->tts),
                          jabbertts_threads(s->tts));
}

void metrics_get(struct request *r)
{
    struct buf b;
    buf_init(&b, 4 << 20);
    if (metrics_print(&r->server->metrics, &b) < 0 || print_engine(r, &b) < 0 ||
        print_takes(r->server->takes, &b) < 0 || metrics_print_process(&r->server->metrics, &b) < 0)
        http_reply_error(r, &(struct api_error){.fault = FAULT_MEMORY,
                                                .message = "out of memory for the metrics"});
    else
        http_reply_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
    buf_done(&b);
}
