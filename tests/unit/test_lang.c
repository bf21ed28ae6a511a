/* The built-in languages' files: each loads and its own tests pass.  And what the engine of rules
 * refuses, and that its time is linear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "text/lang.h"
#include "text/lang_check.h"
#include "text/mapped.h"
#include "text/normalize.h"

static void test_files(void **state)
{
    (void)state;
    static const char *const codes[] = {"de", "en", "es", "fr", "hi", "it", "ja", "ko",
                                        "nl", "pl", "pt", "ru", "sv", "tr", "zh"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const char *text = lang_builtin(codes[i], strlen(codes[i]));
        struct err e = {0};
        struct buf out;
        struct lang *l = lang_load(codes[i], text, strlen(text), &e);
        if (!l)
            fail_msg("%s", e.msg);
        buf_init(&out, 1 << 20);
        int failed = lang_check(l, &out);
        if (failed)
            print_error("%s.lang:\n%s", codes[i], buf_str(&out));
        assert_true(l->own_test > 0);
        assert_int_equal(failed, 0);
        buf_done(&out);
        lang_free(l);
    }
}

static const char head[] =
    "locale = en\ndecimal = .\ngroup = ,\npoint = point\n[list vessel]\nboat = ship | ships\n"
    "[list before]\nfor with\n";

/* What `text` becomes by a file of the head above and `rules`; the error if it does not load. */
static void read_by(const char *rules, const char *text, char *to, size_t room)
{
    char file[2048];
    struct err e = {0};
    struct mapped out;
    snprintf(file, sizeof file, "%s%s", head, rules);
    struct lang *l = lang_load("xx", file, strlen(file), &e);
    mapped_init(&out, 1 << 16);
    if (l)
        normalize(text, strlen(text), &l->table, &out);
    snprintf(to, room, "%s", l ? buf_str(&out.text) : e.msg);
    mapped_done(&out);
    lang_free(l);
}

static void expect(const char *rules, const char *text, const char *want)
{
    char got[2048];
    read_by(rules, text, got, sizeof got);
    assert_string_equal(got, want);
}

static void test_rules(void **state)
{
    (void)state;
    expect("[read a]\n{n:int} {v:vessel} => {n} {v:form n}\n", "1 boat, 2 boat",
           "one ship, two ships");
    expect("[read a]\n{n:int}m => {n} {minute|minutes:n}\n", "1m 2m", "one minute two minutes");
    expect("[read a]\n{n:int}{<before} => N{n}\n{n:int} => {n}\n", "for 2 and 2",
           "for Ntwo and two");
    expect("[read a]\n{n:int}{!<^before} => {n}\n", "With 2 with 2", "With two with two");
    expect("[read a]\n{n:int}{<,before} => N{n}\n{n:int} => {n}\n", "for, 2 and for 2 and, 2",
           "for, Ntwo and for two and, two");
    expect("[read a]\n{w:[A-Z]{1,9}}{w=vessel} => a {w:lower}\n", "BOAT BOATS", "a boat BOATS");
    expect("[read a]\n{w:[A-Z]{3,9}}{w!=before} => {w:spell}\n", "WITH CAT", "WITH C A T");
    expect("[read a]\n{w:[A-Z]{2,9}}{w=ordinary} => {w:lower}\n", "WATER WXTER", "water WXTER");
    expect("[read a]\n{w:[A-Z]{2,9}}{^} => {w:lower}\n", "STOP it, GO AWAY NOW but OK",
           "STOP it, go away now but OK");
    expect("[each bit]\n{n:\\d}a => {n}\nb => B\n[read a]\nx{y:[^.]{1,20}}\\. => {y:bit}\n",
           "x1ab2ab. x1ac.", "one B two B x one ac.");
    expect("[say decimal]\n{w:int}\\.{f:int} => {w} and {f}\n", "0.5 3.25",
           "zero and five three and twenty-five");
    expect("[say date]\n{y:int}-{m:int}-{d:int} => day {d} of {m} in {y}\n", "2.11.2020",
           "day two of eleven in two thousand twenty");
    expect("[say time]\n{h:int}:0?{m:int} => {m} past {h}\n", "7:05", "five past seven");
    expect("[read a]\n{n:int}{>before} => {n} times\n{n:int} => {n}\n", "2 for 2 of",
           "two times for two of");
    expect("[read a]\n{a:int}/{b:int}{a<b} => {a} of {b}\n{a:int}/{b:int} => {a} over {b}\n",
           "2/10 and 10/2", "two of ten and ten over two");
    expect("[read a]\n#{a:\\d}(?:-{b:\\d})? => {a}[ to {b}].\n", "#1 #1-2", "one. One to two.");
    expect("[read a]\n~{x:.{1,20}}~ => {x:read}\n", "~3 and 4~", "three and four");
    expect("[read a]\n{n:\\d{1,2}}k => {n:%spellout-ordinal}\n", "12k", "twelfth");
    expect("[read a]\nx{n:num} => {n:code}\n[say code]\n{a:\\d}{b:\\d} => {a} {b}\n", "x12 x123",
           "one two x one hundred twenty-three");
    expect("[read a]\n1 => once\n", "1 11 1.5", "once eleven one point five");
}

static void test_refused(void **state)
{
    (void)state;
    expect("[read a]\n\\d+ => x\n", "",
           "xx.lang:10: rule a: repetition without an end; write {1,40}: \\d+");
    expect("[read a]\n\\d{2,} => x\n", "", "xx.lang:10: rule a: repetition without an end: 2,");
    expect("[read a]\n{x:nothing} => x\n", "",
           "xx.lang:10: rule a: no such pattern or list: nothing");
    expect("[read a]\n{x:\\d}{x=nothing} => x\n", "", "xx.lang:10: rule a: no such list: nothing");
    expect("[read a]\n{x:\\d}{y=vessel} => x\n", "", "xx.lang:10: rule a: no such slot: y=vessel");
    expect("[read a]\n{x:\\d} => {y}\n", "", "xx.lang:10: rule a: no such slot: y");
    expect("[read a]\n{x:\\d} => {x:loud}\n", "", "xx.lang:10: rule a: no such format: loud");
    expect("[read a]\n(a => x\n", "", "xx.lang:10: rule a: missing closing parenthesis");
    expect("[say b]\na => x\n(b => x\n", "", "xx.lang:11: rule b: missing closing parenthesis");
    expect("[read a]\nnothing\n", "", "xx.lang:10: neither => nor ->: nothing");
    expect("[patterns]\np = {q}\nq = {p}\n[read a]\n{p} => x\n", "",
           "xx.lang:13: rule a: patterns within themselves: {p}");
    expect("[unheard]\nx = y\n", "", "xx.lang:10: no such section: unheard");
    expect("[abbreviations]\nx = y ; sometimes\n", "",
           "xx.lang:10: no kind of abbreviation: sometimes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
