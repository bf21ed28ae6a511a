/* Time is linear in the text: basic blocks of src/text that are run for a text are counted, and a
 * text four times as long may run at most a little more than four times as many.  The objects are
 * compiled with -fsanitize-coverage=trace-pc, which calls the function below at each block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "text/text.h"

#define SMALL_BYTES 4096
#define GROWTH      4
#define SLACK       1.3 /* tables that grow by doubling, and searches in them */

void __sanitizer_cov_trace_pc(void);

static uint64_t blocks;

void __sanitizer_cov_trace_pc(void)
{
    blocks++;
}

/* Blocks run for `unit` repeated to n bytes. */
static uint64_t blocks_of(const char *language, const char *unit, size_t n)
{
    struct text_options o = {.frontend = TEXT_PLAIN, .language = language};
    struct text_pieces pieces = {0};
    struct err e = {0};
    size_t len = strlen(unit);
    char *text = mem_try(n + 1, 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = unit[i % len];
    uint64_t before = blocks;
    (void)text_split(text, n, &o, &pieces, &e); /* nothing to say is fine, too */
    uint64_t run = blocks - before;
    text_pieces_done(&pieces);
    mem_free(text);
    return run;
}

/* How many of the texts take more than linear time. */
static int count_slow(const char *language)
{
    static const char *const units[] = {
        "(sad) ", "1) 2) ", "A. z. Z. ", "==a ~a ", "1 ",     "$",      "1",    "1.",    "1,",
        "1-",     "1:",     "1/",        "1 000 ",  "$1 ",    "(",      "[",    "[1] ",  "\"",
        "'",      "*",      "**a",       "_",       "`",      "~",      "a_",   "a.",    "A.",
        "A",      "A ",     "a@",        "aB",      "I. ",    "<",      "<a ",  "&",     "&amp",
        "x^",     "= ",     "==a",       "6\" ",    "5' ",    "No. ",   "St. ", "Dr. ",  "1st ",
        "1h ",    "http:",  "a/b/",      "#1 ",     "- 1 = ", "\\frac", "$a ",  "4111 ", "1x",
        "ab ",    "a, ",    ". ",        "!",       "1/2 1",  "> ",     "- ",   "* a\n", "1) ",
        "|a",     "a|b\n",  "[a](",      "[a][b] ", "<!--",   "\\(",    "q8h ", "idk ",  "#A1 ",
        "8.45 ",  "#",      "%",         "12°",     "m²",     "¹",
    };
    int slow = 0;
    blocks_of(language, "warm up. ", 64);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        uint64_t few = blocks_of(language, units[i], SMALL_BYTES);
        uint64_t many = blocks_of(language, units[i], GROWTH * SMALL_BYTES);
        if ((double)many > (double)few * GROWTH * SLACK + 100000) {
            print_error("%s: \"%s\" repeated: %llu blocks for %d bytes, %llu for %d\n", language,
                        units[i], (unsigned long long)few, SMALL_BYTES, (unsigned long long)many,
                        GROWTH * SMALL_BYTES);
            slow++;
        }
    }
    return slow;
}

/* Of the languages, one of each kind: English has the most of its own; the others are rules and the
 * readers of all, with hooks, and without spaces between words. */
static void test_linear(void **state)
{
    (void)state;
    static const char *const languages[] = {"en", "de", "pl", "zh"};
    int slow = 0;
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
        slow += count_slow(languages[i]);
    assert_int_equal(slow, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
