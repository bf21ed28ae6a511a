/* The tokenizer against the original's output on the nano vocabulary (tests/cases/tokenizer.txt),
 * its GGUF form, and what it says to broken vocabularies and hostile text.  Run from the root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/mem.h"
#include "model/tokenizer.h"
#include "base/mem_test.h"
#include "model/model_test.h"

#define CASES "tests/cases/"

static struct tokenizer_vocab vocab;
static struct tokenizer *nano;

static int setup(void **state)
{
    (void)state;
    struct err e = {0};
    if (tokenizer_vocab_read(CASES "tokenizer.tiktoken", CASES "special_tokens.json", &vocab, &e) <
            0 ||
        tokenizer_new(&vocab, &nano, &e) < 0) {
        print_error("%s\n", e.msg);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_free(nano);
    tokenizer_vocab_done(&vocab);
    return 0;
}

static size_t unhex(const char *hex, char *out)
{
    size_t n = 0;
    for (; hex[0] && hex[1] && *hex != '-'; hex += 2) {
        char two[3] = {hex[0], hex[1], 0};
        out[n++] = (char)strtol(two, NULL, 16);
    }
    return n;
}

static void check_case(const struct tokenizer *t, const char *name, const char *hex, char *ids)
{
    static char text[8192];
    size_t n = unhex(hex, text), i = 0;
    struct tokens got = {0};
    struct err e = {0};
    if (tokenizer_encode(t, text, n, true, &got, &e) < 0)
        fail_msg("%s: %s", name, e.msg);
    for (char *next; *ids && *ids != '\n'; ids = next, i++) {
        long want = strtol(ids, &next, 10);
        if (i >= got.n || got.id[i] != want)
            fail_msg("%s: token %zu is %d, want %ld", name, i, i < got.n ? got.id[i] : -1, want);
        while (*next == ' ')
            next++;
    }
    if (got.n != i)
        fail_msg("%s: %zu tokens, want %zu", name, got.n, i);
    char *back;
    size_t n_back;
    assert_int_equal(tokenizer_decode(t, got.id, got.n, &back, &n_back, &e), 0);
    assert_int_equal(n_back, n);
    assert_memory_equal(back, text, n);
    mem_free(back);
    tokens_done(&got);
}

static int check_all_cases(const struct tokenizer *t)
{
    static char line[32768];
    int n = 0;
    FILE *f = fopen(CASES "tokenizer.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (*line == '#')
            continue;
        char *hex = strchr(line, '\t'), *ids = hex ? strchr(hex + 1, '\t') : NULL;
        assert_non_null(ids);
        *hex++ = *ids++ = 0;
        check_case(t, line, hex, ids);
        n++;
    }
    fclose(f);
    return n;
}

static void test_matches_the_original(void **state)
{
    (void)state;
    assert_int_equal(check_all_cases(nano), 86);
}

static void test_survives_gguf(void **state)
{
    (void)state;
    char path[64];
    struct gguf_writer *w;
    struct gguf *g;
    struct tokenizer *t;
    struct err e = {0};
    snprintf(path, sizeof path, "/tmp/test_tokenizer-%d.gguf", (int)getpid());
    assert_int_equal(gguf_writer_new(path, &w, &e), 0);
    tokenizer_write(&vocab, w);
    int rc = gguf_writer_begin(w, &e);
    rc = rc < 0 ? rc : gguf_writer_finish(w, &e);
    gguf_writer_free(w);
    if (rc < 0)
        fail_msg("%s", e.msg);
    if (gguf_open(path, &g, &e) < 0 || tokenizer_from_gguf(g, &t, &e) < 0)
        fail_msg("%s", e.msg);
    remove(path);
    assert_int_equal(tokenizer_n_vocab(t), vocab.n_rank + vocab.n_special);
    for (int i = 0; i < vocab.n_rank + vocab.n_special; i++) {
        size_t n;
        const char *s = tokenizer_bytes(t, i, &n);
        assert_int_equal(n, vocab.token_bytes[i]);
        assert_memory_equal(s, vocab.token[i], n);
    }
    gguf_close(g);
    assert_int_equal(check_all_cases(t), 86);
    tokenizer_free(t);
}

static void test_special_tokens_only_when_trusted(void **state)
{
    (void)state;
    struct tokens t = {0};
    const char text[] = "a<|im_end|>b";
    assert_int_equal(tokenizer_special(nano, "<|im_end|>"), 648);
    assert_int_equal(tokenizer_special(nano, "<|im_end"), -1);
    assert_int_equal(tokenizer_special(nano, "<|im_end|>x"), -1);
    assert_int_equal(tokenizer_special(nano, ""), -1);
    assert_int_equal(tokenizer_encode(nano, text, strlen(text), false, &t, NULL), 0);
    for (size_t i = 0; i < t.n; i++)
        assert_true(t.id[i] < vocab.n_rank);
    tokens_done(&t);
}

static void test_bad_ids(void **state)
{
    (void)state;
    size_t n;
    char *s;
    struct err e = {0};
    int32_t bad[] = {-1, tokenizer_n_vocab(nano), INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(tokenizer_bytes(nano, bad[i], &n));
        assert_int_equal(tokenizer_decode(nano, &bad[i], 1, &s, &n, &e), ERR_ARGUMENT);
    }
}

static void test_invalid_utf8_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "\xe2\x82",         "\xf0\x9f\x98",     "\xc3"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        for (size_t at = 0; at < 8; at++) {
            char text[32] = "abcdefgh", want[32];
            struct tokens t = {0};
            struct err e = {0};
            memcpy(text + at, bad[k], strlen(bad[k]));
            assert_int_equal(tokenizer_encode(nano, text, 12, true, &t, &e), ERR_FORMAT);
            snprintf(want, sizeof want, "at byte %zu ", at);
            assert_non_null(strstr(e.msg, want));
            assert_int_equal(t.n, 0);
            tokens_done(&t);
        }
}

static void encode_repeated(const char *unit, size_t n_bytes)
{
    size_t len = strlen(unit);
    char *text = mem_alloc(n_bytes), *back;
    struct tokens t = {0};
    struct err e = {0};
    for (size_t i = 0; i < n_bytes; i++)
        text[i] = unit[i % len];
    clock_t start = clock();
    if (tokenizer_encode(nano, text, n_bytes, true, &t, &e) < 0)
        fail_msg("%s", e.msg);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > 10) /* a quadratic merge takes an hour; a sanitizer build a second */
        fail_msg("1 MB of '%s' took %.1f s", unit, seconds);
    assert_int_equal(tokenizer_decode(nano, t.id, t.n, &back, &n_bytes, &e), 0);
    assert_memory_equal(back, text, n_bytes);
    mem_free(back);
    mem_free(text);
    tokens_done(&t);
}

static void test_a_megabyte_of_one_thing(void **state)
{
    (void)state;
    static const char *const unit[] = {
        "a",  " ",        "\n",           "!",        "=",          "7",  "the", "\r\n ",
        "'s", "\xc2\xa0", "\xe4\xbd\xa0", "\xcc\x81", "<|im_end|>", "<|", " ?!"};
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        encode_repeated(unit[i], ((size_t)1 << 20) / strlen(unit[i]) * strlen(unit[i]));
}

static void test_limits(void **state)
{
    (void)state;
    struct tokens t = {0};
    struct err e = {0};
    char *text = mem_alloc(LIMIT_TEXT_BYTES + 1);
    assert_int_equal(tokenizer_encode(nano, text, LIMIT_TEXT_BYTES + 1, true, &t, &e), ERR_LIMIT);
    mem_free(text);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    const char text[] = "some words <|im_end|> and more";
    struct err e = {0};
    int rc = -1;
    for (long k = 0; rc < 0 && k < 5000; k++) {
        struct tokenizer *t = NULL;
        struct tokens out = {0};
        mem_fail_after(k);
        rc = tokenizer_new(&vocab, &t, &e);
        if (rc == 0)
            rc = tokenizer_encode(t, text, strlen(text), true, &out, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        tokens_done(&out);
        tokenizer_free(t);
    }
    assert_int_equal(rc, 0);
}

/* --- broken vocabularies --- */

static int parse(const char *tiktoken, const char *special, struct err *e)
{
    struct tokenizer_vocab v;
    int rc = tokenizer_vocab_parse(tiktoken, strlen(tiktoken), special, strlen(special), &v, e);
    if (rc == 0)
        tokenizer_vocab_done(&v);
    return rc;
}

static void test_vocabulary_files(void **state)
{
    (void)state;
    static const struct {
        const char *tiktoken, *special, *says;
    } bad[] = {
        {"IQ== 0\nIQ== 0\n", "{}", "there twice"},
        {"IQ== 0\nIg== 2\n", "{}", "too large"},
        {"IQ= 0\n", "{}", "not base64"},
        {"I=== 0\n", "{}", "not base64"},
        {"IR== 0\n", "{}", "not base64"},
        {"==== 0\n", "{}", "not base64"},
        {"I\xc3Q= 0\n", "{}", "not base64"},
        {"IQ==\n", "{}", "want a token and a rank"},
        {"IQ== \n", "{}", "want a token and a rank"},
        {"IQ== 12345678901234567890\n", "{}", "want a token and a rank"},
        {"IQ== -1\n", "{}", "not a number"},
        {" 0\n", "{}", "not base64"},
        {"IQ== 0\n", "[]", "JSON object"},
        {"IQ== 0\n", "{\"a\":1,\"a\":2}", "uplicate"},
        {"IQ== 0\n", "{", "line 1"},
        {"IQ== 0\n", "", "line"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = {0};
        assert_int_equal(parse(bad[i].tiktoken, bad[i].special, &e), ERR_FORMAT);
        if (!strstr(e.msg, bad[i].says))
            fail_msg("case %zu: '%s' does not say '%s'", i, e.msg, bad[i].says);
    }
    assert_int_equal(parse("\n= 7\n=\r\nIQ== 1\r\n\nIg== 0", "{\"<s>\": 99}", NULL), 0);
}

static void test_vocabularies_that_cannot_encode(void **state)
{
    (void)state;
    struct tokenizer *t;
    struct err e = {0};
    struct tokenizer_vocab v = vocab;
    v.n_rank = 200; /* some bytes are missing now */
    v.n_special = 0;
    assert_int_equal(tokenizer_new(&v, &t, &e), ERR_FORMAT);
    assert_non_null(strstr(e.msg, "lacks the byte"));
    const char *saved = vocab.token[300], *special = vocab.token[650];
    size_t n_saved = vocab.token_bytes[300], n_special = vocab.token_bytes[650];
    vocab.token[300] = vocab.token[299];
    vocab.token_bytes[300] = vocab.token_bytes[299];
    assert_int_equal(tokenizer_new(&vocab, &t, &e), ERR_FORMAT);
    vocab.token_bytes[300] = 0;
    assert_int_equal(tokenizer_new(&vocab, &t, &e), ERR_FORMAT);
    vocab.token[300] = saved;
    vocab.token_bytes[300] = n_saved;
    vocab.token[650] = vocab.token[651];
    vocab.token_bytes[650] = vocab.token_bytes[651];
    assert_int_equal(tokenizer_new(&vocab, &t, &e), ERR_FORMAT);
    vocab.token[650] = "\xff";
    vocab.token_bytes[650] = 1;
    assert_int_equal(tokenizer_new(&vocab, &t, &e), ERR_FORMAT);
    vocab.token[650] = special;
    vocab.token_bytes[650] = n_special;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_the_original),
        cmocka_unit_test(test_survives_gguf),
        cmocka_unit_test(test_special_tokens_only_when_trusted),
        cmocka_unit_test(test_bad_ids),
        cmocka_unit_test(test_invalid_utf8_is_named),
        cmocka_unit_test(test_a_megabyte_of_one_thing),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_vocabulary_files),
        cmocka_unit_test(test_vocabularies_that_cannot_encode),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
