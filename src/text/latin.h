/* latin.h - which language words in Latin letters are in.
 *
 *     struct latin_scores x;
 *     latin_score(s, n, &x);                                  evidence of one sentence
 *     latin_name(l)                             "de", for x.nats[l]; 26 are told apart
 *
 * A logistic regression over hashed character n-grams: for each language the sum of the weights of
 * all n-grams of 1 to 4 characters of each word, its ends included, and, threefold, of the word.
 * Only words with a Latin letter count.  The weights are src/text/latin.table, built into the
 * program; bench/language/train.py makes it and describes its format.
 *
 * Scores are evidence in nats, so those of two sentences add up.  Linear in n.  Threads: any. */
#ifndef TEXT_LATIN_H
#define TEXT_LATIN_H
#include <stdbool.h>
#include <stddef.h>

#define LATIN_MAX_LANGUAGES 32

struct latin_scores {
    int n_word; /* that were scored */
    float nats[LATIN_MAX_LANGUAGES];
};

void latin_score(const char *s, size_t n, struct latin_scores *x);
int latin_count(void);                /* of languages */
const char *latin_name(int language); /* as espeak-ng names it */

#endif
