/* Emotion and tone markers of OpenAudio S1 (fish-speech's README for S1 lists them). */
#include <string.h>

#include "text/clean.h"
#include "text/scan.h"

static const char *const markers[] = {
    "(angry)",
    "(sad)",
    "(excited)",
    "(surprised)",
    "(satisfied)",
    "(delighted)",
    "(scared)",
    "(worried)",
    "(upset)",
    "(nervous)",
    "(frustrated)",
    "(depressed)",
    "(empathetic)",
    "(embarrassed)",
    "(disgusted)",
    "(moved)",
    "(proud)",
    "(relaxed)",
    "(grateful)",
    "(confident)",
    "(interested)",
    "(curious)",
    "(confused)",
    "(joyful)",
    "(disdainful)",
    "(unhappy)",
    "(anxious)",
    "(hysterical)",
    "(indifferent)",
    "(impatient)",
    "(guilty)",
    "(scornful)",
    "(panicked)",
    "(furious)",
    "(reluctant)",
    "(keen)",
    "(disapproving)",
    "(negative)",
    "(denying)",
    "(astonished)",
    "(serious)",
    "(sarcastic)",
    "(conciliative)",
    "(comforting)",
    "(sincere)",
    "(sneering)",
    "(hesitating)",
    "(yielding)",
    "(painful)",
    "(awkward)",
    "(amused)",
    "(in a hurry tone)",
    "(shouting)",
    "(screaming)",
    "(whispering)",
    "(soft tone)",
    "(laughing)",
    "(chuckling)",
    "(sobbing)",
    "(crying loudly)",
    "(sighing)",
    "(panting)",
    "(groaning)",
    "(crowd laughing)",
    "(background laughter)",
    "(audience laughing)",
};
#define N_MARKER (sizeof markers / sizeof *markers)

/* Other words for them, in instructions. */
static const struct {
    const char *word, *marker;
} synonyms[] = {
    {"happy", "(joyful)"},
    {"happily", "(joyful)"},
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
    {"calm", "(relaxed)"},
    {"calmly", "(relaxed)"},
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

size_t marker_at(const char *s, size_t n, size_t at)
{
    for (size_t i = 0; i < N_MARKER; i++) {
        size_t len = scan_match(s, n, at, markers[i], true);
        if (len)
            return len;
    }
    return 0;
}

static bool is_word(const char *word, size_t n, const char *want)
{
    return strlen(want) == n && scan_match(word, n, 0, want, true) == n;
}

/* The marker whose name starts at s, a whole word; names of several words count too. */
static const char *named_at(const char *s, size_t n_word)
{
    for (size_t i = 0; i < N_MARKER; i++) {
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
