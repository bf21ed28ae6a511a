/* Checkpoints: the nano model's archives, damaged copies, a hostile index, small safetensors files.
 * Run from the root. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zip.h>

#include "base/mem.h"
#include "formats/checkpoint.h"
#include "kernels/kern.h"
#include "base/mem_test.h"

#define NANO "tests/golden/s1-nano/checkpoint/"

static char path[64];

static int setup(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/test_checkpoint-%d", (int)getpid());
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void write_bytes(const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

/* Header, its length as claimed, and n bytes of data. */
static void write_safetensors(const char *header, uint64_t length, const void *data, size_t n)
{
    unsigned char head[8];
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < 8; i++)
        head[i] = (unsigned char)(length >> (8 * i));
    fwrite(head, 1, 8, f);
    fwrite(header, 1, strlen(header), f);
    if (n > 0)
        fwrite(data, 1, n, f);
    fclose(f);
}

static void check_archive(const char *name)
{
    struct checkpoint *c;
    struct err e = {0};
    int n_read = 0;
    assert_int_equal(checkpoint_open(name, &c, &e), 0);
    assert_true(checkpoint_n(c) > 10);
    assert_null(checkpoint_at(c, -1));
    assert_null(checkpoint_at(c, checkpoint_n(c)));
    assert_null(checkpoint_find(c, "no such tensor"));
    for (int i = 0; i < checkpoint_n(c); i++) {
        struct checkpoint_tensor *t = checkpoint_at(c, i);
        size_t product = 1;
        float *v;
        assert_ptr_equal(checkpoint_find(c, t->name), t);
        assert_in_range(t->n_dim, 0, CHECKPOINT_MAX_DIMS);
        for (int d = 0; d < t->n_dim; d++)
            product *= (size_t)t->shape[d];
        assert_int_equal(product, t->n);
        if (t->type < 0 || t->n == 0 || n_read++ > 3)
            continue;
        assert_int_equal(checkpoint_read(c, t, &v, &e), 0);
        assert_true(isfinite(v[0]) && isfinite(v[t->n - 1]));
        mem_free(v);
    }
    assert_true(n_read > 0);
    checkpoint_close(c);
}

static void test_archives(void **state)
{
    (void)state;
    check_archive(NANO "model.pth");
    check_archive(NANO "codec.pth");
}

static void test_truncated(void **state)
{
    (void)state;
    FILE *f = fopen(NANO "model.pth", "rb");
    size_t cap = 4 << 20;
    unsigned char *all = mem_alloc(cap);
    assert_non_null(f);
    size_t n = fread(all, 1, cap, f);
    fclose(f);
    const size_t lengths[] = {0, 1, 4, 7, 8, 100, 5000, n / 2, n - 1000, n - 22, n - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct checkpoint *c;
        struct err e = {0};
        write_bytes(all, lengths[i]);
        assert_true(checkpoint_open(path, &c, &e) < 0);
        assert_true(e.msg[0] != 0);
    }
    mem_free(all);
}

#define PICKLE(s) (const unsigned char *)(s), sizeof(s) - 1
#define TENSOR_HEAD                                                                                \
    "\x80\x02}X\1\0\0\0a"                                                                          \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"                                        \
    "ctorch\nFloatStorage\nX\1\0\0\0"                                                              \
    "0X\3\0\0\0cpuK\4tQK\0"
#define TENSOR_TAIL                                                                                \
    "\x89"                                                                                         \
    "ccollections\nOrderedDict\n)RtRs"

static void test_pickle(void **state)
{
    (void)state;
    struct checkpoint_tensor *list = NULL;
    int n = 0;
    struct err e = {0};
    assert_int_equal(
        pickle_read(PICKLE(TENSOR_HEAD "K\2K\2\x86K\2K\1\x86" TENSOR_TAIL "."), &list, &n, &e), 0);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].name, "a");
    assert_string_equal(list[0].key, "0");
    assert_int_equal(list[0].type, KERN_F32);
    assert_int_equal(list[0].n, 4);
    assert_int_equal(list[0].strided, 0);
    checkpoint_tensors_free(list, n);
    /* Transposed, and every second column of a wider one. */
    assert_int_equal(
        pickle_read(PICKLE(TENSOR_HEAD "K\2K\3\x86K\1K\2\x86" TENSOR_TAIL "."), &list, &n, &e), 0);
    assert_true(list[0].strided && list[0].span == 6);
    checkpoint_tensors_free(list, n);
    assert_int_equal(
        pickle_read(PICKLE(TENSOR_HEAD "K\2K\3\x86K\6K\2\x86" TENSOR_TAIL "."), &list, &n, &e), 0);
    assert_true(list[0].strided && list[0].span == 11);
    checkpoint_tensors_free(list, n);
    /* Expanded: its values overlap; listed, but not to be read. */
    assert_int_equal(
        pickle_read(PICKLE(TENSOR_HEAD "K\2K\3\x86K\0K\1\x86" TENSOR_TAIL "."), &list, &n, &e), 0);
    assert_int_equal(list[0].type, -1);
    checkpoint_tensors_free(list, n);
}

/* An archive with this index and these values in its one storage. */
static void write_archive(const unsigned char *index, size_t n_index, const float *values, size_t n)
{
    int code;
    unlink(path);
    zip_t *z = zip_open(path, ZIP_CREATE, &code);
    assert_non_null(z);
    assert_true(zip_file_add(z, "m/data.pkl", zip_source_buffer(z, index, n_index, 0), 0) >= 0);
    zip_int64_t i = zip_file_add(z, "m/data/0", zip_source_buffer(z, values, n * 4, 0), 0);
    assert_true(i >= 0);
    assert_int_equal(
        zip_set_file_compression(z, (zip_uint64_t)i, n % 2 ? ZIP_CM_STORE : ZIP_CM_DEFLATE, 0), 0);
    assert_int_equal(zip_close(z), 0);
}

static void test_strided(void **state)
{
    (void)state;
    static const float values[13] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    /* offset 0, [2, 3], strides (6, 2): compressed; then transposed, stored */
    static const float want[2][6] = {{0, 2, 4, 6, 8, 10}, {0, 2, 4, 1, 3, 5}};
    struct checkpoint *c;
    struct err e = {0};
    for (int k = 0; k < 2; k++) {
        float *v;
        if (k == 0)
            write_archive(PICKLE(TENSOR_HEAD "K\2K\3\x86K\6K\2\x86" TENSOR_TAIL "."), values, 12);
        else
            write_archive(PICKLE(TENSOR_HEAD "K\2K\3\x86K\1K\2\x86" TENSOR_TAIL "."), values, 13);
        assert_int_equal(checkpoint_open(path, &c, &e), 0);
        assert_int_equal(checkpoint_read(c, checkpoint_at(c, 0), &v, &e), 0);
        assert_memory_equal(v, want[k], sizeof want[k]);
        mem_free(v);
        checkpoint_close(c);
    }
}

/* A tensor of 2^37 values in a storage of two: refused before memory is asked for. */
static void test_short_member(void **state)
{
    (void)state;
    static const float values[3] = {1, 2, 3};
    for (size_t n = 2; n < 4; n++) {
        struct checkpoint *c;
        struct err e = {0};
        float *v;
        write_archive(PICKLE(TENSOR_HEAD "\x8a\5\0\0\0\0\x20K\1\x86K\1K\1\x86" TENSOR_TAIL "."),
                      values, n);
        assert_int_equal(checkpoint_open(path, &c, &e), 0);
        assert_int_equal(checkpoint_at(c, 0)->n, (size_t)1 << 37);
        mem_fail_after(2); /* the reader, but no values */
        assert_int_equal(checkpoint_read(c, checkpoint_at(c, 0), &v, &e), ERR_FORMAT);
        mem_fail_after(-1);
        checkpoint_close(c);
    }
}

static void test_hostile_pickle(void **state)
{
    (void)state;
    static const struct {
        const unsigned char *data;
        size_t n;
        int code;
    } cases[] = {
        {PICKLE("cos\nsystem\n(X\2\0\0\0idtR."), ERR_UNSUPPORTED},
        {PICKLE("\x80\4\x8c\2os\x8c\6system\x93\x8c\2id\x85R."), ERR_UNSUPPORTED},
        {PICKLE(""), ERR_FORMAT},
        {PICKLE("."), ERR_FORMAT},
        {PICKLE("}"), ERR_FORMAT},
        {PICKLE("K\1."), ERR_FORMAT},
        {PICKLE("h\5."), ERR_FORMAT},
        {PICKLE("\x87."), ERR_FORMAT},
        /* 16 MB for eight bytes */
        {PICKLE("K\1r\x0a\0\x3f\0."), ERR_LIMIT},
        {PICKLE("X\xff\xff\xff\xff"
                "a."),
         ERR_FORMAT},
        /* dimensions whose product does not fit */
        {PICKLE(TENSOR_HEAD "K\0\x8a\x8\0\0\0\0\0\0\0\x40\x8a\x8\0\0\0\0\0\0\0\x40\x87"
                            "K\1K\1K\1\x87" TENSOR_TAIL "."),
         ERR_FORMAT},
        {PICKLE(TENSOR_HEAD "J\xff\xff\xff\xffK\2\x86K\2K\1\x86" TENSOR_TAIL "."), ERR_FORMAT},
        /* a shape that grows behind its tensor's back */
        {PICKLE(TENSOR_HEAD "K\2K\2\x86q\1K\2K\1\x86" TENSOR_TAIL "h\1K\1K\1s0."), ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint_tensor *list = NULL;
        int n = 0;
        struct err e = {0};
        assert_int_equal(pickle_read(cases[i].data, cases[i].n, &list, &n, &e), cases[i].code);
        assert_int_equal(e.code, cases[i].code);
    }
}

static void test_safetensors(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
        "\"c\":{\"dtype\":\"I8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,1]}}";
    static const unsigned char data[12] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0x80, 0x3f, 0, 0xc0};
    struct checkpoint *c;
    struct err e = {0};
    float *v;
    write_safetensors(header, sizeof header - 1, data, sizeof data);
    assert_int_equal(checkpoint_open(path, &c, &e), 0);
    assert_int_equal(checkpoint_n(c), 3);
    assert_int_equal(checkpoint_read(c, checkpoint_find(c, "a"), &v, &e), 0);
    assert_true(v[0] == 1 && v[1] == 2);
    mem_free(v);
    assert_int_equal(checkpoint_read(c, checkpoint_find(c, "b"), &v, &e), 0);
    assert_true(v[0] == 1 && v[1] == -2);
    mem_free(v);
    assert_int_equal(checkpoint_read(c, checkpoint_find(c, "c"), &v, &e), ERR_UNSUPPORTED);
    checkpoint_close(c);
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Two files behind an index; then indices that lead nowhere. */
static void test_sharded(void **state)
{
    (void)state;
    static const float data[2] = {3, 4};
    static const char *const hostile[] = {"",
                                          "{}",
                                          "{\"weight_map\": {}}",
                                          "{\"weight_map\": {\"a\": 1}}",
                                          "{\"weight_map\": {\"a\": \"../../etc/passwd\"}}",
                                          "{\"weight_map\": {\"a\": \"..\"}}",
                                          "{\"weight_map\": {\"a\": \"no-such-file\"}}"};
    char shard[2][96], index[96], text[512];
    const char *base = strrchr(path, '/') + 1;
    struct checkpoint *c;
    struct err e = {0};
    float *v;
    for (int i = 0; i < 2; i++) {
        snprintf(shard[i], sizeof shard[i], "%s-%d", path, i);
        snprintf(text, sizeof text,
                 "{\"t%d\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%d,%d]}}", i, 4 * i,
                 4 * i + 4);
        write_safetensors(text, strlen(text), data, sizeof data);
        assert_int_equal(rename(path, shard[i]), 0);
    }
    snprintf(index, sizeof index, "%s.index.json", path);
    snprintf(text, sizeof text,
             "{\"metadata\":{},\"weight_map\":{\"t0\":\"%s-0\",\"t1\":\"%s-1\"}}", base, base);
    write_text(index, text);
    assert_int_equal(checkpoint_open(index, &c, &e), 0);
    assert_int_equal(checkpoint_n(c), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(checkpoint_read(c, checkpoint_find(c, i ? "t1" : "t0"), &v, &e), 0);
        assert_true(v[0] == data[i]);
        mem_free(v);
    }
    checkpoint_close(c);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        write_text(index, hostile[i]);
        assert_true(checkpoint_open(index, &c, &e) < 0);
    }
    unlink(shard[0]);
    unlink(shard[1]);
    unlink(index);
}

static void test_hostile_safetensors(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        uint64_t length;
    } cases[] = {
        {"{}", 0},
        {"{}", 1},
        {"{}", 3},
        {"{}", UINT64_MAX},
        {"{}", 1ull << 63},
        {"[]", 2},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint *c;
        struct err e = {0};
        uint64_t length = i < 6 ? cases[i].length : strlen(cases[i].header);
        write_safetensors(cases[i].header, length, NULL, 0);
        if (i >= 6) {
            static const float two[2] = {1, 2};
            write_safetensors(cases[i].header, length, two, sizeof two);
        }
        assert_int_equal(checkpoint_open(path, &c, &e), ERR_FORMAT);
    }
}

static void test_files(void **state)
{
    (void)state;
    struct checkpoint *c;
    struct err e = {0};
    assert_int_equal(checkpoint_open("/nonexistent.pth", &c, &e), ERR_NOT_FOUND);
    assert_true(checkpoint_open("/tmp", &c, &e) < 0);
    checkpoint_close(NULL);
}

/* Each allocation in turn. */
static void test_no_memory(void **state)
{
    (void)state;
    struct checkpoint *c;
    for (int rc = ERR_MEMORY, n = 0; rc < 0; n++) {
        struct err e = {0};
        mem_fail_after(n);
        rc = checkpoint_open(NANO "model.pth", &c, &e);
        mem_fail_after(-1);
        assert_int_equal(rc, e.code);
        if (rc == 0)
            checkpoint_close(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archives),    cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_pickle),      cmocka_unit_test(test_hostile_pickle),
        cmocka_unit_test(test_safetensors), cmocka_unit_test(test_hostile_safetensors),
        cmocka_unit_test(test_strided),     cmocka_unit_test(test_short_member),
        cmocka_unit_test(test_sharded),     cmocka_unit_test(test_files),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
