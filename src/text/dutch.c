/* Dutch. */
#include "text/language.h"

#define FORMS(one, other) {other, one, 0, 0, 0}
#define SAME(x)           {x, 0, 0, 0, 0}

static const char *const months[] = {
    "januari|jan.", "februari|feb.", "maart|mrt.", "april|apr.", "mei", "juni|jun.", "juli|jul.",
    "augustus|aug.", "september|sept.|sep.", "oktober|okt.", "november|nov.", "december|dec.", NULL};

static const struct language_unit units[] = {
    {"%", SAME("procent"), 0}, {"‰", SAME("promille"), 0},
    {"°C", FORMS("graad Celsius", "graden Celsius"), 0},
    {"°F", FORMS("graad Fahrenheit", "graden Fahrenheit"), 0}, {"°", FORMS("graad", "graden"), 0},
    {"nm", SAME("nanometer"), 0}, {"µm", SAME("micrometer"), 0}, {"mm", SAME("millimeter"), 0},
    {"cm", SAME("centimeter"), 0}, {"dm", SAME("decimeter"), 0}, {"m", SAME("meter"), 0},
    {"km", SAME("kilometer"), 0}, {"m²", SAME("vierkante meter"), 0},
    {"m2", SAME("vierkante meter"), 0},
    {"km²", SAME("vierkante kilometer"), 0}, {"km2", SAME("vierkante kilometer"), 0},
    {"cm²", SAME("vierkante centimeter"), 0}, {"ha", SAME("hectare"), 0},
    {"m³", SAME("kubieke meter"), 0}, {"m3", SAME("kubieke meter"), 0},
    {"cm³", SAME("kubieke centimeter"), 0}, {"ml", SAME("milliliter"), 0},
    {"cl", SAME("centiliter"), 0},
    {"dl", SAME("deciliter"), 0}, {"l", SAME("liter"), 0}, {"L", SAME("liter"), 0},
    {"mg", SAME("milligram"), 0}, {"g", SAME("gram"), 0}, {"kg", SAME("kilogram"), 0},
    {"t", SAME("ton"), 0},
    {"km/u", SAME("kilometer per uur"), 0}, {"km/h", SAME("kilometer per uur"), 0},
    {"m/s", SAME("meter per seconde"), 0}, {"ms", FORMS("milliseconde", "milliseconden"), 0},
    {"s", FORMS("seconde", "seconden"), 0}, {"sec.", FORMS("seconde", "seconden"), 0},
    {"min", FORMS("minuut", "minuten"), 0}, {"min.", FORMS("minuut", "minuten"), 0},
    {"W", SAME("watt"), 0},
    {"kW", SAME("kilowatt"), 0}, {"MW", SAME("megawatt"), 0}, {"kWh", SAME("kilowattuur"), 0},
    {"V", SAME("volt"), 0}, {"A", SAME("ampère"), 0}, {"Hz", SAME("hertz"), 0},
    {"kHz", SAME("kilohertz"), 0},
    {"MHz", SAME("megahertz"), 0}, {"GHz", SAME("gigahertz"), 0}, {"kB", SAME("kilobyte"), 0},
    {"KB", SAME("kilobyte"), 0}, {"MB", SAME("megabyte"), 0}, {"GB", SAME("gigabyte"), 0},
    {"TB", SAME("terabyte"), 0}, {"dB", SAME("decibel"), 0},
    {"kcal", FORMS("kilocalorie", "kilocalorieën"), 0}, {"mln.", SAME("miljoen"), 0},
    {"mln", SAME("miljoen"), 0}, {"mld.", SAME("miljard"), 0}, {"mld", SAME("miljard"), 0}, {0}};

static const struct language_currency currencies[] = {
    {"€", SAME("euro"), SAME("cent"), 0, 0}, {"EUR", SAME("euro"), SAME("cent"), 0, 0},
    {"$", SAME("dollar"), SAME("cent"), 0, 0},
    {"US$", SAME("Amerikaanse dollar"), SAME("cent"), 0, 0},
    {"USD", SAME("Amerikaanse dollar"), SAME("cent"), 0, 0},
    {"£", SAME("pond"), FORMS("penny", "pence"), 0, 0},
    {"GBP", SAME("Britse pond"), FORMS("penny", "pence"), 0, 0},
    {"CHF", SAME("Zwitserse frank"), SAME("rappen"), 0, 0}, {"¥", SAME("yen"), {0}, 0, 0},
    {"JPY", SAME("yen"), {0}, 0, 0}, {"₽", SAME("roebel"), FORMS("kopeke", "kopeken"), 0, 0}, {0}};

static const struct language_abbreviation abbreviations[] = {
    {"bijv.", "bijvoorbeeld", WHEN_ALWAYS}, {"bv.", "bijvoorbeeld", WHEN_ALWAYS},
    {"d.w.z.", "dat wil zeggen", WHEN_ALWAYS}, {"o.a.", "onder andere", WHEN_ALWAYS},
    {"enz.", "enzovoort", WHEN_MAY_END}, {"etc.", "et cetera", WHEN_MAY_END},
    {"m.a.w.", "met andere woorden", WHEN_ALWAYS}, {"i.p.v.", "in plaats van", WHEN_ALWAYS},
    {"t/m", "tot en met", WHEN_ALWAYS}, {"t.o.v.", "ten opzichte van", WHEN_ALWAYS},
    {"a.u.b.", "alstublieft", WHEN_MAY_END}, {"ca.", "circa", WHEN_ALWAYS},
    {"dhr.", "de heer", WHEN_ALWAYS},
    {"mevr.", "mevrouw", WHEN_ALWAYS}, {"mw.", "mevrouw", WHEN_ALWAYS},
    {"dr.", "doctor", WHEN_ALWAYS},
    {"prof.", "professor", WHEN_ALWAYS}, {"mr.", "meester", WHEN_BEFORE_NAME},
    {"ir.", "ingenieur", WHEN_BEFORE_NAME}, {"nr.", "nummer", WHEN_ALWAYS},
    {"str.", "straat", WHEN_MAY_END},
    {"blz.", "bladzijde", WHEN_ALWAYS}, {"p.", "pagina", WHEN_BEFORE_NUMBER},
    {"tel.", "telefoon", WHEN_ALWAYS},
    {"incl.", "inclusief", WHEN_ALWAYS}, {"excl.", "exclusief", WHEN_ALWAYS},
    {"max.", "maximaal", WHEN_ALWAYS},
    {"vgl.", "vergelijk", WHEN_ALWAYS}, {"v.Chr.", "voor Christus", WHEN_MAY_END},
    {"n.Chr.", "na Christus", WHEN_MAY_END}, {"St.", "Sint", WHEN_BEFORE_NAME},
    {"e.d.", "en dergelijke", WHEN_MAY_END}, {0}};

static const struct language_symbol symbols[] = {
    {"%", "procent"}, {"&", "en"}, {"+", "plus"}, {"=", "is"}, {"§", "paragraaf"}, {"€", "euro"},
    {"$", "dollar"}, {"£", "pond"}, {"×", "maal"}, {"÷", "gedeeld door"}, {"½", "een half"},
    {"¼", "een kwart"}, {"¾", "drie kwart"}, {"<", "kleiner dan"}, {">", "groter dan"},
    {"≈", "ongeveer"}, {"→", "naar"}, {"@", "apenstaartje"}, {"°", "graden"}, {"*", ""},
    {"#", "nummer"}, {0}};

static const char *const time_words[] = {"uur", "u", NULL};

extern const struct text_language language_nl;
const struct text_language language_nl = {
    .code = "nl", .locale = "nl", .decimal = ',', .group = ".", .date_order = "dmy",
    .minus = "min", .plus = "plus", .point = "komma", .to = "tot", .part_unnamed = true,
    .dot = "punt", .at = "apenstaartje", .slash = "schuine streep", .dash = "streepje",
    .underscore = "laag streepje", .colon = "dubbele punt", .hashtag = "hashtag",
    .bare_year_rules = "%spellout-numbering-year",
    .ordinal_suffixes = "e:%spellout-ordinal|de:%spellout-ordinal|ste:%spellout-ordinal",
    .months = months, .date_dmy = "{d} {m} {y}", .date_dm = "{d} {m}", .date_my = "{m} {y}",
    .year_rules = "%spellout-numbering-year", .time_h = "{h} uur", .time_hm = "{h} uur {m}",
    .time_hms = "{h} uur {m} en {s} seconden", .time_words = time_words,
    .units = units, .currencies = currencies, .abbreviations = abbreviations, .symbols = symbols,
};
