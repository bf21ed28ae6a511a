/* voices.c - the store of voices as statements that SQLite and PostgreSQL both understand.
 *
 * Every change is one transaction: it is there after a crash, whole, or it is not.  In SQLite what
 * is deleted is overwritten (secure_delete) and the log emptied, because recordings of people are
 * what is deleted. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/voice_cache.h"

struct jabbertts_store {
    struct db_pool *pool;
    struct voice_cache *cache; /* NULL: the database is a file, which is quick to ask */
    char path[4096];           /* of that file */
};

/* --- schema --- */

/* Both kinds of database read these types: SQLite takes any name for one. */
#define ROW_COLUMNS                                                                                \
    "id TEXT UNIQUE NOT NULL, name TEXT NOT NULL, language TEXT NOT NULL,"                         \
    " transcript TEXT NOT NULL, description TEXT NOT NULL,"
#define REST_COLUMNS                                                                               \
    " created BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL, recording BYTEA NOT NULL,"       \
    " owner TEXT NOT NULL DEFAULT ''"
#define VOICE_TABLE(name, seq)                                                                     \
    "CREATE TABLE " name "(seq " seq ", " ROW_COLUMNS                                              \
    " consent TEXT REFERENCES consent(id)," REST_COLUMNS ", UNIQUE(owner, name));"
#define CONSENT_TABLE(seq)                                                                         \
    "CREATE TABLE consent(seq " seq ", " ROW_COLUMNS " consent TEXT," REST_COLUMNS ");"
#define SQLITE_SEQ   "INTEGER PRIMARY KEY AUTOINCREMENT"
#define POSTGRES_SEQ "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

/* The further recordings of a voice, and the codes of all of them: its own is clip 0. */
#define CLIP_TABLES                                                                                \
    "CREATE TABLE clip(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"                \
    " i BIGINT NOT NULL, transcript TEXT NOT NULL, seconds DOUBLE PRECISION NOT NULL,"             \
    " recording BYTEA NOT NULL, PRIMARY KEY(voice, i));"                                           \
    "CREATE TABLE codes(voice TEXT NOT NULL REFERENCES voice(id) ON DELETE CASCADE,"               \
    " model BIGINT NOT NULL, clip BIGINT NOT NULL, text TEXT NOT NULL,"                            \
    " n_frame BIGINT NOT NULL, codes BYTEA NOT NULL, PRIMARY KEY(voice, model, clip));"            \
    "CREATE TABLE anchor(name TEXT NOT NULL, model BIGINT NOT NULL, text TEXT NOT NULL,"           \
    " n_frame BIGINT NOT NULL, codes BYTEA NOT NULL, PRIMARY KEY(name, model));"

/* What was heard in the recordings of a voice. */
#define HEARD_COLUMNS                                                                              \
    "ALTER TABLE voice ADD COLUMN print BYTEA;"                                                    \
    "ALTER TABLE voice ADD COLUMN likeness DOUBLE PRECISION;"                                      \
    "ALTER TABLE voice ADD COLUMN advice TEXT NOT NULL DEFAULT '';"

/* What makes the next version of version i. */
static const char *const sqlite_updates[] = {
    CONSENT_TABLE(SQLITE_SEQ) VOICE_TABLE("voice", SQLITE_SEQ) CLIP_TABLES HEARD_COLUMNS
    "PRAGMA user_version = 4;",
    /* Version 1 had no owners, and a name was unique for all. */
    "ALTER TABLE consent ADD COLUMN owner TEXT NOT NULL DEFAULT '';" VOICE_TABLE(
        "voice_2",
        SQLITE_SEQ) "INSERT INTO voice_2(seq, id, name, language, transcript, description,"
                    " consent, created, seconds, recording) SELECT seq, id, name, language,"
                    " transcript, description, consent, created, seconds, recording FROM voice;"
                    "DROP TABLE voice; ALTER TABLE voice_2 RENAME TO voice;"
                    "PRAGMA user_version = 2;",
    /* Version 2 had one recording a voice.  Its codes are made again when they are needed. */
    "DROP TABLE codes;" CLIP_TABLES "PRAGMA user_version = 3;",
    HEARD_COLUMNS "PRAGMA user_version = 4;",
};

/* Every change counts in changes: a replica whose count is another's has read what is old. */
static const char *const postgres_updates[] = {
    "CREATE TABLE voice_meta(version BIGINT NOT NULL, changes BIGINT NOT NULL);"
    "INSERT INTO voice_meta VALUES(1, 0);" CONSENT_TABLE(POSTGRES_SEQ)
        VOICE_TABLE("voice", POSTGRES_SEQ) CLIP_TABLES HEARD_COLUMNS,
};

/* What differs between the two. */
static const struct store_dialect {
    const char *before, *lock, *after; /* a migration */
    const char *is_there, *version;    /* NULL: the version of a new database is 0 */
    const char *const *update;
    int n_version;
} sqlite_dialect =
    {/* Foreign keys would forbid to replace a table that others refer to. */
     "PRAGMA busy_timeout = 2000; PRAGMA foreign_keys = OFF;"
     "PRAGMA legacy_alter_table = ON; PRAGMA secure_delete = ON",
     NULL,
     "PRAGMA foreign_keys = ON",
     NULL,
     "PRAGMA user_version",
     sqlite_updates,
     4},
  postgres_dialect = {NULL,
                      "SELECT pg_advisory_xact_lock(7229117)", /* replicas start together */
                      NULL,
                      "SELECT count(*) FROM pg_tables WHERE tablename = 'voice_meta' AND"
                      " schemaname = current_schema()",
                      "SELECT version FROM voice_meta",
                      postgres_updates,
                      1};

/* --- statements --- */

/* $1 is an id (of voices also a name), $2 the owner that looks, NULL for all.  One's own comes
 * before everyone's. */
#define COLUMNS                                                                                    \
    "id, name, language, transcript, description, consent, created, seconds, length(recording),"   \
    " owner, "
#define HEARD "print, coalesce(likeness, -1), advice"
#define DEAF  "NULL, -1, ''"
#define SEEN  "($2 IS NULL OR owner = $2 OR owner = '')"
#define NAMED "(id = $1 OR name = $1)"
#define FIRST " ORDER BY id = $1 DESC, owner = coalesce($2, '') DESC, seq LIMIT 1"
#define INSERT(table)                                                                              \
    "INSERT INTO " table "(id, name, language, transcript, description, consent, created,"         \
    " seconds, recording, owner) VALUES($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)"

enum statement { GET, FIND, LIST, COUNT, ADD, RENAME, REMOVE, N_STATEMENT };

static const char *const statements[N_STATEMENT][2] = {
    [GET] = {"SELECT " COLUMNS HEARD ", recording FROM voice WHERE " NAMED " AND " SEEN FIRST,
             "SELECT " COLUMNS DEAF ", recording FROM consent WHERE id = $1 AND " SEEN},
    [FIND] = {"SELECT seq, id, owner FROM voice WHERE " NAMED " AND " SEEN FIRST,
              "SELECT seq, id, owner FROM consent WHERE id = $1 AND " SEEN},
    [LIST] = {"SELECT " COLUMNS HEARD " FROM voice WHERE seq > $1 AND " SEEN
              " ORDER BY seq LIMIT $3",
              "SELECT " COLUMNS DEAF " FROM consent WHERE seq > $1 AND " SEEN
              " ORDER BY seq LIMIT $3"},
    [COUNT] = {"SELECT count(*) FROM voice", "SELECT count(*) FROM consent"},
    [ADD] = {INSERT("voice"), INSERT("consent")},
    [RENAME] = {"UPDATE voice SET name = $2 WHERE id = $1",
                "UPDATE consent SET name = $2 WHERE id = $1"},
    [REMOVE] = {"DELETE FROM voice WHERE id = $1", "DELETE FROM consent WHERE id = $1"},
};

static const char *store_kind(enum jabbertts_kind kind)
{
    return kind == JABBERTTS_VOICE ? "voice" : "consent";
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

static int store_migrate(struct jabbertts_store *s, struct db *d, const struct store_dialect *k,
                         struct err *e)
{
    int64_t version = 0, there = 1;
    int rc = k->lock ? db_script(d, k->lock, e) : 0;
    if (rc == 0 && k->is_there)
        rc = db_number(d, e, &there, k->is_there, NULL);
    if (rc == 0 && there)
        rc = db_number(d, e, &version, k->version, NULL);
    if (rc == 0 && (version < 0 || version > k->n_version))
        return err_set(e, ERR_UNSUPPORTED, "%s is of version %lld, this program knows %d",
                       s->cache ? "the database's table voice" : s->path, (long long)version,
                       k->n_version);
    while (rc == 0 && version < k->n_version) {
        rc = db_script(d, k->update[version], e);
        version = version == 0 ? k->n_version : version + 1;
    }
    return rc;
}

static int store_prepare_database(struct jabbertts_store *s, struct err *e)
{
    const struct store_dialect *k = s->cache ? &postgres_dialect : &sqlite_dialect;
    struct db *d;
    int rc = db_take(s->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = k->before ? db_script(d, k->before, e) : 0;
    if (rc == 0 && (rc = db_begin(d, e)) == 0 && (rc = store_migrate(s, d, k, e)) == 0)
        rc = db_commit(d, e);
    if (rc == 0 && k->after)
        rc = db_script(d, k->after, e);
    db_give(s->pool, d);
    return rc;
}

static int store_open_file(struct jabbertts_store *s, const char *dir, struct err *e)
{
    int n = snprintf(s->path, sizeof s->path, "%s/voices.sqlite", dir), rc;
    if (!*dir || n < 0 || (size_t)n >= sizeof s->path)
        return err_set(e, ERR_ARGUMENT, "the voice directory's name is empty or too long");
    if ((rc = make_directories(dir, e)) < 0 || (rc = make_private(s, e)) < 0)
        return rc;
    return db_open(s->path, &s->pool, e);
}

int store_open(const char *where, struct jabbertts_store **ret, struct err *e)
{
    struct jabbertts_store *s = mem_try(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_MEMORY, "out of memory");
    int rc = !db_is_url(where)                 ? store_open_file(s, where, e)
             : (s->cache = voice_cache_open()) ? db_open(where, &s->pool, e)
                                               : err_set(e, ERR_MEMORY, "out of memory");
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
    db_close(s->pool);
    voice_cache_close(s->cache);
    mem_free(s);
}

/* --- reading --- */

/* A row of COLUMNS; its recordings are not among them. */
static struct jabbertts_stored store_row(const struct db_rows *q)
{
    size_t n;
    const float *print = db_bytes(q, 10, &n);
    return (struct jabbertts_stored){.id = db_text(q, 0),
                                     .name = db_text(q, 1),
                                     .language = db_text(q, 2),
                                     .transcript = db_text(q, 3),
                                     .description = db_text(q, 4),
                                     .consent = db_text(q, 5),
                                     .created_at = db_int(q, 6),
                                     .seconds = db_real(q, 7),
                                     .n_bytes = (size_t)db_int(q, 8),
                                     .owner = db_text(q, 9),
                                     .print = n == JABBERTTS_PRINT * sizeof *print ? print : NULL,
                                     .likeness = db_real(q, 11),
                                     .advice = db_text(q, 12)};
}

static int store_none(const struct jabbertts_which *which, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "the store has no %s \"%.64s\"", store_kind(which->kind),
                   which->id);
}

/* A row with its recording, and with the further ones of a voice. */
static int store_show(struct db *d, const struct db_rows *q, jabbertts_stored_fn fn, void *cookie,
                      struct err *e)
{
    struct jabbertts_stored v = store_row(q);
    struct jabbertts_clip more[LIMIT_REFERENCES - 1];
    struct db_rows *clip[LIMIT_REFERENCES - 1]; /* each shows its row until its end */
    size_t n_bytes;
    int n = 0, rc = 1;
    while (rc == 1 && n < LIMIT_REFERENCES - 1) {
        rc = db_query(d, &clip[n], e,
                      "SELECT transcript, seconds, recording FROM clip"
                      " WHERE voice = $1 AND i = $2",
                      "si", v.id, (int64_t)n + 1);
        if (rc < 0)
            break;
        rc = db_next(clip[n], e);
        if (rc == 1)
            more[n] = (struct jabbertts_clip){.recording = db_bytes(clip[n], 2, &n_bytes),
                                              .n_bytes = n_bytes,
                                              .transcript = db_text(clip[n], 0),
                                              .seconds = db_real(clip[n], 1)};
        n++;
    }
    if (rc >= 0) {
        v.recording = db_bytes(q, 13, &n_bytes);
        v.more = more;
        v.n_more = rc == 1 ? n : n - 1; /* the last one was not there */
        fn(cookie, &v);
    }
    while (n-- > 0)
        db_end(clip[n]);
    return rc < 0 ? rc : 0;
}

int store_get(struct jabbertts_store *s, const struct jabbertts_which *which,
              jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int rc = db_take(s->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e, statements[GET][which->kind], "ss", which->id, which->owner);
    if (rc == 0) {
        rc = db_next(q, e);
        rc = rc == 1 ? store_show(d, q, fn, cookie, e) : rc == 0 ? store_none(which, e) : rc;
        db_end(q);
    }
    db_give(s->pool, d);
    return rc;
}

struct store_found {
    int64_t seq;
    char id[64];
    bool is_mine;
};

static int store_find(struct db *d, const struct jabbertts_which *which, struct store_found *f,
                      struct err *e)
{
    struct db_rows *q;
    int rc = db_query(d, &q, e, statements[FIND][which->kind], "ss", which->id, which->owner);
    if (rc < 0)
        return rc;
    if ((rc = db_next(q, e)) == 1) {
        f->seq = db_int(q, 0);
        snprintf(f->id, sizeof f->id, "%s", db_text(q, 1));
        f->is_mine = !which->owner || strcmp(which->owner, db_text(q, 2)) == 0;
    }
    db_end(q);
    return rc == 1 ? 0 : rc == 0 ? store_none(which, e) : rc;
}

static int store_list_rows(struct db *d, const struct jabbertts_which *which,
                           jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    struct store_found f = {.seq = 0};
    struct db_rows *q;
    int n = 0, rc = which->id ? store_find(d, which, &f, e) : 0;
    if (rc < 0)
        return rc;
    rc = db_query(d, &q, e, statements[LIST][which->kind], "isi", f.seq, which->owner,
                  (int64_t)which->limit + 1);
    if (rc < 0)
        return rc;
    while ((rc = db_next(q, e)) == 1 && n++ < which->limit) {
        const struct jabbertts_stored v = store_row(q);
        fn(cookie, &v);
    }
    db_end(q);
    return rc;
}

int store_list(struct jabbertts_store *s, const struct jabbertts_which *which,
               jabbertts_stored_fn fn, void *cookie, struct err *e)
{
    struct db *d;
    if (which->limit < 1 || which->limit > LIMIT_STORED)
        return err_set(e, ERR_ARGUMENT, "limit is %d, must be 1 to %d", which->limit, LIMIT_STORED);
    int rc = db_take(s->pool, &d, e);
    if (rc < 0)
        return rc;
    rc = store_list_rows(d, which, fn, cookie, e);
    db_give(s->pool, d);
    return rc;
}

/* --- writing --- */

/* A change is begun, and ended with what its statements gave. */
static int store_begin(struct jabbertts_store *s, struct db **d, struct err *e)
{
    int rc = db_take(s->pool, d, e);
    if (rc == 0 && (rc = db_begin(*d, e)) < 0)
        db_give(s->pool, *d);
    return rc;
}

static int store_end(struct jabbertts_store *s, struct db *d, int rc, struct err *e)
{
    if (rc >= 0 && s->cache)
        rc = db_run(d, e, "UPDATE voice_meta SET changes = changes + 1", "");
    if (rc >= 0)
        rc = db_commit(d, e);
    db_give(s->pool, d);
    if (rc >= 0 && s->cache)
        voice_cache_forget(s->cache);
    return rc < 0 ? rc : 0;
}

/* taken: what it means that a constraint forbids the statement. */
static int store_taken(int rc, const char *taken, struct err *e)
{
    return rc == ERR_ARGUMENT ? err_set(e, ERR_ARGUMENT, "%s", taken) : rc < 0 ? rc : 0;
}

static int insert_codes(struct db *d, const char *voice_id, const struct store_codes *c, int n,
                        struct err *e)
{
    int rc = 0;
    for (int i = 0; i < n && rc >= 0; i++)
        rc = db_run(d, e,
                    "INSERT INTO codes VALUES($1,$2,$3,$4,$5,$6) ON CONFLICT(voice, model, clip)"
                    " DO UPDATE SET text = $4, n_frame = $5, codes = $6",
                    "siisib", voice_id, c[i].model, (int64_t)i, c[i].text, (int64_t)c[i].n_frame,
                    c[i].codes, c[i].n_bytes);
    return rc < 0 ? rc : 0;
}

static int insert_clips(struct db *d, const struct jabbertts_stored *v, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < v->n_more && rc >= 0; i++) {
        const struct jabbertts_clip *c = &v->more[i];
        rc = db_run(d, e, "INSERT INTO clip VALUES($1,$2,$3,$4,$5)", "sisfb", v->id, (int64_t)i + 1,
                    c->transcript ? c->transcript : "", c->seconds, c->recording, c->n_bytes);
    }
    return rc < 0 ? rc : 0;
}

/* Must the consent be there, and may the owner use it? */
static int check_consent(struct db *d, const struct jabbertts_stored *v, struct err *e)
{
    const struct jabbertts_which which = {
        .kind = JABBERTTS_CONSENT, .id = v->consent, .owner = v->owner};
    struct store_found f;
    return v->consent && *v->consent ? store_find(d, &which, &f, e) : 0;
}

static int insert_heard(struct db *d, const struct jabbertts_stored *v, struct err *e)
{
    if (!v->print)
        return 0;
    return db_run(d, e, "UPDATE voice SET print = $2, likeness = $3, advice = $4 WHERE id = $1",
                  "sbfs", v->id, v->print, JABBERTTS_PRINT * sizeof *v->print, v->likeness,
                  v->advice ? v->advice : "");
}

static int store_insert(struct db *d, enum jabbertts_kind kind, const struct jabbertts_stored *v,
                        struct err *e)
{
    char taken[LIMIT_VOICE_NAME_BYTES + 64];
    int64_t n;
    int rc;
    if ((rc = check_consent(d, v, e)) < 0 ||
        (rc = db_number(d, e, &n, statements[COUNT][kind], NULL)) < 0)
        return rc;
    if (n >= LIMIT_STORED)
        return err_set(e, ERR_LIMIT, "the store has %lld entries, the limit is %d; delete some",
                       (long long)n, LIMIT_STORED);
    snprintf(taken, sizeof taken, "there is a voice \"%s\" already", v->name);
    rc =
        db_run(d, e, statements[ADD][kind], "ssssssifbs", v->id, v->name,
               v->language ? v->language : "", v->transcript ? v->transcript : "",
               v->description ? v->description : "", v->consent && *v->consent ? v->consent : NULL,
               (int64_t)time(NULL), v->seconds, v->recording, v->n_bytes, v->owner ? v->owner : "");
    rc = store_taken(rc, taken, e);
    return rc == 0 && kind == JABBERTTS_VOICE ? insert_heard(d, v, e) : rc;
}

int store_add(struct jabbertts_store *s, enum jabbertts_kind kind,
              const struct jabbertts_stored *row, const struct store_codes *codes, int n_codes,
              struct err *e)
{
    struct db *d;
    int rc = store_begin(s, &d, e);
    if (rc < 0)
        return rc;
    rc = store_insert(d, kind, row, e);
    if (rc >= 0)
        rc = insert_clips(d, row, e);
    if (rc >= 0)
        rc = insert_codes(d, row->id, codes, n_codes, e);
    return store_end(s, d, rc, e);
}

/* The id of a row that which->owner may change. */
static int store_find_mine(struct db *d, const struct jabbertts_which *which, struct store_found *f,
                           struct err *e)
{
    int rc = store_find(d, which, f, e);
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
    struct db *d;
    snprintf(taken, sizeof taken, "there is a voice \"%s\" already", name);
    int rc = store_begin(s, &d, e);
    if (rc < 0)
        return rc;
    rc = store_find_mine(d, which, &f, e);
    if (rc == 0)
        rc = store_taken(db_run(d, e, statements[RENAME][which->kind], "ss", f.id, name), taken, e);
    return store_end(s, d, rc, e);
}

int store_remove(struct jabbertts_store *s, const struct jabbertts_which *which, struct err *e)
{
    char taken[128];
    struct store_found f;
    struct db *d;
    snprintf(taken, sizeof taken, "a voice was made with consent %.48s; delete that first",
             which->id);
    int rc = store_begin(s, &d, e);
    if (rc < 0)
        return rc;
    rc = store_find_mine(d, which, &f, e);
    if (rc == 0)
        rc = store_taken(db_run(d, e, statements[REMOVE][which->kind], "s", f.id), taken, e);
    rc = store_end(s, d, rc, e);
    /* Smaller, and nothing of it in the log; what fails here is tried at the next. */
    if (rc == 0 && !s->cache && db_take(s->pool, &d, NULL) == 0) {
        db_script(d, "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)", NULL);
        db_give(s->pool, d);
    }
    return rc;
}

/* --- codes --- */

int store_add_codes(struct jabbertts_store *s, const char *voice_id,
                    const struct store_codes *codes, int n_codes, struct err *e)
{
    struct db *d;
    int rc = store_begin(s, &d, e);
    return rc < 0 ? rc : store_end(s, d, insert_codes(d, voice_id, codes, n_codes, e), e);
}

/* Every row of text, n_frame, codes that a statement gives; how many.  keep NULL: they are not
 * kept. */
static int store_show_codes(struct db_rows *q, int64_t model, struct cached_voice *keep,
                            store_codes_fn fn, void *cookie, struct err *e)
{
    int n = 0, rc;
    while ((rc = db_next(q, e)) == 1) {
        struct store_codes c = {
            .model = model, .text = db_text(q, 0), .n_frame = (int)db_int(q, 1)};
        c.codes = db_bytes(q, 2, &c.n_bytes);
        if ((rc = fn(cookie, &c, e)) < 0)
            break;
        voice_cache_add(keep, &c);
        n++;
    }
    db_end(q);
    return rc < 0 ? rc : n;
}

/* Has anything changed since the cache was filled?  While the database is away, what is there
 * goes on being spoken. */
static int store_check(struct jabbertts_store *s, int64_t *changes, struct err *e)
{
    struct db *d;
    int rc;
    if (!s->cache || !voice_cache_due(s->cache, changes))
        return 0;
    if ((rc = db_take(s->pool, &d, e)) == 0) {
        rc = db_number(d, e, changes, "SELECT changes FROM voice_meta", NULL);
        db_give(s->pool, d);
    }
    if (rc == 0)
        voice_cache_checked(s->cache, *changes);
    return rc < 0 && voice_cache_is_fresh(s->cache) ? 0 : rc;
}

int store_get_codes(struct jabbertts_store *s, const struct jabbertts_which *which, int64_t model,
                    store_codes_fn fn, void *cookie, struct err *e)
{
    static const char sql[] =
        "SELECT text, n_frame, codes FROM codes WHERE model = $3 AND voice ="
        " (SELECT id FROM voice WHERE " NAMED " AND " SEEN FIRST ") ORDER BY clip";
    struct db_rows *q;
    struct db *d;
    int64_t changes = 0;
    int n, rc = store_check(s, &changes, e);
    if (rc < 0 || (s->cache && (n = voice_cache_find(s->cache, which, model, fn, cookie, e)) != 0))
        return rc < 0 ? rc : n;
    if ((rc = db_take(s->pool, &d, e)) < 0)
        return rc;
    struct cached_voice *keep = s->cache ? voice_cache_new(which, model) : NULL;
    rc = db_query(d, &q, e, sql, "ssi", which->id, which->owner, model);
    if (rc == 0)
        rc = store_show_codes(q, model, keep, fn, cookie, e);
    db_give(s->pool, d);
    voice_cache_keep(s->cache, rc > 0 ? changes : -1, keep);
    return rc;
}

int store_add_anchor(struct jabbertts_store *s, const char *name, const struct store_codes *c,
                     struct err *e)
{
    int rc = db_once(s->pool, e, "INSERT INTO anchor VALUES($1,$2,$3,$4,$5) ON CONFLICT DO NOTHING",
                     "sisib", name, c->model, c->text, (int64_t)c->n_frame, c->codes, c->n_bytes);
    return rc < 0 ? rc : 0;
}

int store_get_anchor(struct jabbertts_store *s, const char *name, int64_t model, store_codes_fn fn,
                     void *cookie, struct err *e)
{
    struct db_rows *q;
    struct db *d;
    int rc = db_take(s->pool, &d, e);
    if (rc < 0)
        return rc;
    rc =
        db_query(d, &q, e, "SELECT text, n_frame, codes FROM anchor WHERE name = $1 AND model = $2",
                 "si", name, model);
    if (rc == 0)
        rc = store_show_codes(q, model, NULL, fn, cookie, e);
    db_give(s->pool, d);
    return rc;
}
