/* Prompts of every kind of first character, alone and behind references, as tests/golden/prompts.py
 * makes them.  Run from the root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "model/ar.h"

#define DIR            "tests/cases/prompts/"
#define N_CODEBOOK     3
#define MAX_REFERENCES 8

static struct tokenizer *tokenizer;
static struct spec_lm spec = {.n_codebook = N_CODEBOOK};

static int setup(void **state)
{
    (void)state;
    struct tokenizer_vocab v = {0};
    struct err e = {0};
    int rc = tokenizer_vocab_read(DIR "tokenizer.tiktoken", DIR "special_tokens.json", &v, &e);
    if (rc == 0)
        rc = tokenizer_new(&v, &tokenizer, &e);
    tokenizer_vocab_done(&v);
    if (rc < 0)
        print_error("%s\n", e.msg);
    else
        spec.semantic_begin = tokenizer_special(tokenizer, "<|semantic:0|>");
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_free(tokenizer);
    return 0;
}

/* Codes [codebooks][frames] of a JSON list, codebook first. */
static struct prompt_reference reference(json_t *j, int32_t *codes)
{
    json_t *rows = json_object_get(j, "codes"), *row, *v;
    size_t n = json_array_size(json_array_get(rows, 0)), q, t;
    json_array_foreach(rows, q, row)
    {
        json_array_foreach(row, t, v) codes[q * n + t] = (int32_t)json_integer_value(v);
    }
    return (struct prompt_reference){json_string_value(json_object_get(j, "text")), codes, (int)n};
}

/* Columns that differ from the wanted matrix [1 + codebooks][columns]; -1: another number. */
static int n_different(const struct prompt *p, json_t *want)
{
    int n = 0;
    if (json_array_size(json_array_get(want, 0)) != (size_t)p->n_column)
        return -1;
    for (int i = 0; i < p->n_column; i++)
        for (int q = 0; q <= N_CODEBOOK; q++)
            n += p->columns[i * (1 + N_CODEBOOK) + q] !=
                 json_integer_value(json_array_get(json_array_get(want, (size_t)q), (size_t)i));
    return n;
}

static void test_golden_prompts(void **state)
{
    (void)state;
    static int32_t codes[MAX_REFERENCES][64];
    json_error_t why;
    json_t *all = json_load_file(DIR "prompts.json", 0, &why), *one, *r;
    size_t i, k;
    assert_true(json_array_size(all) > 100);
    json_array_foreach(all, i, one)
    {
        struct prompt_reference refs[MAX_REFERENCES];
        const char *text = json_string_value(json_object_get(one, "text"));
        struct prompt p;
        size_t n = json_array_size(json_object_get(one, "references"));
        assert_true(n <= MAX_REFERENCES);
        json_array_foreach(json_object_get(one, "references"), k, r)
        {
            refs[k] = reference(r, codes[k]);
        }
        prompt_init(&p, N_CODEBOOK);
        struct prompt_parts parts = {refs, (int)n, text, true};
        assert_int_equal(prompt_build(&p, tokenizer, &spec, &parts, NULL), 0);
        int bad = n_different(&p, json_object_get(one, "matrix"));
        if (bad)
            print_error("prompt %zu, \"%s\" behind %zu references: %d differ\n", i, text, n, bad);
        assert_int_equal(bad, 0);
        prompt_done(&p);
    }
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_prompts)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
