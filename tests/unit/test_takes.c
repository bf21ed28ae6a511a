/* Takes: what is kept is found whole or not at all; what decides a sound decides its name. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "jabbertts.h"
#include "store/takes.h"

static char dir[64];

static struct takes *fresh(size_t limit)
{
    struct err e = {0};
    struct takes *t = NULL;
    snprintf(dir, sizeof dir, "/tmp/test_takes.XXXXXX");
    assert_non_null(mkdtemp(dir));
    if (takes_open(dir, limit, &t, &e) < 0)
        fail_msg("%s", e.msg);
    return t;
}

static void clear(struct takes *t)
{
    char command[128];
    takes_close(t);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* The i-th name. */
static const char *name(int i)
{
    static char names[4][TAKES_NAME + 1];
    static int next;
    char *s = names[next++ % 4];
    snprintf(s, TAKES_NAME + 1, "%064x", (unsigned)i);
    return s;
}

static const char *path_of(const char *what)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s.take", dir, what);
    return path;
}

static bool keep(struct takes *t, int i, const char *text)
{
    struct take_writer *w = takes_begin(t, name(i), "text/plain");
    takes_write(w, text, strlen(text));
    return takes_end(w, NULL, 0);
}

/* "": not there. */
static const char *found(struct takes *t, int i)
{
    static char text[4096];
    struct stored_take take;
    text[0] = 0;
    if (!takes_find(t, name(i), &take))
        return text;
    ssize_t n = pread(take.fd, text, sizeof text - 1, take.offset);
    assert_int_equal(n, take.n_bytes);
    assert_string_equal(take.type, "text/plain");
    text[n] = 0;
    close(take.fd);
    return text;
}

static void test_kept(void **state)
{
    struct takes *t = fresh(1 << 20);
    struct takes_counts c;
    (void)state;
    assert_string_equal(found(t, 1), "");
    struct take_writer *w = takes_begin(t, name(1), "text/plain");
    takes_write(w, "????", 4);
    assert_string_equal(found(t, 1), ""); /* not yet */
    takes_write(w, " and more", 9);
    assert_true(takes_end(w, "some", 4));
    assert_string_equal(found(t, 1), "some and more");
    takes_write(w = takes_begin(t, name(2), "text/plain"), "half", 4);
    takes_drop(w);
    assert_string_equal(found(t, 2), "");
    takes_drop(NULL);
    takes_write(NULL, "x", 1);
    assert_false(takes_end(NULL, NULL, 0));
    assert_true(keep(t, 1, "another")); /* as a second one at the same time would */
    assert_string_equal(found(t, 1), "another");
    takes_count(t, &c);
    assert_int_equal(c.n_hit, 2);
    assert_int_equal(c.n_miss, 3);
    assert_int_equal(c.n_kept, 2);
    assert_int_equal(c.n_lost, 0);
    assert_true(takes_is_name(name(7)));
    assert_false(takes_is_name("../../etc/passwd"));
    assert_false(takes_is_name(""));
    clear(t);
}

/* Whatever a byte of the file becomes, and wherever it ends, it is the take or nothing. */
static void test_damage(void **state)
{
    static const char text[] = "what was said";
    const int n = (int)(sizeof(struct take_header) + sizeof text - 1);
    struct takes *t = fresh(1 << 20);
    (void)state;
    for (int i = 0; i < 2 * n; i++) {
        assert_true(keep(t, 1, text));
        int fd = open(path_of(name(1)), O_RDWR);
        char x;
        assert_int_equal(pread(fd, &x, 1, i / 2), 1);
        x ^= 0x40;
        if (i % 2)
            assert_int_equal(ftruncate(fd, i / 2), 0);
        else
            assert_int_equal(pwrite(fd, &x, 1, i / 2), 1);
        close(fd);
        assert_string_equal(found(t, 1), "");
        assert_int_equal(access(path_of(name(1)), F_OK), -1);
    }
    assert_int_equal(mkdir(path_of(name(3)), 0700), 0);
    assert_string_equal(found(t, 3), ""); /* no file at all */
    clear(t);
}

static void test_limit(void **state)
{
    enum { N = 20, BYTES = 1000 };
    char text[BYTES + 1];
    struct takes_counts c;
    const size_t each = BYTES + sizeof(struct take_header), limit = 10 * each;
    struct takes *t = fresh(limit), *other;
    (void)state;
    memset(text, 'x', BYTES);
    text[BYTES] = 0;
    for (int i = 0; i < N; i++) {
        assert_true(keep(t, i, text));
        assert_string_equal(found(t, 0), text); /* in use */
        usleep(11000);                          /* a file's time may be so coarse */
    }
    takes_count(t, &c);
    assert_in_range(c.bytes, 8 * each, limit);
    assert_int_equal(c.n_evicted + c.bytes / each, N);
    assert_string_equal(found(t, 1), "");
    assert_string_equal(found(t, N - 1), text);
    struct take_writer *w = takes_begin(t, name(99), "text/plain");
    for (int i = 0; i < 12; i++)
        takes_write(w, text, BYTES);
    assert_false(takes_end(w, NULL, 0)); /* larger than all */
    assert_int_equal(access(path_of(name(99)), F_OK), -1);
    assert_string_equal(found(t, N - 1), text);
    /* Who opens it with less room makes less of it. */
    assert_int_equal(takes_open(dir, 3 * each, &other, NULL), 0);
    takes_count(other, &c);
    assert_in_range(c.bytes, 2 * each, 3 * each);
    takes_close(other);
    clear(t);
}

/* Files of writers that are alive stay; those of the dead go. */
static void test_sweep(void **state)
{
    char dead[300];
    struct takes *t = fresh(1 << 20), *other;
    struct take_writer *w = takes_begin(t, name(5), "text/plain");
    (void)state;
    snprintf(dead, sizeof dead, "%s.4711-0", path_of(name(6)));
    close(open(dead, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(takes_open(dir, 1 << 20, &other, NULL), 0);
    assert_int_equal(access(dead, F_OK), -1);
    takes_write(w, "alive", 5);
    assert_true(takes_end(w, NULL, 0));
    assert_string_equal(found(other, 5), "alive");
    takes_close(other);
    clear(t);
}

/* --- names --- */

static struct jabbertts *tts;

static void take_name(const struct jabbertts_request *r, const char *also, char ret[65])
{
    struct jabbertts_encoder_options o = {.format = "mp3"};
    struct jabbertts_error e;
    if (jabbertts_take_name(tts, r, &o, also, ret, &e) < 0)
        fail_msg("%s", e.message);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_names(void **state)
{
    char lexicon[] = "/tmp/test_takes_lexicon.XXXXXX", base[65], other[65];
    struct jabbertts_encoder_options o = {.format = "mp3"};
    struct jabbertts_options options;
    struct jabbertts_request r;
    struct jabbertts_error e;
    (void)state;
    close(mkstemp(lexicon));
    write_file(lexicon, "nginx = engine ex\n");
    jabbertts_options_init(&options);
    options.model = "models/jabber-tiny.gguf";
    options.lexicon = lexicon;
    if (jabbertts_open(&options, &tts, &e) < 0)
        fail_msg("%s", e.message);
    jabbertts_request_init(&r);
    r.text = "Hello.";
    take_name(&r, NULL, base);
    take_name(&r, "", other);
    assert_string_not_equal(base, other);
    r.voice = jabbertts_voice_default(tts); /* a name for the same clips */
    r.deadline_s = 5;
    r.owner = "somebody";
    take_name(&r, NULL, other);
    assert_string_equal(base, other);
    r.language = "German";
    take_name(&r, NULL, other);
    assert_string_not_equal(base, other);
    r.language = "de";
    take_name(&r, NULL, base);
    assert_string_equal(base, other);
    write_file(lexicon, "nginx = engine X\n\n");
    take_name(&r, NULL, other);
    assert_string_not_equal(base, other);
    r.text = "<speak><voice name='nova'>Hi.</voice></speak>";
    assert_int_equal(jabbertts_take_name(tts, &r, &o, NULL, other, &e), JABBERTTS_ERR_UNSUPPORTED);
    r.text = "Hello.";
    r.model = "espeak-ng";
    assert_int_equal(jabbertts_take_name(tts, &r, &o, NULL, other, &e), JABBERTTS_ERR_UNSUPPORTED);
    r.model = NULL;
    r.voice = "nobody at all";
    assert_int_equal(jabbertts_take_name(tts, &r, &o, NULL, other, &e), JABBERTTS_ERR_NOT_FOUND);
    jabbertts_close(tts);
    unlink(lexicon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),  cmocka_unit_test(test_damage), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_sweep), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
