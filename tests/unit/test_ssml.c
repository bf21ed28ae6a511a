/* SSML: the table of cases, and documents made to hurt.  A case is a line of input, the line
 * expected of it, and an empty line; \n in input is a line break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unicode/utf8.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "text/ssml.h"
#include "base/mem_test.h"

static const struct text_options options = {.frontend = TEXT_IPA, .language = "en-us"};

/* A piece's text with IPA as [ipa]. */
static void show_text(const char *s, struct buf *b)
{
    bool inside = false;
    for (int32_t i = 0, n = (int32_t)strlen(s); i <= n;) {
        UChar32 c = 0;
        int32_t at = i;
        if (i < n)
            U8_NEXT(s, i, n, c);
        else
            i++;
        bool ipa = ipa_byte(c) >= 0;
        if (ipa != inside)
            buf_add(b, ipa ? "[" : "]", 1);
        inside = ipa;
        if (ipa)
            buf_add(b, (char[1]){(char)ipa_byte(c)}, 1);
        else if (at < n)
            buf_add(b, s + at, (size_t)(i - at));
    }
}

static void show(const struct text_pieces *p, struct buf *b)
{
    for (int i = 0; i < p->n; i++) {
        const struct text_piece *x = &p->piece[i];
        if (x->voice)
            buf_add_format(b, "{voice %s} ", x->voice);
        if (x->language)
            buf_add_format(b, "{%s} ", x->language);
        if (x->rate != 1)
            buf_add_format(b, "{rate %.4g} ", x->rate);
        if (x->volume != 1)
            buf_add_format(b, "{volume %.4g} ", x->volume);
        show_text(x->text, b);
        if (i + 1 < p->n)
            buf_add_format(b, " /%d/ ", x->pause_ms);
    }
    for (int i = 0; i < p->n_mark; i++)
        buf_add_format(b, " <%s %d %.2f>", p->mark[i].name, p->mark[i].piece, p->mark[i].share);
}

static void check_pieces(const struct text_pieces *p, size_t n)
{
    for (int i = 0; i < p->n; i++) {
        if (p->piece[i].start > p->piece[i].end || p->piece[i].end > n)
            fail_msg("piece %d comes from %zu..%zu of %zu", i, p->piece[i].start, p->piece[i].end,
                     n);
        if (i)
            assert_true(p->piece[i].start >= p->piece[i - 1].start);
    }
}

static int run_case(int line, const char *input, const char *want)
{
    struct text_pieces p = {0};
    struct err e = {0};
    struct buf got;
    buf_init(&got, 1 << 20);
    int rc = ssml_split(input, strlen(input), &options, &p, &e), ok;
    if (rc < 0) {
        ok = want[0] == '!' && strstr(e.msg, want + 1) != NULL;
        buf_add_str(&got, e.msg);
    } else {
        check_pieces(&p, strlen(input));
        show(&p, &got);
        ok = strcmp(buf_str(&got), want) == 0;
    }
    if (!ok)
        print_error("tests/cases/ssml.txt:%d: %s\n  got  %s\n  want %s\n", line, input,
                    buf_str(&got), want);
    if (rc == 0)
        text_pieces_done(&p);
    buf_done(&got);
    return ok;
}

static void test_table(void **state)
{
    static char input[8192], want[8192];
    FILE *f = fopen("tests/cases/ssml.txt", "r");
    int line = 0, cases = 0, failed = 0;
    bool have = false;
    (void)state;
    assert_non_null(f);
    while (fgets(have ? want : input, sizeof input, f)) {
        char *s = have ? want : input;
        line++;
        s[strcspn(s, "\n")] = 0;
        if (!have && (s[0] == '#' || !s[0]))
            continue;
        for (char *at = s; !have && (at = strstr(at, "\\n")); at++) {
            *at = '\n';
            memmove(at + 1, at + 2, strlen(at + 2) + 1);
        }
        if (have) {
            cases++;
            failed += !run_case(line, input, want);
        }
        have = !have;
    }
    fclose(f);
    assert_true(cases > 70);
    assert_int_equal(failed, 0);
}

/* --- made to hurt --- */

static int split(const char *s, size_t n, struct err *e)
{
    struct text_pieces p;
    int rc = ssml_split(s, n, &options, &p, e);
    if (rc == 0) {
        check_pieces(&p, n);
        text_pieces_done(&p);
    }
    return rc;
}

static void test_entities(void **state)
{
    static const char laughs[] =
        "<?xml version=\"1.0\"?><!DOCTYPE speak [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;\">]><speak>&d;</speak>";
    static const char external[] =
        "<!DOCTYPE speak [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><speak>Hello &x;</speak>";
    static const char parameter[] =
        "<!DOCTYPE speak [<!ENTITY % x SYSTEM \"http://example.com/x.dtd\">%x;]><speak>Hi</speak>";
    static const char outside[] =
        "<!DOCTYPE speak SYSTEM \"file:///etc/passwd\"><speak>Hello &x; there</speak>";
    struct err e = {0};
    (void)state;
    assert_int_equal(split(laughs, strlen(laughs), &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "document type"));
    assert_int_equal(split(external, strlen(external), &e), ERR_UNSUPPORTED);
    assert_int_equal(split(parameter, strlen(parameter), &e), ERR_UNSUPPORTED);
    assert_int_equal(split(outside, strlen(outside), &e), ERR_FORMAT);
    assert_non_null(strstr(e.msg, "&x;"));
}

static void test_limits(void **state)
{
    struct buf b;
    struct err e = {0};
    (void)state;
    buf_init(&b, 64 << 20);
    buf_add_str(&b, "<speak>");
    for (int i = 0; i < 10000; i++)
        buf_add_str(&b, "<p>");
    assert_int_equal(split(b.data, b.len, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, "nested more than"));
    buf_clear(&b);
    buf_add_str(&b, "<speak><voice name=\"");
    for (int i = 0; i < 1 << 20; i++)
        buf_add(&b, "x", 1);
    buf_add_str(&b, "\">Hello</voice></speak>");
    assert_int_equal(split(b.data, b.len, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, "the limit is 4096"));
    buf_clear(&b);
    buf_add_str(&b, "<speak>Hello ");
    for (int i = 0; i < 5000; i++)
        buf_add_str(&b, "<mark name='m'/>");
    buf_add_str(&b, "</speak>");
    assert_int_equal(split(b.data, b.len, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, "4096 marks"));
    buf_clear(&b);
    buf_add_str(&b, "<speak>");
    for (int i = 0; i < 100000; i++)
        buf_add_str(&b, "<s>A</s>");
    buf_add_str(&b, "</speak>");
    assert_int_equal(split(b.data, b.len, &e), ERR_LIMIT);
    buf_clear(&b);
    for (int i = 0; i < LIMIT_TEXT_BYTES + 1; i++)
        buf_add(&b, "x", 1);
    assert_int_equal(split(b.data, b.len, &e), ERR_LIMIT);
    buf_done(&b);
}

static void test_encodings(void **state)
{
    static const char latin1[] =
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><speak>caf\xe9</speak>";
    static const char utf8[] =
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><speak>café au lait</speak>";
    static const char wide[] = "\xff\xfe<\0s\0p\0e\0a\0k\0>\0";
    static const char nul[] = "<speak>Hello\0there</speak>";
    struct err e = {0};
    (void)state;
    assert_int_equal(split(latin1, strlen(latin1), &e), ERR_FORMAT); /* strings are UTF-8 here */
    assert_int_equal(split(utf8, strlen(utf8), &e), 0);
    assert_int_equal(split(wide, sizeof wide - 1, &e), ERR_FORMAT);
    assert_int_equal(split(nul, sizeof nul - 1, &e), ERR_FORMAT);
}

/* Where a piece came from, through entities and tags. */
static void test_source(void **state)
{
    static const char text[] =
        "<speak><s>Tom &amp; Jerry run.</s> <s>Then <sub alias=\"they\">x</sub> "
        "stop.</s></speak>";
    struct text_pieces p;
    struct err e = {0};
    (void)state;
    assert_int_equal(ssml_split(text, strlen(text), &options, &p, &e), 0);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.piece[0].start, strstr(text, "Tom") - text);
    assert_int_equal(p.piece[0].end, strstr(text, "</s>") - text);
    assert_int_equal(p.piece[1].start, strstr(text, "Then") - text);
    assert_int_equal(p.piece[1].end, strstr(text, "</s></speak>") - text);
    text_pieces_done(&p);
}

static void test_look(void **state)
{
    (void)state;
    assert_true(ssml_is("<speak>x", 8));
    assert_true(ssml_is(" \n<?xml version='1.0'?> <speak version='1'>", 43));
    assert_true(ssml_is("<speak/>", 8));
    static const char prologs[][120] = {
        "<!-- a > b --><speak>x</speak>",
        "<!DOCTYPE speak PUBLIC \"-//W3C//DTD SYNTHESIS 1.0//EN\" \"a.dtd\"><speak>x</speak>",
        "<?xml version='1.0'?>\n<!-- one -->\n<!DOCTYPE speak>\n<!-- two -->\n<speak>x</speak>",
        "<!DOCTYPE speak [<!ENTITY a \"b\">]><speak>x</speak>"};
    for (size_t i = 0; i < sizeof prologs / sizeof *prologs; i++)
        if (!ssml_is(prologs[i], strlen(prologs[i])))
            fail_msg("%s", prologs[i]);
    assert_false(ssml_is("<!-- never ends", 15));
    assert_false(ssml_is("<!-- a --><p>x</p>", 18));
    assert_false(ssml_is("<speaker>", 9));
    assert_false(ssml_is("I <speak> up", 12));
    assert_false(ssml_is("<speak", 6));
    struct text_pieces p;
    struct err e = {0};
    struct text_options o = options;
    assert_int_equal(text_split("<speak>Hello there</speak>", 26, &o, &p, &e), 0);
    assert_string_equal(p.piece[0].text, "Hello there");
    text_pieces_done(&p);
    o.markup = TEXT_SSML;
    assert_int_equal(text_split("Hello there", 11, &o, &p, &e), ERR_FORMAT);
}

/* A model that reads letters gets the content of <phoneme>, and says so. */
static void test_letters(void **state)
{
    static const char text[] = "<speak>Say <phoneme ph=\"təˈmeɪtoʊ\">tomato</phoneme> now.</speak>";
    struct text_options o = {.frontend = TEXT_PLAIN};
    struct text_pieces p;
    struct err e = {0};
    (void)state;
    assert_int_equal(ssml_split(text, strlen(text), &o, &p, &e), 0);
    assert_string_equal(p.piece[0].text, "Say tomato now.");
    assert_int_equal(p.n_ignored, 1);
    text_pieces_done(&p);
    o.frontend = TEXT_IPA;
    assert_int_equal(ssml_split(text, strlen(text), &o, &p, &e), 0);
    assert_int_equal(text_piece_read(&p.piece[0], &o, &e), 0);
    assert_non_null(strstr(p.piece[0].text, " təˈmeɪtoʊ "));
    assert_null(strstr(p.piece[0].text, "təmˈ"));
    text_pieces_done(&p);
}

static void test_without_memory(void **state)
{
    static const char text[] = "<speak><p>Some <mark name='m'/>words.</p> <voice name='v'>More "
                               "<phoneme ph='a'>b</phoneme> words.</voice></speak>";
    struct err e = {0};
    (void)state;
    for (long n = 0; n < 80; n++) {
        mem_fail_after(n);
        int rc = split(text, strlen(text), &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_entities),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_source),  cmocka_unit_test(test_look),
        cmocka_unit_test(test_letters), cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
