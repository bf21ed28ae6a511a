#include "text/script.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "text/scan.h"

/* For each script the language that most of its readers read. */
static const struct {
    UScriptCode script;
    const char *language;
} languages[] = {
    {USCRIPT_CYRILLIC, "ru"},  {USCRIPT_GREEK, "el"},      {USCRIPT_ARABIC, "ar"},
    {USCRIPT_HEBREW, "he"},    {USCRIPT_DEVANAGARI, "hi"}, {USCRIPT_BENGALI, "bn"},
    {USCRIPT_GURMUKHI, "pa"},  {USCRIPT_GUJARATI, "gu"},   {USCRIPT_ORIYA, "or"},
    {USCRIPT_TAMIL, "ta"},     {USCRIPT_TELUGU, "te"},     {USCRIPT_KANNADA, "kn"},
    {USCRIPT_MALAYALAM, "ml"}, {USCRIPT_SINHALA, "si"},    {USCRIPT_THAI, "th"},
    {USCRIPT_GEORGIAN, "ka"},  {USCRIPT_ARMENIAN, "hy"},   {USCRIPT_HANGUL, "ko"},
    {USCRIPT_HIRAGANA, "ja"},  {USCRIPT_KATAKANA, "ja"},   {USCRIPT_HAN, "cmn"},
    {USCRIPT_ETHIOPIC, "am"},  {USCRIPT_MYANMAR, "my"},    {USCRIPT_CHEROKEE, "chr"},
};
#define N_LANGUAGE (int)(sizeof languages / sizeof *languages)

/* Letters that only one of a script's languages has. */
static const struct {
    const char *letters, *of, *language;
} telling[] = {
    {"ўЎ", "ru", "be"},
    {"іїєґІЇЄҐ", "ru", "uk"},
    {"پچژگ", "ar", "fa"},
    {"ٹڈڑںے", "ar", "ur"},
};

/* -1: Latin, or of no script. */
static int script_index(int32_t c)
{
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = c < 0x370 ? USCRIPT_LATIN : uscript_getScript(c, &status);
    for (int i = 0; i < N_LANGUAGE; i++)
        if (languages[i].script == script)
            return i;
    return -1;
}

static const char *refine(const char *s, size_t n, const char *language)
{
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
        if (strcmp(telling[i].of, language) != 0)
            continue;
        for (size_t at = 0, len; at < n; at += len) {
            int32_t c = scan_char(s, n, at, &len);
            const char *letters = telling[i].letters;
            size_t n_letters = strlen(letters), letter_len;
            for (size_t k = 0; c >= 0x400 && k < n_letters; k += letter_len)
                if (scan_char(letters, n_letters, k, &letter_len) == c)
                    return telling[i].language;
        }
    }
    return language;
}

const char *script_language(const char *s, size_t n)
{
    int count[sizeof languages / sizeof *languages] = {0}, latin = 0, best = -1, kana = 0;
    for (size_t at = 0, len; at < n; at += len) {
        int32_t c = scan_char(s, n, at, &len);
        if (!u_isalpha(c))
            continue;
        int i = script_index(c);
        if (i < 0)
            latin++;
        else if (++count[i] > (best < 0 ? 0 : count[best]))
            best = i;
        kana += i >= 0 && strcmp(languages[i].language, "ja") == 0;
    }
    if (best < 0)
        return NULL;
    /* A character of these says as much as several letters; names in Latin letters are common. */
    bool dense = strcmp(languages[best].language, "cmn") == 0 || kana > 0 ||
                 strcmp(languages[best].language, "ko") == 0;
    if (count[best] * (dense ? 3 : 1) < latin)
        return NULL;
    return kana > 0 && dense ? "ja" : refine(s, n, languages[best].language);
}

/* End of the sentence at s[at], as far as marks tell; a period inside a number or name is none. */
static size_t sentence_end(const char *s, size_t n, size_t at)
{
    while (at < n) {
        size_t len;
        int32_t c = scan_char(s, n, at, &len);
        at += len;
        if (c == '\n' || c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0x964)
            return at;
        if ((c == '.' || c == '!' || c == '?') && (at >= n || s[at] == ' ' || s[at] == '\n'))
            return at + scan_spaces(s, n, at);
    }
    return n;
}

size_t script_run(const char *s, size_t n, size_t at, const char **language)
{
    size_t end = at;
    bool have = false;
    *language = NULL;
    while (end < n) {
        size_t next = sentence_end(s, n, end), len;
        bool letters = false;
        for (size_t i = end; i < next && !letters; i += len)
            letters = u_isalpha(scan_char(s, n, i, &len));
        const char *here = script_language(s + end, next - end);
        if (letters && have && here != *language &&
            (!here || !*language || strcmp(here, *language) != 0))
            return end;
        if (letters) {
            *language = here;
            have = true;
        }
        end = next;
    }
    return n;
}
