/* Tables of text and what a stage makes of it: tests/cases/STAGE_LANGUAGE.txt, run from the root.
 *
 * A case is a line of input, a line that is expected, and an empty line; # starts a comment.  \n, \t,
 * \\ and \xNN stand for what they do in C.  Every table is run, every difference shown.
 * For each case the map is checked too: ranges are in order and inside the input. */
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
#include "text/mapped.h"
#include "text/normalize.h"

struct table { char stage[16], language[16]; const char *path; int line, cases, failed; };

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
            fail_msg("%s:%d: byte %zu maps to %zu..%zu, after %zu, of %zu", t->path, t->line, at, start,
                     end, last, n);
        last = start;
    }
}

static void run_case(struct table *t, char *input, char *want)
{
    struct mapped out;
    size_t n = unescape(input);
    unescape(want);
    mapped_init(&out, LIMIT_NORMALIZED_BYTES);
    normalize(input, n, language_find(t->language), &out);
    assert_int_equal(out.rc, 0);
    check_map(t, &out, n);
    t->cases++;
    if (strcmp(buf_str(&out.text), want) != 0) {
        t->failed++;
        print_error("%s:%d: %s\n  got  %s\n  want %s\n", t->path, t->line, input, buf_str(&out.text),
                    want);
    }
    mapped_done(&out);
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
    assert_int_equal(glob("tests/cases/normalize_*.txt", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct table t = {.path = found.gl_pathv[i]};
        assert_int_equal(sscanf(t.path, "tests/cases/%15[a-z]_%15[a-z].txt", t.stage, t.language), 2);
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
