/* normalize.h - numbers, dates, money, abbreviations, addresses and symbols, as words.
 *
 *     mapped_init(&out, LIMIT_NORMALIZED_BYTES);
 *     normalize(text, n, language_find("en"), &out);      failure: out.rc
 *
 * text is what cleaning left.  Private-use characters (U+E000 to U+F8FF), which cleaning lets
 * nobody send, are passed through and nothing is read across them: later stages may use them as
 * marks. Threads: any. */
#ifndef TEXT_NORMALIZE_H
#define TEXT_NORMALIZE_H
#include <stddef.h>
#include "text/language.h"
#include "text/mapped.h"

void normalize(const char *s, size_t n, const struct text_language *l, struct mapped *out);

/* The same for a part of a text that a rule found in it: depth levels down. */
void normalize_within(const char *s, size_t n, const struct text_language *l, int depth,
                      struct mapped *out);

/* The same, telling of each thing that was read. */
struct normalize_event {
    const char *rule; /* "built-in" when none of the file's did */
    int reading;      /* its number in the file, -1 */
    size_t at, len;
    const char *said;
};
struct normalize_trace {
    void (*tell)(void *cookie, const struct normalize_event *event);
    void *cookie;
};
void normalize_traced(const char *s, size_t n, const struct text_language *l,
                      const struct normalize_trace *t, struct mapped *out);

/* numbers.c, for normalize.c: what starts with a digit, a sign, a currency or a month.  Bytes read,
 * 0: nothing here. */
size_t numbers_read(const struct text_language *l, const char *s, size_t n, size_t at,
                    struct words *w);
/* addresses.c: e-mail, URLs, file names, #tags and @names. */
size_t addresses_read(const struct text_language *l, const char *s, size_t n, size_t at,
                      struct words *w);

#endif
