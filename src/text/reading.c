/* A text read by rules: one match at a place, then what its reading says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "text/mapped.h"
#include "text/normalize.h"
#include "text/rules_impl.h"
#include "text/scan.h"
#include "text/words.h"

#define NOWHERE         ((size_t)-1)
#define QUOTATION_BYTES 400 /* looked back for an open quotation */

/* A slot's bytes; n 0: empty or not set. */
struct reading_span {
    const char *s;
    size_t n;
};

struct reading {
    const struct text_language *l;
    const struct rules *r;
    const char *s;
    size_t n, at;
    int n_before;          /* groups before the slots' in what is being matched */
    int depth, base, last; /* base: depth of the text itself; last: the rule that read */
    pcre2_match_data *match[RULES_DEPTH];
    pcre2_match_context *context;
    /* The word before `at`, looked up once. */
    size_t known_at;
    bool capital, any;
    uint64_t lists;
};

/* --- conditions --- */

static bool reading_is_ordinary(struct reading_span x)
{
    char key[RULES_WORD_BYTES];
    return scan_lower(x.s, x.n, key, sizeof key) && lang_is_ordinary(key, x.n);
}

static uint64_t reading_lists_of(const struct rules *r, const char *s, size_t n)
{
    char key[RULES_WORD_BYTES];
    if (n == 0 || !scan_lower(s, n, key, sizeof key))
        return 0;
    struct rules_word wanted = {.key = key};
    size_t low = 0, high = (size_t)r->n_word;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(wanted.key, r->word[middle].key);
        if (order == 0)
            return r->word[middle].lists;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

static bool reading_is_word_byte(char c)
{
    return scan_is_alpha(c) || c == '\'' || (unsigned char)c >= 0x80;
}

/* Spaces, an opening mark, a colon and one period may stand between; a comma, if asked for. */
static void reading_look_back(struct reading *z, bool comma)
{
    size_t end = z->at;
    while (end && z->at - end < 8 && strchr(" (\":", z->s[end - 1]))
        end--;
    if (comma && end && z->s[end - 1] == ',')
        end--;
    else if (comma)
        end = 0; /* no word */
    end -= end && z->s[end - 1] == '.' && end < z->at;
    size_t start = end;
    while (start && end - start < RULES_WORD_BYTES && reading_is_word_byte(z->s[start - 1]))
        start--;
    z->known_at = comma ? NOWHERE : z->at;
    z->any = start < end;
    z->capital = start < end && scan_capital_at(z->s, z->n, start);
    z->lists = reading_lists_of(z->r, z->s + start, end - start);
}

/* slot: of CONDITION_SLOT. */
static bool reading_holds(struct reading *z, const struct rules_condition *c, size_t at,
                          struct reading_span slot)
{
    bool any, capital = false;
    uint64_t lists;
    if (c->type == CONDITION_SLOT && c->list == RULES_ORDINARY) {
        return reading_is_ordinary(slot) != c->negated;
    } else if (c->type == CONDITION_SLOT) {
        any = slot.n > 0;
        lists = reading_lists_of(z->r, slot.s, slot.n);
    } else if (c->type == CONDITION_AFTER) {
        size_t start = at + scan_spaces(z->s, z->n, at), end = start;
        while (end < z->n && end - start < RULES_WORD_BYTES && reading_is_word_byte(z->s[end]))
            end++;
        any = end > start;
        capital = any && scan_capital_at(z->s, z->n, start);
        lists = reading_lists_of(z->r, z->s + start, end - start);
    } else {
        if (z->known_at != z->at || c->comma)
            reading_look_back(z, c->comma);
        any = z->any;
        capital = z->capital;
        lists = z->lists;
    }
    bool holds =
        any && (c->list < 0 || (lists >> z->r->list[c->list].bit & 1)) && (!c->capital || capital);
    return holds != c->negated;
}

/* May a reading end here?  Not within a word, nor within a number. */
static bool reading_may_end(const struct reading *z, size_t end)
{
    if (end == 0 || end >= z->n)
        return true;
    char last = z->s[end - 1], next = z->s[end];
    if (scan_is_digit(last) && end + 1 < z->n && scan_is_digit(z->s[end + 1])) {
        if (next == z->l->decimal)
            return false;
        if (z->l->group && strchr(z->l->group, next) && next != ' ')
            return scan_digits(z->s, z->n, end + 1) != 3;
    }
    if ((unsigned char)next < 0x80 && !scan_is_alnum(next))
        return true;
    if (z->l->unspaced && ((unsigned char)next >= 0x80 || (unsigned char)last >= 0x80))
        return true;
    bool word = scan_word_before(z->s, end) || scan_letter_before(z->s, end); /* a vowel sign */
    return !word || !scan_word_at(z->s, z->n, end);
}

/* The digits of a slot; of a longer one than `digits` says, the last: 2019 of 2019-20 is 19. */
static long reading_value(const struct reading *z, const size_t *o, int slot, size_t digits)
{
    size_t k = 2 * (size_t)(z->n_before + 1 + slot), at = o[k], end = o[k + 1];
    long x = 0;
    if (end - at > digits)
        at = end - digits;
    for (; at < end; at++)
        if (scan_is_digit(z->s[at]) && x < 100000000)
            x = x * 10 + (z->s[at] - '0');
    return x;
}

static bool reading_is_less(const struct reading *z, const size_t *o,
                            const struct rules_condition *c)
{
    size_t k = 2 * (size_t)(z->n_before + 1 + c->b), digits = o[k + 1] - o[k];
    return reading_value(z, o, c->a, digits < 2 ? 9 : digits) < reading_value(z, o, c->b, 9);
}

/* Marks behind digits are inches, too, and do not count. */
static bool reading_is_unquoted(const struct reading *z, size_t at)
{
    size_t quotes = 0;
    for (size_t i = at; i > 0 && z->s[i - 1] != '\n' && at - i < QUOTATION_BYTES; i--)
        quotes += z->s[i - 1] == '"' && !(i > 1 && scan_is_digit(z->s[i - 2]));
    return quotes % 2 == 0;
}

/* The run of capitals beside s[at], past what stands between words: how many; 0: there is none, or
 * it is part of a word with small letters.  step: 1 for the next one, -1 for the one before. */
static size_t reading_capitals_beside(const struct reading *z, size_t *at, int step)
{
    const char *s = z->s + *at - (step < 0); /* the next byte to look at */
    size_t left = step < 0 ? *at : z->n - *at, n = 0;
    left = left < RULES_WORD_BYTES ? left : RULES_WORD_BYTES;
    for (; left && *s && strchr(" '-!", *s); left--)
        s += step;
    for (; left && scan_is_upper(*s); left--, n++)
        s += step;
    *at = (size_t)(s - z->s) + (step < 0);
    return left && scan_is_alpha(*s) ? 0 : n;
}

/* Two words in capitals on either side: is one of them long, or are there several? */
static bool reading_is_shouted(const struct reading *z, size_t end)
{
    size_t at[] = {end, z->at}, letters = 0, words = 0, longest = 0;
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < 2; i++) {
            size_t n = reading_capitals_beside(z, &at[side], side ? -1 : 1);
            if (!n)
                break;
            words += n > 1;
            letters += n;
            longest = n > longest ? n : longest;
        }
    return words > 0 && letters >= 4 && (longest >= 4 || words > 1);
}

/* What slot i holds while its pattern is being matched. */
static struct reading_span reading_so_far(const struct reading *z, const pcre2_callout_block *block,
                                          int i)
{
    size_t k = 2 * (size_t)(z->n_before + 1 + i);
    const size_t *o = block->offset_vector;
    bool set = k / 2 < block->capture_top && o[k] != PCRE2_UNSET;
    return set ? (struct reading_span){z->s + o[k], o[k + 1] - o[k]} : (struct reading_span){0};
}

static int reading_callout(pcre2_callout_block *block, void *cookie)
{
    struct reading *z = cookie;
    if (block->callout_number == RULES_GUARD)
        return !reading_may_end(z, block->current_position);
    const struct rules_condition *c = &z->r->condition[block->callout_number - 1];
    if (c->type == CONDITION_UNQUOTED)
        return !reading_is_unquoted(z, block->current_position);
    if (c->type == CONDITION_SHOUTED)
        return !reading_is_shouted(z, block->current_position);
    if (c->type == CONDITION_LESS)
        return !reading_is_less(z, block->offset_vector, c);
    return !reading_holds(z, c, block->current_position, reading_so_far(z, block, c->a));
}

/* --- formats --- */

/* The Roman numeral that x is, in either case; 0: none. */
static int reading_roman(struct reading_span x)
{
    char capitals[16] = "";
    size_t len = 0;
    if (x.n >= sizeof capitals)
        return 0;
    for (size_t i = 0; i < x.n; i++)
        capitals[i] = (char)(scan_is_lower(x.s[i]) ? x.s[i] & ~32 : x.s[i]);
    int value = language_roman(capitals, x.n, 0, true, &len);
    return len == x.n ? value : 0;
}

/* A number as it stands in a slot, also a Roman one; spaces that group its digits are left out. */
static struct language_number reading_number(const struct reading *z, struct reading_span x)
{
    char plain[80] = "";
    size_t n = 0;
    int roman = x.n && scan_is_alpha(x.s[0]) ? reading_roman(x) : 0;
    if (roman) {
        n = (size_t)snprintf(plain, sizeof plain, "%d", roman);
        return language_number_at(z->l, plain, n, 0, false);
    }
    for (size_t i = 0, len; i < x.n && n + 1 < sizeof plain; i += len) {
        int32_t c = scan_char(x.s, x.n, i, &len);
        if (c == 0xb2 || c == 0xb3 || c == 0xb9) /* superscripts */
            plain[n++] = (char)(c == 0xb9 ? '1' : c - 0xb2 + '2');
        else if (c == 0x2070 || (c >= 0x2074 && c <= 0x2079))
            plain[n++] = (char)(c - 0x2070 + '0');
        else if (c == 0x2212)
            plain[n++] = '-';
        else if (c < 0x80 && c != ' ' && c != '\'')
            plain[n++] = (char)c;
    }
    return language_number_at(z->l, plain, n, 0, true);
}

static bool reading_say_number(struct reading *z, struct reading_span x, const char *rules,
                               struct words *w)
{
    struct language_number number = reading_number(z, x);
    if (number.len)
        language_say_number(z->l, &number, rules, w);
    return number.len > 0;
}

struct reading_call {
    struct reading *z;
    const struct rules_op *op;
    const struct rule *rule;
    const struct reading_span *span;
};

static struct reading_span reading_slot(const struct reading_call *c)
{
    return c->span[c->op->slot];
}

static bool format_text(const struct reading_call *c, struct words *w)
{
    words_add_n(w, reading_slot(c).s, reading_slot(c).n);
    return true;
}

static bool format_cardinal(const struct reading_call *c, struct words *w)
{
    return reading_say_number(c->z, reading_slot(c), NULL, w);
}

static bool format_digits(const struct reading_call *c, struct words *w)
{
    language_say_digits(c->z->l, reading_slot(c).s, reading_slot(c).n, w);
    return true;
}

/* Letters by their capitals, digits by name. */
static bool format_spell(const struct reading_call *c, struct words *w)
{
    struct reading_span x = reading_slot(c);
    for (size_t i = 0; i < x.n; i++)
        if (scan_is_alpha(x.s[i]))
            words_add(w, (char[2]){(char)(x.s[i] & ~32), 0});
        else if (scan_is_digit(x.s[i]))
            language_say_digits(c->z->l, x.s + i, 1, w);
    return true;
}

/* In small letters but for the first `kept`. */
static void reading_add_lower(struct reading_span x, size_t kept, struct words *w)
{
    char word[64] = "";
    for (size_t i = 0; i < x.n && i + 1 < sizeof word; i++)
        word[i] = (char)(i >= kept && scan_is_upper(x.s[i]) ? x.s[i] | 32 : x.s[i]);
    words_add(w, word);
}

static bool format_name(const struct reading_call *c, struct words *w)
{
    reading_add_lower(reading_slot(c), 1, w);
    return true;
}

static bool format_lower(const struct reading_call *c, struct words *w)
{
    reading_add_lower(reading_slot(c), 0, w);
    return true;
}

static const struct rules_entry *reading_entry(const struct reading_call *c, int slot)
{
    int list = c->rule->slot[slot].list;
    return list < 0 ? NULL
                    : rules_entry_find(&c->z->r->list[list], c->span[slot].s, c->span[slot].n);
}

static const struct language_currency *reading_currency(const struct reading_call *c, int slot)
{
    const struct rules_entry *e = c->rule->slot[slot].list == 1 ? reading_entry(c, slot) : NULL;
    return e ? &c->z->l->currencies[e->row] : NULL;
}

static const struct language_unit *reading_unit(const struct reading_call *c, int slot)
{
    const struct rules_entry *e = c->rule->slot[slot].list == 0 ? reading_entry(c, slot) : NULL;
    return e ? &c->z->l->units[e->row] : NULL;
}

/* An amount may have two digits behind the mark that is not the language's: 2,50. */
static struct language_number reading_amount(const struct reading *z, struct reading_span x)
{
    struct language_number number = reading_number(z, x);
    size_t end = number.len;
    if (end && !number.fraction[0] && x.n == end + 3 && strchr(".,", x.s[end]) &&
        scan_digits(x.s, x.n, end + 1) == 2)
        memcpy(number.fraction, x.s + end + 1, 2);
    return number;
}

/* {num:money currency} */
static bool format_money(const struct reading_call *c, struct words *w)
{
    const struct language_currency *money = c->op->arg < 0 ? NULL : reading_currency(c, c->op->arg);
    struct language_number x = reading_amount(c->z, reading_slot(c));
    if (money && x.len)
        language_say_money(c->z->l, &x, money, w);
    return money && x.len;
}

/* {num:unit unit} */
static bool format_unit(const struct reading_call *c, struct words *w)
{
    const struct language_unit *unit = c->op->arg < 0 ? NULL : reading_unit(c, c->op->arg);
    struct language_number x = reading_number(c->z, reading_slot(c));
    if (unit && x.len)
        language_say_unit(c->z->l, &x, unit, w);
    return unit && x.len;
}

/* "one | few | many | other" as written in a list or a choice. */
static struct language_forms reading_forms(const char *s, size_t n, char *room, size_t size)
{
    const char *form[4] = {0};
    size_t k = 0, used = 0;
    for (size_t at = 0; at <= n && k < 4;) {
        size_t end = at, last;
        while (end < n && s[end] != '|')
            end++;
        while (at < end && s[at] == ' ')
            at++;
        for (last = end; last > at && s[last - 1] == ' ';)
            last--;
        if (used + (last - at) + 1 > size)
            break;
        memcpy(room + used, s + at, last - at);
        form[k++] = room + used;
        used += last - at;
        room[used++] = 0;
        at = end + 1;
    }
    if (k < 3)
        return (struct language_forms){.one = k > 1 ? form[0] : NULL, .other = form[k - 1]};
    return (struct language_forms){
        .one = form[0], .few = form[1], .many = form[2], .other = form[k > 3 ? 3 : 1]};
}

/* The forms of the unit, currency or list row in a slot. */
static bool reading_forms_of(const struct reading_call *c, int slot, char *room, size_t size,
                             struct language_forms *ret)
{
    const struct language_unit *unit = reading_unit(c, slot);
    const struct language_currency *money = reading_currency(c, slot);
    const struct rules_entry *entry = reading_entry(c, slot);
    if (unit)
        *ret = unit->said;
    else if (money)
        *ret = money->unit;
    else if (entry && entry->said)
        *ret = reading_forms(entry->said, strlen(entry->said), room, size);
    else
        return false;
    return true;
}

/* {unit:form num}: as that number asks for. */
static bool format_form(const struct reading_call *c, struct words *w)
{
    char room[256];
    struct language_forms f;
    if (c->op->arg < 0 || !reading_forms_of(c, c->op->slot, room, sizeof room, &f))
        return false;
    struct language_number x = reading_number(c->z, c->span[c->op->arg]);
    words_add(w, language_form(c->z->l, &f, &x));
    return true;
}

static bool format_one(const struct reading_call *c, struct words *w)
{
    char room[256];
    struct language_forms f;
    if (!reading_forms_of(c, c->op->slot, room, sizeof room, &f))
        return false;
    words_add(w, f.one ? f.one : f.other);
    return true;
}

static bool format_other(const struct reading_call *c, struct words *w)
{
    char room[256];
    struct language_forms f;
    if (!reading_forms_of(c, c->op->slot, room, sizeof room, &f))
        return false;
    words_add(w, f.other);
    return true;
}

static bool format_many(const struct reading_call *c, struct words *w)
{
    char room[256];
    struct language_forms f;
    if (!reading_forms_of(c, c->op->slot, room, sizeof room, &f))
        return false;
    words_add(w, f.many ? f.many : f.other);
    return true;
}

/* {x:read}: as if it stood alone. */
static bool format_read(const struct reading_call *c, struct words *w)
{
    struct mapped out;
    struct reading_span x = reading_slot(c);
    if (c->z->depth + 1 >= RULES_DEPTH)
        return false;
    mapped_init(&out, 1 << 16);
    normalize_within(x.s, x.n, c->z->l, c->z->depth + 1, &out);
    bool fine = out.rc == 0;
    words_add(w, buf_str(&out.text));
    mapped_done(&out);
    return fine;
}

static const struct {
    const char *name;
    bool (*say)(const struct reading_call *c, struct words *w);
} reading_formats[] = {
    {"text", format_text},   {"cardinal", format_cardinal}, {"digits", format_digits},
    {"spell", format_spell}, {"name", format_name},         {"money", format_money},
    {"unit", format_unit},   {"form", format_form},         {"one", format_one},
    {"other", format_other}, {"many", format_many},         {"read", format_read},
    {"lower", format_lower},
};

int reading_format(const char *name, int n)
{
    for (size_t i = 0; i < sizeof reading_formats / sizeof *reading_formats; i++)
        if ((int)strlen(reading_formats[i].name) == n &&
            memcmp(reading_formats[i].name, name, (size_t)n) == 0)
            return (int)i;
    return -1;
}

/* --- saying --- */

static size_t reading_match(struct reading *z, const struct rules_expression *x, struct words *w);

/* By a set of readings, one of which has to take all of it, or one after another. */
static bool reading_say_by_set(struct reading *z, struct reading_span x, int set, struct words *w)
{
    const struct rules_set *by = &z->r->set[set];
    const char *s = z->s;
    size_t n = z->n, at = z->at, used = 0, piece;
    z->s = x.s;
    z->n = x.n;
    z->depth++;
    do {
        z->at = used;
        z->known_at = NOWHERE;
        used += piece = reading_match(z, &by->all, w);
    } while (by->each && piece && used < x.n);
    bool fine = used == x.n;
    z->depth--;
    z->s = s;
    z->n = n;
    z->at = at;
    z->known_at = NOWHERE;
    return fine;
}

bool reading_say_format(const struct text_language *l, const char *format, const char *s,
                        struct words *w)
{
    int set = l->rules ? rules_set_named(l->rules, format, (int)strlen(format)) : -1;
    struct reading *z = set < 0 ? NULL : reading_new(l, s, strlen(s), 0);
    size_t said = w->text.len;
    bool fine = z && reading_say_by_set(z, (struct reading_span){s, strlen(s)}, set, w);
    if (!fine && said < w->text.len)
        words_back(w, said);
    reading_free(z);
    return fine;
}

/* Rows of a list by their words, numbers as cardinals, else as written. */
static bool reading_say_plain(const struct reading_call *c, struct words *w)
{
    const struct rules_entry *entry = reading_entry(c, c->op->slot);
    struct reading_span x = reading_slot(c);
    if (entry && entry->said) {
        words_add_n(w, entry->said, strcspn(entry->said, "|"));
        return true;
    }
    if (!entry && x.n &&
        (scan_is_digit(x.s[0]) || strchr("+-.,", x.s[0]) ||
         ((unsigned char)x.s[0] == 0xe2 && x.n > 3 && scan_is_digit(x.s[3]))))
        return reading_say_number(c->z, x, NULL, w);
    return format_text(c, w);
}

static bool reading_say_slot(const struct reading_call *c, struct words *w)
{
    const struct rules_op *op = c->op;
    struct reading_span x = reading_slot(c);
    char rules[56] = "";
    if (x.n == 0)
        return true;
    if (op->set >= 0)
        return reading_say_by_set(c->z, x, op->set, w);
    if (op->format >= 0)
        return reading_formats[op->format].say(c, w);
    if (op->n == 0)
        return reading_say_plain(c, w);
    memcpy(rules, op->text, (size_t)op->n < sizeof rules ? (size_t)op->n : 0);
    return reading_say_number(c->z, x, rules, w);
}

/* "minute|minutes" by the number in a slot. */
static bool reading_say_choice(const struct reading_call *c, struct words *w)
{
    char room[256];
    struct language_forms f = reading_forms(c->op->text, (size_t)c->op->n, room, sizeof room);
    struct language_number x = reading_number(c->z, reading_slot(c));
    const char *form = language_form(c->z->l, &f, &x);
    if (c->op->glued)
        words_join(w, form);
    else
        words_add(w, form);
    return true;
}

static bool reading_say_glued(const struct reading_call *c, struct words *w)
{
    struct words part;
    words_init(&part, w->unspaced);
    bool fine = reading_say_slot(c, &part);
    words_join(w, buf_str(&part.text));
    words_done(&part);
    return fine;
}

/* "_" is a space, where the words around have none by themselves. */
static void reading_say_words(const struct rules_op *op, struct words *w)
{
    char piece[128] = "";
    for (int i = 0; i < op->n && i < 127; i++)
        piece[i] = (char)(op->text[i] == '_' ? ' ' : op->text[i]);
    if (op->glued)
        words_join(w, piece);
    else
        words_add(w, piece);
}

static bool reading_say(struct reading *z, const struct rule *u, const struct reading_span *span,
                        struct words *w)
{
    bool fine = true;
    for (int i = 0; i < u->n_op && fine; i++) {
        struct reading_call c = {z, &u->op[i], u, span};
        if (c.op->type == OP_SKIP) {
            bool empty = false;
            for (int k = i + 1; k <= i + c.op->skip; k++)
                empty = empty || (u->op[k].type == OP_SLOT && span[u->op[k].slot].n == 0);
            i += empty ? c.op->skip : 0;
        } else if (c.op->type == OP_CHOICE) {
            fine = reading_say_choice(&c, w);
        } else if (c.op->type == OP_SLOT) {
            fine = c.op->glued ? reading_say_glued(&c, w) : reading_say_slot(&c, w);
        } else {
            reading_say_words(c.op, w);
        }
    }
    return fine;
}

/* --- matching --- */

static size_t reading_matched(struct reading *z, const pcre2_match_data *match, int n_before,
                              int rule, struct words *w)
{
    const size_t *o = pcre2_get_ovector_pointer((pcre2_match_data *)match);
    const struct rule *u = &z->r->rule[rule];
    struct reading_span span[RULES_SLOTS];
    uint32_t count = pcre2_get_ovector_count((pcre2_match_data *)match);
    for (int i = 0; i < u->n_slot; i++) {
        size_t k = 2 * (size_t)(n_before + 1 + i);
        bool set = k / 2 < count && o[k] != PCRE2_UNSET && o[k + 1] > o[k];
        span[i] = set ? (struct reading_span){z->s + o[k], o[k + 1] - o[k]}
                      : (struct reading_span){z->s, 0};
    }
    size_t used = o[1] - o[0], said = w->text.len;
    if (!reading_say(z, u, span, w)) {
        if (said < w->text.len) /* what a format said before it gave up */
            words_back(w, said);
        return 0;
    }
    if (z->r->fired)
        z->r->fired[rule] = 1;
    if (z->depth == z->base)
        z->last = rule;
    return used;
}

/* Where the match of this depth is put; NULL: too deep, or no memory. */
static pcre2_match_data *reading_room(struct reading *z)
{
    if (z->depth >= RULES_DEPTH)
        return NULL;
    if (!z->match[z->depth])
        z->match[z->depth] = pcre2_match_data_create((uint32_t)z->r->n_group + 1, NULL);
    return z->match[z->depth];
}

static size_t reading_run(struct reading *z, const pcre2_code *code, bool jit, int n_before,
                          struct words *w)
{
    pcre2_match_data *match = reading_room(z);
    if (!match)
        return 0;
    z->n_before = n_before;
    int rc = jit ? pcre2_jit_match(code, (PCRE2_SPTR)z->s, z->n, z->at, 0, match, z->context)
                 : pcre2_match(code, (PCRE2_SPTR)z->s, z->n, z->at, PCRE2_NO_UTF_CHECK, match,
                               z->context);
    if (rc < 0)
        return 0;
    PCRE2_SPTR mark = pcre2_get_mark(match);
    return mark ? reading_matched(z, match, n_before, (int)strtol((const char *)mark, NULL, 10), w)
                : 0;
}

static size_t reading_match(struct reading *z, const struct rules_expression *x, struct words *w)
{
    return x->code ? reading_run(z, x->code, x->jit, x->n_before, w) : 0;
}

/* Words begin at their beginning. */
static bool reading_may_start(const struct reading *z, size_t at)
{
    return !scan_is_alnum(z->s[at]) || !scan_word_before(z->s, at) ||
           (z->l->unspaced && (unsigned char)z->s[at - 1] >= 0x80);
}

size_t reading_at(struct reading *z, size_t at, struct words *w)
{
    unsigned char c = (unsigned char)z->s[at];
    if (!z->r->starts[c] || !reading_may_start(z, at))
        return 0;
    z->at = at;
    const struct rules_expression *part = z->r->main[rules_class_of(c)];
    size_t used = 0;
    for (int k = 0; k < RULES_PARTS && part[k].code && !used; k++)
        used = reading_match(z, &part[k], w);
    return used;
}

size_t reading_only(struct reading *z, int i, size_t at, struct words *w)
{
    const struct rule *u = &z->r->rule[i];
    struct rules_expression alone = {.code = u->code};
    for (uint64_t left = u->calls; left; left &= left - 1)
        alone.n_before++;
    if (u->source->section != LANG_READ || !reading_may_start(z, at))
        return 0;
    z->at = at;
    return reading_match(z, &alone, w);
}

void rules_watch(struct rules *r, unsigned char *fired)
{
    r->fired = fired;
}

int reading_index(const struct reading *z)
{
    return z->last;
}

const char *reading_rule(const struct reading *z)
{
    return z->r->rule[z->last].source->rule;
}

struct reading *reading_new(const struct text_language *l, const char *s, size_t n, int depth)
{
    struct reading *z = mem_alloc(sizeof *z);
    *z = (struct reading){.l = l, .r = l->rules, .s = s, .n = n, .known_at = NOWHERE};
    z->depth = z->base = depth;
    z->context = pcre2_match_context_create(NULL);
    if (!z->context) {
        reading_free(z);
        return NULL;
    }
    pcre2_set_match_limit(z->context, RULES_STEPS);
    pcre2_set_callout(z->context, reading_callout, z);
    return z;
}

void reading_free(struct reading *z)
{
    if (!z)
        return;
    for (int i = 0; i < RULES_DEPTH; i++)
        pcre2_match_data_free(z->match[i]);
    pcre2_match_context_free(z->context);
    mem_free(z);
}
