/* Emotion, tone and effect markers of OpenAudio S1 (fish-speech's README for S1 lists them, Fish
 * Audio's documentation two more). */
#include <string.h>
#include <unicode/utf8.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/scan.h"
#include "text/text.h"

/* clang-format off */
static const char *const markers[] = {
    /* emotions and tones, which last */
    "(angry)", "(sad)", "(excited)", "(happy)", "(calm)", "(surprised)", "(satisfied)",
    "(delighted)", "(scared)", "(worried)", "(upset)", "(nervous)", "(frustrated)", "(depressed)",
    "(empathetic)", "(embarrassed)", "(disgusted)", "(moved)", "(proud)", "(relaxed)",
    "(grateful)", "(confident)", "(interested)", "(curious)", "(confused)", "(joyful)",
    "(disdainful)", "(unhappy)", "(anxious)", "(hysterical)", "(indifferent)", "(impatient)",
    "(guilty)", "(scornful)", "(panicked)", "(furious)", "(reluctant)", "(keen)",
    "(disapproving)", "(negative)", "(denying)", "(astonished)", "(serious)", "(sarcastic)",
    "(conciliative)", "(comforting)", "(sincere)", "(sneering)", "(hesitating)", "(yielding)",
    "(painful)", "(awkward)", "(amused)", "(in a hurry tone)", "(shouting)", "(screaming)",
    "(whispering)", "(soft tone)",
#define FIRST_EFFECT 58
    /* effects, heard where they stand */
    "(laughing)", "(chuckling)", "(sobbing)", "(crying loudly)", "(sighing)", "(panting)",
    "(groaning)", "(crowd laughing)", "(background laughter)", "(audience laughing)",
};
/* clang-format on */
#define N_MARKER (int)(sizeof markers / sizeof *markers)

/* Other words for them, in instructions. */
static const struct {
    const char *word, *marker;
} synonyms[] = {
    {"happily", "(happy)"},
    {"cheerful", "(joyful)"},
    {"cheerfully", "(joyful)"},
    {"joyfully", "(joyful)"},
    {"joyous", "(joyful)"},
    {"enthusiastic", "(excited)"},
    {"enthusiastically", "(excited)"},
    {"excitedly", "(excited)"},
    {"energetic", "(excited)"},
    {"thrilled", "(excited)"},
    {"whisper", "(whispering)"},
    {"whispered", "(whispering)"},
    {"whispers", "(whispering)"},
    {"shout", "(shouting)"},
    {"shouted", "(shouting)"},
    {"yell", "(shouting)"},
    {"yelling", "(shouting)"},
    {"scream", "(screaming)"},
    {"calmly", "(calm)"},
    {"relaxing", "(relaxed)"},
    {"soothing", "(comforting)"},
    {"comfortingly", "(comforting)"},
    {"soft", "(soft tone)"},
    {"softly", "(soft tone)"},
    {"gentle", "(soft tone)"},
    {"gently", "(soft tone)"},
    {"hurry", "(in a hurry tone)"},
    {"hurried", "(in a hurry tone)"},
    {"rushed", "(in a hurry tone)"},
    {"angrily", "(angry)"},
    {"anger", "(angry)"},
    {"mad", "(angry)"},
    {"furiously", "(furious)"},
    {"sadly", "(sad)"},
    {"sadness", "(sad)"},
    {"sorrowful", "(sad)"},
    {"melancholic", "(sad)"},
    {"melancholy", "(sad)"},
    {"afraid", "(scared)"},
    {"fearful", "(scared)"},
    {"frightened", "(scared)"},
    {"terrified", "(scared)"},
    {"nervously", "(nervous)"},
    {"anxiously", "(anxious)"},
    {"surprise", "(surprised)"},
    {"amazed", "(astonished)"},
    {"proudly", "(proud)"},
    {"confidently", "(confident)"},
    {"seriously", "(serious)"},
    {"sincerely", "(sincere)"},
    {"sarcastically", "(sarcastic)"},
    {"sarcasm", "(sarcastic)"},
    {"empathy", "(empathetic)"},
    {"sympathetic", "(empathetic)"},
    {"compassionate", "(empathetic)"},
    {"curiously", "(curious)"},
    {"disgust", "(disgusted)"},
    {"laugh", "(laughing)"},
    {"laughter", "(laughing)"},
    {"chuckle", "(chuckling)"},
    {"sigh", "(sighing)"},
    {"sob", "(sobbing)"},
    {"crying", "(sobbing)"},
    {"amusement", "(amused)"},
    {"gratefully", "(grateful)"},
    {"thankful", "(grateful)"},
};

int marker_at(const char *s, size_t n, size_t at, size_t *len)
{
    for (int i = 0; i < N_MARKER; i++)
        if ((*len = scan_match(s, n, at, markers[i], true)) > 0)
            return i;
    return -1;
}

size_t marker_code(int i, char utf8[4])
{
    size_t len = 0;
    U8_APPEND_UNSAFE(utf8, len, MARKER_FIRST + i);
    return len;
}

bool marker_is(int32_t c)
{
    return c >= MARKER_FIRST && c < MARKER_FIRST + N_MARKER;
}

void marker_spell(struct mapped *m)
{
    struct mapped spelled;
    const char *s = buf_str(&m->text);
    size_t from = 0, len;
    mapped_init(&spelled, m->text.max);
    for (size_t at = 0; at < m->text.len; at += len) {
        int32_t c = scan_char(s, m->text.len, at, &len);
        if (!marker_is(c))
            continue;
        const char *marker = markers[c - MARKER_FIRST];
        mapped_copy(&spelled, s, from, at);
        mapped_put(&spelled, marker, strlen(marker), at, at + len);
        from = at + len;
    }
    if (from == 0)
        return;
    mapped_copy(&spelled, s, from, m->text.len);
    mapped_compose(&spelled, m);
    mapped_done(m);
    *m = spelled;
}

/* --- carrying --- */

/* Bytes of the markers that s begins with, spaces between and behind included; *lasting: of those
 * at its start that last. */
static size_t marker_run(const char *s, size_t *lasting)
{
    size_t n = strlen(s), at = 0, len;
    bool lasts = true;
    *lasting = 0;
    for (int i; at < n && s[at] == '(' && (i = marker_at(s, n, at, &len)) >= 0;) {
        at += len;
        lasts = lasts && i < FIRST_EFFECT;
        *lasting = lasts ? at : *lasting;
        at += scan_spaces(s, n, at);
    }
    return at;
}

/* text with the first n bytes of marker and a space before it. */
static char *marker_before(const char *marker, size_t n, const char *text)
{
    size_t n_text = strlen(text);
    char *both = mem_try(n + n_text + 2, 1);
    if (both) {
        memcpy(both, marker, n);
        both[n] = ' ';
        memcpy(both + n + 1, text, n_text + 1);
    }
    return both;
}

static bool marker_same_voice(const struct text_piece *a, const struct text_piece *b)
{
    return a->voice == b->voice || (a->voice && b->voice && strcmp(a->voice, b->voice) == 0);
}

int marker_carry(struct text_pieces *p)
{
    const char *carried = NULL; /* in the text of an earlier piece */
    size_t n = 0, lasting;
    for (int i = 0; i < p->n; i++) {
        struct text_piece *piece = &p->piece[i];
        if (i && (p->piece[i - 1].ends_paragraph || !marker_same_voice(piece, piece - 1)))
            n = 0;
        if (marker_run(piece->text, &lasting) > 0) {
            n = lasting ? lasting : n;
            carried = lasting ? piece->text : carried;
            if (lasting || !n)
                continue;
        }
        char *text = n && piece->text[0] ? marker_before(carried, n, piece->text) : NULL;
        if (n && piece->text[0] && !text)
            return ERR_MEMORY;
        if (text) {
            mem_free(piece->text);
            piece->text = text;
            carried = text;
        }
    }
    return 0;
}

int marker_lead(struct text_piece *p, const char *marker)
{
    size_t lasting;
    if (!p->text[0] || marker_run(p->text, &lasting) > 0)
        return 0;
    char *text = marker_before(marker, strlen(marker), p->text);
    if (!text)
        return ERR_MEMORY;
    mem_free(p->text);
    p->text = text;
    return 0;
}

/* --- instructions --- */

static bool is_word(const char *word, size_t n, const char *want)
{
    return strlen(want) == n && scan_match(word, n, 0, want, true) == n;
}

/* The marker whose name starts at s, a whole word; names of several words count too. */
static const char *named_at(const char *s, size_t n_word)
{
    for (int i = 0; i < N_MARKER; i++) {
        const char *name = markers[i] + 1;
        size_t len = strlen(name) - 1;
        size_t got = 0;
        while (got < len && (s[got] | 32) == (name[got] | 32))
            got++;
        if (got == len && !scan_is_alpha(s[len]))
            return markers[i];
    }
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (is_word(s, n_word, synonyms[i].word))
            return synonyms[i].marker;
    return NULL;
}

const char *marker_named(const char *instructions)
{
    static const char *const negations[] = {"not",  "no",    "never", "without", "don't",
                                            "dont", "isn't", "avoid", "less",    "nor"};
    int negated = 0; /* words that a negation still covers */
    for (const char *s = instructions; s && *s;) {
        size_t n = 0;
        while (scan_is_alpha(s[n]) || (n && s[n] == '\''))
            n++;
        if (n == 0) {
            if (strchr(".;:!,", *s))
                negated = 0;
            s++;
            continue;
        }
        bool negation = false;
        for (size_t i = 0; i < sizeof negations / sizeof *negations; i++)
            negation = negation || is_word(s, n, negations[i]);
        const char *found = negated ? NULL : named_at(s, n);
        if (found)
            return found;
        negated = negation ? 4 : negated - (negated > 0);
        s += n;
    }
    return NULL;
}
