/* bench/text.c - how fast the text front end is, stage by stage.
 *
 *     build/bench/text [FILE]        MB/s of each stage, best of 5, on FILE or on made-up prose
 *
 * The text is repeated to 4 MB (the limit).  Phonemes are left out: they are espeak-ng's.  The time
 * is the process's own, as other work on the machine should not count; there is one thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "text/text.h"

static const char prose[] =
    "It was a bright cold day in the middle of spring, and the clocks of the town were slow again. "
    "Nobody minded; the baker opened when the bread was done, and the school began when the "
    "children "
    "had come. \"There is time enough,\" said the old woman at the corner, \"for those who do not "
    "count "
    "it.\" Mr. Brown, who had arrived on March 3, 1921 with 2 trunks and $40, did not agree.\n\n";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *repeated(const char *path, size_t *n)
{
    static char unit[1 << 20];
    size_t len = sizeof prose - 1;
    memcpy(unit, prose, len);
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (f) {
        len = fread(unit, 1, sizeof unit, f);
        fclose(f);
    }
    char *text = malloc(LIMIT_TEXT_BYTES);
    for (*n = 0; text && len && *n + len <= LIMIT_TEXT_BYTES; *n += len)
        memcpy(text + *n, unit, len);
    return text;
}

int main(int argc, char **argv)
{
    static const char *const stage[] = {"clean", "normalize", "cut", "all"};
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    size_t n;
    char *text = repeated(argc > 1 ? argv[1] : NULL, &n);
    struct text_options o = {.frontend = TEXT_PLAIN};
    for (int round = 0; text && round < 5; round++) {
        struct mapped clean, normalized;
        struct text_pieces pieces;
        struct err e = {0};
        double t[4] = {now()};
        int rc = text_clean(text, n, &o, &clean, &e);
        t[1] = now();
        if (rc == 0)
            rc = text_normalize(&clean, &o, &normalized, &e);
        t[2] = now();
        if (rc == 0)
            rc = text_cut(&normalized, &o, &pieces, &e);
        t[3] = now();
        if (rc < 0) {
            fprintf(stderr, "bench/text: %s\n", e.msg);
            return 1;
        }
        for (int i = 0; i < 4; i++) {
            double took = i < 3 ? t[i + 1] - t[i] : t[3] - t[0];
            best[i] = took < best[i] ? took : best[i];
        }
        mapped_done(&clean);
        mapped_done(&normalized);
        text_pieces_done(&pieces);
    }
    for (int i = 0; i < 4; i++)
        printf("%-10s %7.1f MB/s\n", stage[i], (double)n / 1e6 / best[i]);
    free(text);
    return 0;
}
