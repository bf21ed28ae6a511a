#include "text/script.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include "text/latin.h"
#include "text/scan.h"

/* So much more must speak for another language than for the one before; more with fewer words. */
#define LATIN_CHANGE_NATS 2.5f
#define LATIN_RARE_NATS   1.0f
enum { LATIN_NONE = -1, LATIN_OFF = -2 }; /* script_walk.latin */

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

/* Does a sentence often go on after the period at s[at]: behind one or two letters, "Mrs"? */
static bool abbreviates(const char *s, size_t at)
{
    size_t start = at;
    bool vowel = false;
    for (; start && at - start < 4 && scan_is_alpha(s[start - 1]); start--)
        vowel |= strchr("aeiouyAEIOUY", s[start - 1]) != NULL;
    size_t n = at - start;
    return n == 1 || (n > 0 && n < 4 && scan_is_upper(s[start]) && (n == 2 || !vowel));
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

/* The sentence at s[at] and those behind it are scored, as many as there is room for. */
static void walk_look_ahead(struct script_walk *w, size_t at)
{
    for (size_t i = 0; i < w->n_ahead; i++)
        at = w->ahead[i].end;
    while (w->n_ahead < SCRIPT_AHEAD && at < w->n) {
        struct script_sentence *one = &w->ahead[w->n_ahead++];
        one->end = sentence_end(w->s, w->n, at);
        latin_score(w->s + at, one->end - at, &one->scores);
        at = one->end;
    }
}

/* What speaks against a language before anything is read: S1-mini's own are likelier. */
static float walk_prior(int language)
{
    static const char common[] = " en de es fr it nl pl pt ";
    const char *at = strstr(common, latin_name(language));
    return at && at[-1] == ' ' && at[2] == ' ' ? 0 : -LATIN_RARE_NATS;
}

/* What another language than before costs: a word alone ("OK.", "Mai." behind "3.") says little. */
static float walk_change(const struct script_walk *w, size_t i)
{
    return LATIN_CHANGE_NATS * (w->ahead[i].scores.n_word > 1 ? 1 : 2);
}

/* The language of the Latin sentence at s[at]: the first of the likeliest row of languages for it
 * and those behind it, where a change costs evidence (Viterbi's algorithm with a fixed lag). */
static const char *walk_latin(struct script_walk *w, size_t at)
{
    float path[LATIN_MAX_LANGUAGES]; /* evidence of the best row that ends in a language */
    int first[LATIN_MAX_LANGUAGES];  /* the language that it begins with */
    int best = w->latin;
    walk_look_ahead(w, at);
    for (int l = 0; l < latin_count(); l++) {
        path[l] = best == LATIN_NONE ? walk_prior(l) : l == best ? 0 : -walk_change(w, 0);
        first[l] = l;
    }
    for (size_t i = 0; i < w->n_ahead; i++) {
        float changed = i ? path[best] - walk_change(w, i) : 0;
        int from = i ? first[best] : 0;
        best = 0;
        for (int l = 0; l < latin_count(); l++) {
            if (i && path[l] < changed) {
                path[l] = changed;
                first[l] = from;
            }
            path[l] += w->ahead[i].scores.nats[l];
            if (path[l] > path[best])
                best = l;
        }
        w->latin = first[best];
    }
    const char *name = latin_name(w->latin);
    return strcmp(name, "en") == 0 ? NULL : name;
}

void script_walk_init(struct script_walk *w, const char *s, size_t n, bool latin)
{
    *w = (struct script_walk){.s = s, .n = n, .latin = latin ? LATIN_NONE : LATIN_OFF};
}

/* The sentence at s[at]: its end; *letters: it has some, and *language is theirs. */
static size_t walk_sentence(struct script_walk *w, size_t at, bool *letters, const char **language)
{
    size_t end = sentence_end(w->s, w->n, at), len;
    *letters = false;
    for (size_t i = at; i < end && !*letters; i += len)
        *letters = u_isalpha(scan_char(w->s, w->n, i, &len));
    *language = *letters ? script_language(w->s + at, end - at) : NULL;
    if (*letters && !*language && w->latin != LATIN_OFF)
        *language = walk_latin(w, at);
    if (w->n_ahead > 0 && w->ahead[0].end <= end)
        memmove(w->ahead, w->ahead + 1, --w->n_ahead * sizeof *w->ahead);
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
