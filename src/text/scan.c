#include "text/scan.h"

#include <string.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

int32_t scan_char_all(const char *s, size_t n, size_t at, size_t *len)
{
    UChar32 c = 0;
    *len = 0;
    if (at >= n)
        return 0;
    int32_t i = 0, left = n - at < 4 ? (int32_t)(n - at) : 4;
    U8_NEXT_OR_FFFD((const uint8_t *)s + at, i, left, c);
    *len = (size_t)i;
    return c;
}

int32_t scan_char_before(const char *s, size_t at)
{
    if (at == 0)
        return 0;
    const uint8_t *from = (const uint8_t *)s + (at < 4 ? 0 : at - 4);
    int32_t i = (int32_t)((const uint8_t *)s + at - from);
    UChar32 c;
    U8_PREV_OR_FFFD(from, 0, i, c);
    return c;
}

size_t scan_letter(const char *s, size_t n, size_t at)
{
    size_t len;
    if (at >= n)
        return 0;
    if ((unsigned char)s[at] < 0x80)
        return scan_is_alpha(s[at]);
    return u_isalpha(scan_char(s, n, at, &len)) ? len : 0;
}

/* A vowel sign behind its consonant is a letter, too: रु. */
bool scan_letter_before(const char *s, size_t at)
{
    return at > 0 && ((unsigned char)s[at - 1] < 0x80 ? scan_is_alpha(s[at - 1])
                                                      : u_isUAlphabetic(scan_char_before(s, at)));
}

bool scan_word_before(const char *s, size_t at)
{
    return at > 0 && ((unsigned char)s[at - 1] < 0x80 ? scan_is_alnum(s[at - 1])
                                                      : u_isalnum(scan_char_before(s, at)));
}

bool scan_word_at(const char *s, size_t n, size_t at)
{
    size_t len;
    if (at >= n)
        return false;
    return (unsigned char)s[at] < 0x80 ? scan_is_alnum(s[at])
                                       : u_isalnum(scan_char(s, n, at, &len));
}

bool scan_capital_at(const char *s, size_t n, size_t at)
{
    size_t len;
    if (at >= n)
        return false;
    return (unsigned char)s[at] < 0x80 ? scan_is_upper(s[at])
                                       : u_isupper(scan_char(s, n, at, &len));
}

bool scan_lower(const char *s, size_t n, char *to, size_t room)
{
    size_t used = 0;
    for (size_t at = 0, len; at < n; at += len) {
        if (used + 4 >= room)
            return false;
        if ((unsigned char)s[at] < 0x80) {
            to[used++] = (char)(scan_is_upper(s[at]) ? s[at] | 32 : s[at]);
            len = 1;
        } else {
            UChar32 c = u_tolower(scan_char(s, n, at, &len));
            U8_APPEND_UNSAFE(to, used, c);
        }
    }
    to[used] = 0;
    return true;
}

size_t scan_digits(const char *s, size_t n, size_t at)
{
    size_t end = at;
    while (end < n && scan_is_digit(s[end]))
        end++;
    return end - at;
}

size_t scan_spaces(const char *s, size_t n, size_t at)
{
    size_t end = at;
    while (end < n && s[end] == ' ')
        end++;
    return end - at;
}

size_t scan_word(const char *s, size_t n, size_t at)
{
    size_t end = at, len;
    for (;;) {
        while (end < n && scan_is_alpha(s[end]))
            end++;
        if (end >= n)
            break;
        int32_t c = scan_char(s, n, end, &len);
        if (c >= 0x80 ? u_isalpha(c) || u_charType(c) == U_NON_SPACING_MARK ||
                            u_charType(c) == U_COMBINING_SPACING_MARK
                      : c == '\'' && end > at && scan_letter(s, n, end + 1))
            end += len;
        else
            break;
    }
    return end - at;
}

size_t scan_match_all(const char *s, size_t n, size_t at, const char *prefix, bool fold)
{
    size_t i = 0;
    for (; prefix[i]; i++) {
        if (at + i >= n)
            return 0;
        char a = s[at + i], b = prefix[i];
        if (a != b && !(fold && scan_is_alpha(a) && scan_is_alpha(b) && (a | 32) == (b | 32)))
            return 0;
    }
    return i;
}

size_t scan_dash(const char *s, size_t n, size_t at)
{
    size_t len;
    switch (scan_char(s, n, at, &len)) {
    case '-':
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2212:
        return len;
    default:
        return 0;
    }
}
