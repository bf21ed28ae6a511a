#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/rules_impl.h"
#include "text/scan.h"

#define MAX_REGEX_BYTES (1 << 20)
#define INLINE_WORDS    12          /* a list of so many is written out where it is used */
#define NUMBER_CALL     RULES_CALLS /* a number with its separators, behind the lists */

enum rules_class rules_class_of(unsigned char c)
{
    return scan_is_digit((char)c)   ? CLASS_DIGIT
           : scan_is_lower((char)c) ? CLASS_LOWER
           : scan_is_upper((char)c) ? CLASS_UPPER
           : c < 0x80               ? CLASS_SIGN
                                    : CLASS_HIGH;
}

/* --- lists --- */

static int rules_compare(const void *a, const void *b)
{
    return strcmp(((const struct rules_entry *)a)->key, ((const struct rules_entry *)b)->key);
}

const struct rules_entry *rules_entry_find(const struct rules_list *list, const char *s, size_t n)
{
    char key[64] = "";
    if (n >= sizeof key || (list->fold && !scan_lower(s, n, key, sizeof key)))
        return NULL;
    if (!list->fold)
        memcpy(key, s, n);
    struct rules_entry wanted = {.key = key};
    return bsearch(&wanted, list->entry, (size_t)list->n, sizeof wanted, rules_compare);
}

static bool rules_list_open(struct rules *r, const char *name, bool fold, int n)
{
    struct rules_list *l = &r->list[r->n_list];
    *l = (struct rules_list){.name = name, .fold = fold, .bit = -1, .call = -1};
    l->entry = mem_try((size_t)n + 1, sizeof *l->entry);
    r->n_list += l->entry != NULL;
    return l->entry != NULL;
}

static void rules_list_add(struct rules *r, const char *key, const char *said, int row)
{
    struct rules_list *l = &r->list[r->n_list - 1];
    l->entry[l->n++] = (struct rules_entry){key, said, row};
}

/* Sorted, each key once: the first row counts. */
static void rules_list_close(struct rules *r)
{
    struct rules_list *l = &r->list[r->n_list - 1];
    int kept = 0;
    qsort(l->entry, (size_t)l->n, sizeof *l->entry, rules_compare);
    for (int i = 0; i < l->n; i++)
        if (!kept || strcmp(l->entry[kept - 1].key, l->entry[i].key) != 0)
            l->entry[kept++] = l->entry[i];
    l->n = kept;
}

/* The tables as lists "unit", "currency" and "month", then the file's own. */
static bool rules_make_lists(struct rules *r)
{
    const struct text_language *t = &r->lang->table;
    r->list = mem_try((size_t)r->lang->n_list + 3, sizeof *r->list);
    if (!r->list || !rules_list_open(r, "unit", false, t->n_units))
        return false;
    for (int i = 0; i < t->n_units; i++)
        rules_list_add(r, t->units[i].written, NULL, i);
    rules_list_close(r);
    if (!rules_list_open(r, "currency", false, t->n_currencies))
        return false;
    for (int i = 0; i < t->n_currencies; i++)
        rules_list_add(r, t->currencies[i].written, NULL, i);
    rules_list_close(r);
    for (int k = 0; k < r->lang->n_list; k++) {
        const struct lang_list *from = &r->lang->list[k];
        if (!rules_list_open(r, from->name, from->fold, from->n))
            return false;
        for (int i = 0; i < from->n; i++)
            rules_list_add(r, from->entry[i].key, from->entry[i].said, i);
        rules_list_close(r);
    }
    return true;
}

static int rules_list_named(const struct rules *r, const char *name, size_t n)
{
    for (int i = 0; i < r->n_list; i++)
        if (strlen(r->list[i].name) == n && memcmp(r->list[i].name, name, n) == 0)
            return i;
    return -1;
}

static int rules_compare_words(const void *a, const void *b)
{
    return strcmp(((const struct rules_word *)a)->key, ((const struct rules_word *)b)->key);
}

/* All words of lists that conditions ask for, once each. */
static bool rules_make_words(struct rules *r)
{
    size_t n = 0;
    for (int i = 0; i < r->n_list; i++)
        n += r->list[i].bit >= 0 ? (size_t)r->list[i].n : 0;
    r->word = mem_try(n + 1, sizeof *r->word);
    if (!r->word)
        return false;
    for (int i = 0; i < r->n_list; i++)
        for (int k = 0; r->list[i].bit >= 0 && k < r->list[i].n; k++)
            r->word[r->n_word++] =
                (struct rules_word){r->list[i].entry[k].key, (uint64_t)1 << r->list[i].bit};
    qsort(r->word, (size_t)r->n_word, sizeof *r->word, rules_compare_words);
    int kept = 0;
    for (int i = 0; i < r->n_word; i++) {
        if (kept && strcmp(r->word[kept - 1].key, r->word[i].key) == 0)
            r->word[kept - 1].lists |= r->word[i].lists;
        else
            r->word[kept++] = r->word[i];
    }
    r->n_word = kept;
    return true;
}

/* --- a list as an expression: common beginnings once, longest words first --- */

static int rules_key_char(const char *key)
{
    unsigned char c = (unsigned char)key[0];
    return c < 0x80 ? c != 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static void rules_literal(struct buf *b, const char *s, int n)
{
    if (n == 1 && !scan_is_alnum(s[0]))
        buf_add(b, "\\", 1);
    buf_add(b, s, (size_t)n);
}

/* Entries [from, to), which agree in their first depth bytes. */
static void rules_branches(struct buf *b, const struct rules_entry *e, int from, int to,
                           size_t depth)
{
    bool ends = e[from].key[depth] == 0;
    int n_branch = 0;
    from += ends;
    if (from == to)
        return;
    buf_add_str(b, "(?:");
    for (int next; from < to; from = next) {
        const char *key = e[from].key + depth;
        int len = rules_key_char(key);
        for (next = from; next < to && strncmp(e[next].key + depth, key, (size_t)len) == 0; next++)
            ;
        buf_add_str(b, n_branch++ ? "|" : "");
        rules_literal(b, key, len);
        rules_branches(b, e, from, next, depth + (size_t)len);
    }
    buf_add_str(b, ends ? ")?" : ")");
}

static void rules_words_of(struct buf *b, const struct rules_list *l)
{
    buf_add_str(b, l->fold ? "(?i:" : "(?:");
    if (l->n)
        rules_branches(b, l->entry, 0, l->n, 0);
    else
        buf_add_str(b, "(*FAIL)");
    buf_add_str(b, ")");
}

/* The characters that words of the list begin with, looked at before the list is. */
static void rules_beginnings(struct buf *b, const struct rules_list *l)
{
    buf_add_str(b, l->fold ? "(?i:(?=[" : "(?:(?=[");
    for (int i = 0; i < l->n; i++) {
        int len = rules_key_char(l->entry[i].key);
        if (!i || strncmp(l->entry[i - 1].key, l->entry[i].key, (size_t)len) != 0)
            rules_literal(b, l->entry[i].key, len);
    }
    buf_add_str(b, "]))");
}

/* --- a pattern as an expression --- */

struct rules_expander {
    struct rules *r;
    struct rule *rule;
    int depth;
    struct err *e;
};

static int rules_fault(const struct rules_expander *x, const char *what, const char *which, int n)
{
    return err_set(x->e, ERR_FORMAT, "%s.lang:%d: rule %s: %s: %.*s", x->r->lang->table.code,
                   x->rule->source->line, x->rule->source->rule, what, n, which);
}

static int rules_expand(struct rules_expander *x, const char *p);

static int rules_slot_named(const struct rule *u, const char *name, int n);

static int rules_add_condition(struct rules_expander *x, struct rules_condition c, const char *p,
                               int n)
{
    struct rules *r = x->r;
    int k = 0;
    while (k < r->n_condition && memcmp(&r->condition[k], &c, sizeof c) != 0)
        k++;
    if (k == RULES_CONDITIONS)
        return rules_fault(x, "too many conditions", p, n);
    r->condition[k] = c;
    r->n_condition += k == r->n_condition;
    return buf_add_format(&x->rule->regex, "(?C%d)", k + 1);
}

/* {a<b}: the number in slot a is less than that in b. */
static int rules_expand_order(struct rules_expander *x, const char *p, int n_a, int n)
{
    struct rules_condition c;
    memset(&c, 0, sizeof c);
    c.type = CONDITION_LESS;
    c.a = rules_slot_named(x->rule, p, n_a);
    c.b = rules_slot_named(x->rule, p + n_a + 1, n - n_a - 1);
    return c.a < 0 || c.b < 0 ? rules_fault(x, "no such slot", p, n)
                              : rules_add_condition(x, c, p, n);
}

/* {"}: no quotation is open on this line, so that a mark behind a number is one of inches.  {^}:
 * the words around are in capitals, too. */
static int rules_expand_around(struct rules_expander *x, const char *p)
{
    struct rules_condition c;
    memset(&c, 0, sizeof c);
    c.type = *p == '^' ? CONDITION_SHOUTED : CONDITION_UNQUOTED;
    return rules_add_condition(x, c, p, 1);
}

/* The words of this list are asked for. */
static int rules_ask(struct rules_expander *x, const char *name, size_t n, int *list)
{
    struct rules *r = x->r;
    int bit = 0;
    *list = rules_list_named(r, name, n);
    if (*list < 0 && n == 8 && memcmp(name, "ordinary", n) == 0) {
        *list = RULES_ORDINARY;
        return 0;
    }
    if (*list < 0)
        return rules_fault(x, "no such list", name, (int)n);
    for (int i = 0; i < r->n_list; i++)
        bit = r->list[i].bit >= bit ? r->list[i].bit + 1 : bit;
    if (r->list[*list].bit < 0)
        r->list[*list].bit = bit;
    return r->list[*list].bit < RULES_WORD_LISTS
               ? 0
               : rules_fault(x, "too many lists in conditions", name, (int)n);
}

/* {a=list}, {a!=list}: what slot a holds is on a list. */
static int rules_expand_among(struct rules_expander *x, const char *p, int n_a, int n)
{
    struct rules_condition c;
    memset(&c, 0, sizeof c);
    c.type = CONDITION_SLOT;
    c.a = rules_slot_named(x->rule, p, n_a);
    c.negated = p[n_a] == '!';
    int skip = n_a + 1 + c.negated;
    if (c.a < 0)
        return rules_fault(x, "no such slot", p, n);
    int rc = rules_ask(x, p + skip, (size_t)(n - skip), &c.list);
    return rc < 0 ? rc : rules_add_condition(x, c, p, n);
}

/* {<list} {!<^list} {>list}: the word before the match or behind this place; {<,list}: before a
 * comma. */
static int rules_expand_condition(struct rules_expander *x, const char *p, int n)
{
    struct rules_condition c;
    const char *start = p;
    memset(&c, 0, sizeof c); /* conditions are compared byte for byte */
    c.list = RULES_ANY;
    c.negated = *p == '!';
    p += c.negated;
    c.type = *p++ == '>' ? CONDITION_AFTER : CONDITION_BEFORE;
    c.comma = *p == ',';
    p += c.comma;
    c.capital = *p == '^';
    p += c.capital;
    size_t len = (size_t)(start + n - p);
    int rc = len ? rules_ask(x, p, len, &c.list) : 0;
    return rc < 0 ? rc : rules_add_condition(x, c, start, n);
}

/* A number with the language's separators. */
static void rules_add_number(const struct rules *r, struct buf *b)
{
    const struct text_language *t = &r->lang->table;
    buf_add_format(b, "(?:[1-9]\\d{0,2}(?:[%s]\\d{3}){1,6}+(?!\\d)|\\d{1,39})(?:\\%c\\d{1,39}+)?",
                   t->group ? t->group : ",", t->decimal ? t->decimal : '.');
}

static int rules_expand_regex(struct rules_expander *x, const char *regex, size_t n)
{
    char *own = mem_strndup(regex, n);
    int rc = own ? rules_expand(x, own) : err_set(x->e, ERR_MEMORY, "out of memory for rules");
    mem_free(own);
    return rc;
}

/* A class is a pattern, a list, or an expression as it is. */
static int rules_expand_class(struct rules_expander *x, const char *name, size_t n)
{
    struct buf *b = &x->rule->regex;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") < n || scan_is_digit(name[0]))
        return rules_expand_regex(x, name, n);
    for (int i = 0; i < x->r->lang->n_pattern; i++) {
        const struct lang_pattern *p = &x->r->lang->pattern[i];
        if (strlen(p->name) == n && memcmp(p->name, name, n) == 0)
            return rules_expand(x, p->regex);
    }
    int list = rules_list_named(x->r, name, n);
    if (list >= 0 && x->r->list[list].n <= INLINE_WORDS) {
        rules_words_of(b, &x->r->list[list]);
        return 0;
    }
    if (list >= 0) { /* "(?Lnn)": a call, numbered when expressions are put together */
        struct rules_list *l = &x->r->list[list];
        if (l->call < 0 && x->r->n_call == RULES_CALLS)
            return rules_fault(x, "too many lists in patterns", name, (int)n);
        if (l->call < 0)
            x->r->called[l->call = x->r->n_call++] = list;
        rules_beginnings(b, l);
        x->rule->calls |= (uint64_t)1 << l->call;
        return buf_add_format(b, "(?L%02d)", l->call);
    }
    if (n == 3 && memcmp(name, "num", 3) == 0) { /* in half of the rules: a group, too */
        x->rule->calls |= (uint64_t)1 << NUMBER_CALL;
        return buf_add_format(b, "(?=\\d)(?L%d)", NUMBER_CALL);
    }
    return n == 3 && memcmp(name, "int", 3) == 0
               ? buf_add_str(b, "\\d{1,18}+")
               : rules_fault(x, "no such pattern or list", name, (int)n);
}

/* {name} or {name:class}. */
static int rules_expand_slot(struct rules_expander *x, const char *p, int n)
{
    const char *colon = memchr(p, ':', (size_t)n);
    int n_name = colon ? (int)(colon - p) : n, n_class = n_name;
    const char *class = p;
    while (!colon && n_class > 1 && scan_is_digit(p[n_class - 1]))
        n_class--; /* {num2} is a num */
    if (colon) {
        class = colon + 1;
        n_class = n - n_name - 1;
    }
    bool inner = x->depth > 1; /* a pattern's parts have no names outside */
    struct rule *u = x->rule;
    if (!inner && u->n_slot == RULES_SLOTS)
        return rules_fault(x, "too many slots", p, n);
    if (!inner)
        u->slot[u->n_slot++] =
            (struct rules_slot){p, n_name, rules_list_named(x->r, class, (size_t)n_class)};
    buf_add_str(&u->regex, inner ? "(?:" : "(");
    int rc = rules_expand_class(x, class, (size_t)n_class);
    buf_add_str(&u->regex, ")");
    return rc;
}

/* The end of what stands between braces; a slot's expression may have braces of its own. */
static const char *rules_closing(const char *p)
{
    int depth = 1;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            continue;
        }
        depth += (*p == '{') - (*p == '}');
        if (depth == 0)
            return p;
    }
    return NULL;
}

/* What stands between braces. */
static int rules_expand_braces(struct rules_expander *x, const char **at)
{
    const char *p = *at + 1, *end = rules_closing(p);
    if (!end)
        return rules_fault(x, "{ without }", *at, (int)strlen(*at));
    *at = end + 1;
    int n = (int)(end - p);
    if (scan_is_digit(*p)) {
        if (end[-1] == ',')
            return rules_fault(x, "repetition without an end", p, n);
        return buf_add(&x->rule->regex, p - 1, (size_t)n + 2);
    }
    if (strchr("<>!", *p) && n)
        return rules_expand_condition(x, p, n);
    if (strchr("\"^", *p) && n == 1)
        return rules_expand_around(x, p);
    const char *order = strpbrk(p, "<=!:}");
    if (order && *order == '<')
        return rules_expand_order(x, p, (int)(order - p), n);
    if (order && strchr("=!", *order))
        return rules_expand_among(x, p, (int)(order - p), n);
    return rules_expand_slot(x, p, n);
}

/* A class of characters as it is: "[...]". */
static size_t rules_bracket(const char *p)
{
    size_t i = 1;
    i += p[i] == '^';
    i += p[i] == ']';
    while (p[i] && p[i] != ']')
        i += p[i] == '\\' && p[i + 1] ? 2 : 1;
    return i + (p[i] == ']');
}

/* "\d", "\p{Lu}". */
static size_t rules_escape(const char *p)
{
    size_t braces = p[1] && strchr("pPx", p[1]) && p[2] == '{' ? strcspn(p + 2, "}") + 1 : 0;
    return p[1] ? 2 + braces : 1;
}

static int rules_expand(struct rules_expander *x, const char *p)
{
    struct buf *b = &x->rule->regex;
    const char *start = p;
    int rc = 0;
    if (++x->depth > 8)
        return rules_fault(x, "patterns within themselves", p, (int)strlen(p));
    while (*p && rc == 0) {
        if (*p == '{') {
            rc = rules_expand_braces(x, &p);
            continue;
        }
        size_t n = *p == '\\' ? rules_escape(p) : *p == '[' ? rules_bracket(p) : 1;
        bool possessive = *p == '+' && p > start && strchr("}?", p[-1]);
        if ((*p == '*' || *p == '+') && !possessive && !(p > start && p[-1] == '('))
            return rules_fault(x, "repetition without an end; write {1,40}", start,
                               (int)strlen(start));
        if (*p == '(' && p[1] != '?' && p[1] != '*')
            rc = buf_add_str(b, "(?:");
        else
            rc = buf_add(b, p, n);
        p += n;
    }
    x->depth--;
    return rc;
}

/* --- what is said --- */

static int rules_slot_named(const struct rule *u, const char *name, int n)
{
    for (int i = 0; i < u->n_slot; i++)
        if (u->slot[i].n_name == n && memcmp(u->slot[i].name, name, (size_t)n) == 0)
            return i;
    return -1;
}

int rules_set_named(const struct rules *r, const char *name, int n)
{
    for (int i = 0; i < r->n_set; i++)
        if ((int)strlen(r->set[i].name) == n && memcmp(r->set[i].name, name, (size_t)n) == 0)
            return i;
    return -1;
}

/* "{slot:format arg}" or "{one|many:slot}". */
static int rules_parse_braces(struct rules_expander *x, struct rules_op *op, const char *p, int n)
{
    const char *colon = memchr(p, ':', (size_t)n), *bar = memchr(p, '|', (size_t)n);
    const char *rest = colon ? colon + 1 : p + n;
    int n_name = (int)(colon ? colon - p : n), n_rest = (int)(p + n - rest);
    op->arg = op->format = op->set = -1;
    if (bar) {
        op->type = OP_CHOICE;
        op->text = p;
        op->n = n_name;
        op->slot = rules_slot_named(x->rule, rest, n_rest);
        return op->slot < 0 ? rules_fault(x, "no such slot", rest, n_rest) : 0;
    }
    op->type = OP_SLOT;
    op->slot = rules_slot_named(x->rule, p, n_name);
    if (op->slot < 0)
        return rules_fault(x, "no such slot", p, n_name);
    const char *space = memchr(rest, ' ', (size_t)n_rest);
    if (space) {
        op->arg = rules_slot_named(x->rule, space + 1, (int)(rest + n_rest - space - 1));
        if (op->arg < 0)
            return rules_fault(x, "no such slot", rest, n_rest);
        n_rest = (int)(space - rest);
    }
    op->text = rest;
    op->n = n_rest;
    if (n_rest == 1) { /* {n:f} */
        op->text = lang_rules((char[2]){rest[0], 0});
        op->n = op->text && op->text[0] == '%' ? (int)strlen(op->text) : 0;
        return op->n ? 0 : rules_fault(x, "no such format", rest, n_rest);
    }
    if (!n_rest || rest[0] == '%')
        return 0;
    op->set = rules_set_named(x->r, rest, n_rest);
    op->format = reading_format(rest, n_rest);
    return op->set < 0 && op->format < 0 ? rules_fault(x, "no such format", rest, n_rest) : 0;
}

static int rules_parse_said(struct rules_expander *x)
{
    struct rule *u = x->rule;
    const char *start = u->source->said;
    int open = -1, rc = 0;
    u->op = mem_try(strlen(start) + 1, sizeof *u->op);
    if (!u->op)
        return err_set(x->e, ERR_MEMORY, "out of memory for rules");
    for (const char *p = start; *p && rc == 0;) {
        struct rules_op *op = &u->op[u->n_op];
        const char *before = p > start && p[-1] == '[' ? p - 1 : p;
        op->glued = before > start && before[-1] != ' ';
        if (*p == ' ') {
            p++;
        } else if (*p == '[') {
            op->type = OP_SKIP;
            open = u->n_op++;
            p++;
        } else if (*p == ']' && open >= 0) {
            u->op[open].skip = u->n_op - open - 1;
            open = -1;
            p++;
        } else if (*p == '{') {
            int n = (int)strcspn(p, "}");
            u->n_op++;
            rc = rules_parse_braces(x, op, p + 1, n - 1);
            p += n + (p[n] == '}');
        } else {
            op->type = OP_WORDS;
            op->text = p;
            u->n_op++;
            p += op->n = (int)strcspn(p, " {[]");
        }
    }
    return open >= 0 && rc == 0 ? rules_fault(x, "[ without ]", start, (int)strlen(start)) : rc;
}

/* --- expressions --- */

/* words: false to leave out the lists, where only beginnings are asked for: PCRE2 tells none of an
 * expression with definitions, and what begins a list stands before its call.
 *
 * The lists as groups in front, then the readings as alternatives that share their groups.  Calls
 * "(?Lnn)" get the numbers of the groups. */
static void rules_compose(const struct rules *r, struct rule *const *rule, int n, bool words,
                          struct buf *b, int *n_before)
{
    int number[64] = {0};
    uint64_t calls = 0;
    *n_before = 0;
    for (int i = 0; words && i < n; i++)
        calls |= rule[i]->calls;
    for (int i = 0; i < 64; i++)
        if (calls >> i & 1) {
            number[i] = ++*n_before;
            buf_add_str(b, *n_before == 1 ? "(?(DEFINE)(" : "(");
            if (i == NUMBER_CALL)
                rules_add_number(r, b);
            else
                rules_words_of(b, &r->list[r->called[i]]);
            buf_add_str(b, ")");
        }
    buf_add_str(b, *n_before ? ")(?|" : "(?|");
    for (int i = 0; i < n; i++) {
        if (words) /* PCRE2 tells no first bytes of an expression with a mark */
            buf_add_format(b, "%s(*MARK:%d)", i ? "|" : "", (int)(rule[i] - r->rule));
        buf_add_str(b, "(?:");
        for (const char *p = buf_str(&rule[i]->regex); *p;) {
            const char *call = strstr(p, "(?L");
            size_t len = call ? (size_t)(call - p) : strlen(p);
            buf_add(b, p, len);
            if (call && words)
                buf_add_format(b, "(?%d)", number[strtol(call + 3, NULL, 10)]);
            else if (call)
                buf_add_str(b, ".");
            p += call ? len + 6 : len;
        }
        if (rule[i]->source->section == LANG_EACH) /* pieces end wherever the next begins */
            buf_add_str(b, ")");
        else
            buf_add_format(b, ")(?C%d)", RULES_GUARD);
    }
    buf_add_str(b, ")");
}

/* Of several readings that do not compile together, the one that is wrong is told. */
static int rules_compile(const struct rules *r, struct rule *const *rule, int n, uint32_t options,
                         struct rules_expression *ret, struct err *e)
{
    struct rules_expression alone = {.bare = true};
    struct buf b;
    int code;
    size_t at;
    buf_init(&b, MAX_REGEX_BYTES);
    rules_compose(r, rule, n, !ret->bare, &b, &ret->n_before);
    ret->code =
        pcre2_compile((PCRE2_SPTR)buf_str(&b), b.len,
                      PCRE2_ANCHORED | PCRE2_UTF | PCRE2_NO_UTF_CHECK | options, &code, &at, NULL);
    buf_done(&b);
    if (ret->code)
        return 0;
    for (int i = 0; n > 1 && i < n && code != PCRE2_ERROR_PATTERN_TOO_LARGE; i++) {
        if (rules_compile(r, rule + i, 1, options, &alone, e) < 0)
            return ERR_FORMAT;
        pcre2_code_free(alone.code);
    }
    char what[200] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)what, sizeof what);
    return err_set(e, code == PCRE2_ERROR_PATTERN_TOO_LARGE ? ERR_LIMIT : ERR_FORMAT,
                   "%s.lang:%d: rule %s: %s", r->lang->table.code, rule[0]->source->line,
                   rule[0]->source->rule, what);
}

static void rules_speed_up(struct rules *r, struct rules_expression *x)
{
    uint32_t groups = 0;
    x->jit = x->code && pcre2_jit_compile(x->code, PCRE2_JIT_COMPLETE) == 0;
    if (x->code)
        pcre2_pattern_info(x->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    r->n_group = r->n_group > (int)groups ? r->n_group : (int)groups;
}

/* The bytes that a reading may begin with. */
static void rules_first(struct rule *u, const pcre2_code *code)
{
    const uint8_t *map = NULL;
    uint32_t type = 0, unit = 0;
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODETYPE, &type);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTCODEUNIT, &unit);
    pcre2_pattern_info(code, PCRE2_INFO_FIRSTBITMAP, &map);
    if (type == 1 && unit < 256)
        u->first[unit / 8] |= (uint8_t)(1u << (unit % 8));
    else if (map)
        memcpy(u->first, map, sizeof u->first);
    else
        memset(u->first, 0xff, sizeof u->first);
}

static bool rules_in_class(const struct rule *u, int class)
{
    for (int c = 1; c < 256; c++)
        if ((u->first[c / 8] >> (c % 8) & 1) && (int)rules_class_of((unsigned char)c) == class)
            return true;
    return false;
}

/* The n readings as one expression, or as several where one would be too large. */
static int rules_make_parts(struct rules *r, struct rule **some, int n,
                            struct rules_expression part[RULES_PARTS], struct err *e)
{
    int rc = 0, from = 0, size = n;
    for (int k = 0; k < RULES_PARTS && from < n && rc == 0; k++) {
        do {
            size = size < n - from ? size : n - from;
            rc = rules_compile(r, some + from, size, 0, &part[k], e);
        } while (rc == ERR_LIMIT && size > 1 && (size = (size + 1) / 2) > 0);
        rules_speed_up(r, &part[k]);
        from += size;
    }
    return rc == 0 && from < n ? err_set(e, ERR_LIMIT, "%s.lang: more than %d expressions of rules",
                                         r->lang->table.code, RULES_PARTS)
                               : rc;
}

static int rules_make_main(struct rules *r, struct rule **some, struct err *e)
{
    int rc = 0;
    for (int class = 0; class < N_CLASS && rc == 0; class ++) {
        int n = 0;
        for (int i = 0; i < r->n_rule; i++)
            if (r->rule[i].source->section == LANG_READ && rules_in_class(&r->rule[i], class))
                some[n++] = &r->rule[i];
        rc = rules_make_parts(r, some, n, r->main[class], e);
    }
    for (int i = 0; i < r->n_rule; i++)
        for (int c = 1; r->rule[i].source->section == LANG_READ && c < 256; c++)
            r->starts[c] |= r->rule[i].first[c / 8] >> (c % 8) & 1;
    return rc;
}

static int rules_make_sets(struct rules *r, struct rule **some, struct err *e)
{
    int rc = 0;
    for (int k = 0; k < r->n_set && rc == 0; k++) {
        int n = 0;
        for (int i = 0; i < r->n_rule; i++)
            if (r->rule[i].source->section != LANG_READ &&
                strcmp(r->rule[i].source->rule, r->set[k].name) == 0)
                some[n++] = &r->rule[i];
        rc = rules_compile(r, some, n, r->set[k].each ? 0 : PCRE2_ENDANCHORED, &r->set[k].all, e);
        rules_speed_up(r, &r->set[k].all);
    }
    return rc;
}

static int rules_make_one(struct rules *r, int i, struct err *e)
{
    struct rule *u = &r->rule[i];
    struct rules_expander x = {r, u, 0, e};
    struct rules_expression alone = {.bare = true};
    buf_init(&u->regex, MAX_REGEX_BYTES);
    int rc = rules_expand(&x, u->source->pattern);
    if (rc == 0)
        rc = rules_parse_said(&x);
    if (rc == 0 && u->source->section == LANG_READ)
        rc = rules_compile(r, &u, 1, 0, &alone, e);
    if (rc == 0 && alone.code)
        rules_first(u, alone.code);
    pcre2_code_free(alone.code);
    return rc;
}

int rules_make_alone(struct rules *r, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < r->n_rule && rc == 0; i++) {
        struct rule *u = &r->rule[i];
        struct rules_expression alone = {0};
        if (u->code || u->source->section != LANG_READ)
            continue;
        rc = rules_compile(r, &u, 1, 0, &alone, e);
        u->code = alone.code;
    }
    return rc;
}

struct rules *rules_new(const struct lang *l, struct err *e)
{
    struct rules *r = mem_alloc(sizeof *r);
    struct rule **some = mem_try((size_t)l->n_reading + 1, sizeof *some);
    r->lang = l;
    r->rule = mem_try((size_t)l->n_reading + 1, sizeof *r->rule);
    r->set = mem_try((size_t)l->n_reading + 1, sizeof *r->set);
    bool room = some && r->rule && r->set && rules_make_lists(r);
    int rc = room ? 0 : err_set(e, ERR_MEMORY, "out of memory for rules");
    for (int i = 0; i < l->n_reading && rc == 0; i++) {
        const struct lang_reading *s = &l->reading[i];
        r->rule[i].source = s;
        if (s->section != LANG_READ && rules_set_named(r, s->rule, (int)strlen(s->rule)) < 0)
            r->set[r->n_set++] = (struct rules_set){s->rule, s->section == LANG_EACH, {0}};
    }
    for (; r->n_rule < l->n_reading && rc == 0; r->n_rule++)
        rc = rules_make_one(r, r->n_rule, e);
    if (rc == 0 && !rules_make_words(r))
        rc = err_set(e, ERR_MEMORY, "out of memory for rules");
    if (rc == 0)
        rc = rules_make_main(r, some, e);
    if (rc == 0)
        rc = rules_make_sets(r, some, e);
    mem_free(some);
    if (rc == 0)
        return r;
    rules_free(r);
    return NULL;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->lang->n_reading && r->rule; i++) {
        buf_done(&r->rule[i].regex);
        mem_free(r->rule[i].op);
        pcre2_code_free(r->rule[i].code);
    }
    for (int i = 0; i < N_CLASS; i++)
        for (int k = 0; k < RULES_PARTS; k++)
            pcre2_code_free(r->main[i][k].code);
    for (int i = 0; i < r->n_set && r->set; i++)
        pcre2_code_free(r->set[i].all.code);
    for (int i = 0; i < r->n_list; i++)
        mem_free(r->list[i].entry);
    mem_free(r->list);
    mem_free(r->word);
    mem_free(r->rule);
    mem_free(r->set);
    mem_free(r);
}
