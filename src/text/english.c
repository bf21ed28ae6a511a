/* English: what its rules do not read yet. */
#include "text/english.h"

#include "text/scan.h"

struct text_language language_en;

static size_t english_match(const struct text_language *l, const char *s, size_t n, size_t at,
                            struct words *w)
{
    (void)l;
    size_t used = scan_is_digit(s[at]) ? english_number(s, n, at, w) : english_word(s, n, at, w);
    return used || scan_is_digit(s[at]) || scan_is_alpha(s[at]) ? used
                                                                : english_number(s, n, at, w);
}

const struct language_hooks language_hooks_en = {
    .code = "en",
    .match = english_match,
    .say_date = english_say_date,
    .say_time = english_say_time,
};
