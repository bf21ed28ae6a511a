/* ask.h - from the fields of a speech request to a pump: which model, which voice, and which field
 * a refusal is about.
 *
 *     if (ask_check_model(s, p.model, &e) < 0 || ask_submit(s, &p, &who, &pump, &e) < 0) ...
 *
 * Threads: any. */
#ifndef SERVER_ASK_H
#define SERVER_ASK_H
#include "server/params.h"
#include "server/pump.h"

struct server;

struct asker {
    const char *owner;     /* whose voices may be used; NULL: all */
    double deadline_s;     /* 0: none */
    bool background;       /* it takes what others leave */
    struct pump_sink sink; /* of its sound */
};

int ask_check_model(struct server *s, const char *id, struct api_error *e);
/* The model, voice and so on that the fields mean, into the request; ask_submit does it itself. */
int ask_prepare(struct server *s, struct speech_params *p, const char *owner, struct api_error *e);
int ask_submit(struct server *s, struct speech_params *p, const struct asker *who,
               struct pump **ret, struct api_error *e);
/* The warning to a client whose sentences were cut short. */
int ask_fail_short(const struct pump *p, struct api_error *e);

#endif
