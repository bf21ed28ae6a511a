#include "server/access.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/daemon.h"
#include "server/origin.h"

#define HEADER_NAMES_BYTES 2000

static const char exposed_headers[] =
    "x-request-id, retry-after, retry-after-ms, x-should-retry, openai-processing-ms, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-jabbertts-seed, x-jabbertts-warning, x-download-path";

/* --- keys --- */

/* The key that was shown: as OpenAI's clients send it, or those of Azure and others. */
static const char *find_token(const struct request *r)
{
    const char *header = http_header(r, "Authorization"), *s;
    if (header && strncasecmp(header, "Bearer ", 7) == 0)
        return header + 7 + strspn(header + 7, " ");
    if ((s = http_header(r, "api-key")) || (s = http_header(r, "x-api-key")) ||
        (s = http_header(r, "xi-api-key")))
        return s;
    return NULL;
}

static int check_key(struct request *r, struct api_error *e)
{
    struct server *s = r->server;
    const char *token = find_token(r);
    if (keys_find(&s->keys, token ? token : "", &r->key) || r->route->access == ACCESS_PUBLIC ||
        (r->route->access == ACCESS_LIST && s->o.public_lists))
        return 0;
    http_reply_header(r, "WWW-Authenticate", "Bearer");
    if (!token)
        return api_fail(e, FAULT_NO_KEY, NULL,
                        "this server wants an API key; send the header Authorization: Bearer KEY");
    return api_fail(e, FAULT_BAD_KEY, NULL, "this API key is not known here");
}

int access_check(struct request *r, struct api_error *e)
{
    if (check_key(r, e) < 0)
        return -1;
    if (r->route->kind == ROUTE_QUICK || !r->key.is_known ||
        keys_take(&r->server->keys, &r->key, &r->quota))
        return 0;
    api_fail(e, FAULT_RATE, NULL, "more than %d requests a minute; try again in %.1f seconds",
             r->quota.limit, r->quota.retry_s);
    e->retry_after_s = r->quota.retry_s;
    return -1;
}

bool access_has_key(const struct request *r)
{
    return r->key.is_known && r->key.name[0];
}

const char *access_owner(const struct request *r)
{
    return r->key.is_admin ? NULL : r->key.name;
}

/* --- web pages --- */

int access_check_host(struct request *r, struct api_error *e)
{
    const struct server *s = r->server;
    const char *listed = s->o.hosts, *host = http_header(r, "Host");
    if (!r->authority[0])
        snprintf(r->authority, sizeof r->authority, "%s", host ? host : "");
    bool any = !listed[0] && !s->check_host;
    /* No browser leaves it out. */
    if (any || !r->authority[0] || origin_is_loopback(r->authority) ||
        origin_host_listed(listed, r->authority) || origin_host_listed(s->o.host, r->authority))
        return 0;
    return api_fail(e, FAULT_HOST, NULL,
                    "this server does not answer for the host '%.64s'; the option hosts "
                    "(--hosts %.64s) names those it is known by",
                    r->authority, r->authority);
}

void access_find_origin(struct request *r)
{
    const char *allowed = r->server->o.cors_origins, *origin = http_header(r, "Origin");
    if (strcmp(allowed, "*") == 0)
        snprintf(r->origin, sizeof r->origin, "*");
    else if (origin && strlen(origin) < sizeof r->origin &&
             origin_allowed(allowed, origin, r->authority))
        snprintf(r->origin, sizeof r->origin, "%s", origin);
}

/* Requests of a web page that is not allowed are refused if they change or cost something. Others
 * are answered without CORS headers, so the page cannot see the answer. */
int access_check_origin(struct request *r, struct api_error *e)
{
    const char *origin = http_header(r, "Origin"), *site = http_header(r, "Sec-Fetch-Site");
    bool reads = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
    bool foreign =
        origin ? !r->origin[0]
               : site && (strcmp(site, "cross-site") == 0 || strcmp(site, "same-site") == 0);
    if (reads || !foreign || strcmp(r->origin, "*") == 0)
        return 0;
    return api_fail(e, FAULT_ORIGIN, NULL,
                    "pages of %.128s may not call this server; the option cors_origins names those "
                    "that may",
                    origin ? origin : "other sites");
}

/* A browser's preflight request.  All headers that it asks for are allowed, since clients send
 * headers that this program does not know. */
int access_preflight(struct request *r, const char *path, struct api_error *e)
{
    char methods[64] = "GET, HEAD, POST, DELETE, OPTIONS";
    const char *wanted = http_header(r, "Access-Control-Request-Method");
    const char *names = http_header(r, "Access-Control-Request-Headers");
    if (strcmp(path, "*") != 0 && !route_methods(path, methods, sizeof methods))
        return api_fail(e, FAULT_NO_URL, NULL, "there is nothing at %s", path);
    if (wanted && !r->origin[0])
        return api_fail(e, FAULT_ORIGIN, NULL,
                        "pages of this origin may not call this server; the option cors_origins "
                        "names those that may");
    r->reply.status = 204;
    http_reply_header(r, "Allow", "%s", methods);
    if (!r->origin[0])
        return 0;
    http_reply_header(r, "Access-Control-Allow-Methods", "%s", methods);
    if (names && strlen(names) < HEADER_NAMES_BYTES)
        http_reply_header(r, "Access-Control-Allow-Headers", "%s", names);
    if (http_header(r, "Access-Control-Request-Private-Network"))
        http_reply_header(r, "Access-Control-Allow-Private-Network", "true");
    http_reply_header(r, "Access-Control-Max-Age", "86400");
    return 0;
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
    http_reply_header(r, "X-Content-Type-Options", "nosniff");
    if (strcmp(r->server->o.cors_origins, "*") != 0)
        http_reply_header(r, "Vary", "Origin");
    if (!r->origin[0])
        return;
    http_reply_header(r, "Access-Control-Allow-Origin", "%s", r->origin);
    http_reply_header(r, "Access-Control-Expose-Headers", "%s", exposed_headers);
}
