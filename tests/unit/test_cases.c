/* Tables of text and what the front end makes of it up to a stage: tests/cases/STAGE_LANGUAGE.txt,
 * STAGE being clean, normalize or sentences.  Run from the root.
 *
 * A case is a line of input, a line that is expected, and an empty line; # in the first column
 * starts a comment.  \n, \t, \\ and \xNN stand for what they do in C.  Every table is run, every
 * difference shown. For each case the map is checked too: ranges are in order and inside the input.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/text.h"

struct table {
    char stage[16], language[16];
    const char *path;
    int line, cases, failed;
};

static size_t unescape(char *s)
{
    char *to = s, *start = s;
    for (; *s; s++) {
        if (*s != '\\' || !s[1]) {
            *to++ = *s;
        } else if (*++s == 'x') {
            *to++ = (char)strtol((char[3]){s[1], s[2], 0}, NULL, 16);
            s += 2;
        } else {
            *to++ = *s == 'n' ? '\n' : *s == 't' ? '\t' : *s == 'r' ? '\r' : *s;
        }
    }
    *to = 0;
    return (size_t)(to - start);
}

/* Every byte comes from somewhere inside the input, and never from before the byte ahead of it. */
static void check_map(const struct table *t, const struct mapped *m, size_t n)
{
    size_t last = 0, start, end;
    for (size_t at = 0; at < m->text.len; at++) {
        mapped_source(m, at, &start, &end);
        if (start < last || end < start || end > n)
            fail_msg("%s:%d: byte %zu maps to %zu..%zu, after %zu, of %zu", t->path, t->line, at,
                     start, end, last, n);
        last = start;
    }
}

/* The pieces on one line, | between them. */
static void join(const struct text_pieces *p, struct mapped *out)
{
    for (int i = 0; i < p->n; i++) {
        const struct text_piece *piece = &p->piece[i];
        if (i)
            mapped_put(out, " | ", 3, piece->start, piece->end);
        mapped_put(out, piece->text, strlen(piece->text), piece->start, piece->end);
    }
}

static void make(const struct table *t, const char *input, size_t n, struct mapped *out)
{
    struct text_options o = {.frontend = TEXT_PLAIN, .language = t->language, .emoji = false};
    struct mapped clean;
    struct text_pieces pieces;
    struct err e = {0};
    if (strcmp(t->language, "ipa") == 0) /* as a model that knows no markers */
        o = (struct text_options){.frontend = TEXT_IPA, .emoji = true};
    assert_int_equal(text_clean(input, n, &o, &clean, &e), 0);
    if (strcmp(t->stage, "clean") == 0) {
        marker_spell(&clean);
        *out = clean;
        return;
    }
    assert_int_equal(text_normalize(&clean, &o, out, &e), 0);
    mapped_done(&clean);
    if (strcmp(t->stage, "sentences") != 0) {
        marker_spell(out);
        return;
    }
    assert_int_equal(text_cut(out, &o, &pieces, &e), 0);
    mapped_done(out);
    mapped_init(out, LIMIT_NORMALIZED_BYTES);
    join(&pieces, out);
    text_pieces_done(&pieces);
}

static void expect(struct table *t, const char *input, size_t n, const char *want)
{
    struct mapped out;
    make(t, input, n, &out);
    assert_int_equal(out.rc, 0);
    check_map(t, &out, n);
    t->cases++;
    if (strcmp(buf_str(&out.text), want) != 0) {
        t->failed++;
        print_error("%s:%d: %s\n  got  %s\n  want %s\n", t->path, t->line, input,
                    buf_str(&out.text), want);
    }
    mapped_done(&out);
}

/* What is written out is read as it stands: normalizing it again changes nothing.  (Cleaning does
 * change twice what was escaped once.) */
static void run_case(struct table *t, char *input, char *want)
{
    size_t n = unescape(input), n_want = unescape(want);
    expect(t, input, n, want);
    if (strcmp(t->stage, "normalize") == 0)
        expect(t, want, n_want, want);
}

static void run_table(struct table *t)
{
    static char input[8192], want[8192];
    FILE *f = fopen(t->path, "r");
    assert_non_null(f);
    for (bool have = false; fgets(have ? want : input, sizeof input, f);) {
        char *line = have ? want : input;
        t->line++;
        line[strcspn(line, "\n")] = 0;
        if (!have && (line[0] == '#' || !line[0]))
            continue;
        if (have)
            run_case(t, input, want);
        have = !have;
    }
    fclose(f);
}

static void test_tables(void **state)
{
    (void)state;
    glob_t found;
    int cases = 0, failed = 0;
    assert_int_equal(glob("tests/cases/clean_*.txt", 0, NULL, &found), 0);
    assert_int_equal(glob("tests/cases/normalize_*.txt", GLOB_APPEND, NULL, &found), 0);
    assert_int_equal(glob("tests/cases/sentences_*.txt", GLOB_APPEND, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct table t = {.path = found.gl_pathv[i]};
        assert_int_equal(sscanf(t.path, "tests/cases/%15[a-z]_%15[a-z].txt", t.stage, t.language),
                         2);
        run_table(&t);
        print_message("%s: %d cases, %d failed\n", t.path, t.cases, t.failed);
        cases += t.cases;
        failed += t.failed;
    }
    globfree(&found);
    assert_true(cases > 0);
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
