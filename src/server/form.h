/* form.h - the fields of a multipart/form-data body (RFC 7578), found in place.
 *
 *     struct form f;
 *     if (form_parse(http_header(r, "Content-Type"), r->body.data, r->body.len, &f, &e) < 0) ...
 *     const struct form_field *name = form_find(&f, "name");       NULL: there is none
 *
 * The body must outlive the form, which points into it and changes it (names and types get their NUL).
 * Threads: any. */
#ifndef SERVER_FORM_H
#define SERVER_FORM_H
#include <stddef.h>
#include "base/err.h"

#define FORM_FIELDS 32

struct form_field {
    const char *name;
    const char *file; /* the file's name as the client gave it; NULL: not a file */
    const char *type; /* "" when not given */
    const char *data; /* n bytes, not ended by NUL */
    size_t n;
};

struct form {
    struct form_field field[FORM_FIELDS];
    int n_field;
};

int form_parse(const char *content_type, char *body, size_t n, struct form *ret, struct err *e);
const struct form_field *form_find(const struct form *f, const char *name); /* the first so named */

#endif
