#include "server/runner.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "server/ask.h"
#include "server/daemon.h"
#include "server/validate.h"

#define RUNNER_LOOK_S  1.0  /* between looks at the store while there are batches, */
#define RUNNER_IDLE_S  5.0  /* while there are none: another process may have added one */
#define RUNNER_RENEW_S 10.0 /* of the leases of lines in hand */
#define RUNNER_SWEEP_S 60.0
#define RUNNER_PAUSE_S 1.0 /* after a failure that may pass */
#define RUNNER_OPEN    1000

struct line { /* being spoken, or waiting to be stored */
    struct runner *runner;
    bool used;
    bool woken; /* (lock) its pump has something */
    char batch[JOBS_ID_BYTES], owner[KEYS_NAME_MAX];
    bool sees_all;
    int64_t keep_s;
    struct jobs_item item;
    struct speech_params params;
    struct pump *pump;
    struct spool sound;
    char *answer; /* not NULL: it has ended, and is to be stored */
    bool failed;
    char sound_id[JOBS_ID_BYTES], sound_name[160];
    int n_in_token, n_out_token;
};

struct open_batch {
    char id[JOBS_ID_BYTES], owner[KEYS_NAME_MAX], input[JOBS_ID_BYTES];
    bool sees_all, dry;
    int64_t keep_s, expires_at, n_left;
    enum jobs_status status;
};

struct runner {
    struct server *s;
    char id[JOBS_ID_BYTES];
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken, stopping; /* (lock) */
    bool changed;         /* (lock) a batch was added or cancelled: look at once */

    /* The thread's own. */
    struct line *line; /* [n_line] */
    int n_line;
    struct open_batch *batch; /* [n_batch], those that have not ended */
    int n_batch;
    double look_at, renew_at, sweep_at, pause_until; /* runner_now */
};

static double runner_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- who comes next --- */

int runner_choose(const struct runner_batch *b, int n)
{
    int best = -1, fewest = 0;
    for (int i = 0; i < n; i++) {
        int of_owner = 0;
        for (int k = 0; k < n && !b[i].dry; k++)
            of_owner += strcmp(b[k].owner, b[i].owner) == 0 ? b[k].n_running : 0;
        if (!b[i].dry && (best < 0 || of_owner < fewest)) {
            best = i;
            fewest = of_owner;
        }
    }
    return best;
}

static int choose_batch(struct runner *r)
{
    struct runner_batch *v = mem_try((size_t)r->n_batch + 1, sizeof *v);
    int best = -1;
    for (int i = 0; v && i < r->n_batch; i++) {
        v[i] = (struct runner_batch){r->batch[i].owner, 0,
                                     r->batch[i].dry || r->batch[i].status != JOBS_IN_PROGRESS};
        for (int k = 0; k < r->n_line; k++)
            v[i].n_running += r->line[k].used && strcmp(r->line[k].batch, r->batch[i].id) == 0;
    }
    if (v)
        best = runner_choose(v, r->n_batch);
    mem_free(v);
    return best;
}

/* --- a line's sound --- */

static int line_write(void *cookie, const void *data, size_t n)
{
    return spool_add(&((struct line *)cookie)->sound, data, n);
}

static bool line_has_room(void *cookie)
{
    (void)cookie;
    return true;
}

/* Called with the engine's lock held.  The engine is never called with the runner's lock held. */
static void line_wake(void *cookie)
{
    struct line *l = cookie;
    pthread_mutex_lock(&l->runner->lock);
    l->woken = l->runner->woken = true;
    pthread_cond_signal(&l->runner->wake);
    pthread_mutex_unlock(&l->runner->lock);
}

static void line_done(struct line *l)
{
    pump_free(l->pump);
    params_done(&l->params);
    jobs_item_done(&l->item);
    spool_done(&l->sound);
    mem_free(l->answer);
    struct runner *r = l->runner;
    pthread_mutex_lock(&r->lock);
    *l = (struct line){.runner = r};
    pthread_mutex_unlock(&r->lock);
}

/* A temporary failure, which is not the line's fault. */
static bool fault_passes(enum fault f)
{
    return f == FAULT_BUSY || f == FAULT_MEMORY || f == FAULT_STOPPING || f == FAULT_STORAGE ||
           f == FAULT_STORE;
}

/* --- what is stored of it --- */

/* 000012-chapter_3.mp3 */
static void name_sound(struct line *l)
{
    json_t *custom = json_loads(l->item.custom, JSON_DECODE_ANY, NULL);
    const char *s = json_string_value(custom);
    size_t n =
        (size_t)snprintf(l->sound_name, sizeof l->sound_name, "%06lld-", (long long)l->item.line);
    for (; s && *s && n < 120; s++)
        l->sound_name[n++] = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                                     (*s >= '0' && *s <= '9') || strchr("-_.", *s)
                                 ? *s
                                 : '_';
    snprintf(l->sound_name + n, sizeof l->sound_name - n, ".%s", l->params.encoder.format);
    json_decref(custom);
}

/* {"id","custom_id","response":{"status_code","request_id","body"},"error"}: takes the body. */
static void line_answer(struct line *l, int status, json_t *body)
{
    char id[JOBS_ID_BYTES + 32];
    snprintf(id, sizeof id, "%s_%lld", l->batch, (long long)l->item.line);
    json_t *custom = json_loads(l->item.custom, JSON_DECODE_ANY, NULL);
    json_t *j =
        json_pack("{s:s,s:o,s:{s:i,s:s,s:o},s:n}", "id", id, "custom_id", custom, "response",
                  "status_code", status, "request_id", id, "body", body, "error");
    char *text = json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII);
    l->answer = text ? mem_strndup(text, SIZE_MAX) : NULL;
    free(text);
    json_decref(j);
}

static void line_failed(struct line *l, const struct api_error *e)
{
    if (fault_passes(e->fault)) {
        jobs_release(l->runner->s->jobs, l->batch, l->item.line, l->runner->id, NULL);
        l->runner->pause_until = runner_now() + RUNNER_PAUSE_S;
        line_done(l);
        return;
    }
    l->failed = true;
    line_answer(l, api_status(e->fault), api_error_json(e));
}

static void line_spoken(struct line *l)
{
    unsigned char head[JABBERTTS_HEAD_MAX];
    struct jabbertts_progress p;
    size_t n = pump_head(l->pump, head);
    if (n > 0)
        spool_rewrite(&l->sound, head, n);
    pump_progress(l->pump, &p);
    l->n_in_token = p.n_token;
    l->n_out_token = p.n_frame;
    jobs_make_id("file-", l->sound_id);
    name_sound(l);
    line_answer(l, 200,
                json_pack("{s:s,s:s,s:s,s:s,s:f,s:I,s:I,s:{s:i,s:i,s:i}}", "id", l->sound_id,
                          "object", "audio.speech", "filename", l->sound_name, "format",
                          l->params.encoder.format, "seconds", pump_seconds(l->pump), "bytes",
                          (json_int_t)l->sound.len, "seed", (json_int_t)l->params.request.seed,
                          "usage", "input_tokens", p.n_token, "output_tokens", p.n_frame,
                          "total_tokens", p.n_token + p.n_frame));
    metrics_add(&l->runner->s->metrics, METRIC_AUDIO_SECONDS, "", pump_seconds(l->pump));
    metrics_add(&l->runner->s->metrics, METRIC_CHARACTERS, "", (double)l->params.n_char);
}

/* Stores a line's result, which frees its place. */
static void line_store(struct line *l)
{
    struct runner *r = l->runner;
    const struct jobs_file sound = {.id = l->sound_id,
                                    .owner = l->owner,
                                    .name = l->sound_name,
                                    .purpose = "batch_sound",
                                    .batch = l->batch,
                                    .keep_s = l->keep_s};
    struct jobs_done d = {.batch = l->batch,
                          .runner = r->id,
                          .line = l->item.line,
                          .answer = l->answer,
                          .failed = l->failed,
                          .n_in_token = l->n_in_token,
                          .n_out_token = l->n_out_token};
    struct err why = {0};
    if (!l->failed) {
        d.sound = &sound;
        d.data = spool_data(&l->sound);
        d.n = l->sound.len;
    }
    int rc = jobs_finish(r->s->jobs, &d, &why);
    /* Kept, and tried again. */
    if (rc == ERR_BUSY || rc == ERR_AWAY || rc == ERR_MEMORY || rc == ERR_IO) {
        r->pause_until = runner_now() + RUNNER_PAUSE_S;
        return;
    }
    if (rc == 0)
        metrics_add(&r->s->metrics, METRIC_BATCH_LINES,
                    l->failed ? "state=\"failed\"" : "state=\"completed\"", 1);
    line_done(l);
    r->look_at = fmin(r->look_at, runner_now() + RUNNER_LOOK_S / 4);
}

/* --- speaking --- */

static int line_submit(struct line *l, struct api_error *e)
{
    struct server *s = l->runner->s;
    const struct param_limits limits = {s->o.max_input_chars, s->o.strict};
    const struct asker who = {.owner = l->sees_all ? NULL : l->owner,
                              .background = true,
                              .sink = {line_write, line_has_room, line_wake, l}};
    if (params_parse(l->item.body, strlen(l->item.body), &limits, &l->params, e) < 0)
        return -1;
    if (l->params.stream_format)
        return api_fail(e, FAULT_UNSUPPORTED, "stream_format",
                        "'stream_format' sse has no meaning in a batch");
    if (ask_check_model(s, l->params.model, e) < 0)
        return -1;
    return ask_submit(s, &l->params, &who, &l->pump, e);
}

static void line_pump(struct line *l)
{
    struct jabbertts_error why = {0};
    struct api_error e;
    int step = pump_run(l->pump, &why);
    if (step == PUMP_END) {
        line_spoken(l);
    } else if (step == PUMP_SHORT) {
        ask_fail_short(l->pump, &e);
        line_failed(l, &e);
    } else if (step < 0) {
        api_fail_engine(&e, NULL, &why);
        if (step == ERR_BUSY || step == ERR_IO)
            e.fault = FAULT_STORAGE;
        line_failed(l, &e);
    }
    if (l->used && l->answer)
        line_store(l);
}

static void line_begin(struct line *l, const struct open_batch *b, struct jobs_item *item)
{
    struct api_error e = {0};
    l->used = true;
    snprintf(l->batch, sizeof l->batch, "%s", b->id);
    snprintf(l->owner, sizeof l->owner, "%s", b->owner);
    l->sees_all = b->sees_all;
    l->keep_s = b->keep_s;
    l->item = *item;
    spool_init(&l->sound, &l->runner->s->spool, HTTP_WHOLE_BYTES);
    if (line_submit(l, &e) == 0) {
        line_pump(l); /* silence does not involve the engine, which therefore never wakes it */
        return;
    }
    line_failed(l, &e);
    if (l->used && l->answer)
        line_store(l);
}

/* Lines for the places that are free. */
static void runner_fill(struct runner *r)
{
    for (int i = 0; i < r->n_line && runner_now() >= r->pause_until; i++) {
        struct jobs_item item;
        struct err why = {0};
        int at = r->line[i].used ? -1 : choose_batch(r);
        if (at < 0)
            continue;
        int rc = jobs_claim(r->s->jobs, r->batch[at].id, r->id, &item, &why);
        if (rc < 0) {
            r->pause_until = runner_now() + RUNNER_PAUSE_S;
        } else if (rc == 0) {
            r->batch[at].dry = true;
            i--; /* another batch for this place */
        } else {
            line_begin(&r->line[i], &r->batch[at], &item);
        }
    }
}

/* --- batches as a whole --- */

static void keep_batch(void *cookie, const struct jobs_batch *b)
{
    struct runner *r = cookie;
    if (r->n_batch == RUNNER_OPEN)
        return;
    struct open_batch *to = &r->batch[r->n_batch++];
    *to = (struct open_batch){.sees_all = b->sees_all,
                              .keep_s = b->keep_s,
                              .expires_at = b->expires_at,
                              .n_left = b->n_total - b->n_done - b->n_failed,
                              .status = b->status};
    snprintf(to->id, sizeof to->id, "%s", b->id);
    snprintf(to->owner, sizeof to->owner, "%s", b->owner);
    snprintf(to->input, sizeof to->input, "%s", b->input);
}

static void runner_note(struct runner *r, const char *what, const char *batch, const struct err *e)
{
    char line[700];
    snprintf(line, sizeof line, "batch %s: %s: %s", batch, what, e->msg);
    server_note(r->s, line);
}

static void tend_batch(struct runner *r, struct open_batch *b)
{
    struct err why = {0};
    int rc = 0;
    if (b->status == JOBS_VALIDATING && time(NULL) <= b->expires_at &&
        (rc = jobs_hold(r->s->jobs, b->id, r->id, &why)) == 1) {
        rc = validate_batch(r->s->jobs, &r->s->o, b->id, b->input, r->id, &why);
        r->look_at = 0; /* it is in progress now, or failed */
    } else if (b->status != JOBS_IN_PROGRESS || b->n_left <= 0 || time(NULL) >= b->expires_at) {
        rc = jobs_settle(r->s->jobs, b->id, &why);
    }
    if (rc < 0 && rc != ERR_BUSY && rc != ERR_AWAY)
        runner_note(r, "it cannot go on", b->id, &why);
    if (rc < 0)
        r->pause_until = runner_now() + RUNNER_PAUSE_S;
}

static void runner_look(struct runner *r)
{
    struct err why = {0};
    r->n_batch = 0;
    r->look_at = INFINITY;
    if (jobs_open_batches(r->s->jobs, keep_batch, r, &why) < 0)
        r->pause_until = runner_now() + RUNNER_PAUSE_S;
    for (int i = 0; i < r->n_batch; i++)
        tend_batch(r, &r->batch[i]);
    r->look_at = fmin(r->look_at, runner_now() + (r->n_batch ? RUNNER_LOOK_S : RUNNER_IDLE_S));
}

/* --- the thread --- */

static void runner_tend(struct runner *r)
{
    double now = runner_now();
    if (now >= r->renew_at) {
        jobs_renew(r->s->jobs, r->id, NULL);
        r->renew_at = now + RUNNER_RENEW_S;
    }
    if (now >= r->sweep_at) {
        jobs_sweep(r->s->jobs, (int64_t)r->s->o.batch_days * 86400, NULL);
        r->sweep_at = now + RUNNER_SWEEP_S;
    }
    if (now >= r->look_at)
        runner_look(r);
    for (int i = 0; i < r->n_line && now >= r->pause_until; i++)
        if (r->line[i].used && r->line[i].answer)
            line_store(&r->line[i]);
    runner_fill(r);
}

/* Sleep until something happened or is due; false: it is to stop. */
static bool runner_sleep(struct runner *r)
{
    double until = fmin(fmin(r->look_at, r->renew_at), r->sweep_at);
    if (r->pause_until > runner_now())
        until = fmin(until, r->pause_until);
    struct timespec t = {(time_t)until, (long)((until - floor(until)) * 1e9)};
    pthread_mutex_lock(&r->lock);
    while (!r->woken && !r->stopping && pthread_cond_timedwait(&r->wake, &r->lock, &t) != ETIMEDOUT)
        ;
    r->woken = false;
    if (r->changed)
        r->look_at = 0;
    r->changed = false;
    bool go_on = !r->stopping;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static bool line_take_wake(struct line *l)
{
    pthread_mutex_lock(&l->runner->lock);
    bool woken = l->used && l->woken && !l->answer;
    l->woken = false;
    pthread_mutex_unlock(&l->runner->lock);
    return woken;
}

static void *runner_main(void *arg)
{
    struct runner *r = arg;
    while (runner_sleep(r)) {
        for (int i = 0; i < r->n_line; i++)
            if (line_take_wake(&r->line[i]))
                line_pump(&r->line[i]);
        if (jobs_lead(r->s->jobs))
            runner_tend(r);
        else
            r->look_at = r->renew_at = r->sweep_at = runner_now() + RUNNER_IDLE_S;
    }
    for (int i = 0; i < r->n_line; i++)
        if (r->line[i].used)
            line_done(&r->line[i]);
    jobs_release(r->s->jobs, "", 0, r->id, NULL);
    return NULL;
}

int runner_start(struct server *s, struct runner **ret, struct err *e)
{
    struct runner *r = mem_try(1, sizeof *r);
    pthread_condattr_t clock;
    if (!r)
        return err_set(e, ERR_MEMORY, "out of memory for batches");
    r->s = s;
    jobs_make_id("runner_", r->id);
    r->n_line = s->o.batch_rows;
    r->line = mem_try((size_t)r->n_line, sizeof *r->line);
    r->batch = mem_try(RUNNER_OPEN, sizeof *r->batch);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &clock);
    pthread_condattr_destroy(&clock);
    int rc = r->line && r->batch ? 0 : err_set(e, ERR_MEMORY, "out of memory for batches");
    for (int i = 0; rc == 0 && i < r->n_line; i++)
        r->line[i].runner = r;
    if (rc == 0 && (rc = pthread_create(&r->thread, NULL, runner_main, r)) != 0)
        rc = err_set(e, ERR_IO, "cannot start the thread of batches: %s", strerror(rc));
    r->has_thread = rc == 0;
    if (rc < 0)
        runner_free(r);
    else
        *ret = r;
    return rc;
}

void runner_wake(struct runner *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->woken = r->changed = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

void runner_stop(struct runner *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread)
        pthread_join(r->thread, NULL);
    r->has_thread = false;
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    runner_stop(r);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    mem_free(r->line);
    mem_free(r->batch);
    mem_free(r);
}
