/* The voice store: what goes in comes out and is spoken with; refusals; locks, full disks, kill -9.
 */
#include <math.h>
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
#include "jabbertts_tools.h"
#include "base/mem.h"

#define WHICH(kind, id, limit) (&(struct jabbertts_which){kind, NULL, id, limit})

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
    assert_int_equal(jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, "mine", 0), see, &s, &e), 0);
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
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
    assert_int_equal(speak("mine", "Good morning.", again, 160000), 0);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e),
                     JABBERTTS_ERR_NOT_FOUND);
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

static void change_store(const char *sql)
{
    sqlite3 *db;
    sqlite3_open(path, &db);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void see_more(void *cookie, const struct jabbertts_stored *v)
{
    struct seen *s = cookie;
    s->n = v->n_more;
    s->seconds = v->seconds;
    s->same = v->n_more == 2 && v->more[1].n_bytes == n_wav &&
              !memcmp(v->more[1].recording, wav, n_wav) &&
              !strcmp(v->more[0].transcript, "And me.") && v->more[0].seconds > 1;
}

/* A voice of three recordings: all are kept, all are in its prompt, whoever encodes them. */
static void test_several(void **state)
{
    static float one[160000], first[160000], again[160000];
    struct jabbertts_clip more[JABBERTTS_CLIPS_MAX];
    struct jabbertts_error e;
    struct seen s = {0};
    char id[48], text[64], *json;
    (void)state;
    for (int i = 0; i < JABBERTTS_CLIPS_MAX; i++)
        more[i] = (struct jabbertts_clip){wav, n_wav, i ? NULL : "And me.", 0};
    struct jabbertts_stored v = {.name = "three",
                                 .transcript = "This is me.",
                                 .recording = wav,
                                 .n_bytes = n_wav,
                                 .more = more,
                                 .n_more = JABBERTTS_CLIPS_MAX};
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_LIMIT);
    assert_non_null(strstr(e.message, "the limit is 8"));
    v.n_more = 0;
    v.name = "one";
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e), 0);
    size_t n_one = speak("one", "Good morning.", one, 160000);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
    v.n_more = 2;
    v.name = "three";
    if (jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, id, 0), see_more, &s, &e),
                     0);
    assert_true(s.same);
    assert_int_equal(first_row("SELECT count(*) FROM codes", text, sizeof text), 3);
    size_t n = speak("three", "Good morning.", first, 160000);
    assert_true(n != n_one || memcmp(one, first, n * sizeof *one) != 0);
    change_store("DELETE FROM codes");
    assert_int_equal(speak("three", "Good morning.", again, 160000), n);
    assert_memory_equal(first, again, n * sizeof *first);
    assert_int_equal(jabbertts_store_export(store, "three", &json, &e), 0);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
    assert_int_equal(first_row("SELECT count(*) FROM clip", text, sizeof text), 0);
    if (jabbertts_store_import(store, tts, json, strlen(json), id, &e) < 0)
        fail_msg("%s", e.message);
    free(json);
    assert_int_equal(speak("three", "Good morning.", again, 160000), n);
    assert_memory_equal(first, again, n * sizeof *first);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
}

/* What a model that has no voices is given for a text in the voice of nova. */
static char *prompt_of(const char *model)
{
    struct jabbertts_text_options t;
    struct jabbertts_options o;
    struct jabbertts *other;
    char *prompt;
    jabbertts_text_options_init(&t);
    t.stage = "prompt";
    t.voice = "nova";
    jabbertts_options_init(&o);
    o.model = model;
    o.threads = 1;
    o.store = store;
    assert_int_equal(jabbertts_open(&o, &other, NULL), 0);
    assert_int_equal(jabbertts_text(other, &t, "Hi.", &prompt, NULL), 0);
    jabbertts_close(other);
    return prompt;
}

/* The voices of a model that has none are made once and then the store's: what is in it is used. */
static void test_anchors(void **state)
{
    char nano[96], *prompt[3], text[64];
    (void)state;
    snprintf(nano, sizeof nano, "/tmp/test_store-%d/nano.gguf", (int)getpid());
    for (int encoder = 0; encoder < 2; encoder++) {
        struct jabbertts_convert_options c;
        struct jabbertts_error e;
        jabbertts_convert_options_init(&c);
        c.directory = "tests/golden/s1-nano/checkpoint";
        c.output = nano;
        c.no_encoder = !encoder;
        if (jabbertts_convert(&c, &e) < 0)
            fail_msg("%s", e.message);
        for (int k = 0; k < 3; k++) {
            prompt[k] = prompt_of(nano);
            assert_int_equal(first_row("SELECT count(*) FROM anchor", text, sizeof text),
                             encoder + 1);
            if (k == 1) /* one will be heard as another */
                change_store("UPDATE anchor SET codes = zeroblob(length(codes))");
        }
        assert_string_equal(prompt[0], prompt[1]);
        assert_string_not_equal(prompt[0], prompt[2]);
        for (int k = 0; k < 3; k++)
            free(prompt[k]);
        unlink(nano);
    }
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
    assert_int_equal(jabbertts_store_list(store, WHICH(JABBERTTS_VOICE, NULL, 2), see, &s, &e), 1);
    assert_true(s.n == 2 && !strcmp(s.id, id[1]) && !strcmp(s.consent, consent));
    assert_int_equal(jabbertts_store_list(store, WHICH(JABBERTTS_VOICE, id[1], 2), see, &s, &e), 1);
    assert_int_equal(jabbertts_store_list(store, WHICH(JABBERTTS_VOICE, id[3], 2), see, &s, &e), 0);
    assert_int_equal(s.n, 5);
    assert_int_equal(jabbertts_store_list(store, WHICH(JABBERTTS_VOICE, "no", 2), see, &s, &e),
                     JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(jabbertts_store_list(store, WHICH(JABBERTTS_VOICE, NULL, 0), see, &s, &e),
                     JABBERTTS_ERR_ARGUMENT);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_CONSENT, consent, 0), &e),
                     JABBERTTS_ERR_ARGUMENT);
    assert_int_equal(
        jabbertts_store_rename(store, WHICH(JABBERTTS_CONSENT, consent, 0), "Another", &e), 0);
    assert_int_equal(jabbertts_store_rename(store, WHICH(JABBERTTS_VOICE, id[0], 0), "v1", &e),
                     JABBERTTS_ERR_ARGUMENT);
    for (int i = 0; i < 5; i++)
        assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id[i], 0), &e), 0);
    assert_int_equal(jabbertts_store_get(store, WHICH(JABBERTTS_CONSENT, consent, 0), see, &s, &e),
                     0);
    assert_string_equal(s.name, "Another");
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_CONSENT, consent, 0), &e), 0);
}

static float hiss(int i)
{
    return (float)((uint32_t)i * 2654435761u >> 16 & 1023) / 2048 - 0.25f;
}

/* Each owner has names of their own, sees their own rows and everyone's, and changes their own. */
static void test_owners(void **state)
{
    static const struct {
        const char *who, *what;
        int get, remove;
    } cases[] = {
        {"a", "ofb", JABBERTTS_ERR_NOT_FOUND, JABBERTTS_ERR_NOT_FOUND},
        {"b", "ofa", JABBERTTS_ERR_NOT_FOUND, JABBERTTS_ERR_NOT_FOUND},
        {"a", "shared", 0, JABBERTTS_ERR_DENIED},
        {"", "ofa", JABBERTTS_ERR_NOT_FOUND, JABBERTTS_ERR_NOT_FOUND},
        {"", "shared", 0, 0},
        {"a", "ofa", 0, 0},
        {"a", "same", 0, 0},
        {NULL, "ofb", 0, 0},
        {NULL, "same", 0, 0},
    };
    static const char *const rows[][2] = {
        {"a", "ofa"}, {"b", "ofb"}, {"", "shared"}, {"a", "same"}, {"b", "same"}};
    struct jabbertts_error e;
    char id[48], consent[48];
    (void)state;
    struct jabbertts_stored v = {.language = "en", .recording = wav, .n_bytes = n_wav};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        v.owner = rows[i][0];
        v.name = rows[i][1];
        if (jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e) < 0)
            fail_msg("%s of %s: %s", v.name, v.owner, e.message);
    }
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_ARGUMENT); /* b has one of that name */
    v.owner = "a";
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_CONSENT, &v, consent, &e), 0);
    v.owner = "b";
    v.name = "borrowed";
    v.consent = consent;
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_NOT_FOUND);
    struct seen s = {0};
    assert_int_equal(jabbertts_store_list(
                         store, &(struct jabbertts_which){.owner = "a", .limit = 9}, see, &s, &e),
                     0);
    assert_int_equal(s.n, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct jabbertts_which which = {JABBERTTS_VOICE, cases[i].who, cases[i].what, 0};
        int got = jabbertts_store_get(store, &which, see, &s, &e);
        int removed = jabbertts_store_remove(store, &which, &e);
        if (got != cases[i].get || removed != cases[i].remove)
            fail_msg("%s asks for %s: get %d, remove %d", cases[i].who ? cases[i].who : "all",
                     cases[i].what, got, removed);
    }
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_CONSENT, consent, 0), &e), 0);
}

/* Its files are private, whatever the umask and the directory; a store of version 1 is taken
 * over. */
static void test_old_store(void **state)
{
    static const char version_1[] =
        "CREATE TABLE consent(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " name TEXT NOT NULL, language TEXT NOT NULL, transcript TEXT NOT NULL,"
        " description TEXT NOT NULL, consent TEXT, created INTEGER NOT NULL, seconds REAL NOT NULL,"
        " recording BLOB NOT NULL);"
        "CREATE TABLE voice(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
        " name TEXT UNIQUE NOT NULL, language TEXT NOT NULL, transcript TEXT NOT NULL,"
        " description TEXT NOT NULL, consent TEXT REFERENCES consent(id), created INTEGER NOT NULL,"
        " seconds REAL NOT NULL, recording BLOB NOT NULL);"
        "CREATE TABLE codes(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"
        " model INTEGER NOT NULL, text TEXT NOT NULL, n_frame INTEGER NOT NULL, codes BLOB NOT "
        "NULL,"
        " PRIMARY KEY(voice, model));"
        "INSERT INTO consent VALUES(1,'cons_1','c','en','','',NULL,5,2.0,x'00');"
        "INSERT INTO voice VALUES(7,'voice_1','old','en','t','d','cons_1',6,3.0,x'0102');"
        "INSERT INTO codes VALUES('voice_1',1,'t',1,x'00');"
        "PRAGMA user_version = 1;";
    char where[80], file[96], text[64];
    struct jabbertts_store *old;
    struct jabbertts_error e;
    struct seen s = {0};
    struct stat st;
    sqlite3 *db;
    (void)state;
    snprintf(where, sizeof where, "/tmp/test_store-%d/old", (int)getpid());
    snprintf(file, sizeof file, "%s/voices.sqlite", where);
    mode_t was = umask(0);
    assert_int_equal(mkdir(where, 0777), 0);
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    if (jabbertts_store_open(where, &old, &e) < 0)
        fail_msg("%s", e.message);
    umask(was);
    assert_true(stat(file, &st) == 0 && (st.st_mode & 077) == 0);
    assert_int_equal(jabbertts_store_get(old, WHICH(JABBERTTS_VOICE, "old", 0), see, &s, &e), 0);
    assert_true(!strcmp(s.id, "voice_1") && !strcmp(s.consent, "cons_1") && s.n_bytes == 2);
    assert_int_equal(jabbertts_store_remove(old, WHICH(JABBERTTS_CONSENT, "cons_1", 0), &e),
                     JABBERTTS_ERR_ARGUMENT); /* the reference still holds */
    assert_int_equal(jabbertts_store_remove(old, WHICH(JABBERTTS_VOICE, "old", 0), &e), 0);
    jabbertts_store_close(old);
    snprintf(path, sizeof path, "%s", file);
    assert_int_equal(first_row("SELECT count(*) FROM codes", text, sizeof text), 0);
    snprintf(path, sizeof path, "%s/voices.sqlite", dir);
}

/* A recording longer than the model takes is refused with the model's own limit, or cut. */
static void test_trim(void **state)
{
    size_t n = 16000 * 80;
    float *pcm = mem_alloc(n * sizeof *pcm);
    struct jabbertts_error e;
    struct seen s = {0};
    char id[48], limit[32];
    (void)state;
    double most = jabbertts_clip_seconds(tts);
    assert_true(most > 10 && most < 80);
    size_t n_speech = (n_wav - 44) / 2; /* somebody speaks, over and over, with pauses of 0.5 s */
    for (size_t i = 0; i < n; i++) {
        size_t at = 44 + 2 * (i % (n_speech + 8000));
        pcm[i] = at < n_wav ? (float)(int16_t)(wav[at] | wav[at + 1] << 8) / 32768 : 0;
    }
    struct jabbertts_stored v = {.name = "longer", .transcript = "What is said."};
    unsigned char *w = make_wav(pcm, n, 16000, &v.n_bytes);
    v.recording = w;
    assert_int_equal(jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e),
                     JABBERTTS_ERR_LIMIT);
    snprintf(limit, sizeof limit, "at most %.1f s", most);
    if (!strstr(e.message, limit) || !strstr(e.message, "trim"))
        fail_msg("\"%s\" says neither %s nor trim", e.message, limit);
    v.trim = 1;
    if (jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, id, 0), see, &s, &e), 0);
    assert_true(s.seconds > most / 2 && s.seconds <= most);
    for (size_t i = 0; i < 100; i++) /* in a pause */
        assert_true(fabsf(pcm[(size_t)(s.seconds * 16000) - i]) < 0.03f);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
    mem_free(pcm);
    mem_free(w);
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
static float clipped(int i)
{
    return i / 3000 % 2 ? (i / 50 % 2 ? 1.0f : -1.0f) : 0.001f;
}

/* A text in a voice of a model, behind what is there: samples in all. */
static size_t say_more(const char *model, const char *voice, const char *text, float *pcm, size_t n,
                       size_t max)
{
    struct jabbertts_request r;
    struct jabbertts_stream *s;
    int k;
    jabbertts_request_init(&r);
    r.text = text;
    r.voice = voice;
    r.model = model;
    assert_int_equal(jabbertts_submit(tts, &r, &s, NULL), 0);
    while (n < max && (k = jabbertts_read(s, pcm + n, (int)(max - n), NULL)) > 0)
        n += (size_t)k;
    jabbertts_stream_free(s);
    return n;
}

static void keep_heard(void *cookie, const struct jabbertts_stored *v)
{
    struct jabbertts_stored *to = cookie;
    static char advice[600];
    static float print[JABBERTTS_PRINT];
    *to = *v;
    snprintf(advice, sizeof advice, "%s", v->advice);
    to->advice = advice;
    if (v->print)
        memcpy(print, v->print, sizeof print);
    to->print = v->print ? print : NULL;
}

static struct jabbertts_stored add_heard(const char *name, const float *pcm, size_t n, int hz)
{
    bool told = strcmp(name, "untold") != 0;
    struct jabbertts_stored v = {.name = name, .transcript = told ? "What is said." : NULL},
                            heard = {0};
    struct jabbertts_error e;
    char id[48];
    unsigned char *w = make_wav(pcm, n, hz, &v.n_bytes);
    v.recording = w;
    if (jabbertts_store_add(store, tts, JABBERTTS_VOICE, &v, id, &e) < 0)
        fail_msg("%s: %s", name, e.message);
    assert_int_equal(
        jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, id, 0), keep_heard, &heard, NULL), 0);
    mem_free(w);
    return heard;
}

static void remove_named(const char *name)
{
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, name, 0), NULL), 0);
}

/* Notes that fade, with a hiss on each beat: loud and soft, and nobody speaks. */
static float music(int i)
{
    static const double notes[] = {220, 277.2, 329.6, 440, 329.6, 277.2};
    double t = i / 16000.0, at = t - (int)(t / 0.4) * 0.4, f = notes[(int)(t / 0.4) % 6];
    double x = 0;
    for (int k = 1; k < 6; k++)
        x += sin(6.2831853 * f * k * t) / k;
    return (float)(0.2 * x * exp(-6 * at)) + (at < 0.05 ? 0.2f * hiss(i) : 0);
}

/* Who is heard, whether it is one, and how well: what is refused, what is advised. */
static void test_heard(void **state)
{
    enum { MAX = 22050 * 30 };
    static const char one[] = "I have lived near the sea all my life. In the morning I walk along "
                              "the beach with my dog.";
    static const char two[] = "He runs ahead and barks at the waves. After that I make a pot of "
                              "tea and read the paper.";
    float *pcm = mem_alloc(MAX * sizeof *pcm), first[JABBERTTS_PRINT];
    (void)state;
    size_t n = say_more("espeak-ng", "en-us+f2", one, pcm, 0, MAX);
    struct jabbertts_stored v = add_heard("first", pcm, n, 22050);
    assert_non_null(v.print);
    memcpy(first, v.print, sizeof first);
    assert_string_equal(v.advice, "");
    assert_true(v.likeness > 0.2 && v.likeness < 1);
    assert_true(fabs(jabbertts_likeness(first, first) - 1) < 1e-4);
    v = add_heard("untold", pcm, n, 22050);
    if (strncmp(v.advice, "With a transcript", 17) != 0)
        fail_msg("no transcript: \"%s\"", v.advice);
    for (size_t i = 0; i < n; i++)
        pcm[i] = 0.5f * pcm[i] + 0.3f; /* a cheap sound card's direct current */
    v = add_heard("leaning", pcm, n, 22050);
    assert_true(jabbertts_likeness(first, v.print) > 0.98);
    if (strstr(v.advice, "noise"))
        fail_msg("direct current: \"%s\"", v.advice);
    n = say_more("espeak-ng", "en-us+whisper", one, pcm, 0, MAX);
    v = add_heard("whisper", pcm, n, 22050); /* whose words' ends are soft and like noise */
    if (strstr(v.advice, "noise"))
        fail_msg("whispered: \"%s\"", v.advice);
    n = say_more("espeak-ng", "en-us+f2", two, pcm, 0, MAX);
    v = add_heard("again", pcm, n, 22050);
    assert_true(jabbertts_likeness(first, v.print) > 0.8);
    n = say_more("espeak-ng", "en-us+m7", one, pcm, n, MAX);
    v = add_heard("both", pcm, n, 22050);
    if (!strstr(v.advice, "two speakers"))
        fail_msg("two speakers: \"%s\"", v.advice);
    n = say_more("espeak-ng", "en-us+m7", one, pcm, 0, MAX);
    v = add_heard("another", pcm, n, 22050);
    assert_true(jabbertts_likeness(first, v.print) < 0.75);
    v = add_heard("twice", pcm, n, 22050);
    if (!strstr(v.advice, "sounds like the voice \"another\" (likeness 1.00)"))
        fail_msg("twice: \"%s\"", v.advice);
    for (size_t i = 0; i < n; i++)
        pcm[i] += 0.3f * hiss((int)i);
    v = add_heard("noisy", pcm, n, 22050);
    if (!strstr(v.advice, "noise between the words"))
        fail_msg("noise: \"%s\"", v.advice);
    n = say_more(NULL, NULL, "I am here for a moment.", pcm, 0, MAX);
    v = add_heard("brief", pcm, n, 16000);
    if (!strstr(v.advice, "of it are speech"))
        fail_msg("brief: \"%s\"", v.advice);
    refuse_sound(music, 16000 * 6, "there seems to be no speech");
    static const char *const names[] = {"first", "untold",  "leaning", "whisper", "again",
                                        "both",  "another", "twice",   "noisy",   "brief"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove_named(names[i]);
    mem_free(pcm);
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
    refuse_sound(hiss, 16000 * 60, "this model takes at most");
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
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, "traveller", 0), &e), 0);
    assert_int_equal(jabbertts_store_import(store, tts, json, strlen(json) - 9, id, &e),
                     JABBERTTS_ERR_FORMAT);
    assert_int_equal(jabbertts_store_import(store, tts, json, strlen(json), id, &e), 0);
    assert_int_equal(
        jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, "traveller", 0), see, &s, &e), 0);
    assert_true(s.same && !strcmp(s.id, id));
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
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
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
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
    assert_int_equal(jabbertts_store_get(store, WHICH(JABBERTTS_VOICE, "toobig", 0), see, &s, &e),
                     JABBERTTS_ERR_NOT_FOUND);
    assert_int_equal(add_as(JABBERTTS_VOICE, "toobig", NULL, id, &e), 0);
    assert_int_equal(jabbertts_store_remove(store, WHICH(JABBERTTS_VOICE, id, 0), &e), 0);
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
        cmocka_unit_test(test_owners),     cmocka_unit_test(test_old_store),
        cmocka_unit_test(test_heard),      cmocka_unit_test(test_several),
        cmocka_unit_test(test_anchors),    cmocka_unit_test(test_trim),
        cmocka_unit_test(test_killed),
    };
    if (argc == 3 && !strcmp(argv[1], "write"))
        return write_forever(argv[2]);
    return cmocka_run_group_tests(tests, setup, teardown);
}
