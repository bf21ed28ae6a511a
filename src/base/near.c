#include "base/near.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

static int least(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

static int same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int d[3][NEAR_MAX_BYTES + 1]; /* rows i - 2, i - 1 and i of the table, reused in turn */
    for (size_t j = 0; j <= n_b; j++)
        d[0][j] = (int)j;
    for (size_t i = 1; i <= n_a; i++) {
        int *row = d[i % 3];
        const int *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= n_b; j++) {
            int change = !same(a[i - 1], b[j - 1]);
            row[j] = least(up[j] + 1, row[j - 1] + 1, up[j - 1] + change);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) &&
                up2[j - 2] + 1 < row[j])
                row[j] = up2[j - 2] + 1;
        }
    }
    return d[n_a % 3][n_b];
}

void near_init(struct near *n, const char *word)
{
    *n = (struct near){.word = word};
}

void near_try(struct near *n, const char *candidate)
{
    size_t n_a = strlen(n->word), n_b = strlen(candidate), longer = n_a > n_b ? n_a : n_b;
    if (longer > NEAR_MAX_BYTES)
        return;
    int d = distance(n->word, n_a, candidate, n_b);
    if (d * 3 <= (int)longer + 1 && (!n->best || d < n->distance)) {
        n->best = candidate;
        n->distance = d;
    }
}

const char *near_found(const struct near *n)
{
    return n->best;
}
