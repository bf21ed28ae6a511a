/* The pronunciation lexicon: which entry counts, what is refused, and reading it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "text/lexicon.h"
#include "text/text.h"
#include "base/mem_test.h"

static char path[] = "/tmp/lexicon-XXXXXX";

static void write_file(const char *s, size_t n)
{
    static int second =
        1000000000; /* the file system may not tell two writes of one moment apart */
    struct utimbuf t = {second, second};
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(s, 1, n, f), n);
    fclose(f);
    second++;
    assert_int_equal(utime(path, &t), 0);
}

static struct lexicon *open_lexicon(const char *s)
{
    struct lexicon *l = NULL;
    struct err e = {0};
    write_file(s, strlen(s));
    if (lexicon_open(path, &l, &e) < 0)
        fail_msg("%s", e.msg);
    return l;
}

static char *apply(struct lexicon *l, const char *language, bool ipa, const char *s, int *ignored)
{
    struct mapped in, out;
    int unused = 0;
    mapped_init(&in, 1 << 20);
    mapped_init(&out, 1 << 20);
    mapped_copy(&in, s, 0, strlen(s));
    lexicon_apply(l, language, ipa, &in, &out, ignored ? ignored : &unused);
    assert_int_equal(out.rc, 0);
    for (size_t at = 0, last = 0, start, end; at < out.text.len; at++) {
        mapped_source(&out, at, &start, &end);
        assert_true(start >= last && end <= strlen(s));
        last = start;
    }
    char *result = buf_take(&out.text);
    mapped_done(&in);
    mapped_done(&out);
    return result ? result : mem_strdup("");
}

static void expect(struct lexicon *l, const char *language, const char *s, const char *want)
{
    char *got = apply(l, language, true, s, NULL);
    if (strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", s, got, want);
    mem_free(got);
}

static void test_words(void **state)
{
    struct lexicon *l = open_lexicon("# comment\n\n"
                                     "nginx = engine ex\r\n"
                                     "SQL=sequel\n"
                                     "K8s = kates\n"
                                     "  AT&T  =  A T and T \n"
                                     "don't = do not\n"
                                     "straße = street\n"
                                     "café = coffee\n"
                                     "twice = first\n"
                                     "twice = second\n");
    (void)state;
    expect(l, "en-us", "Use nginx, NGINX or Nginx.", "Use engine ex, engine ex or engine ex.");
    expect(l, "en-us", "SQL and sql and MySQL.", "sequel and sql and MySQL.");
    expect(l, "en-us", "K8s at AT&T, don't.", "kates at A T and T, do not.");
    expect(l, "en-us", "Straße, STRASSE, CAFÉ.", "street, street, coffee.");
    expect(l, "en-us", "nginxes, xnginx, nginx-x.", "nginxes, xnginx, nginx-x.");
    expect(l, "en-us", "twice", "second");
    expect(l, "en-us", "", "");
    lexicon_free(l);
}

static void test_languages(void **state)
{
    struct lexicon *l = open_lexicon("gift = any\n[en]\ngift = english\n[en-gb]\ngift = british\n"
                                     "[de]\nGift = deutsch\n[*]\nlast = all\n");
    (void)state;
    expect(l, "en-us", "gift last", "english all");
    expect(l, "en-gb", "gift", "british");
    expect(l, "EN", "gift", "english");
    expect(l, "en-us+f3", "gift", "english");
    expect(l, "fr", "gift Gift", "any any");
    expect(l, "de", "gift Gift", "any deutsch");
    expect(l, "eno", "gift", "any");
    lexicon_free(l);
}

/* IPA reaches the model that reads it, and is counted where it cannot. */
static void test_ipa(void **state)
{
    struct lexicon *l = open_lexicon("nguyen = /ŋwiən/\n");
    struct text_options o = {.frontend = TEXT_IPA, .lexicon = l};
    struct text_pieces p;
    struct err e = {0};
    int ignored = 0;
    (void)state;
    char *same = apply(l, "en-us", false, "Nguyen and Nguyen.", &ignored);
    assert_string_equal(same, "Nguyen and Nguyen.");
    assert_int_equal(ignored, 2);
    mem_free(same);
    assert_int_equal(text_split("Mr. Nguyen, hello.", 18, &o, &p, &e), 0);
    assert_int_equal(p.n, 1);
    assert_int_equal(text_piece_read(&p.piece[0], &o, &e), 0);
    assert_non_null(strstr(p.piece[0].text, "ŋwiən,"));
    text_pieces_done(&p);
    o.frontend = TEXT_PLAIN;
    assert_int_equal(text_split("Mr. Nguyen, hello.", 18, &o, &p, &e), 0);
    assert_int_equal(p.n_ignored, 1);
    text_pieces_done(&p);
    lexicon_free(l);
}

static void test_errors(void **state)
{
    static const struct {
        const char *file, *message;
    } bad[] = {
        {"ok = fine\nno reading here\n", "line 2: there is no ="},
        {"ok = fine\n\n\n = x\n", "line 4"},
        {"two words = x\n", "is no word"},
        {"x =\n", "line 1: there is no reading"},
        {"x = /\xc5\x8bQ9/\n", "line 1: phonetic string"},
        {"[en\nx = y\n", "line 1: want [language]"},
        {"[e/n]\n", "is no language"},
        {"x = y\nz = \xff\n", "line 2: not UTF-8"},
    };
    struct lexicon *l;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i].file, strlen(bad[i].file));
        assert_int_not_equal(lexicon_open(path, &l, &e), 0);
        if (!strstr(e.msg, bad[i].message) || !strstr(e.msg, path))
            fail_msg("case %zu says %s, wanted %s", i, e.msg, bad[i].message);
    }
    write_file("x\0y = z\n", 8);
    assert_int_equal(lexicon_open(path, &l, &e), ERR_FORMAT);
    assert_int_equal(lexicon_open("/nowhere/at/all", &l, &e), ERR_NOT_FOUND);
    char *many = mem_try(1 << 20, 10);
    for (int i = 0; i < 210000; i++)
        snprintf(many + 10 * i, 11, "w%06d=x\n", i);
    write_file(many, strlen(many));
    assert_int_equal(lexicon_open(path, &l, &e), ERR_LIMIT);
    assert_non_null(strstr(e.msg, "200000"));
    mem_free(many);
}

static void test_reload(void **state)
{
    struct lexicon *l = open_lexicon("word = old\n");
    struct err e = {0};
    (void)state;
    expect(l, "en", "word", "old");
    write_file("word = new\n", 11);
    expect(l, "en", "word", "new");
    assert_int_equal(lexicon_problem(l, &e), 0);
    write_file("word new\n", 9);
    expect(l, "en", "word", "new"); /* a broken file changes nothing */
    assert_int_equal(lexicon_problem(l, &e), ERR_FORMAT);
    assert_non_null(strstr(e.msg, "line 1"));
    write_file("word = newer\n", 13);
    expect(l, "en", "word", "newer");
    assert_int_equal(lexicon_problem(l, &e), 0);
    unlink(path);
    expect(l, "en", "word", "newer");
    lexicon_free(l);
}

static void test_without_memory(void **state)
{
    struct err e = {0};
    (void)state;
    write_file("nguyen = /ŋwiən/\nnginx = engine ex\n",
               strlen("nguyen = /ŋwiən/\nnginx = engine ex\n"));
    for (long n = 0; n < 20; n++) {
        struct lexicon *l = NULL;
        mem_fail_after(n);
        int rc = lexicon_open(path, &l, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        lexicon_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),  cmocka_unit_test(test_languages),
        cmocka_unit_test(test_ipa),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_reload), cmocka_unit_test(test_without_memory),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
