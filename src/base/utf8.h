/* utf8.h - checks of UTF-8.  Threads: any. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H
#include <stddef.h>

/* Bytes of the character at s (n left): 1 to 4; 0: none begins here.  Neither overlong forms nor
 * surrogates are characters (Unicode 15, table 3-7). */
size_t utf8_length(const unsigned char *s, size_t n);
/* Offset of the first byte that is not UTF-8; n when all is well. */
size_t utf8_check(const char *text, size_t n);

#endif
