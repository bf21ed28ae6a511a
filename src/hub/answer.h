/* answer.h - what a hub or a storage host answers: the headers that matter, and why it failed.
 *
 * Header lines are hostile until answer_header has taken them: what does not fit or is malformed is
 * as if it had not come.
 * Sources: https://huggingface.co/docs/hub/en/api and huggingface_hub/file_download.py (names of
 * headers), RFC 9110 (Content-Range, ETag, Retry-After), draft-ietf-httpapi-ratelimit-headers.
 *
 * Threads: any; an answer belongs to its caller. */
#ifndef HUB_ANSWER_H
#define HUB_ANSWER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct answer {
    int status;                       /* 0: none came */
    char etag[160], linked_etag[160]; /* without quotes and W/ */
    char commit[80], location[4096], error_code[64];
    int64_t length, linked_size;      /* bytes; -1: not said */
    int64_t range_first, range_total; /* Content-Range; -1: not said */
    double retry_after_s;             /* < 0: not said */
};

void answer_clear(struct answer *a);
/* One line as it came, with or without its end.  A status line begins a new response: what a former
 * one said of the file (X-Linked-*, X-Repo-Commit) stays, the rest is forgotten. */
void answer_header(struct answer *a, const char *line, size_t n);

/* Whom a request was about, for messages; strings may be "". */
struct subject {
    const char *repository, *revision, *file; /* of the hub */
    const char *page;                         /* where its licence is accepted */
    const char *endpoint, *host;              /* the hub; who answered */
    bool has_token;
};
/* A status that is no success as an error; says what to do. */
int answer_fail(const struct answer *a, const struct subject *s, struct err *e);

#endif
