/* batches.c - /v1/batches: made, listed, cancelled, and fetched whole.  runner.c speaks them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/access.h"
#include "server/archive.h"
#include "server/daemon.h"
#include "server/files.h"
#include "server/runner.h"

#define PAGE_BATCHES  100
#define PAGE_PRESET   20
#define METADATA_KEYS 16
#define METADATA_KEY  64
#define METADATA_TEXT 512
#define WINDOW_MAX_S  (30 * 86400)
#define KEEP_MIN_S    3600
#define KEEP_MAX_S    (30 * 86400)
#define CANCEL_SUFFIX "/cancel"

/* --- as JSON --- */

static json_t *when(int64_t t)
{
    return t ? json_integer(t) : json_null();
}

static json_t *text_or_null(const char *s)
{
    return *s ? json_string(s) : json_null();
}

/* What is kept as JSON text. */
static json_t *kept_json(const char *s)
{
    json_t *j = *s ? json_loads(s, 0, NULL) : NULL;
    return j ? j : json_null();
}

static json_t *batch_json(const struct jobs_batch *b)
{
    json_t *j =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "id", b->id, "object", "batch", "endpoint",
                  BATCH_ENDPOINT, "input_file_id", b->input, "completion_window", b->window,
                  "status", jobs_status_name(b->status), "created_at", (json_int_t)b->created_at,
                  "expires_at", (json_int_t)b->expires_at);
    json_object_set_new(j, "errors", kept_json(b->errors));
    json_object_set_new(j, "metadata", kept_json(b->metadata));
    json_object_set_new(j, "output_file_id", text_or_null(b->output));
    json_object_set_new(j, "error_file_id", text_or_null(b->error_file));
    for (enum jobs_status s = JOBS_IN_PROGRESS; s < N_JOBS_STATUS; s++) {
        char name[32];
        snprintf(name, sizeof name, "%s_at", jobs_status_name(s));
        json_object_set_new(j, name, when(b->at[s]));
    }
    json_object_set_new(j, "request_counts",
                        json_pack("{s:I,s:I,s:I}", "total", (json_int_t)b->n_total, "completed",
                                  (json_int_t)b->n_done, "failed", (json_int_t)b->n_failed));
    json_object_set_new(j, "usage",
                        json_pack("{s:I,s:{s:i},s:I,s:{s:i},s:I}", "input_tokens",
                                  (json_int_t)b->n_in_token, "input_tokens_details",
                                  "cached_tokens", 0, "output_tokens", (json_int_t)b->n_out_token,
                                  "output_tokens_details", "reasoning_tokens", 0, "total_tokens",
                                  (json_int_t)(b->n_in_token + b->n_out_token)));
    return j;
}

static void append_batch(void *cookie, const struct jobs_batch *b)
{
    json_array_append_new(cookie, batch_json(b));
}

static void reply_batch(struct request *r, const char *id)
{
    struct err why = {0};
    json_t *list = json_array();
    if (jobs_get_batch(r->server->jobs, access_owner(r), id, append_batch, list, &why) < 0)
        files_reply_failure(r, NULL, &why);
    else
        http_reply_json(r, 200, json_incref(json_array_get(list, 0)));
    json_decref(list);
}

/* --- a new one --- */

/* A member that must be a string. */
static int batch_string(const json_t *j, const char *name, const char **ret, struct api_error *e)
{
    const json_t *v = json_object_get(j, name);
    if (!v)
        return api_fail(e, FAULT_MISSING, name, "the field '%s' is missing", name);
    if (!json_is_string(v))
        return api_fail(e, FAULT_WRONG_TYPE, name, "'%s' must be a string", name);
    *ret = json_string_value(v);
    return 0;
}

static int check_metadata(json_t *metadata, struct api_error *e)
{
    const char *key;
    json_t *v;
    if (!metadata || json_is_null(metadata))
        return 0;
    if (!json_is_object(metadata) || json_object_size(metadata) > METADATA_KEYS)
        return api_fail(e, FAULT_INVALID_VALUE, "metadata",
                        "'metadata' must be an object with at most %d members", METADATA_KEYS);
    json_object_foreach(metadata, key, v)
    {
        if (strlen(key) > METADATA_KEY || !json_is_string(v) ||
            json_string_length(v) > METADATA_TEXT)
            return api_fail(e, FAULT_INVALID_VALUE, "metadata",
                            "'metadata' has a member '%.32s': names are of at most %d bytes, "
                            "values strings of at most %d",
                            key, METADATA_KEY, METADATA_TEXT);
    }
    return 0;
}

static int read_output_keep(const struct server *s, const json_t *after, int64_t *keep_s,
                            struct api_error *e)
{
    const json_t *n = json_object_get(after, "seconds");
    const char *anchor = json_string_value(json_object_get(after, "anchor"));
    *keep_s = (int64_t)s->o.batch_days * 86400;
    if (!after || json_is_null(after))
        return 0;
    if (!anchor || strcmp(anchor, "created_at") != 0 || !json_is_integer(n) ||
        json_integer_value(n) < KEEP_MIN_S || json_integer_value(n) > KEEP_MAX_S)
        return api_fail(e, FAULT_INVALID_VALUE, "output_expires_after",
                        "'output_expires_after' must be {\"anchor\": \"created_at\", \"seconds\": "
                        "%d to %d}",
                        KEEP_MIN_S, KEEP_MAX_S);
    *keep_s = json_integer_value(n);
    return 0;
}

static int read_batch(struct request *r, const json_t *j, struct jobs_batch *b, struct api_error *e)
{
    const char *endpoint;
    if (batch_string(j, "input_file_id", &b->input, e) < 0 ||
        batch_string(j, "endpoint", &endpoint, e) < 0 ||
        batch_string(j, "completion_window", &b->window, e) < 0)
        return -1;
    b->window_s = files_read_time(b->window);
    if (strcmp(endpoint, BATCH_ENDPOINT) != 0)
        return api_fail(e, FAULT_UNSUPPORTED, "endpoint",
                        "'endpoint' is '%.64s', must be " BATCH_ENDPOINT, endpoint);
    if (b->window_s == 0 || b->window_s > WINDOW_MAX_S)
        return api_fail(e, FAULT_INVALID_VALUE, "completion_window",
                        "'completion_window' is '%.32s', must be a time as 24h, 90m or 7d, at most "
                        "30d",
                        b->window);
    if (read_output_keep(r->server, json_object_get(j, "output_expires_after"), &b->keep_s, e) < 0)
        return -1;
    return check_metadata(json_object_get(j, "metadata"), e);
}

static void add_batch(struct request *r, const json_t *j)
{
    struct jobs_batch b = {.owner = r->key.name, .sees_all = !access_owner(r)};
    json_t *metadata = json_object_get(j, "metadata");
    struct api_error e;
    struct err why = {0};
    char id[JOBS_ID_BYTES];
    if (read_batch(r, j, &b, &e) < 0) {
        http_reply_error(r, &e);
        return;
    }
    char *text = json_is_object(metadata) ? json_dumps(metadata, JSON_COMPACT) : NULL;
    b.metadata = text ? text : "";
    if (jobs_add_batch(r->server->jobs, &b, r->server->o.batch_open, id, &why) < 0) {
        files_reply_failure(r, why.code == ERR_LIMIT ? NULL : "input_file_id", &why);
    } else {
        runner_wake(r->server->runner);
        reply_batch(r, id);
    }
    free(text);
}

void batches_add(struct request *r)
{
    struct api_error e;
    json_error_t why;
    if (!files_store(r))
        return;
    const char *body = spool_data(&r->body);
    json_t *j = body ? json_loadb(body, r->body.len, 0, &why) : NULL;
    if (json_is_object(j)) {
        add_batch(r, j);
    } else {
        api_fail(&e, FAULT_BAD_JSON, NULL, "the body is not a JSON object");
        http_reply_error(r, &e);
    }
    json_decref(j);
}

/* --- those there are --- */

void batches_list(struct request *r)
{
    struct jobs_page page;
    struct err why = {0};
    struct jobs *jobs = files_begin_list(r, PAGE_BATCHES, PAGE_PRESET, &page);
    if (!jobs)
        return;
    page.purpose = NULL;
    json_t *list = json_array();
    files_end_list(r, list, jobs_list_batches(jobs, &page, append_batch, list, &why), &why);
}

/* GET /v1/batches/ID, /v1/batches/ID/sounds.zip and sounds.tar */
void batches_get(struct request *r)
{
    struct err why = {0};
    const char *slash = strchr(r->argument, '/');
    char id[JOBS_ID_BYTES];
    if (r->state) {
        archive_run(r);
        return;
    }
    if (r->reply.status)
        return;
    if (!files_store(r)) {
        http_ready(r);
    } else if (!slash) {
        reply_batch(r, r->argument);
        http_ready(r);
    } else {
        snprintf(id, sizeof id, "%.*s", (int)(slash - r->argument), r->argument);
        if (archive_begin(r, id, slash + 1, &why) < 0)
            files_reply_failure(r, NULL, &why);
        http_ready(r);
        if (r->state)
            archive_run(r);
    }
}

void batches_cancel(struct request *r)
{
    size_t n = strlen(r->argument), suffix = strlen(CANCEL_SUFFIX);
    struct err why = {0};
    struct api_error e;
    char id[JOBS_ID_BYTES];
    if (!files_store(r))
        return;
    if (n <= suffix || strcmp(r->argument + n - suffix, CANCEL_SUFFIX) != 0) {
        api_fail(&e, FAULT_NO_URL, NULL, "there is nothing at POST %s", r->path);
        http_reply_error(r, &e);
        return;
    }
    snprintf(id, sizeof id, "%.*s", (int)(n - suffix), r->argument);
    if (jobs_get_batch(r->server->jobs, access_owner(r), id, NULL, NULL, &why) < 0 ||
        jobs_cancel(r->server->jobs, access_owner(r), id, &why) < 0) {
        files_reply_failure(r, NULL, &why);
        return;
    }
    runner_wake(r->server->runner);
    reply_batch(r, id);
}
