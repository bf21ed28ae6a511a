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

/* What a character becomes before the text is cut: quotes and brackets are spaces, other scripts'
 * clause marks are ASCII ones. */
static UChar32 plain_char(UChar32 c)
{
    switch (c) {
    case 0x2019:
    case 0x02bc:
        return '\'';
    case ';':
    case ':':
    case 0x2014:
    case 0x2015:
    case 0x3001:
    case 0xff0c:
    case 0xff1a:
    case 0xff1b:
    case 0x060c:
    case 0x061b:
        return ',';
    case 0x2026:
    case 0x3002:
    case 0xff0e:
    case 0xff61:
    case 0x0964:
    case 0x06d4:
        return '.';
    case 0xff01:
    case 0x203c:
        return '!';
    case 0xff1f:
    case 0x061f:
    case 0x037e:
        return '?';
    case '"':
    case '<':
    case '>':
    case '`':
    case 0x2018:
        return ' ';
    case 0xad: /* soft hyphen */
    case 0x2b9:
    case 0x2ba:
    case 0x2bb:
    case 0x2be:
    case 0x2bf: /* of romanization */
        return DROP;
    }
    switch (u_charType(c)) {
    case U_INITIAL_PUNCTUATION:
    case U_FINAL_PUNCTUATION:
    case U_START_PUNCTUATION:
    case U_END_PUNCTUATION:
    case U_CONTROL_CHAR:
    case U_SPACE_SEPARATOR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
    case U_UNASSIGNED:
        return ' ';
    case U_FORMAT_CHAR:
        return DROP;
    default:
        return c;
    }
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

/* Step 1 of the specification: the sentence with plain characters, single spaces, and words of a
 * length that espeak-ng can stand. */
static int clean(const char *s, const struct scripts *own, struct buf *b)
{
    int32_t i = 0, n = (int32_t)strlen(s);
    int run = 0, rc = 0;
    bool gap = false;
    while (i < n && rc == 0) {
        UChar32 raw, c;
        char before = i ? s[i - 1] : 0;
        U8_NEXT(s, i, n, raw);
        if (ipa_byte(raw) >= 0) {
            if (gap)
                rc = buf_add(b, " ", 1);
            gap = false;
            if (rc == 0)
                rc = add_char(b, raw);
            continue;
        }
        c = raw < 0 || !is_own_script(own, raw) ? ' ' : plain_char(raw);
        if (raw == ':' && is_digit(before) && i < n && is_digit(s[i]))
            c = ' '; /* 10:30 is read as ten thirty */
        if (raw == '-' && i < n && s[i] == '-')
            c = ','; /* a dash, as typed on a typewriter */
        if (c == DROP)
            continue;
        if (c == ' ' || run == MAX_WORD_CHARS) {
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
        gap = raw >= 0x80 && c < 0x80 && strchr(",.?!", (char)c) != NULL;
        run++;
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

/* Steps 2 and 3: clause by clause, with the first mark of each run of marks behind it. */
static int phonemes_cut(const char *s, enum form form, struct buf *words, struct buf *out)
{
    int rc = 0, dots = 0;
    for (size_t i = 0; s[i] && rc == 0; i++) {
        bool keep = true;
        dots = words->len ? dots : 0;
        bool mark = strchr(",.?!", s[i]) != NULL;
        size_t given = i;
        if (form == FORM_IPA && is_given(s + i) &&
            ((rc = add_given(s, i, &given, words, out)) < 0 || given > i)) {
            i = given - 1;
            continue;
        }
        if (mark && ends_clause(s, i, &keep)) {
            char first = s[i];
            while (s[i + 1] && strchr(",.?! ", s[i + 1]))
                i++;
            /* "and so on," has no more words: what was a comma ends the sentence */
            rc = clause_done(words, first == ',' && !s[i + 1] ? '.' : first, form, out);
            continue;
        }
        dots += s[i] == '.' && keep;
        if ((s[i] == ' ' && words->len > MAX_CLAUSE_BYTES) || dots > MAX_CLAUSE_DOTS) {
            /* espeak-ng needs a mark to see an end there */
            rc = clause_done(words, form == FORM_IPA ? 0 : ',', form, out);
            continue;
        }
        if (keep && (s[i] != ' ' || words->len))
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

int text_speech(const char *sentence, const char *voice, int (*sink)(void *, const int16_t *, int),
                void *cookie, struct err *e)
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
