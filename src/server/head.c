#include "server/head.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "server/request.h"

/* Headers that a request must not have twice: some programs take the first, others the last. */
static const char *const once[] = {"Host",         "Content-Length",   "Transfer-Encoding",
                                   "Content-Type", "Content-Encoding", "Expect",
                                   "Origin",       "Authorization",    "Sec-Fetch-Site"};
#define N_ONCE (sizeof once / sizeof *once)

struct head {
    int n[N_ONCE];
    const char *end; /* where the line before ended, NULL at first */
    char what[160];  /* "": all is well */
};

static bool head_is(const char *name, size_t n, const char *wanted)
{
    return strlen(wanted) == n && strncasecmp(name, wanted, n) == 0;
}

/* RFC 9110, 5.6.2: tchar */
static bool is_token(const char *s, size_t n)
{
    static const char more[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
              (s[i] >= '0' && s[i] <= '9') || (s[i] && strchr(more, s[i]))))
            return false;
    return n > 0;
}

/* RFC 9110, 5.5: other control characters may be kept. */
static bool head_ends_line(const char *s, size_t n)
{
    return memchr(s, '\r', n) || memchr(s, '\n', n) || memchr(s, 0, n);
}

/* Version 0.9 of the library ends a line at a bare CR or LF, too, cuts values at a zero byte and
 * joins folded lines, without reporting it.  But it leaves lines where it read them, with zeros for
 * their CR and LF: between two there are exactly two.  Version 1.0 refuses such lines when it is
 * strict. */
static bool head_joins(const char *end, const char *next)
{
#if MHD_VERSION < 0x01000000
    return next == end + 2 && !end[0] && !end[1];
#else
    (void)end;
    (void)next;
    return true;
#endif
}

static enum MHD_Result head_note(void *cookie, enum MHD_ValueKind kind, const char *name, size_t n,
                                 const char *value, size_t n_value)
{
    struct head *h = cookie;
    (void)kind;
    if (!value)
        value = "";
    if (!is_token(name, n))
        snprintf(h->what, sizeof h->what, "a header's name is not a token");
    else if (head_ends_line(value, n_value))
        snprintf(h->what, sizeof h->what, "the header %.40s has a CR, LF or zero in it", name);
    else if (h->end && !head_joins(h->end, name))
        snprintf(h->what, sizeof h->what,
                 "a line before the header %.40s does not end with CR LF, is folded, or has a zero",
                 name);
    for (size_t i = 0; i < N_ONCE; i++)
        if (head_is(name, n, once[i]) && h->n[i]++ > 0)
            snprintf(h->what, sizeof h->what, "the header %s is there twice", once[i]);
    h->end = value + n_value;
    return h->what[0] ? MHD_NO : MHD_YES;
}

static enum MHD_Result head_note_query(void *cookie, enum MHD_ValueKind kind, const char *name,
                                       size_t n, const char *value, size_t n_value)
{
    struct head *h = cookie;
    (void)kind;
    if (memchr(name, 0, n) || (value && memchr(value, 0, n_value)))
        snprintf(h->what, sizeof h->what, "the query has a zero byte");
    return h->what[0] ? MHD_NO : MHD_YES;
}

static int check_lines(struct request *r, const char *version, struct api_error *e)
{
    struct head h = {.end = version + strlen(version)};
    MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, head_note, &h);
    MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, head_note_query, &h);
    /* The empty line behind the last one is two more zeros. */
    if (!h.what[0] && !(head_joins(h.end, h.end + 2) && head_joins(h.end + 2, h.end + 4)))
        snprintf(h.what, sizeof h.what, "the last header line does not end with CR LF");
    if (!h.what[0] && h.n[0] == 0 && strcmp(version, "HTTP/1.0") != 0)
        snprintf(h.what, sizeof h.what, "the header Host is missing");
    return h.what[0] ? api_fail(e, FAULT_BAD_HTTP, NULL, "this is not HTTP: %s", h.what) : 0;
}

/* Checks that the head says in exactly one way where the body ends. */
static int check_framing(const struct request *r, const char *version, struct api_error *e)
{
    const char *length = http_header(r, "Content-Length");
    const char *encoding = http_header(r, "Transfer-Encoding");
    const char *expect = http_header(r, "Expect"), *packed = http_header(r, "Content-Encoding");
    if (length && encoding)
        return api_fail(e, FAULT_BAD_HTTP, NULL,
                        "this is not HTTP: both Content-Length and Transfer-Encoding");
    if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
        return api_fail(e, FAULT_BAD_HTTP, NULL,
                        "this is not HTTP: Content-Length is \"%.40s\", must be digits", length);
    if (encoding && (strcasecmp(encoding, "chunked") != 0 || strcmp(version, "HTTP/1.0") == 0))
        return api_fail(e, FAULT_BAD_HTTP, NULL,
                        "this is not HTTP: Transfer-Encoding is \"%.40s\", only chunked is known, "
                        "in HTTP/1.1",
                        encoding);
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return api_fail(e, FAULT_EXPECT, NULL, "nothing is known of Expect: %.40s", expect);
    if (packed && *packed && strcasecmp(packed, "identity") != 0)
        return api_fail(e, FAULT_ENCODING, NULL,
                        "the body is packed with %.40s; send it as it is, without "
                        "Content-Encoding",
                        packed);
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The absolute form: scheme://authority before the path. */
static const char *head_cut_authority(const char *target, char *authority, size_t n)
{
    const char *at = strncasecmp(target, "http://", 7) == 0    ? target + 7
                     : strncasecmp(target, "https://", 8) == 0 ? target + 8
                                                               : NULL;
    authority[0] = 0;
    if (!at)
        return target;
    size_t len = strcspn(at, "/?#");
    if (len == 0 || len >= n)
        return "";
    memcpy(authority, at, len);
    authority[len] = 0;
    return at[len] ? at + len : "/";
}

const char *head_path(const char *target, char *path, size_t n_path, char *authority,
                      size_t n_authority)
{
    size_t n = 0;
    const char *begin = head_cut_authority(target, authority, n_authority), *s = begin;
    path[0] = 0;
    if (strcmp(s, "*") == 0) {
        snprintf(path, n_path, "*");
        return NULL;
    }
    if (*s != '/' && *s != '?')
        return "the target is neither a path nor an http URL";
    for (; *s && *s != '?' && *s != '#'; s++) {
        char c = *s;
        if (c == '/' && s > begin && s[-1] == '/')
            continue;
        if (c == '%') {
            int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
            if (low < 0)
                return "a % in the path is not followed by two hexadecimal digits";
            c = (char)(high << 4 | low);
            s += 2;
        }
        if ((unsigned char)c <= ' ' ? c != ' ' || *s == ' ' : c == 127)
            return "the path has a control character or a space";
        if (n + 1 >= n_path)
            return HEAD_TOO_LONG;
        path[n++] = c;
    }
    path[n] = 0;
    if (n == 0)
        snprintf(path, n_path, "/");
    if (utf8_check(path, n) < n) {
        path[utf8_check(path, n)] = 0;
        return "the path is not UTF-8";
    }
    return NULL;
}

int head_read(struct request *r, const char *target, const char *version, struct api_error *e)
{
    const char *wrong =
        head_path(target, r->path, sizeof r->path, r->authority, sizeof r->authority);
    if (check_lines(r, version, e) < 0 || check_framing(r, version, e) < 0)
        return -1;
    if (wrong && strcmp(wrong, HEAD_TOO_LONG) == 0)
        return api_fail(e, FAULT_URL_TOO_LONG, NULL, "the path is longer than %d bytes, the limit",
                        HTTP_PATH_BYTES - 1);
    return wrong ? api_fail(e, FAULT_BAD_HTTP, NULL, "this is not HTTP: %s", wrong) : 0;
}
