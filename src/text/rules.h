/* rules.h - the rules of a language, compiled, and a text read by them.
 *
 *     struct rules *r = rules_new(lang, &e);
 *     struct reading *z = reading_new(language, s, n, 0);
 *     size_t used = reading_at(z, at, &words);      bytes read; 0: no rule
 *     reading_rule(z);                              the name of the rule that read them
 *     reading_free(z);
 *
 * A pattern is a PCRE2 regular expression with slots (docs/TEXT.md).  All patterns that may start
 * with the same kind of byte are alternatives of one compiled expression, so that a place in the
 * text costs one match however many rules there are; the first that matches wins.  Repetitions are
 * bounded and the expression may take a fixed number of steps, so that time is linear in the text.
 *
 * Threads: rules are constant; a reading belongs to one thread. */
#ifndef TEXT_RULES_H
#define TEXT_RULES_H
#include "text/lang.h"

struct rules;
struct reading;
struct words;

struct rules *rules_new(const struct lang *l, struct err *e);
void rules_free(struct rules *r);

/* depth: of a text within a text, 0 for the outermost; NULL: no memory. */
struct reading *reading_new(const struct text_language *l, const char *s, size_t n, int depth);
void reading_free(struct reading *z);
size_t reading_at(struct reading *z, size_t at, struct words *w);
/* Set a byte of fired for each reading that says something, until fired is NULL.  Not beside other
 * threads, as the next. */
void rules_watch(struct rules *r, unsigned char *fired);
/* For reading_only: an expression for each reading. */
int rules_make_alone(struct rules *r, struct err *e);
/* As reading_at, but by reading number i of the language's file alone. */
size_t reading_only(struct reading *z, int i, size_t at, struct words *w);
/* s by a format of the language's file, [say format]; false: there is none, or it does not fit. */
bool reading_say_format(const struct text_language *l, const char *format, const char *s,
                        struct words *w);
int reading_index(const struct reading *z);        /* of the last: number in lang->reading */
const char *reading_rule(const struct reading *z); /* and its name */

#endif
