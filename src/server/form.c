#include "server/form.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */

/* The value of a parameter in `a; b="c"; d=e`, copied.  false: not there, or too long. */
static bool parameter(const char *s, const char *name, char *to, size_t size)
{
    size_t n_name = strlen(name);
    while ((s = strchr(s, ';')) != NULL) {
        s += 1 + strspn(s + 1, " \t");
        if (strncasecmp(s, name, n_name) != 0 || s[n_name] != '=')
            continue;
        s += n_name + 1;
        bool quoted = *s == '"';
        size_t n = 0;
        for (s += quoted; *s && (quoted ? *s != '"' : !strchr("; \t", *s)); s++) {
            if (quoted && *s == '\\' && s[1])
                s++;
            if (n + 1 >= size)
                return false;
            to[n++] = *s;
        }
        to[n] = 0;
        return !quoted || *s == '"';
    }
    return false;
}

/* memmem, which POSIX has not. */
static char *find(char *s, size_t n, const char *word, size_t n_word)
{
    for (char *end = s + n, *p = s; (size_t)(end - p) >= n_word; p++) {
        p = memchr(p, word[0], (size_t)(end - p) - n_word + 1);
        if (!p)
            return NULL;
        if (memcmp(p, word, n_word) == 0)
            return p;
    }
    return NULL;
}

/* In place: the quoted value at s, without its quotes; *after: behind it.  NULL: malformed.
 * Browsers write %22 for a quote inside, curl a backslash before it. */
static char *unquote(char *s, char **after)
{
    char *from = s + 1, *to = s;
    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            from++;
        *to++ = *from;
    }
    if (*from != '"')
        return NULL;
    *to = 0;
    *after = from + 1;
    return s;
}

/* form-data; name="x"; filename="y" */
static void read_disposition(char *s, struct form_field *f)
{
    while ((s = strchr(s, ';')) != NULL) {
        s += 1 + strspn(s + 1, " \t");
        size_t n = strcspn(s, "=;");
        const char **to = n == 4 && strncasecmp(s, "name", 4) == 0       ? &f->name
                          : n == 8 && strncasecmp(s, "filename", 8) == 0 ? &f->file
                                                                         : NULL;
        if (s[n] != '=' || s[n + 1] != '"')
            continue;
        char *value = unquote(s + n + 1, &s);
        if (!value)
            return;
        if (to)
            *to = value;
    }
}

/* One header line, ended by NUL. */
static void read_header(char *line, struct form_field *f)
{
    if (strncasecmp(line, "Content-Type:", 13) == 0)
        f->type = line + 13 + strspn(line + 13, " \t");
    else if (strncasecmp(line, "Content-Disposition:", 20) == 0)
        read_disposition(line + 20, f);
}

/* A part, n bytes: header lines, an empty line, data. */
static int read_part(char *s, size_t n, struct form *f, struct err *e)
{
    struct form_field field = {.type = ""};
    char *end = s + n, *line = s;
    for (;;) {
        char *eol = find(line, (size_t)(end - line), "\r\n", 2);
        if (!eol)
            return err_set(e, ERR_FORMAT, "a part of the form has no end of its header");
        *eol = 0;
        if (eol == line)
            break;
        if (strlen(line) != (size_t)(eol - line))
            return err_set(e, ERR_FORMAT, "a part of the form has a zero byte in its header");
        read_header(line, &field);
        line = eol + 2;
    }
    if (!field.name || !field.name[0])
        return err_set(e, ERR_FORMAT, "a part of the form has no name");
    if (f->n_field == FORM_FIELDS)
        return err_set(e, ERR_LIMIT, "the form has more than %d fields", FORM_FIELDS);
    field.data = line + 2;
    field.n = (size_t)(end - field.data);
    f->field[f->n_field++] = field;
    return 0;
}

int form_parse(const char *content_type, char *body, size_t n, struct form *ret, struct err *e)
{
    char boundary[BOUNDARY_MAX + 1], mark[BOUNDARY_MAX + 5];
    struct form f = {.n_field = 0};
    if (!content_type || strncasecmp(content_type, "multipart/form-data", 19) != 0)
        return err_set(e, ERR_UNSUPPORTED, "the body is %.64s, must be multipart/form-data",
                       content_type ? content_type : "of no type");
    if (!parameter(content_type, "boundary", boundary, sizeof boundary) || !boundary[0])
        return err_set(e, ERR_FORMAT, "multipart/form-data without a boundary of 1 to %d letters",
                       BOUNDARY_MAX);
    size_t n_mark = (size_t)snprintf(mark, sizeof mark, "\r\n--%s", boundary);
    if (n < n_mark - 2 || memcmp(body, mark + 2, n_mark - 2) != 0)
        return err_set(e, ERR_FORMAT, "the form does not begin with its boundary");
    char *at = body + n_mark - 2, *end = body + n;
    while (end - at >= 2 && memcmp(at, "\r\n", 2) == 0) {
        char *next = find(at + 2, (size_t)(end - at) - 2, mark, n_mark);
        if (!next)
            return err_set(e, ERR_FORMAT, "the form breaks off: its last boundary is missing");
        int rc = read_part(at + 2, (size_t)(next - at) - 2, &f, e);
        if (rc < 0)
            return rc;
        at = next + n_mark;
    }
    if (end - at < 2 || memcmp(at, "--", 2) != 0)
        return err_set(e, ERR_FORMAT, "the form breaks off: its last boundary is missing");
    *ret = f;
    return 0;
}

const struct form_field *form_find(const struct form *f, const char *name)
{
    for (int i = 0; i < f->n_field; i++)
        if (strcmp(f->field[i].name, name) == 0)
            return &f->field[i];
    return NULL;
}
