/* script.h - the language of a text, sentence by sentence: by its letters, and for Latin ones by
 * what the words look like (latin.h).
 *
 *     struct script_walk w;
 *     script_walk_init(&w, s, n, true);
 *     while (script_walk_next(&w))
 *         s[w.start..w.end) is in w.language
 *
 * One sentence in Latin letters says little when it is short, so a walk decides with the language
 * of the Latin sentences before it and with what the next three say. Linear in n. Threads: any. */
#ifndef TEXT_SCRIPT_H
#define TEXT_SCRIPT_H
#include <stdbool.h>
#include <stddef.h>

#include "text/latin.h"

/* The language, as espeak-ng names it, of most letters in s[0..n).  Latin letters, and none at all,
 * are NULL. */
const char *script_language(const char *s, size_t n);

#define SCRIPT_AHEAD 4 /* sentences looked at to decide on one */

struct script_sentence {
    size_t end;
    struct latin_scores scores;
};

struct script_walk {
    size_t start, end;    /* the longest run of sentences in one language */
    const char *language; /* NULL: English, or whatever is expected */
    const char *s;
    size_t n;
    int latin;   /* language of the Latin sentence before; < 0: none, or they are not told apart */
    size_t next; /* end of the sentence behind the run, which was looked at; 0: none */
    const char *next_language;
    size_t n_ahead;
    struct script_sentence ahead[SCRIPT_AHEAD];
};
/* latin: tell the languages of Latin letters apart; else they are all NULL. */
void script_walk_init(struct script_walk *w, const char *s, size_t n, bool latin);
bool script_walk_next(struct script_walk *w); /* false: the text has ended */

#endif
