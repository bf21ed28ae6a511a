#include "server/announce.h"

#if __has_include(<avahi-client/client.h>)
#include <avahi-client/client.h>
#include <avahi-client/publish.h>
#include <avahi-common/alternative.h>
#include <avahi-common/error.h>
#include <avahi-common/malloc.h>
#include <avahi-common/thread-watch.h>
#include <stdint.h>

#include "base/mem.h"

struct announcement { /* all is the poll's thread's, once it runs */
    AvahiThreadedPoll *poll;
    AvahiClient *client;
    AvahiEntryGroup *group;
    const char *type;
    char *name; /* Avahi's memory */
    int port;
};

static void announce_publish(struct announcement *a, AvahiClient *client);

static void announce_rename(struct announcement *a)
{
    char *other = avahi_alternative_service_name(a->name);
    avahi_free(a->name);
    a->name = other;
}

static void announce_on_group(AvahiEntryGroup *group, AvahiEntryGroupState state, void *cookie)
{
    struct announcement *a = cookie;
    if (state != AVAHI_ENTRY_GROUP_COLLISION)
        return;
    announce_rename(a);
    announce_publish(a, avahi_entry_group_get_client(group));
}

static void announce_publish(struct announcement *a, AvahiClient *client)
{
    int rc = AVAHI_ERR_COLLISION;
    if (!a->group)
        a->group = avahi_entry_group_new(client, announce_on_group, a);
    else
        avahi_entry_group_reset(a->group);
    while (a->group && a->name && rc == AVAHI_ERR_COLLISION) {
        rc = avahi_entry_group_add_service(a->group, AVAHI_IF_UNSPEC, AVAHI_PROTO_UNSPEC, 0,
                                           a->name, a->type, NULL, NULL, (uint16_t)a->port, NULL);
        if (rc == AVAHI_ERR_COLLISION) /* with a service of this machine */
            announce_rename(a);
    }
    if (rc == AVAHI_OK)
        avahi_entry_group_commit(a->group);
}

static void announce_on_client(AvahiClient *client, AvahiClientState state, void *cookie)
{
    struct announcement *a = cookie;
    if (state == AVAHI_CLIENT_S_RUNNING)
        announce_publish(a, client);
    else if (a->group && (state == AVAHI_CLIENT_S_COLLISION || state == AVAHI_CLIENT_S_REGISTERING))
        avahi_entry_group_reset(a->group); /* the machine's own name changes */
}

struct announcement *announce_start(const char *type, const char *name, int port)
{
    struct announcement *a = mem_try(1, sizeof *a);
    int why;
    if (!a)
        return NULL;
    a->type = type;
    a->port = port;
    a->name = avahi_strdup(name);
    a->poll = avahi_threaded_poll_new();
    if (a->poll)
        a->client = avahi_client_new(avahi_threaded_poll_get(a->poll), AVAHI_CLIENT_NO_FAIL,
                                     announce_on_client, a, &why);
    if (a->client && avahi_threaded_poll_start(a->poll) == 0)
        return a;
    announce_stop(a);
    return NULL;
}

void announce_stop(struct announcement *a)
{
    if (!a)
        return;
    if (a->poll)
        avahi_threaded_poll_stop(a->poll);
    if (a->client)
        avahi_client_free(a->client); /* with its group */
    if (a->poll)
        avahi_threaded_poll_free(a->poll);
    avahi_free(a->name);
    mem_free(a);
}
#else
struct announcement *announce_start(const char *type, const char *name, int port)
{
    (void)type;
    (void)name;
    (void)port;
    return NULL;
}

void announce_stop(struct announcement *a)
{
    (void)a;
}
#endif
