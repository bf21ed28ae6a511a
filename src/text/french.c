/* French. */
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define F "%spellout-cardinal-feminine"

static void french_say_time(const struct text_language *l, const struct language_time *t,
                            struct words *w)
{
    language_say_int(l, t->hour, F, w);
    words_add(w, t->hour < 2 ? "heure" : "heures");
    if (t->minute > 0 || t->second > 0)
        language_say_int(l, t->minute, F, w);
    if (t->second > 0) {
        words_add(w, t->minute == 1 ? "minute et" : "minutes et");
        language_say_int(l, t->second, F, w);
        words_add(w, t->second == 1 ? "seconde" : "secondes");
    }
}

/* XXe siècle, Louis XIV, François Ier. */
static size_t french_read_roman(const struct text_language *l, const char *s, size_t n, size_t at,
                                struct words *w)
{
    size_t len, space = at;
    int x = language_roman(s, n, at, true, &len);
    if (!x || x > 39 || strchr("LCDM", s[at]))
        return 0; /* Le, Me, De ... are words */
    static const char *const suffixes[] = {"ème", "er", "e", NULL};
    for (const char *const *suffix = suffixes; *suffix; suffix++) {
        size_t more = scan_match(s, n, at + len, *suffix, false);
        if (more && !scan_word_at(s, n, at + len + more)) {
            language_say_int(l, x, "%spellout-ordinal-masculine", w);
            return len + more;
        }
    }
    if (len < 2 || at < 2 || s[at - 1] != ' ' || scan_word_at(s, n, at + len))
        return 0;
    for (space = at - 1; space > 0 && s[space - 1] != ' ' && s[space - 1] != '\n'; space--)
        ;
    if (!scan_capital_at(s, n, space))
        return 0;
    language_say_int(l, x, NULL, w);
    return len;
}

/* 14h30, 14 h 30, 8h: as times are written in French. */
static size_t french_match(const struct text_language *l, const char *s, size_t n, size_t at,
                           struct words *w)
{
    size_t digits = scan_digits(s, n, at), end = at + digits;
    struct language_time t = {.second = -1};
    if (digits == 0)
        return french_read_roman(l, s, n, at, w);
    if (digits < 1 || digits > 2 || scan_word_before(s, at))
        return 0;
    end += scan_spaces(s, n, end) == 1;
    if (end >= n || s[end] != 'h' || scan_letter(s, n, end + 1))
        return 0;
    t.hour = (int)strtol(s + at, NULL, 10);
    size_t minutes = end + 1 + (scan_spaces(s, n, end + 1) == 1);
    if (scan_digits(s, n, minutes) == 2 && !scan_word_at(s, n, minutes + 2)) {
        t.minute = (int)strtol(s + minutes, NULL, 10);
        end = minutes + 2;
    } else {
        end++;
    }
    if (t.hour > 24 || t.minute > 59)
        return 0;
    french_say_time(l, &t, w);
    return end - at;
}

const struct language_hooks language_hooks_fr = {
    .code = "fr",
    .match = french_match,
    .say_time = french_say_time,
};
