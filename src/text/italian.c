/* Italian. */
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define M "%spellout-cardinal-masculine"
#define F "%spellout-cardinal-feminine"
#define N "%spellout-numbering" /* uno yen, uno zloty; and before nothing */

/* 14:30: quattordici e trenta; the article is the text's. */
static void italian_say_time(const struct text_language *l, const struct language_time *t,
                             struct words *w)
{
    language_say_int(l, t->hour, t->hour == 1 ? F : N, w);
    if (t->minute > 0 || t->second > 0) {
        words_add(w, "e");
        language_say_int(l, t->minute, N, w);
    }
    if (t->second > 0) {
        words_add(w, "e");
        language_say_int(l, t->second, M, w);
        words_add(w, t->second == 1 ? "secondo" : "secondi");
    }
}

static const char *italian_noun_rules(const struct language_number *x, const char *word, size_t n)
{
    if (strcmp(x->digits, "1") != 0 ||
        language_is_one_of(word, n,
                           "e|o|di|a|in|per|con|che|è|sono|da|su|più|meno|del|al|ma|non|si"))
        return NULL;
    bool feminine = language_ends(word, n, "a|ione|tà|tù|trice|notte|parte|gente|moglie") &&
                    !language_ends(word, n, "problema|sistema|programma|tema|clima|pianeta|poeta");
    return feminine ? F : M;
}

/* XX secolo, Vittorio Emanuele II: the twentieth, the second. */
static size_t italian_match(const struct text_language *l, const char *s, size_t n, size_t at,
                            struct words *w)
{
    size_t len, start = at;
    int x = language_roman(s, n, at, true, &len);
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    bool century = scan_match(s, n, at + len, " secolo", false) > 0;
    for (start = at ? at - 1 : 0; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool person = at > 1 && s[at - 1] == ' ' && len > 1 && x <= 30 && scan_capital_at(s, n, start);
    if (!century && !person)
        return 0;
    language_say_int(l, x, "%spellout-ordinal-masculine", w);
    return len;
}

const struct language_hooks language_hooks_it = {
    .code = "it",
    .noun_rules = italian_noun_rules,
    .match = italian_match,
    .say_time = italian_say_time,
};
