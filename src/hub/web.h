/* web.h - requests to the hub and to storage hosts, over libcurl's multi interface.
 *
 * The token goes to the endpoint and to nobody else: a redirect that leaves the endpoint's scheme,
 * host and port is never followed with it, and what is asked of another host is asked without it.
 *
 *     web_open(&w, options, e);
 *     web_fetch(&w, url, &subject, &body, &answer, e);     small answers, retried
 *     web_close(&w);
 *
 * For large ones: web_begin, then web_step until a call is done, then web_end.
 *
 * Threads: one; no threads of its own. */
#ifndef HUB_WEB_H
#define HUB_WEB_H
#include <curl/curl.h>
#include "base/buf.h"
#include "hub/answer.h"

#define WEB_URL_BYTES  4096
#define WEB_TRIES      5   /* of one request that makes no progress */
#define WEB_WAIT_MAX_S 120 /* a host that wants more time than this is not waited for */

struct web {
    CURLM *multi;
    const char *endpoint, *token, *ca_file; /* borrowed; token and ca_file may be NULL */
    double stall_s;
    int n_connection; /* for one large file */
    /* Called at least five times a second while something runs; not 0: stop, ERR_CANCELLED.  note:
     * why nothing moves, or "". */
    int (*tick)(void *cookie, const char *note);
    void *cookie;
};

int web_open(struct web *w, struct err *e);
void web_close(struct web *w);

enum web_method { WEB_GET, WEB_HEAD };

struct web_call {
    CURL *easy; /* NULL: not begun */
    struct curl_slist *headers;
    struct answer answer;
    CURLcode result; /* when it is done */
    char why[CURL_ERROR_SIZE];
    /* Takes the body as it comes; anything but n ends the call with CURLE_WRITE_ERROR. */
    size_t (*body)(void *cookie, const char *data, size_t n);
    void *cookie;
};

/* True when the url's scheme, host and port are the endpoint's. */
bool web_is_hub(const struct web *w, const char *url);
/* The host and port of a url, for messages. */
void web_host(const char *url, char *to, size_t n);

/* range: "first-last" or NULL.  c->body and c->cookie are set before. */
int web_begin(struct web *w, struct web_call *c, enum web_method method, const char *url,
              const char *range, struct err *e);
/* Lets transfers go on for a moment; *done: one that has ended, or NULL. */
int web_step(struct web *w, struct web_call **done, struct err *e);
void web_end(struct web *w, struct web_call *c);
/* Waits, and says why. */
int web_pause(struct web *w, double seconds, const char *note, struct err *e);

enum web_verdict {
    WEB_GOOD,
    WEB_AGAIN, /* after web_delay: the line, or the host, may recover */
    WEB_FAILED
};
/* What became of a call that is done; for all but WEB_GOOD e says why. */
enum web_verdict web_judge(const struct web_call *c, const struct subject *s, struct err *e);
double web_delay(const struct web_call *c, int n_failed); /* seconds before the next try */

/* A whole small answer, retried; redirects are followed within the endpoint.  A redirect that
 * leaves it is an answer of its own: see answer->location.  url gets the one that answered at last
 * [WEB_URL_BYTES].  body NULL: only the head is asked for. */
int web_fetch(struct web *w, char *url, const struct subject *s, struct buf *body,
              struct answer *answer, struct err *e);

#endif
