/* languages.c - the names by which people and programs call a language, and espeak-ng's for each:
 * BCP 47 tags, English names, their own names, three letters (ISO 639-3), and the single letters of
 * Kokoro's clients. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/ustring.h>

#include "engine/engine.h"

static const struct {
    const char *name, *language; /* language NULL: by the text */
} languages[] = {
    {"", NULL},
    {"auto", NULL},
    {"automatic", NULL},
    {"default", NULL},
    /* Kokoro's lang_code */
    {"a", "en-us"},
    {"b", "en-gb"},
    {"e", "es"},
    {"f", "fr-fr"},
    {"h", "hi"},
    {"i", "it"},
    {"j", "ja"},
    {"p", "pt-br"},
    {"z", "cmn"},
    /* tags that espeak-ng has under another */
    {"en", "en-us"},
    {"en-au", "en-gb"},
    {"en-ie", "en-gb"},
    {"en-in", "en-gb"},
    {"en-nz", "en-gb"},
    {"en-ca", "en-us"},
    {"es-mx", "es-419"},
    {"fr", "fr-fr"},
    {"fil", "en-us"},
    {"iw", "he"},
    {"no", "nb"},
    {"pt-pt", "pt"},
    {"zh", "cmn"},
    {"zh-hk", "yue"},
    {"zh-yue", "yue"},
    {"zho", "cmn"},
    /* names that espeak-ng does not have, or has for several */
    {"chinese", "cmn"},
    {"mandarin", "cmn"},
    {"cantonese", "yue"},
    {"english", "en-us"},
    {"american english", "en-us"},
    {"british english", "en-gb"},
    {"french", "fr-fr"},
    {"norwegian", "nb"},
    {"portuguese", "pt"},
    {"brazilian portuguese", "pt-br"},
    {"spanish", "es"},
    {"farsi", "fa"},
    {"中文", "cmn"},
    {"汉语", "cmn"},
    {"普通话", "cmn"},
};
#define N_LANGUAGE (sizeof languages / sizeof *languages)
#define NAME_BYTES 64

/* espeak-ng's own tag or English name; of a name, what is before a bracket: "Chinese
 * (Mandarin)". */
static const char *languages_of_espeak(const char *name)
{
    const char *tag, *english;
    for (int i = 0; (tag = jabbertts_espeak_voice(i, &english)); i++)
        if (strcasecmp(tag, name) == 0)
            return tag;
    for (int i = 0; (tag = jabbertts_espeak_voice(i, &english)); i++) {
        size_t n = strcspn(english, "(");
        while (n > 0 && english[n - 1] == ' ')
            n--;
        if (strcasecmp(english, name) == 0 || (strlen(name) == n && !strncasecmp(english, name, n)))
            return tag;
    }
    return NULL;
}

static bool languages_find(const char *name, const char **ret)
{
    for (size_t i = 0; i < N_LANGUAGE; i++)
        if (strcasecmp(languages[i].name, name) == 0) {
            *ret = languages[i].language;
            return true;
        }
    const char *own = languages_of_espeak(name);
    if (own)
        *ret = own;
    return own != NULL;
}

/* "Deutsch", "deu": by ICU's names of the languages that espeak-ng has. */
static bool languages_find_own(const char *name, const char **ret)
{
    UChar given[NAME_BYTES], own[NAME_BYTES];
    UErrorCode code = U_ZERO_ERROR;
    const char *tag;
    u_strFromUTF8(given, NAME_BYTES, NULL, name, -1, &code);
    for (int i = 0; U_SUCCESS(code) && (tag = jabbertts_espeak_voice(i, NULL)); i++) {
        char base[NAME_BYTES];
        snprintf(base, sizeof base, "%.*s", (int)strcspn(tag, "-+"), tag);
        uloc_getDisplayLanguage(base, base, own, NAME_BYTES, &code);
        if (U_FAILURE(code) || own[0] == 0) {
            code = U_ZERO_ERROR; /* a name that is too long is no name that was given */
            continue;
        }
        if (u_strcasecmp(given, own, U_FOLD_CASE_DEFAULT) == 0 ||
            strcasecmp(uloc_getISO3Language(base), name) == 0)
            return languages_find(base, ret);
    }
    return false;
}

const char *engine_language(const char *given)
{
    char name[NAME_BYTES];
    const char *found;
    if (!given || strlen(given) >= sizeof name)
        return given;
    snprintf(name, sizeof name, "%s", given);
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '-' : *p;
    if (languages_find(name, &found))
        return found;
    /* A tag says less and less: de-Latn-AT is de-Latn is de. */
    for (char *p; (p = strrchr(name, '-'));) {
        *p = 0;
        if (languages_find(name, &found) && found)
            return found;
    }
    return languages_find_own(given, &found) && found ? found : given;
}
