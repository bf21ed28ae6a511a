/* access.c - who may ask: API keys, rates, and which web pages (CORS). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/access.h"
#include "server/daemon.h"

/* Fetch does not take "*" for Authorization, so headers are listed: what OpenAI's clients send. */
static const char allowed_headers[] =
    "Authorization, Content-Type, Accept, OpenAI-Organization, OpenAI-Project, OpenAI-Beta, "
    "X-Client-Request-Id, Idempotency-Key, traceparent, tracestate, X-Stainless-Lang, "
    "X-Stainless-Package-Version, X-Stainless-OS, X-Stainless-Arch, ";
static const char allowed_headers_too[] =
    "X-Stainless-Runtime, X-Stainless-Runtime-Version, X-Stainless-Retry-Count, "
    "X-Stainless-Timeout, X-Stainless-Async, X-Stainless-Helper-Method, X-Stainless-Raw-Response, "
    "X-Stainless-Read-Timeout";
static const char exposed_headers[] =
    "x-request-id, retry-after, retry-after-ms, x-should-retry, openai-processing-ms, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-jabbertts-seed, x-jabbertts-warning";

/* --- keys --- */

static int check_key(struct request *r, struct api_error *e)
{
    struct server *s = r->server;
    const char *header = http_header(r, "Authorization");
    bool bearer = header && strncasecmp(header, "Bearer ", 7) == 0;
    r->key = keys_find(&s->keys, bearer ? header + 7 + strspn(header + 7, " ") : "");
    if (r->key || r->route->access == ACCESS_PUBLIC ||
        (r->route->access == ACCESS_LIST && s->o.public_lists))
        return 0;
    http_reply_header(r, "WWW-Authenticate", "Bearer");
    if (!bearer)
        return api_fail(e, FAULT_NO_KEY, NULL,
                        "this server wants an API key; send the header Authorization: Bearer KEY");
    return api_fail(e, FAULT_BAD_KEY, NULL, "this API key is not known here");
}

int access_check(struct request *r, struct api_error *e)
{
    if (check_key(r, e) < 0)
        return -1;
    if (r->route->kind == ROUTE_QUICK || !r->key || keys_take(&r->server->keys, r->key, &r->quota))
        return 0;
    api_fail(e, FAULT_RATE, NULL, "more than %d requests a minute; try again in %.1f seconds",
             r->quota.limit, r->quota.retry_s);
    e->retry_after_s = r->quota.retry_s;
    return -1;
}

bool access_has_key(const struct request *r)
{
    return r->key && r->server->keys.n_key > 0;
}

const char *access_owner(const struct request *r)
{
    if (r->server->keys.n_key == 0 || (r->key && r->key->is_admin))
        return NULL;
    return r->key ? r->key->name : "";
}

/* --- web pages --- */

static bool listed(const char *list, const char *origin)
{
    size_t n = strlen(origin);
    while (*list) {
        list += strspn(list, ", ");
        size_t len = strcspn(list, ", ");
        if (len == n && n > 0 && strncasecmp(list, origin, n) == 0)
            return true;
        list += len;
    }
    return false;
}

void access_origin(struct request *r)
{
    const char *allowed = r->server->o.cors_origins, *origin = http_header(r, "Origin");
    if (strcmp(allowed, "*") == 0)
        snprintf(r->origin, sizeof r->origin, "*");
    else if (origin && strlen(origin) < sizeof r->origin && listed(allowed, origin))
        snprintf(r->origin, sizeof r->origin, "%s", origin);
}

void access_preflight(struct request *r)
{
    char methods[64];
    struct api_error e;
    if (!route_methods(r->path, methods, sizeof methods)) {
        api_fail(&e, FAULT_NO_URL, NULL, "there is nothing at %s", r->path);
        http_reply_error(r, &e);
        return;
    }
    r->reply.status = 204;
    http_reply_header(r, "Allow", "%s", methods);
    if (!r->origin[0])
        return;
    http_reply_header(r, "Access-Control-Allow-Methods", "%s", methods);
    http_reply_header(r, "Access-Control-Allow-Headers", "%s%s", allowed_headers,
                      allowed_headers_too);
    http_reply_header(r, "Access-Control-Max-Age", "86400");
}

void access_headers(struct request *r)
{
    http_reply_header(r, "x-request-id", "%s", r->id);
    http_reply_header(r, "openai-version", "2020-10-01");
    http_reply_header(r, "openai-processing-ms", "%.0f", http_seconds_since(&r->started) * 1000);
    if (r->quota.limit > 0) {
        http_reply_header(r, "x-ratelimit-limit-requests", "%d", r->quota.limit);
        http_reply_header(r, "x-ratelimit-remaining-requests", "%d", r->quota.remaining);
        http_reply_header(r, "x-ratelimit-reset-requests", "%.3gs", r->quota.reset_s);
    }
    if (!r->origin[0])
        return;
    http_reply_header(r, "Access-Control-Allow-Origin", "%s", r->origin);
    http_reply_header(r, "Access-Control-Expose-Headers", "%s", exposed_headers);
    if (strcmp(r->origin, "*") != 0)
        http_reply_header(r, "Vary", "Origin");
}
