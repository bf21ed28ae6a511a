/* Portuguese: what Brazil and Portugal say alike, and Brazil's words where they differ. */
#include <stdlib.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define M "%spellout-cardinal-masculine"
#define F "%spellout-cardinal-feminine"

static void portuguese_say_time(const struct text_language *l, const struct language_time *t,
                                struct words *w)
{
    language_say_int(l, t->hour, F, w);
    words_add(w, t->hour < 2 ? "hora" : "horas");
    if (t->minute > 0 || t->second > 0) {
        words_add(w, "e");
        language_say_int(l, t->minute, M, w);
    }
    if (t->second > 0) {
        words_add(w, "minutos e");
        language_say_int(l, t->second, M, w);
        words_add(w, t->second == 1 ? "segundo" : "segundos");
    }
}

static const char *portuguese_noun_rules(const struct language_number *x, const char *word,
                                         size_t n)
{
    (void)x;
    if (language_is_one_of(word, n,
                           "e|ou|a|de|em|por|com|que|é|são|para|do|da|ao|à|mais|menos|até|mas|"
                           "se|não"))
        return NULL;
    bool feminine = language_ends(word, n,
                                  "a|as|ção|ções|são|sões|dade|dades|vez|vezes|mulheres|mulher|"
                                  "noites|noite|tardes|tarde|partes|parte") &&
                    !language_ends(word, n,
                                   "dia|dias|problema|problemas|sistema|sistemas|programa|"
                                   "programas|mapa|mapas|tema|temas|idioma|idiomas|planeta|"
                                   "planetas|grama|gramas|poema|poemas");
    return feminine ? F : M;
}

/* século XX, Pedro II: first to tenth for people, else the number. */
static size_t portuguese_read_roman(const struct text_language *l, const char *s, size_t n,
                                    size_t at, struct words *w)
{
    size_t len, start = at;
    int x = at > 1 && s[at - 1] == ' ' ? language_roman(s, n, at, true, &len) : 0;
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    for (start = at - 1; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool century = language_is_one_of(s + start, at - 1 - start, "século|Século|séculos");
    if (!century && (len < 2 || x > 30 || !scan_capital_at(s, n, start)))
        return 0;
    language_say_int(l, x, x <= 10 ? "%spellout-ordinal-masculine" : NULL, w);
    return len;
}

/* 14h30, 14h: as times are written. */
static size_t portuguese_match(const struct text_language *l, const char *s, size_t n, size_t at,
                               struct words *w)
{
    size_t digits = scan_digits(s, n, at), end = at + digits;
    struct language_time t = {.second = -1};
    if (digits == 0)
        return portuguese_read_roman(l, s, n, at, w);
    if (digits < 1 || digits > 2 || scan_word_before(s, at) || end >= n || s[end] != 'h' ||
        scan_letter(s, n, end + 1))
        return 0;
    end++;
    t.hour = (int)strtol(s + at, NULL, 10);
    if (scan_digits(s, n, end) == 2 && !scan_word_at(s, n, end + 2)) {
        t.minute = (int)strtol(s + end, NULL, 10);
        end += 2;
        end += scan_match(s, n, end, "min", false);
    }
    if (t.hour > 24 || t.minute > 59 || scan_word_at(s, n, end))
        return 0;
    portuguese_say_time(l, &t, w);
    return end - at;
}

const struct language_hooks language_hooks_pt = {
    .code = "pt",
    .say_time = portuguese_say_time,
    .match = portuguese_match,
    .noun_rules = portuguese_noun_rules,
};
