#include "server/multipart.h"

#include <string.h>
#include <strings.h>

struct text {
    const char *at, *end;
};

static int multipart_fail(const char **why, const char *what)
{
    *why = what;
    return -1;
}

/* The first occurrence of what in t, or NULL. */
static const char *multipart_find_(struct text t, const char *what, size_t n)
{
    while ((size_t)(t.end - t.at) >= n && n > 0) {
        const char *p = memchr(t.at, what[0], (size_t)(t.end - t.at) - n + 1);
        if (!p || memcmp(p, what, n) == 0)
            return p;
        t.at = p + 1;
    }
    return NULL;
}

/* The value of `; name=value` or `; name="value"` in a header; its length, 0 if there is none. */
static size_t parameter(struct text header, const char *name, const char **value)
{
    size_t n_name = strlen(name);
    for (const char *p = header.at; p < header.end; p++) {
        if (*p == '"') { /* not inside of another value */
            p = memchr(p + 1, '"', (size_t)(header.end - p - 1));
            if (!p)
                return 0;
            continue;
        }
        if (*p != ';')
            continue;
        do
            p++;
        while (p < header.end && (*p == ' ' || *p == '\t'));
        if ((size_t)(header.end - p) <= n_name || strncasecmp(p, name, n_name) ||
            p[n_name] != '=') {
            p--;
            continue;
        }
        p += n_name + 1;
        const char *end;
        if (p < header.end && *p == '"') {
            p++;
            end = memchr(p, '"', (size_t)(header.end - p));
        } else {
            end = p;
            while (end < header.end && !strchr("; \t", *end))
                end++;
        }
        *value = p;
        return end ? (size_t)(end - p) : 0;
    }
    return 0;
}

/* The headers of one part; its name must be among them. */
static int read_headers(struct text headers, struct part *p, const char **why)
{
    static const char wanted[] = "Content-Disposition:";
    const char *value;
    while (headers.at < headers.end) {
        const char *eol = multipart_find_(headers, "\r\n", 2);
        struct text line = {headers.at, eol ? eol : headers.end};
        headers.at = eol ? eol + 2 : headers.end;
        if ((size_t)(line.end - line.at) < sizeof wanted ||
            strncasecmp(line.at, wanted, sizeof wanted - 1) != 0)
            continue;
        size_t n = parameter(line, "name", &value);
        if (n == 0 || n >= sizeof p->name)
            return multipart_fail(why, "a part has no name, or a very long one");
        memcpy(p->name, value, n);
        p->name[n] = 0;
        n = parameter(line, "filename", &value);
        if (n >= sizeof p->file)
            return multipart_fail(why, "the name of a file is longer than 255 bytes");
        if (n > 0)
            memcpy(p->file, value, n);
        p->file[n] = 0;
        return 0;
    }
    return multipart_fail(why, "a part has no Content-Disposition header");
}

static int read_parts(struct text t, const char *line, size_t n_line, struct multipart *m,
                      const char **why)
{
    /* The first boundary has no line break before it. */
    if ((size_t)(t.end - t.at) < n_line - 2 || memcmp(t.at, line + 2, n_line - 2) != 0)
        return multipart_fail(why, "the body does not begin with the boundary");
    t.at += n_line - 2;
    for (;;) {
        if (t.end - t.at >= 2 && memcmp(t.at, "--", 2) == 0)
            return m->n > 0 ? 0 : multipart_fail(why, "the body has no parts");
        if (t.end - t.at < 2 || memcmp(t.at, "\r\n", 2) != 0)
            return multipart_fail(why, "a boundary is not followed by a line break");
        const char *end = multipart_find_(t, line, n_line),
                   *blank = multipart_find_(t, "\r\n\r\n", 4);
        if (!end)
            return multipart_fail(why, "the last boundary is missing: the body is cut short");
        if (!blank || blank + 4 > end + 2)
            return multipart_fail(why, "a part has no blank line behind its headers");
        if (m->n == MULTIPART_PARTS)
            return multipart_fail(why, "the body has more than 32 parts");
        struct part *p = &m->part[m->n];
        if (read_headers((struct text){t.at + 2, blank}, p, why) < 0)
            return -1;
        p->data = blank + 4;
        p->n = blank + 4 <= end ? (size_t)(end - p->data) : 0;
        m->n++;
        t.at = end + n_line;
    }
}

int multipart_parse(const char *content_type, const char *body, size_t n, struct multipart *ret,
                    const char **why)
{
    char line[MULTIPART_BOUNDARY + 5] = "\r\n--"; /* what ends a part */
    struct text type = {content_type, content_type + strlen(content_type)};
    const char *boundary;
    size_t n_boundary = parameter(type, "boundary", &boundary);
    ret->n = 0;
    if (strncasecmp(content_type, "multipart/form-data", 19) != 0)
        return multipart_fail(why, "the body is not multipart/form-data");
    if (n_boundary == 0 || n_boundary > MULTIPART_BOUNDARY)
        return multipart_fail(why, "the boundary is missing, or longer than 70 characters");
    memcpy(line + 4, boundary, n_boundary);
    return read_parts((struct text){body, body + n}, line, 4 + n_boundary, ret, why);
}

const struct part *multipart_find(const struct multipart *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->part[i].name, name) == 0)
            return &m->part[i];
    return NULL;
}
