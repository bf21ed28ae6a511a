/* keys.h - API keys: names, hashes, and how often each may ask.
 *
 *     if (keys_load(&k, file, list, per_minute, &e) < 0) ...
 *     if (!keys_find(&k, token, &id)) ...            no such key
 *     if (!keys_take(&k, &id, &quota)) ...           over its rate: quota says when to come again
 *     if (keys_load(&k, ...) < 0) ...                reload: bad new ones leave the old ones
 *
 * A file has a line `name: key` or `name: sha256:HEX` for each, and may end it with `rate=N`
 * (requests a minute) and `admin` (sees and changes what others stored); # starts a comment.
 * The list, from the environment, is `key` or `name:key`, with commas. Only hashes are kept.
 * Without any key everyone may ask, as one key named "". Threads: any, after the
 * first keys_load. */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H
#include <pthread.h>
#include <stdbool.h>
#include <time.h>
#include "base/err.h"

#define KEYS_MAX      1000
#define KEYS_NAME_MAX 64
#define KEYS_HASH     32

struct key_id {               /* what a request remembers of its key */
    char name[KEYS_NAME_MAX]; /* "": no key is needed, or none was sent */
    bool is_known;            /* it may ask */
    bool is_admin;
};

struct key {
    struct key_id id;
    unsigned char hash[KEYS_HASH];
    int per_minute; /* 0: no limit */
    double tokens;  /* of the bucket: one each request */
    struct timespec filled;
    double spent;    /* not told to the other replicas yet */
    double promised; /* since they were told last; less as the bucket fills */
};

struct keys {
    pthread_mutex_t lock;
    bool ready;          /* the lock is made */
    struct key *key;     /* (lock) [n_key] */
    int n_key;           /* (lock) 0: none wanted */
    struct key anyone;   /* (lock) when none is wanted */
    bool shared;         /* (lock) replicas count together: tally.h */
    pthread_cond_t told; /* (lock) something was spent, or it is shared no longer */
};

struct quota {            /* for the x-ratelimit headers */
    int limit, remaining; /* requests a minute; limit 0: none */
    double reset_s;       /* until the bucket is full again */
    double retry_s;       /* until the next request is allowed */
};

int keys_load(struct keys *k, const char *file, const char *list, int per_minute, struct err *e);
void keys_done(struct keys *k);
bool keys_find(struct keys *k, const char *token, struct key_id *ret);
bool keys_take(struct keys *k, const struct key_id *id, struct quota *ret);

/* For tally.c alone.  While it is shared, a key spends at most a quarter of its rate, or
 * KEYS_PORTION, before the others are told. */
#define KEYS_PORTION 4
struct key_spent {
    char name[KEYS_NAME_MAX];
    int per_minute;
    double spent;
};
void keys_share(struct keys *k, bool shared);
/* Waits until something was spent; how many keys, or -1: it is not shared. */
int keys_wait_spent(struct keys *k, struct key_spent *ret, int max);
void keys_told(struct keys *k, const struct key_spent *told, double left);
void keys_untold(struct keys *k); /* the others cannot be told: it counts for itself */
bool keys_wanted(struct keys *k); /* are there any? */

#endif
