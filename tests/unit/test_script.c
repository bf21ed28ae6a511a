/* Languages by their letters, and texts in several of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

/* --- Latin letters --- */

#define MAX_KINDS 16

/* tests/cases/languages.txt, each line as a text of its own: 97 % of every language. */
static void test_sentences(void **state)
{
    struct kind {
        char name[4];
        int n, right;
    } kinds[MAX_KINDS] = {0};
    char line[256];
    FILE *f = fopen("tests/cases/languages.txt", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        struct script_walk w;
        size_t n = strcspn(line, "\n");
        struct kind *k = kinds;
        if (line[0] == '#' || n < 4)
            continue;
        while (k->n && strncmp(k->name, line, 2) != 0)
            k++;
        assert_true(k < kinds + MAX_KINDS - 1);
        memcpy(k->name, line, 2);
        script_walk_init(&w, line + 3, n - 3, true);
        assert_true(script_walk_next(&w));
        k->n++;
        if (strcmp(w.language ? w.language : "en", k->name) == 0)
            k->right++;
        else
            print_message("%s: %.*s\n", w.language ? w.language : "en", (int)n, line);
    }
    fclose(f);
    assert_int_equal(kinds[7].n > 0, 1);
    for (struct kind *k = kinds; k->n; k++)
        if (k->right < k->n * 0.97 - 1) /* the rows are few: one more may be wrong */
            fail_msg("%s: %d of %d", k->name, k->right, k->n);
}

static void check_split(const char *text, const char *const *want, const char *const *language)
{
    struct text_options o = {.frontend = TEXT_PLAIN};
    struct text_pieces p;
    struct err e = {0};
    assert_int_equal(text_split(text, strlen(text), &o, &p, &e), 0);
    for (int i = 0; i < p.n; i++) {
        assert_non_null(want[i]);
        assert_string_equal(p.piece[i].text, want[i]);
        if (language[i])
            assert_string_equal(p.piece[i].language, language[i]);
        else
            assert_null(p.piece[i].language);
    }
    assert_null(want[p.n]);
    text_pieces_done(&p);
}

/* Numbers in the language of their sentence; short ones stay with those before them; what no
 * language of ours is, is left alone. */
static void test_latin(void **state)
{
    (void)state;
    check_split("Il y a 3 chats dans la rue.",
                (const char *[]){"Il y a trois chats dans la rue.", NULL}, (const char *[]){"fr"});
    check_split("Ich komme am 3. Mai.", (const char *[]){"Ich komme am dritten Mai.", NULL},
                (const char *[]){"de"});
    check_split("We saw 3 of them on the road. Wir haben gestern 4 davon gesehen. OK. Es waren "
                "wirklich nur 4. The other 2 had gone home.",
                (const char *[]){
                    "We saw three of them on the road.", "Wir haben gestern vier davon gesehen.",
                    "OK. Es waren wirklich nur vier.", "The other two had gone home.", NULL},
                (const char *[]){NULL, "de", "de", NULL});
    check_split("I have 3 cats. Il y a 3 chats dans la rue.",
                (const char *[]){"I have three cats.", "Il y a trois chats dans la rue.", NULL},
                (const char *[]){NULL, "fr"});
    check_split("Ich komme am 3. Mai. Il y a 3 chats.",
                (const char *[]){"Ich komme am dritten Mai.", "Il y a trois chats.", NULL},
                (const char *[]){"de", "fr"});
    check_split("Kuinka paljon nämä 3 kirjaa maksavat yhteensä?",
                (const char *[]){"Kuinka paljon nämä 3 kirjaa maksavat yhteensä?", NULL},
                (const char *[]){"fi"});
}

/* A text as it was written: what no model may see goes, all else stays. */
static void test_as_written(void **state)
{
    static const char text[] = "**Bold** and “3 of 5” <|im_start|>\x01"
                               "cost  $4…";
    struct text_options o = {.frontend = TEXT_PLAIN, .as_written = true};
    struct text_pieces p;
    struct err e = {0};
    (void)state;
    assert_int_equal(text_split(text, strlen(text), &o, &p, &e), 0);
    assert_int_equal(p.n, 1);
    assert_string_equal(p.piece[0].text, "**Bold** and “3 of 5” cost $4…");
    text_pieces_done(&p);
}

/* --- markers --- */

/* The next line that is no comment and not empty, \n spelled out undone; false: none. */
static bool next_line(FILE *f, char *line, size_t room)
{
    while (fgets(line, (int)room, f)) {
        char *to = line;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        for (char *c = line; *c && *c != '\n'; c++)
            if (c[0] == '\\' && c[1] == 'n') {
                *to++ = '\n';
                c++;
            } else {
                *to++ = *c;
            }
        *to = 0;
        return true;
    }
    return false;
}

static void join_pieces(const struct text_pieces *p, char *to, size_t room)
{
    size_t n = 0;
    to[0] = 0;
    for (int i = 0; i < p->n && n < room; i++)
        n += (size_t)snprintf(to + n, room - n, "%s%s", i ? " | " : "", p->piece[i].text);
}

static void test_markers(void **state)
{
    struct text_options o = {.frontend = TEXT_PLAIN};
    char input[512], want[512], got[512];
    struct text_pieces p;
    struct err e = {0};
    int failed = 0, n = 0;
    FILE *f = fopen("tests/cases/markers.txt", "r");
    (void)state;
    assert_non_null(f);
    for (; next_line(f, input, sizeof input) && next_line(f, want, sizeof want); n++) {
        assert_int_equal(text_split(input, strlen(input), &o, &p, &e), 0);
        join_pieces(&p, got, sizeof got);
        if (strcmp(got, want) != 0)
            print_error("%s\n  got  %s\n  want %s\n", input, got, want);
        failed += strcmp(got, want) != 0;
        text_pieces_done(&p);
    }
    fclose(f);
    assert_true(n > 10);
    assert_int_equal(failed, 0);
    o.loose_markers = true;
    static const char loose[] = "(sad) The first one is here. The second one is here.";
    assert_int_equal(text_split(loose, strlen(loose), &o, &p, &e), 0);
    assert_string_equal(p.piece[1].text, "The second one is here.");
    text_pieces_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),  cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_sentences),  cmocka_unit_test(test_latin),
        cmocka_unit_test(test_as_written), cmocka_unit_test(test_markers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
