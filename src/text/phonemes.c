/* Sentences to IPA with libespeak-ng, the way the built-in voice was taught: punctuation is kept
 * by us, only the words between it go to espeak-ng (docs/MODEL.md, "Text and tokens"). */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>
#include <unicode/utf8.h>
#include <unicode/utrans.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/abbreviation.h"
#include "text/libespeak.h"
#include "text/scan.h"
#include "text/ssml.h"
#include "text/text.h"

/* espeak-ng works in fixed buffers of 800 characters a clause and 160 a word, and older releases
 * overran them (CVE-2023-49990 to 49994).  It never sees more than this. */
#define MAX_WORD_CHARS   60
#define MAX_CLAUSE_BYTES 600
#define MAX_CLAUSE_DOTS  8 /* 1.51 overruns its stack on some ninety: e.e.e.e. and so on */

/* --- scripts --- */

/* espeak-ng loads another language for every foreign script, and 1.51 reads freed memory when two
 * of them meet in one word.  So it only gets Latin letters and those of its own language; a Latin
 * language gets the others romanized, which also says more than "chinese letter". */
struct scripts {
    UScriptCode code[6];
    int32_t n;
};

static void scripts_of(const char *language, struct scripts *s)
{
    UErrorCode status = U_ZERO_ERROR;
    char name[64];
    size_t n = strcspn(language, "+"); /* a variant, as in en-us+f3 */
    memcpy(name, language, n < sizeof name ? n : 0);
    name[n < sizeof name ? n : 0] = 0;
    s->n = uscript_getCode(name, s->code, 6, &status);
    if (U_FAILURE(status))
        s->n = 0;
    for (int32_t i = 0; i < s->n; i++)
        if (s->code[i] == USCRIPT_SIMPLIFIED_HAN || s->code[i] == USCRIPT_TRADITIONAL_HAN)
            s->code[i] = USCRIPT_HAN;
}

/* Not known for a language: then every script is its own. */
static bool is_own_script(const struct scripts *s, UChar32 c)
{
    UErrorCode status = U_ZERO_ERROR;
    UScriptCode script = uscript_getScript(c, &status);
    if (s->n <= 0 || ipa_byte(c) >= 0 || script == USCRIPT_LATIN || script == USCRIPT_COMMON ||
        script == USCRIPT_INHERITED)
        return true;
    for (int32_t i = 0; i < s->n; i++)
        if (s->code[i] == script)
            return true;
    return false;
}

static bool needs_roman(const struct scripts *s, const char *text)
{
    if (s->n < 1 || s->code[0] != USCRIPT_LATIN)
        return false;
    for (int32_t i = 0, n = (int32_t)strlen(text); i < n;) {
        UChar32 c;
        U8_NEXT(text, i, n, c);
        if (c >= 0 && !is_own_script(s, c))
            return true;
    }
    return false;
}

/* text in Latin letters (CLDR's rules), into out.  espeak-ng's lock is held: the transliterator is
 * made once. */
static int romanize(const char *text, struct buf *out, struct err *e)
{
    static UTransliterator *latin;
    static const UChar id[] = {'A', 'n', 'y', '-', 'L', 'a', 't', 'i', 'n', 0};
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = (int32_t)strlen(text), room = 8 * n + 64, n16 = 0, n8 = 0;
    if (!latin)
        latin = utrans_openU(id, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
    UChar *wide = mem_try((size_t)room, sizeof *wide);
    char *narrow = mem_try((size_t)room, 3);
    if (!wide || !narrow)
        status = U_MEMORY_ALLOCATION_ERROR;
    u_strFromUTF8WithSub(wide, room, &n16, text, n, 0xfffd, NULL, &status);
    int32_t limit = n16;
    if (U_SUCCESS(status))
        utrans_transUChars(latin, wide, &n16, room, 0, &limit, &status);
    u_strToUTF8WithSub(narrow, 3 * room, &n8, wide, n16, 0xfffd, NULL, &status);
    int rc = 0;
    if (U_SUCCESS(status))
        rc = buf_add(out, narrow, (size_t)n8);
    else
        rc = err_set(e, status == U_MEMORY_ALLOCATION_ERROR ? ERR_MEMORY : ERR_INTERNAL,
                     "icu cannot romanize text: %s", u_errorName(status));
    mem_free(wide);
    mem_free(narrow);
    return rc;
}

/* --- cleaning --- */

enum { DROP = 0x110000 }; /* no code point */

#define SPACES                                                                                     \
    (U_GC_PI_MASK | U_GC_PF_MASK | U_GC_PS_MASK | U_GC_PE_MASK | U_GC_CC_MASK | U_GC_Z_MASK |      \
     U_GC_CO_MASK | U_GC_CS_MASK | U_GC_CN_MASK)

/* What a character becomes before the text is cut: quotes and brackets are spaces, other scripts'
 * clause marks are ASCII ones. */
static UChar32 plain_char(UChar32 c)
{
    static const struct {
        UChar32 becomes;
        const char *of; /* in UTF-8 */
    } rows[] = {
        {'\'', "\u2019\u02bc"},
        {',', ";:\u2014\u2015\u3001\uff0c\uff1a\uff1b\u060c\u061b"},
        {'.', "\u2026\u3002\uff0e\uff61\u0964\u06d4"},
        {'!', "\uff01\u203c"},
        {'?', "\uff1f\u061f\u037e"},
        {' ', "\"<>`\u2018"},
        {DROP, "\u00ad\u02b9\u02ba\u02bb\u02be\u02bf"}, /* soft hyphen; of romanization */
    };
    if (c < 0x80 && (c == ' ' || scan_is_alnum((char)c)))
        return c;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int32_t at = 0; rows[i].of[at];) {
            UChar32 one;
            U8_NEXT_UNSAFE(rows[i].of, at, one);
            if (one == c)
                return rows[i].becomes;
        }
    return U_MASK(u_charType(c)) & SPACES ? ' ' : u_charType(c) == U_FORMAT_CHAR ? DROP : c;
}

static int add_char(struct buf *b, UChar32 c)
{
    uint8_t s[4];
    int32_t n = 0;
    U8_APPEND_UNSAFE(s, n, c);
    return buf_add(b, s, (size_t)n);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A letter or digit, as far as one byte tells. */
static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The character raw, behind which s goes on, as the text is cut: ' ' for none, or DROP. */
static UChar32 plain_here(UChar32 raw, char before, const char *s, const struct scripts *own)
{
    if (raw == ':' && is_digit(before) && is_digit(*s))
        return ' '; /* 10:30 is read as ten thirty */
    if (raw == '-' && *s == '-')
        return ','; /* a dash, as typed on a typewriter */
    return raw < 0 || !is_own_script(own, raw) ? ' ' : plain_char(raw);
}

/* Step 1 of the specification: the sentence with plain characters, single spaces, and words of a
 * length that espeak-ng can stand. */
static int clean(const char *s, const struct scripts *own, struct buf *b)
{
    int32_t i = 0, n = (int32_t)strlen(s);
    int run = 0, rc = 0;
    bool gap = false;
    while (i < n && rc == 0) {
        UChar32 raw;
        char before = i ? s[i - 1] : 0;
        U8_NEXT(s, i, n, raw);
        bool given = ipa_byte(raw) >= 0;
        UChar32 c = given ? raw : plain_here(raw, before, s + i, own);
        if (c == DROP)
            continue;
        if (!given && (c == ' ' || run == MAX_WORD_CHARS)) {
            gap = b->len > 0;
            run = 0;
        }
        if (c == ' ')
            continue;
        if (gap)
            rc = buf_add(b, " ", 1);
        if (rc == 0)
            rc = add_char(b, c);
        /* Other scripts put no space after their marks, so this makes the mark count as one. */
        gap = !given && raw >= 0x80 && c < 0x80 && strchr(",.?!", (char)c) != NULL;
        run += !given;
    }
    return rc;
}

/* --- cutting --- */

/* Does the clause end at the mark s[i]?  Not in 3.14, 1,000, example.com or Dr. Smith.
 * *keep: espeak-ng wants to see it. */
static bool ends_clause(const char *s, size_t i, bool *keep)
{
    char next = s[i + 1], before = i ? s[i - 1] : 0;
    *keep = true;
    if (s[i] == '.' && is_word_byte(next))
        return false;
    if (s[i] == ',' && is_digit(before) && is_digit(next))
        return false;
    if (s[i] != '.' || next != ' ' || !s[i + 2])
        return true;
    enum abbreviation kind = abbreviation_at(s, i, s[i + 2]);
    *keep = kind != ABBREVIATION_TITLE;
    return kind == ABBREVIATION_NONE;
}

enum form { FORM_IPA, FORM_WORDS };

/* Give the words collected so far to espeak-ng, or keep them for later, then put the mark (0: none)
 * after them. */
static int clause_done(struct buf *words, char mark, enum form form, struct buf *out)
{
    int rc = 0;
    if (words->len && form == FORM_IPA)
        rc = libespeak_ipa(buf_str(words), out);
    else if (words->len && (!out->len || (rc = buf_add(out, " ", 1)) == 0))
        rc = buf_add(out, words->data, words->len);
    buf_clear(words);
    if (rc == 0 && mark && out->len && !strchr(",.?!", out->data[out->len - 1]))
        rc = buf_add(out, &mark, 1);
    return rc;
}

/* IPA that was written as such at s[i], up to *end, behind the words before it. */
static int add_given(const char *s, size_t i, size_t *end, struct buf *words, struct buf *out)
{
    int rc = clause_done(words, 0, FORM_IPA, out);
    if (rc == 0 && out->len)
        rc = buf_add(out, " ", 1);
    for (int32_t at = (int32_t)i, n = (int32_t)strlen(s); rc == 0; *end = (size_t)at) {
        UChar32 c = 0;
        if (at < n)
            U8_NEXT(s, at, n, c);
        if (ipa_byte(c) < 0)
            break;
        rc = buf_add(out, (char[1]){(char)ipa_byte(c)}, 1);
    }
    return rc;
}

/* Does s start with a private-use character (U+E000 to U+F8FF)?  They all begin with these bytes.
 */
static bool is_given(const char *s)
{
    return (unsigned char)s[0] == 0xee || (unsigned char)s[0] == 0xef;
}

/* The end of a clause at the mark s[i], with the marks and spaces behind it: the last of them. */
static size_t clause_end(const char *s, size_t i, char *mark)
{
    *mark = s[i];
    while (s[i + 1] && strchr(",.?! ", s[i + 1]))
        i++;
    if (*mark == ',' && !s[i + 1])
        *mark = '.'; /* "and so on," has no more words: what was a comma ends the sentence */
    return i;
}

/* Steps 2 and 3: clause by clause, with the first mark of each run of marks behind it. */
static int phonemes_cut(const char *s, enum form form, struct buf *words, struct buf *out)
{
    int rc = 0, dots = 0;
    for (size_t i = 0; s[i] && rc == 0; i++) {
        bool keep = true;
        char mark = (char)(form == FORM_IPA ? 0 : ','); /* espeak-ng needs one to see an end */
        size_t given = i;
        if (form == FORM_IPA && is_given(s + i))
            rc = add_given(s, i, &given, words, out);
        if (given > i || rc < 0) {
            i = given - 1;
            continue;
        }
        dots = words->len ? dots : 0;
        if (strchr(",.?!", s[i]) && ends_clause(s, i, &keep)) {
            i = clause_end(s, i, &mark);
            rc = clause_done(words, mark, form, out);
            continue;
        }
        dots += s[i] == '.' && keep;
        if ((s[i] == ' ' && words->len > MAX_CLAUSE_BYTES) || dots > MAX_CLAUSE_DOTS)
            rc = clause_done(words, mark, form, out);
        else if (keep && (s[i] != ' ' || words->len))
            rc = buf_add(words, s + i, 1);
    }
    return rc < 0 ? rc : clause_done(words, '.', form, out);
}

static bool is_lone_capital(const char *s, size_t at)
{
    return s[at] >= 'A' && s[at] <= 'Z' && !is_word_byte(s[at + 1]) &&
           (at == 0 || (!is_word_byte(s[at - 1]) && s[at - 1] != '\'' && s[at - 1] != '.'));
}

/* English, spelled: espeak-ng takes the A of "U S A" for the article. */
static int spell_a(const char *s, struct buf *out)
{
    int rc = 0;
    for (size_t i = 0; s[i] && rc == 0; i++) {
        bool spelled = s[i] == 'A' && is_lone_capital(s, i) &&
                       ((i >= 2 && s[i - 1] == ' ' && is_lone_capital(s, i - 2)) ||
                        (s[i + 1] == ' ' && is_lone_capital(s, i + 2)));
        rc = spelled ? buf_add_str(out, "eigh") : buf_add(out, s + i, 1);
    }
    return rc;
}

static int phonemes_convert(const char *sentence, const char *language, enum form form,
                            struct buf *out, struct err *e)
{
    struct buf roman, plain, words, spelled;
    struct scripts own;
    int rc = 0;
    buf_init(&spelled, 8 * (size_t)LIMIT_TEXT_BYTES);
    if (strncmp(language, "en", 2) == 0 && strchr(sentence, 'A') &&
        (rc = spell_a(sentence, &spelled)) == 0)
        sentence = buf_str(&spelled);
    buf_init(&roman, 32 * (size_t)LIMIT_TEXT_BYTES);
    buf_init(&plain, 64 * (size_t)LIMIT_TEXT_BYTES);
    buf_init(&words, 64 * (size_t)LIMIT_TEXT_BYTES);
    scripts_of(language, &own);
    bool foreign = needs_roman(&own, sentence);
    if (foreign && rc == 0)
        rc = romanize(sentence, &roman, e);
    if (rc == 0) {
        rc = clean(foreign ? buf_str(&roman) : sentence, &own, &plain);
        if (rc == 0)
            rc = phonemes_cut(buf_str(&plain), form, &words, out);
        if (rc < 0)
            err_set(e, rc, "no room for the phonemes of %zu bytes of text", strlen(sentence));
        else if (out->len == 0)
            rc = err_set(e, ERR_ARGUMENT, "text has nothing to say in %s: '%.40s'", language,
                         sentence);
    }
    buf_done(&spelled);
    buf_done(&roman);
    buf_done(&plain);
    buf_done(&words);
    return rc;
}

int text_phonemes(const char *sentence, const char *language, char **ret, struct err *e)
{
    struct buf out;
    if (strlen(sentence) > LIMIT_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "sentence has %zu bytes, the limit is %d", strlen(sentence),
                       LIMIT_TEXT_BYTES);
    language = language ? language : "en-us";
    int rc = libespeak_begin(language, e);
    if (rc < 0)
        return rc;
    buf_init(&out, 64 * (size_t)LIMIT_TEXT_BYTES);
    rc = phonemes_convert(sentence, language, FORM_IPA, &out, e);
    libespeak_end();
    if (rc == 0 && !(*ret = buf_take(&out)))
        rc = err_set(e, ERR_MEMORY, "out of memory for phonemes");
    buf_done(&out);
    return rc;
}

int text_speech(const char *sentence, const char *voice, text_sink *sink, void *cookie,
                struct err *e)
{
    struct buf words;
    if (strlen(sentence) > LIMIT_TEXT_BYTES)
        return err_set(e, ERR_LIMIT, "sentence has %zu bytes, the limit is %d", strlen(sentence),
                       LIMIT_TEXT_BYTES);
    int rc = libespeak_begin(voice, e);
    if (rc < 0)
        return rc;
    buf_init(&words, 64 * (size_t)LIMIT_TEXT_BYTES);
    rc = phonemes_convert(sentence, voice, FORM_WORDS, &words, e);
    if (rc == 0)
        rc = libespeak_speak(buf_str(&words), sink, cookie);
    libespeak_end();
    buf_done(&words);
    return rc;
}
