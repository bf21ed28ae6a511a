#include "text/abbreviation.h"

#include <ctype.h>
#include <string.h>
#include <unicode/uchar.h>

#include "text/scan.h"

static const char *const title[] = {
    "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Mt", "Messrs", "Gen", "Col", "Capt", "Cmdr", "Lt",
    "Sgt", "Maj", "Rev", "Hon", "Gov", "Sen", "Rep", "vs", "Mme", "Mlle",
    /* of other languages, where their rules leave them */
    "Sra", "Dra", "Lic", "Ing", "Arq", "Mons", "Gral", "Dott", "Sig", "Avv", "Arch", "Geom", "Rag",
    "Dipl", "Mag", "Hr", "Frl", "Dhr", "Mevr", "Drs", "Ir", "Eng", "Exmo", "mgr"};

/* These, only before a number. */
static const char *const numbered[] = {"No", "Nos", "Fig", "Vol", "Sec", "Ch", "Art", "pp", "Nr"};

static bool abbreviation_is_in(const char *const *list, size_t n_list, const char *word, size_t n)
{
    for (size_t k = 0; k < n_list; k++)
        if (strlen(list[k]) == n && memcmp(list[k], word, n) == 0)
            return true;
    return false;
}

/* Is the word before start, which a space is before, written with a capital? */
static bool after_name(const char *s, size_t start)
{
    if (start < 2 || s[start - 1] != ' ')
        return false;
    for (start--; start && isalpha((unsigned char)s[start - 1]);)
        start--;
    return isupper((unsigned char)s[start]);
}

/* The k-th character before s[start]; a space where the text starts. */
static char abbreviation_before(const char *s, size_t start, size_t k)
{
    return start >= k ? s[start - k] : ' ';
}

/* Single letters, perhaps one of several: start is the last letter. */
static enum abbreviation letters(const char *s, size_t start, char next)
{
    char c = s[start], before = abbreviation_before(s, start, 1),
         second = abbreviation_before(s, start, 2);
    if (before == '.' && isalpha((unsigned char)second)) {
        bool latin = (c == 'g' && second == 'e') || (c == 'e' && second == 'i');
        bool ends = islower((unsigned char)c) && !latin && isupper((unsigned char)next);
        return ends ? ABBREVIATION_NONE : ABBREVIATION_LETTERS;
    }
    if (before != ' ' && before != '(' && before != '\n')
        return ABBREVIATION_NONE;
    if (before == ' ' && isupper((unsigned char)second) && abbreviation_before(s, start, 3) == ' ')
        return ABBREVIATION_NONE; /* the F B I. Then: spelled letters, not initials */
    /* an initial; but not "It was I." */
    return isupper((unsigned char)c) && (c != 'I' || after_name(s, start)) ? ABBREVIATION_LETTERS
                                                                           : ABBREVIATION_NONE;
}

/* A lone capital that is no ASCII letter before s[i]: А. С. Пушкин. */
static bool foreign_initial(const char *s, size_t i)
{
    size_t start = i;
    while (start && ((unsigned char)s[--start] & 0xc0) == 0x80)
        ;
    size_t len;
    return start < i && (unsigned char)s[start] >= 0xc3 &&
           u_isupper(scan_char(s, i, start, &len)) && start + len == i &&
           (start == 0 || strchr(" .(\n", s[start - 1]));
}

enum abbreviation abbreviation_at(const char *s, size_t i, char next)
{
    size_t start = i;
    if (foreign_initial(s, i))
        return ABBREVIATION_LETTERS;
    while (start && i - start < 8 && isalpha((unsigned char)s[start - 1]))
        start--;
    size_t n = i - start;
    if (n == 1)
        return letters(s, start, next);
    if (start && (isalnum((unsigned char)s[start - 1]) || (unsigned char)s[start - 1] >= 0x80))
        return ABBREVIATION_NONE;
    if (abbreviation_is_in(title, sizeof title / sizeof *title, s + start, n))
        return ABBREVIATION_TITLE;
    bool number = isdigit((unsigned char)next) &&
                  abbreviation_is_in(numbered, sizeof numbered / sizeof *numbered, s + start, n);
    return number ? ABBREVIATION_TITLE : ABBREVIATION_NONE;
}
