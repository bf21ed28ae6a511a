/* script.h - the language of a text by its letters.
 *
 * Only what letters tell: Russian from English, not English from German.  Latin letters, and none
 * at all, are NULL: whatever language is expected.  Threads: any. */
#ifndef TEXT_SCRIPT_H
#define TEXT_SCRIPT_H
#include <stddef.h>

/* The language, as espeak-ng names it, of most letters in s[0..n). */
const char *script_language(const char *s, size_t n);

/* End of the longest run of sentences from s[at] on that have one language; *language is that. */
size_t script_run(const char *s, size_t n, size_t at, const char **language);

#endif
