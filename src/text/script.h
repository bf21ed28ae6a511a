/* script.h - the language of a text, sentence by sentence: by its letters, and for Latin ones by
 * what the words look like (latin.h).
 *
 *     struct script_walk w;
 *     script_walk_init(&w, s, n, true);
 *     while (script_walk_next(&w))
 *         s[w.start..w.end) is in w.language
 *
 * One sentence in Latin letters says little when it is short, so a walk keeps to the language of
 * the Latin sentences before it until the evidence against that is strong; it begins with that of
 * the text's first kilobyte.  Linear in n.  Threads: any. */
#ifndef TEXT_SCRIPT_H
#define TEXT_SCRIPT_H
#include <stdbool.h>
#include <stddef.h>

/* The language, as espeak-ng names it, of most letters in s[0..n).  Latin letters, and none at all,
 * are NULL. */
const char *script_language(const char *s, size_t n);

struct script_walk {
    size_t start, end;    /* the longest run of sentences in one language */
    const char *language; /* NULL: English, or whatever is expected */
    const char *s;
    size_t n;
    int latin;   /* language of Latin sentences so far; < 0: they are not told apart */
    bool single; /* the text is one sentence */
    size_t next; /* end of the sentence behind the run, which was looked at; 0: none */
    const char *next_language;
};
/* latin: tell the languages of Latin letters apart; else they are all NULL. */
void script_walk_init(struct script_walk *w, const char *s, size_t n, bool latin);
bool script_walk_next(struct script_walk *w); /* false: the text has ended */

#endif
