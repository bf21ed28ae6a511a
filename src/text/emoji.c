/* Emoji: what is one (Unicode's properties) and what it is called (its character name). */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/ustring.h>

#include "text/clean.h"
#include "text/scan.h"

static bool is_flag(int32_t c)
{
    return c >= 0x1f1e6 && c <= 0x1f1ff;
}

/* Is c an emoji where next follows?  Signs that are old text (©, ↔, digits) only when asked for by
 * the emoji variation selector. */
static bool is_emoji(int32_t c, int32_t next)
{
    if (c < 0x203c || is_flag(c))
        return is_flag(c);
    if (u_hasBinaryProperty(c, UCHAR_EMOJI_PRESENTATION))
        return true;
    if (next == 0xfe0f)
        return u_hasBinaryProperty(c, UCHAR_EMOJI);
    return c >= 0x2600 && u_hasBinaryProperty(c, UCHAR_EXTENDED_PICTOGRAPHIC);
}

static bool is_modifier(int32_t c)
{
    return c == 0xfe0f || c == 0xfe0e || c == 0x20e3 || (c >= 0x1f3fb && c <= 0x1f3ff) ||
           (c >= 0xe0020 && c <= 0xe007f);
}

static void emoji_name_of(int32_t c, char *name, size_t room)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = u_charName(c, U_UNICODE_CHAR_NAME, name, (int32_t)room, &status);
    if (U_FAILURE(status) || n <= 0)
        name[0] = 0;
    for (char *p = name; *p; p++)
        *p = *p == '-' ? ' ' : (char)tolower((unsigned char)*p);
}

static void name_flag(int32_t a, int32_t b, char *name, size_t room)
{
    char region[8] = {'u', 'n', 'd', '_', (char)('A' + a - 0x1f1e6), (char)('A' + b - 0x1f1e6), 0};
    UChar wide[64];
    char country[160];
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = uloc_getDisplayCountry(region, "en", wide, 64, &status), n8 = 0;
    u_strToUTF8(country, sizeof country, &n8, wide, n < 64 ? n : 0, &status);
    if (U_SUCCESS(status) && n8 < (int32_t)sizeof country)
        snprintf(name, room, "flag of %s", country);
}

size_t emoji_at(const char *s, size_t n, size_t at, char *name, size_t room)
{
    size_t len, len_next, end;
    int32_t c = scan_char(s, n, at, &len), next = scan_char(s, n, at + len, &len_next);
    if (!is_emoji(c, next))
        return 0;
    end = at + len;
    emoji_name_of(c, name, room);
    if (is_flag(c)) {
        name[0] = 0;
        if (!is_flag(next))
            return len;
        name_flag(c, next, name, room);
        return len + len_next;
    }
    for (;;) { /* skin tones, and what joiners add: one name is enough */
        c = scan_char(s, n, end, &len);
        if (is_modifier(c)) {
            end += len;
            continue;
        }
        next = c == 0x200d ? scan_char(s, n, end + len, &len_next) : 0;
        if (!next || !(is_emoji(next, 0xfe0f)))
            return end - at;
        end += len + len_next;
    }
}
