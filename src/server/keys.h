/* keys.h - API keys: names, hashes, and how often each may ask.
 *
 *     if (keys_load(&k, file, list, per_minute, &e) < 0) ...
 *     struct key *key = keys_find(&k, token);        NULL: no such key
 *     if (!keys_take(&k, key, &quota)) ...           over its rate: quota says when to come again
 *
 * A file has a line `name: key` or `name: sha256:HEX` for each, and may end it with `rate=N`
 * (requests a minute) and `admin` (sees and changes what others stored); # starts a comment.
 * The list, from the environment, is `key` or `name:key`, with commas. Only hashes are kept.
 * Without any key everyone may ask, as one key named "". Threads: any, after keys_load. */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H
#include <pthread.h>
#include <stdbool.h>
#include <time.h>
#include "base/err.h"

#define KEYS_MAX      1000
#define KEYS_NAME_MAX 64
#define KEYS_HASH     32

struct key {
    char name[KEYS_NAME_MAX];
    unsigned char hash[KEYS_HASH];
    int per_minute; /* 0: no limit */
    bool is_admin;
    double tokens;          /* (lock) of the bucket: one each request */
    struct timespec filled; /* (lock) */
};

struct keys {
    struct key *key;
    int n_key;         /* 0: none wanted */
    struct key anyone; /* when none is wanted */
    pthread_mutex_t lock;
};

struct quota {            /* for the x-ratelimit headers */
    int limit, remaining; /* requests a minute; limit 0: none */
    double reset_s;       /* until the limit is whole again */
    double retry_s;       /* until the next request is allowed */
};

int keys_load(struct keys *k, const char *file, const char *list, int per_minute, struct err *e);
void keys_done(struct keys *k);
struct key *keys_find(struct keys *k, const char *token);
bool keys_take(struct keys *k, struct key *key, struct quota *ret);

#endif
