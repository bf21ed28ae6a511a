/* English: abbreviations, and words that are not read as they are written. */
#include "text/english.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/lang.h"
#include "text/scan.h"
#include "text/words.h"

#define MAX_NAME_BYTES 256 /* longer names of files and the like are not recognized */

/* --- letters --- */

void english_spell(const char *s, size_t n, struct words *w)
{
    for (size_t i = 0; i < n; i++)
        if (scan_is_alpha(s[i]))
            words_add(w, (char[2]){(char)toupper((unsigned char)s[i]), 0});
        else if (scan_is_digit(s[i]))
            english_say_digits(s + i, 1, w);
}

/* Capitals that are read as words. */
static const char acronym_words[] =
    "nasa|nato|unesco|unicef|opec|laser|radar|sonar|scuba|covid|aids|sars|mers|fema|nafta|nasdaq|"
    "fifa|uefa|swat|pin|ram|rom|sim|gif|jpeg|json|yaml|ajax|crud|lan|wan|ascii|imax|ikea|lego|"
    "nimby|yolo|fomo|posix|gnu|linux|cobol|fortran|basic|pascal|lisp|sap|oled|raid|bios|dos|ok|"
    "okay|hiv/aids|potus|scotus|flotus|interpol|cern|noaa|osha|medicaid|soho|noho|tribeca|zip|"
    "sat|gatt|asean|brics|lidar|taser|sudo|toml|wasm|cuda|simd|sata|nand|pong|nokia|sony|asus|"
    "dell|acer|visa|canon|nike|honda|ford|gump|vim|emacs|gimp|dvorak|qwerty|azerty|nvme|moma|mac|"
    "bing|siri|alexa|dall|dune|cad|cam|pac|rand|seal|seals|wac|wasp|waves|navy|army|mash|pet|dip|"
    "todo|maga|dink|pawn|cat|dog|bart|mit's";

/* Ordinary words of up to three letters, and some that are no words of a dictionary. */
static const char common_words[] =
    "a|i|an|as|at|be|by|do|go|he|if|in|is|me|my|no|of|oh|on|or|so|to|up|we|am|the|and|for|are|"
    "but|not|you|all|any|can|had|her|was|one|our|out|day|get|has|him|his|how|man|new|now|old|see|"
    "two|way|who|boy|did|its|let|put|say|she|too|use|dad|mom|yes|yet|hot|top|red|run|big|bad|end|"
    "far|few|fun|got|car|eat|buy|ask|try|why|own|off|sit|set|win|lot|low|key|job|law|age|ago|air|"
    "art|bed|bit|box|bus|cut|die|dry|egg|eye|fit|fly|gas|god|gun|hit|ice|ill|joy|kid|lie|map|mix|"
    "net|nor|odd|oil|pay|per|pop|raw|rid|sad|sea|six|ten|sky|son|sun|tax|tea|tie|tip|toy|via|war|"
    "wet|wow|hey|hi|bye|aha|huh|ugh|don't|won't|can't|isn't|null|info|debug|esc|tab|add";

/* Four and five letters that look like words but are spelled. */
static const char spelled[] =
    "ucla|aarp|aclu|usda|usaf|ymca|ieee|oecd|ioc|iata|icao|imho|isbn|issn|asap|aaaa|ukip|usmc|"
    "nyse|uscis|naacp|espn|abba's|osce|ofac|unhcr|cctv|hdmi|html|http|https|ipcc|icbm|usps|ncaa|"
    "aids's|nypd|lapd|saas|paas|iaas|ceos|esl|eeoc|atoi|eula|aapl|msft|goog|oaas|eeg|ecg|iphone|"
    "aka|diy|faq|faqs|etas|asic|ibm|usa|usd|eu|uk|us|uae|ussr|ira|irs|isis|ide|iot|ids|icu|iou|"
    "ufo|ufos|ivf|upi|ups|usb|uri|url|udp|utc|utf";

static bool is_vowel(char c)
{
    return strchr("aeiouy", c | 32) != NULL && c;
}

/* May it be said as a word: vowels, and not too many consonants at a place. */
static bool is_pronounceable(const char *s, size_t n)
{
    size_t vowels = 0, run = 0, longest = 0;
    for (size_t i = 0; i < n; i++) {
        bool vowel = is_vowel(s[i]);
        vowels += vowel;
        run = vowel ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    bool start =
        n < 3 || is_vowel(s[0]) || is_vowel(s[1]) || strchr("rlhwnmptckqu", s[1] | 32) != NULL;
    return vowels > 0 && vowels < n && longest <= (n > 6 ? 4u : 2u) && start;
}

/* Capitals and an apostrophe from start: how many. */
static size_t capitals_at(const char *s, size_t n, size_t at)
{
    size_t end = at;
    while (end < n && scan_is_upper(s[end]))
        end++;
    return end - at;
}

/* Are the words around in capitals too?  Then they are shouted, not spelled. */
static bool is_shouted(const char *s, size_t n, size_t at, size_t len)
{
    size_t after = at + len, before = at, letters = 0, words = 0, longest = 0;
    for (int i = 0; i < 2; i++) {
        while (after < n && strchr(" '-!", s[after]))
            after++;
        size_t next = capitals_at(s, n, after);
        after += next;
        if (next == 0 || (after < n && scan_is_alpha(s[after])))
            break;
        words += next > 1;
        letters += next;
        longest = next > longest ? next : longest;
    }
    for (int i = 0; i < 2; i++) {
        while (before && strchr(" '-!", s[before - 1]))
            before--;
        size_t end = before;
        while (before && scan_is_upper(s[before - 1]))
            before--;
        if (before == end || (before && scan_is_alpha(s[before - 1])))
            break;
        words += end - before > 1;
        letters += end - before;
        longest = end - before > longest ? end - before : longest;
    }
    return words > 0 && letters >= 4 && (longest >= 4 || words > 1);
}

enum capitals { CAPITALS_WORD, CAPITALS_NAME, CAPITALS_SPELL };

/* AT&T, SO₄: letters of one name. */
static bool is_joined(const char *s, size_t n, size_t at, size_t len)
{
    return (at + len + 1 < n && s[at + len] == '&' && scan_is_upper(s[at + len + 1])) ||
           (at && s[at - 1] == '&') ||
           (at + len + 2 < n && memcmp(s + at + len, "\xe2\x82", 2) == 0);
}

/* NAME: as it is (NASA); WORD: an ordinary word; SPELL: letter by letter. */
static enum capitals judge_capitals(const char *s, size_t n, size_t at, size_t len)
{
    char word[24] = "";
    if (len >= sizeof word)
        return CAPITALS_WORD;
    for (size_t i = 0; i < len; i++)
        word[i] = (char)(s[at + i] | 32);
    if (is_joined(s, n, at, len))
        return CAPITALS_SPELL;
    bool shouted = is_shouted(s, n, at, len);
    if (english_is(word, "us|it|who|am|pm|or|in|me|hi|la|ma|pa|mi|co|id|ad|ed|pe|al|oh|un|om"))
        return shouted && !english_is(word, "us|pm") ? CAPITALS_WORD : CAPITALS_SPELL;
    if (english_is(word, acronym_words))
        return CAPITALS_NAME;
    if (english_is(word, spelled))
        return CAPITALS_SPELL;
    if (len > 9 || english_is(word, common_words) ||
        ((len > 3 || shouted) && lang_is_ordinary(word, len)))
        return CAPITALS_WORD;
    bool sayable = is_pronounceable(word, len);
    return sayable && (len >= 5 || (shouted && len >= 4)) ? CAPITALS_WORD : CAPITALS_SPELL;
}

/* --- Roman numerals --- */

static int roman_value(const char *s, size_t n)
{
    static const struct {
        const char *digits;
        int value;
    } steps[] = {{"M", 1000}, {"CM", 900}, {"D", 500}, {"CD", 400}, {"C", 100},
                 {"XC", 90},  {"L", 50},   {"XL", 40}, {"X", 10},   {"IX", 9},
                 {"V", 5},    {"IV", 4},   {"I", 1}};
    int value = 0, repeats = 0;
    size_t at = 0;
    for (size_t k = 0; k < sizeof steps / sizeof *steps && at < n;) {
        size_t len = strlen(steps[k].digits);
        if (at + len <= n && memcmp(s + at, steps[k].digits, len) == 0 &&
            repeats < (len == 1 ? 3 : 1)) {
            value += steps[k].value;
            at += len;
            repeats++;
        } else {
            k++;
            repeats = 0;
        }
    }
    return at == n && value < 4000 ? value : 0;
}

static const char regnal[] =
    "henry|louis|elizabeth|george|edward|charles|william|james|richard|philip|napoleon|pius|"
    "benedict|francis|paul|leo|alexander|nicholas|catherine|frederick|wilhelm|otto|ferdinand|"
    "alfonso|felipe|victoria|mary|ramses|ramesses|ptolemy|xerxes|darius|cleopatra|gustav|"
    "christian|haakon|harald|olav|carl|baldwin|innocent|gregory|clement|urban|boniface|ivan|"
    "leopold|albert|rudolf|maximilian|pedro|john|peter|stephen|margaret|edgar|malcolm|robert|"
    "david|selim|suleiman|mehmed|murad|tutankhamun|thutmose|amenhotep|franz|joseph|karl|julius|"
    "sixtus|eugene|martin|adrian|celestine|honorius|juan|carlos|umberto|vittorio|constantine|"
    "theodosius|justinian|andrew|joan|isabella|henri|philippe|jean|casimir|sigismund|matthias";
static const char numbered[] =
    "chapter|part|act|scene|volume|vol|book|section|article|appendix|phase|type|class|stage|"
    "level|title|war|mark|figure|table|step|unit|grade|corps|episode|season|world|bowl|schedule|"
    "tier|group|division|category|version|round|game|rocky|fantasy|amendment|ch|fig|no|sec|art|"
    "mk|canto|verse|psalm|lesson|module|factor|apollo|gemini|olympiad|saturn|titan|age|hearts|"
    "quest|civilization|theft|gta|diablo|symphony|sonata|concerto|wars|trek|godfather|ii|pt|king|"
    "queen|pope|emperor|mach|photo|problem|question|exhibit|day";

/* World War II, Henry VIII, Chapter IV. */
static size_t english_words_read_roman(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len = capitals_at(s, n, at);
    int value = len && len < 12 ? roman_value(s + at, len) : 0;
    if (!value || scan_word_at(s, n, at + len) || (at + len < n && s[at + len] == '\'' && len < 2))
        return 0;
    struct english_context before = english_before(s, at), after = english_after(s, n, at + len);
    bool named = before.start < at && at && s[at - 1] == ' ' && before.word[0];
    bool keyword = named && english_is(before.word, numbered);
    bool ruler = named && before.capital && english_is(before.word, regnal);
    struct english_context title = english_before(s, before.start);
    bool titled = named && before.capital && title.capital &&
                  english_is(title.word, "king|queen|pope|emperor|tsar|czar|prince|kaiser|sultan|"
                                         "empress|shah");
    if (len == 1 && s[at] == 'I' && !keyword && after.start == at + len + 1 && after.word[0] &&
        !english_is(after.word, "of|and|was|is|in|had|reigned|died|ruled|the"))
        return 0; /* "Elizabeth, I think" without its comma */
    if ((ruler || titled) && !keyword) {
        words_add(w, "the");
        english_say_ordinal(value, w);
        return len;
    }
    bool century = english_is(after.word, "century|centuries");
    bool listed =
        named && before.capital && len >= 2 && value < 100 &&
        !english_is((char[8]){(char)(s[at] | 32), (char)(s[at + 1] | 32),
                              len > 2 ? (char)(s[at + 2] | 32) : (char)0,
                              len > 3 ? (char)(s[at + 3] | 32) : (char)0, 0},
                    "mi|di|md|mc|cd|dc|cv|cc|mm|ml|dl|cl|cm|mix|mill|xl|xxl|dm|lcd|cid|did|"
                    "iv|li|ci");
    if (century) {
        english_say_ordinal(value, w);
        return len;
    }
    if (!keyword && !listed)
        return 0;
    if (len == 1 && keyword && strchr("CDM", s[at]) &&
        !english_is(before.word, "chapter|act|book|volume"))
        return 0; /* Section C */
    english_say_int(value, w);
    return len;
}

/* --- St. and Dr. --- */

/* Saint before a name, Street behind one; Doctor before a name, Drive behind one. */
static size_t read_st_dr(const char *s, size_t n, size_t at, struct words *w)
{
    bool st = scan_match(s, n, at, "St", false) > 0, dr = scan_match(s, n, at, "Dr", false) > 0;
    size_t end = at + 2;
    if ((!st && !dr) || scan_word_at(s, n, end))
        return 0;
    bool period = end < n && s[end] == '.';
    size_t next = end + period + scan_spaces(s, n, end + period);
    struct english_context before = english_before(s, at);
    bool name = scan_capital_at(s, n, next) && next > end;
    bool behind =
        (before.capital && before.start < at && at && s[at - 1] == ' ' &&
         !(before.start && s[before.start - 1] == '.') &&
         !english_is(before.word, "the|and|in|at|to|of|from|for|with|by|on|near|visit|see|mr|"
                                  "mrs|hello|hi|dear|but|when|so|is|ask|call|if|as|then|says|"
                                  "said|yes|no|thanks")) ||
        english_is(before.word, "th|st|nd|rd");
    struct english_context after = english_after(s, n, end + period);
    bool side = english_is(after.word, "west|east|north|south|and|station");
    if (at >= 3 && s[at - 1] == ' ' && scan_is_digit(s[at - 2]))
        behind = true;
    if (name && behind && before.start > 0) {
        size_t i = before.start;
        while (i && s[i - 1] == ' ')
            i--;
        bool number = i && scan_is_digit(s[i - 1]); /* 12 Elm St. Springfield */
        behind = number || side ||
                 english_is(before.word, "main|elm|oak|wall|high|maple|first|second|third|park");
    } else if (name && behind) {
        behind = english_is(before.word, "main|elm|oak|wall|high|maple|first|second|third|park");
    }
    if (!behind && !name && !(dr && period))
        return 0;
    words_add(w, behind ? (st ? "Street" : "Drive") : st ? "Saint" : "Doctor");
    bool ends = period && behind && !side &&
                (next >= n || s[next] == '\n' || scan_capital_at(s, n, next)) &&
                !(next < n && scan_is_digit(s[next]));
    if (period && (ends || (next >= n || s[next] == '\n')))
        words_join(w, ".");
    return 2 + period;
}

/* Words that begin a sentence rather than a name. */
static const char starters[] =
    "the|he|she|it|they|we|i|in|but|and|this|that|however|a|an|there|if|when|while|as|at|on|for|"
    "our|his|her|my|their|its|these|those|what|who|why|how|where|so|then|after|before|since|"
    "although|no|not|you|your|one|some|many|most|all|both|later|now|yes";

/* --- U.S., J. R. R., dotted letters --- */

static size_t read_dotted_letters(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, letters = 0;
    while (end + 1 < n && scan_is_alpha(s[end]) && s[end + 1] == '.' && letters < 12) {
        end += 2;
        letters++;
    }
    bool open = letters >= 1 && end < n && scan_is_alpha(s[end]) && !scan_word_at(s, n, end + 1);
    if (open) { /* U.S without its last period */
        end++;
        letters++;
    }
    if (letters < 2 || scan_word_at(s, n, end))
        return 0;
    bool lower = scan_is_lower(s[at]);
    if (lower && !(letters == 2 && s[at + 2] == 'm'))
        return 0; /* e.g. and kin are in the table */
    for (size_t i = at; i < end; i += 2)
        english_spell(s + i, 1, w);
    if (end + 1 < n && s[end] == '\'' && s[end + 1] == 's') {
        words_join(w, "'s");
        return end + 2 - at;
    }
    size_t next = end + scan_spaces(s, n, end);
    struct english_context after = english_after(s, n, end);
    bool ends = next >= n || s[next] == '\n' ||
                (next > end && after.capital && english_is(after.word, starters));
    if (!open && ends)
        words_join(w, ".");
    return end - at;
}

/* --- names of files, domains, identifiers --- */

static const char extensions[] =
    "txt|pdf|doc|docx|xls|xlsx|ppt|pptx|csv|tsv|json|yaml|yml|xml|html|htm|css|js|ts|jsx|tsx|py|"
    "c|h|cpp|hpp|cc|java|rb|rs|go|php|sh|bat|exe|dll|so|zip|tar|gz|bz2|xz|rar|jpg|jpeg|png|gif|"
    "svg|bmp|webp|mp3|mp4|wav|flac|ogg|avi|mov|mkv|md|log|ini|cfg|conf|toml|sql|db|iso|img|apk|"
    "deb|rpm|swift|kt|lua|pl|r|ipynb|tex|bak|lock|env|gguf|onnx|bin|dat|o|a|ps1|vue|scss|epub|"
    "mobi|psd|ttf|woff|jar|war|key|pem|crt";
static const char domains[] =
    "com|org|net|edu|gov|io|ai|co|uk|de|fr|es|it|nl|eu|us|ca|au|jp|cn|ru|br|info|biz|dev|app|me|"
    "tv|ly|xyz|tech|online|store|site|blog|cloud|ch|at|be|se|no|dk|fi|pl|in|kr|nz|ie|int|mil|gg|"
    "fm|im|is|so|to|sh";
/* Endings that are said as words. */
static const char said_endings[] =
    "com|org|net|gov|info|biz|dev|app|tech|online|store|site|blog|cloud|zip|tar|doc|docs|java|"
    "gif|jpeg|log|bat|conf|toml|yaml|json|lock|env|swift|bin|dat|bak|key|jar|war|vue|int|mil|go|"
    "me|wav|flac|tex|img|iso|deb";

/* Words, numbers and marks of a name one by one; endings that are not words are spelled. */
static void say_name(const char *s, size_t at, size_t end, struct words *w)
{
    while (at < end) {
        size_t from = at;
        char c = s[at];
        if (scan_is_digit(c)) {
            at += scan_digits(s, end, at);
            english_say_code(s + from, at - from, w);
        } else if (scan_is_alpha(c) || (unsigned char)c >= 0x80) {
            while (at < end && scan_is_upper(s[at]))
                at++;
            if (at - from > 1 && at < end && scan_is_lower(s[at]))
                at--; /* HTTPServer: the last capital starts a word */
            if (at == from || at - from == 1 || !scan_is_upper(s[at - 1]))
                while (at < end &&
                       (scan_is_lower(s[at]) || (unsigned char)s[at] >= 0x80 || s[at] == '\''))
                    at++;
            char lower[12] = "";
            size_t len = at - from;
            for (size_t i = 0; i < len && len < sizeof lower; i++)
                lower[i] = (char)tolower((unsigned char)s[from + i]);
            bool ending = from && s[from - 1] == '.';
            bool short_end = ending && len <= 5 && !english_is(lower, said_endings) &&
                             (english_is(lower, extensions) || english_is(lower, domains));
            bool no_vowel = len <= 5 && (strcspn(lower, "aeiouy") == len ||
                                         english_is(lower, "usr|api|gui|cli|ui|url"));
            bool capitals = len > 1 && capitals_at(s, at, from) == len &&
                            judge_capitals(s, at, from, len) == CAPITALS_SPELL && len < 5;
            if (short_end || (no_vowel && len > 1) || capitals)
                english_spell(s + from, len, w);
            else if (len > 1 && capitals_at(s, at, from) == len && len < sizeof lower)
                words_add(w, lower);
            else
                words_add_n(w, s + from, len);
        } else {
            static const struct {
                char mark;
                const char *said;
            } marks[] = {{'.', "dot"},        {'/', "slash"}, {'-', "dash"},
                         {'_', "underscore"}, {':', "colon"}, {'\\', "backslash"},
                         {'~', "tilde"},      {'@', "at"},    {'?', "question mark"},
                         {'=', "equals"},     {'&', "and"},   {'#', "hash"},
                         {'%', "percent"},    {'+', "plus"},  {'*', "star"}};
            for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
                if (marks[i].mark == c)
                    words_add(w, marks[i].said);
            at++;
        }
    }
}

static bool english_words_is_name_byte(char c)
{
    return scan_is_alnum(c) || c == '_' || c == '-';
}

/* main.c, example.com/path, archive.tar.gz. */
static size_t read_dotted_name(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, last = at, dots = 0;
    while (end < n && end - at < MAX_NAME_BYTES) {
        size_t from = end;
        while (end < n && english_words_is_name_byte(s[end]))
            end++;
        if (end == from)
            return 0;
        last = from;
        if (end + 1 < n && s[end] == '.' && english_words_is_name_byte(s[end + 1])) {
            end++;
            dots++;
            continue;
        }
        break;
    }
    char ending[8] = "";
    if (!dots || end - last >= sizeof ending || (end < n && (unsigned char)s[end] >= 0x80))
        return 0;
    for (size_t i = last; i < end; i++)
        ending[i - last] = (char)tolower((unsigned char)s[i]);
    bool domain = english_is(ending, domains), file = english_is(ending, extensions);
    if ((!domain && !file) || end - at < 2 * dots + 2) /* a.k.a */
        return 0;
    bool glued =
        scan_is_upper(s[last]) && !scan_is_upper(s[last - 2]); /* "end.So": a missing space */
    if (glued)
        return 0;
    while (domain && end < n && s[end] == '/' && end - at < MAX_NAME_BYTES) {
        size_t stop = end + 1;
        while (stop < n && (english_words_is_name_byte(s[stop]) || strchr("./?=&%#+~", s[stop])))
            stop++;
        while (stop > end + 1 && strchr(".?/", s[stop - 1]))
            stop--;
        if (stop == end + 1) {
            say_name(s, at, end, w);
            return stop - at;
        }
        end = stop;
        break;
    }
    say_name(s, at, end, w);
    return end - at;
}

/* https://example.com/a?b=c: without the scheme and what ends the sentence. */
static size_t english_words_read_url(const char *s, size_t n, size_t at, struct words *w)
{
    size_t from = at, end = at;
    while (end < n && scan_is_alpha(s[end]) && end - at < 8)
        end++;
    from += scan_match(s, n, end, "://", false) ? end + 3 - at : 0;
    if (from == at && !scan_match(s, n, at, "www.", true))
        return 0;
    for (end = from; end < n && end - at < 8 * MAX_NAME_BYTES && (unsigned char)s[end] > ' ';)
        end += strchr("<>\"", s[end]) ? n : 1;
    end = end > n ? end - n : end;
    while (end > from && strchr(".,;:!?)'", s[end - 1]))
        end--;
    size_t said = end;
    while (said > from && s[said - 1] == '/')
        said--;
    say_name(s, from, said, w);
    return said > from ? end - at : 0;
}

/* first.last+tag@example.com */
static size_t english_words_read_email(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, dots = 0;
    while (end < n && end - at < MAX_NAME_BYTES &&
           (english_words_is_name_byte(s[end]) || strchr(".+", s[end])))
        end++;
    if (end == at || end + 1 >= n || s[end] != '@' || !scan_is_alnum(s[end + 1]))
        return 0;
    for (end++; end < n && end - at < MAX_NAME_BYTES &&
                (english_words_is_name_byte(s[end]) || s[end] == '.');
         end++)
        dots += s[end] == '.';
    while (end > at && s[end - 1] == '.') {
        end--;
        dots--;
    }
    if (!dots || !scan_is_alpha(s[end - 1]))
        return 0;
    say_name(s, at, end, w);
    return end - at;
}

/* /usr/local/bin, ~/notes, C:\Users: two parts at least. */
static size_t read_path(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, marks = 0;
    bool drive = scan_is_alpha(s[at]) && scan_match(s, n, at + 1, ":\\", false);
    if (!drive && (s[at] == '.' || s[at] == '~') && !(at + 1 < n && s[at + 1] == '/') &&
        !scan_match(s, n, at, "../", false))
        return 0;
    if (scan_word_before(s, at) || (!drive && !strchr("/~.", s[at])))
        return 0;
    while (end < n && end - at < MAX_NAME_BYTES &&
           (english_words_is_name_byte(s[end]) || strchr("/.~\\:*", s[end]))) {
        marks += s[end] == '/' || s[end] == '\\';
        end++;
    }
    while (end > at && strchr(".:", s[end - 1]))
        end--;
    if (marks == 0 || end < at + 2 || (s[at] == '/' && !scan_is_alpha(s[at + 1])))
        return 0;
    say_name(s, at, end, w);
    return end - at;
}

/* snake_case, getUserName, CONSTANT_NAME. */
static size_t read_identifier(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, humps = 0, scores = 0, lower = 0;
    while (end < n && end - at < MAX_NAME_BYTES && (scan_is_alnum(s[end]) || s[end] == '_')) {
        humps += end > at && scan_is_upper(s[end]) && scan_is_lower(s[end - 1]);
        scores += s[end] == '_';
        end++;
    }
    while (at + lower < end && scan_is_lower(s[at + lower]))
        lower++;
    if (end == at || !scan_is_alpha(s[at]) || (scores == 0 && !(humps >= 1 && lower >= 3)))
        return 0;
    say_name(s, at, end, w);
    return end - at;
}

/* --- words in capitals, and with digits --- */

/* Behind capitals: "s" or "'s" or "'". */
static size_t plural_at(const char *s, size_t n, size_t at)
{
    if (at < n && s[at] == 's' && !scan_word_at(s, n, at + 1))
        return 1;
    if (at + 1 < n && s[at] == '\'' && s[at + 1] == 's' && !scan_word_at(s, n, at + 2))
        return 2;
    return 0;
}

static void say_capitals(const char *s, size_t n, size_t at, size_t len, struct words *w)
{
    switch (judge_capitals(s, n, at, len)) {
    case CAPITALS_SPELL:
        english_spell(s + at, len, w);
        break;
    case CAPITALS_NAME:
        words_add_n(w, s + at, len);
        break;
    case CAPITALS_WORD:
        words_add_n(w, s + at, 1);
        for (size_t i = 1; i < len; i++)
            words_join(w, (char[2]){(char)(s[at + i] | 32), 0});
        break;
    }
}

/* FBI, NASA's, CEOs, STOP. */
static size_t read_capitals(const char *s, size_t n, size_t at, struct words *w)
{
    size_t len = capitals_at(s, n, at), end = at + len;
    if (len < 2)
        return 0;
    size_t plural = plural_at(s, n, end);
    if (!plural && (scan_letter(s, n, end) || (end < n && scan_is_digit(s[end]))))
        return 0;
    if (!plural && end + 1 < n && s[end] == '\'' && scan_is_upper(s[end + 1])) { /* DON'T */
        size_t more = capitals_at(s, n, end + 1);
        words_add_n(w, s + at, 1);
        for (size_t i = at + 1; i < end + 1 + more; i++)
            words_join(w, (char[2]){(char)(scan_is_upper(s[i]) ? s[i] | 32 : s[i]), 0});
        return len + 1 + more;
    }
    static const struct {
        const char *written, *said;
    } wars[] = {{"WWII", "World War Two"}, {"WWI", "World War One"}};
    for (size_t i = 0; i < 2; i++)
        if (strlen(wars[i].written) == len && memcmp(wars[i].written, s + at, len) == 0) {
            words_add(w, wars[i].said);
            return len;
        }
    bool spelled_out = judge_capitals(s, n, at, len) == CAPITALS_SPELL;
    if (len == 2 && at > 1 && s[at - 1] == ' ' && spelled_out) { /* Paris, TX */
        static const char *const states[] = {
            "ALAlabama",        "AKAlaska",       "AZArizona",      "ARArkansas",
            "CACalifornia",     "COColorado",     "CTConnecticut",  "DEDelaware",
            "FLFlorida",        "GAGeorgia",      "HIHawaii",       "IDIdaho",
            "ILIllinois",       "INIndiana",      "IAIowa",         "KSKansas",
            "KYKentucky",       "LALouisiana",    "MEMaine",        "MDMaryland",
            "MAMassachusetts",  "MIMichigan",     "MNMinnesota",    "MSMississippi",
            "MOMissouri",       "MTMontana",      "NENebraska",     "NVNevada",
            "NHNew Hampshire",  "NJNew Jersey",   "NMNew Mexico",   "NYNew York",
            "NCNorth Carolina", "NDNorth Dakota", "OHOhio",         "OKOklahoma",
            "OROregon",         "PAPennsylvania", "RIRhode Island", "SCSouth Carolina",
            "SDSouth Dakota",   "TNTennessee",    "TXTexas",        "UTUtah",
            "VTVermont",        "VAVirginia",     "WAWashington",   "WVWest Virginia",
            "WIWisconsin",      "WYWyoming"};
        struct english_context city = english_before(s, at - 1 - (s[at - 2] == ','));
        bool zip = scan_digits(s, n, end + scan_spaces(s, n, end)) == 5;
        for (size_t i = 0; i < sizeof states / sizeof *states; i++)
            if (memcmp(states[i], s + at, 2) == 0 && s[at - 2] == ',' && (city.capital || zip)) {
                words_add(w, states[i] + 2);
                return len;
            }
    }
    say_capitals(s, n, at, len, w);
    if (plural)
        words_join(w, spelled_out ? "'s" : plural == 2 ? "'s" : "s");
    return len + plural;
}

/* MP3, H2O, COVID-19, GPT-4, F-16, B2B, iPhone15, x86, Fe2O3. */
static size_t read_letters_and_digits(const char *s, size_t n, size_t at, struct words *w)
{
    size_t end = at, digits = 0, letters = 0;
    while (end < n && end - at < 64) {
        bool hyphen = s[end] == '-' && end > at && scan_is_alpha(s[end - 1]) && end + 1 < n &&
                      scan_is_digit(s[end + 1]) && capitals_at(s, n, at) == end - at;
        if (!scan_is_alnum(s[end]) && !hyphen)
            break;
        digits += scan_is_digit(s[end]);
        letters += scan_is_alpha(s[end]);
        end++;
    }
    if (!digits || letters > 12 || !scan_is_upper(s[at]) ||
        (end < n && s[end] == '.' && end + 1 < n && scan_is_digit(s[end + 1])))
        return 0;
    for (size_t i = at; i < end;) {
        size_t from = i;
        if (s[i] == '-') {
            i++;
            continue;
        }
        if (scan_is_digit(s[i])) {
            i += scan_digits(s, end, i);
            if (i - from > 4)
                english_say_digits(s + from, i - from, w);
            else
                english_say_code(s + from, i - from, w);
            continue;
        }
        size_t capitals = capitals_at(s, end, i);
        while (i < end && scan_is_alpha(s[i]))
            i++;
        bool element = i - from == 2 && capitals == 1; /* Fe2O3 */
        size_t letters_here = i - from, upper = 0;
        for (size_t k = from; k < i; k++)
            upper += scan_is_upper(s[k]);
        bool formula = from > at && letters_here == 2 && upper == 2; /* H2SO4 */
        element = element || formula ||                              /* NaHCO3 */
                  (upper > capitals && letters_here <= 5 && 2 * upper >= letters_here);
        if (capitals == i - from && i - from >= 2 && !formula)
            say_capitals(s, i, from, i - from, w);
        else if (i - from == 1 || element || capitals > 1)
            english_spell(s + from, i - from, w);
        else
            words_add_n(w, s + from, i - from);
    }
    return end - at;
}

/* AC/DC, TCP/IP, I/O: capitals on both sides; input/output: "slash". */
static size_t read_slash(const char *s, size_t n, size_t at, struct words *w)
{
    if (s[at] != '/' || !at || at + 1 >= n)
        return 0;
    bool capitals = scan_is_upper(s[at - 1]) && scan_is_upper(s[at + 1]);
    if (capitals && (at < 2 || !scan_is_lower(s[at - 2])) &&
        (at + 2 >= n || !scan_is_lower(s[at + 2]))) {
        words_join(w, " ");
        return 1;
    }
    if (scan_word_before(s, at) && scan_word_at(s, n, at + 1)) {
        words_add(w, "slash");
        return 1;
    }
    if (s[at - 1] == ' ' && s[at + 1] == ' ') { /* a fraction, as LaTeX crumbs are left */
        bool number = at > 1 && scan_word_before(s, at - 1);
        words_add(w, number ? "over" : "slash");
        return 1;
    }
    return 0;
}

size_t english_word(const char *s, size_t n, size_t at, struct words *w)
{
    static size_t (*const readers[])(const char *, size_t, size_t,
                                     struct words *) = {english_money,
                                                        english_words_read_url,
                                                        english_words_read_email,
                                                        read_path,
                                                        read_st_dr,
                                                        read_dotted_letters,
                                                        read_dotted_name,
                                                        read_identifier,
                                                        english_words_read_roman,
                                                        read_letters_and_digits,
                                                        read_capitals};
    size_t used = 0;
    if (s[at] == '/')
        used = read_slash(s, n, at, w);
    if (!used && (s[at] == '/' || s[at] == '~' || s[at] == '.'))
        return read_path(s, n, at, w);
    if (used || !scan_is_alpha(s[at]) || scan_word_before(s, at))
        return used;
    for (size_t i = 0; i < sizeof readers / sizeof *readers && !used; i++) {
        words_clear(w);
        used = readers[i](s, n, at, w);
    }
    if (!used)
        words_clear(w);
    return used;
}
