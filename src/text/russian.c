/* Russian.  Nouns after numbers agree with them; the case that a sentence asks of both is known for
 * years, centuries and days only, elsewhere it is the nominative. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define FORMS(one, few, many)                                                                      \
    {                                                                                              \
        few, one, few, many, 0                                                                     \
    }
#define MAX_WORD_BYTES 48 /* looked back for a word that is compared with some */
#define M              "%spellout-cardinal-masculine"
#define F              "%spellout-cardinal-feminine"
#define N              "%spellout-cardinal-neuter"

static void russian_say(const struct text_language *l, const char *digits, const char *rules,
                        struct words *w)
{
    /* ICU cannot make an ordinal of 2000 */
    static const struct {
        const char *rules, *said;
    } two_thousand[] = {{"%spellout-ordinal-masculine", "двухтысячный"},
                        {"%spellout-ordinal-masculine-genitive", "двухтысячного"},
                        {"%spellout-ordinal-masculine-locative", "двухтысячном"},
                        {"%spellout-ordinal-masculine-dative", "двухтысячному"},
                        {"%spellout-ordinal-masculine-ablative", "двухтысячным"},
                        {0}};
    for (int i = 0; strcmp(digits, "2000") == 0 && two_thousand[i].rules; i++)
        if (strcmp(rules, two_thousand[i].rules) == 0) {
            words_add(w, two_thousand[i].said);
            return;
        }
    words_number(w, l->locale, rules, digits);
}

static void russian_say_int(const struct text_language *l, int x, const char *rules,
                            struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    russian_say(l, digits, rules, w);
}

/* 1,05: одна целая пять сотых.  ICU's own rules for decimals say "одна целый" in some versions. */
static bool russian_say_decimal(const struct text_language *l, const struct language_number *x,
                                struct words *w)
{
    static const struct language_forms wholes = FORMS("целая", "целых", "целых"),
                                       parts[] = {FORMS("десятая", "десятых", "десятых"),
                                                  FORMS("сотая", "сотых", "сотых"),
                                                  FORMS("тысячная", "тысячных", "тысячных")};
    struct language_number whole = *x, part = {0};
    size_t n = strlen(x->fraction), zeros = strspn(x->fraction, "0");
    if (n > sizeof parts / sizeof *parts)
        return false;
    whole.fraction[0] = 0;
    memcpy(part.digits, x->fraction + (zeros < n ? zeros : n - 1), n - (zeros < n ? zeros : n - 1));
    words_number(w, l->locale, F, whole.digits[0] ? whole.digits : "0");
    words_add(w, language_form(l, &wholes, &whole));
    words_number(w, l->locale, F, part.digits);
    words_add(w, language_form(l, &parts[n - 1], &part));
    return true;
}

static void russian_say_date(const struct text_language *l, const struct language_date *d,
                             struct words *w)
{
    if (d->day)
        russian_say_int(l, d->day,
                        d->day_rules ? d->day_rules : "%spellout-ordinal-neuter-genitive", w);
    if (d->day)
        words_add_n(w, l->months[d->month - 1], strcspn(l->months[d->month - 1], "|"));
    else
        words_add_n(
            w, l->months[d->month - 1] + strcspn(l->months[d->month - 1], "|") + 1,
            strcspn(l->months[d->month - 1] + strcspn(l->months[d->month - 1], "|") + 1, "|"));
    if (d->year >= 0)
        russian_say_int(l, d->year, "%spellout-ordinal-masculine-genitive", w);
}

static void russian_say_time(const struct text_language *l, const struct language_time *t,
                             struct words *w)
{
    static const struct language_forms hours = FORMS("час", "часа", "часов"),
                                       minutes = FORMS("минута", "минуты", "минут"),
                                       seconds = FORMS("секунда", "секунды", "секунд");
    const struct {
        int x;
        const struct language_forms *f;
        const char *rules;
    } part[] = {{t->hour, &hours, M}, {t->minute, &minutes, F}, {t->second, &seconds, F}};
    for (int i = 0; i < 3; i++) {
        if (i && part[i].x <= 0 && !(i == 1 && t->second > 0))
            continue;
        const char *category = words_plural("ru", part[i].x);
        russian_say_int(l, part[i].x, part[i].rules, w);
        words_add(w, *category == 'o' && category[1] == 'n' ? part[i].f->one
                     : *category == 'f'                     ? part[i].f->few
                                                            : part[i].f->many);
    }
}

/* The word before s[at], without the space between. */
static size_t russian_word_before(const char *s, size_t at, size_t *len)
{
    size_t end = at, start;
    while (end && s[end - 1] == ' ')
        end--;
    for (start = end; start && end - start < MAX_WORD_BYTES && s[start - 1] != ' ' &&
                      s[start - 1] != '\n' && s[start - 1] != '(';
         start--)
        ;
    *len = end - start;
    return start;
}

/* родился 3 марта: третьего; сегодня 3 марта: третье; к 3 марта: третьему. */
static const char *day_rules_after(const char *s, size_t at)
{
    size_t len, start = russian_word_before(s, at, &len);
    if (language_is_one_of(s + start, len,
                           "сегодня|Сегодня|завтра|Завтра|вчера|на|по|это|было|наступило"))
        return "%spellout-ordinal-neuter";
    if (language_is_one_of(s + start, len, "к|ко|К"))
        return "%spellout-ordinal-neuter-dative";
    return "%spellout-ordinal-neuter-genitive";
}

static const struct {
    const char *word, *rules;
} cases[] = {{"год", "%spellout-ordinal-masculine"},
             {"году", "%spellout-ordinal-masculine-locative"},
             {"года", "%spellout-ordinal-masculine-genitive"},
             {"годом", "%spellout-ordinal-masculine-ablative"},
             {"век", "%spellout-ordinal-masculine"},
             {"веке", "%spellout-ordinal-masculine-locative"},
             {"века", "%spellout-ordinal-masculine-genitive"},
             {"веком", "%spellout-ordinal-masculine-ablative"},
             {"г.", "%spellout-ordinal-masculine-genitive"},
             {0}};

/* 1984 год, в 1984 году, XX век, в XX веке: ordinals in the case of the word behind. */
static size_t russian_match(const struct text_language *l, const char *s, size_t n, size_t at,
                            struct words *w)
{
    size_t len = scan_digits(s, n, at), before_len;
    char digits[12] = "";
    int x = len == 4 && !scan_word_before(s, at) ? (int)strtol(s + at, NULL, 10) : 0;
    if (len == 0)
        x = language_roman(s, n, at, true, &len);
    if (!x || at + len >= n || s[at + len] != ' ')
        return 0;
    size_t word = scan_word(s, n, at + len + 1), before = russian_word_before(s, at, &before_len);
    word += at + len + 1 + word < n && s[at + len + 1 + word] == '.' && word == 2;
    snprintf(digits, sizeof digits, "%d", x);
    for (int i = 0; cases[i].word; i++) {
        if (strlen(cases[i].word) != word || memcmp(s + at + len + 1, cases[i].word, word) != 0)
            continue;
        bool to = i == 1 && language_is_one_of(s + before, before_len, "к|К");
        bool in = word == 3 && language_is_one_of(s + before, before_len, "в|В|во");
        russian_say(l, digits,
                    to   ? "%spellout-ordinal-masculine-dative"
                    : in ? cases[1].rules
                         : cases[i].rules,
                    w);
        return len;
    }
    return 0;
}

/* 1 машина: одна; 2 машины: две; after two to four a noun in -ы, -и is feminine, one in -а, -я not.
 */
static const char *russian_noun_rules(const struct language_number *x, const char *word, size_t n)
{
    size_t len = strlen(x->digits);
    char last = len ? x->digits[len - 1] : 0;
    if (x->fraction[0] || (len > 1 && x->digits[len - 2] == '1'))
        return NULL;
    if (last == '1')
        return language_ends(word, n, "а|я|ть|чь|шь") && n > 3 ? F
               : language_ends(word, n, "о|е")                 ? N
                                                               : M;
    if (last == '2')
        return language_ends(word, n, "ы|и") && n > 3 ? F : M;
    return NULL;
}

const struct language_hooks language_hooks_ru = {
    .code = "ru",
    .match = russian_match,
    .noun_rules = russian_noun_rules,
    .day_rules_after = day_rules_after,
    .say_decimal = russian_say_decimal,
    .say_date = russian_say_date,
    .say_time = russian_say_time,
};
