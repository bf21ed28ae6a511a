/* Spanish. */

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define M "%spellout-cardinal-masculine"
#define F "%spellout-cardinal-feminine"

/* 14:30: las catorce treinta, without its article, which the text has; 9:00: nueve. */
static void spanish_say_time(const struct text_language *l, const struct language_time *t,
                             struct words *w)
{
    language_say_int(l, t->hour, F, w);
    if (t->minute == 0 && t->second <= 0) {
        words_add(w, t->hour == 1 ? "" : t->hour > 12 || t->hour == 0 ? "horas" : "en punto");
        return;
    }
    words_add(w, "y");
    language_say_int(l, t->minute, NULL, w);
    if (t->second > 0) {
        words_add(w, "con");
        language_say_int(l, t->second, M, w);
        words_add(w, t->second == 1 ? "segundo" : "segundos");
    }
}

static const char *spanish_noun_rules(const struct language_number *x, const char *word, size_t n)
{
    (void)x;
    if (language_is_one_of(word, n,
                           "y|e|o|u|a|de|en|por|con|que|es|son|para|del|al|como|más|menos|"
                           "entre|hasta|pero|si|no|se|lo|la|el"))
        return NULL;
    bool feminine = language_ends(word, n,
                                  "a|as|ción|ciones|sión|siones|dad|dades|tud|tudes|veces|vez|"
                                  "mujeres|noches|noche|calles|calle|tardes|partes|parte") &&
                    !language_ends(word, n,
                                   "día|días|problema|problemas|sistema|sistemas|programa|"
                                   "programas|mapa|mapas|tema|temas|idioma|idiomas|planeta|"
                                   "planetas|metro|gramas|poemas|climas");
    return feminine ? F : M;
}

/* siglo XX, Felipe II: first to tenth for people, else the number. */
static size_t spanish_match(const struct text_language *l, const char *s, size_t n, size_t at,
                            struct words *w)
{
    size_t len, start = at;
    int x = at > 1 && s[at - 1] == ' ' ? language_roman(s, n, at, true, &len) : 0;
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    for (start = at - 1; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool century = language_is_one_of(s + start, at - 1 - start, "siglo|Siglo|siglos");
    if (!century && (len < 2 || x > 30 || !scan_capital_at(s, n, start)))
        return 0;
    language_say_int(l, x, !century && x <= 10 ? "%spellout-ordinal-masculine" : NULL, w);
    return len;
}

const struct language_hooks language_hooks_es = {
    .code = "es",
    .noun_rules = spanish_noun_rules,
    .match = spanish_match,
    .say_time = spanish_say_time,
};
