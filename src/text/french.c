/* French. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define FORMS(one, other)                                                                          \
    {                                                                                              \
        other, one, 0, 0, 0                                                                        \
    }
#define SAME(x)                                                                                    \
    {                                                                                              \
        x, 0, 0, 0, 0                                                                              \
    }
#define M "%spellout-cardinal-masculine"
#define F "%spellout-cardinal-feminine"

static const char *const months[] = {
    "janvier|janv.", "février|févr.|fév.", "mars",      "avril|avr.",      "mai",
    "juin",          "juillet|juil.",      "août|aout", "septembre|sept.", "octobre|oct.",
    "novembre|nov.", "décembre|déc.",      NULL};

static const struct language_unit units[] = {
    {"%", SAME("pour cent"), M},
    {"‰", SAME("pour mille"), M},
    {"°C", FORMS("degré Celsius", "degrés Celsius"), M},
    {"°F", FORMS("degré Fahrenheit", "degrés Fahrenheit"), M},
    {"°", FORMS("degré", "degrés"), M},
    {"nm", FORMS("nanomètre", "nanomètres"), M},
    {"µm", FORMS("micromètre", "micromètres"), M},
    {"mm", FORMS("millimètre", "millimètres"), M},
    {"cm", FORMS("centimètre", "centimètres"), M},
    {"m", FORMS("mètre", "mètres"), M},
    {"km", FORMS("kilomètre", "kilomètres"), M},
    {"m²", FORMS("mètre carré", "mètres carrés"), M},
    {"m2", FORMS("mètre carré", "mètres carrés"), M},
    {"km²", FORMS("kilomètre carré", "kilomètres carrés"), M},
    {"km2", FORMS("kilomètre carré", "kilomètres carrés"), M},
    {"cm²", FORMS("centimètre carré", "centimètres carrés"), M},
    {"ha", FORMS("hectare", "hectares"), M},
    {"m³", FORMS("mètre cube", "mètres cubes"), M},
    {"m3", FORMS("mètre cube", "mètres cubes"), M},
    {"cm³", FORMS("centimètre cube", "centimètres cubes"), M},
    {"ml", FORMS("millilitre", "millilitres"), M},
    {"mL", FORMS("millilitre", "millilitres"), M},
    {"cl", FORMS("centilitre", "centilitres"), M},
    {"l", FORMS("litre", "litres"), M},
    {"L", FORMS("litre", "litres"), M},
    {"mg", FORMS("milligramme", "milligrammes"), M},
    {"g", FORMS("gramme", "grammes"), M},
    {"kg", FORMS("kilogramme", "kilogrammes"), M},
    {"t", FORMS("tonne", "tonnes"), F},
    {"km/h", FORMS("kilomètre à l'heure", "kilomètres à l'heure"), M},
    {"m/s", FORMS("mètre par seconde", "mètres par seconde"), M},
    {"ms", FORMS("milliseconde", "millisecondes"), F},
    {"s", FORMS("seconde", "secondes"), F},
    {"min", FORMS("minute", "minutes"), F},
    {"W", FORMS("watt", "watts"), M},
    {"kW", FORMS("kilowatt", "kilowatts"), M},
    {"MW", FORMS("mégawatt", "mégawatts"), M},
    {"kWh", FORMS("kilowattheure", "kilowattheures"), M},
    {"V", FORMS("volt", "volts"), M},
    {"A", FORMS("ampère", "ampères"), M},
    {"Hz", SAME("hertz"), M},
    {"kHz", SAME("kilohertz"), M},
    {"MHz", SAME("mégahertz"), M},
    {"GHz", SAME("gigahertz"), M},
    {"ko", FORMS("kilo-octet", "kilo-octets"), M},
    {"Mo", FORMS("méga-octet", "méga-octets"), M},
    {"Go", FORMS("giga-octet", "giga-octets"), M},
    {"To", FORMS("téraoctet", "téraoctets"), M},
    {"dB", FORMS("décibel", "décibels"), M},
    {"hPa", FORMS("hectopascal", "hectopascals"), M},
    {"kcal", FORMS("kilocalorie", "kilocalories"), F},
    {0}};

static const struct language_currency currencies[] = {
    {"€", FORMS("euro", "euros"), FORMS("centime", "centimes"), M, M},
    {"EUR", FORMS("euro", "euros"), FORMS("centime", "centimes"), M, M},
    {"$", FORMS("dollar", "dollars"), FORMS("cent", "cents"), M, M},
    {"$US", FORMS("dollar américain", "dollars américains"), FORMS("cent", "cents"), M, M},
    {"USD", FORMS("dollar américain", "dollars américains"), FORMS("cent", "cents"), M, M},
    {"£", FORMS("livre", "livres"), SAME("pence"), F, M},
    {"GBP", FORMS("livre sterling", "livres sterling"), SAME("pence"), F, M},
    {"CHF", FORMS("franc suisse", "francs suisses"), FORMS("centime", "centimes"), M, M},
    {"¥", FORMS("yen", "yens"), {0}, M, M},
    {"JPY", FORMS("yen", "yens"), {0}, M, M},
    {"₽", FORMS("rouble", "roubles"), FORMS("kopeck", "kopecks"), M, M},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"M.", "monsieur", WHEN_BEFORE_NAME},
    {"MM.", "messieurs", WHEN_BEFORE_NAME},
    {"Mme", "madame", WHEN_ALWAYS},
    {"Mmes", "mesdames", WHEN_ALWAYS},
    {"Mlle", "mademoiselle", WHEN_ALWAYS},
    {"Dr", "docteur", WHEN_BEFORE_NAME},
    {"Dr.", "docteur", WHEN_BEFORE_NAME},
    {"Pr", "professeur", WHEN_BEFORE_NAME},
    {"Me", "maître", WHEN_BEFORE_NAME},
    {"etc.", "et cetera", WHEN_MAY_END},
    {"p. ex.", "par exemple", WHEN_ALWAYS},
    {"c.-à-d.", "c'est-à-dire", WHEN_ALWAYS},
    {"cf.", "confer", WHEN_ALWAYS},
    {"env.", "environ", WHEN_ALWAYS},
    {"av.", "avenue", WHEN_BEFORE_NAME},
    {"bd", "boulevard", WHEN_BEFORE_NAME},
    {"n°", "numéro", WHEN_ALWAYS},
    {"nº", "numéro", WHEN_ALWAYS},
    {"p.", "page", WHEN_BEFORE_NUMBER},
    {"pp.", "pages", WHEN_BEFORE_NUMBER},
    {"vol.", "volume", WHEN_BEFORE_NUMBER},
    {"chap.", "chapitre", WHEN_BEFORE_NUMBER},
    {"art.", "article", WHEN_BEFORE_NUMBER},
    {"fig.", "figure", WHEN_BEFORE_NUMBER},
    {"tél.", "téléphone", WHEN_ALWAYS},
    {"St", "saint", WHEN_BEFORE_NAME},
    {"Ste", "sainte", WHEN_BEFORE_NAME},
    {"av. J.-C.", "avant Jésus-Christ", WHEN_MAY_END},
    {"apr. J.-C.", "après Jésus-Christ", WHEN_MAY_END},
    {"s.v.p.", "s'il vous plaît", WHEN_MAY_END},
    {"max.", "maximum", WHEN_ALWAYS},
    {0}};

static const struct language_symbol symbols[] = {{"%", "pour cent"},    {"&", "et"},
                                                 {"+", "plus"},         {"=", "égale"},
                                                 {"§", "paragraphe"},   {"€", "euros"},
                                                 {"$", "dollars"},      {"£", "livres"},
                                                 {"×", "fois"},         {"÷", "divisé par"},
                                                 {"½", "un demi"},      {"¼", "un quart"},
                                                 {"¾", "trois quarts"}, {"<", "inférieur à"},
                                                 {">", "supérieur à"},  {"≈", "environ"},
                                                 {"→", "vers"},         {"@", "arobase"},
                                                 {"°", "degrés"},       {"*", ""},
                                                 {"#", "numéro"},       {0}};

static const char *const time_words[] = {"heures", "heure", NULL};

static void french_say(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "fr", rules, digits);
}

static void french_say_time(const struct language_time *t, struct words *w)
{
    french_say(t->hour, F, w);
    words_add(w, t->hour < 2 ? "heure" : "heures");
    if (t->minute > 0 || t->second > 0)
        french_say(t->minute, F, w);
    if (t->second > 0) {
        words_add(w, t->minute == 1 ? "minute et" : "minutes et");
        french_say(t->second, F, w);
        words_add(w, t->second == 1 ? "seconde" : "secondes");
    }
}

/* XXe siècle, Louis XIV, François Ier. */
static size_t french_read_roman(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len, space = at;
    int x = language_roman(s, n, at, true, &len);
    char digits[12];
    if (!x || x > 39 || strchr("LCDM", s[at]))
        return 0; /* Le, Me, De ... are words */
    snprintf(digits, sizeof digits, "%d", x);
    static const char *const suffixes[] = {"ème", "er", "e", NULL};
    for (const char *const *suffix = suffixes; *suffix; suffix++) {
        size_t more = scan_match(s, n, at + len, *suffix, false);
        if (more && !scan_word_at(s, n, at + len + more)) {
            words_number(w, "fr", "%spellout-ordinal-masculine", digits);
            return len + more;
        }
    }
    if (len < 2 || at < 2 || s[at - 1] != ' ' || scan_word_at(s, n, at + len))
        return 0;
    for (space = at - 1; space > 0 && s[space - 1] != ' ' && s[space - 1] != '\n'; space--)
        ;
    if (!scan_capital_at(s, n, space))
        return 0;
    words_number(w, "fr", NULL, digits);
    return len;
}

/* 14h30, 14 h 30, 8h: as times are written in French. */
static size_t french_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t digits = scan_digits(s, n, at), end = at + digits;
    struct language_time t = {.second = -1};
    if (digits == 0)
        return french_read_roman(s, n, at, w);
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
    french_say_time(&t, w);
    return end - at;
}

extern const struct text_language language_fr;
const struct text_language language_fr = {
    .code = "fr",
    .locale = "fr",
    .decimal = ',',
    .group = " .",
    .fraction_as_number = true,
    .date_order = "dmy",
    .minus = "moins",
    .plus = "plus",
    .point = "virgule",
    .to = "à",
    .part_unnamed = true,
    .dot = "point",
    .at = "arobase",
    .slash = "barre oblique",
    .dash = "tiret",
    .underscore = "tiret bas",
    .colon = "deux points",
    .hashtag = "hashtag",
    .ordinal_suffixes = "er:%spellout-ordinal-masculine|re:%spellout-ordinal-feminine|"
                        "ère:%spellout-ordinal-feminine|ème:%spellout-ordinal-masculine|"
                        "e:%spellout-ordinal-masculine|èmes:%spellout-ordinal-masculine-plural|"
                        "es:%spellout-ordinal-masculine-plural|nd:%spellout-ordinal-masculine|"
                        "nde:%spellout-ordinal-feminine",
    .months = months,
    .date_dmy = "{d} {m} {y}",
    .date_dm = "{d} {m}",
    .date_my = "{m} {y}",
    .first_day_rules = "%spellout-ordinal-masculine",
    .time_words = time_words,
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
    .match = french_match,
    .say_time = french_say_time,
};
