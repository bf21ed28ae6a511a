/* Conversion of the nano checkpoint, and what a broken directory, an unwritable output or missing
 * memory leave behind: an error and no file.  Run from the root. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/import.h"
#include "model/model.h"
#include "base/mem_test.h"

#define NANO "tests/golden/s1-nano/checkpoint"

static const char *const parts[] = {"config.json",         "model.pth",
                                    "codec.pth",           "tokenizer.tiktoken",
                                    "special_tokens.json", "modded_dac_vq.yaml"};
#define N_PARTS (sizeof parts / sizeof *parts)

static char folder[64], source[80], output[80];

static int convert_from(const char *directory, const char *to, struct err *e)
{
    struct import_options o = {
        .directory = directory, .output = to, .type = -1, .sampling = {-1, -1, -1}};
    return import_convert(&o, e);
}

/* A directory of links to the nano checkpoint, which a test may take apart. */
static int link_parts(void)
{
    char from[4096], to[160], root[2048];
    if (!getcwd(root, sizeof root))
        return -1;
    for (size_t i = 0; i < N_PARTS; i++) {
        snprintf(from, sizeof from, "%s/%s/%s", root, NANO, parts[i]);
        snprintf(to, sizeof to, "%s/%s", source, parts[i]);
        unlink(to);
        if (symlink(from, to) != 0)
            return -1;
    }
    return 0;
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/test_import-%d", (int)getpid());
    snprintf(source, sizeof source, "%s/source", folder);
    snprintf(output, sizeof output, "%s/nano.gguf", folder);
    return mkdir(folder, 0700) || mkdir(source, 0700) || link_parts() ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    char to[160];
    for (size_t i = 0; i < N_PARTS; i++) {
        snprintf(to, sizeof to, "%s/%s", source, parts[i]);
        unlink(to);
    }
    unlink(output);
    rmdir(source);
    return rmdir(folder); /* fails when something was left behind */
}

/* Entries of the folder besides the source directory. */
static int n_left(void)
{
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));)
        n += f->d_name[0] != '.' && strcmp(f->d_name, "source") != 0;
    closedir(d);
    return n;
}

static void test_convert(void **state)
{
    (void)state;
    struct model m = {0};
    struct model_options o = {.n_thread = 1};
    struct err e = {0};
    assert_int_equal(convert_from(NANO, output, &e), 0);
    assert_int_equal(n_left(), 1);
    assert_int_equal(model_open(&m, output, &o, &e), 0);
    assert_true(m.spec.lm.n_codebook > 0 && m.lm && m.codec && m.tokenizer);
    assert_true(m.spec.sampling.top_p > 0.79f && m.spec.sampling.top_p < 0.81f);
    model_close(&m);
    model_close(&m);
    unlink(output);
}

static void test_missing_part(void **state)
{
    (void)state;
    char part[160];
    for (size_t i = 0; i < 5; i++) {
        struct err e = {0};
        snprintf(part, sizeof part, "%s/%s", source, parts[i]);
        unlink(part);
        assert_true(convert_from(source, output, &e) < 0);
        assert_true(e.code < 0 && e.msg[0] != 0);
        assert_int_equal(n_left(), 0);
        assert_int_equal(link_parts(), 0);
    }
    assert_true(convert_from("/nonexistent", output, NULL) < 0);
    assert_int_equal(n_left(), 0);
}

static void write_part(const char *name, const char *text)
{
    char part[160];
    snprintf(part, sizeof part, "%s/%s", source, name);
    unlink(part);
    FILE *f = fopen(part, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_broken_part(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{}", "[1, 2", "{\"dim\": -1}", "{\"dim\": 1e99}"};
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            struct err e = {0};
            write_part(parts[i], texts[k]);
            assert_true(convert_from(source, output, &e) < 0);
            assert_true(e.msg[0] != 0);
            assert_int_equal(n_left(), 0);
            assert_int_equal(link_parts(), 0);
        }
}

static void test_missing_tensor(void **state)
{
    (void)state;
    char model[160], codec[4096], root[2048];
    struct err e = {0};
    assert_non_null(getcwd(root, sizeof root));
    snprintf(model, sizeof model, "%s/model.pth", source);
    snprintf(codec, sizeof codec, "%s/%s/codec.pth", root, NANO);
    unlink(model);
    assert_int_equal(symlink(codec, model), 0); /* another archive: none of the tensors is there */
    assert_true(convert_from(source, output, &e) < 0);
    assert_true(e.msg[0] != 0);
    assert_int_equal(n_left(), 0);
    assert_int_equal(link_parts(), 0);
}

static void test_unwritable(void **state)
{
    (void)state;
    struct err e = {0};
    assert_true(convert_from(NANO, "/proc/nonexistent/nano.gguf", &e) < 0);
    assert_true(e.msg[0] != 0);
    assert_true(convert_from(NANO, source, &e) < 0); /* a directory */
    assert_int_equal(n_left(), 0);
}

/* Without its yaml the codec is S1-mini's, as far as the tensors do not say otherwise. */
static void test_no_yaml(void **state)
{
    (void)state;
    char part[160];
    struct model m = {0};
    struct model_options o = {.n_thread = 1};
    struct spec mini;
    struct err e = {0};
    spec_s1_mini(&mini);
    snprintf(part, sizeof part, "%s/modded_dac_vq.yaml", source);
    unlink(part);
    assert_int_equal(convert_from(source, output, &e), 0);
    assert_int_equal(model_open(&m, output, &o, &e), 0);
    const struct spec_codec *c = &m.spec.codec;
    assert_int_equal(c->sample_rate, mini.codec.sample_rate);
    assert_int_equal(c->post.window, mini.codec.post.window);
    assert_int_equal(c->pre.window, mini.codec.pre.window);
    assert_true(c->post.norm_eps == mini.codec.post.norm_eps);
    assert_int_equal(c->enc[3].window, mini.codec.enc[3].window);
    assert_int_equal(c->enc[3].head_dim, mini.codec.enc[3].head_dim);
    assert_int_equal(c->post.head_dim, 16); /* from its rotary table */
    model_close(&m);
    unlink(output);
    assert_int_equal(link_parts(), 0);
}

/* Each allocation in turn, on the smallest checkpoint; past the header, where one tensor is written
 * like the other, a sample of them. */
static void test_no_memory(void **state)
{
    (void)state;
    struct model_options o = {.n_thread = 1};
    int rc = ERR_MEMORY;
    for (long n = 0; rc < 0; n += n < 1000 ? 1 : 19) {
        struct err e = {0};
        mem_fail_after(n);
        rc = convert_from("tests/golden/s1-odd/checkpoint", output, &e);
        mem_fail_after(-1);
        assert_int_equal(n_left(), rc == 0);
        assert_int_equal(rc, e.code);
    }
    rc = ERR_MEMORY;
    for (long n = 0; rc < 0; n++) {
        struct model m = {0};
        struct err e = {0};
        mem_fail_after(n);
        rc = model_open(&m, output, &o, &e);
        mem_fail_after(-1);
        assert_int_equal(rc, e.code);
        model_close(&m);
    }
    unlink(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convert),     cmocka_unit_test(test_missing_part),
        cmocka_unit_test(test_broken_part), cmocka_unit_test(test_missing_tensor),
        cmocka_unit_test(test_unwritable),  cmocka_unit_test(test_no_yaml),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
