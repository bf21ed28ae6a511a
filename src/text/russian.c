/* Russian: fractions, which are spoken of wherever a number may have one. */
#include <string.h>

#include "text/language.h"
#include "text/words.h"

#define FORMS(one, few, many)                                                                      \
    {                                                                                              \
        few, one, few, many, 0                                                                     \
    }
#define F "%spellout-cardinal-feminine"

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

const struct language_hooks language_hooks_ru = {
    .code = "ru",
    .say_decimal = russian_say_decimal,
};
