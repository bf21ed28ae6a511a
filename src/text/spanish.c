/* Spanish. */
#include <stdio.h>

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

static const char *const months[] = {"enero|ene.",
                                     "febrero|feb.",
                                     "marzo|mar.",
                                     "abril|abr.",
                                     "mayo",
                                     "junio|jun.",
                                     "julio|jul.",
                                     "agosto|ago.",
                                     "septiembre|setiembre|sept.|sep.",
                                     "octubre|oct.",
                                     "noviembre|nov.",
                                     "diciembre|dic.",
                                     NULL};

static const struct language_unit units[] = {
    {"%", SAME("por ciento"), "%spellout-numbering"},
    {"‰", SAME("por mil"), "%spellout-numbering"},
    {"°C", FORMS("grado Celsius", "grados Celsius"), M},
    {"ºC", FORMS("grado Celsius", "grados Celsius"), M},
    {"°F", FORMS("grado Fahrenheit", "grados Fahrenheit"), M},
    {"°", FORMS("grado", "grados"), M},
    {"nm", FORMS("nanómetro", "nanómetros"), M},
    {"µm", FORMS("micrómetro", "micrómetros"), M},
    {"mm", FORMS("milímetro", "milímetros"), M},
    {"cm", FORMS("centímetro", "centímetros"), M},
    {"m", FORMS("metro", "metros"), M},
    {"km", FORMS("kilómetro", "kilómetros"), M},
    {"m²", FORMS("metro cuadrado", "metros cuadrados"), M},
    {"m2", FORMS("metro cuadrado", "metros cuadrados"), M},
    {"km²", FORMS("kilómetro cuadrado", "kilómetros cuadrados"), M},
    {"km2", FORMS("kilómetro cuadrado", "kilómetros cuadrados"), M},
    {"cm²", FORMS("centímetro cuadrado", "centímetros cuadrados"), M},
    {"ha", FORMS("hectárea", "hectáreas"), F},
    {"m³", FORMS("metro cúbico", "metros cúbicos"), M},
    {"m3", FORMS("metro cúbico", "metros cúbicos"), M},
    {"cm³", FORMS("centímetro cúbico", "centímetros cúbicos"), M},
    {"ml", FORMS("mililitro", "mililitros"), M},
    {"cl", FORMS("centilitro", "centilitros"), M},
    {"l", FORMS("litro", "litros"), M},
    {"L", FORMS("litro", "litros"), M},
    {"mg", FORMS("miligramo", "miligramos"), M},
    {"g", FORMS("gramo", "gramos"), M},
    {"kg", FORMS("kilogramo", "kilogramos"), M},
    {"t", FORMS("tonelada", "toneladas"), F},
    {"km/h", FORMS("kilómetro por hora", "kilómetros por hora"), M},
    {"m/s", FORMS("metro por segundo", "metros por segundo"), M},
    {"ms", FORMS("milisegundo", "milisegundos"), M},
    {"s", FORMS("segundo", "segundos"), M},
    {"min", FORMS("minuto", "minutos"), M},
    {"W", FORMS("vatio", "vatios"), M},
    {"kW", FORMS("kilovatio", "kilovatios"), M},
    {"MW", FORMS("megavatio", "megavatios"), M},
    {"kWh", FORMS("kilovatio hora", "kilovatios hora"), M},
    {"V", FORMS("voltio", "voltios"), M},
    {"A", FORMS("amperio", "amperios"), M},
    {"Hz", FORMS("hercio", "hercios"), M},
    {"kHz", FORMS("kilohercio", "kilohercios"), M},
    {"MHz", FORMS("megahercio", "megahercios"), M},
    {"GHz", FORMS("gigahercio", "gigahercios"), M},
    {"kB", FORMS("kilobyte", "kilobytes"), M},
    {"KB", FORMS("kilobyte", "kilobytes"), M},
    {"MB", FORMS("megabyte", "megabytes"), M},
    {"GB", FORMS("gigabyte", "gigabytes"), M},
    {"TB", FORMS("terabyte", "terabytes"), M},
    {"dB", FORMS("decibelio", "decibelios"), M},
    {"kcal", FORMS("kilocaloría", "kilocalorías"), F},
    {0}};

static const struct language_currency currencies[] = {
    {"€", FORMS("euro", "euros"), FORMS("céntimo", "céntimos"), M, M},
    {"EUR", FORMS("euro", "euros"), FORMS("céntimo", "céntimos"), M, M},
    {"$", FORMS("dólar", "dólares"), FORMS("centavo", "centavos"), M, M},
    {"US$", FORMS("dólar estadounidense", "dólares estadounidenses"), FORMS("centavo", "centavos"),
     M, M},
    {"USD", FORMS("dólar estadounidense", "dólares estadounidenses"), FORMS("centavo", "centavos"),
     M, M},
    {"£", FORMS("libra", "libras"), FORMS("penique", "peniques"), F, M},
    {"GBP", FORMS("libra esterlina", "libras esterlinas"), FORMS("penique", "peniques"), F, M},
    {"CHF", FORMS("franco suizo", "francos suizos"), FORMS("céntimo", "céntimos"), M, M},
    {"MXN", FORMS("peso mexicano", "pesos mexicanos"), FORMS("centavo", "centavos"), M, M},
    {"¥", FORMS("yen", "yenes"), {0}, M, M},
    {"JPY", FORMS("yen", "yenes"), {0}, M, M},
    {"₽", FORMS("rublo", "rublos"), FORMS("kopek", "kopeks"), M, M},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"Sr.", "señor", WHEN_ALWAYS},
    {"Sra.", "señora", WHEN_ALWAYS},
    {"Srta.", "señorita", WHEN_ALWAYS},
    {"Sres.", "señores", WHEN_ALWAYS},
    {"D.", "don", WHEN_BEFORE_NAME},
    {"D.ª", "doña", WHEN_BEFORE_NAME},
    {"Dr.", "doctor", WHEN_ALWAYS},
    {"Dra.", "doctora", WHEN_ALWAYS},
    {"Prof.", "profesor", WHEN_ALWAYS},
    {"Ud.", "usted", WHEN_MAY_END},
    {"Uds.", "ustedes", WHEN_MAY_END},
    {"etc.", "etcétera", WHEN_MAY_END},
    {"p. ej.", "por ejemplo", WHEN_ALWAYS},
    {"aprox.", "aproximadamente", WHEN_ALWAYS},
    {"Avda.", "avenida", WHEN_ALWAYS},
    {"Av.", "avenida", WHEN_BEFORE_NAME},
    {"C/", "calle", WHEN_ALWAYS},
    {"n.º", "número", WHEN_ALWAYS},
    {"n.°", "número", WHEN_ALWAYS},
    {"nº", "número", WHEN_ALWAYS},
    {"núm.", "número", WHEN_ALWAYS},
    {"pág.", "página", WHEN_ALWAYS},
    {"págs.", "páginas", WHEN_ALWAYS},
    {"p.", "página", WHEN_BEFORE_NUMBER},
    {"vol.", "volumen", WHEN_BEFORE_NUMBER},
    {"cap.", "capítulo", WHEN_BEFORE_NUMBER},
    {"art.", "artículo", WHEN_BEFORE_NUMBER},
    {"fig.", "figura", WHEN_BEFORE_NUMBER},
    {"tel.", "teléfono", WHEN_ALWAYS},
    {"EE. UU.", "Estados Unidos", WHEN_MAY_END},
    {"a. C.", "antes de Cristo", WHEN_MAY_END},
    {"d. C.", "después de Cristo", WHEN_MAY_END},
    {"máx.", "máximo", WHEN_ALWAYS},
    {"mín.", "mínimo", WHEN_ALWAYS},
    {"Sto.", "santo", WHEN_BEFORE_NAME},
    {"Sta.", "santa", WHEN_BEFORE_NAME},
    {0}};

static const struct language_symbol symbols[] = {{"%", "por ciento"},
                                                 {"&", "y"},
                                                 {"+", "más"},
                                                 {"=", "igual a"},
                                                 {"§", "sección"},
                                                 {"€", "euros"},
                                                 {"$", "dólares"},
                                                 {"£", "libras"},
                                                 {"×", "por"},
                                                 {"÷", "entre"},
                                                 {"½", "un medio"},
                                                 {"¼", "un cuarto"},
                                                 {"¾", "tres cuartos"},
                                                 {"<", "menor que"},
                                                 {">", "mayor que"},
                                                 {"≈", "aproximadamente"},
                                                 {"→", "a"},
                                                 {"@", "arroba"},
                                                 {"°", "grados"},
                                                 {"*", ""},
                                                 {"#", "número"},
                                                 {0}};

static const char *const time_words[] = {"horas", "hora", "h", NULL};

static void spanish_say(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "es", rules, digits);
}

/* 14:30: las catorce treinta, without its article, which the text has; 9:00: nueve. */
static void spanish_say_time(const struct language_time *t, struct words *w)
{
    spanish_say(t->hour, F, w);
    if (t->minute == 0 && t->second <= 0) {
        words_add(w, t->hour == 1 ? "" : t->hour > 12 || t->hour == 0 ? "horas" : "en punto");
        return;
    }
    words_add(w, "y");
    spanish_say(t->minute, NULL, w);
    if (t->second > 0) {
        words_add(w, "con");
        spanish_say(t->second, M, w);
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
static size_t spanish_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len, start = at;
    int x = at > 1 && s[at - 1] == ' ' ? language_roman(s, n, at, true, &len) : 0;
    char digits[12];
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    for (start = at - 1; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool century = language_is_one_of(s + start, at - 1 - start, "siglo|Siglo|siglos");
    if (!century && (len < 2 || x > 30 || !scan_capital_at(s, n, start)))
        return 0;
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "es", !century && x <= 10 ? "%spellout-ordinal-masculine" : NULL, digits);
    return len;
}

extern const struct text_language language_es;
const struct text_language language_es = {
    .code = "es",
    .locale = "es",
    .decimal = ',',
    .group = ". ",
    .date_order = "dmy",
    .fraction_as_number = true,
    .minus = "menos",
    .plus = "más",
    .point = "coma",
    .to = "a",
    .money_and = "con",
    .dot = "punto",
    .at = "arroba",
    .slash = "barra",
    .dash = "guion",
    .underscore = "guion bajo",
    .colon = "dos puntos",
    .hashtag = "hashtag",
    .noun_rules = spanish_noun_rules,
    .match = spanish_match,
    .ordinal_suffixes =
        ".º:%spellout-ordinal-masculine|.ª:%spellout-ordinal-feminine|"
        "º:%spellout-ordinal-masculine|ª:%spellout-ordinal-feminine|"
        ".er:%spellout-ordinal-masculine-adjective|er:%spellout-ordinal-masculine-adjective",
    .months = months,
    .date_dmy = "{d} de {m} de {y}",
    .date_dm = "{d} de {m}",
    .date_my = "{m} de {y}",
    .first_day_rules = "%spellout-ordinal-masculine",
    .time_words = time_words,
    .say_time = spanish_say_time,
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
};
