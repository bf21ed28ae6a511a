#include "hub/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"

#define STEP_MS      100
#define MAX_REDIRECT 5
#define ABSENT_TRIES 3 /* of a host that was never there */

int web_open(struct web *w, struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(w->multi = curl_multi_init()))
        return err_set(e, ERR_MEMORY, "out of memory for the network");
    return 0;
}

void web_close(struct web *w)
{
    if (w->multi) {
        curl_multi_cleanup(w->multi);
        curl_global_cleanup();
    }
    w->multi = NULL;
}

/* --- urls --- */

/* scheme://host:port in lower case, the port always given; "": no url of ours */
static void web_origin(const char *url, char *to, size_t n)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    char *text[3] = {NULL, NULL, NULL};
    CURLU *u = curl_url();
    *to = 0;
    int ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK;
    for (int i = 0; i < 3 && ok; i++)
        ok = curl_url_get(u, parts[i], &text[i], CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (ok)
        snprintf(to, n, "%s://%s:%s", text[0], text[1], text[2]);
    for (int i = 0; i < 3; i++)
        curl_free(text[i]);
    curl_url_cleanup(u);
}

bool web_is_hub(const struct web *w, const char *url)
{
    char a[512], b[512];
    web_origin(w->endpoint, a, sizeof a);
    web_origin(url, b, sizeof b);
    return *a && strcasecmp(a, b) == 0;
}

void web_host(const char *url, char *to, size_t n)
{
    const char *s = strstr(url, "://");
    s = s ? s + 3 : url;
    snprintf(to, n, "%.*s", (int)strcspn(s, "/?#"), s);
}

/* location, seen from url, as a whole url [WEB_URL_BYTES] */
static int web_join(const char *url, const char *location, char *to)
{
    char *text = NULL;
    CURLU *u = curl_url();
    int ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
             curl_url_set(u, CURLUPART_URL, location, 0) == CURLUE_OK &&
             curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK && strlen(text) < WEB_URL_BYTES;
    if (ok)
        snprintf(to, WEB_URL_BYTES, "%s", text);
    curl_free(text);
    curl_url_cleanup(u);
    return ok ? 0 : -1;
}

/* --- one call --- */

static size_t web_on_header(char *line, size_t size, size_t n, void *cookie)
{
    struct web_call *c = cookie;
    answer_header(&c->answer, line, size * n);
    return size * n;
}

static size_t web_on_body(char *data, size_t size, size_t n, void *cookie)
{
    struct web_call *c = cookie;
    return c->body ? c->body(c->cookie, data, size * n) : size * n;
}

static int add_header(struct web_call *c, const char *line)
{
    struct curl_slist *list = curl_slist_append(c->headers, line);
    if (!list)
        return -1;
    c->headers = list;
    return 0;
}

static int web_headers(const struct web *w, struct web_call *c, const char *url)
{
    char line[1200];
    if (add_header(c, "Accept-Encoding: identity") <
        0) /* sizes and ranges are of the file itself */
        return -1;
    if (!w->token || !web_is_hub(w, url))
        return 0;
    int n = snprintf(line, sizeof line, "Authorization: Bearer %s", w->token);
    return n < (int)sizeof line ? add_header(c, line) : -1;
}

/* Without a scheme that is not HTTP, and from https to https only. */
static void web_options(const struct web *w, struct web_call *c, const char *url)
{
    CURL *h = c->easy;
    bool secure = strncasecmp(w->endpoint, "https:", 6) == 0 && strncasecmp(url, "https:", 6) == 0;
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, web_is_hub(w, url) ? 0L : 1L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, (long)MAX_REDIRECT);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "jabbertts/" JABBERTTS_VERSION);
    /* Ranges at once are meant to have a connection each. */
    curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * w->stall_s));
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, w->stall_s < 1 ? 1L : (long)w->stall_s);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, web_on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, web_on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_PRIVATE, c);
    if (w->ca_file)
        curl_easy_setopt(h, CURLOPT_CAINFO, w->ca_file);
}

int web_begin(struct web *w, struct web_call *c, enum web_method method, const char *url,
              const char *range, struct err *e)
{
    answer_clear(&c->answer);
    c->why[0] = 0;
    c->headers = NULL;
    c->easy = curl_easy_init();
    if (!c->easy || web_headers(w, c, url) < 0) {
        web_end(w, c);
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    }
    web_options(w, c, url);
    if (method == WEB_HEAD)
        curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
    if (range)
        curl_easy_setopt(c->easy, CURLOPT_RANGE, range);
    if (curl_multi_add_handle(w->multi, c->easy) != CURLM_OK) {
        web_end(w, c);
        return err_set(e, ERR_MEMORY, "out of memory for a request");
    }
    return 0;
}

void web_end(struct web *w, struct web_call *c)
{
    if (c->easy) {
        curl_multi_remove_handle(w->multi, c->easy);
        curl_easy_cleanup(c->easy);
    }
    curl_slist_free_all(c->headers);
    c->easy = NULL;
    c->headers = NULL;
}

static int web_tick(const struct web *w, const char *note, struct err *e)
{
    return w->tick && w->tick(w->cookie, note) ? err_set(e, ERR_CANCELLED, "stopped") : 0;
}

int web_step(struct web *w, struct web_call **done, struct err *e)
{
    int n_left;
    CURLMsg *m;
    char *private = NULL;
    *done = NULL;
    curl_multi_perform(w->multi, &n_left);
    while (!*done && (m = curl_multi_info_read(w->multi, &n_left)))
        if (m->msg == CURLMSG_DONE) {
            CURLcode result = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
            *done = (struct web_call *)(void *)private;
            (*done)->result = result;
        }
    if (!*done)
        curl_multi_poll(w->multi, NULL, 0, STEP_MS, NULL);
    return web_tick(w, "", e);
}

int web_pause(struct web *w, double seconds, const char *note, struct err *e)
{
    struct timespec moment = {.tv_nsec = STEP_MS * 1000000L};
    int rc = 0;
    for (double t = 0; t < seconds && rc == 0; t += STEP_MS / 1000.0) {
        rc = web_tick(w, note, e);
        if (rc == 0)
            nanosleep(&moment, NULL);
    }
    return rc;
}

/* --- what became of it --- */

/* The first row that fits; -1 is any other. */
static const struct web_trouble {
    int result;
    enum web_verdict verdict;
    const char *text; /* host, libcurl's words */
} troubles[] = {
    {CURLE_COULDNT_RESOLVE_PROXY, WEB_FAILED,
     "cannot find the proxy for %s (%s): check https_proxy and http_proxy"},
    {CURLE_COULDNT_RESOLVE_HOST, WEB_AGAIN,
     "cannot find %s (%s): is there a network? behind a proxy set https_proxy"},
    {CURLE_COULDNT_CONNECT, WEB_AGAIN,
     "cannot connect to %s (%s): is there a network? behind a proxy set https_proxy"},
    {CURLE_PEER_FAILED_VERIFICATION, WEB_FAILED,
     "the certificate of %s is not trusted (%s): behind a proxy that reads along, give its "
     "certificate with `ca_file` or SSL_CERT_FILE; check the clock, too"},
    {CURLE_SSL_CACERT_BADFILE, WEB_FAILED,
     "the certificates to trust for %s cannot be read (%s): check `ca_file` or SSL_CERT_FILE"},
    {CURLE_UNSUPPORTED_PROTOCOL, WEB_FAILED,
     "%s cannot be asked (%s): only http and https can, and no redirect from https to http is "
     "followed"},
    {CURLE_TOO_MANY_REDIRECTS, WEB_FAILED, "%s sends from one place to the next (%s)"},
    {CURLE_URL_MALFORMAT, WEB_FAILED, "%s is no address (%s): check HF_ENDPOINT and the source"},
    {CURLE_WRITE_ERROR, WEB_FAILED, "%s: the answer could not be taken (%s)"},
    {CURLE_OPERATION_TIMEDOUT, WEB_AGAIN,
     "%s sends nothing (%s): pull again later, it goes on where it stopped"},
    {-1, WEB_AGAIN,
     "the connection to %s broke (%s): pull again later, it goes on where it stopped"},
};

enum web_verdict web_judge(const struct web_call *c, const struct subject *s, struct err *e)
{
    int status = c->answer.status;
    if (c->result != CURLE_OK && status < 400) {
        const struct web_trouble *t = troubles;
        while (t->result != -1 && t->result != (int)c->result)
            t++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        err_set(e, ERR_IO, t->text, s->host, *c->why ? c->why : curl_easy_strerror(c->result));
#pragma GCC diagnostic pop
        return t->verdict;
    }
    if (status >= 200 && status < 400)
        return WEB_GOOD;
    answer_fail(&c->answer, s, e);
    bool passing = status == 408 || status == 429 || status >= 500;
    return passing && web_delay(c, 0) <= WEB_WAIT_MAX_S ? WEB_AGAIN : WEB_FAILED;
}

double web_delay(const struct web_call *c, int n_failed)
{
    double back_off = 0.25 * (1 << (n_failed < 7 ? n_failed : 7));
    return c->answer.retry_after_s > back_off ? c->answer.retry_after_s : back_off;
}

static size_t web_keep(void *cookie, const char *data, size_t n)
{
    return buf_add(cookie, data, n) < 0 ? 0 : n;
}

/* One call to its end. */
static int web_once(struct web *w, struct web_call *c, enum web_method method, const char *url,
                    struct err *e)
{
    struct web_call *done = NULL;
    int rc = web_begin(w, c, method, url, NULL, e);
    while (rc == 0 && done != c)
        rc = web_step(w, &done, e);
    web_end(w, c);
    return rc;
}

static int web_retried(struct web *w, struct web_call *c, enum web_method method, const char *url,
                       const struct subject *s, struct err *e)
{
    char note[300], host[256];
    struct subject who = *s;
    web_host(url, host, sizeof host);
    who.host = host;
    for (int n_failed = 0;; n_failed++) {
        if (c->cookie)
            buf_clear(c->cookie);
        int rc = web_once(w, c, method, url, e);
        if (rc < 0)
            return rc;
        enum web_verdict v = web_judge(c, &who, e);
        if (v == WEB_GOOD)
            return 0;
        bool absent = c->result == CURLE_COULDNT_RESOLVE_HOST || c->result == CURLE_COULDNT_CONNECT;
        if (v == WEB_FAILED || n_failed + 1 == (absent ? ABSENT_TRIES : WEB_TRIES))
            return e->code;
        snprintf(note, sizeof note, "%s: trying again", host);
        if ((rc = web_pause(w, web_delay(c, n_failed), note, e)) < 0)
            return rc;
    }
}

int web_fetch(struct web *w, char *url, const struct subject *s, struct buf *body,
              struct answer *answer, struct err *e)
{
    struct err mine = {0};
    struct web_call c = {.body = body ? web_keep : NULL, .cookie = body};
    char next[WEB_URL_BYTES];
    int rc = 0;
    for (int i = 0; i <= MAX_REDIRECT && rc == 0; i++) {
        struct answer before = c.answer;
        rc = web_retried(w, &c, body ? WEB_GET : WEB_HEAD, url, s, &mine);
        if (rc < 0)
            break;
        if (i > 0 && c.answer.linked_size < 0) { /* said on the way */
            c.answer.linked_size = before.linked_size;
            memcpy(c.answer.linked_etag, before.linked_etag, sizeof before.linked_etag);
        }
        if (i > 0 && !*c.answer.commit)
            memcpy(c.answer.commit, before.commit, sizeof before.commit);
        *answer = c.answer;
        if (c.answer.status < 300)
            return 0;
        if (!*c.answer.location || web_join(url, c.answer.location, next) < 0) {
            char host[256];
            web_host(url, host, sizeof host);
            return err_set(e, ERR_FORMAT, "%s redirects to no address", host);
        }
        snprintf(answer->location, sizeof answer->location, "%s", next);
        if (!web_is_hub(w, next))
            return 0;
        snprintf(url, WEB_URL_BYTES, "%s", next);
    }
    return rc < 0 ? err_set(e, rc, "%s", mine.msg)
                  : err_set(e, ERR_FORMAT, "%s redirects in a circle", w->endpoint);
}
