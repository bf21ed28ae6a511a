/* Italian. */
#include <stdio.h>
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
#define N "%spellout-numbering" /* uno yen, uno zloty; and before nothing */

static const char *const months[] = {
    "gennaio|gen.",  "febbraio|feb.", "marzo|mar.",  "aprile|apr.",    "maggio|mag.",
    "giugno|giu.",   "luglio|lug.",   "agosto|ago.", "settembre|set.", "ottobre|ott.",
    "novembre|nov.", "dicembre|dic.", NULL};

static const struct language_unit units[] = {
    {"%", SAME("per cento"), N},
    {"‰", SAME("per mille"), N},
    {"°C", FORMS("grado Celsius", "gradi Celsius"), M},
    {"°F", FORMS("grado Fahrenheit", "gradi Fahrenheit"), M},
    {"°", FORMS("grado", "gradi"), M},
    {"nm", FORMS("nanometro", "nanometri"), M},
    {"µm", FORMS("micrometro", "micrometri"), M},
    {"mm", FORMS("millimetro", "millimetri"), M},
    {"cm", FORMS("centimetro", "centimetri"), M},
    {"m", FORMS("metro", "metri"), M},
    {"km", FORMS("chilometro", "chilometri"), M},
    {"m²", FORMS("metro quadrato", "metri quadrati"), M},
    {"mq", FORMS("metro quadrato", "metri quadrati"), M},
    {"m2", FORMS("metro quadrato", "metri quadrati"), M},
    {"km²", FORMS("chilometro quadrato", "chilometri quadrati"), M},
    {"kmq", FORMS("chilometro quadrato", "chilometri quadrati"), M},
    {"cm²", FORMS("centimetro quadrato", "centimetri quadrati"), M},
    {"ha", FORMS("ettaro", "ettari"), M},
    {"m³", FORMS("metro cubo", "metri cubi"), M},
    {"mc", FORMS("metro cubo", "metri cubi"), M},
    {"cm³", FORMS("centimetro cubo", "centimetri cubi"), M},
    {"ml", FORMS("millilitro", "millilitri"), M},
    {"cl", FORMS("centilitro", "centilitri"), M},
    {"l", FORMS("litro", "litri"), M},
    {"L", FORMS("litro", "litri"), M},
    {"mg", FORMS("milligrammo", "milligrammi"), M},
    {"g", FORMS("grammo", "grammi"), M},
    {"kg", FORMS("chilogrammo", "chilogrammi"), M},
    {"t", FORMS("tonnellata", "tonnellate"), F},
    {"km/h", FORMS("chilometro all'ora", "chilometri all'ora"), M},
    {"m/s", FORMS("metro al secondo", "metri al secondo"), M},
    {"ms", FORMS("millisecondo", "millisecondi"), M},
    {"s", FORMS("secondo", "secondi"), M},
    {"min", FORMS("minuto", "minuti"), M},
    {"W", SAME("watt"), M},
    {"kW", SAME("chilowatt"), M},
    {"MW", SAME("megawatt"), M},
    {"kWh", SAME("chilowattora"), M},
    {"V", SAME("volt"), M},
    {"A", SAME("ampere"), M},
    {"Hz", SAME("hertz"), M},
    {"kHz", SAME("chilohertz"), M},
    {"MHz", SAME("megahertz"), M},
    {"GHz", SAME("gigahertz"), M},
    {"kB", SAME("kilobyte"), M},
    {"KB", SAME("kilobyte"), M},
    {"MB", SAME("megabyte"), M},
    {"GB", SAME("gigabyte"), M},
    {"TB", SAME("terabyte"), M},
    {"dB", SAME("decibel"), M},
    {"kcal", FORMS("chilocaloria", "chilocalorie"), F},
    {0}};

static const struct language_currency currencies[] = {
    {"€", SAME("euro"), FORMS("centesimo", "centesimi"), M, M},
    {"EUR", SAME("euro"), FORMS("centesimo", "centesimi"), M, M},
    {"$", FORMS("dollaro", "dollari"), FORMS("centesimo", "centesimi"), M, M},
    {"US$", FORMS("dollaro americano", "dollari americani"), FORMS("centesimo", "centesimi"), M, M},
    {"USD", FORMS("dollaro americano", "dollari americani"), FORMS("centesimo", "centesimi"), M, M},
    {"£", FORMS("sterlina", "sterline"), SAME("penny"), F, M},
    {"GBP", FORMS("sterlina", "sterline"), SAME("penny"), F, M},
    {"CHF", FORMS("franco svizzero", "franchi svizzeri"), FORMS("centesimo", "centesimi"), M, M},
    {"¥", SAME("yen"), {0}, N, N},
    {"JPY", SAME("yen"), {0}, N, N},
    {"₽", FORMS("rublo", "rubli"), FORMS("copeco", "copechi"), M, M},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"Sig.", "signor", WHEN_ALWAYS},
    {"Sig.ra", "signora", WHEN_ALWAYS},
    {"Sig.na", "signorina", WHEN_ALWAYS},
    {"Sigg.", "signori", WHEN_ALWAYS},
    {"Dott.", "dottor", WHEN_ALWAYS},
    {"Dott.ssa", "dottoressa", WHEN_ALWAYS},
    {"Dr.", "dottor", WHEN_ALWAYS},
    {"Prof.", "professor", WHEN_ALWAYS},
    {"Prof.ssa", "professoressa", WHEN_ALWAYS},
    {"Avv.", "avvocato", WHEN_ALWAYS},
    {"Ing.", "ingegner", WHEN_ALWAYS},
    {"ecc.", "eccetera", WHEN_MAY_END},
    {"etc.", "eccetera", WHEN_MAY_END},
    {"es.", "esempio", WHEN_ALWAYS},
    {"cfr.", "confronta", WHEN_ALWAYS},
    {"ca.", "circa", WHEN_ALWAYS},
    {"n.", "numero", WHEN_BEFORE_NUMBER},
    {"p.", "pagina", WHEN_BEFORE_NUMBER},
    {"pag.", "pagina", WHEN_ALWAYS},
    {"pagg.", "pagine", WHEN_ALWAYS},
    {"vol.", "volume", WHEN_BEFORE_NUMBER},
    {"cap.", "capitolo", WHEN_BEFORE_NUMBER},
    {"art.", "articolo", WHEN_BEFORE_NUMBER},
    {"fig.", "figura", WHEN_BEFORE_NUMBER},
    {"tel.", "telefono", WHEN_ALWAYS},
    {"a.C.", "avanti Cristo", WHEN_MAY_END},
    {"d.C.", "dopo Cristo", WHEN_MAY_END},
    {"V.le", "viale", WHEN_ALWAYS},
    {"P.za", "piazza", WHEN_ALWAYS},
    {"P.zza", "piazza", WHEN_ALWAYS},
    {"S.p.A.", "società per azioni", WHEN_MAY_END},
    {"max.", "massimo", WHEN_ALWAYS},
    {"min.", "minimo", WHEN_BEFORE_NUMBER},
    {0}};

static const struct language_symbol symbols[] = {{"%", "per cento"},   {"&", "e"},
                                                 {"+", "più"},         {"=", "uguale a"},
                                                 {"§", "paragrafo"},   {"€", "euro"},
                                                 {"$", "dollari"},     {"£", "sterline"},
                                                 {"×", "per"},         {"÷", "diviso"},
                                                 {"½", "un mezzo"},    {"¼", "un quarto"},
                                                 {"¾", "tre quarti"},  {"<", "minore di"},
                                                 {">", "maggiore di"}, {"≈", "circa"},
                                                 {"→", "a"},           {"@", "chiocciola"},
                                                 {"°", "gradi"},       {"*", ""},
                                                 {"#", "numero"},      {0}};

static void italian_say(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "it", rules, digits);
}

/* 14:30: quattordici e trenta; the article is the text's. */
static void italian_say_time(const struct language_time *t, struct words *w)
{
    italian_say(t->hour, t->hour == 1 ? F : N, w);
    if (t->minute > 0 || t->second > 0) {
        words_add(w, "e");
        italian_say(t->minute, N, w);
    }
    if (t->second > 0) {
        words_add(w, "e");
        italian_say(t->second, M, w);
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
static size_t italian_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len, start = at;
    int x = language_roman(s, n, at, true, &len);
    char digits[12];
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    bool century = scan_match(s, n, at + len, " secolo", false) > 0;
    for (start = at ? at - 1 : 0; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool person = at > 1 && s[at - 1] == ' ' && len > 1 && x <= 30 && scan_capital_at(s, n, start);
    if (!century && !person)
        return 0;
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "it", "%spellout-ordinal-masculine", digits);
    return len;
}

extern const struct text_language language_it;
const struct text_language language_it = {
    .code = "it",
    .locale = "it",
    .decimal = ',',
    .group = ".'",
    .date_order = "dmy",
    .fraction_as_number = true,
    .minus = "meno",
    .plus = "più",
    .point = "virgola",
    .to = "a",
    .money_and = "e",
    .dot = "punto",
    .at = "chiocciola",
    .slash = "barra",
    .dash = "trattino",
    .underscore = "trattino basso",
    .colon = "due punti",
    .hashtag = "hashtag",
    .noun_rules = italian_noun_rules,
    .match = italian_match,
    .ordinal_suffixes = "º:%spellout-ordinal-masculine|ª:%spellout-ordinal-feminine|"
                        "°:%spellout-ordinal-masculine|o:%spellout-ordinal-masculine|"
                        "a:%spellout-ordinal-feminine",
    .months = months,
    .date_dmy = "{d} {m} {y}",
    .date_dm = "{d} {m}",
    .date_my = "{m} {y}",
    .first_day_rules = "%spellout-ordinal-masculine",
    .say_time = italian_say_time,
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
};
