#include "server/tally.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "server/keys.h"
#include "store/rates.h"

#define PAUSE_MS 50
#define AWAY_MS  1000 /* after a failure */

struct tally {
    struct keys *keys;
    struct rates *rates;
    struct key_spent spent[KEYS_MAX + 1]; /* of the thread alone */
    pthread_t thread;
    bool has_thread;
};

static void tally_pause(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void *tally_main(void *arg)
{
    struct tally *t = arg;
    int n;
    while ((n = keys_wait_spent(t->keys, t->spent, KEYS_MAX + 1)) >= 0) {
        int rc = 0;
        for (int i = 0; i < n && rc >= 0; i++) {
            struct key_spent *k = &t->spent[i];
            double left;
            rc = rates_spend(t->rates, k->name, k->per_minute, k->spent, &left, NULL);
            if (rc == 0)
                keys_told(t->keys, k, left);
        }
        if (rc < 0)
            keys_untold(t->keys);
        tally_pause(rc < 0 ? AWAY_MS : PAUSE_MS);
    }
    return NULL;
}

int tally_start(struct keys *keys, const char *where, struct tally **ret, struct err *e)
{
    struct tally *t = mem_try(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_MEMORY, "out of memory for rates");
    t->keys = keys;
    int rc = rates_open(where, &t->rates, e);
    if (rc == 0) {
        keys_share(keys, true);
        if ((rc = pthread_create(&t->thread, NULL, tally_main, t)) != 0)
            rc = err_set(e, ERR_IO, "cannot start the thread of rates: %s", strerror(rc));
        t->has_thread = rc == 0;
    }
    if (rc < 0)
        tally_stop(t);
    else
        *ret = t;
    return rc;
}

void tally_stop(struct tally *t)
{
    if (!t)
        return;
    keys_share(t->keys, false);
    if (t->has_thread)
        pthread_join(t->thread, NULL);
    rates_close(t->rates);
    mem_free(t);
}
