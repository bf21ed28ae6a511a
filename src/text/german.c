/* German. */
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
#define M "%spellout-cardinal-masculine" /* and neuter: ein Meter, ein Pfund */
#define F "%spellout-cardinal-feminine"

static const char *const months[] = {"Januar|Jan.|Jan|Jänner",
                                     "Februar|Feb.|Feb|Febr.",
                                     "März|Mrz.|Mär.",
                                     "April|Apr.|Apr",
                                     "Mai",
                                     "Juni|Jun.|Jun",
                                     "Juli|Jul.|Jul",
                                     "August|Aug.|Aug",
                                     "September|Sept.|Sep.|Sep",
                                     "Oktober|Okt.|Okt",
                                     "November|Nov.|Nov",
                                     "Dezember|Dez.|Dez",
                                     NULL};

static const struct language_unit units[] = {{"%", SAME("Prozent"), M},
                                             {"‰", SAME("Promille"), M},
                                             {"°C", SAME("Grad Celsius"), M},
                                             {"°F", SAME("Grad Fahrenheit"), M},
                                             {"°", SAME("Grad"), M},
                                             {"nm", SAME("Nanometer"), M},
                                             {"µm", SAME("Mikrometer"), M},
                                             {"mm", SAME("Millimeter"), M},
                                             {"cm", SAME("Zentimeter"), M},
                                             {"dm", SAME("Dezimeter"), M},
                                             {"m", SAME("Meter"), M},
                                             {"km", SAME("Kilometer"), M},
                                             {"m²", SAME("Quadratmeter"), M},
                                             {"m2", SAME("Quadratmeter"), M},
                                             {"qm", SAME("Quadratmeter"), M},
                                             {"km²", SAME("Quadratkilometer"), M},
                                             {"km2", SAME("Quadratkilometer"), M},
                                             {"cm²", SAME("Quadratzentimeter"), M},
                                             {"ha", SAME("Hektar"), M},
                                             {"m³", SAME("Kubikmeter"), M},
                                             {"m3", SAME("Kubikmeter"), M},
                                             {"cm³", SAME("Kubikzentimeter"), M},
                                             {"ml", SAME("Milliliter"), M},
                                             {"cl", SAME("Zentiliter"), M},
                                             {"l", SAME("Liter"), M},
                                             {"L", SAME("Liter"), M},
                                             {"hl", SAME("Hektoliter"), M},
                                             {"mg", SAME("Milligramm"), M},
                                             {"g", SAME("Gramm"), M},
                                             {"kg", SAME("Kilogramm"), M},
                                             {"t", FORMS("Tonne", "Tonnen"), F},
                                             {"km/h", SAME("Kilometer pro Stunde"), M},
                                             {"m/s", SAME("Meter pro Sekunde"), M},
                                             {"l/100 km", SAME("Liter auf hundert Kilometer"), M},
                                             {"ms", FORMS("Millisekunde", "Millisekunden"), F},
                                             {"s", FORMS("Sekunde", "Sekunden"), F},
                                             {"Sek.", FORMS("Sekunde", "Sekunden"), F},
                                             {"min", FORMS("Minute", "Minuten"), F},
                                             {"Min.", FORMS("Minute", "Minuten"), F},
                                             {"h", FORMS("Stunde", "Stunden"), F},
                                             {"Std.", FORMS("Stunde", "Stunden"), F},
                                             {"kW", SAME("Kilowatt"), M},
                                             {"W", SAME("Watt"), M},
                                             {"MW", SAME("Megawatt"), M},
                                             {"GW", SAME("Gigawatt"), M},
                                             {"kWh", FORMS("Kilowattstunde", "Kilowattstunden"), F},
                                             {"PS", SAME("PS"), NULL},
                                             {"V", SAME("Volt"), M},
                                             {"mA", SAME("Milliampere"), M},
                                             {"A", SAME("Ampere"), M},
                                             {"Hz", SAME("Hertz"), M},
                                             {"kHz", SAME("Kilohertz"), M},
                                             {"MHz", SAME("Megahertz"), M},
                                             {"GHz", SAME("Gigahertz"), M},
                                             {"kB", SAME("Kilobyte"), M},
                                             {"KB", SAME("Kilobyte"), M},
                                             {"MB", SAME("Megabyte"), M},
                                             {"GB", SAME("Gigabyte"), M},
                                             {"TB", SAME("Terabyte"), M},
                                             {"Mbit/s", SAME("Megabit pro Sekunde"), M},
                                             {"dB", SAME("Dezibel"), M},
                                             {"bar", SAME("Bar"), M},
                                             {"hPa", SAME("Hektopascal"), M},
                                             {"kcal", FORMS("Kilokalorie", "Kilokalorien"), F},
                                             {"Tsd.", SAME("Tausend"), M},
                                             {"Mio.", FORMS("Million", "Millionen"), F},
                                             {"Mrd.", FORMS("Milliarde", "Milliarden"), F},
                                             {0}};

static const struct language_currency currencies[] = {
    {"€", SAME("Euro"), SAME("Cent"), M, M},
    {"EUR", SAME("Euro"), SAME("Cent"), M, M},
    {"Euro", SAME("Euro"), SAME("Cent"), M, M},
    {"$", SAME("Dollar"), SAME("Cent"), M, M},
    {"US$", SAME("US-Dollar"), SAME("Cent"), M, M},
    {"USD", SAME("US-Dollar"), SAME("Cent"), M, M},
    {"£", SAME("Pfund"), FORMS("Penny", "Pence"), M, M},
    {"GBP", SAME("Pfund"), FORMS("Penny", "Pence"), M, M},
    {"CHF", SAME("Franken"), SAME("Rappen"), M, M},
    {"SFr.", SAME("Franken"), SAME("Rappen"), M, M},
    {"¥", SAME("Yen"), {0}, M, M},
    {"JPY", SAME("Yen"), {0}, M, M},
    {"₽", SAME("Rubel"), FORMS("Kopeke", "Kopeken"), M, F},
    {"zł", SAME("Zloty"), SAME("Groschen"), M, M},
    {"₹", FORMS("Rupie", "Rupien"), {0}, F, F},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"z. B.", "zum Beispiel", WHEN_ALWAYS},
    {"d. h.", "das heißt", WHEN_ALWAYS},
    {"u. a.", "unter anderem", WHEN_ALWAYS},
    {"usw.", "und so weiter", WHEN_MAY_END},
    {"etc.", "et cetera", WHEN_MAY_END},
    {"bzw.", "beziehungsweise", WHEN_ALWAYS},
    {"ca.", "circa", WHEN_ALWAYS},
    {"Dr.", "Doktor", WHEN_ALWAYS},
    {"Prof.", "Professor", WHEN_ALWAYS},
    {"Hr.", "Herr", WHEN_BEFORE_NAME},
    {"Fr.", "Frau", WHEN_BEFORE_NAME},
    {"Nr.", "Nummer", WHEN_ALWAYS},
    {"Str.", "Straße", WHEN_MAY_END},
    {"S.", "Seite", WHEN_BEFORE_NUMBER},
    {"Bd.", "Band", WHEN_BEFORE_NUMBER},
    {"Kap.", "Kapitel", WHEN_BEFORE_NUMBER},
    {"Abb.", "Abbildung", WHEN_BEFORE_NUMBER},
    {"Abs.", "Absatz", WHEN_BEFORE_NUMBER},
    {"Art.", "Artikel", WHEN_BEFORE_NUMBER},
    {"vgl.", "vergleiche", WHEN_ALWAYS},
    {"inkl.", "inklusive", WHEN_ALWAYS},
    {"zzgl.", "zuzüglich", WHEN_ALWAYS},
    {"evtl.", "eventuell", WHEN_ALWAYS},
    {"ggf.", "gegebenenfalls", WHEN_ALWAYS},
    {"o. Ä.", "oder Ähnliches", WHEN_MAY_END},
    {"u. U.", "unter Umständen", WHEN_ALWAYS},
    {"i. d. R.", "in der Regel", WHEN_ALWAYS},
    {"St.", "Sankt", WHEN_BEFORE_NAME},
    {"Tel.", "Telefon", WHEN_ALWAYS},
    {"n. Chr.", "nach Christus", WHEN_MAY_END},
    {"v. Chr.", "vor Christus", WHEN_MAY_END},
    {"Jh.", "Jahrhundert", WHEN_MAY_END},
    {"geb.", "geboren", WHEN_ALWAYS},
    {"max.", "maximal", WHEN_ALWAYS},
    {"mind.", "mindestens", WHEN_ALWAYS},
    {"allg.", "allgemein", WHEN_ALWAYS},
    {"sog.", "sogenannt", WHEN_ALWAYS},
    {0}};

static const struct language_symbol symbols[] = {{"%", "Prozent"},      {"&", "und"},
                                                 {"+", "plus"},         {"=", "gleich"},
                                                 {"§", "Paragraf"},     {"€", "Euro"},
                                                 {"$", "Dollar"},       {"£", "Pfund"},
                                                 {"×", "mal"},          {"÷", "geteilt durch"},
                                                 {"½", "ein halb"},     {"¼", "ein Viertel"},
                                                 {"¾", "drei Viertel"}, {"<", "kleiner als"},
                                                 {">", "größer als"},   {"≈", "ungefähr"},
                                                 {"→", "nach"},         {"@", "at"},
                                                 {"°", "Grad"},         {"*", ""},
                                                 {"#", "Nummer"},       {0}};

static const char *const time_words[] = {"Uhr", NULL};

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
static size_t read_day(const char *s, size_t n, size_t at, struct words *w)
{
    extern const struct text_language language_de;
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
    language_say_date(&language_de, &d, w);
    if (month + len + 1 >= n)
        words_join(w, "."); /* the sentence's, too */
    return month + len + 1 - at;
}

/* "der 3. Mann": the period after a number makes it an ordinal where an article is before it and a
 * word behind. */
static size_t german_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t digits = scan_digits(s, n, at), day = digits ? read_day(s, n, at, w) : 0;
    if (day)
        return day;
    if (digits == 0 || digits > 3 || scan_word_before(s, at) || at + digits + 2 >= n ||
        s[at + digits] != '.' || s[at + digits + 1] != ' ' || !scan_letter(s, n, at + digits + 2))
        return 0;
    for (const char *const *m = months; *m; m++) /* dates are read elsewhere */
        if (scan_match(s, n, at + digits + 2, (char[4]){(*m)[0], (*m)[1], (*m)[2], 0}, false))
            return 0;
    const char *rules = ordinal_after(s, at);
    if (!rules)
        return 0;
    char number[4] = "";
    memcpy(number, s + at, digits);
    words_number(w, "de", rules, number);
    return digits + 1;
}

extern const struct text_language language_de;
const struct text_language language_de = {
    .code = "de",
    .locale = "de",
    .capital_nouns = true,
    .decimal = ',',
    .group = ".'",
    .date_order = "dmy",
    .minus = "minus",
    .plus = "plus",
    .point = "Komma",
    .to = "bis",
    .part_unnamed = true,
    .dot = "Punkt",
    .at = "at",
    .slash = "Schrägstrich",
    .dash = "Bindestrich",
    .underscore = "Unterstrich",
    .colon = "Doppelpunkt",
    .hashtag = "Hashtag",
    .noun_rules = german_noun_rules,
    .bare_year_rules = "%spellout-numbering-year",
    .ordinal_suffixes = "te:%spellout-ordinal|ste:%spellout-ordinal|ten:%spellout-ordinal-n|"
                        "sten:%spellout-ordinal-n",
    .months = months,
    .date_dmy = "{d} {m} {y}",
    .date_dm = "{d} {m}",
    .date_my = "{m} {y}",
    .day_rules = "%spellout-ordinal-r",
    .year_rules = "%spellout-numbering-year",
    .time_h = "{h} Uhr",
    .time_hm = "{h} Uhr {m}",
    .time_hms = "{h} Uhr {m} und {s} Sekunden",
    .hour_rules = M,
    .time_words = time_words,
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
    .match = german_match,
    .day_rules_after = ordinal_after,
};
