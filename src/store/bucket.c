/* bucket.c - objects by libcurl.  Source: Amazon's API reference of S3, PutObject, GetObject,
 * DeleteObject and error responses. */
#include "store/bucket.h"

#include <curl/curl.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"

#define AT_ONCE      3
#define TURN_S       1 /* waited for a turn */
#define TRIES        3
#define TIME_S       15 /* of a call with its tries, and a second more for each MB */
#define CONNECT_S    3
#define SLOW_S       5 /* without 1000 bytes a second */
#define REST_S       2 /* after a failure */
#define PAUSE_MS     200
#define ANSWER_BYTES 4096 /* of an error that are read */
#define SHA256_BYTES 32

struct bucket {
    char *base, *user, *signature, *token; /* base: the URL that names are added to */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    CURL *handle[AT_ONCE]; /* (lock) with their connections; NULL: not made yet */
    bool busy[AT_ONCE];    /* (lock) */
    double rest_until;     /* (lock) */
};

/* One call. */
struct bucket_call {
    const char *method, *name;
    const void *data; /* to put */
    size_t n;
    int64_t at; /* to get */
    struct buf *to;
    size_t kept; /* bytes in `to` before it */
    CURL *handle;
    long status;
    char answer[ANSWER_BYTES]; /* the body of an error */
    size_t n_answer;
    char why[CURL_ERROR_SIZE];
};

static double bucket_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- turns --- */

static int bucket_take(struct bucket *b, int *ret, struct err *e)
{
    struct timespec until;
    int at = -1, rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TURN_S;
    pthread_mutex_lock(&b->lock);
    while (rc == 0 && at < 0) {
        for (int i = 0; i < AT_ONCE && at < 0; i++)
            at = b->busy[i] ? -1 : i;
        if (bucket_clock() < b->rest_until)
            rc = err_set(e, ERR_AWAY, "the bucket is away: it did not answer a moment ago");
        else if (at < 0 && pthread_cond_timedwait(&b->turn, &b->lock, &until) == ETIMEDOUT)
            rc = err_set(e, ERR_AWAY, "the bucket is too slow for what is asked of it");
    }
    if (rc == 0 && !b->handle[at] && !(b->handle[at] = curl_easy_init()))
        rc = err_set(e, ERR_MEMORY, "out of memory for the bucket");
    if (rc == 0)
        b->busy[ *ret = at] = true;
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static void bucket_give(struct bucket *b, int at, bool away)
{
    pthread_mutex_lock(&b->lock);
    b->busy[at] = false;
    b->rest_until = away ? bucket_clock() + REST_S : 0;
    pthread_cond_broadcast(&b->turn);
    pthread_mutex_unlock(&b->lock);
}

/* --- one try --- */

/* Signature: curl_write_callback. */
static size_t bucket_on_body(char *data, size_t size, size_t n, void *cookie)
{
    struct bucket_call *c = cookie;
    long status = 0;
    curl_easy_getinfo(c->handle, CURLINFO_RESPONSE_CODE, &status);
    n *= size;
    if (status >= 300 || !c->to) {
        size_t room = sizeof c->answer - 1 - c->n_answer;
        memcpy(c->answer + c->n_answer, data, n < room ? n : room);
        c->n_answer += n < room ? n : room;
        return n;
    }
    bool more = c->to->len - c->kept + n > c->n; /* than was asked for */
    return more || buf_add(c->to, data, n) < 0 ? 0 : n;
}

static int bucket_hash(const struct bucket_call *c, char header[128])
{
    unsigned char hash[SHA256_BYTES];
    size_t n = (size_t)snprintf(header, 128, "x-amz-content-sha256: ");
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, c->data ? c->data : "", c->data ? c->n : 0, hash) < 0)
        return -1;
    for (size_t i = 0; i < sizeof hash; i++, n += 2)
        snprintf(header + n, 128 - n, "%02x", hash[i]);
    return 0;
}

/* No `Expect:` to suppress that header: libcurl would sign it, and not send it. */
static struct curl_slist *bucket_headers(const struct bucket *b, const struct bucket_call *c)
{
    char line[128];
    struct curl_slist *list = bucket_hash(c, line) < 0 ? NULL : curl_slist_append(NULL, line);
    if (list && c->data)
        curl_slist_append(list, "Content-Type: application/octet-stream");
    if (list && b->token)
        curl_slist_append(list, b->token);
    return list;
}

static void bucket_set(const struct bucket *b, struct bucket_call *c, double time_s)
{
    CURL *h = c->handle;
    char range[64];
    curl_easy_reset(h); /* its connections stay */
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_USERPWD, b->user);
    curl_easy_setopt(h, CURLOPT_AWS_SIGV4, b->signature);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, c->method);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1000L);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)(time_s * 1000));
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, bucket_on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    if (c->data) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->n);
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, c->data); /* which are not copied */
    } else if (c->to) {
        snprintf(range, sizeof range, "%lld-%lld", (long long)c->at,
                 (long long)c->at + (long long)c->n - 1);
        curl_easy_setopt(h, CURLOPT_RANGE, range);
    }
}

/* The HTTP status, or 0: there was no answer, and c->why says why. */
static void bucket_try(const struct bucket *b, struct bucket_call *c, double time_s)
{
    char url[2048];
    struct curl_slist *headers = bucket_headers(b, c);
    c->status = 0;
    c->n_answer = 0;
    c->why[0] = 0;
    if (!headers) {
        snprintf(c->why, sizeof c->why, "out of memory");
        return;
    }
    if (c->to)
        c->to->len = c->kept;
    bucket_set(b, c, time_s);
    snprintf(url, sizeof url, "%s%s", b->base, c->name);
    curl_easy_setopt(c->handle, CURLOPT_URL, url);
    curl_easy_setopt(c->handle, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(c->handle);
    if (code == CURLE_OK)
        curl_easy_getinfo(c->handle, CURLINFO_RESPONSE_CODE, &c->status);
    else if (!c->why[0])
        snprintf(c->why, sizeof c->why, "%s", curl_easy_strerror(code));
    c->answer[c->n_answer] = 0;
    curl_slist_free_all(headers);
}

/* --- what an answer means --- */

/* Text between <name> and </name> of the error. */
static void bucket_element(const struct bucket_call *c, const char *name, char *to, size_t n)
{
    char tag[32];
    snprintf(tag, sizeof tag, "<%s>", name);
    const char *s = strstr(c->answer, tag);
    s = s ? s + strlen(tag) : "";
    snprintf(to, n, "%.*s", (int)strcspn(s, "<"), s);
}

static bool bucket_passes(const struct bucket_call *c)
{
    return c->status == 0 || c->status == 408 || c->status == 429 || c->status >= 500 ||
           strstr(c->answer, "Quota");
}

static int bucket_judge(const struct bucket_call *c, struct err *e)
{
    char code[64], message[160];
    if (c->status >= 200 && c->status < 300)
        return 0;
    if (c->status == 0)
        return err_set(e, ERR_AWAY, "the bucket is away: %.200s", c->why);
    bucket_element(c, "Code", code, sizeof code);
    bucket_element(c, "Message", message, sizeof message);
    if (bucket_passes(c))
        return err_set(e, ERR_AWAY, "the bucket cannot take or give it now: %ld %s %s", c->status,
                       code, message);
    if (c->status == 404 && strcmp(code, "NoSuchBucket") != 0)
        return err_set(e, ERR_NOT_FOUND, "the bucket has no %.64s", c->name);
    return err_set(e, ERR_IO, "the bucket refuses to %s: %ld %s %s",
                   c->data ? "store"
                   : c->to ? "read"
                           : "remove",
                   c->status, code, message);
}

static int bucket_call(struct bucket *b, struct bucket_call *c, struct err *e)
{
    double end = bucket_clock() + TIME_S + (double)c->n / 1e6;
    int at = 0, rc = bucket_take(b, &at, e);
    if (rc < 0)
        return rc;
    c->handle = b->handle[at];
    c->kept = c->to ? c->to->len : 0;
    for (int i = 0; i < TRIES; i++) {
        long pause_ms = (long)PAUSE_MS << 2 * i;
        bucket_try(b, c, end - bucket_clock());
        if (!bucket_passes(c) || bucket_clock() + (double)pause_ms * 1e-3 + 1 > end)
            break;
        if (i + 1 < TRIES)
            nanosleep(&(struct timespec){pause_ms / 1000, pause_ms % 1000 * 1000000}, NULL);
    }
    rc = bucket_judge(c, e);
    if (rc == 0 && c->to && c->to->len - c->kept != c->n)
        rc = err_set(e, ERR_AWAY, "the bucket gave %zu of %zu bytes", c->to->len - c->kept, c->n);
    bucket_give(b, at, rc == ERR_AWAY);
    if (rc < 0 && c->to)
        c->to->len = c->kept;
    return rc;
}

int bucket_put(struct bucket *b, const char *name, const void *data, size_t n, struct err *e)
{
    struct bucket_call c = {.method = "PUT", .name = name, .data = n ? data : "", .n = n};
    return bucket_call(b, &c, e);
}

int bucket_get(struct bucket *b, const char *name, int64_t at, size_t n, struct buf *to,
               struct err *e)
{
    struct bucket_call c = {.method = "GET", .name = name, .at = at, .n = n, .to = to};
    return bucket_call(b, &c, e);
}

int bucket_remove(struct bucket *b, const char *name, struct err *e)
{
    struct bucket_call c = {.method = "DELETE", .name = name};
    int rc = bucket_call(b, &c, e);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- open and close --- */

/* Where objects are: ENDPOINT/NAME/PREFIX/ */
static int bucket_read_address(struct bucket *b, const struct bucket_options *o, struct err *e)
{
    char url[1024], amazon[128];
    const char *name = strncmp(o->where, "s3://", 5) == 0 ? o->where + 5 : "";
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./";
    if (!*name || *name == '/' || name[strspn(name, allowed)] || strstr(name, ".."))
        return err_set(e, ERR_ARGUMENT,
                       "the bucket is \"%.64s\", must be s3://NAME or s3://NAME/PREFIX of letters, "
                       "digits, - _ and .",
                       o->where);
    snprintf(amazon, sizeof amazon, "https://s3.%.64s.amazonaws.com", o->region);
    const char *base = o->endpoint ? o->endpoint : amazon;
    if (strncmp(base, "https://", 8) != 0 && strncmp(base, "http://", 7) != 0)
        return err_set(e, ERR_ARGUMENT,
                       "the bucket's endpoint is \"%.64s\", must be https://HOST or http://HOST",
                       base);
    int k = snprintf(url, sizeof url, "%s%s%s%s", base, base[strlen(base) - 1] == '/' ? "" : "/",
                     name, name[strlen(name) - 1] == '/' ? "" : "/");
    if (k < 0 || (size_t)k >= sizeof url)
        return err_set(e, ERR_ARGUMENT, "the bucket's address is longer than %zu bytes",
                       sizeof url - 1);
    b->base = mem_strndup(url, SIZE_MAX);
    return b->base ? 0 : err_set(e, ERR_MEMORY, "out of memory for the bucket");
}

static int bucket_read_key(struct bucket *b, const struct bucket_options *o, struct err *e)
{
    char text[256];
    if (!o->key_id || !*o->key_id || !o->secret || !*o->secret)
        return err_set(e, ERR_ARGUMENT, "the bucket needs a key: its id and its secret");
    size_t n = strlen(o->key_id) + strlen(o->secret) + 2;
    size_t n_token = o->token ? strlen(o->token) + 32 : 0;
    if ((b->user = mem_try(n, 1)))
        snprintf(b->user, n, "%s:%s", o->key_id, o->secret);
    if (n_token && (b->token = mem_try(n_token, 1)))
        snprintf(b->token, n_token, "x-amz-security-token: %s", o->token);
    snprintf(text, sizeof text, "aws:amz:%.64s:s3", o->region);
    b->signature = mem_strndup(text, SIZE_MAX);
    return b->user && b->signature && (b->token || !n_token)
               ? 0
               : err_set(e, ERR_MEMORY, "out of memory for the bucket");
}

static int bucket_probe(struct bucket *b, struct err *e)
{
    unsigned char random[8] = {0};
    char name[64];
    size_t n = (size_t)snprintf(name, sizeof name, "probe-");
    if (getrandom(random, sizeof random, 0) < 0)
        return err_set(e, ERR_IO, "no random numbers for a name: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++, n += 2)
        snprintf(name + n, sizeof name - n, "%02x", random[i]);
    int rc = bucket_put(b, name, "", 0, e);
    if (rc == 0)
        rc = bucket_remove(b, name, e);
    return rc == ERR_AWAY ? 0 : rc;
}

int bucket_open(const struct bucket_options *o, struct bucket **ret, struct err *e)
{
    struct bucket *b = mem_try(1, sizeof *b);
    pthread_condattr_t clock;
    if (!b || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(b);
        return err_set(e, ERR_MEMORY, "out of memory for the bucket");
    }
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&b->turn, &clock);
    pthread_condattr_destroy(&clock);
    int rc = bucket_read_address(b, o, e);
    if (rc == 0)
        rc = bucket_read_key(b, o, e);
    if (rc == 0)
        rc = bucket_probe(b, e);
    if (rc < 0)
        bucket_close(b);
    else
        *ret = b;
    return rc;
}

static void bucket_free_secret(char *s)
{
    if (s)
        gnutls_memset(s, 0, strlen(s));
    mem_free(s);
}

void bucket_close(struct bucket *b)
{
    if (!b)
        return;
    for (int i = 0; i < AT_ONCE; i++)
        curl_easy_cleanup(b->handle[i]);
    pthread_cond_destroy(&b->turn);
    pthread_mutex_destroy(&b->lock);
    mem_free(b->base);
    mem_free(b->signature);
    bucket_free_secret(b->user);
    bucket_free_secret(b->token);
    curl_global_cleanup();
    mem_free(b);
}
