/* GGUF: what the writer wrote reads back; damaged files give an error or open, never more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/gguf.h"
#include "kernels/kern.h"
#include "base/mem_test.h"

static char path[64];
static unsigned char *bytes;
static size_t n_bytes;

static void put_metadata(struct gguf_writer *w)
{
    static const int32_t ints[] = {3, -1, 4};
    static const char *const words[] = {"one", "", "three"};
    static const size_t lengths[] = {3, 0, 5};
    gguf_put_string(w, "general.architecture", "test", 4);
    gguf_put_int(w, "i.u32", GGUF_U32, 4000000000);
    gguf_put_int(w, "i.i32", GGUF_I32, -7);
    gguf_put_int(w, "i.i64", GGUF_I64, INT64_MIN);
    gguf_put_float(w, "f", 1.5f);
    gguf_put_bool(w, "b", true);
    gguf_put_ints(w, "ints", ints, 3);
    gguf_put_strings(w, "words", words, lengths, 3);
}

static int write_file(const char *to)
{
    static const float a[6] = {1, 2, 3, 4, 5, 6}, b[2] = {7, 8};
    static const int64_t ne_a[2] = {3, 2}, ne_b[1] = {2};
    struct gguf_writer *w;
    struct err e = {0};
    int rc = gguf_writer_new(to, &w, &e);
    if (rc < 0)
        return rc;
    put_metadata(w);
    if ((rc = gguf_writer_tensor(w, "a", KERN_F32, 2, ne_a, &e)) == 0 &&
        (rc = gguf_writer_tensor(w, "b", KERN_F32, 1, ne_b, &e)) == 0 &&
        (rc = gguf_writer_begin(w, &e)) == 0 && (rc = gguf_writer_data(w, a, sizeof a, &e)) == 0 &&
        (rc = gguf_writer_data(w, b, sizeof b, &e)) == 0)
        rc = gguf_writer_finish(w, &e);
    gguf_writer_free(w);
    return rc;
}

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_gguf-%d.gguf", (int)getpid());
    if (write_file(path) < 0)
        return -1;
    FILE *f = fopen(path, "rb");
    bytes = mem_alloc(65536);
    n_bytes = f ? fread(bytes, 1, 65536, f) : 0;
    if (f)
        fclose(f);
    return n_bytes > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    mem_free(bytes);
    return unlink(path);
}

static void check_scalars(const struct gguf *g)
{
    int64_t i = 1;
    double d;
    bool b = false;
    const char *s;
    struct err e = {0};
    assert_int_equal(gguf_get_int(g, "i.u32", 0, INT64_MAX, &i, &e), 0);
    assert_true(i == 4000000000);
    assert_int_equal(gguf_get_int(g, "i.i32", -7, 0, &i, &e), 0);
    assert_true(i == -7);
    assert_int_equal(gguf_get_int(g, "i.i64", INT64_MIN, 0, &i, &e), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(gguf_get_int(g, "i.i32", 0, 9, &i, &e), ERR_FORMAT);
    assert_int_equal(gguf_get_int(g, "none", 0, 9, &i, &e), ERR_NOT_FOUND);
    assert_int_equal(gguf_get_int(g, "b.none", 0, 9, &i, NULL), ERR_NOT_FOUND);
    assert_int_equal(gguf_get_int(g, "words", 0, 9, &i, &e), ERR_FORMAT);
    assert_true(i == INT64_MIN);
    assert_int_equal(gguf_get_float(g, "f", &d, &e), 0);
    assert_true(d == 1.5);
    assert_int_equal(gguf_get_bool(g, "b", &b, &e), 0);
    assert_true(b);
    assert_int_equal(gguf_get_bool(g, "f", &b, &e), ERR_FORMAT);
    assert_int_equal(gguf_get_string(g, "general.architecture", &s, &e), 0);
    assert_string_equal(s, "test");
    assert_int_equal(gguf_get_string(g, "f", &s, &e), ERR_FORMAT);
}

static void check_arrays(const struct gguf *g)
{
    enum gguf_kind kind;
    size_t n;
    int32_t v[3];
    const char *s;
    struct err e = {0};
    assert_int_equal(gguf_array_len(g, "ints", &kind, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(gguf_array_ints(g, "ints", v, 3, &e), 0);
    assert_int_equal(v[0], 3);
    assert_int_equal(v[1], -1);
    assert_int_equal(v[2], 4);
    assert_true(gguf_array_ints(g, "words", v, 3, &e) < 0);
    assert_int_equal(gguf_array_len(g, "words", &kind, &n, &e), 0);
    assert_int_equal(kind, GGUF_STRING);
    assert_int_equal(gguf_array_string(g, "words", 2, &s, &n), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(s, "three", 5);
    assert_int_equal(gguf_array_string(g, "words", 1, &s, &n), 0);
    assert_int_equal(n, 0);
    assert_true(gguf_array_string(g, "words", 3, &s, &n) < 0);
}

static void test_read_back(void **state)
{
    (void)state;
    struct gguf *g;
    struct err e = {0};
    assert_int_equal(gguf_open(path, &g, &e), 0);
    assert_string_equal(gguf_path(g), path);
    assert_int_equal(gguf_file_bytes(g), n_bytes);
    check_scalars(g);
    check_arrays(g);
    assert_int_equal(gguf_n_tensors(g), 2);
    const struct gguf_tensor *a = gguf_find(g, "a"), *b = gguf_find(g, "b");
    assert_non_null(a);
    assert_non_null(b);
    assert_null(gguf_find(g, "c"));
    assert_int_equal(a->n_dim, 2);
    assert_int_equal(a->ne[0], 3);
    assert_int_equal(a->ne[1], 2);
    assert_int_equal(a->n_bytes, 24);
    assert_true(((const float *)a->data)[5] == 6 && ((const float *)b->data)[1] == 8);
    assert_int_equal((uintptr_t)b->data % 32, 0);
    gguf_drop(g, a);
    gguf_close(g);
    gguf_close(NULL);
}

/* Touch all that an opened file offers: the sanitizers see what lies outside. */
static void read_all(const struct gguf *g)
{
    enum gguf_kind kind, of;
    const char *key, *s;
    size_t n, len;
    int64_t v;
    double d;
    unsigned sum = 0;
    for (int i = 0; (key = gguf_key_at(g, i, &kind)); i++) {
        gguf_get_int(g, key, INT64_MIN, INT64_MAX, &v, NULL);
        gguf_get_float(g, key, &d, NULL);
        gguf_get_string(g, key, &s, NULL);
        if (gguf_array_len(g, key, &of, &n, NULL) == 0 && of == GGUF_STRING)
            for (size_t k = 0; k < n; k++)
                if (gguf_array_string(g, key, k, &s, &len) == 0)
                    sum += len ? (unsigned char)s[len - 1] : 0;
    }
    for (int i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        sum += (unsigned)strlen(t->name);
        for (size_t k = 0; k < t->n_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
    }
    assert_true(sum < 1u << 30);
}

static void try_bytes(const unsigned char *data, size_t n)
{
    struct gguf *g;
    struct err e = {0};
    unsigned char *copy = mem_alloc(n); /* exactly n: a byte more is an over-read */
    memcpy(copy, data, n);
    int rc = gguf_open_memory(copy, n, &g, &e);
    if (rc == 0) {
        read_all(g);
        gguf_close(g);
    } else {
        assert_int_equal(rc, e.code);
        assert_true(e.msg[0] != 0);
    }
    mem_free(copy);
}

static void test_truncated(void **state)
{
    (void)state;
    struct gguf *g;
    for (size_t n = 0; n < n_bytes; n++)
        try_bytes(bytes, n);
    assert_true(gguf_open_memory(bytes, n_bytes / 2, &g, NULL) < 0);
    assert_true(gguf_open_memory(bytes, 0, &g, NULL) < 0);
}

static void test_flipped(void **state)
{
    (void)state;
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < n_bytes; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            bytes[i] ^= masks[k];
            try_bytes(bytes, n_bytes);
            bytes[i] ^= masks[k];
        }
}

/* Counts and versions over any limit. */
static void test_limits(void **state)
{
    (void)state;
    static const size_t places[] = {4, 8, 16};
    struct gguf *g;
    for (size_t i = 0; i < 3; i++) {
        unsigned char saved[8];
        struct err e = {0};
        size_t n = places[i] == 4 ? 4 : 8;
        memcpy(saved, bytes + places[i], n);
        memset(bytes + places[i], 0x7f, n);
        assert_true(gguf_open_memory(bytes, n_bytes, &g, &e) < 0);
        memcpy(bytes + places[i], saved, n);
    }
}

static void test_files(void **state)
{
    (void)state;
    struct gguf *g;
    struct gguf_writer *w;
    struct err e = {0};
    assert_int_equal(gguf_open("/proc/nonexistent/model.gguf", &g, &e), ERR_NOT_FOUND);
    assert_true(gguf_open("/tmp", &g, &e) < 0);
    assert_true(write_file("/proc/nonexistent/model.gguf") < 0);
    /* An unfinished writer leaves the old file as it was. */
    assert_int_equal(gguf_writer_new(path, &w, &e), 0);
    gguf_writer_free(w);
    assert_int_equal(gguf_open(path, &g, &e), 0);
    assert_int_equal(gguf_n_tensors(g), 2);
    gguf_close(g);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct gguf *g;
    for (long n = 0; n < 60; n++) {
        mem_fail_after(n);
        int rc = gguf_open(path, &g, NULL);
        mem_fail_after(-1);
        if (rc == 0)
            gguf_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_back), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
