/* English: what its rules do not read yet. */
#include "text/english.h"

#include "text/scan.h"

struct text_language language_en;

size_t english_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t used = scan_is_digit(s[at]) ? english_number(s, n, at, w) : english_word(s, n, at, w);
    return used || scan_is_digit(s[at]) || scan_is_alpha(s[at]) ? used
                                                                : english_number(s, n, at, w);
}
