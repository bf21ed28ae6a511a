/* Portuguese: what Brazil and Portugal say alike, and Brazil's words where they differ. */
#include <stdio.h>
#include <stdlib.h>

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
    "janeiro|jan.",  "fevereiro|fev.", "março|mar.",  "abril|abr.",    "maio",
    "junho|jun.",    "julho|jul.",     "agosto|ago.", "setembro|set.", "outubro|out.",
    "novembro|nov.", "dezembro|dez.",  NULL};

static const struct language_unit units[] = {
    {"%", SAME("por cento"), M},
    {"‰", SAME("por mil"), M},
    {"°C", FORMS("grau Celsius", "graus Celsius"), M},
    {"ºC", FORMS("grau Celsius", "graus Celsius"), M},
    {"°F", FORMS("grau Fahrenheit", "graus Fahrenheit"), M},
    {"°", FORMS("grau", "graus"), M},
    {"nm", FORMS("nanômetro", "nanômetros"), M},
    {"mm", FORMS("milímetro", "milímetros"), M},
    {"cm", FORMS("centímetro", "centímetros"), M},
    {"m", FORMS("metro", "metros"), M},
    {"km", FORMS("quilômetro", "quilômetros"), M},
    {"m²", FORMS("metro quadrado", "metros quadrados"), M},
    {"m2", FORMS("metro quadrado", "metros quadrados"), M},
    {"km²", FORMS("quilômetro quadrado", "quilômetros quadrados"), M},
    {"km2", FORMS("quilômetro quadrado", "quilômetros quadrados"), M},
    {"cm²", FORMS("centímetro quadrado", "centímetros quadrados"), M},
    {"ha", FORMS("hectare", "hectares"), M},
    {"m³", FORMS("metro cúbico", "metros cúbicos"), M},
    {"m3", FORMS("metro cúbico", "metros cúbicos"), M},
    {"ml", FORMS("mililitro", "mililitros"), M},
    {"mL", FORMS("mililitro", "mililitros"), M},
    {"l", FORMS("litro", "litros"), M},
    {"L", FORMS("litro", "litros"), M},
    {"mg", FORMS("miligrama", "miligramas"), M},
    {"g", FORMS("grama", "gramas"), M},
    {"kg", FORMS("quilograma", "quilogramas"), M},
    {"t", FORMS("tonelada", "toneladas"), F},
    {"km/h", FORMS("quilômetro por hora", "quilômetros por hora"), M},
    {"m/s", FORMS("metro por segundo", "metros por segundo"), M},
    {"ms", FORMS("milissegundo", "milissegundos"), M},
    {"s", FORMS("segundo", "segundos"), M},
    {"min", FORMS("minuto", "minutos"), M},
    {"W", FORMS("watt", "watts"), M},
    {"kW", FORMS("quilowatt", "quilowatts"), M},
    {"MW", FORMS("megawatt", "megawatts"), M},
    {"kWh", FORMS("quilowatt-hora", "quilowatts-hora"), M},
    {"V", FORMS("volt", "volts"), M},
    {"A", FORMS("ampere", "amperes"), M},
    {"Hz", SAME("hertz"), M},
    {"kHz", SAME("quilo-hertz"), M},
    {"MHz", SAME("mega-hertz"), M},
    {"GHz", SAME("giga-hertz"), M},
    {"KB", FORMS("quilobyte", "quilobytes"), M},
    {"MB", FORMS("megabyte", "megabytes"), M},
    {"GB", FORMS("gigabyte", "gigabytes"), M},
    {"TB", FORMS("terabyte", "terabytes"), M},
    {"dB", FORMS("decibel", "decibéis"), M},
    {"kcal", FORMS("quilocaloria", "quilocalorias"), F},
    {0}};

static const struct language_currency currencies[] = {
    {"R$", FORMS("real", "reais"), FORMS("centavo", "centavos"), M, M},
    {"BRL", FORMS("real", "reais"), FORMS("centavo", "centavos"), M, M},
    {"€", FORMS("euro", "euros"), FORMS("cêntimo", "cêntimos"), M, M},
    {"EUR", FORMS("euro", "euros"), FORMS("cêntimo", "cêntimos"), M, M},
    {"$", FORMS("dólar", "dólares"), FORMS("centavo", "centavos"), M, M},
    {"US$", FORMS("dólar", "dólares"), FORMS("centavo", "centavos"), M, M},
    {"USD", FORMS("dólar americano", "dólares americanos"), FORMS("centavo", "centavos"), M, M},
    {"£", FORMS("libra", "libras"), FORMS("pêni", "pence"), F, M},
    {"GBP", FORMS("libra esterlina", "libras esterlinas"), FORMS("pêni", "pence"), F, M},
    {"¥", FORMS("iene", "ienes"), {0}, M, M},
    {"JPY", FORMS("iene", "ienes"), {0}, M, M},
    {0}};

static const struct language_abbreviation abbreviations[] = {
    {"Sr.", "senhor", WHEN_ALWAYS},
    {"Sra.", "senhora", WHEN_ALWAYS},
    {"Srta.", "senhorita", WHEN_ALWAYS},
    {"Srs.", "senhores", WHEN_ALWAYS},
    {"Dr.", "doutor", WHEN_ALWAYS},
    {"Dra.", "doutora", WHEN_ALWAYS},
    {"D.", "dona", WHEN_BEFORE_NAME},
    {"Prof.", "professor", WHEN_ALWAYS},
    {"Profa.", "professora", WHEN_ALWAYS},
    {"Eng.", "engenheiro", WHEN_BEFORE_NAME},
    {"etc.", "et cetera", WHEN_MAY_END},
    {"p. ex.", "por exemplo", WHEN_ALWAYS},
    {"aprox.", "aproximadamente", WHEN_ALWAYS},
    {"Av.", "avenida", WHEN_BEFORE_NAME},
    {"R.", "rua", WHEN_BEFORE_NAME},
    {"n.º", "número", WHEN_ALWAYS},
    {"nº", "número", WHEN_ALWAYS},
    {"n°", "número", WHEN_ALWAYS},
    {"p.", "página", WHEN_BEFORE_NUMBER},
    {"pág.", "página", WHEN_ALWAYS},
    {"vol.", "volume", WHEN_BEFORE_NUMBER},
    {"cap.", "capítulo", WHEN_BEFORE_NUMBER},
    {"art.", "artigo", WHEN_BEFORE_NUMBER},
    {"fig.", "figura", WHEN_BEFORE_NUMBER},
    {"tel.", "telefone", WHEN_ALWAYS},
    {"a.C.", "antes de Cristo", WHEN_MAY_END},
    {"d.C.", "depois de Cristo", WHEN_MAY_END},
    {"EUA", "Estados Unidos", WHEN_ALWAYS},
    {"máx.", "máximo", WHEN_ALWAYS},
    {"mín.", "mínimo", WHEN_ALWAYS},
    {0}};

static const struct language_symbol symbols[] = {{"%", "por cento"},    {"&", "e"},
                                                 {"+", "mais"},         {"=", "igual a"},
                                                 {"§", "parágrafo"},    {"€", "euros"},
                                                 {"$", "dólares"},      {"£", "libras"},
                                                 {"×", "vezes"},        {"÷", "dividido por"},
                                                 {"½", "meio"},         {"¼", "um quarto"},
                                                 {"¾", "três quartos"}, {"<", "menor que"},
                                                 {">", "maior que"},    {"≈", "aproximadamente"},
                                                 {"→", "para"},         {"@", "arroba"},
                                                 {"°", "graus"},        {"*", ""},
                                                 {"#", "número"},       {0}};

static const char *const time_words[] = {"horas", "hora", NULL};

static void portuguese_say(int x, const char *rules, struct words *w)
{
    char digits[12];
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "pt", rules, digits);
}

static void portuguese_say_time(const struct language_time *t, struct words *w)
{
    portuguese_say(t->hour, F, w);
    words_add(w, t->hour < 2 ? "hora" : "horas");
    if (t->minute > 0 || t->second > 0) {
        words_add(w, "e");
        portuguese_say(t->minute, M, w);
    }
    if (t->second > 0) {
        words_add(w, "minutos e");
        portuguese_say(t->second, M, w);
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
static size_t portuguese_read_roman(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len, start = at;
    int x = at > 1 && s[at - 1] == ' ' ? language_roman(s, n, at, true, &len) : 0;
    char digits[12];
    if (!x || scan_word_at(s, n, at + len))
        return 0;
    for (start = at - 1; start > 0 && s[start - 1] != ' ' && s[start - 1] != '\n'; start--)
        ;
    bool century = language_is_one_of(s + start, at - 1 - start, "século|Século|séculos");
    if (!century && (len < 2 || x > 30 || !scan_capital_at(s, n, start)))
        return 0;
    snprintf(digits, sizeof digits, "%d", x);
    words_number(w, "pt", x <= 10 ? "%spellout-ordinal-masculine" : NULL, digits);
    return len;
}

/* 14h30, 14h: as times are written. */
static size_t portuguese_match(const char *s, size_t n, size_t at, struct words *w)
{
    size_t digits = scan_digits(s, n, at), end = at + digits;
    struct language_time t = {.second = -1};
    if (digits == 0)
        return portuguese_read_roman(s, n, at, w);
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
    portuguese_say_time(&t, w);
    return end - at;
}

extern const struct text_language language_pt;
const struct text_language language_pt = {
    .code = "pt",
    .locale = "pt",
    .decimal = ',',
    .group = ". ",
    .date_order = "dmy",
    .fraction_as_number = true,
    .minus = "menos",
    .plus = "mais",
    .point = "vírgula",
    .to = "a",
    .money_and = "e",
    .dot = "ponto",
    .at = "arroba",
    .slash = "barra",
    .dash = "hífen",
    .underscore = "sublinhado",
    .colon = "dois pontos",
    .hashtag = "hashtag",
    .ordinal_suffixes = ".º:%spellout-ordinal-masculine|.ª:%spellout-ordinal-feminine|"
                        "º:%spellout-ordinal-masculine|ª:%spellout-ordinal-feminine|"
                        "°:%spellout-ordinal-masculine",
    .months = months,
    .date_dmy = "{d} de {m} de {y}",
    .date_dm = "{d} de {m}",
    .date_my = "{m} de {y}",
    .first_day_rules = "%spellout-ordinal-masculine",
    .time_words = time_words,
    .say_time = portuguese_say_time,
    .match = portuguese_match,
    .noun_rules = portuguese_noun_rules,
    .units = units,
    .currencies = currencies,
    .abbreviations = abbreviations,
    .symbols = symbols,
};
