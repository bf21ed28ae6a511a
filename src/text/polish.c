/* Polish.  ICU has no Polish ordinals, so they are made here; dates, years and hours are ordinals.
 */
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define MAX_WORD_BYTES 48 /* looked back for a word that is compared with some */
#define M              "%spellout-cardinal-masculine"
#define F              "%spellout-cardinal-feminine"
#define N              "%spellout-cardinal-neuter"

/* --- ordinals --- */

enum form { MASCULINE, FEMININE, NEUTER, GENITIVE, LOCATIVE, FEMININE_LOCATIVE };

/* Endings in the order of the forms; soft: after -g and -ci, where y is i. */
static void add_stem(struct words *w, const char *stem, enum form form)
{
    static const char *const hard[] = {"y", "a", "e", "ego", "ym", "ej"};
    static const char *const soft[] = {"i", "a", "ie", "iego", "im", "iej"};
    size_t n = strlen(stem);
    bool g = stem[n - 1] == 'g', ci = stem[n - 1] == 'c' && stem[n - 2] == 'e'; /* drug-, trzec- */
    words_add(w, stem);
    words_join(w, ci && form == FEMININE ? "ia" : g || ci ? soft[form] : hard[form]);
}

static const char *const units_stem[] = {
    "zerow",     "pierwsz",  "drug",     "trzec",      "czwart",    "piąt",        "szóst",
    "siódm",     "ósm",      "dziewiąt", "dziesiąt",   "jedenast",  "dwunast",     "trzynast",
    "czternast", "piętnast", "szesnast", "siedemnast", "osiemnast", "dziewiętnast"};
static const char *const tens_stem[] = {"",
                                        "",
                                        "dwudziest",
                                        "trzydziest",
                                        "czterdziest",
                                        "pięćdziesiąt",
                                        "sześćdziesiąt",
                                        "siedemdziesiąt",
                                        "osiemdziesiąt",
                                        "dziewięćdziesiąt"};
static const char *const hundreds_stem[] = {
    "",         "setn",      "dwusetn",    "trzechsetn", "czterechsetn",
    "pięćsetn", "sześćsetn", "siedemsetn", "osiemsetn",  "dziewięćsetn"};

/* 1984: tysiąc dziewięćset, then tens and ones as ordinals.  x from 0 to 9999. */
static void polish_say_ordinal(const struct text_language *l, int x, enum form form,
                               struct words *w)
{
    int low = x % 100, high = x - low, hundreds = high / 100 % 10;
    if (low) {
        if (high)
            language_say_int(l, high, NULL, w);
        if (low >= 20)
            add_stem(w, tens_stem[low / 10], form);
        if (low < 20 || low % 10)
            add_stem(w, units_stem[low < 20 ? low : low % 10], form);
    } else if (hundreds) {
        if (high >= 1000)
            language_say_int(l, high / 1000 * 1000, NULL, w);
        add_stem(w, hundreds_stem[hundreds], form);
    } else if (x) {
        static const char *const thousands[] = {"tysięczn", "dwutysięczn", "trzytysięczn",
                                                "czterotysięczn"};
        add_stem(w, thousands[x / 1000 < 5 ? x / 1000 - 1 : 0], form);
    } else {
        add_stem(w, units_stem[0], form);
    }
}

static void polish_say_date(const struct text_language *l, const struct language_date *d,
                            struct words *w)
{
    const char *genitive = l->months[d->month - 1],
               *nominative = genitive + strcspn(genitive, "|") + 1;
    if (d->day)
        polish_say_ordinal(l, d->day, GENITIVE, w);
    words_add_n(w, d->day ? genitive : nominative, strcspn(d->day ? genitive : nominative, "|"));
    if (d->year >= 0 && d->year < 5000)
        polish_say_ordinal(l, d->year, GENITIVE, w);
}

static void polish_say_clock(const struct text_language *l, const struct language_time *t,
                             enum form form, struct words *w)
{
    polish_say_ordinal(l, t->hour, form, w);
    if (t->minute > 0 || t->second > 0) {
        if (t->minute < 10)
            words_add(w, "zero");
        language_say_int(l, t->minute, NULL, w);
    }
    if (t->second > 0) {
        words_add(w, "i");
        language_say_int(l, t->second, F, w);
        const char *category = words_plural("pl", t->second);
        words_add(w, strcmp(category, "one") == 0   ? "sekunda"
                     : strcmp(category, "few") == 0 ? "sekundy"
                                                    : "sekund");
    }
}

static void polish_say_time(const struct text_language *l, const struct language_time *t,
                            struct words *w)
{
    polish_say_clock(l, t, FEMININE, w);
}

static size_t polish_word_before(const char *s, size_t at, size_t *len)
{
    size_t end = at, start;
    while (end && s[end - 1] == ' ')
        end--;
    for (start = end;
         start && end - start < MAX_WORD_BYTES && s[start - 1] != ' ' && s[start - 1] != '\n';
         start--)
        ;
    *len = end - start;
    return start;
}

/* o 14:30: o czternastej trzydzieści. */
static size_t polish_read_time(const struct text_language *l, const char *s, size_t n, size_t at,
                               size_t digits, struct words *w)
{
    struct language_time t = {.second = -1};
    size_t len, before = polish_word_before(s, at, &len), end = at + digits + 3;
    bool at_hour = language_is_one_of(s + before, len, "o|O|po|od|do|godzinie|przed");
    if (!at_hour || digits > 2 || at + digits >= n || s[at + digits] != ':' ||
        scan_digits(s, n, at + digits + 1) != 2 || scan_word_at(s, n, end) ||
        (end < n && s[end] == ':'))
        return 0;
    t.hour = (int)strtol(s + at, NULL, 10);
    t.minute = (int)strtol(s + at + digits + 1, NULL, 10);
    if (t.hour > 24 || t.minute > 59)
        return 0;
    polish_say_clock(l, &t, FEMININE_LOCATIVE, w);
    return end - at;
}

/* w 1984 roku, rok 1984, XX wiek, w XX wieku, 3. miejsce. */
static size_t polish_match(const struct text_language *l, const char *s, size_t n, size_t at,
                           struct words *w)
{
    static const struct {
        const char *word;
        enum form form;
    } cases[] = {{"rok", MASCULINE},
                 {"roku", LOCATIVE},
                 {"r.", GENITIVE},
                 {"wiek", MASCULINE},
                 {"wieku", LOCATIVE},
                 {"w.", LOCATIVE},
                 {0}};
    size_t len = scan_digits(s, n, at), before_len, before = polish_word_before(s, at, &before_len),
           used;
    if (scan_word_before(s, at))
        return 0;
    if (len && (used = polish_read_time(l, s, n, at, len, w)) > 0)
        return used;
    int x = len && len <= 4 ? (int)strtol(s + at, NULL, 10) : 0;
    bool digits = len > 0;
    if (!len)
        x = language_roman(s, n, at, true, &len);
    if (!x || x >= 5000)
        return 0;
    if (digits && len == 4 && language_is_one_of(s + before, before_len, "rok|Rok")) {
        polish_say_ordinal(l, x, MASCULINE, w);
        return len;
    }
    if (digits && len <= 2 && at + len + 2 < n && s[at + len] == '.' && s[at + len + 1] == ' ' &&
        scan_is_lower(s[at + len + 2])) {
        size_t word = scan_word(s, n, at + len + 2);
        const char *noun = s + at + len + 2;
        polish_say_ordinal(l, x,
                           language_ends(noun, word, "a|ść")    ? FEMININE
                           : language_ends(noun, word, "e|o|ę") ? NEUTER
                                                                : MASCULINE,
                           w);
        return len + 1;
    }
    if (at + len >= n || s[at + len] != ' ' || (digits && len < 3) ||
        (!digits && s[at + len + 1] != 'w')) /* "I rok" is "and a year" */
        return 0;
    size_t word = scan_word(s, n, at + len + 1);
    word += at + len + 1 + word < n && s[at + len + 1 + word] == '.' && word == 1;
    for (int i = 0; cases[i].word; i++)
        if (strlen(cases[i].word) == word && memcmp(s + at + len + 1, cases[i].word, word) == 0) {
            bool in = language_is_one_of(s + before, before_len, "w|W|we|po|o");
            enum form form = cases[i].form;
            polish_say_ordinal(l, x, form == MASCULINE ? form : in ? LOCATIVE : GENITIVE, w);
            return len;
        }
    return 0;
}

static const char *polish_noun_rules(const struct language_number *x, const char *word, size_t n)
{
    if (strcmp(x->digits, "1") == 0)
        return n < 3                                ? M
               : language_ends(word, n, "a|ść|noc") ? F
               : language_ends(word, n, "o|e|ę|um") ? N
                                                    : M;
    size_t len = strlen(x->digits);
    bool two = len && x->digits[len - 1] == '2' && !(len > 1 && x->digits[len - 2] == '1');
    if (two &&
        language_is_one_of(word, n,
                           "godziny|minuty|sekundy|osoby|kobiety|strony|książki|ulice|sztuki|"
                           "córki|siostry|szkoły|firmy|drogi|noce|części|ręce|nogi|łyżki|"
                           "szklanki|butelki|kawy|herbaty|gwiazdki|grupy|wersje|opcje"))
        return F;
    return NULL;
}

const struct language_hooks language_hooks_pl = {
    .code = "pl",
    .match = polish_match,
    .noun_rules = polish_noun_rules,
    .say_date = polish_say_date,
    .say_time = polish_say_time,
};
