/* Languages by their letters, and texts in several of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "text/script.h"
#include "text/text.h"

static void test_languages(void **state)
{
    static const struct {
        const char *text, *language;
    } cases[] = {
        {"Hello, world.", NULL},
        {"Schöne Grüße.", NULL},
        {"12 + 3 = 15", NULL},
        {"", NULL},
        {"Привет, мир.", "ru"},
        {"Привіт, світе.", "uk"},
        {"Прывітанне, ўсім.", "be"},
        {"Καλημέρα.", "el"},
        {"مرحبا بالعالم", "ar"},
        {"سلام چطوری", "fa"},
        {"میں ٹھیک ہوں", "ur"},
        {"שלום עולם", "he"},
        {"नमस्ते दुनिया", "hi"},
        {"สวัสดี", "th"},
        {"안녕하세요.", "ko"},
        {"你好，世界。", "cmn"},
        {"東京は日本の首都です。", "ja"},
        {"カタカナ", "ja"},
        {"Пришлите файл README.md, пожалуйста.", "ru"},
        {"He said привет to all of us.", NULL},
        {"我用Windows系统。", "cmn"},
        {"გამარჯობა", "ka"},
        {"ሰላም", "am"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = script_language(cases[i].text, strlen(cases[i].text));
        if ((got == NULL) != (cases[i].language == NULL) ||
            (got && strcmp(got, cases[i].language) != 0))
            fail_msg("%s: got %s, want %s", cases[i].text, got ? got : "none",
                     cases[i].language ? cases[i].language : "none");
    }
}

static void test_mixed(void **state)
{
    static const char text[] = "I have 3 dogs, really. У меня 3 собаки и кот. 我有3只狗和一只猫。 "
                               "Back to 5 cats again.";
    static const struct {
        const char *text, *language;
    } want[] = {{"I have three dogs, really.", NULL},
                {"У меня три собаки и кот.", "ru"},
                {"我有三只狗和一只猫。", "cmn"},
                {"Back to five cats again.", NULL}};
    struct text_options o = {.frontend = TEXT_PLAIN};
    struct text_pieces p;
    struct err e = {0};
    (void)state;
    assert_int_equal(text_split(text, strlen(text), &o, &p, &e), 0);
    assert_int_equal(p.n, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(p.piece[i].text, want[i].text);
        if (want[i].language)
            assert_string_equal(p.piece[i].language, want[i].language);
        else
            assert_null(p.piece[i].language);
        assert_true(p.piece[i].end <= strlen(text) && p.piece[i].start < p.piece[i].end);
        assert_true((p.piece[i].pause_ms > 0) == (i < 3));
    }
    assert_int_equal(p.piece[1].start, strstr(text, "У") - text);
    text_pieces_done(&p);
    o.language = "en-us"; /* asked for: no guessing */
    assert_int_equal(text_split(text, strlen(text), &o, &p, &e), 0);
    for (int i = 0; i < p.n; i++)
        assert_null(p.piece[i].language);
    text_pieces_done(&p);
    o.language = NULL;
    o.frontend = TEXT_IPA; /* numbers by their language, phonemes by the model's */
    assert_int_equal(
        text_split("У меня 3 собаки и кот.", strlen("У меня 3 собаки и кот."), &o, &p, &e), 0);
    assert_string_equal(p.piece[0].text, "У меня три собаки и кот.");
    assert_null(p.piece[0].language);
    text_pieces_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_languages),
                                       cmocka_unit_test(test_mixed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
