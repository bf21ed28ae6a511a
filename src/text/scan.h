/* scan.h - small questions about UTF-8 text that is known to be valid.  Threads: any. */
#ifndef TEXT_SCAN_H
#define TEXT_SCAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool scan_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool scan_is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static inline bool scan_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static inline bool scan_is_alpha(char c)
{
    return scan_is_lower(c) || scan_is_upper(c);
}
static inline bool scan_is_alnum(char c)
{
    return scan_is_alpha(c) || scan_is_digit(c);
}

int32_t scan_char_all(const char *s, size_t n, size_t at, size_t *len);
/* The character at s[at] and its length; 0 at the end. */
static inline int32_t scan_char(const char *s, size_t n, size_t at, size_t *len)
{
    if (at >= n || (unsigned char)s[at] >= 0x80)
        return scan_char_all(s, n, at, len);
    *len = 1;
    return s[at];
}
int32_t scan_char_before(const char *s, size_t at);     /* 0 at the start */
size_t scan_letter(const char *s, size_t n, size_t at); /* length of the letter at s[at], or 0 */
bool scan_letter_before(const char *s, size_t at);
bool scan_word_before(const char *s, size_t at);          /* letter or digit */
bool scan_word_at(const char *s, size_t n, size_t at);    /* letter or digit */
bool scan_capital_at(const char *s, size_t n, size_t at); /* a capital letter */
/* s in small letters, ended by a zero; false: more than room - 4 bytes. */
bool scan_lower(const char *s, size_t n, char *to, size_t room);
size_t scan_digits(const char *s, size_t n, size_t at); /* how many ASCII digits */
size_t scan_spaces(const char *s, size_t n, size_t at); /* how many ASCII spaces */
size_t scan_word(const char *s, size_t n, size_t at);   /* bytes of letters, marks and ' inside */
size_t scan_match_all(const char *s, size_t n, size_t at, const char *prefix, bool fold);
/* Length of prefix if s[at..] starts with it, else 0.  fold: ASCII letters in either case.  Most
 * calls, over the rows of a table, end with the first byte. */
static inline size_t scan_match(const char *s, size_t n, size_t at, const char *prefix, bool fold)
{
    if (at >= n || (s[at] != prefix[0] && !(fold && ((s[at] ^ prefix[0]) & 0xdf) == 0)))
        return 0;
    return scan_match_all(s, n, at, prefix, fold);
}
/* -, non-breaking hyphen, figure, en and em dash, minus: its length, or 0. */
size_t scan_dash(const char *s, size_t n, size_t at);

#endif
