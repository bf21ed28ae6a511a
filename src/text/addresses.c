/* E-mail, URLs, domains, #tags and @names: said part by part. */
#include <string.h>

#include "text/normalize.h"
#include "text/scan.h"
#include "text/words.h"

#define MAX_ADDRESS_BYTES 2048 /* longer ones are not recognized as one */
#define MAX_HOST_BYTES    253  /* RFC 1035, section 3.1, as text */

struct reader {
    const struct text_language *l;
    const char *s;
    size_t n;
    struct words *w;
};

/* Where words have no spaces between, other letters are the next word. */
static bool addresses_is_name_byte(const struct reader *r, char c)
{
    bool other = (unsigned char)c >= 0x80 && !r->l->unspaced;
    return scan_is_alnum(c) || c == '-' || c == '_' || other;
}

/* Names with points between them, "mail.example.com": its length and the last part's start. */
static size_t dotted_name(const struct reader *r, size_t at, size_t *last)
{
    size_t end = at, dots = 0;
    while (end < r->n && end - at < MAX_HOST_BYTES) {
        size_t from = end;
        while (end < r->n && end - at < MAX_HOST_BYTES && addresses_is_name_byte(r, r->s[end]))
            end++;
        if (end == from)
            break;
        *last = from;
        if (end + 1 >= r->n || r->s[end] != '.' || !addresses_is_name_byte(r, r->s[end + 1]))
            return dots ? end - at : 0;
        end++;
        dots++;
    }
    return 0;
}

/* --- saying the parts --- */

static const char *mark_name(const struct text_language *l, char c)
{
    return c == '.'   ? l->dot
           : c == '@' ? l->at
           : c == '/' ? l->slash
           : c == '-' ? l->dash
           : c == '_' ? l->underscore
           : c == ':' ? l->colon
                      : NULL;
}

/* Words, digits and marks of s[at..end) one by one; "JohnSmith" is two words. */
static void say_parts(const struct reader *r, size_t at, size_t end)
{
    const char *s = r->s;
    while (at < end) {
        size_t from = at;
        if (scan_is_digit(s[at])) {
            at += scan_digits(s, end, at);
            if (at - from <= 4 && s[from] != '0')
                words_number(r->w, r->l->locale, NULL, strncat((char[8]){0}, s + from, at - from));
            else
                language_say_digits(r->l, s + from, at - from, r->w);
            continue;
        }
        while (at < end && scan_is_upper(s[at]))
            at++;
        while (at < end && (scan_is_lower(s[at]) || (unsigned char)s[at] >= 0x80))
            at++;
        if (at > from) {
            words_add_n(r->w, s + from, at - from);
            continue;
        }
        const char *name = mark_name(r->l, s[at]);
        char other[2] = {s[at++], 0};
        if (name)
            words_add(r->w, name);
        else
            for (const struct language_symbol *y = r->l->symbols; y && y->written; y++)
                if (strcmp(y->written, other) == 0)
                    words_add(r->w, y->said);
    }
}

/* --- the kinds --- */

static size_t addresses_read_email(const struct reader *r, size_t at)
{
    size_t end = at, last, host;
    while (end < r->n && end - at < MAX_ADDRESS_BYTES &&
           (addresses_is_name_byte(r, r->s[end]) || strchr(".+%", r->s[end])))
        end++;
    if (end == at || end >= r->n || r->s[end] != '@')
        return 0;
    host = dotted_name(r, end + 1, &last);
    if (!host)
        return 0;
    end += 1 + host;
    say_parts(r, at, end);
    return end - at;
}

/* The rest of a URL: all but white space and the marks that end a sentence. */
static size_t url_end(const struct reader *r, size_t at)
{
    size_t end = at;
    while (end < r->n && (unsigned char)r->s[end] > ' ' && !strchr("<>\"", r->s[end]) &&
           !(r->l->unspaced && (unsigned char)r->s[end] >= 0x80))
        end++;
    while (end > at && strchr(".,;:!?)'", r->s[end - 1]))
        end--;
    return end;
}

static size_t addresses_read_url(const struct reader *r, size_t at)
{
    size_t last, from = at, len = scan_match(r->s, r->n, at, "https://", true);
    if (!len)
        len = scan_match(r->s, r->n, at, "http://", true);
    from += len;
    if (!len && !scan_match(r->s, r->n, at, "www.", true))
        return 0;
    size_t host = dotted_name(r, from, &last);
    if (!host && !len)
        return 0;
    size_t end = url_end(r, from + host);
    size_t said = end;
    while (said > from + host && r->s[said - 1] == '/')
        said--;
    say_parts(r, from, said);
    return end - at;
}

/* beispiel.de, mail.example.com/path: a host by itself, told by what it ends with.  English tells
 * hosts from names of files by rules. */
static size_t addresses_read_host(const struct reader *r, size_t at)
{
    static const char endings[] =
        "com|net|org|edu|gov|info|io|eu|biz|app|dev|ai|tv|me|de|at|ch|fr|be|nl|lu|it|es|pt|br|mx|"
        "ar|cl|co|pe|pl|cz|sk|hu|ro|bg|gr|se|no|dk|fi|is|ee|lv|lt|uk|ie|us|ca|au|nz|jp|cn|kr|tw|"
        "hk|in|tr|il|za|ru|su|ua|by|kz|рф|укр";
    size_t last = at, len = dotted_name(r, at, &last), end = at + len;
    if (last < at + 3 || !len || strcmp(r->l->code, "en") == 0 || /* m.in. is an abbreviation */
        !language_is_one_of(r->s + last, end - last, endings))
        return 0;
    if (end < r->n && r->s[end] == '/')
        end = url_end(r, end);
    say_parts(r, at, end);
    return end - at;
}

/* #tag and @name. */
static size_t read_tag(const struct reader *r, size_t at)
{
    size_t end = at + 1;
    while (end < r->n && end - at < MAX_ADDRESS_BYTES && (addresses_is_name_byte(r, r->s[end])) &&
           r->s[end] != '-')
        end++;
    if (end == at + 1 || scan_word_before(r->s, at) || !scan_letter(r->s, r->n, at + 1))
        return 0;
    words_add(r->w, r->s[at] == '#' ? r->l->hashtag : r->l->at);
    say_parts(r, at + 1, end);
    return end - at;
}

size_t addresses_read(const struct text_language *l, const char *s, size_t n, size_t at,
                      struct words *w)
{
    struct reader r = {l, s, n, w};
    size_t used = 0;
    if (s[at] == '#' || s[at] == '@')
        return read_tag(&r, at);
    /* Not in the middle of one that was refused: each byte is looked at once. */
    bool inside = scan_word_before(s, at) && !(l->unspaced && (unsigned char)s[at - 1] >= 0x80);
    if (!scan_is_alnum(s[at]) || inside || (at && strchr("._+%-/@", s[at - 1])))
        return 0;
    if ((used = addresses_read_url(&r, at)) || (used = addresses_read_email(&r, at)))
        return used;
    return addresses_read_host(&r, at);
}
