/* mapped.h - text that knows, byte by byte, which bytes of another text it came from.
 *
 *     struct mapped m;
 *     mapped_init(&m, limit);
 *     mapped_copy(&m, in, 0, 5);                 bytes 0..5 of in, unchanged
 *     mapped_put(&m, "three", 5, 6, 7);          stands for bytes 6..7 of in
 *     if (m.rc < 0) ...                          the first failure; later calls did nothing
 *     mapped_source(&m, at, &start, &end);       where byte at of the result came from
 *     mapped_compose(&m, &before);               in was before's text: point at before's input now
 *     mapped_done(&m);
 *
 * Each stage of the text front end reads one text and writes one of these; compose joins the maps.
 * Calls come in the order of the input: start never goes back.  Threads: one at a time. */
#ifndef TEXT_MAPPED_H
#define TEXT_MAPPED_H
#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"

/* The result from `at` to the next run's `at` came from [start, end).  copy: byte for byte. */
struct mapped_run {
    size_t at, start, end;
    bool copy;
};

struct mapped {
    struct buf text;
    struct mapped_run *run;
    size_t n_run, cap_run;
    int rc; /* 0, or ERR_LIMIT or ERR_MEMORY */
};

void mapped_init(struct mapped *m, size_t max_bytes);
void mapped_done(struct mapped *m);
void mapped_copy(struct mapped *m, const char *in, size_t start, size_t end);
void mapped_put(struct mapped *m, const char *s, size_t n, size_t start, size_t end);
void mapped_append(struct mapped *m, const struct mapped *part); /* of the same input, behind m */
void mapped_source(const struct mapped *m, size_t at, size_t *start, size_t *end);
/* Input bytes of the result's bytes [from, to), from < to. */
void mapped_range(const struct mapped *m, size_t from, size_t to, size_t *start, size_t *end);
void mapped_compose(struct mapped *m, const struct mapped *before);

#endif
