/* The server's parsers and tables, without a server: fields, keys, routes, near words. */
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
#include "base/near.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/params.h"
#include "server/route.h"

static const struct param_limits limits = {20, false};

static int parse(const char *s, struct speech_params *p, struct api_error *e)
{
    return params_parse(s, strlen(s), &limits, p, e);
}

static void params_defaults(void **state)
{
    struct speech_params p;
    struct api_error e;
    (void)state;
    assert_int_equal(
        parse("{\"model\":\"m\",\"input\":\"\\u00e9\\ud83d\\ude00\",\"voice\":\"v\"}", &p, &e), 0);
    assert_string_equal(p.request.voice, "v");
    assert_int_equal(p.n_char, 2); /* code points, not bytes and not UTF-16 units */
    assert_string_equal(p.encoder.format, "mp3");
    assert_false(p.stream_format);
    assert_true(p.stream);
    assert_true(p.request.temperature < 0 && p.request.top_p < 0);
    assert_true(p.request.repetition_penalty < 0 && p.request.seed == 0);
    assert_true(p.encoder.speed == 0 && p.encoder.out_hz == 0); /* 1, and the format's */
    assert_true(!p.request.language && !p.request.instructions);
    assert_string_equal(p.ignored, "");
    params_done(&p);
}

static void params_limits(void **state)
{
    struct speech_params p;
    struct api_error e;
    char body[128];
    (void)state;
    /* 20 characters of two bytes pass, 21 do not */
    snprintf(body, sizeof body, "{\"model\":\"m\",\"voice\":\"v\",\"input\":\"%s%s\"}",
             "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
             "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    assert_int_equal(parse(body, &p, &e), 0);
    params_done(&p);
    assert_int_equal(
        parse("{\"model\":\"m\",\"voice\":\"v\",\"input\":\"123456789012345678901\"}", &p, &e), -1);
    assert_int_equal(e.fault, FAULT_TOO_LONG);
    assert_string_equal(e.param, "input");
    assert_non_null(strstr(e.message, "21 characters; the limit is 20 (max_input_chars)"));
}

static void params_unknown(void **state)
{
    struct param_limits strict = {20, true};
    struct speech_params p;
    struct api_error e;
    static const char body[] =
        "{\"model\":\"m\",\"voice\":\"v\",\"input\":\"i\",\"sped\":2,\"a\\tb,\":1}";
    (void)state;
    assert_int_equal(parse(body, &p, &e), 0);
    assert_string_equal(p.ignored, "sped, a?b?"); /* nothing that could break a header */
    params_done(&p);
    assert_int_equal(params_parse(body, strlen(body), &strict, &p, &e), -1);
    assert_int_equal(e.fault, FAULT_UNKNOWN_FIELD);
    assert_string_equal(e.param, "sped");
    assert_non_null(strstr(e.message, "did you mean 'speed'"));
}

/* Every row of the table refuses what is just outside its range, and other types. */
static void params_table(void **state)
{
    struct speech_params p;
    struct api_error e;
    char body[256];
    struct param row;
    (void)state;
    for (size_t i = 0; params_at(i, &row); i++) {
        bool number = row.type == PARAM_NUMBER || row.type == PARAM_INTEGER;
        double outside[2] = {row.min - (row.type == PARAM_INTEGER ? 1 : 0.001), row.max + 1};
        for (int j = 0; j < 2 && number; j++) {
            snprintf(body, sizeof body,
                     "{\"model\":\"m\",\"voice\":\"v\",\"input\":\"i\",\"%s\":%.17g}", row.name,
                     outside[j]);
            assert_int_equal(parse(body, &p, &e), -1);
            assert_int_equal(e.fault, FAULT_INVALID_VALUE);
            assert_string_equal(e.param, row.name);
        }
        snprintf(body, sizeof body, "{\"%s\":[]%s}", row.name,
                 row.required ? "" : ",\"model\":\"m\",\"voice\":\"v\",\"input\":\"i\"");
        assert_int_equal(parse(body, &p, &e), -1);
        assert_true(e.fault == FAULT_WRONG_TYPE || (row.required && e.fault == FAULT_MISSING));
    }
}

/* --- keys --- */

static int load(const char *list, struct keys *k, struct err *e)
{
    int rc = keys_load(k, NULL, list, 60, e);
    if (rc < 0)
        keys_done(k);
    return rc;
}

static void keys_lists(void **state)
{
    struct keys k;
    struct err e;
    struct quota q;
    (void)state;
    assert_int_equal(
        load("abcdefgh, bob:ijklmnop ,, sha256:9c56cc51b374c3ba189210d5b6d4bf57790d351c96"
             "c47c02190ecf1e430635ab",
             &k, &e),
        0);
    assert_int_equal(k.n_key, 3);
    assert_string_equal(keys_find(&k, "ijklmnop")->name, "bob");
    assert_ptr_equal(keys_find(&k, "abcdefgh"), &k.key[2]); /* also by its hash: the last wins */
    assert_null(keys_find(&k, "abcdefg"));
    assert_null(keys_find(&k, ""));
    struct key *bob = keys_find(&k, "ijklmnop");
    for (int i = 0; i < 60; i++)
        assert_true(keys_take(&k, bob, &q));
    assert_false(keys_take(&k, bob, &q));
    assert_true(q.limit == 60 && q.remaining == 0 && q.retry_s > 0 && q.retry_s <= 1);
    bob->filled.tv_sec -= 2; /* two seconds later */
    assert_true(keys_take(&k, bob, &q));
    keys_done(&k);
    assert_int_equal(load(NULL, &k, &e), 0);
    assert_non_null(keys_find(&k, "")); /* none wanted: everyone may ask */
    keys_done(&k);
    assert_true(load("short", &k, &e) < 0);
    assert_true(load("sha256:12", &k, &e) < 0);
    assert_true(load("a b:abcdefgh", &k, &e) < 0);
    assert_true(load("a:abcdefgh,a:ijklmnop", &k, &e) < 0);
}

static void keys_files(void **state)
{
    static const struct {
        const char *text, *says; /* NULL: taken */
    } cases[] = {
        {"a: abcdefgh\n#\n\nb:ijklmnop rate=3", NULL},
        {"", "there is no key"},
        {"a\n", ":1: not `name: key`"},
        {"\na: abcdefgh rate=x\n", ":2: \"rate=x\""},
        {"a: abcdefgh rate=-1\n", "rate=0 to"},
        {"a: abcdefgh more\n", "\"more\""},
        {"a: abcdefgh admin\nb:ijklmnop  rate=3\tadmin ", NULL},
        {"a: abcdefgh rate=1 administrator\n", "\"administrator\""},
    };
    char path[] = "/tmp/test_server_XXXXXX";
    struct keys k;
    struct err e;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, cases[i].text, strlen(cases[i].text), 0),
                         (ssize_t)strlen(cases[i].text));
        int rc = keys_load(&k, path, NULL, 0, &e);
        assert_int_equal(rc < 0, cases[i].says != NULL);
        if (rc < 0 && !strstr(e.msg, cases[i].says))
            fail_msg("case %zu says: %s", i, e.msg);
        if (rc == 0)
            assert_int_equal(keys_find(&k, "ijklmnop")->per_minute, 3);
        keys_done(&k);
    }
    close(fd);
    unlink(path);
    assert_int_equal(keys_load(&k, path, NULL, 0, &e), ERR_NOT_FOUND);
    keys_done(&k);
}

/* --- the rest --- */

static void routes_match(void **state)
{
    const char *rest;
    char methods[64];
    (void)state;
    assert_string_equal(route_find("POST", "/v1/audio/speech", &rest)->name, "speech");
    assert_string_equal(route_find("HEAD", "/v1/models/", &rest)->name, "models");
    assert_string_equal(route_find("GET", "/v1/models/a/b", &rest)->name, "model");
    assert_string_equal(rest, "a/b");
    assert_null(route_find("GET", "/v1/audio/speech", &rest));
    assert_null(route_find("GET", "/v1/modelsx", &rest));
    assert_null(route_find("GET", "", &rest));
    assert_true(route_methods("/v1/models", methods, sizeof methods));
    assert_string_equal(methods, "GET, HEAD, OPTIONS");
    assert_false(route_methods("/v1", methods, sizeof methods));
}

static void near_words(void **state)
{
    static const char *const words[] = {"speed", "seed", "input", "max_connections"};
    static const struct {
        const char *word, *want;
    } cases[] = {{"sped", "speed"}, {"SEED", "seed"}, {"inptu", "input"},
                 {"xyz", NULL},     {"", NULL},       {"max-connection", "max_connections"}};
    char longer[100];
    struct near n;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        near_init(&n, cases[i].word);
        for (int j = 0; j < 4; j++)
            near_try(&n, words[j]);
        const char *got = near_found(&n);
        if (!got != !cases[i].want || (got && strcmp(got, cases[i].want) != 0))
            fail_msg("near \"%s\": %s", cases[i].word, got ? got : "nothing");
    }
    memset(longer, 'a', sizeof longer);
    longer[99] = 0;
    near_init(&n, longer);
    near_try(&n, longer);
    assert_null(near_found(&n));
}

static void metrics_text(void **state)
{
    struct metrics m;
    struct buf b;
    (void)state;
    metrics_init(&m);
    buf_init(&b, 1 << 20);
    metrics_add(&m, METRIC_RTF, "", 0.3);
    metrics_add(&m, METRIC_RTF, "", 100);
    for (int i = 0; i < METRICS_SERIES + 10; i++) {
        char labels[32];
        snprintf(labels, sizeof labels, "code=\"%d\"", i);
        metrics_add(&m, METRIC_ERRORS, labels, 1);
    }
    assert_int_equal(metrics_print(&m, &b), 0);
    assert_non_null(strstr(buf_str(&b), "jabbertts_rtf_bucket{le=\"0.2\"} 0\n"));
    assert_non_null(strstr(buf_str(&b), "jabbertts_rtf_bucket{le=\"0.35\"} 1\n"));
    assert_non_null(strstr(buf_str(&b), "jabbertts_rtf_bucket{le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(buf_str(&b), "jabbertts_rtf_count 2\n"));
    assert_non_null(strstr(buf_str(&b), "jabbertts_errors_total{code=\"7\"} 1\n"));
    const char *dropped = strstr(buf_str(&b), "\njabbertts_metrics_dropped_total ");
    assert_non_null(dropped); /* a bounded number of series: the rest is counted */
    assert_true(strtod(dropped + strlen("\njabbertts_metrics_dropped_total "), NULL) >= 10);
    buf_done(&b);
    metrics_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_defaults), cmocka_unit_test(params_limits),
        cmocka_unit_test(params_unknown),  cmocka_unit_test(params_table),
        cmocka_unit_test(keys_lists),      cmocka_unit_test(keys_files),
        cmocka_unit_test(routes_match),    cmocka_unit_test(near_words),
        cmocka_unit_test(metrics_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
