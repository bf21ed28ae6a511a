/* Japanese. */
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

static void japanese_say_time(const struct text_language *l, const struct language_time *t,
                              struct words *w)
{
    language_say_int(l, t->hour, NULL, w);
    words_add(w, "時");
    if (t->minute > 0 || t->second > 0) {
        language_say_int(l, t->minute, NULL, w);
        words_add(w, "分");
    }
    if (t->second > 0) {
        language_say_int(l, t->second, NULL, w);
        words_add(w, "秒");
    }
}

static void japanese_say_date(const struct text_language *l, const struct language_date *d,
                              struct words *w)
{
    if (d->year >= 0) {
        language_say_int(l, d->year, NULL, w);
        words_add(w, "年");
    }
    language_say_int(l, d->month, NULL, w);
    words_add(w, "月");
    if (d->day) {
        language_say_int(l, d->day, NULL, w);
        words_add(w, "日");
    }
}

/* 120 km/h: 時速百二十キロ. */
static size_t japanese_match(const struct text_language *l, const char *s, size_t n, size_t at,
                             struct words *w)
{
    struct language_number x = {0};
    if (!at || !(scan_is_digit(s[at - 1]) || s[at - 1] == '.'))
        x = language_number_at(l, s, n, at, false);
    size_t end = at + x.len, spaces = scan_spaces(s, n, end) == 1;
    size_t len = x.len ? scan_match(s, n, end + spaces, "km/h", false) : 0;
    if (!len)
        return 0;
    words_add(w, "時速");
    language_say_number(l, &x, NULL, w);
    words_add(w, "キロ");
    return x.len + spaces + len;
}

const struct language_hooks language_hooks_ja = {
    .code = "ja",
    .match = japanese_match,
    .say_date = japanese_say_date,
    .say_time = japanese_say_time,
};
