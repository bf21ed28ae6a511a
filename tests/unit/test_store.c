/* The voice store: what goes in comes out and is spoken with; refusals; locks, full disks, kill -9.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

#include "jabbertts.h"
#include "base/mem.h"

static char dir[64], path[96];
static struct jabbertts *tts;
static struct jabbertts_store *store;
static unsigned char *wav; /* somebody speaks */
static size_t n_wav;

static unsigned char *make_wav(const float *pcm, size_t n, int hz, size_t *n_bytes)
{
    unsigned char *w = mem_alloc(44 + 2 * n);
    jabbertts_wav_header(hz, n, w);
    for (size_t i = 0; i < n; i++) {
        float x = pcm[i] * 32767;
        int16_t v = (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
        w[44 + 2 * i] = (unsigned char)v;
        w[45 + 2 * i] = (unsigned char)((uint16_t)v >> 8);
    }
    *n_bytes = 44 + 2 * n;
    return w;
}

/* Samples of a request, at most max. */
static size_t speak(const char *voice, const char *text, float *pcm, size_t max)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    struct jabbertts_error e;
    size_t total = 0;
    int n;
    jabbertts_request_init(&r);
    r.text = text;
    r.voice = voice;
    if (jabbertts_submit(tts, &r, &s, &e) < 0) {
        assert_int_equal(e.code, JABBERTTS_ERR_NOT_FOUND);
        return 0;
    }
    while (total < max && (n = jabbertts_read(s, pcm + total, (int)(max - total), &e)) > 0)
        total += (size_t)n;
    jabbertts_stream_free(s);
    return total;
}

static void open_store(void)
{
    struct jabbertts_error e = {0};
    if (jabbertts_store_open(dir, &store, &e) < 0)
        fail_msg("%s", e.message);
}

static void open_all(void)
{
    struct jabbertts_options o;
    open_store();
    jabbertts_options_init(&o);
    o.model = "models/jabber-tiny.gguf";
    o.threads = 1;
    o.store = store;
    assert_int_equal(jabbertts_open(&o, &tts, NULL), 0);
}

static int setup(void **state)
{
    static float pcm[16000 * 20];
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_store-%d/a/b", (int)getpid());
    snprintf(path, sizeof path, "%s/voices.sqlite", dir);
    open_all();
    size_t n = speak(NULL, "This is me. I speak for a while. So that you know my voice.", pcm,
                     sizeof pcm / sizeof *pcm);
    wav = make_wav(pcm, n, jabbertts_sample_rate(tts), &n_wav);
    return n > 16000 ? 0 : -1;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    jabbertts_close(tts);
    jabbertts_store_close(store);
    mem_free(wav);
    snprintf(command, sizeof command, "rm -rf /tmp/test_store-%d", (int)getpid());
    return system(command);
}

static int add_as(enum jabbertts_kind kind, const char *name, const char *consent, char id[48],
                  struct jabbertts_error *e)
{
    struct jabbertts_stored v = {.name = name,
                                 .transcript = "This is me.",
                                 .consent = consent,
                                 .language = "en",
                                 .recording = wav,
                                 .n_bytes = n_wav};
    return jabbertts_store_add(store, tts, kind, &v, id, e);
}

struct seen {
    int n;
    char id[48], name[160], consent[48];
    double seconds;
    size_t n_bytes;
    bool same;
};

static void see(void *cookie, const struct jabbertts_stored *v)
{
    struct seen *s = cookie;
    s->n++;
    snprintf(s->id, sizeof s->id, "%s", v->id);
    snprintf(s->name, sizeof s->name, "%s", v->name);
    snprintf(s->consent, sizeof s->consent, "%s", v->consent);
    s->seconds = v->seconds;
    s->n_bytes = v->n_bytes;
    s->same = v->recording && v->n_bytes == n_wav && !memcmp(v->recording, wav, n_wav);
}

static void test_in_and_out(void **state)
{
    static float first[16000 * 10], again[16000 * 10];
    struct seen s = {0};
    struct jabbertts_error e;
    char id[48];
    (void)state;
    assert_int_equal(add_as(JABBERTTS_VOICE, "mine", NULL, id, &e), 0);
    assert_int_equal(strncmp(id, "voice_", 6), 0);
    assert_int_equal(jabbertts_store_get(store, JABBERTTS_VOICE, "mine", see, &s, &e), 0);
    assert_string_equal(s.id, id);
    assert_true(s.same && s.seconds > 1 && s.n == 1);
    /* By name, by id, and after the program was started anew. */
    size_t n = speak("mine", "Good morning.", first, 160000);
    assert_true(n > 3000);
    assert_int_equal(speak(id, "Good morning.", again, 160000), n);
    assert_memory_equal(first, again, n * sizeof *first);
    jabbertts_close(tts);
    jabbertts_store_close(store);
    open_all();
    assert_int_equal(speak("mine", "Good morning.", again, 160000), n);
    assert_memory_equal(first, again, n * sizeof *first);
    /* Named in the text, and twice. */
    static const char ssml[] = "<speak><voice name=\"mine\">Good morning.</voice> I am Amy. "
                               "<voice name=\"mine\">And I am back.</voice></speak>";
    assert_true(speak(NULL, ssml, again, 160000) > 3 * 3000);
    /* Without the codes, as another model finds it: encoded anew, and kept. */
    sqlite3 *db;
    sqlite3_open(path, &db);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM codes", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(speak("mine", "Good morning.", again, 160000), n);
    assert_memory_equal(first, again, n * sizeof *first);
    assert_int_equal(sqlite3_exec(db, "UPDATE codes SET n_frame = n_frame + 1", NULL, NULL, NULL),
                     0);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id, &e), 0);
    assert_int_equal(speak("mine", "Good morning.", again, 160000), 0);
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id, &e),
                     JABBERTTS_ERR_NOT_FOUND);
}

static void test_pages_and_consents(void **state)
{
    struct jabbertts_error e;
    struct seen s = {0};
    char id[5][48], consent[48];
    (void)state;
    assert_int_equal(add_as(JABBERTTS_CONSENT, "I agree, says J\xc3\xb6rg", NULL, consent, &e), 0);
    assert_int_equal(add_as(JABBERTTS_VOICE, "x", "cons_none", id[0], &e), JABBERTTS_ERR_NOT_FOUND);
    for (int i = 0; i < 5; i++) {
        char name[8] = {'v', (char)('0' + i)};
        assert_int_equal(add_as(JABBERTTS_VOICE, name, consent, id[i], &e), 0);
    }
    assert_int_equal(add_as(JABBERTTS_VOICE, "v0", NULL, consent, &e), JABBERTTS_ERR_ARGUMENT);
    assert_non_null(strstr(e.message, "already"));
    assert_int_equal(jabbertts_store_list(store, JABBERTTS_VOICE, NULL, 2, see, &s, &e), 1);
    assert_true(s.n == 2 && !strcmp(s.id, id[1]) && !strcmp(s.consent, consent));
    assert_int_equal(jabbertts_store_list(store, JABBERTTS_VOICE, id[1], 2, see, &s, &e), 1);
    assert_int_equal(jabbertts_store_list(store, JABBERTTS_VOICE, id[3], 2, see, &s, &e), 0);
    assert_int_equal(s.n, 5);
    assert_int_equal(jabbertts_store_list(store, JABBERTTS_VOICE, "no", 2, see, &s, &e),
                     JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(jabbertts_store_list(store, JABBERTTS_VOICE, NULL, 0, see, &s, &e),
                     JABBERTTS_ERR_ARGUMENT);
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_CONSENT, consent, &e),
                     JABBERTTS_ERR_ARGUMENT);
    assert_int_equal(jabbertts_store_rename(store, JABBERTTS_CONSENT, consent, "Another", &e), 0);
    assert_int_equal(jabbertts_store_rename(store, JABBERTTS_VOICE, id[0], "v1", &e),
                     JABBERTTS_ERR_ARGUMENT);
    for (int i = 0; i < 5; i++)
        assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id[i], &e), 0);
    assert_int_equal(jabbertts_store_get(store, JABBERTTS_CONSENT, consent, see, &s, &e), 0);
    assert_string_equal(s.name, "Another");
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_CONSENT, consent, &e), 0);
}

static void refuse_sound(float (*f)(int i), size_t n, const char *text)
{
    struct jabbertts_error e = {0};
    float *pcm = mem_alloc(n * sizeof *pcm);
    char id[48];
    for (size_t i = 0; i < n; i++)
        pcm[i] = f((int)i);
    struct jabbertts_stored v = {.name = "refused"};
    unsigned char *w = make_wav(pcm, n, 16000, &v.n_bytes);
    v.recording = w;
    assert_true(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e) < 0);
    if (!strstr(e.message, text))
        fail_msg("\"%s\" does not say \"%s\"", e.message, text);
    mem_free(pcm);
    mem_free(w);
}

static float silence(int i)
{
    (void)i;
    return 0;
}
static float hum(int i)
{
    return (float)(i % 100 - 50) / 120;
}
static float hiss(int i)
{
    return (float)((uint32_t)i * 2654435761u >> 16 & 1023) / 2048 - 0.25f;
}
static float clipped(int i)
{
    return i / 3000 % 2 ? (i / 50 % 2 ? 1.0f : -1.0f) : 0.001f;
}

static void test_refused(void **state)
{
    static const char *const names[] = {
        "",      "../../etc/passwd", "a b", "a/b", "voice_x", "\xc3\xa9", "amy",
        "alloy", "default",          "a\nb"};
    struct jabbertts_error e;
    char id[48], longer[200];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(add_as(JABBERTTS_VOICE, names[i], NULL, id, &e), JABBERTTS_ERR_ARGUMENT);
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(add_as(JABBERTTS_VOICE, longer, NULL, id, &e), JABBERTTS_ERR_LIMIT);
    refuse_sound(silence, 32000, "too quiet");
    refuse_sound(hum, 32000, "no speech");
    refuse_sound(hiss, 32000, "no speech");
    refuse_sound(clipped, 32000, "clipped");
    refuse_sound(hiss, 8000, "at least 1 s");
    refuse_sound(hiss, 16000 * 91, "longer than the limit");
    struct jabbertts_stored v = {.name = "n", .recording = "not a sound", .n_bytes = 11};
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_FORMAT);
    v.n_bytes = (10 << 20) + 1;
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_LIMIT);
    assert_int_equal(jabbertts_store_open("/dev/null/x", &store, &e), JABBERTTS_ERR_IO);
}

static void test_export(void **state)
{
    struct jabbertts_error e;
    struct seen s = {0};
    char id[48], *json;
    (void)state;
    assert_int_equal(add_as(JABBERTTS_VOICE, "traveller", NULL, id, &e), 0);
    assert_int_equal(jabbertts_store_export(store, "traveller", &json, &e), 0);
    assert_int_equal(jabbertts_store_import(store, tts, json, strlen(json), id, &e),
                     JABBERTTS_ERR_ARGUMENT); /* it is there */
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, "traveller", &e), 0);
    assert_int_equal(jabbertts_store_import(store, tts, json, strlen(json) - 9, id, &e),
                     JABBERTTS_ERR_FORMAT);
    assert_int_equal(jabbertts_store_import(store, tts, json, strlen(json), id, &e), 0);
    assert_int_equal(jabbertts_store_get(store, JABBERTTS_VOICE, "traveller", see, &s, &e), 0);
    assert_true(s.same && !strcmp(s.id, id));
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id, &e), 0);
    free(json);
}

static void test_locked(void **state)
{
    struct jabbertts_error e;
    char id[48];
    sqlite3 *db;
    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(add_as(JABBERTTS_VOICE, "waits", NULL, id, &e), JABBERTTS_ERR_BUSY);
    assert_non_null(strstr(e.message, "locked"));
    sqlite3_close(db);
    assert_int_equal(add_as(JABBERTTS_VOICE, "waits", NULL, id, &e), 0);
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id, &e), 0);
}

/* A file that cannot grow stands for a full disk. */
static void test_full(void **state)
{
    struct rlimit was, small;
    struct jabbertts_error e;
    struct stat st;
    struct seen s = {0};
    char id[48];
    (void)state;
    assert_int_equal(stat(path, &st), 0);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = (rlim_t)(n_wav / 2);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = add_as(JABBERTTS_VOICE, "toobig", NULL, id, &e);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, JABBERTTS_ERR_IO);
    assert_non_null(strstr(e.message, dir));
    assert_int_equal(jabbertts_store_get(store, JABBERTTS_VOICE, "toobig", see, &s, &e),
                     JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(add_as(JABBERTTS_VOICE, "toobig", NULL, id, &e), 0);
    assert_int_equal(jabbertts_store_remove(store, JABBERTTS_VOICE, id, &e), 0);
}

static int first_row(const char *sql, char *text, size_t n)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    int v = -1;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    if (sqlite3_step(q) == SQLITE_ROW) {
        v = sqlite3_column_int(q, 0);
        snprintf(text, n, "%s", (const char *)sqlite3_column_text(q, 0));
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    return v;
}

/* A writer that is killed in the middle loses nothing it has been told is there, and leaves nothing
 * half.  The child is this program again: threads and databases do not survive a fork. */
static void test_killed(void **state)
{
    char text[64], line[64];
    int n_told = 0, n_there;
    (void)state;
    jabbertts_close(tts);
    jabbertts_store_close(store);
    for (int round = 0; round < 3; round++) {
        int out[2];
        assert_int_equal(pipe(out), 0);
        pid_t child = fork();
        if (child == 0) {
            dup2(out[1], 1);
            execl("/proc/self/exe", "test_store", "write", dir, (char *)NULL);
            _exit(127);
        }
        close(out[1]);
        FILE *f = fdopen(out[0], "r");
        for (int i = 0; i < 2 + round && fgets(line, sizeof line, f); i++)
            n_told++;
        kill(child, SIGKILL);
        while (fgets(line, sizeof line, f))
            n_told++;
        fclose(f);
        waitpid(child, NULL, 0);
    }
    assert_true(n_told >= 9);
    open_all();
    n_there = first_row("SELECT count(*) FROM voice", text, sizeof text);
    assert_in_range(n_there, n_told, n_told + 3); /* kept, but not told any more */
    assert_int_equal(
        first_row("SELECT count(*) FROM voice v WHERE NOT EXISTS (SELECT 1 FROM codes WHERE "
                  "voice = v.id)",
                  text, sizeof text),
        0);
    assert_int_equal(
        first_row("SELECT count(*) FROM codes WHERE voice NOT IN (SELECT id FROM voice)", text,
                  sizeof text),
        0);
    first_row("PRAGMA integrity_check", text, sizeof text);
    assert_string_equal(text, "ok");
}

/* Add voices until killed, telling each one that is kept. */
static int write_forever(const char *where)
{
    snprintf(dir, sizeof dir, "%s", where);
    open_all();
    static float pcm[16000 * 20];
    size_t n = speak(NULL, "This is me. I speak for a while.", pcm, sizeof pcm / sizeof *pcm);
    wav = make_wav(pcm, n, jabbertts_sample_rate(tts), &n_wav);
    for (int i = 0;; i++) {
        char name[32], id[48];
        struct jabbertts_error e;
        snprintf(name, sizeof name, "w%d-%d", (int)getpid(), i);
        if (add_as(JABBERTTS_VOICE, name, NULL, id, &e) < 0)
            return 1;
        printf("%s\n", id);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_and_out), cmocka_unit_test(test_pages_and_consents),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_export),
        cmocka_unit_test(test_locked),     cmocka_unit_test(test_full),
        cmocka_unit_test(test_killed),
    };
    if (argc == 3 && !strcmp(argv[1], "write"))
        return write_forever(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
