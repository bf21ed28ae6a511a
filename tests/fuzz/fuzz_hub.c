/* What a hub sends and what a disk keeps: the first byte chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hub/answer.h"
#include "hub/part.h"
#include "hub/shelf.h"
#include "hub/source.h"

static void fuzz_headers(const char *text, size_t n)
{
    struct answer a;
    struct err e = {0};
    struct subject s = {.repository = "owner/name",
                        .revision = "main",
                        .file = "x",
                        .page = "p",
                        .endpoint = "e",
                        .host = "h"};
    answer_clear(&a);
    for (const char *end = text + n; text < end;) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        size_t len = nl ? (size_t)(nl - text) + 1 : (size_t)(end - text);
        answer_header(&a, text, len);
        text += len;
    }
    if (a.status >= 400 && (answer_fail(&a, &s, &e) >= 0 || !e.msg[0]))
        abort();
    if (a.range_first < -1 || a.range_total < -1 || a.linked_size < -1 || a.length < -1)
        abort();
}

static void fuzz_words(const char *text)
{
    struct digest_value v;
    struct source s;
    struct err e = {0};
    char name[100];
    int i;
    if (part_parse(text, &i, &v) == 0 && (i < 0 || strlen(v.hex) != 64))
        abort();
    if (strchr(text, '/') && (text[0] == '.' || text[0] == '/')) /* what is there is no matter */
        return;
    if (source_parse(text, "https://hub.example", &s, &e) == 0 &&
        source_name(&s, name, sizeof name, &e) == 0 && (strchr(name, '/') || name[0] == '.'))
        abort();
}

/* "x..gguf" is a name like any other; a component ".." leaves the folder. */
static int leaves_folder(const char *path)
{
    if (path[0] == '/')
        return 1;
    for (const char *c = path; c; c = strchr(c, '/')) {
        c += *c == '/';
        if (strncmp(c, "..", 2) == 0 && (c[2] == '/' || !c[2]))
            return 1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct repository r = {.n_file = 0};
    struct manifest m = {.files = NULL};
    struct err e = {0};
    if (n < 1)
        return 0;
    char *text = malloc(n);
    if (!text)
        return 0;
    memcpy(text, data + 1, n - 1);
    text[n - 1] = 0;
    switch (data[0] % 4) {
    case 0:
        fuzz_headers(text, n - 1);
        break;
    case 1:
        if (repository_read(text, n - 1, NULL, &r, &e) == 0)
            for (int i = 0; i < r.n_file; i++)
                if (leaves_folder(r.file[i]))
                    abort();
        repository_done(&r);
        break;
    case 2:
        if (shelf_parse(text, n - 1, &m, &e) == 0 && (strchr(m.file, '/') || strchr(m.name, '/')))
            abort();
        shelf_done(&m);
        break;
    default:
        fuzz_words(text);
    }
    free(text);
    return 0;
}
