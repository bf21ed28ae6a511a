/* Any bytes as a form, its boundary "b" unless the first line says another content type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct form f;
    struct err e;
    char *body = malloc(n + 1), *type = "multipart/form-data; boundary=b", *start = body;
    if (!body)
        return 0;
    memcpy(body, data, n);
    body[n] = 0; /* for a content type without an end; the form must not need it */
    char *eol = memchr(body, '\n', n);
    if (eol && n > 0 && body[0] == 'm') {
        *eol = 0;
        type = body;
        start = eol + 1;
    }
    size_t left = n - (size_t)(start - body);
    char *exact = malloc(left ? left : 1);
    if (exact)
        memcpy(exact, start, left);
    if (exact && form_parse(type, exact, left, &f, &e) == 0)
        for (int i = 0; i < f.n_field; i++) {
            const struct form_field *x = &f.field[i];
            if (x->data < exact || x->data + x->n > exact + left || !x->name[0])
                abort();
            (void)(strlen(x->name) + strlen(x->type) + (x->file ? strlen(x->file) : 0));
        }
    free(exact);
    free(body);
    return 0;
}
