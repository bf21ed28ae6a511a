/* Polish.  ICU has no Polish ordinals, so they are made here; dates, years and hours are ordinals.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/language.h"
#include "text/scan.h"
#include "text/words.h"

#define FORMS(one, few, many)                                                                      \
    {                                                                                              \
        few, one, few, many, 0                                                                     \
    } /* other: of decimals, as few for most nouns */
#define NOUN(one, few, many, decimal)                                                              \
    {                                                                                              \
        decimal, one, few, many, 0                                                                 \
    }
#define SAME(x)                                                                                    \
    {                                                                                              \
        x, 0, 0, 0, 0                                                                              \
    }
#define M "%spellout-cardinal-masculine"
#define F "%spellout-cardinal-feminine"
#define N "%spellout-cardinal-neuter"

static const char *const months[] = {"stycznia|styczeń|sty.",
                                     "lutego|luty|lut.",
                                     "marca|marzec|mar.",
                                     "kwietnia|kwiecień|kwi.",
                                     "maja|maj",
                                     "czerwca|czerwiec|cze.",
                                     "lipca|lipiec|lip.",
                                     "sierpnia|sierpień|sie.",
                                     "września|wrzesień|wrz.",
                                     "października|październik|paź.",
                                     "listopada|listopad|lis.",
                                     "grudnia|grudzień|gru.",
                                     NULL};

static const struct language_unit units[] = {
    {"%", SAME("procent"), M},
    {"‰", NOUN("promil", "promile", "promili", "promila"), M},
    {"°C", NOUN("stopień Celsjusza", "stopnie Celsjusza", "stopni Celsjusza", "stopnia Celsjusza"),
     M},
    {"°", NOUN("stopień", "stopnie", "stopni", "stopnia"), M},
    {"mm", NOUN("milimetr", "milimetry", "milimetrów", "milimetra"), M},
    {"cm", NOUN("centymetr", "centymetry", "centymetrów", "centymetra"), M},
    {"m", NOUN("metr", "metry", "metrów", "metra"), M},
    {"km", NOUN("kilometr", "kilometry", "kilometrów", "kilometra"), M},
    {"m²", NOUN("metr kwadratowy", "metry kwadratowe", "metrów kwadratowych", "metra kwadratowego"),
     M},
    {"m2", NOUN("metr kwadratowy", "metry kwadratowe", "metrów kwadratowych", "metra kwadratowego"),
     M},
    {"km²",
     NOUN("kilometr kwadratowy", "kilometry kwadratowe", "kilometrów kwadratowych",
          "kilometra kwadratowego"),
     M},
    {"ha", NOUN("hektar", "hektary", "hektarów", "hektara"), M},
    {"m³", NOUN("metr sześcienny", "metry sześcienne", "metrów sześciennych", "metra sześciennego"),
     M},
    {"ml", NOUN("mililitr", "mililitry", "mililitrów", "mililitra"), M},
    {"l", NOUN("litr", "litry", "litrów", "litra"), M},
    {"mg", NOUN("miligram", "miligramy", "miligramów", "miligrama"), M},
    {"g", NOUN("gram", "gramy", "gramów", "grama"), M},
    {"dag", NOUN("dekagram", "dekagramy", "dekagramów", "dekagrama"), M},
    {"kg", NOUN("kilogram", "kilogramy", "kilogramów", "kilograma"), M},
    {"t", NOUN("tona", "tony", "ton", "tony"), F},
    {"km/h",
     NOUN("kilometr na godzinę", "kilometry na godzinę", "kilometrów na godzinę",
          "kilometra na godzinę"),
     M},
    {"m/s", NOUN("metr na sekundę", "metry na sekundę", "metrów na sekundę", "metra na sekundę"),
     M},
    {"s", NOUN("sekunda", "sekundy", "sekund", "sekundy"), F},
    {"min", NOUN("minuta", "minuty", "minut", "minuty"), F},
    {"min.", NOUN("minuta", "minuty", "minut", "minuty"), F},
    {"godz.", NOUN("godzina", "godziny", "godzin", "godziny"), F},
    {"h", NOUN("godzina", "godziny", "godzin", "godziny"), F},
    {"W", NOUN("wat", "waty", "watów", "wata"), M},
    {"kW", NOUN("kilowat", "kilowaty", "kilowatów", "kilowata"), M},
    {"V", NOUN("wolt", "wolty", "woltów", "wolta"), M},
    {"Hz", NOUN("herc", "herce", "herców", "herca"), M},
    {"MHz", NOUN("megaherc", "megaherce", "megaherców", "megaherca"), M},
    {"GHz", NOUN("gigaherc", "gigaherce", "gigaherców", "gigaherca"), M},
    {"kB", NOUN("kilobajt", "kilobajty", "kilobajtów", "kilobajta"), M},
    {"MB", NOUN("megabajt", "megabajty", "megabajtów", "megabajta"), M},
    {"GB", NOUN("gigabajt", "gigabajty", "gigabajtów", "gigabajta"), M},
    {"TB", NOUN("terabajt", "terabajty", "terabajtów", "terabajta"), M},
    {"tys.", NOUN("tysiąc", "tysiące", "tysięcy", "tysiąca"), M},
    {"mln", NOUN("milion", "miliony", "milionów", "miliona"), M},
    {"mld", NOUN("miliard", "miliardy", "miliardów", "miliarda"), M},
    {0}};

static const struct language_currency currencies[] = {
    {"zł", NOUN("złoty", "złote", "złotych", "złotego"), FORMS("grosz", "grosze", "groszy"), M, M},
    {"PLN", NOUN("złoty", "złote", "złotych", "złotego"), FORMS("grosz", "grosze", "groszy"), M, M},
    {"gr", FORMS("grosz", "grosze", "groszy"), {0}, M, M},
    {"€", SAME("euro"), FORMS("cent", "centy", "centów"), N, M},
    {"EUR", SAME("euro"), FORMS("cent", "centy", "centów"), N, M},
    {"$", NOUN("dolar", "dolary", "dolarów", "dolara"), FORMS("cent", "centy", "centów"), M, M},
    {"USD", NOUN("dolar", "dolary", "dolarów", "dolara"), FORMS("cent", "centy", "centów"), M, M},
    {"£", NOUN("funt", "funty", "funtów", "funta"), FORMS("pens", "pensy", "pensów"), M, M},
    {"CHF", NOUN("frank", "franki", "franków", "franka"), FORMS("centym", "centymy", "centymów"), M,
     M},
    {"¥", NOUN("jen", "jeny", "jenów", "jena"), {0}, M, M},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"np.", "na przykład", WHEN_ALWAYS},
    {"itd.", "i tak dalej", WHEN_MAY_END},
    {"itp.", "i tym podobne", WHEN_MAY_END},
    {"tzn.", "to znaczy", WHEN_ALWAYS},
    {"tzw.", "tak zwany", WHEN_ALWAYS},
    {"m.in.", "między innymi", WHEN_ALWAYS},
    {"tj.", "to jest", WHEN_ALWAYS},
    {"ok.", "około", WHEN_BEFORE_NUMBER},
    {"dr", "doktor", WHEN_BEFORE_NAME},
    {"prof.", "profesor", WHEN_ALWAYS},
    {"mgr", "magister", WHEN_BEFORE_NAME},
    {"inż.", "inżynier", WHEN_ALWAYS},
    {"ul.", "ulica", WHEN_ALWAYS},
    {"al.", "aleja", WHEN_BEFORE_NAME},
    {"pl.", "plac", WHEN_BEFORE_NAME},
    {"nr", "numer", WHEN_BEFORE_NUMBER},
    {"str.", "strona", WHEN_ALWAYS},
    {"s.", "strona", WHEN_BEFORE_NUMBER},
    {"rys.", "rysunek", WHEN_ALWAYS},
    {"rozdz.", "rozdział", WHEN_ALWAYS},
    {"art.", "artykuł", WHEN_BEFORE_NUMBER},
    {"tel.", "telefon", WHEN_ALWAYS},
    {"r.", "roku", WHEN_AFTER_NUMBER},
    {"św.", "święty", WHEN_BEFORE_NAME},
    {"p.n.e.", "przed naszą erą", WHEN_MAY_END},
    {"n.e.", "naszej ery", WHEN_MAY_END},
    {"wg", "według", WHEN_ALWAYS},
    {"godz.", "godzina", WHEN_BEFORE_NUMBER},
    {"im.", "imienia", WHEN_BEFORE_NAME},
    {0}};

static const struct language_symbol symbols[] = {{"%", "procent"},
                                                 {"&", "i"},
                                                 {"+", "plus"},
                                                 {"=", "równa się"},
                                                 {"§", "paragraf"},
                                                 {"€", "euro"},
                                                 {"$", "dolarów"},
                                                 {"×", "razy"},
                                                 {"÷", "podzielić przez"},
                                                 {"½", "jedna druga"},
                                                 {"¼", "jedna czwarta"},
                                                 {"¾", "trzy czwarte"},
                                                 {"<", "mniejsze niż"},
                                                 {">", "większe niż"},
                                                 {"≈", "około"},
                                                 {"@", "małpa"},
                                                 {"°", "stopni"},
                                                 {"*", ""},
                                                 {"#", "numer"},
                                                 {0}};

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

static void polish_say_int(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "pl", rules, digits);
}

/* 1984: tysiąc dziewięćset, then tens and ones as ordinals.  x from 0 to 9999. */
static void polish_say_ordinal(int x, enum form form, struct words *w)
{
    int low = x % 100, high = x - low, hundreds = high / 100 % 10;
    if (low) {
        if (high)
            polish_say_int(high, NULL, w);
        if (low >= 20)
            add_stem(w, tens_stem[low / 10], form);
        if (low < 20 || low % 10)
            add_stem(w, units_stem[low < 20 ? low : low % 10], form);
    } else if (hundreds) {
        if (high >= 1000)
            polish_say_int(high / 1000 * 1000, NULL, w);
        add_stem(w, hundreds_stem[hundreds], form);
    } else if (x) {
        static const char *const thousands[] = {"tysięczn", "dwutysięczn", "trzytysięczn",
                                                "czterotysięczn"};
        add_stem(w, thousands[x / 1000 < 5 ? x / 1000 - 1 : 0], form);
    } else {
        add_stem(w, units_stem[0], form);
    }
}

static void polish_say_date(const struct language_date *d, struct words *w)
{
    const char *genitive = months[d->month - 1],
               *nominative = genitive + strcspn(genitive, "|") + 1;
    if (d->day)
        polish_say_ordinal(d->day, GENITIVE, w);
    words_add_n(w, d->day ? genitive : nominative, strcspn(d->day ? genitive : nominative, "|"));
    if (d->year >= 0 && d->year < 5000)
        polish_say_ordinal(d->year, GENITIVE, w);
}

static void polish_say_clock(const struct language_time *t, enum form form, struct words *w)
{
    polish_say_ordinal(t->hour, form, w);
    if (t->minute > 0 || t->second > 0) {
        if (t->minute < 10)
            words_add(w, "zero");
        polish_say_int(t->minute, NULL, w);
    }
    if (t->second > 0) {
        words_add(w, "i");
        polish_say_int(t->second, F, w);
        const char *category = words_plural("pl", t->second);
        words_add(w, strcmp(category, "one") == 0   ? "sekunda"
                     : strcmp(category, "few") == 0 ? "sekundy"
                                                    : "sekund");
    }
}

static void polish_say_time(const struct language_time *t, struct words *w)
{
    polish_say_clock(t, FEMININE, w);
}

static size_t polish_word_before(const char *s, size_t at, size_t *len)
{
    size_t end = at, start;
    while (end && s[end - 1] == ' ')
        end--;
    for (start = end; start && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    *len = end - start;
    return start;
}

/* o 14:30: o czternastej trzydzieści. */
static size_t polish_read_time(const char *s, size_t n, size_t at, size_t digits, struct words *w)
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
    polish_say_clock(&t, FEMININE_LOCATIVE, w);
    return end - at;
}

/* w 1984 roku, rok 1984, XX wiek, w XX wieku, 3. miejsce. */
static size_t polish_match(const char *s, size_t n, size_t at, struct words *w)
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
    if (len && (used = polish_read_time(s, n, at, len, w)) > 0)
        return used;
    int x = len && len <= 4 ? (int)strtol(s + at, NULL, 10) : 0;
    bool digits = len > 0;
    if (!len)
        x = language_roman(s, n, at, true, &len);
    if (!x || x >= 5000)
        return 0;
    if (digits && len == 4 && language_is_one_of(s + before, before_len, "rok|Rok")) {
        polish_say_ordinal(x, MASCULINE, w);
        return len;
    }
    if (digits && len <= 2 && at + len + 2 < n && s[at + len] == '.' && s[at + len + 1] == ' ' &&
        scan_is_lower(s[at + len + 2])) {
        size_t word = scan_word(s, n, at + len + 2);
        const char *noun = s + at + len + 2;
        polish_say_ordinal(x,
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
            polish_say_ordinal(x, form == MASCULINE ? form : in ? LOCATIVE : GENITIVE, w);
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

extern const struct text_language language_pl;
const struct text_language language_pl = {
    .code = "pl",
    .locale = "pl",
    .decimal = ',',
    .group = " ",
    .fraction_as_number = true,
    .date_order = "dmy",
    .minus = "minus",
    .plus = "plus",
    .point = "przecinek",
    .to = "do",
    .dot = "kropka",
    .at = "małpa",
    .slash = "ukośnik",
    .dash = "myślnik",
    .underscore = "podkreślenie",
    .colon = "dwukropek",
    .hashtag = "hasztag",
    .months = months,
    .date_dmy = "{d} {m} {y}",
    .date_dm = "{d} {m}",
    .date_my = "{m} {y}",
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
    .match = polish_match,
    .noun_rules = polish_noun_rules,
    .say_date = polish_say_date,
    .say_time = polish_say_time,
};
