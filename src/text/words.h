/* words.h - spoken words, collected with the spaces between them, and numbers spelled by ICU.
 *
 *     words_init(&w, unspaced);
 *     words_add(&w, "minus");
 *     words_number(&w, "de", "%spellout-cardinal-feminine", "21");
 *     puts(buf_str(&w.text));                     minus einundzwanzig
 *     if (w.rc < 0) ...                           the first failure; later calls did nothing
 *     words_done(&w);
 *
 * Threads: one at a time for a struct words; ICU's spellers are shared behind a lock. */
#ifndef TEXT_WORDS_H
#define TEXT_WORDS_H
#include <stdbool.h>
#include "base/buf.h"

struct words {
    struct buf text;
    bool unspaced;
    int rc;
};

void words_init(struct words *w, bool unspaced);
void words_done(struct words *w);
void words_clear(struct words *w);
void words_back(struct words *w, size_t len);   /* forget what is beyond the first len bytes */
void words_add(struct words *w, const char *s); /* with a space before it; NULL or "": nothing */
void words_add_n(struct words *w, const char *s, size_t n);
void words_join(struct words *w, const char *s); /* without the space: commas, endings */
/* digits: "-12" or "3.5" with a point.  rules NULL: the locale's cardinal.  More than 18 digits are
 * beyond ICU's rules: then words are the digits' names. */
void words_number(struct words *w, const char *locale, const char *rules, const char *digits);
/* ICU's plural category of a number for a locale: "one", "few", ... */
const char *words_plural(const char *locale, double x);

#endif
