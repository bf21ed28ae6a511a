/* store.c - voices and consents in SQLite.
 *
 * Every change is one transaction of a database in WAL mode with full synchronization: it is there
 * after a crash, whole, or it is not.  What is deleted is overwritten (secure_delete) and the log
 * emptied, because recordings of people are what is deleted. */
#include "engine/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define WAIT_MS     2000
#define VERSION     1
#define MIN_SECONDS 1
#define TABLE(kind) ((kind) == JABBERTTS_VOICE ? "voice" : "consent")

struct jabbertts_store {
    sqlite3 *db;
    pthread_mutex_t lock;
    char path[4096];
};

static const char schema[] =
    "CREATE TABLE consent(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
    " name TEXT NOT NULL, language TEXT NOT NULL, transcript TEXT NOT NULL,"
    " description TEXT NOT NULL, consent TEXT, created INTEGER NOT NULL, seconds REAL NOT NULL,"
    " recording BLOB NOT NULL);"
    "CREATE TABLE voice(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL,"
    " name TEXT UNIQUE NOT NULL, language TEXT NOT NULL, transcript TEXT NOT NULL,"
    " description TEXT NOT NULL, consent TEXT REFERENCES consent(id), created INTEGER NOT NULL,"
    " seconds REAL NOT NULL, recording BLOB NOT NULL);"
    "CREATE TABLE codes(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"
    " model INTEGER NOT NULL, text TEXT NOT NULL, n_frame INTEGER NOT NULL, codes BLOB NOT NULL,"
    " PRIMARY KEY(voice, model));"
    "PRAGMA user_version = 1;";

/* --- sqlite ------------------------------------------------------------------------------------
 */

static int store_fail(struct jabbertts_store *s, struct err *e)
{
    int code = s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM;
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, ERR_BUSY, "another program has %s locked; try again", s->path);
    case SQLITE_FULL:
        return err_set(e, ERR_IO, "the disk with %s is full", s->path);
    case SQLITE_NOMEM:
        return err_set(e, ERR_MEMORY, "out of memory for the voice store");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return err_set(e, ERR_FORMAT, "%s is damaged, or is no voice store: %s", s->path,
                       sqlite3_errmsg(s->db));
    default:
        return err_set(e, ERR_IO, "%s: %s", s->path, sqlite3_errmsg(s->db));
    }
}

static int store_run(struct jabbertts_store *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(s, e);
}

/* types: one letter a parameter: s a string (NULL: NULL), b bytes and their number, i int64, f
 * double. */
static int store_prepare(struct jabbertts_store *s, sqlite3_stmt **ret, struct err *e,
                         const char *sql, const char *types, ...)
{
    va_list args;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, ret, NULL);
    va_start(args, types);
    for (int i = 1; rc == SQLITE_OK && types[i - 1]; i++)
        if (types[i - 1] == 's') {
            rc = sqlite3_bind_text(*ret, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else if (types[i - 1] == 'b') {
            const void *data = va_arg(args, const void *);
            rc = sqlite3_bind_blob64(*ret, i, data, va_arg(args, size_t), SQLITE_TRANSIENT);
        } else if (types[i - 1] == 'i') {
            rc = sqlite3_bind_int64(*ret, i, va_arg(args, int64_t));
        } else {
            rc = sqlite3_bind_double(*ret, i, va_arg(args, double));
        }
    va_end(args);
    if (rc == SQLITE_OK)
        return 0;
    rc = store_fail(s, e);
    sqlite3_finalize(*ret);
    return rc;
}

/* Step a statement that gives no rows, and finish it. */
static int store_finish(struct jabbertts_store *s, sqlite3_stmt *q, struct err *e)
{
    int rc = sqlite3_step(q) == SQLITE_DONE ? 0 : store_fail(s, e);
    sqlite3_finalize(q);
    return rc;
}

/* 1: a row; 0: none; else the error. */
static int store_step(struct jabbertts_store *s, sqlite3_stmt *q, struct err *e)
{
    int rc = sqlite3_step(q);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_fail(s, e);
}

static int store_count(struct jabbertts_store *s, const char *sql, const char *id, int64_t *ret,
                       struct err *e)
{
    sqlite3_stmt *q;
    int rc = store_prepare(s, &q, e, sql, id ? "s" : "", id);
    if (rc < 0)
        return rc;
    rc = store_step(s, q, e);
    *ret = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return rc < 0 ? rc : 0;
}

/* --- open and close ----------------------------------------------------------------------------
 */

/* Every directory of the path that does not exist. */
static int make_directories(const char *dir, struct err *e)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s", dir);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return err_set(e, ERR_IO, "cannot make the directory %s: %s", path, strerror(errno));
        *p = was;
        if (!was)
            break;
    }
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO, "%s is not a directory", dir);
    return 0;
}

static int prepare_database(struct jabbertts_store *s, struct err *e)
{
    int64_t version;
    int rc;
    sqlite3_busy_timeout(s->db, WAIT_MS);
    sqlite3_extended_result_codes(s->db, 0);
    if ((rc = store_run(s,
                        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                        "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
                        "BEGIN IMMEDIATE",
                        e)) < 0)
        return rc;
    rc = store_count(s, "PRAGMA user_version", NULL, &version, e);
    if (rc == 0 && version == 0)
        rc = store_run(s, schema, e);
    else if (rc == 0 && version != VERSION)
        rc = err_set(e, ERR_UNSUPPORTED, "%s is of version %lld, this program knows %d", s->path,
                     (long long)version, VERSION);
    if (rc == 0)
        rc = store_run(s, "COMMIT", e);
    if (rc < 0)
        store_run(s, "ROLLBACK", NULL);
    return rc;
}

int jabbertts_store_open(const char *dir, struct jabbertts_store **ret,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    struct jabbertts_store *s = mem_try(1, sizeof *s);
    if (!s)
        return engine_return(error, &e, err_set(&e, ERR_MEMORY, "out of memory"));
    pthread_mutex_init(&s->lock, NULL);
    int n = snprintf(s->path, sizeof s->path, "%s/voices.sqlite", dir), rc;
    if (!*dir || n < 0 || (size_t)n >= sizeof s->path)
        rc = err_set(&e, ERR_ARGUMENT, "the voice directory's name is empty or too long");
    else if ((rc = make_directories(dir, &e)) == 0 &&
             sqlite3_open_v2(s->path, &s->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                             NULL) != SQLITE_OK)
        rc = store_fail(s, &e);
    if (rc == 0)
        rc = prepare_database(s, &e);
    if (rc < 0)
        jabbertts_store_close(s);
    else
        *ret = s;
    return engine_return(error, &e, rc);
}

void jabbertts_store_close(struct jabbertts_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static const char *text_at(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

/* A row of COLUMNS, with or without the recording behind them. */
#define COLUMNS                                                                                    \
    "id, name, language, transcript, description, consent, created, seconds, length(recording)"
static void store_show(sqlite3_stmt *q, bool whole, jabbertts_stored_fn fn, void *cookie)
{
    struct jabbertts_stored v = {.id = text_at(q, 0),
                                 .name = text_at(q, 1),
                                 .language = text_at(q, 2),
                                 .transcript = text_at(q, 3),
                                 .description = text_at(q, 4),
                                 .consent = text_at(q, 5),
                                 .created_at = sqlite3_column_int64(q, 6),
                                 .seconds = sqlite3_column_double(q, 7),
                                 .n_bytes = (size_t)sqlite3_column_int64(q, 8)};
    if (whole)
        v.recording = sqlite3_column_blob(q, 9);
    fn(cookie, &v);
}

static int none(enum jabbertts_kind kind, const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "the store has no %s \"%.64s\"", TABLE(kind), id);
}

static int get(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
               jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    sqlite3_stmt *q;
    int rc =
        kind == JABBERTTS_VOICE
            ? store_prepare(s, &q, e,
                            "SELECT " COLUMNS ", recording FROM voice WHERE id = ?1 OR "
                            "name = ?1",
                            "s", id)
            : store_prepare(s, &q, e, "SELECT " COLUMNS ", recording FROM consent WHERE id = ?1",
                            "s", id);
    if (rc < 0)
        return rc;
    rc = store_step(s, q, e);
    if (rc == 1)
        store_show(q, true, fn, cookie);
    sqlite3_finalize(q);
    return rc == 1 ? 0 : rc < 0 ? rc : none(kind, id, e);
}

int jabbertts_store_get(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
                        jabbertts_stored_fn fn, void *cookie, struct jabbertts_error *error)
{
    struct err e = {0};
    pthread_mutex_lock(&s->lock);
    int rc = get(s, kind, id, fn, cookie, &e);
    pthread_mutex_unlock(&s->lock);
    return engine_return(error, &e, rc);
}

static int list(struct jabbertts_store *s, enum jabbertts_kind kind, const char *after, int limit,
                jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    bool voice = kind == JABBERTTS_VOICE;
    sqlite3_stmt *q;
    int64_t seq = 0;
    int n = 0, rc = 0;
    if (limit < 1 || limit > LIMIT_STORED)
        return err_set(e, ERR_ARGUMENT, "limit is %d, must be 1 to %d", limit, LIMIT_STORED);
    if (after)
        rc = store_count(s,
                         voice ? "SELECT seq FROM voice WHERE id = ?"
                               : "SELECT seq FROM consent WHERE "
                                 "id = ?",
                         after, &seq, e);
    if (rc == 0 && after && seq == 0)
        rc = none(kind, after, e);
    if (rc < 0)
        return rc;
    rc = store_prepare(s, &q, e,
                       voice ? "SELECT " COLUMNS " FROM voice WHERE seq > ? ORDER BY seq LIMIT ?"
                             : "SELECT " COLUMNS " FROM consent WHERE seq > ? ORDER BY seq LIMIT ?",
                       "ii", seq, (int64_t)limit + 1);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, q, e)) == 1 && n++ < limit)
        store_show(q, false, fn, cookie);
    sqlite3_finalize(q);
    return rc;
}

int jabbertts_store_list(struct jabbertts_store *s, enum jabbertts_kind kind, const char *after,
                         int limit, jabbertts_stored_fn fn, void *cookie,
                         struct jabbertts_error *error)
{
    struct err e = {0};
    pthread_mutex_lock(&s->lock);
    int rc = list(s, kind, after, limit, fn, cookie, &e);
    pthread_mutex_unlock(&s->lock);
    return engine_return(error, &e, rc);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static int check_length(const char *what, const char *s, size_t max, struct err *e)
{
    if (s && strlen(s) > max)
        return err_set(e, ERR_LIMIT, "the %s has %zu bytes, the limit is %zu", what, strlen(s),
                       max);
    for (; s && *s; s++)
        if ((unsigned char)*s < ' ' && *s != '\n' && *s != '\t')
            return err_set(e, ERR_ARGUMENT, "the %s has a control character", what);
    return 0;
}

static int check_name(enum jabbertts_kind kind, const char *name, struct err *e)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (!name || !*name)
        return err_set(e, ERR_ARGUMENT, "a %s needs a name", TABLE(kind));
    if (kind == JABBERTTS_VOICE && name[strspn(name, allowed)])
        return err_set(e, ERR_ARGUMENT,
                       "a voice's name has only letters, digits, - and _, not "
                       "\"%.64s\"",
                       name);
    if (kind == JABBERTTS_VOICE && strncmp(name, "voice_", 6) == 0)
        return err_set(e, ERR_ARGUMENT, "a voice's name does not begin with voice_, ids do");
    return check_length("name", name, LIMIT_VOICE_NAME_BYTES, e);
}

/* Names of the model stay the model's. */
static int check_free(struct jabbertts *tts, const char *name, struct err *e)
{
    const char *known, *target;
    bool taken = strcmp(name, "default") == 0;
    for (int i = 0; tts && !taken && (known = jabbertts_voice_name(tts, i)); i++)
        taken = strcmp(known, name) == 0;
    for (int i = 0; tts && !taken && (known = jabbertts_voice_alias(tts, i, &target)); i++)
        taken = strcmp(known, name) == 0;
    return taken ? err_set(e, ERR_ARGUMENT, "the model has a voice \"%.64s\"; choose another name",
                           name)
                 : 0;
}

static int check_input(struct jabbertts *tts, enum jabbertts_kind kind,
                       const struct jabbertts_stored *v, struct err *e)
{
    int rc;
    if ((rc = check_name(kind, v->name, e)) < 0 ||
        (rc = check_length("language", v->language, 35, e)) < 0 ||
        (rc = check_length("transcript", v->transcript, LIMIT_VOICE_TEXT_BYTES, e)) < 0 ||
        (rc = check_length("description", v->description, LIMIT_VOICE_TEXT_BYTES, e)) < 0)
        return rc;
    if (!v->recording || v->n_bytes == 0)
        return err_set(e, ERR_ARGUMENT, "the recording is empty");
    if (v->n_bytes > LIMIT_RECORDING_BYTES)
        return err_set(e, ERR_LIMIT, "the recording has %zu bytes, the limit is %d", v->n_bytes,
                       LIMIT_RECORDING_BYTES);
    return kind == JABBERTTS_VOICE ? check_free(tts, v->name, e) : 0;
}

static int store_make_id(enum jabbertts_kind kind, char id[48], struct err *e)
{
    unsigned char random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return err_set(e, ERR_IO, "no random numbers for an id: %s", strerror(errno));
    size_t n = (size_t)snprintf(id, 48, "%s", kind == JABBERTTS_VOICE ? "voice_" : "cons_");
    for (size_t i = 0; i < sizeof random; i++, n += 2)
        snprintf(id + n, 48 - n, "%02x", random[i]);
    return 0;
}

/* Which codec made some codes: FNV-1a of the first bytes of each of its tensors. */
static int64_t fingerprint(const struct jabbertts *tts)
{
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < gguf_n_tensors(tts->model.file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(tts->model.file, i);
        if (strncmp(t->name, "codec.", 6) != 0)
            continue;
        for (size_t k = 0; k < t->n_bytes && k < 64; k++)
            hash = (hash ^ ((const unsigned char *)t->data)[k]) * 1099511628211u;
    }
    return (int64_t)hash;
}

static int insert_codes(struct jabbertts_store *s, const struct jabbertts *tts, const char *id,
                        const struct jabbertts_voice *v, struct err *e)
{
    sqlite3_stmt *q;
    size_t n = (size_t)v->n_frame * (size_t)tts->model.spec.lm.n_codebook;
    int rc = store_prepare(s, &q, e, "INSERT OR REPLACE INTO codes VALUES(?,?,?,?,?)", "sisib", id,
                           fingerprint(tts), v->text, (int64_t)v->n_frame, (const void *)v->codes,
                           n * sizeof *v->codes);
    return rc < 0 ? rc : store_finish(s, q, e);
}

static int store_insert(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
                        const struct jabbertts_stored *v, double seconds, struct err *e)
{
#define INSERT(table)                                                                              \
    "INSERT INTO " table "(id, name, language, transcript, description, consent,"                  \
    " created, seconds, recording) VALUES(?,?,?,?,?,?,?,?,?)"
    const char *consent = v->consent && *v->consent ? v->consent : NULL;
    sqlite3_stmt *q;
    int64_t n;
    int rc;
    if (kind == JABBERTTS_VOICE) {
        if ((rc = store_count(s, "SELECT count(*) FROM voice WHERE name = ?", v->name, &n, e)) < 0)
            return rc;
        if (n > 0)
            return err_set(e, ERR_ARGUMENT, "there is a voice \"%s\" already", v->name);
        if (consent &&
            (rc = store_count(s, "SELECT count(*) FROM consent WHERE id = ?", consent, &n, e)) < 0)
            return rc;
        if (consent && n == 0)
            return none(JABBERTTS_CONSENT, consent, e);
    }
    if ((rc = store_count(s,
                          kind == JABBERTTS_VOICE ? "SELECT count(*) FROM voice"
                                                  : "SELECT count(*) FROM consent",
                          NULL, &n, e)) < 0)
        return rc;
    if (n >= LIMIT_STORED)
        return err_set(e, ERR_LIMIT, "the store has %lld entries, the limit is %d; delete some",
                       (long long)n, LIMIT_STORED);
    rc = store_prepare(s, &q, e, kind == JABBERTTS_VOICE ? INSERT("voice") : INSERT("consent"),
                       "ssssssifb", id, v->name, v->language ? v->language : "",
                       v->transcript ? v->transcript : "", v->description ? v->description : "",
                       consent, (int64_t)time(NULL), seconds, v->recording, v->n_bytes);
    return rc < 0 ? rc : store_finish(s, q, e);
}

/* In one transaction; codes may be NULL. */
static int keep(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                const char *id, const struct jabbertts_stored *v,
                const struct jabbertts_voice *codes, double seconds, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = store_run(s, "BEGIN IMMEDIATE", e);
    if (rc == 0) {
        rc = store_insert(s, kind, id, v, seconds, e);
        if (rc == 0 && codes)
            rc = insert_codes(s, tts, id, codes, e);
        if (rc == 0)
            rc = store_run(s, "COMMIT", e);
        if (rc < 0)
            store_run(s, "ROLLBACK", NULL);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int store_add(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                     const struct jabbertts_stored *v, char id[48], struct err *e)
{
    struct jabbertts_voice *codes = NULL;
    float *pcm;
    size_t n;
    char made[48];
    int hz = jabbertts_sample_rate(tts), rc;
    if ((rc = check_input(tts, kind, v, e)) < 0 || (rc = store_make_id(kind, made, e)) < 0 ||
        (rc = voice_decode(tts, v->recording, v->n_bytes, &pcm, &n, e)) < 0)
        return rc;
    rc = audio_check_speech(pcm, n, hz, MIN_SECONDS, LIMIT_REFERENCE_SECONDS, e);
    if (rc == 0 && kind == JABBERTTS_VOICE && tts->has_model)
        rc = voice_encode(tts, pcm, n, v->transcript ? v->transcript : "", &codes, e);
    if (rc == 0)
        rc = keep(s, tts, kind, made, v, codes, (double)n / hz, e);
    if (rc == 0)
        memcpy(id, made, sizeof made);
    mem_free(pcm);
    jabbertts_voice_free(codes);
    return rc;
}

int jabbertts_store_add(struct jabbertts_store *s, struct jabbertts *tts, enum jabbertts_kind kind,
                        const struct jabbertts_stored *v, char id[48],
                        struct jabbertts_error *error)
{
    struct err e = {0};
    return engine_return(error, &e, store_add(s, tts, kind, v, id, &e));
}

int jabbertts_store_rename(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
                           const char *name, struct jabbertts_error *error)
{
    struct err e = {0};
    sqlite3_stmt *q;
    int rc = check_name(kind, name, &e);
    if (rc < 0)
        return engine_return(error, &e, rc);
    pthread_mutex_lock(&s->lock);
    rc = store_prepare(s, &q, &e,
                       kind == JABBERTTS_VOICE ? "UPDATE voice SET name = ?2 WHERE id = ?1"
                                               : "UPDATE consent SET name = ?2 WHERE id = ?1",
                       "ss", id, name);
    if (rc == 0) {
        int got = sqlite3_step(q);
        rc = got == SQLITE_CONSTRAINT
                 ? err_set(&e, ERR_ARGUMENT, "there is a voice \"%s\" already", name)
             : got != SQLITE_DONE          ? store_fail(s, &e)
             : sqlite3_changes(s->db) == 0 ? none(kind, id, &e)
                                           : 0;
        sqlite3_finalize(q);
    }
    pthread_mutex_unlock(&s->lock);
    return engine_return(error, &e, rc);
}

static int remove_row(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
                      struct err *e)
{
    sqlite3_stmt *q;
    int rc = kind == JABBERTTS_VOICE
                 ? store_prepare(s, &q, e, "DELETE FROM voice WHERE id = ?1 OR name = ?1", "s", id)
                 : store_prepare(s, &q, e, "DELETE FROM consent WHERE id = ?1", "s", id);
    if (rc < 0)
        return rc;
    int got = sqlite3_step(q);
    if (got == SQLITE_CONSTRAINT)
        rc = err_set(e, ERR_ARGUMENT, "a voice was made with consent %.48s; delete that first", id);
    else if (got != SQLITE_DONE)
        rc = store_fail(s, e);
    else if (sqlite3_changes(s->db) == 0)
        rc = none(kind, id, e);
    sqlite3_finalize(q);
    return rc;
}

int jabbertts_store_remove(struct jabbertts_store *s, enum jabbertts_kind kind, const char *id,
                           struct jabbertts_error *error)
{
    struct err e = {0};
    pthread_mutex_lock(&s->lock);
    int rc = remove_row(s, kind, id, &e);
    if (rc == 0) /* smaller, and nothing of it in the log; what fails here is tried at the next */
        store_run(s, "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)", NULL);
    pthread_mutex_unlock(&s->lock);
    return engine_return(error, &e, rc);
}

/* --- speaking with a stored voice ---------------------------------------------------------------
 */

static int load_codes(struct jabbertts *tts, sqlite3_stmt *q, struct jabbertts_voice *v,
                      struct err *e)
{
    const struct spec_lm *lm = &tts->model.spec.lm;
    int n_frame = sqlite3_column_int(q, 1);
    size_t n_bytes = (size_t)sqlite3_column_bytes(q, 2);
    size_t n = n_bytes / sizeof *v->codes;
    if (n_frame < 1 || n_bytes != (size_t)n_frame * (size_t)lm->n_codebook * sizeof *v->codes)
        return err_set(e, ERR_FORMAT,
                       "the codes of a stored voice are damaged; delete and add it again");
    v->text = mem_strndup(text_at(q, 0), LIMIT_VOICE_TEXT_BYTES * 4);
    v->codes = mem_try(n, sizeof *v->codes);
    if (!v->text || !v->codes)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    memcpy(v->codes, sqlite3_column_blob(q, 2), n_bytes);
    v->n_frame = n_frame;
    for (size_t i = 0; i < n; i++)
        if (v->codes[i] < 0 || v->codes[i] >= lm->codebook_size)
            return err_set(e, ERR_FORMAT,
                           "the codes of a stored voice are damaged; delete and add it "
                           "again");
    return 0;
}

/* (store's lock) 1: found, 0: this model has not encoded it. */
static int find_codes(struct jabbertts_store *s, struct jabbertts *tts, const char *id,
                      struct jabbertts_voice *v, struct err *e)
{
    sqlite3_stmt *q;
    int rc = store_prepare(s, &q, e,
                           "SELECT c.text, c.n_frame, c.codes FROM codes c JOIN voice v ON c.voice "
                           "= v.id WHERE (v.id = ?1 OR v.name = ?1) AND c.model = ?2",
                           "si", id, fingerprint(tts));
    if (rc < 0)
        return rc;
    rc = store_step(s, q, e);
    if (rc == 1 && load_codes(tts, q, v, e) < 0)
        rc = e->code;
    sqlite3_finalize(q);
    return rc;
}

struct copy {
    char id[48], *transcript;
    void *data;
    size_t n;
};

static void take_copy(void *cookie, const struct jabbertts_stored *v)
{
    struct copy *c = cookie;
    snprintf(c->id, sizeof c->id, "%s", v->id);
    c->transcript = mem_strndup(v->transcript, LIMIT_VOICE_TEXT_BYTES);
    c->data = mem_try(v->n_bytes, 1);
    c->n = v->n_bytes;
    if (c->data)
        memcpy(c->data, v->recording, v->n_bytes);
}

/* Encode the recording with this model, and remember the codes. */
static int encode_again(struct jabbertts_store *s, struct jabbertts *tts, const struct copy *c,
                        struct jabbertts_voice **ret, struct err *e)
{
    float *pcm;
    size_t n;
    if (!c->data || !c->transcript)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    int rc = voice_decode(tts, c->data, c->n, &pcm, &n, e);
    if (rc < 0)
        return rc;
    rc = voice_encode(tts, pcm, n, c->transcript, ret, e);
    mem_free(pcm);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    insert_codes(s, tts, c->id, *ret, NULL); /* else the next request encodes it again */
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int store_voice(struct jabbertts_store *s, struct jabbertts *tts, const char *id,
                struct jabbertts_voice **ret, struct err *e)
{
    struct jabbertts_voice *v = mem_try(1, sizeof *v);
    struct copy c = {.n = 0};
    if (!v)
        return err_set(e, ERR_MEMORY, "out of memory for a voice");
    pthread_mutex_lock(&s->lock);
    int rc = find_codes(s, tts, id, v, e);
    if (rc == 0)
        rc = get(s, JABBERTTS_VOICE, id, take_copy, &c, e);
    pthread_mutex_unlock(&s->lock);
    if (rc == 1) {
        *ret = v;
        return 0;
    }
    jabbertts_voice_free(v);
    if (rc == 0)
        rc = encode_again(s, tts, &c, ret, e);
    mem_free(c.data);
    mem_free(c.transcript);
    return rc;
}
