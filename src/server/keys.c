#include "server/keys.h"

#include <ctype.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LINE_BYTES 1024
#define KEY_MIN    8 /* letters */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "sha256:HEX", or the key itself */
static int keys_read_hash(const char *s, const char *where, unsigned char hash[KEYS_HASH],
                          struct err *e)
{
    if (strncmp(s, "sha256:", 7) != 0) {
        if (strlen(s) < KEY_MIN)
            return err_set(e, ERR_ARGUMENT, "%s: the key has %zu letters, at least %d are needed",
                           where, strlen(s), KEY_MIN);
        return gnutls_hash_fast(GNUTLS_DIG_SHA256, s, strlen(s), hash) == 0
                   ? 0
                   : err_set(e, ERR_INTERNAL, "no SHA-256 here");
    }
    s += 7;
    if (strlen(s) != 2 * KEYS_HASH)
        return err_set(e, ERR_FORMAT, "%s: sha256: wants %d hexadecimal digits, got %zu", where,
                       2 * KEYS_HASH, strlen(s));
    for (int i = 0; i < KEYS_HASH; i++) {
        int high = hex(s[2 * i]), low = hex(s[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_set(e, ERR_FORMAT, "%s: sha256: wants digits 0 to 9 and a to f", where);
        hash[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

/* The name goes into logs and metrics. */
static bool good_name(const char *s)
{
    if (!*s || strlen(s) >= KEYS_NAME_MAX)
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("-_.@", *s))
            return false;
    return true;
}

static int keys_add(struct keys *k, const char *name, const char *secret, int per_minute,
                    const char *where, struct err *e)
{
    if (!good_name(name))
        return err_set(e, ERR_FORMAT,
                       "%s: the name \"%.64s\" must be 1 to %d of a-z A-Z 0-9 - _ . @", where, name,
                       KEYS_NAME_MAX - 1);
    if (k->n_key == KEYS_MAX)
        return err_set(e, ERR_LIMIT, "%s: more than %d keys", where, KEYS_MAX);
    for (int i = 0; i < k->n_key; i++)
        if (strcmp(k->key[i].id.name, name) == 0)
            return err_set(e, ERR_FORMAT, "%s: there are two keys named %s", where, name);
    struct key *grown = mem_grow(k->key, (size_t)k->n_key + 1, sizeof *grown);
    if (!grown)
        return err_set(e, ERR_MEMORY, "out of memory for keys");
    k->key = grown;
    struct key *key = &k->key[k->n_key];
    *key = (struct key){.id = {.is_known = true}, .per_minute = per_minute, .tokens = per_minute};
    snprintf(key->id.name, sizeof key->id.name, "%s", name);
    clock_gettime(CLOCK_MONOTONIC, &key->filled);
    int rc = keys_read_hash(secret, where, key->hash, e);
    k->n_key += rc == 0;
    return rc;
}

static char *keys_trim(char *s)
{
    s += strspn(s, " \t\r\n");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]))
        s[--n] = 0;
    return s;
}

/* What may follow a key on its line, as text for messages. */
static int keys_read_word(const char *word, const char *where, int *per_minute, bool *is_admin,
                          struct err *e)
{
    char *end = NULL;
    long v = strncmp(word, "rate=", 5) == 0 ? strtol(word + 5, &end, 10) : -1;
    if (strcmp(word, "admin") == 0) {
        *is_admin = true;
        return 0;
    }
    if (v < 0 || v > 1000000 || end == word + 5 || *end)
        return err_set(e, ERR_FORMAT,
                       "%s: \"%.32s\" behind the key is neither rate=0 to rate=1000000 nor admin",
                       where, word);
    *per_minute = (int)v;
    return 0;
}

static int keys_read_line(struct keys *k, char *text, int per_minute, const char *where,
                          struct err *e)
{
    char *s = keys_trim(text), *colon = strchr(s, ':');
    bool is_admin = false;
    int rc = 0;
    if (!*s || *s == '#')
        return 0;
    if (!colon)
        return err_set(e, ERR_FORMAT, "%s: not `name: key`", where);
    *colon = 0;
    char *name = keys_trim(s), *secret = keys_trim(colon + 1);
    char *word = secret + strcspn(secret, " \t");
    while (rc == 0 && *word) {
        *word++ = 0;
        word += strspn(word, " \t");
        char *end = word + strcspn(word, " \t"), was = *end;
        *end = 0;
        rc = keys_read_word(word, where, &per_minute, &is_admin, e);
        *end = was;
        word = end;
    }
    if (rc == 0)
        rc = keys_add(k, name, secret, per_minute, where, e);
    if (rc == 0)
        k->key[k->n_key - 1].id.is_admin = is_admin;
    return rc;
}

static int keys_read_file(struct keys *k, const char *path, int per_minute, struct err *e)
{
    char text[LINE_BYTES], where[256];
    int rc = 0, line = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return err_set(e, ERR_NOT_FOUND, "cannot read the keys in %.128s: %s", path,
                       strerror(errno));
    while (rc == 0 && fgets(text, sizeof text, f)) {
        snprintf(where, sizeof where, "%.200s:%d", path, ++line);
        if (!strchr(text, '\n') && !feof(f))
            rc = err_set(e, ERR_LIMIT, "%s: longer than %d bytes", where, LINE_BYTES - 2);
        else
            rc = keys_read_line(k, text, per_minute, where, e);
    }
    if (rc == 0 && ferror(f))
        rc = err_set(e, ERR_IO, "cannot read the keys in %.128s", path);
    memset(text, 0, sizeof text);
    fclose(f);
    if (rc == 0 && k->n_key == 0)
        rc = err_set(e, ERR_FORMAT, "there is no key in %.128s", path);
    return rc;
}

static int read_list(struct keys *k, const char *list, int per_minute, struct err *e)
{
    char name[KEYS_NAME_MAX], one[LINE_BYTES];
    int rc = 0;
    for (int i = 1; rc == 0 && *list; i++) {
        size_t n = strcspn(list, ",");
        if (n >= sizeof one)
            return err_set(e, ERR_LIMIT, "api_keys: a key is longer than %d bytes", LINE_BYTES - 1);
        snprintf(one, sizeof one, "%.*s", (int)n, list);
        list += n + (list[n] == ',');
        char *s = keys_trim(one), *colon = strncmp(s, "sha256:", 7) == 0 ? NULL : strchr(s, ':');
        snprintf(name, sizeof name, "key-%d", i);
        if (colon) {
            *colon = 0;
            snprintf(name, sizeof name, "%.63s", keys_trim(s));
            s = keys_trim(colon + 1);
        }
        if (*s)
            rc = keys_add(k, name, s, per_minute, "api_keys", e);
    }
    memset(one, 0, sizeof one);
    return rc;
}

/* (lock) A key that was there before keeps its count, so that reloading the file does not reset its
 * limit. */
static void keys_carry_over(const struct keys *from, struct keys *to)
{
    for (int i = 0; i < to->n_key; i++)
        for (int j = 0; j < from->n_key; j++)
            if (strcmp(to->key[i].id.name, from->key[j].id.name) == 0 &&
                to->key[i].per_minute == from->key[j].per_minute) {
                to->key[i].tokens = from->key[j].tokens;
                to->key[i].filled = from->key[j].filled;
                to->key[i].spent = from->key[j].spent;
                to->key[i].promised = from->key[j].promised;
            }
}

int keys_load(struct keys *k, const char *file, const char *list, int per_minute, struct err *e)
{
    struct keys next = {.anyone = {.id = {.is_known = true, .is_admin = true},
                                   .per_minute = per_minute,
                                   .tokens = per_minute}};
    int rc = 0;
    if (!k->ready) {
        pthread_mutex_init(&k->lock, NULL);
        pthread_cond_init(&k->told, NULL);
    }
    k->ready = true;
    clock_gettime(CLOCK_MONOTONIC, &next.anyone.filled);
    if (file)
        rc = keys_read_file(&next, file, per_minute, e);
    if (rc == 0 && list)
        rc = read_list(&next, list, per_minute, e);
    if (rc < 0) {
        mem_free(next.key);
        return rc;
    }
    pthread_mutex_lock(&k->lock);
    keys_carry_over(k, &next);
    mem_free(k->key);
    k->key = next.key;
    k->n_key = next.n_key;
    k->anyone = next.anyone;
    pthread_mutex_unlock(&k->lock);
    return 0;
}

void keys_done(struct keys *k)
{
    mem_free(k->key);
    if (k->ready) {
        pthread_cond_destroy(&k->told);
        pthread_mutex_destroy(&k->lock);
    }
    *k = (struct keys){.n_key = 0};
}

bool keys_wanted(struct keys *k)
{
    pthread_mutex_lock(&k->lock);
    bool wanted = k->n_key > 0;
    pthread_mutex_unlock(&k->lock);
    return wanted;
}

/* The time it takes must not tell how much of a key was right: all hashes are compared in full. */
bool keys_find(struct keys *k, const char *token, struct key_id *ret)
{
    unsigned char hash[KEYS_HASH];
    *ret = (struct key_id){.is_known = false};
    bool good = gnutls_hash_fast(GNUTLS_DIG_SHA256, token, strlen(token), hash) == 0;
    pthread_mutex_lock(&k->lock);
    if (k->n_key == 0)
        *ret = k->anyone.id;
    for (int i = 0; i < k->n_key && good; i++)
        if (gnutls_memcmp(k->key[i].hash, hash, KEYS_HASH) == 0)
            *ret = k->key[i].id;
    pthread_mutex_unlock(&k->lock);
    return ret->is_known;
}

/* (lock) NULL: it has been taken out of the file meanwhile. */
static struct key *keys_named(struct keys *k, const char *name)
{
    if (!*name)
        return &k->anyone;
    for (int i = 0; i < k->n_key; i++)
        if (strcmp(k->key[i].id.name, name) == 0)
            return &k->key[i];
    return NULL;
}

static double keys_portion(const struct key *key)
{
    return key->per_minute > 4 * KEYS_PORTION ? key->per_minute / 4.0 : KEYS_PORTION;
}

/* (lock) A bucket of per_minute tokens that fills in a minute. */
static bool keys_take_token(struct key *key, bool shared, struct quota *ret)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double per_second = key->per_minute / 60.0;
    double passed = (double)(now.tv_sec - key->filled.tv_sec) +
                    (double)(now.tv_nsec - key->filled.tv_nsec) * 1e-9;
    key->tokens += passed * per_second;
    if (key->tokens > key->per_minute)
        key->tokens = key->per_minute;
    key->promised -= fmin(key->promised, passed * per_second);
    key->filled = now;
    bool early = shared && key->promised >= keys_portion(key); /* the answer is on its way */
    bool good = key->tokens >= 1 && !early;
    if (good)
        key->tokens -= 1;
    if (good && shared) {
        key->spent += 1;
        key->promised += 1;
    }
    ret->limit = key->per_minute;
    ret->remaining = key->tokens > 0 ? (int)key->tokens : 0;
    ret->reset_s = (key->per_minute - key->tokens) / per_second;
    ret->retry_s = good ? 0 : key->tokens >= 1 ? 0.1 : (1 - key->tokens) / per_second;
    return good;
}

bool keys_take(struct keys *k, const struct key_id *id, struct quota *ret)
{
    *ret = (struct quota){.limit = 0};
    pthread_mutex_lock(&k->lock);
    struct key *key = keys_named(k, id->name);
    bool good = !key || key->per_minute == 0 || keys_take_token(key, k->shared, ret);
    if (good && k->shared)
        pthread_cond_signal(&k->told);
    pthread_mutex_unlock(&k->lock);
    return good;
}

/* --- together with other replicas --- */

void keys_share(struct keys *k, bool shared)
{
    pthread_mutex_lock(&k->lock);
    k->shared = shared;
    pthread_cond_broadcast(&k->told);
    pthread_mutex_unlock(&k->lock);
}

/* (lock) */
static int keys_list_spent(const struct keys *k, struct key_spent *ret, int max)
{
    int n = 0;
    for (int i = -1; i < k->n_key && n < max; i++) {
        const struct key *key = i < 0 ? &k->anyone : &k->key[i];
        if (key->spent <= 0)
            continue;
        ret[n] = (struct key_spent){.per_minute = key->per_minute, .spent = key->spent};
        memcpy(ret[n++].name, key->id.name, KEYS_NAME_MAX);
    }
    return n;
}

int keys_wait_spent(struct keys *k, struct key_spent *ret, int max)
{
    int n = 0;
    pthread_mutex_lock(&k->lock);
    while (k->shared && (n = keys_list_spent(k, ret, max)) == 0)
        pthread_cond_wait(&k->told, &k->lock);
    if (!k->shared)
        n = -1;
    pthread_mutex_unlock(&k->lock);
    return n;
}

void keys_untold(struct keys *k)
{
    pthread_mutex_lock(&k->lock);
    k->anyone.promised = 0;
    for (int i = 0; i < k->n_key; i++)
        k->key[i].promised = 0;
    pthread_mutex_unlock(&k->lock);
}

void keys_told(struct keys *k, const struct key_spent *told, double left)
{
    pthread_mutex_lock(&k->lock);
    struct key *key = keys_named(k, told->name);
    if (key && key->per_minute == told->per_minute) {
        key->spent -= told->spent;
        key->promised = key->spent;
        key->tokens = left - key->spent;
        clock_gettime(CLOCK_MONOTONIC, &key->filled);
    }
    pthread_mutex_unlock(&k->lock);
}
