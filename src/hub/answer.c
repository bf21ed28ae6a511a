/* answer.c - header lines to struct answer, statuses to messages.  Opens no connection. */
#include "hub/answer.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum kind { KIND_TEXT, KIND_ETAG, KIND_NUMBER, KIND_RANGE, KIND_AFTER, KIND_RATE };

#define TEXT(field) KIND_TEXT, offsetof(struct answer, field), sizeof(((struct answer *)0)->field)
#define ETAG(field) KIND_ETAG, offsetof(struct answer, field), sizeof(((struct answer *)0)->field)

static const struct answer_row {
    const char *name;
    enum kind kind;
    size_t offset, size;
} headers[] = {
    {"etag", ETAG(etag)},
    {"x-linked-etag", ETAG(linked_etag)},
    {"x-linked-size", KIND_NUMBER, offsetof(struct answer, linked_size), 0},
    {"x-repo-commit", TEXT(commit)},
    {"x-error-code", TEXT(error_code)},
    {"location", TEXT(location)},
    {"content-length", KIND_NUMBER, offsetof(struct answer, length), 0},
    {"content-range", KIND_RANGE, 0, 0},
    {"retry-after", KIND_AFTER, 0, 0},
    {"ratelimit", KIND_RATE, 0, 0},
};

static void answer_forget(struct answer *a)
{
    a->status = 0;
    a->etag[0] = a->location[0] = a->error_code[0] = 0;
    a->length = a->range_first = a->range_total = -1;
    a->retry_after_s = -1;
}

void answer_clear(struct answer *a)
{
    *a = (struct answer){.linked_size = -1};
    answer_forget(a);
}

/* Decimal digits alone, as *end says where they stop; -1: none, or too many. */
static int64_t answer_number(const char *s, const char **end)
{
    int64_t v = 0;
    int n = 0;
    for (; s[n] >= '0' && s[n] <= '9' && n < 18; n++)
        v = v * 10 + (s[n] - '0');
    *end = s + n;
    return n == 0 || (s[n] >= '0' && s[n] <= '9') ? -1 : v;
}

/* "bytes FIRST-LAST/TOTAL"; either side may be an asterisk and stays -1. */
static void answer_range(struct answer *a, const char *s)
{
    if (strncasecmp(s, "bytes ", 6) != 0)
        return;
    s += 6;
    int64_t first = -1, last = -1;
    if (*s == '*') {
        s++;
    } else {
        first = answer_number(s, &s);
        if (first < 0 || *s != '-')
            return;
        last = answer_number(s + 1, &s);
        if (last < first)
            return;
    }
    if (*s != '/')
        return;
    int64_t total = answer_number(s + 1, &s);
    if (*s && total >= 0)
        return;
    a->range_first = first;
    a->range_total = total;
}

static void answer_text(const struct answer_row *row, char *to, char *value)
{
    size_t n = strlen(value);
    if (row->kind == KIND_ETAG) {
        if (strncmp(value, "W/", 2) == 0)
            value += 2, n -= 2;
        if (n >= 2 && value[0] == '"' && value[n - 1] == '"')
            value[n - 1] = 0, value++, n -= 2;
    }
    if (n < row->size)
        memcpy(to, value, n + 1);
}

static void answer_set(struct answer *a, const struct answer_row *row, char *value)
{
    const char *end, *t;
    int64_t v;
    switch (row->kind) {
    case KIND_TEXT:
    case KIND_ETAG:
        answer_text(row, (char *)a + row->offset, value);
        break;
    case KIND_NUMBER:
        v = answer_number(value, &end);
        *(int64_t *)(void *)((char *)a + row->offset) = *end ? -1 : v;
        break;
    case KIND_RANGE:
        answer_range(a, value);
        break;
    case KIND_AFTER: /* seconds, or a date */
        v = answer_number(value, &end);
        if (*end || v < 0) {
            time_t when = curl_getdate(value, NULL), now = time(NULL);
            v = when == -1 ? -1 : when < now ? 0 : when - now;
        }
        a->retry_after_s = (double)v;
        break;
    case KIND_RATE: /* "resolvers";r=0;t=57: nothing left, seconds until there is */
        if (a->retry_after_s < 0 && (t = strstr(value, ";t=")))
            a->retry_after_s = (double)answer_number(t + 3, &end);
        break;
    }
}

/* "HTTP/1.1 206 Partial Content" */
static int answer_status(const char *s)
{
    const char *end, *space = strchr(s, ' ');
    int64_t v = space ? answer_number(space + 1, &end) : -1;
    return v >= 100 && v <= 599 ? (int)v : 0;
}

void answer_header(struct answer *a, const char *line, size_t n)
{
    char text[4200];
    while (n > 0 && strchr(" \t\r\n", line[n - 1]))
        n--;
    if (n >= sizeof text || memchr(line, 0, n))
        return;
    memcpy(text, line, n);
    text[n] = 0;
    if (strncmp(text, "HTTP/", 5) == 0) {
        answer_forget(a);
        a->status = answer_status(text);
        return;
    }
    char *value = strchr(text, ':');
    if (!value)
        return;
    *value++ = 0;
    value += strspn(value, " \t");
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (strcasecmp(text, headers[i].name) == 0)
            answer_set(a, &headers[i], value);
}

/* --- messages --- */

enum token { TOKEN_ANY, TOKEN_GIVEN, TOKEN_NONE };

/* The first row that fits is taken.  code NULL: any; status 0: any. */
static const struct failure {
    int status;
    const char *code;
    enum token token;
    int err;
    const char *text;
} failures[] = {
    {401, "GatedRepo", TOKEN_NONE, ERR_ARGUMENT,
     "{repo} is gated: accept its licence at {page}, then set HF_TOKEN to a token of your account "
     "({endpoint}/settings/tokens) and pull again"},
    {0, "GatedRepo", TOKEN_ANY, ERR_ARGUMENT,
     "{repo} is gated, and the account of your token has no access: accept its licence at {page} "
     "with that account, then pull again"},
    {404, "RevisionNotFound", TOKEN_ANY, ERR_NOT_FOUND,
     "{repo} has no revision \"{revision}\": see {page}/commits"},
    {404, "EntryNotFound", TOKEN_ANY, ERR_NOT_FOUND,
     "{repo} has no file {file} at revision {revision}: see {page}/tree/{revision}"},
    {401, NULL, TOKEN_NONE, ERR_NOT_FOUND,
     "{host} has no public repository {repo}: check the name; a private one needs HF_TOKEN"},
    {401, NULL, TOKEN_GIVEN, ERR_ARGUMENT,
     "{host} refuses the token (401): make a new one at {endpoint}/settings/tokens and set "
     "HF_TOKEN, or check the name {repo}"},
    {403, NULL, TOKEN_ANY, ERR_ARGUMENT,
     "{host} forbids {repo} {file} (403): open {page} with your account to see why, and check that "
     "HF_TOKEN may read it"},
    {404, NULL, TOKEN_ANY, ERR_NOT_FOUND,
     "{host} has no {repo} {file} (404): check the name, and HF_ENDPOINT if it is set"},
    {416, NULL, TOKEN_ANY, ERR_FORMAT,
     "{host} has fewer bytes of {file} than the hub says (416): the repository may be changing; "
     "pull again later"},
    {429, NULL, TOKEN_ANY, ERR_BUSY,
     "{host} takes no more requests for now (429): pull again in {after} s, it goes on where it "
     "stopped; with HF_TOKEN set more are allowed"},
    {5, NULL, TOKEN_ANY, ERR_BUSY,
     "{host} has a fault of its own ({status}): pull again later, it goes on where it stopped"},
    {0, NULL, TOKEN_ANY, ERR_FORMAT,
     "{host} answers {repo} {file} with status {status}: check HF_ENDPOINT and the proxy"},
};

static bool failure_fits(const struct failure *f, const struct answer *a, bool has_token)
{
    if (f->status && f->status != a->status && f->status != a->status / 100)
        return false;
    if (f->code && strcmp(f->code, a->error_code) != 0)
        return false;
    return f->token == TOKEN_ANY || (f->token == TOKEN_GIVEN) == has_token;
}

int answer_fail(const struct answer *a, const struct subject *s, struct err *e)
{
    char after[32], status[16], text[sizeof e->msg], *to = text;
    snprintf(after, sizeof after, "%.0f", a->retry_after_s < 0 ? 60 : a->retry_after_s);
    snprintf(status, sizeof status, "%d", a->status);
    const char *const words[][2] = {{"{repo}", s->repository},   {"{revision}", s->revision},
                                    {"{file}", s->file},         {"{page}", s->page},
                                    {"{endpoint}", s->endpoint}, {"{host}", s->host},
                                    {"{after}", after},          {"{status}", status}};
    const struct failure *f = failures;
    while (!failure_fits(f, a, s->has_token)) /* the last fits all */
        f++;
    for (const char *p = f->text; *p && to < text + sizeof text - 1;) {
        size_t i = 0, n = sizeof words / sizeof *words, room = (size_t)(text + sizeof text - to);
        while (i < n && strncmp(p, words[i][0], strlen(words[i][0])) != 0)
            i++;
        if (i == n) {
            *to++ = *p++;
            continue;
        }
        p += strlen(words[i][0]);
        int len = snprintf(to, room, "%.200s", words[i][1] ? words[i][1] : "");
        to += (size_t)len < room ? (size_t)len : room - 1;
    }
    *to = 0;
    return err_set(e, f->err, "%s", text);
}
