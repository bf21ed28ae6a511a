/* sqlite.c - the store as statements of SQLite.
 *
 * Every change is one transaction of a database in WAL mode with full synchronization: it is there
 * after a crash, whole, or it is not.  What is deleted is overwritten (secure_delete) and the log
 * emptied, because recordings of people are what is deleted. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/db_sqlite.h"

#define WAIT_MS 2000
#define VERSION 4

struct jabbertts_store {
    sqlite3 *db;
    pthread_mutex_t lock;
    char path[4096];
};

/* --- statements --- */

#define ROW_COLUMNS                                                                                \
    "id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL,"                         \
    " transcript TEXT NOT NULL, description TEXT NOT NULL,"
#define REST_COLUMNS                                                                               \
    " created INTEGER NOT NULL, seconds REAL NOT NULL, recording BLOB NOT NULL,"                   \
    " owner TEXT NOT NULL DEFAULT ''"
#define VOICE_TABLE(name)                                                                          \
    "CREATE TABLE " name "(seq INTEGER PRIMARY KEY AUTOINCREMENT, " ROW_COLUMNS                    \
    " consent TEXT REFERENCES consent(id)," REST_COLUMNS ", UNIQUE(owner, name));"

/* The further recordings of a voice, and the codes of all of them: its own is clip 0. */
#define CLIP_TABLES                                                                                \
    "CREATE TABLE clip(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"                \
    " i INTEGER NOT NULL, transcript TEXT NOT NULL, seconds REAL NOT NULL,"                        \
    " recording BLOB NOT NULL, PRIMARY KEY(voice, i));"                                            \
    "CREATE TABLE codes(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"               \
    " model INTEGER NOT NULL, clip INTEGER NOT NULL, text TEXT NOT NULL,"                          \
    " n_frame INTEGER NOT NULL, codes BLOB NOT NULL, PRIMARY KEY(voice, model, clip));"            \
    "CREATE TABLE anchor(name TEXT NOT NULL, model INTEGER NOT NULL, text TEXT NOT NULL,"          \
    " n_frame INTEGER NOT NULL, codes BLOB NOT NULL, PRIMARY KEY(name, model));"

/* What was heard in the recordings of a voice. */
#define HEARD_COLUMNS                                                                              \
    "ALTER TABLE voice ADD COLUMN print BLOB; ALTER TABLE voice ADD COLUMN likeness REAL;"         \
    "ALTER TABLE voice ADD COLUMN advice TEXT NOT NULL DEFAULT '';"

static const char schema[] =
    "CREATE TABLE consent(seq INTEGER PRIMARY KEY AUTOINCREMENT, " ROW_COLUMNS
    " consent TEXT," REST_COLUMNS ");" VOICE_TABLE("voice") CLIP_TABLES HEARD_COLUMNS
    "PRAGMA user_version = 4;";

/* What makes the next version of version i + 1. */
static const char *const store_updates[] = {
    /* Version 1 had no owners, and a name was unique for all. */
    "ALTER TABLE consent ADD COLUMN owner TEXT NOT NULL DEFAULT '';" VOICE_TABLE(
        "voice_2") "INSERT INTO voice_2(seq, id, name, language, transcript, description, consent, "
                   "created,"
                   " seconds, recording) SELECT seq, id, name, language, transcript, description, "
                   "consent,"
                   " created, seconds, recording FROM voice;"
                   "DROP TABLE voice; ALTER TABLE voice_2 RENAME TO voice;"
                   "PRAGMA user_version = 2;",
    /* Version 2 had one recording a voice.  Its codes are made again when they are needed. */
    "DROP TABLE codes;" CLIP_TABLES "PRAGMA user_version = 3;",
    HEARD_COLUMNS "PRAGMA user_version = 4;",
};

/* ?1 is an id (of voices also a name), ?2 the owner that looks, NULL for all.  One's own comes
 * before everyone's. */
#define COLUMNS                                                                                    \
    "id, name, language, transcript, description, consent, created, seconds, length(recording),"   \
    " owner, "
#define HEARD "print, likeness, advice"
#define DEAF  "NULL, NULL, ''"
#define SEEN  "(?2 IS NULL OR owner = ?2 OR owner = '')"
#define NAMED "(id = ?1 OR name = ?1)"
#define FIRST " ORDER BY id = ?1 DESC, owner = coalesce(?2, '') DESC, seq LIMIT 1"
#define INSERT(table)                                                                              \
    "INSERT INTO " table "(id, name, language, transcript, description, consent, created,"         \
    " seconds, recording, owner) VALUES(?,?,?,?,?,?,?,?,?,?)"

enum statement { GET, SEQ, LIST, COUNT, ADD, RENAME, REMOVE, N_STATEMENT };

static const char *const statements[N_STATEMENT][2] = {
    [GET] = {"SELECT " COLUMNS HEARD ", recording FROM voice WHERE " NAMED " AND " SEEN FIRST,
             "SELECT " COLUMNS DEAF ", recording FROM consent WHERE id = ?1 AND " SEEN},
    [SEQ] = {"SELECT seq FROM voice WHERE id = ?1 AND " SEEN,
             "SELECT seq FROM consent WHERE id = ?1 AND " SEEN},
    [LIST] = {"SELECT " COLUMNS HEARD " FROM voice WHERE seq > ?1 AND " SEEN
              " ORDER BY seq LIMIT ?3",
              "SELECT " COLUMNS DEAF " FROM consent WHERE seq > ?1 AND " SEEN
              " ORDER BY seq LIMIT ?3"},
    [COUNT] = {"SELECT count(*) FROM voice", "SELECT count(*) FROM consent"},
    [ADD] = {INSERT("voice"), INSERT("consent")},
    [RENAME] = {"UPDATE voice SET name = ?2 WHERE id = ?1",
                "UPDATE consent SET name = ?2 WHERE id = ?1"},
    [REMOVE] = {"DELETE FROM voice WHERE id = ?1", "DELETE FROM consent WHERE id = ?1"},
};

static const char *store_kind(enum jabbertts_kind kind)
{
    return kind == JABBERTTS_VOICE ? "voice" : "consent";
}

/* --- sqlite --- */

static int store_fail(struct jabbertts_store *s, struct err *e)
{
    return db_sqlite_fail(s->db, s->path, e);
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

/* Step a statement that gives no rows, and finish it; taken: what a constraint stands for. */
static int store_finish(struct jabbertts_store *s, sqlite3_stmt *q, const char *taken,
                        struct err *e)
{
    int got = sqlite3_step(q);
    int rc = got == SQLITE_DONE                  ? 0
             : got == SQLITE_CONSTRAINT && taken ? err_set(e, ERR_ARGUMENT, "%s", taken)
                                                 : store_fail(s, e);
    sqlite3_finalize(q);
    return rc;
}

/* 1: a row; 0: none; else the error. */
static int store_step(struct jabbertts_store *s, sqlite3_stmt *q, struct err *e)
{
    int rc = sqlite3_step(q);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_fail(s, e);
}

/* The one number that a statement with an id and an owner (NULL: without) gives; 0: no row. */
static int store_number(struct jabbertts_store *s, const char *sql,
                        const struct jabbertts_which *which, int64_t *ret, struct err *e)
{
    sqlite3_stmt *q;
    int rc = which ? store_prepare(s, &q, e, sql, "ss", which->id, which->owner)
                   : store_prepare(s, &q, e, sql, "");
    if (rc < 0)
        return rc;
    rc = store_step(s, q, e);
    *ret = rc == 1 ? sqlite3_column_int64(q, 0) : 0;
    sqlite3_finalize(q);
    return rc < 0 ? rc : 0;
}

/* --- open and close --- */

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

/* The file is its owner's alone whatever the directory's mode and the umask; SQLite gives its other
 * files the same mode. */
static int make_private(const struct jabbertts_store *s, struct err *e)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    int rc = fd < 0 || fstat(fd, &st) < 0 ? -1 : 0;
    if (rc == 0 && (st.st_mode & 077) && st.st_uid == geteuid())
        rc = fchmod(fd, 0600);
    if (rc < 0)
        err_set(e, ERR_IO, "cannot open %s: %s", s->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc < 0 ? ERR_IO : 0;
}

static int store_migrate(struct jabbertts_store *s, struct err *e)
{
    int64_t version = 0;
    int rc = store_number(s, "PRAGMA user_version", NULL, &version, e);
    if (rc == 0 && version == 0)
        rc = store_run(s, schema, e);
    else if (rc == 0 && (version < 0 || version > VERSION))
        rc = err_set(e, ERR_UNSUPPORTED, "%s is of version %lld, this program knows %d", s->path,
                     (long long)version, VERSION);
    for (; rc == 0 && version > 0 && version < VERSION; version++)
        rc = store_run(s, store_updates[version - 1], e);
    return rc;
}

static int store_prepare_database(struct jabbertts_store *s, struct err *e)
{
    int rc;
    sqlite3_busy_timeout(s->db, WAIT_MS);
    sqlite3_extended_result_codes(s->db, 0);
    /* Foreign keys would forbid to replace a table that others refer to. */
    if ((rc = store_run(s,
                        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF;"
                        "PRAGMA legacy_alter_table = ON;"
                        "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
                        "BEGIN IMMEDIATE",
                        e)) < 0)
        return rc;
    rc = store_migrate(s, e);
    if (rc == 0)
        rc = store_run(s, "COMMIT; PRAGMA foreign_keys = ON", e);
    if (rc < 0)
        store_run(s, "ROLLBACK", NULL);
    return rc;
}

int store_open(const char *dir, struct jabbertts_store **ret, struct err *e)
{
    struct jabbertts_store *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    int n = snprintf(s->path, sizeof s->path, "%s/voices.sqlite", dir), rc;
    if (!*dir || n < 0 || (size_t)n >= sizeof s->path)
        rc = err_set(e, ERR_ARGUMENT, "the voice directory's name is empty or too long");
    else if ((rc = make_directories(dir, e)) == 0 && (rc = make_private(s, e)) == 0 &&
             sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX,
                             NULL) != SQLITE_OK)
        rc = store_fail(s, e);
    if (rc == 0)
        rc = store_prepare_database(s, e);
    if (rc < 0)
        store_close(s);
    else
        *ret = s;
    return rc;
}

void store_close(struct jabbertts_store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}

/* --- reading --- */

static const char *text_at(sqlite3_stmt *q, int i)
{
    const char *s = (const char *)sqlite3_column_text(q, i);
    return s ? s : "";
}

static const float *store_print(sqlite3_stmt *q, int i)
{
    return sqlite3_column_bytes(q, i) == (int)(JABBERTTS_PRINT * sizeof(float))
               ? sqlite3_column_blob(q, i)
               : NULL;
}

/* A row of COLUMNS; its recordings are not among them. */
static struct jabbertts_stored store_row(sqlite3_stmt *q)
{
    return (struct jabbertts_stored){
        .id = text_at(q, 0),
        .name = text_at(q, 1),
        .language = text_at(q, 2),
        .transcript = text_at(q, 3),
        .description = text_at(q, 4),
        .consent = text_at(q, 5),
        .created_at = sqlite3_column_int64(q, 6),
        .seconds = sqlite3_column_double(q, 7),
        .n_bytes = (size_t)sqlite3_column_int64(q, 8),
        .owner = text_at(q, 9),
        .print = store_print(q, 10),
        .likeness = sqlite3_column_type(q, 11) == SQLITE_NULL ? -1 : sqlite3_column_double(q, 11),
        .advice = text_at(q, 12)};
}

static int store_none(const struct jabbertts_which *which, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "the store has no %s \"%.64s\"", store_kind(which->kind),
                   which->id);
}

/* (lock) A row with its recording, and with the further ones of a voice. */
static int store_show(struct jabbertts_store *s, sqlite3_stmt *q, jabbertts_stored_fn fn,
                      void *cookie, struct err *e)
{
    struct jabbertts_stored v = store_row(q);
    struct jabbertts_clip more[LIMIT_REFERENCES - 1];
    sqlite3_stmt *clip[LIMIT_REFERENCES - 1]; /* each shows its row until it is finished */
    int n = 0, rc = 1;
    while (rc == 1 && n < LIMIT_REFERENCES - 1) {
        rc = store_prepare(s, &clip[n], e,
                           "SELECT transcript, seconds, recording FROM clip"
                           " WHERE voice = ?1 AND i = ?2",
                           "si", v.id, (int64_t)n + 1);
        if (rc < 0)
            break;
        rc = store_step(s, clip[n], e);
        if (rc == 1)
            more[n] = (struct jabbertts_clip){
                sqlite3_column_blob(clip[n], 2), (size_t)sqlite3_column_bytes(clip[n], 2),
                text_at(clip[n], 0), sqlite3_column_double(clip[n], 1)};
        n++;
    }
    if (rc >= 0) {
        v.recording = sqlite3_column_blob(q, 13);
        v.more = more;
        v.n_more = rc == 1 ? n : n - 1; /* the last one was not there */
        fn(cookie, &v);
    }
    while (n-- > 0)
        sqlite3_finalize(clip[n]);
    return rc < 0 ? rc : 0;
}

/* (lock) */
static int store_get_locked(struct jabbertts_store *s, const struct jabbertts_which *which,
                            jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    sqlite3_stmt *q;
    int rc = store_prepare(s, &q, e, statements[GET][which->kind], "ss", which->id, which->owner);
    if (rc < 0)
        return rc;
    rc = store_step(s, q, e);
    if (rc == 1 && (rc = store_show(s, q, fn, cookie, e)) == 0)
        rc = 1;
    sqlite3_finalize(q);
    return rc == 1 ? 0 : rc < 0 ? rc : store_none(which, e);
}

int store_get(struct jabbertts_store *s, const struct jabbertts_which *which,
              jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = store_get_locked(s, which, fn, cookie, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int store_list_locked(struct jabbertts_store *s, const struct jabbertts_which *which,
                             jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    sqlite3_stmt *q;
    int64_t seq = 0;
    int n = 0, rc = 0;
    if (which->id)
        rc = store_number(s, statements[SEQ][which->kind], which, &seq, e);
    if (rc == 0 && which->id && seq == 0)
        rc = store_none(which, e);
    if (rc < 0)
        return rc;
    rc = store_prepare(s, &q, e, statements[LIST][which->kind], "isi", seq, which->owner,
                       (int64_t)which->limit + 1);
    if (rc < 0)
        return rc;
    while ((rc = store_step(s, q, e)) == 1 && n++ < which->limit) {
        const struct jabbertts_stored v = store_row(q);
        fn(cookie, &v);
    }
    sqlite3_finalize(q);
    return rc;
}

int store_list(struct jabbertts_store *s, const struct jabbertts_which *which,
               jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    if (which->limit < 1 || which->limit > LIMIT_STORED)
        return err_set(e, ERR_ARGUMENT, "limit is %d, must be 1 to %d", which->limit, LIMIT_STORED);
    pthread_mutex_lock(&s->lock);
    int rc = store_list_locked(s, which, fn, cookie, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- writing --- */

static int insert_codes(struct jabbertts_store *s, const char *voice_id,
                        const struct store_codes *c, int n, struct err *e)
{
    sqlite3_stmt *q;
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = store_prepare(s, &q, e, "INSERT OR REPLACE INTO codes VALUES(?,?,?,?,?,?)", "siisib",
                           voice_id, c[i].model, (int64_t)i, c[i].text, (int64_t)c[i].n_frame,
                           c[i].codes, c[i].n_bytes);
        if (rc == 0)
            rc = store_finish(s, q, NULL, e);
    }
    return rc;
}

static int insert_clips(struct jabbertts_store *s, const struct jabbertts_stored *v, struct err *e)
{
    sqlite3_stmt *q;
    int rc = 0;
    for (int i = 0; i < v->n_more && rc == 0; i++) {
        const struct jabbertts_clip *c = &v->more[i];
        rc = store_prepare(s, &q, e, "INSERT INTO clip VALUES(?,?,?,?,?)", "sisfb", v->id,
                           (int64_t)i + 1, c->transcript ? c->transcript : "", c->seconds,
                           c->recording, c->n_bytes);
        if (rc == 0)
            rc = store_finish(s, q, NULL, e);
    }
    return rc;
}

/* Must the consent be there, and may the owner use it? */
static int check_consent(struct jabbertts_store *s, const struct jabbertts_stored *v, struct err *e)
{
    const struct jabbertts_which which = {
        .kind = JABBERTTS_CONSENT, .id = v->consent, .owner = v->owner};
    int64_t seq;
    if (!v->consent || !*v->consent)
        return 0;
    int rc = store_number(s, statements[SEQ][JABBERTTS_CONSENT], &which, &seq, e);
    return rc < 0 ? rc : seq == 0 ? store_none(&which, e) : 0;
}

static int insert_heard(struct jabbertts_store *s, const struct jabbertts_stored *v, struct err *e)
{
    sqlite3_stmt *q;
    if (!v->print)
        return 0;
    int rc = store_prepare(s, &q, e,
                           "UPDATE voice SET print = ?2, likeness = ?3, advice = ?4 WHERE id = ?1",
                           "sbfs", v->id, v->print, JABBERTTS_PRINT * sizeof *v->print, v->likeness,
                           v->advice ? v->advice : "");
    return rc < 0 ? rc : store_finish(s, q, NULL, e);
}

static int store_insert(struct jabbertts_store *s, enum jabbertts_kind kind,
                        const struct jabbertts_stored *v, struct err *e)
{
    char taken[LIMIT_VOICE_NAME_BYTES + 64];
    sqlite3_stmt *q;
    int64_t n;
    int rc;
    if ((rc = check_consent(s, v, e)) < 0 ||
        (rc = store_number(s, statements[COUNT][kind], NULL, &n, e)) < 0)
        return rc;
    if (n >= LIMIT_STORED)
        return err_set(e, ERR_LIMIT, "the store has %lld entries, the limit is %d; delete some",
                       (long long)n, LIMIT_STORED);
    snprintf(taken, sizeof taken, "there is a voice \"%s\" already", v->name);
    rc = store_prepare(s, &q, e, statements[ADD][kind], "ssssssifbs", v->id, v->name,
                       v->language ? v->language : "", v->transcript ? v->transcript : "",
                       v->description ? v->description : "",
                       v->consent && *v->consent ? v->consent : NULL, (int64_t)time(NULL),
                       v->seconds, v->recording, v->n_bytes, v->owner ? v->owner : "");
    if (rc == 0)
        rc = store_finish(s, q, taken, e);
    return rc == 0 && kind == JABBERTTS_VOICE ? insert_heard(s, v, e) : rc;
}

/* End a transaction whose statements gave rc. */
static int store_commit(struct jabbertts_store *s, int rc, struct err *e)
{
    if (rc == 0)
        rc = store_run(s, "COMMIT", e);
    if (rc < 0)
        store_run(s, "ROLLBACK", NULL);
    return rc;
}

int store_add(struct jabbertts_store *s, enum jabbertts_kind kind,
              const struct jabbertts_stored *row, const struct store_codes *codes, int n_codes,
              struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = store_run(s, "BEGIN IMMEDIATE", e);
    if (rc == 0) {
        rc = store_insert(s, kind, row, e);
        if (rc == 0)
            rc = insert_clips(s, row, e);
        if (rc == 0)
            rc = insert_codes(s, row->id, codes, n_codes, e);
        rc = store_commit(s, rc, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

struct store_found {
    char id[64];
    bool is_mine;
    const char *owner;
};

static void store_note(void *cookie, const struct jabbertts_stored *v)
{
    struct store_found *f = cookie;
    snprintf(f->id, sizeof f->id, "%s", v->id);
    f->is_mine = !f->owner || strcmp(f->owner, v->owner) == 0;
}

/* (lock) The id of a row that which->owner may change. */
static int store_find_mine(struct jabbertts_store *s, const struct jabbertts_which *which,
                           struct store_found *f, struct err *e)
{
    f->owner = which->owner;
    int rc = store_get_locked(s, which, store_note, f, e);
    if (rc == 0 && !f->is_mine)
        rc = err_set(e, ERR_DENIED, "the %s \"%.64s\" is shared, and not yours to change",
                     store_kind(which->kind), which->id);
    return rc;
}

int store_rename(struct jabbertts_store *s, const struct jabbertts_which *which, const char *name,
                 struct err *e)
{
    char taken[LIMIT_VOICE_NAME_BYTES + 64];
    struct store_found f;
    sqlite3_stmt *q;
    snprintf(taken, sizeof taken, "there is a voice \"%s\" already", name);
    pthread_mutex_lock(&s->lock);
    int rc = store_find_mine(s, which, &f, e);
    if (rc == 0)
        rc = store_prepare(s, &q, e, statements[RENAME][which->kind], "ss", f.id, name);
    if (rc == 0)
        rc = store_finish(s, q, taken, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int store_remove(struct jabbertts_store *s, const struct jabbertts_which *which, struct err *e)
{
    char taken[128];
    struct store_found f;
    sqlite3_stmt *q;
    snprintf(taken, sizeof taken, "a voice was made with consent %.48s; delete that first",
             which->id);
    pthread_mutex_lock(&s->lock);
    int rc = store_find_mine(s, which, &f, e);
    if (rc == 0)
        rc = store_prepare(s, &q, e, statements[REMOVE][which->kind], "s", f.id);
    if (rc == 0)
        rc = store_finish(s, q, taken, e);
    if (rc == 0) /* smaller, and nothing of it in the log; what fails here is tried at the next */
        store_run(s, "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)", NULL);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* --- codes --- */

int store_add_codes(struct jabbertts_store *s, const char *voice_id,
                    const struct store_codes *codes, int n_codes, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = store_run(s, "BEGIN IMMEDIATE", e);
    if (rc == 0)
        rc = store_commit(s, insert_codes(s, voice_id, codes, n_codes, e), e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* (lock) Every row of text, n_frame, codes that a statement gives; how many. */
static int store_show_codes(struct jabbertts_store *s, sqlite3_stmt *q, int64_t model,
                            store_codes_fn fn, void *cookie, struct err *e)
{
    int n = 0, rc;
    while ((rc = store_step(s, q, e)) == 1) {
        struct store_codes c = {model, text_at(q, 0), sqlite3_column_int(q, 1),
                                sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2)};
        if ((rc = fn(cookie, &c, e)) < 0)
            break;
        n++;
    }
    sqlite3_finalize(q);
    return rc < 0 ? rc : n;
}

int store_get_codes(struct jabbertts_store *s, const struct jabbertts_which *which, int64_t model,
                    store_codes_fn fn, void *cookie, struct err *e)
{
    static const char sql[] =
        "SELECT text, n_frame, codes FROM codes WHERE model = ?3 AND voice ="
        " (SELECT id FROM voice WHERE " NAMED " AND " SEEN FIRST ") ORDER BY clip";
    sqlite3_stmt *q;
    pthread_mutex_lock(&s->lock);
    int rc = store_prepare(s, &q, e, sql, "ssi", which->id, which->owner, model);
    if (rc == 0)
        rc = store_show_codes(s, q, model, fn, cookie, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int store_add_anchor(struct jabbertts_store *s, const char *name, const struct store_codes *c,
                     struct err *e)
{
    sqlite3_stmt *q;
    pthread_mutex_lock(&s->lock);
    int rc = store_prepare(s, &q, e, "INSERT OR IGNORE INTO anchor VALUES(?,?,?,?,?)", "sisib",
                           name, c->model, c->text, (int64_t)c->n_frame, c->codes, c->n_bytes);
    if (rc == 0)
        rc = store_finish(s, q, NULL, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int store_get_anchor(struct jabbertts_store *s, const char *name, int64_t model, store_codes_fn fn,
                     void *cookie, struct err *e)
{
    sqlite3_stmt *q;
    pthread_mutex_lock(&s->lock);
    int rc = store_prepare(s, &q, e,
                           "SELECT text, n_frame, codes FROM anchor WHERE name = ?1 AND model = ?2",
                           "si", name, model);
    if (rc == 0)
        rc = store_show_codes(s, q, model, fn, cookie, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
