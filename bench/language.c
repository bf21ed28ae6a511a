/* bench/language.c - how well languages are told, and how fast.
 *
 *     bench/language/fetch DIR                 held-out sentences, some 1 GB
 *     build/bench/language DIR/held-out.tsv    lines of a language, a tab and a sentence
 *
 * Each sentence is a text of its own.  Prints right ones for each language, and microseconds a
 * sentence, best of 5 rounds; then right sentences in 4000 made-up texts of two to five of them, of
 * languages of their own and of one.  tests/cases/languages.txt has everyday sentences. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/script.h"

#define MAX_LINES 100000
#define MAX_KINDS 64

static struct line {
    char *language, *text;
    size_t n;
} lines[MAX_LINES];

static double language_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of the text's longest run. */
static const char *language_of(const struct line *l)
{
    struct script_walk w;
    const char *best = NULL;
    size_t longest = 0;
    script_walk_init(&w, l->text, l->n, true);
    while (script_walk_next(&w))
        if (w.end - w.start > longest) {
            longest = w.end - w.start;
            best = w.language;
        }
    best = best ? best : "en";
    return strcmp(best, "cmn") == 0 ? "zh" : best;
}

static int language_read(const char *path)
{
    static char buffer[65536];
    FILE *f = fopen(path, "r");
    int n = 0;
    while (f && n < MAX_LINES && fgets(buffer, sizeof buffer, f)) {
        char *tab = strpbrk(buffer, "\t ");
        buffer[strcspn(buffer, "\n")] = 0;
        if (!tab || buffer[0] == '#')
            continue;
        *tab = 0;
        lines[n].language = strdup(buffer);
        lines[n].text = strdup(tab + 1);
        lines[n].n = strlen(tab + 1);
        n++;
    }
    if (f)
        fclose(f);
    return n;
}

/* Right sentences, in per cent, in texts that are put together from n lines. */
static double language_joined(int n, bool same)
{
    int right = 0, total = 0;
    srand(1);
    for (int t = 0; t < 2000; t++) {
        static char text[6 * 65536];
        int n_sentence = 2 + rand() % 4, one[5];
        size_t at[6] = {0};
        for (int j = 0; j < n_sentence; j++) {
            do
                one[j] = rand() % n;
            while (same && strcmp(lines[one[j]].language, lines[one[0]].language) != 0);
            at[j + 1] = at[j] + (size_t)snprintf(text + at[j], sizeof text - at[j], "%s ",
                                                 lines[one[j]].text);
        }
        struct script_walk w;
        int j = 0;
        script_walk_init(&w, text, at[n_sentence], true);
        while (script_walk_next(&w))
            for (; j < n_sentence && (at[j] + at[j + 1]) / 2 < w.end; j++)
                right += strcmp(w.language ? w.language : "en", lines[one[j]].language) == 0;
        total += n_sentence;
    }
    return 100.0 * right / total;
}

int main(int argc, char **argv)
{
    const char *kind[MAX_KINDS];
    int total[MAX_KINDS] = {0}, right[MAX_KINDS] = {0}, n_kind = 0, all = 0;
    int n = argc == 2 ? language_read(argv[1]) : 0;
    double best = 1e9;
    if (n == 0) {
        fprintf(stderr,
                "usage: build/bench/language FILE, lines of a language, a tab, a sentence\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        int k = 0;
        while (k < n_kind && strcmp(kind[k], lines[i].language) != 0)
            k++;
        if (k == n_kind && n_kind == MAX_KINDS)
            continue;
        n_kind += k == n_kind;
        kind[k] = lines[i].language;
        total[k]++;
        right[k] += strcmp(language_of(&lines[i]), kind[k]) == 0;
    }
    for (int round = 0; round < 5; round++) {
        double since = language_now();
        for (int i = 0; i < n; i++)
            language_of(&lines[i]);
        double s = language_now() - since;
        best = s < best ? s : best;
    }
    for (int k = 0; k < n_kind; k++) {
        printf("%-4s %5d of %5d  %6.2f %%\n", kind[k], right[k], total[k],
               100.0 * right[k] / total[k]);
        all += right[k];
    }
    printf("all  %5d of %5d  %6.2f %%, %.2f us a sentence\n", all, n, 100.0 * all / n,
           1e6 * best / n);
    printf("texts of several languages %.2f %%, of one %.2f %%\n", language_joined(n, false),
           language_joined(n, true));
    return 0;
}
