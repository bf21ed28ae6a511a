/* The server's parsers and tables, without a server: fields, keys, routes, near words.  And a
 * WebSocket, with one, when memory is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/mem_test.h"
#include "base/near.h"
#include "server/daemon.h"
#include "server/head.h"
#include "server/keys.h"
#include "server/metrics.h"
#include "server/origin.h"
#include "server/params.h"
#include "server/pressure.h"
#include "server/route.h"
#include "server/spool.h"
#include "server/websocket.h"

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
        snprintf(body, sizeof body, "{%s\"%s\":%s}",
                 row.required ? "" : "\"model\":\"m\",\"voice\":\"v\",\"input\":\"i\",", row.name,
                 row.type == PARAM_CLIPS || row.type == PARAM_TIMES || row.type == PARAM_REFUSED
                     ? "7"
                     : "[]");
        assert_int_equal(parse(body, &p, &e), -1);
        assert_true(e.fault == FAULT_WRONG_TYPE || row.type == PARAM_REFUSED ||
                    (row.required && e.fault == FAULT_MISSING));
    }
}

/* --- keys --- */

static int load(const char *list, struct keys *k, struct err *e)
{
    *k = (struct keys){.n_key = 0};
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
    struct key_id bob, other;
    assert_true(keys_find(&k, "ijklmnop", &bob));
    assert_string_equal(bob.name, "bob");
    assert_true(keys_find(&k, "abcdefgh", &other)); /* also by its hash: the last wins */
    assert_string_equal(other.name, k.key[2].id.name);
    assert_false(keys_find(&k, "abcdefg", &other));
    assert_false(keys_find(&k, "", &other));
    for (int i = 0; i < 60; i++)
        assert_true(keys_take(&k, &bob, &q));
    assert_false(keys_take(&k, &bob, &q));
    assert_true(q.limit == 60 && q.remaining == 0 && q.retry_s > 0 && q.retry_s <= 1);
    /* Read again, and bad: nothing changes; good: the key goes on where it was. */
    assert_true(keys_load(&k, NULL, "short", 60, &e) < 0);
    assert_true(keys_find(&k, "ijklmnop", &bob));
    assert_int_equal(keys_load(&k, NULL, "carol:qrstuvwx,bob:ijklmnop", 60, &e), 0);
    assert_false(keys_find(&k, "abcdefgh", &other));
    assert_false(keys_take(&k, &bob, &q));
    k.key[1].filled.tv_sec -= 2; /* two seconds later */
    assert_true(keys_take(&k, &bob, &q));
    keys_done(&k);
    assert_int_equal(load(NULL, &k, &e), 0);
    assert_true(keys_find(&k, "", &other) && other.is_admin); /* none wanted: everyone may ask */
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
    struct keys k = {.n_key = 0};
    struct key_id id;
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
            assert_true(keys_find(&k, "ijklmnop", &id) && k.key[1].per_minute == 3);
        keys_done(&k);
    }
    close(fd);
    unlink(path);
    assert_int_equal(keys_load(&k, path, NULL, 0, &e), ERR_NOT_FOUND);
    keys_done(&k);
}

/* --- targets, hosts and origins --- */

static void targets(void **state)
{
    static const struct {
        const char *target, *path, *authority; /* path NULL: refused */
    } cases[] = {
        {"/a", "/a", ""},
        {"/", "/", ""},
        {"//a///b/", "/a/b/", ""},
        {"/a?b=//c%00", "/a", ""},
        {"/a#b", "/a", ""},
        {"/%61%2Fb", "/a/b", ""},
        {"/%20", "/ ", ""},
        {"http://h", "/", "h"},
        {"http://h:1/a", "/a", "h:1"},
        {"HTTPS://h?x", "/", "h"},
        {"*", "*", ""},
        {"", NULL, ""},
        {"a", NULL, ""},
        {"http:///a", NULL, ""},
        {"/%", NULL, ""},
        {"/%4", NULL, ""},
        {"/%4g", NULL, ""},
        {"/%00", NULL, ""},
        {"/%0a", NULL, ""},
        {"/%7f", NULL, ""},
        {"/ ", NULL, ""},
        {"/%c3", NULL, ""},
        {"/%c0%af", NULL, ""},
        {"/%c3%a9", "/\xc3\xa9", ""},
        {"/12345678901234567890", NULL, ""}, /* no room */
    };
    char path[20], authority[16];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *wrong =
            head_path(cases[i].target, path, sizeof path, authority, sizeof authority);
        if (!wrong != !!cases[i].path ||
            (!wrong && (strcmp(path, cases[i].path) || strcmp(authority, cases[i].authority))))
            fail_msg("\"%s\": \"%s\" of \"%s\": %s", cases[i].target, path, authority,
                     wrong ? wrong : "good");
    }
    assert_string_equal(route_below("/tts", "/tts/v1"), "/v1");
    assert_string_equal(route_below("/tts/", "/tts"), "/");
    assert_string_equal(route_below("/tts", "/ttsx"), "/ttsx");
    assert_string_equal(route_below("", "/v1"), "/v1");
}

static void origins(void **state)
{
    static const struct {
        const char *allowed, *origin, *host;
        bool good;
    } cases[] = {
        {"", "http://a:1", "a:1", true},
        {"", "http://a:1", "a:2", false},
        {"", "http://localhost", "x", false},
        {"local", "http://localhost", "x", true},
        {"local", "https://[::1]:9", "x", true},
        {"local", "http://[::2]", "x", false},
        {"local", "http://127.1.2.3:4", "x", true},
        {"local", "ftp://localhost", "x", false},
        {"local", "null", "x", false},
        {"local", "", "", false},
        {"local", "http://", "", false},
        {"*", "null", "x", true},
        {"local, https://b.c", "https://b.c", "x", true},
        {"local, https://b.c", "https://b.c.d", "x", false},
        {"local", "local", "x", true}, /* a page cannot have it */
        {"https://b.c", "http://localhost", "x", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (origin_allowed(cases[i].allowed, cases[i].origin, cases[i].host) != cases[i].good)
            fail_msg("%s for %s at %s", cases[i].origin, cases[i].allowed, cases[i].host);
    assert_true(origin_host_listed("a.b, c", "C:80") && !origin_host_listed("a.b, c", "b"));
    assert_false(origin_is_loopback("[::1") || origin_is_loopback("") || origin_is_loopback(":80"));
}

static void spools(void **state)
{
    static char block[5000];
    struct spool_budget b;
    struct spool s, other;
    char back[100];
    (void)state;
    spool_budget_init(&b, 200000, NULL);
    spool_init(&s, &b, 150000);
    spool_init(&other, &b, 150000);
    for (int i = 0; i < 20; i++) {
        memset(block, 'a' + i, sizeof block);
        assert_int_equal(spool_add(&s, block, sizeof block), 0);
        assert_int_equal(spool_budget_used(&b) > 0, i >= 3); /* 16 KiB stay in memory */
    }
    assert_int_equal(spool_rewrite(&s, "head", 4), 0);
    const char *data = spool_data(&s);
    assert_true(data && s.len == 100000 && !memcmp(data, "headaa", 6) && data[99999] == 't');
    assert_int_equal(spool_read(&s, 99990, back, sizeof back), 10);
    assert_memory_equal(back, "tttttttttt", 10);
    assert_int_equal(spool_reserve(&other, 149000), ERR_BUSY);
    assert_int_equal(spool_reserve(&other, 150001), ERR_LIMIT);
    assert_int_equal(spool_add(&s, block, 5000), 0);
    while (s.len + 5000 <= 150000)
        assert_int_equal(spool_add(&s, block, 5000), 0);
    assert_int_equal(spool_add(&s, block, 1), ERR_LIMIT);
    spool_done(&s);
    assert_int_equal(spool_budget_used(&b), 0);
    assert_int_equal(spool_add(&s, "again", 5), 0);
    assert_string_equal(spool_data(&s), "again");
    spool_done(&s);
    b.dir = "/nonexistent";
    assert_int_equal(spool_add(&other, block, 5000), 0);
    assert_int_equal(spool_reserve(&other, 149000), 0);
    for (int i = 0, rc = 0; i < 4; i++, assert_true(rc == 0 || rc == ERR_IO))
        rc = spool_add(&other, block, 5000);
    assert_int_equal(spool_add(&other, block, 5000), ERR_IO);
    spool_done(&other);
    spool_budget_done(&b);
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
    assert_string_equal(methods, "GET, HEAD, POST, OPTIONS");
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

/* A message for which there is no memory ends the connection, with 1011 and a reason. */
static void websocket_memory(void **state)
{
    static const struct route route = {.name = "stream"};
    static const uint8_t message[] = {0x81, 0x82, 0, 0, 0, 0, '{', '}'}; /* masked with zeros */
    static const struct timeval patience = {.tv_sec = 10};
    uint8_t got[64] = {0};
    struct server_options o;
    struct server *server;
    struct err e;
    int fd[2];
    (void)state;
    server_options_init(&o);
    o.engine.model = "espeak-ng";
    o.port = 0;
    o.log = SERVER_LOG_NONE;
    assert_int_equal(server_start(&o, &server, &e), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    assert_int_equal(setsockopt(fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    struct request r = {.server = server, .route = &route, .argument = ""};
    websocket_upgraded(&r, NULL, 0, fd[0], NULL);
    mem_fail_after(0);
    assert_int_equal(send(fd[1], message, sizeof message, 0), sizeof message);
    ssize_t n = recv(fd[1], got, sizeof got, 0);
    mem_fail_after(-1);
    assert_true(n > 4);
    assert_int_equal(got[0], 0x88);
    assert_int_equal(got[2] << 8 | got[3], 1011);
    assert_non_null(strstr((char *)got + 4, "memory"));
    shutdown(fd[1], SHUT_RDWR);
    server_stop(server, 5);
    close(fd[0]);
    close(fd[1]);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* What a container, or the machine, has left. */
static void pressure(void **state)
{
    char dir[] = "/tmp/test_server.XXXXXX", machine[64], command[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(machine, sizeof machine, "%s/meminfo", dir);
    assert_false(pressure_is_high(dir, machine)); /* nothing is known */
    write_file(dir, "meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 30 kB\n");
    assert_false(pressure_is_high(dir, machine));
    write_file(dir, "meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 19 kB\n");
    assert_true(pressure_is_high(dir, machine));
    write_file(dir, "memory.max", "max\n");
    write_file(dir, "memory.current", "960\n");
    write_file(dir, "memory.stat", "anon 900\nfile 60\ninactive_file 20\n");
    assert_true(pressure_is_high(dir, machine)); /* no limit: the machine's counts */
    write_file(dir, "memory.max", "1000\n");
    assert_false(pressure_is_high(dir, machine)); /* the group has enough */
    write_file(dir, "memory.current", "980\n");
    assert_true(pressure_is_high(dir, machine));
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(params_defaults),  cmocka_unit_test(params_limits),
        cmocka_unit_test(params_unknown),   cmocka_unit_test(params_table),
        cmocka_unit_test(keys_lists),       cmocka_unit_test(keys_files),
        cmocka_unit_test(routes_match),     cmocka_unit_test(near_words),
        cmocka_unit_test(metrics_text),     cmocka_unit_test(targets),
        cmocka_unit_test(origins),          cmocka_unit_test(spools),
        cmocka_unit_test(websocket_memory), cmocka_unit_test(pressure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
