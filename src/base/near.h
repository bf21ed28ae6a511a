/* near.h - "did you mean": the candidate nearest to a misspelt word.
 *
 *     struct near n;
 *     near_init(&n, "ballade");
 *     for each name: near_try(&n, name);
 *     if (near_found(&n)) ...                   "ballad"; NULL: nothing is near enough
 *
 * Nearness is the number of letters to insert, delete, change or swap with a neighbour (Damerau's
 * distance, optimal string alignment), case apart.  Threads: any; a struct near belongs to one. */
#ifndef BASE_NEAR_H
#define BASE_NEAR_H

#define NEAR_MAX_BYTES 64 /* longer words are never near */

struct near {
    const char *word, *best; /* borrowed */
    int distance;
};

void near_init(struct near *n, const char *word);
void near_try(struct near *n, const char *candidate);
const char *near_found(const struct near *n); /* at most a third of the letters differ, or NULL */

#endif
