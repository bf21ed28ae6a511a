#include "server/validate.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "server/runner.h"

#define VALIDATE_ITEMS  200 /* put into the store together */
#define VALIDATE_ERRORS 100 /* told; after so many the rest is not read */
#define VALIDATE_CUSTOM 512 /* bytes of an id */

struct validation {
    struct jobs *jobs;
    const struct server_options *o;
    const char *batch, *runner;
    int64_t line, n_item;
    struct jobs_item item[VALIDATE_ITEMS];
    int n;
    json_t *errors;
};

static void validate_error(struct validation *v, int64_t line, const char *code, const char *param,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));
static void validate_error(struct validation *v, int64_t line, const char *code, const char *param,
                           const char *format, ...)
{
    char message[300];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_array_append_new(v->errors,
                          json_pack("{s:s,s:s,s:s?,s:o}", "code", code, "message", message, "param",
                                    param, "line", line ? json_integer(line) : json_null()));
}

static int validate_flush(struct validation *v, struct err *e)
{
    int64_t duplicate = 0;
    int rc = jobs_hold(v->jobs, v->batch, v->runner, e);
    if (rc == 0)
        rc = err_set(e, ERR_BUSY, "another replica validates this batch");
    if (rc > 0 && v->n > 0 && json_array_size(v->errors) == 0)
        rc = jobs_add_items(v->jobs, v->batch, v->item, v->n, &duplicate, e);
    if (rc >= 0 && duplicate)
        validate_error(v, duplicate, "duplicate_custom_id", "custom_id",
                       "an earlier line has the same custom_id");
    while (v->n > 0)
        jobs_item_done(&v->item[--v->n]);
    return rc < 0 ? rc : 0;
}

/* What is wrong with a line, as a code; NULL: nothing. */
static const char *validate_members(const json_t *j, const char **param, const char **message)
{
    const char *custom = json_string_value(json_object_get(j, "custom_id"));
    const char *method = json_string_value(json_object_get(j, "method"));
    const char *url = json_string_value(json_object_get(j, "url"));
    const json_t *body = json_object_get(j, "body");
    *param = "custom_id";
    *message = "'custom_id' must be a string of 1 to 512 bytes";
    if (!custom || !*custom || strlen(custom) > VALIDATE_CUSTOM)
        return "invalid_custom_id";
    *param = "method";
    *message = "'method' must be POST";
    if (!method || strcmp(method, "POST") != 0)
        return "invalid_method";
    *param = "url";
    *message = "'url' must be the batch's endpoint, " BATCH_ENDPOINT;
    if (!url || strcmp(url, BATCH_ENDPOINT) != 0)
        return "mismatched_endpoint";
    *param = "body";
    *message = "'body' must be an object, the request";
    return json_is_object(body) ? NULL : "invalid_body";
}

/* Bytes of a line: its request, and what is around that. */
static size_t validate_most(const struct validation *v)
{
    return (size_t)v->o->max_body_kib * 1024 + 4096;
}

static int validate_line(struct validation *v, const char *text, size_t n, struct err *e)
{
    const char *code, *param, *message;
    json_error_t why;
    if (strspn(text, " \t\r") >= n)
        return 0;
    if (n > validate_most(v)) {
        validate_error(v, v->line, "line_too_long", NULL,
                       "the line has %zu bytes, the limit is %zu (max_body_kib)", n,
                       validate_most(v));
        return 0;
    }
    json_t *j = json_loadb(text, n, 0, &why);
    if (!json_is_object(j)) {
        validate_error(v, v->line, "invalid_json_line", NULL, "the line is not a JSON object%s%s",
                       j ? "" : ": ", j ? "" : why.text);
    } else if ((code = validate_members(j, &param, &message))) {
        validate_error(v, v->line, code, param, "%s", message);
    } else if (++v->n_item > v->o->batch_lines) {
        validate_error(v, v->line, "too_many_lines", NULL,
                       "the file has more than %d requests, the limit (batch_lines)",
                       v->o->batch_lines);
    } else {
        char *custom =
            json_dumps(json_object_get(j, "custom_id"), JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        char *body = json_dumps(json_object_get(j, "body"), JSON_COMPACT);
        v->item[v->n++] = (struct jobs_item){v->line, custom ? mem_strndup(custom, SIZE_MAX) : NULL,
                                             body ? mem_strndup(body, SIZE_MAX) : NULL};
        free(custom);
        free(body);
    }
    json_decref(j);
    if (v->n > 0 && (!v->item[v->n - 1].custom || !v->item[v->n - 1].body))
        return err_set(e, ERR_MEMORY, "out of memory for a batch");
    return v->n == VALIDATE_ITEMS ? validate_flush(v, e) : 0;
}

/* The whole lines in text; the rest moves to its beginning.  last: that is a line, too. */
static int validate_lines(struct validation *v, struct buf *text, bool last, struct err *e)
{
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && at < text->len && json_array_size(v->errors) < VALIDATE_ERRORS) {
        const char *end = memchr(text->data + at, '\n', text->len - at);
        if (!end && !last)
            break;
        size_t n = end ? (size_t)(end - text->data) - at : text->len - at;
        v->line++;
        if (v->line == 1 && n >= 3 && memcmp(text->data, "\xEF\xBB\xBF", 3) == 0)
            rc = validate_line(v, text->data + 3, n - 3, e); /* a byte order mark */
        else
            rc = validate_line(v, text->data + at, n, e);
        at += n + 1;
    }
    if (at >= text->len) {
        buf_clear(text);
    } else if (at > 0) {
        memmove(text->data, text->data + at, text->len - at);
        text->len -= at;
    }
    return rc;
}

static int validate_file(struct validation *v, const char *input, struct err *e)
{
    size_t most = validate_most(v);
    struct jobs_reader reader;
    struct buf text;
    int rc = jobs_open_file(v->jobs, NULL, input, &reader, e);
    if (rc == ERR_NOT_FOUND) {
        validate_error(v, 0, "no_input_file", "input_file_id", "%s", e->msg);
        return 0;
    }
    if (rc < 0)
        return rc;
    buf_init(&text, most + JOBS_CHUNK_BYTES);
    while (json_array_size(v->errors) < VALIDATE_ERRORS &&
           (rc = jobs_read(v->jobs, &reader, &text, e)) == 1) {
        if ((rc = validate_lines(v, &text, false, e)) < 0)
            break;
        if (text.len > most) {
            validate_error(v, v->line + 1, "line_too_long", NULL,
                           "the line has more than %zu bytes, the limit (max_body_kib)", most);
            rc = 0;
            buf_clear(&text);
            break;
        }
    }
    if (rc == 0)
        rc = validate_lines(v, &text, true, e);
    buf_done(&text);
    if (rc == 0)
        rc = validate_flush(v, e);
    if (rc == 0 && v->n_item == 0 && json_array_size(v->errors) == 0)
        validate_error(v, 0, "empty_file", "input_file_id", "the file has no requests");
    return rc;
}

int validate_batch(struct jobs *j, const struct server_options *o, const char *batch,
                   const char *input, const char *runner, struct err *e)
{
    struct validation *v = mem_try(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for a batch");
    *v = (struct validation){.jobs = j, .o = o, .batch = batch, .runner = runner};
    v->errors = json_array();
    int rc = jobs_clear_items(j, batch, e);
    if (rc >= 0)
        rc = validate_file(v, input, e);
    if (rc == 0 && json_array_size(v->errors) == 0) {
        rc = jobs_validated(j, batch, v->n_item, NULL, e);
    } else if (rc == 0) {
        json_t *list = json_pack("{s:s,s:O}", "object", "list", "data", v->errors);
        char *text = json_dumps(list, JSON_COMPACT | JSON_ENSURE_ASCII);
        json_decref(list);
        rc = jobs_validated(j, batch, 0, text ? text : "{}", e);
        if (rc >= 0)
            rc = jobs_clear_items(j, batch, e);
        free(text);
    }
    while (v->n > 0)
        jobs_item_done(&v->item[--v->n]);
    json_decref(v->errors);
    mem_free(v);
    return rc < 0 ? rc : 0;
}
