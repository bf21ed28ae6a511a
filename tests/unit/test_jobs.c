/* Files, batches and items: claims, leases that are lost, one answer; whose line is next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "server/runner.h"
#include "store/db.h"
#include "store/jobs.h"

static char directory[64], path[128];

static struct jobs *fresh(void)
{
    struct err e = {0};
    struct jobs *j = NULL;
    snprintf(directory, sizeof directory, "/tmp/test_jobs.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/jobs.sqlite", directory);
    if (jobs_open(path, &j, &e) < 0)
        fail_msg("%s", e.msg);
    return j;
}

static void clear(struct jobs *j)
{
    char command[128];
    jobs_close(j);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

/* A batch in progress with n items. */
static void with_items(struct jobs *j, int n, char batch[JOBS_ID_BYTES])
{
    struct err e = {0};
    char file[JOBS_ID_BYTES];
    int64_t duplicate;
    const struct jobs_file f = {.owner = "me", .name = "in.jsonl", .purpose = "batch"};
    assert_int_equal(jobs_add_file(j, &f, "{}\n", 3, file, &e), 0);
    const struct jobs_batch b = {
        .owner = "me", .input = file, .window = "24h", .metadata = "", .window_s = 86400};
    assert_int_equal(jobs_add_batch(j, &b, 10, batch, &e), 0);
    for (int i = 1; i <= n; i++) {
        char custom[16];
        snprintf(custom, sizeof custom, "\"%d\"", i);
        const struct jobs_item item = {i, custom, (char[]){"{}"}};
        assert_int_equal(jobs_add_items(j, batch, &item, 1, &duplicate, &e), 0);
        assert_int_equal(duplicate, 0);
    }
    assert_int_equal(jobs_validated(j, batch, n, NULL, &e), 1);
}

static int finish(struct jobs *j, const char *batch, const char *runner, int64_t line, bool failed)
{
    char id[JOBS_ID_BYTES];
    jobs_make_id("file-", id);
    const struct jobs_file sound = {
        .id = id, .owner = "me", .name = "1.wav", .purpose = "batch_sound", .batch = batch};
    const struct jobs_done d = {.batch = batch,
                                .runner = runner,
                                .line = line,
                                .answer = "{\"a\":1}",
                                .failed = failed,
                                .sound = failed ? NULL : &sound,
                                .data = "sound",
                                .n = 5};
    return jobs_finish(j, &d, NULL);
}

static void count(void *cookie, const struct jobs_file *f)
{
    (void)f;
    ++*(int *)cookie;
}

static int n_sound(struct jobs *j)
{
    int n = 0;
    const struct jobs_page p = {.owner = "me", .purpose = "batch_sound", .limit = 100};
    assert_int_equal(jobs_list_files(j, &p, count, &n, NULL), 0);
    return n;
}

struct seen {
    enum jobs_status status;
    int64_t n_done, n_failed;
    char output[JOBS_ID_BYTES];
};

static void see(void *cookie, const struct jobs_batch *b)
{
    struct seen *s = cookie;
    s->status = b->status;
    s->n_done = b->n_done;
    s->n_failed = b->n_failed;
    snprintf(s->output, sizeof s->output, "%s", b->output);
}

static void to_its_end(void **state)
{
    struct jobs *j = fresh();
    struct jobs_item item;
    struct jobs_reader reader;
    struct seen s;
    struct buf b;
    char batch[JOBS_ID_BYTES];
    (void)state;
    with_items(j, 2, batch);
    assert_int_equal(jobs_settle(j, batch, NULL), 0); /* lines wait */
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(jobs_claim(j, batch, "a", &item, NULL), 1);
        assert_int_equal(item.line, i);
        jobs_item_done(&item);
        assert_int_equal(finish(j, batch, "a", i, i == 2), 0);
    }
    assert_int_equal(jobs_claim(j, batch, "a", &item, NULL), 0);
    assert_int_equal(jobs_settle(j, batch, NULL), 1);
    assert_int_equal(jobs_get_batch(j, "me", batch, see, &s, NULL), 0);
    assert_int_equal(s.status, JOBS_COMPLETED);
    assert_true(s.n_done == 1 && s.n_failed == 1);
    buf_init(&b, 1000);
    assert_int_equal(jobs_open_file(j, "me", s.output, &reader, NULL), 0);
    while (jobs_read(j, &reader, &b, NULL) == 1)
        ;
    assert_string_equal(buf_str(&b), "{\"a\":1}\n");
    buf_done(&b);
    assert_int_equal(jobs_get_batch(j, "you", batch, see, &s, NULL), ERR_NOT_FOUND);
    assert_int_equal(jobs_cancel(j, "me", batch, NULL), ERR_ARGUMENT);
    clear(j);
}

/* The lease of a runner ends: another has its line, and what the first brings is not taken. */
static void lost_claim(void **state)
{
    struct jobs *j = fresh();
    struct jobs_item item;
    struct db_pool *pool;
    char batch[JOBS_ID_BYTES];
    (void)state;
    with_items(j, 1, batch);
    assert_int_equal(jobs_claim(j, batch, "a", &item, NULL), 1);
    jobs_item_done(&item);
    assert_int_equal(jobs_claim(j, batch, "b", &item, NULL), 0);
    assert_int_equal(db_open(path, &pool, NULL), 0);
    assert_int_equal(db_once(pool, NULL, "UPDATE item SET lease = 1", ""), 1);
    assert_int_equal(jobs_claim(j, batch, "b", &item, NULL), 1);
    jobs_item_done(&item);
    assert_int_equal(finish(j, batch, "a", 1, false), ERR_CANCELLED);
    assert_int_equal(n_sound(j), 0);
    assert_int_equal(finish(j, batch, "b", 1, false), 0);
    assert_int_equal(finish(j, batch, "b", 1, false), ERR_CANCELLED);
    assert_int_equal(n_sound(j), 1);
    db_close(pool);
    clear(j);
}

/* Who leads is the only one; after its end its claims are free at once. */
static void one_leads(void **state)
{
    struct jobs *j = fresh(), *other;
    struct jobs_item item;
    char batch[JOBS_ID_BYTES];
    (void)state;
    with_items(j, 1, batch);
    assert_int_equal(jobs_open(path, &other, NULL), 0);
    assert_true(jobs_lead(j));
    assert_false(jobs_lead(other));
    assert_int_equal(jobs_claim(j, batch, "a", &item, NULL), 1);
    jobs_item_done(&item);
    jobs_close(j);
    assert_int_equal(jobs_claim(other, batch, "b", &item, NULL), 0);
    assert_true(jobs_lead(other));
    assert_int_equal(jobs_claim(other, batch, "b", &item, NULL), 1);
    jobs_item_done(&item);
    assert_int_equal(jobs_release(other, batch, 1, "b", NULL), 1);
    assert_int_equal(jobs_claim(other, batch, "b", &item, NULL), 1);
    jobs_item_done(&item);
    clear(other);
}

static void large_files(void **state)
{
    struct jobs *j = fresh();
    struct jobs_reader r;
    struct buf b;
    size_t n = 3 * JOBS_CHUNK_BYTES + 7;
    char *data = malloc(n), id[JOBS_ID_BYTES];
    const struct jobs_file f = {.name = "x", .purpose = "batch"};
    (void)state;
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(i * 31 >> 3);
    assert_int_equal(jobs_add_file(j, &f, data, n, id, NULL), 0);
    buf_init(&b, n);
    assert_int_equal(jobs_open_file(j, "", id, &r, NULL), 0);
    while (jobs_read(j, &r, &b, NULL) == 1)
        ;
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, data, n);
    assert_int_equal(jobs_remove_file(j, NULL, id, NULL), 0);
    buf_clear(&b);
    r.at = -1;
    assert_int_equal(jobs_read(j, &r, &b, NULL), 0);
    buf_done(&b);
    free(data);
    clear(j);
}

static void whose_turn(void **state)
{
    static const struct {
        struct runner_batch b[4];
        int n, want;
    } cases[] = {
        {{{"a", 0, false}, {"b", 0, false}}, 2, 0}, /* the oldest */
        {{{"a", 1, false}, {"b", 0, false}}, 2, 1}, /* the other's turn */
        {{{"a", 1, false}, {"a", 0, false}, {"b", 0, false}},
         3,
         2},                                                        /* many batches are one share */
        {{{"a", 3, false}, {"b", 1, true}}, 2, 0},                  /* b has nothing that waits */
        {{{"a", 1, true}, {"a", 0, false}, {"b", 2, false}}, 3, 1}, /* a's next batch */
        {{{"a", 1, true}, {"b", 1, true}}, 2, -1},
        {{{"", 0, true}}, 0, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(runner_choose(cases[i].b, cases[i].n), cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_its_end),  cmocka_unit_test(lost_claim), cmocka_unit_test(one_leads),
        cmocka_unit_test(large_files), cmocka_unit_test(whose_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
