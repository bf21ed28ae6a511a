#include "text/lang.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "text/rules.h"
#include "text/scan.h"

/* `name` becomes the file's bytes, ended by a zero. */
#define EMBED_LANG(name)                                                                           \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global lang_file_" #name "\n.hidden lang_file_" #name "\n"                           \
            "lang_file_" #name ":\n"                                                               \
            ".incbin \"share/lang/" #name ".lang\"\n"                                              \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char lang_file_##name[]

EMBED_LANG(de);
EMBED_LANG(en);
EMBED_LANG(es);
EMBED_LANG(fr);
EMBED_LANG(hi);
EMBED_LANG(it);
EMBED_LANG(ja);
EMBED_LANG(ko);
EMBED_LANG(nl);
EMBED_LANG(pl);
EMBED_LANG(pt);
EMBED_LANG(ru);
EMBED_LANG(sv);
EMBED_LANG(tr);
EMBED_LANG(zh);

__asm__(".pushsection .rodata\n"
        ".global lang_words_en\n.hidden lang_words_en\n"
        "lang_words_en:\n"
        ".incbin \"share/lang/en.words\"\n"
        ".global lang_words_en_end\n.hidden lang_words_en_end\n"
        "lang_words_en_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char lang_words_en[], lang_words_en_end[];

/* The lines are in order, so half of what is left is left at each step. */
bool lang_is_ordinary(const char *word, size_t n)
{
    const char *low = lang_words_en, *high = lang_words_en_end;
    while (low < high) {
        const char *line = low + (high - low) / 2;
        while (line > low && line[-1] != '\n')
            line--;
        size_t len = strcspn(line, "\n");
        int order = memcmp(word, line, n < len ? n : len);
        if (order == 0 && n == len)
            return true;
        if (order < 0 || (order == 0 && n < len))
            high = line;
        else
            low = line + len + 1;
    }
    return false;
}

static const struct {
    const char *code, *text;
} lang_files[] = {
    {"de", lang_file_de}, {"en", lang_file_en}, {"es", lang_file_es}, {"fr", lang_file_fr},
    {"hi", lang_file_hi}, {"it", lang_file_it}, {"ja", lang_file_ja}, {"ko", lang_file_ko},
    {"nl", lang_file_nl}, {"pl", lang_file_pl}, {"pt", lang_file_pt}, {"ru", lang_file_ru},
    {"sv", lang_file_sv}, {"tr", lang_file_tr}, {"zh", lang_file_zh},
};

const char *lang_builtin(const char *code, size_t n)
{
    for (size_t i = 0; i < sizeof lang_files / sizeof *lang_files; i++)
        if (strlen(lang_files[i].code) == n && scan_match(code, n, 0, lang_files[i].code, true))
            return lang_files[i].text;
    return NULL;
}

/* What is being read: the section of a file. */
struct lang_parser {
    struct lang *l;
    const char *file;
    const char *section, *name; /* of "[section name]" */
    int line;
    struct err *e;
};

static int lang_fault(const struct lang_parser *p, const char *what, const char *which)
{
    return err_set(p->e, ERR_FORMAT, "%s.lang:%d: %s: %.60s", p->file, p->line, what, which);
}

/* One more row of *array, zeroed, with a zeroed one behind it; NULL: no memory. */
static void *lang_push(void *array, int *n, size_t size)
{
    char **rows = array;
    if ((*n & (*n - 1)) == 0) { /* grow at powers of two */
        char *grown = mem_grow(*rows, (size_t)(*n ? 2 * *n + 1 : 2), size);
        if (!grown)
            return NULL;
        *rows = grown;
    }
    char *row = *rows + (size_t)*n * size;
    memset(row, 0, 2 * size);
    ++*n;
    return row;
}

/* Cut *at at the first mark, which is replaced by an end; the part before it, without spaces
 * around. */
static char *lang_cut(char **at, const char *mark)
{
    char *start = *at + strspn(*at, " "), *end = strstr(start, mark), *last;
    if (end == start && mark[0] == ' ')
        end = strstr(start + 1, mark);
    *at = end ? end + strlen(mark) : start + strlen(start);
    last = end ? end : *at;
    while (last > start && last[-1] == ' ')
        last--;
    *last = 0;
    return start;
}

static const char *lang_or_null(const char *s)
{
    return s[0] && strcmp(s, "-") != 0 ? s : NULL;
}

const char *lang_rules(const char *s)
{
    static const char *const genders[] = {
        ['m'] = "%spellout-cardinal-masculine",
        ['f'] = "%spellout-cardinal-feminine",
        ['n'] = "%spellout-cardinal-neuter",
    };
    bool gender = s[0] && !s[1] && (unsigned char)s[0] < sizeof genders / sizeof *genders;
    return gender && genders[(unsigned char)s[0]] ? genders[(unsigned char)s[0]] : lang_or_null(s);
}

/* "_" is a space, where the words around have none by themselves. */
static char *lang_spaces(char *said)
{
    for (char *c = said; *c; c++)
        *c = (char)(*c == '_' ? ' ' : *c);
    return said;
}

/* "one | other", "one | few | many", "one | few | many | other"; a single one is for all.  other,
 * of decimals, is as few where it is not given.  "-": none. */
static struct language_forms lang_forms(char *s)
{
    const char *form[4] = {0};
    int n = 0;
    for (char *at = s; *at && n < 4; n++)
        form[n] = lang_or_null(lang_spaces(lang_cut(&at, "|")));
    if (n <= 1)
        return (struct language_forms){.other = form[0]};
    if (n == 2)
        return (struct language_forms){.one = form[0], .other = form[1]};
    return (struct language_forms){
        .one = form[0], .few = form[1], .many = form[2], .other = form[n > 3 ? 3 : 1]};
}

/* --- sections --- */

static int lang_no_memory(const struct lang_parser *p)
{
    return err_set(p->e, ERR_MEMORY, "out of memory for %s.lang", p->file);
}

static int lang_unit(struct lang_parser *p, char *keys, char *said)
{
    struct text_language *t = &p->l->table;
    struct language_unit row = {.said = lang_forms(lang_cut(&said, " ; ")),
                                .rules = lang_rules(lang_cut(&said, " ; "))};
    while (*keys) {
        struct language_unit *u = lang_push(&t->units, &t->n_units, sizeof *u);
        if (!u)
            return lang_no_memory(p);
        *u = row;
        u->written = lang_cut(&keys, ", ");
    }
    return 0;
}

static int lang_currency(struct lang_parser *p, char *keys, char *said)
{
    struct text_language *t = &p->l->table;
    struct language_currency row = {.unit = lang_forms(lang_cut(&said, " ; "))};
    row.part = lang_forms(lang_cut(&said, " ; "));
    row.rules = lang_rules(lang_cut(&said, " ; "));
    row.part_rules = *said ? lang_rules(lang_cut(&said, " ; ")) : row.rules;
    while (*keys) {
        struct language_currency *c = lang_push(&t->currencies, &t->n_currencies, sizeof *c);
        if (!c)
            return lang_no_memory(p);
        *c = row;
        c->written = lang_cut(&keys, ", ");
    }
    return 0;
}

static int lang_symbol(struct lang_parser *p, char *keys, char *said)
{
    struct text_language *t = &p->l->table;
    while (*keys) {
        struct language_symbol *y = lang_push(&t->symbols, &t->n_symbols, sizeof *y);
        if (!y)
            return lang_no_memory(p);
        *y = (struct language_symbol){lang_cut(&keys, ", "), lang_spaces(said), -1};
    }
    return 0;
}

static int lang_abbreviation(struct lang_parser *p, char *keys, char *said)
{
    static const char *const kinds[] = {[WHEN_ALWAYS] = "",
                                        [WHEN_BEFORE_NUMBER] = "before number",
                                        [WHEN_AFTER_NUMBER] = "after number",
                                        [WHEN_BEFORE_NAME] = "before name",
                                        [WHEN_MAY_END] = "may end"};
    struct text_language *t = &p->l->table;
    const char *words = lang_cut(&said, " ; "), *kind = lang_cut(&said, " ; ");
    size_t when = 0;
    while (when < sizeof kinds / sizeof *kinds && strcmp(kinds[when], kind) != 0)
        when++;
    if (when == sizeof kinds / sizeof *kinds)
        return lang_fault(p, "no kind of abbreviation", kind);
    while (*keys) {
        struct language_abbreviation *a =
            lang_push(&t->abbreviations, &t->n_abbreviations, sizeof *a);
        if (!a)
            return lang_no_memory(p);
        *a = (struct language_abbreviation){lang_cut(&keys, ", "), words, (enum language_when)when,
                                            -1};
    }
    return 0;
}

static int lang_define(struct lang_parser *p, char *name, char *regex)
{
    struct lang_pattern *row = lang_push(&p->l->pattern, &p->l->n_pattern, sizeof *row);
    if (!row)
        return lang_no_memory(p);
    *row = (struct lang_pattern){name, regex};
    return 0;
}

/* --- the head of a file --- */

static const struct lang_scalar {
    const char *key;
    size_t offset;
    enum { SCALAR_TEXT, SCALAR_BOOL, SCALAR_CHAR } type;
} lang_scalars[] = {
#define TEXT_FIELD(x)                                                                              \
    {                                                                                              \
#x, offsetof(struct text_language, x), SCALAR_TEXT                                         \
    }
#define BOOL_FIELD(x)                                                                              \
    {                                                                                              \
#x, offsetof(struct text_language, x), SCALAR_BOOL                                         \
    }
    TEXT_FIELD(locale),
    {"decimal", offsetof(struct text_language, decimal), SCALAR_CHAR},
    TEXT_FIELD(group),
    BOOL_FIELD(fraction_as_number),
    BOOL_FIELD(capital_nouns),
    BOOL_FIELD(unspaced),
    BOOL_FIELD(common_words),
    TEXT_FIELD(date_order),
    TEXT_FIELD(minus),
    TEXT_FIELD(plus),
    TEXT_FIELD(point),
    TEXT_FIELD(to),
    TEXT_FIELD(money_and),
    BOOL_FIELD(part_unnamed),
    TEXT_FIELD(dot),
    TEXT_FIELD(at),
    TEXT_FIELD(slash),
    TEXT_FIELD(dash),
    TEXT_FIELD(underscore),
    TEXT_FIELD(colon),
    TEXT_FIELD(hashtag),
    TEXT_FIELD(bare_year_rules),
    TEXT_FIELD(ordinal_suffixes),
    TEXT_FIELD(date_dmy),
    TEXT_FIELD(date_dm),
    TEXT_FIELD(date_my),
    TEXT_FIELD(day_rules),
    TEXT_FIELD(first_day_rules),
    TEXT_FIELD(year_rules),
    TEXT_FIELD(time_h),
    TEXT_FIELD(time_hm),
    TEXT_FIELD(time_hms),
    TEXT_FIELD(hour_rules),
    TEXT_FIELD(minute_rules),
    TEXT_FIELD(time_words),
};

static int lang_set(struct lang_parser *p, char *key, char *value)
{
    if (strcmp(key, "base") == 0) {
        p->l->base = value;
        return 0;
    }
    for (size_t i = 0; i < sizeof lang_scalars / sizeof *lang_scalars; i++) {
        char *field = (char *)&p->l->table + lang_scalars[i].offset;
        if (strcmp(key, lang_scalars[i].key) != 0)
            continue;
        if (lang_scalars[i].type == SCALAR_BOOL)
            *(bool *)field = strcmp(value, "yes") == 0;
        else if (lang_scalars[i].type == SCALAR_CHAR)
            *field = *field ? *field : value[0];
        else if (!*(const char **)field) /* else the base's, which the file overrides */
            *(const char **)field = lang_spaces(value);
        return 0;
    }
    return lang_fault(p, "no such setting", key);
}

/* --- lists, rules, tests --- */

static int lang_month(struct lang_parser *p, char *row)
{
    struct text_language *t = &p->l->table;
    const char **month = lang_push(&t->months, &t->n_months, sizeof *month);
    if (!month)
        return lang_no_memory(p);
    *month = row;
    return 0;
}

static int lang_add_entry(struct lang_parser *p, struct lang_list *list, const char *key,
                          const char *said)
{
    struct lang_entry *row = lang_push(&list->entry, &list->n, sizeof *row);
    if (!row)
        return lang_no_memory(p);
    *row = (struct lang_entry){key, said};
    return 0;
}

/* "key, key = said", or words that stand for themselves. */
static int lang_list_row(struct lang_parser *p, char *row)
{
    struct lang_list *list = &p->l->list[p->l->n_list - 1];
    char *said = strstr(row, " = ");
    int rc = 0;
    if (said) {
        char *keys = lang_cut(&row, " = ");
        while (*keys && rc == 0)
            rc = lang_add_entry(p, list, lang_cut(&keys, ", "), row);
        return rc;
    }
    while (*row && rc == 0) {
        char *word = lang_cut(&row, " ");
        if (*word)
            rc = lang_add_entry(p, list, word, NULL);
    }
    return rc;
}

/* "pattern => words" or, as a test, "text -> words". */
static int lang_rule_row(struct lang_parser *p, char *row)
{
    if (strstr(row, " => ") || (strlen(row) > 3 && strcmp(row + strlen(row) - 3, " =>") == 0)) {
        struct lang_reading *r = lang_push(&p->l->reading, &p->l->n_reading, sizeof *r);
        if (!r)
            return lang_no_memory(p);
        *r = (struct lang_reading){.rule = p->name, .line = p->line};
        r->section = p->section[0] == 'r' ? LANG_READ : p->section[0] == 's' ? LANG_SAY : LANG_EACH;
        char *end = strstr(row, " =>");
        r->pattern = row;
        *end = 0;
        r->said = end + 3 + (end[3] == ' ');
        return 0;
    }
    char *arrow = strstr(row, " -> ");
    struct lang_test *t = arrow ? lang_push(&p->l->test, &p->l->n_test, sizeof *t) : NULL;
    if (!arrow)
        return lang_fault(p, "neither => nor ->", row);
    if (!t)
        return lang_no_memory(p);
    *arrow = 0;
    *t = (struct lang_test){p->name, row, arrow + 4, p->line};
    return 0;
}

/* --- lines --- */

/* "[list kings fold]". */
static int lang_header(struct lang_parser *p, char *line)
{
    size_t n = strlen(line);
    if (n < 3 || line[n - 1] != ']')
        return lang_fault(p, "a section ends with ]", line);
    line[n - 1] = 0;
    line++;
    p->section = lang_cut(&line, " ");
    p->name = lang_cut(&line, " ");
    if (strcmp(p->section, "list") != 0)
        return 0;
    if (lang_list_find(p->l, p->name, strlen(p->name)) && p->l->n_text == 1)
        return lang_fault(p, "a list of this name is there already", p->name);
    struct lang_list *list = lang_push(&p->l->list, &p->l->n_list, sizeof *list);
    if (!list)
        return lang_no_memory(p);
    *list = (struct lang_list){.name = p->name, .fold = strcmp(line, "fold") == 0};
    return p->l->n_list > LANG_MAX_LISTS ? lang_fault(p, "too many lists", p->name) : 0;
}

static int lang_keyed_row(struct lang_parser *p, char *line)
{
    static const struct {
        const char *section;
        int (*add)(struct lang_parser *p, char *keys, char *said);
    } sections[] = {
        {"units", lang_unit},     {"currencies", lang_currency},        {"patterns", lang_define},
        {"symbols", lang_symbol}, {"abbreviations", lang_abbreviation}, {"", lang_set},
    };
    char *value = line, *keys = lang_cut(&value, strstr(line, " = ") ? " = " : " =");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (strcmp(p->section, sections[i].section) == 0)
            return sections[i].add(p, keys, value + strspn(value, " "));
    return lang_fault(p, "no such section", p->section);
}

static int lang_line(struct lang_parser *p, char *line)
{
    if (line[0] == '[' && line[strlen(line) - 1] == ']' && line[1] >= 'a' && line[1] <= 'z')
        return lang_header(p, line);
    if (strcmp(p->section, "list") == 0)
        return lang_list_row(p, line);
    if (strcmp(p->section, "months") == 0)
        return lang_month(p, line);
    if (language_is_one_of(p->section, strlen(p->section), "read|say|each"))
        return lang_rule_row(p, line);
    return lang_keyed_row(p, line);
}

static int lang_parse(struct lang *l, const char *file, const char *text, size_t n, struct err *e)
{
    struct lang_parser p = {l, file, "", "", 0, e};
    char **kept = mem_grow(l->text, (size_t)l->n_text + 1, sizeof *kept);
    if (!kept)
        return lang_no_memory(&p);
    l->text = kept;
    char *at = l->text[l->n_text++] = mem_strndup(text, n);
    int rc = at ? 0 : lang_no_memory(&p);
    while (rc == 0 && *at) {
        char *line = at;
        at += strcspn(at, "\n");
        if (*at)
            *at++ = 0;
        p.line++;
        size_t len = strlen(line);
        while (len && line[len - 1] == ' ')
            line[--len] = 0;
        if (line[0] && !(line[0] == '#' && (line[1] == ' ' || !line[1])))
            rc = lang_line(&p, line);
    }
    return rc;
}

/* The abbreviations that stand between words and look like one: "idk". */
static void lang_note_short_words(struct text_language *t)
{
    for (int i = 0; i < t->n_abbreviations; i++) {
        const char *word = t->abbreviations[i].written;
        uint32_t letters = 0, n = 0;
        while (scan_is_lower(word[n]))
            letters = letters << 8 | (unsigned char)word[n++];
        uint32_t bit = language_short_bit(letters);
        if (n <= 4 && word[n] == 0)
            t->short_words[bit / 64] |= (uint64_t)1 << (bit % 64);
    }
}

/* Rows by their first bytes, those of each in the order of the file. */
static void lang_chain_rows(struct text_language *t)
{
    for (int c = 0; c < 256; c++)
        t->first_abbreviation[c] = t->first_symbol[c] = -1;
    for (int i = t->n_abbreviations - 1; i >= 0; i--) {
        struct language_abbreviation *a = (struct language_abbreviation *)&t->abbreviations[i];
        int *first = &t->first_abbreviation[(unsigned char)(a->written[0] | 32)];
        a->next = *first;
        *first = i;
    }
    for (int i = t->n_symbols - 1; i >= 0; i--) {
        struct language_symbol *y = (struct language_symbol *)&t->symbols[i];
        int *first = &t->first_symbol[(unsigned char)y->written[0]];
        y->next = *first;
        *first = i;
    }
}

static void lang_note_currencies(struct text_language *t)
{
    for (int i = 0; i < t->n_currencies; i++) {
        unsigned char b = (unsigned char)t->currencies[i].written[0];
        t->currency_starts[b / 64] |= (uint64_t)1 << (b % 64);
    }
}

struct lang *lang_load(const char *name, const char *text, size_t n, struct err *e)
{
    struct lang *l = mem_alloc(sizeof *l);
    int rc = n > LANG_MAX_BYTES ? err_set(e, ERR_LIMIT, "%s.lang has %zu bytes, the limit is %d",
                                          name, n, LANG_MAX_BYTES)
                                : lang_parse(l, name, text, n, e);
    l->own_test = l->n_test;
    l->own_reading = l->n_reading;
    for (int depth = 0; rc == 0 && l->base; depth++) {
        const char *base = l->base, *file = lang_builtin(base, strlen(base));
        l->base = NULL;
        rc = file && depth < 4 ? lang_parse(l, base, file, strlen(file), e)
                               : err_set(e, ERR_FORMAT, "%s.lang: no base %.40s", name, base);
    }
    memcpy(l->code, name, strlen(name) < sizeof l->code ? strlen(name) : 0);
    l->table.code = l->code;
    lang_note_short_words(&l->table);
    lang_note_currencies(&l->table);
    lang_chain_rows(&l->table);
    if (rc == 0) {
        l->table.rules = rules_new(l, e);
        if (l->table.rules)
            return l;
    }
    lang_free(l);
    return NULL;
}

void lang_free(struct lang *l)
{
    if (!l)
        return;
    rules_free(l->table.rules);
    mem_free((void *)l->table.units);
    mem_free((void *)l->table.currencies);
    mem_free((void *)l->table.symbols);
    mem_free((void *)l->table.abbreviations);
    mem_free((void *)l->table.months);
    for (int i = 0; i < l->n_list; i++)
        mem_free(l->list[i].entry);
    for (int i = 0; i < l->n_text; i++)
        mem_free(l->text[i]);
    mem_free(l->list);
    mem_free(l->pattern);
    mem_free(l->reading);
    mem_free(l->test);
    mem_free(l->text);
    mem_free(l);
}

const struct lang_list *lang_list_find(const struct lang *l, const char *name, size_t n)
{
    for (int i = 0; i < l->n_list; i++)
        if (strlen(l->list[i].name) == n && memcmp(l->list[i].name, name, n) == 0)
            return &l->list[i];
    return NULL;
}
