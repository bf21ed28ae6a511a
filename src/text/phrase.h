/* phrase.h - where inside a sentence a listener would not mind a breath.
 *
 *     const struct phrase_words *w = phrase_words("en-us");
 *     phrase_break(w, s, n, at)            s[at] starts a word, a space is before it
 *
 * By short lists of each language's commonest words: a conjunction starts a clause, and what an
 * article or a preposition is about comes in the same breath.  Threads: any. */
#ifndef TEXT_PHRASE_H
#define TEXT_PHRASE_H
#include <stddef.h>

enum phrase_break {
    PHRASE_CLAUSE, /* before a conjunction */
    PHRASE_START,  /* before a preposition or a pronoun */
    PHRASE_WORD,   /* between two words that nothing is known about */
    PHRASE_INSIDE  /* after an article or preposition; before "of" */
};

struct phrase_words;
const struct phrase_words *phrase_words(const char *language); /* NULL: no list */
enum phrase_break phrase_break(const struct phrase_words *w, const char *s, size_t n, size_t at);

#endif
