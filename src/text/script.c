#include "text/script.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "text/latin.h"
#include "text/scan.h"

/* So much more must speak for another language than for the one before; more with fewer words. */
#define LATIN_SWITCH_NATS       3.0f
#define LATIN_SWITCH_NATS_WORDS 16.0f
#define LATIN_FIRST_BYTES       1000

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
        if (c < 0x80) {
            latin += scan_is_alpha((char)c);
            continue;
        }
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

/* Is the word before the period at s[at] one that is often abbreviated so: a letter, "Dr"?
 * What follows is taken to be the same sentence: it is in the same language. */
static bool abbreviates(const char *s, size_t at)
{
    size_t start = at;
    while (start && at - start < 4 && scan_is_alpha(s[start - 1]))
        start--;
    size_t n = at - start;
    return n > 0 && n < 4 && (n == 1 || scan_is_upper(s[start]));
}

/* End of the sentence at s[at], as far as marks tell; a period inside a number or name is none. */
static size_t sentence_end(const char *s, size_t n, size_t at)
{
    while (at < n) {
        size_t len;
        int32_t c = scan_char(s, n, at, &len);
        size_t mark = at;
        at += len;
        if (c == '\n' || c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0x964)
            return at;
        if ((c == '.' || c == '!' || c == '?') && (at >= n || s[at] == ' ' || s[at] == '\n') &&
            !(c == '.' && abbreviates(s, mark)))
            return at + scan_spaces(s, n, at);
    }
    return n;
}

/* --- a walk --- */

/* The language of a Latin sentence, given that of those before it. */
static const char *walk_latin(struct script_walk *w, size_t at, size_t end)
{
    struct latin_scores x;
    if (!w->single) { /* else the walk began with it */
        latin_score(w->s + at, end - at, &x);
        int best = latin_best(&x);
        float against = LATIN_SWITCH_NATS + LATIN_SWITCH_NATS_WORDS / (float)(x.n_word + 1);
        if (x.nats[best] > x.nats[w->latin] + against)
            w->latin = best;
    }
    const char *name = latin_name(w->latin);
    return strcmp(name, "en") == 0 ? NULL : name;
}

void script_walk_init(struct script_walk *w, const char *s, size_t n, bool latin)
{
    *w = (struct script_walk){.s = s, .n = n, .latin = -1};
    if (!latin)
        return;
    struct latin_scores x;
    size_t first = n < LATIN_FIRST_BYTES ? n : LATIN_FIRST_BYTES;
    while (first < n && ((unsigned char)s[first] & 0xc0) == 0x80)
        first++;
    latin_score(s, first, &x);
    w->latin = latin_best(&x);
    w->single = first == n && sentence_end(s, n, 0) == n;
}

/* The sentence at s[at]: its end; *letters: it has some, and *language is theirs. */
static size_t walk_sentence(struct script_walk *w, size_t at, bool *letters, const char **language)
{
    size_t end = sentence_end(w->s, w->n, at), len;
    *letters = false;
    for (size_t i = at; i < end && !*letters; i += len)
        *letters = u_isalpha(scan_char(w->s, w->n, i, &len));
    *language = *letters ? script_language(w->s + at, end - at) : NULL;
    if (*letters && !*language && w->latin >= 0)
        *language = walk_latin(w, at, end);
    return end;
}

bool script_walk_next(struct script_walk *w)
{
    bool have = w->next > 0, letters;
    w->start = w->end;
    w->language = w->next_language;
    w->end = have ? w->next : w->end;
    w->next = 0;
    while (w->end < w->n) {
        const char *here;
        size_t end = walk_sentence(w, w->end, &letters, &here);
        if (letters && have && here != w->language &&
            (!here || !w->language || strcmp(here, w->language) != 0)) {
            w->next = end;
            w->next_language = here;
            return true;
        }
        if (letters) {
            w->language = here;
            have = true;
        }
        w->end = end;
    }
    w->next_language = NULL;
    return w->end > w->start;
}
