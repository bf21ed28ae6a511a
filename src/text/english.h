/* english.h - the files of English among themselves.
 *
 *     english.c            which is asked where
 *     english_words.c      St. and Dr.; capitals, mixed words, file names, Roman numerals
 *     english_numbers.c    money and amounts
 *
 * Readers are given the text and a place, add what is said to w, and return the bytes they took, 0
 * for "not mine". */
#ifndef TEXT_ENGLISH_H
#define TEXT_ENGLISH_H
#include "text/language.h"

extern struct text_language language_en; /* of share/lang/en.lang */
extern const struct language_hooks language_hooks_en;

size_t english_number(const char *s, size_t n, size_t at, struct words *w);
size_t english_money(const char *s, size_t n, size_t at, struct words *w);
size_t english_word(const char *s, size_t n, size_t at, struct words *w);

void english_say_date(const struct text_language *l, const struct language_date *d,
                      struct words *w);
void english_say_time(const struct text_language *l, const struct language_time *t,
                      struct words *w);
void english_say_int(long x, struct words *w); /* a cardinal */
void english_say_ordinal(long x, struct words *w);
void english_say_year(int year, struct words *w);                     /* nineteen oh five */
void english_say_code(const char *digits, size_t n, struct words *w); /* room 305: three oh five */
void english_say_digits(const char *digits, size_t n, struct words *w);
void english_spell(const char *s, size_t n, struct words *w); /* letter by letter */

/* The word before at in lower case, and where it starts; "" when a line or text starts there.
 * Spaces and one period are skipped. */
struct english_context {
    char word[24];
    size_t start;
    bool capital;
};
struct english_context english_before(const char *s, size_t at);
/* The word at s[at], after spaces, in lower case. */
struct english_context english_after(const char *s, size_t n, size_t at);
bool english_is(const char *word, const char *list); /* is word one of "a|b|c"? */

#endif
