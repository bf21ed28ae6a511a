/* German. */
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define M "%spellout-cardinal-masculine" /* and neuter: ein Meter, ein Pfund */
#define F "%spellout-cardinal-feminine"

static bool in_list(const char *const *list, const char *s, size_t n)
{
    for (; *list; list++)
        if (strlen(*list) == n && scan_match(s, n, 0, *list, true))
            return true;
    return false;
}

/* am 3. März: am dritten; der 3. März: der dritte; 3. März: dritter. */
static const char *ordinal_after(const char *s, size_t at)
{
    static const char *const weak[] = {
        "am",  "vom",   "zum",   "dem",   "den",   "des",   "im",     "beim",   "bis", "ab", "seit",
        "zur", "einem", "einen", "einer", "jedem", "jeden", "diesem", "diesen", "und", NULL};
    static const char *const bare[] = {"der", "die", "das", "jede", "diese", "dieser", NULL};
    size_t end = at;
    while (end && s[end - 1] == ' ')
        end--;
    size_t start = end;
    while (start && scan_is_alpha(s[start - 1]))
        start--;
    if (in_list(weak, s + start, end - start))
        return "%spellout-ordinal-n";
    return in_list(bare, s + start, end - start) ? "%spellout-ordinal" : NULL;
}

static const char *german_noun_rules(const struct language_number *x, const char *word, size_t n)
{
    if (strcmp(x->digits, "1") != 0 || x->fraction[0])
        return NULL;
    if (!scan_is_upper(word[0]) && (unsigned char)word[0] != 0xc3) /* und, oder: no noun */
        return NULL;
    bool feminine = language_ends(word, n,
                                  "ung|heit|keit|schaft|ion|tät|in|ei|e|Frau|Woche|Uhrzeit|"
                                  "Stadt|Hand|Nacht|Person|Mal") &&
                    !language_ends(word, n,
                                   "Mal|Ende|Auge|Name|Junge|Kunde|Käse|Gebäude|Interesse|"
                                   "Kollege|Termin|Verein|Wein|Bein|Stein|Schein|Schwein");
    return feminine ? F : M;
}

/* 15.08.: a day without a year. */
static size_t read_day(const struct text_language *l, const char *s, size_t n, size_t at,
                       struct words *w)
{
    size_t day = scan_digits(s, n, at), month = at + day + 1, len = scan_digits(s, n, month);
    if (day < 1 || day > 2 || len < 1 || len > 2 || month + len >= n || s[month - 1] != '.' ||
        s[month + len] != '.' || scan_word_at(s, n, month + len + 1) || scan_word_before(s, at))
        return 0;
    struct language_date d = {.year = -1,
                              .month = (int)strtol(s + month, NULL, 10),
                              .day = (int)strtol(s + at, NULL, 10),
                              .day_rules = ordinal_after(s, at)};
    if (d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31)
        return 0;
    language_say_date(l, &d, w);
    if (month + len + 1 >= n)
        words_join(w, "."); /* the sentence's, too */
    return month + len + 1 - at;
}

/* "der 3. Mann": the period after a number makes it an ordinal where an article is before it and a
 * word behind. */
static size_t german_match(const struct text_language *l, const char *s, size_t n, size_t at,
                           struct words *w)
{
    size_t digits = scan_digits(s, n, at), day = digits ? read_day(l, s, n, at, w) : 0;
    if (day)
        return day;
    if (digits == 0 || digits > 3 || scan_word_before(s, at) || at + digits + 2 >= n ||
        s[at + digits] != '.' || s[at + digits + 1] != ' ' || !scan_letter(s, n, at + digits + 2))
        return 0;
    for (const char *const *m = l->months; *m; m++) /* dates are read elsewhere */
        if (scan_match(s, n, at + digits + 2, (char[4]){(*m)[0], (*m)[1], (*m)[2], 0}, false))
            return 0;
    const char *rules = ordinal_after(s, at);
    if (!rules)
        return 0;
    char number[4] = "";
    memcpy(number, s + at, digits);
    words_number(w, l->locale, rules, number);
    return digits + 1;
}

const struct language_hooks language_hooks_de = {
    .code = "de",
    .noun_rules = german_noun_rules,
    .match = german_match,
    .day_rules_after = ordinal_after,
};
